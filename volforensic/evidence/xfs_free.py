"""Which blocks of an XFS are free: by the trees of free space of its allocation groups."""

import itertools
from collections.abc import Callable, Iterator

from volforensic.evidence.reader import Window
from volforensic.evidence.space import Run, Unknown, merged
from volforensic.evidence.xfs_groups import XfsGroups


def free_space(window: Window, begin_item: Callable[[int], None]) -> Iterator[Run | Unknown]:
    """Yield the free runs of the window in order (bytes from its beginning), and what is not known.

    Where a part of a group's tree is damaged, what reads of it is free and the group is unknown beyond that; where the
    tree contradicts itself nothing of it is believed.
    """
    groups = XfsGroups(window)
    for number in range(groups.count):
        begin_item(number)
        first, count = groups.blocks_of(number)
        problems: list[str] = []
        for start, length in _believed(list(_group(groups, number, problems)), count, problems):
            yield Run((first + start) * groups.block_size, length * groups.block_size)
        if problems:
            reason = f"allocation group {number}: {'; '.join(dict.fromkeys(problems[:5]))}"
            yield Unknown(first * groups.block_size, count * groups.block_size, reason)


def _believed(runs: list[Run], count: int, problems: list[str]) -> list[Run]:
    """Return the group's runs in order; none where they overlap or lie outside its ``count`` blocks."""
    runs.sort()
    for run, after in itertools.pairwise(runs):
        if run.start + run.length > after.start:
            problems.append(f"free runs overlap at block {after.start}")
            return []
    if any(run.length <= 0 or run.start + run.length > count for run in runs):
        problems.append("free space lies outside the group")
        return []
    return list(merged(runs))


def filesystem_size(window: Window) -> int:
    """Return how many bytes the filesystem says that it has."""
    groups = XfsGroups(window)
    return int(groups.blocks * groups.block_size)


def _group(groups: XfsGroups, number: int, problems: list[str]) -> Iterator[Run]:
    header = groups.header(number, b"XAGF")
    if isinstance(header, str):
        problems.append(header)
        return
    for start, length in groups.free_runs(number, header, problems):
        yield Run(start, length)
    listed = groups.header(number, b"XAFL")
    if isinstance(listed, str):
        problems.append(listed)
        return
    for block in groups.listed_blocks(header, listed):
        yield Run(block, 1)
