"""A bbolt database, as containerd keeps its metadata in: pages of a B+ tree, buckets in buckets. Pure over its bytes.

Source: go.etcd.io/bbolt, internal/common/{page.go,meta.go,bucket.go} and the package's README ("Caveats", the file's
layout is that of the machine: all that Linux servers run on today is little-endian).
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

_MAGIC, _VERSION = 0xED0CDAED, 2
_PAGE = struct.Struct("<QHHI")  # number, flags, count of elements, pages that follow it as its own
_META = struct.Struct(
    "<IIIIQQQQQQ"
)  # magic, version, page size, flags, root, sequence, free list, end, transaction, sum
_BRANCH_ELEMENT = struct.Struct("<IIQ")  # place of the key from here, its length, page
_LEAF_ELEMENT = struct.Struct("<IIII")  # flags, place of the key from here, lengths of key and value
_BUCKET = struct.Struct("<QQ")  # root page (0: the page follows), sequence
_BRANCH, _LEAF, _IS_META, _IS_BUCKET = 0x01, 0x02, 0x04, 0x01
_SIZES = (4096, 16384, 65536, 8192, 1024, 2048, 32768)
_OFFSET_BASIS, _PRIME = 0xCBF29CE484222325, 0x100000001B3
_DEEPEST = 32
_MOST_ELEMENTS = 4_000_000
_MOST_LOSSES = 20


class BoltError(ValueError):
    """The bytes are no bbolt database, or neither of its two beginnings is whole."""


class Item(NamedTuple):
    """A key of a bucket with its value; of a bucket in it, ``value`` is the bucket's own header and page."""

    key: bytes
    value: bytes
    is_bucket: bool


class Bolt:
    """Holds a database's bytes, how much of them may still be looked at, and in ``losses`` what is damaged."""

    def __init__(self, data: bytes) -> None:
        """Take the whole file.

        Raises:
            BoltError: It is no such database, or cannot be entered.
        """
        self._data = data
        self._left = _MOST_ELEMENTS
        self.losses: list[str] = []
        found = [meta for meta in (_meta(data, place) for place in _meta_places(data)) if meta is not None]
        if not found:
            raise BoltError("no beginning of a bbolt database is whole")
        self._root, self._page_size, _ = max(found, key=lambda meta: meta[2])

    def root(self) -> bytes:
        """Return the header of the bucket that holds all others, to be asked for its items."""
        return _BUCKET.pack(self._root, 0)

    def items(self, bucket: bytes) -> Iterator[Item]:
        """Yield the keys of a bucket in their order; a page that is damaged costs itself and those below it."""
        if len(bucket) < _BUCKET.size:
            self._lose("a bucket is cut")
            return
        number = _BUCKET.unpack_from(bucket)[0]
        waiting: list[tuple[int, int]] = [(number, 0)]
        visited: set[int] = set()
        while waiting:
            number, depth = waiting.pop()
            if depth > _DEEPEST or number in visited:
                self._lose(f"page {number} stands in the tree twice, or too deep")
                continue
            visited.add(number)
            page = self._page(number) if number else bucket[_BUCKET.size :]
            flags, count = _PAGE.unpack_from(page)[1:3] if len(page) >= _PAGE.size else (0, 0)
            if flags & _LEAF:
                yield from self._leaf(page, count, number)
            elif flags & _BRANCH:
                waiting += [(below, depth + 1) for below in reversed(self._branch(page, count, number))]
            else:
                self._lose(f"page {number} is of no known kind")

    def bucket(self, bucket: bytes, key: bytes) -> bytes | None:
        """Return the bucket that is in another under a key; None where there is none."""
        return next((item.value for item in self.items(bucket) if item.is_bucket and item.key == key), None)

    def values(self, bucket: bytes) -> dict[bytes, bytes]:
        """Return the keys of a bucket that are no buckets."""
        return {item.key: item.value for item in self.items(bucket) if not item.is_bucket}

    def _leaf(self, page: bytes, count: int, number: int) -> Iterator[Item]:
        for place in self._places(page, count, number):
            flags, start, key_length, value_length = _LEAF_ELEMENT.unpack_from(page, place)
            key_end = place + start + key_length
            if start < _LEAF_ELEMENT.size or key_end + value_length > len(page):
                self._lose(f"an element of page {number} lies outside it")
                continue
            key, value = page[place + start : key_end], page[key_end : key_end + value_length]
            yield Item(key, value, bool(flags & _IS_BUCKET))

    def _branch(self, page: bytes, count: int, number: int) -> list[int]:
        return [_BRANCH_ELEMENT.unpack_from(page, place)[2] for place in self._places(page, count, number)]

    def _places(self, page: bytes, count: int, number: int) -> range:
        """Return where the elements of a page begin: as many as it has room for, and as the whole reading may cost."""
        most = min(count, (len(page) - _PAGE.size) // _LEAF_ELEMENT.size)
        if most < count:
            self._lose(f"page {number} has no room for {count} elements")
        if most > self._left:
            self._lose(f"more than {_MOST_ELEMENTS} elements are not read")
        most = min(most, self._left)
        self._left -= most
        return range(_PAGE.size, _PAGE.size + most * _LEAF_ELEMENT.size, _LEAF_ELEMENT.size)

    def _page(self, number: int) -> bytes:
        """Return a page with those that are its own too; empty where it lies outside the file or is another."""
        place = number * self._page_size
        if place + _PAGE.size > len(self._data):
            self._lose(f"page {number} lies outside the file")
            return b""
        own, _, _, more = _PAGE.unpack_from(self._data, place)
        end = place + (1 + more) * self._page_size
        if own != number or end > len(self._data):
            self._lose(f"page {number} is cut, or is another")
            return b""
        return self._data[place:end]

    def _lose(self, reason: str) -> None:
        if len(self.losses) < _MOST_LOSSES and reason not in self.losses:
            self.losses.append(reason)


def _meta_places(data: bytes) -> Iterator[int]:
    """Yield where the two beginnings may be: on the first two pages, whatever the size of a page is."""
    yield _PAGE.size
    own = _META.unpack_from(data, _PAGE.size)[2] if len(data) >= _PAGE.size + _META.size else 0
    yield from (size + _PAGE.size for size in dict.fromkeys((own, *_SIZES)) if size)


def _meta(data: bytes, place: int) -> tuple[int, int, int] | None:
    """Return root page, page size and transaction of a beginning; None where it is none or its sum is wrong."""
    if len(data) < place + _META.size:
        return None
    magic, version, size, _, root, _, _, _, transaction, checksum = _META.unpack_from(data, place)
    is_right = (magic, version) == (_MAGIC, _VERSION) and checksum == fnv1a(data[place : place + _META.size - 8])
    return (root, size, transaction) if is_right and size in _SIZES and root else None


def fnv1a(data: bytes) -> int:
    """Return the FNV-1a hash of 64 bits, of few bytes (draft-eastlake-fnv)."""
    value = _OFFSET_BASIS
    for byte in data:
        value = (value ^ byte) * _PRIME & 0xFFFFFFFFFFFFFFFF
    return value
