"""Sparse extents of ESX: "COWD" (vmfsSparse, vmfsThin) and seSparse.

Sources: VMware's "Virtual Disk Format 5.0" (COWDisk_Header) and libvmdk's description of the format; for seSparse,
which VMware has not described, the structures in qemu's block/vmdk.c. Little-endian, in sectors of 512 bytes.
"""

import struct

from volforensic.evidence.containers.mapped import Pages
from volforensic.evidence.containers.vmdk_descriptor import VmdkError
from volforensic.evidence.containers.vmdk_grains import ABSENT, SECTOR, ZEROS, Below, Geometry, Grains, Lost
from volforensic.medium import Medium

COWD_MAGIC = b"COWD"
SESPARSE_MAGIC = struct.pack("<Q", 0xCAFEBABE)
_VOLATILE_MAGIC = 0xCAFECAFE
_COWD_ENTRIES, _COWD_UNCLEAN = 4096, 1648
_SESPARSE_VERSION = 0x0000000200000001
_LARGEST_GRAIN, _SECTORS_MOST = 1 << 30, 1 << 54
_TABLE_SECTORS_MOST = 512


def esx_capacity(file: Medium) -> int:
    """Return how many sectors of the disk the extent is for; VmdkError where its header cannot be."""
    tables = _tables(file)
    return tables.geometry.capacity // SECTOR


def esx_oddities(file: Medium) -> list[tuple[str, bool]]:
    """Return what an examiner should know of the header, and whether bytes are lost by it."""
    if file.read_at(0, 4) == COWD_MAGIC:
        unclean = file.read_at(_COWD_UNCLEAN, 1)
        return [("the extent was not closed cleanly by the program that wrote it", False)] if any(unclean) else []
    volatile = int.from_bytes(file.read_at(80, 8), "little") * SECTOR
    head = file.read_at(volatile, 32)
    if len(head) < 32 or int.from_bytes(head[:8], "little") != _VOLATILE_MAGIC:
        return [("the extent's second header is not there: whether its journal is to be replayed is not known", True)]
    if any(head[24:32]):
        return [("the extent's journal waits to be replayed: its newest changes are not read", True)]
    return []


def open_esx(file: Medium, below: Below) -> Grains:
    """Return what finds the bytes of the extent; VmdkError where its header cannot be."""
    return Grains(_tables(file), file, below)


def _tables(file: Medium) -> "CowdTables | SesparseTables":
    return CowdTables(file) if file.read_at(0, 4) == COWD_MAGIC else SesparseTables(file)


class CowdTables:
    """The grain tables of a COWD extent."""

    def __init__(self, file: Medium) -> None:
        """Read the header."""
        head = file.read_at(0, 32)
        if len(head) < 32:
            raise VmdkError(f"the header of a COWD extent ends after {len(head)} bytes")
        version, _flags, capacity, grain, directory, self._count = struct.unpack_from("<IIIIII", head, 4)
        if version != 1:
            raise VmdkError(f"version {version} of a COWD extent is not supported")
        if not 0 < grain <= _LARGEST_GRAIN // SECTOR or not capacity:
            raise VmdkError(f"grainSize is {grain} and numSectors {capacity} in the header of a COWD extent")
        self.geometry = Geometry(capacity * SECTOR, grain * SECTOR, _COWD_ENTRIES, 4)
        self._pages, self._file, self._directory = Pages(file), file, directory * SECTOR

    def table(self, number: int) -> bytes | str | Lost:
        """Return a grain table; see ``GrainTables``."""
        if number >= self._count:
            return Lost(f"the grain directory has {self._count} entries and no entry {number}")
        size = 4 * self.geometry.entries_of(number)
        try:
            sector = int.from_bytes(self._pages.read(self._directory + 4 * number, 4), "little")
            data = self._file.read_at(sector * SECTOR, size) if sector else b""
        except OSError as error:
            return Lost(f"grain table {number}: {error.strerror or error}")
        if not sector:
            return ABSENT
        return data if len(data) == size else Lost(f"grain table {number} is said to be in sector {sector}")

    def place(self, entry: int) -> int | str | Lost:
        """Return where a grain is; see ``GrainTables``."""
        return entry * SECTOR or ABSENT


class SesparseTables:
    """The grain tables of a seSparse extent: entries of 64 bits whose highest four say what they are."""

    def __init__(self, file: Medium) -> None:
        """Read the header."""
        head = file.read_at(0, 208)
        if len(head) < 208 or not head.startswith(SESPARSE_MAGIC):
            raise VmdkError("there is no header of a sparse extent")
        version, capacity, grain, table, flags = struct.unpack_from("<QQQQQ", head, 8)
        if version != _SESPARSE_VERSION or flags:
            raise VmdkError(f"version {version:#x} of a seSparse extent with flags {flags:#x} is not supported")
        if not 0 < grain <= _LARGEST_GRAIN // SECTOR or not 0 < capacity <= _SECTORS_MOST:
            raise VmdkError(f"grain_size is {grain} and capacity {capacity} in the header of a seSparse extent")
        if not 0 < table <= _TABLE_SECTORS_MOST:
            raise VmdkError(f"grain_table_size is {table} sectors, of 1 to {_TABLE_SECTORS_MOST}")
        self._directory, self._directory_size, self._tables = struct.unpack_from("<QQQ", head, 128)
        self._grains: int = int.from_bytes(head[192:200], "little")
        self._table_size: int = table * SECTOR
        self.geometry = Geometry(capacity * SECTOR, grain * SECTOR, self._table_size // 8, 8)
        self._pages, self._file = Pages(file), file

    def table(self, number: int) -> bytes | str | Lost:
        """Return a grain table; see ``GrainTables``."""
        if 8 * number >= self._directory_size * SECTOR:
            return Lost(f"the grain directory has no entry {number}")
        size = 8 * self.geometry.entries_of(number)
        try:
            entry = int.from_bytes(self._pages.read(self._directory * SECTOR + 8 * number, 8), "little")
            place = self._tables * SECTOR + (entry & 0xFFFFFFFF) * self._table_size
            data = self._file.read_at(place, size) if entry >> 32 == 0x10000000 else b""
        except OSError as error:
            return Lost(f"grain table {number}: {error.strerror or error}")
        if not entry:
            return ABSENT
        return data if len(data) == size else Lost(f"entry {number} of the grain directory says {entry:#x}")

    def place(self, entry: int) -> int | str | Lost:
        """Return where a grain is; see ``GrainTables``."""
        kind = entry >> 60
        if kind in {1, 2}:
            return ZEROS
        if kind == 3:
            number = entry >> 48 & 0xFFF | (entry & 0xFFFFFFFFFFFF) << 12
            return self._grains * SECTOR + number * self.geometry.grain
        return Lost(f"an entry of a grain table says {entry:#x}") if entry else ABSENT
