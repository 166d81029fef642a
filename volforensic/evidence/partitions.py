"""Partition tables, read by our own arithmetic: which table a disk has, second readings, tables inside partitions.

Sources: UEFI specification 2.10 chapter 5 (GPT, protective and hybrid MBR); which table Linux takes: block/partitions/
efi.c (a GPT counts only beside a protective entry) and msdos.c of the kernel. Every number is an adversary's: chains
are bounded, sizes clamped, a table inside a partition inside a partition is the last that is looked for.
"""

from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from volforensic.evidence.gpt import Copy, gpt_copies, gpt_entries, headless_entries
from volforensic.evidence.mbr import PROTECTIVE, Entry, Record, mbr_partitions, read_record
from volforensic.evidence.other_tables import other_table
from volforensic.evidence.partition import Partition, Table, each_once, note, note_overlaps
from volforensic.evidence.reader import Window
from volforensic.evidence.second_readings import begins_filesystem, filesystem_type, second_reading
from volforensic.record import Problem

__all__ = ["SECTOR_SIZES", "Partition", "Table", "read_table"]

SECTOR_SIZES = (512, 4096)
_DEEPEST = 2
_MOST_INSIDE = 128
_MOST_LOOKS = 8
_WITH_BOOT_CODE = ("fat", "exfat", "ntfs")


def read_table(window: Window) -> Table:
    """Return the partition table of the window: sectors of 512 and of 4096 bytes, both kinds and both copies tried."""
    table = _read(window)
    problems = list(table.problems)
    if not table.partitions:
        _note_nothing(window, table, problems)
    partitions = list(table.partitions)
    partitions += _inside(window, partitions, problems)
    return msgspec.structs.replace(table, partitions=partitions, problems=problems)


def _read(window: Window) -> Table:
    """Return the table as it stands, without what is inside its partitions."""
    problems: list[Problem] = []
    record = read_record(window, problems)
    copies = _copies(window, record, problems)
    from_mbr = _of_mbr(window, record, problems)
    from_gpt = _of_gpt(window, copies, problems)
    if not copies and not from_mbr.partitions:
        from_gpt = _headless(window, problems)
    if from_gpt is None:
        return _finished(from_mbr, from_mbr.partitions, problems)
    if from_mbr.partitions and not record.is_protective:
        reason = "an MBR without a protective entry and a GPT stand here: Linux reads the MBR"
        table, other = from_mbr, from_gpt
    else:
        reason = "the MBR has partitions beside the GPT's"
        table, other = from_gpt, from_mbr
        if not record.is_protective:
            note(problems, "the GPT has no protective MBR: Linux would not read it", offset=0)
    partitions = [*table.partitions, *second_reading(window, table.partitions, other.partitions, problems, reason)]
    return _finished(table, partitions, problems)


def _finished(table: Table, partitions: Sequence[Partition], problems: list[Problem]) -> Table:
    once = each_once(partitions, problems)
    note_overlaps(once, problems)
    return msgspec.structs.replace(table, partitions=once, problems=problems)


def _copies(window: Window, record: Record, problems: list[Problem]) -> list[Copy]:
    ends = (one.first + one.sectors - 1 for one in record.entries if record.is_protective and one.type == PROTECTIVE)
    has_other = not record.is_protective and (record.partitions or filesystem_type(window))
    end = None if has_other else next(ends, 0)
    copies = [copy for size in SECTOR_SIZES for copy in gpt_copies(window, size, end, problems)]
    return sorted(copies, key=lambda copy: copy.worth, reverse=True)


def _of_gpt(window: Window, copies: Sequence[Copy], problems: list[Problem]) -> Table | None:
    if not copies:
        return None
    best = copies[0]
    _note_copies(window, copies, problems)
    partitions = list(gpt_entries(window, best, problems))
    for copy in copies[1:]:
        if copy.is_right and copy.is_array_right and copy.array != best.array:
            if copy.sector_size == best.sector_size:
                reason = "the primary GPT and its backup differ; the primary was used"
                reason = reason if copy.is_backup else "two GPTs differ; the first was used"
            else:
                reason = f"two GPTs stand here; the one with sectors of {best.sector_size} bytes was used"
            note(problems, reason, offset=best.offset)
            others = list(gpt_entries(window, copy, []))
            partitions += second_reading(window, partitions, others, problems, "the other GPT has more partitions")
    return Table(kind="gpt", sector_size=best.sector_size, partitions=partitions, problems=[])


