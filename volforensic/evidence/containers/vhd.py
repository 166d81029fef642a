"""VHD: fixed, dynamic and differencing disks of Virtual PC, Hyper-V, Azure and XenServer.

Source: Microsoft's "Virtual Hard Disk Image Format Specification" (2006), and qemu's block/vpc.c for what is written.
All numbers are big-endian. The disk's size is the footer's current size: the geometry that old Virtual PC and qemu also
write is never larger for the disks they make, and is shown.
"""

import contextlib
from collections.abc import Sequence

from volforensic.evidence.containers.block_faults import BlockTable, table_problems
from volforensic.evidence.containers.container import ContainerFacts, Fault, NamedFile, NoteFault, Reference
from volforensic.evidence.containers.mapped import Finder, MappedMedium, Noted, Pages, Piece
from volforensic.evidence.containers.parts import (
    IdentifiedDisk,
    bit_run,
    identity_of,
    last_component,
    parent_piece,
)
from volforensic.evidence.containers.vhd_header import (
    FIXED,
    KINDS,
    SECTOR,
    Footer,
    Sparse,
    footer_of,
    has_footer,
    parent_names,
    sparse_of,
)
from volforensic.medium import Medium
from volforensic.record import Problem

_UNALLOCATED = 0xFFFFFFFF
_CHECKED_KEPT = 1 << 16
_SECTORS_CHECKED = 1 << 16


def recognises(first: NamedFile) -> bool:
    """Say whether there is a footer of a VHD at the file's end, or the copy of one at its start."""
    return has_footer(first.medium)


def look(files: Sequence[NamedFile]) -> ContainerFacts:
    """Return what the VHD says of itself; ContainerError where its structures do not fit."""
    medium = files[0].medium
    footer, problems = footer_of(medium)
    if footer.kind == FIXED:
        problems += _fixed_problems(medium, footer)
        return ContainerFacts(kind=f"VHD {KINDS[FIXED]}", size=footer.size, details=_details(footer), problems=problems)
    sparse, more = sparse_of(medium, footer)
    names = parent_names(medium, sparse) if footer.has_parent else []
    table = _BlockMap(medium, footer, sparse).table()
    problems += [*more, *table_problems(table)]
    if footer.has_parent and not names:
        problems.append(Problem(stage="source", reason="the VHD is differencing and does not name its parent"))
    return ContainerFacts(
        kind=f"VHD {KINDS[footer.kind]}",
        size=footer.size,
        references=[Reference(name=last_component(name).encode(), role="parent") for name in names[:1]],
        details=_details(footer) | _sparse_details(footer, sparse, names),
        problems=problems,
    )


def open_container(files: Sequence[NamedFile], parent: Medium | None, note: NoteFault) -> Medium:
    """Return the logical disk; a parent whose unique id is another one is noted as a fault of the whole disk."""
    medium = files[0].medium
    footer, _ = footer_of(medium)
    if footer.kind == FIXED:
        fixed = MappedMedium(footer.size, _fixed_finder(medium, footer), Noted(note))
        return IdentifiedDisk(fixed, footer.unique_id)
    sparse, _ = sparse_of(medium, footer)
    found = identity_of(parent)
    if footer.has_parent and found and found != sparse.parent_id:
        reason = f"the parent that was found has the unique id {found}, and the disk wants {sparse.parent_id}"
        note(Fault(0, footer.size, reason, lost=False))
    noted = Noted(note)
    block_map = _BlockMap(medium, footer, sparse, parent, noted)
    find = block_map.find_differencing if footer.has_parent else block_map.find_dynamic
    return IdentifiedDisk(MappedMedium(footer.size, find, noted), footer.unique_id)


def _details(footer: Footer) -> dict[str, str]:
    return {
        "unique id": footer.unique_id,
        "creator": footer.creator,
        "creation time": footer.time,
        "size by geometry": f"{footer.geometry_size} bytes",
    } | ({"saved state": "yes"} if footer.is_saved_state else {})


def _sparse_details(footer: Footer, sparse: Sparse, names: list[str]) -> dict[str, str]:
    details = {"block size": f"{sparse.block_size} bytes"}
    if not footer.has_parent:
        return details
    return details | {
        "parent": ", ".join(names),
        "parent's unique id": sparse.parent_id,
        "parent's time of last change": sparse.parent_time,
    }


