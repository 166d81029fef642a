"""The edge to dissect.xfs: the second opinion on the names, inodes and extents of an XFS."""

import stat
from collections.abc import Callable, Iterator
from typing import Any

from dissect.xfs.xfs import XFS, fsb_to_bb

from volforensic.evidence.library_nodes import link_target, listed, name_of, stream_chunks
from volforensic.evidence.node import TYPES, Extent, Listed, Node, Runs, checked_runs
from volforensic.evidence.reader import Window, buffered

_LARGEST_DIRECTORY = 32 << 30  # XFS_DIR2_SPACE_SIZE, fs/xfs/libxfs/xfs_dir2.h


class LibraryXfsReader:
    """An XFS filesystem as dissect reads it. ``begin_item`` is told each inode before it is touched."""

    def __init__(self, window: Window, begin_item: Callable[[int], None], skipped: frozenset[int]) -> None:
        """Open the filesystem; inodes in ``skipped`` are listed by name and not read."""
        self._window = window
        self._begin_item = begin_item
        self._skipped = skipped
        self._filesystem: Any = XFS(buffered(window))

    def root(self) -> Node:
        """Return the root directory."""
        return self._node(self._filesystem.root)

    def entries(self, directory: Node) -> Iterator[Listed]:
        """Yield the names of a directory."""
        inode = self._filesystem.get_inode(directory.inode)
        if directory.size > _LARGEST_DIRECTORY:
            raise ValueError(f"a directory of {directory.size} bytes is larger than XFS allows")
        for child in inode.iterdir():
            name = name_of(child.filename)
            if name == b"." or (name == b".." and child.filetype in (None, stat.S_IFDIR)):
                continue
            yield self._listed(child, name)

    def orphans(self) -> Iterator[Listed]:
        """Yield nothing: this reader does not look for inodes without a name."""
        return iter(())

    def chunks(self, tree: int, inode: int) -> Iterator[tuple[int, bytes]]:
        """Yield a file's bytes through dissect: those that lie inside the inode."""
        del tree
        yield from stream_chunks(self._filesystem.get_inode(inode).open())

    def _listed(self, child: Any, name: bytes) -> Listed:
        inode = int(child.inum)
        self._begin_item(inode)
        # The type in the directory is a hint; the inode's own decides.
        read = None if inode in self._skipped else lambda: self._node(self._filesystem.get_inode(inode))
        return listed(name, inode, 0, read)

    def _node(self, inode: Any) -> Node:
        core = inode.inode
        mode = int(core.di_mode)
        kind = TYPES.get(stat.S_IFMT(mode), "unknown")
        size = int(core.di_size)
        runs = self._runs(inode, size) if kind == "file" else Runs(())
        return Node(
            inode=int(inode.inum),
            type=kind,
            mode=stat.S_IMODE(mode),
            uid=int(core.di_uid),
            gid=int(core.di_gid),
            size=size,
            modified=int(inode.mtime_ns),
            accessed=int(inode.atime_ns),
            changed=int(inode.ctime_ns),
            created=int(inode.crtime_ns) if int(core.di_version) >= 3 else None,
            links=int(core.di_nlink),
            link_target=link_target(inode, size) if kind == "symlink" else None,
            extents=runs.extents,
            problems=runs.problems,
        )

    def _runs(self, inode: Any, size: int) -> Runs:
        if int(inode.inode.di_format) == 1:  # XFS_DINODE_FMT_LOCAL: the bytes lie in the inode
            return Runs(None)
        return checked_runs(self._extents(inode), size, self._window)

    def _extents(self, inode: Any) -> Iterator[Extent]:
        filesystem = self._filesystem
        block_size = int(filesystem.block_size)
        blocks_per_group = int(filesystem.sb.sb_agblocks)
        for offset, block, count, is_unwritten in inode._iter_blocks():  # noqa: SLF001 - the runs it gives lack the flag
            if is_unwritten:
                continue  # allocated and never written: the host read NUL bytes there
            group, within = fsb_to_bb(block, filesystem.sb.sb_agblklog)
            source = self._window.offset + (group * blocks_per_group + within) * block_size
            yield Extent(offset * block_size, source, count * block_size)
