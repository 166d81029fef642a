"""Erofs that lies in the ways that ext does in its own modules (hostile-inputs 4.1, 4.3 to 4.6), its checksum right."""

import struct
from collections.abc import Callable
from pathlib import Path

from images.hostile.kit import GOOD_FILES, Builder, Hostile
from images.hostile.other_disks import erofs_image
from images.hostile.sealing import seal_erofs

_LOG = "var/log/auth.log"
_NAMES = ("/usr/share/doc",)
_SUPERBLOCK = 1024
Edit = Callable[[bytearray], None]


def _replaced(old: bytes, new: bytes) -> Edit:
    def edit(disk: bytearray) -> None:
        disk[:] = bytes(disk).replace(old, new)

    return edit


def _field(place: int, value: bytes) -> Edit:
    def edit(disk: bytearray) -> None:
        disk[_SUPERBLOCK + place : _SUPERBLOCK + place + len(value)] = value

    return edit


def _cycle(disk: bytearray) -> None:
    """Make every entry of /usr/share/doc's parent that names "doc" lead to the root."""
    place = disk.index(b"...doc") - 3 * 12
    for entry in range(place, place + 36, 12):
        if int.from_bytes(disk[entry + 8 : entry + 10], "little") == 39:
            disk[entry : entry + 8] = disk[_SUPERBLOCK + 14 : _SUPERBLOCK + 16] + bytes(6)


def _log_inode(disk: bytearray) -> int:
    size = struct.pack("<I", len(GOOD_FILES[_LOG]))
    return next(place for place in range(0, len(disk), 32) if disk[place + 8 : place + 12] == size)


def _huge(disk: bytearray) -> None:
    """Make the log of four gigabytes, the most that a small inode has."""
    place = _log_inode(disk)
    disk[place + 8 : place + 12] = b"\xff" * 4


def _devices(disk: bytearray) -> None:
    """Say that there are 65,535 further devices, with their table far outside."""
    disk[_SUPERBLOCK + 80] |= 8
    disk[_SUPERBLOCK + 86 : _SUPERBLOCK + 90] = b"\xff" * 4


def _edited(edit: Edit, *costs: str, options: tuple[str, ...] = (), statuses: tuple[int, ...] = (3,)) -> Builder:
    def build(folder: Path) -> Hostile:
        path = erofs_image(folder, *options)
        disk = bytearray(path.read_bytes())
        edit(disk)
        seal_erofs(disk)
        path.write_bytes(disk)
        return Hostile(path, keeps=() if "/" in costs else ("cron",), statuses=statuses, costs=costs)

    return build


def _cut(eighths: int, *options: str) -> Builder:
    def build(folder: Path) -> Hostile:
        path = erofs_image(folder, *options)
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size * eighths // 8)
        return Hostile(path, keeps=(), statuses=(0, 3, 7), costs=("/",))

    return build


_LZ4 = ("-zlz4",)
_LOST = (0, 3, 7)

GENERATORS: dict[str, Builder] = {
    "erofs-name-with-slash": _edited(_replaced(b"onetwo", b"a/btwo"), *_NAMES, statuses=(0, 3)),
    "erofs-name-with-nul": _edited(_replaced(b"onetwo", b"a\0btwo"), *_NAMES),
    "erofs-two-of-one-name": _edited(_replaced(b"onetwo", b"oneone"), *_NAMES, statuses=(0, 3)),
    "erofs-directory-cycle": _edited(_cycle, *_NAMES),
    "erofs-huge-file": _edited(_huge, "/" + _LOG),
    "erofs-huge-compressed-file": _edited(_huge, "/" + _LOG, options=_LZ4),
    "erofs-root-max": _edited(_field(14, b"\xff\xff"), "/", statuses=_LOST),
    "erofs-inodes-max": _edited(_field(16, b"\xff" * 8)),
    "erofs-metadata-max": _edited(_field(40, b"\xff" * 4), "/", statuses=_LOST),
    "erofs-block-size-max": _edited(_field(12, b"\xff"), "/", statuses=_LOST),
    "erofs-unknown-feature": _edited(_field(80, b"\0\0\0\x80"), "/", statuses=_LOST),
    "erofs-devices-max": _edited(_devices),
    **{f"erofs-cut-{part}": _cut(part) for part in (1, 3, 5, 7)},
    **{f"erofs-lz4-cut-{part}": _cut(part, "-zlz4") for part in (3, 7)},
}
