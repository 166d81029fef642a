"""The B-trees of device-mapper's persistent data, as thin pools and caches keep their mappings in.

Source: the kernel's drivers/md/persistent-data/dm-btree-internal.h. Blocks have 4096 bytes, each with a CRC-32C over
all but itself, mixed with a constant for its kind, and its own number. Everything is an adversary's: a tree is
descended at most ``_DEEPEST`` levels, always between the keys that the parents give, so a circle ends; nodes are kept
up to a bound.
"""

import errno
import struct
from bisect import bisect_left, bisect_right
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from volforensic.evidence.superblocks import crc32c
from volforensic.medium import Medium

BLOCK_SIZE = 4096
_NODE_MIX = 121107
_ALL_ONES = 0xFFFFFFFF
_INTERNAL, _LEAF = 1, 2
_NODE_HEADER = struct.Struct("<IIQIII4x")
_DEEPEST = 16
_CACHED_NODES = 1024


class TreeError(OSError):
    """Metadata of device-mapper cannot be read, or cannot be what it says: ``EIO`` with the reason."""

    def __init__(self, reason: str) -> None:
        """Take the reason."""
        super().__init__(errno.EIO, reason)


class _Node(NamedTuple):
    is_leaf: bool
    keys: tuple[int, ...]
    values: bytes
    value_size: int

    def value(self, index: int) -> int:
        return int.from_bytes(self.values[index * self.value_size : index * self.value_size + 8], "little")


class Leaf(NamedTuple):
    """Keys and values of a leaf from a key on, and the key from which on another leaf is asked."""

    entries: list[tuple[int, bytes]]
    until: int


class MetadataTrees:
    """Holds a medium with metadata and the nodes read last; ``owner`` is what errors call it. Reads when asked."""

    def __init__(self, metadata: Medium, owner: str) -> None:
        """Take the metadata."""
        self._metadata = metadata
        self._owner = owner
        self._node = lru_cache(maxsize=_CACHED_NODES)(self._read_node)

    def leaf(self, root: int, key: int) -> Leaf:
        """Return the leaf in which a key stands or would stand, from that key on. TreeError where a node is bad."""
        number, until = root, 1 << 64
        for _ in range(_DEEPEST):
            node = self._node(number)
            if node.is_leaf:
                start, end, size = bisect_left(node.keys, key), bisect_left(node.keys, until), node.value_size
                entries = [(node.keys[at], node.values[at * size : (at + 1) * size]) for at in range(start, end)]
                return Leaf(entries, until)
            index = max(0, bisect_right(node.keys, key) - 1)
            if index + 1 < len(node.keys):
                until = min(until, node.keys[index + 1])
            if not node.keys or until <= key:
                raise self.damage(number, "its keys are not in order")
            number = node.value(index)
        raise TreeError(f"a tree in the metadata of the {self._owner} is more than {_DEEPEST} levels deep")

    def _read_node(self, number: int) -> _Node:
        raw = self.block(number, _NODE_MIX)
        _, flags, own, count, room, size = _NODE_HEADER.unpack_from(raw)
        if own != number:
            raise self.damage(number, f"it says that it is block {own}")
        kind = flags & (_INTERNAL | _LEAF)
        is_possible = kind in {_INTERNAL, _LEAF} and 8 <= size <= BLOCK_SIZE and count <= room
        if not is_possible or _NODE_HEADER.size + room * (8 + size) > BLOCK_SIZE or (kind == _INTERNAL and size != 8):
            raise self.damage(number, "it cannot be a node of a tree")
        keys = struct.unpack_from(f"<{count}Q", raw, _NODE_HEADER.size)
        start = _NODE_HEADER.size + room * 8
        if any(one >= other for one, other in pairwise(keys)):
            raise self.damage(number, "its keys are not in order")
        return _Node(kind == _LEAF, keys, raw[start : start + count * size], size)

    def block(self, number: int, mix: int) -> bytes:
        """Return a block. TreeError where it lies outside, or its checksum is wrong."""
        position = number * BLOCK_SIZE
        raw = self._metadata.read_at(position, BLOCK_SIZE) if position + BLOCK_SIZE <= self._metadata.size else b""
        if len(raw) < BLOCK_SIZE:
            raise TreeError(f"block {number} lies outside the metadata of the {self._owner}")
        if int.from_bytes(raw[:4], "little") != crc32c(raw[4:]) ^ _ALL_ONES ^ mix:
            raise self.damage(number, "its checksum is wrong")
        return raw

    def damage(self, number: int, reason: str) -> TreeError:
        """Return the error for a block."""
        return TreeError(f"block {number} of the metadata of the {self._owner} is damaged: {reason}")
