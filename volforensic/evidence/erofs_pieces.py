"""Which bytes an uncompressed file of an erofs has: in one run, with its end behind the inode, or in chunks.

Source: the kernel's fs/erofs/data.c (erofs_map_blocks) and erofs_fs.h (erofs_inode_chunk_info, _chunk_index).
"""

import struct
from collections.abc import Iterator
from typing import Literal, NamedTuple

from volforensic.evidence.erofs_inodes import INLINE, Inode
from volforensic.evidence.erofs_space import ErofsError, ErofsSpace, Metadata
from volforensic.evidence.erofs_superblocks import WIDE

_CHUNK_LOG, _INDEXED, _WIDE_INDEX, _KNOWN_CHUNKS = 0x1F, 0x20, 0x40, 0x7F
_NULL, _WIDE_NULL = 0xFFFFFFFF, 0xFFFFFFFFFFFF
_AT_ONCE = 4096
_INDEX = struct.Struct("<HHI")

Form = Literal["stored", "rotated", "compressed", "fragment", "hole", "lost"]


class Piece(NamedTuple):
    """A run of a file: where in the file, how many bytes, where they come from.

    ``stored``: as they are at ``place``. ``rotated``: the same, but ``size`` bytes in a circle that begins with the
    block. ``compressed``: ``size`` bytes at ``place``, of more than this piece where it ``is_partial``. ``fragment``:
    at ``place`` of the packed inode. ``hole``: NUL. ``lost``: not known, for the ``reason``. Where ``is_metadata`` the
    place is where the inode stands, else the volume.
    """

    start: int
    length: int
    form: Form
    place: int = 0
    size: int = 0
    algorithm: int = 0
    is_metadata: bool = False
    is_partial: bool = False
    reason: str = ""


def stored_pieces(space: ErofsSpace, metadata: Metadata, inode: Inode) -> Iterator[Piece]:
    """Yield the pieces of a file that is one run, the end of which may stand behind the inode."""
    block_size = space.superblock.block_size
    inline = (-(-inode.size // block_size) - 1) * block_size if inode.layout == INLINE and inode.size else inode.size
    if inline:
        if inode.block is None and space.superblock.incompatible & WIDE:
            yield Piece(0, inline, "hole")
        else:
            yield _chunk(space, 0, inline, _NULL if inode.block is None else inode.block, 0)
    if inline < inode.size:
        yield inline_piece(space, metadata, inode, inline, inode.behind)


def inline_piece(space: ErofsSpace, metadata: Metadata, inode: Inode, start: int, place: int) -> Piece:
    """Return the end of a file that stands in the metadata: it must not cross a block."""
    length, block_size = inode.size - start, space.superblock.block_size
    if place % block_size + length > block_size or place + length > metadata.size:
        return Piece(start, length, "lost", reason="the end of it that stands with its inode leaves the inode's block")
    return Piece(start, length, "stored", place, is_metadata=True)


def chunk_pieces(space: ErofsSpace, metadata: Metadata, inode: Inode) -> Iterator[Piece]:
    """Yield the pieces of a file of chunks, neighbours as one; ErofsError where the table is cut."""
    form = inode.word & 0xFFFF
    if form & ~_KNOWN_CHUNKS:
        raise ErofsError(f"chunks of format {form:#x}")
    entry = _INDEX.size if form & _INDEXED else 4
    log = space.superblock.block_log + (form & _CHUNK_LOG)
    table, count = -(-inode.behind // entry) * entry, -(-inode.size >> log)
    if table + count * entry > metadata.size:
        raise ErofsError(f"a table of {count} chunks ends outside the volume")
    last: Piece | None = None
    for first in range(0, count, _AT_ONCE):
        raw = metadata.read(table + first * entry, min(_AT_ONCE, count - first) * entry)
        for number, (block, device) in enumerate(_blocks(raw, form), first):
            start = number << log
            piece = _chunk(space, start, min(1 << log, inode.size - start), block, device)
            if last is None or not _goes_on(last, piece):
                if last is not None:
                    yield last
                last = piece
            else:
                last = last._replace(length=last.length + piece.length)
    if last is not None:
        yield last


def _blocks(raw: bytes, form: int) -> Iterator[tuple[int | None, int]]:
    """Yield the block (None: none, it is a hole) and the device of each chunk."""
    if not form & _INDEXED:
        for (block,) in struct.iter_unpack("<I", raw):
            yield None if block == _NULL else block, 0
        return
    mask = _WIDE_NULL if form & _WIDE_INDEX else _NULL
    for high, device, low in _INDEX.iter_unpack(raw):
        block = (high << 32 | low) & mask
        yield None if block == mask else block, device


def _chunk(space: ErofsSpace, start: int, length: int, block: int | None, device: int) -> Piece:
    if block is None:
        return Piece(start, length, "hole")
    try:
        return Piece(start, length, "stored", space.place_of(block, device))
    except ErofsError as error:
        return Piece(start, length, "lost", reason=str(error))


def _goes_on(last: Piece, piece: Piece) -> bool:
    if last.form != piece.form or last.reason != piece.reason:
        return False
    return piece.form != "stored" or last.place + last.length == piece.place
