"""The terminal's voice: what runs, what it has found, what could not be read. Only this and ``output`` print.

Every text of the evidence passes ``sanitiser.visible``; in JSON it is escaped to ASCII, which loses nothing. The
stream is standard error: standard output belongs to rows.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Literal, Self, TextIO

from volforensic.cli.progress import Stage, Voice
from volforensic.cli.voices import JsonVoice, PlainVoice, write_line
from volforensic.record import Finding, Problem
from volforensic.sanitiser import visible

Mode = Literal["auto", "plain", "json", "none"]


class Terminal:
    """Tells the examiner what happens while it happens. A context manager; works without being entered, too.

    ``mode`` auto is live progress on a terminal and plain lines elsewhere; plain, json (one object a line) and none
    (errors only) are as asked. ``color`` None means: on a terminal unless NO_COLOR is set (https://no-color.org).
    ``quiet`` leaves out stages and messages: findings, losses and errors stay.
    """

    def __init__(
        self,
        mode: Mode = "auto",
        *,
        color: bool | None = None,
        quiet: bool = False,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Choose the voice; nothing is printed yet."""
        self._stream = stream or sys.stderr
        self._clock = clock
        self._quiet = quiet
        self._stage: Stage | None = None
        self._as_json = mode == "json"
        self._voice = _voice(mode, self._stream, color, clock)

    def __enter__(self) -> Self:
        """Return the terminal itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the stage that is under way and leave the terminal as it was."""
        self.end_stage("" if error is None else "stopped")
        self.close()

    def close(self) -> None:
        """Take the live line away; safe to call more than once."""
        if self._voice is not None:
            self._voice.close()

    def stage(self, name: str, total: int | None, unit: str) -> None:
        """Begin a stage of ``total`` units (None where nobody knows); one that is under way ends."""
        self.end_stage()
        self._stage = Stage(name, total, unit, self._clock())
        if self._voice is not None and not self._quiet:
            self._voice.begin(self._stage)

    def advance(self, amount: int, current: str = "") -> None:
        """Count ``amount`` more units of the stage as done; ``current`` names the object in hand."""
        if self._stage is None:
            return
        self._stage.done += amount
        if self._stage.total is not None:  # a total that the evidence claims may be too small
            self._stage.total = max(self._stage.total, self._stage.done)
        self._stage.current = current or self._stage.current
        if self._voice is not None and not self._quiet:
            self._voice.progress(self._stage)

    def end_stage(self, note: str = "") -> None:
        """End the stage, with a word on how; nothing where none is under way."""
        stage, self._stage = self._stage, None
        if stage is not None and self._voice is not None and not self._quiet:
            self._voice.end(stage, note)

    def finding(self, finding: Finding) -> None:
        """Tell a finding as soon as it is there."""
        if self._voice is not None:
            self._voice.finding(finding)

    def problem(self, problem: Problem) -> None:
        """Tell what could not be read; a quiet terminal keeps to itself what was not a loss."""
        if self._voice is not None and (problem.lost or not self._quiet):
            self._voice.problem(problem)

    def message(self, text: str) -> None:
        """Tell one line."""
        if self._voice is not None and not self._quiet:
            self._voice.message(text)

    def error(self, text: str) -> None:
        """Tell an error, whatever the mode; the stage under way ends with it."""
        self.end_stage("stopped")
        self.close()
        line = json.dumps({"event": "error", "text": text}) if self._as_json else f"volforensic: {visible(text)}"
        write_line(self._stream, line)


def colored(color: bool | None, stream: TextIO) -> bool:  # noqa: FBT001 - three answers, not a flag
    """Whether to use colours: as asked, else on a terminal unless NO_COLOR is set and not empty."""
    if color is not None:
        return color
    return not os.environ.get("NO_COLOR") and is_terminal(stream)


def is_terminal(stream: TextIO) -> bool:
    """Whether the stream is a terminal that can move its cursor."""
    try:
        return stream.isatty() and os.environ.get("TERM", "dumb") not in {"dumb", "unknown"}
    except ValueError:
        return False


def _voice(mode: Mode, stream: TextIO, color: bool | None, clock: Callable[[], float]) -> Voice | None:  # noqa: FBT001 - as above
    if mode == "none":
        return None
    if mode == "json":
        return JsonVoice(stream, clock)
    if mode == "plain" or not is_terminal(stream):
        return PlainVoice(stream, clock)
    # rich costs 17 ms to import: only a live terminal pays for it
    from volforensic.cli.live import LiveVoice  # noqa: PLC0415

    return LiveVoice(stream, clock, colored=colored(color, stream))
