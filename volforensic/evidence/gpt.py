"""GUID partition tables: the primary, its backup wherever it lies, and which of their parts can be believed.

Source: UEFI specification 2.10, chapter 5.3 (header, entries, backup in the last sector, AlternateLBA, MyLBA). Header
and entries have a checksum each; the two arrays are the same, so a header that is right also proves the other array.
"""

import struct
import uuid
import zlib
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from volforensic.evidence.partition import Partition, clamped, note, read_or_note
from volforensic.evidence.reader import Window
from volforensic.record import Problem

_MOST_ENTRIES = 1024
_LARGEST_ENTRY = 4096
_LARGEST_ARRAY = 4 << 20
_HEADER = struct.Struct("<8sIIIIQQQQ16sQIII")
_SIGNATURE = b"EFI PART"
_USUAL_ARRAY = 128 * 128
_TAIL = 1 << 20
_FIRST_ENTRIES = 24
_GRAIN, _MOST_GRAINS = 1 << 30, 4096  # cloud volumes are whole GiB; where a grown one had its end before


class Copy(NamedTuple):
    """One copy of a GPT: its header's fields (sectors), its entries, and how far it can be believed.

    ``is_backup`` says which it is, ``sector`` where its header lies; ``is_right`` and ``is_array_right`` are the two
    checksums, ``is_at_home`` whether MyLBA says where it is, ``is_array_at_home`` whether its entries were where the
    header says and not those of another copy.
    """

    sector_size: int
    sector: int
    is_backup: bool
    is_right: bool
    is_at_home: bool
    is_array_right: bool
    is_array_at_home: bool
    alternate: int
    entries_checksum: int
    array: bytes
    entry_size: int
    said: tuple[str, ...]

    @property
    def worth(self) -> tuple[bool, bool, bool, bool, int]:
        """The larger, the more it is to be believed: checksums, the place, the primary, the smaller sector."""
        return (
            self.is_right and self.is_array_right,
            self.is_right,
            self.is_at_home,
            not self.is_backup,
            -self.sector_size,
        )

    @property
    def offset(self) -> int:
        """The first byte of its header."""
        return self.sector * self.sector_size


class _Header(NamedTuple):
    own: int
    alternate: int
    entries_at: int
    number_of_entries: int
    entry_size: int
    entries_checksum: int
    is_right: bool


def gpt_copies(window: Window, sector_size: int, protective_end: int | None, problems: list[Problem]) -> list[Copy]:
    """Return the copies that there are, the most believable first.

    ``protective_end`` is the last sector by the protective MBR, 0 where there is none and there should be a table,
    None where another stands in its place and a backup is not searched for.
    """
    last = window.length // sector_size - 1
    headers = {sector: _header(window, sector, sector_size, problems) for sector in {1, last} if sector > 0}
    primary = headers.get(1)
    for sector in _other_places(window, sector_size, primary, protective_end):
        if any(header is not None and header.is_right for place, header in headers.items() if place != 1):
            break
        header = None if sector in headers else _header(window, sector, sector_size, problems)
        if header is not None and header.own == sector:  # else it is one of a table with sectors of another size
            headers[sector] = header
    found = [(sector, header) for sector, header in headers.items() if header is not None]
    copies = [_copy(window, sector_size, (sector, header), found, problems) for sector, header in found]
    return sorted(copies, key=lambda copy: copy.worth, reverse=True)


