"""The blocks of a btrfs filesystem: where its trees stand, their nodes and leaves, the superblock.

Structures: include/uapi/linux/btrfs_tree.h and fs/btrfs/fs.h of the kernel, ch-on-disk-format.rst of btrfs-progs.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from uuid import UUID, uuid5

from images import btrfs_items as items
from images.btrfs_items import FIRST_OBJECT, GENERATION, NODE_SIZE, SECTOR_SIZE, Extent, Item
from images.checksum import crc32c

ROOT_TREE, EXTENT_TREE, CHUNK_TREE, DEVICE_TREE, FILE_TREE, ROOT_DIRECTORY, CHECKSUM_TREE = range(1, 8)
DATA, SYSTEM, METADATA = 1, 2, 4
MEBIBYTE = 1 << 20
SUPERBLOCK = 65536
SHIFT = 16 * MEBIBYTE  # logical addresses are not the physical ones, as on a disk that has lived
_FEATURES = 0x1 | 0x40 | 0x100 | 0x200  # mixed and extended back references, skinny metadata, no holes
_BLOCK_FLAGS = 1 | 1 << 56  # written; back reference revision 1


class Chunk(NamedTuple):
    """A range of logical addresses and what is kept there."""

    kind: int
    logical: int
    length: int

    @property
    def physical(self) -> int:
        """Where it begins on the device."""
        return self.logical - SHIFT


class Tree(NamedTuple):
    """A tree: its number, its items and the address of its first block; its leaves come first, its root last."""

    owner: int
    items: list[Item]
    address: int
    shape: list[int]

    @property
    def blocks(self) -> int:
        """How many blocks it has."""
        return sum(self.shape)

    @property
    def root(self) -> int:
        """The address of its root."""
        return self.address + (self.blocks - 1) * NODE_SIZE

    @property
    def level(self) -> int:
        """The level of its root: 0 where it is a leaf."""
        return len(self.shape) - 1


class Volume(NamedTuple):
    """What every part needs to know: the size in bytes, the UUIDs, the label and when it was made (nanoseconds)."""

    size: int
    filesystem: UUID
    label: str
    made: int

    @property
    def device(self) -> UUID:
        """The UUID of its one device."""
        return uuid5(self.filesystem, "device")

    @property
    def chunk_tree(self) -> UUID:
        """The UUID of its chunk tree."""
        return uuid5(self.filesystem, "chunk tree")

    @property
    def chunks(self) -> tuple[Chunk, Chunk, Chunk]:
        """Its chunks: the first MiB is reserved, the data take what is left."""
        system = Chunk(SYSTEM, SHIFT + MEBIBYTE, 4 * MEBIBYTE)
        metadata = Chunk(METADATA, system.logical + system.length, 8 * MEBIBYTE)
        data = metadata.logical + metadata.length
        return system, metadata, Chunk(DATA, data, self.size - (data - SHIFT))


def device_data(volume: Volume) -> bytes:
    """Return the item of the one device, as it stands in the chunk tree and in the superblock."""
    used = sum(chunk.length for chunk in volume.chunks)
    return items.device(volume.size, used, volume.device, volume.filesystem)


def blocks(volume: Volume, tree: Tree) -> Iterator[tuple[int, bytes]]:
    """Yield the tree's blocks with their addresses, the leaves first."""
    address = tree.address
    pointers: list[bytes] = []
    for leaf in items.leaves(tree.items):
        first = items.key(*leaf[0][:3]) if leaf else bytes(17)
        pointers.append(first + struct.pack("<QQ", address, GENERATION))
        yield address, _block(volume, tree.owner, address, (len(leaf), 0), _leaf_body(leaf))
        address += NODE_SIZE
    for level in range(1, len(tree.shape)):
        width = (NODE_SIZE - items.NODE_HEADER) // items.POINTER_SIZE
        groups = [pointers[start : start + width] for start in range(0, len(pointers), width)]
        pointers = []
        for group in groups:
            pointers.append(group[0][:17] + struct.pack("<QQ", address, GENERATION))
            yield address, _block(volume, tree.owner, address, (len(group), level), b"".join(group))
            address += NODE_SIZE


def _leaf_body(leaf: Sequence[Item]) -> bytes:
    """Return item headers from the front and their data from the back."""
    headers, data, end = bytearray(), bytearray(), NODE_SIZE - items.NODE_HEADER
    for item in leaf:
        end -= len(item.data)
        headers += items.key(*item[:3]) + struct.pack("<II", end, len(item.data))
        data[:0] = item.data
    return bytes(headers + bytes(end - len(headers)) + data)


def _block(volume: Volume, owner: int, address: int, filling: tuple[int, int], body: bytes) -> bytes:
    header = volume.filesystem.bytes + struct.pack("<QQ", address, _BLOCK_FLAGS) + volume.chunk_tree.bytes
    header += struct.pack("<QQIB", GENERATION, owner, *filling)
    return _checked((header + body).ljust(NODE_SIZE - 32, b"\0"))


def superblock(volume: Volume, every: Sequence[Tree], extents: Sequence[Extent]) -> bytes:
    """Return the superblock, 4 KiB."""
    trees = {tree.owner: tree for tree in every}
    used = sum(tree.blocks for tree in every) * NODE_SIZE + sum(extent.length for extent in extents)
    system = volume.chunks[0]
    mapping = items.key(FIRST_OBJECT, items.CHUNK_ITEM, system.logical)
    mapping += items.chunk(system.length, system.kind, system.physical, volume.device)
    root, chunk = trees[ROOT_TREE], trees[CHUNK_TREE]
    body = volume.filesystem.bytes + struct.pack("<QQ", SUPERBLOCK, 1) + b"_BHRfS_M"
    body += struct.pack("<8Q", GENERATION, root.root, chunk.root, 0, 0, volume.size, used, ROOT_DIRECTORY)
    body += struct.pack("<Q5I", 1, SECTOR_SIZE, NODE_SIZE, NODE_SIZE, SECTOR_SIZE, len(mapping))
    body += struct.pack("<4QHBBB", GENERATION, 0, 0, _FEATURES, 0, root.level, chunk.level, 0)
    body += device_data(volume) + volume.label.encode().ljust(256, b"\0") + bytes(16)
    body = body.ljust(0x32B - 32, b"\0") + mapping
    return _checked(body.ljust(4096 - 32, b"\0"))


def _checked(body: bytes) -> bytes:
    """Put the checksum field, 32 bytes, before what it covers."""
    return struct.pack("<I28x", crc32c(body)) + body
