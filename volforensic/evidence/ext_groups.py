"""Block groups of ext2/3/4: descriptors and bitmaps, with their checksums verified.

Source: the kernel's Documentation/filesystems/ext4/ (group_descr.rst, bitmaps.rst, checksums.rst, blockgroup.rst).
A descriptor or a bitmap that is not right is said to be so: nothing is told from it.
"""

import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from volforensic.evidence.ext_inodes import UnknownGeometryError
from volforensic.evidence.reader import Window
from volforensic.evidence.superblocks import crc32c, ext_superblock

INODES_UNINITIALISED, BLOCKS_UNINITIALISED, INODES_ZEROED = 1, 2, 4
_META_GROUPS, _WIDE, _CHECKSUM_SEED = 0x10, 0x80, 0x2000
_GROUP_CHECKSUMS, _METADATA_CHECKSUMS, _BIG_CLUSTERS = 0x10, 0x400, 0x200
_SPARSE_SUPERBLOCKS, _TWO_BACKUPS = 1, 0x200
_ALL_ONES = 0xFFFFFFFF
_MOST_GROUPS = 1 << 20
_CHECKSUM_PLACE = 30  # of a descriptor


class Group(NamedTuple):
    """A group's descriptor: blocks of its bitmaps and inode table, flags, inodes never used; ``fault`` "" if right."""

    number: int
    block_bitmap: int
    inode_bitmap: int
    inode_table: int
    flags: int
    free_blocks: int
    unused_inodes: int
    block_checksum: int
    inode_checksum: int
    fault: str


