"""Verification: whatever is done to a case is found, nothing is written, and no case folder stops it."""

import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer
from typer.testing import CliRunner

from volforensic.case import verification
from volforensic.case.custody import canonical
from volforensic.case.folder import Case
from volforensic.case.verification import verify
from volforensic.cli.verify import verify_case
from volforensic.errors import UsageError

FILES = [
    "case.json",
    "custody.jsonl",
    "MANIFEST.sha256",
    "report.html",
    "evidence/disk/evidence.json",
    "evidence/disk/findings.jsonl",
    "evidence/disk/records/cron.jsonl.zst",
    "evidence/disk/extracted/" + hashlib.sha256(b"miner").hexdigest(),
]


def build(path: Path) -> str:
    with Case.create(path, number="1", examiner="A. Lee", command_line=["triage"], versions={}) as case:
        evidence = case.evidence("disk")
        evidence.begin()
        with evidence.rows("records/cron") as writer:
            writer.write([{"position": 1, "command": "/opt/x"}])
        with evidence.rows("findings", compressed=False) as writer:
            writer.write([{"finding_id": "F-1"}])
        with evidence.extract() as extracted:
            extracted.write(b"miner")
        evidence.write_json("evidence", {"id": "disk"})
        evidence.finish()
        case.write("report.html", b"<p>report")
        return case.close(0)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("verify") / "case"
    build(path)
    return path


@pytest.fixture
def case(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "case"))


def found(case: Path, head: str | None = None) -> set[tuple[str, str]]:
    return {(discrepancy.kind, discrepancy.path) for discrepancy in verify(case, head)}


def rewrite(path: Path, data: bytes) -> None:
    path.unlink()
    path.write_bytes(data)


def test_an_intact_case_has_no_discrepancy_and_is_not_touched(case: Path) -> None:
    before = {path: path.lstat() for path in case.rglob("*")}
    head = verification.summarise(case).head
    assert list(verify(case, head)) == []
    after = {path: path.lstat() for path in case.rglob("*")}
    assert {path: (status.st_mtime_ns, status.st_ctime_ns) for path, status in before.items()} == {
        path: (status.st_mtime_ns, status.st_ctime_ns) for path, status in after.items()
    }
    assert verification.summarise(case) == (len(FILES) - 2, len((case / FILES[1]).read_bytes().splitlines()), head)


