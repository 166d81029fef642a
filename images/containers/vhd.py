"""Writes VHDs: fixed, dynamic and differencing ones, from a disk's bytes.

Source: Microsoft's "Virtual Hard Disk Image Format Specification" (2006).
"""

import struct
from typing import NamedTuple

SECTOR = 512
DISK_ID, CHILD_ID = bytes(range(16, 32)), bytes(range(32, 48))
_UNALLOCATED = 0xFFFFFFFF
W2RU = b"W2ru", "utf-16-le"
_NO_OFFSET = (1 << 64) - 1


class _Disk(NamedTuple):
    size: int
    kind: int
    block_size: int
    identity: bytes
    parent_id: bytes
    parent_name: str
    locator: tuple[bytes, str] = W2RU


def fixed(data: bytes) -> bytes:
    """Return a fixed disk: the bytes and a footer."""
    return data + footer(len(data), 2, _NO_OFFSET)


def dynamic(data: bytes, block_size: int = 2 << 20) -> bytes:
    """Return a dynamic disk; blocks of zeros are not there."""
    blocks = [data[start : start + block_size] for start in range(0, len(data), block_size)]
    stored = [(bytes([255]) * (block_size // SECTOR // 8), block) if any(block) else None for block in blocks]
    return _sparse(_Disk(len(data), 3, block_size, DISK_ID, bytes(16), ""), stored)


def differencing(
    data: bytes, parent: bytes, name: str, block_size: int = 2 << 20, locator: tuple[bytes, str] = W2RU
) -> bytes:
    """Return a disk that has the sectors of ``data`` which differ from ``parent``; ``name`` is the parent's path.

    ``locator``: the platform code under which it is stored, and its encoding.
    """
    stored: list[tuple[bytes, bytes] | None] = []
    for start in range(0, len(data), block_size):
        block, below = data[start : start + block_size], parent[start : start + block_size].ljust(block_size, b"\0")
        bits, kept = _difference(block, below)
        stored.append((bits, kept) if any(bits) else None)
    return _sparse(_Disk(len(data), 4, block_size, CHILD_ID, DISK_ID, name, locator), stored)


def _difference(block: bytes, below: bytes) -> tuple[bytes, bytes]:
    """Return the bitmap of sectors that differ, and the block with others filled by what must not be read."""
    digits, kept = [], []
    for start in range(0, len(block), SECTOR):
        sector = block[start : start + SECTOR]
        differs = sector != below[start : start + len(sector)]
        digits.append("1" if differs else "0")
        kept.append(sector if differs else b"\xee" * len(sector))
    padded = "".join(digits).ljust(-(-len(digits) // 8) * 8, "0")
    return int(padded, 2).to_bytes(len(padded) // 8, "big"), b"".join(kept)


def footer(size: int, kind: int, header: int, identity: bytes = DISK_ID) -> bytes:
    """Return a footer with its checksum."""
    head = struct.pack(
        ">8sIIQI4sI4sQQHBBI", b"conectix", 2, 0x10000, header, 1, b"win ", 0x10000, b"Wi2k", size, size, 1, 1, 1, kind
    )
    return _summed(head + bytes(4) + identity + bytes(428), 64)


def _sparse(disk: _Disk, stored: list[tuple[bytes, bytes] | None]) -> bytes:
    size, kind, block_size, identity, parent_id, name, (code, encoding) = disk
    locator_at = 512 + 1024
    locator = name.encode(encoding)
    table_at = locator_at + SECTOR * -(-len(locator) // SECTOR)
    table_size = SECTOR * -(-4 * len(stored) // SECTOR)
    entries, body = [], bytearray()
    bitmap_size = SECTOR * -(-block_size // (SECTOR * SECTOR * 8))
    for item in stored:
        entries.append(_UNALLOCATED if item is None else (table_at + table_size + len(body)) // SECTOR)
        if item is not None:
            body += item[0].ljust(bitmap_size, b"\0") + item[1].ljust(block_size, b"\0")
    head = struct.pack(">8sQQIII", b"cxsparse", _NO_OFFSET, table_at, 0x10000, len(stored), block_size)
    last = name.replace("\\", "/").rsplit("/", maxsplit=1)[-1]
    head += bytes(4) + parent_id + struct.pack(">I4x512s", 1, last.encode("utf-16-be"))
    head += struct.pack(">4sII4xQ", code if name else bytes(4), len(locator), len(locator), locator_at if name else 0)
    ending = footer(size, kind, 512, identity)
    table = b"".join(entry.to_bytes(4, "big") for entry in entries).ljust(table_size, b"\xff")
    padding = bytes(table_at - locator_at - len(locator))
    return ending + _summed(head.ljust(1024, b"\0"), 36) + locator + padding + table + bytes(body) + ending


def _summed(raw: bytes, place: int) -> bytes:
    """Return the structure with the ones' complement of the sum of its bytes at ``place``, where zeros are."""
    return raw[:place] + (~sum(raw) & 0xFFFFFFFF).to_bytes(4, "big") + raw[place + 4 :]
