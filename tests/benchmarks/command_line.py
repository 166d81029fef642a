"""The benchmarks' command line."""

import argparse
import json
import os
import platform
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import programs
from .comparison import BenchmarkError, Options, compare
from .disks import DiskError, server_disks
from .figures import figures, lines

_EXPLAINED = """\
CPU is user and system time of a program and everything that it starts. Programs run in turn, medians are printed.
"read cold" is what one more run of each reads from a read-only loop device with nothing cached (needs root); the
cache is emptied again after each hash, so every stage of a triage is counted by itself.
Ends with 0; 1 where a program failed or two results differ that should not; 2 for a wrong command line; 5 where there
is no disk to read.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare the programs on every disk that is asked for, print the figures, return the exit status."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what runs is ended and scratch files go
    settings = Options(options.runs, options.timeout, options.without, options.scratch)
    try:
        disks = options.image or server_disks()
        found = [figures(compare(disk, settings)) for disk in disks]
    except DiskError as error:
        sys.stderr.write(f"{error}\n")
        return 5
    except BenchmarkError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    host = _host()
    if options.format == "json":
        sys.stdout.write(json.dumps({"host": host, "disks": found}, indent=1) + "\n")
    else:
        sys.stdout.write("\n".join(_text(host, found)) + "\n")
    return 1 if any(each["differences"] for each in found) else 0


def _text(host: dict[str, Any], found: Sequence[dict[str, Any]]) -> list[str]:
    versions = {program["name"]: program["version"] for each in found for program in each["programs"]}
    loads = [load for each in found for program in each["programs"] for load in program["load"]]
    text = [
        f"{host['date']}, {host['processor']}, {host['cores']} cores, Linux {host['kernel']}, Python {host['python']}",
        f"versions: {'; '.join(versions.values())}",
        f"load of the host before the runs: {min(loads)} to {max(loads)}",
    ]
    for each in found:
        text += ["", *lines(each)]
    return text


def _host() -> dict[str, Any]:
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() in {"model name", "Model"}:
            return value.strip()
    return platform.machine()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description="What a triage costs beside target-query, openssl and fls on the same disk.",
        epilog=_EXPLAINED,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--image",
        action="append",
        type=_existing,
        metavar="PATH",
        help="a raw image or block device; may be given again. Else two disks of a Debian server are built and kept",
    )
    parser.add_argument("--runs", type=_positive, default=3, metavar="N", help="runs of each program (3)")
    parser.add_argument("--timeout", type=float, default=1800.0, metavar="SECONDS", help="for each run (1800)")
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        choices=[name for name in programs.NAMES if name != programs.TRIAGE],
        help="leave a program out; may be given again",
    )
    parser.add_argument("--scratch", type=Path, metavar="DIR", help="where cases and outputs go while they are needed")
    parser.add_argument("-f", "--format", choices=["table", "json"], default="table", help="how to print (table)")
    return parser


def _existing(text: str) -> Path:
    path = Path(text)
    if not (path.is_file() or path.is_block_device()):
        raise argparse.ArgumentTypeError(f"{text}: no disk image and no block device")
    return path


def _positive(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text[:9]) <= 1000:
        raise argparse.ArgumentTypeError(f"{text}: not a number from 1 to 1000")
    return int(text)
