"""The superblocks that dm-raid keeps in the metadata volumes of an array: which members are whole.

Source: struct dm_raid_superblock in the kernel's drivers/md/dm-raid.c.
"""

import struct
from typing import NamedTuple

from volforensic.evidence import maps
from volforensic.evidence.volumes.opening import open_map
from volforensic.medium import Medium

_SUPERBLOCK = struct.Struct("<4s4xIIQQQQIII")
_MAGIC = b"DmRd"
_WHOLE = (1 << 64) - 1


class _Superblock(NamedTuple):
    devices: int
    position: int
    events: int
    failed: int
    recovered: int
    synchronised: int
    level: int
    layout: int
    stripe: int


def member_states(space: Medium, metadata: list[maps.Map]) -> list[str]:
    """Return for each member of an array why it must not be read, "" where it may.

    An array that was never started has no superblock at all: its members are taken as they are.
    """
    found = [_superblock(space, one) for one in metadata]
    newest = max((one for one in found if one is not None), key=lambda one: one.events, default=None)
    if newest is None:
        return [""] * len(metadata)
    return [_state(place, one, newest) for place, one in enumerate(found)]


def _superblock(space: Medium, found: maps.Map) -> _Superblock | None:
    try:
        raw = open_map(found, space).read_at(0, _SUPERBLOCK.size)
    except (OSError, ValueError):
        return None
    if len(raw) < _SUPERBLOCK.size or not raw.startswith(_MAGIC):
        return None
    return _Superblock(*_SUPERBLOCK.unpack(raw)[1:])


def _state(place: int, own: _Superblock | None, newest: _Superblock) -> str:
    if own is None:
        return "it has no superblock, and others have"
    if place < 64 and newest.failed >> place & 1:
        return "it had failed"
    if own.events + 1 < newest.events:
        return f"its superblock is older ({own.events}) than that of others ({newest.events})"
    if own.recovered != _WHOLE:
        return f"it was rebuilt up to sector {own.recovered} only"
    return ""
