"""Hosted sparse extents ("KDMV"): monolithicSparse, twoGbMaxExtentSparse and streamOptimized.

Source: VMware's "Virtual Disk Format 5.0": SparseExtentHeader, grain directory and tables, markers. Little-endian,
counted in sectors of 512 bytes. A stream has its directory at its end, and says so in the header; its footer is the
header again with the place.
"""

import struct
from typing import NamedTuple

from volforensic.evidence.containers import packed
from volforensic.evidence.containers.mapped import Noted, Pages, StoredError
from volforensic.evidence.containers.vmdk_descriptor import DESCRIPTOR_MOST, VmdkError
from volforensic.evidence.containers.vmdk_grains import (
    ABSENT,
    SECTOR,
    ZEROS,
    Below,
    Geometry,
    Grains,
    GrainTables,
    Lost,
)
from volforensic.evidence.containers.vmdk_stream import FOUND_ENTRY, MarkedGrains
from volforensic.medium import Medium

MAGIC = b"KDMV"
_HEAD = struct.Struct("<4sIIQQQQIQQQB4sH")
_AT_END = (1 << 64) - 1
_HAS_LINE_ENDS, _HAS_REDUNDANT, _HAS_ZEROED, _HAS_MARKERS = 1, 2, 4, 1 << 17
_LINE_ENDS = b"\n \r\n"
_DEFLATE = 1
_LARGEST_GRAIN, _LARGEST_PACKED_GRAIN = 1 << 30, 16 << 20
_TABLE_ENTRIES_MOST = 1 << 16
_SECTORS_MOST = 1 << 54
_FOOTER, _FOOTER_SEARCHED = 3, 1 << 16
_MARKER = 12


class SparseHeader(NamedTuple):
    """The fields that reading needs, in sectors; ``is_cut``: it is a stream whose footer is missing."""

    version: int
    flags: int
    capacity: int
    grain: int
    descriptor_offset: int
    descriptor_size: int
    table_entries: int
    redundant_offset: int
    directory_offset: int
    overhead: int
    is_unclean: int
    line_ends: bytes
    compression: int
    is_cut: bool = False


def header_oddities(file: Medium) -> list[tuple[str, bool]]:
    """Return what an examiner should know of an extent's header, and whether bytes are lost by it."""
    header = sparse_header(file)
    found = []
    if header.flags & _HAS_LINE_ENDS and header.line_ends != _LINE_ENDS:
        found.append(("the header's line ends are changed: the file went through a transfer as text", True))
    if header.is_unclean:
        found.append(("the extent was not closed cleanly by the program that wrote it", False))
    if header.is_cut:
        found.append(("the stream has no footer: it is cut, and its grains are found by their markers", True))
    elif not 0 < header.directory_offset * SECTOR < file.size:
        reason = f"gdOffset is {header.directory_offset} sectors, in a file of {file.size} bytes"
        found.append((f"{reason}: only the redundant directory can be used", False))
    return found


def sparse_header(file: Medium) -> SparseHeader:
    """Read the header, of a stream its footer; VmdkError where a field says what cannot be."""
    header = _parsed(file.read_at(0, _HEAD.size))
    if header is None:
        raise VmdkError("there is no header of a sparse extent")
    is_stream = bool(header.compression and header.flags & _HAS_MARKERS)
    if header.directory_offset == _AT_END or (is_stream and header.directory_offset * SECTOR >= file.size):
        footer = _footer(file)
        header = footer if footer is not None else header._replace(is_cut=True)
    _check(header)
    return header


def _parsed(data: bytes) -> SparseHeader | None:
    if len(data) < _HEAD.size or not data.startswith(MAGIC):
        return None
    fields = _HEAD.unpack(data)
    return SparseHeader(*fields[1:])


def _footer(file: Medium) -> SparseHeader | None:
    """Return the header at the end of a stream; zeros or a few foreign bytes may follow it."""
    end = file.size // SECTOR * SECTOR
    start = max(0, end - _FOOTER_SEARCHED)
    data = file.read_at(start, end - start)
    for position in range(len(data) - 2 * SECTOR, -1, -SECTOR):
        marker = data[position : position + 16]
        if marker[8:] == struct.pack("<II", 0, _FOOTER):
            header = _parsed(data[position + SECTOR : position + SECTOR + _HEAD.size])
            if header is not None and header.directory_offset != _AT_END:
                return header
    return None


def _check(header: SparseHeader) -> None:
    if header.version not in {1, 2, 3}:
        raise VmdkError(f"version {header.version} of a sparse extent is not supported")
    if header.capacity > _SECTORS_MOST:
        raise VmdkError(f"capacity is {header.capacity} sectors: no disk has so many")
    if header.compression not in {0, _DEFLATE}:
        raise VmdkError(f"compressAlgorithm {header.compression} is not supported")
    if header.capacity == 0:
        return
    most = _LARGEST_PACKED_GRAIN if header.compression else _LARGEST_GRAIN
    if not 0 < header.grain <= most // SECTOR:
        raise VmdkError(f"grainSize is {header.grain} sectors, of 1 to {most // SECTOR} that it can be")
    if not 0 < header.table_entries <= _TABLE_ENTRIES_MOST:
        raise VmdkError(f"numGTEsPerGT is {header.table_entries}, of 1 to {_TABLE_ENTRIES_MOST} that it can be")


def embedded_descriptor(file: Medium, header: SparseHeader) -> bytes:
    """Return the descriptor in the extent, b"" where there is none."""
    size = min(header.descriptor_size * SECTOR, DESCRIPTOR_MOST)
    offset = header.descriptor_offset * SECTOR
    return file.read_at(offset, size).partition(b"\0")[0] if 0 < offset < file.size else b""


