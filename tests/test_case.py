"""The case folder: held by one run, written once, accounted for, and whole after every way of ending badly."""

import errno
import hashlib
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from volforensic.case.evidence_folder import canonical_json, evidence_id
from volforensic.case.folder import Case
from volforensic.case.verification import verify
from volforensic.errors import BusyError, HostError, IntegrityError, UsageError, VolforensicError
from volforensic.record import Coverage

ROWS = [{"record_id": f"auth_log:{number}", "position": number} for number in range(1_000)]


def create(path: Path) -> Case:
    return Case.create(
        path, number="17", examiner="A. Lee", command_line=["volforensic", "triage"], versions={"a": "1"}
    )


def reopen(path: Path) -> Case:
    return Case.open(path, command_line=["volforensic", "report"], versions={})


def fill(case: Case, name: str = "disk", **begin: bool) -> None:
    evidence = case.evidence(name)
    evidence.begin(**begin)
    with evidence.rows("records/auth_log") as writer:
        writer.write(ROWS)
    with evidence.rows("findings", compressed=False) as writer:
        writer.write([{"finding_id": "F-1"}])
    with evidence.extract() as extracted:
        extracted.write(b"#!/bin/sh\n")
        extracted.write(b"curl x|sh\n")
    evidence.write_json(
        "coverage", {"complete": True, "artifacts": [Coverage(artifact="x", volume=0, status="absent")]}
    )
    evidence.write_json("evidence", {"id": name, "source": f"{name}.raw"})
    evidence.finish()


def custody(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (path / "custody.jsonl").read_bytes().splitlines()]


