"""Sparse files in tar: the four ways in which GNU tar has written where their bytes belong.

Sources: GNU tar's manual, "Storing Sparse Files" (old GNU format, PAX formats 0.0, 0.1 and 1.0); tar(5) of FreeBSD.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

from volforensic.evidence.node import Extent
from volforensic.evidence.tar_header import BLOCK, Header, TarError, number

MOST_RUNS = 1_000_000
_IN_HEADER, _IN_BLOCK, _RUN = 4, 21, 24
_LONGEST_NUMBER = 20

ReadBlock = Callable[[int, int], bytes]


class SparseMap(NamedTuple):
    """Runs of a file as (offset, length), the file's size, and where in the archive the first run's bytes are."""

    runs: list[tuple[int, int]]
    size: int
    data: int


def old_map(header: Header, position: int, read: ReadBlock) -> SparseMap:
    """Return the map of a member of type S whose header stands at ``position``."""
    runs = list(_entries(header.raw[386:482], _IN_HEADER))
    more, position = header.raw[482], position + BLOCK
    while more:
        block = read(position, BLOCK)
        if len(block) < BLOCK:
            raise TarError("the map of a sparse file is cut")
        runs += _entries(block, _IN_BLOCK)
        if len(runs) > MOST_RUNS:
            raise TarError(f"a sparse file of more than {MOST_RUNS} runs")
        more, position = block[504], position + BLOCK
    size = header.number(483, 12)
    if size is None or size < 0:
        raise TarError("a sparse file without a size")
    return SparseMap(_checked(runs, size), size, position)


def _entries(raw: bytes, count: int) -> Iterator[tuple[int, int]]:
    for place in range(0, count * _RUN, _RUN):
        if not raw[place]:
            return
        offset, length = number(raw[place : place + 12]), number(raw[place + 12 : place + _RUN])
        if offset is None or length is None:
            raise TarError("the map of a sparse file is damaged")
        yield offset, length


def listed_map(numbers: list[bytes], size: int, data: int) -> SparseMap:
    """Return the map whose numbers stand in the extended header: formats 0.0 and 0.1."""
    if len(numbers) % 2 or not all(part.isdigit() and len(part) < _LONGEST_NUMBER for part in numbers):
        raise TarError("the map of a sparse file is damaged")
    values = list(map(int, numbers))
    return SparseMap(_checked(list(zip(values[::2], values[1::2], strict=True)), size), size, data)


def map_before_data(size: int, data: int, stored: int, read: ReadBlock) -> SparseMap:
    """Return the map that stands before the bytes themselves: format 1.0. ``stored`` is the size of both."""
    text, count, lines, place = bytearray(), -1, 0, data
    while count < 0 or lines < 1 + 2 * count:
        if place - data >= min(stored, 44 * MOST_RUNS):
            raise TarError("the map of a sparse file does not end")
        block = read(place, BLOCK)
        if len(block) < BLOCK:
            raise TarError("the map of a sparse file is cut")
        text += block
        lines += block.count(b"\n")
        place += BLOCK
        if count < 0 and b"\n" in text:
            first = bytes(text.partition(b"\n")[0])
            if not first.isdigit() or len(first) > 7 or int(first) > MOST_RUNS:
                raise TarError("the map of a sparse file is damaged")
            count = int(first)
    numbers = text.split(b"\n")[1 : 1 + 2 * count]
    return listed_map([bytes(part) for part in numbers], size, place)


def _checked(runs: list[tuple[int, int]], size: int) -> list[tuple[int, int]]:
    """Return the runs without empty ones, where they rise and stay within the file."""
    kept = [run for run in runs if run[1]]
    if any(offset < 0 or length < 0 or offset + length > size for offset, length in kept):
        raise TarError("the map of a sparse file leads outside it")
    if any(one[0] + one[1] > other[0] for one, other in pairwise(kept)):
        raise TarError("the map of a sparse file is not in order")
    return kept


def extents(found: SparseMap, end: int, base: int) -> Iterator[Extent]:
    """Yield where the runs' bytes are in the source; nothing behind ``end``, where the member's bytes end."""
    place = found.data
    for offset, length in found.runs:
        inside = min(length, end - place)
        if inside <= 0:
            return
        yield Extent(offset, base + place, inside)
        place += length
