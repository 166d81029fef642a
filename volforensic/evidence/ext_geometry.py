"""What an ext superblock says of its layout, and where the descriptor of each block group lies, with its backups.

Sources: the kernel's Documentation/filesystems/ext4/ (super.rst, blockgroup.rst, bigalloc.rst, group_descr.rst) and
fs/ext4/super.c (descriptor_loc, ext4_group_desc_csum). With meta_bg a block of descriptors lies in the first group that
it describes, its copies in the second and the last one; without it all lie behind each superblock.
"""

import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from volforensic.evidence.reader import Window
from volforensic.evidence.superblocks import crc32c, ext_superblock

_META_GROUPS, _WIDE, _CHECKSUM_SEED = 0x10, 0x80, 0x2000
_FLEXIBLE_GROUPS, _ATTRIBUTE_INODES = 0x200, 0x400
_GROUP_CHECKSUMS, _METADATA_CHECKSUMS, _BIG_CLUSTERS = 0x10, 0x400, 0x200
_SPARSE_SUPERBLOCKS, _TWO_BACKUPS = 1, 0x200
_ALL_ONES = 0xFFFFFFFF
_MOST_GROUPS = 1 << 20
_MOST_BACKUPS = 16
_CHECKSUM_PLACE = 30  # of a descriptor
_TABLE_GROUPS = 1 << 16


class UnknownGeometryError(ValueError):
    """The filesystem is laid out in a way that this module does not know."""


