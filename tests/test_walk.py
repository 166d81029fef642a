"""The walk against the kernel's own view: names, inodes, times, links, contents; and what damage costs."""

import hashlib
import mmap
import os
import shutil
import stat
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from loop_mounts import mounted
from media import medium_of

from images.hostile.ext_disk import Ext, extent_header, extent_leaf
from images.hostile.other_disks import btrfs_image, xfs_image
from volforensic.evidence.filesystems import open_filesystem
from volforensic.evidence.node import TYPES
from volforensic.evidence.reader import Window
from volforensic.inventory.entry import FileEntry
from volforensic.inventory.file_bytes import Loss, stored_chunks
from volforensic.inventory.walk import WalkArguments, walk_filesystem
from volforensic.record import Problem  # noqa: TC001 - a plain import, as everywhere
from volforensic.sandbox.messages import PAGE_USED
from volforensic.sandbox.worker import Workplace


class Walked:
    """An image walked from its first byte."""

    def __init__(self, path: Path, kind: str, skipped: list[int] | None = None, received: int = 0) -> None:
        """Walk it."""
        self.descriptor = os.open(path, os.O_RDONLY)
        size = path.stat().st_size
        place = Workplace(medium_of(self.descriptor), mmap.mmap(-1, PAGE_USED), None)
        given = WalkArguments(volume=0, offset=0, length=size, kind=kind, skipped=skipped or [], received=received)
        self.entries: list[FileEntry] = []
        self.problems: list[Problem] = []
        for message in walk_filesystem(place, given):
            self.entries += message.entries
            self.problems += message.problems
        self._reader = open_filesystem(kind, Window(medium_of(self.descriptor), 0, size), lambda _: None)

    def living(self) -> dict[bytes, FileEntry]:
        """Return the allocated entries by path."""
        return {entry.path: entry for entry in self.entries if entry.allocated}

    def content(self, entry: FileEntry) -> tuple[str, list[Loss]]:
        """Return the SHA-256 of a file's bytes with its holes as NUL, and what was lost."""
        losses: list[Loss] = []
        digest = hashlib.sha256()
        position = 0
        for block in stored_chunks(medium_of(self.descriptor), entry, lambda _: self._reader, losses):
            assert block.position >= position
            digest.update(bytes(block.position - position) + block.data)
            position = block.position + len(block.data)
        digest.update(bytes(entry.size - position))
        return digest.hexdigest(), losses


def fill(folder: Path) -> None:
    """Write what a filesystem may keep in unusual ways."""
    for number in range(1500):
        path = folder / "many" / f"file{number:04}"
        path.parent.mkdir(exist_ok=True)
        path.touch()
    for number in range(0, 1500, 3):
        (folder / "many" / f"file{number:04}").unlink()
    with (folder / "sparse").open("wb") as file:
        file.seek(3 << 20)
        file.write(b"x" * 5000)
        file.truncate(9 << 20)
    descriptor = os.open(folder / "unwritten", os.O_CREAT | os.O_WRONLY)
    try:
        os.posix_fallocate(descriptor, 0, 1 << 20)
        os.pwrite(descriptor, b"z" * 4096, 512 << 10)
    finally:
        os.close(descriptor)
    with (folder / "fragmented").open("wb") as file:
        for number in range(300):
            file.seek(number * 16384)
            file.write(bytes([number % 256]) * 4096)
    (folder / "large").write_bytes(os.urandom(2 << 20))
    for size in (0, 1, 59, 60, 61, 100, 159, 160, 1000, 4096):
        (folder / f"size{size}").write_bytes(b"i" * size)
        if size:
            (folder / f"link{size}").symlink_to("t" * min(size, 1000))
    Path(os.fsdecode(os.fsencode(folder) + b"/name\xff\n\x1b[")).write_text("odd")
    os.mkfifo(folder / "fifo")
    os.mknod(folder / "device", 0o20600, os.makedev(1, 5))
    os.link(folder / "large", folder / "hard")
    os.chown(folder / "sparse", 200_000, 300_000)
    (folder / "sparse").chmod(0o6751)
    os.utime(folder / "large", ns=(1_234_567_890_123_456_789, 4_000_000_000_000_000_005))
    (folder / "text").write_text("the same line again\n" * 20_000)
    (folder / "a" / "b" / "c").mkdir(parents=True)
    (folder / "a" / "b" / "c" / "deep").write_text("deep")


