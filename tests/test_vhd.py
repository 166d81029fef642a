"""VHDs: fixed, dynamic and differencing; what is said where a footer, a checksum, a block or a parent is wrong."""

import io
import shutil
from pathlib import Path
from typing import Any

import pytest
from container_samples import (
    MIB,
    SECTOR,
    assert_reads,
    changed,
    disk,
    mutant,
    open_files,
    qemu_image,
    qemu_raw,
    try_mutant,
    whole,
)
from dissect.hypervisor.disk.vhd import VHD

from images.containers.vhd import differencing, dynamic, fixed, footer
from volforensic.evidence.containers.container import ContainerError

DISK = disk(5 * MIB + 3 * SECTOR)
LATER = changed(DISK)
BUILT = {"fixed": fixed(DISK), "dynamic": dynamic(DISK), "small blocks": dynamic(DISK, 64 << 10)}
qemu = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed")


@pytest.mark.parametrize("name", BUILT)
def test_every_form_gives_the_disk(name: str) -> None:
    image = open_files("vhd", [("disk.vhd", BUILT[name])])
    assert image.facts.problems == []
    assert image.disk.size == len(DISK)
    assert_reads(image.disk, DISK)
    assert image.faults == []


@qemu
@pytest.mark.parametrize("name", BUILT)
def test_qemu_and_dissect_read_the_same(name: str, tmp_path: Path) -> None:
    assert qemu_raw("vpc", BUILT[name], tmp_path) == DISK
    library: Any = VHD(io.BytesIO(BUILT[name]))
    assert library.read(len(DISK)) == DISK


@qemu
@pytest.mark.parametrize("options", ["", "force_size=on", "subformat=fixed", "subformat=fixed,force_size=on"])
def test_what_qemu_writes_is_read(options: str, tmp_path: Path) -> None:
    image = open_files("vhd", [("disk.vhd", qemu_image("vpc", DISK, tmp_path, options))])
    assert image.facts.problems == []
    assert 0 <= image.disk.size - len(DISK) < 64 * SECTOR
    assert_reads(image.disk, DISK)
    assert image.faults == []


@pytest.mark.parametrize("block_size", [2 * MIB, 64 << 10])
def test_a_differencing_disk_is_read_over_its_parent(block_size: int) -> None:
    parent = open_files("vhd", [("base.vhd", BUILT["dynamic"])])
    file = differencing(LATER, DISK, "..\\disks\\Base.vhd", block_size)
    image = open_files("vhd", [("child.vhd", file)], parent.disk)
    assert [(reference.name, reference.role) for reference in image.facts.references] == [(b"Base.vhd", "parent")]
    assert image.facts.details["parent"].startswith("..\\disks\\Base.vhd")
    assert_reads(image.disk, LATER)
    assert image.faults == []


@pytest.mark.parametrize(
    ("name", "locator"),
    [
        ("C:\\x\\base disk.vhd", (b"W2ku", "utf-16-le")),
        ("./base disk.vhd", (b"W2ru", "utf-16-be")),
        ("file://./base%20disk.vhd", (b"MacX", "utf-8")),
        ("..\\base disk.vhd", (b"Wi2r", "latin-1")),
    ],
)
def test_a_parent_is_named_in_many_ways(name: str, locator: tuple[bytes, str]) -> None:
    image = open_files("vhd", [("child.vhd", differencing(LATER, DISK, name, locator=locator))])
    assert [reference.name for reference in image.facts.references] == [b"base disk.vhd"]


def test_without_its_parent_only_its_own_sectors_come() -> None:
    image = open_files("vhd", [("child.vhd", differencing(LATER, DISK, "base.vhd"))])
    assert image.disk.read_at(MIB, SECTOR) == bytes(SECTOR)
    with pytest.raises(OSError, match="parent"):
        whole(image.disk)


def test_a_parent_with_another_id_is_noted() -> None:
    other = open_files("vhd", [("base.vhd", differencing(DISK, bytes(len(DISK)), "x.vhd"))])
    image = open_files("vhd", [("child.vhd", differencing(LATER, DISK, "base.vhd"))], other.disk)
    ((position, length, reason, lost),) = image.faults
    assert (position, length, lost) == (0, len(DISK), False)
    assert "unique id" in reason


