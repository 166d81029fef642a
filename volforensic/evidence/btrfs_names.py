"""Names and extended attributes as the items of a btrfs tree hold them.

Source: the kernel's include/uapi/linux/btrfs_tree.h (btrfs_dir_item).
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from volforensic.evidence.attributes import ASKED
from volforensic.evidence.btrfs_tree import INODE_ITEM, ROOT_ITEM, Item
from volforensic.evidence.node import Node

PLACEHOLDER_INODE = 2
_DIRECTORY_ENTRY = struct.Struct("<QBQ8xHHB")  # key of what it names, length of data, length of the name, type


class Name(NamedTuple):
    """What a directory's entry names: an inode of the same tree, or the root of another."""

    target: int
    kind: int
    name: bytes
    is_sound: bool


def attributes(item: Item, problems: list[str]) -> Iterator[tuple[bytes, bytes]]:
    """Yield the attributes of one item that are asked for: names that have the same hash share it."""
    place = 0
    while place < len(item.data):
        if place + _DIRECTORY_ENTRY.size > len(item.data):
            problems.append("an extended attribute of it is cut")
            return
        _, _, _, size, length, _ = _DIRECTORY_ENTRY.unpack_from(item.data, place)
        start = place + _DIRECTORY_ENTRY.size
        place = start + length + size
        name = item.data[start : start + length]
        if place > len(item.data):
            problems.append("an extended attribute of it is cut")
        elif name in ASKED:
            yield name, item.data[start + length : place]


def names(item: Item, lost: list[str]) -> Iterator[Name]:
    """Yield what an item of a directory names; what is damaged is noted in ``lost``."""
    if len(item.data) < _DIRECTORY_ENTRY.size:
        lost.append(f"entry {item.key[2]} of the directory is too short")
        return
    target, kind, _, _, length, _ = _DIRECTORY_ENTRY.unpack_from(item.data)
    name = item.data[_DIRECTORY_ENTRY.size : _DIRECTORY_ENTRY.size + length]
    if kind not in {INODE_ITEM, ROOT_ITEM} or len(name) < length or not name:
        lost.append(f"entry {item.key[2]} of the directory names nothing that is known")
        return
    yield Name(target, kind, name, item.is_sound)


def placeholder(tree: int) -> Node:
    """Return the empty directory that stands for a subvolume where it is not mounted."""
    return Node(
        inode=PLACEHOLDER_INODE, tree=tree, type="directory", mode=0o755, links=1, extents=(), is_placeholder=True
    )
