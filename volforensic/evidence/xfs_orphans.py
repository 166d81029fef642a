"""Inodes of an XFS to which no name leads: unlinked while open, and freed ones whose extent records are still there.

Source: the kernel's fs/xfs/libxfs/xfs_format.h (agi_unlinked, di_next_unlinked) and fs/xfs/xfs_inode.c (xfs_ifree:
mode, size and the number of extents are cleared, the records behind the core stay until the inode is used again).
"""

import struct
from collections.abc import Callable, Iterator

from volforensic.evidence.bad_sectors import read_around
from volforensic.evidence.ext_orphans import name_of
from volforensic.evidence.links import LinkCounts
from volforensic.evidence.node import NEVER_ENDED, Extent, Listed, Node, checked_runs
from volforensic.evidence.reader import Window
from volforensic.evidence.xfs_core import METADATA, Inode, XfsError
from volforensic.evidence.xfs_deleted import RemovedName
from volforensic.evidence.xfs_groups import XfsGroups, unlinked_lists
from volforensic.evidence.xfs_inodes import XfsInodes

_END = 0xFFFFFFFF
_CHUNK = (1 << 64) - 1
_NEXT_UNLINKED = 96
_RECORD = struct.Struct(">QQ")
_LARGEST_FILE = 1 << 40
_MOST_ORPHANS = 1_000_000
_MOST_PROBLEMS = 20
SIZE_CLEARED = "its size was cleared when it was freed: these are the whole blocks of its old extents"


