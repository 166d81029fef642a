"""Where an md array puts the chunks, parities and copies of each row.

Sources: the kernel's drivers/md/raid5.c (``raid5_compute_sector``, ``raid6_idx_to_slot``), drivers/md/raid5.h (the
numbers of the layouts), drivers/md/raid10.c (``setup_geo``, ``__raid10_find_phys``, ``calc_sectors``), md(4).
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

_LEFT_ASYMMETRIC, _RIGHT_ASYMMETRIC, _LEFT_SYMMETRIC, _RIGHT_SYMMETRIC, _PARITY_FIRST, _PARITY_LAST = range(6)
_ZERO_RESTART, _N_RESTART, _N_CONTINUE = 8, 9, 10
_DDF = (_ZERO_RESTART, _N_RESTART, _N_CONTINUE)
_RAID5_AND_Q = 16
"""Layouts of level 6 from here on are those of level 5 with Q on the last member alone."""
LAYOUTS = {
    5: (0, 1, 2, 3, 4, 5),
    6: (0, 1, 2, 3, 4, 5, 8, 9, 10, 16, 17, 18, 19, 20),
}


class RaidError(ValueError):
    """An array that cannot be: its level, layout, chunk or number of members."""


class Row(NamedTuple):
    """A row of chunks: which member has each data chunk, which has P, which has Q (-1 for none).

    ``powers`` is, for each data chunk, the power of the generator by which it goes into Q.
    """

    data: tuple[int, ...]
    parity: int
    syndrome: int
    powers: tuple[int, ...]


class Copies(NamedTuple):
    """How a level 10 array copies: near and far copies, whether far ones lie in the next row, members of a far set."""

    near: int
    far: int
    is_offset: bool
    far_set: int
    disks: int


def data_members(level: int, disks: int) -> int:
    """Return how many chunks of a row hold data, for the levels 0, 4, 5 and 6."""
    return disks - {0: 0, 4: 1, 5: 1, 6: 2}[level]


@lru_cache(maxsize=4096)
def parity_row(level: int, layout: int, disks: int, row: int) -> Row:
    """Return how the members of a level 4, 5 or 6 array share row ``row``."""
    if level == 4:
        return Row(tuple(range(disks - 1)), disks - 1, -1, ())
    if level == 5:
        return _row5(layout, disks, row)
    if layout >= _RAID5_AND_Q:
        inner = _row5(layout - _RAID5_AND_Q, disks - 1, row)
        return inner._replace(syndrome=disks - 1, powers=_powers(inner.data, disks - 1, disks))
    return _row6(layout, disks, row)


def _row5(layout: int, disks: int, row: int) -> Row:
    last = disks - 1
    parity = {
        _LEFT_ASYMMETRIC: last - row % disks,
        _LEFT_SYMMETRIC: last - row % disks,
        _RIGHT_ASYMMETRIC: row % disks,
        _RIGHT_SYMMETRIC: row % disks,
        _PARITY_FIRST: 0,
        _PARITY_LAST: last,
    }[layout]
    if layout in {_LEFT_SYMMETRIC, _RIGHT_SYMMETRIC}:
        data = tuple((parity + 1 + index) % disks for index in range(last))
    else:
        data = tuple(disk for disk in range(disks) if disk != parity)
    return Row(data, parity, -1, ())


def _row6(layout: int, disks: int, row: int) -> Row:
    last = disks - 1
    if layout in {_RIGHT_ASYMMETRIC, _RIGHT_SYMMETRIC, _ZERO_RESTART}:
        parity = row % disks
    elif layout == _N_RESTART:
        parity = last - (row + 1) % disks
    elif layout in {_PARITY_FIRST, _PARITY_LAST}:
        parity = 0 if layout == _PARITY_FIRST else disks - 2
    else:
        parity = last - row % disks
    syndrome = (parity - 1 if layout == _N_CONTINUE else parity + 1) % disks
    if layout in {_LEFT_SYMMETRIC, _RIGHT_SYMMETRIC}:
        data = tuple((parity + 2 + index) % disks for index in range(disks - 2))
    elif layout == _N_CONTINUE:
        data = tuple((parity + 1 + index) % disks for index in range(disks - 2))
    else:
        data = tuple(disk for disk in range(disks) if disk not in {parity, syndrome})
    powers = data if layout in _DDF else _powers(data, syndrome, disks)
    return Row(data, parity, syndrome, powers)


def _powers(data: tuple[int, ...], syndrome: int, disks: int) -> tuple[int, ...]:
    """Return each data chunk's power: they are counted in the order of the members, from behind Q's member on."""
    ordered = sorted(data, key=lambda disk: (disk - syndrome - 1) % disks)
    place = {disk: power for power, disk in enumerate(ordered)}
    return tuple(place[disk] for disk in data)


def copies_of(layout: int, disks: int) -> Copies:
    """Return how a level 10 array of that layout copies; RaidError where it is none."""
    near, far, kind = layout & 0xFF, layout >> 8 & 0xFF, layout >> 17
    if not near or not far or near * far > disks or kind not in {0, 1, 2}:
        raise RaidError(f"the layout {layout:#x} of a raid10 of {disks} members")
    far_set = {0: disks, 1: disks // far, 2: near * far}[kind]
    return Copies(near, far, bool(layout & 1 << 16), far_set, disks)


def copy_places(copies: Copies, chunk: int, stride: int) -> Iterator[tuple[int, int]]:
    """Yield the member and the chunk on it of each copy; ``stride`` is how many chunks one far copy takes."""
    row, disk = divmod(chunk * copies.near, copies.disks)
    if copies.is_offset:
        row *= copies.far
    for _ in range(copies.near):
        place, member = row, disk
        yield member, place
        for _ in range(1, copies.far):
            member = _next_far(copies, member)
            place += 1 if copies.is_offset else stride
            yield member, place
        disk += 1
        if disk >= copies.disks:
            disk, row = 0, row + 1


def _next_far(copies: Copies, member: int) -> int:
    """Return the member that has the next far copy: ``near`` further on, within its set."""
    size, disks = copies.far_set, copies.disks
    following = member + copies.near
    last_start = (disks // size - 1) * size
    if disks % size and following > last_start:
        return (following - last_start) % (size + disks % size) + last_start
    return following % size + size * (member // size)


def far_stride(copies: Copies, chunks: int) -> int:
    """Return how many chunks of a member one far copy of an array of ``chunks`` chunks takes."""
    used = -(-chunks * copies.near * copies.far // copies.disks)
    return used // copies.far
