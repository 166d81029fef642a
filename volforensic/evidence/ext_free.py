"""Which blocks of an ext2/3/4 are free: by its block bitmaps, where their checksums are right."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator

from volforensic.evidence.ext_groups import BLOCKS_UNINITIALISED, ExtGroups
from volforensic.evidence.node import VolumeRemark
from volforensic.evidence.reader import Window
from volforensic.evidence.space import Run, Unknown, complement, merged

_FREE_BITS = re.compile("0+")


def free_space(window: Window, begin_item: Callable[[int], None]) -> Iterator[Run | Unknown]:
    """Yield the free runs of the window in order (bytes from its beginning), and what is not known."""
    groups = ExtGroups(window)
    own: list[Run] | None = None
    for number in range(groups.count):
        begin_item(number)
        group = groups.group(number)
        first, count = groups.blocks_of(number)
        place = Run(first * groups.block_size, count * groups.block_size)
        if group.fault:
            yield Unknown(*place, f"block group {number}: {group.fault}")
            continue
        if groups.has_flags and group.flags & BLOCKS_UNINITIALISED:
            if own is None:
                own = list(merged(Run(block, length) for block, length in groups.metadata()))
            runs = _whole_clusters(_without(Run(first, count), own), groups.blocks_per_cluster)
        else:
            bitmap = groups.block_bitmap(group)
            if isinstance(bitmap, str):
                yield Unknown(*place, f"block group {number}: {bitmap}")
                continue
            ratio = groups.blocks_per_cluster
            bits = list(_free_bits(bitmap, 0, -(-count // ratio)))
            free = sum(run.length for run in bits)
            runs = (Run(first + run.start * ratio, min(run.length * ratio, count - run.start * ratio)) for run in bits)
            if free != group.free_blocks:
                unit = "blocks" if ratio == 1 else "clusters"
                reason = f"its block bitmap has {free} free {unit}, its descriptor says {group.free_blocks}"
                yield Unknown(*place, f"block group {number}: {reason}")
                continue
        for start, length in runs:
            yield Run(start * groups.block_size, length * groups.block_size)


def damaged_bitmaps(window: Window) -> Iterator[VolumeRemark]:
    """Yield what is wrong with block bitmaps: nothing of a file is lost by it."""
    groups = ExtGroups(window)
    for number in range(groups.count) if groups.geometry.has_checksums else ():
        group = groups.group(number)
        if group.fault or group.flags & BLOCKS_UNINITIALISED:
            continue
        bitmap = groups.block_bitmap(group)
        if isinstance(bitmap, str):
            yield VolumeRemark(f"block group {number}: {bitmap}", is_loss=False)


def filesystem_size(window: Window) -> int:
    """Return how many bytes the filesystem says that it has."""
    groups = ExtGroups(window)
    return groups.blocks * groups.block_size


def _free_bits(bitmap: bytes, first: int, count: int) -> Iterator[Run]:
    """Yield the runs of bits that are not set; bit 0 of the first byte is the group's first block."""
    bits = f"{int.from_bytes(bitmap, 'little'):0{len(bitmap) * 8}b}"[::-1]
    for found in _FREE_BITS.finditer(bits, 0, count):
        yield Run(first + found.start(), found.end() - found.start())


def _whole_clusters(runs: Iterator[Run], ratio: int) -> Iterator[Run]:
    """Yield of the runs what is whole clusters: one of which a block is in use is in use."""
    for start, length in runs:
        first, end = -(-start // ratio) * ratio, (start + length) // ratio * ratio
        if ratio == 1 or first < end:
            yield Run(start, length) if ratio == 1 else Run(first, end - first)


def _without(whole: Run, taken: list[Run]) -> Iterator[Run]:
    """Yield what is left of a run without those of a sorted list: a group whose bitmap was never written."""
    first = max(0, bisect_right(taken, (whole.start,)) - 1)
    return complement(taken[first : bisect_left(taken, (whole.start + whole.length,))], whole)