def kernel_rows(folder: Path) -> dict[bytes, tuple[object, ...]]:
    """Return what the kernel says of every path below the mounted folder."""
    rows: dict[bytes, tuple[object, ...]] = {}
    root = os.fsencode(folder)
    for directory, directories, files in os.walk(root):
        for name in [*directories, *files]:
            path = os.path.join(directory, name)  # noqa: PTH118 - Path would lose nothing, but has no bytes
            status = os.lstat(path)
            kind = TYPES[stat.S_IFMT(status.st_mode)]
            rows[path[len(root) :]] = (
                kind,
                stat.S_IMODE(status.st_mode),
                status.st_uid,
                status.st_gid,
                status.st_ino,
                status.st_mtime_ns,
                status.st_ctime_ns,
                status.st_atime_ns,
                status.st_size if kind in {"file", "symlink"} else 0,
                os.readlink(path) if kind == "symlink" else None,  # noqa: PTH115 - same
                hashlib.sha256(Path(os.fsdecode(path)).read_bytes()).hexdigest() if kind == "file" else "",
            )
    return rows


def our_rows(walked: Walked) -> dict[bytes, tuple[object, ...]]:
    """Return the same of our walk."""
    rows: dict[bytes, tuple[object, ...]] = {}
    for path, entry in walked.living().items():
        digest, losses = walked.content(entry) if entry.type == "file" else ("", [])
        assert not losses
        assert not entry.problems
        size = entry.size if entry.type in {"file", "symlink"} else 0
        times = entry.modified, entry.changed, entry.accessed
        owner = entry.type, entry.mode, entry.uid, entry.gid, entry.inode
        rows[path] = (*owner, *times, size, entry.link_target, digest)
    rows.pop(b"/")
    return rows


def empty_image(folder: Path, size: int, *command: str) -> Path:
    path = folder / "disk.raw"
    path.touch()
    os.truncate(path, size)
    subprocess.run([*command, str(path)], check=True, capture_output=True)
    return path


MAKERS: dict[str, tuple[str, int, tuple[str, ...], str]] = {
    "ext2-1k": ("ext2", 32, ("mke2fs", "-q", "-F", "-t", "ext2", "-b", "1024"), "ro"),
    "ext3-2k": ("ext3", 48, ("mke2fs", "-q", "-F", "-t", "ext3", "-b", "2048"), "ro,noload"),
    "ext4-4k": ("ext4", 64, ("mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096"), "ro,noload"),
    "ext4-inline": ("ext4", 32, ("mke2fs", "-q", "-F", "-t", "ext4", "-O", "inline_data", "-b", "1024"), "ro,noload"),
    "ext4-128": ("ext4", 32, ("mke2fs", "-q", "-F", "-t", "ext4", "-I", "128", "-b", "1024"), "ro,noload"),
    "xfs": ("xfs", 320, ("mkfs.xfs", "-q"), "ro,norecovery"),
    "btrfs": ("btrfs", 128, ("mkfs.btrfs", "-q"), "ro"),
}


@pytest.mark.parametrize("name", MAKERS)
def test_the_walk_sees_what_the_kernel_sees(tmp_path: Path, name: str) -> None:
    kind, size, command, options = MAKERS[name]
    image = empty_image(tmp_path, size << 20, *command)
    with mounted(image, tmp_path / "mount") as folder:
        fill(folder)
    with mounted(image, tmp_path / "mount", options) as folder:
        expected = kernel_rows(folder)
    walked = Walked(image, kind)
    found = our_rows(walked)
    assert found.keys() == expected.keys()
    assert {path: row for path, row in found.items() if row != expected[path]} == {}
    assert walked.problems == []


@pytest.mark.parametrize("compression", ["zlib", "lzo", "zstd"])
def test_compressed_files_subvolumes_and_snapshots_of_btrfs(tmp_path: Path, compression: str) -> None:
    image = empty_image(tmp_path, 128 << 20, "mkfs.btrfs", "-q")
    with mounted(image, tmp_path / "mount", f"compress-force={compression}") as folder:
        run = ["btrfs", "subvolume"]
        subprocess.run([*run, "create", str(folder / "top")], check=True, capture_output=True)
        fill(folder / "top")
        subprocess.run([*run, "create", str(folder / "top" / "nested")], check=True, capture_output=True)
        (folder / "top" / "nested" / "inside").write_text("nested")
        snapshot = [*run, "snapshot", "-r", str(folder / "top"), str(folder / "a-snapshot")]
        subprocess.run(snapshot, check=True, capture_output=True)
        (folder / "top" / "large").write_bytes(b"changed after the snapshot")
    with mounted(image, tmp_path / "mount", "ro") as folder:
        expected = kernel_rows(folder)
    walked = Walked(image, "btrfs")
    found = our_rows(walked)
    # The empty directory in the place of the nested subvolume has the times of the mount.
    placeholder = b"/a-snapshot/nested"
    assert (found.pop(placeholder)[0], expected.pop(placeholder)[0]) == ("directory", "directory")
    assert found.keys() == expected.keys()
    assert {path: row for path, row in found.items() if row != expected[path]} == {}
    assert b"/top/nested/inside" in found
    assert walked.problems == []


