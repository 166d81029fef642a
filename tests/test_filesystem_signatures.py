"""Which filesystem a volume holds, and what its superblock says that cannot be."""

import os
import struct
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from media import medium_of

from images.hostile.ext_disk import Ext
from images.hostile.kit import UUID
from images.hostile.other_disks import btrfs_image, xfs_image
from images.hostile.superblocks import SUPERBLOCK_FIELDS
from volforensic.evidence.reader import Window
from volforensic.evidence.signatures import READABLE, SUSPENDED, Filesystem, is_empty, recognise

OWN_UUID = "9b1f0d52-77c4-4a8e-8c0e-5b9b6a1f3d20"


def recognised(content: bytes | Path) -> Filesystem | None:
    with tempfile.TemporaryFile() as file:
        file.write(content if isinstance(content, bytes) else content.read_bytes())
        file.flush()
        return recognise(Window(medium_of(file.fileno()), 0, file.tell()))


def at(place: int, data: bytes, size: int = 1 << 20) -> bytes:
    return bytes(place) + data + bytes(size - place - len(data))


def formatted(folder: Path, *command: str, size: int = 16 << 20) -> Path:
    path = folder / "disk.raw"
    path.touch()
    os.truncate(path, size)
    subprocess.run([*command, str(path)], check=True, capture_output=True)
    return path


@pytest.mark.parametrize("kind", ["ext2", "ext3", "ext4"])
def test_ext_with_its_label_and_uuid(tmp_path: Path, kind: str) -> None:
    path = formatted(tmp_path, "mke2fs", "-q", "-F", "-t", kind, "-b", "1024", "-L", "rööt", "-U", UUID)
    found = recognised(path)
    assert found is not None
    assert (found.type, found.uuid, found.block_size, found.state, found.remark) == (kind, UUID, 1024, "clean", "")
    assert found.label == "r????t"


def test_xfs_and_btrfs(tmp_path: Path) -> None:
    xfs, btrfs = recognised(xfs_image(tmp_path / "xfs")), recognised(btrfs_image(tmp_path / "btrfs", OWN_UUID))
    assert xfs is not None
    assert (xfs.type, xfs.uuid, xfs.block_size, xfs.remark) == ("xfs", UUID, 4096, "")
    assert btrfs is not None
    told = (btrfs.type, btrfs.uuid, btrfs.block_size, btrfs.state, btrfs.remark)
    assert told == ("btrfs", OWN_UUID, 4096, "clean", "")


def test_swap(tmp_path: Path) -> None:
    found = recognised(formatted(tmp_path, "mkswap", "-U", UUID, "-L", "swap1"))
    assert found is not None
    assert (found.type, found.uuid, found.label) == ("swap", UUID, "swap1")


@pytest.mark.parametrize("size", [4096, 8192, 16384, 32768, 65536])
def test_swap_of_every_page_size_and_a_suspended_machine(tmp_path: Path, size: int) -> None:
    found = recognised(formatted(tmp_path, "mkswap", "-p", str(size), "-U", UUID, "-L", "swap1"))
    assert found is not None
    assert (found.type, found.uuid, found.label, found.block_size) == ("swap", UUID, "swap1", size)
    for magic in (b"S1SUSPEND\0", b"LINHIB0001", b"ULSUSPEND\0"):
        found = recognised(at(size - 10, magic))
        assert found is not None
        assert (found.type, found.state) == ("swap", SUSPENDED)
    old = recognised(at(size - 10, b"SWAP-SPACE"))
    assert old is not None
    assert (old.type, old.state) == ("swap", "clean")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (at(0, b"LUKS\xba\xbe\x00\x02"), "luks"),
        (at(512, b"LABELONE"), "lvm2"),
        (at(4096, b"\xfc\x4e\x2b\xa9"), "linux_raid"),
        (at(0, b"\xfc\x4e\x2b\xa9"), "linux_raid"),
        (at((1 << 20) - 65536, b"\xfc\x4e\x2b\xa9"), "linux_raid"),
        (at(0, b"hsqs"), "squashfs"),
        (at(1024, b"\xe2\xe1\xf5\xe0"), "erofs"),
    ],
)
def test_what_cannot_be_read_is_named(content: bytes, kind: str) -> None:
    found = recognised(content)
    assert found is not None
    is_a_part = kind in {"lvm2", "linux_raid"}  # of what is put together, and read there
    assert (found.type, bool(found.unread)) == (kind, not is_a_part)
    assert is_a_part == (kind not in READABLE and not found.unread)


@pytest.mark.parametrize(
    ("place", "name", "kind"),
    [(54, b"FAT16   ", "fat"), (82, b"FAT32   ", "fat"), (3, b"NTFS    ", "ntfs"), (3, b"EXFAT   ", "exfat")],
)
def test_filesystems_of_a_boot_sector(place: int, name: bytes, kind: str) -> None:
    sector = bytearray(at(place, name))
    sector[510:512] = b"\x55\xaa"
    found = recognised(bytes(sector))
    assert found is not None
    assert found.type == kind


