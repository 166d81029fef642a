"""A tree copied into an archive: every entry as the kernel tells it, nothing opened that is no file, nothing left."""

import hashlib
import os
import socket
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from loop_mounts import mounted
from test_tar import fill, found_rows
from test_walk import Walked, empty_image, kernel_rows, our_rows

from volforensic.case.scratch import ScratchFile
from volforensic.device import beneath, file_data, tree_copy, tree_walk
from volforensic.device.tree_copy import Progress, TreeCopy
from volforensic.errors import HostError, SourceError
from volforensic.record import Problem

needs_root = pytest.mark.skipif(bool(os.geteuid()), reason="needs root")


class Copied:
    """A tree that was copied into an archive, and walked there."""

    def __init__(self, folder: Path, archive: Path) -> None:
        """Copy and walk it."""
        with TreeCopy(folder) as copy, ScratchFile(archive.parent) as scratch:
            needed = copy.needed()
            self.outcomes = list(copy.copied(scratch.write))
            descriptor = scratch.finish()
            assert copy.size == scratch.size
            assert needed >= scratch.size // 2
            archive.write_bytes(os.pread(descriptor, scratch.size, 0))
            self.digest, self.unchanging = copy.digest, copy.unchanging
        assert self.digest == hashlib.sha256(archive.read_bytes()).hexdigest()
        self.walked = Walked(archive, "tar")

    @property
    def problems(self) -> list[Problem]:
        """What could not be read."""
        return [outcome for outcome in self.outcomes if isinstance(outcome, Problem)]


def odd_tree(folder: Path) -> Path:
    fill(folder)
    (folder / "out").symlink_to("/etc/passwd")
    (folder / "up").symlink_to("../../../..")
    (folder / "farm").mkdir()
    for number in range(300):
        os.link(folder / "size10240", folder / "farm" / f"link{number}")
    with socket.socket(socket.AF_UNIX) as bound:
        here = Path.cwd()
        os.chdir(folder)
        bound.bind("socket")
        os.chdir(here)
    return folder


def test_every_entry_is_as_the_kernel_tells_it(tmp_path: Path) -> None:
    folder = odd_tree(tmp_path / "tree")
    expected = kernel_rows(folder)
    copied = Copied(folder, tmp_path / "archive")
    assert copied.problems == []
    found = our_rows(copied.walked)
    assert found.keys() == expected.keys()
    read = 7  # the time of access: the test itself has read the files since
    differing = {
        path for path, row in found.items() if row[:read] + row[8:] != expected[path][:read] + expected[path][8:]
    }
    assert differing == set()
    status = {path: os.lstat(os.fsencode(folder) + path) for path in expected}
    for path, entry in copied.walked.living().items():
        if path in status:
            assert entry.links == status[path].st_nlink
    assert copied.walked.problems == []
    assert copied.walked.living()[b"/socket"].type == "socket"
    if not os.geteuid():
        assert copied.walked.living()[b"/device"].device == (300, 70_000)
        assert copied.walked.living()[b"/size1"].capabilities == "cap_net_raw=ep"
    assert isinstance(copied.outcomes[-1], Progress)
    command = ["tar", "--warning=no-unknown-keyword", "-tf", str(tmp_path / "archive")]
    assert subprocess.run(command, check=True, capture_output=True).stderr == b""


def test_a_second_reading_proves_that_nothing_changed(tmp_path: Path) -> None:
    folder = odd_tree(tmp_path / "tree")
    paths = list(folder.rglob("*"))
    times = {path: path.lstat().st_atime_ns for path in paths if not path.is_symlink()}
    first = Copied(folder, tmp_path / "archive")
    if not os.geteuid():
        assert times == {path: path.lstat().st_atime_ns for path in times}
    os.utime(folder / "size1", ns=(5, (folder / "size1").stat().st_mtime_ns))
    with TreeCopy(folder) as copy:
        for _ in copy.copied(lambda _: None):
            pass
    assert copy.digest != first.digest
    # Setting a time of access changes the inode's time of change: only a read leaves that alone.
    assert copy.unchanging != first.unchanging
    with TreeCopy(folder) as again:
        for _ in again.copied(lambda _: None):
            pass
    assert (again.digest, again.unchanging) == (copy.digest, copy.unchanging)