def files(path: Path) -> set[str]:
    return {found.relative_to(path).as_posix() for found in path.rglob("*") if not found.is_dir()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "case"


def test_a_case_has_what_the_design_says_and_stock_tools_accept_it(path: Path) -> None:
    with create(path) as case:
        fill(case)
        case.write("report.html", b"<p>")
        head = case.close(0)
    digest = hashlib.sha256(b"#!/bin/sh\ncurl x|sh\n").hexdigest()
    inside = ("evidence.json", "coverage.json", "findings.jsonl", "records/auth_log.jsonl.zst", f"extracted/{digest}")
    expected = {"case.json", "custody.jsonl", "MANIFEST.sha256", "report.html", ".lock"}
    assert files(path) == expected | {f"evidence/disk/{name}" for name in inside}
    checked = subprocess.run(
        ["sha256sum", "-c", "--strict", "MANIFEST.sha256"], cwd=path, capture_output=True, check=True
    )
    assert len(checked.stdout.splitlines()) == len(files(path)) - 2
    assert list(verify(path, head)) == []
    assert (path / f"evidence/disk/extracted/{digest}").stat().st_mode & 0o777 == 0o400


def test_manifest_and_log_bind_each_other(path: Path) -> None:
    with create(path) as case:
        fill(case)
        case.close(0)
    lines = (path / "MANIFEST.sha256").read_bytes().splitlines(keepends=True)
    others = b"".join(line for line in lines if not line.endswith(b"  custody.jsonl\n"))
    assert len(lines) == others.count(b"\n") + 1
    last = custody(path)[-1]
    assert (last["act"], last["details"]["digest"]) == ("case closed", hashlib.sha256(others).hexdigest())


def test_runs_are_kept_in_case_json(path: Path) -> None:
    with create(path) as case:
        case.close(3)
    with reopen(path) as case:
        case.close(0)
    facts = json.loads((path / "case.json").read_bytes())
    assert (facts["format"], facts["number"], facts["examiner"]) == (1, "17", "A. Lee")
    assert [run["exit_status"] for run in facts["runs"]] == [3, 0]
    assert [run["command_line"][1] for run in facts["runs"]] == ["triage", "report"]
    assert all(run["started"] <= run["ended"] and run["host"] and run["user"] for run in facts["runs"])
    assert list(verify(path)) == []


def test_canonical_files_of_two_cases_are_equal(tmp_path: Path) -> None:
    for name in ("one", "two"):
        with create(tmp_path / name) as case:
            fill(case)
            case.close(0)
    names = [name for name in files(tmp_path / "one") if name.startswith("evidence/")]
    assert len(names) == 5
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_everything_is_read_back_before_and_after_the_end(path: Path) -> None:
    with create(path) as case:
        evidence = case.evidence("disk")
        evidence.begin()
        with evidence.rows("records/auth_log") as writer:
            writer.write(ROWS)
        assert list(evidence.read("records/auth_log")) == ROWS
        assert evidence.streams() == ["records/auth_log"]
        evidence.write_json("evidence", {"b": 1, "a": "é"})
        scratch = evidence.scratch()
        (scratch / "index.sqlite").write_bytes(b"x")
        evidence.finish()
        assert not scratch.exists()
        assert list(evidence.read("records/auth_log")) == ROWS
        assert evidence.streams() == ["records/auth_log"]
        assert evidence.read_json("evidence") == {"a": "é", "b": 1}
        assert evidence.path == path / "evidence" / "disk"
        with pytest.raises(HostError):
            list(evidence.read("records/none"))
        case.close(0)
    assert (path / "evidence/disk/evidence.json").read_text() == '{\n "a": "é",\n "b": 1\n}\n'
    assert list(verify(path)) == []


def test_equal_extracted_files_are_kept_once(path: Path) -> None:
    with create(path) as case:
        evidence = case.evidence("disk")
        evidence.begin()
        with evidence.extract() as one, evidence.extract() as two:
            for chunk in (b"ab", b"c"):
                one.write(chunk)
                two.write(chunk)
        assert (one.sha256, one.size) == (two.sha256, two.size) == (hashlib.sha256(b"abc").hexdigest(), 3)
        three = evidence.extract()
        three.write(b"half")
        three.__exit__(RuntimeError, RuntimeError("unreadable"), None)
        assert [found.name for found in (evidence.path / "extracted").iterdir()] == [one.sha256]


@pytest.mark.parametrize(
    "name", ["../x", "/x", "a/../b", "A", "é", "", "a//b", ".x", "a\n", "x" * 65, "a/b/c/d/e", "-rf"]
)
def test_no_other_name_reaches_the_disk(path: Path, name: str) -> None:
    with create(path) as case:
        evidence = case.evidence("disk")
        evidence.begin()
        before = files(path)
        with pytest.raises(ValueError, match="no name of a file"):
            evidence.rows(name)
        with pytest.raises(ValueError, match="no name of a file"):
            evidence.write_json(name, 1)
        with pytest.raises(ValueError, match="no name of a file"):
            case.write(name, b"")
        assert files(path) == before
        if name.count("/") == 0:
            with pytest.raises(UsageError):
                case.evidence(name)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("/cases/Web Server.RAW", "web-server.raw"),
        ("../..", "evidence"),
        ("/dev/nvme1n1", "nvme1n1"),
        ("éß", "evidence"),
        ("ebs:snap-0a1", "ebs-snap-0a1"),
        ("dir/", "dir"),
        ("-rf\n;x", "rf-x"),
        ("x" * 300, "x" * 56),
        ("", "evidence"),
    ],
)
def test_an_evidence_id_is_made_of_the_source_name(source: str, expected: str) -> None:
    assert evidence_id(source) == expected
    assert evidence_id(source, {expected}) == f"{expected}-2"
    assert evidence_id(source, {expected, f"{expected}-2"}) == f"{expected}-3"


def test_a_finished_item_is_replaced_only_when_told(path: Path) -> None:
    with create(path) as case:
        fill(case)
        with pytest.raises(UsageError, match="--clobber"):
            fill(case)
        evidence = case.evidence("disk")
        evidence.begin(clobber=True)
        evidence.write_json("evidence", {"second": True})
        assert (path / "evidence/disk/coverage.json").exists()
        evidence.finish()
        case.close(0)
    assert {name for name in files(path) if name.startswith("evidence/")} == {"evidence/disk/evidence.json"}
    assert list(verify(path)) == []


def test_an_interrupted_item_is_begun_again_only_when_told(path: Path) -> None:
    with create(path) as case:
        case.evidence("disk").begin()
        case.evidence("disk").write_json("coverage", {})
    with reopen(path) as case:
        assert case.evidence("disk").interrupted
        with pytest.raises(UsageError, match="Add --resume"):
            case.evidence("disk").begin()
        fill(case, resume=True)
        case.close(0)
    assert list(verify(path)) == []
    assert not (path / ".partial").exists()


