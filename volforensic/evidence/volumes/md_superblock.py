"""Superblocks of Linux md on a member: formats 0.90, 1.0, 1.1 and 1.2, in one form.

Sources: the kernel's include/uapi/linux/raid/md_p.h and drivers/md/md.c, md(4).
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from volforensic.evidence.reader import Window

SECTOR = 512
SPARE, FAULTY, JOURNAL = 0xFFFF, 0xFFFE, 0xFFFD
MAGIC = 0xA92B4EFC
ACTIVE_ROLES = 0xFF00
"""Roles from here on are none of an array's places (MD_DISK_ROLE_MAX)."""
_MOST_BYTES = 1 << 62
_NEVER = (1 << 64) - 1
_HAS_RECOVERY, _RESHAPE, _BAD_BLOCKS, _REPLACEMENT = 2, 4, 8, 16
_HAS_JOURNAL, _RAID0_LAYOUT = 512, 4096

_OLD_SIZE, _OLD_ALIGNMENT, _OLD_WORDS = 4096, 64 << 10, 1024
_OLD_DISKS, _OLD_DISK_WORDS, _OLD_THIS, _OLD_MOST_DISKS = 128, 32, 992, 27
_OLD_FAULTY, _OLD_ACTIVE, _OLD_SYNC = 1, 2, 4

_HEAD_SIZE, _LARGEST, _MOST_ROLES = 256, 4096, 1920
_CONSTANT = struct.Struct("<IIII16s32sQiIQII")
_DEVICE = struct.Struct("<QQQQI4x16sBBHi")
_STATE = struct.Struct("<QQQII")
_DEVICE_PLACE, _STATE_PLACE = 128, 192
_MOST_BAD = 1 << 16


class Superblock(NamedTuple):
    """What a member says of itself and of its array; sizes and places in bytes, on the member."""

    version: str
    uuid: str
    device: str
    name: str
    minor: int
    level: int
    layout: int
    chunk: int
    disks: int
    component: int
    data_offset: int
    data_size: int
    role: int
    events: int
    updated: int
    created: int
    place: int
    is_sound: bool
    is_reshaping: bool = False
    is_replacement: bool = False
    has_journal: bool = False
    has_layout: bool = True
    recovered: int | None = None
    synchronised: int | None = None
    bad_blocks: tuple[tuple[int, int], ...] = ()
    journal_tail: int = 0


