"""VHDX: fixed, dynamic and differencing disks of Hyper-V, with the log replayed in memory where one is active.

Source: [MS-VHDX] "Virtual Hard Disk v2 (VHDX) File Format", sections 2.5 (block allocation table), 2.6 (metadata) and
3 (what a reader does). All numbers are little-endian.
"""

from collections.abc import Sequence

from volforensic.evidence.containers.block_faults import BlockTable, table_problems
from volforensic.evidence.containers.container import ContainerFacts, Fault, NamedFile, NoteFault, Reference
from volforensic.evidence.containers.mapped import MappedMedium, Noted, Pages, Piece
from volforensic.evidence.containers.parts import IdentifiedDisk, bit_run, identity_of, last_component, parent_piece
from volforensic.evidence.containers.vhdx_header import SIGNATURE, Head, head_of
from volforensic.evidence.containers.vhdx_log import replayed
from volforensic.evidence.containers.vhdx_metadata import Metadata, metadata_of
from volforensic.medium import Medium
from volforensic.record import Problem

_MIB = 1 << 20
_BITMAP_SECTORS = 1 << 23  # that one bitmap block of 1 MiB has bits for
_NOT_PRESENT, _PRESENT, _PARTIAL = 0, 6, 7
_NO_ENTRY = 8  # no state of the format's
_EMPTY_STATES = {1, 2, 3}  # undefined, zero, unmapped: nothing that the guest wrote, and not the parent's


def recognises(first: NamedFile) -> bool:
    """Say whether the file begins with the identifier of a VHDX."""
    return first.medium.read_at(0, 8) == SIGNATURE


def look(files: Sequence[NamedFile]) -> ContainerFacts:
    """Return what the VHDX says of itself; ContainerError where its structures do not fit."""
    medium, head, metadata, problems = _opened(files[0].medium)
    names = metadata.parent_names
    problems += table_problems(_BlockMap(medium, head, metadata).table())
    if metadata.has_parent and not names:
        problems.append(Problem(stage="source", reason="the VHDX is differencing and does not name its parent"))
    return ContainerFacts(
        kind=f"VHDX {metadata.kind}",
        size=metadata.size,
        references=[Reference(name=last_component(name).encode(), role="parent") for name in names[:1]],
        details=_details(head, metadata),
        problems=problems,
    )


def open_container(files: Sequence[NamedFile], parent: Medium | None, note: NoteFault) -> Medium:
    """Return the logical disk; a parent that was changed since, or is another one, is a fault of the whole disk."""
    medium, head, metadata, _ = _opened(files[0].medium)
    found = identity_of(parent)
    if metadata.has_parent and found and metadata.linkages and found not in metadata.linkages:
        reason = f"the parent's data has the id {found}, and the disk wants {' or '.join(metadata.linkages)}"
        note(Fault(0, metadata.size, f"{reason}: another parent, or changed since", lost=False))
    block_map = _BlockMap(medium, head, metadata, parent)
    return IdentifiedDisk(MappedMedium(metadata.size, block_map.find, Noted(note)), head.data_id)


def _opened(medium: Medium) -> tuple[Medium, Head, Metadata, list[Problem]]:
    head, problems = head_of(medium)
    if head.log_id:
        medium, more = replayed(medium, head)
        problems += more
        head, _ = head_of(medium)  # the log may hold a newer region table
    metadata, more = metadata_of(medium, head.metadata)
    return medium, head, metadata, problems + more


def _details(head: Head, metadata: Metadata) -> dict[str, str]:
    details = {
        "creator": head.creator,
        "id of its data": head.data_id,
        "id of the disk": metadata.disk_id,
        "block size": f"{metadata.block_size} bytes",
        "logical sector size": f"{metadata.sector_size} bytes",
        "parent": ", ".join(metadata.parent_names),
        "id of the parent's data": " or ".join(metadata.linkages),
    }
    return {name: value for name, value in details.items() if value}


