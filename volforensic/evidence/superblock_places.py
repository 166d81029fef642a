"""Where a filesystem begins and ends, told from a superblock that was found anywhere: one function a kind.

Each takes the window and the first byte of the sector that has the signature, and returns the range that the structure
says it belongs to, or None where it is no such structure. A copy leads to the filesystem's beginning as well as the
first one does. Sources: the kernel's Documentation/filesystems/ext4/super.rst, libxfs/xfs_format.h (sb, AGF),
btrfs_tree.h (btrfs_super_block), squashfs_fs.h, linux/raid/md_p.h, mkswap(8); lvm2 format_text/layout.h; the boot
sectors of FAT, exFAT and NTFS as Microsoft describes them; ECMA-119 8.4.
"""

import struct
from collections.abc import Callable
from typing import NamedTuple

from volforensic.evidence.reader import Window

_MOST_BLOCKS = 1 << 53


class Claim(NamedTuple):
    """What a structure says: where its filesystem begins (bytes of the window), how many it has (0: not said).

    ``kinds`` are the types by which ``recognise`` may name it.
    """

    offset: int
    length: int
    kinds: tuple[str, ...]


Look = Callable[[Window, int], Claim | None]


def _ext(window: Window, sector: int) -> Claim | None:
    # The first superblock stands 1,024 bytes into the filesystem, a copy at the beginning of its group.
    raw = window.read_at(sector, 512)
    if len(raw) < 512:
        return None
    blocks, first_block, log_size = struct.unpack_from("<I12xII", raw, 4)
    per_group, group = struct.unpack_from("<I", raw, 32)[0], struct.unpack_from("<H", raw, 90)[0]
    if struct.unpack_from("<I", raw, 96)[0] & 0x80:
        blocks |= struct.unpack_from("<I", raw, 336)[0] << 32
    if log_size > 6 or not 0 < blocks < _MOST_BLOCKS or first_block > 1 or not per_group:
        return None
    size = 1024 << log_size
    start = sector - (first_block + group * per_group) * size if group else sector - 1024
    return Claim(start, blocks * size, ("ext2", "ext3", "ext4"))


def _xfs(window: Window, sector: int) -> Claim | None:
    raw = window.read_at(sector, 1024)
    if len(raw) < 1024:
        return None
    size, blocks = struct.unpack_from(">IQ", raw, 4)
    group_blocks, groups = struct.unpack_from(">II", raw, 84)
    version, sector_size = struct.unpack_from(">HH", raw, 100)
    is_sane = size in {512 << shift for shift in range(8)} and sector_size in {
        512,
        1024,
        2048,
        4096,
        8192,
        16384,
        32768,
    }
    if not is_sane or not 0 < blocks < _MOST_BLOCKS or not group_blocks or version & 0xF not in {4, 5}:
        return None
    free_space = window.read_at(sector + sector_size, 12)
    number = struct.unpack_from(">I", free_space, 8)[0] if free_space.startswith(b"XAGF") else 0
    return Claim(sector - number * group_blocks * size, blocks * size, ("xfs",)) if number <= groups else None


def _btrfs(window: Window, sector: int) -> Claim | None:
    raw = window.read_at(sector, 4096)
    if len(raw) < 4096:
        return None
    own, length = struct.unpack_from("<Q", raw, 48)[0], struct.unpack_from("<Q", raw, 209)[0]
    return Claim(sector - own, length, ("btrfs",)) if own in {64 << 10, 64 << 20, 256 << 30} and length else None


def _luks(window: Window, sector: int) -> Claim | None:
    return Claim(sector, 0, ("luks",)) if window.read_at(sector + 6, 2) in {b"\0\1", b"\0\2"} else None


def _lvm(window: Window, sector: int) -> Claim | None:
    raw = window.read_at(sector, 512)
    if len(raw) < 512 or raw[24:32] != b"LVM2 001":
        return None
    own, place = struct.unpack_from("<Q", raw, 8)[0], struct.unpack_from("<I", raw, 20)[0]
    if own > 3 or not 32 <= place <= 512 - 40:
        return None
    return Claim(sector - own * 512, struct.unpack_from("<Q", raw, place + 32)[0], ("lvm2",))


