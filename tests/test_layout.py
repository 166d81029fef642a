"""The layout of a source: volumes, both readings of an ambiguous start, what cannot be read."""

import mmap
import os
import struct
from pathlib import Path

from media import medium_of

from images.hostile.ext_disk import Ext
from images.hostile.kit import MEBIBYTE
from images.hostile.tables import gpt_disk
from volforensic.evidence.discovery import read_layout
from volforensic.evidence.layout import Layout, LayoutArguments
from volforensic.sandbox.messages import PAGE_USED
from volforensic.sandbox.worker import Workplace


def layout_of(path: Path) -> Layout:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        place = Workplace(medium_of(descriptor), mmap.mmap(-1, PAGE_USED), None)
        return next(read_layout(place, LayoutArguments(sizes=[path.stat().st_size])))
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


def test_what_is_encrypted_is_a_loss_that_says_so(tmp_path: Path) -> None:
    layout = layout_of(source(tmp_path, b"LUKS\xba\xbe\x00\x02".ljust(MEBIBYTE, b"\0")))
    assert not layout.volumes[0].is_readable
    assert [(problem.lost, "encrypted" in problem.reason) for problem in layout.problems] == [(True, True)]


def test_the_description_names_where_volumes_were_mounted(tmp_path: Path) -> None:
    row = layout_of(gpt_disk(tmp_path)[0]).described({1: ["/"]})
    assert "problems" not in row
    assert row["volumes"][0]["mounted"] == ["/"]
