"""Superblocks and geometry: zero and the most in each field that divides, shifts or counts (hostile-inputs 4.3)."""

import struct
import subprocess
from pathlib import Path

from images.hostile.ext_disk import Ext
from images.hostile.kit import UUID, Builder, Hostile


def _superblock_field(name: str, value: int) -> Builder:
    offset, form = SUPERBLOCK_FIELDS[name]
    costs = ("/",) if (name, min(value, 1)) in _HOPELESS else ()

    def build(folder: Path) -> Hostile:
        image = Ext(folder)
        image.superblock(offset, form, value)
        return Hostile(image.path, keeps=(), statuses=(0, 3, 7), costs=costs)

    return build


SUPERBLOCK_FIELDS = {
    "inodes_count": (0, "<I"),
    "blocks_count": (4, "<I"),
    "first_data_block": (20, "<I"),
    "log_block_size": (24, "<I"),
    "blocks_per_group": (32, "<I"),
    "inodes_per_group": (40, "<I"),
    "magic": (56, "<H"),
    "revision": (76, "<I"),
    "first_inode": (84, "<I"),
    "inode_size": (88, "<H"),
    "incompatible": (96, "<I"),
    "descriptor_size": (254, "<H"),
    "blocks_count_high": (336, "<I"),
    "log_groups_per_flex": (372, "<B"),
}


def _inode_table_outside(folder: Path) -> Hostile:
    image = Ext(folder)
    image.write(2048 + 8, struct.pack("<I", 0xFFFFFFF0))
    return Hostile(image.path, keeps=(), says="inode table", statuses=(3, 7), costs=("/",))


def _zeroed_superblock(folder: Path) -> Hostile:
    image = Ext(folder)
    subprocess.run(
        ["mke2fs", "-q", "-F", "-t", "ext4", "-b", "1024", "-O", "^metadata_csum,^has_journal", "-U", UUID,
         "-d", str(folder / "tree"), str(image.path), "20M"], check=True, capture_output=True,
    )  # fmt: skip
    image.write(1024, bytes(1024))
    return Hostile(image.path, keeps=("cron", "auth_log"), says="backup superblock")


_HOPELESS = {
    ("blocks_per_group", 0), ("inodes_per_group", 0), ("magic", 0), ("revision", 0), ("inode_size", 0),
    ("log_block_size", 1), ("magic", 1), ("inode_size", 1), ("incompatible", 1),
}  # fmt: skip
"""Fields (and whether they are 0) without which nothing can be found in an image that has no backup superblock."""

GENERATORS: dict[str, Builder] = {
    **{f"{name}-0": _superblock_field(name, 0) for name in SUPERBLOCK_FIELDS},
    **{
        f"{name}-max": _superblock_field(name, (1 << 8 * struct.calcsize(form)) - 1)
        for name, (_, form) in SUPERBLOCK_FIELDS.items()
    },
    "inode-table-outside": _inode_table_outside,
    "superblock-zeroed": _zeroed_superblock,
}
