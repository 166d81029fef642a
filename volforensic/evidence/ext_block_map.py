"""Where the blocks of an ext2/3/4 inode lie, and whether they are as many as the inode says.

Source: the kernel's Documentation/filesystems/ext4/ (inodes.rst, ifork.rst) and e2fsprogs' e2fsck/pass1.c, which takes
the same for damage: written blocks behind the end of a file, and a count of blocks that is not that of its map. An
extent or indirect block is entered once, so the work is bounded by the blocks that there are.
"""

import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from volforensic.evidence.bad_sectors import read_around
from volforensic.evidence.reader import Window

INLINE_DATA, EXTENTS = 0x10000000, 0x80000
_HUGE_FILE, _VERITY, _BLOCKS_BEHIND_END = 0x40000, 0x100000, 0x400000
_EXTENT_MAGIC = 0xF30A
_DEEPEST = 5
_UNWRITTEN = 32768
_DIRECT = 12
_HEADER = struct.Struct("<HHHH")
_LEAF = struct.Struct("<IHHI")
_INDEX = struct.Struct("<IIH")
_MOST_REMARKS = 5
_HOST_SECTOR = 512


class Inode(NamedTuple):
    """An inode as it is stored: number, bytes, flags, generation, and whether its checksum is right."""

    number: int
    raw: bytes
    flags: int
    is_sound: bool

    @property
    def generation(self) -> bytes:
        """The generation, as checksums take it in."""
        return self.raw[100:104]


class BlockMap(NamedTuple):
    """Runs of blocks: first block of the file, first block of the filesystem, how many; and what was wrong."""

    runs: list[tuple[int, int, int]]
    problems: list[str]


class _Run(NamedTuple):
    start: int
    block: int
    length: int
    is_written: bool = True


