"""A btrfs, on one device or several: all subvolumes, walked from its top level (id 5).

Source: the kernel's include/uapi/linux/btrfs_tree.h (btrfs_inode_item, btrfs_dir_item, btrfs_root_item) and
fs/btrfs/inode.c (new_simple_dir: a subvolume's name in a snapshot of its parent is an empty directory).
"""

import stat
import struct
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from volforensic.evidence.attributes import (
    BTRFS_FLAGS,
    NOTHING_EXTENDED,
    Extended,
    attribute_names,
    extended,
    linux_device,
)
from volforensic.evidence.btrfs_checksums import Checksums
from volforensic.evidence.btrfs_data import INLINE, FileExtent, extent_chunks, file_extent
from volforensic.evidence.btrfs_devices import BtrfsError
from volforensic.evidence.btrfs_names import PLACEHOLDER_INODE, Name, attributes, names, placeholder
from volforensic.evidence.btrfs_orphans import BtrfsOrphans
from volforensic.evidence.btrfs_remarks import volume_remarks
from volforensic.evidence.btrfs_tree import (
    ATTRIBUTE,
    DIRECTORY_INDEX,
    EXTENT_DATA,
    INODE_ITEM,
    ROOT_ITEM,
    ROOT_REFERENCE,
    Item,
    Trees,
)
from volforensic.evidence.devices import DeviceRange
from volforensic.evidence.node import (
    DEVICES,
    LINK_TARGET_LIMIT,
    NEVER_ENDED,
    TYPES,
    Extent,
    Listed,
    Node,
    Runs,
    VolumeRemark,
    WrongChecksumsError,
    checked_runs,
    name_problems,
)
from volforensic.evidence.reader import Window

_TOP_LEVEL = 5

# size, links, uid, gid, mode, device, flags; times of access, change, modification, birth
_INODE = struct.Struct("<16xQ16xIIIIQQ40xqIqIqIqI")
_DIRECTORY_ENTRY = struct.Struct("<QBQ8xHHB")  # key of what it names, length of data, length of the name, type
_NAMES_AT_ONCE = 4096
_DIRECTORY_ITEMS = (84, DIRECTORY_INDEX)  # by the name's hash, by the order of writing
_SECOND = 1_000_000_000
_MOST_PIECES = 4096
"""Runs of a striped file that the inventory holds; one with more is read through its trees."""
_UNSOUND = "it stands in a tree block whose checksum is wrong"


class _Tree(NamedTuple):
    """A subvolume: address of its root block and the inode of its root directory."""

    root: int
    directory: int


