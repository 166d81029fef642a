"""The trees of a btrfs: where a logical address lies, blocks decoded and checked, items found by key.

Source: the kernel's include/uapi/linux/btrfs_tree.h and fs/btrfs/tree-checker.c. Everything is an adversary's: a child
is asked only for the keys that its parent gives it and its level is one less, so a circle or a shared child yields
nothing twice and ends. Memory: ``_CACHE_BYTES`` of blocks, with their decoded items about three times that.
"""

import struct
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from operator import itemgetter, lt
from typing import NamedTuple

from volforensic.evidence.btrfs_chunks import ChunkMap
from volforensic.evidence.btrfs_devices import BtrfsError, present_devices
from volforensic.evidence.devices import DeviceRange
from volforensic.evidence.reader import Window
from volforensic.evidence.superblocks import btrfs_checksum_is_right

Key = tuple[int, int, int]
"""Object, type, offset: what the items of a tree are sorted by."""

INODE_ITEM, ATTRIBUTE, DIRECTORY_INDEX, EXTENT_DATA, ROOT_ITEM, ROOT_REFERENCE = 1, 24, 96, 108, 132, 156
_CHUNK_ITEM = 228
_CHUNK_OBJECT = 256
_HEADER_SIZE = 101
_ITEM = struct.Struct("<QBQII")  # key, where its data is behind the header, how many bytes
_POINTER = struct.Struct("<QBQQQ")  # key, address, generation
_ITEM_FORMS = _ITEM, struct.Struct("<QBQ8x"), struct.Struct("<17xII")
_POINTER_FORMS = _POINTER, struct.Struct("<QBQ16x"), struct.Struct("<17xQQ")
_KEY = struct.Struct("<QBQ")
_CHUNK = struct.Struct("<44xH2x")  # stripes
_STRIPE_SIZE = 32
_STRIPE_TREE = 0x4000  # RAID_STRIPE_TREE
_MOST_ROOTS = 1 << 16
_HIGHEST_LEVEL = 7
_LARGEST_BLOCK = 64 << 10
_CACHE_BYTES = 32 << 20
_MOST_CHUNKS = 1 << 18
_MOST_DAMAGE = 100
_MOST_RIGHT = 1 << 20
_LAST_KEY = (1 << 64, 0, 0)


class Item(NamedTuple):
    """An item of a leaf: key, data, and whether the leaf's checksum is right."""

    key: Key
    data: bytes
    is_sound: bool


class _Block(NamedTuple):
    level: int
    keys: list[Key]
    values: list[tuple[int, int]]
    data: bytes
    is_sound: bool


