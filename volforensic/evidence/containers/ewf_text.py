"""What an EWF image says of its acquisition: header text, stored hashes, the read errors that were met.

Source: libewf's documentation of the format: header, header2, hash, digest and error2 sections.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator

from volforensic.evidence.containers.ewf_sections import Section, Segment, Volume
from volforensic.evidence.containers.parts import short_text
from volforensic.medium import Medium
from volforensic.record import Problem, timestamp_text

_LARGEST_TEXT = 1 << 20
_NAMES = {
    "c": "case number",
    "n": "evidence number",
    "a": "description",
    "e": "examiner",
    "t": "notes",
    "md": "model",
    "sn": "serial number",
    "l": "device label",
    "av": "acquiring software",
    "ov": "acquiring system",
    "m": "acquisition date",
    "u": "system date",
    "p": "password hash",
}
_TIMES = {"m", "u"}
_NOTHING = {"", "0"}
_ERROR_HEADER_SIZE, _ERRORS_READ, _ERRORS_GIVEN = 520, 1 << 16, 256
_MEDIA_TYPES = {0: "removable", 1: "fixed disk", 3: "optical disc", 14: "logical files", 16: "memory"}


def acquisition(segments: Iterable[Segment]) -> dict[str, str]:
    """Return the values of the header text by their names; header2 goes first: it is not bound to a code page."""
    texts = [
        (section.kind, text)
        for segment in segments
        for section in segment.sections[:8]
        if section.kind in {b"header", b"header2"} and (text := _text(segment.file.medium, section))
    ]
    texts.sort(key=lambda item: item[0] != b"header2")
    details: dict[str, str] = {}
    for _, text in texts:
        for name, value in _values(text):
            details.setdefault(name, value)
    return details


def _text(medium: Medium, section: Section) -> str:
    raw = medium.read_at(section.data_at, min(section.end - section.data_at, _LARGEST_TEXT))
    try:
        data = zlib.decompressobj().decompress(raw, _LARGEST_TEXT)
    except zlib.error:
        return ""
    if section.kind == b"header2" or data[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return data.decode("utf-16", "replace")
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _values(text: str) -> Iterator[tuple[str, str]]:
    """Yield (name, value): the line of keys is the one behind ``main``, that of values the next."""
    lines = text.splitlines()
    start = lines.index("main") + 1 if "main" in lines else len(lines)
    if start + 1 >= len(lines):
        return
    for key, value in zip(lines[start].split("\t"), lines[start + 1].split("\t"), strict=False):
        shown = short_text(_time(value) if key in _TIMES else value)
        if key in _NAMES and shown not in _NOTHING:
            yield _NAMES[key], shown


def _time(value: str) -> str:
    """Return a time: seconds since 1970 as UTC; six numbers are the examiner's own time, whose zone is not known."""
    value = value.strip()
    if value.isascii() and value.isdigit() and len(value) < 12:
        return timestamp_text(int(value) * 1_000_000) or value
    parts = value.split()
    if len(parts) == 6 and all(part.isascii() and part.isdigit() and len(part) <= 4 for part in parts):
        year, month, day, hour, minute, second = (int(part) for part in parts)
        return f"{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} (the acquiring host's time zone)"
    return value


def stored_hashes(segments: Iterable[Segment]) -> tuple[dict[str, str], list[Problem]]:
    """Return the hashes of the disk that are stored, and what is wrong with the sections that hold them."""
    hashes: dict[str, str] = {}
    problems = []
    for segment in segments:
        for section in segment.sections[-64:]:
            for name, value, is_sound in _section_hashes(segment.file.medium, section):
                if not is_sound:
                    reason = f"the checksum of the section that holds the {name} is wrong: {value} is not compared"
                    problems.append(Problem(stage="source", reason=reason, lost=False))
                elif hashes.setdefault(name, value) != value:
                    reason = f"two different {name} are stored: {hashes[name]} and {value}"
                    problems.append(Problem(stage="source", reason=reason, lost=False))
    return hashes, problems


def _section_hashes(medium: Medium, section: Section) -> Iterator[tuple[str, str, bool]]:
    length = {b"hash": 36, b"digest": 80}.get(section.kind, 0)
    raw = medium.read_at(section.data_at, length) if length else b""
    if not raw or len(raw) < length:
        return
    is_sound = zlib.adler32(raw[:-4]) == int.from_bytes(raw[-4:], "little")
    if any(raw[:16]):
        yield "md5", raw[:16].hex(), is_sound
    if section.kind == b"digest" and any(raw[16:36]):
        yield "sha1", raw[16:36].hex(), is_sound


def read_errors(segments: Iterable[Segment], volume: Volume) -> Iterator[Problem]:
    """Yield a problem for each range of sectors that could not be read at the acquisition."""
    given = 0
    for segment in segments:
        for section in segment.sections:
            if section.kind != b"error2":
                continue
            for problem in _section_errors(segment.file.medium, section, volume):
                given += 1
                if given > _ERRORS_GIVEN:
                    reason = f"more than {_ERRORS_GIVEN} ranges of sectors could not be read at the acquisition"
                    yield Problem(stage="source", reason=reason)
                    return
                yield problem


def _section_errors(medium: Medium, section: Section, volume: Volume) -> Iterator[Problem]:
    head = medium.read_at(section.data_at, _ERROR_HEADER_SIZE)
    count = int.from_bytes(head[:4], "little")
    room = max(0, section.end - section.data_at - _ERROR_HEADER_SIZE) // 8
    entries = medium.read_at(section.data_at + _ERROR_HEADER_SIZE, 8 * min(count, room, _ERRORS_READ) + 4)
    is_sound = (
        zlib.adler32(head[:516]) == int.from_bytes(head[516:], "little")
        and count <= room
        and zlib.adler32(entries[:-4]) == int.from_bytes(entries[-4:], "little")
    )
    if not is_sound:
        reason = f"the list of read errors of the acquisition at {section.start} has a wrong checksum"
        yield Problem(stage="source", reason=reason)
    whole = max(0, len(entries) - 4) // 8 * 8
    for first, sectors in struct.iter_unpack("<II", entries[:whole]):
        yield Problem(
            stage="source",
            reason="these sectors could not be read at the acquisition; the image has zeros for them",
            offset=first * volume.sector_size,
            length=sectors * volume.sector_size,
        )


def volume_details(volume: Volume) -> dict[str, str]:
    """Return what the volume section says of the medium."""
    details = {
        "media type": _MEDIA_TYPES.get(volume.media_type, f"{volume.media_type}"),
        "sectors": f"{volume.sectors} of {volume.sector_size} bytes",
        "chunk size": f"{volume.chunk_size} bytes",
        "set identifier": volume.set_id,
    }
    return {name: value for name, value in details.items() if value}
