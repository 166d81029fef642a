"""The walk of a mounted or extracted tree: every entry once, in an order that is the same each time."""

import errno
import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from volforensic.device.beneath import Status, filesystem_magic, open_deep, open_for_reading, open_place, status_of
from volforensic.record import Problem, text_fields

_LONGEST_PATH = 32 << 10
_LEVELS_A_STEP = 64
_DISK_FILESYSTEMS = {
    0xEF53, 0x58465342, 0x9123683E, 0xF2F52010, 0x3153464A, 0x52654973, 0x4D44, 0x2011BAB0, 0x5346544E, 0x7366746E,
    0x9660, 0x15013346, 0x73717368, 0xE0F5E1E2, 0x794C7630, 0x2FC12FC1, 0xCA451A4E, 0x482B, 0x4244, 0x00011954,
    0x3434, 0x24051905, 0x28CD3D45, 0x137F, 0x138F, 0x2468, 0x2478,
}  # fmt: skip
"""ext, XFS, btrfs, F2FS, JFS, ReiserFS, FAT, exFAT, NTFS (two drivers), ISO 9660, UDF, squashfs, erofs, overlay, ZFS,
bcachefs, HFS+, HFS, UFS, NILFS, UBIFS, cramfs, minix (four).

Source: include/uapi/linux/magic.h and the drivers' own headers.
"""


class Found(NamedTuple):
    """An entry: its path below the root (b"" for the root), what it is, and a place to open it by while it is in hand.

    ``reading`` is a descriptor to read a directory by, for its attributes; -1 for anything else. ``is_left_out`` is
    true of a directory that is not entered: what is mounted there may be no file of the tree, and differ each time.
    """

    path: bytes
    status: Status
    place: int
    reading: int = -1
    is_left_out: bool = False


class TreeWalk:
    """Walks a tree below an open directory. ``keeps_access_times`` turns false where reading must change them."""

    def __init__(self, root: int) -> None:
        """Take the root's descriptor."""
        self._root = root
        self.keeps_access_times = True
        self._visited: set[tuple[tuple[int, int], int]] = set()
        self._above: list[tuple[bytes, int, int]] = []  # path, depth, descriptor

    def found(self) -> Iterator[Found | Problem]:
        """Yield every entry and what could not be read; an entry's descriptors are open until the next is asked for."""
        try:
            yield from self._found()
        finally:
            self._leave(b"", keep_all=False)

    def _found(self) -> Iterator[Found | Problem]:
        waiting = [b""]
        first: Status | None = None
        while waiting:
            path = waiting.pop()
            if len(path) > _LONGEST_PATH:
                yield problem(path, f"its path has more than {_LONGEST_PATH} bytes: what is below it was left out")
                continue
            try:
                place = self._opened(path)
            except OSError as error:
                yield problem(path, f"the directory could not be opened: {error.strerror}")
                continue
            try:
                status = status_of(place)
                first = first or status
                below: list[bytes] = []
                yield from self._directory(path, place, status, first, below)
                waiting += reversed(below)
            except OSError as error:
                yield problem(path, f"the directory could not be read: {error.strerror}")
            finally:
                os.close(place)

    def _opened(self, path: bytes) -> int:
        """Open a directory from the deepest one above it that is still open: far down each step counts."""
        self._leave(path)
        above, depth, descriptor = self._above[-1] if self._above else (b"", 0, self._root)
        rest = path[len(above) :].lstrip(b"/")
        place = open_deep(descriptor, rest.split(b"/") if rest else [])
        if path.count(b"/") - depth >= _LEVELS_A_STEP:
            self._above.append((path, path.count(b"/"), os.dup(place)))
        return place

    def _leave(self, path: bytes, *, keep_all: bool = True) -> None:
        """Close the directories that are not above the path, or all."""
        while self._above and not (keep_all and path.startswith(self._above[-1][0] + b"/")):
            os.close(self._above.pop()[2])

    def _directory(
        self, path: bytes, place: int, status: Status, first: Status, below: list[bytes]
    ) -> Iterator[Found | Problem]:
        refusal = self._refusal(path, place, status, first)
        if refusal is not None:
            yield Found(path, status, place, is_left_out=True)
            yield refusal
            return
        self._visited.add(status.identity)
        try:
            descriptor, keeps = open_for_reading(place, is_directory=True)
        except OSError as error:
            yield Found(path, status, place)
            yield problem(path, f"the directory could not be listed: {error.strerror}")
            return
        try:
            self.keeps_access_times &= keeps
            yield Found(path, status, place, descriptor)
            names = sorted(map(os.fsencode, os.listdir(descriptor)))  # noqa: PTH208 - a descriptor, not a path
            for name in names:
                yield from self._entry(path + b"/" + name if path else name, name, place, below)
        finally:
            os.close(descriptor)

    def _entry(self, path: bytes, name: bytes, directory: int, below: list[bytes]) -> Iterator[Found | Problem]:
        try:
            place = open_place(directory, name)
        except OSError as error:
            gone = "vanished while the tree was read" if error.errno == errno.ENOENT else error.strerror
            yield problem(path, f"could not be opened: {gone}")
            return
        try:
            status = status_of(place)
            if stat.S_ISDIR(status.mode):
                below.append(path)
            else:
                yield Found(path, status, place)
        except OSError as error:
            yield problem(path, f"could not be read: {error.strerror}")
        finally:
            os.close(place)

    def _refusal(self, path: bytes, place: int, status: Status, first: Status) -> Problem | None:
        """Return why a directory is not entered, None where it is."""
        if not stat.S_ISDIR(status.mode):
            return problem(path, "it was a directory, and is none any more: it changed while the tree was read")
        if status.identity in self._visited:
            reason = "this directory was reached by another path already (a bind mount)"
            return problem(path, reason, lost=False)
        is_other = (status.device, status.mount) != (first.device, first.mount)
        magic = filesystem_magic(place) if is_other else 0
        if is_other and magic not in _DISK_FILESYSTEMS and magic != filesystem_magic(self._root):
            return problem(path, f"a filesystem that is no disk's is mounted here (type {magic:#x}): it was left out")
        return None


def problem(
    path: bytes, reason: str, *, lost: bool = True, offset: int | None = None, length: int | None = None
) -> Problem:
    """Return a problem with an entry of the tree."""
    return Problem(
        stage="source", reason=reason, lost=lost, offset=offset, length=length, **text_fields("source", b"/" + path)
    )
