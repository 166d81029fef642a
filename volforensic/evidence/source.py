"""A source: a raw image file or a block device, opened read-only, pinned and hashed."""

import errno
import fcntl
import os
import stat
import struct
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from volforensic.errors import IntegrityError, SourceError
from volforensic.evidence.digests import Digests
from volforensic.evidence.raw_medium import raw_source
from volforensic.evidence.vast import add_block, blocks_hashed, is_vast
from volforensic.record import Problem
from volforensic.sandbox.messages import SourceHandle

_HASH_BLOCK = 512 << 10  # fits the second-level cache, so hashing does not wait for memory
_ZEROS = bytes(_HASH_BLOCK)
_SECTOR = 4096
_GET_SIZE_OF_DEVICE = 0x80081272  # BLKGETSIZE64, linux/fs.h
_MOST_BAD_RANGES = 1000
_MOST_RANGES = 100_000


class Pin(msgspec.Struct, frozen=True, kw_only=True):
    """What is held fast of a source: size in bytes, modification time in nanoseconds, where it lies."""

    size: int
    modified: int
    device: int
    inode: int


class Digest(msgspec.Struct, frozen=True, kw_only=True):
    """The hashes over the whole source; bytes that did not read count as NUL and are named in ``problems``.

    ``disks`` are each disk's hashes by algorithm and ``files`` each file's SHA-256, where these are not the same.
    """

    sha256: str
    problems: list[Problem]
    others: dict[str, str] = {}
    disks: list[dict[str, str]] = []
    files: list[str] = []


