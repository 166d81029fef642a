"""Tables that are damaged, doubled, nested or of another kind: built by hand and by sfdisk and sgdisk."""

import json
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import pytest
from media import medium_of

from volforensic.evidence.partitions import Table, read_table
from volforensic.evidence.reader import Window

MEBIBYTE = 1 << 20
LINUX = bytes.fromhex("af3dc60f838472478e793d69d8477de4")
LUKS = b"LUKS\xba\xbe\0\2"


def table_of(path: Path) -> Table:
    with path.open("rb") as file:
        return read_table(Window(medium_of(file.fileno()), 0, path.stat().st_size))


def numbers(table: Table) -> list[tuple[int, int, int]]:
    return [(one.number, one.offset // MEBIBYTE, one.length // MEBIBYTE) for one in table.partitions]


def reasons(table: Table) -> str:
    return "; ".join(problem.reason for problem in table.problems)


def write(path: Path, edits: dict[int, bytes]) -> Path:
    with path.open("r+b") as file:
        for offset, data in edits.items():
            file.seek(offset)
            file.write(data)
    return path


def blank(folder: Path, mebibytes: int, name: str = "disk.raw") -> Path:
    path = folder / name
    with path.open("wb") as file:
        file.truncate(mebibytes * MEBIBYTE)
    return path


def gpt(folder: Path, *, sector: int = 512, mebibytes: int = 32, name: str = "disk.raw", entry_size: int = 128) -> Path:
    """Write a GPT by the specification: partitions of 4, 8 and 2 MiB from 1 MiB on."""
    path = blank(folder, mebibytes, name)
    last = mebibytes * MEBIBYTE // sector - 1
    array, start = b"", MEBIBYTE
    for number, size in enumerate((4, 8, 2), start=1):
        first = start // sector
        array += struct.pack(
            "<16s16sQQQ72s", LINUX, bytes([number]) * 16, first, first + size * MEBIBYTE // sector - 1, 0, b""
        ).ljust(entry_size, b"\0")
        start += size * MEBIBYTE
    array = array.ljust(128 * entry_size, b"\0")
    behind = last - len(array) // sector
    edits = {
        446: struct.pack("<B3xB3xII", 0, 0xEE, 1, last),
        510: b"\x55\xaa",
        2 * sector: array,
        behind * sector: array,
    }
    for own, other, at in ((1, last, 2), (last, 1, behind)):
        head = struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, 0, 0, own, other, 6, behind - 1, b"\7" * 16,
                           at, 128, entry_size, zlib.crc32(array))  # fmt: skip
        edits[own * sector] = head[:16] + struct.pack("<I", zlib.crc32(head)) + head[20:]
    return write(path, edits)


def entry(kind: int, first: int, count: int) -> bytes:
    return struct.pack("<B3xB3xII", 0, kind, first, count)


def record(*entries: bytes) -> bytes:
    return b"".join(entries).ljust(64, b"\0") + b"\x55\xaa"


ALL = [(1, 1, 4), (2, 5, 8), (3, 13, 2)]


@pytest.mark.parametrize("sector", [512, 4096])
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path, _: write(path, {0: bytes(MEBIBYTE)}), "no protective MBR"),
        (lambda path, _: write(path, {0: bytes(512)}), "no protective MBR"),
        (lambda path, sector: write(path, {2 * sector + 40: b"x"}), "entries of the primary GPT are damaged"),
        (
            lambda path, sector: write(path, {2 * sector + 40: b"x", 32 * MEBIBYTE - sector: b"x"}),
            "entries of the primary",
        ),
        (
            lambda path, sector: write(path, {sector + 16: b"xxxx", 32 * MEBIBYTE - sector - 16384: bytes(900)}),
            "entries of the backup GPT",
        ),
        (lambda path, sector: write(path, {0: bytes(2 * sector), 32 * MEBIBYTE - sector: b"x"}), "headers are gone"),
        (lambda path, sector: write(path, {sector: b"x", 32 * MEBIBYTE - sector + 16: b"xxxx"}), "wrong in every copy"),
    ],
)
def test_a_damaged_gpt_gives_every_partition(tmp_path: Path, sector: int, damage: object, said: str) -> None:
    table = table_of(damage(gpt(tmp_path, sector=sector), sector))  # type: ignore[operator]
    assert (table.kind, table.sector_size, numbers(table)) == ("gpt", sector, ALL)
    assert said in reasons(table)


@pytest.mark.parametrize("sector", [512, 4096])
@pytest.mark.parametrize("mebibytes", [24, 33, 3000])
def test_a_disk_that_was_grown_or_cut(tmp_path: Path, sector: int, mebibytes: int) -> None:
    path = gpt(tmp_path, sector=sector)
    with path.open("r+b") as file:
        file.truncate(mebibytes * MEBIBYTE)
    table = table_of(path)
    assert numbers(table) == ALL
    assert ("it is cut" if mebibytes == 24 else "not in the last sector") in reasons(table)
    assert any(problem.lost for problem in table.problems) == (mebibytes == 24)
    if mebibytes > 32:
        assert numbers(table_of(write(path, {sector: bytes(sector)}))) == ALL


