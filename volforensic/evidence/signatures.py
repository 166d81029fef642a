"""Which filesystem a range of the source holds, by its signature; also what is recognised and cannot be read yet.

Sources: the kernel's Documentation/filesystems/ext4/ (superblock), fs/xfs/libxfs/xfs_format.h (xfs_dsb),
include/uapi/linux/btrfs_tree.h (btrfs_super_block), fs/squashfs/squashfs_fs.h, fs/erofs/erofs_fs.h, libblkid's
list of magic values (libblkid(3)).
"""

import re
import struct
import uuid

import msgspec

from volforensic.evidence.archive_signatures import ARCHIVES, archive_kind
from volforensic.evidence.erofs_superblocks import MAGIC, PLACE, erofs_fault, erofs_remark, erofs_superblock
from volforensic.evidence.reader import Window
from volforensic.evidence.superblocks import (
    KERNEL_MAY_KNOW,
    UNKNOWN_FEATURES,
    btrfs_superblock,
    ext_superblock,
    squashfs_fault,
    squashfs_superblock,
)
from volforensic.evidence.xfs_superblocks import feature_remark, xfs_superblock

_EXT_RECOVER, _EXT_JOURNAL_DEVICE = 0x4, 0x8
_EXT_WIDE = 0x80
_EXTENTS, _JOURNAL = b"\x0a\xf3", b"\xc0\x3b\x39\x98"
_EXT_KNOWN = 0x3E7DE  # all of include/uapi but compression, external journal and data in directory entries
_HEAD = 64 << 10
_EXT_RESERVED, _XFS_RESERVED = 9, 2  # inodes in use that have no name: 1 to 10 but the root; the realtime maps

_PAGE_SIZES = (4096, 8192, 16384, 32768, 65536)
_SUSPENDED = (b"S1SUSPEND", b"S2SUSPEND", b"ULSUSPEND", b"LINHIB0001", b"\xed\xc3\x02\xe9\x98\x56\xe5\x0c")
SUSPENDED = "it holds the memory of a machine that was suspended (hibernation)"
CONTAINERS = ("luks", "lvm2", "linux_raid")
READABLE = ("ext2", "ext3", "ext4", "xfs", "btrfs", "fat", "exfat", "ntfs", "iso9660", "squashfs", "erofs", *ARCHIVES)


class Filesystem(msgspec.Struct, frozen=True, kw_only=True):
    """What a superblock says: type, label, UUID, block size in bytes, and whether a log waits to be replayed.

    ``state`` is ``clean``, or says what the filesystem's newest changes are still in. ``unread`` is why it cannot be
    read at all ("" where it can), ``remark`` what is damaged in the superblock itself ("" for nothing).
    ``devices`` is how many a btrfs has, ``device`` the number of this one. ``inodes_used`` is the superblock's own
    count, 0 where it has none: good for a progress bar, not for a proof.
    """

    type: str
    label: str = ""
    uuid: str = ""
    block_size: int = 0
    state: str = "clean"
    unread: str = ""
    remark: str = ""
    inodes_used: int = 0
    devices: int = 1
    device: int = 0

    @property
    def has_unknown_features(self) -> bool:
        """Whether it is newer than its reader."""
        return UNKNOWN_FEATURES in self.remark or UNKNOWN_FEATURES in self.unread


def recognise(window: Window, *, is_disk: bool = False) -> Filesystem | None:
    """Return the filesystem (or what else is known by a signature) at the start of the window, or None.

    Archives are looked for only where the window is a whole disk (``is_disk``); a filesystem that can be read goes
    before them.
    """
    found = _filesystem(window)
    archive = archive_kind(window) if is_disk else ""
    if not archive:
        return found
    if found is None or found.type not in READABLE or found.unread:
        return Filesystem(type=archive, remark=_beside(found.type) if found else "")
    remark = "; ".join(filter(None, (found.remark, _beside(archive))))
    return msgspec.structs.replace(found, remark=remark)


def _beside(kind: str) -> str:
    return f"there is a signature of {kind} too: it was not read as one"


def _filesystem(window: Window) -> Filesystem | None:
    head = window.read_at(0, _HEAD)
    # A copy of an ext superblock may be left of what was here before: other signatures come first.
    has_ext = head[1080:1082] == b"\x53\xef"
    first = (_luks, _lvm, _xfs, *((_ext,) if has_ext else ()))
    looks = (*first, _btrfs, _microsoft, _swap, _squashfs, _others, _erofs, _raid, _xfs_by_copy, _ext)
    for look in looks:
        found: Filesystem | None = look(head, window)
        if found is not None:
            return found
    return None


