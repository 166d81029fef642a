"""Allocation groups of an XFS: their headers and the trees of free space and inodes, with checksums verified.

Source: the kernel's fs/xfs/libxfs/xfs_format.h (xfs_agf, xfs_agi, xfs_agfl, xfs_btree_block, xfs_alloc_rec,
xfs_inobt_rec). A block of a tree is entered once and its level falls by one, so every walk ends.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from volforensic.evidence.bad_sectors import around, read_around
from volforensic.evidence.reader import Window
from volforensic.evidence.superblocks import checksum_is_right
from volforensic.evidence.xfs_core import XfsError
from volforensic.evidence.xfs_superblocks import superblock_fault, xfs_superblock

UNLINKED_LISTS = 64
_END = 0xFFFFFFFF
_OLD_HEADER, _NEW_HEADER = 16, 56
_TREE_CHECKSUM, _FREE_CHECKSUM, _INODES_CHECKSUM, _LIST_CHECKSUM = 52, 216, 312, 32
_SPARSE_INODES = 2
_FREE_INODES, _OWNERS, _SHARED = 1, 2, 4  # FINOBT, RMAPBT, REFLINK
_FREE_BY_BLOCK = "free space by block", (b"ABTB", b"AB3B"), 8
_FREE_BY_SIZE = "free space by size", (b"ABTC", b"AB3C"), 8
_OWNER_TREE = "owners", (b"", b"RMB3"), 40
_SHARED_TREE = "shared blocks", (b"", b"R3FC"), 4
_FREE_INODE_TREE = "free inodes", (b"FIBT", b"FIB3"), 4
_DEEPEST = 9
_MOST_PROBLEMS = 100
_MOST_GROUPS = 1 << 20


class InodeChunk(NamedTuple):
    """64 inodes of a group: the first one's number within it, a bit for each that is free, one for each not there."""

    first: int
    free: int
    absent: int


