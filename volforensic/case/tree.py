"""What lies in a folder of the case, looked at without opening anything but folders and regular files."""

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from volforensic.case.files import open_inside, open_regular, reason

_DEEPEST = 16
_KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "folder",
    stat.S_IFLNK: "symbolic link",
    stat.S_IFIFO: "FIFO",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
}


class TreeEntry(NamedTuple):
    """One name: ``name`` is the path inside the root, ``problem`` says what kept it from being looked at."""

    name: str
    kind: str
    size: int
    problem: str = ""


def walk(root: Path, folder: str = "") -> Iterator[TreeEntry]:
    """Yield everything below ``root/folder``; no link is followed. A folder that cannot be read has a ``problem``."""
    pending = [folder]
    while pending:
        current = pending.pop()
        try:
            found = _listed(root, current)
        except OSError as error:
            yield TreeEntry(current, "folder", 0, reason(error))
            continue
        for entry in found:
            yield entry
            if entry.kind == "folder" and entry.name.count("/") < _DEEPEST:
                pending.append(entry.name)


def _listed(root: Path, folder: str) -> list[TreeEntry]:
    descriptor = open_inside(root, folder or ".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        names = sorted(os.listdir(descriptor))  # noqa: PTH208 (a path is looked up anew, a descriptor is not)
        return [_looked_at(descriptor, f"{folder}/{name}" if folder else name, name) for name in names]
    finally:
        os.close(descriptor)


def _looked_at(descriptor: int, path: str, name: str) -> TreeEntry:
    try:
        status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
    except OSError as error:
        return TreeEntry(path, "unknown", 0, reason(error))
    return TreeEntry(path, _KINDS.get(stat.S_IFMT(status.st_mode), "unknown"), status.st_size)


def file_digest(root: Path, name: str) -> str:
    """Return the SHA-256 of a regular file; raises ``OSError`` for anything else."""
    sha256 = hashlib.sha256()
    with open_regular(root, name) as file:
        while data := file.read(1 << 20):
            sha256.update(data)
    return sha256.hexdigest()


def folder_digests(root: Path, folder: str, placed: str, largest: int) -> dict[str, str] | None:
    """Return the SHA-256 of each file of a folder under the name it has, or will have, below ``placed``.

    None where the folder is not there, cannot be read, or holds anything but folders and regular files of at most
    ``largest`` bytes.
    """
    digests = {}
    try:
        for entry in walk(root, folder):
            if entry.problem or entry.kind not in {"file", "folder"} or (entry.kind == "file" and entry.size > largest):
                return None
            if entry.kind == "file":
                digests[placed + entry.name.removeprefix(folder)] = file_digest(root, entry.name)
    except OSError:
        return None
    return digests
