"""The voices for logs, pipes and programs: plain lines, and one JSON object a line."""

import json
from collections.abc import Callable
from typing import Any, TextIO

import msgspec

from volforensic.cli.progress import Seen, Stage, amount_text, elapsed_text, ending
from volforensic.cli.standard_output import discard_the_rest
from volforensic.record import Finding, Problem
from volforensic.sanitiser import visible

INTERVAL = 1.0
"""Seconds between two progress lines of one stage."""


class PlainVoice:
    """Lines for logs and pipes: the start and the end of a stage, and in between at most one a second."""

    def __init__(self, stream: TextIO, clock: Callable[[], float]) -> None:
        """Tell on this stream."""
        self._stream = stream
        self._clock = clock
        self._told = 0.0
        self._seen = Seen()

    def begin(self, stage: Stage) -> None:
        """Say what begins and how much it is."""
        self._told = self._clock()
        total = "" if stage.total is None else f"  {amount_text(stage.total, None, stage.unit)}"
        self._say(f"{stage.name}{total}")

    def progress(self, stage: Stage) -> None:
        """Say how far it is, where the last line is a second old."""
        now = self._clock()
        if now - self._told >= INTERVAL:
            self._told = now
            told = (stage.name, stage.amount(), stage.rate(now), elapsed_text(now - stage.started), stage.current)
            self._say("  ".join(part for part in told if part))

    def end(self, stage: Stage, note: str) -> None:
        """Say what was done and how long it took."""
        self._say(ending(stage, self._clock(), note))

    def finding(self, finding: Finding) -> None:
        """Say a finding on one line."""
        for line in self._seen.finding_lines(finding):
            self._say(line)

    def problem(self, problem: Problem) -> None:
        """Say a problem on one line."""
        for line in self._seen.problem_lines(problem):
            self._say(line)

    def message(self, text: str) -> None:
        """Say one line."""
        self._say(text)

    def close(self) -> None:
        """Do nothing: lines leave nothing behind."""

    def _say(self, text: str) -> None:
        write_line(self._stream, visible(text))


class JsonVoice:
    """One JSON object a line, for programs: everything, progress at most once a second."""

    def __init__(self, stream: TextIO, clock: Callable[[], float]) -> None:
        """Tell on this stream."""
        self._stream = stream
        self._clock = clock
        self._told = 0.0

    def begin(self, stage: Stage) -> None:
        """Tell the name, the total and the unit."""
        self._told = self._clock()
        self._tell("stage", stage=stage.name, total=stage.total, unit=stage.unit)

    def progress(self, stage: Stage) -> None:
        """Tell how far it is."""
        now = self._clock()
        if now - self._told >= INTERVAL:
            self._told = now
            self._tell("progress", **_progress(stage, now), current=stage.current)

    def end(self, stage: Stage, note: str) -> None:
        """Tell what was done."""
        self._tell("end", **_progress(stage, self._clock()), note=note)

    def finding(self, finding: Finding) -> None:
        """Tell the whole finding."""
        self._tell("finding", finding=msgspec.to_builtins(finding))

    def problem(self, problem: Problem) -> None:
        """Tell the whole problem."""
        self._tell("problem", problem=msgspec.to_builtins(problem))

    def message(self, text: str) -> None:
        """Tell one text."""
        self._tell("message", text=text)

    def close(self) -> None:
        """Do nothing: lines leave nothing behind."""

    def _tell(self, event: str, **facts: Any) -> None:
        write_line(self._stream, json.dumps({"event": event} | facts))


def write_line(stream: TextIO, line: str) -> None:
    """Write a line and flush it; what the stream's encoding lacks is escaped, a stream that is gone is let go."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        stream.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        stream.flush()
    except (OSError, ValueError):  # a full disk or a closed pipe under the log must not end the reading of evidence
        discard_the_rest(stream)


def _progress(stage: Stage, now: float) -> dict[str, Any]:
    elapsed = now - stage.started
    return {
        "stage": stage.name,
        "done": stage.done,
        "total": stage.total,
        "unit": stage.unit,
        "elapsed": round(elapsed, 3),
        "rate": round(stage.done / elapsed, 3) if elapsed > 0 else None,
    }
