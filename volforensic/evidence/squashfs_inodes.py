"""The inodes of a squashfs and the names of its directories, decoded from the metadata.

Source: the kernel's fs/squashfs/squashfs_fs.h (squashfs_*_inode), inode.c, dir.c and include/linux/kdev_t.h. A
reference to an inode has 48 bits: where its metadata block begins, counted from the inode table's first byte, and 16
bits for the byte in that block.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from volforensic.evidence.attributes import Device
from volforensic.evidence.node import LINK_TARGET_LIMIT
from volforensic.evidence.squashfs_blocks import METADATA_SIZE, SquashfsBlocks, SquashfsError

DIRECTORY, FILE, SYMLINK, BLOCK_DEVICE, CHARACTER_DEVICE, FIFO, SOCKET = range(1, 8)
NO_FRAGMENT = NO_ATTRIBUTES = 0xFFFFFFFF
_EXTENDED = 7  # an inode with room for more is of the plain one's type and 7
_HEAD = struct.Struct("<HHHHII")  # type, mode, owner's and group's index, time of modification, number
_BODIES = {
    DIRECTORY: struct.Struct("<IIHHI"),  # block of names, links, size, byte of names, parent
    FILE: struct.Struct("<IIII"),  # first block, fragment, byte in the fragment, size
    SYMLINK: struct.Struct("<II"),  # links, size
    BLOCK_DEVICE: struct.Struct("<II"),  # links, device
    CHARACTER_DEVICE: struct.Struct("<II"),
    FIFO: struct.Struct("<I"),  # links
    SOCKET: struct.Struct("<I"),
    DIRECTORY + _EXTENDED: struct.Struct("<IIIIHHI"),  # links, size, block, parent, indexes, byte, attributes
    FILE + _EXTENDED: struct.Struct("<QQQIIII"),  # first block, size, sparse, links, fragment, byte, attributes
    SYMLINK + _EXTENDED: struct.Struct("<II"),  # links, size; attributes behind the target
    BLOCK_DEVICE + _EXTENDED: struct.Struct("<III"),  # links, device, attributes
    CHARACTER_DEVICE + _EXTENDED: struct.Struct("<III"),
    FIFO + _EXTENDED: struct.Struct("<II"),  # links, attributes
    SOCKET + _EXTENDED: struct.Struct("<II"),
}
_NAMES = struct.Struct("<III")  # of a run of names: their count less one, block of their inodes, a number to count from
_NAME = struct.Struct("<HhHH")  # byte of the inode, number less the run's, type, length less one
_MOST_NAMES, _LONGEST_NAME = 256, 256
_EMPTY_DIRECTORY = 3  # a directory's size counts . and .. as three bytes


class Inode(NamedTuple):
    """An inode as it stands in the table.

    ``start`` and ``offset`` are where a directory's names or a file's blocks and fragment begin; ``behind`` is where
    the metadata goes on after the inode: a file's block list, a symbolic link's target.
    """

    kind: int
    mode: int
    owner: int
    group: int
    modified: int
    number: int
    behind: tuple[int, int]
    links: int = 1
    size: int = 0
    start: int = 0
    offset: int = 0
    fragment: int = NO_FRAGMENT
    device: int = 0
    attributes: int = NO_ATTRIBUTES
    has_attributes_behind: bool = False


class Name(NamedTuple):
    """A name in a directory: reference, number and type of the inode that it names."""

    name: bytes
    reference: int
    number: int
    kind: int


def read_inode(blocks: SquashfsBlocks, reference: int) -> Inode:
    """Return the inode at a reference; SquashfsError where there is none."""
    place = blocks.superblock.inode_table + (reference >> 16)
    if place >= blocks.superblock.directory_table:
        raise SquashfsError(f"inode reference {reference:#x} lies behind the table of inodes")
    head, place, offset = blocks.metadata_bytes(place, reference & 0xFFFF, _HEAD.size)
    kind, mode, owner, group, modified, number = _HEAD.unpack(head)
    shape = _BODIES.get(kind)
    if shape is None:
        raise SquashfsError(f"an inode of type {kind}")
    body, place, offset = blocks.metadata_bytes(place, offset, shape.size)
    common = (mode & 0o7777, owner, group, modified, number, (place, offset))
    return _decoded(kind, common, shape.unpack(body))


def _decoded(kind: int, common: tuple[int, int, int, int, int, tuple[int, int]], body: tuple[int, ...]) -> Inode:
    plain = kind - _EXTENDED if kind > _EXTENDED else kind
    if kind == FILE:
        start, fragment, offset, size = body
        return Inode(plain, *common, 1, size, start, offset, fragment)
    if kind == FILE + _EXTENDED:
        start, size, _, links, fragment, offset, attributes = body
        if size >> 63:
            raise SquashfsError(f"a file of {size} bytes")
        return Inode(plain, *common, links, size, start, offset, fragment, 0, attributes)
    if kind == DIRECTORY:
        start, links, size, offset, _ = body
        return Inode(plain, *common, links, size, start, offset)
    if kind == DIRECTORY + _EXTENDED:
        links, size, start, _, _, offset, attributes = body
        return Inode(plain, *common, links, size, start, offset, NO_FRAGMENT, 0, attributes)
    if plain == SYMLINK:
        return Inode(plain, *common, body[0], body[1], has_attributes_behind=kind != plain)
    attributes = body[-1] if kind != plain else NO_ATTRIBUTES
    device = body[1] if plain in {BLOCK_DEVICE, CHARACTER_DEVICE} else 0
    return Inode(plain, *common, body[0], device=device, attributes=attributes)


def device_of(number: int) -> Device:
    """Return major and minor of a device number as the kernel writes it to disks: 12 bits, and 8 and 12."""
    return number >> 8 & 0xFFF, number & 0xFF | number >> 12 & 0xFFF00


def link_target(blocks: SquashfsBlocks, inode: Inode) -> tuple[bytes, int]:
    """Return where a symbolic link leads and the index of its attributes."""
    if inode.size > LINK_TARGET_LIMIT:
        raise SquashfsError(f"a symbolic link of {inode.size} bytes")
    target, place, offset = blocks.metadata_bytes(*inode.behind, inode.size)
    if not inode.has_attributes_behind:
        return target, NO_ATTRIBUTES
    index, _, _ = blocks.metadata_bytes(place, offset, 4)
    return target, int.from_bytes(index, "little")


def names(blocks: SquashfsBlocks, directory: Inode) -> Iterator[Name]:
    """Yield a directory's names; SquashfsError where the list breaks off."""
    place, offset = blocks.superblock.directory_table + directory.start, directory.offset
    left = directory.size - _EMPTY_DIRECTORY
    while left > 0:
        raw, place, offset = blocks.metadata_bytes(place, offset, _NAMES.size)
        count, block, base = _NAMES.unpack(raw)
        left -= _NAMES.size
        if count >= _MOST_NAMES:
            raise SquashfsError(f"a run of {count + 1} names")
        for _ in range(count + 1):
            raw, place, offset = blocks.metadata_bytes(place, offset, _NAME.size)
            byte, difference, kind, length = _NAME.unpack(raw)
            if length >= _LONGEST_NAME:
                raise SquashfsError(f"a name of {length + 1} bytes")
            name, place, offset = blocks.metadata_bytes(place, offset, length + 1)
            left -= _NAME.size + len(name)
            if left < 0:
                raise SquashfsError("its names do not end where it ends")
            yield Name(name, block << 16 | byte, base + difference & 0xFFFFFFFF, kind)


def block_words(blocks: SquashfsBlocks, inode: Inode) -> Iterator[tuple[int, ...]]:
    """Yield the words of a file's block list, some at once; SquashfsError where there is no room for so many."""
    superblock = blocks.superblock
    count = inode.size >> superblock.block_log
    if inode.fragment == NO_FRAGMENT:
        count = -(-inode.size >> superblock.block_log)
    # Not even of metadata blocks of one byte each could the table hold more.
    room = (superblock.directory_table - superblock.inode_table) // 3 * METADATA_SIZE
    if count * 4 > room:
        raise SquashfsError(f"a list of {count} blocks is longer than the table of inodes")
    place, offset = inode.behind
    while count > 0:
        size = min(count * 4, METADATA_SIZE)
        raw, place, offset = blocks.metadata_bytes(place, offset, size)
        yield struct.unpack(f"<{size // 4}I", raw)
        count -= size // 4
