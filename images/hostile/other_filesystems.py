"""XFS, btrfs, squashfs and ISO 9660 that lie in the ways that ext does in its own modules (hostile-inputs 4.3 to 4.6).

Edits are sealed: the checksums are right, as an adversary makes them.
"""

import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from images.hostile.kit import GOOD_FILES, Builder, Hostile
from images.hostile.other_disks import btrfs_image, iso_image, squashfs_image, xfs_image
from images.hostile.sealing import seal_btrfs, seal_xfs, seal_xfs_inode

_LOG = "var/log/auth.log"
_EXBIBYTE = 1 << 60
_SIZE = struct.pack(">Q", len(GOOD_FILES[_LOG]))
Edit = Callable[[bytearray], None]


def _xfs_inodes(disk: bytearray, sign: bytes, at: int) -> Iterator[int]:
    """Yield the places of inodes that have these bytes ``at`` bytes behind their begin (at 0: anywhere in them)."""
    for place in range(0, len(disk), 512):
        if disk.startswith(b"IN", place) and disk[place + 4] == 3:
            raw = disk[place : place + 512]
            if raw.startswith(sign, at) if at else sign in raw:
                yield place


def _xfs_log_inode(disk: bytearray) -> int:
    return next(_xfs_inodes(disk, _SIZE, 56))


def _xfs_exbibyte(disk: bytearray) -> None:
    place = _xfs_log_inode(disk)
    disk[place + 56 : place + 64] = _EXBIBYTE.to_bytes(8, "big")
    seal_xfs_inode(disk, place)


def _xfs_tree_loop(disk: bytearray) -> None:
    """Make the log's extents a tree whose one block, of level 1, points at itself."""
    place, group_blocks = _xfs_log_inode(disk), int.from_bytes(disk[84:88], "big")
    number = int.from_bytes(disk[place + 152 : place + 160], "big")
    block = group_blocks // 2
    fork = struct.pack(">HH", 2, 1)
    room = (512 - 176 - 4) // 16
    disk[place + 5] = 3
    disk[place + 76 : place + 80] = (1).to_bytes(4, "big")
    disk[place + 176 : place + 512] = (fork + bytes(room * 8) + block.to_bytes(8, "big")).ljust(336, b"\0")
    seal_xfs_inode(disk, place)
    start, most = block * 4096, (4096 - 72) // 16
    head = struct.pack(
        ">4sHHQQQQ16sQ", b"BMA3", 1, most, 2**64 - 1, 2**64 - 1, block * 8, 0, bytes(disk[32:48]), number
    )
    disk[start : start + 4096] = (head.ljust(72, b"\0") + bytes(most * 8) + block.to_bytes(8, "big") * most).ljust(4096)
    seal_xfs(disk, start, 4096, 64)


def _xfs_names(old: bytes, new: bytes) -> Edit:
    def edit(disk: bytearray) -> None:
        for place in list(_xfs_inodes(disk, b"one", 0)):
            raw = bytes(disk[place : place + 512])
            disk[place : place + 512] = raw.replace(old, new)
            seal_xfs_inode(disk, place)

    return edit


def _xfs_directory_cycle(disk: bytearray) -> None:
    """Make the entry "doc" of /usr/share lead to the root directory."""
    root = int.from_bytes(disk[56:64], "big")
    for place in list(_xfs_inodes(disk, b"doc", 0)):
        start = disk.index(b"doc", place) + 3 + 1
        disk[start : start + 4] = root.to_bytes(4, "big")
        seal_xfs_inode(disk, place)


def _xfs_field(place: int, value: bytes) -> Edit:
    def edit(disk: bytearray) -> None:
        disk[place : place + len(value)] = value
        seal_xfs(disk, 0, 512, 224)

    return edit


def _btrfs_blocks(disk: bytearray, owner: int) -> Iterator[tuple[int, int]]:
    """Yield (place, level) of the blocks of a tree."""
    identity = bytes(disk[65536 + 32 : 65536 + 48])
    for place in range(0, len(disk), 4096):
        if disk[place + 32 : place + 48] == identity and disk[place + 88 : place + 96] == owner.to_bytes(8, "little"):
            yield place, disk[place + 100]


def _btrfs_tree_loop(disk: bytearray) -> None:
    """Make every block of the files' tree one of level 1 that points at itself all over."""
    for place, _ in list(_btrfs_blocks(disk, 5)):
        address = bytes(disk[place + 48 : place + 56])
        pointers = b"".join(struct.pack("<QBQ8sQ", number, 1, 0, address, 7) for number in range(256, 256 + 121))
        disk[place + 96 : place + 101] = struct.pack("<IB", 121, 1)
        disk[place + 101 : place + 101 + len(pointers)] = pointers
        seal_btrfs(disk, place, 4096)


def _btrfs_bytes(old: bytes, new: bytes) -> Edit:
    def edit(disk: bytearray) -> None:
        for place, _ in list(_btrfs_blocks(disk, 5)):
            disk[place : place + 4096] = bytes(disk[place : place + 4096]).replace(old, new)
            seal_btrfs(disk, place, 4096)

    return edit


def _btrfs_field(place: int, value: bytes) -> Edit:
    def edit(disk: bytearray) -> None:
        disk[65536 + place : 65536 + place + len(value)] = value
        seal_btrfs(disk, 65536, 4096)

    return edit


