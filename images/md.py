"""Writes members of Linux md arrays: superblocks 0.90 to 1.2 around data, the same bytes each time, without mdadm.

Structures: include/uapi/linux/raid/md_p.h of the kernel. How the data of a level lie on the members is not this
module's: it takes what each member holds.
"""

import struct
from typing import NamedTuple

SECTOR = 512
SPARE, FAULTY, JOURNAL = 0xFFFF, 0xFFFE, 0xFFFD
NEVER = (1 << 64) - 1
_MAGIC = 0xA92B4EFC
_DATA_OFFSET = {"1.2": 8192, "1.1": 8192, "1.0": 0, "0.90": 0}
_OLD_ALIGNMENT = 64 << 10


class Array(NamedTuple):
    """What all members say: sizes in bytes. ``roles``: by the number of the device; None: each its own."""

    level: int
    disks: int
    component: int
    chunk: int = 4096
    layout: int = 0
    version: str = "1.2"
    uuid: bytes = bytes(range(16))
    name: str = "host:data"
    events: int = 7
    features: int = 0
    minor: int = 0
    created: int = 1_700_000_000
    roles: tuple[int, ...] | None = None
    resync: int = NEVER
    order: str = "<"

    @property
    def data_offset(self) -> int:
        """Where a member's data begin."""
        return _DATA_OFFSET[self.version]


class Extras(NamedTuple):
    """What one member says besides, in sectors where the format has them so."""

    recovery: int = 0
    bad_blocks: tuple[tuple[int, int], ...] = ()
    data_offset: int | None = None
    size: int | None = None


NO_EXTRAS = Extras()


def member(array: Array, number: int, data: bytes, extras: Extras = NO_EXTRAS) -> bytes:
    """Return the bytes of device ``number``: its superblock, its data, room where the format has some."""
    if array.version == "0.90":
        padded = data.ljust(-(-len(data) // _OLD_ALIGNMENT) * _OLD_ALIGNMENT, b"\0")
        return padded + _old_superblock(array, number).ljust(_OLD_ALIGNMENT, b"\0")
    if array.version == "1.0":
        padded = data.ljust(-(-len(data) // 4096) * 4096, b"\0")
        return padded + _superblock(array, number, len(padded), extras, len(data)).ljust(8192, b"\0")
    place = {"1.1": 0, "1.2": 4096}[array.version]
    head = bytearray(array.data_offset)
    superblock = _superblock(array, number, place, extras, len(data))
    head[place : place + len(superblock)] = superblock
    bad = b"".join(struct.pack("<Q", start << 10 | count) for start, count in extras.bad_blocks)
    head[place + 2048 : place + 2048 + SECTOR] = bad.ljust(SECTOR, b"\xff")
    return bytes(head) + data


def _superblock(array: Array, number: int, place: int, extras: Extras, size: int) -> bytes:
    roles = array.roles if array.roles is not None else tuple(range(array.disks))
    begin = array.data_offset // SECTOR if extras.data_offset is None else extras.data_offset
    length = size // SECTOR if extras.size is None else extras.size
    features = array.features | (8 if extras.bad_blocks else 0)
    raw = bytearray(256 + 2 * len(roles))
    struct.pack_into(
        "<IIII16s32sQiIQIIi", raw, 0, _MAGIC, 1, features, 0, array.uuid, array.name.encode(), array.created,
        array.level, array.layout, array.component // SECTOR, array.chunk // SECTOR, array.disks, 0,
    )  # fmt: skip
    struct.pack_into(
        "<QQQQI4x16sBBHi", raw, 128, begin, length, place // SECTOR, extras.recovery, number,
        bytes([number]) * 16, 0, 0, 1 if extras.bad_blocks else 0, 4,
    )  # fmt: skip
    struct.pack_into("<QQQII", raw, 192, array.created + array.events, array.events, array.resync, 0, len(roles))
    struct.pack_into(f"<{len(roles)}H", raw, 256, *roles)
    return _summed(raw, "<", 216)


def _summed(raw: bytearray, order: str, place: int) -> bytes:
    """Return the superblock with the sum of its words in place."""
    padded = bytes(raw) + bytes(-len(raw) % 4)
    total = sum(struct.unpack(f"{order}{len(padded) // 4}I", padded))
    struct.pack_into(f"{order}I", raw, place, ((total & 0xFFFFFFFF) + (total >> 32)) & 0xFFFFFFFF)
    return bytes(raw)


def _old_superblock(array: Array, number: int) -> bytes:
    uuid = struct.unpack(">4I", array.uuid)
    words = [0] * 1024
    words[0:16] = [
        _MAGIC, 0, 90, 0, 0, uuid[0], array.created, array.level & 0xFFFFFFFF, array.component >> 10, array.disks,
        array.disks, array.minor, 0, *uuid[1:],
    ]  # fmt: skip
    words[32:34] = [(array.created + array.events) & 0xFFFFFFFF, 1]
    words[40 if array.order == "<" else 39] = array.events >> 32
    words[39 if array.order == "<" else 40] = array.events & 0xFFFFFFFF
    words[64:66] = [array.layout, array.chunk]
    roles = array.roles if array.roles is not None else tuple(range(array.disks))
    for device, role in enumerate(roles):
        in_use = role < FAULTY
        words[128 + 32 * device : 133 + 32 * device] = [
            device,
            8,
            16 * device,
            role if in_use else 0,
            6 if in_use else 1,
        ]
    words[992:997] = words[128 + 32 * number : 133 + 32 * number]
    return _summed(bytearray(struct.pack(f"{array.order}1024I", *words)), array.order, 38 * 4)
