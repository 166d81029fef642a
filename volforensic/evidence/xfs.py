"""An XFS filesystem: names, inodes and extents."""

import stat
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import islice
from typing import TypeAlias

from volforensic.evidence.checksum_zeros import padded_checksum_is_right
from volforensic.evidence.links import LinkCounts
from volforensic.evidence.node import (
    MOST_DAMAGE,
    NEVER_ENDED,
    Listed,
    Node,
    VolumeRemark,
    extents_chunks,
    name_problems,
    type_problems,
)
from volforensic.evidence.reader import Window
from volforensic.evidence.xfs_core import LOCAL, Inode, XfsError
from volforensic.evidence.xfs_deleted import RemovedName, removed_names
from volforensic.evidence.xfs_directory import DirectoryEntry, block_entries, block_names, is_checked, short_entries
from volforensic.evidence.xfs_groups import XfsGroups
from volforensic.evidence.xfs_inodes import Run, XfsInodes
from volforensic.evidence.xfs_nodes import XfsNodes
from volforensic.evidence.xfs_orphans import XfsOrphans

_LEAVES = 32 << 30  # where a directory's hash index begins: XFS_DIR2_LEAF_OFFSET, fs/xfs/libxfs/xfs_dir2.h
_DIRECTORY_CHECKSUM = 4
_OWNER = slice(24, 48)  # UUID of the filesystem, inode: of a directory block's header
_INDEX_CHECKSUM, _FREE_CHECKSUM = 12, 4  # of the blocks of its index
_MOST_INDEX = 1 << 16
_MOST_PROBLEMS = 5
_DOTS = frozenset((b".", b".."))
_LOWER_HALF = 0xFFFFFFFF
_MOST_REMOVED = 1_000_000
_Removed: TypeAlias = dict[tuple[int, bytes], RemovedName]  # by the lower half of the inode's number and by name