class _BlockMap:
    """The block allocation table: payload blocks, and after each chunk of them the place of its sector bitmap."""

    def __init__(self, medium: Medium, head: Head, metadata: Metadata, parent: Medium | None = None) -> None:
        self._medium = medium
        self._pages = Pages(medium)
        self._parent = parent
        self._table, self._table_size = head.table
        self._metadata = metadata
        self._chunk = max(1, _BITMAP_SECTORS * metadata.sector_size // metadata.block_size)

    def table(self) -> BlockTable:
        """Return the table as it is checked beforehand; that it is too short is the entries' own fault."""
        size, block_size = self._metadata.size, self._metadata.block_size
        return BlockTable("VHDX", size, block_size, -(-size // block_size), self._pages.size, self._place_of)

    def _place_of(self, block: int) -> int | str | None:
        state, place = self._payload(block)
        return self._refusal(state, place, block) or (place if state in {_PRESENT, _PARTIAL} else None)

    def find(self, position: int) -> Piece:
        """Return the piece that begins at a position of the disk."""
        metadata = self._metadata
        block, start = divmod(position, metadata.block_size)
        length = metadata.block_size - start
        state, place = self._payload(block)
        if reason := self._refusal(state, place, block):
            return Piece(length, reason=reason)
        if state == _PRESENT:
            return Piece(length, self._medium, place + start)
        if state == _PARTIAL:
            return self._sectors(block, place, start)
        if state == _NOT_PRESENT and metadata.has_parent:
            return parent_piece(self._parent, position, length)
        return Piece(length)

    def _sectors(self, block: int, place: int, start: int) -> Piece:
        """Return the piece of a block of which some sectors are the parent's."""
        block_size, sector_size = self._metadata.block_size, self._metadata.sector_size
        sector, inside = divmod(start, sector_size)
        sectors = block_size // sector_size
        chunk, number = divmod(block, self._chunk)
        state, bitmap = self._entry((chunk + 1) * self._chunk + chunk)
        if state != _PRESENT:
            reason = f"the sector bitmap of this block of the VHDX has the state {state}"
            return Piece(block_size - start, reason=reason)
        try:
            is_set, count = bit_run(self._pages, bitmap, number * sectors + sector, sectors - sector, "little")
        except OSError as error:
            return Piece(block_size - start, reason=f"the sector bitmap of this block of the VHDX: {error.strerror}")
        length = count * sector_size - inside
        if is_set:
            return Piece(length, self._medium, place + start)
        return parent_piece(self._parent, block * block_size + start, length)

    def _refusal(self, state: int, place: int, block: int) -> str:
        """Return why the entry cannot be followed, or nothing."""
        metadata = self._metadata
        if state == _PARTIAL and not metadata.has_parent:
            return "a block of the VHDX is partly its parent's, and the disk has none"
        if state in {_PRESENT, _PARTIAL}:
            inside = min(metadata.block_size, metadata.size - block * metadata.block_size)
            is_outside = place < _MIB or place + inside > self._pages.size
            return f"blocks of the VHDX lie outside its file, which has {self._pages.size} bytes" if is_outside else ""
        if state == _NO_ENTRY:
            return "the VHDX's table ends before the entries of these blocks"
        return "" if state == _NOT_PRESENT or state in _EMPTY_STATES else f"blocks of the VHDX have the state {state}"

    def _payload(self, block: int) -> tuple[int, int]:
        return self._entry(block + block // self._chunk)

    def _entry(self, index: int) -> tuple[int, int]:
        """Return an entry's state and its place in the file; ``_NO_ENTRY`` behind the table."""
        if 8 * index + 8 > min(self._table_size, self._pages.size - self._table):
            return _NO_ENTRY, 0
        word = int.from_bytes(self._pages.read(self._table + 8 * index, 8), "little")
        return word & 7, word >> 20 << 20
