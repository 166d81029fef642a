"""How far a stage is, and the words for it: what every voice of the terminal shares.

Texts here are as they were found: a voice makes them safe where it prints them.
"""

from typing import Protocol

from volforensic.record import Finding, Problem

FINDINGS_SHOWN = 20
"""Findings of one rule that are told one by one; the others are in the report."""
PROBLEMS_SHOWN = 20
"""Problems of one stage that are told one by one."""

STATEMENT_SHOWN = 300
"""Characters of a finding's statement that are told while it runs; the report has it whole."""

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


class Stage:
    """How far one stage is: ``done`` of ``total`` units (None where the total is not known), and at what object."""

    def __init__(self, name: str, total: int | None, unit: str, started: float) -> None:
        """Start at nothing."""
        self.name = name
        self.total = total
        self.unit = unit
        self.started = started
        self.done = 0
        self.current = ""

    def amount(self) -> str:
        """Return what is done, of how much: ``1.2 of 2.0 GiB``, ``19 of 23 artifacts``."""
        return amount_text(self.done, self.total, self.unit)

    def rate(self, now: float) -> str:
        """Return how much a second, empty in the first moment and below one a second."""
        elapsed = now - self.started
        each_second = int(self.done / elapsed) if elapsed >= 0.1 else 0
        return f"{amount_text(each_second, None, self.unit)}/s" if each_second else ""


class Voice(Protocol):
    """One way of telling. Texts come as they were found; a voice makes them safe."""

    def begin(self, stage: Stage) -> None:
        """A stage begins."""

    def progress(self, stage: Stage) -> None:
        """The stage has come further."""

    def end(self, stage: Stage, note: str) -> None:
        """The stage is over."""

    def finding(self, finding: Finding) -> None:
        """Something was found."""

    def problem(self, problem: Problem) -> None:
        """Something could not be read or needs saying."""

    def message(self, text: str) -> None:
        """Tell one line."""

    def close(self) -> None:
        """Leave the terminal as it was."""


class Seen:
    """How many of a kind were told: a flood of findings or problems becomes a few lines and a word on the rest."""

    def __init__(self) -> None:
        """Start with none."""
        self._counts: dict[tuple[str, str], int] = {}

    def finding_lines(self, finding: Finding) -> list[str]:
        """Return the line for a finding; after ``FINDINGS_SHOWN`` of one rule a last word, then nothing."""
        line = f"{finding.severity.upper():<8}  {finding.rule}  {_beginning(finding.statement)}"
        return self._lines(("finding", finding.rule), line, FINDINGS_SHOWN, f"more findings of {finding.rule}")

    def problem_lines(self, problem: Problem) -> list[str]:
        """Return the line for a problem; after ``PROBLEMS_SHOWN`` of one stage a last word, then nothing."""
        kind = "NOT READ" if problem.lost else "NOTE"
        place = problem.source or problem.artifact or problem.stage
        line = f"{kind:<8}  {place}: {problem.reason}"
        return self._lines((kind, problem.stage), line, PROBLEMS_SHOWN, f"more problems while reading: {problem.stage}")

    def _lines(self, key: tuple[str, str], line: str, limit: int, rest: str) -> list[str]:
        count = self._counts[key] = self._counts.get(key, 0) + 1
        if count > limit + 1:
            return []
        return [line if count <= limit else f"{'':8}  … {rest}: all are in the report"]


def _beginning(text: str) -> str:
    return text if len(text) <= STATEMENT_SHOWN else f"{text[:STATEMENT_SHOWN]} …"


def amount_text(done: int, total: int | None, unit: str) -> str:
    """Write an amount: bytes with a unit of 1,024, anything else as a number with its unit."""
    if unit != "bytes":
        of = "" if total is None else f" of {total:,}"
        return f"{done:,}{of} {unit}".rstrip()
    largest = max(done, total or 0, 1)
    power = min((largest.bit_length() - 1) // 10, len(_UNITS) - 1)
    digits = 1 if power else 0
    of = "" if total is None else f" of {total / (1 << 10 * power):,.{digits}f}"
    return f"{done / (1 << 10 * power):,.{digits}f}{of} {_UNITS[power]}"


def elapsed_text(seconds: float) -> str:
    """Write a duration as minutes and seconds, with hours where there are any."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def ending(stage: Stage, now: float, note: str) -> str:
    """Return the line that ends a stage: what was done, in what time, and the note."""
    told = f"{stage.name}  {stage.amount()} in {elapsed_text(now - stage.started)}"
    return f"{told}  {note}" if note else told
