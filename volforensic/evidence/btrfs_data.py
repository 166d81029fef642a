"""The bytes of a btrfs file's extents: inline, plain or compressed.

Source: the kernel's include/uapi/linux/btrfs_tree.h (btrfs_file_extent_item) and fs/btrfs/lzo.c. A compressed extent
holds at most 128 KiB of file (fs/btrfs/compression.h), so what decompression may give is bounded.
"""

import io
import struct
import zlib
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import zstandard

from volforensic.evidence import lzo_edge
from volforensic.evidence.btrfs_checksums import Checksums
from volforensic.evidence.btrfs_devices import BtrfsError
from volforensic.evidence.btrfs_tree import Item, Trees

INLINE, REGULAR, PREALLOCATED = 0, 1, 2
_HEAD = struct.Struct("<8xQBB2xB")  # bytes of file, compression, encryption, type
_BODY = struct.Struct("<QQQQ")  # address, bytes there, first byte of it, bytes of the file
_LARGEST_COMPRESSED = 128 << 10
_STEP = 1 << 20
_MOST_GAPS = 1 << 16
_ZLIB, _LZO, _ZSTD = 1, 2, 3


class Stored(NamedTuple):
    """Bytes and where in the file they begin; ``wrong`` are the ranges of them (first, length) with wrong checksums."""

    position: int
    data: bytes
    wrong: tuple[tuple[int, int], ...] = ()


class FileExtent(NamedTuple):
    """An extent item: where in the file, its kind, compression, and either inline bytes or where they lie.

    ``address`` 0 is a hole; ``skipped`` bytes of what lies (decompressed) there come before this extent's own.
    """

    position: int
    kind: int
    compression: int
    file_bytes: int
    inline: bytes = b""
    address: int = 0
    stored: int = 0
    skipped: int = 0
    length: int = 0

    @property
    def is_written(self) -> bool:
        """Whether bytes are stored for it: neither a hole nor only allocated."""
        return self.kind == INLINE or (self.kind == REGULAR and self.address != 0)


def file_extent(item: Item) -> FileExtent:
    """Return the extent that an EXTENT_DATA item says."""
    if len(item.data) < _HEAD.size:
        raise BtrfsError("an extent item is too short")
    file_bytes, compression, encryption, kind = _HEAD.unpack_from(item.data)
    if encryption or kind > PREALLOCATED:
        raise BtrfsError(f"an extent of kind {kind} with encryption {encryption}")
    position = item.key[2]
    if kind == INLINE:
        return FileExtent(position, kind, compression, file_bytes, inline=item.data[_HEAD.size :])
    if len(item.data) < _HEAD.size + _BODY.size:
        raise BtrfsError("an extent item is too short")
    return FileExtent(position, kind, compression, file_bytes, b"", *_BODY.unpack_from(item.data, _HEAD.size))


def extent_chunks(extent: FileExtent, trees: Trees, checksums: Checksums | None) -> Iterator[Stored]:
    """Yield the extent's bytes with their position in the file; BtrfsError where they cannot be had.

    With ``checksums`` of several copies the first that is right is taken, and what is wrong in all of them is said.
    """
    if extent.kind == INLINE:
        yield Stored(extent.position, _decompressed(extent, extent.inline, trees.superblock.sector_size))
    elif extent.compression:
        if extent.stored > _LARGEST_COMPRESSED:
            raise BtrfsError(f"a compressed extent of {extent.stored} bytes")
        parts = list(_read(trees, extent.address, extent.stored, checksums))
        data = _decompressed(extent, b"".join(part.data for part in parts), trees.superblock.sector_size)
        own = data[extent.skipped : extent.skipped + extent.length]
        wrong = ((0, len(own)),) if any(part.wrong for part in parts) else ()
        yield Stored(extent.position, own, wrong)
    else:
        begin = extent.address + extent.skipped
        for part in _read(trees, begin, extent.length, checksums):
            yield part._replace(position=extent.position + part.position - begin)


def _read(trees: Trees, address: int, size: int, checksums: Checksums | None) -> Iterator[Stored]:
    """Yield logical bytes, ``position`` their address; BtrfsError at the end where some of them are nowhere."""
    lost, first, gaps = 0, 0, 0
    for piece in trees.map.pieces(address, size):
        if not piece.addresses and not piece.row:
            first = first or piece.logical
            lost += piece.length
            gaps += 1
            if gaps > _MOST_GAPS:
                raise BtrfsError(f"more than {_MOST_GAPS} parts lie outside the volume or on a missing device")
            continue
        for start in range(piece.logical, piece.logical + piece.length, _STEP):
            length = min(_STEP, piece.logical + piece.length - start)
            data = next(trees.map.versions(start, length), None)
            if data is None:
                first = first or start
                lost += length
            else:
                yield _verified(trees, start, data, checksums)
    if lost:
        raise BtrfsError(f"{lost} bytes at logical address {first} lie outside the volume or on a missing device")


def _verified(trees: Trees, address: int, data: bytes, checksums: Checksums | None) -> Stored:
    """Return the bytes with each sector that is wrong taken from another copy, where one is right."""
    if checksums is None:
        return Stored(address, data)
    sector, better, wrong = trees.superblock.sector_size, bytearray(data), []
    for first, length in checksums.wrong(address, data):
        for place in range(first, first + length, sector):
            for version in islice(trees.map.versions(address + place, sector), 1, None):
                if not any(checksums.wrong(address + place, version)):
                    better[place : place + sector] = version
                    break
            else:
                wrong.append((place, sector))
    return Stored(address, bytes(better) if better != data else data, tuple(wrong))


def _decompressed(extent: FileExtent, raw: bytes, sector_size: int) -> bytes:
    most = min(extent.file_bytes, _LARGEST_COMPRESSED)
    try:
        if extent.compression == _ZLIB:
            return zlib.decompressobj().decompress(raw, most)
        if extent.compression == _ZSTD:
            return zstandard.ZstdDecompressor().stream_reader(io.BytesIO(raw)).read(most)
        if extent.compression == _LZO:
            return _lzo(raw, sector_size)[:most]
    except (zlib.error, zstandard.ZstdError, ValueError, IndexError, EOFError) as error:
        raise BtrfsError(f"a compressed extent does not decompress: {error}") from error
    if extent.compression:
        raise BtrfsError(f"compression of an unknown kind: {extent.compression}")
    return raw


def _lzo(raw: bytes, sector_size: int) -> bytes:
    """Return the bytes of an LZO extent: a length in all, then segments with their length, none across a sector."""
    end = min(struct.unpack_from("<I", raw)[0], len(raw)) if len(raw) >= 4 else 0
    position, parts, size = 4, [], 0
    while position + 4 <= end and size < _LARGEST_COMPRESSED:
        length = struct.unpack_from("<I", raw, position)[0]
        segment = raw[position + 4 : position + 4 + length]
        if not length or len(segment) < length:
            raise BtrfsError("a segment of an LZO extent is cut")
        part = lzo_edge.decompress(segment, sector_size + sector_size // 16 + 67)
        parts.append(part)
        size += len(part)
        position += 4 + length
        if sector_size - position % sector_size < 4:  # no room for a length: padding to the next sector
            position += sector_size - position % sector_size
    return b"".join(parts)