def recognise_behind(window: Window) -> Filesystem | None:
    """Return the filesystem that begins where a container of volumes seems to begin too, None where there is none.

    The first bytes of ext and btrfs are nobody's: whoever owns the disk can write what begins LUKS or LVM there. Only
    a whole superblock in its first place counts: copies outlive the filesystem that they are of.
    """
    head = window.read_at(0, _HEAD)
    if head[1080:1082] == b"\x53\xef":
        found = _ext(head, window)
    elif window.read_at(0x10040, 8) == b"_BHRfS_M":
        found = _btrfs(head, window)
    else:
        return None
    return found if found is not None and not found.remark and not found.unread else None


def is_empty(window: Window) -> bool:
    """Return whether the first and the last 64 KiB of the window are NUL bytes."""
    return not any(window.read_at(0, _HEAD)) and not any(window.read_at(max(0, window.length - _HEAD), _HEAD))


def _ext(_head: bytes, window: Window) -> Filesystem | None:
    copy = ext_superblock(window)
    if copy is None:
        return None
    superblock = copy.raw
    log_block_size, compatible, incompatible, read_only = struct.unpack_from("<24xI64xIII", superblock)
    blocks = struct.unpack_from("<I", superblock, 4)[0]
    if incompatible & _EXT_WIDE:
        blocks |= struct.unpack_from("<I", superblock, 336)[0] << 32
    kind = "ext2"
    if compatible & 0x4:
        kind = "ext3"
    if incompatible & 0x2C0 or read_only & 0x78:  # extents, 64bit, flex_bg; huge_file, gdt_csum, dir_nlink, extra_isize
        kind = "ext4"
    state = "clean"
    if incompatible & _EXT_RECOVER or (copy.block and _ext_journal_waits(superblock, window)):
        state = "the journal holds committed changes that are not in the filesystem yet"
    remark = copy.remark or _beyond(blocks << 10 + min(log_block_size, 6), window)
    if not remark and incompatible & ~_EXT_KNOWN:
        remark = f"{UNKNOWN_FEATURES}: {incompatible & ~_EXT_KNOWN:#x} ({KERNEL_MAY_KNOW})"
    unread = ""
    if incompatible & _EXT_JOURNAL_DEVICE:
        unread = "this is an external journal"
    return Filesystem(
        type=kind,
        label=_name(superblock[120:136]),
        uuid=str(uuid.UUID(bytes=superblock[104:120])),
        block_size=1024 << min(log_block_size, 6),
        state=state,
        unread=unread,
        remark=remark,
        inodes_used=_used(struct.unpack_from("<I12xI", superblock), _EXT_RESERVED),
    )


def _ext_journal_waits(raw: bytes, window: Window) -> bool:
    """Return whether the journal holds changes by itself: copies of the superblock do not say so.

    They have the journal's block map (s_jnl_blocks, Documentation/filesystems/ext4/super.rst), its first block is its
    own superblock (journal.rst: s_start is 0 where nothing waits).
    """
    blocks, size = raw[268:328], 1024 << struct.unpack_from("<I", raw, 24)[0]
    block = struct.unpack_from("<I", blocks)[0]
    if blocks.startswith(_EXTENTS) and not blocks[6] and blocks[2]:
        high, low = struct.unpack_from("<HI", blocks, 18)
        block = high << 32 | low
    journal = window.read_at(block * size, 32)
    return journal.startswith(_JOURNAL) and journal[28:32] != bytes(4)


def _used(counts: tuple[int, int], reserved: int) -> int:
    inodes, free = counts
    return max(0, inodes - free - reserved) if free <= inodes < 1 << 40 else 0


def _xfs(head: bytes, window: Window) -> Filesystem | None:
    return _xfs_by_copy(head, window) if head.startswith(b"XFSB") else None


def _xfs_by_copy(_head: bytes, window: Window) -> Filesystem | None:
    copy = xfs_superblock(window)
    if copy is None:
        return None
    raw = copy.raw
    block_size, blocks = struct.unpack_from(">IQ", raw, 4)
    return Filesystem(
        type="xfs",
        label=_name(raw[108:120]),
        uuid=str(uuid.UUID(bytes=raw[32:48])),
        block_size=block_size,
        remark="; ".join(filter(None, (copy.remark or _beyond(blocks * block_size, window), feature_remark(raw)))),
        inodes_used=_used(struct.unpack_from(">QQ", raw, 128), _XFS_RESERVED),
    )


def _beyond(size: int, window: Window) -> str:
    """Return a sentence where the filesystem says that it is larger than its volume, "" where it is not."""
    return f"it says that it has {size} bytes, the volume has {window.length}" if size > window.length else ""


