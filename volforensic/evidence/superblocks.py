"""Superblocks of ext2/3/4 and btrfs with their copies: which one is right where the first is damaged; of squashfs.

Sources: the kernel's Documentation/filesystems/ext4/super.rst and blockgroup.rst (sparse_super: copies in group 1 and
in groups that are powers of 3, 5 and 7), fs/btrfs/disk-io.h (btrfs_sb_offset).
"""

import hashlib
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

import google_crc32c

from volforensic.evidence.bad_sectors import around
from volforensic.evidence.reader import Window

_EXT_SIZE = 1024
_EXT_LARGEST_GROUP = 65528  # blocks, where a block is larger than 4 KiB (e2fsprogs, EXT2_MAX_BLOCKS_PER_GROUP)
_EXT_COPY_GROUPS = (1, 3, 5, 7, 9, 25, 27, 49, 81)
_EXT_METADATA_CHECKSUMS, _EXT_CLUSTERS, _EXT_WIDE = 0x400, 0x200, 0x80
_BTRFS_PLACES = (64 << 10, 64 << 20, 256 << 30)
_BTRFS_SIZE = 4096
_ALL_ONES = 0xFFFFFFFF
UNKNOWN_FEATURES = "it has features that are not known"
"""Begins what is said of a filesystem that is newer than its reader."""
KERNEL_MAY_KNOW = "--kernel-view lets the kernel read it, if that knows them"


class SuperblockCopy(NamedTuple):
    """A superblock's bytes, which block of an ext filesystem they are, and what is wrong ("")."""

    raw: bytes
    block: int = 0
    remark: str = ""


def crc32c(data: bytes, before: int = 0) -> int:
    """Return the CRC-32C of the bytes, going on from that of the bytes before."""
    checksum: int = google_crc32c.extend(before, data)
    return checksum


def checksum_is_right(data: bytes, place: int) -> bool:
    """Return whether the four bytes at ``place`` are the CRC-32C of the structure with NUL bytes in their place."""
    return int.from_bytes(data[place : place + 4], "little") == crc32c(data[:place] + bytes(4) + data[place + 4 :])


def ext_superblock(window: Window) -> SuperblockCopy | None:
    """Return the superblock of an ext filesystem: the first, or where it cannot be right a copy that can."""
    window = around(window)  # a superblock that does not read is one that is not there: layout says where
    first = SuperblockCopy(window.read_at(1024, _EXT_SIZE))
    has_magic = first.raw[56:58] == b"\x53\xef" and len(first.raw) == _EXT_SIZE
    wrong = _ext_fault(first.raw) if has_magic else "it has no signature"
    if not wrong:
        return first
    for copy in _ext_copies(window):
        remark = f"the superblock is damaged ({wrong}); the backup superblock in block {copy.block} was used"
        return copy._replace(remark=remark)
    return first._replace(remark=f"the superblock is damaged ({wrong}) and no backup was found") if has_magic else None


def _ext_copies(window: Window) -> Iterator[SuperblockCopy]:
    """Yield the copies that are right and say themselves that they stand where they were found.

    A group has as many blocks as a block has bits, with bigalloc so many clusters (other sizes are powers of two more
    or less: mke2fs -g, -C); sparse_super2 has a copy in the last group.
    """
    for place, block_size in dict.fromkeys(_ext_places(window)):
        raw = window.read_at(place, _EXT_SIZE)
        if len(raw) < _EXT_SIZE or raw[56:58] != b"\x53\xef" or _ext_fault(raw):
            continue
        first, log_size, per_group, own_group = (
            *struct.unpack_from("<II4xI", raw, 20),
            struct.unpack_from("<H", raw, 90)[0],
        )
        block = place // block_size
        # The number of the group has 16 bits.
        is_its_own = block >= first and not (block - first) % per_group and (block - first) // per_group % 65536
        if 1024 << log_size == block_size and is_its_own == own_group > 0:
            yield SuperblockCopy(raw, block)


def _ext_places(window: Window) -> Iterator[tuple[int, int]]:
    """Yield where copies may stand, in bytes, and the size of a block there."""
    for block_size in (4096, 1024, 2048, 8192, 16384, 32768, 65536):
        first = int(block_size == 1024)
        blocks = window.length // block_size
        most = 8 * block_size if block_size <= 4096 else _EXT_LARGEST_GROUP
        for per_group in (most, *(most << power for power in range(1, 7)), *(most >> power for power in range(1, 8))):
            begin = first if per_group <= most else 0
            last = max(0, blocks - begin - 1) // per_group
            is_usual = per_group == most and block_size <= 4096
            for group in (*(_EXT_COPY_GROUPS if is_usual else _EXT_COPY_GROUPS[:2]), last):
                if 0 < group <= last:
                    yield (begin + group * per_group) * block_size, block_size


