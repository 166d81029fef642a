"""The parent's side of a compressed image: a worker unpacks it, and what it yields goes into a scratch file."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from volforensic.evidence.decompressors import MAGIC_SIZE, compression_of
from volforensic.evidence.packed import LARGEST_DISK, LARGEST_PIECE, UnpackArguments, UnpackMessage
from volforensic.record import Problem
from volforensic.sandbox.confinement import GIBIBYTE, Limits
from volforensic.sandbox.messages import SourceHandle
from volforensic.sandbox.pool import Failure, Pool, Task

_DAY = 24 * 3600
_LIMITS = Limits(
    memory=3 * GIBIBYTE // 2,
    address_space=4 * GIBIBYTE,
    processor_seconds=_DAY,
    wall_seconds=3 * _DAY,
    output=2 * LARGEST_DISK,
)


class Sink(Protocol):
    """What takes the disk's bytes: ``case.scratch.ScratchFile`` is one."""

    @property
    def size(self) -> int:
        """How many bytes it has so far."""

    def write(self, data: bytes) -> None:
        """Append bytes."""

    def skip(self, length: int) -> None:
        """Append NUL bytes that take no room."""


class Unpacked(NamedTuple):
    """How far it is: bytes of the compressed file that were read, bytes of the disk so far."""

    read: int
    size: int


def compression(head: bytes) -> str:
    """Return gzip, xz, zstd or bzip2 where a file begins with these bytes, "" for anything else."""
    return compression_of(head[:MAGIC_SIZE])


def unpacked(
    pool: Pool, source: SourceHandle, sink: Sink, limits: Limits = _LIMITS, most: int = LARGEST_DISK
) -> Iterator[Unpacked | Problem]:
    """Unpack a compressed file into the sink; yield how far it is, and a problem for whatever is lost.

    Where the stream ends in damage, or the worker at its limits, the sink has what came before. What the sink raises
    (no room) ends it.
    """
    task = Task(
        function="volforensic.evidence.packed:unpack",
        arguments=UnpackArguments(most=most),
        message_type=UnpackMessage,
        source=source,
        limits=limits,
        check=_Check(most),
    )
    for message in pool.run(task):
        if isinstance(message, Failure):
            reason = f"it was unpacked up to byte {sink.size} of the disk only: {message.reason}"
            yield Problem(stage="source", reason=reason, offset=sink.size)
            return
        if message.position > sink.size:
            sink.skip(message.position - sink.size)
        if message.data:
            sink.write(message.data)
        yield from message.problems
        yield Unpacked(message.read, sink.size)


class _Check:
    """Holds where the next bytes may begin: the check of what the worker yields."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._end = 0
        self._is_whole = False

    def refused(self, message: UnpackMessage) -> str:
        if self._is_whole or message.position < self._end:
            return f"bytes for {message.position}, where {self._end} was due"
        self._end = message.position + len(message.data)
        if len(message.data) > LARGEST_PIECE or self._end > self._most or len(message.problems) > 1:
            return "more than it may yield"
        self._is_whole = message.size >= 0
        if self._is_whole and (message.data or message.size != message.position):
            return "a size that is not that of its bytes"
        return ""

    def missing(self) -> str:
        return "" if self._is_whole else "the worker ended before the disk did"
