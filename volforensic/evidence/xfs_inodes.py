"""Inodes and block maps of an XFS, read by our own arithmetic, with the checksums of version 5 verified.

Source: the kernel's fs/xfs/libxfs/xfs_format.h (xfs_dsb, xfs_dinode, xfs_bmbt_rec, xfs_btree_block) and
xfs_inode_buf.c. A block of an extent tree is entered once and its level falls by one, so every walk ends.
"""

import stat
import struct
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from volforensic.evidence.attributes import NOTHING_EXTENDED, Extended
from volforensic.evidence.bad_sectors import UNREAD, marked, read_around
from volforensic.evidence.checksum_zeros import padded_crc32c
from volforensic.evidence.node import Extent
from volforensic.evidence.reader import Window
from volforensic.evidence.superblocks import checksum_is_right
from volforensic.evidence.xfs_attributes import block_attributes, short_attributes
from volforensic.evidence.xfs_core import BTREE, EXTENTS, INODE_CHECKSUM, LOCAL, OWN_NUMBER, Inode, XfsError, decoded
from volforensic.evidence.xfs_superblocks import xfs_superblock

_RECORD = struct.Struct(">QQ")
_TREE_CHECKSUM = 64
_META_UUID = 4
_LARGEST_FILE = (1 << 63) - 1
_INODES_AT_ONCE = 64
_CACHE_BYTES = 64 << 20
_MOST_VERDICTS = 1 << 18
_USED = b"IN"
_DEEPEST = 9
_SHORT_HEADER, _LONG_HEADER = 24, 72
_MOST_RECORDS = 1 << 20
_MOST_ATTRIBUTE_RUNS = 1 << 12


class Run(NamedTuple):
    """Blocks of a file: the first in the file, the first in the volume (not in the group's numbering), how many."""

    start: int
    block: int
    length: int


class _Piece(NamedTuple):
    """Some inodes: the first, that behind the last, their bytes, a byte for each as verdict."""

    first: int
    end: int
    data: bytes
    verdicts: bytes


