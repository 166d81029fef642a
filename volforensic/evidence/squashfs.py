"""A squashfs of version 4: names, inodes and the bytes of files, compressed with gzip, xz, zstd, lz4 or lzo.

Source: the kernel's fs/squashfs/ (super.c, namei.c, inode.c, file.c, export.c). Only the time of modification is kept
there, in seconds. Nothing in it has a checksum: what decompresses is told as it is.
"""

import struct
from collections.abc import Callable, Iterator

from volforensic.evidence.attributes import NOTHING_EXTENDED
from volforensic.evidence.ext_orphans import name_of
from volforensic.evidence.node import MOST_DAMAGE, NEVER_ENDED, FileType, Listed, Node, name_problems
from volforensic.evidence.reader import Window
from volforensic.evidence.squashfs_attributes import SquashfsAttributes
from volforensic.evidence.squashfs_blocks import NOTHING, SquashfsBlocks, SquashfsError
from volforensic.evidence.squashfs_inodes import (
    BLOCK_DEVICE,
    CHARACTER_DEVICE,
    FILE,
    NO_ATTRIBUTES,
    NO_FRAGMENT,
    SYMLINK,
    Inode,
    Name,
    block_words,
    device_of,
    link_target,
    names,
    read_inode,
)

_TYPES: tuple[FileType, ...] = (
    "unknown", "directory", "file", "symlink", "block_device", "character_device", "fifo", "socket",
)  # fmt: skip
_SECOND = 1_000_000_000
BY_PLACE = 1 << 48
"""Inode numbers have 32 bits, references 48: an inode to which its number does not lead is told by its reference."""
_FRAGMENT = struct.Struct("<QI4x")
_MOST_LOST = 20
_MOST_INODES = 16 << 20  # inodes that are looked for without a name


