"""The grains of a sparse extent: what the three kinds of VMware's sparse files have in common.

A directory points to tables, tables point to grains. What a grain table does not point to is the parent's, or zeros.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple, Protocol

from volforensic.evidence.containers.mapped import Piece, Unit
from volforensic.medium import Medium

SECTOR = 512
_TABLES_KEPT, _UNPACKED_KEPT = 8 << 20, 16 << 20
_FAR = 1 << 62
ABSENT, ZEROS = "absent", "zeros"
"""What a directory's or a table's entry can say instead of a place."""


class Lost(NamedTuple):
    """An entry or a table cannot be had, for this reason."""

    reason: str


class Below(NamedTuple):
    """What lies under an extent: the parent's disk, where the extent begins in it, and why it is missing."""

    parent: Medium | None
    base: int
    missing: str = ""

    def piece(self, position: int, length: int) -> Piece:
        """Return what a range of the extent reads as that is not in it."""
        if self.parent is not None:
            return Piece(length, self.parent, self.base + position, is_padded=True)
        return Piece(length, reason=self.missing)


class Geometry(NamedTuple):
    """Sizes of an extent in bytes, and how many grains a table is for."""

    capacity: int
    grain: int
    table_entries: int
    entry_size: int

    def entries_of(self, table: int) -> int:
        """Return how many entries of a table are used: the last may be for fewer grains."""
        grains = -(-self.capacity // self.grain)
        return max(0, min(self.table_entries, grains - table * self.table_entries))


class GrainTables(Protocol):
    """What a kind of sparse file knows: its geometry, its tables, and what an entry of them means."""

    @property
    def geometry(self) -> Geometry:
        """The extent's sizes."""

    def table(self, number: int) -> bytes | str | Lost:
        """Return the used part of a grain table, ABSENT, ZEROS, or why it is lost."""

    def place(self, entry: int) -> int | str | Lost:
        """Return where in the file a grain is, ABSENT, ZEROS, or why it is lost."""


class Grains:
    """Where the bytes of an extent are."""

    def __init__(self, tables: GrainTables, file: Medium, below: Below) -> None:
        """Read nothing yet."""
        self._tables, self._file, self._below = tables, file, below
        self._geometry = geometry = tables.geometry
        kept = max(8, _TABLES_KEPT // (geometry.table_entries * geometry.entry_size))
        self._table = lru_cache(min(kept, 1024))(tables.table)
        self._coverage = geometry.table_entries * geometry.grain
        self._unpacked: Callable[[int], bytes] | None = None

    @property
    def capacity(self) -> int:
        """Bytes of the disk that the extent is for."""
        return self._geometry.capacity

    def unpack_with(self, unpack: Callable[[int, int], bytes]) -> None:
        """Take the grains as compressed: ``unpack`` gives one by its number and its place in the file."""

        def unpacked(number: int) -> bytes:
            place = self.place(number)
            return unpack(number, place) if isinstance(place, int) else b""

        self._unpacked = lru_cache(max(2, min(64, _UNPACKED_KEPT // self._geometry.grain)))(unpacked)

    def place(self, number: int) -> int | str | Lost:
        """Return where a grain is; see ``GrainTables``."""
        index, entry = divmod(number, self._geometry.table_entries)
        table = self._table(index)
        if not isinstance(table, bytes):
            return table
        size = self._geometry.entry_size
        return self._tables.place(int.from_bytes(table[entry * size : (entry + 1) * size], "little"))

    def find(self, position: int) -> Piece:
        """Return the piece at a position of the extent; see ``Finder``."""
        geometry = self._geometry
        if position >= geometry.capacity:
            return Piece(_FAR, reason=f"vmdk: the extent's file is for {geometry.capacity} bytes only")
        table = self._table(position // self._coverage)
        if not isinstance(table, bytes):
            return self._unstored(table, position, self._coverage - position % self._coverage)
        number, start = divmod(position, geometry.grain)
        length = min(geometry.grain - start, geometry.capacity - position)
        place = self.place(number)
        if not isinstance(place, int):
            return self._unstored(place, position, length)
        if place + (start if self._unpacked is None else 0) >= self._file.size:
            return Piece(length, reason=f"vmdk: grains lie outside the file, which has {self._file.size} bytes")
        if self._unpacked is not None:
            return Piece(length, Unit(self._unpacked, number), start)
        return Piece(length, self._file, place + start)

    def _unstored(self, state: str | Lost, position: int, length: int) -> Piece:
        length = min(length, self._geometry.capacity - position)
        if isinstance(state, Lost):
            return Piece(length, reason=f"vmdk: {state.reason}")
        return Piece(length) if state == ZEROS else self._below.piece(position, length)
