"""Arrays as media: levels 0, 1, 4, 5, 6 and 10 of Linux md, whole or degraded.

What a member does not give (it is not there, or its bytes cannot be read) comes from the others where they have it
again; only then are the bytes lost. LVM's raid segments are arrays like these, with md's numbers of layouts.
"""

import errno
from collections.abc import Iterator, Sequence
from itertools import pairwise

from volforensic.evidence.maps import Raid
from volforensic.evidence.volumes.galois import added, inverse, power, scaled
from volforensic.evidence.volumes.raid_rows import (
    LAYOUTS,
    RaidError,
    Row,
    copies_of,
    copy_places,
    data_members,
    far_stride,
    parity_row,
)
from volforensic.medium import Medium

Members = Sequence[Medium | None]
_FEWEST = {0: 1, 1: 1, 4: 2, 5: 2, 6: 4, 10: 1}


def open_raid(raid: Raid, members: Members) -> Medium:
    """Return the array as a medium; ``members`` are what ``raid.members`` open to, None for one that is not there.

    Raises:
        RaidError: The level, layout, chunk or number of members is none of an array.
    """
    if raid.level not in _FEWEST or len(members) < _FEWEST[raid.level]:
        raise RaidError(f"an array of level {raid.level} of {len(members)} members")
    if raid.level != 1 and raid.chunk <= 0:
        raise RaidError(f"an array of chunks of {raid.chunk} bytes")
    if raid.layout not in LAYOUTS.get(raid.level, (raid.layout,)):
        raise RaidError(f"the layout {raid.layout} of level {raid.level}")
    if raid.level == 1:
        return MirrorMedium(members, raid.length)
    if raid.level == 10:
        return CopiedMedium(raid, members)
    return ParityMedium(raid, members)


def _fetched(members: Members, member: int, position: int, size: int) -> bytes | None:
    """Return bytes of a member; None where it does not give all of them."""
    medium = members[member]
    if medium is None:
        return None
    try:
        data = medium.read_at(position, size)
    except OSError:
        return None
    return data if len(data) == size else None


def _pieces(position: int, size: int, chunk: int) -> Iterator[tuple[int, int, int]]:
    """Yield the number of each chunk that a range touches, the byte of it where the range begins, and how many."""
    bounds = [position, *range((position // chunk + 1) * chunk, position + size, chunk), position + size]
    for start, end in pairwise(bounds):
        yield start // chunk, start % chunk, end - start


class MirrorMedium:
    """Members that all hold the same bytes: the first that reads is taken."""

    def __init__(self, members: Members, length: int) -> None:
        """Take the members and the array's length in bytes."""
        self.size = length
        self._members = members

    def read_at(self, position: int, size: int) -> bytes:
        """Return the bytes, fewer at the end; see ``Medium``."""
        size = min(size, self.size - position)
        if position < 0 or size <= 0:
            return b""
        for member in range(len(self._members)):
            data = _fetched(self._members, member, position, size)
            if data is not None:
                return data
        raise OSError(errno.EIO, f"no member of the mirror gives {size} bytes at {position}")


class CopiedMedium:
    """A level 10 array: each chunk lies on some of the members, near, far or offset."""

    def __init__(self, raid: Raid, members: Members) -> None:
        """Take the array's map and its members; RaidError where its layout is none."""
        self.size = raid.length
        self._members = members
        self._chunk = raid.chunk
        self._copies = copies_of(raid.layout, len(members))
        self._stride = far_stride(self._copies, raid.length // raid.chunk)

    def read_at(self, position: int, size: int) -> bytes:
        """Return the bytes, fewer at the end; see ``Medium``."""
        size = min(size, self.size - position)
        if position < 0 or size <= 0:
            return b""
        return b"".join([self._piece(*piece) for piece in _pieces(position, size, self._chunk)])

    def _piece(self, chunk: int, start: int, size: int) -> bytes:
        for member, place in copy_places(self._copies, chunk, self._stride):
            data = _fetched(self._members, member, place * self._chunk + start, size)
            if data is not None:
                return data
        raise OSError(errno.EIO, f"no copy of {size} bytes at {chunk * self._chunk + start} of the array can be read")


class ParityMedium:
    """An array of level 4, 5 or 6, or of level 0, which has rows without parity."""

    def __init__(self, raid: Raid, members: Members) -> None:
        """Take the array's map and its members."""
        self.size = raid.length
        self._members = members
        self._chunk = raid.chunk
        self._level = raid.level
        self._layout = raid.layout
        self._width = data_members(raid.level, len(members))
        self._period = len(members) * (len(members) - 1)  # of all layouts

    def read_at(self, position: int, size: int) -> bytes:
        """Return the bytes, fewer at the end; see ``Medium``."""
        size = min(size, self.size - position)
        if position < 0 or size <= 0:
            return b""
        return b"".join([self._piece(*piece) for piece in _pieces(position, size, self._chunk)])

    def _piece(self, chunk: int, start: int, size: int) -> bytes:
        number, index = divmod(chunk, self._width)
        place = number * self._chunk + start
        if self._level == 0:
            data = _fetched(self._members, index, place, size)
        else:
            row = parity_row(self._level, self._layout, len(self._members), number % self._period)
            data = _fetched(self._members, row.data[index], place, size)
            if data is None:
                data = self._rebuilt(row, index, place, size)
        if data is None:
            raise OSError(errno.EIO, f"too few members give {size} bytes at {chunk * self._chunk + start} of the array")
        return data

    def _rebuilt(self, row: Row, wanted: int, place: int, size: int) -> bytes | None:
        """Return a data chunk's bytes from the other chunks of its row; None where there are too few."""
        others = {
            index: _fetched(self._members, member, place, size)
            for index, member in enumerate(row.data)
            if index != wanted
        }
        known = {index: data for index, data in others.items() if data is not None}
        lost = [index for index in others if index not in known]
        if len(lost) > (row.syndrome >= 0):
            return None
        parity = _fetched(self._members, row.parity, place, size)
        if not lost and parity is not None:
            return added(parity, *known.values())
        syndrome = _fetched(self._members, row.syndrome, place, size) if row.syndrome >= 0 else None
        if syndrome is None or (lost and parity is None):
            return None
        weighted = [scaled(data, power(row.powers[index])) for index, data in known.items()]
        rest = added(syndrome, *weighted)
        if not lost or parity is None:
            return scaled(rest, power(-row.powers[wanted]))
        return _first_of_two(row.powers[wanted], row.powers[lost[0]], added(parity, *known.values()), rest)


def _first_of_two(wanted: int, other: int, plain_sum: bytes, weighted_sum: bytes) -> bytes:
    """Return the chunk of power ``wanted`` from its sum with that of power ``other`` and their sum as Q weighs it."""
    factor = inverse(power(wanted) ^ power(other))
    return scaled(added(weighted_sum, scaled(plain_sum, power(other))), factor)
