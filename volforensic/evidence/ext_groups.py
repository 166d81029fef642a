"""Block groups of ext2/3/4: descriptors and bitmaps, with their checksums verified.

Source: the kernel's Documentation/filesystems/ext4/ (group_descr.rst, bitmaps.rst, checksums.rst, blockgroup.rst).
A descriptor or a bitmap that is not right is said to be so: nothing is told from it.
"""

import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from volforensic.evidence.bad_sectors import read_around
from volforensic.evidence.ext_geometry import Descriptors, read_geometry
from volforensic.evidence.reader import Window
from volforensic.evidence.superblocks import crc32c

INODES_UNINITIALISED, BLOCKS_UNINITIALISED, INODES_ZEROED = 1, 2, 4
_ALL_ONES = 0xFFFFFFFF


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
        geometry = self.geometry = read_geometry(window)
        self._window = window
        self._raw = geometry.raw
        self._descriptors = Descriptors(window, geometry)
        self.blocks_per_group, self.inodes_per_group = geometry.blocks_per_group, geometry.inodes_per_group
        self.blocks_per_cluster = geometry.blocks_per_cluster
        self.block_size, self.first_block, self.blocks = geometry.block_size, geometry.first_block, geometry.blocks
        self.inode_count, self.inode_size = geometry.inode_count, geometry.inode_size
        self.first_inode = geometry.first_inode
        self.count = self._descriptors.count
        self.has_flags = geometry.has_checksums or geometry.has_group_checksums
        self.group = lru_cache(64)(self._group)

    def own_inodes(self, fields: tuple[int, ...]) -> frozenset[int]:
        """Return the inode numbers that stand at these places of the superblock."""
        return frozenset(struct.unpack_from("<I", self._raw, place)[0] for place in fields)

    def blocks_of(self, number: int) -> tuple[int, int]:
        """Return the first block of a group and how many it has."""
        first = self.first_block + number * self.blocks_per_group
        return first, max(0, min(self.blocks_per_group, self.blocks - first))

    def block_bitmap(self, group: Group) -> bytes | str:
        """Return which clusters (blocks, without bigalloc) of the group are in use, a bit each; a text: not known."""
        clusters = self.blocks_per_group // self.blocks_per_cluster
        return self._bitmap(group.block_bitmap, clusters, group.block_checksum, "block bitmap")

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
        geometry = self.geometry
        has_superblock = geometry.has_superblock(number)
        reserved = int(struct.unpack_from("<H", self._raw, 206)[0])
        per_block = geometry.block_size // geometry.descriptor_size
        if number // per_block >= geometry.first_meta_block:
            is_copy = number % per_block in {0, 1, per_block - 1}
            return has_superblock + is_copy
        descriptors = min(-(-self.count // per_block), geometry.first_meta_block)
        return 1 + descriptors + reserved if has_superblock else 0

    def _group(self, number: int) -> Group:
        found = self._descriptors.descriptor(number)
        raw, fault = found.raw, found.fault
        if not raw:
            return Group(number, 0, 0, 0, 0, 0, 0, 0, 0, fault)
        if found.backup:
            fault += f"; its copy in block {found.backup} says where its inodes lie, not what is in use"
        blocks, inodes, table, free, flags, block_sum, inode_sum, unused = struct.unpack_from("<IIIH4xH4xHHH", raw)
        if len(raw) >= 64:
            high = struct.unpack_from("<III6xH4xHH", raw, 32)
            free |= struct.unpack_from("<H", raw, 44)[0] << 16
            blocks, inodes, table = blocks | high[0] << 32, inodes | high[1] << 32, table | high[2] << 32
            unused, block_sum, inode_sum = unused | high[3] << 16, block_sum | high[4] << 16, inode_sum | high[5] << 16
        return Group(number, blocks, inodes, table, flags, free, unused, block_sum, inode_sum, fault)

    def _bitmap(self, block: int, bits: int, stored: int, name: str) -> bytes | str:
        size = bits // 8
        if size > self.block_size or bits % 8:
            return f"its {name} would not fit into a block"
        data, bad = read_around(self._window, block * self.block_size, size) if 0 < block < self.blocks else (b"", [])
        if bad:
            return f"its {name} does not read (read error)"
        if len(data) < size:
            return f"its {name} lies outside the volume"
        if self.geometry.has_checksums:
            found = crc32c(data, self.geometry.seed) ^ _ALL_ONES
            if self.geometry.descriptor_size < 64:
                found &= 0xFFFF
            if found != stored:
                return f"the checksum of its {name} is wrong"
        return data
