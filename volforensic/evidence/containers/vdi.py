"""VDI: VirtualBox's own disks, dynamic, fixed, and differencing ones that name their parent by UUID only.

Source: VirtualBox's src/VBox/Storage/VDICore.h (headers of the versions 0.0 and 1.x, block pointers) and qemu's
block/vdi.c. All numbers are little-endian. A block that is not there is the parent's or zeros, a discarded one zeros.
"""

import struct
from collections.abc import Sequence
from typing import NamedTuple

from volforensic.evidence.containers.block_faults import BlockTable, table_problems
from volforensic.evidence.containers.container import (
    ContainerError,
    ContainerFacts,
    Fault,
    NamedFile,
    NoteFault,
    Reference,
)
from volforensic.evidence.containers.mapped import MappedMedium, Noted, Pages, Piece
from volforensic.evidence.containers.parts import (
    IdentifiedDisk,
    exactly,
    guid_text,
    identity_of,
    parent_piece,
    short_text,
)
from volforensic.medium import Medium
from volforensic.record import Problem

_SIGNATURE_AT, _SIGNATURE = 64, (0xBEDA107F).to_bytes(4, "little")
_HEADER_AT = 72
_HEADER_0 = struct.Struct("<II 256s 16x Q II I 16s 16s 16s")
_HEADER_1 = struct.Struct("<I II 256s II 12x I 4x Q II II 16s 16s 16s 16s")
_DIFFERENCING = 4
_KINDS = {1: "dynamic", 2: "fixed", 3: "undo", _DIFFERENCING: "differencing"}
_FREE, _DISCARDED = 0xFFFFFFFF, 0xFFFFFFFE
_NO_UUID = bytes(16)
_LARGEST_BLOCK = 1 << 30


class _Header(NamedTuple):
    """What a VDI says; ``stride`` is a block's size in the file, whose data begins ``extra`` bytes in."""

    version: str
    kind: int
    comment: str
    map_at: int
    data_at: int
    size: int
    block_size: int
    extra: int
    blocks: int
    identity: str
    changed: str
    parent: str
    parent_changed: str

    @property
    def has_parent(self) -> bool:
        """Whether blocks that are not there are a parent's."""
        return bool(self.parent) or self.kind == _DIFFERENCING

    @property
    def stride(self) -> int:
        """Bytes from one block of the file to the next."""
        return self.block_size + self.extra


def recognises(first: NamedFile) -> bool:
    """Say whether a VDI's signature stands behind its line of text."""
    return first.medium.read_at(_SIGNATURE_AT, 4) == _SIGNATURE


def look(files: Sequence[NamedFile]) -> ContainerFacts:
    """Return what the VDI says of itself; ContainerError where its header does not fit its file.

    A parent is known by its UUID only: its name is that which VirtualBox gives the snapshots that it makes.
    """
    medium = files[0].medium
    header = _header(medium)
    problems = list(table_problems(_BlockMap(medium, header).table()))
    if header.kind == _DIFFERENCING and not header.parent:
        problems.append(Problem(stage="source", reason="the VDI is differencing and has no UUID of a parent"))
    kind = f"VDI {_KINDS.get(header.kind, 'of an unknown type')}"
    parent = [Reference(name=f"{{{header.parent}}}.vdi".encode(), role="parent")] if header.parent else []
    return ContainerFacts(kind=kind, size=header.size, references=parent, details=_details(header), problems=problems)


def open_container(files: Sequence[NamedFile], parent: Medium | None, note: NoteFault) -> Medium:
    """Return the logical disk. A parent with another UUID is noted; without one its blocks cannot be read."""
    medium = files[0].medium
    header = _header(medium)
    found = identity_of(parent)
    if header.parent and found and found != header.parent:
        reason = f"the parent that was found has the UUID {found}, and the disk wants {header.parent}"
        note(Fault(0, header.size, reason, lost=False))
    disk = MappedMedium(header.size, _BlockMap(medium, header, parent).find, Noted(note))
    return IdentifiedDisk(disk, header.identity)


