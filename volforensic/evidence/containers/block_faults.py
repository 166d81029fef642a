"""What is wrong with the table of a container that maps block by block, as problems with ranges of the disk."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from volforensic.record import Problem

_RANGES_GIVEN = 64
_ENTRIES_CHECKED = 1 << 22


class BlockTable(NamedTuple):
    """A table as far as it is checked: the disk's bytes, a block's, the entries that there are.

    ``kind`` names the format. ``place`` gives where an entry's block begins in the file: None where it has none, a
    sentence where that cannot be. Blocks are whole but for the last, of which the disk has a part.
    """

    kind: str
    size: int
    block_size: int
    entries: int
    file_size: int
    place: Callable[[int], int | str | None]


def table_problems(table: BlockTable) -> Iterator[Problem]:
    """Yield a problem for each range of blocks that lie outside the file, are there twice, or have no entry."""
    blocks = -(-table.size // table.block_size)
    given = min(table.entries, blocks)
    for block, length, reason, is_lost in _ranges(_faults(table, min(given, _ENTRIES_CHECKED))):
        offset = block * table.block_size
        inside = min(length * table.block_size, table.size - offset)
        yield Problem(stage="source", reason=reason, lost=is_lost, offset=offset, length=inside)
    if given > _ENTRIES_CHECKED:
        reason = f"only the first {_ENTRIES_CHECKED} entries of the {table.kind}'s table were checked beforehand"
        yield Problem(stage="source", reason=reason, lost=False)
    if given < blocks:
        offset = given * table.block_size
        reason = f"the {table.kind}'s table has {table.entries} entries and its disk {blocks} blocks"
        yield Problem(stage="source", reason=reason, offset=offset, length=table.size - offset)


def _faults(table: BlockTable, entries: int) -> Iterator[tuple[int, str, bool]]:
    seen: set[int] = set()
    for block in range(entries):
        place = table.place(block)
        if place is None:
            continue
        if isinstance(place, str):
            yield block, place, True
            continue
        inside = min(table.block_size, table.size - block * table.block_size)
        if place + inside > table.file_size:
            yield block, f"blocks of the {table.kind} lie outside its file, which has {table.file_size} bytes", True
        elif place in seen:
            yield block, f"the {table.kind}'s table gives the same place in the file twice", False
        else:
            seen.add(place)


def _ranges(faults: Iterable[tuple[int, str, bool]]) -> Iterator[tuple[int, int, str, bool]]:
    """Yield (block, number of blocks, reason, lost): neighbours with the same reason in one, and not too many."""
    start, count, before = 0, 0, ("", False)
    ranges = 0
    for block, reason, is_lost in faults:
        if count and start + count == block and before == (reason, is_lost):
            count += 1
            continue
        if count:
            yield start, count, *before
            ranges += 1
        start, count, before = block, 1, (reason, is_lost)
        if ranges >= _RANGES_GIVEN:
            before = f"{reason}; there are more ranges than these {_RANGES_GIVEN}", is_lost
            break
    if count:
        yield start, count, *before