@pytest.mark.parametrize("cut", [1, 100, SECTOR])
def test_the_copy_at_the_start_serves_where_the_footer_is_gone(cut: int) -> None:
    image = open_files("vhd", [("disk.vhd", BUILT["dynamic"][:-cut])])
    assert ("copy at the start" in image.reasons) == (cut > 1)
    assert image.losses == []
    assert_reads(image.disk, DISK)


def test_a_footer_of_511_bytes_is_one() -> None:
    for data in (BUILT["fixed"][:-1], BUILT["dynamic"][:-1]):
        assert_reads(open_files("vhd", [("disk.vhd", data)]).disk, DISK)


def test_wrong_checksums_are_said() -> None:
    file = bytearray(BUILT["fixed"])
    file[-512 + 24] ^= 1
    assert "checksum" in open_files("vhd", [("disk.vhd", bytes(file))]).reasons
    file = bytearray(BUILT["dynamic"])
    file[512 + 60] ^= 1
    assert "dynamic header" in open_files("vhd", [("disk.vhd", bytes(file))]).reasons
    file = bytearray(BUILT["dynamic"])
    file[24] ^= 1
    assert "copy of the footer" in open_files("vhd", [("disk.vhd", bytes(file))]).reasons


def test_a_damaged_footer_is_not_preferred_to_a_sound_copy() -> None:
    file = bytearray(BUILT["dynamic"])
    file[-512 + 48 : -512 + 56] = (1 << 40).to_bytes(8, "big")
    image = open_files("vhd", [("disk.vhd", bytes(file))])
    assert image.disk.size == len(DISK)


def test_blocks_outside_the_file_and_twice_in_it_are_said() -> None:
    file = bytearray(dynamic(b"x" * 4 * MIB, MIB))
    table = 512 + 1024
    file[table + 4 : table + 8] = (1 << 24).to_bytes(4, "big")
    file[table + 8 : table + 12] = file[table : table + 4]
    image = open_files("vhd", [("disk.vhd", bytes(file))])
    assert image.losses == [(MIB, MIB)]
    assert "twice" in image.reasons
    with pytest.raises(OSError, match="outside"):
        image.disk.read_at(MIB, 1)
    assert image.disk.read_at(0, MIB) == b"x" * MIB


def test_a_cut_fixed_disk_says_what_is_gone() -> None:
    file = DISK[:MIB] + footer(len(DISK), 2, (1 << 64) - 1)
    image = open_files("vhd", [("disk.vhd", file)])
    assert image.losses == [(MIB, len(DISK) - MIB)]
    with pytest.raises(OSError, match="cut"):
        image.disk.read_at(MIB - 10, 20)
    assert image.disk.read_at(MIB - 10, 10) == DISK[MIB - 10 : MIB]


def test_data_that_the_bitmap_denies_is_given_and_noted() -> None:
    file = bytearray(dynamic(b"x" * MIB, MIB))
    bitmap = file.index(b"\xff" * 256 + bytes(256))
    file[bitmap] = 0x7F
    image = open_files("vhd", [("disk.vhd", bytes(file))])
    assert whole(image.disk) == b"x" * MIB
    assert [(fault.position, fault.length, fault.lost) for fault in image.faults] == [(0, SECTOR, False)]


@pytest.mark.parametrize(
    ("place", "value", "word"),
    [(32, 0, "block size is 0"), (32, 1000, "block size is 1000"), (16, 1 << 60, "table"), (28, 0, "entries")],
)
def test_what_cannot_be_is_named(place: int, value: int, word: str) -> None:
    file = bytearray(BUILT["dynamic"])
    width = 8 if place == 16 else 4
    file[512 + place : 512 + place + width] = value.to_bytes(width, "big")
    try:
        image = open_files("vhd", [("disk.vhd", bytes(file))])
    except ContainerError as error:
        assert word in str(error)  # noqa: PT017 - some are an error, some a problem
    else:
        assert word in image.reasons


@pytest.mark.parametrize("seed", range(60))
def test_mutants_end_with_bytes_or_an_error(seed: int) -> None:
    file = [BUILT["dynamic"], BUILT["fixed"], differencing(LATER, DISK, "base.vhd", 64 << 10)][seed % 3]
    try_mutant("vhd", [("disk.vhd", mutant(file, seed, 4096))])
