"""Decompresses the clusters and grains of containers: never more than a cluster has, whatever they say."""

import io
import zlib

import zstandard

from volforensic.evidence.containers.mapped import StoredError

_LARGEST_WINDOW = 8 << 20
_BARE_DEFLATE = -15
_ZLIB_HEAD = 2


def inflated(raw: bytes, most: int) -> bytes:
    """Return what a bare deflate stream (RFC 1951) gives, ``most`` bytes of it at most; what follows it is ignored."""
    return _inflated(raw, most)[0]


def unpacked_zlib(raw: bytes, most: int) -> tuple[bytes, str]:
    """Return what a zlib stream (RFC 1950) gives, ``most`` bytes at most, and what is wrong with it ("" for nothing).

    A bare deflate stream, as VMware's paper names it, is taken as well; it has no checksum.
    """
    has_head = len(raw) > _ZLIB_HEAD and raw[0] & 15 == zlib.DEFLATED and int.from_bytes(raw[:2]) % 31 == 0
    if not has_head:
        return inflated(raw, most), ""
    data, following = _inflated(raw[_ZLIB_HEAD:], most)
    if following is None or len(following) < 4:
        return data, "the compressed bytes have no end"
    is_right = int.from_bytes(following[:4]) == zlib.adler32(data)
    return data, "" if is_right else "the compressed bytes fail their checksum"


def unpacked_zstd(raw: bytes, most: int) -> bytes:
    """Return what a zstd frame gives, ``most`` bytes of it at most; what follows it is ignored."""
    try:
        decompressor = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW)
        return decompressor.stream_reader(io.BytesIO(raw)).read(most)
    except (zstandard.ZstdError, MemoryError) as error:
        raise StoredError(f"what is stored does not decompress: {error or 'out of memory'}"[:200]) from error


def _inflated(raw: bytes, most: int) -> tuple[bytes, bytes | None]:
    """Return what a deflate stream gives and what follows it; None where its end was not seen."""
    stream = zlib.decompressobj(_BARE_DEFLATE)
    try:
        data = stream.decompress(raw, most)
        if not stream.eof and len(data) == most:
            stream.decompress(stream.unconsumed_tail, 1)  # the mark of its end
    except (zlib.error, MemoryError) as error:
        raise StoredError(f"what is stored does not decompress: {error}"[:200]) from error
    return data, stream.unused_data if stream.eof else None
