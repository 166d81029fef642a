"""Rotated logs are compressed: recognised by their first bytes, decompressed piece by piece, within bounds.

A damaged tail costs itself only: what came before the damage is kept and the rest is a ``Loss``. A bomb is cut by the
number of bytes and by the ratio. Formats: RFC 1952 (gzip, several members), bzip2, xz, zstd (RFC 8878). Bytes that
are not compressed are given as they stand, also behind compressed ones: twenty bytes of gzip before a log hide nothing.
"""

from collections.abc import Iterable, Iterator

from volforensic.collection.content import BLOCK_SIZE, Block, Loss
from volforensic.evidence.decompressors import ERRORS, MAGIC_SIZE, Decompressor, GzipMember, new_decompressor

_STEP = 128  # damage costs what one step expands to
_GZIP_STEP = 8192  # here it costs nothing more, see GzipMember
_MOST_AT_ONCE = 1 << 20
_LARGEST_OUTPUT = 8 << 30
_LARGEST_RATIO = 250  # text of logs reaches 30 to 100; what is beyond is only good for bombs
_FREE_OUTPUT = 8 << 20  # below this the ratio does not matter
_LARGEST_HOLE = 64 << 20
_TEXT_SAMPLE = 4096
_NOT_TEXT = bytes(byte for byte in range(256) if byte not in b"\t\n\r\x1b" and not 32 <= byte < 127)


def is_text(sample: bytes) -> bool:
    """Return whether bytes look more like text than like compressed data, of which two fifths are printable."""
    sample = sample[:_TEXT_SAMPLE]
    return len(sample.translate(None, delete=_NOT_TEXT)) * 3 >= len(sample) * 2


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
        self.is_over = False
        self._losses = losses
        self._decompressor: Decompressor | None = None
        self._head = b""
        self._is_plain = False
        self._read = 0
        self._written = 0

    def step(self, data: bytes) -> Iterator[bytes]:
        """Yield what some more compressed bytes expand to; members may end and begin inside them."""
        while data and not self.is_over:
            if self._is_plain:
                self._written += len(data)
                yield data
                return
            if self._decompressor is None:
                data = self._begin_member(data)
                continue
            yield from self._member(self._decompressor, data)
            if self.is_over or not self._decompressor.eof:
                self._read += len(data)
                return
            rest = self._decompressor.unused_data
            self._read += len(data) - len(rest)
            self._decompressor = None
            data = rest

    @property
    def step_size(self) -> int:
        """How many compressed bytes the next step should be given."""
        return _GZIP_STEP if isinstance(self._decompressor, GzipMember) else _STEP

    def end(self) -> Iterator[bytes]:
        """Yield what was held back as too short for a member's magic; note an end that came too early."""
        if self._head and not self.is_over:
            self._decompressor, data = new_decompressor(self._head), self._head
            if self._decompressor is None:
                self._begin_plain(data)
                yield data if self._is_plain else b""
            else:
                yield from self._member(self._decompressor, data)
        is_cut = self._decompressor is not None and not self._decompressor.eof
        if is_cut and not self.is_over:
            self._stop(f"the compressed data ends early, at its byte {self._read}")

    def _begin_member(self, data: bytes) -> bytes:
        """Return the bytes that are left once it is known what begins with them; NUL bytes between are padding."""
        data = (self._head + data).lstrip(b"\0")
        self._head = b""
        if 0 < len(data) < MAGIC_SIZE:
            self._head = data
            return b""
        self._decompressor = new_decompressor(data)
        if data and self._decompressor is None:
            self._begin_plain(data)
        return data

    def _begin_plain(self, data: bytes) -> None:
        self._stop("bytes that are not compressed follow the compressed data")
        self._is_plain = is_text(data)
        self.is_over = not self._is_plain

    def _member(self, decompressor: Decompressor, data: bytes) -> Iterator[bytes]:
        """Yield the output for some input, and stop at damage and where there is too much of it."""
        while True:
            try:
                output = decompressor.decompress(data, _MOST_AT_ONCE)
            except ERRORS as error:
                self._stop(f"the compressed data is damaged near its byte {self._read}: {error}")
                return
            data = b""
            self._written += len(output)
            yield output
            if self._written > min(_LARGEST_OUTPUT, max(_FREE_OUTPUT, _LARGEST_RATIO * self._read)):
                self._stop(f"{self._read} bytes expanded to {self._written}: the rest was not read")
                return
            if decompressor.eof or decompressor.needs_input:
                return

    def _stop(self, reason: str) -> None:
        self.is_over = True
        self._losses.append(Loss(self._written, 0, reason))


def _expand(chunks: Iterable[Block], losses: list[Loss]) -> Iterator[bytes]:
    expansion = _Expansion(losses)
    for data in _without_holes(chunks, losses):
        place = 0
        while place < len(data):
            size = expansion.step_size
            yield from expansion.step(data[place : place + size])
            place += size
            if expansion.is_over:
                return
    yield from expansion.end()


def _without_holes(chunks: Iterable[Block], losses: list[Loss]) -> Iterator[bytes]:
    """Yield the bytes with short holes filled: a copy may have left out blocks of NUL bytes."""
    position = 0
    for chunk in chunks:
        hole = chunk.position - position
        if hole > _LARGEST_HOLE:
            reason = f"the compressed data has a hole of {hole} bytes: the rest was not decompressed"
            losses.append(Loss(position, 0, reason))
            return
        if hole > 0:
            yield bytes(hole)
        yield chunk.data
        position = chunk.position + len(chunk.data)