def test_nothing_and_nearly_nothing() -> None:
    assert [recognised(bytes(size)) for size in (0, 1, 511, 1024, 2047, 1 << 20)] == [None] * 6
    with tempfile.TemporaryFile() as file:
        file.write(at(0, b"", 1 << 20))
        file.flush()
        assert is_empty(Window(medium_of(file.fileno()), 0, 1 << 20))
        file.write(b"x")
        file.flush()
        assert not is_empty(Window(medium_of(file.fileno()), 0, (1 << 20) + 1))


def test_a_journal_to_replay_an_unknown_feature_and_an_external_journal_are_said(tmp_path: Path) -> None:
    image = Ext(tmp_path)
    incompatible = struct.unpack("<I", image.read(1024 + 96, 4))[0]
    for field, value, state, unread in (
        (96, incompatible | 0x4, "the journal holds committed changes", ""),
        (96, incompatible | 0x8, "clean", "external journal"),
    ):
        before = image.read(1024 + field, 4)
        image.superblock(field, "<I", value)
        found = recognised(image.path)
        image.write(1024 + field, before)
        assert found is not None
        assert state in found.state
        assert unread in found.unread
        assert bool(found.unread) == bool(unread)


def test_a_log_tree_of_btrfs_and_several_devices_are_said(tmp_path: Path) -> None:
    content = bytearray(btrfs_image(tmp_path).read_bytes())
    content[65536 + 96 : 65536 + 104] = struct.pack("<Q", 1 << 20)
    content[65536 + 136 : 65536 + 144] = struct.pack("<Q", 2)
    found = recognised(bytes(content))
    assert found is not None
    assert "log tree" in found.state
    assert (found.unread, found.devices, found.device) == ("", 2, 1)
    assert found.remark == "the checksum of the superblock is wrong"


@pytest.mark.parametrize("name", SUPERBLOCK_FIELDS)
@pytest.mark.parametrize("extreme", ["zero", "largest"])
def test_extreme_fields_of_a_superblock_raise_nothing(tmp_path: Path, name: str, extreme: str) -> None:
    offset, form = SUPERBLOCK_FIELDS[name]
    image = Ext(tmp_path)
    image.superblock(offset, form, 0 if extreme == "zero" else (1 << 8 * struct.calcsize(form)) - 1)
    found = recognised(image.path)
    impossible = {"inodes_count", "blocks_count", "blocks_per_group", "inodes_per_group", "inode_size"}
    if name in impossible and extreme == "zero":
        assert found is not None
        assert "the superblock is damaged" in found.remark
    if name == "magic":
        assert found is None


def test_a_superblock_whose_checksum_is_wrong_gives_way_to_its_backup(tmp_path: Path) -> None:
    path = formatted(tmp_path, "mke2fs", "-q", "-F", "-t", "ext4", "-b", "1024", "-L", "good", size=20 << 20)
    with path.open("r+b") as file:
        file.seek(1024 + 120)
        file.write(b"evil")
    found = recognised(path)
    assert found is not None
    assert found.label == "good"
    assert found.remark == (
        "the superblock is damaged (its checksum is wrong); the backup superblock in block 8193 was used"
    )


@pytest.mark.parametrize(("block_size", "block"), [(1024, 8193), (2048, 16384), (4096, 32768)])
def test_a_zeroed_superblock_gives_way_to_its_backup(tmp_path: Path, block_size: int, block: int) -> None:
    size = (block + 9000) * block_size
    path = formatted(tmp_path, "mke2fs", "-q", "-F", "-t", "ext4", "-b", str(block_size), "-U", UUID, size=size)
    with path.open("r+b") as file:
        file.seek(1024)
        file.write(bytes(1024))
        file.flush()
        found = recognise(Window(medium_of(file.fileno()), 0, size))
    assert found is not None
    assert (found.type, found.uuid) == ("ext4", UUID)
    assert f"backup superblock in block {block} was used" in found.remark


def test_a_filesystem_larger_than_its_volume_is_said(tmp_path: Path) -> None:
    for build in (lambda folder: Ext(folder).path, xfs_image, btrfs_image):
        path = build(tmp_path / getattr(build, "__name__", "ext").strip("<>"))
        found = recognised(path.read_bytes()[: path.stat().st_size // 2])
        assert found is not None
        assert "the volume has" in found.remark


@given(st.binary(max_size=1100), st.sampled_from([b"XFSB", b"LUKS\xba\xbe", b""]))
def test_any_bytes_raise_nothing(noise: bytes, head: bytes) -> None:
    content = bytearray(at(0, head, 70 << 10))
    content[1024 : 1024 + len(noise)] = noise
    content[1024 + 56 : 1024 + 58] = b"\x53\xef"
    found = recognised(bytes(content))
    assert found is None or found.type in {*READABLE, "luks", "lvm2", "swap", "squashfs", "erofs", "linux_raid"}
