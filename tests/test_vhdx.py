"""VHDXs: dynamic, fixed and differencing; the log of one that was not closed; damaged headers, tables and maps."""

import io
import shutil
import struct
import subprocess
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
from dissect.hypervisor.disk.vhdx import VHDX

from images.containers.vhdx import LOG_AT, METADATA_AT, TABLE_AT, differencing, dynamic, not_closed
from volforensic.evidence.containers.container import ContainerError

DISK = disk(5 * MIB + 3 * SECTOR)
LATER = changed(DISK)
BUILT = {
    "dynamic": dynamic(DISK),
    "large blocks": dynamic(DISK, 4 * MIB),
    "fixed": dynamic(DISK, is_fixed=True),
    "4096": dynamic(DISK[: 5 * MIB], sector_size=4096),
}
TORN = [[TABLE_AT, TABLE_AT + 4096], [TABLE_AT + MIB, METADATA_AT], [METADATA_AT + (64 << 10)]]
qemu = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed")


@pytest.mark.parametrize("name", BUILT)
def test_every_form_gives_the_disk(name: str) -> None:
    image = open_files("vhdx", [("disk.vhdx", BUILT[name])])
    assert image.facts.problems == []
    assert_reads(image.disk, DISK[: image.disk.size])
    assert image.disk.size >= 5 * MIB


@qemu
@pytest.mark.parametrize("name", ["dynamic", "large blocks", "fixed"])
def test_qemu_and_dissect_read_the_same(name: str, tmp_path: Path) -> None:
    assert qemu_raw("vhdx", BUILT[name], tmp_path) == DISK
    library: Any = VHDX(io.BytesIO(BUILT[name]))
    assert library.read(len(DISK)) == DISK


@qemu
@pytest.mark.parametrize("options", ["", "subformat=fixed", "block_size=1M", "block_size=32M"])
def test_what_qemu_writes_is_read(options: str, tmp_path: Path) -> None:
    image = open_files("vhdx", [("disk.vhdx", qemu_image("vhdx", DISK, tmp_path, options))])
    assert image.facts.problems == []
    assert image.disk.size == len(DISK)
    assert_reads(image.disk, DISK)


@qemu
def test_a_table_of_several_chunks_is_counted_right(tmp_path: Path) -> None:
    """A bitmap's entry stands between the chunks of 4 GiB; the disk is a hole with marks at their borders."""
    marks = [0, 4095, 4096, 4097, 8191, 8192, 8200]
    with (tmp_path / "raw").open("wb") as raw:
        raw.truncate(8201 * MIB)
        for mark in marks:
            raw.seek(mark * MIB)
            raw.write(b"mark %06d" % mark)
    command = ["qemu-img", "convert", "-f", "raw", "-O", "vhdx", "-o", "block_size=1M", "raw", "disk.vhdx"]
    subprocess.run(command, check=True, cwd=tmp_path)
    image = open_files("vhdx", [("disk.vhdx", (tmp_path / "disk.vhdx").read_bytes())])
    assert image.facts.problems == []
    for mark in marks:
        assert image.disk.read_at(mark * MIB, 11) == b"mark %06d" % mark
    assert not any(image.disk.read_at(5000 * MIB, MIB))


@pytest.mark.parametrize("sector_size", [512, 4096])
def test_a_differencing_disk_is_read_over_its_parent(sector_size: int) -> None:
    size = 5 * MIB
    parent = open_files("vhdx", [("base.vhdx", dynamic(DISK[:size]))])
    file = differencing(LATER[:size], DISK[:size], "..\\Base.vhdx", sector_size=sector_size)
    image = open_files("vhdx", [("child.avhdx", file)], parent.disk)
    assert [(reference.name, reference.role) for reference in image.facts.references] == [(b"Base.vhdx", "parent")]
    assert_reads(image.disk, LATER[:size])
    assert image.faults == []


def test_a_parent_that_changed_since_is_noted() -> None:
    child = differencing(LATER, DISK, "base.vhdx")
    image = open_files("vhdx", [("child.vhdx", child)], open_files("vhdx", [("base.vhdx", child)]).disk)
    assert [(fault.position, fault.length, fault.lost) for fault in image.faults] == [(0, len(DISK), False)]


def test_without_its_parent_only_its_own_sectors_come() -> None:
    image = open_files("vhdx", [("child.vhdx", differencing(LATER, DISK, "base.vhdx"))])
    assert image.disk.read_at(MIB, SECTOR) == bytes(SECTOR)
    with pytest.raises(OSError, match="parent"):
        whole(image.disk)


