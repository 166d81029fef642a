"""Inodes of ext2/3/4 read by our own arithmetic: where a file's blocks lie, bounded, with checksums verified.

TSK gives names and inodes; its block maps follow a circle until memory ends, and it verifies no checksum. Source: the
kernel's Documentation/filesystems/ext4/ (inodes, block groups, extent tree, checksums). An extent or indirect block
is entered once, so the work is bounded by the blocks that there are.
"""

import struct
from collections.abc import Iterator

from volforensic.evidence.bad_sectors import read_around
from volforensic.evidence.checksum_zeros import padded_crc32c
from volforensic.evidence.ext_attributes import AttributeBlocks
from volforensic.evidence.ext_block_map import BlockMap, BlockMaps, Inode
from volforensic.evidence.ext_geometry import Descriptors, read_geometry
from volforensic.evidence.ext_tables import InodeTables
from volforensic.evidence.node import Extent
from volforensic.evidence.reader import Window
from volforensic.evidence.superblocks import crc32c

INDEXED_DIRECTORY = 0x1000
ATTRIBUTE_INODE, ENCRYPTED, CASEFOLDED = 0x200000, 0x800, 0x40000000
_ALL_ONES = 0xFFFFFFFF


class ExtInodes:
    """Holds the geometry of an ext filesystem. UnknownGeometryError where it does not know it."""

    def __init__(self, window: Window) -> None:
        """Read the superblock."""
        self.geometry = read_geometry(window)
        self.descriptors = Descriptors(window, self.geometry)
        self.inode_size = self.geometry.inode_size
        self.count = self.geometry.inode_count
        self.block_size = self.geometry.block_size
        self._window = window
        self._has_checksums = self.geometry.has_checksums
        self._seed = self.geometry.seed
        seed = self._seed if self._has_checksums else None
        per_group = self.geometry.inodes_per_group
        self.at = InodeTables(window, self.inode_size, per_group, self.descriptors.table, seed).at
        is_counted = self.geometry.blocks_per_cluster == 1 and not self.geometry.has_attribute_inodes
        maps = BlockMaps(window, self.block_size, self._is_extent_block_right, is_counted=is_counted)
        self.block_map = maps.of

    def read(self, number: int) -> Inode:
        """Return the inode; ValueError where its place cannot be read."""
        data, offset, is_right = self.at(number)
        raw = data[offset : offset + self.inode_size]
        inode = Inode(number, raw, int.from_bytes(raw[32:36], "little"), is_sound=True)
        if is_right and (not self._has_checksums or _has_high_checksum(raw)):
            return inode
        return inode._replace(is_sound=self._is_right(inode))

    def extents(self, block_map: BlockMap) -> Iterator[Extent]:
        """Yield the map's runs as bytes of the source."""
        for start, block, count in block_map.runs:
            size = self.block_size
            yield Extent(start * size, self._window.offset + block * size, count * size)

    def attribute_blocks(self) -> AttributeBlocks:
        """Return the reader of extended attributes."""
        seed = self._seed if self._has_checksums else None
        return AttributeBlocks(self.read_block, self.block_size, seed, self._attribute_value)

    def _attribute_value(self, number: int, size: int) -> bytes:
        """Return an attribute's value that an inode of its own holds (ea_inode); ValueError where it is none."""
        inode = self.read(number)
        if not inode.flags & ATTRIBUTE_INODE:
            raise ValueError(f"inode {number} holds no value of an attribute")
        block_map = self.block_map(inode, max(size, int.from_bytes(inode.raw[4:8], "little")))
        place = block_map.runs[0][1] * self.block_size if block_map.runs else 0
        value = self._window.read_at(place, size) if place else b""
        if block_map.problems or len(value) < size:
            raise ValueError("; ".join(block_map.problems) or f"inode {number} has fewer than {size} bytes")
        return value

    def read_block(self, block: int) -> bytes:
        """Return a block of the volume, shorter where that ends before."""
        return self._window.read_at(block * self.block_size, self.block_size)

    def directory_blocks(self, inode: Inode, block_map: BlockMap) -> Iterator[tuple[int, bytes, str]]:
        """Yield each block of a directory that holds names: its number, its bytes, what is wrong with it."""
        seed = self._inode_seed(inode)
        visited: set[int] = set()
        for start, block, count in block_map.runs:
            for index in range(count):
                if block + index in visited:
                    yield start + index, b"", "it is used twice"
                    continue
                visited.add(block + index)
                data, bad = read_around(self._window, (block + index) * self.block_size, self.block_size)
                if len(data) < self.block_size:
                    yield start + index, b"", "it lies outside the volume"
                    return
                if bad:
                    yield (
                        start + index,
                        data,
                        f"{sum(length for _, length in bad)} bytes of it do not read (read error)",
                    )
                    continue
                is_index = bool(inode.flags & INDEXED_DIRECTORY) and (start + index == 0 or _is_index_block(data))
                wrong = self._wrong_index(data, seed) if is_index else self._wrong_checksum(data, seed)
                yield start + index, data, wrong

    def _wrong_checksum(self, data: bytes, seed: int) -> str:
        """Return what is wrong with the tail of a directory's block, "" for nothing."""
        if not self._has_checksums:
            return ""
        if data[-12:-4] != b"\0\0\0\0\x0c\0\0\xde":
            return "it has no checksum"
        found = padded_crc32c(data[:-12], seed) ^ _ALL_ONES
        return "" if int.from_bytes(data[-4:], "little") == found else "its checksum is wrong"

    def _wrong_index(self, data: bytes, seed: int) -> str:
        """Return what is wrong with the checksum of a block of a directory's index (fs/ext4/namei.c, ext4_dx_csum)."""
        if not self._has_checksums:
            return ""
        entries = 8 if int.from_bytes(data[4:6], "little") in {len(data), 0, 65535} else 24 + data[29]
        limit, count = struct.unpack_from("<HH", data, entries) if entries + 4 <= len(data) else (0, 0)
        tail = entries + limit * 8
        if not 0 < count <= limit or tail + 8 > len(data):
            return "its index is damaged"
        found = crc32c(data[tail : tail + 4] + bytes(4), crc32c(data[: entries + count * 8], seed)) ^ _ALL_ONES
        return (
            "" if int.from_bytes(data[tail + 4 : tail + 8], "little") == found else "the checksum of its index is wrong"
        )

    def _inode_seed(self, inode: Inode) -> int:
        return int(crc32c(inode.number.to_bytes(4, "little") + inode.generation, self._seed))

    def _is_right(self, inode: Inode) -> bool:
        """Return whether the inode's checksum fits: its low half in the first 128 bytes, its high half behind."""
        raw = inode.raw
        has_high = _has_high_checksum(raw)
        stored = int.from_bytes(raw[124:126], "little")
        cleared = raw[:124] + b"\0\0" + raw[126:]
        if has_high:
            stored |= int.from_bytes(raw[130:132], "little") << 16
            cleared = cleared[:130] + b"\0\0" + cleared[132:]
        found = crc32c(cleared, self._inode_seed(inode)) ^ _ALL_ONES
        return stored == int(found if has_high else found & 0xFFFF)

    def _is_extent_block_right(self, inode: Inode, data: bytes) -> bool:
        if not self._has_checksums:
            return True
        tail = 12 + min(int.from_bytes(data[4:6], "little"), (len(data) - 12) // 12) * 12
        stored = int.from_bytes(data[tail : tail + 4], "little")
        return stored == int(crc32c(data[:tail], self._inode_seed(inode)) ^ _ALL_ONES)


def _has_high_checksum(raw: bytes) -> bool:
    return len(raw) > 132 and int.from_bytes(raw[128:130], "little") >= 4


def _is_index_block(data: bytes) -> bool:
    """Return whether a block of an indexed directory holds hashes: its one entry is empty and spans the block."""
    return len(data) > 8 and data[:4] == bytes(4) and int.from_bytes(data[4:6], "little") == len(data) and not data[6]