class XfsInodes:
    """Holds the geometry of an XFS. XfsError where its superblock cannot be."""

    def __init__(self, window: Window) -> None:
        """Read the superblock."""
        copy = xfs_superblock(window)
        if copy is None:
            raise XfsError("no superblock of an XFS")
        raw = copy.raw
        self._window = window
        self.block_size = struct.unpack_from(">I", raw, 4)[0]
        self.root = struct.unpack_from(">Q", raw, 56)[0]
        self._group_blocks, self._groups = struct.unpack_from(">II", raw, 84)
        version, _, self.inode_size = struct.unpack_from(">HHH", raw, 100)
        inodes_log, self._group_log = raw[123], raw[124]
        features, incompatible = struct.unpack_from(">I12xI", raw, 200)
        self.has_checksums = version & 0xF == 5
        # What every structure of version 5 says: whose it is (META_UUID: its own UUID was changed later).
        self.identity = raw[248:264] if self.has_checksums and incompatible & _META_UUID else raw[32:48]
        self.has_types = bool(incompatible & 1) if self.has_checksums else bool(features & 0x200)
        self.directory_block_size = self.block_size << min(raw[192], 8)
        self._inode_bits = self._group_log + inodes_log
        if not 512 <= self.block_size <= 65536 or self.block_size & (self.block_size - 1):
            raise XfsError(f"the superblock says that a block has {self.block_size} bytes")
        if not 256 <= self.inode_size <= 2048 or self.directory_block_size > 65536:
            raise XfsError(f"the superblock says that an inode has {self.inode_size} bytes")
        if not 0 < self._group_log <= 32 or inodes_log > 8 or not self._group_blocks <= 1 << self._group_log:
            raise XfsError(f"the superblock says that a group has {self._group_blocks} blocks")
        self._pieces = lru_cache(max(4, _CACHE_BYTES // (_INODES_AT_ONCE * self.inode_size)))(self._read_piece)
        self._piece = _Piece(0, 0, b"", b"")
        self._verdicts: dict[int, bytes] = {}

    def at(self, number: int) -> tuple[bytes, int, bool]:
        """Return some inodes, where among them this one stands, and whether its checksum was seen to be right.

        False means that it must be looked at alone. XfsError where the inode's place cannot be read.
        """
        first, end, data, verdicts = self._piece
        if not first <= number < end:
            group, within = number >> self._inode_bits, number & ((1 << self._inode_bits) - 1)
            if group >= self._groups:
                raise XfsError(f"inode {number} would lie in group {group} of {self._groups}")
            piece = self._pieces(group, within // _INODES_AT_ONCE)
            if not piece.first <= number < piece.end:
                raise XfsError(f"inode {number} lies outside the volume")
            first, end, data, verdicts = self._piece = piece
        index = number - first
        verdict = verdicts[index]
        if verdict == UNREAD:
            raise XfsError(f"inode {number} lies in a sector that does not read")
        return data, index * self.inode_size, not verdict

    def read(self, number: int) -> Inode:
        """Return the inode; XfsError where there is none."""
        data, offset, _ = self.at(number)
        raw = data[offset : offset + self.inode_size]
        if not raw.startswith(b"IN"):
            raise XfsError(f"there is no inode {number}: its place holds something else")
        return decoded(number, raw)

    def _read_piece(self, group: int, number: int) -> _Piece:
        size = self.inode_size
        start = group * self._group_blocks * self.block_size + number * _INODES_AT_ONCE * size
        data, bad = read_around(self._window, start, _INODES_AT_ONCE * size)
        first = (group << self._inode_bits) + number * _INODES_AT_ONCE
        if first not in self._verdicts:
            if len(self._verdicts) >= _MOST_VERDICTS:
                self._verdicts.clear()
            self._verdicts[first] = marked(self._judged(first, data), bad, size)
        return _Piece(first, first + len(data) // size, data, self._verdicts[first])

    def _judged(self, first: int, data: bytes) -> bytes:
        """Return a byte for each inode: 0 where it is one in use, and its checksum and number are right."""
        size: int = self.inode_size
        count = len(data) // size
        if not self.has_checksums:
            return b"\1" * count
        cleared = bytearray(data[: count * size])
        for place in range(INODE_CHECKSUM, INODE_CHECKSUM + 4):
            cleared[place::size] = bytes(count)
        verdicts = bytearray(b"\1" * count)
        for number in range(count):
            start = number * size
            if data.startswith(_USED, start) and data[start + 2 : start + 4] != b"\0\0":
                stored = data[start + INODE_CHECKSUM : start + INODE_CHECKSUM + 4]
                found = padded_crc32c(bytes(cleared[start : start + size]))
                is_own = data[start + OWN_NUMBER : start + OWN_NUMBER + 8] == (first + number).to_bytes(8, "big")
                verdicts[number] = found != int.from_bytes(stored, "little") or not is_own
        return bytes(verdicts)

    def runs(self, inode: Inode, problems: list[str]) -> Iterator[Run]:
        """Yield the runs of blocks that were written, in the file's order; what is damaged goes to ``problems``."""
        entered: set[int] = set()
        reached = blocks = number = 0
        for number, (high, low) in enumerate(self._records(inode, problems, entered), start=1):
            if number > _MOST_RECORDS:
                problems.append(f"more than {_MOST_RECORDS} extents")
                return
            start, count = (high & ((1 << 63) - 1)) >> 9, low & 0x1FFFFF
            if start < reached or (start + count) * self.block_size > _LARGEST_FILE:
                problems.append(f"its extent at block {start} of the file cannot be there")
            is_behind = start > reached and start * self.block_size >= inode.size
            if is_behind and not high >> 63 and stat.S_ISREG(inode.mode):  # room kept for growth follows on the rest
                problems.append("written blocks of it lie behind its end")
            blocks, reached = blocks + count, max(reached, start + count)
            if high >> 63:
                continue  # allocated and never written: the host read NUL bytes there
            place = self.place((high & 0x1FF) << 43 | low >> 21)
            if place is None:
                problems.append("an extent lies outside the volume")
                continue
            yield Run(start, place, count)
        if number < inode.extents:
            problems.append(f"it has {inode.extents} extents, {number} were found")
        if inode.mode and inode.blocks != blocks + len(entered):
            named = blocks + len(entered) + self._attribute_blocks(inode)
            if inode.blocks != named:
                problems.append(f"it has {inode.blocks} blocks, its map names {named}: one of them is damaged")

    def _attribute_blocks(self, inode: Inode) -> int:
        """Return how many blocks the extended attributes of an inode have."""
        if inode.attribute_format not in {EXTENTS, BTREE}:
            return 0
        entered: set[int] = set()
        records = self._records(_attribute_inode(inode), [], entered)
        return sum(low & 0x1FFFFF for _, low in islice(records, _MOST_ATTRIBUTE_RUNS)) + len(entered)

    def extents(self, inode: Inode, problems: list[str]) -> Iterator[Extent]:
        """Yield the runs as bytes of the source."""
        size = self.block_size
        for start, block, count in self.runs(inode, problems):
            yield Extent(start * size, self._window.offset + block * size, count * size)

    def read_block(self, block: int) -> bytes:
        """Return a block of the volume; empty where it does not read: no structure has so few bytes."""
        data, bad = self.block_around(block)
        return b"" if bad else data

    def block_around(self, block: int) -> tuple[bytes, list[tuple[int, int]]]:
        """Return a block of the volume with NUL bytes for what does not read, and where that is."""
        return read_around(self._window, block * self.block_size, self.block_size)

    def extended(self, inode: Inode) -> Extended:
        """Return what the extended attributes of an inode say."""
        if not inode.attribute_fork:
            return NOTHING_EXTENDED
        if inode.attribute_format == LOCAL:
            return short_attributes(inode.attribute_fork)
        problems: list[str] = []
        runs = list(islice(self.runs(_attribute_inode(inode), problems), _MOST_ATTRIBUTE_RUNS))
        if not runs and inode.attribute_format == EXTENTS and not problems:
            return NOTHING_EXTENDED

        def read_block(number: int) -> bytes:
            place = next((run.block + number - run.start for run in runs if 0 <= number - run.start < run.length), None)
            return b"" if place is None else self.read_block(place)

        return block_attributes(read_block, problems, has_checksums=self.has_checksums)

    def place(self, block: int) -> int | None:
        """Return which block of the volume a block of a group is; None where it is none."""
        group, within = block >> self._group_log, block & ((1 << self._group_log) - 1)
        if group >= self._groups or within >= self._group_blocks:
            return None
        return int(group * self._group_blocks + within)

    def _records(self, inode: Inode, problems: list[str], visited: set[int]) -> Iterator[tuple[int, int]]:
        if inode.format == EXTENTS:
            count = min(inode.extents, len(inode.fork) // 16)
            if count < inode.extents:
                problems.append(f"the inode says {inode.extents} extents where {count} fit")
            yield from _RECORD.iter_unpack(inode.fork[: count * 16])
        elif inode.format == BTREE:
            level, count = struct.unpack_from(">HH", inode.fork)
            most = (len(inode.fork) - 4) // 16
            if not 0 < level <= _DEEPEST or count > most:
                problems.append("the root of the extent tree is damaged")
                return
            for (pointer,) in struct.iter_unpack(">Q", inode.fork[4 + most * 8 : 4 + most * 8 + count * 8]):
                yield from self._leaf_records(inode.number, pointer, level - 1, problems, visited)

    def _leaf_records(
        self, owner: int, pointer: int, level: int, problems: list[str], visited: set[int]
    ) -> Iterator[tuple[int, int]]:
        place = self.place(pointer)
        data = self.read_block(place) if place is not None and pointer not in visited else b""
        visited.add(pointer)
        header = _LONG_HEADER if self.has_checksums else _SHORT_HEADER
        magic, own_level, count = struct.unpack_from(">4sHH", data) if len(data) == self.block_size else (b"", 0, 0)
        if magic != (b"BMA3" if self.has_checksums else b"BMAP") or own_level != level:
            problems.append(f"block {pointer} of the extent tree is damaged, outside the volume or used twice")
            return
        if self.has_checksums and not checksum_is_right(data, _TREE_CHECKSUM):
            problems.append(f"the checksum of block {pointer} of the extent tree is wrong")
        elif self.has_checksums and int.from_bytes(data[56:64], "big") != owner:
            problems.append(f"block {pointer} of the extent tree belongs to another inode")
        most = (len(data) - header) // 16
        count = min(count, most)
        if not level:
            yield from _RECORD.iter_unpack(data[header : header + count * 16])
            return
        pointers = header + most * 8
        for (below,) in struct.iter_unpack(">Q", data[pointers : pointers + count * 8]):
            yield from self._leaf_records(owner, below, level - 1, problems, visited)


def _attribute_inode(inode: Inode) -> Inode:
    """Return the inode with its attribute fork in place of its data."""
    form, extents = inode.attribute_format, inode.attribute_extents
    return inode._replace(format=form, extents=extents, fork=inode.attribute_fork, blocks=0, mode=0)
