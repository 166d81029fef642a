"""The label of an LVM2 physical volume, its metadata areas, and the texts of its volume group in them.

Source: lvm2's lib/label/label.h, lib/format_text/layout.h (label_header, pv_header, mda_header, raw_locn) and
pvck(8). The checksum is a CRC-32 that begins with 0xf597a6cf and is not inverted at the end. Every number is an
adversary's: areas are cut to the volume, lists are bounded, a text is read only up to ``LARGEST_TEXT``.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from volforensic.evidence.reader import Window
from volforensic.evidence.volumes.lvm_metadata import (
    LARGEST_TEXT,
    MetadataError,
    Section,
    number,
    parse_metadata,
    string,
)
from volforensic.evidence.volumes.mapped import Member
from volforensic.medium import Medium
from volforensic.record import Problem

_SECTOR = 512
_LABEL_SECTORS = 4
_USUAL_AREA = 4096
_AREA_MAGIC = b" LVM2 x[5A%r0N*>"
_MOST_AREAS = 4
_LARGEST_SCAN = 16 << 20
_MOST_OLD_TEXTS = 4
_MOST_TEXT = 64 << 20
_CHECKSUM_START = 0xF597A6CF
_ALL_ONES = 0xFFFFFFFF
_OLD_TEXT = re.compile(rb"[A-Za-z0-9_+.][A-Za-z0-9_+.-]{0,127} \{\n[\s\S]{0,400}?\nseqno = ([0-9]{1,10})\n")
_IS_IGNORED = 1
_LOCATION = struct.Struct("<QQ")


VERIFIED, IGNORED, DUG_OUT, DAMAGED = 3, 2, 1, 0
"""How far a text is trusted: its checksum is right; LVM ignores its area (vgchange --metadatacopies) and may not have
written it for long; it lies in a damaged area; its checksum is known to be wrong."""


class MetadataCopy(NamedTuple):
    """A volume group's metadata as one area has it: its name, UUID, sequence number; how far it is trusted."""

    name: str
    uuid: str
    number: int
    group: Section
    repeated: list[str]
    trust: int = VERIFIED


class Texts:
    """Holds the texts that were parsed: the physical volumes of a group have the same, and all of them are bounded."""

    def __init__(self) -> None:
        """Begin with none."""
        self._parsed: dict[bytes, MetadataCopy] = {}
        self._left = _MOST_TEXT

    def parsed(self, raw: bytes) -> MetadataCopy:
        """Return the metadata in a text. MetadataError where it is none, or where too much was parsed already."""
        found = self._parsed.get(raw)
        if found is None:
            self._left -= len(raw)
            if self._left < 0:
                raise MetadataError(f"more than {_MOST_TEXT} bytes of metadata were read before it")
            found = self._parsed[raw] = _group_of(raw)
        return found


class PhysicalVolume(NamedTuple):
    """A member with an LVM2 label: UUID ("" where the label is gone), size in bytes as it says, what its areas hold."""

    member: Member
    uuid: str
    size: int
    copies: list[MetadataCopy]
    problems: list[Problem]


class _Area(NamedTuple):
    offset: int
    size: int


def lvm_checksum(data: bytes) -> int:
    """Return LVM2's checksum of the bytes."""
    return zlib.crc32(data, _CHECKSUM_START ^ _ALL_ONES) ^ _ALL_ONES


def read_physical_volume(space: Medium, member: Member, texts: Texts) -> PhysicalVolume | None:
    """Return what a member's label and metadata areas say, None where it is no physical volume.

    ``texts`` are those of the members before, and is given those of this one.
    What is damaged stands in the problems, with addresses; bytes that cannot be had count as damage.
    """
    reader = _Reader(Window(space, member.address, member.length), member, [], texts)
    uuid, size, areas = "", 0, [_Area(_USUAL_AREA, min(1 << 20, member.length) - _USUAL_AREA)]
    label = _find_label(reader)
    if label is None:
        if reader.bytes_at(_USUAL_AREA + 4, len(_AREA_MAGIC)) != _AREA_MAGIC:
            return None
        reader.note("the label of this LVM physical volume is gone; its metadata area is there", lost=False)
    else:
        try:
            uuid, size, areas = _header(label)
        except MetadataError as error:
            reader.note(f"the label of this LVM physical volume: {error}")
    copies = [copy for area in areas for copy in _area_copies(reader, area)]
    return PhysicalVolume(member, uuid, size, copies, reader.problems)


class _Reader(NamedTuple):
    """The bytes of one member, and the list of what was wrong with it."""

    window: Window
    member: Member
    problems: list[Problem]
    texts: Texts

    def bytes_at(self, position: int, size: int) -> bytes:
        """Return the bytes; none where they cannot be had, which is noted."""
        try:
            return self.window.read_at(position, size)
        except OSError as error:
            self.note(f"bytes of an LVM label or metadata area cannot be read: {error.strerror}", position, size)
            return b""

    def note(self, reason: str, position: int = 0, length: int = _SECTOR, *, lost: bool = True) -> None:
        place = self.member.address + position
        self.problems.append(
            Problem(stage="layout", reason=reason, lost=lost, offset=place, length=length, volume=self.member.volume)
        )


def _find_label(reader: _Reader) -> bytes | None:
    """Return the sector with the label, of several the first whose checksum is right."""
    found = []
    for sector in range(_LABEL_SECTORS):
        raw = reader.bytes_at(sector * _SECTOR, _SECTOR)
        if len(raw) < _SECTOR or not raw.startswith(b"LABELONE") or raw[24:32] != b"LVM2 001":
            continue
        if int.from_bytes(raw[16:20], "little") == lvm_checksum(raw[20:]):
            return raw
        found.append((sector, raw))
    for sector, raw in found:
        reader.note("the checksum of the LVM label is wrong; it was read all the same", sector * _SECTOR, lost=False)
        return raw
    return None


