"""A filesystem whose unused first bytes begin like a container of volumes: both readings are tried."""

import shutil
import subprocess
from pathlib import Path

import pytest
from memory_media import MemoryMedium
from test_sources import disk, read  # noqa: F401 - a fixture

from volforensic.evidence.reader import Window
from volforensic.evidence.signatures import recognise_behind

LUKS, LVM = (0, b"LUKS\xba\xbe\0\2"), (512, b"LABELONE")
TABLE = (446, bytes([0, 0, 2, 0, 0x83, 0, 0, 0, 1, 0, 0, 0, 0, 16, 0, 0]).ljust(64, b"\0") + b"\x55\xaa")


@pytest.mark.parametrize("heads", [[LUKS], [LVM], [LUKS, TABLE], [LVM, TABLE]])
def test_no_signature_in_its_first_sectors_hides_a_filesystem(
    heads: list[tuple[int, bytes]],
    disk: bytes,  # noqa: F811 - the fixture
    tmp_path: Path,
) -> None:
    changed = bytearray(disk)
    for place, head in heads:
        changed[place : place + len(head)] = head
    path = tmp_path / "disk"
    path.write_bytes(changed)
    assert any(row["path"] == "/usr/bin/tool" for row in read(path).rows)


def test_a_copy_is_not_what_begins_there(disk: bytes) -> None:  # noqa: F811 - the fixture
    def kind(image: bytes) -> str:
        found = recognise_behind(Window(MemoryMedium(image), 0, len(image)))
        return found.type if found is not None else ""

    assert kind(disk) == "ext4"
    assert not kind(disk[:1024] + bytes(1024) + disk[2048:])


@pytest.mark.skipif(shutil.which("mkfs.btrfs") is None, reason="mkfs.btrfs is not installed")
def test_btrfs_behind_a_label_of_lvm_is_read(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "file").write_bytes(b"content")
    path = tmp_path / "disk"
    with path.open("wb") as file:
        file.truncate(128 << 20)
    subprocess.run(["mkfs.btrfs", "-q", "--rootdir", str(tmp_path / "tree"), str(path)], check=True)
    with path.open("r+b") as file:
        file.seek(LVM[0])
        file.write(LVM[1])
    assert any(row["path"] == "/file" for row in read(path).rows)
