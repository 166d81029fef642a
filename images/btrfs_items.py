"""The items of btrfs trees as bytes (include/uapi/linux/btrfs_tree.h of the kernel; all numbers little-endian)."""

import stat
import struct
from collections.abc import Iterable
from typing import NamedTuple
from uuid import UUID

from images.checksum import update
from images.tree import Times

GENERATION = 7
NODE_SIZE = 16384
SECTOR_SIZE = 4096
NODE_HEADER = 101
ITEM_HEADER = 25
POINTER_SIZE = 33
FIRST_OBJECT = 256
HIGHEST = (1 << 64) - 1

INODE_ITEM, INODE_REF, DIR_ITEM, DIR_INDEX, EXTENT_DATA, EXTENT_CSUM = 1, 12, 84, 96, 108, 128
ROOT_ITEM, ROOT_BACKREF, ROOT_REF, EXTENT_ITEM, METADATA_ITEM = 132, 144, 156, 168, 169
TREE_BLOCK_REF, EXTENT_DATA_REF, BLOCK_GROUP_ITEM, DEV_EXTENT, DEV_ITEM, CHUNK_ITEM = 176, 178, 192, 204, 216, 228

_ENTRY_TYPES = {
    stat.S_IFREG: 1,
    stat.S_IFDIR: 2,
    stat.S_IFCHR: 3,
    stat.S_IFBLK: 4,
    stat.S_IFIFO: 5,
    stat.S_IFSOCK: 6,
    stat.S_IFLNK: 7,
}


class Item(NamedTuple):
    """A key and its data; items sort by key."""

    object_id: int
    type: int
    offset: int
    data: bytes


class Extent(NamedTuple):
    """A run of file bytes in the data chunk, and which inode of which tree it belongs to."""

    address: int
    data: bytes
    tree: int
    inode: int

    @property
    def length(self) -> int:
        """The bytes that it takes on the disk."""
        return -(-len(self.data) // SECTOR_SIZE) * SECTOR_SIZE


def key(object_id: int, kind: int, offset: int) -> bytes:
    """Return a key as it stands on the disk."""
    return struct.pack("<QBQ", object_id, kind, offset)


def inode(  # noqa: PLR0913 - the fields of btrfs_inode_item
    mode: int, times: Times, *, size: int = 0, stored: int = 0, owner: tuple[int, int] = (0, 0), device: int = 0
) -> bytes:
    """Return an inode item; ``stored`` is the bytes that the file takes."""
    numbers = struct.pack("<5Q4I3Q32x", GENERATION, GENERATION, size, stored, 0, 1, *owner, mode, device, 0, 0)
    return numbers + b"".join(_time(moment) for moment in times)


def _time(nanoseconds: int) -> bytes:
    return struct.pack("<qI", *divmod(nanoseconds, 1_000_000_000))


def inode_reference(name: bytes, index: int) -> bytes:
    """Return the data of a link from an inode to its directory."""
    return struct.pack("<QH", index, len(name)) + name


def directory_entry(location: bytes, name: bytes, mode: int) -> bytes:
    """Return a directory entry that leads to the key ``location``."""
    return location + struct.pack("<QHHB", GENERATION, 0, len(name), _ENTRY_TYPES[stat.S_IFMT(mode)]) + name


def name_hash(name: bytes) -> int:
    """Return the offset of a name's DIR_ITEM."""
    return update(0xFFFFFFFE, name)


def inline_extent(data: bytes) -> bytes:
    """Return the data of a small file that is kept in the tree."""
    return struct.pack("<QQBBHB", GENERATION, len(data), 0, 0, 0, 0) + data


def regular_extent(extent: Extent) -> bytes:
    """Return what leads from a file to its run of bytes."""
    header = struct.pack("<QQBBHB", GENERATION, extent.length, 0, 0, 0, 1)
    return header + struct.pack("<4Q", extent.address, extent.length, 0, extent.length)


def root(  # noqa: PLR0913 - the fields of btrfs_root_item
    address: int, level: int, blocks: int, made: int, *, identifier: UUID | None = None, directory: int = 0
) -> bytes:
    """Return a root item; ``directory`` is 256 for a tree of files."""
    own_inode = inode(0o040755, Times(0, 0, 0, 0), size=3, stored=NODE_SIZE)
    place = struct.pack("<7QI17xBB", GENERATION, directory, address, 0, blocks * NODE_SIZE, 0, 0, 1, 0, level)
    uuids = (identifier.bytes if identifier else bytes(16)) + bytes(32)
    moments = _time(made) * 2 + bytes(24)
    return (
        own_inode
        + place
        + struct.pack("<Q", GENERATION)
        + uuids
        + struct.pack("<4Q", GENERATION, GENERATION, 0, 0)
        + moments
        + bytes(64)
    )


def root_reference(index: int, name: bytes) -> bytes:
    """Return the link between a subvolume and the directory it is seen in, here always the root."""
    return struct.pack("<QQH", FIRST_OBJECT, index, len(name)) + name


def tree_block(owner: int) -> bytes:
    """Return the extent item of a tree block."""
    return struct.pack("<3QBQ", 1, GENERATION, 2, TREE_BLOCK_REF, owner)


def data_extent(extent: Extent) -> bytes:
    """Return the extent item of a run of file bytes."""
    return struct.pack("<3QB3QI", 1, GENERATION, 1, EXTENT_DATA_REF, extent.tree, extent.inode, 0, 1)


def block_group(used: int, kind: int) -> bytes:
    """Return how much of a chunk is used."""
    return struct.pack("<3Q", used, FIRST_OBJECT, kind)


def chunk(length: int, kind: int, physical: int, device: UUID) -> bytes:
    """Return the item that maps a chunk's logical addresses to the device."""
    header = struct.pack("<4Q3IHH", length, 2, 65536, kind, 65536, 65536, SECTOR_SIZE, 1, 1)
    return header + struct.pack("<QQ", 1, physical) + device.bytes


def device_extent(logical: int, length: int, chunk_tree: UUID) -> bytes:
    """Return the item that says which chunk a range of the device belongs to."""
    return struct.pack("<4Q", 3, FIRST_OBJECT, logical, length) + chunk_tree.bytes


def device(size: int, used: int, identifier: UUID, filesystem: UUID) -> bytes:
    """Return the item of the one device."""
    numbers = struct.pack("<3Q3I3QIBB", 1, size, used, SECTOR_SIZE, SECTOR_SIZE, SECTOR_SIZE, 0, 0, 0, 0, 0, 0)
    return numbers + identifier.bytes + filesystem.bytes


def leaves(items: Iterable[Item]) -> list[list[Item]]:
    """Divide sorted items into leaves."""
    divided: list[list[Item]] = [[]]
    room = NODE_SIZE - NODE_HEADER
    for item in sorted(items):
        needed = ITEM_HEADER + len(item.data)
        if needed > room:
            divided.append([])
            room = NODE_SIZE - NODE_HEADER
        divided[-1].append(item)
        room -= needed
    return divided


def shape(items: Iterable[Item]) -> list[int]:
    """Return how many blocks a tree has on each level, the leaves first."""
    levels = [len(leaves(items))]
    while levels[-1] > 1:
        levels.append(-(-levels[-1] // ((NODE_SIZE - NODE_HEADER) // POINTER_SIZE)))
    return levels