class ExtGroups:
    """Holds the geometry of an ext filesystem. UnknownGeometryError where it does not know it."""

    def __init__(self, window: Window) -> None:
        """Read the superblock."""
        copy = ext_superblock(window)
        if copy is None:
            raise UnknownGeometryError("no superblock of an ext filesystem")
        raw = copy.raw
        self._window = window
        self._raw = raw
        revision, incompatible, read_only = struct.unpack_from("<I16xII", raw, 76)
        log_size, *per_group = struct.unpack_from("<I4xI4xI", raw, 24)
        self.blocks_per_group: int = per_group[0]
        self.inodes_per_group: int = per_group[1]
        if log_size > 6 or incompatible & _META_GROUPS or read_only & _BIG_CLUSTERS:
            raise UnknownGeometryError("meta block groups, clusters, or numbers that cannot be")
        self.block_size: int = 1024 << log_size
        self.first_block: int = struct.unpack_from("<I", raw, 20)[0]
        high = struct.unpack_from("<I", raw, 336)[0] if incompatible & _WIDE else 0
        self.blocks: int = struct.unpack_from("<I", raw, 4)[0] | high << 32
        self.inode_count: int = struct.unpack_from("<I", raw)[0]
        self.inode_size: int = struct.unpack_from("<H", raw, 88)[0] if revision else 128
        self.first_inode: int = struct.unpack_from("<I", raw, 84)[0] if revision else 11
        self.descriptor_size: int = struct.unpack_from("<H", raw, 254)[0] if incompatible & _WIDE else 32
        most = 8 * self.block_size  # what a bitmap of one block has bits for
        if not 0 < self.blocks_per_group <= most or not 0 < self.inodes_per_group <= most:
            raise UnknownGeometryError("the superblock's numbers cannot be")
        if not 32 <= self.descriptor_size <= 1024 or not 128 <= self.inode_size <= 4096:
            raise UnknownGeometryError("the superblock's numbers cannot be")
        inside = min(self.blocks, window.length // self.block_size)
        self.count = min(-(-max(0, inside - self.first_block) // self.blocks_per_group), _MOST_GROUPS)
        self._descriptors = ((copy.block or self.first_block) + 1) * self.block_size
        self._has_checksums = bool(read_only & _METADATA_CHECKSUMS)
        self._has_old_checksums = bool(read_only & _GROUP_CHECKSUMS) and not self._has_checksums
        self.has_flags = self._has_checksums or self._has_old_checksums
        seeded = struct.unpack_from("<I", raw, 624)[0] ^ _ALL_ONES if incompatible & _CHECKSUM_SEED else None
        self._seed = crc32c(raw[104:120]) if seeded is None else seeded
        self.group = lru_cache(64)(self._group)

    def own_inodes(self, fields: tuple[int, ...]) -> frozenset[int]:
        """Return the inode numbers that stand at these places of the superblock."""
        return frozenset(struct.unpack_from("<I", self._raw, place)[0] for place in fields)

    def blocks_of(self, number: int) -> tuple[int, int]:
        """Return the first block of a group and how many it has."""
        first = self.first_block + number * self.blocks_per_group
        return first, max(0, min(self.blocks_per_group, self.blocks - first))

    def block_bitmap(self, group: Group) -> bytes | str:
        """Return which blocks of the group are in use, a bit each; a text where that is not known."""
        return self._bitmap(group.block_bitmap, self.blocks_per_group, group.block_checksum, "block bitmap")

    def inode_bitmap(self, group: Group) -> bytes | str:
        """Return which inodes of the group are in use, a bit each; a text where that is not known."""
        if self.has_flags and group.flags & INODES_UNINITIALISED:
            return bytes(self.inodes_per_group // 8)
        return self._bitmap(group.inode_bitmap, self.inodes_per_group, group.inode_checksum, "inode bitmap")

    def metadata(self) -> Iterator[tuple[int, int]]:
        """Yield (first block, count) of every bitmap, inode table, superblock and descriptor table."""
        table = -(-self.inodes_per_group * self.inode_size // self.block_size)
        for number in range(self.count):
            group = self._group(number)
            yield group.block_bitmap, 1
            yield group.inode_bitmap, 1
            yield group.inode_table, table
            yield self.blocks_of(number)[0], self._overhead(number)

    def _overhead(self, number: int) -> int:
        if not self._has_superblock(number):
            return 0
        descriptors: int = -(-self.count * self.descriptor_size // self.block_size)
        return 1 + descriptors + int(struct.unpack_from("<H", self._raw, 206)[0])

    def _has_superblock(self, number: int) -> bool:
        compatible, _, read_only = struct.unpack_from("<III", self._raw, 92)
        if compatible & _TWO_BACKUPS:
            return number == 0 or number in struct.unpack_from("<II", self._raw, 588)
        return not read_only & _SPARSE_SUPERBLOCKS or number <= 1 or any(_is_power(number, base) for base in (3, 5, 7))

    def _group(self, number: int) -> Group:
        size = self.descriptor_size
        raw = self._window.read_at(self._descriptors + number * size, size)
        if len(raw) < size:
            return Group(number, 0, 0, 0, 0, 0, 0, 0, 0, "its descriptor lies outside the volume")
        blocks, inodes, table, free, flags, block_sum, inode_sum, unused = struct.unpack_from("<IIIH4xH4xHHH", raw)
        if size >= 64:
            high = struct.unpack_from("<III6xH4xHH", raw, 32)
            free |= struct.unpack_from("<H", raw, 44)[0] << 16
            blocks, inodes, table = blocks | high[0] << 32, inodes | high[1] << 32, table | high[2] << 32
            unused, block_sum, inode_sum = unused | high[3] << 16, block_sum | high[4] << 16, inode_sum | high[5] << 16
        fault = "" if self._is_descriptor_right(number, raw) else "the checksum of its descriptor is wrong"
        return Group(number, blocks, inodes, table, flags, free, unused, block_sum, inode_sum, fault)

    def _is_descriptor_right(self, number: int, raw: bytes) -> bool:
        stored = int.from_bytes(raw[_CHECKSUM_PLACE : _CHECKSUM_PLACE + 2], "little")
        place = number.to_bytes(4, "little")
        if self._has_checksums:
            cleared = raw[:_CHECKSUM_PLACE] + bytes(2) + raw[_CHECKSUM_PLACE + 2 :]
            return stored == (crc32c(place + cleared, self._seed) ^ _ALL_ONES) & 0xFFFF
        if self._has_old_checksums:
            rest = raw[_CHECKSUM_PLACE + 2 :] if self.descriptor_size > 32 else b""
            return stored == _crc16(self._raw[104:120] + place + raw[:_CHECKSUM_PLACE] + rest)
        return True

    def _bitmap(self, block: int, bits: int, stored: int, name: str) -> bytes | str:
        size = bits // 8
        if size > self.block_size or bits % 8:
            return f"its {name} would not fit into a block"
        data = self._window.read_at(block * self.block_size, size) if 0 < block < self.blocks else b""
        if len(data) < size:
            return f"its {name} lies outside the volume"
        if self._has_checksums:
            found = (crc32c(data, self._seed) ^ _ALL_ONES) & (_ALL_ONES if self.descriptor_size >= 64 else 0xFFFF)
            if found != stored:
                return f"the checksum of its {name} is wrong"
        return data


def _is_power(number: int, base: int) -> bool:
    while number > 1 and not number % base:
        number //= base
    return number == 1


def _crc16_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)  # noqa: PLW2901 - the register that is shifted
        table.append(value)
    return tuple(table)


_CRC16 = _crc16_table()


def _crc16(data: bytes) -> int:
    """Return the CRC-16 (polynomial 0x8005, reflected) that old group descriptors carry (lib/crc16.c)."""
    value = 0xFFFF
    for byte in data:
        value = value >> 8 ^ _CRC16[(value ^ byte) & 0xFF]
    return value
