"""What caches hold that the volumes below them do not have yet: dm-cache and dm-writecache, read from their metadata.

Source: the kernel's drivers/md/dm-cache-metadata.c, persistent-data/dm-array.c, dm-bitset.c and dm-writecache.c.
A cache is read at most ``_MOST_BLOCKS`` entries far; of what is longer nothing is given, and that is an error.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from volforensic.evidence.volumes.joined import read_all
from volforensic.evidence.volumes.metadata_trees import BLOCK_SIZE, MetadataTrees, TreeError
from volforensic.medium import Medium

_CACHE_MAGIC, _CACHE_MIX, _ARRAY_MIX = 0o6142003, 9031977, 595846735
_CLEAN, _VALID, _DIRTY = 1, 1, 2
_FLAG_BITS = 16
_ARRAY_HEADER = struct.Struct("<IIIIQ")
_WRITECACHE_MAGIC = 0x23489321
_WRITECACHE_HEADER = struct.Struct("<IIIIQQ")
_ENTRIES_START, _ENTRY = 64, struct.Struct("<QQ")
_NO_SECTOR = (1 << 64) - 1
_MOST_BLOCKS = 1 << 20
_PIECE = 1 << 20
_SECTOR = 512


class HeldBlock(NamedTuple):
    """Bytes that a cache holds: where they stand in the volume, where in the cache's data, how many."""

    position: int
    place: int
    length: int


def cached_blocks(metadata: Medium, chunk: int) -> list[HeldBlock]:
    """Return the blocks that a dm-cache holds and its origin lacks, in order; after an unclean stop all it holds.

    ``chunk`` is the size in bytes of its blocks. TreeError, or another OSError, where the metadata is damaged.
    """
    trees = MetadataTrees(metadata, "cache")
    raw = trees.block(0, _CACHE_MIX)
    flags = struct.unpack_from("<I", raw, 4)[0]
    magic, version = struct.unpack_from("<QI", raw, 32)
    mappings, sectors, blocks = struct.unpack_from("<Q32xI4xI", raw, 192)
    incompatible, dirty_root = struct.unpack_from("<I28xQ", raw, 252)
    if magic != _CACHE_MAGIC or version not in {1, 2} or incompatible or sectors * _SECTOR != chunk:
        raise TreeError(f"the cache's superblock is of version {version}, blocks of {sectors} sectors")
    if blocks > _MOST_BLOCKS:
        raise TreeError(f"the cache has {blocks} blocks, which is more than is read")
    is_clean = bool(flags & _CLEAN)
    words = list(_array(trees, dirty_root, -(-blocks // 64))) if is_clean and version == 2 else []
    found = []
    for number, value in enumerate(_array(trees, mappings, blocks)):
        if not value & _VALID:
            continue
        if is_clean and not (words[number // 64] >> number % 64 & 1 if version == 2 else value & _DIRTY):
            continue
        found.append(HeldBlock((value >> _FLAG_BITS) * chunk, number * chunk, chunk))
    return sorted(found)


def _array(trees: MetadataTrees, root: int, count: int) -> Iterator[int]:
    """Yield the entries of an array: its tree leads to blocks, each with as many as fit, but for the last."""
    room = (BLOCK_SIZE - _ARRAY_HEADER.size) // 8
    for index in range(-(-count // room)):
        entry = next(iter(trees.leaf(root, index).entries), None)
        if entry is None or entry[0] != index:
            raise TreeError(f"the array of the cache lacks its block {index}")
        number = int.from_bytes(entry[1][:8], "little")
        raw = trees.block(number, _ARRAY_MIX)
        _, _, entries, size, own = _ARRAY_HEADER.unpack_from(raw)
        expected = min(room, count - index * room)
        if own != number or size != 8 or entries < expected:
            raise trees.damage(number, "it is no block of an array")
        yield from struct.unpack_from(f"<{expected}Q", raw, _ARRAY_HEADER.size)


def written_blocks(cache: Medium) -> list[HeldBlock]:
    """Return the blocks that a dm-writecache holds, in order. OSError where it cannot be read."""
    magic, version, size, _, blocks, current = _WRITECACHE_HEADER.unpack(read_all(cache, 0, _WRITECACHE_HEADER.size))
    if magic != _WRITECACHE_MAGIC or version != 1 or not 512 <= size <= 65536 or size & (size - 1):
        raise TreeError(f"the write cache's superblock is of version {version}, blocks of {size} bytes")
    if blocks > _MOST_BLOCKS:
        raise TreeError(f"the write cache has {blocks} blocks, which is more than is read")
    begin = -(-(_ENTRIES_START + blocks * _ENTRY.size) // size) * size
    if begin + blocks * size > cache.size:
        raise TreeError(f"the write cache has no room for {blocks} blocks")
    newest: dict[int, tuple[int, int]] = {}
    for number, (sector, count) in enumerate(_entries(cache, blocks)):
        if sector != _NO_SECTOR and count < current and count >= newest.get(sector, (0, 0))[0]:
            newest[sector] = count, number
    return sorted(HeldBlock(sector * _SECTOR, begin + number * size, size) for sector, (_, number) in newest.items())


def _entries(cache: Medium, count: int) -> Iterator[tuple[int, int]]:
    position, end = _ENTRIES_START, _ENTRIES_START + count * _ENTRY.size
    while position < end:
        raw = read_all(cache, position, min(_PIECE, end - position))
        yield from _ENTRY.iter_unpack(raw)
        position += len(raw)
