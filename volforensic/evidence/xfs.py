"""An XFS filesystem: names, inodes and extents."""

import stat
from collections.abc import Callable, Iterator
from itertools import islice

from volforensic.evidence.node import (
    LINK_TARGET_LIMIT,
    MOST_DAMAGE,
    NEVER_ENDED,
    TYPES,
    Listed,
    Node,
    Runs,
    checked_runs,
    extents_chunks,
    name_problems,
)
from volforensic.evidence.reader import Window
from volforensic.evidence.superblocks import checksum_is_right
from volforensic.evidence.xfs_deleted import RemovedName, removed_names
from volforensic.evidence.xfs_directory import DirectoryEntry, block_entries, is_checked, short_entries
from volforensic.evidence.xfs_inodes import LOCAL, Inode, Run, XfsError, XfsInodes
from volforensic.evidence.xfs_orphans import XfsOrphans

_LEAVES = 32 << 30  # where a directory's hash index begins: XFS_DIR2_LEAF_OFFSET, fs/xfs/libxfs/xfs_dir2.h
_LINK_MAGIC = b"XSLM"
_LINK_HEADER = 56
_DIRECTORY_CHECKSUM = 4
_MOST_PROBLEMS = 5
_LOWER_HALF = 0xFFFFFFFF
_MOST_REMOVED = 1_000_000


class XfsReader:
    """An XFS filesystem. ``begin_item`` is told each inode before it is touched."""

    def __init__(self, window: Window, begin_item: Callable[[int], None], skipped: frozenset[int]) -> None:
        """Open the filesystem; inodes in ``skipped`` are listed by name and not read."""
        self._window = window
        self._begin_item = begin_item
        self._skipped = skipped
        self._inodes = XfsInodes(window)
        self._orphans = XfsOrphans(window, self._inodes, self._node, begin_item, skipped)

    def root(self) -> Node:
        """Return the root directory."""
        return self._node(self._inodes.read(self._inodes.root))

    def entries(self, directory: Node) -> Iterator[Listed]:
        """Yield the names of a directory; XfsError at the end where a part of it was lost."""
        inode = self._inodes.read(directory.inode)
        problems: list[str] = []
        removed = self._removed(inode)
        for found in self._found(inode, problems):
            if isinstance(found, str):
                problems.append(found)
                continue
            if removed:  # a directory that was packed keeps stale copies of living entries
                removed.pop((found.inode & _LOWER_HALF, found.name), None)
            if found.name != b"." and not (found.name == b".." and self._is_directory(found.inode)):
                yield self._listed(found)
        for entry in removed.values():
            yield self._orphans.removed(entry)
        if problems:
            raise XfsError("; ".join(problems[:_MOST_PROBLEMS]))

    def orphans(self) -> Iterator[Listed]:
        """Yield inodes to which no name leads; XfsError at the end where some could not be told."""
        return self._orphans.found()

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

    def _found(self, inode: Inode, problems: list[str]) -> Iterator[DirectoryEntry | str]:
        has_types = self._inodes.has_types
        if inode.format == LOCAL:
            yield from short_entries(inode.fork, has_types=has_types)
            return
        for number, data in self._directory_blocks(inode, problems):
            if len(problems) >= MOST_DAMAGE:
                problems[0] = f"more than {MOST_DAMAGE} blocks are damaged, the rest was not read; {problems[0]}"
                return
            if is_checked(data) and not checksum_is_right(data, _DIRECTORY_CHECKSUM):
                yield f"block {number} of the directory: its checksum is wrong"
            for found in block_entries(data, has_types=has_types):
                yield f"block {number} of the directory: {found}" if isinstance(found, str) else found

    def _removed(self, inode: Inode) -> dict[tuple[int, bytes], RemovedName]:
        """Return the names that were removed from the directory's blocks, once each."""
        if inode.format == LOCAL:
            return {}
        blocks = self._directory_blocks(inode, [])
        names = (each for _, data in blocks for each in removed_names(data, has_types=self._inodes.has_types))
        return {(each.inode, each.name): each for each in islice(names, _MOST_REMOVED)}

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
                parts[within] = self._inodes.read_block(run.block + index)
                if len(parts[within]) < self._inodes.block_size:
                    problems.append(f"block {number} of the directory lies outside the volume")
                    return
        if parts:
            yield number, self._joined(parts, per_block)
        if reached * self._inodes.block_size < min(inode.size, _LEAVES):
            problems.append(f"it has {inode.size} bytes, and its blocks end at {reached * self._inodes.block_size}")

    def _directory_part(self, run: Run) -> int:
        return max(0, min(run.length, _LEAVES // int(self._inodes.block_size) - run.start))

    def _joined(self, parts: dict[int, bytes], count: int) -> bytes:
        return b"".join(parts.get(index, bytes(self._inodes.block_size)) for index in range(count))

    def _is_directory(self, number: int) -> bool:
        try:
            return stat.S_ISDIR(self._inodes.read(number).mode)
        except XfsError:
            return True

    def _listed(self, entry: DirectoryEntry) -> Listed:
        number, name = entry
        self._begin_item(number)
        problems = name_problems(name)
        if number in self._skipped:
            return Listed(name, number, 0, allocated=True, node=None, problems=(*problems, NEVER_ENDED))
        try:
            node = self._node(self._inodes.read(number))
        except (XfsError, OSError) as error:
            reason = f"the inode could not be read: {error}"[:300]
            return Listed(name, number, 0, allocated=True, node=None, problems=(*problems, reason))
        return Listed(name, number, 0, allocated=True, node=node, problems=problems)

    def _node(self, inode: Inode) -> Node:
        if not inode.mode:
            raise XfsError("it is not in use")
        kind = TYPES.get(stat.S_IFMT(inode.mode), "unknown")
        runs = self._runs(inode) if kind == "file" else Runs(())
        return Node(
            inode=inode.number,
            type=kind,
            mode=stat.S_IMODE(inode.mode),
            uid=inode.uid,
            gid=inode.gid,
            size=inode.size,
            modified=inode.modified,
            accessed=inode.accessed,
            changed=inode.changed,
            created=inode.created,
            links=inode.links,
            link_target=self._link_target(inode) if kind == "symlink" else None,
            extents=runs.extents,
            problems=runs.problems if inode.is_sound else (*runs.problems, "the checksum of its inode is wrong"),
        )

    def _runs(self, inode: Inode) -> Runs:
        if inode.format == LOCAL:  # the bytes lie in the inode
            return Runs(None)
        problems: list[str] = []
        runs = checked_runs(self._inodes.extents(inode, problems), inode.size, self._window)
        return Runs(runs.extents, (*runs.problems, *dict.fromkeys(problems[:_MOST_PROBLEMS])))

    def _link_target(self, inode: Inode) -> bytes:
        if inode.size > LINK_TARGET_LIMIT:
            raise XfsError(f"a symbolic link of {inode.size} bytes")
        if inode.format == LOCAL:
            return inode.fork[: inode.size]
        parts: list[bytes] = []
        problems: list[str] = []
        for run in self._inodes.runs(inode, problems):
            for index in range(min(run.length, LINK_TARGET_LIMIT // 256)):
                data = self._inodes.read_block(run.block + index)
                parts.append(data[_LINK_HEADER:] if data.startswith(_LINK_MAGIC) else data)
        if problems:
            raise XfsError(problems[0])
        return b"".join(parts)[: inode.size]