def _header(sector: bytes) -> tuple[str, int, list[_Area]]:
    """Return the physical volume's UUID, its size and its metadata areas."""
    start = int.from_bytes(sector[20:24], "little")
    if not 32 <= start <= _SECTOR - 56:
        raise MetadataError(f"its header begins at byte {start}")
    raw = sector[start : start + 32]
    size = int.from_bytes(sector[start + 32 : start + 40], "little")
    lists: list[list[_Area]] = [[], []]  # areas of data, areas of metadata; each ends with an entry of zeros
    position = start + 40
    for areas in lists:
        while position + _LOCATION.size <= _SECTOR:
            area = _Area(*_LOCATION.unpack_from(sector, position))
            position += _LOCATION.size
            if not area.offset:
                break
            areas.append(area)
    return dashed(raw), size, lists[1][:_MOST_AREAS]


def dashed(raw: bytes) -> str:
    """Return a UUID of 32 letters as LVM writes it, in groups; what is no letter or digit as an escape."""
    letters = raw.decode("latin-1").encode("unicode_escape").decode("ascii")
    places = (0, 6, 10, 14, 18, 22, 26)
    return "-".join(letters[start:end] for start, end in zip(places, (*places[1:], None), strict=True))


def _area_copies(reader: _Reader, area: _Area) -> Iterator[MetadataCopy]:
    """Yield the metadata that an area's header points at; where that is damaged, older texts that the area holds."""
    place = None
    try:
        place = _text_place(reader, area)
        if place is None:
            return
        copy = reader.texts.parsed(_read_text(reader, area, place))
        if place.flags & _IS_IGNORED:
            copy = copy._replace(trust=IGNORED)
        if copy.repeated:
            reader.note(f"{copy.repeated[0]} stands twice in the LVM metadata of {copy.name}; the first was read")
        yield copy
    except MetadataError as error:
        older = _old_texts(reader, area, place.offset - _SECTOR if place else -1)
        found = f"; texts with the numbers {', '.join(str(copy.number) for copy in older)} lie in it" if older else ""
        reader.note(f"an LVM metadata area is damaged: {error}{found}", area.offset, min(area.size, 1 << 40))
        yield from older


class _TextPlace(NamedTuple):
    offset: int
    size: int
    checksum: int
    flags: int


def _text_place(reader: _Reader, area: _Area) -> _TextPlace | None:
    """Return where an area's header says its text is, None where it says there is none."""
    raw = reader.bytes_at(area.offset, _SECTOR)
    if len(raw) < _SECTOR:
        raise MetadataError(f"it begins at byte {area.offset}, the volume has {reader.member.length}")
    version, start, size = struct.unpack_from("<IQQ", raw, 20)
    if raw[4:20] != _AREA_MAGIC or version != 1:
        raise MetadataError("its header has no signature")
    if int.from_bytes(raw[:4], "little") != lvm_checksum(raw[4:]):
        raise MetadataError("the checksum of its header is wrong")
    place = _TextPlace(*struct.unpack_from("<QQII", raw, 40))
    if start != area.offset or size <= _SECTOR or start + size > reader.member.length:
        raise MetadataError(f"its header says that it has {size} bytes from byte {start} on")
    if not place.offset:
        return None
    if not _SECTOR <= place.offset < size or place.size > min(size - _SECTOR, LARGEST_TEXT):
        raise MetadataError(f"its header says that the text has {place.size} bytes from byte {place.offset} on")
    return place


def _read_text(reader: _Reader, area: _Area, place: _TextPlace) -> bytes:
    """Return the text; where it goes past the area's end, it goes on behind the header."""
    size = int.from_bytes(reader.bytes_at(area.offset + 32, 8), "little")
    first = min(place.size, size - place.offset)
    raw = reader.bytes_at(area.offset + place.offset, first)
    if first < place.size:
        raw += reader.bytes_at(area.offset + _SECTOR, place.size - first)
    if len(raw) < place.size or lvm_checksum(raw) != place.checksum:
        raise MetadataError("the checksum of its text is wrong")
    return raw


def _group_of(raw: bytes) -> MetadataCopy:
    parsed = parse_metadata(raw.split(b"\0", 1)[0])
    for name, group in parsed.root.items():
        if isinstance(group, dict):
            uuid = string(group, "id")
            return MetadataCopy(name, uuid, number(group, "seqno"), group, parsed.repeated)
    raise MetadataError("its text has no volume group")


def _old_texts(reader: _Reader, area: _Area, damaged: int) -> list[MetadataCopy]:
    """Return the texts that still lie in an area: each begins with a sector. The one at ``damaged`` comes last."""
    size = min(area.size, _LARGEST_SCAN, reader.member.length - area.offset)
    if size <= _SECTOR:
        return []
    ring = reader.bytes_at(area.offset + _SECTOR, size - _SECTOR)
    ring += ring[: len(ring) // 2]  # a text that is cut by the area's end goes on at its beginning
    begins = []
    for start in range(0, max(0, size - _SECTOR), _SECTOR):
        match = _OLD_TEXT.match(ring, start, start + 1024)
        if match:
            begins.append((start != damaged, int(match[1]), start))
    copies = []
    for is_whole, _, start in sorted(begins, reverse=True)[:_MOST_OLD_TEXTS]:
        end = ring.find(b"\0", start)
        try:
            raw = ring[start : end if end > 0 else len(ring)]
            copies.append(reader.texts.parsed(raw)._replace(trust=DUG_OUT if is_whole else DAMAGED))
        except MetadataError:
            continue
        if len(copies) == 2:
            break
    return copies
