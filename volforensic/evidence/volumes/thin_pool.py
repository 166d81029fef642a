"""The metadata of a dm-thin pool: its superblock, its two-level tree from device and block to a block of the data.

Source: the kernel's drivers/md/dm-thin-metadata.c and drivers/md/persistent-data/dm-btree-internal.h, and
Documentation/admin-guide/device-mapper/thin-provisioning.rst. Blocks have 4096 bytes, each with a CRC-32C over all but
itself, mixed with a constant for its kind, and its own number. Everything is an adversary's: a tree is descended at
most ``_DEEPEST`` levels, always between the keys that the parents give, so a circle ends; nodes are kept up to a bound.
"""

import errno
import struct
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from volforensic.evidence.superblocks import crc32c
from volforensic.medium import Medium

BLOCK_SIZE = 4096
_MAGIC = 27022010
_SUPERBLOCK_MIX, _NODE_MIX = 160774, 121107
_ALL_ONES = 0xFFFFFFFF
_NEEDS_CHECK = 1
_INTERNAL, _LEAF = 1, 2
_NODE_HEADER = struct.Struct("<IIQIII4x")
_DEEPEST = 16
_CACHED_NODES = 1024
_MOST_DEVICES = 1 << 16
_DETAIL = struct.Struct("<QQII")


class PoolError(OSError):
    """The pool's metadata cannot be read, or cannot be what it says: ``EIO`` with the reason."""

    def __init__(self, reason: str) -> None:
        """Take the reason."""
        super().__init__(errno.EIO, reason)


class PoolFacts(NamedTuple):
    """What a pool's superblock says; ``chunk`` in bytes, ``held`` the block of a metadata snapshot, 0 for none."""

    needs_check: bool
    transaction: int
    held: int
    mappings: int
    details: int
    chunk: int


class Detail(NamedTuple):
    """What the pool keeps of a thin device."""

    mapped_blocks: int
    transaction: int
    created: int
    snapshotted: int


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


class ThinPool:
    """Holds the medium of a pool's metadata and the nodes read last. Reads nothing before it is asked."""

    def __init__(self, metadata: Medium, chunk: int) -> None:
        """Take the metadata and the size in bytes that the pool's blocks should have."""
        self._metadata = metadata
        self.chunk = chunk
        self._node = lru_cache(maxsize=_CACHED_NODES)(self._read_node)
        self._roots: dict[int, int] = {}
        self._facts: PoolFacts | None = None

    def facts(self) -> PoolFacts:
        """Return what the superblock says. PoolError where it is damaged."""
        if self._facts is None:
            self._facts = self._read_facts()
        return self._facts

    def root_of(self, device: int) -> int:
        """Return the block at which a device's own tree begins. PoolError where the pool has no such device."""
        if device not in self._roots:
            found = next(iter(self.leaf(self.facts().mappings, device).entries), None)
            if found is None or found[0] != device:
                raise PoolError(f"the thin pool has no device {device}")
            self._roots[device] = int.from_bytes(found[1][:8], "little")
        return self._roots[device]

    def devices(self) -> Iterator[tuple[int, Detail]]:
        """Yield the pool's devices by number, with what it keeps of them. PoolError where that is damaged."""
        key, count = 0, 0
        while key < 1 << 64 and count < _MOST_DEVICES:
            leaf = self.leaf(self.facts().details, key)
            for number, value in leaf.entries:
                if len(value) < _DETAIL.size:
                    raise PoolError("the details of the thin pool's devices are damaged")
                yield number, Detail(*_DETAIL.unpack_from(value))
            count += len(leaf.entries) + 1
            key = leaf.until

    def leaf(self, root: int, key: int) -> Leaf:
        """Return the leaf in which a key stands or would stand, from that key on. PoolError where a node is bad."""
        block, until = root, 1 << 64
        for _ in range(_DEEPEST):
            node = self._node(block)
            if node.is_leaf:
                start = bisect_left(node.keys, key)
                end = bisect_left(node.keys, until)
                size = node.value_size
                entries = [(node.keys[at], node.values[at * size : (at + 1) * size]) for at in range(start, end)]
                return Leaf(entries, until)
            index = max(0, bisect_right(node.keys, key) - 1)
            if index + 1 < len(node.keys):
                until = min(until, node.keys[index + 1])
            if not node.keys or until <= key:
                raise PoolError(f"block {block} of the thin pool's metadata is damaged: its keys are not in order")
            block = node.value(index)
        raise PoolError(f"a tree of the thin pool is more than {_DEEPEST} levels deep")

    def _read_facts(self) -> PoolFacts:
        raw = self._block(0)
        checksum, flags, number = struct.unpack_from("<IIQ", raw)
        magic, version = struct.unpack_from("<QI", raw, 32)
        if magic != _MAGIC or number:
            raise PoolError("the thin pool's metadata has no superblock")
        if checksum != _checksum(raw, _SUPERBLOCK_MIX):
            raise PoolError("the checksum of the thin pool's superblock is wrong")
        if version not in {1, 2}:
            raise PoolError(f"the thin pool's metadata is of version {version}")
        transaction, held = struct.unpack_from("<QQ", raw, 48)
        mappings, details, sectors, block_sectors = struct.unpack_from("<QQII", raw, 320)
        incompatible = struct.unpack_from("<I", raw, 360)[0]
        if sectors * 512 != self.chunk or block_sectors * 512 != BLOCK_SIZE or incompatible:
            raise PoolError(f"the thin pool's superblock says blocks of {sectors} sectors, features {incompatible:#x}")
        return PoolFacts(bool(flags & _NEEDS_CHECK), transaction, held, mappings, details, self.chunk)

    def _read_node(self, block: int) -> _Node:
        raw = self._block(block)
        checksum, flags, number, count, room, size = _NODE_HEADER.unpack_from(raw)
        if checksum != _checksum(raw, _NODE_MIX) or number != block:
            raise PoolError(f"block {block} of the thin pool's metadata is damaged: its checksum or number is wrong")
        kind = flags & (_INTERNAL | _LEAF)
        is_possible = kind in {_INTERNAL, _LEAF} and 8 <= size <= BLOCK_SIZE and count <= room
        if not is_possible or _NODE_HEADER.size + room * (8 + size) > BLOCK_SIZE or (kind == _INTERNAL and size != 8):
            raise PoolError(f"block {block} of the thin pool's metadata cannot be a node of a tree")
        keys = struct.unpack_from(f"<{count}Q", raw, _NODE_HEADER.size)
        start = _NODE_HEADER.size + room * 8
        if any(one >= other for one, other in pairwise(keys)):
            raise PoolError(f"block {block} of the thin pool's metadata is damaged: its keys are not in order")
        return _Node(kind == _LEAF, keys, raw[start : start + count * size], size)

    def _block(self, number: int) -> bytes:
        position = number * BLOCK_SIZE
        raw = self._metadata.read_at(position, BLOCK_SIZE) if position + BLOCK_SIZE <= self._metadata.size else b""
        if len(raw) < BLOCK_SIZE:
            raise PoolError(f"block {number} lies outside the thin pool's metadata")
        return raw


def _checksum(raw: bytes, mix: int) -> int:
    """Return a block's checksum: the register of a CRC-32C after all but the first four bytes, not inverted."""
    return crc32c(raw[4:]) ^ _ALL_ONES ^ mix
