"""Formats of compressed data, recognised by their first bytes: one member (stream, frame) at a time.

Formats: RFC 1952 (gzip), bzip2, xz, zstd (RFC 8878). A member's own checksums are verified where it ends.
"""

import bz2
import lzma
import re
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Protocol

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAGIC_SIZE = 10
_MEMORY = 256 << 20  # bytes that a decompressor of xz may have; a window of zstd may have half of them
ERRORS = (zlib.error, OSError, EOFError, ValueError, lzma.LZMAError, zstd.ZstdError, MemoryError)
"""What decompressing damaged bytes raises."""


class Decompressor(Protocol):
    """What bz2, lzma and zstd offer, and ``GzipMember``: one member (stream, frame) at a time."""

    @property
    def eof(self) -> bool:
        """Whether the member has ended."""

    @property
    def needs_input(self) -> bool:
        """Whether there is no more output without more input."""

    @property
    def unused_data(self) -> bytes:
        """What followed the member's end."""

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Return at most ``max_length`` bytes of output."""


class GzipMember:
    """One gzip member. Where its bytes are damaged, all that comes before the damage is given first."""

    def __init__(self) -> None:
        """Begin with the member's first byte."""
        self._inflater = zlib.decompressobj(wbits=31)
        self._error: zlib.error | None = None
        self._is_full = False

    @property
    def eof(self) -> bool:
        """See ``Decompressor``."""
        return self._inflater.eof

    @property
    def needs_input(self) -> bool:
        """See ``Decompressor``."""
        return not self._inflater.unconsumed_tail and not self._is_full and self._error is None

    @property
    def unused_data(self) -> bytes:
        """See ``Decompressor``."""
        return self._inflater.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """See ``Decompressor``."""
        if self._error is not None:
            raise self._error
        data = self._inflater.unconsumed_tail + data
        before = self._inflater.copy()
        try:
            output = self._inflater.decompress(data, max(0, max_length))
        except zlib.error as error:
            self._error = error
            return b"".join(_byte_by_byte(before, data))
        self._is_full = len(output) == max_length
        return output


def _byte_by_byte(inflater: "zlib._Decompress", data: bytes) -> Iterator[bytes]:
    """Yield what comes out before the error: zlib drops the output of a call that ends in one."""
    with suppress(zlib.error):
        for place in range(len(data)):
            yield inflater.decompress(data[place : place + 1])


_FORMATS: tuple[tuple[str, re.Pattern[bytes], Callable[[int], Decompressor]], ...] = (
    ("gzip", re.compile(rb"\x1f\x8b\x08[\x00-\x1f]", re.DOTALL), lambda _: GzipMember()),
    ("bzip2", re.compile(rb"BZh[1-9](?:1AY&SY|\x17\x72\x45\x38\x50\x90)"), lambda _: bz2.BZ2Decompressor()),
    (
        "xz",
        re.compile(rb"\xfd7zXZ\x00"),
        lambda memory: lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=memory),
    ),
    (
        "zstd",
        re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18", re.DOTALL),
        lambda memory: zstd.ZstdDecompressor(
            options={zstd.DecompressionParameter.window_log_max: memory.bit_length() - 2}
        ),
    ),
)


def new_decompressor(head: bytes, memory: int = _MEMORY) -> Decompressor | None:
    """Return what decompresses a member that begins with these bytes (``MAGIC_SIZE`` of them), None for none."""
    return next((make(memory) for _, magic, make in _FORMATS if magic.match(head)), None)


def compression_of(head: bytes) -> str:
    """Return the name of the format that these bytes begin, "" for none."""
    return next((name for name, magic, _ in _FORMATS if magic.match(head)), "")


def is_compressed(head: bytes) -> bool:
    """Return whether the first bytes of a file are those of a format that is decompressed here."""
    return bool(compression_of(head))
