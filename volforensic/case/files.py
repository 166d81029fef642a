"""Files of the case: written whole or not at all, never through a link, never over another without being told to.

A file is written under a temporary name in its own folder, flushed to the disk and renamed; then the folder is
flushed, so that after a power cut there is the old file or the new one and never half of one.
"""

import errno
import hashlib
import os
import re
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from volforensic.errors import HostError, IntegrityError, UsageError

FILE_MODE = 0o640
FOLDER_MODE = 0o750
UNFINISHED_SUFFIX = ".unfinished"
LOCK_NAME = ".lock"

_COMPONENT = re.compile(r"[a-z0-9_][a-z0-9._-]{0,63}", re.ASCII)
_DEEPEST_NAME = 4
_REMEDIES = {
    errno.ENOSPC: "Free some space and run again with --resume",
    errno.EDQUOT: "Free some space or raise the quota and run again with --resume",
    errno.EFBIG: "Raise the limit of file sizes (ulimit -f) and run again with --resume",
    errno.EROFS: "Put the case on a file system that can be written to",
    errno.EACCES: "Give this user the right to write there, or run as one who has it",
}


def is_name(name: str) -> bool:
    """Tell whether this may be a path inside the case: lower-case components of our own, none of the evidence's."""
    components = name.split("/")
    return len(components) <= _DEEPEST_NAME and all(_COMPONENT.fullmatch(component) for component in components)


def checked_name(name: str) -> str:
    """Return the name if it may be a path inside the case."""
    if not is_name(name):
        raise ValueError(f"{name!r} is no name of a file in a case")
    return name


def reason(error: OSError) -> str:
    """Return what the host said, in small letters: it follows the name of a file."""
    return (error.strerror or str(error)).lower()


def host_error(path: Path, error: OSError) -> HostError:
    """Return the error that names the file, what the host said and what can be done."""
    remedy = _REMEDIES.get(error.errno or 0, "Check the disk that holds the case and run again with --resume")
    return HostError(str(path), reason(error), remedy)


@contextmanager
def naming_errors(path: Path) -> Iterator[None]:
    """Turn the host's errors inside the block into a ``HostError`` about ``path``."""
    try:
        yield
    except OSError as error:
        raise host_error(path, error) from error


def write_all(descriptor: int, data: bytes | bytearray | memoryview) -> None:
    """Write every byte; a file system that takes none any more is full."""
    rest = memoryview(data)
    while rest:
        written = os.write(descriptor, rest)
        if written <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        rest = rest[written:]


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folders(root: Path, name: str) -> Path:
    """Make the folder ``name`` (components with ``/``) under ``root``; no component may be a link or a file."""
    folder = root
    for component in name.split("/") if name else []:
        parent, folder = folder, folder / component
        with naming_errors(folder):
            try:
                folder.mkdir(FOLDER_MODE)
                sync_folder(parent)
            except FileExistsError:
                if not stat.S_ISDIR(folder.lstat().st_mode):
                    raise IntegrityError(
                        str(folder), "is no folder", "Run volforensic verify: the case was changed"
                    ) from None
    return folder


def open_inside(root: Path, name: str, flags: int = os.O_RDONLY) -> int:
    """Open ``root/name`` without following a link in any component of ``name``; never waits on a FIFO.

    Returns:
        A descriptor that the caller closes.
    """
    steps = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    components = name.split("/")
    if ".." in components or "\0" in name:
        raise OSError(errno.EINVAL, "is no name inside the case")
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for index, component in enumerate(components):
        last = index == len(components) - 1
        mode = (flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC) if last else steps
        try:
            following = os.open(component, mode, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = following
    return descriptor


def open_regular(root: Path, name: str) -> BinaryIO:
    """Open a regular file under ``root`` for reading; anything else raises ``OSError``."""
    descriptor = open_inside(root, name)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "is no regular file")
    return os.fdopen(descriptor, "rb")


def temporary_path(path: Path) -> Path:
    """Return the name that a file has until it is whole."""
    return path.with_name(f".{path.name}{UNFINISHED_SUFFIX}")


class PendingFile:
    """A file on its way: bytes go to a temporary name and appear under ``path`` when they are published.

    ``size`` and ``digest`` (SHA-256) are those of the bytes written so far. ``path`` may be set anew before the file is
    published, where the name depends on the bytes. Without ``clobber`` an existing ``path``
    is refused. A failed write removes the temporary file.
    """

    def __init__(self, path: Path, *, clobber: bool = False, mode: int = FILE_MODE) -> None:
        """Refuse an existing name, or make the temporary file."""
        self.path = path
        self.size = 0
        self._clobber = clobber
        self._refuse_existing()
        self._sha256 = hashlib.sha256()
        self._temporary = temporary_path(path)
        with naming_errors(path):
            self._temporary.unlink(missing_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            self._descriptor: int | None = os.open(self._temporary, flags, mode)

    @property
    def digest(self) -> str:
        """The SHA-256 of the bytes written so far, in hexadecimal."""
        return self._sha256.hexdigest()

    def write(self, data: bytes | bytearray) -> None:
        """Append the bytes."""
        if self._descriptor is None:
            raise ValueError(f"{self.path} is written already")
        try:
            write_all(self._descriptor, data)
        except OSError as error:
            self.discard()
            raise host_error(self.path, error) from error
        self._sha256.update(data)
        self.size += len(data)

    def seal(self) -> None:
        """Flush the bytes to the disk: nothing but the name is missing then."""
        if self._descriptor is None:
            return
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            self.discard()
            raise host_error(self.path, error) from error
        os.close(self._descriptor)
        self._descriptor = None

    def publish(self, *, flush_folder: bool = True) -> None:
        """Give the file its name; flush the folder, unless the caller does that once for many files."""
        self.seal()
        try:
            self._refuse_existing()
            with naming_errors(self.path):
                self._temporary.rename(self.path)
                if flush_folder:
                    sync_folder(self.path.parent)
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Remove the temporary file; there is nothing to remove once it is published."""
        if self._descriptor is not None:
            with suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = None
        with suppress(OSError):
            self._temporary.unlink(missing_ok=True)

    def _refuse_existing(self) -> None:
        if not self._clobber and os.path.lexists(self.path):
            raise UsageError(str(self.path), "exists, and nothing is overwritten", "Replace it with --clobber")


def write_file(path: Path, data: bytes, *, clobber: bool = False) -> None:
    """Write a whole file at once, atomically."""
    pending = PendingFile(path, clobber=clobber)
    pending.write(data)
    pending.publish()


class KeptWriter(ABC):
    """A writer whose file is kept when its block ends well, and discarded when it ends badly."""

    def __enter__(self) -> Self:
        """Return the writer."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Keep the file, or discard it after an exception."""
        if kind is None:
            self.keep()
        else:
            self.discard()

    @abstractmethod
    def keep(self) -> None:
        """Give the file its name: all of it has come."""

    @abstractmethod
    def discard(self) -> None:
        """Leave nothing of it."""