def test_a_tree_deeper_than_a_path_may_be(tmp_path: Path) -> None:
    top = tmp_path / "tree"
    top.mkdir()
    descriptor = os.open(top, os.O_RDONLY)
    for _ in range(60):
        os.mkdir("d" * 200, dir_fd=descriptor)
        following = os.open("d" * 200, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = following
    file = os.open("file", os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=descriptor)
    os.write(file, b"deep")
    os.close(file)
    os.close(descriptor)
    copied = Copied(top, tmp_path / "archive")
    assert copied.problems == []
    deepest = (b"/" + b"d" * 200) * 60 + b"/file"
    assert copied.walked.content(copied.walked.living()[deepest]) == (hashlib.sha256(b"deep").hexdigest(), [])
    subprocess.run(["rm", "-rf", str(top)], check=True)


@pytest.mark.parametrize("has_openat2", [True, False])
def test_links_and_dots_lead_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, has_openat2: bool) -> None:
    (tmp_path / "tree" / "a").mkdir(parents=True)
    (tmp_path / "secret").write_text("outside")
    (tmp_path / "tree" / "link").symlink_to(tmp_path)
    if not has_openat2:
        monkeypatch.setattr(beneath, "_openat2", lambda *_: None)
    root = os.open(tmp_path / "tree", os.O_PATH)
    for path in (b"../secret", b"link/secret", b"/etc/passwd", b"a/../../secret"):
        with pytest.raises(OSError, match=r"\w"):
            beneath.open_place(root, path)
    place = beneath.open_place(root, b"link")
    assert stat.S_ISLNK(beneath.status_of(place).mode)
    os.close(place)
    os.close(root)


def test_what_is_not_read_is_said_in_the_archive_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "tree"
    folder.mkdir()
    (folder / "bad").write_bytes(b"x" * 20_000)
    (folder / "good").write_bytes(b"y" * 20_000)
    (folder / "closed").write_bytes(b"z" * 10)
    bad = (folder / "bad").stat().st_ino

    def pread(descriptor: int, size: int, position: int) -> bytes:
        if os.fstat(descriptor).st_ino == bad and position < 8192 and position + size > 4096:
            raise OSError(5, "Input/output error")
        return real(descriptor, size, position)

    real, open_real = os.pread, beneath.open_for_reading

    def refused(place: int, *, is_directory: bool = False) -> tuple[int, bool]:
        if os.fstat(place).st_size == 10:
            raise PermissionError(13, "Permission denied")
        return open_real(place, is_directory=is_directory)

    monkeypatch.setattr(os, "pread", pread)
    monkeypatch.setattr(tree_copy, "open_for_reading", refused)
    copied = Copied(folder, tmp_path / "archive")
    monkeypatch.undo()
    assert [(one.source, one.offset, one.length, one.lost) for one in copied.problems] == [
        ("/bad", 4096, 4096, True),
        ("/closed", 0, 10, True),
    ]
    found = copied.walked.living()
    assert "bytes 4096 to 8192" in found[b"/bad"].problems[0]
    assert (found[b"/bad"].has_all_runs, found[b"/good"].has_all_runs) == (False, True)
    assert (found[b"/closed"].size, found[b"/closed"].has_all_runs) == (10, False)
    expected = b"x" * 4096 + bytes(4096) + b"x" * (20_000 - 8192)
    assert copied.walked.content(found[b"/bad"])[0] == hashlib.sha256(expected).hexdigest()


def test_a_file_that_becomes_shorter_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "tree"
    folder.mkdir()
    (folder / "log").write_bytes(b"x" * 5000)
    real = file_data.runs_of

    def runs_of(descriptor: int, size: int) -> list[tuple[int, int]]:
        os.truncate(folder / "log", 100)
        return real(descriptor, size) and [(0, size)]

    monkeypatch.setattr(tree_copy, "runs_of", runs_of)
    copied = Copied(folder, tmp_path / "archive")
    assert [one.reason for one in copied.problems] == [
        "the file became shorter while it was copied",
        "it changed while it was copied",
    ]
    assert copied.walked.problems == []


