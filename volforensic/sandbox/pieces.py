"""Work on many items in few workers: a worker that dies loses one item, not the piece that it was given.

A worker function for pieces takes its items in order, marks every message with the index of its item and ends each
item with a message of a certain type. When it dies, the items that were ended are done; the next one is tried once
more alone, then it is a ``LostItem``; a new worker goes on behind it. Which items are done the parent counts itself: a
worker that leaves one out, or goes back to one, is one that failed.

Crashes cost little and are put up with without end. Time is not: where hours were lost on workers that had to be ended,
the rest of a piece whose worker fails is lost too.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from volforensic.sandbox.pool import Failure, Pool, Task

Item = TypeVar("Item")
TaskOf = Callable[[Sequence[Item]], Task]
MOST_SECONDS_LOST = 2 * 3600


class LostItem(NamedTuple):
    """An item that ended its worker twice, and why."""

    reason: str


class Again(NamedTuple):
    """The item's worker died: what came of it so far does not count."""


def work_on(
    pool: Pool, pieces: Iterable[Sequence[Item]], task_of: TaskOf[Item], last: type
) -> Iterator[tuple[Item, Any]]:
    """Yield ``(item, message)`` in the order of the items; the last message of an item may be a ``LostItem``.

    Messages must have an ``index`` attribute: which item of the worker's piece they belong to. ``last`` is the type of
    the message that ends an item; each item gets one. A message of an item that is tried again comes again: the caller
    drops what it had when ``Again`` comes.
    """
    known: dict[int, _Piece[Item]] = {}
    lost = LostTime()

    def tasks() -> Iterator[Task]:
        for number, items in enumerate(pieces):
            known[number] = _Piece(items, task_of, last)
            yield known[number].task

    current = 0
    for number, message in pool.run_all(tasks()):
        if number != current:
            known.pop(current, None)  # its items need not be kept until the end
            current = number
        if isinstance(message, Failure):
            lost.add(message)
            yield from _behind(pool, known[number], lost)
        else:
            yield known[number].items[message.index], message


class LostTime:
    """Holds how many seconds were lost on workers that did not end well."""

    def __init__(self) -> None:
        """Begin with none."""
        self.seconds = 0.0

    def add(self, failure: Failure) -> None:
        """Count what one failure has cost."""
        self.seconds += failure.seconds


class _Piece(Generic[Item]):
    """Holds the items of one worker and how many of them it has ended: the check of its messages."""

    def __init__(self, items: Sequence[Item], task_of: TaskOf[Item], last: type) -> None:
        self.items = items
        self.done = 0
        self.task_of = task_of
        self.last = last
        task = task_of(items)
        self._inner = task.check
        self.task = msgspec.structs.replace(task, check=self)

    def refused(self, message: Any) -> str:
        if message.index != self.done or self.done >= len(self.items):
            return f"it is about item {message.index}, where item {self.done} of {len(self.items)} was due"
        reason = self._inner.refused(message) if self._inner is not None else ""
        self.done += not reason and isinstance(message, self.last)
        return reason

    def missing(self) -> str:
        if self.done < len(self.items):
            return f"the worker ended after {self.done} of {len(self.items)} items"
        return self._inner.missing() if self._inner is not None else ""

    def part(self, items: Sequence[Item]) -> "_Piece[Item]":
        return _Piece(items, self.task_of, self.last)


def _behind(pool: Pool, piece: _Piece[Item], lost: LostTime) -> Iterator[tuple[Item, Any]]:
    """Go on with a piece whose worker died: the culprit alone, then the rest, until the piece is done."""
    while piece.done < len(piece.items):
        if lost.seconds > MOST_SECONDS_LOST:
            reason = f"not tried: {lost.seconds:.0f} seconds were lost on workers that did not end well"
            yield from ((item, LostItem(reason)) for item in piece.items[piece.done :])
            return
        culprit = piece.done
        yield from _alone(pool, piece.part(piece.items[culprit : culprit + 1]), lost)
        piece = piece.part(piece.items[culprit + 1 :])
        if not piece.items:
            return
        for message in pool.run(piece.task):
            if isinstance(message, Failure):
                lost.add(message)
            else:
                yield piece.items[message.index], message


def _alone(pool: Pool, piece: _Piece[Item], lost: LostTime) -> Iterator[tuple[Item, Any]]:
    (item,) = piece.items
    yield item, Again()
    for message in pool.run(piece.task):
        if not isinstance(message, Failure):
            yield item, message
        else:
            lost.add(message)
            if not piece.done:
                yield item, LostItem(message.reason)
