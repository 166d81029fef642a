"""The edge to dissect.btrfs: the second opinion on all subvolumes of a btrfs, from its top level (id 5)."""

import stat
from collections.abc import Callable, Iterator
from typing import Any

from dissect.btrfs.btrfs import Btrfs
from dissect.btrfs.c_btrfs import BTRFS_BLOCK_GROUP_PROFILE_MASK, BTRFS_BLOCK_GROUP_RAID1_MASK, c_btrfs

from volforensic.evidence.library_nodes import link_target, listed, name_of, stream_chunks
from volforensic.evidence.node import TYPES, Extent, Listed, Node, Runs, checked_runs
from volforensic.evidence.reader import Window, buffered

_MIRRORED = int(BTRFS_BLOCK_GROUP_RAID1_MASK) | int(c_btrfs.BTRFS_BLOCK_GROUP.DUP.value)


class LibraryBtrfsReader:
    """A btrfs on one device as dissect reads it. ``begin_item`` is told each inode before it is touched."""

    def __init__(self, window: Window, begin_item: Callable[[int], None], skipped: frozenset[int]) -> None:
        """Open the filesystem; inodes in ``skipped`` are listed by name and not read."""
        self._window = window
        self._begin_item = begin_item
        self._skipped = skipped
        self._filesystem: Any = Btrfs(buffered(window))

    def root(self) -> Node:
        """Return the top level's root directory."""
        return self._node(self._filesystem.fs_tree.root)

    def entries(self, directory: Node) -> Iterator[Listed]:
        """Yield the names of a directory; a subvolume's root is an entry of its own tree."""
        inode = self._filesystem.open_subvolume(directory.tree).inode(directory.inode, c_btrfs.BTRFS_FT_DIR)
        for text, child in inode.iterdir():
            name = name_of(text)
            if name in (b".", b".."):
                continue
            yield self._listed(child, name)

    def orphans(self) -> Iterator[Listed]:
        """Yield nothing: this reader does not look for inodes without a name."""
        return iter(())

    def chunks(self, tree: int, inode: int) -> Iterator[tuple[int, bytes]]:
        """Yield a file's bytes through dissect: inline, compressed or on a striped profile."""
        yield from stream_chunks(self._filesystem.open_subvolume(tree).inode(inode).open())

    def _listed(self, child: Any, name: bytes) -> Listed:
        inode = int(child.inum)
        self._begin_item(inode)
        read = None if inode in self._skipped else lambda: self._node(child)
        return listed(name, inode, int(child.subvolume.objectid), read)

    def _node(self, inode: Any) -> Node:
        item = inode.inode
        mode, size = int(item.mode), int(item.size)
        kind = TYPES.get(stat.S_IFMT(mode), "unknown")
        runs = self._runs(inode, size) if kind == "file" else Runs(())
        return Node(
            inode=int(inode.inum),
            tree=int(inode.subvolume.objectid),
            type=kind,
            mode=stat.S_IMODE(mode),
            uid=int(item.uid),
            gid=int(item.gid),
            size=size,
            modified=int(inode.mtime_ns),
            accessed=int(inode.atime_ns),
            changed=int(inode.ctime_ns),
            created=int(inode.otime_ns) or None,
            links=int(item.nlink),
            link_target=link_target(inode, size) if kind == "symlink" else None,
            extents=runs.extents,
            problems=runs.problems,
        )

    def _runs(self, inode: Any, size: int) -> Runs:
        extents: list[Extent] = []
        cursor = inode.subvolume.tree.cursor()
        for item, data in cursor.iter(inode.inum, c_btrfs.BTRFS_EXTENT_DATA_KEY, 0, ignore_offset=True):
            kind = c_btrfs.btrfs_file_extent_item_inline(data)
            if kind.type == c_btrfs.BTRFS_FILE_EXTENT_INLINE or kind.compression or kind.encryption:
                return Runs(None)
            if kind.type != c_btrfs.BTRFS_FILE_EXTENT_REG:
                continue  # allocated and never written
            extent = c_btrfs.btrfs_file_extent_item_reg(data)
            if not extent.disk_bytenr:
                continue  # a hole
            source = self._physical(int(extent.disk_bytenr) + int(extent.offset), int(extent.num_bytes))
            if source is None:
                return Runs(None)
            extents.append(Extent(int(item.key.offset), source, int(extent.num_bytes)))
        return checked_runs(extents, size, self._window)

    def _physical(self, logical: int, length: int) -> int | None:
        """Return where in the source a run of logical bytes lies; None where it is not one run on this device."""
        for chunk in self._filesystem._logical_fh.chunks:  # noqa: SLF001 - the chunk map has no public name
            if chunk.offset <= logical and logical + length <= chunk.offset + chunk.length:
                profile = int(chunk.type & BTRFS_BLOCK_GROUP_PROFILE_MASK)
                if profile and not profile & _MIRRORED:
                    return None
                return int(self._window.offset + chunk.stripes[0].offset + logical - chunk.offset)
        return None
