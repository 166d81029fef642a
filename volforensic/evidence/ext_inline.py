"""Data that an ext4 inode keeps itself: a small file's bytes, a small directory's entries.

Source: the kernel's Documentation/filesystems/ext4/inlinedata.rst and attributes.rst.
"""

import struct

_IN_INODE = slice(40, 100)  # the place of the block map
_MAGIC = b"\x00\x00\x02\xea"
_ATTRIBUTE = struct.Struct("<BBHII4x")  # length and kind of the name, place of the value, its inode, its size
_SYSTEM = 7


def inline_data(raw: bytes) -> tuple[bytes, bytes]:
    """Return what lies in the place of the block map, and what goes on in the attribute ``system.data``."""
    first = 128 + int.from_bytes(raw[128:130], "little") + 4 if len(raw) > 128 else len(raw)
    place = first
    if raw[first - 4 : first] != _MAGIC:
        return raw[_IN_INODE], b""
    while place + _ATTRIBUTE.size <= len(raw) and raw[place : place + 4] != bytes(4):
        name_length, kind, offset, where, size = _ATTRIBUTE.unpack_from(raw, place)
        name = raw[place + 16 : place + 16 + name_length]
        if kind == _SYSTEM and name == b"data" and not where:
            return raw[_IN_INODE], raw[first + offset : first + offset + size]
        place += 16 + -(-name_length // 4) * 4
    return raw[_IN_INODE], b""
