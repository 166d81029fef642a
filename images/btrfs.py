"""Writes btrfs filesystems with subvolumes, the same bytes each time, without a tool of the host.

mkfs.btrfs makes no subvolumes before version 6.11 and takes times and tree identities from the host. A filesystem
that is only ever read is small: three chunks (system, metadata, data, each once on one device), the trees, a
superblock. ``btrfs check`` and the kernel accept it. Structures: include/uapi/linux/btrfs_tree.h and
Documentation/dev/On-disk-format.rst of btrfs-progs.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO
from uuid import UUID, uuid5

from images import btrfs_items as items
from images.btrfs_blocks import (
    CHECKSUM_TREE,
    CHUNK_TREE,
    DATA,
    DEVICE_TREE,
    EXTENT_TREE,
    FILE_TREE,
    MEBIBYTE,
    METADATA,
    ROOT_DIRECTORY,
    ROOT_TREE,
    SHIFT,
    SUPERBLOCK,
    SYSTEM,
    Tree,
    Volume,
    blocks,
    device_data,
    superblock,
)
from images.btrfs_files import Files, files
from images.btrfs_items import FIRST_OBJECT, NODE_SIZE, SECTOR_SIZE, Extent, Item
from images.checksum import crc32c
from images.story import Partition, StoryError, byte_size
from images.tree import Node, Times

RELOCATION_TREE = (1 << 64) - 9
CHECKSUMS = (1 << 64) - 10
_CHECKSUMS_AN_ITEM = 2048


def build(
    partition: Partition,
    top: Sequence[Node],
    subvolumes: Mapping[str, Sequence[Node]],
    moments: tuple[int, int],
    folder: Path,
) -> Path:
    """Build the filesystem in ``folder`` and return its file.

    Args:
        partition: size, UUID and label of the filesystem.
        top: what is in the top level itself, the root first; nothing where the host never mounts it.
        subvolumes: what is in each subvolume; they are seen in the top level's root under their names.
        moments: when it was made and when it was last written, in seconds since 1970.
        folder: a temporary folder.
    """
    size = byte_size(partition.size)
    if not 24 * MEBIBYTE <= size <= 64 * MEBIBYTE:
        raise StoryError("btrfs: the size must be from 24MiB to 64MiB (there the second superblock would stand)")
    volume = Volume(size, UUID(partition.uuid), partition.label, moments[0] * 1_000_000_000)
    numbers = {name: FIRST_OBJECT + position for position, name in enumerate(subvolumes)}
    root = Node("/", 0o040755, 0, 0, Times(volume.made, volume.made, volume.made, volume.made))
    contents = _contents(volume, top or [root], {numbers[name]: nodes for name, nodes in subvolumes.items()}, numbers)
    extents = [extent for found in contents.values() for extent in found.extents]
    trees = _trees(volume, {number: found.items for number, found in contents.items()}, numbers, extents)
    image = folder / "filesystem"
    with image.open("wb") as file:
        file.truncate(size)
        _write(file, volume, trees, extents)
    return image


def _contents(
    volume: Volume, top: Sequence[Node], subvolumes: Mapping[int, Sequence[Node]], numbers: Mapping[str, int]
) -> dict[int, Files]:
    start = volume.chunks[2].logical
    found: dict[int, Files] = {}
    for tree, nodes in {FILE_TREE: top, **subvolumes}.items():
        found[tree] = files(tree, nodes, numbers if tree == FILE_TREE else {}, start)
        start += sum(extent.length for extent in found[tree].extents)
    if start > volume.chunks[2].logical + volume.chunks[2].length:
        raise StoryError("btrfs: the files do not fit")
    return found


def _trees(
    volume: Volume, contents: Mapping[int, list[Item]], numbers: Mapping[str, int], extents: Sequence[Extent]
) -> list[Tree]:
    """Give every tree its place; the root tree's and the extent tree's items depend on where the others are."""
    system, metadata, _ = volume.chunks
    chunk_items = _chunk_items(volume)
    trees = [Tree(CHUNK_TREE, chunk_items, system.logical, items.shape(chunk_items))]
    plain = {**contents, DEVICE_TREE: _device_items(volume), CHECKSUM_TREE: _checksum_items(extents)}
    address = metadata.logical
    for owner, tree_items in {**plain, RELOCATION_TREE: _relocation_items(volume)}.items():
        trees.append(Tree(owner, tree_items, address, items.shape(tree_items)))
        address += trees[-1].blocks * NODE_SIZE
    root_shape = items.shape(_root_items(volume, [*trees, Tree(EXTENT_TREE, [], 0, [1])], numbers))
    extent_address = address + sum(root_shape) * NODE_SIZE
    blocks = [(tree.owner, tree.address, tree.shape) for tree in trees] + [(ROOT_TREE, address, root_shape)]
    extent_tree = _extent_tree(volume, blocks, extents, extent_address)
    root_items = _root_items(volume, [*trees, extent_tree], numbers)
    return [*trees, Tree(ROOT_TREE, root_items, address, root_shape), extent_tree]


def _extent_tree(
    volume: Volume, blocks: Sequence[tuple[int, int, list[int]]], extents: Sequence[Extent], address: int
) -> Tree:
    """Return the extent tree: it lists its own blocks too, so its size is tried until it fits."""
    shape = [1]
    while True:
        found = list(_extent_items(volume, [*blocks, (EXTENT_TREE, address, shape)], extents))
        if items.shape(found) == shape:
            return Tree(EXTENT_TREE, found, address, shape)
        shape = items.shape(found)


def _extent_items(
    volume: Volume, blocks: Iterable[tuple[int, int, list[int]]], extents: Sequence[Extent]
) -> Iterator[Item]:
    used = {SYSTEM: 0, METADATA: 0, DATA: sum(extent.length for extent in extents)}
    for owner, address, shape in blocks:
        levels = [level for level, width in enumerate(shape) for _ in range(width)]
        used[SYSTEM if owner == CHUNK_TREE else METADATA] += len(levels) * NODE_SIZE
        for position, level in enumerate(levels):
            yield Item(address + position * NODE_SIZE, items.METADATA_ITEM, level, items.tree_block(owner))
    for extent in extents:
        yield Item(extent.address, items.EXTENT_ITEM, extent.length, items.data_extent(extent))
    for chunk in volume.chunks:
        yield Item(chunk.logical, items.BLOCK_GROUP_ITEM, chunk.length, items.block_group(used[chunk.kind], chunk.kind))


def _chunk_items(volume: Volume) -> list[Item]:
    found = [Item(1, items.DEV_ITEM, 1, device_data(volume))]
    for chunk in volume.chunks:
        data = items.chunk(chunk.length, chunk.kind, chunk.physical, volume.device)
        found.append(Item(FIRST_OBJECT, items.CHUNK_ITEM, chunk.logical, data))
    return found


def _device_items(volume: Volume) -> list[Item]:
    return [
        Item(1, items.DEV_EXTENT, chunk.physical, items.device_extent(chunk.logical, chunk.length, volume.chunk_tree))
        for chunk in volume.chunks
    ]


def _checksum_items(extents: Sequence[Extent]) -> list[Item]:
    found = []
    for extent in extents:
        data = extent.data.ljust(extent.length, b"\0")
        sums = [crc32c(data[start : start + SECTOR_SIZE]) for start in range(0, extent.length, SECTOR_SIZE)]
        for start in range(0, len(sums), _CHECKSUMS_AN_ITEM):
            part = sums[start : start + _CHECKSUMS_AN_ITEM]
            address = extent.address + start * SECTOR_SIZE
            found.append(Item(CHECKSUMS, items.EXTENT_CSUM, address, struct.pack(f"<{len(part)}I", *part)))
    return found


def _directory_items(volume: Volume, number: int) -> list[Item]:
    times = Times(volume.made, volume.made, volume.made, volume.made)
    data = items.inode(0o040755, times, stored=NODE_SIZE)
    reference = items.inode_reference(b"..", 0)
    return [Item(number, items.INODE_ITEM, 0, data), Item(number, items.INODE_REF, number, reference)]


def _relocation_items(volume: Volume) -> list[Item]:
    return _directory_items(volume, FIRST_OBJECT)


def _root_items(volume: Volume, trees: Iterable[Tree], numbers: Mapping[str, int]) -> list[Item]:
    found = _directory_items(volume, ROOT_DIRECTORY)
    default = items.directory_entry(items.key(FILE_TREE, items.ROOT_ITEM, items.HIGHEST), b"default", 0o040755)
    found.append(Item(ROOT_DIRECTORY, items.DIR_ITEM, items.name_hash(b"default"), default))
    for tree in trees:
        if tree.owner == CHUNK_TREE:
            continue
        holds_files = tree.owner in (FILE_TREE, RELOCATION_TREE, *numbers.values())
        data = items.root(
            tree.root,
            tree.level,
            tree.blocks,
            volume.made,
            identifier=uuid5(volume.filesystem, str(tree.owner)) if holds_files else None,
            directory=FIRST_OBJECT if holds_files else 0,
        )
        found.append(Item(tree.owner, items.ROOT_ITEM, 0, data))
    return [*found, *_subvolume_links(numbers)]


def _subvolume_links(numbers: Mapping[str, int]) -> Iterator[Item]:
    """Yield the links between the top level and its subvolumes; the top level holds nothing else before them."""
    for position, (name, number) in enumerate(numbers.items()):
        data = items.root_reference(position + 2, name.encode())
        yield Item(FILE_TREE, items.ROOT_REF, number, data)
        yield Item(number, items.ROOT_BACKREF, FILE_TREE, data)


def _write(file: BinaryIO, volume: Volume, trees: Sequence[Tree], extents: Sequence[Extent]) -> None:
    for extent in extents:
        file.seek(extent.address - SHIFT)
        file.write(extent.data)
    for tree in trees:
        for address, block in blocks(volume, tree):
            file.seek(address - SHIFT)
            file.write(block)
    file.seek(SUPERBLOCK)
    file.write(superblock(volume, trees, extents))
