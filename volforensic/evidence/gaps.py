"""What lies between the partitions: unpartitioned ranges, and filesystems found there as if a table named them."""

from collections.abc import Callable, Iterator, Sequence

import msgspec

from volforensic.evidence.filesystem_search import MOST_BYTES, FoundFilesystem, search_filesystems
from volforensic.evidence.partition import Partition
from volforensic.evidence.reader import Window
from volforensic.record import Problem

SMALLEST_GAP = (1 << 20) + 1
"""Tools begin the first partition at 1 MiB and leave less at the end: that is no gap worth a word."""

FOUND = "found"
_MOST_TOLD = 10


class Gap(msgspec.Struct, frozen=True):
    """A range of a disk that no partition has, in bytes, and whether it was searched for filesystems."""

    offset: int
    length: int
    is_searched: bool = False


def find_gaps(size: int, partitions: Sequence[Partition], smallest: int = SMALLEST_GAP) -> list[Gap]:
    """Return the ranges of a disk of ``size`` bytes that no partition covers, those of ``smallest`` bytes and more."""
    gaps, end = [], 0
    for partition in sorted(partitions, key=lambda one: one.offset):
        gaps.append(Gap(end, min(partition.offset, size) - end))
        end = max(end, partition.end)
    gaps.append(Gap(end, size - end))
    return [gap for gap in gaps if gap.length >= smallest]


def found_partitions(
    window: Window, gap: Gap, first_number: int, begin_item: Callable[[int], None], most: int = MOST_BYTES
) -> Iterator[Partition | Problem]:
    """Yield each filesystem found in a gap of the window as a partition of the table ``found``, and what to say of it.

    ``first_number`` is the entry of the first one: they have no number, Linux makes no device of them.
    ``most`` is how many bytes of the gap are searched.
    """
    place = Window(window.medium, window.offset + gap.offset, gap.length)
    inner: dict[int, list[FoundFilesystem]] = {}
    entry = first_number
    for one in search_filesystems(place, begin_item, most):
        if isinstance(one, Problem):
            yield msgspec.structs.replace(one, offset=(one.offset or 0) + gap.offset)
        elif one.inside is not None:
            inner.setdefault(one.inside, []).append(one)
        else:
            partition = _partition(one, gap, entry)
            reason, unread = f"{one.filesystem.type} was found where no table names it", one.filesystem.unread
            if unread:
                reason = f"{reason}: {unread}"
            yield Problem(stage="layout", reason=reason, lost=bool(unread), offset=partition.offset, length=one.length)
            yield partition
            entry += 1
    for outer, others in inner.items():
        yield _inner(outer + gap.offset, others, gap)


def _partition(one: FoundFilesystem, gap: Gap, entry: int) -> Partition:
    return Partition(
        offset=gap.offset + one.offset,
        length=min(one.length, gap.length - one.offset),
        table=FOUND,
        number=0,
        entry=entry,
        type=one.filesystem.type,
    )


def _inner(outer: int, others: Sequence[FoundFilesystem], gap: Gap) -> Problem:
    places = ", ".join(f"{one.filesystem.type} at byte {one.offset + gap.offset}" for one in others[:_MOST_TOLD])
    more = f" and {len(others) - _MOST_TOLD} more" if len(others) > _MOST_TOLD else ""
    reason = (
        f"inside the filesystem at byte {outer} others begin, images in files most likely: {places}{more}; not read"
    )
    return Problem(stage="layout", reason=reason, lost=False, offset=others[0].offset + gap.offset)