class BtrfsReader:
    """A btrfs. ``begin_item`` is told each inode before it is touched."""

    def __init__(
        self,
        window: Window,
        begin_item: Callable[[int], None],
        skipped: frozenset[int],
        devices: Sequence[DeviceRange] = (),
        *,
        is_verifying: bool = False,
    ) -> None:
        """Open the filesystem; inodes in ``skipped`` are listed by name and not read.

        ``devices`` are those of its devices that are there, where there are several. Where ``is_verifying`` the
        checksums of files' bytes are compared when ``chunks`` reads them.
        """
        self._window = window
        self._begin_item = begin_item
        self._skipped = skipped
        self._trees = Trees(window, devices)
        self._checksums = Checksums(self._trees) if is_verifying else None
        self._span = self._trees.map.span()
        self._tree = lru_cache(1024)(self._read_tree)

    def root(self) -> Node:
        """Return the top level's root directory."""
        return self._node(_TOP_LEVEL, self._tree(_TOP_LEVEL).directory)

    def entries(self, directory: Node) -> Iterator[Listed]:
        """Yield the names of a directory; a subvolume's root is an entry of its own tree.

        Names are taken some thousands at a time and their inodes in the order of the tree, where neighbours share
        blocks. BtrfsError at the end where a part of the directory was lost.
        """
        damage = self._trees.damage
        damage.clear()
        low, high = (directory.inode, DIRECTORY_INDEX, 0), (directory.inode, DIRECTORY_INDEX + 1, 0)
        items = self._trees.scan(self._tree(directory.tree).root, low, high)
        lost: list[str] = []
        while batch := list(islice(items, _NAMES_AT_ONCE)):
            lost += damage
            for name in sorted(found for item in batch for found in names(item, lost)):
                yield self._listed(directory, name)
            damage.clear()
        lost += damage
        if lost:
            raise BtrfsError("; ".join(dict.fromkeys(lost)))

    def orphans(self) -> Iterator[Listed]:
        """Yield inodes to which no name leads; BtrfsError at the end where some could not be told."""
        return BtrfsOrphans(
            self._trees, lambda tree: self._tree(tree).root, self._node, self._begin_item, self._skipped
        ).found()

    def chunks(self, tree: int, inode: int) -> Iterator[tuple[int, bytes]]:
        """Yield a file's bytes; what cannot be had of it is left out, and BtrfsError says so at the end.

        Raises:
            WrongChecksumsError: At the end, where all came and the checksums of some of it are wrong.
        """
        yield from self._stored(self._extents(tree, inode))

    def remarks(self) -> Iterator[VolumeRemark]:
        """Yield which devices are missing, which copies of tree blocks were damaged, what is not verified."""
        return volume_remarks(self._trees)

    def _stored(self, extents: Iterator[FileExtent]) -> Iterator[tuple[int, bytes]]:
        lost: list[str] = []
        wrong: list[tuple[int, int]] = []
        for extent in extents:
            try:
                for position, data, ranges in (
                    extent_chunks(extent, self._trees, self._checksums) if extent.is_written else ()
                ):
                    wrong += ((position + first, length) for first, length in ranges)
                    yield position, data
            except BtrfsError as error:
                lost.append(f"bytes from {extent.position}: {error}")
        lost += self._trees.damage
        if lost:
            raise BtrfsError("; ".join(lost))
        if wrong:
            raise WrongChecksumsError(wrong)

    def _read_tree(self, number: int) -> _Tree:
        found = None
        # A snapshot's root item has the transaction that made it in its key.
        for item in self._trees.scan(self._trees.superblock.root, (number, ROOT_ITEM, 0), (number, ROOT_ITEM + 1, 0)):
            found = item
        if found is None or len(found.data) < 184:
            raise BtrfsError(f"there is no root of subvolume {number}: " + "; ".join(self._trees.damage))
        generation, directory, root = struct.unpack_from("<QQQ", found.data, 160)
        self._trees.expect(root, generation)
        return _Tree(root, directory)

    def _listed(self, directory: Node, entry: Name) -> Listed:
        name = entry.name
        problems = name_problems(name)
        if not entry.is_sound:
            problems = (*problems, f"the name: {_UNSOUND}")
        tree, inode = directory.tree, entry.target
        try:
            if entry.kind == ROOT_ITEM:
                if not self._is_mounted_here(directory, entry):
                    return Listed(name, PLACEHOLDER_INODE, tree, allocated=True, node=placeholder(tree))
                tree, inode = entry.target, self._tree(entry.target).directory
            self._begin_item(inode)
            if inode in self._skipped:
                return Listed(name, inode, tree, allocated=True, node=None, problems=(*problems, NEVER_ENDED))
            node = self._node(tree, inode)
        except BtrfsError as error:
            reason = f"the inode could not be read: {error}"[:300]
            return Listed(name, inode, tree, allocated=True, node=None, problems=(*problems, reason))
        return Listed(name, inode, tree, allocated=True, node=node, problems=problems)

    def _is_mounted_here(self, directory: Node, entry: Name) -> bool:
        """Return whether the subvolume belongs at this place: in a snapshot the name of a nested one leads nowhere."""
        key = (directory.tree, ROOT_REFERENCE, entry.target)
        reference = self._trees.find(self._trees.superblock.root, key)
        return reference is not None and reference.data[:8] == directory.inode.to_bytes(8, "little")

    def _node(self, tree: int, inode: int) -> Node:
        root = self._tree(tree).root
        together = self._together(root, inode)
        item = together[0] if together else self._trees.find(root, (inode, INODE_ITEM, 0))
        if item is None or len(item.data) < _INODE.size:
            raise BtrfsError("there is no such inode")
        size, links, uid, gid, mode, device, flags, *times = _INODE.unpack_from(item.data)
        accessed, access_rest, changed, change_rest, modified, modification_rest, created, birth_rest = times
        kind = TYPES.get(stat.S_IFMT(mode), "unknown")
        runs = self._runs(self._extents(tree, inode, together), size) if kind == "file" else Runs(())
        more = self._extended(root, inode, together)
        target = self._link_target(self._extents(tree, inode, together), size) if kind == "symlink" else None
        return Node(
            inode,
            kind,
            tree,
            stat.S_IMODE(mode),
            uid,
            gid,
            size,
            modified * _SECOND + modification_rest,
            accessed * _SECOND + access_rest,
            changed * _SECOND + change_rest,
            created * _SECOND + birth_rest or None,
            links,
            target,
            runs.extents,
            (*runs.problems, *more.problems, *(() if item.is_sound else (f"the inode: {_UNSOUND}",))),
            is_placeholder=False,
            attributes=attribute_names(flags, BTRFS_FLAGS, more.attributes),
            device=linux_device(device) if kind in DEVICES else None,
            capabilities=more.capabilities,
            has_all_runs=not runs.problems,
        )

    def _together(self, root: int, inode: int) -> list[Item]:
        """Return an inode's items where all stand in one leaf that is right, its own first; else none of them."""
        found: list[Item] = []
        try:
            for item in self._trees.from_inode(root, inode):
                owner, kind, _ = item.key
                if not item.is_sound or (not found and (owner, kind) != (inode, INODE_ITEM)):
                    return []
                if owner != inode or kind > EXTENT_DATA:
                    return found
                if kind in _DIRECTORY_ITEMS and stat.S_ISDIR(int.from_bytes(found[0].data[52:56], "little")):
                    return found  # it has no extents behind its names
                found.append(item)
        except BtrfsError:
            return []
        return []  # they may go on in the next leaf

    def _extended(self, root: int, inode: int, together: list[Item]) -> Extended:
        """Return what the extended attributes say: each stands in the tree behind its inode."""
        names: dict[bytes, bytes | None] = {}
        problems: list[str] = []
        low, high = (inode, ATTRIBUTE, 0), (inode, ATTRIBUTE + 1, 0)
        self._trees.damage.clear()
        for item in together or self._trees.scan(root, low, high):
            if item.key[1] == ATTRIBUTE:
                for name, value in attributes(item, problems):
                    names.setdefault(name, value)
        problems += (f"its extended attributes: {reason}" for reason in self._trees.damage)
        return extended(names, problems) if names or problems else NOTHING_EXTENDED

    def _link_target(self, stored: Iterator[FileExtent], size: int) -> bytes:
        if size > LINK_TARGET_LIMIT:
            raise BtrfsError(f"a symbolic link of {size} bytes")
        return b"".join(data for _, data in self._stored(stored))[:size]

    def _extents(self, tree: int, inode: int, together: Sequence[Item] = ()) -> Iterator[FileExtent]:
        self._trees.damage.clear()
        low, high = (inode, EXTENT_DATA, 0), (inode, EXTENT_DATA + 1, 0)
        for item in together or self._trees.scan(self._tree(tree).root, low, high):
            if item.key[1] == EXTENT_DATA:
                yield file_extent(item)

    def _runs(self, stored: Iterator[FileExtent], size: int) -> Runs:
        extents: list[Extent] = []
        unmapped = 0
        for extent in stored:
            if extent.kind == INLINE or (extent.is_written and extent.compression):
                return Runs(None)
            if not extent.is_written:
                continue
            begin = extent.address + extent.skipped
            places = self._trees.physical(begin, extent.length)
            if places:
                extents.append(Extent(extent.position, places[0], extent.length))
                continue
            pieces = self._trees.map.pieces(begin, min(extent.length, max(0, size - extent.position)))
            for number, piece in enumerate(pieces):
                if number > _MOST_PIECES or len(extents) > _MOST_PIECES or (piece.row and not piece.addresses):
                    return Runs(None)  # striped into many pieces, or parity must stand in for a device
                if piece.addresses:
                    place = extent.position + piece.logical - begin
                    extents.append(Extent(place, piece.addresses[0], piece.length))
                else:
                    unmapped += piece.length
        runs = checked_runs(extents, size, self._span)
        problems = [*runs.problems, *self._trees.damage]
        if unmapped:
            problems.append(f"{unmapped} bytes lie in no chunk of a device that is there")
        return Runs(runs.extents, tuple(problems))
