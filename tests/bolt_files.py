"""bbolt databases written to the format's documentation: leaves, branches, overflow pages, buckets inline and not."""

import struct
from collections.abc import Sequence
from typing import Any

from volforensic.collection.parsers.bolt import fnv1a

PAGE = 4096
Buckets = dict[bytes, Any]
_MOST_INLINE = PAGE // 4


def bolt(root: Buckets, *, per_leaf: int = 40, transaction: int = 7, beginnings: Sequence[int] = (0, 1)) -> bytes:
    """Return a database; its two beginnings are those whose numbers are given, the second one of an older state."""
    pages: dict[int, bytes] = {2: _page(2, 0x10, b""), 3: _page(3, 0x02, b"")}
    number = _bucket(root, pages, per_leaf)
    size = max(place + len(page) // PAGE for place, page in pages.items())
    data = bytearray(size * PAGE)
    for place, page in pages.items():
        data[place * PAGE : place * PAGE + len(page)] = page
    for which in beginnings:
        top = number if which == 0 else 3
        head = struct.pack("<IIIIQQQQQ", 0xED0CDAED, 2, PAGE, 0, top, 0, 2, size, transaction - which)
        meta = struct.pack("<QHHI", which, 0x04, 0, 0) + head + struct.pack("<Q", fnv1a(head))
        data[which * PAGE : which * PAGE + len(meta)] = meta
    return bytes(data)


def uvarint(value: int) -> bytes:
    """Return a number as Go's encoding/binary writes it."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _bucket(bucket: Buckets, pages: dict[int, bytes], per_leaf: int) -> int:
    """Write a bucket into the pages and return the number of its root."""
    items = [(key, *_value(value, pages, per_leaf)) for key, value in sorted(bucket.items())]
    pieces = [items[first : first + per_leaf] for first in range(0, len(items), per_leaf)] or [[]]
    leaves = [(piece[0][0] if piece else b"", _place(pages, 0x02, _leaf(piece), len(piece))) for piece in pieces]
    while len(leaves) > 1:
        above = [leaves[first : first + per_leaf] for first in range(0, len(leaves), per_leaf)]
        leaves = [(piece[0][0], _place(pages, 0x01, _branch(piece), len(piece))) for piece in above]
    return leaves[0][1]


def _value(value: bytes | Buckets, pages: dict[int, bytes], per_leaf: int) -> tuple[int, bytes]:
    if isinstance(value, bytes):
        return 0, value
    items = [(key, 0, one) for key, one in sorted(value.items()) if isinstance(one, bytes)]
    body = _leaf(items)
    if len(items) == len(value) and len(body) < _MOST_INLINE:
        return 1, struct.pack("<QQ", 0, 0) + struct.pack("<QHHI", 0, 0x02, len(items), 0) + body
    return 1, struct.pack("<QQ", _bucket(value, pages, per_leaf), 0)


def _leaf(items: Sequence[tuple[bytes, int, bytes]]) -> bytes:
    place, head, body = 16 * len(items), b"", b""
    for number, (key, flags, value) in enumerate(items):
        head += struct.pack("<IIII", flags, place - 16 * number + len(body), len(key), len(value))
        body += key + value
    return head + body


def _branch(items: Sequence[tuple[bytes, int]]) -> bytes:
    place, head, body = 16 * len(items), b"", b""
    for number, (key, page) in enumerate(items):
        head += struct.pack("<IIQ", place - 16 * number + len(body), len(key), page)
        body += key
    return head + body


def _place(pages: dict[int, bytes], flags: int, body: bytes, count: int) -> int:
    number = max(place + len(page) // PAGE for place, page in pages.items())
    pages[number] = _page(number, flags, body, count)
    return number


def _page(number: int, flags: int, body: bytes, count: int = 0) -> bytes:
    size = -(-(16 + len(body)) // PAGE) * PAGE
    return (struct.pack("<QHHI", number, flags, count, size // PAGE - 1) + body).ljust(size, b"\0")