def _md(window: Window, sector: int) -> Claim | None:
    raw = window.read_at(sector, 256)
    version = struct.unpack_from("<I", raw, 4)[0] if len(raw) == 256 else -1
    if version == 1:
        data, size, own = struct.unpack_from("<QQQ", raw, 128)
        length = max(data + size, own + 8) * 512
        return Claim(sector - own * 512, length, ("linux_raid",)) if 0 < size < _MOST_BLOCKS else None
    if version == 0:
        size = struct.unpack_from("<I", raw, 36)[0] << 10
        return Claim(sector - size, size + (64 << 10), ("linux_raid",)) if size else None
    return None


def _squashfs(window: Window, sector: int) -> Claim | None:
    raw = window.read_at(sector, 96)
    if len(raw) < 96 or struct.unpack_from("<H", raw, 28)[0] != 4:
        return None
    return Claim(sector, -(-struct.unpack_from("<Q", raw, 40)[0] // 4096) * 4096, ("squashfs",))


def _microsoft(window: Window, sector: int) -> Claim | None:
    raw = window.read_at(sector, 512)
    if len(raw) < 512 or raw[0] not in {0xEB, 0xE9}:
        return None
    size = struct.unpack_from("<H", raw, 11)[0]
    if raw[3:11] == b"NTFS    " and size in {512, 1024, 2048, 4096}:
        return _ntfs(window, sector, raw)
    if raw[3:11] == b"EXFAT   " and 9 <= raw[108] <= 12:
        return Claim(sector, struct.unpack_from("<Q", raw, 72)[0] << raw[108], ("exfat",))
    if (
        size in {512, 1024, 2048, 4096}
        and raw[13]
        and not raw[13] & raw[13] - 1
        and raw[16] in {1, 2}
        and raw[21] >= 0xF0
    ):
        sectors = struct.unpack_from("<H", raw, 19)[0] or struct.unpack_from("<I", raw, 32)[0]
        return Claim(sector, sectors * size, ("fat",)) if sectors else None
    return None


def _ntfs(window: Window, sector: int, raw: bytes) -> Claim | None:
    """Return where an NTFS begins: here, or before its copy of this sector behind its end, where its $MFT proves it."""
    size = struct.unpack_from("<H", raw, 11)[0]
    sectors, table, mirror = struct.unpack_from("<QQQ", raw, 40)
    # Above 128 the number of sectors in a cluster is a negative power of two.
    cluster = size * (raw[13] if raw[13] <= 128 else 1 << min(256 - raw[13], 31))
    for behind in range(10):  # the copy is the volume's last sector, the filesystem ends with a whole cluster
        start = sector - (sectors + behind - 1) * size if behind else sector
        places = (start + number * cluster for number in (table, mirror))
        if start >= 0 and any(window.read_at(place, 4) == b"FILE" for place in places):
            return Claim(start, (sectors + 1) * size, ("ntfs",))
    return None


def _swap(window: Window, sector: int) -> Claim | None:
    for page in (4096, 65536):
        start = sector + 512 - page
        raw = window.read_at(start + 1024, 8)
        if start >= 0 and len(raw) == 8:
            version, last = struct.unpack("<II", raw)
            if version == 1 and last:
                return Claim(start, (last + 1) * page, ("swap",))
    return None


def _iso(window: Window, sector: int) -> Claim | None:
    blocks = window.read_at(sector + 80, 4)
    return Claim(sector - 32768, int.from_bytes(blocks, "little") * 2048, ("iso9660",)) if any(blocks) else None


def _erofs(window: Window, sector: int) -> Claim | None:
    raw = window.read_at(sector, 128)
    if len(raw) < 128 or not 9 <= raw[12] <= 16:
        return None
    return Claim(sector - 1024, struct.unpack_from("<I", raw, 36)[0] << raw[12], ("erofs",))


class Signature(NamedTuple):
    """Bytes that stand at a fixed place of a sector of 512 bytes, and what looks closer."""

    place: int
    magic: bytes
    look: Look


SIGNATURES = (
    Signature(0, b"XFSB", _xfs),
    Signature(0, b"LUKS\xba\xbe", _luks),
    Signature(0, b"LABELONE", _lvm),
    Signature(0, b"\xfc\x4e\x2b\xa9", _md),
    Signature(0, b"hsqs", _squashfs),
    Signature(0, b"\xe2\xe1\xf5\xe0", _erofs),
    Signature(1, b"CD001", _iso),
    Signature(56, b"\x53\xef", _ext),
    Signature(64, b"_BHRfS_M", _btrfs),
    Signature(502, b"SWAPSPACE2", _swap),
    Signature(510, b"\x55\xaa", _microsoft),
)
