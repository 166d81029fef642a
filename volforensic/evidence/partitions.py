"""Partition tables, read by our own arithmetic: MBR with logical partitions, GPT with its backup.

Sources: UEFI specification 2.10 chapter 5 (GPT); the MBR and its extended chain as Linux reads them,
block/partitions/msdos.c and efi.c of the kernel. Every number is an adversary's: chains are bounded, sizes clamped.
"""

import struct
import uuid
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from volforensic.evidence.reader import Window
from volforensic.record import Problem

SECTOR_SIZES = (512, 4096)
_MOST_LOGICAL = 128
_MOST_GPT_ENTRIES = 1024
_LARGEST_GPT_ENTRY = 4096
_EXTENDED_TYPES = {0x05, 0x0F, 0x85}
_PROTECTIVE = 0xEE
_GPT_HEADER = struct.Struct("<8sIIIIQQQQ16sQIII")
_BOOT_SIGNATURE = b"\x55\xaa"


class Partition(msgspec.Struct, frozen=True, kw_only=True):
    """One partition: where it is in the source (bytes), and what the table says of it."""

    offset: int
    length: int
    table: str
    number: int
    type: str
    label: str = ""
    uuid: str = ""


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A partition table: its kind (gpt, mbr, none), sector size in bytes, partitions, and what was odd about it."""

    kind: str
    sector_size: int
    partitions: list[Partition]
    problems: list[Problem]


def read_table(window: Window) -> Table:
    """Return the partition table of the window, GPT before MBR, with sectors of 512 and of 4096 bytes tried."""
    problems: list[Problem] = []
    for sector_size in SECTOR_SIZES:
        partitions = list(_gpt_partitions(window, sector_size, problems))
        if partitions:
            return Table(kind="gpt", sector_size=sector_size, partitions=partitions, problems=problems)
    partitions = list(_mbr_partitions(window, problems))
    if not partitions and window.read_at(450, 1) == bytes([_PROTECTIVE]):
        _note(problems, "the MBR says that there is a GPT, and none is valid", lost=True, offset=512)
    kind = "mbr" if partitions else "none"
    return Table(kind=kind, sector_size=512, partitions=partitions, problems=problems)


def _note(problems: list[Problem], reason: str, *, lost: bool = False, offset: int | None = None) -> None:
    problems.append(Problem(stage="layout", reason=reason, lost=lost, offset=offset))


class _Header(NamedTuple):
    """A GPT header whose own checksum is right: sector of the entries, their number and size, their checksum."""

    entries_at: int
    number_of_entries: int
    entry_size: int
    entries_checksum: int


def _gpt_partitions(window: Window, sector_size: int, problems: list[Problem]) -> Iterator[Partition]:
    """Yield the partitions of the first table that is right, as the kernel takes it; else of the first that reads."""
    last_sector = window.length // sector_size - 1
    primary, backup = (_gpt_header(window, sector, sector_size) for sector in (1, last_sector))
    first, second = (
        header is not None and _has_right_entries(window, header, sector_size) for header in (primary, backup)
    )
    if primary is None and backup is None:
        return
    if first and second and primary and backup and primary.entries_checksum != backup.entries_checksum:
        _note(problems, "the primary GPT and its backup differ; the primary was used", offset=sector_size)
    if not second:
        _note(problems, "there is no valid backup GPT in the last sector", offset=last_sector * sector_size)
    if not first:
        used = "the backup at the end of the disk was used" if second else "there is no better one"
        _note(problems, f"the primary GPT is damaged or its checksum is wrong; {used}", offset=sector_size)
    header = backup if second and not first else primary or backup
    if header is not None:
        yield from _gpt_entries(window, header, sector_size, problems)


def _has_right_entries(window: Window, header: _Header, sector_size: int) -> bool:
    size = min(header.number_of_entries, _MOST_GPT_ENTRIES) * min(header.entry_size, _LARGEST_GPT_ENTRY)
    raw = window.read_at(header.entries_at * sector_size, size)
    return bool(raw) and zlib.crc32(raw) == header.entries_checksum


def _gpt_header(window: Window, sector: int, sector_size: int) -> _Header | None:
    """Return a header whose own checksum is right, or None."""
    raw = window.read_at(sector * sector_size, sector_size)
    if len(raw) < _GPT_HEADER.size or not raw.startswith(b"EFI PART"):
        return None
    _, _, size, crc, _, _, _, _, _, _, entries_at, count, entry_size, entries_crc = _GPT_HEADER.unpack_from(raw)
    if not _GPT_HEADER.size <= size <= len(raw):
        return None
    if zlib.crc32(raw[:16] + bytes(4) + raw[20:size]) != crc:
        return None
    return _Header(entries_at, count, entry_size, entries_crc)


def _gpt_entries(window: Window, header: _Header, sector_size: int, problems: list[Problem]) -> Iterator[Partition]:
    entries_at, count, entry_size, entries_crc = header
    if entry_size < 128 or entry_size > _LARGEST_GPT_ENTRY or entry_size % 8:
        _note(problems, f"the GPT says its entries have {entry_size} bytes; 128 is assumed", lost=True)
        entry_size = 128
    if count > _MOST_GPT_ENTRIES:
        _note(problems, f"the GPT says it has {count} entries; {_MOST_GPT_ENTRIES} were read", lost=True)
        count = _MOST_GPT_ENTRIES
    raw = window.read_at(entries_at * sector_size, count * entry_size)
    if zlib.crc32(raw) != entries_crc:
        _note(problems, "the checksum over the GPT's entries is wrong: the table was changed or is damaged", lost=True)
    for number in range(1, len(raw) // entry_size + 1):
        entry = raw[(number - 1) * entry_size : number * entry_size]
        kind, identity, first, last, _ = struct.unpack_from("<16s16sQQQ", entry)
        if kind == bytes(16):
            continue
        partition = Partition(
            offset=first * sector_size,
            length=(last - first + 1) * sector_size,  # the last sector belongs to the partition
            table="gpt",
            number=number,
            type=str(uuid.UUID(bytes_le=kind)),
            label=entry[56:128].decode("utf-16-le", "replace").rstrip("\0"),
            uuid=str(uuid.UUID(bytes_le=identity)),
        )
        yield from _clamped(window, partition, problems)


def _mbr_partitions(window: Window, problems: list[Problem]) -> Iterator[Partition]:
    raw = window.read_at(0, 512)
    if raw[510:512] != _BOOT_SIGNATURE:
        return
    entries = list(_mbr_entries(raw))
    if any(status & 0x7F for status, *_ in entries):
        return  # a boot sector of a filesystem or a boot loader: not a table
    for number, (_, kind, first, count) in enumerate(entries, start=1):
        if not kind or not count or kind == _PROTECTIVE:
            continue
        if kind in _EXTENDED_TYPES:
            yield from _logical_partitions(window, first, problems)
            continue
        yield from _clamped(window, _mbr_partition(number, kind, first, count), problems)


def _mbr_entries(raw: bytes) -> Iterator[tuple[int, int, int, int]]:
    for start in range(446, 510, 16):
        status, kind, first, count = struct.unpack_from("<B3xB3xII", raw, start)
        yield status, kind, first, count


def _mbr_partition(number: int, kind: int, first: int, count: int) -> Partition:
    return Partition(offset=first * 512, length=count * 512, table="mbr", number=number, type=f"{kind:#04x}")


def _logical_partitions(window: Window, base: int, problems: list[Problem]) -> Iterator[Partition]:
    sector, number, visited = base, 5, set[int]()
    while sector not in visited:
        if len(visited) >= _MOST_LOGICAL:
            _note(problems, f"more than {_MOST_LOGICAL} logical partitions; the rest was not read", lost=True)
            return
        visited.add(sector)
        raw = window.read_at(sector * 512, 512)
        if raw[510:512] != _BOOT_SIGNATURE:
            _note(problems, "the chain of logical partitions is broken here", lost=True, offset=sector * 512)
            return
        following = 0
        for _, kind, first, count in _mbr_entries(raw):
            if kind in _EXTENDED_TYPES and count:
                following = following or base + first
            elif kind and count:
                yield from _clamped(window, _mbr_partition(number, kind, sector + first, count), problems)
                number += 1
        if not following:
            return
        sector = following
    _note(problems, "the chain of logical partitions runs in a circle", lost=True, offset=sector * 512)


def _clamped(window: Window, partition: Partition, problems: list[Problem]) -> Iterator[Partition]:
    """Yield the partition cut to the source; one that is empty or begins outside is only noted."""
    name = f"partition {partition.number}"
    if partition.length <= 0:
        _note(problems, f"{name} ends before it begins", lost=True)
        return
    if partition.offset >= window.length:
        _note(problems, f"{name} begins at byte {partition.offset}, the source ends at {window.length}", lost=True)
        return
    beyond = partition.offset + partition.length - window.length
    if beyond > 0:
        _note(problems, f"{name} goes {beyond} bytes past the end of the source at {window.length}", lost=True)
        partition = msgspec.structs.replace(partition, length=partition.length - beyond)
    yield partition
