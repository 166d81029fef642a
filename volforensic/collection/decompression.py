"""Rotated logs are compressed: recognised by their first bytes, decompressed piece by piece, within bounds.

A damaged tail costs itself only: what came before the damage is kept and the rest is a ``Loss``. A bomb is cut by the
number of bytes and by the ratio. Formats: RFC 1952 (gzip, several members), bzip2, xz, zstd (RFC 8878).
"""

import bz2
import lzma
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import zstandard

from volforensic.collection.content import BLOCK_SIZE, Block, Loss

_STEP = 512  # so little that what one step expands to fits in memory, and that damage costs no more than one step
_LARGEST_OUTPUT = 8 << 30
_LARGEST_RATIO = 250  # text of logs reaches 30 to 100; what is beyond is only good for bombs
_FREE_OUTPUT = 64 << 20  # below this the ratio does not matter
_LARGEST_WINDOW = 128 << 20


class _Zstandard:
    """A zstd frame through zstandard's decompressor, with the window limited."""

    def __init__(self) -> None:
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW).decompressobj()

    @property
    def eof(self) -> bool:
        return self._decompressor.eof

    @property
    def unused_data(self) -> bytes:
        return self._decompressor.unused_data

    def decompress(self, data: bytes) -> bytes:
        return self._decompressor.decompress(data)


def _new_decompressor(head: bytes) -> Any:
    if head.startswith(b"\x1f\x8b\x08"):
        return zlib.decompressobj(wbits=31)
    if head.startswith(b"BZh"):
        return bz2.BZ2Decompressor()
    if head.startswith(b"\xfd7zXZ\x00"):
        return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=256 << 20)
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        return _Zstandard()
    return None


def is_compressed(head: bytes) -> bool:
    """Return whether the first bytes of a file are those of a format that is decompressed here."""
    return _new_decompressor(head) is not None


def decompressed(chunks: Iterable[Block], losses: list[Loss]) -> Iterator[Block]:
    """Yield the decompressed bytes of compressed chunks; positions are those of the decompressed bytes."""
    pending = bytearray()
    position = 0
    for data in _expand(chunks, losses):
        pending += data
        while len(pending) >= BLOCK_SIZE:
            yield Block(position, bytes(pending[:BLOCK_SIZE]))
            del pending[:BLOCK_SIZE]
            position += BLOCK_SIZE
    if pending:
        yield Block(position, bytes(pending))


class _Expansion:
    """Holds the decompressor of the member in hand and counts what went in and came out."""

    def __init__(self, losses: list[Loss]) -> None:
        self._losses = losses
        self._decompressor: Any = None
        self._read = 0
        self._written = 0

    def step(self, data: bytes) -> Iterator[bytes]:
        """Yield what some more compressed bytes expand to; members may end and begin inside them."""
        while data and not self._losses:
            self._decompressor = self._decompressor or _new_decompressor(data)
            if self._decompressor is None:
                if data.strip(b"\0"):
                    self._lose("bytes that are not compressed follow the compressed data")
                return
            output = self._decompress(data)
            self._written += len(output)
            yield output
            rest: bytes = self._decompressor.unused_data
            self._read += len(data) - len(rest)
            if self._written > min(_LARGEST_OUTPUT, max(_FREE_OUTPUT, _LARGEST_RATIO * self._read)):
                self._lose(f"{self._read} bytes expanded to {self._written}: the rest was not read")
            if not self._decompressor.eof:
                return
            self._decompressor = None
            data = rest

    def end(self) -> None:
        """Note an end that came too early."""
        if self._decompressor is not None and not self._losses:
            self._lose(f"the compressed data ends early, at its byte {self._read}")

    def _decompress(self, data: bytes) -> bytes:
        try:
            return bytes(self._decompressor.decompress(data))
        except (zlib.error, OSError, EOFError, ValueError, lzma.LZMAError, zstandard.ZstdError) as error:
            self._lose(f"the compressed data is damaged near its byte {self._read}: {error}")
            return b""

    def _lose(self, reason: str) -> None:
        self._losses.append(Loss(self._written, 0, reason))


def _expand(chunks: Iterable[Block], losses: list[Loss]) -> Iterator[bytes]:
    expansion = _Expansion(losses)
    for chunk in chunks:
        for start in range(0, len(chunk.data), _STEP):
            yield from expansion.step(chunk.data[start : start + _STEP])
            if losses:
                return
    expansion.end()
