"""The edge to dissect.btrfs: the second opinion on all subvolumes of a btrfs, from its top level (id 5)."""

import stat
from collections.abc import Callable, Iterator
from typing import Any

from dissect.btrfs.btrfs import Btrfs
from dissect.btrfs.c_btrfs import BTRFS_BLOCK_GROUP_PROFILE_MASK, BTRFS_BLOCK_GROUP_RAID1_MASK, c_btrfs

from volforensic.evidence.node import (
    LINK_TARGET_LIMIT,
    NEVER_ENDED,
    SLASH_IN_NAME,
    TYPES,
    Extent,
    Listed,
    Node,
    Runs,
    checked_runs,
)
from volforensic.evidence.reader import Window, buffered

_READ_SIZE = 1 << 20
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
            name = text.encode("utf-8", "surrogateescape")
            if name in (b".", b".."):
                continue
            yield self._listed(child, name)

    def unreached(self) -> Iterator[int]:
        """Yield nothing: this reader does not know which inodes are in use."""
        return iter(())

    def chunks(self, tree: int, inode: int) -> Iterator[tuple[int, bytes]]:
        """Yield a file's bytes through dissect: inline, compressed or on a striped profile."""
        stream = self._filesystem.open_subvolume(tree).inode(inode).open()
        position = 0
        while data := stream.read(_READ_SIZE):
            yield position, data
            position += len(data)

    def _listed(self, child: Any, name: bytes) -> Listed:
        inode, tree = int(child.inum), int(child.subvolume.objectid)
        self._begin_item(inode)
        problems = (SLASH_IN_NAME,) if b"/" in name else ()
        if inode in self._skipped:
            return Listed(name, inode, tree, allocated=True, node=None, problems=(*problems, NEVER_ENDED))
        try:
            node = self._node(child)
        except Exception as error:  # noqa: BLE001 - dissect's errors have no common root; this inode costs itself only
            reason = f"the inode could not be read: {error or type(error).__name__}"[:300]
            return Listed(name, inode, tree, allocated=True, node=None, problems=(*problems, reason))
        return Listed(name, inode, tree, allocated=True, node=node, problems=problems)

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
            link_target=self._link_target(inode, size) if kind == "symlink" else None,
            extents=runs.extents,
            problems=runs.problems,
        )

    def _link_target(self, inode: Any, size: int) -> bytes:
        if size > LINK_TARGET_LIMIT:
            raise ValueError(f"a symbolic link of {size} bytes")
        return bytes(inode.link.encode("utf-8", "surrogateescape"))

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
