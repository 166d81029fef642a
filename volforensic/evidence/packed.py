"""A compressed image, unpacked once: a worker decompresses it from end to end and leaves the runs of NUL bytes out.

gzip, xz, zstd and bzip2, also several members one after the other. Their checksums are verified. Where the stream is
damaged or cut, what came before stays: the rest is a problem with the place of the damage.
"""

from collections.abc import Iterator

import msgspec

from volforensic.evidence.decompressors import ERRORS, MAGIC_SIZE, Decompressor, GzipMember, new_decompressor
from volforensic.medium import Medium
from volforensic.record import Problem
from volforensic.sandbox.worker import Workplace

LARGEST_PIECE = 1 << 20
LARGEST_DISK = 16 << 40
_READ_SIZE = 1 << 20
_STEP, _GZIP_STEP = 1024, 64 << 10  # damage costs what one step expands to; with gzip nothing at all
_HOLE = 64 << 10
_ZEROS = bytes(_HOLE)
_MEMORY = 1 << 30
_SECTOR = 4096
_SIGN = 256 << 20


class UnpackArguments(msgspec.Struct, frozen=True, kw_only=True):
    """How many bytes are unpacked at most: more is told as lost."""

    most: int = LARGEST_DISK


class UnpackMessage(msgspec.Struct, frozen=True, array_like=True):
    """Bytes of the disk and where they belong; what lies between two messages is NUL bytes.

    ``read`` is how many bytes of the compressed file were read so far. The last message has the disk's ``size``; in
    all others it is -1.
    """

    position: int
    data: bytes
    read: int
    size: int = -1
    problems: list[Problem] = []


def unpack(place: Workplace, arguments: object) -> Iterator[UnpackMessage]:
    """Yield the bytes of the disk in order: worker function, arguments as ``UnpackArguments``."""
    most = msgspec.convert(arguments, UnpackArguments).most
    stream = _Stream(place.source, most)
    begun = position = told = 0
    pending = bytearray()
    for data in stream.output():
        place.begin_item(position)
        pending += data
        position += len(data)
        if len(pending) >= LARGEST_PIECE:
            whole = len(pending) - len(pending) % _HOLE
            yield from _pieces(bytes(pending[:whole]), begun, stream.read)
            del pending[:whole]
            begun += whole
        if position - told >= _SIGN:
            told = position
            yield UnpackMessage(begun, b"", stream.read)
    yield from _pieces(bytes(pending), begun, stream.read)
    yield UnpackMessage(position, b"", stream.read, position, stream.problems)


def _pieces(data: bytes, position: int, read: int) -> Iterator[UnpackMessage]:
    """Yield the parts of some bytes that are not NUL."""
    view = memoryview(data)
    begin = -1
    for start in range(0, len(data), _HOLE):
        part = view[start : start + _HOLE]
        is_used = part != _ZEROS[: len(part)]
        if is_used and begin < 0:
            begin = start
        if begin >= 0 and (not is_used or start - begin >= LARGEST_PIECE):
            yield UnpackMessage(position + begin, data[begin:start], read)
            begin = start if is_used else -1
    if begin >= 0:
        for start in range(begin, len(data), LARGEST_PIECE):
            yield UnpackMessage(position + start, data[start : start + LARGEST_PIECE], read)


class _Stream:
    """Holds the compressed file: how far it was read, what came out, what went wrong."""

    def __init__(self, medium: Medium, most: int) -> None:
        self.problems: list[Problem] = []
        self.read = 0  # compressed bytes that were taken
        self._medium = medium
        self._most = most
        self._written = 0
        self._is_over = False
        self._decompressor: Decompressor | None = None
        self._rest = b""

    def output(self) -> Iterator[bytes]:
        """Yield the decompressed bytes, at most a MiB at once."""
        while not self._is_over:
            data = self._following()
            if not data:
                break
            yield from self._step(data)
        if not self._is_over and self._decompressor is not None:
            self._stop(f"the compressed data ends early, at its byte {self.read}")

    def _following(self) -> bytes:
        """Return the compressed bytes of the next step."""
        if not self._rest:
            try:
                self._rest = self._medium.read_at(self.read, _READ_SIZE)
            except OSError:
                self._rest = self._before_damage()
        size = _GZIP_STEP if isinstance(self._decompressor, GzipMember) else _STEP
        data, self._rest = self._rest[:size], self._rest[size:]
        self.read += len(data)
        return data

    def _before_damage(self) -> bytes:
        """Return what reads before the first bad sector; where there is none, that ends it."""
        parts: list[bytes] = []
        position = self.read
        try:
            while len(parts) * _SECTOR < _READ_SIZE:
                length = _SECTOR - position % _SECTOR
                parts.append(self._medium.read_at(position, length))
                position += length
        except OSError as error:
            if not parts:
                self._stop(f"the compressed file does not read at its byte {position}: {error.strerror}")
        return b"".join(parts)

    def _step(self, data: bytes) -> Iterator[bytes]:
        while data and not self._is_over:
            if self._decompressor is None:
                data = self._begin_member(data)
                continue
            yield from self._member(self._decompressor, data)
            if self._is_over or not self._decompressor.eof:
                return
            data = self._decompressor.unused_data
            self._decompressor = None

    def _begin_member(self, data: bytes) -> bytes:
        """Return the bytes with which a member begins; NUL bytes between two are padding."""
        data = data.lstrip(b"\0")
        if not data:
            return b""
        if len(data) < MAGIC_SIZE:
            more = self._following()
            data += more
        try:
            self._decompressor = new_decompressor(data, _MEMORY)
        except ERRORS as error:
            self._stop(f"the compressed data cannot be opened: {error}")
        if self._decompressor is None and not self._is_over:
            self._stop(f"bytes that are not compressed follow, before its byte {self.read}", is_damage=False)
        return data

    def _member(self, decompressor: Decompressor, data: bytes) -> Iterator[bytes]:
        while True:
            try:
                output = decompressor.decompress(data, LARGEST_PIECE)
            except ERRORS as error:
                self._stop(f"the compressed data is damaged near its byte {self.read}: {error}")
                return
            data = b""
            if self._written + len(output) > self._most:
                yield output[: self._most - self._written]
                self._written = self._most
                self._stop(f"it unpacks to more than {self._most} bytes: the rest was not read")
                return
            self._written += len(output)
            yield output
            if decompressor.eof or decompressor.needs_input:
                return

    def _stop(self, reason: str, *, is_damage: bool = True) -> None:
        self._is_over = True
        if is_damage:
            reason += f"; what was unpacked before it, {self._written} bytes, stays"
        self.problems.append(Problem(stage="source", reason=reason, offset=self._written))
