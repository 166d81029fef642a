"""VHD: fixed, dynamic and differencing disks of Virtual PC, Hyper-V, Azure and XenServer.

Source: Microsoft's "Virtual Hard Disk Image Format Specification" (2006), and qemu's block/vpc.c for what is written.
All numbers are big-endian. The disk's size is the footer's current size: the geometry that old Virtual PC and qemu also
write is never larger for the disks they make, and is shown.
"""

import contextlib
from collections.abc import Iterator, Sequence

from volforensic.evidence.containers.block_faults import BlockTable, table_problems
from volforensic.evidence.containers.container import ContainerFacts, Fault, NamedFile, NoteFault, Reference
from volforensic.evidence.containers.parts import (
    MappedDisk,
    Pages,
    Run,
    RunsOf,
    bit_runs,
    is_zero,
    last_component,
    split_blocks,
    unreadable,
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
_BLOCKS_NOTED = 64


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
    table = _BlockMap(medium, footer, sparse, lambda _: None).table()
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
        return MappedDisk(medium, footer.size, _fixed_runs(medium, footer), identity=footer.unique_id)
    sparse, _ = sparse_of(medium, footer)
    found = getattr(parent, "identity", "")
    if footer.has_parent and found and found != sparse.parent_id:
        reason = f"the parent that was found has the unique id {found}, and the disk wants {sparse.parent_id}"
        note(Fault(0, footer.size, reason, lost=False))
    block_map = _BlockMap(medium, footer, sparse, note)
    runs = block_map.differencing_runs if footer.has_parent else block_map.dynamic_runs
    return MappedDisk(medium, footer.size, runs, parent, identity=footer.unique_id)


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
    if room >= footer.size:
        return []
    reason = f"the VHD is cut: its disk has {footer.size} bytes and the file {room} before its footer"
    return [Problem(stage="source", reason=reason, offset=room, length=footer.size - room)]


def _fixed_runs(medium: Medium, footer: Footer) -> RunsOf:
    room = max(0, medium.size - footer.length)

    def runs(position: int, size: int) -> Iterator[Run]:
        held = max(0, min(size, room - position))
        if held:
            yield Run("file", held, position)
        if held < size:
            yield Run("lost", size - held, reason=f"the VHD is cut: there are {room} bytes before its footer")

    return runs


class _BlockMap:
    """The table of a dynamic or differencing disk: where each block's bitmap lies, and its data behind that."""

    def __init__(self, medium: Medium, footer: Footer, sparse: Sparse, note: NoteFault) -> None:
        self._medium = medium
        self._pages = Pages(medium)
        self._size = footer.size
        self._sparse = sparse
        self._note = note
        self._noted: set[int] = set()
        self._bitmap_size = -(-sparse.block_size // (SECTOR * 8 * SECTOR)) * SECTOR

    def table(self) -> BlockTable:
        """Return the table as it is checked beforehand: where the data of each block is."""
        sizes = self._size, self._sparse.block_size, self._sparse.entries, self._medium.size
        return BlockTable("VHD", *sizes, self._data_place)

    def dynamic_runs(self, position: int, size: int) -> Iterator[Run]:
        """Yield runs of a disk without parent: an allocated block is data, whatever its bitmap says."""
        for block, start, length in split_blocks(position, size, self._sparse.block_size):
            place = self._entry(block)
            if isinstance(place, str):
                yield Run("lost", length, reason=place)
            elif place is None:
                yield Run("zeros", length)
            else:
                with contextlib.suppress(OSError):  # of the bitmap alone: the data may be whole
                    self._check_bitmap(block, place, start, length)
                yield Run("file", length, place + self._bitmap_size + start)

    def differencing_runs(self, position: int, size: int) -> Iterator[Run]:
        """Yield runs of a disk with a parent: sectors whose bit is clear are the parent's."""
        for block, start, length in split_blocks(position, size, self._sparse.block_size):
            place = self._entry(block)
            base = block * self._sparse.block_size
            if isinstance(place, str):
                yield Run("lost", length, reason=place)
            elif place is None:
                yield Run("parent", length, base + start)
            else:
                for is_set, here, count in self._sectors(place, start, length):
                    if is_set:
                        yield Run("file", count, place + self._bitmap_size + here)
                    else:
                        yield Run("parent", count, base + here)

    def _sectors(self, place: int, start: int, length: int) -> Iterator[tuple[bool, int, int]]:
        """Yield (bit, first byte in the block, number of bytes) for a range of the block whose bitmap is at place."""
        first, last = start // SECTOR, (start + length - 1) // SECTOR
        size = last // 8 - first // 8 + 1
        bitmap = self._pages.read_at(place + first // 8, size)
        if len(bitmap) < size:
            raise unreadable(f"the sector bitmap of the VHD at {place} lies outside the file")
        here, end = start, start + length
        for is_set, count in bit_runs(bitmap, first % 8, last - first + 1, order="big"):
            following = min(end, (here // SECTOR + count) * SECTOR)
            yield is_set, here, following - here
            here = following

    def _check_bitmap(self, block: int, place: int, start: int, length: int) -> None:
        """Note a block whose bitmap calls sectors unused that hold something: readers differ on what is there."""
        if block in self._noted or len(self._noted) >= _BLOCKS_NOTED:
            return
        for is_set, here, count in self._sectors(place, start, length):
            if not is_set and not is_zero(self._medium.read_at(place + self._bitmap_size + here, count)):
                self._noted.add(block)
                position = block * self._sparse.block_size + here
                reason = "the block's bitmap calls these sectors unused and they hold data; the data is given"
                self._note(Fault(position, count, reason, lost=False))
                return

    def _data_place(self, block: int) -> int | None:
        place = self._place(block)
        return None if place is None else place + self._bitmap_size

    def _place(self, block: int) -> int | None:
        word = self._pages.read_at(self._sparse.table + 4 * block, 4)
        number = int.from_bytes(word, "big")
        return None if number == _UNALLOCATED else number * SECTOR

    def _entry(self, block: int) -> int | str | None:
        """Return where the block begins, None where it is not there, or why that cannot be said."""
        if block >= self._sparse.entries:
            return f"the VHD's table has {self._sparse.entries} entries, and this is block {block}"
        return self._place(block)
