"""The sections of one segment of an EWF image, and what they say of the disk.

Source: ASR Data's "Expert Witness Compression Format Specification" (2002) and libewf's documentation of the format:
section descriptor, volume, disk and data sections. Numbers are little-endian, checksums Adler-32.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from volforensic.evidence.containers.container import NamedFile
from volforensic.evidence.containers.parts import exactly, guid_text, held, read_around
from volforensic.medium import Medium

SIGNATURE = b"EVF\t\r\n\xff\0"
_FILE_HEADER_SIZE = 13
_DESCRIPTOR, _DESCRIPTOR_SIZE = struct.Struct("<16s Q Q 40x I"), 76
_MOST_SECTIONS = 1 << 18
_VOLUME_SIZE, _OLD_VOLUME_SIZE = 1052, 94
DAMAGED, CUT = b"(damaged)", b"(cut)"
_LAST = {b"next", b"done"}
_NAMES = re.compile(rb"(?:volume|disk|sectors|table2?|data|hash|digest|error2|session|next|done)\0{8}")
_SEARCHED_AT_ONCE = 1 << 20
_KNOWN = _LAST | {
    *(b"header", b"header2", b"xheader", b"volume", b"disk", b"data", b"sectors", b"table", b"table2"),
    *(b"hash", b"xhash", b"digest", b"error2", b"session", b"incomplete"),
}


class Section(NamedTuple):
    """A section: its type, where its descriptor begins, where its own data does, and where the next one begins."""

    kind: bytes
    start: int
    data_at: int
    end: int


class Volume(NamedTuple):
    """What a volume, disk or data section says of the disk.

    ``is_sound``: its checksum is right; ``is_old``: it has the short form of the format's first version.
    """

    chunks: int
    chunk_sectors: int
    sector_size: int
    sectors: int
    media_type: int
    media_flags: int
    error_granularity: int
    set_id: str
    is_sound: bool
    is_old: bool

    @property
    def chunk_size(self) -> int:
        """Bytes of a chunk."""
        return self.chunk_sectors * self.sector_size

    @property
    def size(self) -> int:
        """Bytes of the disk."""
        return self.sectors * self.sector_size


class Segment(NamedTuple):
    """One file of the set; ``sections`` has those of no type that stand for damage: ``DAMAGED`` and ``CUT``."""

    file: NamedFile
    number: int
    is_last: bool
    sections: tuple[Section, ...]
    volumes: tuple[Volume, ...]
    oddities: tuple[str, ...]


def segment_number(medium: Medium) -> int:
    """Return the number that the file's header gives it."""
    return int.from_bytes(exactly(medium, 9, 2, "the segment number"), "little")


def segment_of(file: NamedFile) -> Segment:
    """Read the descriptors of all sections of one segment, and what it says of the disk."""
    medium = file.medium
    oddities: list[str] = []
    sections = tuple(_sections(medium, oddities))
    volumes = [volume for section in sections if (volume := _volume(medium, section))]
    is_last = bool(sections) and sections[-1].kind == b"done"
    return Segment(file, segment_number(medium), is_last, sections, tuple(volumes), tuple(oddities))


def _sections(medium: Medium, oddities: list[str]) -> Iterator[Section]:
    """Yield the sections up to the last; behind one that is damaged the next sound one is looked for."""
    place = _FILE_HEADER_SIZE
    for _ in range(_MOST_SECTIONS):
        section = _section_at(medium, place, oddities)
        if section is not None and (section.kind in _LAST or section.end <= medium.size):
            yield section
            if section.kind in _LAST:
                return
            place = section.end
            continue
        start = place if section is None else section.data_at
        following = _next_sound(medium, start + 1)
        if section is not None:
            yield section
        if following is None:
            yield Section(
                CUT if section or place + _DESCRIPTOR_SIZE > medium.size else DAMAGED, start, start, medium.size
            )
            return
        oddities.append(f"there is no sound section at {place}; the next one is at {following}")
        yield Section(DAMAGED, start, start, following)
        place = following
    yield Section(DAMAGED, place, place, medium.size)


def _section_at(medium: Medium, place: int, oddities: list[str]) -> Section | None:
    """Return the section whose descriptor is there; None where there is none, or one that leads back."""
    raw = held(medium, place, _DESCRIPTOR_SIZE)
    if len(raw) < _DESCRIPTOR_SIZE:
        return None
    kind, following, _, checksum = _DESCRIPTOR.unpack(raw)
    kind = kind.rstrip(b"\0")
    data_at = place + _DESCRIPTOR_SIZE
    is_sound = zlib.adler32(raw[:72]) == checksum
    if kind in _LAST and (is_sound or following in {place, data_at}):
        return Section(kind, place, data_at, data_at)
    if following < data_at or (not is_sound and (kind not in _KNOWN or following > medium.size)):
        return None
    if not is_sound:
        oddities.append(f"the checksum of the section {kind.decode('ascii')} at {place} is wrong")
    return Section(kind, place, data_at, following)


def _next_sound(medium: Medium, place: int) -> int | None:
    """Return where the next section begins whose checksum is right, by its name and the zeros behind that."""
    while place < medium.size:
        data = read_around(medium, place, _SEARCHED_AT_ONCE)
        for match in _NAMES.finditer(data):
            start = place + match.start()
            raw = held(medium, start, _DESCRIPTOR_SIZE)
            if len(raw) == _DESCRIPTOR_SIZE and zlib.adler32(raw[:72]) == int.from_bytes(raw[72:], "little"):
                return start
        if len(data) < _SEARCHED_AT_ONCE:
            return None
        place += len(data) - _DESCRIPTOR_SIZE
    return None


def _volume(medium: Medium, section: Section) -> Volume | None:
    """Return what the section says, or nothing where it is none of these or too short.

    Behind a descriptor that is damaged there may be one that is whole: its checksum tells.
    """
    if section.kind == DAMAGED:
        volume = _volume(medium, Section(b"volume", section.start, section.start + _DESCRIPTOR_SIZE, section.end))
        return volume if volume and volume.is_sound else None
    if section.kind not in {b"volume", b"disk", b"data"}:
        return None
    size = section.end - section.data_at
    length = _VOLUME_SIZE if size >= _VOLUME_SIZE else _OLD_VOLUME_SIZE
    raw = held(medium, section.data_at, length)
    if len(raw) < length or size < length:
        return None
    is_sound = zlib.adler32(raw[:-4]) == int.from_bytes(raw[-4:], "little")
    chunks, chunk_sectors, sector_size = struct.unpack_from("<III", raw, 4)
    if length == _OLD_VOLUME_SIZE:
        sectors = int.from_bytes(raw[16:20], "little")
        return Volume(chunks, chunk_sectors, sector_size, sectors, raw[0], 0, 0, "", is_sound, is_old=True)
    sectors = int.from_bytes(raw[16:24], "little")
    granularity = int.from_bytes(raw[56:60], "little")
    set_id = guid_text(raw[64:80]) if any(raw[64:80]) else ""
    sizes = chunks, chunk_sectors, sector_size, sectors
    return Volume(*sizes, raw[0], raw[36], granularity, set_id, is_sound, is_old=False)
