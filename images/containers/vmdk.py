"""Builds VMDK: descriptors, and sparse extents from the bytes of a disk, in variants that a reader has to know.

Source: VMware's "Virtual Disk Format 5.0"; for seSparse the structures in qemu's block/vmdk.c.
"""

import struct
import zlib
from collections.abc import Sequence

import msgspec

SECTOR = 512
_LINE_ENDS, _REDUNDANT, _ZEROED, _COMPRESSED, _MARKERS = 1, 2, 4, 1 << 16, 1 << 17
_AT_END = (1 << 64) - 1
_DESCRIPTOR_SECTORS = 20
_TABLE, _DIRECTORY, _FOOTER, _END = 1, 2, 3, 0


class Sparse(msgspec.Struct, frozen=True, kw_only=True):
    """How a hosted sparse extent is written.

    ``grain`` is in sectors. ``has_zeroed``: zeros are written as such. ``absent``: grains that are left out, so that
    what is below shows. ``descriptor``: the text inside the extent, b"" for none.
    """

    grain: int = 128
    table_entries: int = 512
    has_redundant: bool = True
    has_zeroed: bool = False
    absent: frozenset[int] = frozenset()
    descriptor: bytes = b""
    is_unclean: bool = False


def descriptor(extents: Sequence[str], kind: str, parent: tuple[str, str] = ("", ""), more: str = "") -> bytes:
    """Return a descriptor; ``parent`` is content id and file name."""
    hint = f'parentFileNameHint="{parent[1]}"\n' if parent[1] else ""
    lines = "".join(f"{extent}\n" for extent in extents)
    return (
        f"# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID={parent[0] or 'ffffffff'}\n"
        f'createType="{kind}"\n{hint}{more}\n# Extent description\n{lines}\n'
        '# The Disk Data Base\n#DDB\n\nddb.virtualHWVersion = "4"\nddb.adapterType = "ide"\n'
    ).encode()


