"""Definitions: what loads, and how each fault is named."""

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from volforensic.cli.artifacts import application
from volforensic.collection import loader
from volforensic.collection.content import Content, SourceFile
from volforensic.collection.definitions import BUILT_IN
from volforensic.collection.line_patterns import compile_lines
from volforensic.collection.loader import load_definitions, read_definition
from volforensic.collection.readers import resolve_parser
from volforensic.collection.time_zones import time_zone_file
from volforensic.detection import definition_check
from volforensic.detection.definition_check import check_definitions
from volforensic.errors import DefinitionError

SOUND = """\
name: doors
doc: Who came through which door.
fields: {door: string, times: integer}
sources:
- {paths: [/var/log/doors], lines: '^(?P<timestamp>\\S+) (?P<door>\\w+) (?P<times>-?\\d+)$'}
detect:
- name: back-door
  severity: high
  attack: [T1078]
  where: {door: back, 'times|gt': 1}
  statement: '{door} door {times} times'
examples:
- bytes: "2024-05-01T10:00:00Z back 2\\nnonsense\\n"
  records:
  - {door: back, times: 2, timestamp: 2024-05-01T12:00:00+02:00}
  - {unparsed: true, raw: nonsense}
  findings: [back-door]
"""


@pytest.fixture
def no_built_in(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the built-in definitions out: they take longer to load than a test to run."""
    folder = tmp_path_factory.mktemp("built-in")
    monkeypatch.setattr(loader, "BUILT_IN", folder)
    monkeypatch.setattr(definition_check, "BUILT_IN", folder)


def write(folder: Path, text: str, name: str = "doors.yaml") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(text)
    return path


def test_a_definition_is_loaded_with_the_hash_of_its_file(tmp_path: Path) -> None:
    path = write(tmp_path, SOUND)
    definitions = {definition.artifact.name: definition for definition in load_definitions([tmp_path])}
    doors = definitions["doors"]
    assert doors.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert not doors.built_in
    assert all(definition.built_in for name, definition in definitions.items() if name != "doors")
    assert list(definitions) == sorted(definitions)


@pytest.mark.usefixtures("no_built_in")
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("name: doors\n", "name: gates\n", "the file is named doors.yaml"),
        ("severity: high", "severity: awful", "line 8, detect[0].severity: Invalid enum value 'awful'"),
        ("doc: Who", "dock: Who", "Object contains unknown field `dock`"),
        ("statement:", "statment:", "line 7, detect[0]: Object contains unknown field `statment`"),
        ("{door: string,", "{source: string, door: string,", "fields.source: every record has this key"),
        ("{door: string,", "{raw: string, door: string,", "fields.raw: every record has this key"),
        ("{door: string,", "{door: text,", "Invalid enum value 'text'"),
        ("(?P<times>", "(?P<often>", "the groups often are no fields"),
        ("(?P<times>-?\\d+)", "(?P<times>", "sources[0].lines: missing )"),
        ("lines: '", "parser: cron.user_crontab, lines: '", "either a parser or lines"),
        ("paths: [/var/log/doors]", "paths: [var/log/doors]", "begins with neither / nor ~/"),
        ("paths: [/var/log/doors]", "follow: doors.nothing", "there is no field doors.nothing"),
        ("attack: [T1078]", "attack: [1078]", "Expected `str`, got `int`"),
        ("attack: [T1078]", "attack: [T78]", "T78 is no ATT&CK technique"),
        ("findings: [back-door]", "findings: [front-door]", "there is no rule front-door"),
        ("fields: {", "fields: &x {a: *x, ", "unhashable|alias|aliases|undefined"),
        ("doc: Who", "doc: Who\ndoc: Who", 'duplicate key "doc"'),
        ("doc: Who came", "doc: [", "line "),
        ("doc: Who came", "doc: \x07", "it is not YAML|special characters"),
    ],
)
def test_a_fault_is_named_by_file_and_place(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in SOUND
    path = write(tmp_path, SOUND.replace(old, new, 1))
    with pytest.raises(DefinitionError) as caught:
        load_definitions([tmp_path])
    assert caught.value.thing == str(path)
    assert any(words in caught.value.wrong for words in said.split("|")), caught.value.wrong
    assert caught.value.exit_status == 2


@pytest.mark.usefixtures("no_built_in")
def test_a_parser_that_is_not_there_is_said(tmp_path: Path) -> None:
    write(tmp_path, re.sub(r"lines: '.*'", "parser: nowhere.at_all", SOUND))
    with pytest.raises(DefinitionError, match="there is no parser module nowhere"):
        load_definitions([tmp_path])


def test_aliases_are_bounded(tmp_path: Path) -> None:
    bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{after}: &{after} [{', '.join([f'*{before}'] * 10)}]\n"
        for before, after in zip("abcdefgh", "bcdefghi", strict=True)
    )
    with pytest.raises(DefinitionError, match="aliases stand for more than"):
        read_definition(write(tmp_path, bomb))
    with pytest.raises(DefinitionError, match="aliases stand for more than"):
        read_definition(write(tmp_path, "a: &a [*a]\n"))


def test_depth_and_size_are_bounded(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError):
        read_definition(write(tmp_path, "[" * 20_000))
    with pytest.raises(DefinitionError, match="at most"):
        read_definition(write(tmp_path, "#" * (loader.SIZE_LIMIT + 1)))


def test_one_name_is_defined_once_unless_it_is_said(tmp_path: Path) -> None:
    users = (BUILT_IN / "users.yaml").read_text()
    path = write(tmp_path, users, "users.yaml")
    with pytest.raises(DefinitionError, match="Use another name"):
        load_definitions([tmp_path])
    definitions = {definition.artifact.name: definition for definition in load_definitions([tmp_path], {"users"})}
    assert definitions["users"].path == path


def test_two_artifacts_have_no_rule_of_one_name(tmp_path: Path) -> None:
    write(tmp_path, SOUND)
    write(tmp_path, SOUND.replace("name: doors", "name: gates"), "gates.yaml")
    with pytest.raises(DefinitionError, match="has a rule back-door too"):
        load_definitions([tmp_path])


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="no such folder"):
        load_definitions([tmp_path / "nowhere"])


@pytest.mark.parametrize(
    "name",
    [
        "cron",
        "cron.",
        "cron.user_crontab.x",
        "cron._entries",
        "cron.lines",
        "cron.re",
        "cron.LINE_LIMIT",
        "..loader.load_definitions",
        "os.system",
        "cron.nothing",
        "__init__.x",
    ],
)
def test_a_parser_is_a_public_function_of_its_own_module(name: str) -> None:
    with pytest.raises(DefinitionError):
        resolve_parser(name)


def test_a_parser_is_found_by_its_name() -> None:
    parser = resolve_parser("cron.user_crontab")
    assert [row["command"] for row in parser(Content.of(b"@daily /bin/x\n"))] == ["/bin/x"]


def rows(pattern: str, data: bytes, **fields: str) -> list[dict[str, Any]]:
    return list(compile_lines(pattern, fields)(Content.of(data)))


def test_lines_give_a_record_each_and_the_rest_is_unparsed() -> None:
    found = rows(r"^(?P<word>[^ ]+) (?P<number>\d+)", b"a 1\n\n\xff 2\nno\n", word="string", number="integer")
    assert found == [
        {"position": 0, "word": "a", "number": 1},
        {"position": 5, "word": "\\xff", "word_bytes": "/w==", "number": 2},
        {"position": 9, "unparsed": True, "raw": "no"},
    ]


def test_a_number_beyond_64_bits_is_not_understood() -> None:
    data = b"9223372036854775807\n9223372036854775808\n" + b"9" * 5000 + b"\n"
    assert [row.get("n") for row in rows(r"^(?P<n>\d+)$", data, n="integer")] == [2**63 - 1, None, None]


def test_a_line_has_its_time_in_utc() -> None:
    pattern = r"^(?P<timestamp>\S+)$"
    stamps = b"1970-01-01T01:00:00+01:00\n1700000000.5\n1970-01-01T00:00:01\nnever\n0001-01-01T00:00:00+14:00\n"
    source = SourceFile(time_zone=time_zone_file("Asia/Tokyo"))
    found = [row["timestamp"] for row in compile_lines(pattern, {})(Content.of(stamps, source))]
    assert found[:4] == [0, 1_700_000_000_500_000, -32_399_000_000, None]
    broken = SourceFile(time_zone=b"TZif2" + b"\xff" * 60)
    assert next(compile_lines(pattern, {})(Content.of(b"1970-01-01T00:00:01", broken)))["timestamp"] == 1_000_000


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "Nowhere/Atall", "", "UTC\0", "Europe"])
def test_a_zone_is_looked_up_by_name_only(name: str) -> None:
    with pytest.raises(ValueError, match="time zone"):
        time_zone_file(name)


def check(folder: Path) -> list[tuple[str, str]]:
    return [(remark.kind, remark.text) for remark in check_definitions(folder)]


def test_a_sound_definition_passes_the_check(tmp_path: Path) -> None:
    write(tmp_path, SOUND)
    assert check(tmp_path) == []


@pytest.mark.usefixtures("no_built_in")
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("times: 2,", "times: 3,", "examples[0]: records[0].times: it is 2, and 3 is expected"),
        ("12:00:00+02:00", "12:00:00+01:00", "examples[0]: records[0].timestamp: it is "),
        ("  - {unparsed: true, raw: nonsense}\n", "", "examples[0]: 2 records, and 1 are expected"),
        ("  findings: [back-door]", "  findings: []", "examples[0]: findings: back-door fires and is not expected"),
        ("back 2", "back 1", "examples[0]: findings: back-door is expected and does not fire"),
        ("where: {door", "where: {dor", "detect[0] (back-door): where: dor: there is no field dor"),
        ("'{door} door", "'{dor} door", "detect[0] (back-door): statement: there is no field dor"),
        ("- bytes: ", "- encoding: hex\n  bytes: ", "examples[0]: bytes: they are not hex"),
        ("- bytes: ", "- file: {time_zone: Mars/Phobos}\n  bytes: ", "this host knows no time zone Mars/Phobos"),
        ("- bytes: ", "- file: {colour: red}\n  bytes: ", "file.colour: a file has no such fact"),
    ],
)
def test_the_check_names_each_difference(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in SOUND
    write(tmp_path, SOUND.replace(old, new, 1))
    assert any(kind == "fault" and said in text for kind, text in check(tmp_path)), check(tmp_path)


def test_the_check_warns_of_what_no_example_shows(tmp_path: Path) -> None:
    write(tmp_path, SOUND[: SOUND.index("examples:")])
    assert check(tmp_path) == [
        ("warning", "there is no example"),
        ("warning", "no example makes the rule back-door fire"),
    ]


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(application, list(arguments))
    return result.exit_code, result.output


def test_the_check_ends_with_status_2_and_each_fault_on_a_line(tmp_path: Path) -> None:
    write(tmp_path, SOUND.replace("times: 2,", 'times: 3, nothing: "\\e[31m",'))
    write(tmp_path, "name: [", "broken.yaml")
    status, output = run("check", str(tmp_path))
    assert status == 2
    assert sum(": fault: " in line for line in output.splitlines()) == 3
    assert "\x1b" not in output


def test_list_and_show_print_for_people_and_programs() -> None:
    status, output = run("list")
    assert status == 0
    assert any(line.startswith("cron ") for line in output.splitlines())
    status, output = run("show", "cron")
    assert status == 0
    assert "/etc/crontab" in output
    for arguments in (["list", "-f", "json"], ["show", "cron", "-f", "json"]):
        status, output = run(*arguments)
        assert status == 0
        assert '"sha256"' in output
