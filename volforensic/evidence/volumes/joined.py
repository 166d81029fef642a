"""The plain media: a run of the address space, bytes that are missing, zeros, and media one after the other."""

import errno
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from volforensic.medium import Medium


def cut(position: int, size: int, whole: int) -> int:
    """Return how many of ``size`` bytes from ``position`` on lie in a medium of ``whole`` bytes."""
    return max(0, min(size, whole - position)) if position >= 0 else 0


def read_all(medium: Medium, position: int, size: int) -> bytes:
    """Return exactly the bytes asked for.

    Raises:
        OSError: With ``EIO`` where they cannot be had, and where the medium ends before them.
    """
    data = medium.read_at(position, size)
    if len(data) < size:
        raise OSError(errno.EIO, f"what a volume is made of ends {size - len(data)} bytes too early")
    return data


class RunMedium(NamedTuple):
    """A range of the address space."""

    space: Medium
    address: int
    size: int

    def read_at(self, position: int, size: int) -> bytes:
        """Return the bytes, see ``Medium``."""
        size = cut(position, size, self.size)
        return read_all(self.space, self.address + position, size) if size else b""


class MissingMedium(NamedTuple):
    """Bytes that are not in the evidence."""

    size: int
    reason: str

    def read_at(self, position: int, size: int) -> bytes:
        """Raise OSError with ``EIO`` for every byte."""
        if cut(position, size, self.size):
            raise OSError(errno.EIO, self.reason)
        return b""


class ZeroMedium(NamedTuple):
    """NUL bytes."""

    size: int

    def read_at(self, position: int, size: int) -> bytes:
        """Return NUL bytes."""
        return bytes(cut(position, size, self.size))


class JoinedMedium:
    """Holds media that stand one after the other."""

    def __init__(self, parts: Sequence[Medium]) -> None:
        """Take the parts in their order."""
        self._parts = parts
        self._starts = [0, *accumulate(part.size for part in parts)]

    @property
    def size(self) -> int:
        """How many bytes all parts have."""
        return self._starts[-1]

    def read_at(self, position: int, size: int) -> bytes:
        """Return the bytes, each part asked once; see ``Medium``."""
        end = position + cut(position, size, self.size)
        pieces = []
        while position < end:
            index = bisect_right(self._starts, position) - 1
            length = min(end, self._starts[index + 1]) - position
            pieces.append(read_all(self._parts[index], position - self._starts[index], length))
            position += length
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)