def test_a_wiped_disk_that_was_grown_by_gibibytes_has_its_backup(tmp_path: Path) -> None:
    path = gpt(tmp_path, mebibytes=1024)
    with path.open("r+b") as file:
        file.truncate(5 << 30)
    assert numbers(table_of(write(path, {0: bytes(MEBIBYTE)}))) == ALL


def test_entries_of_256_bytes(tmp_path: Path) -> None:
    table = table_of(gpt(tmp_path, entry_size=256))
    assert (numbers(table), table.problems) == (ALL, [])


def test_a_partition_that_only_the_backup_has_is_listed(tmp_path: Path) -> None:
    path = gpt(tmp_path)
    raw = bytearray(path.read_bytes()[: 1024 + 16384])
    raw[1024 + 256 : 1024 + 384] = bytes(128)
    raw[512 + 88 : 512 + 92] = struct.pack("<I", zlib.crc32(raw[1024:]))
    raw[512 + 16 : 512 + 20] = bytes(4)
    raw[512 + 16 : 512 + 20] = struct.pack("<I", zlib.crc32(raw[512:604]))
    table = table_of(write(path, {0: bytes(raw)}))
    assert numbers(table) == [*ALL[:2], (0, 13, 2)]
    assert "its backup differ" in reasons(table)


def test_a_hybrid_mbr_adds_what_the_gpt_has_not(tmp_path: Path) -> None:
    hybrid = record(entry(0xEE, 1, 2047), entry(0x83, 2048, 8192), entry(0x0C, 20 * 2048, 2048))
    table = table_of(write(gpt(tmp_path), {446: hybrid}))
    assert numbers(table) == [*ALL, (0, 20, 1)]
    assert table.partitions[3].description == "mbr partition 3, type 0x0c"


def test_a_stale_gpt_behind_an_mbr_is_read_where_filesystems_begin(tmp_path: Path) -> None:
    path = write(gpt(tmp_path), {446: record(entry(0x83, 2048, 30 * 2048)), 5 * MEBIBYTE: LUKS})
    table = table_of(path)
    assert table.kind == "mbr"
    assert numbers(table) == [(1, 1, 30), (0, 5, 8)]
    assert "Linux reads the MBR" in reasons(table)
    assert "lies inside" in reasons(table)


def test_sectors_of_4096_bytes_in_an_mbr(tmp_path: Path) -> None:
    path = write(
        blank(tmp_path, 32),
        {
            446: record(entry(0x83, 256, 512), entry(0x05, 1024, 2048)),
            1024 * 4096 + 446: record(entry(0x83, 256, 256), entry(0x05, 512, 512)),
            1536 * 4096 + 446: record(entry(0x83, 256, 256)),
            MEBIBYTE: LUKS,
        },
    )
    table = table_of(path)
    assert (table.sector_size, numbers(table)) == (4096, [(1, 1, 2), (5, 5, 1), (6, 7, 1)])


