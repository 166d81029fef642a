"""Builds the metadata of dm-cache and of dm-writecache in memory.

Structures: the kernel's drivers/md/dm-cache-metadata.c, persistent-data/dm-array.c and dm-writecache.c.
"""

import struct
from collections.abc import Mapping, Sequence

from images.thin import BLOCK, node, seal

SECTOR = 512
_SUPERBLOCK_MIX, _ARRAY_MIX = 9031977, 595846735
_VALID, _DIRTY = 1, 2
_ROOM = (BLOCK - 24) // 8


def _array(values: Sequence[int], first: int) -> list[bytes]:
    """Return the blocks of an array: the root of its tree, then what that leads to."""
    parts = [values[at : at + _ROOM] for at in range(0, len(values), _ROOM)]
    root = node(first, [(at, struct.pack("<Q", first + 1 + at)) for at in range(len(parts))], is_leaf=True)
    blocks = [root]
    for at, part in enumerate(parts):
        block = struct.pack("<4xIIIQ", _ROOM, len(part), 8, first + 1 + at) + struct.pack(f"<{len(part)}Q", *part)
        blocks.append(seal(block.ljust(BLOCK, b"\0"), _ARRAY_MIX))
    return blocks


def cache_metadata(
    held: Mapping[int, tuple[int, bool]], blocks: int, chunk: int, *, version: int = 2, is_clean: bool = True
) -> bytes:
    """Return the metadata of a cache: by its own block which of the origin's it holds, and whether it is newer."""
    mappings = [0] * blocks
    words = [0] * -(-blocks // 64)
    for number, (origin, is_dirty) in held.items():
        mappings[number] = origin << 16 | _VALID | (_DIRTY if is_dirty and version == 1 else 0)
        words[number // 64] |= is_dirty << number % 64
    arrays = _array(mappings, 1)
    dirty_root = 1 + len(arrays)
    raw = bytearray(BLOCK)
    struct.pack_into("<I", raw, 4, int(is_clean))
    struct.pack_into("<QI", raw, 32, 0o6142003, version)
    struct.pack_into("<Q32xIII", raw, 192, 1, chunk // SECTOR, BLOCK // SECTOR, blocks)
    struct.pack_into("<Q", raw, 284, dirty_root)
    return b"".join([seal(bytes(raw), _SUPERBLOCK_MIX), *arrays, *_array(words, dirty_root)])


def write_cache(entries: Sequence[tuple[int, int, bytes]], current: int, block: int, size: int) -> bytes:
    """Return a write cache: (position in the volume or -1, number of the write, data) for each of its blocks."""
    raw = bytearray(size)
    struct.pack_into("<IIIIQQ", raw, 0, 0x23489321, 1, block, 0, len(entries), current)
    begin = -(-(64 + 16 * len(entries)) // block) * block
    for number, (position, count, data) in enumerate(entries):
        sector = (1 << 64) - 1 if position < 0 else position // SECTOR
        struct.pack_into("<QQ", raw, 64 + number * 16, sector, count)
        raw[begin + number * block : begin + number * block + len(data)] = data
    return bytes(raw)
