"""Inodes of ext2/3/4 to which no name leads: in use (deleted while open, or their names were lost) and freed ones.

Source: the kernel's Documentation/filesystems/ext4/ (orphan.rst, inodes.rst) and fs/ext4/inode.c (ext4_evict_inode,
ext4_free_inode). What a freed inode keeps: its mode, owner, times, the deletion time; ext2 keeps size and pointers too,
ext3 and ext4 clear both when they truncate the file.
"""

import stat
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from volforensic.evidence.bad_sectors import read_around
from volforensic.evidence.ext_groups import INODES_UNINITIALISED, INODES_ZEROED, ExtGroups, Group
from volforensic.evidence.ext_inodes import ATTRIBUTE_INODE, ENCRYPTED, ExtInodes
from volforensic.evidence.ext_nodes import ExtNodes
from volforensic.evidence.links import LinkCounts
from volforensic.evidence.node import ENCRYPTED_TREE, NEVER_ENDED, TYPES, Listed, Node
from volforensic.evidence.reader import Window

_OWN_INODE_FIELDS = (620, 640)  # project quota, orphan file: inodes without a name that are the filesystem's own
_READ_SIZE = 256 << 10
_MOST_FREED = 1_000_000
_MOST_PROBLEMS = 20
_CHECKED = 128


class Reached(NamedTuple):
    """A bit for each inode, as in the bitmaps: those that a living name led to, and those that a deleted one did."""

    living: bytearray
    deleted: bytearray


