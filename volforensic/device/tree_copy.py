"""A mounted or extracted tree, copied once into one pax archive: workers, which can open nothing, then read that.

Nothing of the tree is changed. Where this user may (its owner, or root), files are opened so that the time of access
stays too; it is taken down before anything is opened. It stands in the archive, and is left out of ``unchanging``: a
second reading has the same digest there although somebody looked at a file.
"""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from volforensic.device.beneath import Status, inode_flags, open_for_reading, status_of
from volforensic.device.file_data import Damage, file_bytes, runs_of
from volforensic.device.tar_stream import BLOCK, END, decimal, header, padding, pax_header, sparse_map
from volforensic.device.tree_walk import Found, TreeWalk, problem
from volforensic.errors import SourceError
from volforensic.record import Problem

_KINDS = {
    stat.S_IFREG: b"0",
    stat.S_IFLNK: b"2",
    stat.S_IFCHR: b"3",
    stat.S_IFBLK: b"4",
    stat.S_IFDIR: b"5",
    stat.S_IFIFO: b"6",
    stat.S_IFSOCK: b"0",
}
_MOST_LINKED = 5_000_000
_MOST_ATTRIBUTES, _LARGEST_ATTRIBUTES = 256, 1 << 20
_ENTRIES_A_STEP, _BYTES_A_STEP = 1000, 64 << 20
_ENTRY_SIZE = 4 * BLOCK
_NO_ROOM_FOR_LINKS = "more files with several names than are kept in mind: their further names are files of their own"

Write = Callable[[bytes], None]


class Progress(NamedTuple):
    """How far the copy has come: entries and bytes of files so far, and the path in hand."""

    entries: int
    size: int
    path: bytes


