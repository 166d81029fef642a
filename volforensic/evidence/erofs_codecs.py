"""Decompression of an erofs' clusters: LZ4, MicroLZMA, DEFLATE and zstd, never more than was asked for.

Source: the kernel's fs/erofs/decompressor*.c; MicroLZMA: xz' liblzma, lzma/container.h (a raw LZMA stream whose first
byte, always 0, is replaced by the inverted properties); the LZ4 block format (lz4_Block_format.md).
"""

import io
import lzma
import zlib
from collections.abc import Callable

import zstandard
from dissect.util.compression import lz4

from volforensic.evidence.erofs_space import ErofsError

ALGORITHMS = ("LZ4", "LZMA", "DEFLATE", "zstd")
"""By number."""
_DICTIONARY = 8 << 20  # Z_EROFS_LZMA_MAX_DICT_SIZE
_SMALLEST_DICTIONARY = 4096
_DECODER_MEMORY = 32 << 20
_LARGEST_WINDOW = 16 << 20
_LONG, _SHORTEST_MATCH = 15, 4
_ERRORS = (zlib.error, lzma.LZMAError, zstandard.ZstdError, ValueError, IndexError, EOFError, MemoryError)


def decompressed(algorithm: int, raw: bytes, size: int, *, is_partial: bool) -> bytes:
    """Return the first ``size`` bytes that a cluster decompresses to; ErofsError where it has not so many.

    LZ4 must give just as many, as the kernel has it, but where the cluster is used in part (``is_partial``).
    """
    if algorithm >= len(ALGORITHMS):
        raise ErofsError(f"its compression, number {algorithm}, is not known")
    try:
        data = _DECODERS[algorithm](raw, size) if algorithm else _lz4(raw, size, is_partial=is_partial)
    except _ERRORS as error:
        reason = f"its {ALGORITHMS[algorithm]} is damaged: {error or type(error).__name__}"
        raise ErofsError(reason[:200]) from error
    if len(data) < size:
        raise ErofsError(f"its {ALGORITHMS[algorithm]} gives {len(data)} bytes of {size}")
    return data


def _lz4(raw: bytes, size: int, *, is_partial: bool) -> bytes:
    # The library takes only what ends exactly there; the rest is rare: what is used in part, and old images.
    try:
        data = bytes(lz4.decompress(raw, size))
    except Exception:  # noqa: BLE001 - whatever it says: the decoder below says what is wrong
        data = b""
    if len(data) == size:
        return data
    data, end = lz4_part(raw, size)
    if end < len(raw) and not is_partial:
        raise ValueError(f"there is more than {size} bytes in it")
    return data


def lz4_part(raw: bytes, size: int) -> tuple[bytes, int]:
    """Return the first ``size`` bytes of an LZ4 block, and which of its bytes follow; IndexError or ValueError else."""
    output = bytearray()
    place = 0
    while True:
        token = raw[place]
        literals, place = _length(raw, place + 1, token >> 4)
        if place + literals > len(raw):
            raise ValueError("literals end behind the cluster")
        output += raw[place : place + min(literals, size - len(output))]
        place += literals
        if len(output) >= size:
            return bytes(output), place
        distance = raw[place] | raw[place + 1] << 8
        if not 0 < distance <= len(output):
            raise ValueError(f"a match {distance} bytes before byte {len(output)}")
        length, place = _length(raw, place + 2, token & _LONG)
        length = min(length + _SHORTEST_MATCH, size - len(output))
        pattern = bytes(output[-distance:][:length])
        output += (pattern * (length // len(pattern) + 1))[:length]
        if len(output) >= size:
            return bytes(output), place


def _length(raw: bytes, place: int, length: int) -> tuple[int, int]:
    """Return a length that is continued in further bytes where it is 15, and where the bytes go on."""
    if length < _LONG:
        return length, place
    while True:
        length += raw[place]
        place += 1
        if raw[place - 1] != 0xFF:
            return length, place


def _lzma(raw: bytes, size: int) -> bytes:
    # The same stream with the header of the old .lzma format: properties, dictionary, a size that is not known, since
    # a cluster may be used in part.
    dictionary = max(_SMALLEST_DICTIONARY, min(_DICTIONARY, size))
    head = bytes([raw[0] ^ 0xFF]) + dictionary.to_bytes(4, "little") + b"\xff" * 8
    stream = lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_DECODER_MEMORY)
    return stream.decompress(head + b"\0" + raw[1:], size)


def _deflate(raw: bytes, size: int) -> bytes:
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(raw, size)


def _zstd(raw: bytes, size: int) -> bytes:
    stream = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW).stream_reader(io.BytesIO(raw))
    parts = []
    missing = size
    while missing:
        part = stream.read(missing)
        if not part:
            break
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


_DECODERS: dict[int, Callable[[bytes, int], bytes]] = {1: _lzma, 2: _deflate, 3: _zstd}
