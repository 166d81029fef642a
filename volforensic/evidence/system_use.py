"""The system use fields of ISO 9660 directory records: names, owners, times, links as a Unix host had them.

Source: IEEE P1281 (SUSP: SP, CE, ST) and P1282 (Rock Ridge: PX, PN, SL, NM, CL, RE, TF, and ZF of zisofs); the kernel's
fs/isofs/rock.c for how a device's number is kept.
"""

import datetime as dt
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from volforensic.evidence.attributes import Device
from volforensic.evidence.node import LINK_TARGET_LIMIT

_SECOND = 1_000_000_000
_MOST_AREAS = 16
_LARGEST_AREA = 1 << 16
_LONGEST_NAME = 4096
_TIMES = ("created", "modified", "accessed", "changed")
_SHORT_TIME, _LONG_TIME = 7, 17

ReadArea = Callable[[int, int, int], bytes]
"""Gives the bytes at (logical block, byte in it, how many)."""


class RockRidge(NamedTuple):
    """What the fields of a record say; None for what is not among them. ``child`` is the block of a moved directory."""

    name: bytes | None = None
    mode: int | None = None
    links: int = 1
    uid: int = 0
    gid: int = 0
    link_target: bytes | None = None
    device: Device | None = None
    times: dict[str, int | None] = {}  # noqa: RUF012 - never changed
    child: int | None = None
    is_moved: bool = False
    problems: tuple[str, ...] = ()


def fields_of(area: bytes, read: ReadArea) -> RockRidge:
    """Return what the system use area of a record says; damage is among its ``problems``."""
    name, target = [], _Target()
    said = RockRidge()
    problems: list[str] = []
    for kind, data in _fields(area, read, problems):
        if kind == b"NM" and len(data) > 1:
            name.append({2: b".", 4: b".."}.get(data[0] & 6, data[1:]))
        elif kind == b"SL" and data:
            target.add(data[1:])
        elif kind == b"PX" and len(data) >= 32:
            mode, links, uid, gid = (struct.unpack_from("<I", data, place)[0] for place in (0, 8, 16, 24))
            said = said._replace(mode=mode, links=links, uid=uid, gid=gid)
        elif kind == b"PN" and len(data) >= 16:
            said = said._replace(device=_device(*struct.unpack("<I4xI4x", data[:16])))
        elif kind == b"TF" and data:
            said = said._replace(times=said.times | _times(data))
        elif kind == b"CL" and len(data) >= 4:
            said = said._replace(child=int.from_bytes(data[:4], "little"))
        elif kind == b"RE":
            said = said._replace(is_moved=True)
        elif kind == b"ZF":
            problems.append("it is compressed (zisofs): its bytes and its hash are those that are stored")
    whole = b"".join(name)[:_LONGEST_NAME]
    return said._replace(name=whole or None, link_target=target.path(), problems=tuple(problems))


def _fields(area: bytes, read: ReadArea, problems: list[str]) -> Iterator[tuple[bytes, bytes]]:
    """Yield signature and data of each field, those of continuation areas too."""
    for _ in range(_MOST_AREAS):
        following: tuple[int, int, int] | None = None
        position = 0
        while position + 4 <= len(area):
            kind, length = area[position : position + 2], area[position + 2]
            if length < 4 or position + length > len(area):
                if any(area[position:]):
                    problems.append("its Rock Ridge fields are damaged")
                break
            data = area[position + 4 : position + length]
            if kind == b"ST":
                break
            if kind == b"CE" and len(data) >= 24:
                following = struct.unpack("<I4xI4xI4x", data[:24])
            else:
                yield kind, data
            position += length
        if following is None:
            return
        area = read(following[0], following[1], min(following[2], _LARGEST_AREA))
    problems.append("its Rock Ridge fields do not end")


class _Target:
    """Holds a link's path while its components come."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._is_open = False

    def add(self, data: bytes) -> None:
        """Take the components of one SL field."""
        position = 0
        while position + 2 <= len(data) and len(self._parts) < LINK_TARGET_LIMIT:
            flags, length = data[position], data[position + 1]
            part = data[position + 2 : position + 2 + length]
            part = {2: b".", 4: b"..", 8: b""}.get(flags & 14, part)
            if self._is_open:
                self._parts[-1] += part
            else:
                self._parts.append(part)
            self._is_open = bool(flags & 1)
            position += 2 + length

    def path(self) -> bytes | None:
        """Return the whole path, None where no component came."""
        if self._parts == [b""]:
            return b"/"
        return b"/".join(self._parts)[:LINK_TARGET_LIMIT] if self._parts else None


def _device(high: int, low: int) -> Device:
    return (low >> 8, low & 0xFF) if low & ~0xFF and not high else (high, low)


def _times(data: bytes) -> dict[str, int | None]:
    size = _LONG_TIME if data[0] & 0x80 else _SHORT_TIME
    position, times = 1, {}
    for bit, name in enumerate(_TIMES):
        if data[0] >> bit & 1:
            raw = data[position : position + size]
            times[name] = nanoseconds(raw) if size == _SHORT_TIME else _long_time(raw)
            position += size
    return times


def nanoseconds(raw: bytes) -> int | None:
    """Return the time in seven bytes (ECMA-119, 9.1.5) as nanoseconds since 1970 UTC, None where it is none."""
    if len(raw) < _SHORT_TIME:
        return None
    year, month, day, hour, minute, second, zone = struct.unpack("<6Bb", raw[:_SHORT_TIME])
    return _moment(1900 + year, month, day, hour, minute, second, 0, zone)


def _long_time(raw: bytes) -> int | None:
    """Return the time in 17 bytes (ECMA-119, 8.4.26.1): digits, and the zone as a number."""
    if len(raw) < _LONG_TIME or not raw[:16].isdigit():
        return None
    digits = [int(raw[begin:end]) for begin, end in ((0, 4), (4, 6), (6, 8), (8, 10), (10, 12), (12, 14), (14, 16))]
    return _moment(*digits, struct.unpack("<b", raw[16:17])[0])


def _moment(*parts: int) -> int | None:
    year, month, day, hour, minute, second, hundredth, zone = parts
    try:
        moment = dt.datetime(year, month, day, hour, minute, second, tzinfo=dt.UTC)
    except ValueError:
        return None
    seconds = int((moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)).total_seconds()) - zone * 15 * 60
    return seconds * _SECOND + hundredth * (_SECOND // 100)
