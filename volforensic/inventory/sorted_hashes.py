"""Many digests of one length, kept small: sorted, side by side, in memory or in a temporary file without a name.

A hundred million SHA-256 digests are 3.2 GB on disk. Memory holds one of 256 parts while they are sorted, and a table
of where those with the same first two bytes begin afterwards.
"""

import os
import tempfile
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_BUCKETS = 256
_WAITING_LIMIT = 32 << 20
"""Bytes of digests that wait in memory for their place in the file."""
_READ_AT_ONCE = 2048
"""Digests that are read for one look-up."""


class SortedHashes:
    """Digests to look up. ``count`` is how many different ones there are. Close it."""

    def __init__(self, source: bytes | BinaryIO, starts: "array[int]", width: int) -> None:
        """Take sorted digests of ``width`` bytes; ``starts``: the ordinal of the first one of each first two bytes."""
        self._source, self._starts, self._width = source, starts, width
        self.count = starts[-1]

    def close(self) -> None:
        """Close the file, where there is one."""
        if not isinstance(self._source, bytes):
            self._source.close()

    def __contains__(self, digest: bytes) -> bool:
        """Return whether the digest is among them."""
        if len(digest) != self._width:
            return False
        prefix = int.from_bytes(digest[:2], "big")
        low, high = self._starts[prefix], self._starts[prefix + 1]
        while high - low > _READ_AT_ONCE:
            middle = (low + high) // 2
            low, high = (middle, high) if self._read(middle, middle + 1) <= digest else (low, middle)
        block, width = self._read(low, high), self._width
        first, last = 0, high - low
        while first < last:
            middle = (first + last) // 2
            found = block[middle * width : (middle + 1) * width]
            if found == digest:
                return True
            first, last = (middle + 1, last) if found < digest else (first, middle)
        return False

    def _read(self, low: int, high: int) -> bytes:
        start, size = low * self._width, (high - low) * self._width
        if isinstance(self._source, bytes):
            return self._source[start : start + size]
        return os.pread(self._source.fileno(), size, start)


class HashCollector:
    """Takes digests in any order, then gives ``SortedHashes``. Close it."""

    def __init__(self, width: int, folder: Path | None = None) -> None:
        """Collect digests of ``width`` bytes; a temporary file is made in ``folder`` where they are many."""
        self._width, self._folder = width, folder
        self._buckets = [bytearray() for _ in range(_BUCKETS)]
        self._spilled: list[list[tuple[int, int]]] = [[] for _ in range(_BUCKETS)]
        self._waiting = 0
        self._file: BinaryIO | None = None

    def close(self) -> None:
        """Close the file, where there is one."""
        if self._file is not None:
            self._file.close()

    def add(self, digests: bytes) -> None:
        """Add digests that lie side by side."""
        width, buckets = self._width, self._buckets
        for start in range(0, len(digests), width):
            buckets[digests[start]] += digests[start : start + width]
        self._waiting += len(digests)
        if self._waiting > _WAITING_LIMIT:
            self._spill()

    def sort(self) -> SortedHashes:
        """Return the digests sorted, each once. The collector is empty then.

        Raises:
            OSError: The temporary file cannot be written.
        """
        starts = array("Q", [0])
        if self._file is None:
            return SortedHashes(b"".join(list(self._parts(starts))), starts, self._width)
        target: BinaryIO = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - the look-ups need it open
        try:
            target.writelines(self._parts(starts))
            target.flush()
        except OSError:
            target.close()
            raise
        self.close()
        return SortedHashes(target, starts, self._width)

    def _parts(self, starts: "array[int]") -> Iterator[bytes]:
        width, before = self._width, 0
        for index in range(_BUCKETS):
            data = self._bucket(index)
            digests = sorted({data[start : start + width] for start in range(0, len(data), width)})
            starts.extend(before + bisect_left(digests, bytes([index, second])) for second in range(1, _BUCKETS))
            before += len(digests)
            starts.append(before)
            yield b"".join(digests)

    def _bucket(self, index: int) -> bytes:
        pieces = []
        for offset, size in self._spilled[index]:
            if self._file is not None:
                self._file.seek(offset)
                pieces.append(self._file.read(size))
        pieces.append(bytes(self._buckets[index]))
        self._buckets[index] = bytearray()
        return b"".join(pieces)

    def _spill(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - sort() and close() close it
        for index, bucket in enumerate(self._buckets):
            if bucket:
                self._spilled[index].append((self._file.tell(), len(bucket)))
                self._file.write(bucket)
                self._buckets[index] = bytearray()
        self._waiting = 0
