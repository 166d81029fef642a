"""The sections of one segment of an EWF image, and what of them a reader needs.

Source: ASR Data's "Expert Witness Compression Format Specification" (2002) and libewf's documentation of the format:
section descriptor, volume, disk and data sections, table sections. Numbers are little-endian, checksums Adler-32.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from volforensic.evidence.containers.container import NamedFile
from volforensic.evidence.containers.parts import ContainerError, exactly, guid_text
from volforensic.medium import Medium

SIGNATURE, LOGICAL_SIGNATURE = b"EVF\t\r\n\xff\0", b"LVF\t\r\n\xff\0"
_FILE_HEADER_SIZE = 13
_DESCRIPTOR, _DESCRIPTOR_SIZE = struct.Struct("<16s Q Q 40x I"), 76
_MOST_SECTIONS = 1 << 18
_VOLUME_SIZE, _OLD_VOLUME_SIZE = 1052, 94
_TABLE_HEADER = struct.Struct("<I 4x Q 4x I")
_TABLE_HEADER_SIZE = 24
_MOST_ENTRIES = 1 << 22
_LAST = {b"next", b"done"}
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


class Table(NamedTuple):
    """A table of chunks: number of entries, what their offsets count from, where its one or two copies lie.

    ``regions`` are where the chunks themselves can be: the sectors section before the table, or the table's own.
    """

    chunks: int
    base: int
    copies: tuple[Section, ...]
    regions: tuple[tuple[int, int], ...]


class Segment(NamedTuple):
    """One file of the set. ``gap`` says why its tables are not all known, and is empty where they are."""

    file: NamedFile
    number: int
    is_last: bool
    sections: tuple[Section, ...]
    volumes: tuple[Volume, ...]
    tables: tuple[Table, ...]
    gap: str
    oddities: tuple[str, ...]


def segment_number(medium: Medium) -> int:
    """Return the number that the file's header gives it."""
    return int.from_bytes(exactly(medium, 9, 2, "the segment number"), "little")


def segment_of(file: NamedFile) -> Segment:
    """Read the descriptors of all sections and the heads of all tables of one segment."""
    medium = file.medium
    oddities: list[str] = []
    sections: list[Section] = []
    gap = ""
    try:
        sections.extend(_sections(medium, oddities))
    except _BrokenChainError as error:
        sections, gap = error.sections, str(error)
    tables: list[Table] = []
    try:
        tables.extend(_tables(medium, sections))
    except ContainerError as error:
        gap = gap or str(error)
        tables = _tables_before(medium, sections)
    volumes = [
        volume
        for section in sections
        if section.kind in {b"volume", b"disk", b"data"} and (volume := _volume(medium, section))
    ]
    is_last = bool(sections) and sections[-1].kind == b"done"
    number = segment_number(medium)
    return Segment(file, number, is_last, tuple(sections), tuple(volumes), tuple(tables), gap, tuple(oddities))


class _BrokenChainError(ContainerError):
    """The chain of sections ends where it must not; ``sections`` are those before."""

    def __init__(self, reason: str, sections: list[Section]) -> None:
        super().__init__(reason)
        self.sections = sections


def _sections(medium: Medium, oddities: list[str]) -> list[Section]:
    found: list[Section] = []
    place = _FILE_HEADER_SIZE
    while True:
        raw = medium.read_at(place, _DESCRIPTOR_SIZE)
        if len(raw) < _DESCRIPTOR_SIZE:
            raise _BrokenChainError(f"the file ends at {medium.size}, before its sections do", found)
        kind, following, _, checksum = _DESCRIPTOR.unpack(raw)
        kind = kind.rstrip(b"\0")
        is_sound = zlib.adler32(raw[:72]) == checksum
        if kind in _LAST and (is_sound or following in {place, place + _DESCRIPTOR_SIZE}):
            return [*found, Section(kind, place, place + _DESCRIPTOR_SIZE, place + _DESCRIPTOR_SIZE)]
        if not is_sound and (kind not in _KNOWN or following > medium.size):
            raise _BrokenChainError(f"there is no sound section at {place}", found)
        if not is_sound:
            oddities.append(f"the checksum of the section {kind.decode('ascii')} at {place} is wrong")
        if following < place + _DESCRIPTOR_SIZE or len(found) >= _MOST_SECTIONS:
            raise _BrokenChainError(f"the section at {place} says that the next one is at {following}", found)
        found.append(Section(kind, place, place + _DESCRIPTOR_SIZE, following))
        place = following


