"""The trees of a btrfs: where a logical address lies, blocks decoded and checked, items found by key.

Source: the kernel's include/uapi/linux/btrfs_tree.h and fs/btrfs/tree-checker.c. Everything is an adversary's: a child
is asked only for the keys that its parent gives it and its level is one less, so a circle or a shared child yields
nothing twice and ends. Memory: ``_CACHE_BYTES`` of blocks, with their decoded items about three times that.
"""

import struct
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from functools import lru_cache
from operator import itemgetter, lt
from typing import NamedTuple

from volforensic.evidence.reader import Window
from volforensic.evidence.superblocks import btrfs_checksum_is_right, btrfs_superblock

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
_CHUNK = struct.Struct("<Q16xQ12xHH")  # length, type, stripes, sub-stripes
_STRIPE = struct.Struct("<QQ16x")  # device, offset
_MIRRORED = 1 << 4 | 1 << 5 | 1 << 9 | 1 << 10  # RAID1, DUP, RAID1C3, RAID1C4
_HIGHEST_LEVEL = 7
_LARGEST_BLOCK = 64 << 10
_CACHE_BYTES = 32 << 20
_MOST_CHUNKS = 1 << 18
_MOST_DAMAGE = 100
_MOST_RIGHT = 1 << 20
_LAST_KEY = (1 << 64, 0, 0)


class BtrfsError(ValueError):
    """A structure of the filesystem cannot be what it says."""


class Superblock(NamedTuple):
    """What a superblock says: logical addresses, sizes in bytes, the device's number, the system chunks."""

    root: int
    chunk_root: int
    sector_size: int
    block_size: int
    checksum_type: int
    device: int
    system_chunks: bytes


class Item(NamedTuple):
    """An item of a leaf: key, data, and whether the leaf's checksum is right."""

    key: Key
    data: bytes
    is_sound: bool


class _Chunk(NamedTuple):
    start: int
    length: int
    places: tuple[int, ...]


class _Block(NamedTuple):
    level: int
    keys: list[Key]
    values: list[tuple[int, int]]
    data: bytes
    is_sound: bool


def read_superblock(window: Window) -> Superblock:
    """Return the superblock that is right, or the first that has a signature."""
    found = btrfs_superblock(window)
    if found is None:
        raise BtrfsError("no superblock of a btrfs")
    raw = found.raw
    root, chunk_root = struct.unpack_from("<QQ", raw, 80)
    sector_size, block_size, _, _, array_size = struct.unpack_from("<5I", raw, 144)
    checksum_type, device = struct.unpack_from("<H", raw, 196)[0], struct.unpack_from("<Q", raw, 201)[0]
    system_chunks = raw[811 : 811 + min(array_size, 2048)]
    return Superblock(root, chunk_root, sector_size, block_size, checksum_type, device, system_chunks)


