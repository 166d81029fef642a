"""The header of LUKS version 2: two copies, each a binary part and JSON, the one with the higher epoch valid.

Source: LUKS2 On-Disk Format Specification 1.1.3; numbers of the binary part are big-endian.
"""

import hashlib
import struct
from typing import NamedTuple

from volforensic.evidence.reader import Window
from volforensic.evidence.volumes.luks1 import MAGIC
from volforensic.evidence.volumes.luks2_json import read_areas
from volforensic.evidence.volumes.luks_header import Header, LuksError, printable

SECOND_MAGIC = b"SKUL\xba\xbe"
HEADER_SIZES = tuple(0x4000 << shift for shift in range(9))
"""Bytes that a copy can have, 16 KiB to 4 MiB: the second one begins where the first ends."""
_BINARY = struct.Struct(">6sHQQ48s32s64s40s48sQ")
_BINARY_SIZE = 4096
_CHECKSUM = slice(448, 512)


class _Copy(NamedTuple):
    """A copy of the header whose checksum is right: its place, its epoch, its label, its UUID, its JSON."""

    place: int
    size: int
    epoch: int
    label: str
    uuid: str
    text: bytes


def read_luks2(window: Window) -> Header:
    """Return what the newer of the sound copies says; the other one, where it is not like it, is among the faults.

    Raises:
        LuksError: No copy is sound.
    """
    faults: list[str] = []
    first = _copy_or_fault(window, 0, faults)
    places = (first.size,) if first is not None else HEADER_SIZES
    second_faults: list[str] = []
    seconds = [_copy_or_fault(window, place, second_faults) for place in places]
    second = next((copy for copy in seconds if copy is not None), None)
    if first is not None or second is None:
        faults += second_faults
    copies = [copy for copy in (first, second) if copy is not None]
    if not copies:
        raise LuksError(f"no copy of the LUKS2 header is sound: {'; '.join(faults[:2])}")
    if first and second and first.epoch != second.epoch:
        faults.append(f"the header's copies differ: epochs {first.epoch} and {second.epoch}, the higher one is taken")
    newest = max(copies, key=lambda copy: (copy.epoch, -copy.place))
    if first is None:
        faults.append(f"the header's second copy, at byte {newest.place}, is taken")
    areas = read_areas(newest.text, 2 * newest.size)
    return Header(
        2, newest.uuid, newest.label, areas.keyslots, areas.digests, areas.segments, faults + areas.faults, areas.unread
    )


def second_copy(window: Window) -> int:
    """Return where a second copy of a header begins that says so; 0 for nowhere. Its checksum is not asked."""
    for place in HEADER_SIZES:
        raw = _binary(window, place)
        if len(raw) == _BINARY_SIZE and _BINARY.unpack_from(raw)[0] == SECOND_MAGIC and _offset(raw) == place:
            return place
    return 0


def _offset(raw: bytes) -> int:
    offset: int = _BINARY.unpack_from(raw)[9]
    return offset


def _binary(window: Window, place: int) -> bytes:
    try:
        return window.read_at(place, _BINARY_SIZE)
    except OSError:
        return b""


def _copy_or_fault(window: Window, place: int, faults: list[str]) -> _Copy | None:
    try:
        return _read_copy(window, place)
    except LuksError as error:
        faults.append(f"the copy of the header at byte {place} is unsound: {error}")
    except OSError as error:
        faults.append(f"the copy of the header at byte {place} cannot be read: {error.strerror or error}")
    return None


def _read_copy(window: Window, place: int) -> _Copy:
    head = window.read_at(place, _BINARY_SIZE)
    if len(head) < _BINARY_SIZE:
        raise LuksError("it lies outside the volume")
    magic, version, size, epoch, label, algorithm, _, uuid, _, offset = _BINARY.unpack_from(head)
    if magic != (SECOND_MAGIC if place else MAGIC) or version != 2:
        raise LuksError("it has no signature of LUKS2")
    if size not in HEADER_SIZES or offset != place or (place and size != place):
        raise LuksError(f"it says that it has {size} bytes and lies at byte {offset}")
    raw = window.read_at(place, size)
    if len(raw) < size:
        raise LuksError("it is cut")
    if _checksum(raw, printable(algorithm)) != raw[_CHECKSUM]:
        raise LuksError("its checksum is wrong")
    text = raw[_BINARY_SIZE:].partition(b"\0")[0]
    return _Copy(place, size, epoch, printable(label), printable(uuid), text)


def _checksum(raw: bytes, algorithm: str) -> bytes:
    if algorithm not in {"sha1", "sha256", "sha384", "sha512", "sha3-256", "sha3-512"}:
        raise LuksError("its checksum is of a kind that is not known")
    digest = hashlib.new(algorithm, usedforsecurity=False)
    digest.update(raw[: _CHECKSUM.start])
    digest.update(bytes(_CHECKSUM.stop - _CHECKSUM.start))
    digest.update(raw[_CHECKSUM.stop :])
    return digest.digest().ljust(_CHECKSUM.stop - _CHECKSUM.start, b"\0")
