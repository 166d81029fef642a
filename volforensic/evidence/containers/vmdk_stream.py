"""The grains of a stream that is cut: its directory was to come last, so they are found by the markers before them.

Source: VMware's "Virtual Disk Format 5.0", "Stream-Optimized Compressed Sparse Extents": a grain's marker is its sector
on the disk (8 bytes) and its compressed size (4 bytes); size 0 marks a table, the directory, the footer or the end.
Grains come in the order of the disk, so what is not there before the last of them was never written.
"""

import bisect
import struct
from array import array
from functools import cached_property

from volforensic.evidence.containers.vmdk_grains import ABSENT, SECTOR, Geometry, Lost
from volforensic.medium import Medium

FOUND_ENTRY = 8
_MARKERS_MOST = 4 << 20
_MARKER = struct.Struct("<QII")
_METADATA_MOST = 1 << 20
_BEHIND_LAST = (1 << 64) - 1


class MarkedGrains:
    """Grain tables made from the markers: what the stream skipped is absent, what follows its end is lost."""

    def __init__(self, file: Medium, geometry: Geometry, first_sector: int) -> None:
        """Keep where the grains begin; nothing is read yet."""
        self.geometry = geometry
        self._file, self._first = file, first_sector * SECTOR

    @cached_property
    def _found(self) -> "tuple[array[int], array[int]]":
        """The numbers of the grains that are in the file, ascending, and where each is."""
        numbers, places = array("Q"), array("Q")
        position = self._first
        for _ in range(_MARKERS_MOST):
            try:
                head = self._file.read_at(position, _MARKER.size)
            except OSError:
                break
            if len(head) < _MARKER.size:
                break
            sector, size, kind = _MARKER.unpack(head)
            if not size:
                position += SECTOR * (1 + (min(sector, _METADATA_MOST) if kind else 0))
                continue
            number = sector * SECTOR // self.geometry.grain
            end = position + 12 + size
            if not self._can_be(number, size, end) or (numbers and number <= numbers[-1]):
                break
            numbers.append(number)
            places.append(position)
            position = -(-end // SECTOR) * SECTOR
        return numbers, places

    def _can_be(self, number: int, size: int, end: int) -> bool:
        is_inside = number * self.geometry.grain < self.geometry.capacity and end <= self._file.size
        return is_inside and size <= 2 * self.geometry.grain + SECTOR

    def table(self, number: int) -> bytes | str | Lost:
        """Return a table; see ``GrainTables``."""
        numbers, places = self._found
        last = numbers[-1] if numbers else -1
        entries = self.geometry.table_entries
        first = number * entries
        if first > last:
            return Lost("the stream is cut before this grain")
        table = array("Q", bytes(FOUND_ENTRY * entries))
        for index in range(bisect.bisect_left(numbers, first), bisect.bisect_left(numbers, first + entries)):
            table[numbers[index] - first] = places[index]
        for entry in range(last + 1 - first, entries):
            table[entry] = _BEHIND_LAST
        return table.tobytes()

    def place(self, entry: int) -> int | str | Lost:
        """Return where a grain is; see ``GrainTables``."""
        if entry == _BEHIND_LAST:
            return Lost("the stream is cut before this grain")
        return entry or ABSENT