def _other_places(
    window: Window, sector_size: int, primary: _Header | None, protective_end: int | None
) -> Iterator[int]:
    """Yield where a backup may lie that is not in the last sector: the disk was grown, cut, or filled up."""
    last = window.length // sector_size - 1
    named = [primary.alternate if primary is not None and primary.is_right else 0, protective_end or 0]
    yield from (sector for sector in named if 1 < sector < last)
    start = max(2, last + 1 - _TAIL // sector_size)
    if primary is None and protective_end is None:
        return
    try:
        tail = window.read_at(start * sector_size, _TAIL)
    except OSError:
        tail = b""
    place = tail.find(_SIGNATURE)
    while place >= 0:
        if not place % sector_size:
            yield start + place // sector_size
        place = tail.find(_SIGNATURE, place + 1)
    if primary is None or not primary.is_right:
        grains = min(window.length // _GRAIN, _MOST_GRAINS)
        yield from (grain * _GRAIN // sector_size - 1 for grain in range(grains, 0, -1))


def _header(window: Window, sector: int, sector_size: int, problems: list[Problem]) -> _Header | None:
    raw = read_or_note(window, sector * sector_size, sector_size, problems)
    if len(raw) < _HEADER.size or not raw.startswith(_SIGNATURE):
        return None
    _, _, size, checksum, _, own, alternate, _, _, _, at, number, entry_size, entries_checksum = _HEADER.unpack_from(
        raw
    )
    is_right = _HEADER.size <= size <= len(raw) and zlib.crc32(raw[:16] + bytes(4) + raw[20:size]) == checksum
    return _Header(own, alternate, at, number, entry_size, entries_checksum, is_right)


def _copy(
    window: Window,
    sector_size: int,
    place: tuple[int, _Header],
    others: list[tuple[int, _Header]],
    problems: list[Problem],
) -> Copy:
    sector, header = place
    said: list[str] = []
    count, entry_size = header.number_of_entries, header.entry_size
    if entry_size < 128 or entry_size > _LARGEST_ENTRY or entry_size % 8:
        said.append(f"the GPT says its entries have {entry_size} bytes; 128 is assumed")
        entry_size = 128
    if count * entry_size > _LARGEST_ARRAY:
        said.append(f"the GPT says it has {count} entries; {_MOST_ENTRIES} were read")
        count = _MOST_ENTRIES
    size = count * entry_size
    array, is_array_right, start = b"", False, 0
    for start in _array_places(window, sector_size, place, others, size):
        raw = read_or_note(window, start * sector_size, size, problems)
        is_array_right = bool(raw) and zlib.crc32(raw) == header.entries_checksum
        array = raw if is_array_right else array or raw
        if is_array_right:
            break
    return Copy(
        sector_size=sector_size,
        sector=sector,
        is_backup=sector != 1,
        is_right=header.is_right,
        is_at_home=header.own == sector,
        is_array_right=is_array_right,
        is_array_at_home=start == header.entries_at,
        alternate=header.alternate,
        entries_checksum=header.entries_checksum,
        array=array,
        entry_size=entry_size,
        said=tuple(said),
    )


def _array_places(
    window: Window, sector_size: int, place: tuple[int, _Header], others: list[tuple[int, _Header]], size: int
) -> list[int]:
    """Return where the array may lie: where the header says, where other headers say, and where tools put it."""
    sector, header = place
    sectors = -(-size // sector_size)
    behind = [other[0] - sectors for other in others if other[0] > 1] + [header.alternate - sectors]
    last = window.length // sector_size - 1
    places = [header.entries_at, *(other[1].entries_at for other in others), 2, *behind, sector - sectors]
    return [start for start in dict.fromkeys(places) if 1 < start <= last][:8]


def gpt_entries(window: Window, copy: Copy, problems: list[Problem]) -> Iterator[Partition]:
    """Yield the partitions of a copy, each cut to the window; what is absurd in it is noted."""
    for reason in copy.said:
        note(problems, reason, lost=True, offset=copy.offset)
    size = copy.entry_size
    for number in range(1, min(len(copy.array) // size, _MOST_ENTRIES) + 1):
        partition = _partition(copy.array[(number - 1) * size : number * size], number, copy.sector_size)
        if partition is not None:
            yield from clamped(window, partition, problems)
    if any(copy.array[_MOST_ENTRIES * size :]):
        note(problems, f"the GPT has more than {_MOST_ENTRIES} entries; the others were not read", lost=True)


def headless_entries(window: Window, sector_size: int, problems: list[Problem]) -> list[Partition]:
    """Return the partitions of an array that stands where one would be, where no header is left; none of doubtful ones.

    Who wipes the first two sectors of a disk leaves the entries behind them.
    """
    last = window.length // sector_size - 1
    for start in (2, last - _USUAL_ARRAY // sector_size):
        raw = read_or_note(window, start * sector_size, _USUAL_ARRAY, problems) if start > 1 else b""
        entries = [raw[place : place + 128] for place in range(0, len(raw) - 127, 128)]
        found = [_partition(entry, number, sector_size) for number, entry in enumerate(entries, start=1)]
        partitions = [partition for partition in found if partition is not None]
        # Read with sectors of another size, an array seems to begin in its middle.
        is_whole = any(partition.number <= _FIRST_ENTRIES for partition in partitions)
        if is_whole and all(_is_sane(window, entry) for entry in partitions) and _is_apart(partitions):
            return partitions
    return []


def _is_sane(window: Window, partition: Partition) -> bool:
    kind = uuid.UUID(partition.type)
    is_type = (kind.variant == uuid.RFC_4122 and kind.version in {1, 4}) or partition.type in _ODD_TYPES
    return is_type and partition.length > 0 and partition.end <= window.length and partition.offset > 0


_ODD_TYPES = {"21686148-6449-6e6f-744e-656564454649"}  # BIOS boot: "Hah!IdontNeedEFI"


def _is_apart(partitions: list[Partition]) -> bool:
    ordered = sorted(partitions, key=lambda one: one.offset)
    return all(one.end <= following.offset for one, following in pairwise(ordered))


def _partition(entry: bytes, number: int, sector_size: int) -> Partition | None:
    kind, identity, first, last, _ = struct.unpack_from("<16s16sQQQ", entry)
    if kind == bytes(16):
        return None
    return Partition(
        offset=first * sector_size,
        length=(last - first + 1) * sector_size,  # the last sector belongs to the partition
        table="gpt",
        number=number,
        entry=number,
        type=str(uuid.UUID(bytes_le=kind)),
        label=entry[56:128].decode("utf-16-le", "replace").split("\0")[0],
        uuid=str(uuid.UUID(bytes_le=identity)),
    )
