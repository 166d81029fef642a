"""The indexes of a compressed file of an erofs: an entry for each logical cluster, in two encodings.

Source: the kernel's fs/erofs/erofs_fs.h (z_erofs_map_header, z_erofs_lcluster_index) and zmap.c. The full index has
8 bytes an entry. In the compact one several entries share the number of a block: packs of 2 in 8 bytes, in the middle,
where that is said, of 16 in 32 bytes.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from volforensic.evidence.erofs_inodes import COMPACT_INDEX, FULL_INDEX, Inode
from volforensic.evidence.erofs_space import ErofsError, Metadata
from volforensic.evidence.erofs_superblocks import ErofsSuperblock

AS_IT_IS, HEAD, INSIDE, OTHER_HEAD = range(4)
"""What a logical cluster is: the begin of plain bytes, of compressed ones (by either algorithm), or neither."""
PACKED_PAIRS, RECORDS, BIG, OTHER_BIG, TAIL, CIRCLE, FRAGMENT = 0x1, 0x1, 0x2, 0x4, 0x8, 0x10, 0x20
_WHOLE_FRAGMENT = 1 << 63
_HEADER = struct.Struct("<IHBB")
_ENTRY = struct.Struct("<HHI")
_PARTIAL, _COUNTED = 1 << 15, 1 << 11
_AT_ONCE = 4096
_LARGEST_COMPACT = 14
_LARGEST_PAIR = 12
_MANY, _FEW = (16, 32), (2, 8)  # entries and bytes of a pack


class Header(NamedTuple):
    """How a file is compressed: flags, both algorithms, the size of a logical cluster as a power of two.

    ``fragment`` is where its end (``is_whole``: all of it) stands in the packed inode, ``tail`` how many bytes of
    compressed data follow the index. ``records`` is how many there are in place of an index.
    """

    flags: int
    algorithms: tuple[int, int]
    log: int
    fragment: int
    tail: int
    records: int
    place: int
    is_whole: bool = False


class Entry(NamedTuple):
    """A logical cluster: what it is; of a head the byte at which it begins, its block.

    ``blocks`` is how many blocks the compressed bytes have, told behind their head, 0 where it is not told. ``end`` is
    where the index goes on, ``is_partial`` whether the cluster holds more than is used here.
    """

    kind: int
    offset: int
    block: int
    blocks: int
    end: int
    is_partial: bool = False


def read_header(metadata: Metadata, superblock: ErofsSuperblock, inode: Inode) -> Header:
    """Return how a file is compressed; ErofsError where that cannot be."""
    place = -(-inode.behind // 8) * 8
    raw = metadata.read(place, _HEADER.size)
    whole = int.from_bytes(raw, "little")
    behind = place + _HEADER.size
    if whole & _WHOLE_FRAGMENT:
        return Header(FRAGMENT, (0, 0), 0, whole ^ _WHOLE_FRAGMENT, 0, 0, behind, is_whole=True)
    low, flags, algorithms, bits = _HEADER.unpack(raw)
    log = superblock.block_log + (bits & 0xF)
    if inode.layout == FULL_INDEX and flags & RECORDS:
        return Header(flags, (0, 0), log, 0, 0, (algorithms | bits << 8) << 32 | low, behind)
    if bits & 0x70:
        raise ErofsError(f"its index says logical clusters of {bits:#x}")
    if inode.layout == COMPACT_INDEX and bool(flags & BIG) != bool(flags & OTHER_BIG):
        raise ErofsError("its compact index has large clusters of one algorithm only")
    tail = low >> 16 if flags & TAIL and not flags & FRAGMENT else 0
    return Header(flags, (algorithms & 0xF, algorithms >> 4), log, low if flags & FRAGMENT else 0, tail, 0, behind)


def entries(metadata: Metadata, superblock: ErofsSuperblock, inode: Inode, header: Header) -> Iterator[Entry]:
    """Yield the entry of each logical cluster; ErofsError where the index is cut."""
    if inode.layout == COMPACT_INDEX:
        return _compact(metadata, superblock, inode, header)
    return _full(metadata, inode, header)


def _full(metadata: Metadata, inode: Inode, header: Header) -> Iterator[Entry]:
    table, count = header.place + _ENTRY.size, -(-inode.size >> header.log)
    if table + count * _ENTRY.size > metadata.size:
        raise ErofsError(f"an index of {count} clusters ends outside the volume")
    for first in range(0, count, _AT_ONCE):
        begin = table + first * _ENTRY.size
        raw = metadata.read(begin, min(_AT_ONCE, count - first) * _ENTRY.size)
        for number, (advice, offset, word) in enumerate(_ENTRY.iter_unpack(raw), 1):
            end = begin + number * _ENTRY.size
            kind = advice & 3
            if kind != INSIDE:
                yield Entry(kind, offset, word, 0, end, bool(advice & _PARTIAL))
            else:
                distance = word & 0xFFFF
                yield Entry(kind, 0, 0, distance & ~_COUNTED if distance & _COUNTED else 0, end)


def _compact(metadata: Metadata, superblock: ErofsSuperblock, inode: Inode, header: Header) -> Iterator[Entry]:
    if header.log > _LARGEST_COMPACT:
        raise ErofsError(f"a compact index of logical clusters of 2^{header.log} bytes")
    count = -(-inode.size >> superblock.block_log)
    place = header.place
    few = -place % 32 // 4
    many = (count - few) // 16 * 16 if header.flags & PACKED_PAIRS and few < count else 0
    if many and header.log > _LARGEST_PAIR:
        raise ErofsError(f"an index of packs of 16 of logical clusters of 2^{header.log} bytes")
    if place + count * 2 > metadata.size:
        raise ErofsError(f"an index of {count} clusters ends outside the volume")
    few = min(few, count)
    left = -(-inode.size >> header.log)
    for number, (per_pack, size) in ((few, _FEW), (many, _MANY), (count - few - many, _FEW)):
        end = place + -(-number // per_pack) * size
        while place < end:
            raw = metadata.read(place, min(_AT_ONCE, end - place))
            for offset in range(0, len(raw), size):
                for entry in _pack(raw[offset : offset + size], per_pack, header, place + offset + size)[:left]:
                    yield entry
                    left -= 1
            place += len(raw)


def _pack(raw: bytes, count: int, header: Header, end: int) -> list[Entry]:
    """Return the entries of a pack: bits for each, then the block from which those of the heads are counted."""
    bits = int.from_bytes(raw[:-4], "little")
    block = int.from_bytes(raw[-4:], "little")
    low, width = max(header.log, 12), (len(raw) - 4) * 8 // count
    words = [bits >> index * width & (1 << width) - 1 for index in range(count)]
    parts = [(word >> low & 3, word & (1 << low) - 1) for word in words]
    is_big = bool(header.flags & BIG)
    block += 0 if is_big else 1
    found = []
    for index, (kind, value) in enumerate(parts):
        if kind != INSIDE:
            found.append(Entry(kind, value, block & 0xFFFFFFFF, 0, end))
            follows = parts[index + 1] if is_big and index + 1 < count else (AS_IT_IS, 0)
            block += not (follows[0] == INSIDE and follows[1] & _COUNTED)
        elif value & _COUNTED:
            found.append(Entry(kind, 0, 0, value & ~_COUNTED, end))
            block += value & ~_COUNTED if is_big else 0
        else:
            found.append(Entry(kind, 0, 0, 0, end))
    return found