def test_the_log_is_applied_in_memory() -> None:
    file = not_closed(BUILT["dynamic"], TORN)
    image = open_files("vhdx", [("disk.vhdx", file)])
    assert image.losses == []
    assert "3 entries of its log are applied" in image.reasons
    assert_reads(image.disk, DISK)


@qemu
def test_qemu_applies_the_same_log(tmp_path: Path) -> None:
    image = tmp_path / "disk.vhdx"
    image.write_bytes(not_closed(BUILT["dynamic"], TORN))
    subprocess.run(["qemu-img", "check", "-q", "-r", "all", image], check=True)
    assert qemu_raw("vhdx", image.read_bytes(), tmp_path) == DISK


def test_what_is_left_of_older_entries_is_not_applied() -> None:
    file = bytearray(not_closed(BUILT["dynamic"], TORN, sequence=1000))
    old = not_closed(dynamic(b"y" * len(DISK)), [[TABLE_AT], [TABLE_AT]], sequence=100)
    file[LOG_AT + (512 << 10) : LOG_AT + (528 << 10)] = old[LOG_AT : LOG_AT + (16 << 10)]
    image = open_files("vhdx", [("disk.vhdx", bytes(file))])
    assert "3 entries" in image.reasons
    assert_reads(image.disk, DISK)


def test_a_log_that_cannot_be_verified_is_a_loss() -> None:
    file = bytearray(not_closed(BUILT["dynamic"], [[5 * MIB]]))
    file[LOG_AT + 100] ^= 1
    image = open_files("vhdx", [("disk.vhdx", bytes(file))])
    assert image.losses == [(None, None)]
    assert "no valid sequence" in image.reasons


def test_a_file_that_is_shorter_than_its_log_says_is_cut() -> None:
    image = open_files("vhdx", [("disk.vhdx", not_closed(BUILT["dynamic"], [[TABLE_AT]], cut=MIB))])
    assert "is cut" in image.reasons


@pytest.mark.parametrize("place", [64 << 10, 128 << 10, 192 << 10, 256 << 10])
def test_one_damaged_header_or_table_costs_nothing(place: int) -> None:
    file = bytearray(BUILT["dynamic"])
    file[place + 20] ^= 1
    image = open_files("vhdx", [("disk.vhdx", bytes(file))])
    assert "one of the VHDX's two" in image.reasons
    assert image.losses == []
    assert_reads(image.disk, DISK)


def test_both_headers_damaged_are_used_and_said() -> None:
    file = bytearray(BUILT["dynamic"])
    for place in (64 << 10, 128 << 10):
        file[place + 20] ^= 1
    image = open_files("vhdx", [("disk.vhdx", bytes(file))])
    assert "both headers" in image.reasons
    assert whole(image.disk) == DISK


def test_blocks_outside_the_file_in_unknown_states_and_twice_are_said() -> None:
    file = bytearray(dynamic(b"x" * 5 * MIB))
    first = int.from_bytes(file[TABLE_AT : TABLE_AT + 8], "little")
    struct.pack_into("<QQQ", file, TABLE_AT + 8, 6 | 1 << 50, 5, first)
    image = open_files("vhdx", [("disk.vhdx", bytes(file))])
    assert image.losses == [(MIB, MIB), (2 * MIB, MIB)]
    assert "twice" in image.reasons
    for position, word in ((MIB, "outside"), (2 * MIB, "state 5")):
        with pytest.raises(OSError, match=word):
            image.disk.read_at(position, 1)
    assert image.disk.read_at(4 * MIB, MIB) == b"x" * MIB


@pytest.mark.parametrize(
    ("place", "value", "word"),
    [
        ((64 << 10), 0, "block size is 0"),
        ((64 << 10), 3 * MIB, "block size is 3145728"),
        ((64 << 10) + 32, 1000, "sector size is 1000"),
        (10, 60_000, "60000"),
        (32 + 16, 1 << 31, "2147483648"),
    ],
)
def test_what_cannot_be_is_named(place: int, value: int, word: str) -> None:
    file = bytearray(BUILT["dynamic"])
    struct.pack_into("<H" if place == 10 else "<I", file, METADATA_AT + place, value)
    with pytest.raises(ContainerError, match=word):
        open_files("vhdx", [("disk.vhdx", bytes(file))])


@pytest.mark.parametrize("seed", range(60))
def test_mutants_end_with_bytes_or_an_error(seed: int) -> None:
    file = [BUILT["dynamic"], differencing(LATER, DISK, "x"), not_closed(BUILT["dynamic"], TORN)][seed % 3]
    start = [METADATA_AT, TABLE_AT, LOG_AT, 64 << 10][seed % 4]
    data = file[:start] + mutant(file[start:], seed, 66 << 10 if seed % 4 == 0 else 4096)
    try_mutant("vhdx", [("disk.vhdx", data)])
