"""Unpartitioned ranges and what is found in them, and on disks whose table is gone."""

import errno
import shutil
import struct
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
from media import medium_of

from volforensic.evidence.filesystem_search import FoundFilesystem, search_filesystems
from volforensic.evidence.gaps import Gap, find_gaps, found_partitions
from volforensic.evidence.partition import Partition
from volforensic.evidence.reader import Window
from volforensic.record import Problem

MEBIBYTE = 1 << 20
UUID = "6d0c1f3e-5a47-4b1e-9a55-0f5f8d3b7c21"


class Bytes(NamedTuple):
    """A medium of bytes in memory; ``bad`` is a range that cannot be read."""

    content: bytes
    bad: range = range(0)

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return len(self.content)

    def read_at(self, position: int, size: int) -> bytes:
        """Return bytes, or fail where one of them is bad."""
        end = min(position + size, len(self.content))
        if position < self.bad.stop and self.bad.start < end:
            raise OSError(errno.EIO, "the medium cannot be read here")
        return self.content[position:end]


def part(offset: int, length: int) -> Partition:
    return Partition(offset=offset, length=length, table="gpt", number=1, type="x")


def searched(content: bytes, bad: range = range(0)) -> list[FoundFilesystem | Problem]:
    return list(search_filesystems(Window(Bytes(content, bad), 0, len(content)), lambda _: None))


def made(folder: Path, command: str, mebibytes: int) -> bytes:
    path = folder / "filesystem"
    with path.open("wb") as file:
        file.truncate(mebibytes * MEBIBYTE)
    subprocess.run([*command.split(), str(path)], check=True, capture_output=True)
    return path.read_bytes()


def ext(folder: Path, options: str = "") -> bytes:
    return made(folder, f"mke2fs -q -F -t ext4 -U {UUID} {options}", 32)


@pytest.mark.parametrize(
    ("partitions", "gaps"),
    [
        ([], [Gap(0, 1000)]),
        ([part(0, 1000)], []),
        ([part(100, 400), part(600, 400)], [Gap(0, 100), Gap(500, 100)]),
        ([part(600, 100), part(100, 400), part(200, 50), part(450, 100)], [Gap(0, 100), Gap(550, 50), Gap(700, 300)]),
        ([part(0, 1 << 60)], []),
        ([part(2000, 5)], [Gap(0, 1000)]),
    ],
)
def test_gaps(partitions: list[Partition], gaps: list[Gap]) -> None:
    assert find_gaps(1000, partitions, 50) == gaps
    assert find_gaps(1000, partitions) == []


@pytest.mark.parametrize(
    ("command", "kind", "mebibytes"),
    [
        ("mke2fs -q -F -t ext4", "ext4", 24),
        ("mke2fs -q -F -t ext2 -b 1024", "ext2", 16),
        ("mkfs.xfs -q -f", "xfs", 320),
        ("mkfs.btrfs -q -f --mixed", "btrfs", 24),
        ("mkswap", "swap", 4),
        ("mkfs.vfat", "fat", 8),
        ("mkfs.ntfs -q -F -Q", "ntfs", 8),
        ("mkfs.exfat", "exfat", 8),
    ],
)
def test_each_kind_is_found_at_its_first_byte(tmp_path: Path, command: str, kind: str, mebibytes: int) -> None:
    if shutil.which(command.split(maxsplit=1)[0]) is None:
        pytest.skip(f"{command.split(maxsplit=1)[0]} is not installed")
    content = made(tmp_path, command, mebibytes)
    found = searched(bytes(63 * 512) + content + bytes(MEBIBYTE))
    places = [(one.offset, one.length, one.filesystem.type) for one in found if isinstance(one, FoundFilesystem)]
    assert places == [(63 * 512, mebibytes * MEBIBYTE, kind)]
    assert len(found) == 1


