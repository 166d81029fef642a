"""Hostile and damaged disks through the whole command: it ends, says what was lost, keeps what was good."""

import hashlib
import io
import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import zstandard
from mutant_runs import in_child, read_disk
from mutants import MutantMedium

from images.hostile import ALL as BUILDERS
from images.hostile import CLASSES
from images.hostile.ext_disk import Ext
from images.hostile.kit import CRON_COMMAND, GOOD_FILES, Hostile
from images.hostile.many_entries import many_entries

PROCESSOR_SECONDS = 60
IN_EVERY_RUN = (
    "cut-half",
    "noise",
    "forged-mbr",
    "gpt-primary-gone",
    "superblock-zeroed",
    "odd-inodes",
    "extent-loop",
    "extent-fan-out",
    "indirect-loop-triple",
    "record-length-0",
    "odd-names",
    "symlink-chains",
    "special-files",
    "log-lines-that-forge",
    "log-line-of-megabytes",
    "log-gzip-bomb",
    "logins-cut-and-wrong",
    "settings-passwd",
    "names-for-printers",
    "programs",
    "nested-images",
    "huge-auth-log",
    "dirty-journal",
    "xfs-extent-tree-loop",
    "btrfs-tree-loop",
    "squashfs-inodes-max",
    "erofs-huge-compressed-file",
)
"""Representatives of each class; all of them run where VOLFORENSIC_ALL_HOSTILE is set."""
CHOSEN = tuple(BUILDERS) if os.environ.get("VOLFORENSIC_ALL_HOSTILE") else IN_EVERY_RUN
GOOD = {f"/{name}": hashlib.sha256(content).hexdigest() for name, content in GOOD_FILES.items()}


class Run(NamedTuple):
    """How a run of the command ended and what it left."""

    status: int
    errors: str
    problems: list[dict[str, Any]]
    records: dict[str, list[dict[str, Any]]]
    hashes: dict[str, str]


def rows(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    data = path.read_bytes()
    if path.suffix == ".zst":
        data = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)).read()
    return [json.loads(line) for line in data.splitlines()]


def volforensic(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_SECONDS, PROCESSOR_SECONDS))

    return subprocess.run(
        [sys.executable, "-m", "volforensic", *arguments],
        check=False,
        capture_output=True,
        timeout=180,
        preexec_fn=limit,
        cwd=Path(__file__).parent.parent,
    )


def triage(image: Path, case: Path) -> Run:
    done = volforensic("triage", str(image), "--case", str(case), "--quiet", "--progress", "none", "--jobs", "2")
    problems: list[dict[str, Any]] = []
    records: dict[str, list[dict[str, Any]]] = {"cron": [], "auth_log": []}
    hashes: dict[str, str] = {}
    for item in sorted((case / "evidence").glob("*")):
        problems += rows(item / "problems.jsonl")
        hashes |= {row["path"]: row["sha256"] for row in rows(item / "files.jsonl.zst") if "sha256" in row}
        for name in records:
            records[name] += rows(item / "records" / f"{name}.jsonl.zst")
    return Run(done.returncode, done.stderr.decode("utf-8", "replace"), problems, records, hashes)


def has_good_records(name: str, records: list[dict[str, Any]]) -> bool:
    if name == "cron":
        return CRON_COMMAND in [record.get("command") for record in records]
    return [record.get("user") for record in records].count("alice") >= 200


def lost_files(hostile: Hostile, hashes: dict[str, str]) -> list[str]:
    """Return the good files that are not there as they were, but for those that the damage may cost."""
    costs = tuple(f"{path.rstrip('/')}/" for path in hostile.costs)
    return [path for path, digest in GOOD.items() if hashes.get(path) != digest and not f"{path}/".startswith(costs)]


def readings(hostile: Hostile) -> Iterator[tuple[str, str]]:
    """Yield (what was said of losses, the good files that are missing or not as they were)."""
    disk, hashes = hostile.path.read_bytes(), dict[str, str]()
    said = read_disk(MutantMedium(disk, len(disk)), hashes=hashes).said
    missing = [path for path, digest in GOOD.items() if hashes.get(path) != digest]
    yield said, " ".join(missing)
    yield "unexpected", " ".join(lost_files(hostile, hashes))


def built(name: str, folder: Path) -> Hostile:
    try:
        return BUILDERS[name](folder)
    except FileNotFoundError as error:
        pytest.skip(f"{error.filename} is not installed")


@pytest.mark.parametrize("name", BUILDERS)
def test_the_readers_lose_only_what_is_damaged_and_say_so(tmp_path: Path, name: str) -> None:
    hostile = built(name, tmp_path)
    (said, missing), *rest = in_child(readings(hostile))
    assert rest == [("unexpected", "")], said
    touched = [path for path in missing.split() if path not in hostile.costs]  # what the builder itself took away
    assert said or not touched or 0 in hostile.statuses


@pytest.mark.parametrize("name", CHOSEN)
def test_a_hostile_image_costs_itself_only(tmp_path: Path, name: str) -> None:
    hostile = built(name, tmp_path / "image")
    before = hashlib.sha256(hostile.path.read_bytes()).hexdigest()
    run = triage(hostile.path, tmp_path / "case")
    assert run.status in hostile.statuses, run.errors
    assert "Traceback" not in run.errors
    assert hashlib.sha256(hostile.path.read_bytes()).hexdigest() == before
    assert hostile.says in json.dumps(run.problems) + run.errors
    if run.status != 7:
        assert lost_files(hostile, run.hashes) == []
    for artifact in hostile.keeps:
        assert has_good_records(artifact, run.records[artifact]), artifact
    if run.status == 0:
        assert not any(problem.get("lost", True) for problem in run.problems)
    if run.status == 3:
        assert any(problem.get("lost", True) for problem in run.problems)
    if run.status != 7:
        assert volforensic("verify", str(tmp_path / "case")).returncode == 0


@pytest.mark.parametrize("directories", [1, 100])
def test_hundreds_of_thousands_of_names(tmp_path: Path, directories: int) -> None:
    count = 1_000_000 if os.environ.get("VOLFORENSIC_ALL_HOSTILE") else 100_000
    disk = many_entries(tmp_path, count, directories).read_bytes()
    names = in_child(("names", str(read_disk(medium).names)) for medium in [MutantMedium(disk, len(disk))])
    others = len(GOOD) + 14 + directories  # the good files and their directories, /, lost+found, /many and those below
    assert list(names) == [("names", str(count + others))]


def test_there_are_enough_of_them() -> None:
    assert len(BUILDERS) > 140
    assert all(CLASSES.values())
    assert set(IN_EVERY_RUN) <= set(BUILDERS)


def test_builders_give_the_same_bytes_each_time(tmp_path: Path) -> None:
    images = [Ext(tmp_path / name).read(0, 8 << 20) for name in ("one", "two")]
    differing = sum(first != second for first, second in zip(images[0], images[1], strict=True))
    assert differing < 4096  # what mke2fs takes over from the tree: times of the host's files