class XfsReader:
    """An XFS filesystem. ``begin_item`` is told each inode before it is touched."""

    def __init__(self, window: Window, begin_item: Callable[[int], None], skipped: frozenset[int]) -> None:
        """Open the filesystem; inodes in ``skipped`` are listed by name and not read."""
        self._window = window
        self._begin_item = begin_item
        self._skipped = skipped
        self._inodes = XfsInodes(window)
        self._groups = XfsGroups(window)
        self._nodes = XfsNodes(window, self._inodes)
        self._is_directory = lru_cache(4096)(self._reads_as_directory)
        self._links = LinkCounts()
        self._orphans = XfsOrphans(window, self._inodes, self._nodes.of, begin_item, skipped)

    def root(self) -> Node:
        """Return the root directory."""
        return self._nodes.node(self._inodes.root)

    def entries(self, directory: Node) -> Iterator[Listed]:
        """Yield the names of a directory; XfsError at the end where a part of it was lost."""
        inode = self._inodes.read(directory.inode)
        problems: list[str] = []
        removed: _Removed = {}
        below = 0
        own: list[int] = []
        for names in self._names(inode, problems, removed):
            own += (number for number, name, _ in names[:1] if name == b".")
            for number, name, kind in names:
                if name not in _DOTS or (name == b".." and not self._is_directory(number)):
                    listed = self._listed(number, name, kind)
                    below += listed.node is not None and listed.node.type == "directory"
                    yield listed
        if self._inodes.has_checksums and inode.format != LOCAL and inode.extents > 1:
            self._check_index(inode, problems)
        if removed:
            self._take_out_living(inode, removed)
        for entry in removed.values():
            yield self._orphans.removed(entry)
        problems += _miscounted(directory, own, below, has_own=inode.format != LOCAL)
        if problems:
            raise XfsError("; ".join(problems[:_MOST_PROBLEMS]))

    def orphans(self) -> Iterator[Listed]:
        """Yield inodes to which no name leads; XfsError at the end where some could not be told."""
        return self._orphans.found(self._links)

    def remarks(self) -> Iterator[VolumeRemark]:
        """Yield what is damaged in the allocation groups and costs no file anything."""
        for group in range(self._groups.count):
            for reason in islice(dict.fromkeys(self._groups.damage(group)), _MOST_PROBLEMS):
                yield VolumeRemark(f"allocation group {group}: {reason}", is_loss=False)

    def chunks(self, tree: int, inode: int) -> Iterator[tuple[int, bytes]]:
        """Yield a file's bytes: those in the inode, or by its extents; XfsError where some were lost."""
        del tree
        stored = self._inodes.read(inode)
        if stored.format == LOCAL:
            yield 0, stored.fork[: stored.size]
            return
        problems: list[str] = []
        yield from extents_chunks(self._inodes.extents(stored, problems), self._window)
        if problems:
            raise XfsError("; ".join(problems[:_MOST_PROBLEMS]))

    def _names(self, inode: Inode, problems: list[str], removed: _Removed) -> Iterator[list[tuple[int, bytes, int]]]:
        """Yield the entries of each block; what is damaged goes to ``problems``, removed names to ``removed``."""
        has_types = self._inodes.has_types
        if inode.format == LOCAL:
            yield _taken(short_entries(inode.fork, has_types=has_types), "", problems)
            return
        owner = self._inodes.identity + inode.number.to_bytes(8, "big")
        for number, data in self._directory_blocks(inode, problems):
            if len(problems) >= MOST_DAMAGE:
                problems[0] = f"more than {MOST_DAMAGE} blocks are damaged, the rest was not read; {problems[0]}"
                return
            where = f"block {number} of the directory: "
            if is_checked(data):
                if not padded_checksum_is_right(data, _DIRECTORY_CHECKSUM):
                    problems.append(f"{where}its checksum is wrong")
                elif data[_OWNER] != owner:
                    problems.append(f"{where}it belongs to inode {int.from_bytes(data[40:48], 'big')} by its header")
            for each in removed_names(data, has_types=has_types):
                if len(removed) < _MOST_REMOVED:
                    removed[each.inode, each.name] = each
            names = block_names(data, has_types=has_types)
            yield _taken(block_entries(data, has_types=has_types), where, problems) if names is None else names

    def _check_index(self, inode: Inode, problems: list[str]) -> None:
        """Note which blocks of a directory's index are damaged: its names are in other blocks."""
        per_block = self._inodes.directory_block_size // self._inodes.block_size
        first = _LEAVES // int(self._inodes.block_size)
        places: dict[int, list[int]] = {}
        left = _MOST_INDEX
        for run in self._inodes.runs(inode, []):
            for index in range(max(0, first - run.start), min(run.length, left)):
                places.setdefault((run.start + index) // per_block, []).append(run.block + index)
                left -= 1
        wrong = [number for number, blocks in places.items() if not self._is_index_right(blocks, per_block)]
        if wrong:
            problems.append(f"the checksums of {len(wrong)} blocks of its index are wrong, the first is {min(wrong)}")

    def _is_index_right(self, blocks: list[int], count: int) -> bool:
        data = b"".join(map(self._inodes.read_block, blocks))
        place = _FREE_CHECKSUM if data.startswith(b"XDF3") else _INDEX_CHECKSUM
        return len(blocks) == count and padded_checksum_is_right(data, place)

    def _take_out_living(self, inode: Inode, removed: _Removed) -> None:
        """Leave only names that are gone: a directory that was packed keeps stale copies of living entries.

        The directory is read a second time for it, which costs nothing where no name was removed.
        """
        for names in self._names(inode, [], {}):
            for number, name, _ in names:
                removed.pop((number & _LOWER_HALF, name), None)

    def _directory_blocks(self, inode: Inode, problems: list[str]) -> Iterator[tuple[int, bytes]]:
        """Yield each directory block with its number: it may be several blocks of the filesystem, not side by side."""
        per_block = self._inodes.directory_block_size // self._inodes.block_size
        number, parts = -1, dict[int, bytes]()
        reached = 0
        visited: set[int] = set()
        for run in self._inodes.runs(inode, problems):
            for index in range(max(0, reached - run.start), self._directory_part(run)):
                reached = run.start + index + 1
                belongs, within = divmod(run.start + index, per_block)
                if belongs != number and parts:
                    yield number, self._joined(parts, per_block)
                    parts = {}
                number = belongs
                if run.block + index in visited:
                    problems.append(f"block {number} of the directory is used twice: the rest was not read")
                    return
                visited.add(run.block + index)
                parts[within], bad = self._inodes.block_around(run.block + index)
                if len(parts[within]) < self._inodes.block_size:
                    problems.append(f"block {number} of the directory lies outside the volume")
                    return
                if bad:
                    problems.append(f"block {number} of the directory does not read whole (read error)")
        if parts:
            yield number, self._joined(parts, per_block)
        if reached * self._inodes.block_size < min(inode.size, _LEAVES):
            problems.append(f"it has {inode.size} bytes, and its blocks end at {reached * self._inodes.block_size}")

    def _directory_part(self, run: Run) -> int:
        return max(0, min(run.length, _LEAVES // int(self._inodes.block_size) - run.start))

    def _joined(self, parts: dict[int, bytes], count: int) -> bytes:
        return b"".join(parts.get(index, bytes(self._inodes.block_size)) for index in range(count))

    def _reads_as_directory(self, number: int) -> bool:
        try:
            return stat.S_ISDIR(self._inodes.read(number).mode)
        except XfsError:
            return True

    def _listed(self, number: int, name: bytes, kind: int) -> Listed:
        self._begin_item(number)
        self._orphans.reach(number)
        problems = name_problems(name) if b"/" in name or b"\0" in name else ()
        if number in self._skipped:
            return Listed(name, number, 0, allocated=True, node=None, problems=(*problems, NEVER_ENDED))
        try:
            node = self._nodes.node(number)
        except (XfsError, OSError) as error:
            reason = f"the inode could not be read: {error}"[:300]
            return Listed(name, number, 0, allocated=True, node=None, problems=(*problems, reason))
        if kind:
            problems += type_problems(kind, node.type)
        if node.links > 1 and node.type != "directory":
            self._links.count(number, node.links)
        return tuple.__new__(Listed, (name, number, 0, True, node, problems))


def _miscounted(directory: Node, own: list[int], below: int, *, has_own: bool) -> Iterator[str]:
    """Yield what a directory's entry for itself and its links say against what was found in it."""
    if has_own and own[:1] != [directory.inode]:
        yield f"its first block is that of directory {own[0]}" if own else "its first block is damaged"
    if directory.links > below + 2:
        yield f"by its links it has {directory.links - 2} directories, {below} were found"


def _taken(found: Iterator[DirectoryEntry | str], where: str, problems: list[str]) -> list[tuple[int, bytes, int]]:
    """Return the entries; what is said about damage goes to ``problems``."""
    names: list[tuple[int, bytes, int]] = []
    for entry in found:
        if isinstance(entry, str):
            problems.append(where + entry)
        else:
            names.append(entry)
    return names
