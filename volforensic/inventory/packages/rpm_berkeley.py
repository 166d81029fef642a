"""rpm's BerkeleyDB file ``Packages``: a hash database, read page by page without its hash function.

Layout: Berkeley DB's dbinc/db_page.h. Page 0 holds the metadata (magic 0x061561 at byte 12, page size at 20, type 8 at
25, last page at 32), in the byte order of the host that wrote it. Pages of type 2 and 13 hold keys and values in turn
(offsets in a table behind the page's header of 26 bytes); a value of type 3 names a chain of overflow pages (type 7).
A key is a package's number, 0 is the counter. Every page is looked at once, so nothing depends on links between pages.
"""

import struct
from collections.abc import Iterator

from volforensic.inventory.packages.claims import Lost

_HASH_MAGIC = 0x061561
_HASH_META = 8
_HASH_PAGES = (2, 13)
_OVERFLOW = 7
_PAGE_HEADER = 26
_ON_PAGE, _OFF_PAGE = 1, 3
_CHECKSUM = 1
_AMPLIFICATION = 2


def headers(data: bytes) -> Iterator[bytes | Lost]:
    """Yield the header of each package, and what is lost."""
    order = next((order for order in "<>" if data[12:16] == struct.pack(f"{order}I", _HASH_MAGIC)), "")
    if not order or len(data) < 512 or data[25] != _HASH_META:
        yield Lost("Packages is no hash database of Berkeley DB")
        return
    size, last = struct.unpack_from(f"{order}I", data, 20)[0], struct.unpack_from(f"{order}I", data, 32)[0]
    if size not in {1 << power for power in range(9, 17)} or data[24] or data[26] & _CHECKSUM:
        yield Lost("Packages is encrypted, has checksums or a page size that is none: it is not read")
        return
    if len(data) < (last + 1) * size:
        missing = (last + 1) * size - len(data)
        yield Lost("Packages ends before its last page", offset=len(data), length=missing)
    yield from _Pages(data, order, size).headers()


class _Pages:
    """Holds the file and how many bytes of overflow pages may still be read: chains may be made to meet."""

    def __init__(self, data: bytes, order: str, size: int) -> None:
        self._data = data
        self._size = size
        self._count = len(data) // size
        self._left = _AMPLIFICATION * len(data)
        self._links = struct.Struct(f"{order}III")  # this page, the one before, the next
        self._entries = struct.Struct(f"{order}HH")  # entries, offset of the lowest byte of data
        self._off_page = struct.Struct(f"{order}II")
        self._order = order
        self._named: set[int] = set()

    def headers(self) -> Iterator[bytes | Lost]:
        unread = 0
        for number in range(1, self._count):
            start = number * self._size
            if self._data[start + 25] not in _HASH_PAGES:
                unread += self._data[start + 25] > _HASH_PAGES[-1]
                continue
            if self._links.unpack_from(self._data, start + 8)[0] != number:
                yield self._lost("a page says that it is another one", number)
            else:
                yield from self._page(number)
        orphans = sum(self._is_orphan(number) for number in range(1, self._count))
        if orphans:
            yield Lost(f"{orphans} packages of Packages are in no page of keys any more")
        if unread:
            yield Lost(f"{unread} pages of Packages are of no known type")

    def _page(self, number: int) -> Iterator[bytes | Lost]:
        start = number * self._size
        count = self._entries.unpack_from(self._data, start + 20)[0]
        if count > (self._size - _PAGE_HEADER) // 2 or count % 2:
            yield self._lost(f"a page announces {count} entries", number)
            return
        offsets = struct.unpack_from(f"{self._order}{count}H", self._data, start + _PAGE_HEADER)
        ends = (self._size, *offsets)
        for index in range(1, count, 2):
            key = self._data[start + offsets[index - 1] + 1 : start + ends[index - 1]]
            if len(key) != 4 or not any(key):  # the counter of packages
                continue
            yield self._value(number, offsets[index], ends[index])

    def _value(self, number: int, begin: int, end: int) -> bytes | Lost:
        start = number * self._size
        if not _PAGE_HEADER <= begin < end <= self._size:
            return self._lost("a value has no place in its page", number)
        kind = self._data[start + begin]
        if kind == _ON_PAGE:
            return self._data[start + begin + 1 : start + end]
        if kind != _OFF_PAGE or end - begin < 12:
            return self._lost(f"a value of the unknown type {kind}", number)
        first, length = self._off_page.unpack_from(self._data, start + begin + 4)
        self._named.add(first)
        return self._chain(first, length, number)

    def _is_orphan(self, number: int) -> bool:
        """Return whether a page is the first of a chain and no value named it: its package's key is lost."""
        start = number * self._size
        is_first = self._data[start + 25] == _OVERFLOW and not self._links.unpack_from(self._data, start + 8)[1]
        return is_first and number not in self._named

    def _chain(self, page: int, length: int, owner: int) -> bytes | Lost:
        """Return the bytes of a chain of overflow pages: no more than announced, so a ring ends as well."""
        parts: list[bytes] = []
        rest = length
        while rest > 0:
            start = page * self._size
            if not 0 < page < self._count or self._data[start + 25] != _OVERFLOW:
                return self._lost(f"a package's header lacks {rest} of {length} bytes", owner)
            used = self._entries.unpack_from(self._data, start + 20)[1]
            if not 0 < used <= min(rest, self._size - _PAGE_HEADER):
                return self._lost(f"page {page} of a package's header holds {used} bytes", owner)
            self._left -= used
            if self._left < 0:
                return self._lost("its packages' headers are longer than the file", owner)
            parts.append(self._data[start + _PAGE_HEADER : start + _PAGE_HEADER + used])
            rest -= used
            page = self._links.unpack_from(self._data, start + 8)[2]
        return b"".join(parts)

    def _lost(self, reason: str, page: int) -> Lost:
        return Lost(f"page {page} of Packages: {reason}", offset=page * self._size, length=self._size)
