"""The small sound disks that are mutated: one of each filesystem and table, of the tools that the host has."""

import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from images.hostile.ext_disk import Ext
from images.hostile.kit import good_tree
from images.hostile.other_disks import btrfs_image, xfs_image
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


def _squashfs(compression: str) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "disk.raw"
        command = ["mksquashfs", str(good_tree(folder / "tree")), str(path), "-quiet", "-no-progress", "-all-root"]
        subprocess.run([*command, "-comp", compression, "-mkfs-time", "0"], check=True, capture_output=True)
        return path

    return build


def _iso(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "disk.raw"
    command = ["genisoimage", "-quiet", "-R", "-J", "-o", str(path), str(good_tree(folder / "tree"))]
    subprocess.run(command, check=True, capture_output=True)
    return path


def _ntfs(folder: Path) -> Path:
    """Build an NTFS with files in its root directory: ntfscp makes no others."""
    tree = good_tree(folder / "tree")
    path = folder / "disk.raw"
    with path.open("wb") as file:
        file.truncate(4 << 20)
    subprocess.run(
        ["mkfs.ntfs", "-q", "-F", "-f", "-s", "512", "-c", "512", str(path)], check=True, capture_output=True
    )
    for each in sorted(found for found in tree.rglob("*") if found.is_file()):
        subprocess.run(["ntfscp", "-q", "-f", str(path), str(each), each.name], check=True, capture_output=True)
    return path


SEEDS = {
    "ext2": Seed(_ext("ext2", "^resize_inode")),
    "ext4": Seed(_ext("ext4", "^metadata_csum,^has_journal")),
    "ext4-checksums": Seed(_ext("ext4", "metadata_csum,has_journal")),
    "ext4-inline": Seed(_ext("ext4", "metadata_csum,^has_journal,inline_data")),
    "gpt": Seed(lambda folder: gpt_disk(folder)[0]),
    "mbr": Seed(_mbr),
    "xfs": Seed(xfs_image, ("mkfs.xfs",)),
    "xfs-v4": Seed(lambda folder: xfs_image(folder, "-m", "crc=0"), ("mkfs.xfs",)),
    "btrfs": Seed(btrfs_image, ("mkfs.btrfs",)),
    "squashfs": Seed(_squashfs("gzip"), ("mksquashfs",)),
    "squashfs-xz": Seed(_squashfs("xz"), ("mksquashfs",)),
    "iso9660": Seed(_iso, ("genisoimage",)),
    "ntfs": Seed(_ntfs, ("mkfs.ntfs", "ntfscp")),
}
"""By name; what the host cannot build is skipped, and that is said."""
