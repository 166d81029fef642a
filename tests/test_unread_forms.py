"""Traces in a form that is not read are told: as a loss where a host has nothing else."""

from pathlib import Path

import msgspec
from command_line import triage
from test_comparison import make_disk


def outcome(tmp_path: Path, files: dict[str, str]) -> tuple[int, str, list[bool]]:
    disk = make_disk(tmp_path, files)
    ended = triage(disk, tmp_path / "case", "--progress", "none")
    (folder,) = (tmp_path / "case" / "evidence").iterdir()
    coverage = msgspec.json.decode((folder / "coverage.json").read_bytes())
    problems = [msgspec.json.decode(line) for line in (folder / "problems.jsonl").read_bytes().splitlines()]
    (status,) = [row["status"] for row in coverage["artifacts"] if row["artifact"] == "auth_log"]
    return ended.returncode, status, [problem["lost"] for problem in problems if "journal" in problem["reason"]]


def test_a_journal_alone_is_a_loss(tmp_path: Path) -> None:
    assert outcome(tmp_path, {"var/log/journal/ab12/system.journal": "LPKSHHRH"}) == (3, "unsupported", [True])


def test_a_journal_beside_an_auth_log_is_noted(tmp_path: Path) -> None:
    files = {
        "var/log/journal/ab12/system.journal": "LPKSHHRH",
        "var/log/auth.log": "Nov 20 07:00:01 host sshd[1]: Server listening on 0.0.0.0 port 22.\n",
    }
    assert outcome(tmp_path, files) == (0, "complete", [False])
