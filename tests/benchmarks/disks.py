"""The disk that is read: one that is given, or a server's that is built once and kept; and its reads counted."""

import fcntl
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parents[2] / "build" / "benchmarks"
"""Where built disks are kept."""

_FLUSH_BUFFERS = 0x1261  # BLKFLSBUF of linux/fs.h: forget what is cached of a block device
_SECTOR = 512  # of /sys/block/*/stat, whatever the device's own is
_NAMES = ("server-clean-logs-ext4.raw", "server-clean-logs-xfs.raw")


class DiskError(Exception):
    """There is no disk to read, or its reads cannot be counted, and why."""


class Reads(NamedTuple):
    """What was read from a device: bytes and requests."""

    bytes_read: int
    requests: int


def server_disks() -> list[Path]:
    """Return an ext4 and an XFS disk of a real server with a month of logs; build them where they are not kept yet.

    Raises:
        DiskError: They are not there and cannot be built.
    """
    disks = [FOLDER / name for name in _NAMES]
    if all(disk.is_file() for disk in disks):
        return disks
    if os.geteuid() != 0:
        raise DiskError(
            f"{FOLDER}: no disks are kept here yet. Building them needs root, the network and mmdebstrap: run "
            "`sudo make bench` once, or give a disk of your own with `--image PATH`"
        )
    sys.stderr.write(f"building two 8 GiB disks of a Debian server in {FOLDER}: some minutes, with root and network\n")
    FOLDER.mkdir(parents=True, exist_ok=True)
    where = ["--output", str(FOLDER), "--size", "8GiB", "--flavour", "both", "--logs"]
    if shutil.which("mmdebstrap") is None:
        raise DiskError("mmdebstrap: not installed; `tools/system-packages.sh server` installs it")
    done = subprocess.run([sys.executable, "-m", "images.server", *where], cwd=FOLDER.parents[1], check=False)
    if done.returncode or not all(disk.is_file() for disk in disks):
        raise DiskError(f"{FOLDER}: the disks could not be built")
    return disks


class CountedDevice:
    """A block device over the disk whose reads the kernel counts."""

    def __init__(self, path: Path, disk: Path) -> None:
        """Take the device and the disk behind it (the same path where the disk is a device)."""
        self.path = path
        self._disk = disk
        self._statistics = Path("/sys/class/block") / path.name / "stat"

    @contextmanager
    def cold(self) -> Iterator[None]:
        """Begin with nothing cached of the device, and keep it open: the kernel forgets again at the last close."""
        with self.path.open("rb", buffering=0):
            self.forget()
            yield

    def forget(self) -> None:
        """Forget what is cached of the device and of the disk behind it."""
        with self.path.open("rb", buffering=0) as device, self._disk.open("rb", buffering=0) as disk:
            fcntl.ioctl(device, _FLUSH_BUFFERS)
            os.posix_fadvise(disk.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def reads(self) -> Reads:
        """Return what has been read so far (fields 1 and 3, Documentation/block/stat.rst of the kernel)."""
        fields = self._statistics.read_text().split()
        return Reads(int(fields[2]) * _SECTOR, int(fields[0]))


@contextmanager
def counted_device(disk: Path) -> Iterator[CountedDevice]:
    """Give a read-only loop device over an image, or the block device itself.

    Raises:
        DiskError: No device can be had here; the reason says why.
    """
    if os.geteuid() != 0:
        raise DiskError("counting the bytes read from a cold disk needs root (a loop device)")
    if stat.S_ISBLK(disk.stat().st_mode):
        yield CountedDevice(disk, disk)
        return
    made = subprocess.run(
        ["losetup", "--find", "--show", "--read-only", disk], capture_output=True, text=True, check=False
    )
    if made.returncode:
        raise DiskError(f"no loop device for {disk}: {made.stderr.strip()}")
    device = Path(made.stdout.strip())
    try:
        yield CountedDevice(device, disk)
    finally:
        subprocess.run(["losetup", "--detach", device], check=False)
