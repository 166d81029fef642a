"""Work on very many small items in few workers, with the results of many items in one message.

Like ``pieces``, where each item has messages of its own: here a worker function ends its items in order and says what
came of them in ``Results``, some hundred at a time. When it dies, the results that it had not sent yet are lost with
it: those items are worked on again, the one that it had in hand alone; when that ends its worker once more it is a
``LostItem``. The item in hand is only the worker's word: it decides what is tried alone, never what is lost.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import msgspec

from volforensic.sandbox.pieces import MOST_SECONDS_LOST, LostItem, LostTime
from volforensic.sandbox.pool import Failure, Pool, Task

Item = TypeVar("Item")
MOST_RESULTS = 4096
"""Results in one message, at most."""


class Results(Protocol):
    """A message: the index of the first item in the worker's piece, and what came of it and of those that follow."""

    index: int
    results: list[Any]


class _Part(NamedTuple, Generic[Item]):
    """Items still to be worked on by one worker; ``is_retried`` where an item is alone for having ended a worker."""

    items: Sequence[Item]
    is_retried: bool = False


def work_in_batches(
    pool: Pool, pieces: Iterable[Sequence[Item]], task_of: Callable[[Sequence[Item]], Task]
) -> Iterator[tuple[Item, Any]]:
    """Yield ``(item, result)`` in the order of the items; the result may be a ``LostItem``."""
    known: dict[int, _Counted[Item]] = {}
    lost = LostTime()

    def tasks() -> Iterator[Task]:
        for number, items in enumerate(pieces):
            known[number] = _Counted(items, task_of(items))
            yield known[number].task

    current = 0
    for number, message in pool.run_all(tasks()):
        if number != current:
            known.pop(current, None)
            current = number
        piece = known[number]
        if not isinstance(message, Failure):
            yield from piece.paired(message)
            continue
        lost.add(message)
        yield from _behind(pool, _split(_Part(piece.items[piece.done :]), message, piece.done), task_of, lost)


def _behind(
    pool: Pool, waiting: list[_Part[Item]], task_of: Callable[[Sequence[Item]], Task], lost: LostTime
) -> Iterator[tuple[Item, Any]]:
    """Go on with what a worker that died has left, part by part; a part whose worker dies is split again."""
    while waiting:
        part = waiting.pop(0)
        if lost.seconds > MOST_SECONDS_LOST:
            reason = f"not tried: {lost.seconds:.0f} seconds were lost on workers that did not end well"
            yield from ((item, LostItem(reason)) for item in part.items)
            continue
        piece = _Counted(part.items, task_of(part.items))
        for answer in pool.run(piece.task):
            if not isinstance(answer, Failure):
                yield from piece.paired(answer)
                continue
            lost.add(answer)
            left = part._replace(items=part.items[piece.done :])
            if not left.is_retried:
                waiting[:0] = _split(left, answer, piece.done)
            elif left.items:
                yield left.items[0], LostItem(answer.reason)


def _split(part: _Part[Item], failure: Failure, done: int) -> list[_Part[Item]]:
    """Return the rest of a piece whose worker died: what stood before the item in hand, that item alone, the rest."""
    if not part.items:
        return []
    culprit = (failure.item or 0) - done
    culprit = culprit if 0 <= culprit < len(part.items) else 0
    parts = [_Part(part.items[:culprit]), _Part(part.items[culprit : culprit + 1], is_retried=True)]
    return [piece for piece in (*parts, _Part(part.items[culprit + 1 :])) if piece.items]


class _Counted(Generic[Item]):
    """Holds the items of one worker and how many of them it has ended: the check of its messages."""

    def __init__(self, items: Sequence[Item], task: Task) -> None:
        self.items = items
        self.done = 0
        self._inner = task.check
        self.task = msgspec.structs.replace(task, check=self)

    def refused(self, message: Any) -> str:
        count = len(message.results)
        if message.index != self.done or not 0 < count <= min(MOST_RESULTS, len(self.items) - self.done):
            due = f"item {self.done} of {len(self.items)} was due"
            return f"it has {count} results from item {message.index} on, where {due}"
        reason = self._inner.refused(message) if self._inner is not None else ""
        self.done += 0 if reason else count
        return reason

    def missing(self) -> str:
        if self.done < len(self.items):
            return f"the worker ended after {self.done} of {len(self.items)} items"
        return self._inner.missing() if self._inner is not None else ""

    def paired(self, message: Any) -> Iterator[tuple[Item, Any]]:
        """Yield the message's results with their items; the message has passed the check."""
        return zip(self.items[message.index : message.index + len(message.results)], message.results, strict=True)