def open_sparse(file: Medium, below: Below, noted: Noted) -> Grains:
    """Return what finds the bytes of the extent; VmdkError where its header or directory cannot be."""
    header = sparse_header(file)
    if not header.capacity:
        raise VmdkError("capacity is 0 sectors")
    tables: GrainTables = MarkedGrains(file, _geometry(header), header.overhead) if header.is_cut else HostedTables(
        file, header, below.base, noted
    )  # fmt: skip
    grains = Grains(tables, file, below)
    if header.compression:
        grains.unpack_with(_Unpacking(file, header, below.base, noted).grain)
    return grains


def _geometry(header: SparseHeader) -> Geometry:
    size = FOUND_ENTRY if header.is_cut else 4
    return Geometry(header.capacity * SECTOR, header.grain * SECTOR, header.table_entries, size)


class HostedTables:
    """The grain tables of a hosted sparse extent, and their redundant copies where the first are damaged."""

    def __init__(self, file: Medium, header: SparseHeader, base: int, noted: Noted) -> None:
        """Keep where the directories are; VmdkError where none can be had."""
        self.geometry = _geometry(header)
        self._pages, self._file, self._base, self._noted = Pages(file), file, base, noted
        self._has_zeroed = bool(header.flags & _HAS_ZEROED)
        redundant = [header.redundant_offset] if header.flags & _HAS_REDUNDANT else []
        places = [place * SECTOR for place in [header.directory_offset, *redundant]]
        self._directories = [place for place in places if 0 < place < file.size]
        if header.capacity and not self._directories:
            raise VmdkError(f"gdOffset is {header.directory_offset} sectors, in a file of {file.size} bytes")

    def table(self, number: int) -> bytes | str | Lost:
        """Return a grain table, completed from its redundant copy where they differ; see ``GrainTables``."""
        found = [self._one(directory, number) for directory in self._directories]
        tables = [table for table in found if isinstance(table, bytes)]
        if tables:
            best: bytes | str | Lost = tables[0] if len(set(tables)) == 1 else self._merged(*tables[:2])
        else:
            best = next((state for state in found if isinstance(state, str)), found[0])
        if len(set(found)) > 1:
            self._tell(number)
        return best

    def _merged(self, first: bytes, second: bytes) -> bytes:
        """Return the first table's entries, where one of them cannot be or is empty the second's.

        Where an entry of the first cannot be and all of the second can, the first is no table: the second counts.
        """
        form = struct.Struct(f"<{len(first) // 4}I")
        one, other = form.unpack(first), form.unpack(second)
        most = -(-self._file.size // SECTOR)
        if max(one) >= most > max(other):
            return second
        pairs = zip(one, other, strict=True)
        return form.pack(*(mine if 0 < mine < most or not 0 < its < most else its for mine, its in pairs))

    def _tell(self, number: int) -> None:
        coverage = self.geometry.table_entries * self.geometry.grain
        length = min(coverage, self.geometry.capacity - number * coverage)
        reason = f"vmdk: grain table {number} and its redundant copy differ: each is used where the other cannot be"
        self._noted.tell(self._base + number * coverage, length, reason, lost=False)

    def _one(self, directory: int, number: int) -> bytes | str | Lost:
        """Return the grain table that one of the directories has."""
        try:
            sector = int.from_bytes(self._pages.read(directory + 4 * number, 4), "little")
            if sector == 0 or (sector == 1 and self._has_zeroed):
                return ZEROS if sector else ABSENT
            size = 4 * self.geometry.entries_of(number)
            data = self._file.read_at(sector * SECTOR, size)
        except OSError as error:
            return Lost(f"grain table {number}: {error.strerror or error}")
        return data if len(data) == size else Lost(f"grain table {number} is said to be in sector {sector}")

    def place(self, entry: int) -> int | str | Lost:
        """Return where a grain is; see ``GrainTables``."""
        if entry > 1:
            return entry * SECTOR
        if entry == 1:
            return ZEROS if self._has_zeroed else Lost("a grain is said to be in sector 1, the header's neighbour")
        return ABSENT


class _Unpacking:
    """The compressed grains of a stream."""

    def __init__(self, file: Medium, header: SparseHeader, base: int, noted: Noted) -> None:
        self._file, self._header, self._base, self._noted = file, header, base, noted

    def grain(self, number: int, place: int) -> bytes:
        """Return a grain; what its marker or checksum says against it is noted, and StoredError where it is lost."""
        raw, remark = self._packed(number, place)
        size = self._header.grain * SECTOR
        wanted = min(size, self._header.capacity * SECTOR - number * size)
        data, fault = packed.unpacked_zlib(raw, size)
        if len(data) < wanted:
            raise StoredError(f"vmdk: the grain at byte {place} has {len(data)} bytes, of {wanted}")
        for reason in filter(None, [remark, fault]):
            told = f"vmdk: the grain at byte {place}: {reason}"
            self._noted.tell(self._base + number * size, wanted, told, lost=False)
        return data

    def _packed(self, number: int, place: int) -> tuple[bytes, str]:
        """Return the compressed bytes, and what the marker before them says that cannot be."""
        most = 2 * self._header.grain * SECTOR + SECTOR
        if not self._header.flags & _HAS_MARKERS:
            return self._file.read_at(place, most), ""
        head = self._file.read_at(place, _MARKER)
        if len(head) < _MARKER:
            raise StoredError(f"vmdk: a grain is said to be at byte {place}, outside the file")
        sector, size = struct.unpack("<QI", head)
        if not 0 < size <= most:
            raise StoredError(f"vmdk: the grain at byte {place} has {size} compressed bytes")
        wanted = number * self._header.grain
        remark = f"its marker says sector {sector}, the table {wanted}" if sector != wanted else ""
        return self._file.read_at(place + _MARKER, size), remark
