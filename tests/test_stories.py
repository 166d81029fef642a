"""Every story, triaged by the command as a user runs it: the findings must be exactly the ones that it tells of."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import zstandard
from story_disks import digest, disk

from images.story import ExpectedFinding, load, names

COMMAND = (sys.executable, "-m", "volforensic", "triage")
CANONICAL = ("*.jsonl", "*.jsonl.zst", "coverage.json", "records/*.jsonl.zst")
BEST_FIRST = ("complete", "partial", "unreadable", "unsupported", "absent")
MINUTES = 10 * 60
DATABASE_AS_CRONTAB = ("mbr-logical", "cron.jsonl.zst")


class Triage:
    """What two triages of one disk left behind."""

    def __init__(self, name: str, folder: Path) -> None:
        """Run the command twice on the disk of the story ``name``."""
        self.story = load(name)
        self.disk = disk(name)
        self.hash_before = digest(self.disk)
        self.cases = [folder / "first", folder / "second"]
        self.runs = [triage(self.disk, case) for case in self.cases]

    def evidence(self, number: int = 0) -> Path:
        """Return the folder of the one evidence item of a case."""
        (folder,) = (self.cases[number] / "evidence").iterdir()
        return folder

    def findings(self) -> list[dict[str, Any]]:
        """Return the findings of the first case."""
        return [json.loads(line) for line in (self.evidence() / "findings.jsonl").read_text().splitlines()]


def triage(image: Path, case: Path) -> subprocess.CompletedProcess[str]:
    """Run the command with nothing but a disk and a case."""
    command = [*COMMAND, str(image), "--case", str(case)]
    environment = {**os.environ, "NO_COLOR": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=MINUTES, env=environment)


@pytest.fixture(scope="module", params=names())
def triaged(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Triage:
    return Triage(request.param, tmp_path_factory.mktemp(request.param))


def fits(expected: ExpectedFinding, finding: dict[str, Any]) -> bool:
    """Return whether a finding is the expected one."""
    said = json.dumps([finding[key] for key in ("statement", "evidence", "cites", "path")], ensure_ascii=False)
    contains = json.dumps(expected.contains or "", ensure_ascii=False)[1:-1]
    return (
        finding["rule"] == expected.rule
        and expected.severity in (None, finding["severity"])
        and expected.path in (None, finding["path"])
        and contains in said
    )


def differences(expectations: list[ExpectedFinding], findings: list[dict[str, Any]]) -> list[str]:
    """Return a line for each finding that is missing and each that nobody expected."""
    extra, lines = list(findings), []
    for expected in expectations:
        match = next((finding for finding in extra if fits(expected, finding)), None)
        if match is None:
            lines.append(f"missing: {expected.rule} {expected.path or expected.contains or ''}")
        else:
            extra.remove(match)
    shown = ("rule", "severity", "path", "statement")
    return lines + [f"extra: {' | '.join(str(finding.get(key)) for key in shown)}" for finding in extra]


def test_findings_are_exactly_the_storys(triaged: Triage) -> None:
    assert triaged.runs[0].returncode in (0, 3), triaged.runs[0].stderr
    assert differences(triaged.story.expect.findings, triaged.findings()) == []


def test_exit_status_is_the_storys(triaged: Triage) -> None:
    assert [run.returncode for run in triaged.runs] == [triaged.story.expect.exit_status] * 2, triaged.runs[0].stderr


def test_coverage_is_the_storys(triaged: Triage) -> None:
    rows = json.loads((triaged.evidence() / "coverage.json").read_text())
    rows = rows["artifacts"] if isinstance(rows, dict) else rows
    for artifact, status in triaged.story.expect.coverage.items():
        found = [row["status"] for row in rows if row["artifact"] == artifact]
        assert min(found, key=BEST_FIRST.index, default=None) == status, artifact


def test_nothing_is_unparsed(triaged: Triage) -> None:
    for path in (triaged.evidence() / "records").iterdir():
        with zstandard.open(path, "rt", encoding="utf-8") as lines:
            records = [json.loads(line) for line in lines]
        unparsed = [record["raw"] for record in records if record.get("unparsed")]
        assert unparsed == [] or (triaged.story.name, path.name) == DATABASE_AS_CRONTAB, path.name


def test_evidence_is_what_it_was(triaged: Triage) -> None:
    assert digest(triaged.disk) == triaged.hash_before


def test_two_triages_give_the_same_bytes(triaged: Triage) -> None:
    first, second = triaged.evidence(0), triaged.evidence(1)
    found = sorted(path.relative_to(first) for pattern in CANONICAL for path in first.glob(pattern))
    assert found == sorted(path.relative_to(second) for pattern in CANONICAL for path in second.glob(pattern))
    assert {str(path) for path in found} >= {"findings.jsonl", "problems.jsonl", "coverage.json", "files.jsonl.zst"}
    assert [path for path in found if (first / path).read_bytes() != (second / path).read_bytes()] == []


def test_a_missing_finding_and_an_extra_one_are_both_told() -> None:
    finding = {"rule": "a", "severity": "low", "path": "/x", "statement": "s", "evidence": [], "cites": []}
    assert differences([ExpectedFinding(rule="a", path="/x")], [finding]) == []
    assert differences([ExpectedFinding(rule="a", path="/y")], [finding]) == [
        "missing: a /y",
        "extra: a | low | /x | s",
    ]
    assert differences([ExpectedFinding(rule="a", contains="s")], [finding, finding]) == ["extra: a | low | /x | s"]
