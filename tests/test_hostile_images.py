"""Hostile and damaged disks through the whole command: it ends, says what was lost, keeps what was good."""

import hashlib
import io
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import zstandard

from images.hostile import ALL as BUILDERS
from images.hostile.ext_disk import Ext
from images.hostile.kit import CRON_COMMAND

PROCESSOR_SECONDS = 60
IN_EVERY_RUN = (
    "extent-loop",
    "extent-fan-out",
    "indirect-loop-triple",
    "directory-cycle",
    "record-length-0",
    "odd-names",
    "huge-auth-log",
    "symlink-chains",
    "special-files",
    "forged-mbr",
    "gpt-primary-gone",
    "superblock-zeroed",
    "cut-half",
    "noise",
)
"""A representative of each class; all of them run where VOLFORENSIC_ALL_HOSTILE is set."""
CHOSEN = tuple(BUILDERS) if os.environ.get("VOLFORENSIC_ALL_HOSTILE") else IN_EVERY_RUN


class Run(NamedTuple):
    """How a run of the command ended and what it left."""

    status: int
    errors: str
    problems: list[dict[str, Any]]
    records: dict[str, list[dict[str, Any]]]


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
    for item in sorted((case / "evidence").glob("*")):
        problems += rows(item / "problems.jsonl")
        for name in records:
            records[name] += rows(item / "records" / f"{name}.jsonl.zst")
    return Run(done.returncode, done.stderr.decode("utf-8", "replace"), problems, records)


def has_good_records(name: str, records: list[dict[str, Any]]) -> bool:
    if name == "cron":
        return CRON_COMMAND in [record.get("command") for record in records]
    return [record.get("user") for record in records].count("alice") == 200


@pytest.mark.parametrize("name", CHOSEN)
def test_a_hostile_image_costs_itself_only(tmp_path: Path, name: str) -> None:
    hostile = BUILDERS[name](tmp_path / "image")
    before = hashlib.sha256(hostile.path.read_bytes()).hexdigest()
    run = triage(hostile.path, tmp_path / "case")
    assert run.status in hostile.statuses, run.errors
    assert "Traceback" not in run.errors
    assert hashlib.sha256(hostile.path.read_bytes()).hexdigest() == before
    assert hostile.says in json.dumps(run.problems) + run.errors
    for artifact in hostile.keeps:
        assert has_good_records(artifact, run.records[artifact]), artifact
    if run.status == 0:
        assert has_good_records("cron", run.records["cron"])
        assert not any(problem.get("lost", True) for problem in run.problems)
    if run.status == 3:
        assert any(problem.get("lost", True) for problem in run.problems)
    if run.status != 7:
        assert volforensic("verify", str(tmp_path / "case")).returncode == 0


def test_there_are_enough_of_them() -> None:
    assert len(BUILDERS) > 80
    assert set(IN_EVERY_RUN) <= set(BUILDERS)


def test_builders_give_the_same_bytes_each_time(tmp_path: Path) -> None:
    images = [Ext(tmp_path / name).read(0, 8 << 20) for name in ("one", "two")]
    differing = sum(first != second for first, second in zip(images[0], images[1], strict=True))
    assert differing < 4096  # what mke2fs takes over from the tree: times of the host's files
