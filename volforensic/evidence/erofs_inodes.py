"""The inodes of an erofs, of both sizes.

Source: the kernel's fs/erofs/erofs_fs.h (erofs_inode_compact, erofs_inode_extended) and inode.c. An inode's number
(nid) is its place: 32 bytes a slot from the first block of metadata on, or in the metabox where its highest bit is set.
"""

import stat
import struct
from collections.abc import Iterator
from typing import NamedTuple

from volforensic.evidence.erofs_space import ErofsError, Metadata
from volforensic.evidence.erofs_superblocks import ErofsSuperblock

PLAIN, FULL_INDEX, INLINE, COMPACT_INDEX, CHUNKED = range(5)
_COMPACT = struct.Struct("<HHHHIIIIHH4x")
_EXTENDED = struct.Struct("<HHHHQIIIIQII16x")
_RESERVED = {_COMPACT.size: 28, _EXTENDED.size: 48}
_SLOT = 32
_KNOWN_FORMAT, _WIDE_LAYOUT, _ONE_LINK = 0x1F, 0x1, 0x10
_ATTRIBUTE_HEAD = 12
_NULL, _WIDE_NULL = 0xFFFFFFFF, 0xFFFFFFFFFFFF
_SECOND = 1_000_000_000
METABOX_BIT = 1 << 63
_METABOX_TOLD = 1 << 60
"""Of the numbers that are told: inodes of the metabox. No place in a volume is as far as that."""


class Inode(NamedTuple):
    """An inode. ``place`` and ``behind`` are where it and what follows it (and its attributes) begin in its metadata.

    ``block`` is its first block (None: it is a hole), or of a device node the device's number, or the chunks' format.
    """

    number: int
    place: int
    behind: int
    attribute_place: int
    layout: int
    mode: int
    uid: int
    gid: int
    size: int
    modified: int
    links: int
    word: int
    block: int | None
    is_in_metabox: bool
    faults: tuple[str, ...] = ()


def told(nid: int) -> int:
    """Return the number by which an inode is told: its nid, where that is not of the metabox."""
    return (nid & ~METABOX_BIT) | _METABOX_TOLD if nid & METABOX_BIT else nid


def nid_of(number: int) -> int:
    """Return the nid of an inode that is told by this number."""
    return (number & ~_METABOX_TOLD) | METABOX_BIT if number & _METABOX_TOLD else number


def read_inode(metadata: Metadata, superblock: ErofsSuperblock, nid: int) -> Inode:
    """Return the inode with this nid; ErofsError where there is none."""
    slot = nid & ~METABOX_BIT
    place = slot * _SLOT + (0 if metadata.is_metabox else superblock.metadata_block << superblock.block_log)
    if place + _COMPACT.size > metadata.size:
        raise ErofsError(f"inode {slot} lies outside the volume" if not metadata.is_metabox else f"inode {slot} is cut")
    raw = metadata.read(place, _COMPACT.size)
    form = raw[0] | raw[1] << 8
    if form & ~_KNOWN_FORMAT or form >> 1 & 7 > CHUNKED:
        raise ErofsError(f"an inode of format {form:#x}")
    if form & _WIDE_LAYOUT:
        raw = metadata.read(place, _EXTENDED.size)
        count, values = _extended(raw)
    else:
        count, values = _compact(raw, superblock)
    size = len(raw)
    behind = place + size + (_ATTRIBUTE_HEAD + 4 * (count - 1) if count else 0)
    inode = Inode(told(nid), place, behind, place + size, form >> 1 & 7, *values, metadata.is_metabox)
    if inode.size >> 63:
        raise ErofsError(f"a file of {inode.size} bytes")
    return inode._replace(faults=tuple(_faults(raw, inode, superblock)))


def _faults(raw: bytes, inode: Inode, superblock: ErofsSuperblock) -> Iterator[str]:
    """Yield what is in an inode that nobody writes: nothing else tells that it is damaged."""
    if any(raw[_RESERVED[len(raw)] :]):
        yield "its inode is damaged or newer than what is known here: bytes of it that are to be 0 are not"
    if not inode.links:
        yield "its inode is damaged: it says that it has no name"
    if not inode.size and stat.S_ISREG(inode.mode) and inode.layout in {FULL_INDEX, COMPACT_INDEX, INLINE}:
        yield "its inode is damaged: it has a layout for bytes and says that it has none"
    elif inode.layout in {FULL_INDEX, COMPACT_INDEX} and inode.word > -(-inode.size // superblock.block_size):
        yield f"its inode is damaged: {inode.word} blocks of compressed bytes for {inode.size} bytes"


_Values = tuple[int, int, int, int, int, int, int, int | None]


def _compact(raw: bytes, superblock: ErofsSuperblock) -> tuple[int, _Values]:
    form, count, mode, high, size, modified, word, _, uid, gid = _COMPACT.unpack(raw)
    moment = (superblock.epoch + modified) * _SECOND + superblock.nanoseconds
    if form & _ONE_LINK and not stat.S_ISDIR(mode):
        return count, (mode, uid, gid, size, moment, 1, word, _block(high << 32 | word, _WIDE_NULL))
    return count, (mode, uid, gid, size, moment, high, word, _block(word, _NULL))


def _extended(raw: bytes) -> tuple[int, _Values]:
    _, count, mode, high, size, word, _, uid, gid, modified, nanoseconds, links = _EXTENDED.unpack(raw)
    seconds = modified - (1 << 64) if modified >> 63 else modified
    block = _block(high << 32 | word, _WIDE_NULL)
    return count, (mode, uid, gid, size, seconds * _SECOND + nanoseconds, links, word, block)


def _block(number: int, null: int) -> int | None:
    return None if number == null else number
