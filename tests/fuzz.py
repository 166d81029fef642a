"""Mutates small disks and reads each in a limited child: ``python tests/fuzz.py --count 300 --seed 1``.

Reported: deaths (a signal, an error that left the reader), runs over the budget, silent losses: files or names of the
sound disk that are not there, or bytes that are not, and nothing says so. Ends with 1 where there are any. A mutant is
a pure function of disk, seed and number; ``--keep DIR`` writes the failing ones. ``--command`` runs each through
``volforensic triage`` instead: its exit status is 0, 3 or 7, it prints no traceback and leaves the disk as it is.
"""

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]

from mutant_runs import judged  # noqa: E402 - a script: its folder and the project's come first
from mutants import mutant, used_sectors  # noqa: E402 - same
from seed_disks import SEEDS  # noqa: E402 - same

_MOST_SECONDS = 600


def fuzzed(name: str, disk: bytes, arguments: argparse.Namespace) -> Counter[str]:
    """Judge the mutants of one disk, tell the failing ones, return how many there are of each verdict."""
    counts: Counter[str] = Counter()
    numbers = range(arguments.first, arguments.first + arguments.count)
    for number, verdict, reason in judged(name, disk, arguments.seed, numbers):
        counts[verdict] += 1
        if verdict in {"death", "silent"}:
            print(f"{name} {number}: {verdict}: {reason}", flush=True)  # noqa: T201 - a script
            if arguments.keep:
                damage = mutant(disk, used_sectors(disk), f"{arguments.seed}:{name}:{number}")
                (arguments.keep / f"{name}-{arguments.seed}-{number}.raw").write_bytes(damage.applied(disk))
    return counts


def commanded(name: str, disk: bytes, arguments: argparse.Namespace, folder: Path) -> Counter[str]:
    """Run mutants through the whole command; return how many end with which status, and tell what it does not bear."""
    counts: Counter[str] = Counter()
    used = used_sectors(disk)
    for number in range(arguments.first, arguments.first + arguments.count):
        damaged, case = folder / "mutant.raw", folder / "case"
        damaged.write_bytes(mutant(disk, used, f"{arguments.seed}:{name}:{number}").applied(disk))
        before = hashlib.sha256(damaged.read_bytes()).digest()
        command = [sys.executable, "-m", "volforensic", "triage", str(damaged), "--case", str(case), "--quiet"]
        ended = subprocess.run(command, capture_output=True, check=False, timeout=_MOST_SECONDS)
        is_well = ended.returncode in {0, 3, 7} and b"Traceback" not in ended.stderr
        counts[f"status {ended.returncode}"] += 1
        if not is_well or hashlib.sha256(damaged.read_bytes()).digest() != before:
            counts["death"] += 1
            print(f"{name} {number}: {ended.returncode} {ended.stderr[-500:]!r}", flush=True)  # noqa: T201 - a script
        shutil.rmtree(case, ignore_errors=True)
    return counts


def main() -> int:
    """Fuzz and print the counts of each disk."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=100, help="mutants of each disk")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first mutant")
    parser.add_argument("--only", action="append", help="a disk's name; may be given again")
    parser.add_argument("--command", action="store_true", help="run the whole command")
    parser.add_argument("--keep", type=Path, help="where failing mutants are kept")
    arguments = parser.parse_args()
    counts: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, seed in SEEDS.items():
            if arguments.only and name not in arguments.only:
                continue
            if seed.missing:
                print(f"{name}: skipped, {seed.missing} is not installed", flush=True)  # noqa: T201 - a script
                continue
            disk = seed.build(Path(folder) / name).read_bytes()
            if arguments.command:
                counts[name] = commanded(name, disk, arguments, Path(folder))
            else:
                counts[name] = fuzzed(name, disk, arguments)
            print(json.dumps({name: counts[name]}), flush=True)  # noqa: T201 - a script
    return int(any(count["death"] or count["silent"] for count in counts.values()))


if __name__ == "__main__":
    sys.exit(main())
