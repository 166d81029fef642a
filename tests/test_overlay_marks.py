"""What overlayfs notes of a directory in its layers, read by each reader as the kernel or a tool wrote it."""

import io
import mmap
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from loop_mounts import mounted
from media import medium_of

from volforensic.inventory.walk import WalkArguments, walk_filesystem
from volforensic.sandbox.worker import Workplace

MARKS = {
    "root": {"trusted.overlay.opaque": b"y", "trusted.overlay.redirect": b"/" + b"a" * 200},
    "user": {"user.overlay.opaque": b"y"},
    "fuse": {"user.fuseoverlayfs.opaque": b"y"},
    "none": {"trusted.overlay.opaque": b"x", "trusted.overlay.origin": b"\0" * 29, "user.overlay": b"y"},
    "long": {"trusted.overlay.opaque": b"y" * 40},
    "bare": {"trusted.overlay.metacopy": b"", "user.overlay.whiteout": b"y"},
}
EXPECTED = {
    "/root": ("overlay_opaque", "overlay_redirect"),
    "/user": ("user_overlay_opaque",),
    "/fuse": ("user_overlay_opaque",),
    "/none": (),
    "/long": (),
    "/bare": ("overlay_metacopy", "user_overlay_whiteout"),
}


def marked(root: Path) -> None:
    for name, values in MARKS.items():
        (root / name).mkdir()
        for attribute, value in values.items():
            os.setxattr(root / name, attribute, value)


def read(image: Path, kind: str) -> dict[str, tuple[str, ...]]:
    with image.open("rb") as file:
        place = Workplace(medium_of(file.fileno()), mmap.mmap(-1, mmap.PAGESIZE), None)
        given = WalkArguments(volume=0, offset=0, length=image.stat().st_size, kind=kind)
        entries = [entry for message in walk_filesystem(place, given) for entry in message.entries]
    return {entry.path.decode(): entry.attributes for entry in entries if entry.path.decode() in EXPECTED}


@pytest.mark.parametrize(
    ("kind", "tool", "mebibytes"), [("ext4", "mkfs.ext4", 8), ("xfs", "mkfs.xfs", 320), ("btrfs", "mkfs.btrfs", 120)]
)
def test_as_the_kernel_wrote_them(tmp_path: Path, kind: str, tool: str, mebibytes: int) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(mebibytes << 20)
    subprocess.run([tool, "-q", str(image)], check=True, capture_output=True)
    with mounted(image, tmp_path / "mounted") as place:
        marked(place)
    assert read(image, kind) == EXPECTED


@pytest.mark.skipif(shutil.which("mksquashfs") is None, reason="mksquashfs is not installed")
def test_in_a_squashfs(tmp_path: Path) -> None:
    try:
        (tmp_path / "tree").mkdir()
        marked(tmp_path / "tree")
    except OSError as error:
        pytest.skip(f"no such attributes here: {error}")
    image = tmp_path / "image"
    subprocess.run(["mksquashfs", str(tmp_path / "tree"), str(image), "-quiet"], check=True, capture_output=True)
    assert read(image, "squashfs") == EXPECTED


@pytest.mark.skipif(shutil.which("mkfs.erofs") is None, reason="mkfs.erofs is not installed")
def test_in_an_erofs(tmp_path: Path) -> None:
    try:
        (tmp_path / "tree").mkdir()
        marked(tmp_path / "tree")
    except OSError as error:
        pytest.skip(f"no such attributes here: {error}")
    image = tmp_path / "image"
    subprocess.run(["mkfs.erofs", str(image), str(tmp_path / "tree")], check=True, capture_output=True)
    assert read(image, "erofs") == EXPECTED


def test_in_a_tar(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, values in MARKS.items():
            member = tarfile.TarInfo(name)
            member.type = tarfile.DIRTYPE
            member.pax_headers = {f"SCHILY.xattr.{key}": value.decode() for key, value in values.items()}
            tar.addfile(member)
    image = tmp_path / "image"
    image.write_bytes(buffer.getvalue())
    assert read(image, "tar") == EXPECTED