def _note_copies(window: Window, copies: Sequence[Copy], problems: list[Problem]) -> None:
    """Note which copies are damaged or lie where they should not, and which one is used."""
    best = copies[0]
    size, last = best.sector_size, window.length // best.sector_size - 1
    same = [copy for copy in copies if copy.sector_size == size and copy.is_right and copy.is_array_right]
    backups = [copy for copy in same if copy.is_backup]
    if not backups:
        note(problems, "there is no valid backup GPT in the last sector", offset=last * size)
    elif all(copy.sector != last for copy in backups):
        reason = (
            f"the backup GPT lies at byte {backups[0].offset}, not in the last sector: the disk was larger or smaller"
        )
        note(problems, reason, offset=backups[0].offset)
    if all(copy.is_backup for copy in same):
        used = "the backup at the end of the disk was used" if same else "there is no better one"
        note(problems, f"the primary GPT is damaged or its checksum is wrong; {used}", offset=size)
    if not best.is_backup and best.is_right and best.alternate > last:
        reason = f"the GPT says that its backup is at byte {best.alternate * size}, the source ends at {window.length}"
        missing = (best.alternate + 1) * size - window.length
        note(problems, f"{reason}: it is cut", lost=True, offset=window.length, length=missing)
    if not best.is_at_home:
        note(problems, "the GPT's header says that it belongs in another sector", offset=best.offset)
    for copy in copies:
        if copy.is_array_right and not copy.is_array_at_home:
            which = "backup" if copy.is_backup else "primary"
            reason = f"the entries of the {which} GPT are damaged or gone; those of another copy have its checksum"
            note(problems, reason, offset=copy.offset)
    if not best.is_right:
        note(problems, "the checksum of the GPT's header is wrong in every copy", lost=True, offset=best.offset)
    if not best.is_array_right:
        reason = "the checksum over the GPT's entries is wrong: the table was changed or is damaged"
        note(problems, reason, lost=True, offset=best.offset)


def _headless(window: Window, problems: list[Problem]) -> Table | None:
    for size in SECTOR_SIZES:
        partitions = headless_entries(window, size, problems)
        if partitions:
            note(problems, "the GPT's headers are gone; its entries were found and used", lost=True, offset=size)
            return Table(kind="gpt", sector_size=size, partitions=partitions, problems=[])
    return None


def _of_mbr(window: Window, record: Record, problems: list[Problem]) -> Table:
    """Return what the MBR says; sectors of 4096 bytes where only they lead to filesystems."""
    if not record.is_table and not _is_damaged_table(window, record):
        return Table(kind="none", sector_size=512, partitions=[], problems=[])
    readings = [_mbr_reading(window, record, size) for size in SECTOR_SIZES]
    size, partitions, own = SECTOR_SIZES[0], readings[0][0], readings[0][1]
    if _promise(window, readings[1]) > _promise(window, readings[0]):
        size, partitions, own = SECTOR_SIZES[1], readings[1][0], readings[1][1]
        note(own, "the MBR counts in sectors of 4096 bytes")
    if partitions and filesystem_type(window) in _WITH_BOOT_CODE:
        partitions = [one for one in partitions if begins_filesystem(window, [one])]
        own = own if partitions else []  # boot code that looks like a table
    if partitions and not record.is_table:
        note(own, "the MBR's signature or its flags are damaged; its partitions were read", offset=446)
    problems.extend(own)
    return Table(kind="mbr" if partitions else "none", sector_size=size, partitions=partitions, problems=[])


_Reading: TypeAlias = tuple[list[Partition], list[Problem]]


def _mbr_reading(window: Window, record: Record, size: int) -> _Reading:
    problems: list[Problem] = []
    return list(mbr_partitions(window, record.entries, record.signature, size, problems)), problems


def _promise(window: Window, reading: _Reading) -> tuple[bool, bool, int]:
    """Return what speaks for a size of sectors: something known begins, nothing is broken, how many begin."""
    partitions, problems = reading
    begins = sum(begins_filesystem(window, [one]) for one in partitions[:_MOST_LOOKS])
    return begins > 0, not problems, begins