def _ext_fault(raw: bytes) -> str:
    """Return what cannot be in an ext superblock, "" where all can."""
    inodes, blocks, first_block, log_size, log_cluster = struct.unpack_from("<II12xIII", raw)
    blocks_per_group, inodes_per_group = struct.unpack_from("<I4xI", raw, 32)
    revision, inode_size = struct.unpack_from("<I8xH", raw, 76)
    incompatible, read_only = struct.unpack_from("<II", raw, 96)
    descriptor_size = struct.unpack_from("<H", raw, 254)[0] if incompatible & _EXT_WIDE else 32
    has_clusters = bool(read_only & _EXT_CLUSTERS)
    most_blocks = 8 * (1024 << min(log_size, 6)) << (min(log_cluster - log_size, 16) if has_clusters else 0)
    faults = {
        f"{inodes} inodes": not inodes,
        f"{blocks} blocks": not blocks,
        f"blocks of 2^{10 + log_size} bytes": log_size > 6,
        f"first data block {first_block}": first_block > 1,
        f"{blocks_per_group} blocks per group": not 0 < blocks_per_group <= most_blocks,
        f"clusters of 2^{10 + log_cluster} bytes": has_clusters and not log_size <= log_cluster <= log_size + 20,
        f"{inodes_per_group} inodes per group": not 0 < inodes_per_group <= 8 * (1024 << min(log_size, 6)),
        f"inodes of {inode_size} bytes": bool(revision) and inode_size not in {128, 256, 512, 1024, 2048, 4096},
        f"revision {revision}": revision > 1,
        f"group descriptors of {descriptor_size} bytes": descriptor_size not in {32, 64, 128, 256, 512, 1024},
    }
    found = next((name for name, is_wrong in faults.items() if is_wrong), "")
    if not found and read_only & _EXT_METADATA_CHECKSUMS and read_only >> 16 == 0:
        stored = struct.unpack_from("<I", raw, 1020)[0]
        found = "" if crc32c(raw[:1020]) ^ _ALL_ONES == stored else "its checksum is wrong"
    return found


BTRFS_CHECKSUMS: dict[int, Callable[[bytes], bytes]] = {
    0: lambda data: crc32c(data).to_bytes(4, "little"),
    2: lambda data: hashlib.sha256(data).digest(),
    3: lambda data: hashlib.blake2b(data, digest_size=32).digest(),
}
"""By the superblock's checksum type; 1 (xxhash) is not verified: no library here computes it."""
BTRFS_CHECKSUM_SIZES = {0: 4, 1: 8, 2: 32, 3: 32}
"""Bytes of a checksum, by the superblock's checksum type (btrfs_csum_type)."""


def btrfs_checksum_is_right(raw: bytes, checksum_type: int) -> bool:
    """Return whether a superblock's or tree block's first 32 bytes are the checksum of the rest."""
    checksum = BTRFS_CHECKSUMS.get(checksum_type)
    return checksum is None or raw.startswith(checksum(raw[32:]))


def btrfs_superblock(window: Window) -> SuperblockCopy | None:
    """Return the first superblock of a btrfs whose checksum is right; the first with a signature where none is."""
    found = []
    window = around(window)
    for number, place in enumerate(_BTRFS_PLACES):
        raw = window.read_at(place, _BTRFS_SIZE)
        if len(raw) == _BTRFS_SIZE and raw[64:72] == b"_BHRfS_M":
            if btrfs_checksum_is_right(raw, struct.unpack_from("<H", raw, 196)[0]):
                remark = f"the superblock is damaged; its copy at byte {place} was used" if number else ""
                return SuperblockCopy(raw, remark=remark)
            found.append(SuperblockCopy(raw, remark="the checksum of the superblock is wrong"))
    return found[0] if found else None


class SquashfsSuperblock(NamedTuple):
    """The superblock of a squashfs (fs/squashfs/squashfs_fs.h, squashfs_super_block): tables by their first byte."""

    inodes: int
    made: int
    block_size: int
    fragments: int
    compression: int
    block_log: int
    flags: int
    owners: int
    major: int
    minor: int
    root: int
    size: int
    owner_table: int
    attribute_table: int
    inode_table: int
    directory_table: int
    fragment_table: int
    export_table: int


_SQUASHFS = struct.Struct("<4xIIIIHHHHHHQQQQQQQQ")
_SQUASHFS_COMPRESSIONS = {1: "gzip", 3: "lzo", 4: "xz", 5: "lz4", 6: "zstd"}


def squashfs_superblock(window: Window) -> SquashfsSuperblock | None:
    """Return the superblock of a squashfs, None where its signature is not there."""
    raw = window.read_at(0, _SQUASHFS.size)
    if len(raw) < _SQUASHFS.size or not raw.startswith(b"hsqs"):
        return None
    return SquashfsSuperblock(*_SQUASHFS.unpack(raw))


def squashfs_fault(found: SquashfsSuperblock) -> str:
    """Return why a squashfs with this superblock cannot be read, "" where it can."""
    if found.major != 4:
        return f"squashfs of version {found.major}.{found.minor} is not supported"
    if not 12 <= found.block_log <= 20 or found.block_size != 1 << found.block_log:
        return f"its superblock says blocks of {found.block_size} bytes and 2^{found.block_log}"
    if found.compression not in _SQUASHFS_COMPRESSIONS:
        return f"its compression, number {found.compression}, is not supported"
    if not _SQUASHFS.size <= found.inode_table < found.directory_table < 1 << 63:
        return f"its superblock puts the inodes at byte {found.inode_table}, the names at {found.directory_table}"
    return ""
