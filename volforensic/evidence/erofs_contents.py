"""The bytes of an erofs' files: decompressed cluster by cluster, by position or from the first to the last.

Source: the kernel's fs/erofs/zdata.c, decompressor.c (z_erofs_transform_plain, z_erofs_fixup_insize) and super.c. Two
inodes have no name: the packed one holds ends of files (fragments), the metabox other inodes. Neither has fragments.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import cache, lru_cache

from volforensic.evidence.erofs_clusters import compressed_pieces
from volforensic.evidence.erofs_codecs import decompressed
from volforensic.evidence.erofs_inodes import CHUNKED, COMPACT_INDEX, FULL_INDEX, METABOX_BIT, Inode, read_inode, told
from volforensic.evidence.erofs_pieces import Piece, chunk_pieces, stored_pieces
from volforensic.evidence.erofs_space import ErofsError, ErofsSpace, Metadata
from volforensic.evidence.erofs_superblocks import FRAGMENTS, METABOX, ZERO_PADDING
from volforensic.evidence.node import MOST_DAMAGE, LostRange, LostRangesError

_READ_SIZE = 1 << 20
_MOST_PIECES = 1 << 19
_KEPT = 8


class ErofsBytes:
    """The bytes of one inode by position: of a directory, a symbolic link, of the inodes without a name."""

    def __init__(self, contents: "ErofsContents", inode: Inode) -> None:
        """Map it; ErofsError where its index cannot be read."""
        self.size = inode.size
        self._contents = contents
        self._inode = inode
        self._pieces: list[Piece] = []
        for piece in contents.pieces(inode):
            if len(self._pieces) >= _MOST_PIECES:
                raise ErofsError(f"more than {_MOST_PIECES} clusters")
            self._pieces.append(piece)
        self._starts = [piece.start for piece in self._pieces]
        self._whole = lru_cache(_KEPT)(self._read_piece)

    def read_at(self, position: int, size: int) -> bytes:
        """Return all these bytes; ErofsError where some of them cannot be had."""
        if position + size > self.size:
            raise ErofsError(f"{size} bytes at {position} of inode {self._inode.number}, which has {self.size}")
        parts = []
        while size > 0:
            index = bisect_right(self._starts, position) - 1
            piece = self._pieces[index]
            offset = position - piece.start
            length = min(size, piece.length - offset)
            if length <= 0:
                raise ErofsError(f"its map has no byte {position}")
            if piece.form in {"stored", "hole"}:
                parts.append(self._contents.part(self._inode, piece, offset, length))
            else:
                parts.append(self._whole(index)[offset : offset + length])
            position, size = position + length, size - length
        return b"".join(parts)

    def _read_piece(self, index: int) -> bytes:
        return self._contents.part(self._inode, self._pieces[index], 0, self._pieces[index].length)


class ErofsContents:
    """The files' bytes of a filesystem."""

    def __init__(self, space: ErofsSpace) -> None:
        """Read nothing yet."""
        self._space = space
        self._special = cache(self._read_special)

    def metadata(self, nid: int) -> Metadata:
        """Return where the inode with this nid stands; ErofsError where that cannot be had."""
        return self.metabox() if nid & METABOX_BIT else self._space.metadata

    def metabox(self) -> Metadata:
        """Return the metadata that stands in an inode; ErofsError where there is none."""
        superblock = self._space.superblock
        if not superblock.incompatible & METABOX:
            raise ErofsError("it is to be in the metabox, which the filesystem has not")
        found = self._opened(superblock.metabox, "metabox")
        return Metadata(found.read_at, found.size, is_metabox=True)

    def packed(self) -> ErofsBytes:
        """Return the packed inode; ErofsError where there is none."""
        superblock = self._space.superblock
        if not superblock.incompatible & FRAGMENTS or not superblock.packed:
            raise ErofsError("it is to be in the packed inode, which the filesystem has not")
        return self._opened(superblock.packed, "packed inode")

    def _opened(self, nid: int, name: str) -> ErofsBytes:
        found, fault = self._special(nid)
        if found is None:
            raise ErofsError(f"the {name} cannot be read: {fault}")
        return found

    def _read_special(self, nid: int) -> tuple[ErofsBytes | None, str]:
        try:
            return ErofsBytes(self, read_inode(self.metadata(nid), self._space.superblock, nid)), ""
        except ErofsError as error:
            return None, str(error)

    def pieces(self, inode: Inode) -> Iterator[Piece]:
        """Yield the pieces of a file in its order; ErofsError where they cannot be told."""
        metadata = self.metabox() if inode.is_in_metabox else self._space.metadata
        if inode.layout in {FULL_INDEX, COMPACT_INDEX}:
            return compressed_pieces(self._space, metadata, inode)
        if inode.layout == CHUNKED:
            return chunk_pieces(self._space, metadata, inode)
        return stored_pieces(self._space, metadata, inode)

    def chunks(self, inode: Inode) -> Iterator[tuple[int, bytes]]:
        """Yield a file's bytes without its holes; LostRangesError at the end tells what could not be had."""
        lost: list[LostRange] = []
        position = 0
        try:
            for piece in self.pieces(inode):
                if len(lost) >= MOST_DAMAGE:
                    raise ErofsError("too much of it is damaged, it was given up here")  # noqa: TRY301 - as the pieces do
                yield from self._chunks_of(inode, piece, lost)
                position = piece.start + piece.length
        except ErofsError as error:
            lost.append(LostRange(position, inode.size - position, str(error)))
        if lost:
            raise LostRangesError(lost)

    def _chunks_of(self, inode: Inode, piece: Piece, lost: list[LostRange]) -> Iterator[tuple[int, bytes]]:
        if piece.form == "hole":
            return
        step = _READ_SIZE if piece.form == "stored" else piece.length
        for offset in range(0, piece.length, step):
            length = min(step, piece.length - offset)
            try:
                yield piece.start + offset, self.part(inode, piece, offset, length)
            except ErofsError as error:
                if len(lost) >= MOST_DAMAGE or piece.place + offset >= self._space.window.length:
                    lost.append(LostRange(piece.start + offset, piece.length - offset, str(error)))
                    return
                lost.append(LostRange(piece.start + offset, length, str(error)))

    def part(self, inode: Inode, piece: Piece, offset: int, length: int) -> bytes:
        """Return bytes of a piece, which is taken whole where it is not stored as it is; ErofsError for damage."""
        if piece.form == "hole":
            return bytes(length)
        if piece.form == "lost":
            raise ErofsError(piece.reason)
        if piece.form == "fragment":
            return self._fragment(inode, piece.place + offset, length)
        read: Callable[[int, int], bytes] = self._space.data
        if piece.is_metadata:
            read = self.metabox().read if inode.is_in_metabox else self._space.raw
        if piece.form == "stored":
            return read(piece.place + offset, length)
        raw = read(piece.place, piece.size)
        if piece.form == "rotated":
            turned = len(raw) - (self._space.superblock.block_size - piece.start % self._space.superblock.block_size)
            return (raw[turned:] + raw[:turned])[: piece.length]
        return self._decompressed(piece, raw)

    def _fragment(self, inode: Inode, place: int, length: int) -> bytes:
        superblock = self._space.superblock
        if inode.number == told(superblock.packed) or (
            superblock.incompatible & METABOX and inode.number == told(superblock.metabox)
        ):
            raise ErofsError("an inode that holds others' bytes has its own in the packed inode")
        return self.packed().read_at(place, length)

    def _decompressed(self, piece: Piece, raw: bytes) -> bytes:
        """Decompress a cluster; zeros stand before its bytes, but in old images with LZ4."""
        superblock = self._space.superblock
        if piece.algorithm or superblock.incompatible & ZERO_PADDING:
            first = superblock.block_size - piece.place % superblock.block_size
            padding = len(raw[:first]) - len(raw[:first].lstrip(b"\0"))
            if padding == len(raw[:first]):
                raise ErofsError("its compressed bytes are not there: NUL bytes")
            return decompressed(piece.algorithm, raw[padding:], piece.length, is_partial=piece.is_partial)
        return decompressed(piece.algorithm, raw, piece.length, is_partial=True)
