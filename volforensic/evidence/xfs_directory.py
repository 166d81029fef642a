"""The entries of an XFS directory: in the inode itself, or in directory blocks.

Source: the kernel's fs/xfs/libxfs/xfs_da_format.h (xfs_dir2_sf_hdr, xfs_dir3_data_hdr, xfs_dir2_data_entry).
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

_BLOCK_MAGICS = {b"XD2B", b"XDB3"}  # the one block of a small directory: its hash table lies at its end
_CHECKED_MAGICS = {b"XDB3", b"XDD3"}
_HEADERS = {b"XD2B": 16, b"XD2D": 16, b"XDB3": 64, b"XDD3": 64}
_OWNER = 40
_FREE = b"\xff\xff"
_FREE_NUMBERS = 0xFFFF << 48  # what begins free space, as a number of eight bytes
_ENTRY = struct.Struct(">QB")


class DirectoryEntry(NamedTuple):
    """What a directory's entry says: an inode's number, a name, a file type (0 where the filesystem keeps none)."""

    inode: int
    name: bytes
    kind: int = 0


def short_entries(fork: bytes, *, has_types: bool) -> Iterator[DirectoryEntry | str]:
    """Yield the entries that lie in the inode; a text where they end too soon."""
    if len(fork) < 6:
        yield "its entries are cut"
        return
    count, wide = fork[0], fork[1]
    size = 8 if wide else 4
    position = 2 + size
    for _ in range(count):
        length = fork[position] if position < len(fork) else 0
        end = position + 3 + length + has_types + size
        if not length or end > len(fork):
            yield "its entries are cut"
            return
        name = fork[position + 3 : position + 3 + length]
        kind = fork[position + 3 + length] if has_types else 0
        yield DirectoryEntry(int.from_bytes(fork[end - size : end], "big"), name, kind)
        position = end


def is_checked(data: bytes) -> bool:
    """Return whether a directory block is of the kind that has a checksum (its bytes 4 to 7)."""
    return data[:4] in _CHECKED_MAGICS


def owner(data: bytes) -> int:
    """Return the inode to which a directory block with a checksum says that it belongs."""
    return int.from_bytes(data[_OWNER : _OWNER + 8], "big")


def block_names(data: bytes, *, has_types: bool) -> list[tuple[int, bytes, int]] | None:
    """Return inode number, name and type of the entries of a block; None where it is damaged: ``block_entries``."""
    position = _HEADERS.get(data[:4], 0)
    end = len(data)
    if data[:4] in _BLOCK_MAGICS:
        end -= 8 + int.from_bytes(data[-8:-4], "big") * 8
    if not position or end < position:
        return None
    found: list[tuple[int, bytes, int]] = []
    unpack, fixed = _ENTRY.unpack_from, 11 + has_types + 7
    while position + 9 <= end:
        number, name_length = unpack(data, position)
        if number >= _FREE_NUMBERS:
            length = number >> 32 & 0xFFFF
            if length < 8 or length & 7:
                return None
        else:
            length = fixed + name_length & ~7
            if not name_length:
                return None
            name_end = position + 9 + name_length
            if name_end >= end:
                return None
            found.append((number, data[position + 9 : name_end], data[name_end] if has_types else 0))
        position += length
    return found if position == end else None


def block_entries(data: bytes, *, has_types: bool) -> Iterator[DirectoryEntry | str]:
    """Yield the entries of a directory block; a text where it is damaged."""
    magic = data[:4]
    if magic not in _HEADERS:
        yield "it is no block of a directory"
        return
    end = len(data)
    if magic in _BLOCK_MAGICS:
        count = int.from_bytes(data[-8:-4], "big")
        end -= 8 + min(count, len(data) // 8) * 8
        if end < _HEADERS[magic]:
            yield f"it says that it has {count} entries"
            end = len(data)
    position = _HEADERS[magic]
    while position + 8 <= end:
        if data[position : position + 2] == _FREE:
            length = int.from_bytes(data[position + 2 : position + 4], "big")
        else:
            number, name_length = struct.unpack_from(">QB", data, position) if position + 9 <= end else (0, 0)
            length = -(-(11 + name_length + has_types) // 8) * 8
            if not name_length or position + length > end:
                yield f"the entry at byte {position} is damaged"
                return
            name_end = position + 9 + name_length
            yield DirectoryEntry(number, data[position + 9 : name_end], data[name_end] if has_types else 0)
        if length < 8 or length % 8 or position + length > end:
            yield f"the free space at byte {position} says that it has {length} bytes"
            return
        position += length
