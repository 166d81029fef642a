"""The inode tables of ext2/3/4, read some hundred inodes at a time and their checksums verified all at once.

Source: the kernel's Documentation/filesystems/ext4/ (inode table, checksums).
"""

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from volforensic.evidence.bad_sectors import UNREAD, marked, read_around
from volforensic.evidence.checksum_columns import wrong_checksums
from volforensic.evidence.reader import Window

_AT_ONCE = 512
_CACHE_BYTES = 64 << 20
_MOST_VERDICTS = 1 << 16
_STORED = (124, 125, 130, 131)
"""Where the four bytes of an inode's checksum stand, the lowest first."""
_GENERATION = 100
_ALL_ONES = 0xFFFFFFFF


class _Piece(NamedTuple):
    """A piece of a table: its first inode and that behind its last, its bytes, a byte for each inode as verdict."""

    first: int
    end: int
    data: bytes
    verdicts: bytes


class InodeTables:
    """Holds pieces of the inode tables. ``table_of`` gives the byte at which a group's table begins, 0 for nowhere.

    ``seed`` is that of the checksums, None where there are none: then every inode is right.
    """

    def __init__(
        self, window: Window, size: int, per_group: int, table_of: Callable[[int], int], seed: int | None
    ) -> None:
        """Take the geometry: an inode's size in bytes, how many of them a group has."""
        self._window = window
        self._size = size
        self._per_group = per_group
        self._table_of = table_of
        self._seed = seed if size > 128 else None
        self._is_checked = seed is not None
        self._verdicts: dict[int, bytes] = {}
        self._pieces = lru_cache(max(4, _CACHE_BYTES // (_AT_ONCE * size)))(self._read_piece)
        self._piece = _Piece(0, 0, b"", b"")

    def at(self, number: int) -> tuple[bytes, int, bool]:
        """Return a piece of the table, where in it the inode stands, and whether its checksum was seen to be right.

        False means that it must be looked at alone. ValueError where the inode's place cannot be read.
        """
        first, end, data, verdicts = self._piece
        if not first <= number < end:
            first, end, data, verdicts = self._piece = self._around(number)
        index = number - first
        verdict = verdicts[index]
        if verdict == UNREAD:
            raise ValueError(f"inode {number} lies in a sector that does not read")
        return data, index * self._size, not verdict

    def _around(self, number: int) -> _Piece:
        group, index = divmod(number - 1, self._per_group)
        piece = self._pieces(group, index // _AT_ONCE) if number > 0 else self._piece
        if not piece.first <= number < piece.end:
            raise ValueError(f"inode {number} lies outside the volume")
        return piece

    def _read_piece(self, group: int, number: int) -> _Piece:
        table, begin = self._table_of(group), number * _AT_ONCE
        wanted = min(_AT_ONCE, self._per_group - begin) * self._size
        data, bad = read_around(self._window, table + begin * self._size, wanted) if table else (b"", [])
        data = data[: len(data) - len(data) % self._size]
        first = group * self._per_group + begin + 1
        if first not in self._verdicts:
            if len(self._verdicts) >= _MOST_VERDICTS:
                self._verdicts.clear()
            self._verdicts[first] = marked(self._judged(first, data), bad, self._size)
        return _Piece(first, first + len(data) // self._size, data, self._verdicts[first])

    def _judged(self, first: int, data: bytes) -> bytes:
        """Return a byte for each inode of the piece: 0 where its checksum is right, else it is to be looked at."""
        count, size = len(data) // self._size, self._size
        if self._seed is None or not count:
            return bytes([self._is_checked]) * count
        numbers = struct.pack(f"<{count}I", *(number & _ALL_ONES for number in range(first, first + count)))
        columns = [numbers[place::4] for place in range(4)]
        columns += [data[place::size] for place in range(_GENERATION, _GENERATION + 4)]
        columns += [b"" if place in _STORED else data[place::size] for place in range(size)]
        return wrong_checksums(columns, [data[place::size] for place in _STORED], self._seed)
