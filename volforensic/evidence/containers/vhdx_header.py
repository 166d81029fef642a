"""The header section of a VHDX: the identifier, the current one of two headers, the sound one of two region tables.

Source: [MS-VHDX] 2.2 (header section). A header's and a table's checksum is CRC-32C with its own field zero.
"""

import struct
from typing import NamedTuple

from volforensic.evidence.containers.container import ContainerError
from volforensic.evidence.containers.parts import exactly, guid_text, short_text
from volforensic.evidence.superblocks import crc32c
from volforensic.medium import Medium
from volforensic.record import Problem

SIGNATURE = b"vhdxfile"
_CREATOR_SIZE = 512
_HEADERS, _HEADER_SIZE = (64 << 10, 128 << 10), 4 << 10
_TABLES, _TABLE_SIZE = (192 << 10, 256 << 10), 64 << 10
_HEADER = struct.Struct("<4x 4x Q 16s 16s 16s H H I Q")
_ENTRY = struct.Struct("<16s Q I I")
_MOST_ENTRIES = 2047
_TABLE_REGION = "2dc27766-f623-4200-9d64-115e9bfd4a08"
_METADATA_REGION = "8b7ca206-4790-4b9a-b8fe-575f050f886e"
_NO_ID = guid_text(bytes(16))


class Head(NamedTuple):
    """Where things are (first byte, length), who wrote the file, the ids of its data and of its active log, if any."""

    creator: str
    data_id: str
    log_id: str
    log: tuple[int, int]
    table: tuple[int, int]
    metadata: tuple[int, int]


def head_of(medium: Medium) -> tuple[Head, list[Problem]]:
    """Return what the header section says and what is wrong with it; ContainerError where it cannot be used."""
    creator = exactly(medium, 8, _CREATOR_SIZE, "the identifier of the VHDX").decode("utf-16-le", "replace")
    header, problems = _current_header(medium)
    _, _, data_id, log_id, log_version, version, log_size, log_at = _HEADER.unpack_from(header)
    if version != 1:
        raise ContainerError(f"the VHDX's version is {version}")
    regions, more = _regions(medium)
    missing = [name for name, key in (("table", _TABLE_REGION), ("metadata", _METADATA_REGION)) if key not in regions]
    if missing:
        raise ContainerError(f"the VHDX's region table has no region for its {' and its '.join(missing)}")
    active = guid_text(log_id)
    if active != _NO_ID and log_version != 0:
        more.append(Problem(stage="source", reason=f"the VHDX's log has the version {log_version}; it is read as 0"))
    return Head(
        short_text(creator.split("\0")[0]),
        guid_text(data_id),
        "" if active == _NO_ID else active,
        (log_at, log_size),
        regions[_TABLE_REGION],
        regions[_METADATA_REGION],
    ), problems + more


def is_sound(raw: bytes) -> bool:
    """Say whether the checksum in the second word is that of the bytes, itself zero."""
    return int.from_bytes(raw[4:8], "little") == crc32c(raw[:4] + bytes(4) + raw[8:])


def _current_header(medium: Medium) -> tuple[bytes, list[Problem]]:
    """Return the sound header with the higher sequence number; one that is not sound only where both are not."""
    headers = [medium.read_at(place, _HEADER_SIZE) for place in _HEADERS]
    complete = [raw for raw in headers if len(raw) == _HEADER_SIZE and raw[:4] == b"head"]
    sound = [raw for raw in complete if is_sound(raw)]
    if not complete:
        raise ContainerError("there is no header of a VHDX, neither at 65536 nor at 131072")
    current = max(sound or complete, key=lambda raw: int.from_bytes(raw[8:16], "little"))
    if sound:
        return current, [] if len(sound) == len(headers) else [_oddity("one of the VHDX's two headers is damaged")]
    return current, [_loss("both headers of the VHDX have a wrong checksum; the newer one is used as it stands")]


def _regions(medium: Medium) -> tuple[dict[str, tuple[int, int]], list[Problem]]:
    tables = [medium.read_at(place, _TABLE_SIZE) for place in _TABLES]
    complete = [raw for raw in tables if len(raw) == _TABLE_SIZE and raw[:4] == b"regi"]
    sound = [raw for raw in complete if is_sound(raw)]
    if not complete:
        raise ContainerError("there is no region table of a VHDX, neither at 196608 nor at 262144")
    problems = []
    if not sound:
        problems.append(_loss("both region tables of the VHDX have a wrong checksum; the first is used as it stands"))
    elif len(sound) < len(tables):
        problems.append(_oddity("one of the VHDX's two region tables is damaged"))
    regions, unknown = _entries((sound or complete)[0])
    problems += [_oddity(f"the VHDX has a region {name} that must be known and is not") for name in unknown]
    for place, size in regions.values():
        if place < 1 << 20 or place + size > medium.size:
            reason = f"a region of the VHDX has {size} bytes at {place} and the file {medium.size}"
            problems.append(Problem(stage="source", reason=reason))
    return regions, problems


def _entries(table: bytes) -> tuple[dict[str, tuple[int, int]], list[str]]:
    """Return the two known regions by id, and the ids of unknown ones that are required."""
    count = int.from_bytes(table[8:12], "little")
    if count > _MOST_ENTRIES:
        raise ContainerError(f"the VHDX's region table has {count} entries")
    regions: dict[str, tuple[int, int]] = {}
    unknown = []
    for number in range(count):
        raw_id, place, size, required = _ENTRY.unpack_from(table, 16 + _ENTRY.size * number)
        name = guid_text(raw_id)
        if name in {_TABLE_REGION, _METADATA_REGION}:
            regions.setdefault(name, (place, size))
        elif required & 1:
            unknown.append(name)
    return regions, unknown[:8]


def _oddity(reason: str) -> Problem:
    return Problem(stage="source", reason=reason, lost=False)


def _loss(reason: str) -> Problem:
    return Problem(stage="source", reason=reason)
