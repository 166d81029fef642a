"""The nodes of a filesystem: a story's entries with everything filled in, parents included, in a fixed order."""

import base64
import gzip
import hashlib
import stat
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from images import contents
from images.story import Entry, Story, StoryError

_TYPE_BITS = {
    "file": stat.S_IFREG,
    "directory": stat.S_IFDIR,
    "symlink": stat.S_IFLNK,
    "fifo": stat.S_IFIFO,
    "block": stat.S_IFBLK,
    "character": stat.S_IFCHR,
}
_MODES = {"directory": 0o755, "symlink": 0o777}


class Times(NamedTuple):
    """The four times of an inode, in nanoseconds since 1970 UTC."""

    atime: int
    ctime: int
    mtime: int
    crtime: int


class Node(NamedTuple):
    """One file, directory or special file.

    ``path`` is absolute within its filesystem, ``mode`` holds the type bits, ``deleted`` says that it is written and
    then removed.
    """

    path: str
    mode: int
    uid: int
    gid: int
    times: Times
    content: bytes = b""
    target: str = ""
    device: tuple[int, int] = (0, 0)
    deleted: bool = False

    @property
    def name(self) -> str:
        """The last component; empty for the root."""
        return PurePosixPath(self.path).name

    @property
    def parent(self) -> str:
        """The path of the directory that holds it."""
        return str(PurePosixPath(self.path).parent)


def nanoseconds(moment: datetime) -> int:
    """Return nanoseconds since 1970; a time without a zone is UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(aware.timestamp()) * 1_000_000_000 + aware.microsecond * 1000


def seconds(moment: datetime) -> int:
    """Return whole seconds since 1970; a time without a zone is UTC."""
    return nanoseconds(moment) // 1_000_000_000


def nodes(story: Story) -> list[Node]:
    """Return every node of the host, parents before children, sorted by path."""
    known = {entry.path: entry for entry in story.tree}
    for entry in story.tree:
        for parent in PurePosixPath(entry.path).parents:
            known.setdefault(str(parent), Entry(path=str(parent), type="directory"))
    if unknown := set(story.deleted) - known.keys():
        raise StoryError(f"{story.name}: deleted: {min(unknown)} is not in the tree")
    for mount in _mounts(story):
        known.setdefault(mount, Entry(path=mount, type="directory"))
    ordered = sorted(known, key=lambda path: PurePosixPath(path).parts)
    found = [_node(known[path], story.installed) for path in ordered]
    return [node._replace(deleted=node.path in story.deleted) for node in found]


def within(everything: Iterable[Node], mount: str, story: Story) -> list[Node]:
    """Return the nodes of the filesystem mounted at ``mount``, with paths from its root.

    A mount point of another filesystem stays behind as an empty directory.
    """
    others = [other for other in _mounts(story) if other != mount and PurePosixPath(other).is_relative_to(mount)]
    return [
        node._replace(path=str("/" / PurePosixPath(node.path).relative_to(mount)))
        for node in everything
        if PurePosixPath(node.path).is_relative_to(mount)
        and not any(node.path != other and PurePosixPath(node.path).is_relative_to(other) for other in others)
    ]


def render(content: object, compress: str | None = None) -> bytes:
    """Return the bytes that an entry's ``content`` stands for."""
    parts = content if isinstance(content, list) else [content]
    data = b"".join(_part(part) for part in parts)
    return gzip.compress(data, mtime=0) if compress == "gzip" else data


def _mounts(story: Story) -> Iterator[str]:
    for partition in story.disk.partitions:
        if partition.mount:
            yield partition.mount
        yield from (subvolume.mount for subvolume in partition.subvolumes)


def _part(part: object) -> bytes:
    match part:
        case str():
            return part.encode()
        case {"base64": str(encoded)}:
            return base64.b64decode(encoded)
        case {"generator": str(name), **rest} if name in contents.GENERATORS:
            arguments: Any = rest.get("arguments", {})
            return contents.GENERATORS[name](**arguments)
        case _:
            raise StoryError(f"content {part!r}: write text, base64 or a generator ({', '.join(contents.GENERATORS)})")


def _node(entry: Entry, installed: datetime) -> Node:
    kind = entry.device[0] if entry.device else entry.type
    mode = _MODES.get(kind, 0o644) if entry.mode is None else entry.mode
    return Node(
        path=entry.path,
        mode=_TYPE_BITS[kind] | mode,
        uid=entry.uid,
        gid=entry.gid,
        times=_times(entry, installed),
        content=render(entry.content, entry.compress) if kind == "file" else b"",
        target=entry.target,
        device=entry.device[1:] if entry.device else (0, 0),
    )


def _times(entry: Entry, installed: datetime) -> Times:
    """Fill in the times; those the kernel would have set get a fraction of a second of their own."""
    mtime = nanoseconds(entry.mtime or installed)
    fraction = int.from_bytes(hashlib.sha256(entry.path.encode()).digest()[:4], "little") % 1_000_000_000
    born = mtime - mtime % 1_000_000_000 + fraction

    def given(moment: datetime | None) -> int:
        return nanoseconds(moment) if moment else max(born, mtime)

    return Times(given(entry.atime), given(entry.ctime), mtime, given(entry.crtime))