class Trees:
    """Holds the chunk map and a bounded cache of blocks. ``damage`` collects what was lost on the way of a scan."""

    def __init__(self, window: Window) -> None:
        """Read superblock and chunk map."""
        self._window = window
        self.superblock = read_superblock(window)
        size = self.superblock.block_size
        if size & (size - 1) or not 4096 <= size <= _LARGEST_BLOCK:
            raise BtrfsError(f"the superblock says that a tree block has {size} bytes")
        self.damage: list[str] = []
        self._chunks: list[_Chunk] = []
        self._right: set[int] = set()
        self._leaf: tuple[int, Key, Key, _Block] | None = None
        self._block = lru_cache(maxsize=_CACHE_BYTES // size)(self._read_block)
        self._add_system_chunks()
        self._add_chunks()

    def chunks(self) -> list[_Chunk]:
        """Return the chunks that are one run each, in the order of their logical addresses."""
        return list(self._chunks)

    def physical(self, logical: int, length: int) -> tuple[int, ...]:
        """Return where in the window a run of logical bytes lies, once for each copy; empty where it lies nowhere."""
        place = bisect_right(self._chunks, logical, key=itemgetter(0)) - 1
        if place < 0:
            return ()
        chunk = self._chunks[place]
        within = logical - chunk.start
        return tuple(start + within for start in chunk.places) if within + length <= chunk.length else ()

    def find(self, root: int, key: Key) -> Item | None:
        """Return the item with this key in the tree from block ``root`` on; BtrfsError where a block is bad."""
        level, address = None, root
        for _ in range(_HIGHEST_LEVEL + 1):
            block = self._at(address, level)
            if not block.level:
                index = bisect_left(block.keys, key)
                return _item(block, index) if index < len(block.keys) and block.keys[index] == key else None
            index = bisect_right(block.keys, key) - 1
            if index < 0:
                return None
            address, level = block.values[index][0], block.level - 1
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
        block = self._at(root, None)
        low, high = (0, 0, 0), _LAST_KEY
        while block.level:
            index = max(0, bisect_right(block.keys, key) - 1)
            if index + 1 < len(block.keys):
                high = min(high, block.keys[index + 1])
            if not block.keys or high <= key:
                raise BtrfsError("its tree is damaged")
            low = max(low, block.keys[index])
            block = self._at(block.values[index][0], block.level - 1)
        return low, high, block

    def scan(self, root: int, low: Key, high: Key) -> Iterator[Item]:
        """Yield the items from ``low`` to before ``high`` in order; a block that is bad is named in ``damage``."""
        yield from self._scan(root, None, low, high)

    def _scan(self, address: int, level: int | None, low: Key, high: Key) -> Iterator[Item]:
        try:
            block = self._at(address, level)
        except BtrfsError as error:
            self._note(str(error))
            return
        keys = block.keys
        end = bisect_left(keys, high)
        if not block.level:
            if not block.is_sound:
                self._note(f"the checksum of the tree block at {address} is wrong")
            for index in range(bisect_left(keys, low), end):
                yield _item(block, index)
            return
        for index in range(max(0, bisect_right(keys, low) - 1), end):
            above = keys[index + 1] if index + 1 < len(keys) else high
            yield from self._scan(block.values[index][0], block.level - 1, max(low, keys[index]), min(high, above))

    def _note(self, reason: str) -> None:
        if reason not in self.damage and len(self.damage) < _MOST_DAMAGE:
            self.damage.append(reason)

    def _at(self, address: int, level: int | None) -> _Block:
        block = self._block(address)
        if level is not None and block.level != level:
            raise BtrfsError(f"the tree block at {address} is of level {block.level}, its parent says {level}")
        return block

    def _read_block(self, address: int) -> _Block:
        """Return the block at a logical address, of its copies the first whose checksum is right."""
        size = self.superblock.block_size
        first = b""
        for place in self.physical(address, size):
            data = self._window.read_at(place, size)
            if len(data) < size or data[48:56] != address.to_bytes(8, "little"):
                continue
            if place in self._right or btrfs_checksum_is_right(data, self.superblock.checksum_type):
                if len(self._right) < _MOST_RIGHT:
                    self._right.add(place)  # read again when the cache has lost it, it is not verified again
                return _decode(data, address, is_sound=True)
            first = first or data
        if not first:
            raise BtrfsError(f"there is no tree block at {address}")
        return _decode(first, address, is_sound=False)

    def _add_system_chunks(self) -> None:
        raw, position = self.superblock.system_chunks, 0
        while position + _KEY.size + _CHUNK.size <= len(raw):
            _, kind, start = _KEY.unpack_from(raw, position)
            stripes = _CHUNK.unpack_from(raw, position + _KEY.size)[2]
            end = position + _KEY.size + _CHUNK.size + stripes * _STRIPE.size
            if kind != _CHUNK_ITEM:
                break
            self._add_chunk(start, raw[position + _KEY.size : end])
            position = end
        self._chunks.sort()

    def _add_chunks(self) -> None:
        """Take the map from the chunk tree; the superblock's own part stays where the tree does not read."""
        root = self.superblock.chunk_root
        items = list(self.scan(root, (_CHUNK_OBJECT, _CHUNK_ITEM, 0), (_CHUNK_OBJECT, _CHUNK_ITEM + 1, 0)))
        known = {chunk.start for chunk in self._chunks}
        for item in items[:_MOST_CHUNKS]:
            if item.key[2] not in known:
                self._add_chunk(item.key[2], item.data)
        self._chunks.sort()

    def _add_chunk(self, start: int, raw: bytes) -> None:
        if len(raw) < _CHUNK.size:
            return
        length, kind, count, _ = _CHUNK.unpack_from(raw)
        stripes = raw[_CHUNK.size : _CHUNK.size + count * _STRIPE.size]
        stripes = stripes[: len(stripes) - len(stripes) % _STRIPE.size]
        places = tuple(place for device, place in _STRIPE.iter_unpack(stripes) if device == self.superblock.device)
        if count == 1 or kind & _MIRRORED:  # striped over one device's parts: not one run
            self._chunks.append(_Chunk(start, length, places))


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
