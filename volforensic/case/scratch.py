"""Scratch files: what a source must be unpacked or copied into once, before workers can read it by position.

A scratch file has no name (O_TMPFILE, open(2)): it is gone when the process is, however that ends. Runs of NUL bytes
are holes. Workers get a second descriptor, which cannot write.
"""

import errno
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from volforensic.case.files import naming_errors, reason, write_all
from volforensic.errors import HostError

_SPARE = 64 << 20  # bytes that are left to others on the disk


class ScratchFile:
    """A file without a name in a folder, written from its beginning to its end. Use it as a context manager.

    ``size`` is how many bytes it has so far, holes included; ``stored`` how many of them take room.
    """

    def __init__(self, folder: Path) -> None:
        """Note the folder; entering makes the file."""
        self.folder = folder
        self.size = 0
        self.stored = 0
        self._descriptor = -1
        self._reading = -1

    def __enter__(self) -> Self:
        """Make the file; HostError where that cannot be."""
        with naming_errors(self.folder):
            self._descriptor = _nameless(self.folder)
            try:
                self._reading = os.open(f"/proc/self/fd/{self._descriptor}", os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                os.close(self._descriptor)
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it: its room is free again."""
        for descriptor in (self._descriptor, self._reading):
            if descriptor >= 0:
                os.close(descriptor)
        self._descriptor = self._reading = -1

    @property
    def descriptor(self) -> int:
        """A descriptor that reads the file and cannot write."""
        return self._reading

    @property
    def free(self) -> int:
        """How many bytes there is room for now."""
        found = os.fstatvfs(self._descriptor)
        return max(0, found.f_bavail * found.f_frsize - _SPARE)

    def require(self, size: int) -> None:
        """Raise HostError where there is no room for so many bytes."""
        if size > self.free:
            wrong = f"has room for {self.free} bytes, and the source needs about {size} here"
            raise HostError(
                str(self.folder), wrong, "Free some space, or name another folder for scratch files (TMPDIR)"
            )

    def write(self, data: bytes | memoryview) -> None:
        """Append the bytes; HostError where they do not fit."""
        try:
            write_all(self._descriptor, data)
        except OSError as error:
            raise self._full(error) from error
        self.size += len(data)
        self.stored += len(data)

    def skip(self, length: int) -> None:
        """Append a hole: bytes that read as NUL and take no room."""
        self.size += length
        try:
            os.lseek(self._descriptor, self.size, os.SEEK_SET)
        except OSError as error:
            raise self._full(error) from error

    def catch_up(self) -> None:
        """Take note of what another process (a child that was forked) has written."""
        self.size = os.lseek(self._descriptor, 0, os.SEEK_END)
        self.stored = os.fstat(self._descriptor).st_blocks * 512

    def finish(self) -> int:
        """Give the file its whole size, and return a descriptor that reads it."""
        try:
            os.truncate(self._descriptor, self.size)
        except OSError as error:
            raise self._full(error) from error
        return self._reading

    def _full(self, error: OSError) -> HostError:
        wrong = f"{reason(error)}, after {self.stored} bytes of a scratch file"
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            return HostError(
                str(self.folder), wrong, "Free some space, or name another folder for scratch files (TMPDIR)"
            )
        return HostError(str(self.folder), wrong, "Check the disk that holds it")


def scratch_folder() -> Path:
    """Return where scratch files are made where nobody says otherwise: large ones do not belong into memory (/tmp)."""
    return Path(os.environ.get("TMPDIR") or "/var/tmp")  # noqa: S108 - the file has no name there


def _nameless(folder: Path) -> int:
    with suppress(OSError):
        return os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    descriptor, name = tempfile.mkstemp(dir=folder)  # a filesystem that has no files without a name
    Path(name).unlink()
    return descriptor
