"""Inodes without a name, on disks that the kernel made: deleted while open, freed with something left, names lost."""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies as st
from loop_mounts import mounted
from test_walk import Walked

from images.hostile.other_disks import btrfs_image, xfs_image
from volforensic.evidence.xfs_deleted import removed_names
from volforensic.inventory.entry import FileEntry

CONTENT = b"\x7fELF" + bytes(range(256)) * 700


@contextmanager
def crashed(image: Path, mount: Path, name: str) -> Iterator[Path]:
    """Mount, let the test work, delete a file that is held open, freeze (as a snapshot does) and copy the disk."""
    with mounted(image, mount) as folder:
        yield folder
        with (folder / name).open("rb"):
            os.sync()
            (folder / name).unlink()
            _freeze_and_copy(image, folder)


def _freeze_and_copy(image: Path, folder: Path) -> None:
    os.sync()
    subprocess.run(["fsfreeze", "-f", str(folder)], check=True)
    try:
        shutil.copy(image, image.with_suffix(".crash"))
    finally:
        subprocess.run(["fsfreeze", "-u", str(folder)], check=True)


def made(kind: str, folder: Path) -> Path:
    if kind == "xfs":
        return xfs_image(folder)
    if kind == "btrfs":
        return btrfs_image(folder)
    folder.mkdir()
    path = folder / "disk.raw"
    options = ["-O", "orphan_file"] if kind == "ext4-orphan-file" else []
    subprocess.run(
        [f"mkfs.{kind.partition('-')[0]}", "-q", *options, str(path), "64M"], check=True, stderr=subprocess.DEVNULL
    )
    return path


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def orphans(walked: Walked, *, allocated: bool) -> list[FileEntry]:
    return [entry for entry in walked.entries if entry.is_orphan and entry.allocated == allocated]


@pytest.mark.parametrize("kind", ["ext3", "ext4", "ext4-orphan-file", "xfs", "btrfs"])
def test_a_program_deleted_while_it_runs_is_an_entry_with_its_whole_content(tmp_path: Path, kind: str) -> None:
    image = made(kind, tmp_path / "made")
    with crashed(image, tmp_path / "mount", "xmrig") as folder:
        path = folder / "xmrig"
        path.write_bytes(CONTENT)
        path.chmod(0o755)
        number = path.stat().st_ino
    walked = Walked(image.with_suffix(".crash"), kind.partition("-")[0])
    (entry,) = orphans(walked, allocated=True)
    assert (entry.path, entry.inode, entry.links) == (b"/$OrphanFiles/OrphanFile-%d" % number, number, 0)
    assert (entry.type, entry.mode, entry.size) == ("file", 0o755, len(CONTENT))
    assert walked.content(entry) == (sha256(CONTENT), [])
    (problem,) = walked.problems
    assert "1 files were deleted while open" in problem.reason
    assert not problem.lost


def test_a_subvolume_has_orphans_of_its_own(tmp_path: Path) -> None:
    image = btrfs_image(tmp_path / "made")
    with crashed(image, tmp_path / "mount", "sub/miner") as folder:
        subprocess.run(["btrfs", "-q", "subvolume", "create", str(folder / "sub")], check=True)
        (folder / "sub" / "miner").write_bytes(CONTENT)
    walked = Walked(image.with_suffix(".crash"), "btrfs")
    (entry,) = orphans(walked, allocated=True)
    assert re.fullmatch(rb"/\$OrphanFiles/OrphanFile-\d+-\d+", entry.path)
    assert entry.tree >= 256
    assert walked.content(entry) == (sha256(CONTENT), [])


def test_the_folder_is_never_one_of_the_disk(tmp_path: Path) -> None:
    image = made("ext4", tmp_path / "made")
    with crashed(image, tmp_path / "mount", "miner") as folder:
        (folder / "$OrphanFiles").mkdir()
        (folder / "$OrphanFiles.1").write_bytes(b"")
        (folder / "miner").write_bytes(CONTENT)
    (entry,) = orphans(Walked(image.with_suffix(".crash"), "ext4"), allocated=True)
    assert entry.parent == b"/$OrphanFiles.2"


@pytest.mark.parametrize("kind", ["ext2", "ext3", "ext4"])
def test_what_tsk_lists_as_deleted_we_list_too(tmp_path: Path, kind: str) -> None:
    image = made(kind, tmp_path / "made")
    with mounted(image, tmp_path / "mount") as folder:
        for number in range(40):
            path = folder / f"d{number % 3}" / f"file{number}"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(os.urandom(5000))
        os.sync()
        for number in range(0, 40, 2):
            (folder / f"d{number % 3}" / f"file{number}").unlink()
        shutil.rmtree(folder / "d2")
        for number in range(3):
            (folder / f"later{number}").write_bytes(b"x")
    listed = subprocess.run(["fls", "-rd", "-p", str(image)], check=True, capture_output=True, text=True).stdout
    theirs = set(re.findall(r"^\S+ \* (\d+)(?:\(realloc\))?:\t(.+)$", listed, re.MULTILINE))
    ours = {
        (str(entry.inode), os.fsdecode(entry.path[1:])) for entry in Walked(image, kind).entries if not entry.allocated
    }
    assert len(theirs) > 15
    assert theirs <= ours


