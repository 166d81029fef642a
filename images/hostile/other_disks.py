"""Sound small disks of the other filesystems, for what damages them."""

import os
import subprocess
import uuid
from pathlib import Path

from images.hostile.kit import MEBIBYTE, UUID, good_tree


def xfs_image(folder: Path, *options: str) -> Path:
    """Build an XFS with the good tree; mkfs.xfs takes one as small as this only for its own test suite."""
    folder.mkdir(parents=True, exist_ok=True)
    tree = good_tree(folder / "tree")
    prototype = folder / "prototype"
    prototype.write_text("\n".join(["/", "0 0", "d--755 0 0", *_prototype(tree), "$", ""]))
    path = folder / "disk.raw"
    path.touch()
    os.truncate(path, 32 * MEBIBYTE)
    environment = os.environ | {"TEST_DIR": "1", "TEST_DEV": "1", "QA_CHECK_FS": "1"}
    subprocess.run(
        ["mkfs.xfs", "-q", "-f", "-m", f"uuid={UUID}", *options, "-p", str(prototype), str(path)],
        check=True, env=environment, capture_output=True,
    )  # fmt: skip
    return path


def _prototype(directory: Path) -> list[str]:
    lines = []
    for path in sorted(directory.iterdir()):
        if path.is_dir():
            lines += [f"{path.name} d--755 0 0", *_prototype(path), "$"]
        else:
            lines.append(f"{path.name} ---644 0 0 {path}")
    return lines


def btrfs_image(folder: Path, identity: str = "") -> Path:
    """Build a btrfs with the good tree, data and metadata mixed so that it is small.

    Its UUID is the folder's own where none is given: mkfs.btrfs refuses one that the kernel knows of a mounted device.
    """
    identity = identity or str(uuid.uuid5(uuid.NAMESPACE_URL, str(folder)))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "disk.raw"
    path.touch()
    os.truncate(path, 32 * MEBIBYTE)
    tree = good_tree(folder / "tree")
    subprocess.run(
        ["mkfs.btrfs", "-q", "--mixed", "-U", identity, "--rootdir", str(tree), str(path)],
        check=True,
        capture_output=True,
    )
    return path


def squashfs_image(folder: Path, *options: str) -> Path:
    """Build a squashfs with the good tree."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "disk.raw"
    command = ["mksquashfs", str(good_tree(folder / "tree")), str(path), "-quiet", "-no-progress", "-all-root"]
    subprocess.run([*command, "-mkfs-time", "0", *options], check=True, capture_output=True)
    return path


def erofs_image(folder: Path, *options: str) -> Path:
    """Build an erofs with the good tree; ``options`` are further ones of mkfs.erofs(1)."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "disk.raw"
    command = ["mkfs.erofs", "--quiet", "--all-root", "-T0", f"-U{UUID}", *options, str(path)]
    subprocess.run([*command, str(good_tree(folder / "tree"))], check=True, capture_output=True)
    return path


def iso_image(folder: Path) -> Path:
    """Build an ISO 9660 with Rock Ridge and Joliet and the good tree."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "disk.raw"
    command = ["genisoimage", "-quiet", "-R", "-J", "-o", str(path), str(good_tree(folder / "tree"))]
    subprocess.run(command, check=True, capture_output=True)
    return path


def ntfs_image(folder: Path) -> Path:
    """Build an NTFS with the good files in its root directory: ntfscp makes no others."""
    tree = good_tree(folder / "tree")
    path = folder / "disk.raw"
    with path.open("wb") as file:
        file.truncate(4 * MEBIBYTE)
    command = ["mkfs.ntfs", "-q", "-F", "-f", "-s", "512", "-c", "512", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    for each in sorted(found for found in tree.rglob("*") if found.is_file()):
        subprocess.run(["ntfscp", "-q", "-f", str(path), str(each), each.name], check=True, capture_output=True)
    return path
