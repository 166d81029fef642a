"""What verbs print on standard output: rows in four formats, and the summary that ends a run."""

import csv
import json
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Literal, TextIO

from volforensic.record import SEVERITIES, Row
from volforensic.sanitiser import csv_cell, visible

Format = Literal["table", "json", "jsonl", "csv"]

WIDTH_ROWS = 200
"""Rows that are looked at to choose the widths of a table; the rest is streamed."""
CELL_WIDTH = 100
"""Columns of the terminal that one column of a table takes at most; a longer cell pushes what follows."""
NAMED_LIMIT = 5
"""Artifacts that the summary names."""

EXIT_MEANINGS = {
    0: "complete",
    1: "internal error",
    2: "the command line, a definition or a rule is wrong",
    3: "complete but partial: something could not be read",
    4: "integrity: a hash differs or the evidence or the case changed",
    5: "environment: permission, device, space or a missing library",
    6: "the cloud refused",
    7: "no filesystem that can be read",
    10: "findings at or above --fail-on",
    75: "busy: another run holds the case",
    130: "interrupted; what was finished is kept",
}


def summary_lines(
    report: Row, *, case: str, report_path: str, exit_status: int, failures: Sequence[str] = ()
) -> list[str]:
    """Return the lines that end a run, safe to print: verdict, findings, coverage, failures, places, exit status.

    ``report`` is the report as ``build_report`` makes it, ``failures`` are the sources that could not be read.
    """
    counts = report["verdict"]["findings"]
    facts = [
        ("verdict", report["verdict"]["sentence"]),
        ("findings", "  ".join(f"{severity} {counts[severity]:,}" for severity in SEVERITIES)),
        *(("coverage", line) for line in _coverage_lines(report["evidence"])),
        *(("failed", failure) for failure in failures),
        ("case", case),
        ("report", report_path),
        ("exit", f"{exit_status}: {EXIT_MEANINGS.get(exit_status, 'unknown')}"),
    ]
    return [f"{name:<9} {visible(text)}" for name, text in facts]


def print_rows(
    rows: Iterable[Row], columns: Sequence[str], output_format: Format, stream: TextIO | None = None
) -> None:
    """Print rows: ``columns`` choose what a table and a CSV file show; JSON gives each row whole.

    Without columns those of the first row are taken. Rows are streamed. JSON is ASCII, so no text in it acts on a
    terminal and none is lost; a table shows text through ``visible``, CSV through ``csv_cell``.
    """
    stream = stream or sys.stdout
    lines = _lines(iter(rows), columns, output_format)
    encoding = getattr(stream, "encoding", None) or "utf-8"
    for line in lines:
        stream.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    stream.flush()


def cell(value: object) -> str:
    """Write a value for one cell: lists with commas, objects as JSON, nothing for no value. Not yet sanitised."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ", ".join(cell(item) for item in value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)


def _lines(rows: Iterator[Row], columns: Sequence[str], output_format: Format) -> Iterator[str]:
    if output_format == "jsonl":
        return map(json.dumps, rows)
    if output_format == "json":
        return _json_lines(rows)
    head = list(islice(rows, WIDTH_ROWS))
    columns = columns or list(head[0] if head else ())
    return (_csv_lines if output_format == "csv" else _table_lines)(head, rows, columns)


def _json_lines(rows: Iterator[Row]) -> Iterator[str]:
    before = "["
    for row in rows:
        yield before
        before = json.dumps(row) + ","
    if before == "[":
        yield "[]"
    else:
        yield before.removesuffix(",")
        yield "]"


def _csv_lines(head: list[Row], rows: Iterator[Row], columns: Sequence[str]) -> Iterator[str]:
    buffer = _Line()
    writer = csv.writer(buffer, lineterminator="")
    writer.writerow([csv_cell(name) for name in columns])
    yield buffer.text
    for row in chain(head, rows):
        # a number cannot be a formula: its minus stays a minus
        values = (row.get(name) for name in columns)
        writer.writerow([cell(value) if isinstance(value, int) else csv_cell(cell(value)) for value in values])
        yield buffer.text


def _table_lines(head: list[Row], rows: Iterator[Row], columns: Sequence[str]) -> Iterator[str]:
    title = [visible(name) for name in columns]
    first = [title, *([visible(cell(row.get(name))) for name in columns] for row in head)]
    widths = [min(max(display_width(line[index]) for line in first), CELL_WIDTH) for index in range(len(columns))]
    rest = ([visible(cell(row.get(name))) for name in columns] for row in rows)
    for line in chain(first, rest):
        padded = (text + " " * (width - display_width(text)) for text, width in zip(line, widths, strict=True))
        yield "  ".join(padded).rstrip()


def display_width(text: str) -> int:
    """Return how many columns of a terminal the text takes (Unicode Standard Annex 11)."""
    if text.isascii():
        return len(text)
    wide = sum(1 for character in text if unicodedata.east_asian_width(character) in "WF")
    return len(text) + wide - sum(1 for character in text if unicodedata.combining(character))


class _Line:
    """What ``csv.writer`` writes to: keeps the line it was last given."""

    text = ""

    def write(self, text: str) -> None:
        self.text = text


def _coverage_lines(evidence: Sequence[Row]) -> Iterator[str]:
    for item in evidence:
        by_status: dict[str, int] = item["coverage"]["by_status"]
        said = ", ".join(f"{status} {count:,}" for status, count in by_status.items() if count) or "nothing looked for"
        lacking = [row for row in item["coverage"]["listed"] if row["status"] not in {"complete", "absent"}]
        names = ", ".join(f"{row['artifact']} {row['status']}" for row in lacking[:NAMED_LIMIT])
        lost = item["problems"]["not_read"]["total"]
        places = f"; {lost:,} {'place' if lost == 1 else 'places'} not read" if lost else ""
        prefix = f"{item['id']}: " if len(evidence) > 1 else ""
        yield f"{prefix}{said}{f' ({names})' if names else ''}{places}"