class XfsOrphans:
    """Holds what the search shares: geometry and inodes."""

    def __init__(
        self,
        window: Window,
        inodes: XfsInodes,
        node: Callable[[Inode], Node],
        begin_item: Callable[[int], None],
        skipped: frozenset[int],
    ) -> None:
        """Read the geometry."""
        self._window = window
        self._groups = XfsGroups(window)
        self._own = self._groups.own_inodes
        self._inodes = inodes
        self._node = node
        self._begin_item = begin_item
        self._skipped = skipped
        self._problems: list[str] = []
        self._named: set[int] = set()
        self._reached: dict[int, int] = {}
        self.reach(inodes.root)

    def reach(self, number: int) -> None:
        """Take note that a living name leads to an inode."""
        place = number >> 6
        self._reached[place] = self._reached.get(place, 0) | 1 << (number & 63)

    def removed(self, entry: RemovedName) -> Listed:
        """Return a removed name with what its inode still says; nothing of it where another file has the inode."""
        number = self._whole_number(entry)
        if number is None:
            reason = "the upper half of its inode's number was overwritten"
            return Listed(entry.name, entry.inode, 0, allocated=False, node=None, problems=(reason,))
        self._begin_item(number)
        node, reason = None, "the inode belongs to another file now"
        if number in self._skipped:
            reason = NEVER_ENDED
        try:
            inode = self._inodes.read(number) if number not in self._skipped else None
            if inode is not None and not inode.mode:
                node = self._freed_node(inode)
                self._named.add(number)
            elif inode is not None and not inode.links:
                node = self._node(inode)
        except (XfsError, OSError):
            reason = "the inode is not there any more"
        problems = () if node is not None else (reason,)
        return Listed(entry.name, number, 0, allocated=False, node=node, problems=problems)

    def _whole_number(self, entry: RemovedName) -> int | None:
        bits = self._groups.group_log + self._groups.inodes_log
        highest = self._groups.count << bits
        if entry.upper is not None:
            return entry.upper << 32 | entry.inode
        return entry.inode if highest <= 1 << 32 else None

    def found(self, links: LinkCounts) -> Iterator[Listed]:
        """Yield inodes on the lists of those unlinked while open, others in use, then freed ones with something left.

        Directories in use come before other inodes in use; the caller lists each before it asks for more.

        Raises:
            XfsError: At the end, where a list or a tree of inodes is damaged, or ``links`` lack names.
        """
        headers = [self._header(group) for group in range(self._groups.count)]
        count = 0
        for search in (self._unlinked, self._directories_in_use, self._others_in_use, self._freed):
            for group, header in enumerate(headers):
                for listed in search(group, header) if header else ():
                    count += 1
                    if count > _MOST_ORPHANS:
                        raise XfsError(f"more than {_MOST_ORPHANS} inodes without a name: the rest was left out")
                    yield listed
        self._problems += links.missing()
        if self._problems:
            raise XfsError("; ".join(list(dict.fromkeys(self._problems))[:_MOST_PROBLEMS]))

    def _header(self, group: int) -> bytes:
        header = self._groups.header(group, b"XAGI")
        if isinstance(header, str):
            self._problems.append(f"allocation group {group}: {header}")
            return b""
        return header

    def _unlinked(self, group: int, header: bytes) -> Iterator[Listed]:
        visited: set[int] = set()
        for head in unlinked_lists(header):
            within = head
            while within != _END:
                if within in visited:
                    self._problems.append(f"allocation group {group}: its lists of unlinked inodes run in a circle")
                    break
                visited.add(within)
                raw = self._raw(group, within)
                if not raw.startswith(b"IN"):
                    self._problems.append(f"allocation group {group}: a list of unlinked inodes is broken")
                    break
                self.reach(self._number(group, within))
                yield self._listed(self._number(group, within))
                within = struct.unpack_from(">I", raw, _NEXT_UNLINKED)[0]

    def _listed(self, number: int) -> Listed:
        self._begin_item(number)
        if number in self._skipped:
            return Listed(name_of(number), number, 0, allocated=True, node=None, problems=(NEVER_ENDED,))
        try:
            node = self._node(self._inodes.read(number))
        except (XfsError, OSError) as error:
            reason = f"the inode could not be read: {error}"[:300]
            return Listed(name_of(number), number, 0, allocated=True, node=None, problems=(reason,))
        return Listed(name_of(number), number, 0, allocated=True, node=node)

    def _directories_in_use(self, group: int, header: bytes) -> Iterator[Listed]:
        return self._in_use(group, header, is_directory=True)

    def _others_in_use(self, group: int, header: bytes) -> Iterator[Listed]:
        return self._in_use(group, header, is_directory=False)

    def _in_use(self, group: int, header: bytes, *, is_directory: bool) -> Iterator[Listed]:
        """Yield the inodes in use by the group's tree to which no name led: their names were lost."""
        for chunk in self._groups.inode_chunks(group, header, []):  # what is wrong with the tree is told by ``_freed``
            first = self._number(group, chunk.first)
            left = _CHUNK & ~(chunk.free | chunk.absent | self._reached_from(first))
            while left:
                lowest = left & -left
                left ^= lowest
                number = first + lowest.bit_length() - 1
                if number in self._own or self._reached_from(number) & 1 or self._is_metadata(number):
                    continue
                listed = self._listed(number)
                kind = listed.node.type if listed.node else "unknown"
                if (kind == "directory") == is_directory:
                    self.reach(number)
                    yield listed

    def _is_metadata(self, number: int) -> bool:
        try:
            return number not in self._skipped and bool(self._inodes.read(number).flags & METADATA)
        except (XfsError, OSError):
            return False

    def _reached_from(self, first: int) -> int:
        """Return which of the 64 inodes from this one on were reached, a bit each."""
        place, within = first >> 6, first & 63
        return (self._reached.get(place, 0) | self._reached.get(place + 1, 0) << 64) >> within & _CHUNK

    def _freed(self, group: int, header: bytes) -> Iterator[Listed]:
        problems: list[str] = []
        for chunk in self._groups.inode_chunks(group, header, problems):
            free = chunk.free & ~chunk.absent
            while free:
                lowest = free & -free
                free ^= lowest
                yield from self._left(self._number(group, chunk.first + lowest.bit_length() - 1))
        self._problems += (f"allocation group {group}: the tree of inodes: {problem}" for problem in problems)

    def _left(self, number: int) -> Iterator[Listed]:
        self._begin_item(number)
        if number in self._skipped or number in self._named:
            return
        try:
            inode = self._inodes.read(number)
        except (XfsError, OSError):
            return  # no inode was ever written there
        node = self._freed_node(inode) if not inode.mode else None
        if node is not None and node.extents:
            yield Listed(name_of(number), number, 0, allocated=False, node=node)

    def _freed_node(self, inode: Inode) -> Node:
        extents = list(self._old_extents(inode))
        size = max((extent.file_offset + extent.length for extent in extents), default=0)
        runs = checked_runs(extents, size, self._window)
        return Node(
            inode=inode.number,
            type="unknown",
            size=size,
            modified=inode.modified,
            accessed=inode.accessed,
            changed=inode.changed,
            created=inode.created,
            extents=runs.extents,
            problems=(*runs.problems, SIZE_CLEARED) if extents else runs.problems,
        )

    def _old_extents(self, inode: Inode) -> Iterator[Extent]:
        """Yield the records behind a freed inode's core, up to the first that cannot be one."""
        size, reached = self._groups.block_size, 0
        for high, low in _RECORD.iter_unpack(inode.fork[: len(inode.fork) // 16 * 16]):
            start, block, count = (high & ((1 << 63) - 1)) >> 9, (high & 0x1FF) << 43 | low >> 21, low & 0x1FFFFF
            group, within = block >> self._groups.group_log, block & ((1 << self._groups.group_log) - 1)
            first, blocks = self._groups.blocks_of(group) if group < self._groups.count else (0, 0)
            is_inside = within > 0 and within + count <= blocks
            if not count or start < reached or not is_inside or (start + count) * size > _LARGEST_FILE:
                return
            reached = start + count
            if not high >> 63:  # allocated and never written: nothing of the file lies there
                yield Extent(start * size, self._window.offset + (first + within) * size, count * size)

    def _raw(self, group: int, within: int) -> bytes:
        first, count = self._groups.blocks_of(group)
        place = within * self._groups.inode_size
        if place >= count * self._groups.block_size:
            return b""
        return read_around(self._window, first * self._groups.block_size + place, self._groups.inode_size)[0]

    def _number(self, group: int, within: int) -> int:
        return group << self._groups.group_log + self._groups.inodes_log | within
