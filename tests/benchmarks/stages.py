"""What each stage of a triage cost, by what it says while it runs (``--progress json``)."""

import json
import time
from collections.abc import Callable
from typing import NamedTuple

from .meter import Measured, tree_seconds

_BETWEEN = {
    "inventory": "hosts",
    "programs": "file rows",
    "deleted": "file rows",
    "hash after": "report",
}
"""What runs between a stage's end and the next one's begin; after the other stages that is nothing to speak of."""

START = "start-up"


class Cost(NamedTuple):
    """CPU seconds of the whole tree, wall seconds, and bytes read from the device where they are counted."""

    cpu_seconds: float
    wall_seconds: float
    bytes_read: int = 0


class StageClock:
    """Reads a triage's progress lines and takes the time at each begin and end of a stage.

    CPU seconds come from /proc at the moment when the line is read: right to some hundredths of a second. The parts
    add up to the whole.
    """

    def __init__(self, bytes_read: Callable[[], int] = lambda: 0, forget: Callable[[], None] = lambda: None) -> None:
        """Begin with the start of the program.

        ``bytes_read`` tells how many bytes the device has given so far. ``forget`` is called when a hash of the source
        is done: what it left in memory would hide what the next stages read.
        """
        self._parts: dict[str, Cost] = {}
        self._current = START
        self._bytes_read = bytes_read
        self._forget = forget
        self._started = time.monotonic()
        self._last = Cost(0.0, 0.0, bytes_read())

    def read(self, line: bytes, process: int) -> None:
        """Take one line of standard error; what is no begin or end of a stage passes."""
        if b'"stage"' not in line and b'"end"' not in line:
            return
        try:
            event = json.loads(line)
            kind, stage = event["event"], event["stage"]
        except (ValueError, KeyError, TypeError):
            return
        if kind == "stage":
            self._turn_to(stage, process)
        elif kind == "end":
            self._turn_to(_BETWEEN.get(stage, stage), process)
            if is_hash(stage):
                self._forget()

    def parts(self, whole: Measured) -> dict[str, Cost]:
        """Return each part's cost in the order of the run; the last one ends with the program."""
        self._close(Cost(whole.cpu_seconds, whole.wall_seconds, self._bytes_read()))
        return self._parts

    def _turn_to(self, name: str, process: int) -> None:
        self._close(Cost(tree_seconds(process), time.monotonic() - self._started, self._bytes_read()))
        self._current = name

    def _close(self, now: Cost) -> None:
        before = self._parts.get(self._current, Cost(0.0, 0.0))
        self._parts[self._current] = Cost(
            before.cpu_seconds + max(0.0, now.cpu_seconds - self._last.cpu_seconds),
            before.wall_seconds + now.wall_seconds - self._last.wall_seconds,
            before.bytes_read + now.bytes_read - self._last.bytes_read,
        )
        self._last = now


def is_hash(stage: str) -> bool:
    """Say whether a stage reads the whole source for its digest."""
    return stage.startswith("hash")


def is_like_target_query(stage: str) -> bool:
    """Say whether a stage is one of those that bring what target-query brings: from the start to the stored records."""
    return stage in {START, "inventory", "hosts", "collect"}
