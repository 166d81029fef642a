"""A chunk of an EWF image: from the bytes that are stored to those of the disk, bounded and checked.

Source: libewf's documentation of the format, "Data chunk": zlib with its own Adler-32, or the bytes and an Adler-32.
"""

import zlib

from volforensic.evidence.containers.mapped import unreadable


def longest_stored(chunk_size: int) -> int:
    """Return how many bytes a chunk can have as stored: zlib never makes it much longer, whatever its level."""
    return chunk_size + (chunk_size >> 8) + 1024


def decoded(raw: bytes, expected: int, chunk_size: int, *, is_compressed: bool) -> tuple[bytes, str]:
    """Return the chunk's bytes and what is wrong with them, if anything.

    ``expected``: how many of its bytes the disk has. OSError(EIO) where that many cannot be had.
    """
    return _inflated(raw, expected, chunk_size) if is_compressed else _stored(raw, expected, chunk_size)


def _stored(raw: bytes, expected: int, chunk_size: int) -> tuple[bytes, str]:
    raw = raw[: chunk_size + 4]
    if len(raw) < expected:
        raise unreadable(f"the chunk has {len(raw)} bytes in its file, of {expected}")
    for length in (len(raw) - 4, expected):
        if length >= expected and zlib.adler32(raw[:length]) == int.from_bytes(raw[length : length + 4], "little"):
            return raw[:expected], ""
    return raw[:expected], "the chunk's checksum (Adler-32) is not that of its bytes"


def _inflated(raw: bytes, expected: int, chunk_size: int) -> tuple[bytes, str]:
    stream = zlib.decompressobj()
    try:
        data = stream.decompress(raw, chunk_size + 1)
    except zlib.error:
        return _without_checksum(raw, expected, chunk_size)
    if len(data) < expected:
        raise unreadable(f"the chunk decompresses to {len(data)} bytes, of {expected}")
    if stream.eof and len(data) <= chunk_size:
        return data if len(data) == expected else data[:expected], ""
    reason = "more bytes than a chunk has" if len(data) > chunk_size else "all its bytes, and its checksum is cut off"
    return data[:expected], f"the chunk decompresses to {reason}"


def _without_checksum(raw: bytes, expected: int, chunk_size: int) -> tuple[bytes, str]:
    """Inflate what zlib refuses: where only the checksum at its end is wrong, the bytes come."""
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = stream.decompress(raw[2:], chunk_size + 1)
    except zlib.error as error:
        raise unreadable("the chunk does not decompress: its bytes are damaged") from error
    if len(data) < expected or not stream.eof:
        raise unreadable(f"the chunk does not decompress: {len(data)} bytes came, of {expected}")
    return data[:expected], "the chunk's checksum (Adler-32) is not that of its decompressed bytes"
