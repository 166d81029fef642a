"""Builds the metadata of a dm-thin pool in memory: superblock, trees of mappings and details; no space maps.

Structures: the kernel's drivers/md/dm-thin-metadata.c and drivers/md/persistent-data/dm-btree-internal.h.
"""

import struct
from collections.abc import Mapping, Sequence

from images.checksum import update

BLOCK = 4096
_SUPERBLOCK_MIX, _NODE_MIX = 160774, 121107
_INTERNAL, _LEAF = 1, 2
_ALL_ONES = 0xFFFFFFFF


def seal(block: bytes, mix: int = _NODE_MIX) -> bytes:
    """Return a block with its checksum set."""
    return struct.pack("<I", update(_ALL_ONES, block[4:]) ^ mix) + block[4:]


def node(number: int, entries: Sequence[tuple[int, bytes]], *, is_leaf: bool, room: int = 0) -> bytes:
    """Return a node of a tree as the block with this number."""
    size = len(entries[0][1]) if entries else 8
    room = room or (BLOCK - 32) // (8 + size) // 3 * 3
    block = bytearray(BLOCK)
    struct.pack_into("<IQIII", block, 4, _LEAF if is_leaf else _INTERNAL, number, len(entries), room, size)
    for index, (key, value) in enumerate(entries):
        struct.pack_into("<Q", block, 32 + index * 8, key)
        block[32 + room * 8 + index * size : 32 + room * 8 + (index + 1) * size] = value
    return seal(bytes(block))


def superblock(mappings: int, details: int, chunk: int, *, flags: int = 0, held: int = 0) -> bytes:
    """Return the superblock; ``chunk`` in bytes, the others blocks of the metadata."""
    block = bytearray(BLOCK)
    struct.pack_into("<IQ", block, 4, flags, 0)
    struct.pack_into("<QIIQQ", block, 32, 27022010, 2, 0, 0, held)
    struct.pack_into("<QQIIQ", block, 320, mappings, details, chunk // 512, BLOCK // 512, 64)
    return seal(bytes(block), _SUPERBLOCK_MIX)


class PoolBuilder:
    """Holds the blocks of a pool's metadata while they are made."""

    def __init__(self, chunk: int, per_node: int = 3) -> None:
        """Take the pool's block size in bytes, and how many entries a node gets: few, so that trees are deep."""
        self.blocks: list[bytes] = [b""]
        self._chunk = chunk
        self._per_node = per_node

    def add(self, entries: Sequence[tuple[int, bytes]], *, is_leaf: bool) -> int:
        """Add a node; return its number."""
        number = len(self.blocks)
        self.blocks.append(node(number, entries, is_leaf=is_leaf))
        return number

    def tree(self, entries: Mapping[int, bytes]) -> int:
        """Add a tree; return its root."""
        level = [(key, value) for key, value in sorted(entries.items())]
        is_leaf = True
        while True:
            parts = [level[at : at + self._per_node] for at in range(0, len(level), self._per_node)] or [[]]
            made = [(part[0][0] if part else 0, self.add(part, is_leaf=is_leaf)) for part in parts]
            if len(made) == 1:
                return made[0][1]
            level = [(key, struct.pack("<Q", number)) for key, number in made]
            is_leaf = False

    def finished(self, devices: Mapping[int, Mapping[int, int]], *, flags: int = 0, held: int = 0) -> bytes:
        """Return the metadata of a pool: by device and block which block of the data it is."""
        roots = {
            device: struct.pack("<Q", self.tree({key: struct.pack("<Q", at << 24 | 1) for key, at in mapped.items()}))
            for device, mapped in devices.items()
        }
        mappings = self.tree(roots)
        details = self.tree({device: struct.pack("<QQII", len(mapped), 0, 0, 0) for device, mapped in devices.items()})
        self.blocks[0] = superblock(mappings, details, self._chunk, flags=flags, held=held)
        return b"".join(self.blocks)
