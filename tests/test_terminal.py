"""The terminal's voice: nothing of the evidence acts on it, and it says where the work is."""

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
import threading
import unicodedata
from typing import Any, TextIO

import pytest
from report_sample import HOSTILE, case_facts, view

from volforensic.cli.output import display_width, print_rows, summary_lines
from volforensic.cli.progress import Stage, amount_text, elapsed_text
from volforensic.cli.terminal import Mode, Terminal, colored
from volforensic.record import Finding, Problem, Row
from volforensic.report.model import build_report

DIRECTIONS = {"LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"}
CONTROLS = "".join(
    character
    for character in map(chr, range(0x110000))
    if unicodedata.category(character) in {"Cc", "Zl", "Zp"} or unicodedata.bidirectional(character) in DIRECTIONS
)
EVERY_BYTE = bytes(range(256)).decode("latin-1") + CONTROLS + "\u200b\u200e\u061c\ufeff\ud800\U000e0041"
ACTING = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        """Start at a hundred."""
        self.now = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def finding(statement: str, severity: Any = "high", rule: str = "rule") -> Finding:
    return Finding(finding_id="F-1", rule=rule, severity=severity, statement=statement)


def tell_everything(terminal: Terminal, text: str) -> None:
    """Use every method with this text wherever there is one."""
    with terminal:
        terminal.stage(text, 2, text)
        terminal.advance(1, text)
        terminal.finding(finding(text, rule=text))
        terminal.problem(Problem(stage=text, reason=text, source=text))
        terminal.message(text)
        terminal.end_stage(text)
        terminal.error(text)


def heard(mode: Mode, text: str, **options: Any) -> str:
    stream = io.StringIO()
    tell_everything(Terminal(mode, stream=stream, **options), text)
    return stream.getvalue()


@pytest.mark.parametrize("mode", ["auto", "plain", "json", "none"])
@pytest.mark.parametrize("text", [EVERY_BYTE, *HOSTILE, "[bold red]x[/nothing]", "{0!r}%s"])
def test_no_text_of_the_evidence_acts(mode: Mode, text: str) -> None:
    assert ACTING.findall(heard(mode, text)) == []


def test_plain_lines_show_the_whole_text() -> None:
    assert "[bold red]x[/nothing]" in heard("plain", "[bold red]x[/nothing]")
    assert "\\x1b]52;c;" in heard("plain", HOSTILE[8])


def test_json_loses_nothing_and_is_one_object_a_line() -> None:
    events = [json.loads(line) for line in heard("json", EVERY_BYTE).splitlines()]
    assert [event["event"] for event in events] == ["stage", "finding", "problem", "message", "end", "error"]
    assert events[1]["finding"]["statement"] == EVERY_BYTE
    assert events[2]["problem"] == {"stage": EVERY_BYTE, "reason": EVERY_BYTE, "source": EVERY_BYTE}
    assert events[4]["note"] == EVERY_BYTE


def test_none_tells_nothing_but_errors() -> None:
    assert heard("none", "x") == "volforensic: x\n"


def test_quiet_keeps_findings_losses_and_errors() -> None:
    stream = io.StringIO()
    terminal = Terminal("plain", quiet=True, stream=stream)
    tell_everything(terminal, "x")
    terminal.problem(Problem(stage="x", reason="odd", lost=False))
    assert stream.getvalue().splitlines() == ["HIGH      x  x", "NOT READ  x: x", "volforensic: x"]


def test_plain_progress_comes_at_most_once_a_second_with_its_object() -> None:
    stream, clock = io.StringIO(), Clock()
    with Terminal("auto", stream=stream, clock=clock) as terminal:
        terminal.stage("hash", 8 << 30, "bytes")
        for step in range(1_000):
            clock.now += 0.01
            terminal.advance(4 << 20, f"object {step}")
        terminal.end_stage("same as before")
    lines = stream.getvalue().splitlines()
    assert lines[0] == "hash  8.0 GiB"
    assert lines[-1] == "hash  3.9 of 8.0 GiB in 0:10  same as before"
    assert 9 <= len(lines) - 2 <= 10
    assert re.fullmatch(r"hash  0\.4 of 8\.0 GiB  400\.0 MiB/s  0:0[01]  object (99|100)", lines[1])


def test_json_progress_has_its_numbers() -> None:
    stream, clock = io.StringIO(), Clock()
    with Terminal("json", stream=stream, clock=clock) as terminal:
        terminal.stage("walk", None, "entries")
        clock.now += 2
        terminal.advance(500, "/etc")
    events = [json.loads(line) for line in stream.getvalue().splitlines()]
    walked: Row = {"stage": "walk", "done": 500, "total": None, "unit": "entries", "elapsed": 2.0, "rate": 250.0}
    assert events[1] == {"event": "progress", **walked, "current": "/etc"}
    assert events[2] == {"event": "end", **walked, "note": ""}


def break_off(stream: TextIO) -> None:
    """Fail in the middle of a stage."""
    with Terminal("plain", stream=stream) as terminal:
        terminal.stage("walk", 3, "entries")
        raise RuntimeError


