"""Work on many items in few workers: a worker that dies loses one item, not the piece that it was given.

A worker function for pieces takes its items in order, calls ``begin_item(index)`` for each and marks every message
with the index of its item. When it dies, the items before the one in hand are done; that one is tried once more
alone, then it is a ``LostItem``; a new worker goes on behind it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from volforensic.sandbox.pool import Failure, Pool, Task

Item = TypeVar("Item")


class LostItem(NamedTuple):
    """An item that ended its worker twice, and why."""

    reason: str


def work_on(
    pool: Pool, pieces: Iterable[Sequence[Item]], task_of: Callable[[Sequence[Item]], Task]
) -> Iterator[tuple[Item, Any]]:
    """Yield ``(item, message)`` in the order of the items; the last message of an item may be a ``LostItem``.

    Messages must have an ``index`` attribute: which item of the worker's piece they belong to. A message of an item
    that is tried again comes again: the caller drops what it had when ``Again`` comes.
    """
    known: list[Sequence[Item]] = []

    def tasks() -> Iterator[Task]:
        for piece in pieces:
            known.append(piece)
            yield task_of(piece)

    for number, message in pool.run_all(tasks()):
        piece = known[number]
        if isinstance(message, Failure):
            yield from _behind(pool, piece, message, task_of)
            known[number] = ()
        else:
            yield piece[message.index], message


class Again(NamedTuple):
    """The item's worker died: what came of it so far does not count."""


def _behind(
    pool: Pool, piece: Sequence[Item], failure: Failure, task_of: Callable[[Sequence[Item]], Task]
) -> Iterator[tuple[Item, Any]]:
    """Go on with a piece whose worker died: the culprit alone, then the rest, until the piece is done."""
    while piece:
        culprit = min(failure.item or 0, len(piece) - 1)
        yield from _alone(pool, piece[culprit], task_of)
        piece = piece[culprit + 1 :]
        if not piece:
            return
        for message in pool.run(task_of(piece)):
            if isinstance(message, Failure):
                failure = message
                break
            yield piece[message.index], message
        else:
            return


def _alone(pool: Pool, item: Item, task_of: Callable[[Sequence[Item]], Task]) -> Iterator[tuple[Item, Any]]:
    yield item, Again()
    for message in pool.run(task_of([item])):
        yield item, (LostItem(message.reason) if isinstance(message, Failure) else message)