@pytest.mark.parametrize("kind", ["ext2", "ext4"])
def test_a_freed_inode_whose_blocks_still_stand_in_it_keeps_its_content(tmp_path: Path, kind: str) -> None:
    image = made(kind, tmp_path / "made")
    (tmp_path / "content").write_bytes(CONTENT)
    content = f"write {tmp_path}/content"
    done = f"{content} kept\n{content} miner\nrm miner\nln kept longer-than-the-name-of-the-miner\n"
    subprocess.run(["debugfs", "-w", "-f", "-", str(image)], input=done.encode(), check=True, capture_output=True)
    walked = Walked(image, kind)
    (entry,) = orphans(walked, allocated=False)
    assert (entry.path, entry.size) == (b"/$OrphanFiles/OrphanFile-13", len(CONTENT))
    assert walked.content(entry) == (sha256(CONTENT), [])


def test_a_freed_xfs_inode_keeps_its_extents(tmp_path: Path) -> None:
    image = xfs_image(tmp_path / "made")
    with mounted(image, tmp_path / "mount") as folder:
        for number in range(5):
            (folder / f"file{number}").write_bytes(CONTENT)
    with mounted(image, tmp_path / "mount") as folder:  # mounted again: the inodes went from the log to their places
        inode = (folder / "file2").stat().st_ino
        (folder / "file2").unlink()
    walked = Walked(image, "xfs")
    (entry,) = orphans(walked, allocated=False)
    assert (entry.inode, entry.type) == (inode, "unknown")
    assert entry.extents is not None
    data = image.read_bytes()
    kept = b"".join(data[extent.source_offset : extent.source_offset + extent.length] for extent in entry.extents)
    assert kept[: len(CONTENT)] == CONTENT
    assert "its size was cleared" in entry.problems[0]


def test_a_lost_directory_is_listed_with_what_is_below_it(tmp_path: Path) -> None:
    image = made("ext4", tmp_path / "made")
    tree = "mkdir /a\nmkdir /a/b\nwrite /etc/hostname /a/b/file\nunlink /a\n"
    subprocess.run(["debugfs", "-w", "-f", "-", str(image)], input=tree.encode(), check=True, capture_output=True)
    walked = Walked(image, "ext4")
    paths = [entry.path for entry in orphans(walked, allocated=True)]
    assert paths == [
        b"/$OrphanFiles/OrphanFile-12",
        b"/$OrphanFiles/OrphanFile-12/b",
        b"/$OrphanFiles/OrphanFile-12/b/file",
    ]
    missing, lost = walked.problems
    assert "by its links it has 2 directories, 1 were found" in missing.reason
    assert "1 inodes are in use and no name leads to them" in lost.reason
    assert missing.lost
    assert lost.lost


def test_a_damaged_inode_bitmap_is_said(tmp_path: Path) -> None:
    image = made("ext4", tmp_path / "made")
    text = subprocess.run(["dumpe2fs", str(image)], check=True, capture_output=True, text=True).stdout
    bitmap = int(re.findall(r"Inode bitmap at (\d+)", text)[0])
    with image.open("r+b") as file:
        file.seek(bitmap * 1024 * (4 if "Block size:               4096" in text else 1) + 100)
        file.write(b"\xff")
    (problem,) = Walked(image, "ext4").problems
    assert (
        "which inodes are in use is not known: block group 0: the checksum of its inode bitmap is wrong"
        in problem.reason
    )


def test_a_circle_of_unlinked_xfs_inodes_ends(tmp_path: Path) -> None:
    image = xfs_image(tmp_path / "made")
    with crashed(image, tmp_path / "mount", "miner") as folder:
        (folder / "miner").write_bytes(CONTENT)
        number = (folder / "miner").stat().st_ino
    crash = image.with_suffix(".crash")
    assert number < 1 << 20, "in the first group: the number is the place"
    subprocess.run(
        ["xfs_db", "-x", "-c", f"inode {number}", "-c", f"write next_unlinked {number}", str(crash)], check=True
    )
    walked = Walked(crash, "xfs")
    assert len(orphans(walked, allocated=True)) == 1
    assert any("run in a circle" in problem.reason for problem in walked.problems)


def test_names_removed_from_an_xfs_directory_are_listed_with_their_inodes(tmp_path: Path) -> None:
    image = xfs_image(tmp_path / "made")
    with mounted(image, tmp_path / "mount") as folder:
        (folder / "many").mkdir()
        for number in range(120):
            (folder / "many" / f"file{number}").write_bytes(CONTENT[:5000])
    with mounted(image, tmp_path / "mount") as folder:
        numbers = {}
        for number in (3, 4, 5, 50, 90):  # the first three stand side by side: their free spaces are joined
            path = folder / "many" / f"file{number}"
            numbers[b"/many/file%d" % number] = path.stat().st_ino
            path.unlink()
        (folder / "many" / "file7").rename(folder / "many" / "renamed")
    walked = Walked(image, "xfs")
    found = {entry.path: entry for entry in walked.entries if not entry.allocated and not entry.is_orphan}
    assert {path: entry.inode for path, entry in found.items() if entry.has_inode} == numbers
    assert all(entry.extents for path, entry in found.items() if path in numbers)
    assert set(found) - set(numbers) <= {b"/many/file7"}, "its inode belongs to the new name"
    assert not orphans(walked, allocated=False), "each freed inode stands once"


@hypothesis.given(st.binary(min_size=480, max_size=480), st.sampled_from([b"XDB3", b"XDD3", b"XD2B", b"XD2D"]))
def test_any_directory_block_is_taken(data: bytes, magic: bytes) -> None:
    header = magic + bytes(44) + b"\0\x40\x01\0" + bytes(12)
    for found in removed_names((header + data)[:512], has_types=True):
        assert found.inode
        assert b"/" not in found.name
