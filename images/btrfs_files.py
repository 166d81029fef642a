"""The tree of files of one btrfs subvolume: inodes, directory entries, file extents."""

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import NamedTuple

from images import btrfs_items as items
from images.btrfs_items import FIRST_OBJECT, Extent, Item
from images.story import StoryError
from images.tree import Node

INLINE_LIMIT = 2048
_FIRST_INDEX = 2  # entries 0 and 1 of a directory are "." and ".."


class Files(NamedTuple):
    """The items of a tree of files, and the runs of bytes that they lead to."""

    items: list[Item]
    extents: list[Extent]


class Entry(NamedTuple):
    """A directory entry; ``inode`` is None where it leads to a subvolume."""

    parent: int
    inode: int | None
    sequence: int
    name: bytes
    location: bytes
    mode: int


def files(tree: int, nodes: Sequence[Node], subvolumes: Mapping[str, int], start: int) -> Files:
    """Return the tree number ``tree``.

    Args:
        tree: the number of the tree.
        nodes: what is in it, parents before children, the root first.
        subvolumes: the numbers of the trees that are seen in its root, under their names.
        start: the address of its first run of bytes.
    """
    if any(node.deleted for node in nodes):
        raise StoryError("btrfs: nothing can be deleted")
    numbers = {node.path: FIRST_OBJECT + position for position, node in enumerate(nodes)}
    extents = {extent.inode: extent for extent in _extents(tree, nodes, numbers, start)}
    entries = list(_entries(nodes, subvolumes, numbers))
    sizes: dict[int, int] = {}
    for entry in entries:
        sizes[entry.parent] = sizes.get(entry.parent, 0) + 2 * len(entry.name)
    found = [Item(FIRST_OBJECT, items.INODE_REF, FIRST_OBJECT, items.inode_reference(b"..", 0))]
    for node in nodes:
        found += _inode(node, numbers[node.path], sizes, extents.get(numbers[node.path]))
    return Files([*found, *_directories(entries)], list(extents.values()))


def _extents(tree: int, nodes: Sequence[Node], numbers: Mapping[str, int], start: int) -> Iterator[Extent]:
    for node in nodes:
        if len(node.content) > INLINE_LIMIT:
            extent = Extent(start, node.content, tree, numbers[node.path])
            yield extent
            start += extent.length


def _entries(nodes: Sequence[Node], subvolumes: Mapping[str, int], numbers: Mapping[str, int]) -> Iterator[Entry]:
    indexes = {node.path: count(_FIRST_INDEX) for node in nodes}
    for node in nodes:
        if node.path != "/":
            location = items.key(numbers[node.path], items.INODE_ITEM, 0)
            name, index = os.fsencode(node.name), next(indexes[node.parent])
            yield Entry(numbers[node.parent], numbers[node.path], index, name, location, node.mode)
    for text, number in subvolumes.items():
        location = items.key(number, items.ROOT_ITEM, items.HIGHEST)
        yield Entry(FIRST_OBJECT, None, next(indexes["/"]), text.encode(), location, stat.S_IFDIR)


def _inode(node: Node, number: int, sizes: Mapping[int, int], extent: Extent | None) -> Iterator[Item]:
    """Yield the inode of a node and what it holds."""
    data = node.content or os.fsencode(node.target)
    directory = stat.S_ISDIR(node.mode)
    major, minor = node.device
    inode = items.inode(
        node.mode,
        node.times,
        size=sizes.get(number, 0) if directory else len(data),
        stored=extent.length if extent else len(data),
        owner=(node.uid, node.gid),
        device=major << 20 | minor,
    )
    yield Item(number, items.INODE_ITEM, 0, inode)
    if extent:
        yield Item(number, items.EXTENT_DATA, 0, items.regular_extent(extent))
    elif data:
        yield Item(number, items.EXTENT_DATA, 0, items.inline_extent(data))


def _directories(entries: Sequence[Entry]) -> Iterator[Item]:
    """Yield each entry by its index and by the hash of its name (names of one hash share an item), and the way back."""
    by_hash: dict[tuple[int, int], bytes] = {}
    for entry in entries:
        data = items.directory_entry(entry.location, entry.name, entry.mode)
        yield Item(entry.parent, items.DIR_INDEX, entry.sequence, data)
        place = (entry.parent, items.name_hash(entry.name))
        by_hash[place] = by_hash.get(place, b"") + data
        if entry.inode is not None:
            yield Item(entry.inode, items.INODE_REF, entry.parent, items.inode_reference(entry.name, entry.sequence))
    for (parent, digest), data in by_hash.items():
        yield Item(parent, items.DIR_ITEM, digest, data)
