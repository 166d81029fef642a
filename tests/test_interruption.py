"""A run that is stopped, politely or not, in each of its stages: what is left can be gone on with."""

import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from command_line import COMMAND, canonical_files, is_intact, json_lines, server_disk, triage

STAGES = ("inventory", "collect", "files", "hash before", "detect", "hash after")
PATIENCE = 30
"""Seconds within which the workers of a killed run must be gone."""


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = server_disk(tmp_path_factory.mktemp("disk"))
    with path.open("r+b") as file:
        file.truncate(300 << 20)  # hashing it takes long enough to be stopped in
    return path


@pytest.fixture(scope="module")
def whole(disk: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    case = tmp_path_factory.mktemp("whole") / "case"
    assert triage(disk, case, "--progress", "none").returncode == 0
    return canonical_files(case)


def heed_interruptions() -> None:
    """Undo what a shell does to its background jobs, where the tests are one."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def stop(disk: Path, case: Path, stage: str, number: signal.Signals, delay: float = 0.0) -> tuple[int, str]:
    """Start a triage and send it a signal when it begins this stage; return its status and what it told."""
    command = [*COMMAND, "triage", str(disk), "--case", str(case), "--progress", "json"]
    told = ""
    streams: dict[str, Any] = {"stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL, "text": True}
    with subprocess.Popen(command, **streams, preexec_fn=heed_interruptions) as running:  # noqa: PLW1509 - no thread runs here
        assert running.stderr is not None
        while f'"stage": "{stage}"' not in (line := running.stderr.readline()):
            assert line, "the stage never came"
            told += line
        time.sleep(delay)
        running.send_signal(number)
        told += line + running.stderr.read()
    return running.returncode, told


def processes(case: Path) -> list[str]:
    """Return the processes that were started with this case on their command line."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if os.fsencode(case) in entry.read_bytes():
                found.append(entry.parent.name)
        except OSError:
            continue
    return found


def assert_that_all_are_gone(case: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while processes(case) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes(case) == []


@pytest.mark.parametrize("stage", ["hash before", "hash after"])
def test_an_interruption_says_how_to_go_on(disk: Path, tmp_path: Path, stage: str, whole: dict[str, bytes]) -> None:
    case = tmp_path / "case"
    status, told = stop(disk, case, stage, signal.SIGINT)
    assert status == 130
    last = json_lines(told)[-1]
    assert (last["event"], "--resume" in last["text"]) == ("error", True)
    assert_that_all_are_gone(case)
    ended = triage(disk, case, "--progress", "none")
    assert (ended.returncode, "Add --resume" in ended.stderr) == (2, True)
    assert triage(disk, case, "--progress", "none", "--resume").returncode == 0
    assert canonical_files(case) == whole
    assert is_intact(case)


@pytest.mark.parametrize("stage", STAGES)
def test_a_kill_in_each_stage(disk: Path, tmp_path: Path, stage: str, whole: dict[str, bytes]) -> None:
    case = tmp_path / "case"
    delay = random.uniform(0, 0.05)  # noqa: S311 - any instant will do, and each should once
    status, _ = stop(disk, case, stage, signal.SIGKILL, delay)
    assert status == -signal.SIGKILL, f"{delay=}"
    assert_that_all_are_gone(case)
    ended = triage(disk, case, "--progress", "none", "--resume")
    assert (ended.returncode, ended.stderr) == (0, ""), f"{delay=}"
    assert canonical_files(case) == whole, f"{delay=}"
    assert is_intact(case)


def test_resuming_leaves_alone_what_is_finished(disk: Path, tmp_path: Path, whole: dict[str, bytes]) -> None:
    case = tmp_path / "case"
    assert triage(disk, case, "--progress", "none").returncode == 0
    times = {path: path.stat().st_mtime_ns for path in (case / "evidence").rglob("*")}
    ended = triage(disk, case, "--progress", "none", "--resume", "--fail-on", "high")
    assert (ended.returncode, ended.stderr) == (10, "")
    assert {path: path.stat().st_mtime_ns for path in (case / "evidence").rglob("*")} == times
    assert canonical_files(case) == whole
    assert is_intact(case)
