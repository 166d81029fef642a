"""Media of bytes in memory, with sectors that cannot be read; maps opened over them by the plainest means."""

import errno
from collections.abc import Sequence
from typing import NamedTuple

from volforensic.evidence import maps
from volforensic.evidence.volumes.mapped import Member
from volforensic.evidence.volumes.raid import MirrorMedium, open_raid
from volforensic.medium import Medium


class ByteMedium(NamedTuple):
    """Bytes, and the ranges (begin, end) that give EIO."""

    data: bytes
    bad: tuple[tuple[int, int], ...] = ()

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self.data)

    def read_at(self, position: int, size: int) -> bytes:
        """Return bytes as a ``Medium`` does."""
        end = min(position + size, len(self.data))
        if any(position < bad_end and end > begin for begin, bad_end in self.bad):
            raise OSError(errno.EIO, "a bad sector")
        return self.data[position:end] if position >= 0 else b""


class LostMedium(NamedTuple):
    """Bytes that are not there."""

    size: int

    def read_at(self, position: int, size: int) -> bytes:
        """Fail, as a ``Medium`` does."""
        raise OSError(errno.EIO, f"{size} bytes at {position} are not there")


class PartMedium(NamedTuple):
    """A range of another medium."""

    medium: Medium
    begin: int
    size: int

    def read_at(self, position: int, size: int) -> bytes:
        """Return bytes as a ``Medium`` does."""
        return self.medium.read_at(self.begin + position, max(0, min(size, self.size - position)))


class ChainMedium(NamedTuple):
    """Media one after the other."""

    parts: tuple[Medium, ...]

    @property
    def size(self) -> int:
        """How many bytes they have."""
        return sum(part.size for part in self.parts)

    def read_at(self, position: int, size: int) -> bytes:
        """Return bytes as a ``Medium`` does."""
        found = b""
        for part in self.parts:
            if 0 <= position < part.size and size > 0:
                piece = part.read_at(position, size)
                found += piece
                size -= len(piece)
                position += len(piece)
            position -= part.size
        return found


def side_by_side(disks: Sequence[bytes]) -> tuple[ByteMedium, list[Member]]:
    """Return a space that holds the disks one after the other, and each of them as a member, counted from 1."""
    members = []
    begin = 0
    for number, disk in enumerate(disks, start=1):
        members.append(Member(number, begin, len(disk)))
        begin += len(disk)
    return ByteMedium(b"".join(disks)), members


def opened(node: maps.Map, space: Medium) -> Medium:
    """Return the bytes of a map without keys."""
    match node:
        case maps.Run(address=address, length=length):
            return PartMedium(space, address, length)
        case maps.Missing(length=length):
            return LostMedium(length)
        case maps.Joined(parts=parts):
            return ChainMedium(tuple(opened(part, space) for part in parts))
        case maps.Mirrored(members=members, length=length):
            return MirrorMedium([opened(member, space) for member in members], length)
        case maps.Striped(members=members, chunk=chunk, length=length):
            striped = maps.Raid(level=0, layout=0, chunk=chunk, members=[], length=length)
            return open_raid(striped, [opened(member, space) for member in members])
        case maps.Raid(members=places):
            return open_raid(node, [None if place is None else opened(place, space) for place in places])
        case _:
            raise NotImplementedError(node)


def all_of(medium: Medium, step: int = 7777) -> bytes:
    """Return all bytes, read in steps that fit nothing."""
    return b"".join(medium.read_at(position, step) for position in range(0, medium.size, step))
