"""One header of an rpm database: a bounded reader of its tags.

A header in a database is two 32-bit numbers (big endian: how many index entries, how many bytes of data), the entries
of 16 bytes (tag, type, offset into the data, count) and the data
(https://rpm-software-management.github.io/rpm/manual/format_header.html, rpm's include/rpm/rpmtag.h).
"""

import hashlib
import struct

_MAGIC = bytes.fromhex("8eade80100000000")
_IMMUTABLE_REGION, _BINARY = 63, 7
_OWN_DIGESTS = {273: "sha256", 269: "sha1"}
_MOST_ENTRIES = 65_535
_MOST_DATA = 256 << 20
MOST_FILES = 2_000_000
_INTEGERS = {1: "B", 2: "B", 3: "H", 4: "I", 5: "Q"}  # CHAR, INT8, INT16, INT32, INT64
_STRING, _STRING_ARRAY, _INTERNATIONAL = 6, 8, 9
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8}


class HeaderError(ValueError):
    """The bytes are no header of an rpm database, or a tag of it is not what it has to be."""


class Header:
    """Holds a header's bytes and where each tag is. Nothing is decoded before it is asked for."""

    def __init__(self, blob: bytes) -> None:
        """Read the index.

        Raises:
            HeaderError: It announces more than its bytes hold.
        """
        if len(blob) < 8:
            raise HeaderError("a header of less than 8 bytes")
        count, size = struct.unpack_from(">II", blob)
        if count > _MOST_ENTRIES or size > _MOST_DATA or 8 + 16 * count + size > len(blob):
            raise HeaderError(f"a header of {len(blob)} bytes announces {count} tags and {size} bytes of data")
        self._index = blob[8 : 8 + 16 * count]
        self._data = blob[8 + 16 * count : 8 + 16 * count + size]
        self._tags: dict[int, tuple[int, int, int]] = {}
        for tag, kind, offset, number in struct.iter_unpack(">IIII", self._index):
            if offset <= size:
                self._tags.setdefault(tag, (kind, offset, number))

    def __contains__(self, tag: int) -> bool:
        """Return whether the header has the tag."""
        return tag in self._tags

    def contradicts_itself(self) -> bool:
        """Return whether the digest that the package's maker took of the header is not that of the header.

        rpm refuses such a header too. What was added when the package was installed is not covered: the digest is over
        the region that the first tag describes (rpm's lib/header.c, hdrblobDigestUpdate).
        """
        tag, algorithm = next(((tag, name) for tag, name in _OWN_DIGESTS.items() if tag in self._tags), (0, ""))
        region = self._region()
        if not tag or not region:
            return False
        digest = hashlib.new(algorithm, region, usedforsecurity=False).hexdigest()
        return digest != self.first(tag).decode("ascii", "replace").lower()

    def _region(self) -> bytes:
        """Return the bytes that the header's digest is over; empty where it has no such region."""
        if len(self._index) < 16:
            return b""
        tag, kind, offset, count = struct.unpack_from(">IIII", self._index)
        if (tag, kind, count) != (_IMMUTABLE_REGION, _BINARY, 16) or offset + 16 > len(self._data):
            return b""
        length = -struct.unpack_from(">i", self._data, offset + 8)[0]
        if length <= 0 or length % 16 or length > len(self._index):
            return b""
        sizes = struct.pack(">II", length // 16, offset + 16)
        return _MAGIC + sizes + self._index[:length] + self._data[: offset + 16]

    def numbers(self, tag: int) -> tuple[int, ...]:
        """Return a tag's numbers; empty where the header does not have it.

        Raises:
            HeaderError: They are not numbers, or reach beyond the data.
        """
        if tag not in self._tags:
            return ()
        kind, offset, count = self._tags[tag]
        if kind not in _INTEGERS or count > MOST_FILES or offset + count * _SIZES[kind] > len(self._data):
            raise HeaderError(f"tag {tag} holds no numbers")
        return struct.unpack_from(f">{count}{_INTEGERS[kind]}", self._data, offset)

    def strings(self, tag: int) -> list[bytes]:
        """Return a tag's strings; empty where the header does not have it.

        Raises:
            HeaderError: They are no strings, or reach beyond the data.
        """
        if tag not in self._tags:
            return []
        kind, offset, count = self._tags[tag]
        if kind not in (_STRING, _STRING_ARRAY, _INTERNATIONAL) or count > len(self._data) - offset:
            raise HeaderError(f"tag {tag} holds no strings")
        if count == 1:
            end = self._data.find(b"\0", offset)
            parts = [self._data[offset:end], b""] if end >= 0 else []
        else:
            # One split for all: a header of a large package holds tens of thousands.
            parts = self._data[offset:].split(b"\0", count)
        if len(parts) <= count:
            raise HeaderError(f"the strings of tag {tag} reach beyond the data")
        return parts[:count]

    def first(self, tag: int) -> bytes:
        """Return a tag's first string; empty where the header does not have it."""
        strings = self.strings(tag)
        return strings[0] if strings else b""
