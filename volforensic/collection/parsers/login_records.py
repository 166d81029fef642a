"""Layouts of utmp(5) and lastlog records (glibc bits/utmp.h), and which of them a file's bytes fit.

A record of utmp has 384 bytes where session and time have 32 bits (x86, x86-64, 32-bit ARM) and 400 where they have
64 (64-bit ARM and other ports without a 32-bit sibling); lastlog's have 292 and 296. The file does not say which.
"""

import ipaddress
import socket
import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from volforensic.collection.content import Block, Content

TYPES = (
    *("EMPTY", "RUN_LVL", "BOOT_TIME", "NEW_TIME", "OLD_TIME", "INIT_PROCESS", "LOGIN_PROCESS", "USER_PROCESS"),
    *("DEAD_PROCESS", "ACCOUNTING"),
)
"""Names of ut_type, 0 to 9."""

EARLIEST, LATEST = 631_152_000, 2_147_483_647
"""Seconds since 1970 that a record can be expected to have: 1990 to the last that signed 32 bits hold, in 2038."""
_SIGNED_FROM = 0xC0000000
"""32-bit times from here on are taken for negative ones; glibc reads those below as unsigned, 2038 to 2072."""
_SAMPLE = 64 << 10
_SMALL_HOLE = 4096
_PRINTABLE = bytes(range(0x20, 0x7F))


class Layout(NamedTuple):
    """How one record lies in its bytes."""

    size: int
    record: struct.Struct
    wide: bool


UTMP_LAYOUTS = tuple(
    Layout(struct.calcsize(order + fields), struct.Struct(order + fields), wide)
    for order in "<>"
    for fields, wide in (("h2si32s4s32s256shhiii16s20x", False), ("h2si32s4s32s256shhqqq16s20x4x", True))
)
"""type, padding, pid, line, id, user, host, termination, exit, session, seconds, microseconds, address."""

LASTLOG_LAYOUTS = tuple(
    Layout(struct.calcsize(order + fields), struct.Struct(order + fields), wide)
    for order in "<>"
    for fields, wide in (("i32s256s", False), ("q32s256s", True))
)
"""seconds, line, host."""


class Login(NamedTuple):
    """The values of one utmp record; ``seconds`` since 1970 UTC."""

    type: int
    padding: bytes
    pid: int
    line: bytes
    id: bytes
    user: bytes
    host: bytes
    termination: int
    exit: int
    session: int
    seconds: int
    microseconds: int
    address: bytes


def login(layout: Layout, data: bytes, offset: int = 0) -> Login:
    """Return the record at an offset of the bytes, which must hold the whole of it."""
    values = Login._make(layout.record.unpack_from(data, offset))
    if layout.wide or values.seconds >= 0:
        return values
    return values._replace(seconds=seconds_of(values.seconds))


def seconds_of(value: int) -> int:
    """Return the time that a signed 32-bit value stands for: beyond 2038 where that is the likelier reading."""
    unsigned = value & 0xFFFFFFFF
    return unsigned if value < 0 and unsigned < _SIGNED_FROM else value


def is_login(record: Login) -> bool:
    """Tell a utmp record, also one with an odd time, from bytes that are none."""
    return 0 <= record.type <= 9 and 0 <= record.microseconds < 1_000_000 and record.pid >= 0 and is_line(record.line)


def is_line(line: bytes) -> bool:
    """Tell whether a terminal's name is printable and padded with NUL bytes alone."""
    return not line.rstrip(b"\0").strip(_PRINTABLE)


def is_time(seconds: int) -> bool:
    """Tell whether a time is one of 1990 to 2038."""
    return EARLIEST <= seconds <= LATEST


def best_utmp_layout(samples: Iterable[Block]) -> Layout:
    """Return the layout under which most records of the samples are plausible; where none are, that of x86-64."""
    scores = [0] * len(UTMP_LAYOUTS)
    for sample in samples:
        for number, layout in enumerate(UTMP_LAYOUTS):
            for offset in record_offsets(sample, layout.size):
                record = login(layout, sample.data, offset)
                scores[number] += bool(record.type and is_login(record) and is_time(record.seconds))
    return UTMP_LAYOUTS[scores.index(max(scores))]


def best_lastlog_layout(samples: Iterable[Block]) -> Layout:
    """Return the layout that the records of the samples that are not all zero fit best."""
    scores = [0] * len(LASTLOG_LAYOUTS)
    for sample in samples:
        for number, layout in enumerate(LASTLOG_LAYOUTS):
            for offset in record_offsets(sample, layout.size):
                if sample.data.count(0, offset, offset + layout.size) < layout.size:
                    seconds, line, _ = layout.record.unpack_from(sample.data, offset)
                    scores[number] += 1 if is_time(seconds) and is_line(line) else -1
    return LASTLOG_LAYOUTS[scores.index(max(scores))]


def record_offsets(block: Block, size: int) -> range:
    """Return where whole records of a size begin in a block, counted from the beginning of its file."""
    return range(-block.position % size, len(block.data) - size + 1, size)


def string(field: bytes) -> bytes:
    """Return a fixed-size field up to its first NUL; all of it where it has none."""
    return field.partition(b"\0")[0]


def address_text(address: bytes) -> str:
    """Return ut_addr_v6 as text: IPv4 where only the first of its four words is set, empty where none is."""
    if not address.strip(b"\0"):
        return ""
    if not address[4:].strip(b"\0"):
        return socket.inet_ntop(socket.AF_INET, address[:4])
    full = ipaddress.IPv6Address(address)
    return str(full.ipv4_mapped or full)


def samples(content: Content) -> Iterator[Block]:
    """Yield the beginning of each chunk, of chunks that are small and follow each other more than one."""
    held, position = bytearray(), 0
    for chunk in content.chunks():
        if held and (len(held) >= _SAMPLE or chunk.position != position + len(held)):
            yield Block(position, bytes(held))
            held.clear()
        position = position if held else chunk.position
        held.extend(chunk.data[:_SAMPLE])
    yield Block(position, bytes(held))


def filled_chunks(content: Content) -> Iterator[Block]:
    """Yield the chunks with small holes between them filled with zeros; a large one stays a hole.

    What could not be read is no hole; the chunks must have been gone through before for that to be known.
    """
    end = 0
    for chunk in content.chunks():
        if 0 < chunk.position - end <= _SMALL_HOLE and not is_lost(content, end, chunk.position):
            yield Block(end, bytes(chunk.position - end))
        yield chunk
        end = chunk.position + len(chunk.data)


def is_lost(content: Content, start: int, end: int) -> bool:
    """Tell whether a gap between two chunks is a range that could not be read, and no hole."""
    return any(loss.offset < end and start < loss.offset + loss.length for loss in content.losses)
