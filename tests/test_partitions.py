"""Partition tables: what is there, what is damaged, what an adversary wrote."""

import os
import struct
import tempfile
import zlib
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from media import medium_of

from volforensic.evidence.partitions import Partition, Table, read_table
from volforensic.evidence.reader import Window

SIGNATURE = b"\x55\xaa"


def table_of(content: bytes | bytearray) -> Table:
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        return read_table(Window(medium_of(file.fileno()), 0, len(content)))


def places(table: Table) -> list[tuple[int, int, int]]:
    return [(part.number, part.offset, part.length) for part in table.partitions]


def reasons(table: Table) -> str:
    return "; ".join(problem.reason for problem in table.problems)


def boot_record(*entries: tuple[int, int, int]) -> bytes:
    raw = b"".join(struct.pack("<B3xB3xII", 0, kind, first, count) for kind, first, count in entries)
    return bytes(446) + raw.ljust(64, b"\0") + SIGNATURE


class Gpt(NamedTuple):
    """A disk with a GPT and what may be made wrong in it."""

    sector: int = 512
    size: int = 4 << 20
    first: int = 64
    last: int = 127
    entries: int = 128
    entry_size: int = 128
    entries_checksum: int | None = None

    def entry(self) -> bytes:
        """Return the one entry in use."""
        name = "röot".encode("utf-16-le")
        return struct.pack("<16s16sQQQ72s", b"\xaf" * 16, b"\x02" * 16, self.first, self.last, 0, name)

    def header(self, entries: bytes, entries_at: int) -> bytes:
        """Return a header whose own checksum is right."""
        checksum = zlib.crc32(entries) if self.entries_checksum is None else self.entries_checksum
        head = struct.pack(
            "<8sIIIIQQQQ16sQIII",
            b"EFI PART", 0x10000, 92, 0, 0, 1, 0, 34, 1000, bytes(16),
            entries_at, self.entries, self.entry_size, checksum,
        )  # fmt: skip
        return head[:16] + struct.pack("<I", zlib.crc32(head)) + head[20:]

    def disk(self) -> bytearray:
        """Return the disk, with its backup at the end."""
        entries = self.entry().ljust(128 * 128, b"\0")
        disk = bytearray(self.size)
        last = self.size // self.sector - 1
        behind = last - len(entries) // self.sector
        disk[:512] = boot_record((0xEE, 1, last))
        for header_at, entries_at in ((1, 2), (last, behind)):
            header = self.header(entries, entries_at)
            disk[header_at * self.sector : header_at * self.sector + 92] = header
            disk[entries_at * self.sector : entries_at * self.sector + len(entries)] = entries
        return disk


@pytest.mark.parametrize("sector", [512, 4096])
def test_a_gpt_gives_the_whole_partition_with_its_last_sector(sector: int) -> None:
    table = table_of(Gpt(sector=sector).disk())
    assert (table.kind, table.sector_size, table.problems) == ("gpt", sector, [])
    part = table.partitions[0]
    assert (part.offset, part.length, part.label) == (64 * sector, 64 * sector, "röot")
    assert part.uuid == "02020202-0202-0202-0202-020202020202"


def test_a_damaged_primary_gives_way_to_the_backup() -> None:
    disk = Gpt().disk()
    disk[512:1024] = bytes(512)
    table = table_of(disk)
    assert places(table) == [(1, 64 * 512, 64 * 512)]
    assert "the backup at the end of the disk was used" in reasons(table)


def test_a_primary_whose_entries_were_changed_gives_way_to_the_backup() -> None:
    disk = Gpt().disk()
    disk[1024 + 32 : 1024 + 40] = struct.pack("<Q", 70)
    assert places(table_of(disk)) == [(1, 64 * 512, 64 * 512)]


def test_a_missing_backup_is_said() -> None:
    disk = Gpt().disk()
    disk[-512:] = bytes(512)
    table = table_of(disk)
    assert places(table) == [(1, 64 * 512, 64 * 512)]
    assert "no valid backup GPT" in reasons(table)


def test_no_valid_gpt_behind_a_protective_record_is_a_loss() -> None:
    disk = Gpt().disk()
    disk[512:1024] = disk[-512:] = bytes(512)
    table = table_of(disk)
    assert table.kind == "none"
    assert any(problem.lost and "none is valid" in problem.reason for problem in table.problems)