class TreeCopy:
    """A tree to be copied. Use it as a context manager; one copy is made, or one reading that writes nothing.

    ``digest`` (SHA-256) is that of the archive, ``unchanging`` the same without the times of access.
    """

    def __init__(self, root: Path | int) -> None:
        """Take the root: a path, or the descriptor of a directory (which stays the caller's)."""
        self.root = root
        self.size = 0
        self._descriptor = -1
        self._archive, self._unchanging = hashlib.sha256(), hashlib.sha256()
        self._links: dict[tuple[tuple[int, int], int], bytes] = {}
        self._devices: dict[tuple[int, int], int] = {}
        self._entries = self._copied = 0
        self._told = (0, 0)
        self._walk: TreeWalk | None = None

    def __enter__(self) -> Self:
        """Open the root; SourceError where that cannot be."""
        try:
            if isinstance(self.root, int):
                self._descriptor = os.dup(self.root)
            else:
                self._descriptor = os.open(self.root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise SourceError(str(self.root), f"cannot be opened as a directory: {error.strerror}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the root."""
        os.close(self._descriptor)

    @property
    def digest(self) -> str:
        """The SHA-256 of the archive, in hexadecimal."""
        return self._archive.hexdigest()

    @property
    def unchanging(self) -> str:
        """The SHA-256 of the archive without the times of access."""
        return self._unchanging.hexdigest()

    def needed(self) -> int:
        """Return about how many bytes the archive will have: what the tree's files occupy, and the headers."""
        total, seen = 0, set()
        for found in TreeWalk(self._descriptor).found():
            if isinstance(found, Problem):
                continue
            total += _ENTRY_SIZE + 2 * len(found.path)
            status = found.status
            if stat.S_ISREG(status.mode) and (status.links < 2 or status.identity not in seen):
                total += min(status.size, status.blocks * 512)
                if status.links > 1:
                    seen.add(status.identity)
        return total

    def copied(self, write: Write) -> Iterator[Progress | Problem]:
        """Write the archive with ``write``, and yield how far it is and what could not be read of the tree."""
        self._walk = walk = TreeWalk(self._descriptor)
        for found in walk.found():
            if isinstance(found, Problem):
                yield found
                continue
            yield from self._member(found, write)
            self._entries += 1
            if self._entries - self._told[0] >= _ENTRIES_A_STEP:
                yield self._progress(found.path)
        self._put(write, END)
        if not walk.keeps_access_times:
            reason = "this user may not read files without changing their times of access: those of the tree may change"
            yield problem(b"", reason, lost=False)
        if len(self._links) >= _MOST_LINKED:
            yield problem(b"", _NO_ROOM_FOR_LINKS, lost=False)
        yield self._progress(b"")

    def _progress(self, path: bytes) -> Progress:
        self._told = self._entries, self._copied
        return Progress(self._entries, self._copied, path)

    def _put(self, write: Write, data: bytes, unchanging: bytes | None = None) -> None:
        write(data)
        self.size += len(data)
        self._archive.update(data)
        self._unchanging.update(data if unchanging is None else unchanging)

    def _member(self, found: Found, write: Write) -> Iterator[Progress | Problem]:
        status = found.status
        earlier = self._links.get(status.identity) if status.links > 1 else None
        if earlier is not None and not stat.S_ISDIR(status.mode):
            records = [(b"path", found.path), (b"linkpath", earlier)]
            self._put(write, pax_header(records) + header(found.path, b"1", 0, mode=status.mode, link=earlier))
            return
        if stat.S_ISREG(status.mode):
            yield from self._file(found, write)
        else:
            target = b""
            if stat.S_ISLNK(status.mode):
                try:
                    target = os.readlink(b"", dir_fd=found.place)
                except OSError as error:
                    yield problem(found.path, f"the link could not be read: {error.strerror}")
            self._put_headers(write, found, found.reading, 0, [(b"linkpath", target)] if target else [])
        if status.links > 1 and not stat.S_ISDIR(status.mode) and len(self._links) < _MOST_LINKED:
            self._links[status.identity] = found.path

    def _file(self, found: Found, write: Write) -> Iterator[Progress | Problem]:
        status = found.status
        try:
            descriptor, keeps = open_for_reading(found.place)
        except OSError as error:
            self._put_headers(write, found, -1, 0, [(b"GNU.sparse.realsize", b"%d" % status.size), *_NO_RUNS])
            yield from self._damaged(
                found, Damage(0, status.size, f"the file could not be opened: {error.strerror}"), write
            )
            return
        if self._walk is not None:
            self._walk.keeps_access_times &= keeps
        try:
            yield from self._file_members(found, descriptor, write)
        finally:
            os.close(descriptor)

    def _file_members(self, found: Found, descriptor: int, write: Write) -> Iterator[Progress | Problem]:
        status = found.status
        runs = runs_of(descriptor, status.size)
        size = sum(length for _, length in runs)
        if size == status.size:
            self._put_headers(write, found, descriptor, size, [])
        else:
            table = sparse_map(runs)
            size += len(table)
            sparse = [(b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0")]
            sparse += [(b"GNU.sparse.name", found.path), (b"GNU.sparse.realsize", b"%d" % status.size)]
            self._put_headers(write, found, descriptor, size, sparse)
            self._put(write, table)
        damaged: list[Damage] = []
        for data in file_bytes(descriptor, runs, damaged):
            self._put(write, data)
            self._copied += len(data)
            if self._copied - self._told[1] >= _BYTES_A_STEP:
                yield self._progress(found.path)
        self._put(write, padding(size))
        now = status_of(descriptor)
        if (now.size, now.modified, now.changed) != (status.size, status.modified, status.changed):
            damaged.append(Damage(0, 0, "it changed while it was copied"))
        for damage in damaged:
            yield from self._damaged(found, damage, write)

    def _damaged(self, found: Found, damage: Damage, write: Write) -> Iterator[Problem]:
        """Say what of a file is not in the archive, there too: behind its bytes."""
        place = f"bytes {damage.offset} to {damage.offset + damage.length}: " if damage.length else ""
        record = (b"volforensic.damage", (place + damage.reason).encode("utf-8", "replace"))
        self._put(write, pax_header([record], b"g"))
        yield problem(found.path, damage.reason, offset=damage.offset, length=damage.length)

    def _put_headers(
        self, write: Write, found: Found, descriptor: int, size: int, more: list[tuple[bytes, bytes]]
    ) -> None:
        """Write the headers of an entry; ``descriptor`` is open for reading, -1 where it is not."""
        status = found.status
        records = [(b"path", found.path or b"./"), *self._records(status), *more]
        if size >= 1 << 33:
            records.append((b"size", b"%d" % size))
        if descriptor >= 0:
            flags = inode_flags(descriptor)
            records += [(b"volforensic.flags", b"%d" % flags)] if flags else []
        records += _attributes(found.place)
        kind = _KINDS.get(status.type, b"0")
        name = (found.path or b".") + (b"/" if kind == b"5" else b"")
        plain = header(name, kind, size, mode=status.mode, device=status.named_device)
        accessed = (b"atime", decimal(status.accessed))
        unchanging = found.path if found.is_left_out else pax_header(records) + plain
        self._put(write, pax_header([*records, accessed]) + plain, unchanging)

    def _records(self, status: Status) -> list[tuple[bytes, bytes]]:
        mount = self._devices.setdefault(status.device, len(self._devices))
        numbers = [(b"uid", status.uid), (b"gid", status.gid), (b"volforensic.inode", status.inode)]
        numbers += [(b"volforensic.mount", mount), (b"volforensic.nlink", status.links)]
        if status.type in (stat.S_IFCHR, stat.S_IFBLK):
            major, minor = status.named_device
            numbers += [(b"SCHILY.devmajor", major), (b"SCHILY.devminor", minor)]
        times = [(b"mtime", status.modified), (b"ctime", status.changed)]
        if status.created is not None:
            times.append((b"LIBARCHIVE.creationtime", status.created))
        records = [(keyword, b"%d" % value) for keyword, value in numbers]
        records += [(keyword, decimal(value)) for keyword, value in times]
        return records + ([(b"volforensic.type", b"socket")] if status.type == stat.S_IFSOCK else [])


_NO_RUNS = ((b"GNU.sparse.map", b""),)


def _attributes(place: int) -> list[tuple[bytes, bytes]]:
    """Return the extended attributes of an inode as records, within bounds."""
    path = f"/proc/self/fd/{place}"
    records: list[tuple[bytes, bytes]] = []
    total = 0
    with suppress(OSError):
        for name in sorted(map(os.fsencode, os.listxattr(path)))[:_MOST_ATTRIBUTES]:
            with suppress(OSError):
                value = os.getxattr(path, name)
                total += len(value)
                if total > _LARGEST_ATTRIBUTES:
                    break
                if b"=" not in name:
                    records.append((b"SCHILY.xattr." + name, value))
    return records