def _is_damaged_table(window: Window, record: Record) -> bool:
    """Return whether the first sector has a table to which only its last bytes or flags are missing."""
    used = [entry for entry in record.entries if any(entry)]
    if not used or used != _sane_entries(window, record) or filesystem_type(window):
        return False
    partitions, found = _mbr_reading(window, record, SECTOR_SIZES[0])
    return not found and begins_filesystem(window, partitions)


def _sane_entries(window: Window, record: Record) -> list[Entry]:
    return [
        entry
        for entry in record.entries
        if entry.is_used and entry.first > 0 and (entry.first + entry.sectors) * 512 <= window.length
    ]


def _note_nothing(window: Window, table: Table, problems: list[Problem]) -> None:
    """Note why there is no partition: empty results are not silent."""
    record = read_record(window, [])
    if table.kind == "gpt":
        note(problems, "the GPT has no partition that can be read", offset=table.sector_size)
        return
    if record.is_protective:
        note(problems, "the MBR says that there is a GPT, and none is valid", lost=True, offset=512)
        return
    if filesystem_type(window):
        return
    other = other_table(window)
    if other:
        note(problems, f"{other} is not supported: its partitions were not read", lost=True, offset=0)
    elif not record.is_table and any(not entry.status & 0x7F for entry in _sane_entries(window, record)):
        note(problems, "the first sector looks like a damaged partition table, which was not read", lost=True, offset=0)
    elif record.is_signed:
        is_lost = any(entry.type for entry in record.entries)
        reason = "the first sector has a boot signature, and no partition can be read from it"
        note(problems, reason if is_lost else "the MBR has no partition", lost=is_lost, offset=0)


def _inside(window: Window, partitions: list[Partition], problems: list[Problem]) -> list[Partition]:
    """Return the partitions of tables inside partitions, and name in ``partitions`` those that hold one."""
    levels = [partitions]
    for _ in range(_DEEPEST):
        following: list[Partition] = []
        for place, partition in enumerate(levels[-1]):
            known = [one for level in levels for one in level] + following
            room = _MOST_INSIDE - (len(known) - len(partitions))
            inner = _of_partition(window, partition, known, problems)
            if inner:
                levels[-1][place] = msgspec.structs.replace(partition, holds=inner[0].table)
                following += inner[:room]
            if len(inner) > room:
                reason = f"more than {_MOST_INSIDE} partitions inside partitions; the rest was not read"
                note(problems, reason, lost=True)
                return [one for level in levels[1:] for one in level] + following
        levels.append(following)
    return [one for level in levels[1:] for one in level]


def _of_partition(
    window: Window, outer: Partition, known: Sequence[Partition], problems: list[Problem]
) -> list[Partition]:
    inner = Window(window.medium, window.offset + outer.offset, outer.length)
    if not _may_hold_a_table(inner):
        return []
    table = _read(inner)
    kind = filesystem_type(inner)
    places = {one.offset for one in known}
    found = [one for one in table.partitions if one.offset + outer.offset not in places]
    if kind:
        found = [one for one in found if begins_filesystem(inner, [one])]
    name = f"partition {outer.number or outer.entry}"
    if not found:
        other = "" if kind else other_table(inner)
        if other:
            reason = f"{name} holds {other}, which is not supported: what is in it was not read"
            note(problems, reason, lost=True, offset=outer.offset)
        return []
    also = f", beside a {kind} filesystem: both were read" if kind else ""
    note(problems, f"{name} holds a {table.kind} partition table{also}", offset=outer.offset)
    for problem in table.problems:
        offset = None if problem.offset is None else problem.offset + outer.offset
        problems.append(msgspec.structs.replace(problem, reason=f"inside {name}: {problem.reason}", offset=offset))
    return [
        msgspec.structs.replace(
            one, offset=one.offset + outer.offset, number=0, entry=one.number or one.entry, inside=outer.entry
        )
        for one in found
    ]


def _may_hold_a_table(window: Window) -> bool:
    try:
        head = window.read_at(0, 8192)
    except OSError:
        return False
    return head[510:512] == b"\x55\xaa" or b"EFI PART" in (head[512:520], head[4096:4104]) or bool(other_table(window))