def _volume(medium: Medium, section: Section) -> Volume | None:
    """Return what the section says, or nothing where it is too short to say it or says what cannot be."""
    size = section.end - section.data_at
    length = _VOLUME_SIZE if size >= _VOLUME_SIZE else _OLD_VOLUME_SIZE
    raw = medium.read_at(section.data_at, length)
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


def _tables(medium: Medium, sections: list[Section]) -> Iterator[Table]:
    """Yield the tables in order; ContainerError at the first one that cannot be counted."""
    sectors: Section | None = None
    for number, section in enumerate(sections):
        if section.kind == b"sectors":
            sectors = section
        before = sections[number - 1].kind if number else b""
        if section.kind != b"table" and not (section.kind == b"table2" and before != b"table"):
            continue
        copies = [section]
        if section.kind == b"table" and number + 1 < len(sections) and sections[number + 1].kind == b"table2":
            copies.append(sections[number + 1])
        heads = [(head, copy) for copy in copies if (head := _table_head(medium, copy))]
        if not heads:
            raise ContainerError(f"the head of the table of chunks at {section.start} is damaged")
        (count, base), _ = heads[0]
        same = tuple(copy for head, copy in heads if head == (count, base))
        regions = ((sectors.data_at, sectors.end),) if sectors else ()
        yield Table(count, base, same, (*regions, *((copy.data_at, copy.end) for copy in same)))


def _tables_before(medium: Medium, sections: list[Section]) -> list[Table]:
    """Return the tables before the one that cannot be counted."""
    found = []
    try:
        for table in _tables(medium, sections):
            found.append(table)  # noqa: PERF402 - what came before the error is what is wanted
    except ContainerError:
        pass
    return found


def _table_head(medium: Medium, section: Section) -> tuple[int, int] | None:
    """Return the number of entries and the base of their offsets; nothing where the head is not sound."""
    raw = medium.read_at(section.data_at, _TABLE_HEADER_SIZE)
    if len(raw) < _TABLE_HEADER_SIZE:
        return None
    count, base, checksum = _TABLE_HEADER.unpack(raw)
    room = section.end - section.data_at - _TABLE_HEADER_SIZE
    is_sound = zlib.adler32(raw[:20]) == checksum
    return (count, base) if is_sound and count <= _MOST_ENTRIES and 4 * count <= room else None


def table_entries(medium: Medium, table: Table) -> tuple[bytes, str]:
    """Return the entries of a table, from its copy where its own checksum is wrong, and what is wrong, if anything.

    The oldest form has no checksum behind the entries: the chunks begin there, in the same section.
    """
    tried: list[bytes] = []
    for copy in table.copies:
        place = copy.data_at + _TABLE_HEADER_SIZE
        raw = medium.read_at(place, 4 * table.chunks + 4)
        entries, checksum = raw[: 4 * table.chunks], raw[4 * table.chunks :]
        if len(entries) < 4 * table.chunks:
            continue
        if int.from_bytes(checksum, "little") == zlib.adler32(entries) or _is_old(entries, copy, table):
            where = "" if not tried else f"the table of chunks at {table.copies[0].start} is damaged; its copy is used"
            return entries, where
        tried.append(entries)
    if not tried:
        raise ContainerError(f"the table of chunks at {table.copies[0].start} lies outside its file")
    return tried[0], f"the table of chunks at {table.copies[0].start} has a wrong checksum; it is used as it stands"


def _is_old(entries: bytes, copy: Section, table: Table) -> bool:
    first = (int.from_bytes(entries[:4], "little") & 0x7FFFFFFF) + table.base
    return bool(entries) and first == copy.data_at + _TABLE_HEADER_SIZE + len(entries)
