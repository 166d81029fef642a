"""Parts that follow each other on a disk: the extents of a VMDK, the pieces of a split raw image."""

import bisect
from collections.abc import Sequence
from typing import NamedTuple

from volforensic.evidence.containers.mapped import Finder, MappedMedium, Noted, Piece
from volforensic.medium import Medium


class Part(NamedTuple):
    """A part of the disk: its bytes, and what finds the pieces of it by their position in the part."""

    length: int
    find: Finder


def stored_part(medium: Medium, offset: int, length: int) -> Part:
    """Return a part whose bytes lie in a row from ``offset`` of a medium on; those that it does not have are lost."""

    def find(position: int) -> Piece:
        here = medium.size - offset - position
        if here <= 0:
            missing = max(0, offset + length - medium.size)
            return Piece(length - position, reason=f"the file ends {missing} bytes before this part of the disk does")
        return Piece(min(here, length - position), medium, offset + position)

    return Part(length, find)


def zeros_part(length: int) -> Part:
    """Return a part that is zeros and is stored nowhere."""
    return Part(length, lambda position: Piece(length - position))


def lost_part(length: int, reason: str) -> Part:
    """Return a part whose bytes cannot be had."""
    return Part(length, lambda position: Piece(length - position, reason=reason))


def joined_medium(parts: Sequence[Part], noted: Noted) -> MappedMedium:
    """Return the disk that the parts are, one behind the other; those of no length are left out."""
    kept = [part for part in parts if part.length > 0]
    starts = [0]
    for part in kept:
        starts.append(starts[-1] + part.length)

    def find(position: int) -> Piece:
        index = bisect.bisect_right(starts, position) - 1
        part, start = kept[index], position - starts[index]
        piece = part.find(start)
        return piece._replace(length=min(piece.length, part.length - start))

    return MappedMedium(starts[-1], find, noted)
