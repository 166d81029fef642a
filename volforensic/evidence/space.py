"""Runs of bytes that no file has: the values that the readers of free space yield."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Run(NamedTuple):
    """A run: where it begins, how long it is."""

    start: int
    length: int


class Unknown(NamedTuple):
    """A range of bytes of which nobody can say whether it is free, and why."""

    start: int
    length: int
    reason: str


class Groups(NamedTuple):
    """How a filesystem groups blocks and inodes: a file's blocks lie by preference in the group of its inode.

    ``origin`` is the source's byte where group 0 begins; inode n is of group (n - first_inode) // inodes_per_group.
    """

    origin: int
    bytes_per_group: int
    inodes_per_group: int
    first_inode: int


def merged(runs: Iterable[Run]) -> Iterator[Run]:
    """Yield the runs in order, those that touch or overlap as one."""
    begin = end = None
    for start, length in sorted(runs):
        if length <= 0:
            continue
        if end is None or begin is None or start > end:
            if begin is not None and end is not None:
                yield Run(begin, end - begin)
            begin, end = start, start + length
        else:
            end = max(end, start + length)
    if begin is not None and end is not None:
        yield Run(begin, end - begin)


def complement(runs: Iterable[Run], whole: Run) -> Iterator[Run]:
    """Yield what of ``whole`` lies in none of the runs."""
    position, end = whole.start, whole.start + whole.length
    for start, length in merged(runs):
        if start >= end:
            break
        if start > position:
            yield Run(position, start - position)
        position = max(position, start + length)
    if position < end:
        yield Run(position, end - position)
