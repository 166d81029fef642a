"""The layout of a source: volumes, both readings of an ambiguous start, what cannot be read."""

import errno
import mmap
import os
import struct
from pathlib import Path
from typing import NamedTuple

from media import medium_of
from test_gaps import Bytes

from images.hostile.ext_disk import Ext
from images.hostile.kit import MEBIBYTE
from images.hostile.tables import gpt_disk
from volforensic.evidence.device_groups import with_devices
from volforensic.evidence.discovery import read_layout
from volforensic.evidence.layout import Layout, LayoutArguments, Volume
from volforensic.evidence.signatures import Filesystem
from volforensic.sandbox.messages import PAGE_USED
from volforensic.sandbox.worker import Workplace


def layout_of(path: Path, *, searches_gaps: bool = False) -> Layout:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        place = Workplace(medium_of(descriptor), mmap.mmap(-1, PAGE_USED), None)
        return next(read_layout(place, LayoutArguments(sizes=[path.stat().st_size], searches_gaps=searches_gaps)))
    finally:
        os.close(descriptor)


def source(folder: Path, content: bytes | bytearray) -> Path:
    path = folder / "disk.raw"
    path.write_bytes(content)
    return path


def test_a_partition_is_a_volume_with_its_filesystem(tmp_path: Path) -> None:
    path, start = gpt_disk(tmp_path)
    layout = layout_of(path)
    assert (layout.table, layout.problems) == ("gpt", [])
    assert [(volume.index, volume.offset, volume.length) for volume in layout.volumes] == [(1, start, 8 * MEBIBYTE)]
    facts = layout.facts()[1]
    assert (facts.offset, facts.kind) == (start, "ext4")


def test_a_filesystem_without_a_table_is_the_volume_0(tmp_path: Path) -> None:
    layout = layout_of(Ext(tmp_path).path)
    assert [(volume.index, volume.is_readable) for volume in layout.volumes] == [(0, True)]
    assert layout.problems == []


def test_a_container_that_is_not_opened_is_named_where_a_filesystem_was_found_in_it(tmp_path: Path) -> None:
    inside = Ext(tmp_path).path.read_bytes()
    layout = layout_of(source(tmp_path, b"QED\0".ljust(MEBIBYTE, b"\1") + inside))
    assert [volume.kind for volume in layout.volumes] == ["whole", "found"]
    said = [problem for problem in layout.problems if problem.reason.startswith("QED is not supported")]
    assert [problem.lost for problem in said] == [True]
    assert "not of the disk that it holds" in said[0].reason


class Unreadable(NamedTuple):
    """A medium of which nothing reads."""

    size: int

    def read_at(self, position: int, size: int) -> bytes:
        """See ``Medium``."""
        raise OSError(errno.EIO, f"{size} bytes at {position} are not there")


def test_a_disk_of_which_nothing_reads_is_told_in_few_problems() -> None:
    place = Workplace(Unreadable(64 * MEBIBYTE), mmap.mmap(-1, PAGE_USED), None)
    layout = next(read_layout(place, LayoutArguments(sizes=[64 * MEBIBYTE])))
    said = [problem.reason for problem in layout.problems if "superblocks" in problem.reason]
    assert len(said) == 4
    assert " more, at " in said[-1]


def test_a_table_in_the_first_bytes_of_a_filesystem_gives_both_readings(tmp_path: Path) -> None:
    image = Ext(tmp_path)
    image.write(446, struct.pack("<B3xB3xII", 0, 0x83, 2048, 4096) + bytes(48) + b"\x55\xaa")
    layout = layout_of(image.path)
    assert [volume.index for volume in layout.volumes] == [0, 1]
    assert layout.volumes[0].is_readable
    assert "a partition table stands too" in layout.problems[0].reason


def test_swap_and_empty_volumes_lose_nothing_and_noise_does(tmp_path: Path) -> None:
    disk = bytearray(4 * MEBIBYTE)
    entries = ((0x82, 2048), (0x83, 3072), (0x83, 4096))
    disk[446:494] = b"".join(struct.pack("<B3xB3xII", 0, kind, first, 1024) for kind, first in entries)
    disk[510:512] = b"\x55\xaa"
    disk[2048 * 512 + 4086 : 2048 * 512 + 4096] = b"SWAPSPACE2"
    disk[4096 * 512 : 4096 * 512 + 5] = b"noise"
    layout = layout_of(source(tmp_path, disk))
    assert [(problem.volume, problem.lost) for problem in layout.problems] == [(1, False), (2, False), (3, True)]


def test_what_is_encrypted_is_left_to_who_opens_it(tmp_path: Path) -> None:
    layout = layout_of(source(tmp_path, b"LUKS\xba\xbe\x00\x02".ljust(MEBIBYTE, b"\0")))
    assert not layout.volumes[0].is_readable
    assert layout.problems == []


