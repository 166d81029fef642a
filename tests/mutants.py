"""Mutants of a small disk: a pure function of the disk, a seed and a number; each a few edits, made and taken back."""

import errno
import random
from typing import NamedTuple

SECTOR = 512
_WORDS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, (1 << 63), (1 << 64) - 1)
_EARLY = 10
_CUT, _UNREADABLE = 0.03, 0.06


class Mutant(NamedTuple):
    """What is done to the disk: (place, bytes) edits in order, its new size, sectors that do not read."""

    edits: tuple[tuple[int, bytes], ...]
    size: int
    unreadable: frozenset[int] = frozenset()

    def applied(self, disk: bytes) -> bytes:
        """Return the damaged disk; sectors that do not read are as they were."""
        data = bytearray(disk)
        for place, edit in self.edits:
            data[place : place + len(edit)] = edit
        return bytes(data[: self.size])


class MutantMedium:
    """A damaged disk in memory, as readers want it."""

    def __init__(self, disk: bytes | bytearray, size: int, unreadable: frozenset[int] = frozenset()) -> None:
        """Take the bytes; those from ``size`` on are cut off, the sectors of ``unreadable`` raise EIO."""
        self._disk = disk
        self._unreadable = unreadable
        self.size = size

    def read_at(self, position: int, size: int) -> bytes:
        """Return the bytes, fewer at the end."""
        size = min(size, self.size - position)
        if position < 0 or size <= 0:
            return b""
        if self._unreadable:
            sectors = range(position // SECTOR, (position + size - 1) // SECTOR + 1)
            bad = next((sector for sector in sectors if sector in self._unreadable), None)
            if bad is not None:
                raise OSError(errno.EIO, f"sector {bad} does not read")
        return bytes(self._disk[position : position + size])


def used_sectors(disk: bytes) -> list[int]:
    """Return the numbers of the sectors that hold anything."""
    empty = bytes(SECTOR)
    return [start // SECTOR for start in range(0, len(disk), SECTOR) if disk[start : start + SECTOR] != empty]


def mutant(disk: bytes | bytearray, used: list[int], name: str) -> Mutant:
    """Return the mutant of this name: one to six edits, half of them in the first tenth of what is used."""
    chance = random.Random(name)  # noqa: S311 - wanted: the same each time
    data: dict[int, bytes] = {}
    edits = []
    unreadable: set[int] = set()
    for _ in range(chance.randint(1, 6)):
        early = chance.random() < 0.5
        sector = used[chance.randrange(max(1, len(used) // _EARLY) if early else len(used))]
        if chance.random() < _UNREADABLE:
            unreadable.update(range(sector, sector + chance.choice((1, 1, 8))))
            continue
        start = sector * SECTOR
        old = data.get(sector, bytes(disk[start : start + SECTOR]))
        new = _edited(old, disk, used, chance)
        data[sector] = new
        edits.append((start, new))
    size = chance.randrange(len(disk)) if chance.random() < _CUT else len(disk)
    return Mutant(tuple(edits), size, frozenset(unreadable))


def _edited(old: bytes, disk: bytes | bytearray, used: list[int], chance: random.Random) -> bytes:
    kind = chance.randrange(10)
    if kind == 5:
        other = chance.choice(used) * SECTOR
        return bytes(disk[other : other + SECTOR])
    if kind == 6:
        return bytes(len(old))
    if kind == 7:
        return chance.randbytes(len(old))
    data = bytearray(old)
    place = chance.randrange(len(old))
    if kind <= 1:
        data[place] ^= 1 << chance.randrange(8)
        return bytes(data)
    size = chance.choice((1, 2, 4, 8))
    place -= place % size
    order = chance.choice(("little", "big"))
    most = (1 << 8 * size) - 1
    if kind <= 4:
        word = chance.choice(_WORDS) & most
    elif kind == 8:  # a count or a pointer that is a little off
        word = int.from_bytes(data[place : place + size], order) + chance.choice((-2, -1, 1, 2, 8, -8)) & most  # type: ignore[arg-type]
    else:  # a word from elsewhere
        other = chance.choice(used) * SECTOR + chance.randrange(0, SECTOR, size)
        word = int.from_bytes(disk[other : other + size], order)  # type: ignore[arg-type]
    data[place : place + size] = word.to_bytes(size, order)  # type: ignore[arg-type]
    return bytes(data)