class Trees:
    """Holds the chunk map and a bounded cache of blocks. ``damage`` collects what was lost on the way of a scan."""

    def __init__(self, window: Window, devices: Sequence[DeviceRange] = ()) -> None:
        """Read superblock and chunk map. Without ``devices`` the window is the only one that is there."""
        known = list(present_devices(window, devices))
        best = known[0]
        self.superblock = best.superblock
        size = self.superblock.block_size
        if size & (size - 1) or not 4096 <= size <= _LARGEST_BLOCK:
            raise BtrfsError(f"the superblock says that a tree block has {size} bytes")
        self.damage: list[str] = []
        self.repaired: list[int] = []
        self.map = ChunkMap(window.medium, [device.place for device in known])
        self.physical = self.map.physical
        self._right: set[tuple[int, int]] = set()
        self._expected = {
            self.superblock.root: self.superblock.generation,
            self.superblock.chunk_root: self.superblock.chunk_root_generation,
        }
        self._leaf: tuple[int, Key, Key, _Block] | None = None
        self._block = lru_cache(maxsize=_CACHE_BYTES // size)(self._read_block)
        self._add_system_chunks()
        self._add_chunks()
        self.older = 0
        if not self._is_right_root(self.superblock.root, self.superblock.generation):
            self._take_older_root()

    def expect(self, root: int, generation: int) -> None:
        """Say with which transaction the root block of a tree was written: an older copy of it is not taken."""
        if len(self._expected) < _MOST_ROOTS:
            self._expected[root] = generation

    def find(self, root: int, key: Key) -> Item | None:
        """Return the item with this key in the tree from block ``root`` on; BtrfsError where a block is bad."""
        level, address, generation = None, root, self._expected.get(root, 0)
        for _ in range(_HIGHEST_LEVEL + 1):
            block = self._at(address, level, generation)
            if not block.level:
                index = bisect_left(block.keys, key)
                return _item(block, index) if index < len(block.keys) and block.keys[index] == key else None
            index = bisect_right(block.keys, key) - 1
            if index < 0:
                return None
            level, (address, generation) = block.level - 1, block.values[index]
        return None

    def from_inode(self, root: int, inode: int) -> Iterator[Item]:
        """Yield the items from an inode's first on to the end of their leaf; BtrfsError where a block is bad.

        Neighbours share their leaf: the last one is kept, with the keys that its parents give it.
        """
        key = (inode, 0, 0)
        if self._leaf is None or self._leaf[0] != root or not self._leaf[1] <= key < self._leaf[2]:
            self._leaf = (root, *self._descend(root, key))
        block = self._leaf[3]
        for index in range(bisect_left(block.keys, key), len(block.keys)):
            yield _item(block, index)

    def _descend(self, root: int, key: Key) -> tuple[Key, Key, _Block]:
        """Return the leaf in which a key would stand, and from which to before which key its parents ask it."""
        block = self._at(root, None, self._expected.get(root, 0))
        low, high = (0, 0, 0), _LAST_KEY
        while block.level:
            index = max(0, bisect_right(block.keys, key) - 1)
            if index + 1 < len(block.keys):
                high = min(high, block.keys[index + 1])
            if not block.keys or high <= key:
                raise BtrfsError("its tree is damaged")
            low = max(low, block.keys[index])
            block = self._at(block.values[index][0], block.level - 1, block.values[index][1])
        return low, high, block

    def scan(self, root: int, low: Key, high: Key) -> Iterator[Item]:
        """Yield the items from ``low`` to before ``high`` in order; a block that is bad is named in ``damage``."""
        yield from self._scan((root, self._expected.get(root, 0)), None, low, high)

    def _scan(self, pointer: tuple[int, int], level: int | None, low: Key, high: Key) -> Iterator[Item]:
        address = pointer[0]
        try:
            block = self._at(address, level, pointer[1])
        except BtrfsError as error:
            self._note(str(error))
            return
        keys = block.keys
        end = bisect_left(keys, high)
        if not block.level:
            if not block.is_sound:
                self._note(
                    f"the checksum of the tree block at {address} is wrong, or its time is not what its parent says"
                )
            for index in range(bisect_left(keys, low), end):
                yield _item(block, index)
            return
        for index in range(max(0, bisect_right(keys, low) - 1), end):
            above = keys[index + 1] if index + 1 < len(keys) else high
            yield from self._scan(block.values[index], block.level - 1, max(low, keys[index]), min(high, above))

    def _note(self, reason: str) -> None:
        if reason not in self.damage and len(self.damage) < _MOST_DAMAGE:
            self.damage.append(reason)

    def _at(self, address: int, level: int | None, generation: int) -> _Block:
        block = self._block(address, generation)
        if level is not None and block.level != level:
            raise BtrfsError(f"the tree block at {address} is of level {block.level}, its parent says {level}")
        return block

    def _is_right_root(self, address: int, generation: int) -> bool:
        try:
            return self._block(address, generation).is_sound
        except BtrfsError:
            return False

    def _take_older_root(self) -> None:
        """Read the tree of an earlier transaction, where the root of the newest is damaged: ``older`` is which."""
        for root, generation in sorted(self.superblock.backups, key=itemgetter(1), reverse=True):
            if 0 < generation < self.superblock.generation and self._is_right_root(root, generation):
                self.superblock = self.superblock._replace(root=root, generation=generation)
                self._expected[root] = self.older = generation
                return

    def _read_block(self, address: int, generation: int) -> _Block:
        """Return the block at a logical address, of its versions the first that is right and as new as it should be."""
        size = self.superblock.block_size
        first = b""
        for number, data in enumerate(self.map.versions(address, size)):
            if data[48:56] != address.to_bytes(8, "little"):
                continue
            is_new = not generation or data[80:88] == generation.to_bytes(8, "little")
            version = address, number
            if is_new and (version in self._right or btrfs_checksum_is_right(data, self.superblock.checksum_type)):
                if len(self._right) < _MOST_RIGHT:
                    self._right.add(version)  # read again when the cache has lost it, it is not verified again
                if number and address not in self.repaired and len(self.repaired) < _MOST_DAMAGE:
                    self.repaired.append(address)
                return _decode(data, address, is_sound=True)
            first = first or data
        if not first:
            raise BtrfsError(f"there is no tree block at {address}")
        return _decode(first, address, is_sound=False)

    def _add_system_chunks(self) -> None:
        raw, position = self.superblock.system_chunks, 0
        while position + _KEY.size + _CHUNK.size <= len(raw):
            _, kind, start = _KEY.unpack_from(raw, position)
            stripes = _CHUNK.unpack_from(raw, position + _KEY.size)[0]
            end = position + _KEY.size + _CHUNK.size + stripes * _STRIPE_SIZE
            if kind != _CHUNK_ITEM:
                break
            self.map.add(start, raw[position + _KEY.size : end])
            position = end
        self.map.sort()

    def _add_chunks(self) -> None:
        """Take the map from the chunk tree; the superblock's own part stays where the tree does not read."""
        root = self.superblock.chunk_root
        items = list(self.scan(root, (_CHUNK_OBJECT, _CHUNK_ITEM, 0), (_CHUNK_OBJECT, _CHUNK_ITEM + 1, 0)))
        known = {chunk.start for chunk in self.map.chunks}
        for item in items[:_MOST_CHUNKS]:
            if item.key[2] not in known:
                self.map.add(item.key[2], item.data)
        self.map.sort()
        if self.superblock.features & _STRIPE_TREE:
            self.map.leave_out_data()


def _item(block: _Block, index: int) -> Item:
    start, size = block.values[index]
    start += _HEADER_SIZE
    return Item(block.keys[index], block.data[start : start + size], block.is_sound)


def _decode(data: bytes, address: int, *, is_sound: bool) -> _Block:
    """Return the block's keys in order with what each points at; what does not fit into the block is left out."""
    count, level = struct.unpack_from("<IB", data, 96)
    if level > _HIGHEST_LEVEL:
        raise BtrfsError(f"the tree block at {address} says that it is of level {level}")
    form, key_form, value_form = _POINTER_FORMS if level else _ITEM_FORMS
    room = (len(data) - _HEADER_SIZE) // form.size
    raw = data[_HEADER_SIZE : _HEADER_SIZE + min(count, room) * form.size]
    keys: list[Key] = list(key_form.iter_unpack(raw))
    values: list[tuple[int, int]] = list(value_form.iter_unpack(raw))
    fits = count <= room and (level or max(map(sum, values), default=0) <= len(data) - _HEADER_SIZE)
    if fits and all(map(lt, keys, keys[1:])):
        return _Block(level, keys, values, data, is_sound)
    found = sorted(
        (key, value) for key, value in zip(keys, values, strict=True) if level or sum(value) <= len(data) - _HEADER_SIZE
    )
    return _Block(level, [key for key, _ in found], [value for _, value in found], data, is_sound=False)
