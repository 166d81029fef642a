"""Which clusters of FAT12/16/32 and NTFS are free: by the allocation table, by $Bitmap.

Sources: Microsoft's "FAT32 File System Specification" (fatgen103) for the boot sector and the table. NTFS's $Bitmap is
file 6 of its master file table, a bit a cluster; TSK reads it.
"""

import re
import struct
from array import array
from collections.abc import Callable, Iterator

from volforensic.evidence.reader import Window
from volforensic.evidence.space import Run, Unknown

_STEP = 4 << 20
_LARGEST_TABLE = 1 << 30
_NTFS_BITMAP = 6
_FREE = re.compile(b"\0+")
_FREE_BITS = re.compile("0+")


def fat_space(window: Window, begin_item: Callable[[int], None]) -> Iterator[Run | Unknown]:
    """Yield the free runs of a FAT (bytes from the window's beginning)."""
    begin_item(0)
    raw = window.read_at(0, 512)
    sector, per_cluster, reserved, tables, roots, small = struct.unpack_from("<HBHBHH", raw, 11)
    table_small, total, table_wide = struct.unpack_from("<H8xII", raw, 22)
    table = (table_small or table_wide) * sector
    first = (reserved + -(-roots * 32 // sector)) * sector + tables * table if sector else 0
    cluster = per_cluster * sector
    if sector not in {512, 1024, 2048, 4096} or not cluster or not 0 < table <= _LARGEST_TABLE:
        raise ValueError("the boot sector's numbers cannot be")
    size = min((small or total) * sector, window.length)
    count = max(0, size - first) // cluster
    free = _free_clusters(window.read_at(reserved * sector, table), count, is_wide=not table_small)
    for found in _FREE.finditer(free):
        yield Run(first + found.start() * cluster, (found.end() - found.start()) * cluster)


def _free_clusters(table: bytes, count: int, *, is_wide: bool) -> bytes:
    """Return a byte for each cluster, NUL where it is free; clusters are numbered from 2."""
    if is_wide:
        entries = array("I", table[: len(table) // 4 * 4])
        return bytes(1 if entry & 0x0FFFFFFF else 0 for entry in entries[2 : count + 2])
    if count >= 4085:  # FAT16
        entries = array("H", table[: len(table) // 2 * 2])
        return bytes(1 if entry else 0 for entry in entries[2 : count + 2])
    half_bytes = (
        int.from_bytes(table[n * 3 // 2 : n * 3 // 2 + 2], "little") >> n % 2 * 4 for n in range(2, count + 2)
    )
    return bytes(1 if entry & 0xFFF else 0 for entry in half_bytes)


def ntfs_space(window: Window, begin_item: Callable[[int], None]) -> Iterator[Run | Unknown]:
    """Yield the free runs of an NTFS (bytes from the window's beginning)."""
    from volforensic.evidence.tsk import TskReader  # noqa: PLC0415 - a parser: only a worker loads it

    cluster = _ntfs_cluster(window.read_at(0, 512))
    count = window.length // cluster
    first = 0
    for _, data in TskReader(window, begin_item, frozenset()).chunks(0, _NTFS_BITMAP):
        bits = f"{int.from_bytes(data, 'little'):0{len(data) * 8}b}"[::-1]
        for found in _FREE_BITS.finditer(bits, 0, max(0, min(len(bits), count - first))):
            yield Run((first + found.start()) * cluster, (found.end() - found.start()) * cluster)
        first += len(bits)


def _ntfs_cluster(raw: bytes) -> int:
    sector, per_cluster = struct.unpack_from("<HB", raw, 11)
    if per_cluster > 128:
        per_cluster = 1 << (256 - per_cluster)
    cluster = int(sector * per_cluster)
    if not 256 <= cluster <= 2 << 20:
        raise ValueError(f"a cluster of {cluster} bytes")
    return cluster
