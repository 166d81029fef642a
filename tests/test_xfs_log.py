"""Whether an XFS log waits to be replayed."""

import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loop_mounts import mounted
from media import medium_of

from images.hostile.other_disks import xfs_image
from volforensic.evidence.reader import Window
from volforensic.evidence.superblocks import crc32c
from volforensic.evidence.xfs_log import log_state

UNREPLAYED = "the log does not end with an unmount"


def state(path: Path) -> str:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return log_state(Window(medium_of(descriptor), 0, path.stat().st_size))
    finally:
        os.close(descriptor)


def test_a_new_filesystem_is_clean(tmp_path: Path) -> None:
    assert state(xfs_image(tmp_path)) == "clean"


def test_a_filesystem_copied_while_mounted_is_not_and_after_unmounting_is(tmp_path: Path) -> None:
    path = xfs_image(tmp_path)
    copy = tmp_path / "copy.raw"
    with mounted(path, tmp_path / "mount") as folder:
        for number in range(50):
            (folder / f"new{number}").write_text("new")
        descriptor = os.open(folder, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
        shutil.copyfile(path, copy)
    assert UNREPLAYED in state(copy)
    assert state(path) == "clean"


@pytest.mark.skipif(shutil.which("mkfs.xfs") is None, reason="mkfs.xfs is not installed")
@pytest.mark.parametrize("options", [["-s", "size=4096"], ["-l", "su=32k"], ["-l", "su=256k"]])
def test_the_unmount_record_may_be_as_long_as_the_logs_sector_or_stripe(tmp_path: Path, options: list[str]) -> None:
    path, copy = tmp_path / "disk.raw", tmp_path / "copy.raw"
    with path.open("wb") as file:
        file.truncate(320 << 20)
    subprocess.run(["mkfs.xfs", "-q", *options, str(path)], check=True)
    with mounted(path, tmp_path / "mount") as folder:
        (folder / "new").write_text("new")
        os.sync()
        subprocess.run(["cp", "--sparse=always", str(path), str(copy)], check=True)
    assert state(path) == "clean"
    assert UNREPLAYED in state(copy)


@pytest.mark.parametrize(
    ("offset", "form", "value", "sentence"),
    [
        (48, ">Q", 0, "on another device"),
        (48, ">Q", (1 << 64) - 1, "outside the volume"),
        (84, ">I", 0xFFFFFFFF, "clean"),  # a copy of the superblock is right
        (96, ">I", 0, "outside the volume"),
        (96, ">I", 0xFFFFFFFF, "outside the volume"),
        (4, ">I", 0, "clean"),
        (124, ">B", 255, "clean"),
    ],
)
def test_absurd_superblocks_are_said(tmp_path: Path, offset: int, form: str, value: int, sentence: str) -> None:
    path = xfs_image(tmp_path)
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(struct.pack(form, value))
        file.seek(0)
        sector = bytearray(file.read(512))
        sector[224:228] = bytes(4)
        file.seek(224)
        file.write(struct.pack("<I", crc32c(bytes(sector))))
    assert sentence in state(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.binary(max_size=400))
def test_any_superblock_gives_a_sentence(tmp_path: Path, noise: bytes) -> None:
    path = tmp_path / "noise.raw"
    path.write_bytes(b"XFSB" + noise.ljust(70_000, b"\0"))
    assert state(path)
