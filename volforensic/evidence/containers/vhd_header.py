"""The footer and the dynamic header of a VHD, with their checksums and what they say of a parent.

Source: Microsoft's "Virtual Hard Disk Image Format Specification" (2006): "Hard Disk Footer Format", "Dynamic Disk
Header Format", "Parent Locator Entries". A file of Virtual PC before 2004 may have a footer of 511 bytes.
"""

import struct
import uuid
from typing import NamedTuple
from urllib.parse import unquote

from volforensic.evidence.containers.container import ContainerError
from volforensic.evidence.containers.parts import exactly, short_text
from volforensic.medium import Medium
from volforensic.record import Problem, timestamp_text

SECTOR = 512
FIXED, DYNAMIC, DIFFERENCING = 2, 3, 4
KINDS = {FIXED: "fixed", DYNAMIC: "dynamic", DIFFERENCING: "differencing"}
_COOKIE, _SPARSE_COOKIE = b"conectix", b"cxsparse"
_EPOCH = 946_684_800  # seconds from 1970 to 2000, where the format's times begin
_FOOTER_CHECKSUM, _SPARSE_CHECKSUM = 64, 36
_FOOTER = struct.Struct(">8x II Q I 4s I 4s QQ HBB I I 16s B")
_SPARSE = struct.Struct(">16x Q I I I I 16s I 4x 512s")
_LOCATOR = struct.Struct(">4s I I 4x Q")
_LOCATORS_AT, _LOCATORS = 576, 8
_SPARSE_SIZE = 1024
_LONGEST_LOCATOR = 4096
_LOCATOR_ENCODINGS = {
    b"W2ru": "utf-16-le",
    b"W2ku": "utf-16-le",
    b"Wi2r": "latin-1",
    b"Wi2k": "latin-1",
    b"MacX": "utf-8",
}
_LOCATOR_ORDER = [b"W2ru", b"W2ku", b"MacX", b"Wi2r", b"Wi2k"]


class Footer(NamedTuple):
    """What a footer says; ``length`` is its own, 0 where only the copy at the file's start is there."""

    kind: int
    size: int
    header: int
    unique_id: str
    creator: str
    time: str
    geometry_size: int
    is_saved_state: bool
    length: int

    @property
    def has_parent(self) -> bool:
        """Whether sectors that are not there are a parent's."""
        return self.kind == DIFFERENCING


class Sparse(NamedTuple):
    """What the header of a dynamic disk says: the table's place and number of entries, the parent's name and id."""

    table: int
    entries: int
    block_size: int
    parent_id: str
    parent_time: str
    parent_name: str
    locators: tuple[tuple[bytes, int, int], ...]


def has_footer(medium: Medium) -> bool:
    """Say whether the cookie of a footer stands where one can be."""
    return any(medium.read_at(place, 8) == _COOKIE for place, _ in _footer_places(medium))


def footer_of(medium: Medium) -> tuple[Footer, list[Problem]]:
    """Return the footer, the copy at the start where there is no sound one, and what is wrong with them."""
    candidates = [
        (raw, length) for place, length in _footer_places(medium) if (raw := _raw_footer(medium, place, length))
    ]
    if not candidates:
        raise ContainerError("there is no footer of a VHD: neither at the end of the file nor at its start")
    sound = [candidate for candidate in candidates if _has_checksum(candidate[0], _FOOTER_CHECKSUM)]
    raw, length = (sound or candidates)[0]
    footer = _footer(raw, length)
    problems = []
    if length == 0:
        problems.append(_oddity("the footer at the end of the VHD is gone or damaged; its copy at the start is used"))
    if not sound:
        reason = "the checksum of the VHD's footer is wrong; it is used as it stands"
        problems.append(Problem(stage="source", reason=reason))
    elif footer.kind != FIXED and not any(length == 0 for _, length in sound):
        problems.append(_oddity("the copy of the footer at the start of the VHD is gone or damaged"))
    if len({candidate[0][:_SPARSE_CHECKSUM] + candidate[0][40:64] for candidate in sound}) > 1:
        problems.append(_oddity("the VHD's footer and its copy differ; the footer is used"))
    return footer, problems