def superblocks(window: Window) -> Iterator[Superblock]:
    """Yield each superblock that the member has, where one can lie; their sums may be wrong (``is_sound``)."""
    for version, place in (("1.2", 4096), ("1.1", 0), ("1.0", _end_place(window.length))):
        raw = _read(window, place, _LARGEST)
        if len(raw) >= _HEAD_SIZE:
            found = _new_superblock(window, version, place, raw)
            if found is not None:
                yield found
    place = (window.length // _OLD_ALIGNMENT - 1) * _OLD_ALIGNMENT
    raw = _read(window, place, _OLD_SIZE)
    if len(raw) == _OLD_SIZE:
        old = _old_superblock(place, raw)
        if old is not None:
            yield old


def _end_place(length: int) -> int:
    return ((length // SECTOR - 16) & ~7) * SECTOR


def _read(window: Window, place: int, size: int) -> bytes:
    try:
        return window.read_at(place, size)
    except OSError:
        return b""


def _new_superblock(window: Window, version: str, place: int, raw: bytes) -> Superblock | None:
    """Return a superblock of version 1; None where there is none, or one that belongs to another place."""
    magic, major, features, _, uuid, name, created, level, layout, size, chunk, disks = _CONSTANT.unpack_from(raw)
    begin, data_size, own, recovered, number, device, _, shift, count, bad = _DEVICE.unpack_from(raw, _DEVICE_PLACE)
    updated, events, resync, checksum, roles = _STATE.unpack_from(raw, _STATE_PLACE)
    if magic != MAGIC or major != 1 or own * SECTOR != place or roles > _MOST_ROLES:
        return None
    if max(size, begin, data_size) * SECTOR > _MOST_BYTES:
        return None
    return Superblock(
        version=version,
        uuid=_uuid_text(uuid.hex()),
        device=device.hex(),
        name=name.partition(b"\0")[0].decode("utf-8", "backslashreplace"),
        minor=-1,
        level=level,
        layout=layout,
        chunk=chunk * SECTOR,
        disks=disks,
        component=size * SECTOR,
        data_offset=begin * SECTOR,
        data_size=data_size * SECTOR,
        role=_role(raw, number, roles),
        events=events,
        updated=updated & 0xFFFFFFFFFF,
        created=created & 0xFFFFFFFFFF,
        place=place,
        is_sound=_new_sum(raw[: _HEAD_SIZE + 2 * roles]) == checksum,
        is_reshaping=bool(features & _RESHAPE),
        is_replacement=bool(features & _REPLACEMENT),
        has_journal=bool(features & _HAS_JOURNAL),
        has_layout=level != 0 or bool(features & _RAID0_LAYOUT),
        recovered=recovered * SECTOR if features & _HAS_RECOVERY else None,
        synchronised=None if resync == _NEVER else resync * SECTOR,
        bad_blocks=_bad_blocks(window, place + bad * SECTOR, count, shift, begin) if features & _BAD_BLOCKS else (),
        journal_tail=recovered * SECTOR,
    )


def _role(raw: bytes, number: int, roles: int) -> int:
    place = _HEAD_SIZE + 2 * number
    if number >= roles or place + 2 > len(raw):
        return SPARE
    return int.from_bytes(raw[place : place + 2], "little")


def _uuid_text(digits: str) -> str:
    return ":".join(digits[place : place + 8] for place in range(0, 32, 8))


def _new_sum(raw: bytes) -> int:
    """Return the checksum of a superblock of version 1: the sum of its words, the field itself being 0."""
    zeroed = raw[:216] + bytes(4) + raw[220:]
    words = len(zeroed) // 4
    total: int = sum(struct.unpack_from(f"<{words}I", zeroed))
    if len(zeroed) % 4:
        total += int.from_bytes(zeroed[4 * words : 4 * words + 2], "little")
    return ((total & 0xFFFFFFFF) + (total >> 32)) & 0xFFFFFFFF


def _bad_blocks(window: Window, place: int, sectors: int, shift: int, begin: int) -> tuple[tuple[int, int], ...]:
    """Return the ranges (bytes from the data's begin) that the member knows to be bad.

    md.c: ``super_1_load`` for the list, ``is_badblock`` for where its sectors count from: the device's begin.
    """
    if place < 0 or shift > 20:
        return ()
    raw = _read(window, place, min(sectors * SECTOR, 8 * _MOST_BAD))
    found = []
    for (entry,) in struct.iter_unpack("<Q", raw[: len(raw) // 8 * 8]):
        if entry == _NEVER:
            break
        start = (entry >> 10 << shift) - begin
        end = start + ((entry & 0x3FF) << shift)
        if end > max(start, 0):
            found.append((max(start, 0) * SECTOR, (end - max(start, 0)) * SECTOR))
    return tuple(sorted(found))


def _old_superblock(place: int, raw: bytes) -> Superblock | None:
    """Return a superblock of version 0.90, in the byte order of the machine that wrote it; None where there is none."""
    order = next((order for order in "<>" if struct.unpack_from(order + "I", raw)[0] == MAGIC), "")
    if not order:
        return None
    words = struct.unpack(f"{order}{_OLD_WORDS}I", raw)
    if words[1] != 0 or words[2] not in {90, 91}:
        return None
    high, low = (39, 40) if order == ">" else (40, 39)
    total = sum(words) - words[38]
    level = words[7] - (1 << 32) if words[7] >> 31 else words[7]
    clean = words[33] & 1
    return Superblock(
        version="0.90",
        uuid=":".join(f"{words[index]:08x}" for index in (5, 13, 14, 15)),
        device=f"{words[_OLD_THIS + 1]}:{words[_OLD_THIS + 2]}",
        name="",
        minor=words[11],
        level=level,
        layout=words[64],
        chunk=words[65],
        disks=words[10],
        component=words[8] << 10,
        data_offset=0,
        data_size=place,
        role=_old_role(words),
        events=words[high] << 32 | words[low],
        updated=words[32],
        created=words[6],
        place=place,
        is_sound=((total & 0xFFFFFFFF) + (total >> 32)) & 0xFFFFFFFF == words[38],
        is_reshaping=words[2] == 91,
        has_layout=level != 0,
        synchronised=None if clean or words[43] == 0xFFFFFFFF else words[43] * SECTOR,
    )


def _old_role(words: tuple[int, ...]) -> int:
    number: int = words[_OLD_THIS]
    if number >= _OLD_MOST_DISKS:
        return SPARE
    place = _OLD_DISKS + number * _OLD_DISK_WORDS
    role, state = words[place + 3], words[place + 4]
    if state & _OLD_FAULTY:
        return FAULTY
    return role if state & _OLD_SYNC else SPARE
