"""Media in memory: bytes, with ranges that cannot be read; several disks as one address space."""

import errno
import random
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from volforensic.evidence.volumes.mapped import Member
from volforensic.medium import Medium

SPACING = 1 << 40


class MemoryMedium(NamedTuple):
    """Bytes, and (begin, end) of what fails."""

    data: bytes
    bad: Sequence[tuple[int, int]] = ()

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return len(self.data)

    def read_at(self, position: int, size: int) -> bytes:
        """Return the bytes, see ``Medium``."""
        size = min(size, len(self.data) - position)
        if position < 0 or size <= 0:
            return b""
        if any(begin < position + size and position < end for begin, end in self.bad):
            raise OSError(errno.EIO, "a bad sector")
        return bytes(self.data[position : position + size])


class CountedMedium:
    """Counts what is read of another medium."""

    def __init__(self, medium: Medium) -> None:
        """Take the medium."""
        self._medium = medium
        self.reads: list[tuple[int, int]] = []

    @property
    def size(self) -> int:
        """The medium's size."""
        return self._medium.size

    def read_at(self, position: int, size: int) -> bytes:
        """Note where and how much, and read."""
        self.reads.append((position, size))
        return self._medium.read_at(position, size)


class DiskSpace(NamedTuple):
    """Disks ``SPACING`` bytes apart."""

    disks: Mapping[int, Medium]

    @property
    def size(self) -> int:
        """The end of the last disk."""
        return max(number * SPACING + disk.size for number, disk in self.disks.items())

    def read_at(self, position: int, size: int) -> bytes:
        """Return bytes of the disk that the position is in."""
        number, within = divmod(position, SPACING)
        return self.disks[number].read_at(within, size) if number in self.disks else b""


def space_of(disks: Sequence[bytes | bytearray]) -> tuple[DiskSpace, list[Member]]:
    """Return an address space of these disks, and the disks as members."""
    media = {number: MemoryMedium(bytes(disk)) for number, disk in enumerate(disks)}
    return DiskSpace(media), [Member(number, number * SPACING, len(disk)) for number, disk in enumerate(disks)]


def pattern(seed: int, size: int) -> bytes:
    """Return bytes that are nowhere the same."""
    return random.Random(seed).randbytes(size)  # noqa: S311 - the same bytes each time are wanted


def read_in_pieces(medium: Medium, piece: int = 5003) -> bytes:
    """Return all bytes of a medium, read in pieces that are aligned to nothing."""
    return b"".join(medium.read_at(position, piece) for position in range(0, medium.size, piece))
