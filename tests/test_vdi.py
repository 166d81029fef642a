"""VDIs: dynamic, fixed, differencing, of both versions; blocks not there, discarded, outside or there twice."""

import io
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest
from container_samples import (
    MIB,
    SECTOR,
    BytesMedium,
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
from dissect.hypervisor.disk.vdi import VDI

from images.containers.vdi import FIXED, build, differencing
from volforensic.evidence.containers.container import ContainerError

DISK = disk(5 * MIB + 3 * SECTOR)
LATER = changed(DISK)
BUILT = {
    "dynamic": build(DISK),
    "fixed": build(DISK, kind=FIXED),
    "small blocks": build(DISK, 64 << 10),
    "extra": build(DISK, 64 << 10, extra=512),
    "version 0.0": build(DISK, is_old=True),
}
MAP_AT = 512
qemu = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed")


@pytest.mark.parametrize("name", BUILT)
def test_every_form_gives_the_disk(name: str) -> None:
    image = open_files("vdi", [("disk.vdi", BUILT[name])])
    assert image.facts.problems == []
    assert image.disk.size == len(DISK)
    assert_reads(image.disk, DISK)


@qemu
@pytest.mark.parametrize("name", ["dynamic", "fixed"])
def test_qemu_and_dissect_read_the_same(name: str, tmp_path: Path) -> None:
    assert qemu_raw("vdi", BUILT[name], tmp_path) == DISK
    library: Any = VDI(io.BytesIO(BUILT[name]))
    assert library.open().read(len(DISK)) == DISK


@qemu
@pytest.mark.parametrize("options", ["", "static=on"])
def test_what_qemu_writes_is_read(options: str, tmp_path: Path) -> None:
    image = open_files("vdi", [("disk.vdi", qemu_image("vdi", DISK, tmp_path, options))])
    assert image.facts.problems == []
    assert image.disk.size == len(DISK)
    assert_reads(image.disk, DISK)


def test_a_differencing_disk_is_read_over_its_parent() -> None:
    parent = open_files("vdi", [("base.vdi", BUILT["dynamic"])])
    image = open_files("vdi", [("child.vdi", differencing(LATER, DISK))], parent.disk)
    assert [reference.name for reference in image.facts.references] == [b"{33323130-3534-3736-3839-3a3b3c3d3e3f}.vdi"]
    assert image.facts.problems == []
    assert_reads(image.disk, LATER)
    assert image.faults == []


def test_a_shorter_parent_is_followed_by_zeros() -> None:
    file = differencing(DISK + bytes(3 * MIB), DISK)
    image = open_files("vdi", [("child.vdi", file)], BytesMedium(DISK))
    assert_reads(image.disk, DISK + bytes(3 * MIB))


def test_without_its_parent_only_its_own_blocks_come() -> None:
    image = open_files("vdi", [("child.vdi", differencing(LATER, DISK, 64 << 10))])
    own = next(
        place for place in range(0, len(DISK), 64 << 10) if DISK[place : place + 512] != LATER[place : place + 512]
    )
    assert image.disk.read_at(own, 64 << 10) == LATER[own : own + (64 << 10)]
    with pytest.raises(OSError, match="parent with UUID 33323130-"):
        whole(image.disk)


def test_a_parent_with_another_uuid_is_noted() -> None:
    other = open_files("vdi", [("base.vdi", differencing(LATER, DISK))])
    image = open_files("vdi", [("child.vdi", differencing(LATER, DISK))], other.disk)
    assert [(fault.position, fault.length, fault.lost) for fault in image.faults] == [(0, len(DISK), False)]


def test_blocks_outside_the_file_and_twice_in_it_are_said() -> None:
    file = bytearray(build(b"x" * 4 * MIB))
    struct.pack_into("<II", file, MAP_AT + 4, 4_000_000_000, 0)
    image = open_files("vdi", [("disk.vdi", bytes(file))])
    assert image.losses == [(MIB, MIB)]
    assert "twice" in image.reasons
    with pytest.raises(OSError, match="outside"):
        image.disk.read_at(MIB, 1)


def test_a_cut_file_says_which_blocks_are_gone() -> None:
    image = open_files("vdi", [("disk.vdi", build(b"x" * 4 * MIB)[: -MIB - 5])])
    assert image.losses == [(2 * MIB, 2 * MIB)]
    assert image.disk.read_at(0, 2 * MIB) == b"x" * 2 * MIB


@pytest.mark.parametrize(
    ("place", "value", "word"),
    [(376, 0, "block size is 0"), (376, 100, "block size is 100"), (340, 1 << 31, "map"), (360, 4096, "sector size")],
)
def test_what_cannot_be_is_named(place: int, value: int, word: str) -> None:
    file = bytearray(BUILT["dynamic"])
    struct.pack_into("<I", file, place, value)
    with pytest.raises(ContainerError, match=word):
        open_files("vdi", [("disk.vdi", bytes(file))])


def test_a_map_that_is_too_short_is_said() -> None:
    file = bytearray(build(b"x" * 4 * MIB))
    struct.pack_into("<I", file, 384, 2)
    image = open_files("vdi", [("disk.vdi", bytes(file))])
    assert image.losses == [(2 * MIB, 2 * MIB)]
    with pytest.raises(OSError, match="map has 2 blocks"):
        image.disk.read_at(2 * MIB, 1)


@pytest.mark.parametrize("seed", range(60))
def test_mutants_end_with_bytes_or_an_error(seed: int) -> None:
    file = [BUILT["small blocks"], BUILT["version 0.0"], differencing(LATER, DISK)][seed % 3]
    data = mutant(file, seed, 700)
    try_mutant("vdi", [("disk.vdi", data)])