def test_an_item_without_its_evidence_json_is_not_finished(path: Path) -> None:
    with create(path) as case:
        evidence = case.evidence("disk")
        evidence.begin()
        with pytest.raises(ValueError, match=r"evidence\.json"):
            evidence.finish()
        assert not evidence.finished


def test_findings_of_a_finished_item_can_be_made_again(path: Path) -> None:
    with create(path) as case:
        fill(case)
        case.close(0)
    with reopen(path) as case:
        evidence = case.evidence("disk")
        with pytest.raises(UsageError, match="--clobber"):
            evidence.rows("findings", compressed=False)
        with evidence.rows("findings", compressed=False, clobber=True) as writer:
            writer.write([{"finding_id": "F-2"}])
        case.close(0)
    assert list(verify(path)) == []
    assert custody(path)[-4]["details"]["path"] == "evidence/disk/findings.jsonl"


@pytest.mark.parametrize("content", ["notes.txt", ".hidden", "evidence/x/evidence.json"])
def test_a_folder_with_other_content_is_no_case(path: Path, content: str) -> None:
    (path / content).parent.mkdir(parents=True)
    (path / content).write_text("x")
    before = files(path)
    for make in (create, reopen):
        with pytest.raises(UsageError):
            make(path)
    assert files(path) == before


def test_create_or_open_makes_one_and_then_opens_it(path: Path) -> None:
    facts: dict[str, Any] = {"examiner": "A. Lee", "command_line": [], "versions": {}}
    with Case.create_or_open(path, number="17", **facts) as case:
        case_id = case.facts.case_id
        case.close(0)
    with Case.create_or_open(path, number="", **facts) as case:
        assert case.facts.case_id == case_id
        case.close(0)
    with pytest.raises(UsageError, match="'17'"):
        Case.create_or_open(path, number="18", **facts)
    with pytest.raises(UsageError, match="is a case already"):
        create(path)


HOLD = """
import sys
from pathlib import Path
from volforensic.case.folder import Case
with Case.open(Path(sys.argv[1]), command_line=[], versions={}) as case:
    sys.stdout.write("held\\n"); sys.stdout.flush()
    sys.stdin.read()
"""


