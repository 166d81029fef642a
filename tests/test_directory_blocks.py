"""Directory blocks of ext and XFS from any bytes: they end, and what chains is told apart from what does not."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from volforensic.evidence import ext_directory, xfs_directory
from volforensic.evidence.ext_directory import directory_entries
from volforensic.evidence.xfs_directory import block_entries, short_entries

INODES = 1000


def ext_entry(inode: int, name: bytes, length: int, name_length: int | None = None) -> bytes:
    size = len(name) if name_length is None else name_length
    return (struct.pack("<IHBB", inode, length, size, 1) + name).ljust(max(8, length if length < 1024 else 0), b"\0")


def test_a_deleted_entry_lies_in_the_slack_of_the_one_before_it() -> None:
    deleted = ext_entry(13, b"gone", 16)
    block = (ext_entry(12, b"here", 40)[:16] + deleted).ljust(40, b"\0") + ext_entry(14, b"last", 1024 - 40)
    assert list(directory_entries(block.ljust(1024, b"\0"), INODES)) == [
        ext_directory.DirectoryEntry(12, b"here", kind=1),
        ext_directory.DirectoryEntry(13, b"gone", is_deleted=True),
        ext_directory.DirectoryEntry(14, b"last", kind=1),
    ]


def test_entries_behind_a_broken_chain_are_found_and_the_break_is_said() -> None:
    block = ext_entry(12, b"one", 12) + ext_entry(13, b"broken", 0).ljust(16, b"\0") + ext_entry(14, b"two", 996)
    found = list(directory_entries(block.ljust(1024, b"\0"), INODES))
    assert [entry.name for entry in found if not isinstance(entry, str)] == [b"one", b"broken", b"two"]
    assert [entry for entry in found if isinstance(entry, str)] == ["the entry at byte 12 says that it has 0 bytes"]


@given(st.binary(max_size=600), st.integers(0, 1 << 32))
def test_any_bytes_of_an_ext_block_end(data: bytes, most: int) -> None:
    found = list(directory_entries(data.ljust(1024, b"\0"), most))
    assert len(found) <= 1024 // 4
    assert all(isinstance(entry, str) or len(entry.name) <= 255 for entry in found)


def xfs_entry(inode: int, name: bytes) -> bytes:
    size = -(-(12 + len(name)) // 8) * 8
    return (struct.pack(">QB", inode, len(name)) + name + b"\x01").ljust(size, b"\0")


def test_an_xfs_block_has_entries_and_free_space() -> None:
    free = struct.pack(">2sH", b"\xff\xff", 24).ljust(24, b"\0")
    body = b"XDD3" + bytes(60) + xfs_entry(128, b".") + free + xfs_entry(131, b"name")
    rest = 4096 - len(body)
    block = body + struct.pack(">2sH", b"\xff\xff", rest).ljust(rest, b"\0")
    assert list(block_entries(block, has_types=True)) == [
        xfs_directory.DirectoryEntry(128, b".", kind=1),
        xfs_directory.DirectoryEntry(131, b"name", kind=1),
    ]
    assert list(block_entries(bytes(4096), has_types=True)) == ["it is no block of a directory"]


def test_short_entries_with_wide_and_narrow_numbers() -> None:
    narrow = b"\x01\x00" + bytes(4) + b"\x02\0\0ab\x01" + struct.pack(">I", 131)
    wide = b"\x01\x01" + bytes(8) + b"\x02\0\0ab\x01" + struct.pack(">Q", 1 << 40)
    assert list(short_entries(narrow, has_types=True)) == [xfs_directory.DirectoryEntry(131, b"ab", kind=1)]
    assert list(short_entries(wide, has_types=True)) == [xfs_directory.DirectoryEntry(1 << 40, b"ab", kind=1)]
    assert list(short_entries(narrow[:-1], has_types=True)) == ["its entries are cut"]


@given(
    st.binary(max_size=600), st.booleans(), st.sampled_from([b"XD2B", b"XD2D", b"XDB3", b"XDD3", b"\xff\xff\xff\xff"])
)
def test_any_bytes_of_an_xfs_block_end(data: bytes, has_types: bool, magic: bytes) -> None:  # noqa: FBT001 - drawn
    assert len(list(block_entries((magic + data).ljust(1024, b"\0"), has_types=has_types))) <= 1024 // 8
    assert len(list(short_entries(data, has_types=has_types))) <= 256