def test_an_ext_whose_beginning_was_wiped_is_found_by_its_copies(tmp_path: Path) -> None:
    content = ext(tmp_path, "-b 1024")
    (found,) = searched(bytes(5 * 512 + 65536) + content[65536:])
    assert isinstance(found, FoundFilesystem)
    assert (found.offset, found.length, found.filesystem.uuid) == (5 * 512, 32 * MEBIBYTE, UUID)
    assert "backup superblock" in found.filesystem.remark


def test_an_xfs_whose_beginning_was_wiped_is_found_by_its_copies(tmp_path: Path) -> None:
    content = made(tmp_path, "mkfs.xfs -q -f", 320)
    (found,) = searched(bytes(2 * MEBIBYTE) + content[MEBIBYTE:])
    assert isinstance(found, FoundFilesystem)
    assert (found.offset, found.length) == (MEBIBYTE, 320 * MEBIBYTE)
    assert "copy" in found.filesystem.remark + found.filesystem.unread


def test_images_inside_a_filesystem_are_told_and_not_listed(tmp_path: Path) -> None:
    outer = bytearray(ext(tmp_path))
    inner = made(tmp_path, "mkfs.btrfs -q -f --mixed", 16)
    outer[12 * MEBIBYTE : 28 * MEBIBYTE] = inner
    content = bytes(outer)
    result = list(
        found_partitions(
            Window(Bytes(bytes(512) + content), 512, len(content)), Gap(0, len(content)), 4, lambda _: None
        )
    )
    (found,) = (one for one in result if isinstance(one, Partition))
    assert (found.offset, found.entry, found.number, found.table, found.type) == (0, 4, 0, "found", "ext4")
    said = [one.reason for one in result if isinstance(one, Problem)]
    assert f"btrfs at byte {12 * MEBIBYTE}" in said[-1]


def test_what_cannot_be_read_is_told_and_read_around(tmp_path: Path) -> None:
    content = bytes(8 * MEBIBYTE) + ext(tmp_path)
    found, *told = searched(content, range(MEBIBYTE, MEBIBYTE + 700))
    assert isinstance(found, FoundFilesystem)
    assert found.offset == 8 * MEBIBYTE
    assert [(one.offset, one.length, one.lost) for one in told if isinstance(one, Problem)] == [
        (MEBIBYTE, 512, True),
        (MEBIBYTE + 512, 512, True),
    ]


def test_a_disk_full_of_signatures_ends() -> None:
    sector = b"XFSB" + struct.pack(">IQ", 4096, 1000).ljust(80, b"\0") + struct.pack(">IIIIHH", 250, 4, 1, 1, 4, 512)
    sector += b"\xfc\x4e\x2b\xa9".ljust(4)
    found = searched((sector.ljust(510, b"\0") + b"\x55\xaa") * 20_000)
    assert sum(isinstance(one, FoundFilesystem) for one in found) <= 1000
    assert any(isinstance(one, Problem) and one.lost for one in found)


def test_no_more_is_searched_than_allowed(tmp_path: Path) -> None:
    content = bytes(8 * MEBIBYTE) + ext(tmp_path)
    (told,) = search_filesystems(Window(Bytes(content), 0, len(content)), lambda _: None, 8 * MEBIBYTE)
    assert isinstance(told, Problem)
    assert (told.offset, told.length, told.lost) == (8 * MEBIBYTE, 32 * MEBIBYTE, True)


def test_bytes_without_a_filesystem_give_nothing() -> None:
    assert searched(b"") == []
    assert searched(bytes(MEBIBYTE + 3)) == []
    assert searched(b"\x53\xef\x55\xaaLUKS hsqs XFSB" * 9000) == []


def test_by_position(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    path.write_bytes(bytes(4096) + ext(tmp_path))
    with path.open("rb") as file:
        window = Window(medium_of(file.fileno()), 2048, 32 * MEBIBYTE + 2048)
        (found,) = search_filesystems(window, lambda _: None)
    assert isinstance(found, FoundFilesystem)
    assert found.offset == 2048
