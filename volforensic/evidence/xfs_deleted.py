"""Names that were removed from an XFS directory and still stand in the free space of its blocks.

Source: the kernel's fs/xfs/libxfs/xfs_dir2_data.c (xfs_dir2_data_make_free): the first two bytes of a removed entry
become 0xffff, the next two the length of the free space, its last two where that begins. So the lower half of the
inode's number stays, and the name; where free spaces were joined, the later entries stay as they were.
"""

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

_HEADERS = {b"XD2B": 16, b"XD2D": 16, b"XDB3": 64, b"XDD3": 64}
_BLOCK_MAGICS = {b"XD2B", b"XDB3"}  # the hash table lies at the block's end
_BEST_FREE = {16: 4, 64: 48}  # where a header keeps its three largest free spaces: offset and length of each
_FREE = 0xFFFF
_NOT_NUL = re.compile(rb"[^\0]")


class RemovedName(NamedTuple):
    """A removed entry: the lower half of its inode's number, its upper half where that still stands, and the name."""

    inode: int
    upper: int | None
    name: bytes


def removed_names(data: bytes, *, has_types: bool) -> Iterator[RemovedName]:
    """Yield the names that stand in the free spaces of a directory block: none where its header says so."""
    header = _HEADERS.get(data[:4], 0)
    if not header or len(data) < 512:
        return
    end = len(data)
    if data[:4] in _BLOCK_MAGICS:
        end -= 8 + min(int.from_bytes(data[-8:-4], "big"), len(data) // 8) * 8
    best = struct.unpack_from(">6H", data, _BEST_FREE[header])
    if not best[1]:
        return
    spaces = (
        _free_spaces(data, header, end, has_types=has_types) if best[5] else zip(best[::2], best[1::2], strict=True)
    )
    for start, length in spaces:
        is_free = start >= header and int.from_bytes(data[start : start + 2], "big") == _FREE
        if length and is_free and not start % 8 and start + length <= end:
            yield from _names(data, start, start + length, has_types=has_types)


def _free_spaces(data: bytes, position: int, end: int, *, has_types: bool) -> Iterator[tuple[int, int]]:
    """Yield the free spaces entry by entry: where there are more than the header has room for."""
    while position + 16 <= end:
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        if int.from_bytes(data[position : position + 2], "big") != _FREE:
            position += -(-(11 + data[position + 8] + has_types) // 8) * 8
        elif length < 8 or length % 8:
            return
        else:
            yield position, length
            position += length


def _names(data: bytes, begin: int, end: int, *, has_types: bool) -> Iterator[RemovedName]:
    """Yield the entries of a free space: each ends with a tag that says where it, or the space, begins."""
    position = begin
    while position + 16 <= end:
        used = _NOT_NUL.search(data, position, end)
        position = max(position, used.start() & ~7) if used else end
        if position + 16 > end:
            return
        length = data[position + 8]
        size = -(-(11 + length + has_types) // 8) * 8
        name = data[position + 9 : position + 9 + length]
        tag = int.from_bytes(data[position + size - 2 : position + size], "big")
        if length and position + size <= end and tag in {position, begin} and not (b"\0" in name or b"/" in name):
            upper = int.from_bytes(data[position : position + 4], "big")
            lower = int.from_bytes(data[position + 4 : position + 8], "big")
            is_whole = position != begin and upper >> 16 != _FREE
            if lower and name not in {b".", b".."}:
                yield RemovedName(lower, upper if is_whole else None, name)
            position += size
        else:
            position += 8