def test_deleted_names_are_listed_as_not_allocated(tmp_path: Path) -> None:
    image = Ext(tmp_path)
    image.debugfs("rm /usr/share/doc/two")
    entry = next(entry for entry in Walked(image.path, "ext4").entries if entry.path == b"/usr/share/doc/two")
    assert (entry.allocated, entry.has_inode, entry.problems) == (False, True, ())


def test_a_deleted_name_whose_inode_was_used_again_claims_nothing(tmp_path: Path) -> None:
    image = Ext(tmp_path)
    number = image.number("/usr/share/doc/two")
    image.debugfs("rm /usr/share/doc/two", f"write {tmp_path}/tree/etc/passwd /reused")
    assert image.number("reused") == number or image.number("/reused") == number
    found = [entry for entry in Walked(image.path, "ext4").entries if entry.path == b"/usr/share/doc/two"]
    assert [(entry.allocated, entry.has_inode, entry.problems) for entry in found] == [
        (False, False, ("the inode belongs to another file now",))
    ]


def test_a_walk_is_taken_up_where_it_broke_off(tmp_path: Path) -> None:
    image = Ext(tmp_path)
    whole = Walked(image.path, "ext4").entries
    assert Walked(image.path, "ext4", received=7).entries == whole[7:]
    skipped = Walked(image.path, "ext4", skipped=[image.number("/var/log")])
    assert any("did not end" in problem for entry in skipped.entries for problem in entry.problems)


def _zero_length(image: Ext) -> None:
    image.write(image.block("/usr/share/doc") * 1024 + 24 + 4, b"\0\0")


def _lost_name(image: Ext) -> None:
    start = image.block("/usr/share/doc") * 1024
    image.write(start + 24, bytes(4))


def _wrong_checksum(image: Ext) -> None:
    image.write(image.inode("/usr/share/doc/one") + 4, b"\x01")


def _unknown_type(image: Ext) -> None:
    image.write(image.inode("/usr/share/doc/one"), struct.pack("<H", 0o170644))


def _overlap(image: Ext) -> None:
    block = image.block("/usr/share/doc/one")
    leaves = extent_leaf(0, 2, block) + extent_leaf(1, 2, block)
    image.set_extents("/usr/share/doc/one", extent_header(2, 4, 0) + leaves)


@pytest.mark.parametrize(
    ("damage", "features", "sentence"),
    [
        (_zero_length, "^metadata_csum,^has_journal", "says that it has 0 bytes"),
        (_lost_name, "^metadata_csum,^has_journal", "no name leads to them"),
        (_wrong_checksum, "metadata_csum,^has_journal", "the checksum of its inode is wrong"),
        (_lost_name, "metadata_csum,^has_journal", "its checksum is wrong"),
        (_unknown_type, "^metadata_csum,^has_journal", "names no file type that is known"),
        (_overlap, "^metadata_csum,^has_journal", "its extents overlap"),
    ],
)
def test_damage_is_said_and_costs_itself_only(
    tmp_path: Path, damage: Callable[[Ext], None], features: str, sentence: str
) -> None:
    image = Ext(tmp_path, features=features)
    damage(image)
    walked = Walked(image.path, "ext4")
    said = [problem.reason for problem in walked.problems]
    said += [problem for entry in walked.entries for problem in entry.problems]
    assert any(sentence in reason for reason in said)
    assert {b"/etc/crontab", b"/var/log/auth.log", b"/bin/tool"} <= walked.living().keys()