def test_an_exception_ends_the_stage_and_says_so() -> None:
    stream = io.StringIO()
    with pytest.raises(RuntimeError):
        break_off(stream)
    assert stream.getvalue().splitlines()[-1] == "walk  0 of 3 entries in 0:00  stopped"


def test_calls_out_of_order_do_no_harm() -> None:
    stream = io.StringIO()
    terminal = Terminal("plain", stream=stream)
    terminal.advance(1, "x")
    terminal.end_stage()
    terminal.stage("one", 1, "files")
    terminal.stage("two", 1, "files")
    terminal.close()
    terminal.close()
    assert [line.split()[0] for line in stream.getvalue().splitlines()] == ["one", "one", "two"]


def test_a_flood_of_findings_becomes_a_few_lines() -> None:
    stream = io.StringIO()
    terminal = Terminal("plain", stream=stream)
    for number in range(10_000):
        terminal.finding(finding(f"number {number}"))
        terminal.problem(Problem(stage="inventory", reason=f"number {number}"))
    terminal.finding(finding("another", rule="another"))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 43
    assert lines[40].strip() == "… more findings of rule: all are in the report"
    assert lines[-1] == "HIGH      another  another"


def test_a_stream_that_is_gone_does_not_end_the_run() -> None:
    read, write = os.pipe()
    os.close(read)
    stream = os.fdopen(write, "w")
    tell_everything(Terminal("plain", stream=stream), "x")
    stream.close()  # nothing is held back that would fail now, as it would at the interpreter's end
    tell_everything(Terminal("auto", stream=stream), "x")


def test_what_the_encoding_lacks_is_escaped() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, "ascii")
    tell_everything(Terminal("plain", stream=stream), "Müller 日本")
    assert b"M\\xfcller \\u65e5\\u672c" in raw.getvalue()


def on_a_terminal(monkeypatch: pytest.MonkeyPatch, text: str, mode: Mode = "auto", **options: Any) -> str:
    """Return what a pseudo-terminal is given in this mode."""
    monkeypatch.setenv("COLUMNS", "4000")
    monkeypatch.setenv("LINES", "50")
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    try:
        master, slave = pty.openpty()
    except OSError as error:  # a chroot or a container without /dev/pts
        pytest.skip(f"no pseudo-terminal here: {error.strerror}")
    told: list[bytes] = []
    reader = threading.Thread(target=read_all, args=(master, told))
    reader.start()
    with os.fdopen(slave, "w", encoding="utf-8", errors="backslashreplace") as stream:
        tell_everything(Terminal(mode, stream=stream, **options), text)
    reader.join()
    os.close(master)
    return b"".join(told).decode()


def read_all(master: int, told: list[bytes]) -> None:
    """Read until the other end is closed, which Linux reports as an error."""
    try:
        while data := os.read(master, 65_536):
            told.append(data)
    except OSError:
        pass


DRAWING = re.compile(r"\x1b\[(?:\d+(?:;\d+)*)?[mKAGJ]|\x1b\[\?25[lh]|\r|\n")
COLOUR = re.compile(r"\x1b\[\d+(?:;\d+)*m")


