"""``volforensic triage`` through the real command: what a user can do wrong, what a host can do, how each ends."""

import json
import os
import pty
import resource
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from command_line import (
    AUTH_LOG,
    COMMAND,
    canonical_files,
    environment,
    is_intact,
    json_lines,
    partition_disk,
    run,
    server_disk,
    triage,
)

ROOT = os.geteuid() == 0
LUKS = b"LUKS\xba\xbe\x00\x02"
LVM = b"\0" * 512 + b"LABELONE" + b"\0" * 16 + b"LVM2 001"
WRONG_RULE = """
name: x
doc: A rule that asks for a field which no record has.
references: [https://example.org/]
fields: {word: string}
sources: [{paths: [/etc/x], lines: '(?P<word>.*)'}]
detect:
- {name: wrong, severity: low, attack: [T1059], statement: x, where: {nothing: x}}
"""
BROKEN_RULE = 'rule first { condition: false }\nrule second { strings: $a = "x condition: $a }\n'

CHANGE_BEFORE_THE_SECOND_HASH = """
import sys
from volforensic import triage
from volforensic.cli.main import main

detect = triage.detect

def change_and_detect(*arguments, **options):
    with open(sys.argv[2], "r+b") as disk:
        disk.seek(1000)
        disk.write(b"changed")
    return detect(*arguments, **options)

triage.detect = change_and_detect
main()
"""


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return server_disk(tmp_path_factory.mktemp("disk"))


@pytest.fixture
def case(tmp_path: Path) -> Path:
    return tmp_path / "case"


def make_source(kind: str, folder: Path) -> Path:
    path = folder / "source.raw"
    if kind == "directory":
        path.mkdir()
    elif kind == "FIFO":
        os.mkfifo(path)
    elif kind == "LUKS":
        partition_disk(path, LUKS)
    elif kind == "LVM":
        partition_disk(path, LVM)
    elif kind != "missing":
        contents = {"empty": b"", "text": b"not a disk\n", "random": os.urandom(1 << 20), "zeroes": bytes(1 << 20)}
        path.write_bytes(contents[kind])
    return path


@pytest.mark.parametrize(
    ("kind", "status", "wrong"),
    [
        ("missing", 5, "No such file"),
        ("directory", 5, "is a directory"),
        ("FIFO", 5, "is neither a file nor a block device"),
        ("empty", 5, "is empty"),
        ("text", 7, "no filesystem"),
        ("random", 7, "no filesystem"),
        ("zeroes", 7, "NUL bytes"),
        ("LUKS", 7, "encrypted"),
        ("LVM", 7, "no logical volume of it was found"),
    ],
)
def test_a_source_that_cannot_be_read(tmp_path: Path, case: Path, kind: str, status: int, wrong: str) -> None:
    source = make_source(kind, tmp_path)
    ended = triage(source, case, "--progress", "none")
    assert ended.returncode == status
    assert ended.stderr.startswith(f"volforensic: {source}: ")
    assert wrong in ended.stderr
    assert ended.stdout == ""
    assert len(ended.stderr.splitlines()) == 1
    assert is_intact(case)
    assert not (case / "report.html").exists()


@pytest.mark.parametrize("kind", ["missing", "LUKS"])
def test_an_error_is_one_json_object_where_progress_is(tmp_path: Path, case: Path, kind: str) -> None:
    ended = triage(make_source(kind, tmp_path), case, "--progress", "json")
    last = json_lines(ended.stderr)[-1]
    assert last["event"] == "error"
    assert "source.raw" in last["text"]