def test_logical_partitions_of_several_extended_ones_and_forks(tmp_path: Path) -> None:
    path = write(
        blank(tmp_path, 32),
        {
            440: b"\x78\x56\x34\x12",
            446: record(entry(0x05, 2048, 8192), entry(0x83, 30 * 2048, 2048), entry(0x0F, 16384, 20480)),
            2048 * 512 + 446: record(entry(0x83, 1024, 1024), entry(0x05, 2048, 2048), entry(0x05, 4096, 2048)),
            4096 * 512 + 446: record(entry(0x83, 1024, 1024)),
            6144 * 512 + 446: record(entry(0x83, 1024, 1024), entry(0x05, 0, 1)),
            16384 * 512 + 446: record(entry(0x83, 2048, 2048)),
        },
    )
    table = table_of(path)
    places = [(one.number, one.offset // 512) for one in table.partitions]
    assert places == [(2, 61440), (5, 3072), (6, 5120), (7, 7168), (8, 18432)]
    assert [one.uuid for one in table.partitions][:2] == ["12345678-02", "12345678-05"]
    assert "leads to several" in reasons(table)
    assert "circle" in reasons(table)


def test_overlaps_and_the_same_place_twice_are_told(tmp_path: Path) -> None:
    entries = (entry(0x83, 2048, 4096), entry(0x83, 4096, 4096), entry(0x83, 2048, 8192), entry(0x83, 8192, 1024))
    table = table_of(write(blank(tmp_path, 32), {446: record(*entries)}))
    assert numbers(table) == [(1, 1, 4), (2, 2, 2), (4, 4, 0)]
    assert "partition 1 begins where partition 3 begins too" in reasons(table)
    assert "mbr partition 2 lies inside the mbr partition 1" in reasons(table)


def test_tables_inside_partitions_are_read_two_deep(tmp_path: Path) -> None:
    inmost = record(entry(0x83, 2048, 2048))
    disk = gpt(tmp_path)
    for depth, start in enumerate((5, 6, 7, 8)):
        write(disk, {start * MEBIBYTE + 446: record(entry(0x83, 2048, (7 - depth) * 2048))})
    table = table_of(write(disk, {8 * MEBIBYTE + 446: inmost}))
    assert numbers(table) == [*ALL, (0, 6, 7), (0, 7, 6)]
    assert [one.holds for one in table.partitions] == ["", "mbr", "", "mbr", ""]
    assert table.partitions[3].description == "mbr partition 1 inside partition 2, type 0x83"


@pytest.mark.parametrize("damage", [{510: b"\0\0"}, {446: b"\x47"}, {462: b"\x11", 511: b"\0"}])
def test_a_damaged_signature_or_flag_hides_no_partition(tmp_path: Path, damage: dict[int, bytes]) -> None:
    table = record(entry(0x83, 2048, 4096), entry(0x83, 8192, 4096))
    path = write(write(blank(tmp_path, 32), {446: table, MEBIBYTE: LUKS}), damage)
    assert numbers(table_of(path)) == [(1, 1, 2), (2, 4, 2)]
    assert "signature or its flags are damaged" in reasons(table_of(path))


def test_an_entry_that_is_half_deleted_is_told(tmp_path: Path) -> None:
    path = write(blank(tmp_path, 32), {446: record(entry(0x83, 2048, 4096), entry(0, 8192, 4096))})
    assert numbers(table_of(path)) == [(1, 1, 2)]
    assert reasons(table_of(path)) == "entry 2 has the type 0x00, 4096 sectors from 8192: it is none"


@pytest.mark.parametrize(
    ("edits", "is_lost", "said"),
    [
        ({510: b"\x55\xaa"}, False, "the MBR has no partition"),
        ({446: record(entry(0x83, 1 << 30, 5))}, True, "no partition can be read from it"),
        ({446: record(b"\x77" * 16)}, True, "no partition can be read from it"),
        ({446: record(entry(0x83, 2048, 100))[:-2]}, True, "looks like a damaged partition table"),
        ({0: b"ER\2\0", 512: b"PM"}, True, "an Apple partition map is not supported"),
        ({512: b"\x57\x45\x56\x82", 644: b"\x57\x45\x56\x82"}, True, "a BSD disklabel is not supported"),
    ],
)
def test_nothing_is_said_with_its_reason(tmp_path: Path, edits: dict[int, bytes], *, is_lost: bool, said: str) -> None:
    table = table_of(write(blank(tmp_path, 4), edits))
    assert table.partitions == []
    assert any(problem.lost is is_lost and said in problem.reason for problem in table.problems)


@pytest.mark.skipif(shutil.which("sfdisk") is None, reason="sfdisk is not installed")
@pytest.mark.parametrize(
    "script",
    [
        "label: gpt\ntable-length: 200\nsize=3MiB, name=a\nsize=1MiB\nstart=20MiB, size=2MiB\n",
        "label: dos\nsize=3MiB, type=83\nsize=1MiB, type=82\nsize=20MiB, type=5\nsize=2MiB\nsize=3MiB\nsize=1MiB\n",
        "label: dos\nsize=3MiB, type=c\nsize=20MiB, type=f\nsize=1MiB, type=7\nsize=2MiB\nsize=3MiB\n",
    ],
)
def test_sfdisk_lists_the_same(tmp_path: Path, script: str) -> None:
    path = blank(tmp_path, 32)
    subprocess.run(["sfdisk", "-q", str(path)], input=script.encode(), check=True, capture_output=True)
    listed = json.loads(subprocess.run(["sfdisk", "-J", str(path)], check=True, capture_output=True).stdout)
    expected = sorted(
        (int(one["node"].removeprefix(str(path))), one["start"] * 512, one["size"] * 512)
        for one in listed["partitiontable"]["partitions"]
        if one["type"] not in {"5", "f"}
    )
    table = table_of(path)
    assert sorted((one.number, one.offset, one.length) for one in table.partitions) == expected
    assert table.problems == []


@pytest.mark.skipif(shutil.which("sgdisk") is None, reason="sgdisk is not installed")
def test_a_hybrid_by_sgdisk_lists_each_range_once(tmp_path: Path) -> None:
    path = blank(tmp_path, 32)
    command = ["sgdisk", "-n", "1:0:+4M", "-n", "2:0:+8M", "-n", "3:0:+2M", "-h", "1:3", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    table = table_of(path)
    assert (numbers(table), table.problems) == (ALL, [])
