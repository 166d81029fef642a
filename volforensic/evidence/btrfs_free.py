"""Which bytes of a btrfs are free: what no item of its extent tree covers, and what no chunk was made of.

Source: the kernel's include/uapi/linux/btrfs_tree.h (btrfs_extent_item, btrfs_dev_extent) and fs/btrfs/block-group.c
(exclude_super_stripes: the superblock's copies are kept out of every block group).
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence

from volforensic.evidence.btrfs_chunks import Chunk
from volforensic.evidence.btrfs_devices import BtrfsError, read_superblock
from volforensic.evidence.btrfs_tree import ROOT_ITEM, Trees
from volforensic.evidence.devices import DeviceRange
from volforensic.evidence.reader import Window
from volforensic.evidence.space import Run, Unknown, complement, merged
from volforensic.evidence.superblocks import btrfs_superblock

_EXTENT_TREE, _DEVICE_TREE = 2, 4
_EXTENT_ITEM, _METADATA_ITEM, _DEVICE_EXTENT = 168, 169, 204
_RESERVED = 1 << 20
_SUPERBLOCKS = (64 << 10, 64 << 20, 256 << 30)
_STRIPE = 64 << 10
_MOST_RUNS = 2_000_000


def free_space(
    window: Window, begin_item: Callable[[int], None], devices: Sequence[DeviceRange] = ()
) -> Iterator[Run | Unknown]:
    """Yield the free runs of the window in order (bytes from its beginning), and what is not known.

    Of a filesystem on several devices the window is one, and only what lies on it is told.
    """
    trees = Trees(window, devices)
    free: list[Run] = []
    unknown: list[Unknown] = []
    own = read_superblock(window).device
    _between_chunks(trees, own, filesystem_size(window), free, unknown)
    root = _root(trees, _EXTENT_TREE)
    for number, chunk in enumerate(trees.map.chunks):
        begin_item(number)
        places = [place for device, place in chunk.stripes if device == own]
        if not places:
            continue
        trees.damage.clear()
        used = list(_used(trees, root, chunk.start, chunk.length))
        length = _stripe_bytes(chunk)
        for place in places:
            if trees.damage:
                unknown.append(Unknown(place, length, f"chunk {chunk.start}: {'; '.join(trees.damage[:5])}"))
                continue
            taken = used if chunk.is_whole else list(_used_rows(chunk, used))
            runs = complement(taken, Run(chunk.start, length))
            free += (Run(place + run.start - chunk.start, run.length) for run in runs)
        if len(free) > _MOST_RUNS:
            unknown.append(Unknown(0, window.length, f"more than {_MOST_RUNS} free runs: the rest was left out"))
            break
    taken = [Run(0, _RESERVED), *(Run(place, _STRIPE) for place in _SUPERBLOCKS)]
    yield from _minus(merged(free), taken)
    yield from unknown


def _columns(chunk: Chunk) -> int:
    """Return how many stripes of a row hold different data."""
    count = len(chunk.stripes) - chunk.parities
    return max(1, count // chunk.sub_stripes if chunk.is_double else count)


def _stripe_bytes(chunk: Chunk) -> int:
    """Return how many bytes of a device each stripe of the chunk has."""
    return chunk.length if chunk.is_whole else chunk.length // _columns(chunk)


def _used_rows(chunk: Chunk, used: Iterable[Run]) -> Iterator[Run]:
    """Yield what is in use of every column of a striped chunk, from its start: whole rows, parity is of all."""
    row = chunk.stripe_length * _columns(chunk)
    for start, length in used:
        first, last = (start - chunk.start) // row, -(-(start + length - chunk.start) // row)
        yield Run(chunk.start + first * chunk.stripe_length, (last - first) * chunk.stripe_length)


def filesystem_size(window: Window) -> int:
    """Return how many bytes the filesystem says that its device has."""
    found = btrfs_superblock(window)
    return int(struct.unpack_from("<Q", found.raw, 209)[0]) if found is not None else 0


def _root(trees: Trees, number: int) -> int:
    found = None
    for item in trees.scan(trees.superblock.root, (number, ROOT_ITEM, 0), (number, ROOT_ITEM + 1, 0)):
        found = item
    if found is None or len(found.data) < 184:
        raise BtrfsError(f"there is no root of tree {number}: " + "; ".join(trees.damage))
    generation, root = struct.unpack_from("<Q8xQ", found.data, 160)
    trees.expect(root, generation)
    return int(root)


def _used(trees: Trees, root: int, start: int, length: int) -> Iterator[Run]:
    """Yield the extents in use within a chunk: a tree block's item says its level, not its length."""
    for item in trees.scan(root, (start, 0, 0), (start + length, 0, 0)):
        address, kind, size = item.key
        if kind == _EXTENT_ITEM:
            yield Run(address, size)
        elif kind == _METADATA_ITEM:
            yield Run(address, trees.superblock.block_size)


def _between_chunks(trees: Trees, device: int, size: int, free: list[Run], unknown: list[Unknown]) -> None:
    trees.damage.clear()
    root = _root(trees, _DEVICE_TREE)
    items = trees.scan(root, (device, _DEVICE_EXTENT, 0), (device, _DEVICE_EXTENT + 1, 0))
    taken = [Run(item.key[2], struct.unpack_from("<Q", item.data, 24)[0]) for item in items if len(item.data) >= 32]
    known = {place for chunk in trees.map.chunks for number, place in chunk.stripes if number == device}
    unknown += (Unknown(*run, "a chunk that is not described") for run in taken if run[0] not in known)
    if trees.damage:
        unknown.append(Unknown(0, size, f"the space outside of chunks: {'; '.join(trees.damage[:5])}"))
    else:
        free += complement(taken, Run(0, size))


def _minus(runs: Iterator[Run], taken: list[Run]) -> Iterator[Run]:
    for run in runs:
        yield from complement(taken, run)