class ExtOrphans:
    """Holds what the search shares: geometry, inodes, and which of them the walk reached."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of the reader that it works with
        self,
        window: Window,
        inodes: ExtInodes,
        nodes: ExtNodes,
        reached: Reached,
        begin_item: Callable[[int], None],
        skipped: frozenset[int],
    ) -> None:
        """Read the geometry."""
        self._window = window
        self._groups = ExtGroups(window)
        self._inodes = inodes
        self._nodes = nodes
        self._reached = reached
        self._begin_item = begin_item
        self._skipped = skipped
        self._own = self._groups.own_inodes(_OWN_INODE_FIELDS)
        self._problems: dict[str, None] = {}

    def found(self, links: LinkCounts) -> Iterator[Listed]:
        """Yield directories in use first, then what else is in use, then what only the inode tables still tell.

        In use is what a bitmap says, and what its own inode says: one with links and no time of deletion.

        The caller lists each directory before it asks for more: what that reaches is not yielded.

        Raises:
            ValueError: At the end, where a group's inodes could not be told or ``links`` lack names.
        """
        yield from self._in_use(is_directory=True)
        yield from self._in_use(is_directory=False)
        yield from self._left()
        unknown = ["which inodes are in use is not known: " + "; ".join(self._problems)] if self._problems else []
        if wrong := [*unknown, *links.missing()]:
            raise ValueError("; ".join(wrong))

    def _bitmaps(self) -> Iterator[tuple[Group, int]]:
        """Yield each group with its inode bitmap as a number, 0 where that is not right but the table's place is."""
        for index in range(self._groups.count):
            group = self._groups.group(index)
            bitmap = group.fault or self._groups.inode_bitmap(group)
            if isinstance(bitmap, bytes):
                yield group, int.from_bytes(bitmap, "little")
                continue
            if len(self._problems) < _MOST_PROBLEMS:
                self._problems[f"block group {index}: {bitmap}"] = None
            if not group.fault or self._inodes.descriptors.descriptor(index).backup:
                yield group, 0

    def _in_use(self, *, is_directory: bool) -> Iterator[Listed]:
        size = self._groups.inodes_per_group // 8
        for group, used in self._bitmaps():
            named = int.from_bytes(self._reached.living[group.number * size : (group.number + 1) * size], "little")
            left = used & ~named
            while left:
                lowest = left & -left
                left ^= lowest
                number = group.number * self._groups.inodes_per_group + lowest.bit_length()
                if self._is_candidate(number) and not _has(self._reached.living, number):
                    yield from self._listed_in_use(number, is_directory=is_directory)

    def _listed_in_use(self, number: int, *, is_directory: bool | None = None) -> Iterator[Listed]:
        self._begin_item(number)
        node: Node | None = None
        problems: tuple[str, ...] = (NEVER_ENDED,)
        if number not in self._skipped:
            try:
                stored = self._inodes.read(number)
                if stored.flags & ATTRIBUTE_INODE:
                    return
                node, problems = self._nodes.of(stored), (ENCRYPTED_TREE,) if stored.flags & ENCRYPTED else ()
            except (ValueError, OSError) as error:
                problems = (f"the inode could not be read: {error}"[:300],)
        if is_directory in {None, node is not None and node.type == "directory" and node.links > 0}:
            yield Listed(name_of(number), number, 0, allocated=True, node=node, problems=problems)

    def _left(self) -> Iterator[Listed]:
        count = 0
        for group, used in self._bitmaps():
            if self._groups.has_flags and group.flags & INODES_UNINITIALISED:
                continue
            for number, raw in self._table(group, used):
                if count >= _MOST_FREED:
                    self._problems[f"more than {_MOST_FREED} inodes without a name: the rest was left out"] = None
                    return
                if not self._is_candidate(number) or _has(self._reached.living, number):
                    continue
                if _is_in_use(raw):
                    count += 1
                    yield from self._listed_in_use(number)
                elif not _has(self._reached.deleted, number) and _is_left(raw):
                    count += 1
                    self._begin_item(number)
                    yield from self._listed_freed(number)

    def _listed_freed(self, number: int) -> Iterator[Listed]:
        if number in self._skipped:
            return
        try:
            node = self._nodes.of(self._inodes.read(number), is_freed=True)
        except (ValueError, OSError):
            return  # what is left of it is no inode
        yield Listed(name_of(number), number, 0, allocated=False, node=node)

    def _table(self, group: Group, used: int) -> Iterator[tuple[int, bytes]]:
        """Yield the inodes of a group that are not in ``used`` and not NUL bytes; not where none was ever written."""
        groups = self._groups
        size = groups.inode_size
        count = groups.inodes_per_group
        if groups.has_flags and not group.flags & INODES_ZEROED:
            count = max(0, count - group.unused_inodes)
        start, step = group.inode_table * groups.block_size, _READ_SIZE // size
        empty, zeros = bytes(_CHECKED), bytes(step * size)
        for first in range(0, count, step):
            data, bad = read_around(self._window, start + first * size, min(step, count - first) * size)
            if bad:
                self._problems[f"block group {group.number}: inodes of it do not read (read error)"] = None
            if data == zeros[: len(data)]:
                continue
            for index in range(len(data) // size):
                raw = data[index * size : index * size + _CHECKED]
                if raw != empty and not used >> first + index & 1:
                    yield group.number * groups.inodes_per_group + first + index + 1, raw

    def _is_candidate(self, number: int) -> bool:
        groups = self._groups
        return groups.first_inode <= number <= groups.inode_count and number not in self._own


def name_of(number: int, tree: int = 0) -> bytes:
    """Return the name that an inode without one gets: TSK's own, so that both tools' lists can be compared."""
    return b"OrphanFile-%d-%d" % (tree, number) if tree else b"OrphanFile-%d" % number


def _is_in_use(raw: bytes) -> bool:
    """Return whether an inode says that it is in use, whatever the bitmap says: so e2fsck takes it too."""
    mode, deleted, links = struct.unpack_from("<H18xI2xH", raw)
    return stat.S_IFMT(mode) in TYPES and not deleted and bool(links)


def _is_left(raw: bytes) -> bool:
    """Return whether a freed inode still says what it was: a mode, no links, and a time of deletion."""
    mode, deleted, links = struct.unpack_from("<H18xI2xH", raw)
    return stat.S_IFMT(mode) in TYPES and bool(deleted) and not links


def _has(bits: bytearray, number: int) -> bool:
    place = number - 1 >> 3
    return place < len(bits) and bool(bits[place] >> (number - 1 & 7) & 1)