def _fixed_problems(medium: Medium, footer: Footer) -> list[Problem]:
    room = max(0, medium.size - footer.length)
    if room > footer.size:
        reason = f"the VHD's file has {room} bytes before its footer and its disk {footer.size}: the rest is not read"
        return [Problem(stage="source", reason=reason, lost=False)]
    if room == footer.size:
        return []
    reason = f"the VHD is cut: its disk has {footer.size} bytes and the file {room} before its footer"
    return [Problem(stage="source", reason=reason, offset=room, length=footer.size - room)]


def _fixed_finder(medium: Medium, footer: Footer) -> Finder:
    room = max(0, medium.size - footer.length)

    def find(position: int) -> Piece:
        if position >= room:
            return Piece(footer.size - position, reason=f"the VHD is cut: it has {room} bytes before its footer")
        return Piece(min(room, footer.size) - position, medium, position)

    return find


class _BlockMap:
    """The table of a dynamic or differencing disk: where each block's bitmap lies, and its data behind that."""

    def __init__(
        self, medium: Medium, footer: Footer, sparse: Sparse, parent: Medium | None = None, noted: Noted | None = None
    ) -> None:
        self._medium = medium
        self._pages = Pages(medium)
        self._size = footer.size
        self._sparse = sparse
        self._parent = parent
        self._noted = noted
        self._checked: set[int] = set()
        self._bitmap_size = -(-sparse.block_size // (SECTOR * 8 * SECTOR)) * SECTOR

    def table(self) -> BlockTable:
        """Return the table as it is checked beforehand: where the data of each block is."""
        sizes = self._size, self._sparse.block_size, self._sparse.entries, self._medium.size
        return BlockTable("VHD", *sizes, self._data_place)

    def find_dynamic(self, position: int) -> Piece:
        """Return the piece of a disk without parent: an allocated block is data, whatever its bitmap says."""
        block, start = divmod(position, self._sparse.block_size)
        length = self._sparse.block_size - start
        place = self._entry(block)
        if isinstance(place, str):
            return Piece(length, reason=place)
        if place is None:
            return Piece(length)
        self._check_bitmap(block, place)
        return Piece(length, self._medium, place + self._bitmap_size + start)

    def find_differencing(self, position: int) -> Piece:
        """Return the piece of a disk with a parent: sectors whose bit is clear are the parent's."""
        block, start = divmod(position, self._sparse.block_size)
        length = self._sparse.block_size - start
        place = self._entry(block)
        if isinstance(place, str):
            return Piece(length, reason=place)
        if place is None:
            return parent_piece(self._parent, position, length)
        sector, inside = divmod(start, SECTOR)
        try:
            is_set, count = bit_run(self._pages, place, sector, -(-length // SECTOR), "big")
        except OSError as error:
            return Piece(length, reason=f"the sector bitmap of this block of the VHD: {error.strerror}")
        length = min(length, count * SECTOR - inside)
        if is_set:
            return Piece(length, self._medium, place + self._bitmap_size + start)
        return parent_piece(self._parent, position, length)

    def _check_bitmap(self, block: int, place: int) -> None:
        """Note a block whose bitmap calls sectors unused that hold something: readers differ on what is there."""
        if block in self._checked or self._noted is None:
            return
        if len(self._checked) >= _CHECKED_KEPT:
            self._checked.clear()
        self._checked.add(block)
        sectors = min(self._sparse.block_size // SECTOR, _SECTORS_CHECKED)
        with contextlib.suppress(OSError):  # what cannot be read is told when it is wanted
            if self._medium.read_at(place, sectors // 8).count(0xFF) == sectors // 8:
                return
            self._note_denied(block, place, sectors)

    def _note_denied(self, block: int, place: int, sectors: int) -> None:
        here = 0
        while here < sectors:
            is_set, count = bit_run(self._pages, place, here, sectors - here, "big")
            data = b"" if is_set else self._medium.read_at(place + self._bitmap_size + here * SECTOR, count * SECTOR)
            if data.count(0) < len(data) and self._noted:
                reason = "the block's bitmap calls these sectors unused and they hold data; the data is given"
                self._noted.tell(block * self._sparse.block_size + here * SECTOR, count * SECTOR, reason, lost=False)
            here += count

    def _data_place(self, block: int) -> int | None:
        place = self._place(block)
        return None if place is None else place + self._bitmap_size

    def _place(self, block: int) -> int | None:
        word = self._pages.read(self._sparse.table + 4 * block, 4)
        number = int.from_bytes(word, "big")
        return None if number == _UNALLOCATED else number * SECTOR

    def _entry(self, block: int) -> int | str | None:
        """Return where the block begins, None where it is not there, or why that cannot be said."""
        if block >= self._sparse.entries:
            return f"the VHD's table has {self._sparse.entries} entries, and this is block {block}"
        return self._place(block)
