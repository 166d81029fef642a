"""A disk that is put together from pieces of other media: the reading that all mapped containers share.

A format says where the bytes at a position are (``Finder``); here they are fetched: what is contiguous in one read,
what is not there as zeros, what is lost as ``EIO``.
"""

import bisect
import errno
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

from volforensic.evidence.containers.container import Fault, NoteFault
from volforensic.medium import Medium

_PAGE = 32 << 10
_PAGES_KEPT = 512
_NOTED_MOST = 10_000
_TOLD_TOGETHER = 4096


class Piece(NamedTuple):
    """Where the bytes at a position are, and how many lie there in a row.

    Without a ``medium`` they are zeros, or lost where there is a ``reason``. ``is_padded``: what lies behind the end of
    the medium reads as zeros (a parent that is smaller than its child); else it is lost.
    """

    length: int
    medium: Medium | None = None
    offset: int = 0
    is_padded: bool = False
    reason: str = ""


Finder = Callable[[int], Piece]
"""Gives the piece that begins at a position of the disk; it has at least one byte."""


def unreadable(reason: str) -> OSError:
    """Return the error for bytes that cannot be had."""
    return OSError(errno.EIO, reason)


class StoredError(OSError):
    """What is stored for a whole piece cannot be had: an ``EIO`` that is told as a fault of the piece."""

    def __init__(self, reason: str) -> None:
        """Give the reason."""
        super().__init__(errno.EIO, reason)
        self.strerror: str = reason


class Unit(NamedTuple):
    """What is only had as a whole, by its key: the pieces of a compressed cluster read from it."""

    fetch: Callable[[int], bytes]
    key: int

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return len(self.fetch(self.key))

    def read_at(self, position: int, size: int) -> bytes:
        """Return the bytes; see ``Medium``. StoredError where the whole cannot be had."""
        return self.fetch(self.key)[position : position + size]


class Pages:
    """The tables of a file, read in pages that are kept, 16 MiB of them at most."""

    def __init__(self, medium: Medium) -> None:
        """Read nothing yet."""
        self.size = medium.size
        self._medium = medium
        self._page = lru_cache(_PAGES_KEPT)(self._read_page)

    def _read_page(self, number: int) -> bytes:
        return self._medium.read_at(number * _PAGE, _PAGE)

    def read(self, offset: int, size: int) -> bytes:
        """Return ``size`` bytes at ``offset``, for small sizes; ``EIO`` where they end outside the file."""
        if offset < 0 or offset + size > self.size:
            raise unreadable(f"a table entry at byte {offset} lies outside the file, which has {self.size}")
        number, start = divmod(offset, _PAGE)
        if start + size > _PAGE:
            return self._medium.read_at(offset, size)
        try:
            return self._page(number)[start : start + size]
        except OSError:  # one bad sector of the page is not the others
            return self._medium.read_at(offset, size)


class Noted:
    """Tells of each range once, in whatever parts it is asked for: of what is lost, and of what is odd."""

    def __init__(self, note: NoteFault) -> None:
        """Begin with nothing told."""
        self._note = note
        self._told: dict[bool, tuple[list[int], list[int]]] = {True: ([], []), False: ([], [])}

    def knows(self, position: int, length: int, *, lost: bool = True) -> bool:
        """Return whether the range was told, or nothing more is: after ten thousand of them only ``EIO`` tells."""
        starts, ends = self._told[lost]
        index = bisect.bisect_right(starts, position)
        is_told = index > 0 and ends[index - 1] >= position + length
        return is_told or len(starts) >= _NOTED_MOST

    def tell(self, position: int, length: int, reason: str, *, lost: bool = True) -> None:
        """Note a range of the disk unless it was told."""
        if self.knows(position, length, lost=lost):
            return
        starts, ends = self._told[lost]
        end = position + length
        self._note(Fault(position=position, length=length, reason=reason, lost=lost))
        index = bisect.bisect_right(starts, position)
        if index and ends[index - 1] >= position:
            ends[index - 1] = max(end, ends[index - 1])
        else:
            starts.insert(index, position)
            ends.insert(index, end)


class MappedMedium:
    """A disk of ``size`` bytes whose pieces a finder knows."""

    def __init__(self, size: int, find: Finder, noted: Noted) -> None:
        """Keep what finds the pieces and what is told of those that are lost."""
        self._size = size
        self._find = find
        self._noted = noted

    @property
    def size(self) -> int:
        """How many bytes the disk has."""
        return self._size

    def read_at(self, position: int, size: int) -> bytes:
        """Return the bytes, fewer at the end; see ``Medium``."""
        end = min(position + size, self._size)
        if position < 0 or end <= position:
            return b""
        return b"".join(self._fetched(start, piece) for start, piece in self._runs(position, end))

    def _runs(self, position: int, end: int) -> Iterator[tuple[int, Piece]]:
        """Yield the pieces of a range with their positions; those that follow each other in a medium as one."""
        start, run = position, self._find(position)
        position += run.length
        while position < end:
            piece = self._find(position)
            if _continues(run, piece):
                run = run._replace(length=run.length + piece.length)
            else:
                yield start, run
                start, run = position, piece
            position += piece.length
        yield start, run._replace(length=min(run.length, end - start))

    def _fetched(self, position: int, piece: Piece) -> bytes:
        if piece.reason:
            self._tell_whole(position, piece.length, piece.reason)
            raise unreadable(piece.reason)
        if piece.medium is None:
            return bytes(piece.length)
        try:
            data = piece.medium.read_at(piece.offset, piece.length)
        except StoredError as error:
            self._tell_whole(position, piece.length, error.strerror)
            raise
        if len(data) == piece.length:
            return data
        missing = piece.length - len(data)
        if piece.is_padded:
            return data + bytes(missing)
        reason = f"{missing} bytes at byte {piece.offset + len(data)} lie outside the file"
        self._noted.tell(position + len(data), missing, reason)
        raise unreadable(reason)

    def _tell_whole(self, position: int, length: int, reason: str) -> None:
        """Tell of what is lost as far as it goes, not only as far as was asked for: one fault, not one a sector."""
        if self._noted.knows(position, length):
            return
        piece = self._find(position)
        end = position + piece.length
        for _ in range(_TOLD_TOGETHER if piece.reason else 0):
            following = self._find(end) if end < self._size else None
            if following is None or following.reason != reason:
                break
            end += following.length
        self._noted.tell(position, min(end, self._size) - position, reason)


def _continues(run: Piece, piece: Piece) -> bool:
    if run.medium is not piece.medium or run.reason != piece.reason:
        return False
    return run.medium is None or (run.offset + run.length == piece.offset and run.is_padded == piece.is_padded)