class BlockMaps:
    """Holds how block maps are read: window, size of a block, what verifies a block of an extent tree.

    ``is_counted`` is whether an inode's count of blocks is that of its map (not with clusters or ea_inode).
    """

    def __init__(
        self, window: Window, block_size: int, is_right: Callable[[Inode, bytes], bool], *, is_counted: bool
    ) -> None:
        """Keep what is given."""
        self._window = window
        self._block_size = block_size
        self._is_right = is_right
        self._is_counted = is_counted

    def of(self, inode: Inode, size: int) -> BlockMap:
        """Return where the first ``size`` bytes of the file lie; holes and unwritten extents are left out."""
        walk = _Walk(self._window, self._block_size, inode, self._is_right)
        result = BlockMap([], walk.problems)
        wanted = -(-size // self._block_size)
        reached = last = blocks = 0
        for start, block, count, is_written in walk.runs():
            blocks += count
            if not is_written or count <= 0:
                continue
            last = max(last, start + count)
            if start < reached:
                walk.remark(f"its extents overlap at block {start}")
                block, count, start = block + reached - start, count - (reached - start), reached  # noqa: PLW2901 - cut
            if start >= wanted or count <= 0:
                continue
            reached = start + count
            if result.runs and _continues(result.runs[-1], start, block):
                first = result.runs[-1]
                result.runs[-1] = (first[0], first[1], first[2] + count)
            else:
                result.runs.append((start, block, count))
        self._compare(inode, size, last, blocks + len(walk.visited), walk)
        return result

    def _compare(self, inode: Inode, size: int, last: int, blocks: int, walk: "_Walk") -> None:
        """Remark where the map does not fit to the inode's size and to its own count of blocks."""
        if last and (last - 1) * self._block_size >= size and not inode.flags & (_VERITY | _BLOCKS_BEHIND_END):
            behind = last - -(-size // self._block_size)
            walk.remark(f"up to {behind} blocks of it lie behind its end: its size or its map is damaged")
        if walk.problems or not self._is_counted:
            return
        low, high = struct.unpack_from("<I", inode.raw, 28)[0], struct.unpack_from("<H", inode.raw, 116)[0]
        unit = self._block_size if inode.flags & _HUGE_FILE else _HOST_SECTOR
        attributes = struct.unpack_from("<I", inode.raw, 104)[0] | struct.unpack_from("<H", inode.raw, 118)[0] << 32
        stored = (low | high << 32) * unit // self._block_size
        if stored != blocks + bool(attributes):
            walk.remark(f"it has {stored} blocks, its map names {blocks + bool(attributes)}: one of them is damaged")


class _Walk:
    """One walk through the map of an inode: which of its own blocks were entered, and what was wrong."""

    def __init__(self, window: Window, block_size: int, inode: Inode, is_right: Callable[[Inode, bytes], bool]) -> None:
        self._window = window
        self._block_size = block_size
        self._inode = inode
        self._is_right = is_right
        self.problems: list[str] = []
        self.visited: set[int] = set()

    def runs(self) -> Iterator[_Run]:
        root = self._inode.raw[40:100]
        if self._inode.flags & INLINE_DATA:
            return
        if self._inode.flags & EXTENTS:
            yield from self._extents(root, None)
        else:
            yield from self._pointers(root)

    def remark(self, text: str) -> None:
        if text not in self.problems and len(self.problems) < _MOST_REMARKS:
            self.problems.append(text)

    def _entered(self, block: int, kind: str) -> bytes:
        """Return an extent or indirect block; empty where it is none or was entered before."""
        if block in self.visited:
            self.remark(f"{kind} block {block} is used twice")
            return b""
        self.visited.add(block)
        data, bad = read_around(self._window, block * self._block_size, self._block_size)
        if len(data) < self._block_size:
            self.remark(f"{kind} block {block} lies outside the volume")
            return b""
        if bad:
            self.remark(f"{kind} block {block} does not read whole (read error): bytes of it are missing")
        return data

    def _extents(self, data: bytes, depth: int | None) -> Iterator[_Run]:
        magic, entries, _, own_depth = _HEADER.unpack_from(data)
        most = (len(data) - 12) // 12
        if magic != _EXTENT_MAGIC or own_depth > _DEEPEST or (depth is not None and own_depth != depth):
            self.remark("an extent header is damaged")
            return
        if entries > most:
            self.remark(f"an extent header says {entries} entries where {most} fit")
        for place in range(12, 12 + min(entries, most) * 12, 12):
            if not own_depth:
                start, count, high, low = _LEAF.unpack_from(data, place)
                is_written = count <= _UNWRITTEN  # more means: allocated, not written
                yield _Run(start, high << 32 | low, count if is_written else count - _UNWRITTEN, is_written)
                continue
            _, low, high = _INDEX.unpack_from(data, place)
            block = high << 32 | low
            below = self._entered(block, "extent")
            if below:
                if not self._is_right(self._inode, below):
                    self.remark(f"the checksum of extent block {block} is wrong")
                yield from self._extents(below, own_depth - 1)

    def _pointers(self, raw: bytes) -> Iterator[_Run]:
        pointers = struct.unpack("<15I", raw)
        for index in range(_DIRECT):
            if pointers[index]:
                yield _Run(index, pointers[index], 1)
        start, per_block = _DIRECT, self._block_size // 4
        for level in (1, 2, 3):
            yield from self._indirect(pointers[_DIRECT + level - 1], level, start)
            start += per_block**level

    def _indirect(self, block: int, level: int, start: int) -> Iterator[_Run]:
        data = self._entered(block, "indirect") if block else b""
        per_block = self._block_size // 4
        for index, (pointer,) in enumerate(struct.iter_unpack("<I", data)):
            if pointer and level == 1:
                yield _Run(start + index, pointer, 1)
            elif pointer:
                yield from self._indirect(pointer, level - 1, start + index * per_block ** (level - 1))


def _continues(run: tuple[int, int, int], start: int, block: int) -> bool:
    return run[0] + run[2] == start and run[1] + run[2] == block
