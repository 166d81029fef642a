"""Inodes of a btrfs that were unlinked while open: its trees' orphan items.

Source: the kernel's include/uapi/linux/btrfs_tree.h (BTRFS_ORPHAN_ITEM_KEY, BTRFS_ORPHAN_OBJECTID) and
fs/btrfs/inode.c (btrfs_orphan_add). The item's offset is the inode's number; in the root tree, a subvolume's.
"""

from collections.abc import Callable, Iterator

from volforensic.evidence.btrfs_devices import BtrfsError
from volforensic.evidence.btrfs_tree import ROOT_ITEM, Trees
from volforensic.evidence.ext_orphans import name_of
from volforensic.evidence.node import NEVER_ENDED, Listed, Node

_ORPHAN_OBJECT = (1 << 64) - 5
_ORPHAN_ITEM = 48
_TOP_LEVEL = 5
_FIRST_SUBVOLUME, _LAST_SUBVOLUME = 256, (1 << 64) - 257
_MOST_ORPHANS = 1_000_000
_MOST_SUBVOLUMES = 1 << 20


class BtrfsOrphans:
    """Holds the trees and the reader's way from an inode to a node."""

    def __init__(
        self,
        trees: Trees,
        root_of: Callable[[int], int],
        node: Callable[[int, int], Node],
        begin_item: Callable[[int], None],
        skipped: frozenset[int],
    ) -> None:
        """Keep what is given: ``root_of`` returns the address of a subvolume's root block."""
        self._trees = trees
        self._root_of = root_of
        self._node = node
        self._begin_item = begin_item
        self._skipped = skipped
        self._problems: dict[str, None] = {}

    def found(self) -> Iterator[Listed]:
        """Yield the orphans of every subvolume.

        Raises:
            BtrfsError: At the end, where a part of a tree was lost or a deleted subvolume is still there.
        """
        count = 0
        for tree in self._subvolumes():
            for number in self._orphans_of(tree):
                count += 1
                if count > _MOST_ORPHANS:
                    raise BtrfsError(f"more than {_MOST_ORPHANS} inodes without a name: the rest was left out")
                yield from self._listed(tree, number)
        deleted = self._items(self._trees.superblock.root)
        if deleted:
            names = ", ".join(map(str, deleted[:20]))
            self._problems[f"subvolumes were deleted and not cleaned up yet, they were not read: {names}"] = None
        if self._problems:
            raise BtrfsError("; ".join(list(self._problems)[:20]))

    def _subvolumes(self) -> list[int]:
        self._trees.damage.clear()
        root = self._trees.superblock.root
        scan = self._trees.scan(root, (_FIRST_SUBVOLUME, ROOT_ITEM, 0), (_LAST_SUBVOLUME, ROOT_ITEM + 1, 0))
        found = dict.fromkeys(item.key[0] for item in scan if item.key[1] == ROOT_ITEM)
        self._problems |= dict.fromkeys(self._trees.damage)
        if len(found) > _MOST_SUBVOLUMES:
            self._problems[f"more than {_MOST_SUBVOLUMES} subvolumes"] = None
        return [_TOP_LEVEL, *list(found)[:_MOST_SUBVOLUMES]]

    def _orphans_of(self, tree: int) -> list[int]:
        try:
            return self._items(self._root_of(tree))
        except BtrfsError as error:
            self._problems[str(error)] = None
            return []

    def _items(self, root: int) -> list[int]:
        self._trees.damage.clear()
        low, high = (_ORPHAN_OBJECT, _ORPHAN_ITEM, 0), (_ORPHAN_OBJECT, _ORPHAN_ITEM + 1, 0)
        found = [item.key[2] for item in self._trees.scan(root, low, high)]
        self._problems |= dict.fromkeys(self._trees.damage)
        return found

    def _listed(self, tree: int, number: int) -> Iterator[Listed]:
        self._begin_item(number)
        name = name_of(number, 0 if tree == _TOP_LEVEL else tree)
        if number in self._skipped:
            yield Listed(name, number, tree, allocated=True, node=None, problems=(NEVER_ENDED,))
            return
        try:
            node = self._node(tree, number)
        except BtrfsError as error:
            if "no such inode" not in str(error):
                reason = f"the inode could not be read: {error}"[:300]
                yield Listed(name, number, tree, allocated=True, node=None, problems=(reason,))
            return  # the inode is gone and its item was left behind
        if not node.links:  # an item may also stand for a truncation that was not ended
            yield Listed(name, number, tree, allocated=True, node=node)
