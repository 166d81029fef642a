"""What an archive of a tree (tar, cpio) is to the reader of both: members one after the other, each with its node."""

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from volforensic.evidence.node import Extent, Node
from volforensic.evidence.reader import Window

MOST_MEMBERS = 10_000_000
"""Members that are indexed: the index of so many fits a worker's memory."""
INVENTED = 1 << 62
"""Inode numbers from here on are ours: of members whose own numbers say nothing, or belong to others too."""
INVENTED_DIRECTORY = 1 << 61
ROOT = 1
_BLOCK = 16 << 10
_LARGE_STEP = 1 << 20
_MOST_TOLD = 20
_MOST_LOSSES = 1000


class Member(NamedTuple):
    """A member where the scan meets it: where it begins, its path, which inode it says it is.

    ``link`` is the path of the member that has its bytes (tar's hard links). ``number`` and ``tree`` tell its inode; 0
    where it says none that can be believed. ``same`` is where the member begins whose inode it is (cpio's hard links),
    -1 for one that is nobody else's. ``problems`` are those of its own headers.
    """

    start: int
    name: bytes
    is_directory: bool
    link: bytes | None = None
    number: int = 0
    tree: int = 0
    same: int = -1
    problems: tuple[str, ...] = ()


class Archive(Protocol):
    """A format. ``losses`` and ``notes`` are told when all was read: what is missing, and what is only odd."""

    losses: "Losses"
    notes: dict[str, None]

    def members(self) -> Iterator[Member]:
        """Yield the members in the order of the archive; what is damaged is passed over and noted in ``losses``."""

    def member(self, start: int) -> Member:
        """Return the member that begins there once more; ValueError or OSError where it cannot be read again."""

    def node(self, start: int) -> Node:
        """Return what the member that begins there says; ValueError or OSError where it cannot be read (again)."""

    def extents(self, start: int) -> Iterator[Extent]:
        """Yield where a member's bytes are, however many runs they have."""


class Losses:
    """Holds what could not be read of an archive, as sentences: the first of them, and how many there are."""

    def __init__(self) -> None:
        """Begin with none."""
        self._told: list[str] = []
        self._count = 0

    def add(self, reason: str) -> None:
        """Note one."""
        self._count += 1
        if len(self._told) < _MOST_TOLD:
            self._told.append(reason)

    @property
    def is_flood(self) -> bool:
        """Whether there are so many that the rest of the archive is given up."""
        return self._count > _MOST_LOSSES

    def __bool__(self) -> bool:
        """Say whether there are any."""
        return bool(self._count)

    def __str__(self) -> str:
        """Return them as one sentence: their number comes first, since who writes it down may cut it."""
        return (f"{self._count} times: " if self._count > 1 else "") + "; ".join(self._told)


class Blocks(NamedTuple):
    """Small reads of a window that follow on each other: headers lie between the bytes of files."""

    window: Window
    kept: dict[int, bytes]

    def read(self, position: int, size: int) -> bytes:
        """Return the bytes, fewer at the end of the window; OSError where they cannot be had."""
        place = position % _BLOCK
        if place + size > _BLOCK:
            return self.window.read_at(position, size)
        start = position - place
        block = self.kept.get(start)
        if block is None:
            try:
                block = self.window.read_at(start, _BLOCK)
            except OSError:  # it holds a bad sector: what is asked for may be beside it
                return self.window.read_at(position, size)
            if len(self.kept) >= 16:
                self.kept.pop(next(iter(self.kept)))
            self.kept[start] = block
        return block[place : place + size]


def steps(position: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the range in parts, as (place, size): a small one first, since what is looked for is mostly near."""
    size = _BLOCK
    while position < end:
        size = min(size, end - position)
        yield position, size
        position += size
        size = _LARGE_STEP


def first_used(window: Window, position: int, end: int, sign: Callable[[], None]) -> int | None:
    """Return the first place in a range that is not NUL, None where all is; what does not read counts as used."""
    for start, size in steps(position, end):
        sign()
        try:
            data = window.read_at(start, size)
        except OSError:
            return start
        rest = data.lstrip(b"\0")
        if rest:
            return start + len(data) - len(rest)
    return None


def components(name: bytes) -> list[bytes]:
    """Return the components of a member's name: no ``.``, none that is empty; ``..`` stays what it is, a name."""
    return [part for part in name.split(b"/") if part not in (b"", b".")]
