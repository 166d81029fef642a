"""Which bytes a compressed file of an erofs has: its index or its records as pieces, each a cluster of its own.

Source: the kernel's fs/erofs/zmap.c (z_erofs_map_blocks_fo, z_erofs_map_blocks_ext) and erofs_fs.h (z_erofs_extent).
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from volforensic.evidence.erofs_index import (
    AS_IT_IS,
    BIG,
    CIRCLE,
    FRAGMENT,
    HEAD,
    INSIDE,
    OTHER_BIG,
    OTHER_HEAD,
    RECORDS,
    Entry,
    Header,
    entries,
    read_header,
)
from volforensic.evidence.erofs_inodes import COMPACT_INDEX, FULL_INDEX, Inode
from volforensic.evidence.erofs_pieces import Piece
from volforensic.evidence.erofs_space import ErofsError, ErofsSpace, Metadata
from volforensic.evidence.erofs_superblocks import ErofsSuperblock

_LARGEST, _LARGEST_OUTPUT = 1 << 20, 12 << 20
_SIZE_MASK, _PARTIAL, _FORM_SHIFT = (1 << 21) - 1, 1 << 27, 28
_AT_ONCE = 4096


class _Head(NamedTuple):
    """The begin of a cluster: of its bytes in the file, its entry, how many blocks it has (0: not told).

    ``end`` is where the index ends, of the last one.
    """

    start: int
    entry: Entry
    number: int
    blocks: int = 0
    end: int = 0


def compressed_pieces(space: ErofsSpace, metadata: Metadata, inode: Inode) -> Iterator[Piece]:
    """Yield the pieces of a compressed file in its order; ErofsError where its index cannot be read."""
    if not inode.size:
        return
    header = read_header(metadata, space.superblock, inode)
    if header.is_whole:
        yield Piece(0, inode.size, "fragment", header.fragment)
    elif inode.layout == FULL_INDEX and header.flags & RECORDS:
        yield from _of_records(space, metadata, inode, header)
    else:
        yield from _of_index(space, metadata, inode, header)


def _of_index(space: ErofsSpace, metadata: Metadata, inode: Inode, header: Header) -> Iterator[Piece]:
    head: _Head | None = None
    for following in _heads(metadata, space.superblock, inode, header):
        if head is not None:
            yield _cluster(space, header, head, following.start)
        elif following.start:
            yield Piece(0, following.start, "lost", reason="its index does not say where they begin")
        head = following
    if head is None:
        yield Piece(0, inode.size, "lost", reason="its index has no begin of a cluster")
    elif header.flags & FRAGMENT:
        high = head.entry.block << 32 if inode.layout != COMPACT_INDEX else 0
        yield Piece(head.start, inode.size - head.start, "fragment", header.fragment | high)
    elif header.tail:
        yield _tail(space, metadata, inode, header, head)
    else:
        yield _cluster(space, header, head, inode.size)


def _heads(metadata: Metadata, superblock: ErofsSuperblock, inode: Inode, header: Header) -> Iterator[_Head]:
    """Yield the begin of each cluster in the order of the file, the last with where the index ends."""
    head: _Head | None = None
    end = header.place
    for number, entry in enumerate(entries(metadata, superblock, inode, header)):
        end = entry.end
        start = (number << header.log) + entry.offset
        if entry.kind == INSIDE:
            if head is not None and entry.blocks and number == head.number + 1:
                head = head._replace(blocks=entry.blocks)
        elif entry.offset >= 1 << header.log:
            raise ErofsError(f"its cluster {number} begins at byte {entry.offset} of a logical cluster")
        elif start < inode.size:
            if head is not None:
                yield head
            head = _Head(start, entry, number)
    if head is not None:
        yield head._replace(end=end)


def _tail(space: ErofsSpace, metadata: Metadata, inode: Inode, header: Header, head: _Head) -> Piece:
    """Return the last cluster, whose bytes follow the index: they must not cross a block."""
    block_size = space.superblock.block_size
    if head.end % block_size + header.tail > block_size or head.end + header.tail > metadata.size:
        return Piece(head.start, inode.size - head.start, "lost", reason="its end leaves the block of its index")
    found = _cluster(space, header, head, inode.size, (head.end, header.tail))
    return found._replace(is_metadata=True) if found.form != "lost" else found


def _cluster(space: ErofsSpace, header: Header, head: _Head, end: int, behind: tuple[int, int] | None = None) -> Piece:
    """Return the piece from a head to the next; ``behind`` is place and size of bytes that follow the index."""
    kind, length = head.entry.kind, end - head.start
    is_big = header.flags & (BIG if kind == HEAD else OTHER_BIG)
    blocks = head.blocks if is_big and head.blocks else 1
    size = blocks << space.superblock.block_log
    try:
        place, size = behind or (space.place_of(head.entry.block, 0), size)
    except ErofsError as error:
        return Piece(head.start, length, "lost", reason=str(error))
    algorithm = -1 if kind == AS_IT_IS else header.algorithms[kind == OTHER_HEAD]
    found = Piece(head.start, length, "compressed", place, size, algorithm, is_partial=head.entry.is_partial)
    return _piece(space, found, bool(header.flags & CIRCLE))


def _piece(space: ErofsSpace, found: Piece, is_circle: bool) -> Piece:  # noqa: FBT001 - of the two that call it
    """Return the piece as what it is, or as lost where it cannot be; its algorithm is -1 where it is plain."""
    if found.size > _LARGEST or found.length > _LARGEST_OUTPUT:
        return found._replace(form="lost", reason=f"a cluster of {found.size} bytes for {found.length}")
    if found.algorithm >= 0:
        return found
    if found.length > found.size:
        return found._replace(form="lost", reason=f"{found.size} bytes that are not compressed for {found.length}")
    turned = space.superblock.block_size - found.start % space.superblock.block_size
    return found._replace(form="rotated" if is_circle and turned < found.size else "stored")


def _of_records(space: ErofsSpace, metadata: Metadata, inode: Inode, header: Header) -> Iterator[Piece]:
    size = 4 << (header.flags >> 1 & 3)
    table = -(-header.place // size) * size
    count = header.records if size > 8 else -(-inode.size >> header.log)
    if table + count * size > metadata.size:
        raise ErofsError(f"{count} records of clusters end outside the volume")
    last: tuple[int, int, int] | None = None
    for start, place, word in _records(metadata, table, size, count, header.log):
        if last is not None:
            if start < last[0]:
                raise ErofsError(f"the record of byte {start} follows on that of byte {last[0]}")
            yield from _recorded(space, header, last, min(start, inode.size))
        elif start:
            yield Piece(0, min(start, inode.size), "hole")
        last = start, place, word
        if start >= inode.size:
            return
    if last is None:
        yield Piece(0, inode.size, "hole")
    elif header.flags & FRAGMENT:
        place = last[2] | (last[1] << 32 if size > 4 else 0)
        yield Piece(last[0], inode.size - last[0], "fragment", place)
    else:
        yield from _recorded(space, header, last, inode.size)


def _records(metadata: Metadata, table: int, size: int, count: int, log: int) -> Iterator[tuple[int, int, int]]:
    """Yield where each cluster begins in the file and in the volume, and the word of its size and form."""
    place = 0
    if size == 4:
        place = int.from_bytes(metadata.read(table, 8), "little")
        table += 8
    for first in range(0, count, _AT_ONCE):
        raw = metadata.read(table + first * size, min(_AT_ONCE, count - first) * size)
        for number in range(len(raw) // size):
            words = struct.unpack_from(f"<{min(size // 4, 5)}I", raw, number * size)
            if size == 4:
                yield first + number << log, place, words[0]
                place += words[0] & _SIZE_MASK
            elif size == 8:
                yield first + number << log, words[1], words[0]
            else:
                yield words[3] | (words[4] << 32 if size > 16 else 0), words[1] | words[2] << 32, words[0]


def _recorded(space: ErofsSpace, header: Header, record: tuple[int, int, int], end: int) -> Iterator[Piece]:
    start, place, word = record
    length = end - start
    if not length:
        return
    if not word:
        yield Piece(start, length, "hole")
        return
    size = word & _SIZE_MASK
    is_aligned = not (place | size) % space.superblock.block_size
    algorithm, is_partial = (word >> _FORM_SHIFT) - 1, bool(word & _PARTIAL)
    found = Piece(start, length, "compressed", place, size, algorithm, is_partial=is_partial)
    yield _piece(space, found, bool(header.flags & CIRCLE) and is_aligned)