def test_one_run_at_a_time(path: Path) -> None:
    with create(path) as case:
        with pytest.raises(BusyError):
            reopen(path)
        case.close(0)
    holder = subprocess.Popen([sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdin is not None
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(BusyError) as caught:
        reopen(path)
    assert caught.value.exit_status == 75
    holder.kill()
    holder.wait()
    reopen(path).release()


def failing_at(number: int, *, lasting: bool) -> tuple[dict[str, Callable[..., Any]], Callable[[], int]]:
    """Return os functions of which the call with this number, counted over all of them, fails; and the counter.

    Where it is lasting, all later calls fail too.
    """
    calls = 0
    real: dict[str, Callable[..., Any]] = {
        "write": os.write,
        "fsync": os.fsync,
        "rename": os.rename,
        "open": os.open,
        "mkdir": os.mkdir,
    }

    def wrapped(name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal calls
            if name != "open" or (len(arguments) > 1 and arguments[1] & os.O_CREAT):
                calls += 1
                if calls == number or (lasting and calls > number):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real[name](*arguments, **options)

        return call

    return {name: wrapped(name) for name in real}, lambda: calls


@pytest.mark.parametrize("lasting", [False, True])
def test_a_full_disk_at_every_step_is_named_and_the_next_run_completes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, lasting: bool
) -> None:
    def whole(path: Path, *, resume: bool = False) -> None:
        with Case.create_or_open(path, number="", examiner="", command_line=[], versions={}) as case:
            if not case.evidence("disk").finished:
                fill(case, resume=resume)
            case.write("report.html", b"<p>", clobber=True)
            case.close(0)

    number = 0
    while True:
        number += 1
        path = tmp_path / str(number)
        functions, calls = failing_at(number, lasting=lasting)
        with monkeypatch.context() as patch:
            for name, function in functions.items():
                patch.setattr(os, name, function)
            try:
                whole(path)
            except HostError as error:
                assert "no space left on device" in str(error)  # noqa: PT017 (the loop ends where nothing fails)
                assert error.exit_status == 5  # noqa: PT017 (same)
        if calls() < number:
            break
        assert not [name for name in files(path) if name.endswith(".unfinished")]
        whole(path, resume=True)
        assert list(verify(path)) == [], number
    assert number > 50


def test_a_limit_on_file_sizes_is_an_error_of_the_host(path: Path) -> None:
    script = """
import resource, sys
from pathlib import Path
from volforensic.case.folder import Case
from volforensic.errors import HostError
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
with Case.create(Path(sys.argv[1]), number="", examiner="", command_line=[], versions={}) as case:
    evidence = case.evidence("disk")
    evidence.begin()
    try:
        with evidence.rows("findings", compressed=False) as writer:
            writer.write({"position": number} for number in range(10_000))
    except HostError as error:
        sys.exit(error.exit_status if "file too large" in str(error) else 1)
"""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 20_000
    assert subprocess.run([sys.executable, "-c", script, path], check=False).returncode == 5
    assert not (path / ".partial/disk/findings.jsonl").exists()


def damage(path: Path, name: str, data: bytes | None) -> None:
    if data is None:
        (path / name).unlink()
    else:
        (path / name).write_bytes(data)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "case.json empty": lambda path: damage(path, "case.json", b""),
    "case.json is a list": lambda path: damage(path, "case.json", b"[]"),
    "case.json of another case": lambda path: damage(
        path, "case.json", (path / "case.json").read_bytes().replace(b'"case_id": "', b'"case_id": "0')
    ),
    "custody gone": lambda path: damage(path, "custody.jsonl", None),
    "custody empty": lambda path: damage(path, "custody.jsonl", b""),
    "custody cut": lambda path: damage(
        path, "custody.jsonl", b"".join((path / "custody.jsonl").read_bytes().splitlines(keepends=True)[:-1])
    ),
    "custody torn": lambda path: damage(path, "custody.jsonl", (path / "custody.jsonl").read_bytes()[:-1]),
    "manifest edited": lambda path: damage(
        path, "MANIFEST.sha256", (path / "MANIFEST.sha256").read_bytes().replace(b"case.json", b"case.xson")
    ),
    "manifest empty": lambda path: damage(path, "MANIFEST.sha256", b""),
    "manifest of other lines": lambda path: damage(path, "MANIFEST.sha256", b"x\n"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_case_is_not_gone_on_with(path: Path, name: str) -> None:
    with create(path) as case:
        fill(case)
        case.close(0)
    DAMAGES[name](path)
    before = {name: (path / name).read_bytes() for name in files(path)}
    with pytest.raises(VolforensicError) as caught:
        reopen(path)
    assert isinstance(caught.value, IntegrityError)
    assert {name: (path / name).read_bytes() for name in files(path)} == before
    assert list(verify(path))


def test_a_change_between_two_runs_is_not_covered_up_by_the_second(path: Path) -> None:
    with create(path) as case:
        fill(case)
        case.close(0)
    (path / "evidence/disk/findings.jsonl").write_bytes(b"")
    (path / "notes.txt").write_bytes(b"mine")
    with reopen(path) as case:
        fill(case, "second")
        case.close(0)
    found = {(discrepancy.kind, discrepancy.path) for discrepancy in verify(path)}
    assert found == {("truncated", "evidence/disk/findings.jsonl"), ("added", "notes.txt")}


def test_a_link_in_the_place_of_a_folder_is_not_written_through(path: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    with create(path) as case:
        fill(case)
        case.close(0)
    (path / "exports").symlink_to(outside)
    with reopen(path) as case, pytest.raises(IntegrityError):
        case.write("exports/a.csv", b"x")
    assert list(outside.iterdir()) == []


def test_reserved_acts_are_the_case_s_own(path: Path) -> None:
    with create(path) as case:
        case.log("source hashed", {"sha256": "0" * 64})
        with pytest.raises(ValueError, match="only the case"):
            case.log("case closed", {})
        case.close(0)
    assert "source hashed" in [entry["act"] for entry in custody(path)]


def test_json_is_the_same_for_equal_values() -> None:
    assert canonical_json({"b": 1, "a": ["\udcff"]}) == canonical_json({"a": ["\udcff"], "b": 1})
    assert canonical_json({"a": "\udcff"}) == b'{\n "a": "\\udcff"\n}\n'