def sparse(disk: bytes, how: Sparse) -> bytes:
    """Return a hosted sparse extent of the disk."""
    size = how.grain * SECTOR
    grains = [disk[start : start + size] for start in range(0, len(disk), size)]
    tables = -(-len(grains) // how.table_entries)
    directory, table = _sectors(4 * tables), _sectors(4 * how.table_entries)
    first = 1 + (_DESCRIPTOR_SECTORS if how.descriptor else 0)
    redundant = first if how.has_redundant else 0
    second = first + (directory + tables * table if how.has_redundant else 0)
    overhead = -(-(second + directory + tables * table) // how.grain) * how.grain
    entries, data = _grains(grains, how, overhead)
    image = bytearray(overhead * SECTOR) + data
    image[:79] = _header(disk, how, (redundant, second, overhead))
    if how.descriptor:
        _put(image, 1, how.descriptor)
    for place in {redundant, second} - {0}:
        begins = place + directory
        _put(image, place, struct.pack(f"<{tables}I", *(begins + number * table for number in range(tables))))
        for number in range(tables):
            part = entries[number * how.table_entries :][: how.table_entries]
            _put(image, begins + number * table, struct.pack(f"<{len(part)}I", *part))
    return bytes(image)


def _grains(grains: Sequence[bytes], how: Sparse, sector: int) -> tuple[list[int], bytes]:
    """Return the tables' entries and what they point to."""
    entries: list[int] = []
    parts: list[bytes] = []
    for number, grain in enumerate(grains):
        if number in how.absent or not any(grain):
            entries.append(1 if how.has_zeroed and number not in how.absent else 0)
            continue
        entries.append(sector + len(parts) * how.grain)
        parts.append(grain.ljust(how.grain * SECTOR, b"\0"))
    return entries, b"".join(parts)


def _header(disk: bytes, how: Sparse, places: tuple[int, int, int], flags: int = 0) -> bytes:
    redundant, directory, overhead = places
    flags |= _LINE_ENDS | (_REDUNDANT if redundant else 0) | (_ZEROED if how.has_zeroed else 0)
    has_text = bool(how.descriptor)
    return struct.pack(
        "<4sIIQQQQIQQQB4sH",
        *(b"KDMV", 3 if flags & _MARKERS else 2 if how.has_zeroed else 1, flags, len(disk) // SECTOR, how.grain),
        *(int(has_text), _DESCRIPTOR_SECTORS if has_text else 0, how.table_entries, redundant, directory, overhead),
        *(how.is_unclean, b"\n \r\n", bool(flags & _COMPRESSED)),
    )


def stream(disk: bytes, how: Sparse, level: int = 6) -> bytes:
    """Return a stream-optimised extent with its directory and footer at its end, as VMware exports it."""
    size, overhead = how.grain * SECTOR, 128
    flags = _COMPRESSED | _MARKERS
    how = msgspec.structs.replace(how, has_redundant=False)
    image = bytearray(overhead * SECTOR)
    image[:79] = _header(disk, how, (0, _AT_END, overhead), flags)
    _put(image, 1, how.descriptor)
    count = -(-len(disk) // size)
    directory = []
    for first in range(0, count, how.table_entries):
        entries = [_packed(image, disk, number, how, level) for number in range(first, first + how.table_entries)]
        directory.append(_metadata(image, _TABLE, struct.pack(f"<{len(entries)}I", *entries)) if any(entries) else 0)
    place = _metadata(image, _DIRECTORY, struct.pack(f"<{len(directory)}I", *directory))
    _metadata(image, _FOOTER, _header(disk, how, (0, place, overhead), flags))
    image.extend(bytes(SECTOR))
    return bytes(image)


def _packed(image: bytearray, disk: bytes, number: int, how: Sparse, level: int) -> int:
    """Append a grain with its marker; return its sector, 0 where it is all zeros."""
    size = how.grain * SECTOR
    grain = disk[number * size : (number + 1) * size]
    if number in how.absent or not any(grain):
        return 0
    packed = zlib.compress(grain.ljust(size, b"\0"), level)
    sector = len(image) // SECTOR
    image.extend(struct.pack("<QI", number * how.grain, len(packed)) + packed)
    image.extend(bytes(-len(image) % SECTOR))
    return sector


def _metadata(image: bytearray, kind: int, data: bytes) -> int:
    """Append a marker and what it is for; return the sector of the latter."""
    image.extend(struct.pack("<QII", _sectors(len(data)), 0, kind).ljust(SECTOR, b"\0"))
    sector = len(image) // SECTOR
    image.extend(data.ljust(_sectors(len(data)) * SECTOR, b"\0"))
    return sector


def cowd(disk: bytes, grain: int = 1, absent: frozenset[int] = frozenset()) -> bytes:
    """Return an ESX sparse extent ("COWD") of the disk."""
    size, entries_most = grain * SECTOR, 4096
    grains = [disk[start : start + size] for start in range(0, len(disk), size)]
    tables = -(-len(grains) // entries_most)
    directory = _sectors(4 * tables)
    first = 4 + directory + tables * 32
    entries, data = _grains(grains, Sparse(grain=grain, absent=absent), first)
    image = bytearray(first * SECTOR) + data
    image[:32] = struct.pack("<4sIIIIIII", b"COWD", 1, 3, len(disk) // SECTOR, grain, 4, tables, len(image) // SECTOR)
    _put(image, 4, struct.pack(f"<{tables}I", *(4 + directory + number * 32 for number in range(tables))))
    _put(image, 4 + directory, struct.pack(f"<{len(entries)}I", *entries))
    return bytes(image)


def sesparse(disk: bytes, absent: frozenset[int] = frozenset(), *, has_journal: bool = False) -> bytes:
    """Return a seSparse extent of the disk: grains of 4 KiB, tables of 4096."""
    grains = [disk[start : start + 4096] for start in range(0, len(disk), 4096)]
    tables = -(-len(grains) // 4096)
    directory_size = _sectors(8 * tables)
    table_offset = 8 + directory_size
    grains_offset = table_offset + tables * 64
    places = (
        1,
        1,
        2,
        2,
        4,
        4,
        8,
        directory_size,
        table_offset,
        tables * 64,
        0,
        0,
        0,
        0,
        grains_offset,
        len(grains) * 8,
    )
    image = bytearray(grains_offset * SECTOR)
    _put(image, 0, struct.pack("<26Q", 0xCAFEBABE, 0x200000001, len(disk) // SECTOR, 8, 64, 0, 0, 0, 0, 0, *places))
    _put(image, 1, struct.pack("<4Q", 0xCAFECAFE, tables, 0, has_journal))
    _put(image, 8, struct.pack(f"<{tables}Q", *(1 << 60 | number for number in range(tables))))
    entries = []
    for number, grain in enumerate(grains):
        index = (len(image) // SECTOR - grains_offset) // 8
        is_kept = any(grain) and number not in absent
        entries.append(3 << 60 | (index & 0xFFF) << 48 | index >> 12 if is_kept else 0 if number in absent else 2 << 60)
        image.extend(grain.ljust(4096, b"\0") if is_kept else b"")
    _put(image, table_offset, struct.pack(f"<{len(entries)}Q", *entries))
    return bytes(image)


def _put(image: bytearray, sector: int, data: bytes) -> None:
    image[sector * SECTOR : sector * SECTOR + len(data)] = data


def _sectors(size: int) -> int:
    return -(-size // SECTOR)