class XfsGroups:
    """Holds the geometry of an XFS. XfsError where its superblock cannot be."""

    def __init__(self, window: Window) -> None:
        """Read the superblock."""
        copy = xfs_superblock(window)
        if copy is None:
            raise XfsError("no superblock of an XFS")
        raw = copy.raw
        self._window = window
        self.block_size, self.blocks = struct.unpack_from(">IQ", raw, 4)
        self.group_blocks, self.count = struct.unpack_from(">II", raw, 84)
        version, self._sector_size, self.inode_size = struct.unpack_from(">HHH", raw, 100)
        self.inodes_log, self.group_log = raw[123], raw[124]
        self.is_checked = version & 0xF == 5
        self._read_only = struct.unpack_from(">I", raw, 212)[0]
        self.has_sparse_inodes = self.is_checked and bool(struct.unpack_from(">I", raw, 216)[0] & _SPARSE_INODES)
        # Inodes without a name that are the filesystem's own: the realtime bitmap and summary, the quotas.
        self.own_inodes = {int.from_bytes(raw[place : place + 8], "big") for place in (64, 72, 160, 168, 232)}
        if copy.remark:  # a copy may not know them: mkfs puts the first two behind the root
            root = struct.unpack_from(">Q", raw, 56)[0]
            self.own_inodes |= {root + 1, root + 2}
        sizes = (self.block_size, self._sector_size)
        if any(size & (size - 1) or not 512 <= size <= 65536 for size in sizes) or not self.group_blocks:
            raise XfsError(f"the superblock says that a block has {self.block_size} bytes")
        if not 256 <= self.inode_size <= 2048 or self.inodes_log > 8 or not 0 < self.group_log <= 32:
            raise XfsError(f"the superblock says that an inode has {self.inode_size} bytes")
        inside = min(self.blocks, window.length // self.block_size)
        self.count = min(self.count, -(-inside // self.group_blocks))
        if self.count > _MOST_GROUPS:
            raise XfsError(f"the superblock says that there are {self.count} groups")

    def blocks_of(self, group: int) -> tuple[int, int]:
        """Return the first block of a group and how many it has."""
        first = group * self.group_blocks
        return first, max(0, min(self.group_blocks, self.blocks - first))

    def header(self, group: int, name: bytes) -> bytes | str:
        """Return the group's XAGF, XAGI or XAFL (a list without a header on old ones); a text where it is damaged."""
        sector = {b"XAGF": 1, b"XAGI": 2, b"XAFL": 3}[name]
        place = {b"XAGF": _FREE_CHECKSUM, b"XAGI": _INODES_CHECKSUM, b"XAFL": _LIST_CHECKSUM}[name]
        start = self.blocks_of(group)[0] * self.block_size + sector * self._sector_size
        raw, bad = read_around(self._window, start, self._sector_size)
        if bad:
            return f"its {name.decode()} does not read (read error)"
        if len(raw) < self._sector_size:
            return f"its {name.decode()} lies outside the volume"
        if name == b"XAFL" and not self.is_checked:
            return raw
        if not raw.startswith(name):
            return f"its {name.decode()} is none"
        if self.is_checked and not checksum_is_right(raw, place):
            return f"the checksum of its {name.decode()} is wrong"
        return raw

    def free_runs(self, group: int, header: bytes, problems: list[str]) -> Iterator[tuple[int, int]]:
        """Yield (first block within the group, count) from the group's tree of free space by block."""
        root, level = struct.unpack_from(">I8xI", header, 16)
        magic = b"AB3B" if self.is_checked else b"ABTB"
        for raw in self._leaves(group, root, level, magic, 8, problems):
            yield from struct.iter_unpack(">II", raw)

    def listed_blocks(self, header: bytes, listed: bytes) -> Iterator[int]:
        """Yield the blocks (within the group) that stand on its list of blocks kept for its own trees."""
        first, _, count = struct.unpack_from(">III", header, 40)
        start = 36 if self.is_checked else 0
        room = (len(listed) - start) // 4
        for index in range(min(count, room)):
            place = start + (first + index) % room * 4
            yield int.from_bytes(listed[place : place + 4], "big")

    def inode_chunks(self, group: int, header: bytes, problems: list[str]) -> Iterator[InodeChunk]:
        """Yield the chunks of inodes from the group's tree of inodes."""
        root, level = struct.unpack_from(">II", header, 20)
        magic = b"IAB3" if self.is_checked else b"IABT"
        for raw in self._leaves(group, root, level, magic, 4, problems):
            for first, holes, _, free in struct.iter_unpack(">IHHQ", raw):
                absent = 0
                for bit in range(16 if self.has_sparse_inodes else 0):  # one bit of the mask is four inodes
                    absent |= 0xF << bit * 4 if holes >> bit & 1 else 0
                yield InodeChunk(first, free, absent)

    def damage(self, group: int) -> Iterator[str]:
        """Yield what is wrong with a group's copy of the superblock, its headers, and its trees but that of inodes.

        No file's bytes are found by them: they say what is free, what owns a block, what is shared.
        """
        start = self.blocks_of(group)[0] * self.block_size
        fault = superblock_fault(around(self._window).read_at(start, max(512, self._sector_size))) if group else ""
        if fault:
            yield f"its copy of the superblock is damaged ({fault})"
        header = self.header(group, b"XAGF")
        if isinstance(header, str):
            yield header
            return
        listed = self.header(group, b"XAFL")
        if isinstance(listed, str):
            yield listed
        inodes = self.header(group, b"XAGI")
        trees = [
            (*struct.unpack_from(">I8xI", header, 16), _FREE_BY_BLOCK),
            (*struct.unpack_from(">I8xI", header, 20), _FREE_BY_SIZE),
        ]
        if self.is_checked:
            if self._read_only & _OWNERS:
                trees.append((*struct.unpack_from(">I8xI", header, 24), _OWNER_TREE))
            if self._read_only & _SHARED:
                trees.append((*struct.unpack_from(">II", header, 88), _SHARED_TREE))
            if self._read_only & _FREE_INODES and isinstance(inodes, bytes):
                trees.append((*struct.unpack_from(">II", inodes, 328), _FREE_INODE_TREE))
        for root, level, (name, magics, key_size) in trees:
            problems: list[str] = []
            for _ in self._leaves(group, root, level, magics[self.is_checked], key_size, problems):
                pass
            yield from (f"the tree of {name}: {problem}" for problem in problems)

    def _leaves(  # noqa: PLR0913, PLR0917 - a tree is its group, root, depth, kind and key; no object stands for it
        self, group: int, root: int, level: int, magic: bytes, key_size: int, problems: list[str]
    ) -> Iterator[bytes]:
        """Yield the records of each leaf in order, as bytes."""
        if not 0 < level <= _DEEPEST:
            problems.append(f"a tree of {level} levels")
            return
        header = _NEW_HEADER if self.is_checked else _OLD_HEADER
        waiting, visited = [(root, level - 1)], set[int]()
        while waiting:
            block, depth = waiting.pop()
            raw = b"" if block in visited else self._block(group, block)
            visited.add(block)
            found, own_level, count = struct.unpack_from(">4sHH", raw) if raw else (b"", 0, 0)
            if found != magic or own_level != depth:
                problems.append(f"block {block} of a tree is damaged, outside the group or used twice")
            elif self.is_checked and not checksum_is_right(raw, _TREE_CHECKSUM):
                problems.append(f"the checksum of block {block} of a tree is wrong")
            elif not depth:
                size = 8 if key_size == 8 else 16
                yield raw[header : header + min(count, (len(raw) - header) // size) * size]
            else:
                most = (len(raw) - header) // (key_size + 4)
                start = header + most * key_size
                below = struct.unpack_from(f">{min(count, most)}I", raw, start)
                waiting += [(child, depth - 1) for child in reversed(below)]
            if len(problems) >= _MOST_PROBLEMS:
                return

    def _block(self, group: int, block: int) -> bytes:
        first, count = self.blocks_of(group)
        if not 0 < block < count:
            return b""
        raw, bad = read_around(self._window, (first + block) * self.block_size, self.block_size)
        return raw if len(raw) == self.block_size and not bad else b""


def unlinked_lists(header: bytes) -> list[int]:
    """Return the first inode (within the group) of each list of inodes that were unlinked while open."""
    heads = struct.unpack_from(f">{UNLINKED_LISTS}I", header, 40)
    return [head for head in heads if head != _END]
