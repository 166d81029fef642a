"""Bytes of one file at any position, through its extents or from memory; counted, so that no file costs too much."""

from bisect import bisect_right
from typing import Protocol

import msgspec

from volforensic.evidence.node import Extent
from volforensic.inventory.entry import FileEntry
from volforensic.inventory.file_bytes import Loss, OpenFilesystem, stored_chunks
from volforensic.medium import Medium

READ_LIMIT = 192 << 20
"""Bytes that are read of one file, at most: 64 MiB for entropy, 64 to find the build of Go, the rest for tables."""
SPENT = "not everything was read: more bytes are asked for than one file may cost"
"""The problem of a file whose account is used up."""
_LARGEST_WHOLE = 2 << 20  # a smaller file is read once, then its tables cost no call to the kernel
_MOST_PROBLEMS = 20
_MOST_LOSSES = 10


class ByteSource(Protocol):
    """Bytes by position, as ``evidence.reader.Window`` gives them."""

    def read_at(self, position: int, size: int) -> bytes:
        """Return up to ``size`` bytes at ``position``; fewer at the end."""


class MemoryBytes(msgspec.Struct, frozen=True):
    """Bytes in memory as a ``ByteSource``."""

    data: bytes

    def read_at(self, position: int, size: int) -> bytes:
        """Return up to ``size`` bytes at ``position``; fewer at the end."""
        return self.data[position : position + size] if position >= 0 and size > 0 else b""


class ExtentBytes:
    """A file's bytes through its extents; holes and what cannot be read are zeros, the latter noted in ``losses``."""

    def __init__(self, medium: Medium, entry: FileEntry, filesystem: OpenFilesystem, losses: list[Loss]) -> None:
        """Take the source's medium and an entry whose extents are known, in rising order."""
        self._medium = medium
        self._entry = entry
        self._filesystem = filesystem
        self._losses = losses
        self._extents = entry.extents or ()
        self._starts = [extent.file_offset for extent in self._extents]

    def read_at(self, position: int, size: int) -> bytes:
        """Return ``size`` bytes at ``position``, fewer at the file's end.

        Raises:
            OSError: The position is negative.
        """
        size = min(size, self._entry.size - position)
        if position < 0:
            raise OSError("a position before the file")
        if size <= 0:
            return b""
        data = bytearray(size)
        first = max(0, bisect_right(self._starts, position) - 1)
        for number in range(first, len(self._extents)):
            extent = self._extents[number]
            if extent.file_offset >= position + size:
                break
            self._fill(data, position, extent)
        return bytes(data)

    def _fill(self, data: bytearray, position: int, extent: Extent) -> None:
        skipped = max(0, position - extent.file_offset)
        length = min(extent.length - skipped, position + len(data) - extent.file_offset - skipped)
        if length <= 0:
            return
        part = Extent(extent.file_offset + skipped, extent.source_offset + skipped, length)
        piece = msgspec.structs.replace(self._entry, extents=(part,))
        for block in stored_chunks(self._medium, piece, self._filesystem, self._losses):
            start = block.position - position
            data[start : start + len(block.data)] = block.data


class BoundedBytes:
    """The bytes of one file with an account: what was read, what is left, what was wrong on the way."""

    def __init__(self, source: ByteSource, size: int, limit: int = READ_LIMIT) -> None:
        """Take the bytes, how many there are, and how many may be read in all."""
        self.size = max(0, size)
        self.problems: list[str] = []
        self._left = limit
        self._source = source
        self._whole: bytes | None = None
        if self.size <= _LARGEST_WHOLE:
            self._whole = source.read_at(0, self.size)

    def read(self, position: int, size: int) -> bytes:
        """Return up to ``size`` bytes at ``position``: fewer at the file's end and where the account is used up."""
        size = min(size, self.size - position)
        if position < 0 or size <= 0:
            return b""
        if size > self._left:
            self.say(SPENT)
            size = self._left
        self._left -= size
        if self._whole is not None:
            return self._whole[position : position + size]
        return self._source.read_at(position, size)

    def say(self, problem: str) -> None:
        """Note what could not be read or contradicts itself, each sentence once and not without end."""
        if problem not in self.problems and len(self.problems) < _MOST_PROBLEMS:
            self.problems.append(problem)


def loss_problems(losses: list[Loss]) -> list[str]:
    """Return the first losses as sentences, those within another (a range that was read twice) once; they are zeros."""
    sentences: list[str] = []
    end = -1
    for loss in sorted(losses, key=lambda one: (one.offset, -one.length)):
        if loss.offset + loss.length > end and len(sentences) < _MOST_LOSSES:
            end = loss.offset + loss.length
            sentences.append(f"bytes {loss.offset} to {end} count as zeros: {loss.reason}")
    return sentences
