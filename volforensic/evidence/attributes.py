"""What an inode says beside owner, mode and times: flags, the device that it stands for, capabilities.

Only flags that somebody sets are told (chattr(1), xfs_io(8)), not those with which a filesystem notes its own lay-out.
Sources: the kernel's fs/ext4/ext4.h (EXT4_*_FL), fs/xfs/libxfs/xfs_format.h (XFS_DIFLAG_*, XFS_DIFLAG2_*),
include/uapi/linux/btrfs_tree.h (BTRFS_INODE_*), include/linux/kdev_t.h.
"""

from functools import lru_cache
from typing import Literal, NamedTuple, TypeAlias

from volforensic.evidence.capabilities import capability_text

Attribute: TypeAlias = Literal[
    "acl",
    "append_only",
    "casefold",
    "compressed",
    "dax",
    "encrypted",
    "filestream",
    "immutable",
    "journaled_data",
    "no_atime",
    "no_compression",
    "no_copy_on_write",
    "no_data_checksum",
    "no_defragmentation",
    "no_dump",
    "no_symlinks",
    "no_tail",
    "overlay_metacopy",
    "overlay_opaque",
    "overlay_redirect",
    "overlay_whiteout",
    "project_inherit",
    "read_only",
    "realtime",
    "realtime_inherit",
    "secure_deletion",
    "synchronous",
    "synchronous_directory",
    "top_directory",
    "undeletable",
    "user_overlay_metacopy",
    "user_overlay_opaque",
    "user_overlay_redirect",
    "user_overlay_whiteout",
    "verity",
]
Device: TypeAlias = tuple[int, int]
FlagTable: TypeAlias = tuple[tuple[int, Attribute], ...]

EXT_FLAGS: FlagTable = (
    (0x1, "secure_deletion"),
    (0x2, "undeletable"),
    (0x4, "compressed"),
    (0x8, "synchronous"),
    (0x10, "immutable"),
    (0x20, "append_only"),
    (0x40, "no_dump"),
    (0x80, "no_atime"),
    (0x800, "encrypted"),
    (0x4000, "journaled_data"),
    (0x8000, "no_tail"),
    (0x10000, "synchronous_directory"),
    (0x20000, "top_directory"),
    (0x100000, "verity"),
    (0x2000000, "dax"),
    (0x20000000, "project_inherit"),
    (0x40000000, "casefold"),
)
XFS_FLAGS: FlagTable = (
    (0x1, "realtime"),
    (0x8, "immutable"),
    (0x10, "append_only"),
    (0x20, "synchronous"),
    (0x40, "no_atime"),
    (0x80, "no_dump"),
    (0x100, "realtime_inherit"),
    (0x200, "project_inherit"),
    (0x400, "no_symlinks"),
    (0x2000, "no_defragmentation"),
    (0x4000, "filestream"),
    (1 << 16, "dax"),  # the first of di_flags2, which follow di_flags here
)
BTRFS_FLAGS: FlagTable = (
    (0x1, "no_data_checksum"),
    (0x2, "no_copy_on_write"),
    (0x4, "read_only"),
    (0x8, "no_compression"),
    (0x20, "synchronous"),
    (0x40, "immutable"),
    (0x80, "append_only"),
    (0x100, "no_dump"),
    (0x200, "no_atime"),
    (0x400, "synchronous_directory"),
    (0x800, "compressed"),
    (1 << 32, "verity"),
)
CAPABILITY, ACCESS_LIST = b"security.capability", b"system.posix_acl_access"
OVERLAY_MARKS: dict[bytes, Attribute] = {
    b"trusted.overlay.metacopy": "overlay_metacopy",
    b"trusted.overlay.opaque": "overlay_opaque",
    b"trusted.overlay.redirect": "overlay_redirect",
    b"trusted.overlay.whiteout": "overlay_whiteout",
    b"user.fuseoverlayfs.opaque": "user_overlay_opaque",
    b"user.overlay.metacopy": "user_overlay_metacopy",
    b"user.overlay.opaque": "user_overlay_opaque",
    b"user.overlay.redirect": "user_overlay_redirect",
    b"user.overlay.whiteout": "user_overlay_whiteout",
}
"""What overlayfs notes in its layers: the kernel's Documentation/filesystems/overlayfs.rst, fuse-overlayfs(1)."""
VALUED: dict[bytes, str] = {
    CAPABILITY: "capabilities",
    **{name: "overlay marks" for name in OVERLAY_MARKS if name.endswith(b".opaque")},
}
"""The attributes whose value is asked for, and what a problem calls it."""
ASKED = (CAPABILITY, ACCESS_LIST, *OVERLAY_MARKS)
"""The attributes that are asked for; the kernel's names, with their namespace."""
_OPAQUE = b"y"


class Extended(NamedTuple):
    """What an inode's extended attributes say: its capabilities as text, what is told like a flag, what is wrong."""

    capabilities: str | None = None
    attributes: tuple[Attribute, ...] = ()
    problems: tuple[str, ...] = ()


NOTHING_EXTENDED = Extended()


@lru_cache(maxsize=1024)
def attribute_names(flags: int, table: FlagTable, more: tuple[Attribute, ...] = ()) -> tuple[Attribute, ...]:
    """Return the names of the flags that are set, and ``more``, in the order of the alphabet."""
    found: list[Attribute] = [name for bit, name in table if flags & bit]
    return tuple(sorted([*found, *more]))


def linux_device(number: int) -> Device:
    """Return a device number as the kernel keeps it in memory: 12 bits and 20."""
    return number >> 20 & 0xFFF, number & 0xFFFFF


def ext_device(old: int, new: int) -> Device:
    """Return a device's major and minor number from the first two words of an ext inode's block map."""
    if old:
        return old >> 8 & 0xFF, old & 0xFF
    return new >> 8 & 0xFFF, new & 0xFF | new >> 12 & 0xFFF00


def xfs_device(number: int) -> Device:
    """Return a device's major and minor number from an XFS inode: 14 bits and 18, of which the kernel takes 9."""
    return number >> 18 & 0x1FF, number & 0x3FFFF


def extended(names: dict[bytes, bytes | None], problems: list[str]) -> Extended:
    """Return what the attributes say; ``names`` holds those that are asked for, None where a value was not read."""
    value = names.get(CAPABILITY)
    text = None
    if value is not None:
        try:
            text = capability_text(value)
        except ValueError as error:
            problems.append(f"its capabilities are damaged: {error}")
    told: set[Attribute] = {"acl"} if ACCESS_LIST in names else set()
    for name, found in names.items():
        mark = OVERLAY_MARKS.get(name)
        if mark is not None and (name not in VALUED or found == _OPAQUE):
            told.add(mark)
    return Extended(text, tuple(sorted(told)), tuple(dict.fromkeys(problems[:5])))
