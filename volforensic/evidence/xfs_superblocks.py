"""The superblock of an XFS and its copies, one at the begin of each allocation group; the features that it names.

Source: the kernel's fs/xfs/libxfs/xfs_format.h (xfs_dsb, XFS_SB_FEAT_*) and xfsprogs' mkfs (calc_default_ag_geometry:
groups are a quarter, an eighth ... of the device). Only some copies know the root directory: mkfs writes it into those
of the middle and of the last group.
"""

import struct
from collections.abc import Iterator

from volforensic.evidence.bad_sectors import around
from volforensic.evidence.reader import Window
from volforensic.evidence.superblocks import KERNEL_MAY_KNOW, UNKNOWN_FEATURES, SuperblockCopy, checksum_is_right

_LARGEST_SECTOR = 32 << 10
_CHECKSUM = 224
_NO_INODE = (0, (1 << 64) - 1)
_BLOCK_SIZES = (4096, 1024, 2048, 512, 8192, 16384, 32768, 65536)
_MOST_SHIFTS = 7
_LARGEST_GROUP = 1 << 40
_COPIES_TRIED = 16
_NEEDS_REPAIR = 1 << 4
_INCOMPATIBLE = {256: "METADIR", 512: "ZONED", 1024: "ZONE_GAPS"}
_KNOWN_INCOMPATIBLE = 0xFF
"""FTYPE, SPINODES, META_UUID, BIGTIME, NEEDSREPAIR, NREXT64, EXCHRANGE, PARENT: none moves a file's bytes."""
_HARMLESS_INCOMPATIBLE = 256  # METADIR puts the metadata's own inodes into a tree of their own


def xfs_superblock(window: Window) -> SuperblockCopy | None:
    """Return the superblock of an XFS: the first, or where it cannot be right a copy that can."""
    window = around(window)  # a superblock that does not read is one that is not there: layout says where
    raw = window.read_at(0, _LARGEST_SECTOR)
    fault = superblock_fault(raw)
    if not fault:
        return SuperblockCopy(raw[:512])
    has_magic = raw.startswith(b"XFSB") and len(raw) >= 512
    for number, copy in _copies(window, raw):
        remark = f"the superblock is damaged ({fault}); its copy in allocation group {number} was used"
        return SuperblockCopy(copy[:512], number, remark)
    return SuperblockCopy(raw[:512], remark=f"the superblock is damaged ({fault})") if has_magic else None


def superblock_fault(raw: bytes) -> str:
    """Return what cannot be in an XFS superblock, "" where all can."""
    if not raw.startswith(b"XFSB") or len(raw) < 512:
        return "it has no signature"
    block_size = struct.unpack_from(">I", raw, 4)[0]
    group_blocks, groups = struct.unpack_from(">II", raw, 84)
    version, sector_size, inode_size = struct.unpack_from(">HHH", raw, 100)
    faults = {
        f"blocks of {block_size} bytes": not _is_power(block_size, 512, 65536),
        f"sectors of {sector_size} bytes": not _is_power(sector_size, 512, _LARGEST_SECTOR),
        f"inodes of {inode_size} bytes": not _is_power(inode_size, 256, 2048),
        f"{groups} groups of {group_blocks} blocks": raw[124] > 32
        or not 0 < group_blocks <= 1 << raw[124]
        or not groups,
        f"version {version & 0xF}": version & 0xF not in {4, 5},
    }
    found = next((name for name, is_wrong in faults.items() if is_wrong), "")
    if not found and version & 0xF == 5 and not checksum_is_right(raw[:sector_size], _CHECKSUM):
        return "its checksum is wrong"
    return found


def _is_power(size: int, least: int, most: int) -> bool:
    return least <= size <= most and not size & (size - 1)


def feature_remark(raw: bytes) -> str:
    """Return what the features of a superblock mean to a reader, "" where they mean nothing."""
    if int.from_bytes(raw[100:102], "big") & 0xF != 5:
        return ""
    found = struct.unpack_from(">I", raw, 216)[0]
    unknown = found & ~_KNOWN_INCOMPATIBLE & ~_HARMLESS_INCOMPATIBLE
    remarks = []
    if found & _NEEDS_REPAIR:
        remarks.append("it is marked as in need of repair (NEEDSREPAIR)")
    if unknown:
        names = ", ".join(_INCOMPATIBLE.get(1 << bit, f"{1 << bit:#x}") for bit in range(32) if unknown >> bit & 1)
        remarks.append(f"{UNKNOWN_FEATURES}: {names} ({KERNEL_MAY_KNOW})")
    return "; ".join(remarks)


def _copies(window: Window, head: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield copies that are right and stand where they say that a group begins, with the number of the group."""
    for size, is_likely in _group_sizes(window, head):
        for number in (1, 2, 3) if is_likely else (1,):
            raw = _copy_at(window, size, number)
            if raw:
                yield from _best_copies(window, size, struct.unpack_from(">I", raw, 88)[0], number, raw)
                break


def _best_copies(window: Window, size: int, count: int, number: int, raw: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield first the copies that know the root directory."""
    for other in dict.fromkeys((count - 1, count // 2, *range(1, min(count, _COPIES_TRIED)))):
        found = _copy_at(window, size, other) if other > 0 else b""
        if found and struct.unpack_from(">Q", found, 56)[0] not in _NO_INODE:
            yield other, found
    yield number, raw


def _copy_at(window: Window, size: int, number: int) -> bytes:
    try:
        raw = window.read_at(size * number, 512)
        raw = window.read_at(size * number, _LARGEST_SECTOR) if raw.startswith(b"XFSB") else b""
    except OSError:
        return b""
    if superblock_fault(raw):
        return b""
    block_size, group_blocks, groups = (struct.unpack_from(">I", raw, place)[0] for place in (4, 84, 88))
    return raw if block_size * group_blocks == size and number < groups else b""


def _group_sizes(window: Window, head: bytes) -> Iterator[tuple[int, bool]]:
    """Yield how many bytes an allocation group may have, and whether something says so or mkfs would choose it."""
    if head.startswith(b"XFSB"):
        yield struct.unpack_from(">I", head, 4)[0] * struct.unpack_from(">I", head, 84)[0], True
    for sector_size in (512, 1024, 2048, 4096):
        for place, magic in ((sector_size, b"XAGF"), (2 * sector_size, b"XAGI")):
            header = head[place : place + 16]
            if header.startswith(magic) and len(header) == 16:
                length = struct.unpack_from(">I", header, 12)[0]
                yield from ((length * block_size, True) for block_size in _BLOCK_SIZES)
    for block_size in _BLOCK_SIZES[:4]:
        blocks = window.length // block_size
        for shift in range(1, _MOST_SHIFTS):
            yield ((blocks >> shift) + bool(blocks & (1 << shift) - 1)) * block_size, False
    yield _LARGEST_GROUP, False
