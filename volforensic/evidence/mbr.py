"""MBR partition tables with their chains of logical partitions.

Source: how Linux reads them, block/partitions/msdos.c: logical partitions from number 5 on, through all extended
partitions in the order of the table; the partition's UUID is the disk's signature and the number. Chains are bounded.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from volforensic.evidence.partition import Partition, clamped, note, read_or_note
from volforensic.evidence.reader import Window
from volforensic.record import Problem

PROTECTIVE = 0xEE
_EXTENDED = {0x05, 0x0F, 0x85}
_MOST_LOGICAL = 128
_MOST_RECORDS = 512
_FIRST_LOGICAL = 5
_BOOT_SIGNATURE = b"\x55\xaa"


class Entry(NamedTuple):
    """One of the four entries of a record: its flag, type, first sector (relative) and number of sectors."""

    status: int
    type: int
    first: int
    sectors: int

    @property
    def is_used(self) -> bool:
        """Whether it is a partition."""
        return bool(self.type and self.sectors)

    @property
    def is_extended(self) -> bool:
        """Whether it leads to further records."""
        return self.type in _EXTENDED and self.sectors > 0


class Record(NamedTuple):
    """The first sector of a disk as an MBR: the disk's signature, four entries, whether the last bytes are 55 AA."""

    signature: int
    entries: tuple[Entry, ...]
    is_signed: bool

    @property
    def is_table(self) -> bool:
        """Whether it can be a table: flags are 0 or 80, else it is a filesystem's or a loader's boot sector."""
        return self.is_signed and self.has_flags

    @property
    def has_flags(self) -> bool:
        """Whether every entry's flag is one."""
        return not any(entry.status & 0x7F for entry in self.entries)

    @property
    def is_protective(self) -> bool:
        """Whether an entry says that there is a GPT."""
        return self.is_table and any(entry.type == PROTECTIVE for entry in self.entries)

    @property
    def partitions(self) -> list[Entry]:
        """The entries that are partitions of their own."""
        return [entry for entry in self.entries if entry.is_used and entry.type != PROTECTIVE] if self.is_table else []


def read_record(window: Window, problems: list[Problem]) -> Record:
    """Return the first sector as an MBR; all zero where it is short or cannot be read."""
    raw = read_or_note(window, 0, 512, problems).ljust(512, b"\0")
    return Record(struct.unpack_from("<I", raw, 440)[0], tuple(_entries(raw)), raw[510:] == _BOOT_SIGNATURE)


def mbr_partitions(
    window: Window, entries: Sequence[Entry], signature: int, sector_size: int, problems: list[Problem]
) -> Iterator[Partition]:
    """Yield what the entries of an MBR mean, the logical partitions behind the primary ones as Linux numbers them."""
    disk = _Disk(window, signature, sector_size)
    for number, entry in enumerate(entries, start=1):
        if entry.is_used and entry.type != PROTECTIVE and not entry.is_extended:
            yield from clamped(window, disk.partition(number, entry.type, entry.first, entry.sectors), problems)
        elif bool(entry.type) != bool(entry.sectors):
            note(problems, half_empty(number, entry), offset=446 + 16 * (number - 1))
    number, visited = _FIRST_LOGICAL, set[int]()
    for entry in entries:
        if entry.is_extended:
            for kind, first, count in _Chain(disk, entry, visited, problems).partitions():
                if number - _FIRST_LOGICAL >= _MOST_LOGICAL:
                    reason = f"more than {_MOST_LOGICAL} logical partitions; the rest was not read"
                    note(problems, reason, lost=True)
                    return
                yield from clamped(window, disk.partition(number, kind, first, count), problems)
                number += 1


def half_empty(number: int, entry: Entry) -> str:
    """Return what is to be said of an entry that was deleted by half, or damaged."""
    return f"entry {number} has the type {entry.type:#04x}, {entry.sectors} sectors from {entry.first}: it is none"


class _Disk(NamedTuple):
    window: Window
    signature: int
    sector_size: int

    def partition(self, number: int, kind: int, first: int, count: int) -> Partition:
        return Partition(
            offset=first * self.sector_size,
            length=count * self.sector_size,
            table="mbr",
            number=number,
            entry=number,
            type=f"{kind:#04x}",
            uuid=f"{self.signature:08x}-{number:02x}" if self.signature else "",
        )

    def record(self, sector: int, problems: list[Problem]) -> list[Entry] | None:
        raw = read_or_note(self.window, sector * self.sector_size, 512, problems)
        return list(_entries(raw)) if raw[510:] == _BOOT_SIGNATURE else None


def _entries(raw: bytes) -> Iterator[Entry]:
    for start in range(446, 510, 16):
        yield Entry(*struct.unpack_from("<B3xB3xII", raw, start))


class _Chain:
    """The records of one extended partition, those still to be read, and what was odd, each kind told once."""

    def __init__(self, disk: _Disk, extended: Entry, visited: set[int], problems: list[Problem]) -> None:
        self._disk, self._base, self._visited, self._problems = disk, extended.first, visited, problems
        self._waiting = [(extended.first, extended.sectors)]
        self._told: set[str] = set()

    def partitions(self) -> Iterator[tuple[int, int, int]]:
        """Yield type, first sector and number of sectors of each logical partition.

        Linux follows the first extended entry of each record; the others are followed after it.
        """
        while self._waiting:
            sector, size = self._waiting.pop(0)
            if sector in self._visited:
                self._tell("the chain of logical partitions runs in a circle", sector, lost=True)
                continue
            if len(self._visited) >= _MOST_RECORDS:
                self._tell(
                    f"more than {_MOST_RECORDS} records of logical partitions: not all were read", sector, lost=True
                )
                return
            self._visited.add(sector)
            entries = self._disk.record(sector, self._problems)
            if entries is None:
                self._tell("the chain of logical partitions is broken here", sector, lost=True)
                continue
            self._follow(sector, entries)
            yield from self._of_record(sector, size, entries)

    def _follow(self, sector: int, entries: Sequence[Entry]) -> None:
        following = [(self._base + entry.first, entry.sectors) for entry in entries if entry.is_extended]
        if len(following) > 1:
            self._tell("a record of logical partitions leads to several: Linux takes the first, all were read", sector)
        self._waiting = following[:1] + self._waiting + following[1:]

    def _of_record(self, sector: int, size: int, entries: Sequence[Entry]) -> Iterator[tuple[int, int, int]]:
        for place, entry in enumerate(entries):
            if bool(entry.type) != bool(entry.sectors):
                self._tell(f"in a record of logical partitions {half_empty(place + 1, entry)}", sector)
            if not entry.is_used or entry.is_extended:
                continue
            if place >= 2 and entry.first + entry.sectors > size:  # Linux: some tools leave rubbish there
                self._tell(f"entry {place + 1} of a record of logical partitions lies outside it: not read", sector)
                continue
            yield entry.type, sector + entry.first, entry.sectors

    def _tell(self, reason: str, sector: int, *, lost: bool = False) -> None:
        if reason not in self._told:
            self._told.add(reason)
            note(self._problems, reason, lost=lost, offset=sector * self._disk.sector_size)