def _btrfs(_head: bytes, window: Window) -> Filesystem | None:
    copy = btrfs_superblock(window)
    if copy is None:
        return None
    superblock = copy.raw
    log_root = struct.unpack_from("<Q", superblock, 96)[0]
    devices, sector_size = struct.unpack_from("<QI", superblock, 136)
    return Filesystem(
        type="btrfs",
        label=_name(superblock[0x12B : 0x12B + 256]),
        uuid=str(uuid.UUID(bytes=superblock[32:48])),
        block_size=sector_size,
        state="a log tree holds changes that are not in the filesystem yet" if log_root else "clean",
        devices=devices,
        device=struct.unpack_from("<Q", superblock, 201)[0],
        remark=copy.remark or _beyond(struct.unpack_from("<Q", superblock, 209)[0], window),
    )


def _luks(head: bytes, _window: Window) -> Filesystem | None:
    if head.startswith(b"LUKS\xba\xbe"):
        return Filesystem(type="luks", uuid=_name(head[168:208]), unread="it is encrypted")
    return None


def _lvm(head: bytes, _window: Window) -> Filesystem | None:
    if any(head[sector * 512 : sector * 512 + 8] == b"LABELONE" for sector in range(4)):
        return Filesystem(type="lvm2")
    return None


def _microsoft(head: bytes, _window: Window) -> Filesystem | None:
    if head[510:512] != b"\x55\xaa":
        return None
    if head[3:11] == b"NTFS    ":
        return Filesystem(type="ntfs")
    if head[3:11] == b"EXFAT   ":
        return Filesystem(type="exfat")
    if head[54:57] == b"FAT":
        return Filesystem(type="fat", label=_name(head[43:54]), uuid=_serial(head[39:43]))
    if head[82:87] == b"FAT32":
        return Filesystem(type="fat", label=_name(head[71:82]), uuid=_serial(head[67:71]))
    return None


def _swap(head: bytes, _window: Window) -> Filesystem | None:
    """Recognise swap: its signature ends the first page, whatever a page of that machine has (mm/swapfile.c)."""
    for size in _PAGE_SIZES:
        magic = head[size - 10 : size]
        if magic in {b"SWAPSPACE2", b"SWAP-SPACE"}:
            is_new = magic == b"SWAPSPACE2"
            return Filesystem(
                type="swap",
                label=_name(head[1052:1068]) if is_new else "",
                uuid=str(uuid.UUID(bytes=head[1036:1052])) if is_new else "",
                block_size=size,
            )
        if magic.startswith(_SUSPENDED):
            return Filesystem(type="swap", block_size=size, state=SUSPENDED)
    return None


def _others(head: bytes, _window: Window) -> Filesystem | None:
    if head[32769:32774] == b"CD001":
        return Filesystem(type="iso9660", label=_name(head[32808:32840]))
    return None


def _erofs(head: bytes, window: Window) -> Filesystem | None:
    superblock = erofs_superblock(window)
    if superblock is None:
        return Filesystem(type="erofs", unread="its superblock is cut") if head[PLACE:].startswith(MAGIC) else None
    fault = erofs_fault(superblock)
    return Filesystem(
        type="erofs",
        label=_name(superblock.label),
        uuid=str(uuid.UUID(bytes=superblock.uuid)),
        block_size=0 if fault else superblock.block_size,
        unread=fault,
        remark=erofs_remark(superblock) or ("" if fault else _beyond(superblock.size, window)),
        inodes_used=superblock.inodes if superblock.inodes < 1 << 40 else 0,
    )


def _squashfs(head: bytes, window: Window) -> Filesystem | None:
    if not head.startswith(b"hsqs"):
        return None
    superblock = squashfs_superblock(window)
    if superblock is None:
        return Filesystem(type="squashfs", unread="its superblock is cut")
    fault = squashfs_fault(superblock)
    return Filesystem(
        type="squashfs",
        block_size=0 if fault else superblock.block_size,
        unread=fault,
        remark=_beyond(superblock.size, window),
        inodes_used=superblock.inodes,
    )


def _raid(head: bytes, window: Window) -> Filesystem | None:
    magic = b"\xfc\x4e\x2b\xa9"
    at_end = window.read_at(window.length - 65536 & ~65535, 4)
    if magic in (head[:4], head[4096:4100], at_end):
        return Filesystem(type="linux_raid")
    return None


def _serial(raw: bytes) -> str:
    number = int.from_bytes(raw, "little")
    return f"{number >> 16:04X}-{number & 0xFFFF:04X}"


def _name(raw: bytes) -> str:
    """Return the printable part of a label: it ends at the first NUL, and what does not print is shown as ``?``."""
    return re.sub(r"[^\x20-\x7e]", "?", raw.split(b"\0")[0].decode("latin-1")).rstrip()