def test_names_keep_their_bytes_and_two_equal_names_are_two_entries(tmp_path: Path) -> None:
    image = Ext(tmp_path)
    image.debugfs("mkdir /odd", "cd /odd", *(f"write {tmp_path}/tree/etc/hostname n{number:03}" for number in range(4)))
    for number, name in enumerate((b"a\0bc", b"/etc", b"same", b"same")):
        image.rename_in_place("/odd", f"n{number:03}".encode(), name)
    names = [entry.path for entry in Walked(image.path, "ext4").entries if entry.path.startswith(b"/odd/")]
    assert names == [b"/odd/a\0bc", b"/odd//etc", b"/odd/same", b"/odd/same"]


def test_damaged_tree_blocks_of_btrfs_are_said(tmp_path: Path) -> None:
    path = btrfs_image(tmp_path)
    assert Walked(path, "btrfs").problems == []
    content = bytearray(path.read_bytes())
    place = -1
    while (place := content.find(b"crontab", place + 1)) >= 0:
        content[place : place + 7] = b"CRONTAB"
    path.write_bytes(content)
    walked = Walked(path, "btrfs")
    assert any("checksum of the tree block" in problem.reason for problem in walked.problems)
    assert b"/etc/passwd" in walked.living()


def test_the_good_tree_is_whole(tmp_path: Path) -> None:
    image = Ext(tmp_path)
    walked = Walked(image.path, "ext4")
    living = walked.living()
    for path in (tmp_path / "tree").rglob("*"):
        entry = living[b"/" + os.fsencode(path.relative_to(tmp_path / "tree"))]
        if path.is_file():
            assert walked.content(entry) == (hashlib.sha256(path.read_bytes()).hexdigest(), [])
    shutil.rmtree(tmp_path / "tree")


@pytest.mark.parametrize("options", [("-n", "size=16384"), ("-m", "crc=0"), ("-b", "size=1024"), ("-i", "size=2048")])
def test_xfs_laid_out_in_other_ways(tmp_path: Path, options: tuple[str, ...]) -> None:
    path = xfs_image(tmp_path, *options)
    walked = Walked(path, "xfs")
    living = walked.living()
    tree = tmp_path / "tree"
    expected = {b"/" + os.fsencode(found.relative_to(tree)): found for found in tree.rglob("*")}
    assert living.keys() == {b"/", *expected}
    for name, found in expected.items():
        if found.is_file():
            assert walked.content(living[name]) == (hashlib.sha256(found.read_bytes()).hexdigest(), [])
    assert walked.problems == []


def test_damage_of_xfs_is_said(tmp_path: Path) -> None:
    path = xfs_image(tmp_path)
    content = bytearray(path.read_bytes())
    place = content.index(b"crontab")
    content[place : place + 7] = b"CRONTAB"
    path.write_bytes(content)
    walked = Walked(path, "xfs")
    said = [problem for entry in walked.entries for problem in entry.problems]
    assert "the checksum of its inode is wrong" in said
    assert b"/var/log/auth.log" in walked.living()


def test_an_xfs_directory_in_blocks_that_was_damaged_is_said(tmp_path: Path) -> None:
    tree = tmp_path / "tree" / "etc"
    tree.mkdir(parents=True)
    for number in range(300):
        (tree / f"file{number:04}").write_text("x")
    path = xfs_image(tmp_path)
    assert Walked(path, "xfs").problems == []
    path.write_bytes(path.read_bytes().replace(b"file0007", b"FILE0007"))  # copies in the log and in free space too
    reasons = [problem.reason for problem in Walked(path, "xfs").problems]
    assert [("its checksum is wrong" in reason) for reason in reasons] == [True]
    content = bytearray(path.read_bytes())
    place = -1
    while (place := content.find(b"\x08FILE0007", place + 1)) >= 0:
        content[place - 8 : place] = b"\xff\xff\xff\xff\0\0\0\0"
    path.write_bytes(content)
    reasons = [problem.reason for problem in Walked(path, "xfs").problems]
    assert any("free space at byte" in reason for reason in reasons)


def test_a_directory_that_maps_one_block_again_and_again_ends(tmp_path: Path) -> None:
    image = Ext(tmp_path)
    block = image.block("/usr/share/doc")
    leaves = b"".join(extent_leaf(number * 32768, 32768, block) for number in range(4))
    image.set_extents("/usr/share/doc", extent_header(4, 4, 0) + leaves)
    image.debugfs(f"set_inode_field /usr/share/doc size {32 << 29}")
    walked = Walked(image.path, "ext4")
    assert b"/usr/share/doc/one" in walked.living()
    assert any("is used twice" in problem.reason or "are damaged" in problem.reason for problem in walked.problems)