def _plain_edit(old: bytes, new: bytes) -> Edit:
    def edit(disk: bytearray) -> None:
        disk[:] = bytes(disk).replace(old, new)

    return edit


def _field(place: int, value: bytes) -> Edit:
    def edit(disk: bytearray) -> None:
        disk[place : place + len(value)] = value

    return edit


def _edited(make: Callable[[Path], Path], edit: Edit, *costs: str, statuses: tuple[int, ...] = (3,)) -> Builder:
    def build(folder: Path) -> Hostile:
        path = make(folder)
        disk = bytearray(path.read_bytes())
        edit(disk)
        path.write_bytes(disk)
        return Hostile(path, keeps=() if "/" in costs else ("cron",), statuses=statuses, costs=costs)

    return build


def _cut(make: Callable[[Path], Path], eighths: int) -> Builder:
    def build(folder: Path) -> Hostile:
        path = make(folder)
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size * eighths // 8)
        return Hostile(path, keeps=(), statuses=_LOST, costs=("/",))

    return build


def _btrfs(folder: Path) -> Path:
    return btrfs_image(folder, "3f1d2c4b-5a69-4788-8e9f-0a1b2c3d4e5f")


def _plain_squashfs(folder: Path) -> Path:
    return squashfs_image(folder, "-noI", "-noD", "-noF", "-noX", "-no-fragments")


_MADE: dict[str, Callable[[Path], Path]] = {"xfs": xfs_image, "btrfs": _btrfs, "squashfs": squashfs_image}
_NAMED = ("/usr/share/doc",)
_LOST = (0, 3, 7)
_ODD = (0, 3)
_MOST = b"\xff" * 8

GENERATORS: dict[str, Builder] = {
    "xfs-exbibyte": _edited(xfs_image, _xfs_exbibyte, "/" + _LOG, statuses=_ODD),
    "xfs-extent-tree-loop": _edited(xfs_image, _xfs_tree_loop, "/" + _LOG),
    "xfs-directory-cycle": _edited(xfs_image, _xfs_directory_cycle, "/usr/share/doc"),
    "xfs-name-with-slash": _edited(xfs_image, _xfs_names(b"one", b"a/b"), *_NAMED, statuses=_ODD),
    "xfs-name-with-nul": _edited(xfs_image, _xfs_names(b"one", b"a\0b"), *_NAMED, statuses=_ODD),
    "xfs-two-of-one-name": _edited(xfs_image, _xfs_names(b"two", b"one"), *_NAMED, statuses=_ODD),
    "xfs-block-size-max": _edited(xfs_image, _xfs_field(4, _MOST[:4]), "/", statuses=_LOST),
    "xfs-groups-max": _edited(xfs_image, _xfs_field(88, _MOST[:4]), "/", statuses=_LOST),
    "xfs-groups-0": _edited(xfs_image, _xfs_field(88, bytes(4)), "/", statuses=_LOST),
    "xfs-root-0": _edited(xfs_image, _xfs_field(56, bytes(8)), "/", statuses=_LOST),
    "xfs-inode-size-0": _edited(xfs_image, _xfs_field(104, bytes(2)), "/", statuses=_LOST),
    "btrfs-tree-loop": _edited(_btrfs, _btrfs_tree_loop, "/", statuses=_LOST),
    "btrfs-exbibyte": _edited(
        _btrfs, _btrfs_bytes(_SIZE[::-1], _EXBIBYTE.to_bytes(8, "little")), "/" + _LOG, statuses=_ODD
    ),
    "btrfs-name-with-slash": _edited(_btrfs, _btrfs_bytes(b"one", b"a/b"), *_NAMED, statuses=_ODD),
    "btrfs-name-dot-dot": _edited(_btrfs, _btrfs_bytes(b"one", b"..\0"), *_NAMED, statuses=_ODD),
    "btrfs-two-of-one-name": _edited(_btrfs, _btrfs_bytes(b"two", b"one"), *_NAMED, statuses=_ODD),
    "btrfs-root-0": _edited(_btrfs, _btrfs_field(80, bytes(8)), "/", statuses=_LOST),
    "btrfs-block-size-max": _edited(_btrfs, _btrfs_field(148, _MOST[:4]), "/", statuses=_LOST),
    "btrfs-chunks-max": _edited(_btrfs, _btrfs_field(160, _MOST[:4]), "/", statuses=(0, 3, 7)),
    "squashfs-name-with-slash": _edited(_plain_squashfs, _plain_edit(b"one", b"a/b"), *_NAMED, statuses=_ODD),
    "squashfs-name-with-newline": _edited(_plain_squashfs, _plain_edit(b"one", b"a\nb"), *_NAMED, statuses=_ODD),
    "squashfs-inodes-max": _edited(_plain_squashfs, _field(4, _MOST[:4]), statuses=(3,)),
    "squashfs-fragments-max": _edited(squashfs_image, _field(16, _MOST[:4]), statuses=_ODD),
    "squashfs-inode-table-max": _edited(squashfs_image, _field(64, _MOST), "/", statuses=_LOST),
    "squashfs-root-max": _edited(squashfs_image, _field(32, _MOST), "/", statuses=_LOST),
    "iso-name-with-escape": _edited(iso_image, _plain_edit(b"crontab", b"c\x1b[2Jab"), "/etc", statuses=_ODD),
    **{f"{kind}-cut-{part}": _cut(make, part) for kind, make in _MADE.items() for part in (1, 3, 5, 7)},
}