@pytest.mark.parametrize("text", [EVERY_BYTE, *HOSTILE])
def test_live_progress_passes_no_control_on(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    drawn = on_a_terminal(monkeypatch, text)
    assert ACTING.findall(DRAWING.sub("", drawn)) == []
    assert "\x1b[?25h" in drawn, "the cursor is given back"


def test_live_progress_shows_bar_object_and_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    drawn = on_a_terminal(monkeypatch, "/var/log/[auth].log")
    assert "━" in drawn
    assert "1 of 2 /var/log/[auth].log" in drawn
    assert "\x1b[1;31mHIGH" in drawn


@pytest.mark.parametrize(("variable", "color"), [("1", None), ("", False)])
def test_no_colour_where_none_is_wanted(monkeypatch: pytest.MonkeyPatch, variable: str, *, color: bool | None) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", variable)
    drawn = on_a_terminal(monkeypatch, "/var/log/auth.log", color=color)
    assert "━" in drawn
    assert COLOUR.findall(drawn) == []


def test_a_terminal_that_cannot_move_its_cursor_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b" not in on_a_terminal(monkeypatch, "x")


def test_plain_stays_plain_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    assert "\x1b" not in on_a_terminal(monkeypatch, "x", "plain")


def test_colour_follows_the_option_then_the_variable_then_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "")
    assert colored(None, Pretended())
    assert not colored(None, io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not colored(None, Pretended())
    assert colored(color=True, stream=io.StringIO())
    assert not colored(color=False, stream=Pretended())


class Pretended(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def test_rich_is_loaded_for_a_live_terminal_only() -> None:
    program = (
        "import sys, io; from volforensic.cli.terminal import Terminal; import volforensic.cli.output\n"
        "Terminal('auto', stream=io.StringIO()).message('x'); print('rich' in sys.modules, 'jinja2' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.parametrize(
    ("done", "total", "unit", "text"),
    [
        (0, None, "bytes", "0 bytes"),
        (512, 1_023, "bytes", "512 of 1,023 bytes"),
        (1 << 30, 3 << 30, "bytes", "1.0 of 3.0 GiB"),
        (19, 23, "artifacts", "19 of 23 artifacts"),
        (12_345, None, "entries", "12,345 entries"),
    ],
)
def test_amounts(done: int, total: int | None, unit: str, text: str) -> None:
    assert amount_text(done, total, unit) == text


def test_elapsed() -> None:
    assert [elapsed_text(seconds) for seconds in (0.4, 61, 3_661)] == ["0:00", "1:01", "1:01:01"]


def test_the_summary_says_findings_coverage_places_and_why_it_ends_so() -> None:
    report = build_report(case_facts(), [view()])
    lines = summary_lines(report, case="ACME-42", report_path="ACME-42/report.html", exit_status=3)
    assert lines[0].startswith("verdict   2 critical, 1 high and 1 medium findings")
    assert lines[1:] == [
        "findings  critical 2  high 1  medium 1  low 1  info 0",
        "coverage  complete 9, partial 1, absent 1 (auth_log partial); 1 place not read",
        "case      ACME-42",
        "report    ACME-42/report.html",
        "exit      3: complete but partial: something could not be read",
    ]
    two = summary_lines(build_report(case_facts(), [view(), view()]), case=EVERY_BYTE, report_path="", exit_status=99)
    assert [line for line in two if line.startswith("coverage  web-01: complete 9")] == two[2:4]
    assert ACTING.findall("".join(two)) == []


def test_the_summary_names_the_sources_that_failed() -> None:
    report = build_report(case_facts(), [view()])
    failures = [f"{EVERY_BYTE}: cannot be opened", "b.raw: is empty"]
    lines = summary_lines(report, case="", report_path="", exit_status=5, failures=failures)
    failed = [line for line in lines if line.startswith("failed    ")]
    assert [line.endswith(end) for line, end in zip(failed, (": cannot be opened", "b.raw: is empty"), strict=True)]
    assert ACTING.findall("".join(failed)) == []


def test_a_long_statement_is_told_by_its_beginning() -> None:
    stream = io.StringIO()
    finding = Finding(finding_id="F-1", rule="r", severity="high", statement="word " * 1000)
    Terminal("plain", stream=stream).finding(finding)
    (line,) = stream.getvalue().splitlines()
    assert len(line) < 350
    assert line.endswith(" …")


@pytest.mark.parametrize(("done", "rate"), [(0, ""), (9, ""), (10, "1 files/s"), (20, "2 files/s")])
def test_a_rate_below_one_a_second_is_not_told(done: int, rate: str) -> None:
    stage = Stage("collect", None, "files", 100.0)
    stage.done = done
    assert stage.rate(110.0) == rate


ROWS: list[Row] = [
    {"name": "=1+1", "number": -5, "on": True, "list": ["a", "b"], "nothing": None},
    {"name": EVERY_BYTE, "number": 1 << 70, "on": False, "list": [], "more": {"k": "\x1b"}},
    {"name": 'quote " and , comma\nline', "number": 0},
    {"name": "日本", "list": [HOSTILE[0]]},
    {},
]


def printed(rows: list[Row], columns: list[str], output_format: Any, stream: TextIO | None = None) -> str:
    stream = stream or io.StringIO()
    print_rows(rows, columns, output_format, stream)
    assert isinstance(stream, io.StringIO)
    return stream.getvalue()


@pytest.mark.parametrize("output_format", ["table", "json", "jsonl", "csv"])
def test_rows_do_not_act_in_any_format(output_format: str) -> None:
    assert ACTING.findall(printed(ROWS, ["name", "number", "more"], output_format)) == []


def test_json_rows_come_back_whole() -> None:
    assert json.loads(printed(ROWS, [], "json")) == ROWS
    assert [json.loads(line) for line in printed(ROWS, [], "jsonl").splitlines()] == ROWS
    assert json.loads(printed([], [], "json")) == []


def test_csv_is_defused_and_numbers_stay_numbers() -> None:
    read = list(csv.reader(io.StringIO(printed(ROWS, ["name", "number", "on", "list", "nothing"], "csv"))))
    assert read[0] == ["name", "number", "on", "list", "nothing"]
    assert read[1] == ["'=1+1", "-5", "true", "a, b", ""]
    assert read[3][0] == 'quote " and , comma\\x0aline'
    assert len(read) == len(ROWS) + 1


def test_a_table_lines_up_and_streams_what_comes_later() -> None:
    rows: list[Row] = [{"a": "日本", "b": "x"}, {"a": "abcdef", "b": "y"}, *({"a": "z" * 300, "b": "w"},) * 500]
    lines = printed(rows, ["a", "b"], "table").splitlines()
    assert len(lines) == 503
    assert [display_width(line[: line.index(last)]) for line, last in zip(lines[:3], "bxy", strict=True)] == [102] * 3
    assert lines[-1] == "z" * 300 + "  w"


def test_columns_are_those_of_the_first_row_where_none_are_asked_for() -> None:
    assert printed([{"a": 1, "b": 2}], [], "csv") == "a,b\n1,2\n"
    assert printed([], ["a"], "table") == "a\n"
