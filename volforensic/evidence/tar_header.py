"""A header of a tar archive: 512 bytes of text fields.

Sources: POSIX.1-2017, pax (ustar interchange format); GNU tar's manual, "Basic Tar Format"; tar(5) of FreeBSD
(v7, old GNU and pax formats, base-256 numbers).
"""

import struct
from typing import NamedTuple
from zlib import adler32

BLOCK = 512
_HALF = 256
_FIELDS = struct.Struct("100s8s8s8s12s12s8sc100s8s32s32s8s8s155s12x")
_CHECKSUM = slice(148, 156)
_EMPTY = bytes(BLOCK)
_TYPES_OF_V7 = b"\x0001234567"
_LARGEST_TIME = 1 << 62


class TarError(ValueError):
    """A structure of the archive is damaged."""


class Header(NamedTuple):
    """A header's fields. Numbers that cannot be read are None; ``magic`` is ``ustar``, ``gnu`` or ``v7``."""

    raw: bytes
    magic: str
    type: bytes
    name: bytes
    link: bytes
    size: int | None
    is_sound: bool

    def number(self, begin: int, length: int) -> int | None:
        """Return a number field; None where it is none."""
        return number(self.raw[begin : begin + length])


def is_sound(block: bytes) -> bool:
    """Return whether the checksum of a header is right: the sum of its bytes, also as signed ones."""
    if len(block) < BLOCK:
        return False
    stored = number(block[_CHECKSUM])
    if not stored:
        return False
    # The low half of an Adler-32 is the sum of the bytes, where they are so few: five times as fast as sum().
    total = (adler32(block[:_HALF], 0) & 0xFFFF) + (adler32(block[_HALF:], 0) & 0xFFFF) - sum(block[_CHECKSUM]) + 8 * 32
    if stored == total:
        return True
    high = sum(byte > 127 for byte in block[:148]) + sum(byte > 127 for byte in block[156:])
    return stored == total - 256 * high


def is_header(block: bytes) -> bool:
    """Return whether a block is a header: its checksum is right, and its fields may be."""
    if not is_sound(block):
        return False
    size = number(block[124:136])
    if size is None or size < 0:
        return False
    return block[257:262] == b"ustar" or (block[156] in _TYPES_OF_V7 and bool(block[0]))


def is_empty(block: bytes) -> bool:
    """Return whether it is a block of NUL bytes."""
    return block == _EMPTY


def number(field: bytes) -> int | None:
    """Return the number of a field: octal digits, or base 256 where the first bit is set; None for anything else."""
    if field[:1] >= b"\x80":
        bits = 8 * len(field) - 1
        value = int.from_bytes(field, "big") & (1 << bits) - 1
        value -= (1 << bits) if value >> bits - 1 else 0
        return value if abs(value) < 1 << 63 else None
    digits = field.strip(b" \0")
    if not digits:
        return 0
    if not digits.isdigit():  # some old programs leave the rest of a field as it was behind the first NUL or blank
        digits = digits.replace(b"\0", b" ").split()[0]
    try:
        return int(digits, 8) if digits.isdigit() else None
    except ValueError:
        return None


def read_header(block: bytes, *, is_sound: bool) -> Header:
    """Return the fields of a whole block, whose checksum is right or not."""
    name, _, _, _, size, _, _, kind, link, magic, *_, prefix = _FIELDS.unpack(block)
    form = {b"ustar\x0000": "ustar", b"ustar  \0": "gnu"}.get(magic, "v7" if magic[:5] != b"ustar" else "ustar")
    path = name.split(b"\0")[0]
    if form == "ustar" and prefix[0]:
        path = prefix.split(b"\0")[0] + b"/" + path
    return Header(block, form, kind, path, link.split(b"\0")[0], number(size), is_sound)
