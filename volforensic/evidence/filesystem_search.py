"""Filesystems found by their signatures where no table leads to them: in gaps, and on disks whose table is gone.

One pass over the bytes, in pieces: of each sector of 512 bytes only the places are looked at where a signature may
begin, so that bytes that hold none cost next to nothing. What has a signature is judged by ``recognise``.
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from volforensic.evidence.reader import Window
from volforensic.evidence.signatures import Filesystem, recognise
from volforensic.evidence.superblock_places import SIGNATURES, Claim
from volforensic.record import Problem

MOST_BYTES = 16 << 40
"""How much is searched at most, in bytes."""

_PIECE = 4 << 20
_ZEROS = bytes(_PIECE)
_SECTOR = 512
_MOST_LOOKS = 200_000
_MOST_CLAIMS = 20_000
_MOST_FOUND = 1000
_MOST_UNREAD = 100
_BEGINNINGS = {
    place: (
        re.compile(b"[" + b"".join({re.escape(one.magic[:1]) for one in SIGNATURES if one.place == place}) + b"]"),
        tuple(one for one in SIGNATURES if one.place == place),
    )
    for place in {one.place for one in SIGNATURES}
}


class FoundFilesystem(NamedTuple):
    """A filesystem that was found: its first byte in the window, its length as far as the window goes, what it is.

    ``inside`` is the first byte of a found one in whose range it begins: an image in a file of that one, most likely.
    None where it stands by itself.
    """

    offset: int
    length: int
    filesystem: Filesystem
    inside: int | None = None


def search_filesystems(
    window: Window, begin_item: Callable[[int], None], most: int = MOST_BYTES
) -> Iterator[FoundFilesystem | Problem]:
    """Yield the filesystems in the window by their first byte, then what was not searched.

    ``begin_item`` is told the byte that has been reached, now and then. Bytes behind the first ``most`` are not
    searched: a disk may say of itself that it has an exbibyte.
    """
    search = _Search(window)
    for position in range(0, min(window.length, most), _PIECE):
        begin_item(position)
        for start, piece in search.read(position):
            if piece != _ZEROS[: len(piece)]:
                search.look_at(start, piece)
    yield from _apart(sorted(search.found.values(), key=lambda one: (one.offset, -one.length)), window)
    yield from search.problems()
    if window.length > most:
        reason = f"only the first {most} bytes were searched for filesystems"
        yield _told(reason, most, window.length - most, lost=True)


class _Search:
    """What was found so far, by first byte, and what could not be searched."""

    def __init__(self, window: Window) -> None:
        self.found: dict[int, FoundFilesystem] = {}
        self._window = window
        self._refused: set[tuple[int, tuple[str, ...]]] = set()
        self._looks = 0
        self._unread: list[tuple[int, int, str]] = []
        self._tables: list[int] = []

    def read(self, position: int) -> Iterator[tuple[int, bytes]]:
        """Yield a piece; in smaller ones where a part of it cannot be read."""
        sizes = (_PIECE, 64 << 10, 4096, _SECTOR)
        waiting = [(position, 0)]
        while waiting:
            start, level = waiting.pop()
            try:
                yield start, self._window.read_at(start, sizes[level])
            except OSError as error:
                if level + 1 == len(sizes) or len(self._unread) >= _MOST_UNREAD:
                    self._unread.append((start, sizes[level], error.strerror or str(error)))
                    continue
                end = min(start + sizes[level], self._window.length)
                following = range(start, end, sizes[level + 1])
                waiting.extend((place, level + 1) for place in reversed(following))

    def look_at(self, start: int, piece: bytes) -> None:
        """Look at every sector of a piece."""
        for place, (pattern, signatures) in _BEGINNINGS.items():
            for match in pattern.finditer(piece[place::_SECTOR]):
                sector = match.start() * _SECTOR
                for signature in signatures:
                    if piece.startswith(signature.magic, sector + place):
                        self._consider(start + sector, signature.look)
        place = piece.find(b"EFI PART")
        while place >= 0:
            if not place % _SECTOR and len(self._tables) < _MOST_FOUND:
                self._tables.append(start + place)
            place = piece.find(b"EFI PART", place + 1)

    def _consider(self, sector: int, look: Callable[[Window, int], Claim | None]) -> None:
        if self._is_over:
            return
        self._looks += 1
        try:
            claim = look(self._window, sector)
            if claim is None or not 0 <= claim.offset <= sector or claim.offset % _SECTOR:
                return
            if claim.offset in self.found or (claim.offset, claim.kinds) in self._refused:
                return
            found = self._recognised(claim) or _only_a_copy(claim, sector)
        except OSError:
            return  # the piece with the range that cannot be read is told
        if found is None:
            self._refused.add((claim.offset, claim.kinds))
        else:
            self.found[claim.offset] = found

    @property
    def _is_over(self) -> bool:
        return self._looks >= _MOST_LOOKS or len(self._refused) >= _MOST_CLAIMS or len(self.found) >= _MOST_FOUND

    def _recognised(self, claim: Claim) -> FoundFilesystem | None:
        room = self._window.length - claim.offset
        length = min(claim.length or room, room)
        # The whole room: a filesystem that is cut says so by being longer than its window.
        found = recognise(self._window._replace(offset=self._window.offset + claim.offset, length=length))
        if found is None or found.type not in claim.kinds:
            return None
        if "no backup was found" in found.remark or "checksum of the superblock is wrong" in found.remark:
            return None
        return FoundFilesystem(claim.offset, length if claim.length else 0, found)

    def problems(self) -> Iterator[Problem]:
        """Yield what was not searched, and the tables that were met."""
        for start, size, reason in self._unread:
            yield _told(f"these bytes were not searched for filesystems: {reason}", start, size, lost=True)
        if self._is_over:
            reason = f"{len(self.found)} filesystems and {self._looks} signatures: no more were looked at"
            yield _told(reason, 0, self._window.length, lost=True)
        for place in self._tables[:5]:
            yield _told("a copy of a GPT's header lies here", place, _SECTOR, lost=False)


def _only_a_copy(claim: Claim, sector: int) -> FoundFilesystem | None:
    """Return what a copy of the first sector of an XFS or NTFS tells of a filesystem whose own is gone."""
    if claim.kinds not in {("xfs",), ("ntfs",)} or claim.offset == sector:
        return None
    unread = f"its first sector is gone, a copy of it lies {sector - claim.offset} bytes behind its beginning"
    return FoundFilesystem(claim.offset, claim.length, Filesystem(type=claim.kinds[0], unread=unread))


def _apart(found: list[FoundFilesystem], window: Window) -> Iterator[FoundFilesystem]:
    """Yield what was found, with what lies in the range of another marked so; its own copies are left out.

    Of two that overlap the first holds its place, but for one that goes on behind its end and is larger.
    """
    kept: list[FoundFilesystem] = []
    inner: list[FoundFilesystem] = []
    for place, one in enumerate(found):
        following = next((other.offset for other in found[place + 1 :] if other.offset > one.offset), window.length)
        sized = one if one.length else one._replace(length=following - one.offset)
        before = kept[-1] if kept else None
        if before is None or before.offset + before.length <= sized.offset:
            kept.append(sized)
        elif sized.offset + sized.length > before.offset + before.length and sized.length > before.length:
            kept[-1] = sized
            inner.append(before._replace(inside=sized.offset))
        elif not _is_copy(sized, before):
            inner.append(sized._replace(inside=before.offset))
    yield from sorted([*kept, *inner], key=lambda one: one.offset)


def _is_copy(one: FoundFilesystem, other: FoundFilesystem) -> bool:
    """Return whether both are one filesystem: a superblock in its journal, a boot sector's copy at its end."""
    first, second = one.filesystem, other.filesystem
    same = (first.type, first.uuid) == (second.type, second.uuid)
    return same and (bool(first.uuid) or one.length == other.length)


def _told(reason: str, offset: int, length: int, *, lost: bool) -> Problem:
    return Problem(stage="layout", reason=reason, lost=lost, offset=offset, length=length)