@pytest.mark.parametrize(
    ("gpt", "expected", "reason"),
    [
        (Gpt(entries=0xFFFFFFFF), [(1, 64 * 512, 64 * 512)], "1024 were read"),
        (Gpt(entry_size=0), [(1, 64 * 512, 64 * 512)], "128 is assumed"),
        (Gpt(entry_size=1), [(1, 64 * 512, 64 * 512)], "128 is assumed"),
        (Gpt(entry_size=0xFFFFFFFF), [(1, 64 * 512, 64 * 512)], "128 is assumed"),
        (Gpt(first=200, last=100), [], "ends before it begins"),
        (Gpt(first=1 << 40, last=1 << 41), [], "begins at byte"),
        (Gpt(last=(1 << 64) - 1), [(1, 64 * 512, (4 << 20) - 64 * 512)], "past the end of the source"),
        (Gpt(entries_checksum=1), [(1, 64 * 512, 64 * 512)], "checksum over the GPT's entries is wrong"),
    ],
)
def test_absurd_numbers_in_a_gpt_are_clamped_and_said(
    gpt: Gpt, expected: list[tuple[int, int, int]], reason: str
) -> None:
    table = table_of(gpt.disk())
    assert [place for place in places(table) if place[0] == 1][:1] == expected
    assert any(problem.lost and reason in problem.reason for problem in table.problems)


def test_an_mbr_gives_its_primary_and_logical_partitions() -> None:
    disk = bytearray(4 << 20)
    disk[:512] = boot_record((0x83, 100, 50), (0x05, 1000, 3000))
    disk[1000 * 512 : 1001 * 512] = boot_record((0x83, 63, 100), (0x05, 500, 600))
    disk[1500 * 512 : 1501 * 512] = boot_record((0x82, 63, 200))
    table = table_of(disk)
    assert (table.kind, table.problems) == ("mbr", [])
    assert places(table) == [
        (1, 100 * 512, 50 * 512),
        (5, 1063 * 512, 100 * 512),
        (6, 1563 * 512, 200 * 512),
    ]
    assert [part.type for part in table.partitions] == ["0x83", "0x83", "0x82"]


def test_a_circle_of_logical_partitions_ends() -> None:
    disk = bytearray(1 << 20)
    disk[:512] = boot_record((0x0F, 100, 1000))
    disk[100 * 512 : 101 * 512] = boot_record((0x83, 1, 10), (0x05, 200, 10))
    disk[300 * 512 : 301 * 512] = boot_record((0x83, 1, 10), (0x05, 200, 10))
    table = table_of(disk)
    assert places(table) == [(5, 101 * 512, 5120), (6, 301 * 512, 5120)]
    assert "circle" in reasons(table)


def test_a_chain_of_logical_partitions_is_bounded() -> None:
    disk = bytearray(300 * 512)
    disk[:512] = boot_record((0x05, 1, 299))
    for sector in range(1, 299):
        disk[sector * 512 : sector * 512 + 512] = boot_record((0x83, 0, 1), (0x05, sector, 1))
    table = table_of(disk)
    assert len(table.partitions) == 128
    assert "more than 128" in reasons(table)


def test_a_broken_chain_is_a_loss() -> None:
    disk = bytearray(1 << 20)
    disk[:512] = boot_record((0x83, 10, 10), (0x05, 100, 1000))
    table = table_of(disk)
    assert places(table) == [(1, 5120, 5120)]
    assert table.problems[0].lost


def test_a_hybrid_disk_is_read_by_its_gpt() -> None:
    disk = Gpt().disk()
    disk[:512] = boot_record((0xEE, 1, 63), (0x83, 64, 64))
    assert table_of(disk).kind == "gpt"


@pytest.mark.parametrize("head", [b"\xebX\x90MSWIN4.1", b"\xebR\x90NTFS    "])
def test_a_boot_sector_with_code_where_a_table_would_be_is_no_table(head: bytes) -> None:
    sector = bytearray(head.ljust(510, b"\x33") + SIGNATURE)
    assert table_of(bytes(sector) + bytes(1 << 20)).kind == "none"


def test_small_sources_have_no_table() -> None:
    assert [table_of(b"\xaa" * size).kind for size in (1, 511, 512, 513, 1024)] == ["none"] * 5


@given(st.binary(max_size=66), st.binary(max_size=120), st.binary(max_size=300))
def test_any_bytes_give_partitions_inside_the_source(table: bytes, header: bytes, entry: bytes) -> None:
    disk = bytearray(Gpt(size=64 << 10, last=100).disk())
    disk[446 : 446 + len(table)] = table
    disk[512 + 24 : 512 + 24 + len(header)] = header
    disk[1024 : 1024 + len(entry)] = entry
    found: list[Partition] = table_of(bytes(disk)).partitions
    assert all(part.offset >= 0 and 0 < part.length <= (64 << 10) - part.offset for part in found)


def test_the_read_is_by_position(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    path.write_bytes(bytes(4096) + Gpt().disk() + bytes(4096))
    descriptor = os.open(path, os.O_RDONLY)
    try:
        assert places(read_table(Window(medium_of(descriptor), 4096, 4 << 20))) == [(1, 64 * 512, 64 * 512)]
    finally:
        os.close(descriptor)