def sparse_of(medium: Medium, footer: Footer) -> tuple[Sparse, list[Problem]]:
    """Return the header of a dynamic disk; ContainerError where it is none, or where its table is outside."""
    raw = exactly(medium, footer.header, _SPARSE_SIZE, "the dynamic header of the VHD")
    if raw[:8] != _SPARSE_COOKIE:
        raise ContainerError(f"there is no dynamic header of a VHD at {footer.header}")
    table, version, entries, block_size, _, parent_id, parent_time, name = _SPARSE.unpack_from(raw)
    if block_size == 0 or block_size % SECTOR:
        raise ContainerError(f"the VHD's block size is {block_size}")
    problems = []
    if not _has_checksum(raw, _SPARSE_CHECKSUM):
        reason = "the checksum of the VHD's dynamic header is wrong; it is used as it stands"
        problems.append(Problem(stage="source", reason=reason))
    if version >> 16 != 1:
        problems.append(_oddity(f"the VHD's dynamic header has the version {version:#x}; it is read as 1.0"))
    blocks = -(-footer.size // block_size)
    exactly(
        medium, table + 4 * (min(entries, blocks) - 1), 4 if min(entries, blocks) else 0, "the end of the VHD's table"
    )
    locators = _LOCATOR.iter_unpack(raw[_LOCATORS_AT : _LOCATORS_AT + _LOCATORS * _LOCATOR.size])
    return Sparse(
        table,
        entries,
        block_size,
        str(uuid.UUID(bytes=parent_id)),
        _time(parent_time),
        short_text(name.decode("utf-16-be", "replace").split("\0")[0]),
        tuple((code, length, offset) for code, _, length, offset in locators if code in _LOCATOR_ENCODINGS),
    ), problems


def parent_names(medium: Medium, sparse: Sparse) -> list[str]:
    """Return the names that the disk has for its parent, each once: the relative one first."""
    found = {}
    for code, length, offset in sparse.locators:
        data = medium.read_at(offset, min(length, _LONGEST_LOCATOR))
        found[code] = _locator_text(code, data)
    names = [found[code] for code in _LOCATOR_ORDER if found.get(code)] + [sparse.parent_name]
    return list(dict.fromkeys(name for name in names if name.strip("./\\ ")))


def _locator_text(code: bytes, data: bytes) -> str:
    """Return a locator's path: a URL as XenServer writes it becomes one; some writers swap the bytes of UTF-16."""
    encoding = _LOCATOR_ENCODINGS[code]
    if encoding == "utf-16-le" and data[0::2].count(0) > data[1::2].count(0):
        encoding = "utf-16-be"
    name = short_text(data.decode(encoding, "replace").split("\0")[0])
    return unquote(name.removeprefix("file://")) if code == b"MacX" else name


def _footer_places(medium: Medium) -> list[tuple[int, int]]:
    """Return where a footer may begin, and its length; 0 for the copy at the start."""
    ends = [(medium.size - length, length) for length in (SECTOR, SECTOR - 1) if medium.size >= length]
    return [*ends, (0, 0)]


def _raw_footer(medium: Medium, place: int, length: int) -> bytes | None:
    raw = medium.read_at(place, length or SECTOR).ljust(SECTOR, b"\0")
    if raw[:8] != _COOKIE:
        return None
    kind = int.from_bytes(raw[60:64], "big")
    return None if length == 0 and kind == FIXED else raw


def _footer(raw: bytes, length: int) -> Footer:
    fields = _FOOTER.unpack_from(raw)
    _, version, header, time, creator, creator_version, host, _, size, cylinders, heads, sectors, kind = fields[:13]
    if kind not in KINDS:
        raise ContainerError(f"the VHD's disk type is {kind}: it is neither fixed, dynamic nor differencing")
    if version >> 16 != 1:
        raise ContainerError(f"the VHD's format version is {version:#x}")
    if not 0 < size < 1 << 62:
        raise ContainerError(f"the VHD's current size is {size}")
    program = f"{creator.decode('ascii', 'replace')} {creator_version >> 16}.{creator_version & 0xFFFF}"
    host_name = host.decode("ascii", "replace")
    return Footer(
        kind,
        size,
        header,
        str(uuid.UUID(bytes=fields[14])),
        short_text(f"{program} on {host_name}"),
        _time(time),
        cylinders * heads * sectors * SECTOR,
        fields[15] != 0,
        length,
    )


def _has_checksum(raw: bytes, place: int) -> bool:
    """Say whether the ones' complement of the sum of all bytes but the checksum's own is what is stored."""
    stored = int.from_bytes(raw[place : place + 4], "big")
    return stored == ~(sum(raw) - sum(raw[place : place + 4])) & 0xFFFFFFFF


def _time(seconds: int) -> str:
    return timestamp_text((seconds + _EPOCH) * 1_000_000) or ""


def _oddity(reason: str) -> Problem:
    return Problem(stage="source", reason=reason, lost=False)
