"""The small sound disks that are mutated: one of each filesystem and table, of the tools that the host has."""

import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from images.hostile.ext_disk import Ext
from images.hostile.other_disks import btrfs_image, erofs_image, iso_image, ntfs_image, squashfs_image, xfs_image
from images.hostile.tables import gpt_disk


class Seed(NamedTuple):
    """A disk and the tools that build it."""

    build: Callable[[Path], Path]
    tools: tuple[str, ...] = ("mke2fs", "debugfs")

    @property
    def missing(self) -> str:
        """The first tool that the host lacks, "" where it has all."""
        return next((tool for tool in self.tools if shutil.which(tool) is None), "")


def _ext(kind: str, features: str) -> Callable[[Path], Path]:
    return lambda folder: Ext(folder, kind=kind, features=features).path


def _mbr(folder: Path) -> Path:
    """Build a disk with a primary partition and, behind two extended boot records, two logical ones."""
    content = Ext(folder, kind="ext2", features="^resize_inode").path.read_bytes()
    sectors = len(content) // 512
    disk = bytearray(2048 * 512)
    starts = [2048, 2048 + sectors + 64, 2048 + 2 * (sectors + 64)]

    def table(*entries: tuple[int, int, int]) -> bytes:
        rows = b"".join(struct.pack("<B3xB3xII", 0, *entry) for entry in entries)
        return rows.ljust(64, b"\0") + b"\x55\xaa"

    extended = starts[1] - 64
    disk[446:512] = table((0x83, starts[0], sectors), (0x05, extended, 2 * (sectors + 64)))
    for number, following in ((1, starts[2] - 64), (2, 0)):
        disk += bytes((starts[number] - 64) * 512 - len(disk)) if number > 1 else content
        record = bytearray(64 * 512)
        rest = ((0x05, following - extended, sectors + 64),) if following else ()
        record[446:512] = table((0x83, 64, sectors), *rest)
        disk += record + content
    path = folder / "mbr.raw"
    path.write_bytes(disk)
    return path


_IDENTITY = "0b7c6f6e-1d0e-4a57-9c3f-6a8f0b1d2e3f"
"""Of its own: mkfs.btrfs refuses one that the kernel has met on a mounted device."""

SEEDS = {
    "ext2": Seed(_ext("ext2", "^resize_inode")),
    "ext4": Seed(_ext("ext4", "^metadata_csum,^has_journal")),
    "ext4-checksums": Seed(_ext("ext4", "metadata_csum,has_journal")),
    "ext4-inline": Seed(_ext("ext4", "metadata_csum,^has_journal,inline_data")),
    "gpt": Seed(lambda folder: gpt_disk(folder)[0]),
    "mbr": Seed(_mbr),
    "xfs": Seed(xfs_image, ("mkfs.xfs",)),
    "xfs-v4": Seed(lambda folder: xfs_image(folder, "-m", "crc=0"), ("mkfs.xfs",)),
    "btrfs": Seed(lambda folder: btrfs_image(folder, _IDENTITY), ("mkfs.btrfs",)),
    "squashfs": Seed(squashfs_image, ("mksquashfs",)),
    "squashfs-xz": Seed(lambda folder: squashfs_image(folder, "-comp", "xz"), ("mksquashfs",)),
    "erofs": Seed(erofs_image, ("mkfs.erofs",)),
    "erofs-lz4": Seed(lambda folder: erofs_image(folder, "-zlz4", "-C65536", "-Eztailpacking"), ("mkfs.erofs",)),
    "iso9660": Seed(iso_image, ("genisoimage",)),
    "ntfs": Seed(ntfs_image, ("mkfs.ntfs", "ntfscp")),
}
"""By name; what the host cannot build is skipped, and that is said."""