class SquashfsReader:
    """A squashfs. ``begin_item`` is told each inode before it is touched."""

    def __init__(self, window: Window, begin_item: Callable[[int], None], skipped: frozenset[int]) -> None:
        """Open the filesystem; inodes in ``skipped`` are listed by name and not read."""
        self._begin_item = begin_item
        self._skipped = skipped
        self._blocks = SquashfsBlocks(window)
        self._attributes = SquashfsAttributes(self._blocks)
        self._owners: dict[int, int] = {}
        self._seen = bytearray(min(self._blocks.superblock.inodes, _MOST_INODES) + 1)

    def root(self) -> Node:
        """Return the root directory."""
        reference = self._blocks.superblock.root
        return self._node(reference, read_inode(self._blocks, reference))

    def entries(self, directory: Node) -> Iterator[Listed]:
        """Yield the names of a directory; SquashfsError where its list breaks off."""
        for name in names(self._blocks, self._inode(directory.inode)):
            yield self._listed(name)

    def orphans(self) -> Iterator[Listed]:
        """Yield the inodes of the superblock's count to which no name led; SquashfsError at the end names the lost.

        Who makes a squashfs writes only what has a name: they tell that names were lost, or are hidden.
        """
        inodes = self._blocks.superblock.inodes
        lost: list[str] = []
        for number in range(1, min(inodes + 1, len(self._seen))):
            if self._seen[number]:
                continue
            self._begin_item(number)
            if len(lost) >= MOST_DAMAGE:
                raise SquashfsError("; ".join(lost[:_MOST_LOST]) + f"; it was given up at inode {number} of {inodes}")
            try:
                yield self._orphan(number)
            except SquashfsError as error:
                lost.append(f"inode {number}: {error}")
        if inodes >= len(self._seen):
            lost.append(f"it says that it has {inodes} inodes: those from {len(self._seen)} on were not looked for")
        if lost:
            raise _lost(lost)

    def _orphan(self, number: int) -> Listed:
        name = name_of(number, 0)
        if number in self._skipped:
            return Listed(name, number, 0, allocated=True, node=None, problems=(NEVER_ENDED,))
        reference = self._exported(number)
        inode = read_inode(self._blocks, reference)
        if inode.number != number:
            raise SquashfsError(f"the table of inodes leads to inode {inode.number}")
        return Listed(name, number, 0, allocated=True, node=self._node(reference, inode))

    def chunks(self, tree: int, inode: int) -> Iterator[tuple[int, bytes]]:
        """Yield a file's bytes, without its holes.

        What cannot be had of it is left out, and SquashfsError says so at the end.
        """
        del tree
        found = self._inode(inode)
        if found.kind != FILE:
            raise SquashfsError("it is no file")
        lost: list[str] = []
        yield from self._whole_blocks(found, lost)
        tail = found.size % self._blocks.superblock.block_size
        if tail and found.fragment != NO_FRAGMENT:
            position = found.size - tail
            try:
                data = self._tail(found, tail)
            except SquashfsError as error:
                lost.append(f"bytes from {position}: {error}")
            else:
                yield position, data
        if lost:
            raise _lost(lost)

    def _whole_blocks(self, found: Inode, lost: list[str]) -> Iterator[tuple[int, bytes]]:
        block_size = self._blocks.superblock.block_size
        position, place = 0, found.start
        for words in block_words(self._blocks, found):
            if not any(words):
                position += len(words) * block_size
                continue
            for word in words:
                if word:
                    expected = min(block_size, found.size - position)
                    try:
                        yield position, self._block(place, word, expected)
                    except SquashfsError as error:
                        lost.append(f"bytes from {position}: {error}")
                    place += word & 0xFFFFFF
                position += block_size

    def _block(self, place: int, word: int, expected: int) -> bytes:
        data = self._blocks.data(place, word)
        if len(data) != expected:
            raise SquashfsError(f"a block of {len(data)} bytes, {expected} are to be in it")
        return data

    def _tail(self, found: Inode, size: int) -> bytes:
        superblock = self._blocks.superblock
        if found.fragment >= superblock.fragments or superblock.fragment_table == NOTHING:
            raise SquashfsError(f"fragment {found.fragment} of {superblock.fragments}")
        entry = self._blocks.table_entry(superblock.fragment_table, found.fragment, _FRAGMENT.size)
        data = self._blocks.fragment(*_FRAGMENT.unpack(entry))[found.offset : found.offset + size]
        if len(data) < size:
            raise SquashfsError(f"fragment {found.fragment} ends before the file does")
        return data

    def _inode(self, number: int) -> Inode:
        """Return the inode with the number of a node."""
        if number >= BY_PLACE:
            return read_inode(self._blocks, number - BY_PLACE)
        return read_inode(self._blocks, self._exported(number))

    def _exported(self, number: int) -> int:
        """Return the reference of an inode by its number."""
        superblock = self._blocks.superblock
        if superblock.export_table == NOTHING:
            raise SquashfsError("there is no table of inodes")
        if not 0 < number <= superblock.inodes:
            raise SquashfsError(f"inode {number} of {superblock.inodes}")
        return int.from_bytes(self._blocks.table_entry(superblock.export_table, number - 1, 8), "little")

    def _number(self, reference: int, inode: Inode) -> tuple[int, tuple[str, ...]]:
        """Return by which number the inode is told, and what is wrong with its own."""
        if self._blocks.superblock.export_table == NOTHING:
            return BY_PLACE + reference, ()
        try:
            if self._exported(inode.number) == reference:
                return inode.number, ()
            reason = "the table of inodes leads elsewhere"
        except SquashfsError as error:
            reason = f"the table of inodes: {error}"
        return BY_PLACE + reference, (f"its number {inode.number} is not where it stands: {reason}"[:300],)

    def _listed(self, entry: Name) -> Listed:
        problems = name_problems(entry.name)
        told = entry.number if self._blocks.superblock.export_table != NOTHING else BY_PLACE + entry.reference
        self._begin_item(told)
        if entry.number < len(self._seen):
            self._seen[entry.number] = 1
        if self._skipped & {told, BY_PLACE + entry.reference}:
            return Listed(entry.name, told, 0, allocated=True, node=None, problems=(*problems, NEVER_ENDED))
        try:
            inode = read_inode(self._blocks, entry.reference)
            node = self._node(entry.reference, inode)
        except SquashfsError as error:
            reason = f"the inode could not be read: {error}"[:300]
            return Listed(entry.name, told, 0, allocated=True, node=None, problems=(*problems, reason))
        if inode.number != entry.number:
            problems = (*problems, f"the directory says that it is inode {entry.number}, it is {inode.number}")
        if inode.kind != entry.kind:
            problems = (*problems, f"the directory says that it is a {_type(entry.kind)}")
        return Listed(entry.name, node.inode, 0, allocated=True, node=node, problems=problems)

    def _node(self, reference: int, inode: Inode) -> Node:
        number, problems = self._number(reference, inode)
        if inode.number < len(self._seen):
            self._seen[inode.number] = 1
        target, attributes = None, inode.attributes
        if inode.kind == SYMLINK:
            target, attributes = link_target(self._blocks, inode)
        more = NOTHING_EXTENDED if attributes == NO_ATTRIBUTES else self._attributes.of(attributes)
        problems += more.problems
        is_device = inode.kind in {BLOCK_DEVICE, CHARACTER_DEVICE}
        return Node(
            number,
            _type(inode.kind),
            0,
            inode.mode,
            self._owner(inode.owner),
            self._owner(inode.group),
            inode.size,
            inode.modified * _SECOND,
            links=inode.links,
            link_target=target,
            extents=None if inode.kind == FILE and inode.size else (),
            problems=problems,
            device=device_of(inode.device) if is_device else None,
            attributes=more.attributes,
            capabilities=more.capabilities,
        )

    def _owner(self, index: int) -> int:
        """Return the user or group with this index in the table of both."""
        if index not in self._owners:
            superblock = self._blocks.superblock
            if index >= superblock.owners:
                raise SquashfsError(f"owner {index} of {superblock.owners}")
            entry = self._blocks.table_entry(superblock.owner_table, index, 4)
            self._owners[index] = int.from_bytes(entry, "little")
        return self._owners[index]


def _lost(lost: list[str]) -> SquashfsError:
    rest = f"; and {len(lost) - _MOST_LOST} more" if len(lost) > _MOST_LOST else ""
    return SquashfsError("; ".join(lost[:_MOST_LOST]) + rest)


def _type(kind: int) -> FileType:
    return _TYPES[kind] if kind < len(_TYPES) else "unknown"