class Source:
    """Holds the one descriptor of a source, opened read-only. Use it as a context manager."""

    def __init__(self, path: Path) -> None:
        """Note the path; entering opens it."""
        self.path = path
        self.descriptor = -1
        self.kind = ""
        self.pin = Pin(size=0, modified=0, device=0, inode=0)

    def __enter__(self) -> Self:
        """Open and pin the source; SourceError where that cannot be."""
        self.descriptor = _open_read_only(self.path)
        try:
            self.kind = _kind(self.path, os.fstat(self.descriptor))
            self.pin = self._look()
            self._refuse_empty()
        except BaseException:
            os.close(self.descriptor)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the source."""
        os.close(self.descriptor)

    def check_unchanged(self) -> None:
        """Raise IntegrityError where size, modification time or place differ from the pinned ones."""
        now = self._look()
        if now != self.pin:
            raise IntegrityError(str(self.path), f"changed while it was read: {self.pin} became {now}")

    @property
    def handle(self) -> SourceHandle:
        """What a task needs to read it."""
        return raw_source(self.descriptor, self.pin.size)

    def read_in_places(self) -> None:
        """Tell the kernel that nothing is read from end to end: it brings in what is asked for and nothing beside."""
        os.posix_fadvise(self.descriptor, 0, 0, os.POSIX_FADV_RANDOM)

    def digest(self, advance: Callable[[int], None] = lambda _: None, others: Collection[str] = ()) -> Digest:
        """Read the whole source once, in order, and return its hash; ``advance`` is told how many bytes were read.

        ``others`` are algorithms beside SHA-256 (``digests.OPTIONAL_ALGORITHMS``). What ``advance`` raises ends it.
        Of a vast one (``vast.py``) what is stored is hashed, and a problem says so.
        """
        if self.is_vast:
            return self._digest_of_blocks(advance, others)
        os.posix_fadvise(self.descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        digest = Digests(others)
        problems: list[Problem] = []
        view = memoryview(bytearray(_HASH_BLOCK))
        for start, end, is_hole in self._ranges():
            for offset in range(start, end, _HASH_BLOCK):
                wanted = min(_HASH_BLOCK, end - offset)
                part = _ZEROS[:wanted] if is_hole else self._read_into(view[:wanted], offset, problems)
                digest.update(part)
                advance(len(part))
        # The workers share this descriptor: from now on it is read in places, not from end to end.
        os.posix_fadvise(self.descriptor, 0, 0, os.POSIX_FADV_NORMAL)
        return Digest(sha256=digest.sha256, problems=problems, others=digest.others)

    @property
    def stored(self) -> int:
        """How many bytes of it no hole takes: all where that cannot be told, or where there are very many holes."""
        stored = 0
        for number, (start, end, is_hole) in enumerate(self._ranges()):
            stored += 0 if is_hole else end - start
            if number >= _MOST_RANGES:
                return self.pin.size
        return stored

    @property
    def is_vast(self) -> bool:
        """Whether next to nothing of it is stored (``vast.py``)."""
        return is_vast(self.pin.size, 0) and is_vast(self.pin.size, self.stored)

    def _digest_of_blocks(self, advance: Callable[[int], None], others: Collection[str]) -> Digest:
        digest = Digests(others)
        problems = [blocks_hashed(self.pin.size, self.stored, _HASH_BLOCK)]
        view = memoryview(bytearray(_HASH_BLOCK))
        hashed = 0
        for start, end, is_hole in self._ranges():
            first = max(hashed, start // _HASH_BLOCK * _HASH_BLOCK)
            for position in range(first, end if not is_hole else 0, _HASH_BLOCK):
                part = self._read_into(view[: min(_HASH_BLOCK, self.pin.size - position)], position, problems)
                add_block(digest, position, part)
                hashed = position + _HASH_BLOCK
                advance(len(part))
            advance(0)
        return Digest(sha256=digest.sha256, problems=problems, others=digest.others)

    def _ranges(self) -> Iterator[tuple[int, int, bool]]:
        """Yield (start, end, whether it is a hole) over the source: the holes of a sparse image need no reading."""
        offset, size = 0, self.pin.size
        while offset < size:
            try:
                data = min(size, os.lseek(self.descriptor, offset, os.SEEK_DATA))
                hole = min(size, os.lseek(self.descriptor, data, os.SEEK_HOLE)) if data < size else size
            except OSError as error:
                # ENXIO: only a hole is left, unless the file was cut. Anything else: this source cannot tell.
                is_whole = os.lseek(self.descriptor, 0, os.SEEK_END) >= size
                yield offset, size, error.errno == errno.ENXIO and is_whole
                return
            if data > offset:
                yield offset, data, True
            if hole > data:
                yield data, hole, False
            offset = hole

    def _read_into(self, view: memoryview, offset: int, problems: list[Problem]) -> memoryview:
        """Fill the view from the source; what does not read stays NUL and is a problem."""
        filled = 0
        while filled < len(view):
            try:
                count = os.preadv(self.descriptor, [view[filled:]], offset + filled)
            except OSError as error:
                if error.errno != errno.EIO:
                    wrong = f"cannot be read at byte {offset + filled}: {error.strerror}"
                    raise SourceError(str(self.path), wrong) from error
                count = self._read_around_damage(view[filled:], offset + filled, problems)
            if not count:
                view[filled:] = bytes(len(view) - filled)
                problems.append(_unread(offset + filled, len(view) - filled, "the source ended early"))
                break
            filled += count
        return view

    def _read_around_damage(self, view: memoryview, offset: int, problems: list[Problem]) -> int:
        for start in range(0, len(view), _SECTOR):
            part = view[start : start + _SECTOR]
            part[:] = bytes(len(part))
            try:
                os.preadv(self.descriptor, [part], offset + start)
            except OSError as error:
                _note_unread(problems, _unread(offset + start, len(part), f"read error: {error.strerror}"))
        return len(view)

    def _refuse_empty(self) -> None:
        if not self.pin.size:
            raise SourceError(str(self.path), "is empty", "Check how the image was made")

    def _look(self) -> Pin:
        status = os.fstat(self.descriptor)
        if stat.S_ISBLK(status.st_mode):
            return Pin(size=_device_size(self.descriptor), modified=0, device=status.st_rdev, inode=status.st_ino)
        return Pin(size=status.st_size, modified=status.st_mtime_ns, device=status.st_dev, inode=status.st_ino)


def _open_read_only(path: Path) -> int:
    # O_NONBLOCK: a FIFO must not hang the opening. O_NOATIME leaves even the image's access time alone.
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        try:
            return os.open(path, flags | os.O_NOATIME)
        except PermissionError:
            return os.open(path, flags)
    except OSError as error:
        remedy = {
            errno.ENOENT: "Check the path",
            errno.EACCES: "Run as a user who may read it (a block device usually needs root)",
        }.get(error.errno or 0, "")
        raise SourceError(str(path), f"cannot be opened: {error.strerror}", remedy) from error


def _kind(path: Path, status: os.stat_result) -> str:
    if stat.S_ISREG(status.st_mode):
        return "file"
    if stat.S_ISBLK(status.st_mode):
        return "block device"
    if stat.S_ISDIR(status.st_mode):
        raise SourceError(str(path), "is a directory", f"A tree of files is named dir:{path}")
    what = "is neither a file nor a block device"
    raise SourceError(str(path), what, "Give a disk image or a block device such as /dev/nvme1n1")


def _device_size(descriptor: int) -> int:
    answer = fcntl.ioctl(descriptor, _GET_SIZE_OF_DEVICE, bytes(8))
    return int(struct.unpack("=Q", answer)[0])


def _unread(offset: int, length: int, reason: str) -> Problem:
    return Problem(stage="source", reason=reason, offset=offset, length=length)


def _note_unread(problems: list[Problem], problem: Problem) -> None:
    """Take down a range that does not read; one that follows on the last is joined to it."""
    last = problems[-1] if problems else None
    end = (last.offset or 0) + (last.length or 0) if last is not None else -1
    if last is not None and (end, last.reason) == (problem.offset, problem.reason):
        problems[-1] = msgspec.structs.replace(last, length=(last.length or 0) + (problem.length or 0))
    elif len(problems) < _MOST_BAD_RANGES:
        problems.append(problem)
    elif len(problems) == _MOST_BAD_RANGES:
        reason = f"more than {_MOST_BAD_RANGES} ranges do not read: the others are not listed"
        problems.append(msgspec.structs.replace(problem, reason=reason, length=None))
