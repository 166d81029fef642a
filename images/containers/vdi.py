"""Writes VDIs: dynamic, fixed and differencing ones, of the versions 1.1 and 0.0.

Source: VirtualBox's src/VBox/Storage/VDICore.h.
"""

import struct
from typing import NamedTuple

DISK_ID, CHILD_ID = bytes(range(48, 64)), bytes(range(64, 80))
DYNAMIC, FIXED, DIFFERENCING = 1, 2, 4
_FREE, _DISCARDED = 0xFFFFFFFF, 0xFFFFFFFE
_TEXT = b"<<< Oracle VM VirtualBox Disk Image >>>\n"
_SIGNATURE = 0xBEDA107F


class _Shape(NamedTuple):
    size: int
    block_size: int
    kind: int
    extra: int
    ids: bytes  # of the disk, of its last change, of its parent


def build(
    data: bytes, block_size: int = 1 << 20, kind: int = DYNAMIC, *, extra: int = 0, is_old: bool = False
) -> bytes:
    """Return a disk of its own; blocks of zeros are not there (the first of them is discarded), unless it is fixed."""
    entries, body = [], bytearray()
    for start in range(0, len(data), block_size):
        block = data[start : start + block_size]
        if kind != FIXED and not any(block):
            entries.append(_FREE if _DISCARDED in entries else _DISCARDED)
            continue
        entries.append(len(body) // (block_size + extra))
        body += b"\xee" * extra + block.ljust(block_size, b"\0")
    shape = _Shape(len(data), block_size, kind, extra, DISK_ID + bytes(32))
    return (_head_0(shape, entries) if is_old else _head_1(shape, entries)) + bytes(body)


def differencing(data: bytes, parent: bytes, block_size: int = 1 << 20) -> bytes:
    """Return a disk that has the blocks of ``data`` which differ from ``parent``; new zeros are discarded."""
    entries, body = [], bytearray()
    for start in range(0, len(data), block_size):
        block = data[start : start + block_size]
        if block == parent[start : start + block_size].ljust(len(block), b"\0"):
            entries.append(_FREE)
        elif not any(block):
            entries.append(_DISCARDED)
        else:
            entries.append(len(body) // block_size)
            body += block.ljust(block_size, b"\0")
    shape = _Shape(len(data), block_size, DIFFERENCING, 0, CHILD_ID + bytes(16) + DISK_ID)
    return _head_1(shape, entries) + bytes(body)


def _head_0(shape: _Shape, entries: list[int]) -> bytes:
    head = struct.pack("<64sIIII256s16x", _TEXT, _SIGNATURE, 0, shape.kind, 0, b"old")
    return head + struct.pack("<QIII", shape.size, shape.block_size, len(entries), 0) + shape.ids + _map(entries)


def _head_1(shape: _Shape, entries: list[int]) -> bytes:
    map_at = 512
    data_at = map_at + 512 * -(-4 * len(entries) // 512)
    head = struct.pack("<64sIIIII256sII", _TEXT, _SIGNATURE, 0x10001, 400, shape.kind, 0, b"a comment", map_at, data_at)
    head += struct.pack("<12xI4xQIIII", 512, shape.size, shape.block_size, shape.extra, len(entries), 0)
    return (head + shape.ids + bytes(16)).ljust(map_at, b"\0") + _map(entries).ljust(data_at - map_at, b"\0")


def _map(entries: list[int]) -> bytes:
    return b"".join(entry.to_bytes(4, "little") for entry in entries)