@pytest.mark.parametrize("name", FILES)
def test_every_flipped_byte_is_found(case: Path, name: str) -> None:
    data = (case / name).read_bytes()
    for index in [*range(0, len(data), max(1, len(data) // 40)), len(data) - 1]:
        rewrite(case / name, data[:index] + bytes([data[index] ^ 1]) + data[index + 1 :])
        assert name in {path for _, path in found(case)}, index


@pytest.mark.parametrize("name", FILES)
def test_every_cut_and_every_addition_is_found(case: Path, name: str) -> None:
    data = (case / name).read_bytes()
    for length in {0, 1, len(data) // 2, len(data) - 1}:
        rewrite(case / name, data[:length])
        assert name in {path for _, path in found(case)}, length
    for more in (b"\n", b"x", data):
        rewrite(case / name, data + more)
        assert name in {path for _, path in found(case)}, more
    rewrite(case / name, data)
    assert found(case) == set()


def link(path: Path) -> None:
    path.rename(path.parents[len(path.parts) - 1 - path.parts.index("case")] / "elsewhere")
    path.symlink_to(path.parents[len(path.parts) - 1 - path.parts.index("case")] / "elsewhere")


def other(make: Callable[[Path], None]) -> Callable[[Path], None]:
    def replace(path: Path) -> None:
        path.unlink()
        make(path)

    return replace


def make_socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the name of a socket is limited to 107 bytes
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path.name)
    finally:
        os.chdir(here)


TYPE_CHANGES: dict[str, Callable[[Path], None]] = {
    "gone": other(lambda _path: None),
    "link to the same content": link,
    "dangling link": other(lambda path: path.symlink_to("nowhere")),
    "link to itself": other(lambda path: path.symlink_to(path.name)),
    "folder": other(Path.mkdir),
    "FIFO": other(os.mkfifo),
    "socket": other(make_socket),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("change", TYPE_CHANGES)
def test_another_kind_of_file_in_its_place_is_found_and_not_opened(case: Path, name: str, change: str) -> None:
    TYPE_CHANGES[change](case / name)
    kind = "removed" if change == "gone" else "changed"
    assert (kind, name) in found(case)


ADDITIONS: dict[str, Callable[[Path], str]] = {
    "file": lambda case: added(case, "notes.txt"),
    "file among the extracted": lambda case: added(case, "evidence/disk/extracted/" + "0" * 64),
    "file in a new folder": lambda case: added(case, "exports/a.csv"),
    "hidden file": lambda case: added(case, "evidence/disk/.x"),
    "escape sequence": lambda case: added(case, "\x1b]0;x\x07"),
    "line end": lambda case: added(case, "a\nb"),
    "backslash": lambda case: added(case, "a\\b"),
    "second manifest": lambda case: added(case, "evidence/MANIFEST.sha256"),
    "second log": lambda case: added(case, "evidence/disk/custody.jsonl"),
}


def added(case: Path, name: str) -> str:
    (case / name).parent.mkdir(exist_ok=True)
    (case / name).write_bytes(b"")
    return name


@pytest.mark.parametrize("addition", ADDITIONS)
def test_everything_added_is_found(case: Path, addition: str) -> None:
    name = ADDITIONS[addition](case)
    assert ("added", name) in found(case)


def test_a_name_that_is_not_text_is_found_and_shown(case: Path) -> None:
    (case / os.fsdecode(b"a\xffb")).write_bytes(b"")
    assert found(case) == {("added", "a\\xffb")}
    assert msgspec.json.encode(list(verify(case)))


def test_empty_folders_links_and_fifos_that_were_added_are_found(case: Path) -> None:
    (case / "evidence/disk/records/empty").mkdir()
    (case / "loop").symlink_to(".")
    os.mkfifo(case / "evidence/pipe")
    assert found(case) == {("added", "evidence/disk/records/empty"), ("added", "loop"), ("added", "evidence/pipe")}


def test_a_folder_replaced_by_a_link_to_the_same_is_found(case: Path) -> None:
    (case / "evidence/disk").rename(case.parent / "elsewhere")
    (case / "evidence/disk").symlink_to(case.parent / "elsewhere")
    result = found(case)
    assert ("changed", "evidence/disk") in result
    assert ("removed", "evidence/disk/evidence.json") in result


def test_the_lock_may_hide_nothing(case: Path) -> None:
    (case / ".lock").write_bytes(b"hidden")
    assert found(case) == {("changed", ".lock")}
    (case / ".lock").unlink()
    assert found(case) == set()
    os.mkfifo(case / ".lock")
    assert found(case) == {("added", ".lock")}


def test_what_a_cut_off_run_leaves_is_found(case: Path) -> None:
    for name in (".partial/disk2/records", ".scratch/disk2"):
        (case / name).mkdir(parents=True)
    (case / ".report.html.unfinished").write_bytes(b"")
    assert found(case) == {
        ("unfinished", name) for name in (".partial", ".partial/disk2", ".scratch", ".report.html.unfinished")
    }


def manifest_with(case: Path, name: str, digest: str) -> None:
    path = case / "MANIFEST.sha256"
    lines = [line for line in path.read_text().splitlines(keepends=True) if not line.endswith(f"  {name}\n")]
    path.write_text("".join(sorted([*lines, f"{digest}  {name}\n"], key=lambda line: line[66:])))


def log_entries(case: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (case / "custody.jsonl").read_bytes().splitlines()]


def write_log(case: Path, entries: list[dict[str, Any]]) -> None:
    """Chain the entries anew, as an insider would."""
    previous = entries[0]["previous"]
    lines = []
    for number, entry in enumerate(entries):
        body = {name: value for name, value in entry.items() if name != "hash"}
        body |= {"sequence": number, "previous": previous}
        previous = hashlib.sha256(canonical(body)).hexdigest()
        lines.append(canonical(body | {"hash": previous}) + b"\n")
    (case / "custody.jsonl").write_bytes(b"".join(lines))


def test_an_edit_hidden_in_the_manifest_is_found(case: Path) -> None:
    (case / "report.html").write_bytes(b"<p>clean")
    manifest_with(case, "report.html", hashlib.sha256(b"<p>clean").hexdigest())
    assert found(case) == {("manifest", "MANIFEST.sha256")}


def test_an_addition_hidden_in_the_manifest_is_found(case: Path) -> None:
    (case / "notes.txt").write_bytes(b"")
    manifest_with(case, "notes.txt", hashlib.sha256().hexdigest())
    assert found(case) == {("manifest", "MANIFEST.sha256")}


def test_a_log_edited_and_chained_anew_is_found(case: Path) -> None:
    entries = log_entries(case)
    entries[1]["user"] = "nobody"
    write_log(case, entries)
    assert found(case) == {("manifest", "MANIFEST.sha256")}


@pytest.mark.parametrize("cut", [1, 2, 3, 6])
def test_entries_cut_from_the_end_of_the_log_are_found(case: Path, cut: int) -> None:
    lines = (case / "custody.jsonl").read_bytes().splitlines(keepends=True)
    (case / "custody.jsonl").write_bytes(b"".join(lines[:-cut]))
    assert ("truncated", "custody.jsonl") in found(case)


def test_a_torn_log_is_found(case: Path) -> None:
    data = (case / "custody.jsonl").read_bytes()
    (case / "custody.jsonl").write_bytes(data[:-1])
    assert ("truncated", "custody.jsonl") in found(case)


def test_entries_after_the_last_closing_are_an_unfinished_run(case: Path) -> None:
    Case.open(case, command_line=[], versions={}).release()
    assert found(case) == {("unfinished", "custody.jsonl")}


def test_a_case_written_anew_is_found_by_the_noted_head_alone(case: Path) -> None:
    head = verification.summarise(case).head
    shutil.rmtree(case)
    build(case)
    assert found(case) == set()
    assert found(case, head) == {("chain", "custody.jsonl")}


def test_a_case_set_back_to_an_earlier_run_is_found_by_the_noted_head(original: Path, case: Path) -> None:
    with Case.open(case, command_line=[], versions={}) as opened:
        head = opened.close(0)
    assert found(case, head) == set()
    assert found(original, head) == {("chain", "custody.jsonl")}
    earlier = [discrepancy.detail for discrepancy in verify(case, verification.summarise(original).head)]
    assert [detail.split(";")[0] for detail in earlier] == ["5 entries follow the noted head"]


def test_an_interrupted_run_is_told_from_tampering(case: Path) -> None:
    with Case.open(case, command_line=[], versions={}) as opened:
        evidence = opened.evidence("second")
        evidence.begin()
        evidence.write_json("evidence", {"id": "second"})
        evidence.finish()
        opened.write("report.html", b"<p>second", clobber=True)
    assert found(case) == {("unfinished", "custody.jsonl")}
    (case / "evidence/second/evidence.json").write_bytes(b"{}")
    assert ("changed", "evidence/second") in found(case)


def test_huge_files_are_not_read(case: Path) -> None:
    for name in FILES:
        (case / name).chmod(0o600)  # extracted files are read-only, to root alone that is no hindrance
        os.truncate(case / name, 1 << 40)
    os.truncate(case / ".lock", 1 << 40)
    assert {path for _, path in found(case)} >= {*FILES, ".lock"} - {"MANIFEST.sha256"}
    assert ("manifest", "MANIFEST.sha256") in found(case)


def test_a_huge_file_in_an_otherwise_intact_case_is_not_read(case: Path) -> None:
    os.truncate(case / "report.html", 1 << 43)
    assert found(case) == {("changed", "report.html")}


def test_thousands_of_nested_folders_end(case: Path) -> None:
    here = case
    for _ in range(300):
        here /= "d"
        here.mkdir()
    assert ("added", "d") in found(case)


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[" * 100_000, b"\xff", b"null", b'{"case_id": 1}', b'{"case_id": "\\ud800"}', b"9" * 5_000]
)
@pytest.mark.parametrize("name", ["case.json", "custody.jsonl", "MANIFEST.sha256"])
def test_any_content_of_our_own_files_is_a_discrepancy(case: Path, name: str, data: bytes) -> None:
    (case / name).write_bytes(data)
    assert name in {path for _, path in found(case)}


HOSTILE_DETAILS: list[dict[str, Any]] = [
    {"path": "../../etc/passwd", "sha256": "0" * 64, "size": -1},
    {"path": "", "sha256": ""},
    {"path": 1, "sha256": None, "size": "x"},
    {"path": "evidence", "sha256": "0" * 64, "digest": 5},
    {"path": "evidence/\udcff\0", "sha256": "0" * 64},
    {"evidence": "../..", "digest": "0" * 64},
    {"evidence": "\0", "digest": "0" * 64, "largest": 2**200},
    {"evidence": "disk", "digest": [], "files": {}},
]


@pytest.mark.parametrize("details", HOSTILE_DETAILS)
@pytest.mark.parametrize("act", ["file written", "evidence finished", "case closed"])
def test_a_hostile_log_stops_nothing(case: Path, act: str, details: dict[str, Any]) -> None:
    entries = log_entries(case)
    write_log(case, [*entries, {**entries[-1], "act": act, "details": details}])
    assert found(case)
    msgspec.json.encode(list(verify(case)))


def test_a_hostile_log_leads_to_no_file_outside(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (case.parent / "outside").mkdir()
    entries = log_entries(case)
    outside = {"evidence": "../../outside", "digest": hashlib.sha256().hexdigest()}
    write_log(case, [*entries, {**entries[-1], "act": "evidence finished", "details": outside}])
    opened: list[object] = []
    real = os.open

    def noting(path: Any, *arguments: Any, **options: Any) -> int:
        opened.append(path)
        return real(path, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", noting)
        assert found(case)
    assert opened
    assert ".." not in opened


def test_a_folder_that_is_no_case_is_a_usage_error(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none", Path("/dev/null")):
        with pytest.raises(UsageError):
            list(verify(path))
    with pytest.raises(UsageError, match="64 hexadecimal digits"):
        list(verify(tmp_path, "abc"))


def run(*arguments: object) -> tuple[int, str]:
    application = typer.Typer()
    application.command()(verify_case)
    result = CliRunner().invoke(application, [str(argument) for argument in arguments])
    return result.exit_code, result.output


def test_the_verb_prints_and_ends_as_documented(case: Path) -> None:
    head = verification.summarise(case).head
    entries = len(log_entries(case))
    assert run(case, "--head", head) == (0, f"intact: 6 files, {entries} custody entries, head {head}\n")
    (case / "evil\x1b[2J").write_bytes(b"")
    assert run(case) == (4, "added      evil\\x1b[2J: this file is none of the case's\nnot intact: 1 discrepancy\n")
    status, output = run(case, "-f", "json")
    facts = json.loads(output)
    assert (status, facts["intact"], facts["head"]) == (4, False, head)
    assert [row["kind"] for row in facts["discrepancies"]] == ["added"]


DOCUMENT = (Path(__file__).parent.parent / "docs" / "case-format.md").read_text()


def shell(case: Path, command: str) -> str:
    return subprocess.run(["bash", "-c", command], cwd=case, capture_output=True, check=False, text=True).stdout


def test_the_documented_checks_need_no_code_of_ours(case: Path) -> None:
    files, names, kinds, *_ = re.findall(r"^    ((?:sha256sum|find) .*)$", DOCUMENT, re.MULTILINE)
    assert [shell(case, command) for command in (files, names, kinds)] == ["", "", ""]
    if shutil.which("jq"):
        (closed,) = re.findall(r"^    (tail .*)$", DOCUMENT, re.MULTILINE)
        (lines,) = re.findall(r"^    (grep .*)$", DOCUMENT, re.MULTILINE)
        assert shell(case, closed).strip() == shell(case, lines).split()[0]
    (case / "report.html").write_bytes(b"x")
    (case / "notes.txt").write_bytes(b"")
    (case / "link").symlink_to("case.json")
    assert "report.html: FAILED" in shell(case, files)
    assert "notes.txt" in shell(case, names)
    assert "link" in shell(case, kinds)


def test_the_documented_chain_check_finds_the_head_and_an_edit(case: Path) -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
    checked = subprocess.run([sys.executable, "-c", program], cwd=case, capture_output=True, check=True, text=True)
    assert checked.stdout.strip() == verification.summarise(case).head
    path = case / "custody.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"act":"run ended"', b'"act":"run never"'))
    checked = subprocess.run([sys.executable, "-c", program], cwd=case, capture_output=True, check=False, text=True)
    assert "was changed" in checked.stderr