def _details(header: _Header) -> dict[str, str]:
    details = {
        "version": header.version,
        "comment": header.comment,
        "block size": f"{header.block_size} bytes",
        "UUID": header.identity,
        "UUID of the last change": header.changed,
        "parent's UUID": header.parent,
        "parent's UUID of the last change": header.parent_changed,
    }
    return {name: value for name, value in details.items() if value}


def _header(medium: Medium) -> _Header:
    version = exactly(medium, _SIGNATURE_AT + 4, 4, "the version of the VDI")
    minor, major = struct.unpack("<HH", version)
    if major > 1:
        raise ContainerError(f"the VDI's version is {major}.{minor}")
    header = _header_0(medium) if major == 0 else _header_1(medium, f"{major}.{minor}")
    if not 0 < header.block_size <= _LARGEST_BLOCK or header.block_size % 512:
        raise ContainerError(f"the VDI's block size is {header.block_size}")
    if header.extra > _LARGEST_BLOCK:
        raise ContainerError(f"a block of the VDI has {header.extra} bytes before its data")
    if not 0 < header.size < 1 << 62:
        raise ContainerError(f"the VDI's disk size is {header.size}")
    blocks = min(header.blocks, -(-header.size // header.block_size))
    if header.map_at + 4 * blocks > medium.size:
        raise ContainerError(f"the VDI's map of {blocks} blocks at {header.map_at} ends outside its file")
    return header


def _header_0(medium: Medium) -> _Header:
    raw = exactly(medium, _HEADER_AT, _HEADER_0.size, "the header of the VDI")
    kind, _, comment, size, block_size, blocks, _, created, changed, parent = _HEADER_0.unpack(raw)
    map_at = _HEADER_AT + _HEADER_0.size
    data_at = map_at + 4 * blocks
    names = _uuid(created), _uuid(changed), _uuid(parent), ""
    return _Header("0.0", kind, _comment(comment), map_at, data_at, size, block_size, 0, blocks, *names)


def _header_1(medium: Medium, version: str) -> _Header:
    raw = exactly(medium, _HEADER_AT, _HEADER_1.size, "the header of the VDI")
    fields = _HEADER_1.unpack(raw)
    _, kind, _, comment, map_at, data_at, sector, size, block_size, extra, blocks, _ = fields[:12]
    if sector not in {0, 512}:
        raise ContainerError(f"the VDI's sector size is {sector}")
    names = [_uuid(field) for field in fields[12:]]
    return _Header(version, kind, _comment(comment), map_at, data_at, size, block_size, extra, blocks, *names)


def _comment(raw: bytes) -> str:
    return short_text(raw.split(b"\0")[0].decode("utf-8", "replace"))


def _uuid(raw: bytes) -> str:
    return "" if raw == _NO_UUID else guid_text(raw)


class _BlockMap:
    """The map of a VDI: for each block of the disk, which block of the file it is."""

    def __init__(self, medium: Medium, header: _Header, parent: Medium | None = None) -> None:
        self._medium = medium
        self._pages = Pages(medium)
        self._parent = parent
        self._header = header

    def table(self) -> BlockTable:
        """Return the table as it is checked beforehand."""
        header = self._header
        return BlockTable("VDI", header.size, header.block_size, header.blocks, self._pages.size, self._place_of)

    def find(self, position: int) -> Piece:
        """Return the piece that begins at a position of the disk."""
        header = self._header
        block, start = divmod(position, header.block_size)
        length = header.block_size - start
        if block >= header.blocks:
            reason = f"the VDI's map has {header.blocks} blocks and these lie behind them"
            return Piece(header.size - position, reason=reason)
        number = self._entry(block)
        if number < _DISCARDED:
            return Piece(length, self._medium, self._place(number) + start)
        if number == _FREE and header.has_parent:
            name = f"the parent with UUID {header.parent or 'that is not given'}"
            return parent_piece(self._parent, position, length, name)
        return Piece(length)

    def _place_of(self, block: int) -> int | None:
        number = self._entry(block)
        return None if number >= _DISCARDED else self._place(number)

    def _place(self, number: int) -> int:
        return self._header.data_at + number * self._header.stride + self._header.extra

    def _entry(self, block: int) -> int:
        return int.from_bytes(self._pages.read(self._header.map_at + 4 * block, 4), "little")
