"""The edge to dissect.squashfs: the second opinion on the names and inodes of a squashfs."""

import stat
from collections.abc import Callable, Iterator
from typing import Any

from dissect.squashfs.squashfs import SquashFS

from volforensic.evidence.library_nodes import link_target, listed, name_of, stream_chunks
from volforensic.evidence.node import TYPES, Listed, Node
from volforensic.evidence.reader import Window, buffered
from volforensic.evidence.squashfs import BY_PLACE

_NO_TABLE = -1


class LibrarySquashfsReader:
    """A squashfs as dissect reads it. ``begin_item`` is told each inode before it is touched.

    Inodes are numbered as our reader numbers them: by their place where the filesystem has no table of them.
    """

    def __init__(self, window: Window, begin_item: Callable[[int], None], skipped: frozenset[int]) -> None:
        """Open the filesystem; inodes in ``skipped`` are listed by name and not read."""
        self._begin_item = begin_item
        self._skipped = skipped
        self._filesystem: Any = SquashFS(buffered(window))
        self._has_numbers = int(self._filesystem.sb.lookup_table_start) != _NO_TABLE

    def root(self) -> Node:
        """Return the root directory."""
        return self._node(self._filesystem.root)

    def entries(self, directory: Node) -> Iterator[Listed]:
        """Yield the names of a directory."""
        for child in self._inode(directory.inode).iterdir():
            inode = int(child.inode_number) if self._has_numbers else _place(child)
            self._begin_item(inode)
            read = None if inode in self._skipped else lambda child=child: self._node(child)
            yield listed(name_of(child.name), inode, 0, read)

    def orphans(self) -> Iterator[Listed]:
        """Yield nothing: this reader does not look for inodes without a name."""
        return iter(())

    def chunks(self, tree: int, inode: int) -> Iterator[tuple[int, bytes]]:
        """Yield a file's bytes through dissect, which bounds no decompression: the worker's limit of memory does."""
        del tree
        yield from stream_chunks(self._inode(inode).open())

    def _inode(self, number: int) -> Any:
        if self._has_numbers:
            return self._filesystem._lookup_inode(number)  # noqa: SLF001 - inodes by number have no public name
        return self._filesystem.get(number - BY_PLACE)

    def _node(self, inode: Any) -> Node:
        header = inode.header
        mode = int(inode.mode)
        kind = TYPES.get(stat.S_IFMT(mode), "unknown")
        size = int(inode.size or 0)
        return Node(
            inode=int(header.inode_number) if self._has_numbers else _place(inode),
            type=kind,
            mode=stat.S_IMODE(mode),
            uid=int(inode.uid),
            gid=int(inode.gid),
            size=size,
            modified=int(header.mtime) * 1_000_000_000,
            links=int(getattr(header, "nlink", 1)),
            link_target=link_target(inode, size) if kind == "symlink" else None,
            extents=None if kind == "file" and size else (),
        )


def _place(inode: Any) -> int:
    return BY_PLACE + (int(inode.block) << 16 | int(inode.offset))
