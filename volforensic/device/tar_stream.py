"""Members of a pax archive as bytes: the headers that a copy of a tree is made of.

Source: POSIX.1-2017, pax. All that an inode says stands in the extended header, so that no number is too large for its
field: the fields of the plain header hold what fits. ``volforensic.*`` keeps what pax has no keyword for; the names of
SCHILY and LIBARCHIVE are those of star and libarchive.
"""

import struct
from collections.abc import Iterable

BLOCK = 512
END = bytes(2 * BLOCK)
_HEADER = struct.Struct("100s8s8s8s12s12s8sc100s6s2s32s32s8s8s155s12x")
_CHECKSUM = 148

Records = Iterable[tuple[bytes, bytes]]


def padding(size: int) -> bytes:
    """Return the NUL bytes that fill up the last block of so many bytes."""
    return bytes(-size % BLOCK)


def pax_header(records: Records, kind: bytes = b"x") -> bytes:
    """Return an extended header of these records, in blocks; none for no records."""
    body = b"".join(_record(keyword, value) for keyword, value in records)
    return header(b"PaxHeader", kind, len(body)) + body + padding(len(body)) if body else b""


def header(  # noqa: PLR0913 - the fields of a header
    name: bytes, kind: bytes, size: int, *, mode: int = 0, link: bytes = b"", device: tuple[int, int] = (0, 0)
) -> bytes:
    """Return a plain header; what does not fit its field must stand in an extended one."""
    raw = bytearray(
        _HEADER.pack(
            name[:100],
            b"%07o" % (mode & 0o7777),
            *[b"%07o" % 0] * 2,
            _number(size, 11),
            b"%011o" % 0,
            b" " * 8,
            kind,
            link[:100],
            b"ustar",
            b"00",
            b"",
            b"",
            *(_number(part, 7) for part in device),
            b"",
        )
    )
    raw[_CHECKSUM : _CHECKSUM + 8] = b"%06o\0 " % sum(raw)
    return bytes(raw) + bytes(BLOCK - len(raw))


def decimal(nanoseconds: int) -> bytes:
    """Return a time as pax has it: seconds since 1970 with a fraction."""
    sign = b"-" if nanoseconds < 0 else b""
    seconds, rest = divmod(abs(nanoseconds), 1_000_000_000)
    return b"%s%d.%09d" % (sign, seconds, rest) if rest else b"%s%d" % (sign, seconds)


def sparse_map(runs: list[tuple[int, int]]) -> bytes:
    """Return the map that comes before the bytes of a sparse file (GNU, format 1.0), in blocks."""
    lines = b"".join(b"%d\n%d\n" % run for run in runs)
    body = b"%d\n" % len(runs) + lines
    return body + padding(len(body))


def _number(value: int, digits: int) -> bytes:
    return b"%0*o" % (digits, value) if value < 1 << 3 * digits else b"%0*o" % (digits, 0)


def _record(keyword: bytes, value: bytes) -> bytes:
    rest = len(keyword) + len(value) + 3
    size = rest + len(str(rest))
    size += len(str(size)) - len(str(rest))
    return b"%d %s=%s\n" % (size, keyword, value)
