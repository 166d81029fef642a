"""The tables of chunks of one segment of an EWF image, each with its copy, and the holes where there is none.

Source: libewf's documentation of the format: table and table2 sections. Numbers are little-endian, checksums Adler-32.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from volforensic.evidence.containers.container import ContainerError
from volforensic.evidence.containers.ewf_sections import CUT, DAMAGED, Section, Segment
from volforensic.evidence.containers.parts import held
from volforensic.medium import Medium

_HEADER, _HEADER_SIZE = struct.Struct("<I 4x Q 4x I"), 24
_MOST_ENTRIES = 1 << 22


class Table(NamedTuple):
    """A table of chunks: number of entries, what their offsets count from, where its one or two copies lie.

    ``regions`` are where the chunks themselves can be: the sectors section before the table, or the table's own.
    ``entries`` are those of a table that was made again from the chunks.
    """

    chunks: int
    base: int
    copies: tuple[Section, ...]
    regions: tuple[tuple[int, int], ...]
    entries: bytes = b""


class Hole(NamedTuple):
    """A place where there ought to be a table. ``sectors`` are the chunks that it ought to have, where they are known.

    ``is_open``: others may have been there with it.
    """

    reason: str
    sectors: Section | None
    is_open: bool


def tables_of(segment: Segment) -> Iterator[Table | Hole]:
    """Yield the tables in order, and the holes between them."""
    sectors: Section | None = None
    sections = segment.sections
    for number, section in enumerate(sections):
        following = sections[number + 1].kind if number + 1 < len(sections) else b""
        if section.kind == b"sectors":
            if sectors:
                yield Hole(f"there is no table of the chunks at {sectors.start}", sectors, is_open=False)
            sectors = section
        elif section.kind == b"table" or (section.kind == b"table2" and sections[number - 1].kind != b"table"):
            copies = sections[number : number + 2] if following == b"table2" else (section,)
            yield _table(segment.file.medium, copies, sectors)
            sectors = None
        elif section.kind == CUT or (section.kind == DAMAGED and following not in {b"table", b"table2"}):
            reason = f"it is cut at {segment.file.medium.size}" if section.kind == CUT else f"damage at {section.start}"
            yield Hole(reason, sectors, is_open=True)
            sectors = None
    if sectors:
        yield Hole(f"there is no table of the chunks at {sectors.start}", sectors, is_open=False)


def _table(medium: Medium, copies: Sequence[Section], sectors: Section | None) -> Table | Hole:
    heads = [(head, copy) for copy in copies if (head := _table_head(medium, copy))]
    if not heads:
        return Hole(f"the head of the table of chunks at {copies[0].start} is damaged", sectors, is_open=not sectors)
    (count, base), _ = heads[0]
    same = tuple(copy for head, copy in heads if head == (count, base))
    regions = ((sectors.data_at, sectors.end),) if sectors else ()
    return Table(count, base, same, (*regions, *((copy.data_at, copy.end) for copy in same)))


def _table_head(medium: Medium, section: Section) -> tuple[int, int] | None:
    """Return the number of entries and the base of their offsets; nothing where the head is not sound."""
    raw = held(medium, section.data_at, _HEADER_SIZE)
    if len(raw) < _HEADER_SIZE:
        return None
    count, base, checksum = _HEADER.unpack(raw)
    room = section.end - section.data_at - _HEADER_SIZE
    is_sound = zlib.adler32(raw[:20]) == checksum
    return (count, base) if is_sound and count <= _MOST_ENTRIES and 4 * count <= room else None


def table_entries(medium: Medium, table: Table) -> tuple[bytes, str]:
    """Return the entries of a table, from its copy where its own checksum is wrong, and what is wrong, if anything.

    The oldest form has no checksum behind the entries: the chunks begin there, in the same section.
    """
    if table.entries:
        return table.entries, ""
    tried: list[bytes] = []
    for copy in table.copies:
        place = copy.data_at + _HEADER_SIZE
        raw = held(medium, place, 4 * table.chunks + 4)
        entries, checksum = raw[: 4 * table.chunks], raw[4 * table.chunks :]
        if len(entries) < 4 * table.chunks:
            continue
        if int.from_bytes(checksum, "little") == zlib.adler32(entries) or _is_old(entries, copy, table):
            where = "" if not tried else f"the table of chunks at {table.copies[0].start} is damaged; its copy is used"
            return entries, where
        tried.append(entries)
    if not tried:
        raise ContainerError(f"the table of chunks at {table.copies[0].start} lies outside its file, or cannot be read")
    return tried[0], f"the table of chunks at {table.copies[0].start} has a wrong checksum; it is used as it stands"


def _is_old(entries: bytes, copy: Section, table: Table) -> bool:
    first = (int.from_bytes(entries[:4], "little") & 0x7FFFFFFF) + table.base
    return bool(entries) and first == copy.data_at + _HEADER_SIZE + len(entries)
