"""The checksums of a btrfs's data: one for each sector, in a tree of their own.

Source: the kernel's include/uapi/linux/btrfs_tree.h (BTRFS_EXTENT_CSUM_KEY, BTRFS_CSUM_TREE_OBJECTID) and
fs/btrfs/file-item.c. An item's offset is a logical address, its data the checksums of the sectors from there on.
"""

from collections.abc import Iterator

from volforensic.evidence.btrfs_tree import ROOT_ITEM, Trees
from volforensic.evidence.superblocks import BTRFS_CHECKSUM_SIZES, BTRFS_CHECKSUMS

_CHECKSUM_TREE = 7
_OBJECT, _ITEM = (1 << 64) - 10, 128
_MOST_AT_ONCE = 4 << 20


class Checksums:
    """Holds where the tree of checksums begins. Sectors without one (nodatasum) are right."""

    def __init__(self, trees: Trees) -> None:
        """Find the tree."""
        self._trees = trees
        self._sector = trees.superblock.sector_size or 4096
        self._size = BTRFS_CHECKSUM_SIZES.get(trees.superblock.checksum_type, 0)
        self._of = BTRFS_CHECKSUMS.get(trees.superblock.checksum_type)
        self._roots = [
            (item.data[176:184], item.data[160:168])
            for item in trees.scan(trees.superblock.root, (_CHECKSUM_TREE, ROOT_ITEM, 0), (_CHECKSUM_TREE, 133, 0))
            if len(item.data) >= 184
        ]
        for root, generation in self._roots:
            trees.expect(int.from_bytes(root, "little"), int.from_bytes(generation, "little"))

    @property
    def is_verified(self) -> bool:
        """Whether this kind of checksum can be computed here."""
        return self._of is not None

    def wrong(self, logical: int, data: bytes) -> Iterator[tuple[int, int]]:
        """Yield the ranges of the bytes (first, length) at a logical address whose stored checksum is another.

        Only whole sectors are compared.
        """
        if self._of is None:
            return
        begin = end = -1
        for address, stored in self._stored(logical, len(data)):
            place = address - logical
            if place < 0 or place + self._sector > len(data):
                continue
            if self._of(data[place : place + self._sector]) == stored:
                continue
            if place != end:
                if begin >= 0:
                    yield begin, end - begin
                begin = place
            end = place + self._sector
        if begin >= 0:
            yield begin, end - begin

    def _stored(self, logical: int, length: int) -> Iterator[tuple[int, bytes]]:
        """Yield the checksums that are stored for a range, with the address of each one's sector."""
        # An item is no longer than a leaf: one that reaches into the range begins this far before it at most.
        before = self._trees.superblock.block_size // self._size * self._sector
        low, high = max(0, logical - before), logical + min(length, _MOST_AT_ONCE)
        for root, _ in self._roots[-1:]:
            for item in self._trees.scan(int.from_bytes(root, "little"), (_OBJECT, _ITEM, low), (_OBJECT, _ITEM, high)):
                first = item.key[2]
                skipped = max(0, (logical - first) // self._sector)
                for number in range(skipped, len(item.data) // self._size):
                    address = first + number * self._sector
                    if address >= high:
                        break
                    yield address, item.data[number * self._size : (number + 1) * self._size]