@contextmanager
def also_mounted(command: list[str], folder: Path) -> Iterator[None]:
    if subprocess.run(["mount", *command, str(folder)], check=False).returncode:
        pytest.skip("cannot be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def unchanging_of(folder: Path) -> str:
    with TreeCopy(folder) as copy:
        for _ in copy.copied(lambda _: None):
            pass
    return copy.unchanging


def test_what_lies_deeper_than_anything_honest_is_left_out_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree_walk, "_LONGEST_PATH", 300)
    (tmp_path / "tree" / ("d" * 200) / ("e" * 200) / "f").mkdir(parents=True)
    copied = Copied(tmp_path / "tree", tmp_path / "archive")
    assert set(found_rows(copied.walked)) == {b"/" + b"d" * 200}
    assert [problem.lost for problem in copied.problems] == [True]


def test_what_lies_beside_a_deep_tree_is_found_and_no_descriptor_stays_open(tmp_path: Path) -> None:
    deep = tmp_path / "tree" / Path(*["a"] * 200)
    deep.mkdir(parents=True)
    for level in (1, 70, 199):
        (tmp_path / "tree" / Path(*["a"] * level) / "b").mkdir()
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - nothing but names is wanted
    copied = Copied(tmp_path / "tree", tmp_path / "archive")
    assert len(os.listdir("/proc/self/fd")) <= before + 1  # noqa: PTH208 - the archive's own
    assert len(found_rows(copied.walked)) == 203
    assert copied.problems == []


@needs_root
def test_disks_mounted_below_belong_to_the_tree_and_other_mounts_do_not(tmp_path: Path) -> None:
    image = empty_image(tmp_path, 4 << 20, "mke2fs", "-q", "-F", "-t", "ext4")
    folder = tmp_path / "tree"
    for name in ("home", "proc", "self"):
        (folder / name).mkdir(parents=True)
    (folder / "file").write_text("one")
    with mounted(image, folder / "home"):
        (folder / "home" / "mine").write_text("two")
        with (
            also_mounted(["-t", "proc", "proc"], folder / "proc"),
            also_mounted(["--bind", str(folder)], folder / "self"),
        ):
            copied = Copied(folder, tmp_path / "archive")
            again = [unchanging_of(folder) for _ in range(2)]
    assert again[0] == again[1]  # the times of what the kernel makes up are always now
    names = set(found_rows(copied.walked))
    assert names == {b"/file", b"/home", b"/home/mine", b"/home/lost+found", b"/proc", b"/self"}
    assert {(one.source, one.lost) for one in copied.problems} == {("/proc", True), ("/self", False)}
    assert "0x9fa0" in next(one.reason for one in copied.problems if one.source == "/proc")
    trees = {path: entry.tree for path, entry in copied.walked.living().items()}
    assert trees[b"/home/mine"] == trees[b"/home"] != trees[b"/file"]


def test_no_directory_and_no_room_are_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="as a directory"), TreeCopy(tmp_path / "none"):
        pass
    with ScratchFile(tmp_path) as scratch:
        with pytest.raises(HostError, match="has room for"):
            scratch.require(1 << 60)
        scratch.write(b"abc")
        scratch.skip(1 << 20)
        descriptor = scratch.finish()
        assert (os.fstat(descriptor).st_size, scratch.size, scratch.stored) == ((1 << 20) + 3, (1 << 20) + 3, 3)
        with pytest.raises(OSError, match="Bad file"):
            os.write(descriptor, b"x")
    assert list(tmp_path.iterdir()) == []


@needs_root
def test_a_full_disk_is_named(tmp_path: Path) -> None:
    with also_mounted(["-t", "tmpfs", "-o", "size=1m", "tmpfs"], tmp_path), ScratchFile(tmp_path) as scratch:
        with pytest.raises(HostError, match="no space left"):
            scratch.write(bytes(2 << 20))
        os.close(os.dup(scratch.descriptor))
