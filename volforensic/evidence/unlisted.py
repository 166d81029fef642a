"""What no partition table names on a disk: the gaps, and filesystems in them."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from volforensic.evidence.filesystem_search import MOST_BYTES
from volforensic.evidence.gaps import Gap, find_gaps, found_partitions
from volforensic.evidence.partition import Partition
from volforensic.evidence.reader import Window
from volforensic.record import Problem

_MOST_UNASKED = 256 << 30
_WHOLE = "no table and no filesystem stand where they should: the whole disk was searched for filesystems"


class Unlisted(NamedTuple):
    """The filesystems that were found, the ranges that no partition has, and what to say of them."""

    partitions: list[Partition]
    gaps: list[Gap]
    problems: list[Problem]


def find_unlisted(
    disk: Window, partitions: Sequence[Partition], begin_item: Callable[[int], None], *, is_barren: bool, is_full: bool
) -> Unlisted:
    """Return the gaps of a disk and what was found in them.

    They are searched where ``is_full``. Where nothing known begins on the disk (``is_barren``: its table was wiped
    or is another's) all of it is searched, up to 256 GiB where nobody asked for it.
    """
    gaps = find_gaps(disk.length, partitions)
    found: list[Partition] = []
    problems: list[Problem] = []
    searched = [Gap(0, disk.length)] if is_barren and disk.length else gaps if is_full and partitions else []
    most = MOST_BYTES if is_full else _MOST_UNASKED
    for gap in searched:
        for one in found_partitions(disk, gap, len(found) + 1, begin_item, most):
            if isinstance(one, Problem):
                problems.append(one)
            else:
                found.append(one)
    if is_barren and disk.length:
        reason = f"{_WHOLE}, and {len(found)} were found"
        problems.insert(0, Problem(stage="layout", reason=reason, lost=False, offset=0, length=disk.length))
    return Unlisted(found, [Gap(gap.offset, gap.length, bool(searched)) for gap in gaps], problems)
