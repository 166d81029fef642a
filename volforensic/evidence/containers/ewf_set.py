"""The segments of an EWF image as one set: which belong to it, which are missing, and which chunks each table has.

A table does not say which chunks of the disk it has: they are counted from the first table on. Behind what is missing
they are counted from the end, if the last segment is there: so one hole costs no more than itself.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from volforensic.evidence.containers.container import ContainerError, NamedFile
from volforensic.evidence.containers.ewf_disk import Piece
from volforensic.evidence.containers.ewf_names import segment_name
from volforensic.evidence.containers.ewf_rebuild import rebuilt
from volforensic.evidence.containers.ewf_sections import SIGNATURE, Segment, Volume, segment_of
from volforensic.evidence.containers.ewf_tables import Hole, Table, table_entries, tables_of
from volforensic.medium import Medium
from volforensic.record import Problem, text

_LARGEST_CHUNK = 128 << 20
_NAMED_AT_MOST = 8


class SegmentSet(NamedTuple):
    """The segments that belong together, by number, and what is wrong with the files."""

    first_name: bytes
    segments: list[Segment]
    volume: Volume
    problems: list[Problem]


class _Part(NamedTuple):
    """A table of a segment, and what was odd about it; or a hole: no table, and why."""

    medium: Medium | None
    table: Table | None
    reason: str


def segment_set(files: Sequence[NamedFile]) -> SegmentSet:
    """Read all segments; one that is another set's, or comes twice, is left out and named."""
    first = segment_of(files[0])
    oddities: list[str] = []
    found = {1: first}
    for file in files[1:]:
        name = text(file.name)
        if file.medium.read_at(0, 8) != SIGNATURE:
            oddities.append(f"{name} is no segment of an EWF image; it is left out")
            continue
        segment = segment_of(file)
        if reason := _foreign(first, segment):
            oddities.append(f"{name} belongs to another image: {reason}; it is left out")
        elif segment.number in found:
            twin = text(found[segment.number].file.name)
            oddities.append(f"{name} says that it is segment {segment.number}, as {twin} does; it is left out")
        else:
            found[segment.number] = segment
            oddities += _misnamed(files[0].name, segment)
    segments = [found[number] for number in sorted(found)]
    oddities += [f"{text(segment.file.name)}: {reason}" for segment in segments for reason in segment.oddities[:8]]
    problems = [Problem(stage="source", reason=reason, lost=False) for reason in oddities]
    return SegmentSet(files[0].name, segments, _volume(segments, problems), problems)


def _misnamed(first: bytes, segment: Segment) -> list[str]:
    expected = segment_name(first, segment.number)
    if expected is None or expected.lower() == segment.file.name.lower():
        return []
    return [f"{text(segment.file.name)} says that it is segment {segment.number}; it is read as that"]


def _foreign(first: Segment, other: Segment) -> str:
    """Return what of another segment's own words does not fit those of the first, or nothing."""
    if other.number == 0:
        return "its segment number is 0"
    for mine in first.volumes[:1]:
        for volume in other.volumes[:1]:
            if not (mine.is_sound and volume.is_sound):
                continue
            if mine.set_id and volume.set_id and mine.set_id != volume.set_id:
                return f"its set identifier is {volume.set_id} and not {mine.set_id}"
            if volume.chunk_size and mine.chunk_size != volume.chunk_size:
                return f"its chunks have {volume.chunk_size} bytes and not {mine.chunk_size}"
    return ""


def _volume(segments: list[Segment], problems: list[Problem]) -> Volume:
    """Return the first sound description of the disk in the set; ContainerError where none can be used."""
    volumes = [volume for segment in segments for volume in segment.volumes if volume.sector_size]
    sound = [volume for volume in volumes if volume.is_sound and (volume.sectors or volume.chunks)]
    if not volumes:
        raise ContainerError("no section of the EWF image says how large its disk is")
    if not sound:
        reason = "the volume section of the EWF image has a wrong checksum: the disk's size may be another"
        problems.append(Problem(stage="source", reason=reason))
    elif not segments[0].volumes or sound[0] != volumes[0]:
        reason = "the volume section of the EWF image is damaged; its copy in another section or segment is used"
        problems.append(Problem(stage="source", reason=reason, lost=False))
    volume = (sound or volumes)[0]
    if volume.sectors == 0:
        volume = volume._replace(sectors=volume.chunks * volume.chunk_sectors)
    if not 0 < volume.chunk_size <= _LARGEST_CHUNK:
        product = f"{volume.chunk_sectors} sectors of {volume.sector_size} bytes"
        raise ContainerError(f"a chunk of the EWF image has {product}")
    if not 0 < volume.size < 1 << 62:
        raise ContainerError(f"the disk of the EWF image has {volume.sectors} sectors")
    return volume


