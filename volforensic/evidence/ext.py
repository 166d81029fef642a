"""An ext2/3/4 filesystem by our own arithmetic: names, also deleted ones, inodes, extents.

Source: the kernel's Documentation/filesystems/ext4/ (directory.rst, inodes.rst). TSK cuts names at NUL, follows circles
in block maps and verifies no checksum.
"""

import stat
import struct
from collections.abc import Callable, Iterator

from volforensic.evidence.ext_directory import DirectoryEntry, directory_entries
from volforensic.evidence.ext_inline import inline_data
from volforensic.evidence.ext_inodes import INLINE_DATA, ExtInodes, Inode
from volforensic.evidence.ext_orphans import ExtOrphans, Reached
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

EXT_KINDS = ("ext2", "ext3", "ext4")
_ROOT = 2
_LARGEST_DIRECTORY = 32 << 30
_FAST_LINK = 60
_ENCRYPTED = 0x800
_MOST_COUNTED = 1 << 30
_UNSOUND = "the checksum of its inode is wrong"


class ExtReader:
    """An ext filesystem. ``begin_item`` is told each inode before it is touched."""

    def __init__(self, window: Window, begin_item: Callable[[int], None], skipped: frozenset[int]) -> None:
        """Open the filesystem; inodes in ``skipped`` are listed by name and not read."""
        self._window = window
        self._begin_item = begin_item
        self._skipped = skipped
        self._inodes = ExtInodes(window)
        self._named = bytearray(min(self._inodes.count, _MOST_COUNTED) // 8 + 1)
        self._deleted_names = bytearray(len(self._named))

    def root(self) -> Node:
        """Return the root directory."""
        return self._node(self._inodes.read(_ROOT))

    def entries(self, directory: Node) -> Iterator[Listed]:
        """Yield the names of a directory, deleted ones too; ValueError at the end where a part of it was lost."""
        if directory.size > _LARGEST_DIRECTORY:
            raise ValueError(f"a directory of {directory.size} bytes")
        problems: list[str] = []
        living: set[int] = set()
        deleted: dict[DirectoryEntry, None] = {}
        for found in self._found(directory, problems):
            if found.is_deleted:
                deleted[found] = None
            elif found.name != b"." and not (found.name == b".." and self._is_directory(found.inode)):
                living.add(hash(found[:2]))
                yield self._listed(found)
        # Where an index was split or a directory packed, stale copies of living entries stay behind.
        for entry in deleted:
            if hash(entry[:2]) not in living and entry.name not in {b".", b".."}:
                yield self._listed(entry)
        if problems:
            raise ValueError("; ".join(problems[:5]))

    def orphans(self) -> Iterator[Listed]:
        """Yield, after all directories were listed, the inodes to which no name led; ValueError at the end."""
        if self._inodes.count > _MOST_COUNTED:
            raise ValueError(f"{self._inodes.count} inodes are too many to look for those without a name")
        reached = Reached(self._named, self._deleted_names)
        yield from ExtOrphans(self._window, self._inodes, self._node, reached, self._begin_item, self._skipped).found()

    def chunks(self, tree: int, inode: int) -> Iterator[tuple[int, bytes]]:
        """Yield a file's bytes: those in the inode itself, or by the block map; ValueError where some were lost."""
        del tree
        stored = self._inodes.read(inode)
        size = self._node(stored).size
        if stored.flags & INLINE_DATA:
            yield 0, b"".join(inline_data(stored.raw))[:size]
            return
        block_map = self._inodes.block_map(stored, size)
        yield from extents_chunks(self._inodes.extents(block_map), self._window)
        if block_map.problems:
            raise ValueError("; ".join(block_map.problems))

    def _found(self, directory: Node, problems: list[str]) -> Iterator[DirectoryEntry]:
        for number, data, wrong in self._directory_blocks(directory, problems):
            if len(problems) >= MOST_DAMAGE:
                problems[0] = f"more than {MOST_DAMAGE} blocks are damaged, the rest was not read; {problems[0]}"
                return
            if wrong:
                problems.append(f"block {number} of the directory: {wrong}")
            for found in directory_entries(data, self._inodes.count):
                if isinstance(found, str):
                    problems.append(f"block {number} of the directory: {found}")
                else:
                    yield found

    def _directory_blocks(self, directory: Node, problems: list[str]) -> Iterator[tuple[int, bytes, str]]:
        inode = self._inodes.read(directory.inode)
        if inode.flags & INLINE_DATA:
            own, attribute = inline_data(inode.raw)
            yield 0, own[4:], ""  # the first word is the parent's inode number
            yield 1, attribute, ""
            return
        block_map = self._inodes.block_map(inode, directory.size)
        problems += block_map.problems
        count, expected = sum(run[2] for run in block_map.runs), directory.size // self._inodes.block_size
        if count < expected:
            problems.append(f"it has {count} of {expected} blocks")
        yield from self._inodes.directory_blocks(inode, block_map)

    def _is_directory(self, number: int) -> bool:
        try:
            return stat.S_ISDIR(int.from_bytes(self._inodes.read(number).raw[:2], "little"))
        except ValueError:
            return True

    def _listed(self, entry: DirectoryEntry) -> Listed:
        number, name, is_deleted = entry
        bit = number - 1
        if not is_deleted and bit >> 3 < len(self._named):
            self._named[bit >> 3] |= 1 << (bit & 7)
        self._begin_item(number)
        problems = name_problems(name)
        if number in self._skipped:
            return Listed(name, number, 0, not is_deleted, node=None, problems=(*problems, NEVER_ENDED))
        try:
            stored = self._inodes.read(number)
            if is_deleted:
                return self._deleted(name, stored)
            node = self._node(stored)
        except (ValueError, OSError) as error:
            reason = () if is_deleted else (f"the inode could not be read: {error}"[:300],)
            return Listed(name, number, 0, not is_deleted, node=None, problems=(*problems, *reason))
        return Listed(name, number, 0, allocated=True, node=node, problems=problems)

    def _deleted(self, name: bytes, inode: Inode) -> Listed:
        """Return a deleted name with what its inode still says; nothing of it where another file has the inode."""
        links = int.from_bytes(inode.raw[26:28], "little")
        if not links and inode.number - 1 >> 3 < len(self._deleted_names):
            self._deleted_names[inode.number - 1 >> 3] |= 1 << (inode.number - 1 & 7)
        node, reason = (None, ("the inode belongs to another file now",)) if links else (self._node(inode), ())
        return Listed(name, inode.number, 0, allocated=False, node=node, problems=reason)

    def _node(self, inode: Inode) -> Node:
        raw = inode.raw
        mode, uid, low, atime, ctime, mtime, _, gid, links, blocks = struct.unpack_from("<HHIiiiIHHI", raw)
        if not mode:
            raise ValueError("it is empty: it was never used or it was cleared")
        high, acl = struct.unpack_from("<I", raw, 108)[0], struct.unpack_from("<I", raw, 104)[0]
        uid_high, gid_high = struct.unpack_from("<HH", raw, 120)
        kind = TYPES.get(stat.S_IFMT(mode), "unknown")
        size = low | high << 32 if kind in {"file", "directory", "symlink"} else low
        extra = _extra_times(raw)
        runs = self._runs(inode, size) if kind == "file" else Runs(())
        is_fast = not blocks or (bool(acl) and blocks == self._inodes.block_size // 512)
        return Node(
            inode=inode.number,
            type=kind,
            mode=stat.S_IMODE(mode),
            uid=uid | uid_high << 16,
            gid=gid | gid_high << 16,
            size=size,
            modified=_nanoseconds(mtime, extra[1]),
            accessed=_nanoseconds(atime, extra[2]),
            changed=_nanoseconds(ctime, extra[0]),
            created=_nanoseconds(extra[3], extra[4]) if extra[3] else None,
            links=links,
            link_target=self._link_target(inode, size, is_fast=is_fast) if kind == "symlink" else None,
            extents=runs.extents,
            problems=(*runs.problems, *_flag_problems(inode)),
        )

    def _runs(self, inode: Inode, size: int) -> Runs:
        if inode.flags & INLINE_DATA:
            return Runs(None)
        block_map = self._inodes.block_map(inode, size)
        runs = checked_runs(self._inodes.extents(block_map), size, self._window)
        return Runs(runs.extents, (*runs.problems, *block_map.problems))

    def _link_target(self, inode: Inode, size: int, *, is_fast: bool) -> bytes:
        if size > LINK_TARGET_LIMIT:
            raise ValueError(f"a symbolic link of {size} bytes")
        if size < _FAST_LINK and is_fast:
            return inode.raw[40 : 40 + size]
        if inode.flags & INLINE_DATA:
            return b"".join(inline_data(inode.raw))[:size]
        extents = list(self._inodes.extents(self._inodes.block_map(inode, size)))
        parts = (self._window.read_at(extent.source_offset - self._window.offset, extent.length) for extent in extents)
        return b"".join(parts)[:size]


def _flag_problems(inode: Inode) -> Iterator[str]:
    if not inode.is_sound:
        yield _UNSOUND
    if inode.flags & _ENCRYPTED:
        yield "it is encrypted (fscrypt): its bytes are not what the host read"


def _extra_times(raw: bytes) -> tuple[int, int, int, int, int]:
    """Return the extra words of change, modification and access time, and the birth time with its own."""
    if len(raw) <= 128:
        return 0, 0, 0, 0, 0
    end = 128 + int.from_bytes(raw[128:130], "little")
    changed, modified, accessed, born, birth_extra = struct.unpack_from("<IIIiI", raw, 132)
    return (
        changed if end >= 136 else 0,
        modified if end >= 140 else 0,
        accessed if end >= 144 else 0,
        born if end >= 148 else 0,
        birth_extra if end >= 152 else 0,
    )


def _nanoseconds(seconds: int, extra: int) -> int:
    """Return a time: the extra word's two low bits carry the seconds on beyond 2038, the rest are nanoseconds."""
    fraction = extra >> 2
    return (seconds + ((extra & 3) << 32)) * 1_000_000_000 + (fraction if fraction < 1_000_000_000 else 0)
