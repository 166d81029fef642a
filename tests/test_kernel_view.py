"""The kernel's view of a filesystem that no reader knows: copied whole, the image untouched, nothing left behind."""

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from loop_mounts import mounted
from test_tar import fill
from test_walk import Walked, empty_image, kernel_rows, our_rows

from volforensic.case.scratch import ScratchFile
from volforensic.device.kernel_view import Viewed, copied_by_kernel
from volforensic.device.tree_copy import Progress
from volforensic.errors import HostError
from volforensic.record import Problem

pytestmark = pytest.mark.skipif(bool(os.geteuid()), reason="a kernel view needs root")
BEGIN = 1 << 20
_PROGRAM = """
import os, sys, time
from pathlib import Path
from volforensic.case.scratch import ScratchFile
from volforensic.device import kernel_view
real = kernel_view.TreeCopy.needed
def needed(copy):
    print("mounted", flush=True)
    time.sleep(600)
kernel_view.TreeCopy.needed = needed
descriptor = os.open(sys.argv[1], os.O_RDONLY)
with ScratchFile(Path(sys.argv[2])) as scratch:
    for _ in kernel_view.copied_by_kernel(descriptor, 0, os.fstat(descriptor).st_size, "ext4", scratch):
        pass
"""


def loops_of(image: Path) -> str:
    return subprocess.run(["losetup", "-j", str(image)], check=True, capture_output=True, text=True).stdout


def bigalloc(folder: Path) -> Path:
    return empty_image(folder, 16 << 20, "mke2fs", "-q", "-F", "-t", "ext4", "-O", "bigalloc", "-C", "16384")


def test_bigalloc_is_read_as_the_kernel_reads_it(tmp_path: Path) -> None:
    image = bigalloc(tmp_path)
    with mounted(image, tmp_path / "mount") as folder:
        fill(folder / "tree")
        expected = kernel_rows(folder)
    disk = tmp_path / "whole.raw"
    disk.write_bytes(bytes(BEGIN) + image.read_bytes() + b"behind it" * 1000)
    before = hashlib.sha256(disk.read_bytes()).hexdigest()
    archive = tmp_path / "archive"
    with disk.open("rb") as file, ScratchFile(tmp_path) as scratch:
        outcomes = list(copied_by_kernel(file.fileno(), BEGIN, image.stat().st_size, "ext4", scratch))
        archive.write_bytes(os.pread(scratch.finish(), scratch.size, 0))
    problems = [outcome for outcome in outcomes if isinstance(outcome, Problem)]
    assert [(one.lost, one.offset) for one in problems] == [(False, BEGIN)]
    assert "read by the kernel" in problems[0].reason
    assert isinstance(outcomes[-2], Progress)
    end = outcomes[-1]
    assert isinstance(end, Viewed)
    assert end.digest == hashlib.sha256(archive.read_bytes()).hexdigest()
    found = our_rows(Walked(archive, "tar"))
    access = 7
    assert found.keys() == expected.keys()
    assert {path for path, row in found.items() if row[:access] != expected[path][:access]} == set()
    assert {path for path, row in found.items() if row[access + 1 :] != expected[path][access + 1 :]} == set()
    assert hashlib.sha256(disk.read_bytes()).hexdigest() == before
    assert loops_of(disk) == ""


@pytest.mark.parametrize(("kind", "command"), [("xfs", "mkfs.xfs"), ("btrfs", "mkfs.btrfs")])
def test_others_that_the_kernel_knows(tmp_path: Path, kind: str, command: str) -> None:
    image = empty_image(tmp_path, 320 << 20, command, "-q")
    with mounted(image, tmp_path / "mount") as folder:
        (folder / "file").write_text("one")
    with image.open("rb") as file, ScratchFile(tmp_path) as scratch:
        outcomes = list(copied_by_kernel(file.fileno(), 0, image.stat().st_size, kind, scratch))
        (tmp_path / "archive").write_bytes(os.pread(scratch.finish(), scratch.size, 0))
    assert isinstance(outcomes[-1], Viewed)
    assert b"/file" in Walked(tmp_path / "archive", "tar").living()


def test_what_the_kernel_refuses_is_said_in_its_words(tmp_path: Path) -> None:
    image = bigalloc(tmp_path)
    with image.open("r+b") as file:
        file.seek(1024 + 96)
        file.write(b"\xff\xff\xff\x7f")  # features that nobody knows
    with image.open("rb") as file, ScratchFile(tmp_path) as scratch:
        view = copied_by_kernel(file.fileno(), 0, image.stat().st_size, "ext4", scratch)
        with pytest.raises(HostError, match="the kernel's ext4: does not read this filesystem"):
            list(view)
        with pytest.raises(HostError, match="no such device"):
            list(copied_by_kernel(file.fileno(), 0, image.stat().st_size, "nosuchfs", scratch))
    assert loops_of(image) == ""


def test_who_is_not_root_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with ScratchFile(tmp_path) as scratch, pytest.raises(HostError, match="root only"):
        list(copied_by_kernel(0, 0, 512, "ext4", scratch))


def test_nothing_is_left_when_the_parent_is_killed(tmp_path: Path) -> None:
    image = bigalloc(tmp_path)
    command = [sys.executable, "-c", _PROGRAM, str(image), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"mounted\n"
        assert loops_of(image)
        process.kill()
    for _ in range(100):
        if not loops_of(image):
            break
        time.sleep(0.05)
    assert loops_of(image) == ""