def test_the_description_names_where_volumes_were_mounted(tmp_path: Path) -> None:
    row = layout_of(gpt_disk(tmp_path)[0]).described({1: ["/"]})
    assert "problems" not in row
    assert row["volumes"][0]["mounted"] == ["/"]


def test_a_disk_whose_first_mebibyte_was_wiped_keeps_its_filesystems(tmp_path: Path) -> None:
    content = Ext(tmp_path).path.read_bytes()
    layout = layout_of(source(tmp_path, bytes(MEBIBYTE) + content + bytes(MEBIBYTE)))
    places = [(volume.kind, volume.offset, volume.is_readable, volume.parts) for volume in layout.volumes]
    assert places == [("whole", 0, False, [1]), ("found", MEBIBYTE, True, [])]
    assert "the whole disk was searched for filesystems, and 1 were found" in layout.problems[0].reason
    assert not any(problem.lost for problem in layout.problems)


def test_a_filesystem_in_a_gap_is_found_where_gaps_are_searched(tmp_path: Path) -> None:
    content = Ext(tmp_path).path.read_bytes()
    disk = bytearray(2 * MEBIBYTE) + content + bytes(2 * MEBIBYTE) + content
    disk[446:462] = struct.pack("<B3xB3xII", 0, 0x83, (len(disk) - len(content)) // 512, len(content) // 512)
    disk[510:512] = b"\x55\xaa"
    path = source(tmp_path, disk)
    layout = layout_of(path)
    assert [(gap.offset, gap.length, gap.is_searched) for gap in layout.disks[0].gaps] == [
        (0, 4 * MEBIBYTE + len(content), False)
    ]
    assert [volume.kind for volume in layout.volumes] == ["mbr"]
    layout = layout_of(path, searches_gaps=True)
    assert layout.disks[0].gaps[0].is_searched
    assert [(volume.kind, volume.offset, volume.is_readable) for volume in layout.volumes] == [
        ("mbr", 4 * MEBIBYTE + len(content), True),
        ("found", 2 * MEBIBYTE, True),
    ]


def test_a_disk_inside_a_partition_is_a_part_of_it(tmp_path: Path) -> None:
    inner, _ = gpt_disk(tmp_path)
    content = inner.read_bytes()
    disk = bytearray(MEBIBYTE) + content
    disk[446:462] = struct.pack("<B3xB3xII", 0, 0x83, 2048, len(content) // 512)
    disk[510:512] = b"\x55\xaa"
    layout = layout_of(source(tmp_path, disk))
    assert [(volume.index, volume.number, volume.parts) for volume in layout.volumes] == [(1, 1, [2]), (2, 0, [])]
    assert layout.volumes[1].is_readable
    assert not any(problem.lost for problem in layout.problems)


def btrfs_device(index: int, number: int, uuid: str, *, devices: int = 2) -> Volume:
    found = Filesystem(type="btrfs", uuid=uuid, devices=devices, device=number)
    return Volume(index=index, offset=index << 20, length=1 << 20, kind="gpt", description="", filesystem=found)


def test_the_devices_of_one_filesystem_are_one_volume_and_copies_of_a_disk_stay_alone() -> None:
    volumes = [
        btrfs_device(1, 2, "a"),
        btrfs_device(2, 1, "a"),
        btrfs_device(3, 1, "b"),
        btrfs_device(4, 1, "b"),
        btrfs_device(5, 2, "b"),
        btrfs_device(6, 1, "c", devices=1),
        btrfs_device(7, 1, "d"),
    ]
    found = with_devices(volumes)
    assert [volume.index for volume in found] == [1, 2, 3, 4, 5, 6, 7]
    assert [(device.number, device.offset >> 20) for device in found[0].devices] == [(2, 1), (1, 2)]
    assert [volume.index for volume in found if volume.is_readable] == [1, 3, 4, 5, 6, 7]
    assert not any(volume.devices for volume in found[1:])


def test_bad_sectors_beside_a_superblock_hide_no_filesystem(tmp_path: Path) -> None:
    content = gpt_disk(tmp_path)[0].read_bytes()
    for bad in (
        range(700),
        range(1024, 1536),
        range(MEBIBYTE, MEBIBYTE + 1000),
        range(MEBIBYTE + 4096, MEBIBYTE + 9000),
    ):
        place = Workplace(Bytes(content, bad), mmap.mmap(-1, PAGE_USED), None)
        layout = next(read_layout(place, LayoutArguments(sizes=[len(content)])))
        assert [(volume.kind, volume.is_readable) for volume in layout.volumes] == [("gpt", True)]
        assert any(problem.lost for problem in layout.problems)


def test_a_partition_that_begins_with_the_disks_filesystem_is_not_read_twice(tmp_path: Path) -> None:
    image = Ext(tmp_path)
    image.write(446, struct.pack("<B3xB3xII", 0, 0x83, 0, 16384) + bytes(48) + b"\x55\xaa")
    assert [volume.kind for volume in layout_of(image.path).volumes] == ["whole"]
