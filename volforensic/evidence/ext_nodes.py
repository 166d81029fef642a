"""What inodes of ext2/3/4 say: the common ones in a few steps, all others carefully.

Source: the kernel's Documentation/filesystems/ext4/inodes.rst. Both ways give the same of the same inode
(tests/test_ext_nodes.py): the fast one only takes what is simple.
"""

import stat
import struct
from collections.abc import Iterator

from volforensic.evidence.attributes import EXT_FLAGS, NOTHING_EXTENDED, attribute_names, ext_device
from volforensic.evidence.ext_attributes import MAGIC
from volforensic.evidence.ext_block_map import EXTENTS, INLINE_DATA, Inode
from volforensic.evidence.ext_directory import encoded_name
from volforensic.evidence.ext_inline import inline_data
from volforensic.evidence.ext_inodes import ENCRYPTED, INDEXED_DIRECTORY, ExtInodes
from volforensic.evidence.node import (
    DEVICES,
    ENCRYPTED_BYTES,
    LINK_TARGET_LIMIT,
    TYPES,
    Extent,
    Node,
    Runs,
    checked_runs,
)
from volforensic.evidence.reader import Window

_FAST_LINK = 60
_UNSOUND = "the checksum of its inode is wrong"
_FILE, _DIRECTORY, _LINK = stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK
_COMMON_FLAGS = EXTENTS | INDEXED_DIRECTORY
_COMMON_EXTRA = 32
_SMALLEST_COMMON = 256
_EXTENT_MAGIC, _WRITTEN = 0xF30A, 32768
_ATTRIBUTES = int.from_bytes(MAGIC, "little")
_SECOND = 1_000_000_000
_WHOLE = _SECOND << 2  # extra words from here on hold no nanoseconds that can be
# mode, uid, size; access, change, modification; gid, links, blocks, flags; extent header and first extent: magic,
# entries, depth, block of the file, length, place high and low; attribute block; high halves of size, attribute block,
# uid, gid; size of the extra fields; extra words of change, modification, access; birth; magic of attributes
_COMMON = struct.Struct("<HHIiii4xHHII4xHH2xH4xIHHI36x4xII4xHHHH4xH2xIIIiI8xI")


_NO_EXTENTS: tuple[Extent, ...] = ()
_new = tuple.__new__  # a NamedTuple's own is three times slower, and this is done for each inode


class ExtNodes:
    """Holds the inodes of a filesystem."""

    def __init__(self, window: Window, inodes: ExtInodes) -> None:
        """Take the inodes."""
        self._window = window
        self._inodes = inodes
        self._at = inodes.at
        self._block_size = inodes.block_size
        self._sectors = inodes.block_size // 512
        self._attributes = inodes.attribute_blocks()
        self._is_common_size = inodes.inode_size >= _SMALLEST_COMMON

    def node(self, number: int) -> Node:
        """Return what an inode says; ValueError where it cannot be read or was never used."""
        data, offset, is_right = self._at(number)
        if is_right and self._is_common_size:
            node = self._common(number, data, offset)
            if node is not None:
                return node
        return self.of(self._inodes.read(number))

    def _common(self, number: int, data: bytes, offset: int) -> Node | None:
        """Return what a common inode says whose checksum is right: at most one extent, no odd flag."""
        (
            mode, uid, size, atime, ctime, mtime, gid, links, blocks, flags, magic, entries, depth, start, count,
            high, low, acl, size_high, blocks_high, acl_high, uid_high, gid_high, extra, ctime_extra, mtime_extra,
            atime_extra, birth, birth_extra, attributes,
        ) = _COMMON.unpack_from(data, offset)  # fmt: skip
        if (
            extra != _COMMON_EXTRA
            or flags & ~_COMMON_FLAGS
            or (ctime_extra | mtime_extra | atime_extra | birth_extra) & 3  # a time after 2038
            or max(ctime_extra, mtime_extra, atime_extra, birth_extra) >= _WHOLE
        ):
            return None
        more = NOTHING_EXTENDED
        if acl or acl_high or attributes == _ATTRIBUTES:
            more = self._attributes.extended(data[offset : offset + self._inodes.inode_size])
        form = mode & 0xF000
        size |= size_high << 32
        target, extents = None, _NO_EXTENTS
        if form == _FILE:
            is_counted = blocks | blocks_high << 32 == (bool(entries) * count + bool(acl or acl_high)) * self._sectors
            if not flags & EXTENTS or magic != _EXTENT_MAGIC or depth or entries > 1 or not is_counted:
                return None
            found = self._one_extent(size, start, count, high << 32 | low) if entries else _NO_EXTENTS
            if found is None:
                return None
            extents = found
        elif form == _LINK:
            if blocks or blocks_high or size >= _FAST_LINK:
                return None
            target = data[offset + 40 : offset + 40 + size]
        elif form != _DIRECTORY:
            return None
        return _new(
            Node,
            (
                number, TYPES[form], 0, mode & 0xFFF, uid | uid_high << 16, gid | gid_high << 16, size,
                mtime * _SECOND + (mtime_extra >> 2), atime * _SECOND + (atime_extra >> 2),
                ctime * _SECOND + (ctime_extra >> 2), birth * _SECOND + (birth_extra >> 2) if birth else None,
                links, target, extents, more.problems, False, more.attributes, None,
                more.capabilities, True,
            ),
        )  # fmt: skip

    def _one_extent(self, size: int, start: int, count: int, block: int) -> tuple[Extent, ...] | None:
        """Return the extent cut to the file's size; None where it is none that this can tell."""
        first, place = start * self._block_size, block * self._block_size
        last = first + (count - 1) * self._block_size
        length = min(count * self._block_size, size - first)
        if not 0 < count <= _WRITTEN or max(first, last) >= size or place + length > self._window.length:
            return None
        return (_new(Extent, (first, self._window.offset + place, length)),)

    def of(self, inode: Inode, *, is_freed: bool = False) -> Node:
        """Return what a stored inode says, whatever it is; ValueError where it was never used."""
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
        more = self._attributes.extended(raw, is_freed=is_freed)
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
            problems=(*runs.problems, *more.problems, *_flag_problems(inode)),
            has_all_runs=not runs.problems,
            attributes=attribute_names(inode.flags, EXT_FLAGS, more.attributes),
            device=ext_device(*struct.unpack_from("<II", raw, 40)) if kind in DEVICES else None,
            capabilities=more.capabilities,
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
        target = self._stored_target(inode, size, is_fast=is_fast)
        if inode.flags & ENCRYPTED:  # its length stands before it
            return encoded_name(target[2 : 2 + int.from_bytes(target[:2], "little")])
        return target

    def _stored_target(self, inode: Inode, size: int, *, is_fast: bool) -> bytes:
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
    if inode.flags & ENCRYPTED and not stat.S_ISDIR(int.from_bytes(inode.raw[:2], "little")):
        yield ENCRYPTED_BYTES


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
