"""The blocks of a squashfs: decompressed within their bounds, and the streams of metadata that run through them.

Source: the kernel's fs/squashfs/squashfs_fs.h, block.c and cache.c. A metadata block holds at most 8 KiB, a data block
and a fragment at most the filesystem's block size: what gives more is an adversary's, and is refused before it is made.
"""

import io
import lzma
import zlib
from collections.abc import Callable
from functools import lru_cache

import zstandard
from dissect.util.compression import lz4

from volforensic.evidence import lzo_edge
from volforensic.evidence.bad_sectors import read_around
from volforensic.evidence.reader import Window
from volforensic.evidence.superblocks import SquashfsSuperblock, squashfs_fault, squashfs_superblock

METADATA_SIZE = 8192
NOTHING = 0xFFFFFFFFFFFFFFFF
"""Where a table would begin that is not there."""
_STORED = 0x8000  # of a metadata block's head: its bytes are not compressed
_DATA_STORED, _DATA_SIZE, _DATA_UNKNOWN = 1 << 24, (1 << 24) - 1, ~((1 << 25) - 1)
_METADATA_KEPT, _FRAGMENTS_KEPT, _POINTERS_KEPT = 512, 8, 1024
_DECODER_MEMORY = 32 << 20  # xz with a dictionary of the largest block needs a tenth of it
_LARGEST_WINDOW = 8 << 20


class SquashfsError(ValueError):
    """A structure of a squashfs is not what it can be."""


class SquashfsBlocks:
    """A squashfs' superblock and its blocks, read by position."""

    def __init__(self, window: Window) -> None:
        """Read the superblock; SquashfsError where it says what cannot be, or what is not read here."""
        superblock = squashfs_superblock(window)
        if superblock is None:
            raise SquashfsError("there is no superblock of a squashfs")
        if fault := squashfs_fault(superblock):
            raise SquashfsError(fault)
        self.superblock: SquashfsSuperblock = superblock
        self._window = window
        self._decompress = _DECOMPRESSORS[superblock.compression]
        self.metadata = lru_cache(_METADATA_KEPT)(self._read_metadata)
        self.fragment = lru_cache(_FRAGMENTS_KEPT)(self.data)
        self._pointer = lru_cache(_POINTERS_KEPT)(self._read_pointer)

    def data(self, place: int, word: int, most: int = 0) -> bytes:
        """Return the data block at byte ``place``, ``word`` as a block list gives it: size and how it is stored."""
        most = most or self.superblock.block_size
        size = word & _DATA_SIZE
        if word & _DATA_UNKNOWN or not 0 < size <= self.superblock.block_size:
            raise SquashfsError(f"a data block of {word & ~_DATA_STORED} bytes")
        raw = self.raw(place, size)
        return self._decompressed(raw, most) if not word & _DATA_STORED else raw

    def metadata_bytes(self, place: int, offset: int, size: int) -> tuple[bytes, int, int]:
        """Return ``size`` bytes of metadata from byte ``offset`` of the block at ``place``, and where they ended."""
        data, following = self.metadata(place)
        if offset + size <= len(data):
            return data[offset : offset + size], place, offset + size
        if offset > len(data):
            raise SquashfsError(f"byte {offset} of the metadata block at {place}, which has {len(data)}")
        parts = [data[offset:]]
        missing = size - len(parts[0])
        while missing > 0:
            place = following
            data, following = self.metadata(place)
            parts.append(data[:missing])
            offset = len(parts[-1])
            missing -= offset
        return b"".join(parts), place, offset

    def table_entry(self, start: int, index: int, size: int) -> bytes:
        """Return entry ``index`` of the table whose list of metadata blocks begins at byte ``start``."""
        block, offset = divmod(index * size, METADATA_SIZE)
        return self.metadata_bytes(self._pointer(start + 8 * block), offset, size)[0]

    def _read_pointer(self, place: int) -> int:
        return int.from_bytes(self.raw(place, 8), "little")

    def _read_metadata(self, place: int) -> tuple[bytes, int]:
        """Return the metadata block at byte ``place`` of the volume and where the next one begins."""
        head = int.from_bytes(self.raw(place, 2), "little")
        size = head & ~_STORED
        if not 0 < size <= METADATA_SIZE:
            raise SquashfsError(f"the metadata block at {place} has {size} bytes")
        raw = self.raw(place + 2, size)
        data = raw if head & _STORED else self._decompressed(raw, METADATA_SIZE)
        if not data:
            raise SquashfsError(f"the metadata block at {place} is empty")
        return data, place + 2 + size

    def raw(self, place: int, size: int) -> bytes:
        """Return bytes of the volume as they lie there; SquashfsError where they end outside it."""
        data, bad = read_around(self._window, place, size) if place < self._window.length else (b"", [])
        if bad:
            raise SquashfsError(f"bytes at {place + bad[0][0]} do not read (read error)")
        if len(data) < size:
            raise SquashfsError(f"{size - len(data)} bytes at {place} lie outside the volume")
        return data

    def _decompressed(self, raw: bytes, most: int) -> bytes:
        try:
            data = self._decompress(raw, most)
        except (zlib.error, lzma.LZMAError, zstandard.ZstdError, ValueError, EOFError, MemoryError) as error:
            raise SquashfsError(f"a block does not decompress: {error or type(error).__name__}"[:200]) from error
        if len(data) > most:
            raise SquashfsError(f"a block decompresses to more than {most} bytes")
        return data


def _gzip(raw: bytes, most: int) -> bytes:
    stream = zlib.decompressobj()
    data = stream.decompress(raw, most + 1)
    if not stream.eof and len(data) <= most:
        raise SquashfsError("its compressed bytes are cut")
    return data


def _xz(raw: bytes, most: int) -> bytes:
    stream = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_DECODER_MEMORY)
    data = stream.decompress(raw, most + 1)
    if not stream.eof and len(data) <= most:
        raise SquashfsError("its compressed bytes are cut")
    return data


def _zstd(raw: bytes, most: int) -> bytes:
    size = zstandard.frame_content_size(raw)
    if size > most:
        raise SquashfsError(f"it says that it has {size} bytes, of {most} that it can have")
    decompressor = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW)
    if size > 0:
        return decompressor.decompress(raw, max_output_size=most)
    return decompressor.stream_reader(io.BytesIO(raw)).read(most + 1)


def _lz4(raw: bytes, most: int) -> bytes:
    return bytes(lz4.decompress(raw, most))


def _lzo(raw: bytes, most: int) -> bytes:
    try:
        return lzo_edge.decompress(raw, most)
    except lzo_edge.LzoError as error:
        raise SquashfsError("its LZO is damaged") from error


_DECOMPRESSORS: dict[int, Callable[[bytes, int], bytes]] = {1: _gzip, 3: _lzo, 4: _xz, 5: _lz4, 6: _zstd}