class Geometry(NamedTuple):
    """A superblock's numbers: sizes in bytes, the rest as named. ``seed`` begins every checksum.

    ``blocks_per_cluster`` is 1 without bigalloc: a bit of a block bitmap stands for a cluster. ``superblock`` is the
    block of the copy that was read, ``raw`` its bytes.
    """

    raw: bytes
    superblock: int
    block_size: int
    first_block: int
    blocks: int
    blocks_per_group: int
    blocks_per_cluster: int
    inodes_per_group: int
    inode_count: int
    inode_size: int
    first_inode: int
    descriptor_size: int
    has_checksums: bool
    has_group_checksums: bool
    seed: int

    @property
    def has_meta_groups(self) -> bool:
        """Whether descriptors from ``first_meta_block`` on lie in the groups that they describe."""
        return bool(struct.unpack_from("<I", self.raw, 96)[0] & _META_GROUPS)

    @property
    def has_flexible_groups(self) -> bool:
        """Whether a group's bitmaps and inode table may lie in another group."""
        return bool(struct.unpack_from("<I", self.raw, 96)[0] & _FLEXIBLE_GROUPS)

    @property
    def has_attribute_inodes(self) -> bool:
        """Whether a value of an extended attribute may lie in an inode of its own."""
        return bool(struct.unpack_from("<I", self.raw, 96)[0] & _ATTRIBUTE_INODES)

    @property
    def first_meta_block(self) -> int:
        """The first block of descriptors that lies as meta_bg puts it."""
        return int(struct.unpack_from("<I", self.raw, 260)[0]) if self.has_meta_groups else 1 << 32

    @property
    def table_blocks(self) -> int:
        """How many blocks a group's inode table has."""
        return -(-self.inodes_per_group * self.inode_size // self.block_size)

    def group_block(self, number: int) -> int:
        """Return the first block of a group."""
        return self.first_block + number * self.blocks_per_group

    def has_superblock(self, number: int) -> bool:
        """Return whether a group begins with a superblock (sparse_super: 0, 1 and powers of 3, 5 and 7)."""
        compatible, _, read_only = struct.unpack_from("<III", self.raw, 92)
        if compatible & _TWO_BACKUPS:
            return number == 0 or number in struct.unpack_from("<II", self.raw, 588)
        return not read_only & _SPARSE_SUPERBLOCKS or number <= 1 or any(_is_power(number, base) for base in (3, 5, 7))


class Descriptor(NamedTuple):
    """A group's descriptor: its bytes, what is wrong with the first one, and whose bytes these are.

    ``fault`` is "" where nothing is wrong, ``backup`` the block of the copy that was taken, 0 for the first: a copy
    says truly where the tables lie, not what is in use.
    """

    raw: bytes
    fault: str = ""
    backup: int = 0


def read_geometry(window: Window) -> Geometry:
    """Return what the superblock says; UnknownGeometryError where its numbers cannot be."""
    copy = ext_superblock(window)
    if copy is None:
        raise UnknownGeometryError("no superblock of an ext filesystem")
    raw = copy.raw
    revision, incompatible, read_only = struct.unpack_from("<I16xII", raw, 76)
    first_block, log_size, log_cluster, per_group, _, inodes_per_group = struct.unpack_from("<6I", raw, 20)
    high = struct.unpack_from("<I", raw, 336)[0] if incompatible & _WIDE else 0
    seeded = struct.unpack_from("<I", raw, 624)[0] ^ _ALL_ONES if incompatible & _CHECKSUM_SEED else None
    has_clusters = bool(read_only & _BIG_CLUSTERS)
    if log_size > 6 or (has_clusters and not 0 <= log_cluster - log_size <= 20):
        raise UnknownGeometryError("the superblock's numbers cannot be")
    geometry = Geometry(
        raw=raw,
        superblock=copy.block,
        block_size=1024 << log_size,
        first_block=first_block,
        blocks=struct.unpack_from("<I", raw, 4)[0] | high << 32,
        blocks_per_group=per_group,
        blocks_per_cluster=1 << log_cluster - log_size if has_clusters else 1,
        inodes_per_group=inodes_per_group,
        inode_count=struct.unpack_from("<I", raw)[0],
        inode_size=struct.unpack_from("<H", raw, 88)[0] if revision else 128,
        first_inode=struct.unpack_from("<I", raw, 84)[0] if revision else 11,
        descriptor_size=struct.unpack_from("<H", raw, 254)[0] if incompatible & _WIDE else 32,
        has_checksums=bool(read_only & _METADATA_CHECKSUMS),
        has_group_checksums=bool(read_only & _GROUP_CHECKSUMS) and not read_only & _METADATA_CHECKSUMS,
        seed=crc32c(raw[104:120]) if seeded is None else seeded,
    )
    most = 8 * geometry.block_size  # what a bitmap of one block has bits for
    if not 0 < per_group <= most * geometry.blocks_per_cluster or not 0 < inodes_per_group <= most:
        raise UnknownGeometryError("the superblock's numbers cannot be")
    if not 32 <= geometry.descriptor_size <= 1024 or not 128 <= geometry.inode_size <= 4096:
        raise UnknownGeometryError("the superblock's numbers cannot be")
    return geometry


class Descriptors:
    """Holds where descriptors lie and verifies them: by their checksum, or where there is none by what they say."""

    def __init__(self, window: Window, geometry: Geometry) -> None:
        """Take the geometry."""
        self._window = window
        self._geometry = geometry
        self._per_block = geometry.block_size // geometry.descriptor_size
        inside = min(geometry.blocks, window.length // geometry.block_size)
        groups = -(-max(0, inside - geometry.first_block) // geometry.blocks_per_group)
        self.count = min(groups, _MOST_GROUPS)
        self.descriptor = lru_cache(512)(self._read)
        self.table = lru_cache(_TABLE_GROUPS)(self._table)

    def _table(self, number: int) -> int:
        """Return the byte at which a group's inode table begins, 0 where that cannot be told."""
        raw = self.descriptor(number).raw
        return table_block(raw) * self._geometry.block_size if raw else 0

    def _read(self, number: int) -> Descriptor:
        """Return a group's descriptor: the first, or where that is not right a copy that is."""
        first, *backups = self._places(number)
        raw = self._at(first, number)
        if len(raw) < self._geometry.descriptor_size:
            fault = "its descriptor lies outside the volume"
        else:
            fault = self._fault(number, raw)
            if not fault:
                return Descriptor(raw)
        for block in backups:
            copy = self._at(block, number)
            if len(copy) == self._geometry.descriptor_size and not self._fault(number, copy):
                return Descriptor(copy, fault, block)
        return Descriptor(raw if len(raw) == self._geometry.descriptor_size else b"", fault)

    def _at(self, block: int, number: int) -> bytes:
        size = self._geometry.descriptor_size
        try:
            return self._window.read_at(block * self._geometry.block_size + number % self._per_block * size, size)
        except OSError:
            return b""

    def _places(self, number: int) -> Iterator[int]:
        """Yield the block in which a group's descriptor lies, then those of its copies."""
        geometry, block = self._geometry, number // self._per_block
        if block >= geometry.first_meta_block:
            first = block * self._per_block
            for group in (first, first + 1, first + self._per_block - 1):
                behind = int(geometry.has_superblock(group))
                if geometry.block_size == 1024 and not group and not geometry.first_block:
                    behind += 1  # bigalloc: the superblock lies in block 1 all the same
                yield geometry.group_block(group) + behind
            return
        own = geometry.superblock or (1 if geometry.block_size == 1024 else 0)
        yield own + 1 + block
        found = 0
        for group in self._backup_groups():
            place = geometry.group_block(group)
            if place != own and found < _MOST_BACKUPS:
                found += 1
                yield place + 1 + block

    def _backup_groups(self) -> Iterator[int]:
        if not struct.unpack_from("<I", self._geometry.raw, 100)[0] & _SPARSE_SUPERBLOCKS:
            yield from range(1, min(self.count, _MOST_BACKUPS + 2))
        for group in sorted({1, *struct.unpack_from("<II", self._geometry.raw, 588), *_powers(self.count)}):
            if 0 < group < self.count and self._geometry.has_superblock(group):
                yield group

    def _fault(self, number: int, raw: bytes) -> str:
        """Return what is wrong with a descriptor, "" for nothing."""
        geometry = self._geometry
        stored = int.from_bytes(raw[_CHECKSUM_PLACE : _CHECKSUM_PLACE + 2], "little")
        place = number.to_bytes(4, "little")
        found = stored
        if geometry.has_checksums:
            cleared = raw[:_CHECKSUM_PLACE] + bytes(2) + raw[_CHECKSUM_PLACE + 2 :]
            found = (crc32c(place + cleared, geometry.seed) ^ _ALL_ONES) & 0xFFFF
        elif geometry.has_group_checksums:
            rest = raw[_CHECKSUM_PLACE + 2 :] if geometry.descriptor_size > 32 else b""
            found = _crc16(geometry.raw[104:120] + place + raw[:_CHECKSUM_PLACE] + rest)
        if stored != found:
            return "the checksum of its descriptor is wrong"
        table = table_block(raw)
        if not geometry.first_block < table <= geometry.blocks - geometry.table_blocks:
            return "its descriptor puts the inode table outside the filesystem"
        if not geometry.has_flexible_groups and not geometry.has_meta_groups:
            first = geometry.group_block(number)
            if not first <= table <= first + geometry.blocks_per_group - geometry.table_blocks:
                return "its descriptor puts the inode table outside the group"
        return ""


def table_block(raw: bytes) -> int:
    """Return the block at which a descriptor says that the inode table begins."""
    high = int.from_bytes(raw[40:44], "little") if len(raw) >= 64 else 0
    return int.from_bytes(raw[8:12], "little") | high << 32


def _powers(count: int) -> Iterator[int]:
    for base in (3, 5, 7):
        power = base
        while power < count:
            yield power
            power *= base


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
