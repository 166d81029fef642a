"""The inode tables of ext2/3/4, read some hundred inodes at a time and their checksums verified all at once.

Source: the kernel's Documentation/filesystems/ext4/ (inode table, checksums).
"""

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from volforensic.evidence.checksum_columns import wrong_checksums
from volforensic.evidence.reader import Window

_AT_ONCE = 512
_CACHE_BYTES = 32 << 20
_MOST_VERDICTS = 1 << 16
_STORED = (124, 125, 130, 131)
"""Where the four bytes of an inode's checksum stand, the lowest first."""
_GENERATION = 100
_ALL_ONES = 0xFFFFFFFF


class Place(NamedTuple):
    """Where an inode stands in a piece of a table; ``is_right`` where its checksum was seen to be."""

    data: bytes
    offset: int
    is_right: bool


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
        self._read = lru_cache(max(4, _CACHE_BYTES // (_AT_ONCE * size)))(self._read_piece)
        self._verdicts_of = lru_cache(_MOST_VERDICTS)(self._verdicts_of_piece)
        self._first = self._end = 0
        self._data = self._verdicts = b""

    def at(self, number: int) -> Place:
        """Return where the inode stands; ValueError where that cannot be read."""
        if not self._first <= number < self._end:
            self._load(number)
        index = number - self._first
        return Place(self._data, index * self._size, not self._verdicts[index])

    def _load(self, number: int) -> None:
        group, index = divmod(number - 1, self._per_group)
        piece = index // _AT_ONCE
        data = self._read(group, piece) if number > 0 else b""
        count = len(data) // self._size
        if index - piece * _AT_ONCE >= count:
            raise ValueError(f"inode {number} lies outside the volume")
        self._data = data
        self._verdicts = self._verdicts_of(group, piece)
        self._first = group * self._per_group + piece * _AT_ONCE + 1
        self._end = self._first + min(count, self._per_group - piece * _AT_ONCE)

    def _read_piece(self, group: int, piece: int) -> bytes:
        table = self._table_of(group)
        count = min(_AT_ONCE, self._per_group - piece * _AT_ONCE)
        place = table + piece * _AT_ONCE * self._size
        return self._window.read_at(place, count * self._size) if table else b""

    def _verdicts_of_piece(self, group: int, piece: int) -> bytes:
        """Return a byte for each inode of the piece: 0 where its checksum is right, else it is to be looked at."""
        data = self._read(group, piece)
        count = len(data) // self._size
        if self._seed is None:
            return b"\1" * count if self._is_checked else bytes(count)
        size, data = self._size, data[: count * self._size]
        first = group * self._per_group + piece * _AT_ONCE + 1
        numbers = struct.pack(f"<{count}I", *(number & _ALL_ONES for number in range(first, first + count)))
        columns = [numbers[place::4] for place in range(4)]
        columns += [data[place::size] for place in range(_GENERATION, _GENERATION + 4)]
        columns += [b"" if place in _STORED else data[place::size] for place in range(size)]
        return wrong_checksums(columns, [data[place::size] for place in _STORED], self._seed)
