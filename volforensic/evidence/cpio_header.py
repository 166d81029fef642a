"""Headers of cpio archives: newc, crc, odc and the old binary form of either byte order.

Sources: cpio(5) of FreeBSD; the kernel's Documentation/driver-api/early-userspace/buffer-format.rst (newc, crc).
"""

import re
import struct
from itertools import pairwise
from typing import NamedTuple

LONGEST_NAME = 64 << 10
TRAILER = b"TRAILER!!!"
_HEXADECIMAL = re.compile(rb"07070[12][0-9A-Fa-f]{104}\Z")
_OCTAL = re.compile(rb"070707[0-7]{70}\Z")
_TYPES = {0o010000, 0o020000, 0o040000, 0o060000, 0o100000, 0o120000, 0o140000, 0o110000}
_NEW_SIZE, _OLD_SIZE, _BINARY_SIZE = 110, 76, 26
LONGEST_HEADER = _NEW_SIZE
SIGNS: dict[str, re.Pattern[bytes]] = {
    "text": re.compile(rb"07070[127]"),
    "little": re.compile(rb"\xc7\x71", re.DOTALL),
    "big": re.compile(rb"\x71\xc7", re.DOTALL),
}
"""Where a header may begin: the forms in text, and each byte order of the binary one."""


class Header(NamedTuple):
    """A header: ``form`` is newc, crc, odc, little or big; sizes in bytes; ``check`` the sum of the bytes (crc)."""

    form: str
    device: tuple[int, int]
    inode: int
    mode: int
    uid: int
    gid: int
    links: int
    named_device: tuple[int, int]
    modified: int
    name_size: int
    size: int
    check: int = 0

    @property
    def length(self) -> int:
        """How many bytes the header itself has."""
        return {"newc": _NEW_SIZE, "crc": _NEW_SIZE, "odc": _OLD_SIZE}.get(self.form, _BINARY_SIZE)

    @property
    def alignment(self) -> int:
        """To how many bytes name and data are filled up."""
        return {"newc": 4, "crc": 4, "odc": 1}.get(self.form, 2)

    @property
    def family(self) -> str:
        """Under which of ``SIGNS`` the next header is looked for."""
        return self.form if self.form in SIGNS else "text"


def read_header(raw: bytes) -> Header | None:
    """Return the header at the beginning of some bytes, None where there is none that can be."""
    if _HEXADECIMAL.match(raw[:_NEW_SIZE]):
        header = _new(raw)
    elif _OCTAL.match(raw[:_OLD_SIZE]):
        header = _old(raw)
    elif raw[:2] in (b"\xc7\x71", b"\x71\xc7") and len(raw) >= _BINARY_SIZE:
        header = _binary(raw)
    else:
        return None
    is_known = header.mode & 0o170000 in _TYPES or not header.mode
    return header if is_known and 1 <= header.name_size <= LONGEST_NAME else None


def _new(raw: bytes) -> Header:
    values = [int(raw[place : place + 8], 16) for place in range(6, _NEW_SIZE, 8)]
    inode, mode, uid, gid, links, modified, size, major, minor, named_major, named_minor, name_size, check = values
    form = "crc" if raw[5:6] == b"2" else "newc"
    device, named = (major, minor), (named_major, named_minor)
    return Header(form, device, inode, mode, uid, gid, links, named, modified, name_size, size, check)


def _old(raw: bytes) -> Header:
    places = (6, 12, 18, 24, 30, 36, 42, 48, 59, 65, 76)
    device, inode, mode, uid, gid, links, named, modified, name_size, size = (
        int(raw[begin:end], 8) for begin, end in pairwise(places)
    )
    return Header("odc", (0, device), inode, mode, uid, gid, links, _device(named), modified, name_size, size)


def _binary(raw: bytes) -> Header:
    form = "little" if raw[:1] == b"\xc7" else "big"
    words = struct.unpack(("<" if form == "little" else ">") + "13H", raw[:_BINARY_SIZE])
    _, device, inode, mode, uid, gid, links, named, *rest = words
    modified, size = rest[0] << 16 | rest[1], rest[3] << 16 | rest[4]
    return Header(form, (0, device), inode, mode, uid, gid, links, _device(named), modified, rest[2], size)


def _device(number: int) -> tuple[int, int]:
    return number >> 8 & 0x3FF, number & 0xFF