def without_privilege(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command so that permissions hold for it; root needs to lose two capabilities for that."""
    setpriv = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if ROOT else []
    if setpriv and subprocess.run([*setpriv, "true"], check=False).returncode:
        pytest.skip("capabilities cannot be dropped here")
    return subprocess.run([*setpriv, *COMMAND, *map(str, arguments)], capture_output=True, text=True, check=False)


def test_a_source_without_permission_is_the_hosts_matter(tmp_path: Path, disk: Path, case: Path) -> None:
    source = tmp_path / "secret.raw"
    shutil.copyfile(disk, source)
    source.chmod(0)
    ended = without_privilege("triage", source, "--case", case, "--progress", "none")
    assert (ended.returncode, "Run as a user who may read it" in ended.stderr) == (5, True), ended.stderr
    assert is_intact(case)


def test_a_case_place_without_permission(tmp_path: Path, disk: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    place.chmod(0o555)
    ended = without_privilege("triage", disk, "--case", place / "case", "--progress", "none")
    assert (ended.returncode, "ermission denied" in ended.stderr) == (5, True), ended.stderr


def test_a_folder_that_is_no_case_is_left_alone(tmp_path: Path, disk: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    ended = triage(disk, tmp_path)
    assert ended.returncode == 2
    assert "is not empty and no case" in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_case_that_is_a_file(tmp_path: Path, disk: Path) -> None:
    (tmp_path / "file").touch()
    ended = triage(disk, tmp_path / "file")
    assert (ended.returncode, "is no folder" in ended.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--artifacts", "nowhere"], "nowhere: no such folder"),
        (["--artifacts", "broken-artifacts"], "broken-artifacts/x.yaml: line 1"),
        (["--artifacts", "wrong-rule"], "there is no field nothing"),
        (["--yara", "nowhere.yar"], "nowhere.yar: no such YARA rule file"),
        (["--yara", "broken.yar"], "broken.yar:2: "),
        (["--yara", "rules"], "rules/broken.yar:2: "),
        (["--unknown"], "No such option: --unknown"),
        (["--fail-on", "worst"], "'worst' is not one of"),
        (["--jobs", "-1"], "Invalid value for '--jobs'"),
    ],
)
def test_a_wrong_option_ends_before_anything_is_written(
    tmp_path: Path, disk: Path, arguments: list[str], said: str
) -> None:
    (tmp_path / "broken-artifacts").mkdir()
    (tmp_path / "broken-artifacts" / "x.yaml").write_text("name: [")
    (tmp_path / "wrong-rule").mkdir()
    (tmp_path / "wrong-rule" / "x.yaml").write_text(WRONG_RULE)
    (tmp_path / "rules").mkdir()
    for path in (tmp_path / "broken.yar", tmp_path / "rules" / "broken.yar"):
        path.write_text(BROKEN_RULE)
    ended = triage(disk, Path("case"), *arguments, cwd=tmp_path)
    assert (ended.returncode, said in ended.stderr) == (2, True), ended.stderr
    assert not (tmp_path / "case").exists()


def test_a_case_that_another_run_holds(tmp_path: Path, disk: Path, case: Path) -> None:
    huge = tmp_path / "huge.raw"
    with huge.open("wb") as file:
        file.truncate(60 << 30)  # a larger one with so little in it is not hashed whole
    first = subprocess.Popen(
        [*COMMAND, "triage", huge, "--case", case, "--progress", "json"], stderr=subprocess.PIPE, text=True
    )
    with first:
        assert first.stderr is not None
        is_hashing = any("hash before" in line for line in first.stderr)
        ended = triage(disk, case)
        first.kill()
    assert is_hashing
    assert (ended.returncode, "another run holds the case" in ended.stderr) == (75, True)
    ended = triage(disk, case, "--progress", "none")
    assert ended.returncode == 0, "a run that was killed holds nothing"


@contextmanager
def small_file_system(folder: Path, size: str) -> Iterator[Path]:
    place = folder / "small"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], check=False).returncode:
        pytest.skip("no mounts here")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.mark.skipif(not ROOT, reason="only root can mount a small file system")
@pytest.mark.parametrize("size", ["40k", "100k", "130k"])
def test_a_full_disk_and_then_room(tmp_path: Path, disk: Path, size: str) -> None:
    with small_file_system(tmp_path, size) as place:
        ended = triage(disk, place / "case", "--progress", "none")
        assert (ended.returncode, "no space left on device" in ended.stderr) == (5, True), ended.stderr
        subprocess.run(["mount", "-o", "remount,size=10m", place], check=True)
        ended = triage(disk, place / "case", "--progress", "none", "--resume")
        assert (ended.returncode, ended.stderr) == (0, "")
        assert is_intact(place / "case")
        subprocess.run(["mount", "-o", "remount,ro", place], check=True)
        for name in ("case", "another"):
            ended = triage(disk, place / name, "--progress", "none")
            assert (ended.returncode, "read-only file system" in ended.stderr) == (5, True), ended.stderr


def limit_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))


def test_a_limit_on_file_sizes(disk: Path, case: Path) -> None:
    ended = triage(disk, case, "--progress", "none", preexec_fn=limit_files)
    assert (ended.returncode, "ulimit -f" in ended.stderr, "--resume" in ended.stderr) == (5, True, True), ended.stderr
    assert "internal" not in ended.stderr
    assert triage(disk, case, "--progress", "none", "--resume").returncode == 0
    assert is_intact(case)


@pytest.mark.parametrize(("level", "status"), [("critical", 0), ("high", 10), ("info", 10)])
def test_fail_on(disk: Path, case: Path, level: str, status: int) -> None:
    assert triage(disk, case, "--fail-on", level, "--progress", "none").returncode == status
    assert is_intact(case)


def test_findings_in_evidence_that_is_partly_lost(tmp_path: Path, case: Path) -> None:
    ended = triage(server_disk(tmp_path, damaged=True), case, "--progress", "none")
    assert ended.returncode == 3
    assert "1 high" in ended.stdout
    assert "reading was partial" in ended.stdout
    assert "auth_log partial" in ended.stdout
    assert is_intact(case)


def test_evidence_that_changes_between_the_hashes(tmp_path: Path, disk: Path, case: Path) -> None:
    changing = tmp_path / "changing.raw"
    shutil.copyfile(disk, changing)
    command = [sys.executable, "-c", CHANGE_BEFORE_THE_SECOND_HASH, "triage", str(changing), "--case", str(case)]
    ended = subprocess.run([*command, "--progress", "none"], capture_output=True, text=True, check=False)
    assert ended.returncode == 4
    assert "The evidence changed" in ended.stdout
    assert is_intact(case)


def test_the_same_source_again(tmp_path: Path, disk: Path, case: Path) -> None:
    source = tmp_path / "again.raw"
    shutil.copyfile(disk, source)
    assert triage(source, case, "--progress", "none").returncode == 0
    first = canonical_files(case)
    ended = triage(source, case, "--progress", "none")
    assert (ended.returncode, "Add --clobber" in ended.stderr) == (2, True)
    ended = triage(source, case, "--progress", "none", "--clobber")
    assert ended.returncode == 0
    assert canonical_files(case) == first
    with source.open("r+b") as file:
        file.seek(1000)
        file.write(b"other bytes")
    assert triage(source, case, "--progress", "none", "--clobber").returncode == 0
    assert [path.name for path in (case / "evidence").iterdir()] == ["again.raw"]
    assert canonical_files(case) != first
    assert is_intact(case)


def test_several_sources_of_which_one_is_bad(tmp_path: Path, disk: Path, case: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        shutil.copyfile(disk, tmp_path / name / "same.raw")
    sources = [tmp_path / "a" / "same.raw", tmp_path / "nowhere.raw", tmp_path / "b" / "same.raw"]
    ended = run("triage", *sources, "--case", case, "--progress", "none", "-f", "json")
    assert ended.returncode == 5
    summary = json.loads(ended.stdout)
    assert [item["evidence_id"] for item in summary["evidence"]] == ["same.raw", "same.raw-2"]
    assert ["nowhere.raw: cannot be opened" in failure for failure in summary["failures"]] == [True]
    assert summary["exit_status"] == 5
    assert "nowhere.raw" in ended.stderr
    assert "nowhere.raw: cannot be opened" in (case / "report.html").read_text()
    report = json.loads((case / "report.json").read_text())
    assert [item["id"] for item in report["evidence"]] == ["same.raw", "same.raw-2"]
    first = canonical_files(case)
    ended = run("triage", *sources, "--case", case, "--progress", "none", "--clobber")
    assert ended.returncode == 5
    assert canonical_files(case) == first, "each source replaces its own item"
    assert is_intact(case)


def test_several_sources_and_an_error_in_words(tmp_path: Path, disk: Path, case: Path) -> None:
    ended = run("triage", disk, tmp_path / "nowhere.raw", "--case", case, "--progress", "none")
    assert "failed" in ended.stdout
    assert "nowhere.raw: cannot be opened" in ended.stdout


@pytest.mark.parametrize("name", ["dïsk 1.raw", "\x1b[31mred\n.raw", b"\xff\xfe.raw"])
def test_names_of_sources_and_cases(tmp_path: Path, disk: Path, name: str | bytes) -> None:
    source = tmp_path / os.fsdecode(name)
    shutil.copyfile(disk, source)
    case = tmp_path / f"a case of {os.fsdecode(name)}"
    ended = triage(source, case, "--progress", "plain", errors="backslashreplace")
    assert ended.returncode == 0, ended.stderr
    assert "\x1b" not in ended.stdout + ended.stderr
    assert all(character.isprintable() or character == "\n" for character in ended.stdout + ended.stderr)
    assert is_intact(case)
    assert triage(source, case, "--progress", "none", "--clobber", errors="backslashreplace").returncode == 0


def test_a_locale_without_utf_8(tmp_path: Path, disk: Path) -> None:
    source = tmp_path / "dïsk.raw"
    shutil.copyfile(disk, source)
    case = tmp_path / "Fäll"
    plain = environment(LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    options = ("--examiner", "Zoë", "--number", "№ 7")
    ended = triage(source, case, *options, env=plain)
    assert ended.returncode == 0, ended.stderr
    assert "stra\\xdfe.sh" in ended.stdout
    assert (ended.stdout + ended.stderr).isascii()
    facts = json.loads((case / "case.json").read_text())
    assert (facts["examiner"], facts["number"]) == ("Zoë", "№ 7")
    (evidence,) = (case / "evidence").glob("*/evidence.json")
    assert json.loads(evidence.read_text())["source"] == "dïsk.raw"
    assert triage(source, case, "--clobber", env=environment(LC_ALL="C.UTF-8")).returncode == 0
    assert is_intact(case)


def test_progress_as_json(disk: Path, case: Path) -> None:
    ended = triage(disk, case, "--progress", "json", "-f", "json")
    events = json_lines(ended.stderr)
    stages = {event["stage"]: event for event in events if event["event"] == "stage"}
    ends = {event["stage"]: event for event in events if event["event"] == "end"}
    told = ["inventory", "collect", "packages", "files", "hash before", "programs", "detect", "hash after"]
    assert list(stages) == list(ends) == told
    size = disk.stat().st_size
    assert [(stages[name]["total"], stages[name]["unit"]) for name in ("hash before", "hash after")] == [
        (size, "bytes")
    ] * 2
    for name in ("hash before", "collect", "files", "hash after"):
        assert ends[name]["done"] == stages[name]["total"] > 0, name
    findings = [event["finding"]["rule"] for event in events if event["event"] == "finding"]
    assert findings == ["cron-download-to-shell", "ssh-root-password-login"]
    summary = json.loads(ended.stdout)
    assert (summary["exit_status"], summary["verdict"]["severity"]) == (0, "high")


def test_no_progress_leaves_only_the_summary(disk: Path, case: Path) -> None:
    ended = triage(disk, case, "--progress", "none")
    assert ended.stderr == ""
    names = ["verdict", "findings", "coverage", "case", "report", "exit", "custody"]
    assert [line.split()[0] for line in ended.stdout.splitlines()] == names


def test_quiet_leaves_findings_and_the_summary(disk: Path, case: Path) -> None:
    ended = triage(disk, case, "--quiet")
    assert [line.split()[0] for line in ended.stderr.splitlines()] == ["HIGH", "MEDIUM"]
    assert ended.stdout.startswith("verdict")


def test_a_reader_who_goes_away(disk: Path, case: Path) -> None:
    for stream in ("stdout", "stderr"):
        reading, writing = os.pipe()
        os.close(reading)
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: writing}
        ended = triage(disk, case.with_name(stream), capture_output=False, **streams)
        os.close(writing)
        assert ended.returncode == 0
        assert "Traceback" not in (ended.stdout or "") + (ended.stderr or "")
        assert "BrokenPipe" not in (ended.stdout or "") + (ended.stderr or "")
        assert is_intact(case.with_name(stream))


def test_a_full_disk_under_standard_output(disk: Path, case: Path) -> None:
    with Path("/dev/full").open("w") as full:
        ended = triage(disk, case, "--progress", "none", capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert (ended.returncode, "standard output: no space left" in ended.stderr) == (5, True)
    assert is_intact(case)


def on_a_terminal(disk: Path, case: Path, **changes: str) -> str:
    """Return what a triage writes to a terminal."""
    try:
        master, slave = pty.openpty()
    except OSError as error:
        pytest.skip(f"no pseudo-terminal here: {error.strerror}")
    told: list[bytes] = []

    def read() -> None:
        try:
            while data := os.read(master, 1 << 16):
                told.append(data)
        except OSError:
            pass

    reader = threading.Thread(target=read)
    reader.start()
    variables = environment(**{"COLUMNS": "120", "LINES": "40", "TERM": "xterm-256color"} | changes)
    command = [*COMMAND, "triage", str(disk), "--case", str(case)]
    ended = subprocess.run(command, stdin=slave, stdout=slave, stderr=slave, env=variables, check=False)
    os.close(slave)
    reader.join()
    os.close(master)
    assert ended.returncode == 0
    return b"".join(told).decode()


def test_a_terminal_is_left_as_it_was(disk: Path, case: Path) -> None:
    drawn = on_a_terminal(disk, case)
    assert "\x1b[" in drawn
    assert drawn.count("\x1b[?25l") == drawn.count("\x1b[?25h") > 0, "the cursor comes back"
    assert "verdict" in drawn.rpartition("\x1b[?25h")[2], "the summary stands below all that moves"


@pytest.mark.parametrize(("name", "value"), [("TERM", "dumb"), ("NO_COLOR", "1")])
def test_a_terminal_that_wants_none_of_it(disk: Path, case: Path, name: str, value: str) -> None:
    drawn = on_a_terminal(disk, case, **{name: value})
    colours = [part.split("m")[0] for part in drawn.split("\x1b[")[1:] if part.split("m")[0].strip("0123456789;") == ""]
    assert set(colours) <= {"", "0", "1", "2"}, "bold and dim are no colours"
    if name == "TERM":
        assert "\x1b" not in drawn


def test_what_the_log_says_reaches_the_report(disk: Path, case: Path) -> None:
    assert triage(disk, case, "--progress", "none").returncode == 0
    assert AUTH_LOG.strip() in (case / "report.html").read_text()