def pieces_of(found: SegmentSet) -> tuple[list[Piece], list[Problem]]:
    """Return which chunks each table has, holes included, and a problem for each that the disk lacks."""
    total = -(-found.volume.size // found.volume.chunk_size)
    parts = list(_parts(found))
    holes = [number for number, part in enumerate(parts) if part.table is None]
    before, behind = (parts[: holes[0]], parts[holes[-1] + 1 :]) if holes else (parts, [])
    pieces = list(_counted(before, 0, total))
    here = pieces[-1].first + pieces[-1].chunks if pieces else 0
    rest = max(here, total - sum(part.table.chunks for part in behind if part.table))
    if rest > here:
        reasons = [parts[hole].reason for hole in holes] or [
            f"the tables of the EWF image have {here} chunks of {total}"
        ]
        reason = "; ".join(reasons[:_NAMED_AT_MOST])
        pieces.append(Piece(here, rest - here, None, None, reason))
    pieces += _counted(behind, rest, total)
    problems = [_lost(found.volume, piece) for piece in pieces if piece.table is None]
    problems += [
        Problem(stage="source", reason=part.reason, lost=False) for part in parts if part.table and part.reason
    ]
    held = sum(part.table.chunks for part in parts if part.table)
    if held > total:
        reason = f"the EWF image holds {held} chunks and its disk has {total}: what is behind its end is not read"
        problems.append(Problem(stage="source", reason=reason))
    return pieces, problems


def _counted(parts: Sequence[_Part], here: int, total: int) -> Iterator[Piece]:
    for part in parts:
        count = min(part.table.chunks if part.table else 0, total - here)
        if count > 0:
            yield Piece(here, count, part.medium, part.table, "")
        here += max(0, count)


def _parts(found: SegmentSet) -> Iterator[_Part]:
    number = 0
    for segment in found.segments:
        if segment.number > number + 1:
            yield _Part(None, None, _missing(found.first_name, number + 1, segment.number - 1))
        for item in tables_of(segment):
            if isinstance(item, Table):
                yield _Part(segment.file.medium, item, "")
            else:
                yield from _filled(segment, item, found.volume)
        number = segment.number
        if segment.is_last:
            return
    if segment.sections[-1].kind == b"next":
        yield _Part(None, None, f"{_missing(found.first_name, number + 1, number + 1)}, and all after it")


def _filled(segment: Segment, hole: Hole, volume: Volume) -> Iterator[_Part]:
    """Yield what of a hole can be found again, and what is left of it."""
    name = text(segment.file.name)
    table, is_whole = rebuilt(segment.file.medium, hole.sectors, volume) if hole.sectors else (None, False)
    if table:
        reason = f"{name} is damaged: {hole.reason}; {table.chunks} chunks were found without a table"
        yield _Part(segment.file.medium, table, reason)
    if hole.is_open or not is_whole:
        yield _Part(None, None, f"{name} is damaged: {hole.reason}")


def _missing(first: bytes, start: int, stop: int) -> str:
    name = segment_name(first, start)
    shown = f"segment {start} ({text(name)})" if name else f"segment {start}"
    return f"{shown} is missing" if start == stop else f"{shown} and those up to {stop} are missing"


def _lost(volume: Volume, piece: Piece) -> Problem:
    offset = piece.first * volume.chunk_size
    length = min(piece.chunks * volume.chunk_size, volume.size - offset)
    return Problem(stage="source", reason=piece.reason, offset=offset, length=length)


def table_problems(volume: Volume, pieces: Sequence[Piece]) -> Iterator[Problem]:
    """Read all tables and yield what is wrong with them, and which chunks they have behind the end of their file."""
    for piece in pieces:
        if piece.table is None or piece.medium is None:
            continue
        try:
            entries, reason = table_entries(piece.medium, piece.table)
        except ContainerError as error:
            yield _lost(volume, piece._replace(reason=str(error)))
            continue
        if reason:
            yield msgspec.structs.replace(_lost(volume, piece._replace(reason=reason)), lost=False)
        if any(end > piece.medium.size for _, end in piece.table.regions):
            yield from _cut_off(volume, piece, entries, piece.table.base, piece.medium.size)


def _cut_off(volume: Volume, piece: Piece, entries: bytes, base: int, size: int) -> Iterator[Problem]:
    """Yield a problem for the chunks that do not end before the file does: they follow each other in it."""
    places = [(word & 0x7FFFFFFF) + base for (word,) in struct.iter_unpack("<I", entries)]
    ends = [*places[1:], size + 1]
    first = next(number for number, end in enumerate(ends) if end > size)
    lost = piece._replace(first=piece.first + first, chunks=piece.chunks - first)
    if lost.chunks > 0:
        yield _lost(
            volume, lost._replace(reason=f"these chunks lie behind the end of their file, which has {size} bytes")
        )
