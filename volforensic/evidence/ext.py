"""An ext2/3/4 filesystem by our own arithmetic: names, also deleted ones, inodes, extents.

Source: the kernel's Documentation/filesystems/ext4/ (directory.rst, inodes.rst). TSK cuts names at NUL, follows circles
in block maps and verifies no checksum.
"""

import stat
from collections.abc import Callable, Iterator
from functools import lru_cache

from volforensic.evidence.ext_block_map import INLINE_DATA
from volforensic.evidence.ext_directory import DirectoryEntry, Names, block_names, directory_entries, encoded_name
from volforensic.evidence.ext_free import damaged_bitmaps
from volforensic.evidence.ext_inline import inline_data
from volforensic.evidence.ext_inodes import ExtInodes
from volforensic.evidence.ext_nodes import ExtNodes
from volforensic.evidence.ext_orphans import ExtOrphans, Reached
from volforensic.evidence.links import LinkCounts
from volforensic.evidence.node import (
    ENCRYPTED_TREE,
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

EXT_KINDS = ("ext2", "ext3", "ext4")
_ROOT = 2
_LARGEST_DIRECTORY = 32 << 30
_DOTS = frozenset((b".", b".."))
_MOST_COUNTED = 1 << 30
_MOST_TOLD = 20
_HASHES = 8  # bytes behind a name that is encrypted and compared without case (fs/ext4/ext4.h, ext4_dir_entry_hash)


class ExtReader:
    """An ext filesystem. ``begin_item`` is told each inode before it is touched."""

    def __init__(self, window: Window, begin_item: Callable[[int], None], skipped: frozenset[int]) -> None:
        """Open the filesystem; inodes in ``skipped`` are listed by name and not read."""
        self._window = window
        self._begin_item = begin_item
        self._skipped = skipped
        self._inodes = ExtInodes(window)
        self._nodes = ExtNodes(window, self._inodes)
        self._is_directory = lru_cache(4096)(self._reads_as_directory)
        self._named = bytearray(min(self._inodes.count, _MOST_COUNTED) // 8 + 1)
        self._deleted_names = bytearray(len(self._named))
        self._links = LinkCounts()

    def root(self) -> Node:
        """Return the root directory."""
        return self._nodes.node(_ROOT)

    def entries(self, directory: Node) -> Iterator[Listed]:
        """Yield the names of a directory, deleted ones too; ValueError at the end where a part of it was lost."""
        if directory.size > _LARGEST_DIRECTORY:
            raise ValueError(f"a directory of {directory.size} bytes")
        problems: list[str] = []
        living: set[int] = set()
        deleted: dict[DirectoryEntry, None] = {}
        own: list[int] = []
        below = 0
        for names in self._names(directory, problems):
            deleted.update(dict.fromkeys(names.deleted))
            living.update(map(hash, names.living))
            own += (number for number, name in names.living[:1] if name == b".")
            for listed in self._in_use(names, directory):
                below += listed.node is not None and listed.node.type == "directory"
                yield listed
        # Where an index was split or a directory packed, stale copies of living entries stay behind.
        for entry in deleted:
            if hash(entry[:2]) not in living and entry.name not in _DOTS:
                yield self._listed_deleted(entry.inode, entry.name)
        problems += self._miscounted(directory, own, below)
        if problems:
            raise ValueError("; ".join(problems[:5]))

    def _in_use(self, names: Names, directory: Node) -> Iterator[Listed]:
        is_encrypted = "encrypted" in directory.attributes
        for (number, name), kind in zip(names.living, names.kinds, strict=True):
            if name not in _DOTS or (name == b".." and not self._is_directory(number)):
                listed = self._listed(number, name, kind)
                if not is_encrypted and listed.node is not None and "encrypted" in listed.node.attributes:
                    listed = listed._replace(problems=(*listed.problems, ENCRYPTED_TREE))
                yield listed

    def orphans(self) -> Iterator[Listed]:
        """Yield, after all directories were listed, the inodes to which no name led; ValueError at the end."""
        if self._inodes.count > _MOST_COUNTED:
            raise ValueError(f"{self._inodes.count} inodes are too many to look for those without a name")
        reached = Reached(self._named, self._deleted_names)
        orphans = ExtOrphans(self._window, self._inodes, self._nodes, reached, self._begin_item, self._skipped)
        yield from orphans.found(self._links)

    def chunks(self, tree: int, inode: int) -> Iterator[tuple[int, bytes]]:
        """Yield a file's bytes: those in the inode itself, or by the block map; ValueError where some were lost."""
        del tree
        stored = self._inodes.read(inode)
        size = self._nodes.of(stored).size
        if stored.flags & INLINE_DATA:
            data = b"".join(inline_data(stored.raw))[:size]
            yield 0, data
            if len(data) < size:
                raise ValueError(f"{size - len(data)} of {size} bytes are not in its inode")
            return
        block_map = self._inodes.block_map(stored, size)
        yield from extents_chunks(self._inodes.extents(block_map), self._window)
        if block_map.problems:
            raise ValueError("; ".join(block_map.problems))

    def remarks(self) -> Iterator[VolumeRemark]:
        """Yield which group descriptors and block bitmaps are damaged, some by name."""
        yield from damaged_bitmaps(self._window)
        replaced: list[int] = []
        for number in range(self._inodes.descriptors.count):
            found = self._inodes.descriptors.descriptor(number)
            if found.backup:
                replaced.append(number)
            elif found.fault and len(replaced) < _MOST_TOLD:
                yield VolumeRemark(f"block group {number}: {found.fault}, and no copy of it is right", is_loss=True)
        if replaced:
            groups = ", ".join(map(str, replaced[:_MOST_TOLD])) + (", ..." if len(replaced) > _MOST_TOLD else "")
            reason = f"{len(replaced)} group descriptors are damaged, copies of them were used: groups {groups}"
            yield VolumeRemark(reason, is_loss=False)

    def _miscounted(self, directory: Node, own: list[int], below: int) -> Iterator[str]:
        """Yield what a directory's entry for itself and its links say against what was found in it."""
        if not own and not self._inodes.read(directory.inode).flags & INLINE_DATA:
            yield "it has no entry for itself: its first block is damaged"
        elif own and own[0] != directory.inode:
            yield f"its first block is that of directory {own[0]}"
        if directory.links > below + 2:
            yield f"by its links it has {directory.links - 2} directories, {below} were found"

    def _names(self, directory: Node, problems: list[str]) -> Iterator[Names]:
        behind = _HASHES if {"encrypted", "casefold"} <= set(directory.attributes) else 0
        is_encrypted = "encrypted" in directory.attributes
        for number, data, wrong in self._directory_blocks(directory, problems):
            if len(problems) >= MOST_DAMAGE:
                problems[0] = f"more than {MOST_DAMAGE} blocks are damaged, the rest was not read; {problems[0]}"
                return
            if wrong:
                problems.append(f"block {number} of the directory: {wrong}")
            names = block_names(data, self._inodes.count, behind)
            if names is None:
                names = Names([], [], bytearray())
                for found in directory_entries(data, self._inodes.count):
                    if isinstance(found, str):
                        problems.append(f"block {number} of the directory: {found}")
                    elif found.is_deleted:
                        names.deleted.append(found)
                    else:
                        names.living.append(found[:2])
                        names.kinds.append(found.kind)
            yield _encoded(names) if is_encrypted else names

    def _directory_blocks(self, directory: Node, problems: list[str]) -> Iterator[tuple[int, bytes, str]]:
        inode = self._inodes.read(directory.inode)
        if inode.flags & INLINE_DATA:
            own, attribute = inline_data(inode.raw)
            yield 0, own[4:], ""  # the first word is the parent's inode number
            yield 1, attribute, ""
            return
        block_map = self._inodes.block_map(inode, _LARGEST_DIRECTORY)
        problems += block_map.problems
        count, expected = sum(run[2] for run in block_map.runs), directory.size // self._inodes.block_size
        if count > expected:
            problems.append(f"it has {count} blocks, its size is that of {expected}: names behind its end are listed")
        if count < expected:
            problems.append(f"it has {count} of {expected} blocks")
        yield from self._inodes.directory_blocks(inode, block_map)

    def _reads_as_directory(self, number: int) -> bool:
        try:
            data, offset, _ = self._inodes.at(number)
            return stat.S_ISDIR(int.from_bytes(data[offset : offset + 2], "little"))
        except ValueError:
            return True

    def _listed(self, number: int, name: bytes, kind: int) -> Listed:
        bit = number - 1
        if bit >> 3 < len(self._named):
            self._named[bit >> 3] |= 1 << (bit & 7)
        self._begin_item(number)
        problems = name_problems(name) if b"/" in name or b"\0" in name else ()
        if number in self._skipped:
            return Listed(name, number, 0, allocated=True, node=None, problems=(*problems, NEVER_ENDED))
        try:
            node = self._nodes.node(number)
        except (ValueError, OSError) as error:
            reason = f"the inode could not be read: {error}"[:300]
            return Listed(name, number, 0, allocated=True, node=None, problems=(*problems, reason))
        if kind:
            problems += type_problems(kind, node.type)
        if node.links > 1 and node.type != "directory":
            self._links.count(number, node.links)
        return tuple.__new__(Listed, (name, number, 0, True, node, problems))

    def _listed_deleted(self, number: int, name: bytes) -> Listed:
        """Return a deleted name with what its inode still says; nothing of it where another file has the inode."""
        self._begin_item(number)
        problems = name_problems(name)
        if number in self._skipped:
            return Listed(name, number, 0, allocated=False, node=None, problems=(*problems, NEVER_ENDED))
        try:
            stored = self._inodes.read(number)
            links = int.from_bytes(stored.raw[26:28], "little")
            if not links and number - 1 >> 3 < len(self._deleted_names):
                self._deleted_names[number - 1 >> 3] |= 1 << (number - 1 & 7)
            node = None if links else self._nodes.of(stored, is_freed=True)
        except (ValueError, OSError):
            return Listed(name, number, 0, allocated=False, node=None, problems=problems)
        reason = ("the inode belongs to another file now",) if links else ()
        return Listed(name, number, 0, allocated=False, node=node, problems=reason)


def _told_encrypted(listed: Listed) -> Listed:
    """Return an entry of a directory that is not encrypted: one that is begins a tree of which it is said."""
    if listed.node is None or "encrypted" not in listed.node.attributes:
        return listed
    return listed._replace(problems=(*listed.problems, ENCRYPTED_TREE))


def _encoded(names: Names) -> Names:
    """Return the names of an encrypted directory as text."""
    return Names(
        [(number, name if name in _DOTS else encoded_name(name)) for number, name in names.living],
        [entry._replace(name=encoded_name(entry.name)) for entry in names.deleted if entry.name not in _DOTS],
        names.kinds,
    )
