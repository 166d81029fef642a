"""What a container's tables say of its file, before a byte of the disk is read: where they point outside, what is lost.

Without it a cut container would only show where somebody reads.
"""

from collections.abc import Iterator
from typing import NamedTuple

from volforensic.evidence.containers.mapped import Finder, Unit
from volforensic.record import Problem

_PIECES_CHECKED, _LOST_PIECES_MOST = 1 << 20, 1 << 14
_RANGES_GIVEN = 64


class _Range(NamedTuple):
    start: int
    end: int
    reason: str
    is_lost: bool = True


class NoParent:
    """A parent that has no bytes: what a child leaves to its parent is not the child's loss."""

    size = 0

    def read_at(self, position: int, size: int) -> bytes:
        """Give nothing."""
        del position, size
        return b""


def table_problems(size: int, find: Finder, base: int = 0) -> Iterator[Problem]:
    """Yield a problem for each range of the disk that cannot be read by what the tables say.

    ``size`` bytes are checked, which begin at ``base`` of the disk: the first 1048576 pieces of them, or fewer where
    16384 are lost. Of more than 64 ranges the rest are told as one.
    """
    further: list[_Range] = []
    for number, each in enumerate(_joined(_lost(size, find))):
        if number >= _RANGES_GIVEN and each.is_lost:
            further = [*further[:1], each]
            continue
        yield _problem(each, base)
    if further:
        first, last = further[0], further[-1]
        reason = f"more ranges cannot be read, all of them between these bytes; the first: {first.reason}"
        yield _problem(_Range(first.start, last.end, reason), base)


def _problem(each: _Range, base: int) -> Problem:
    return Problem(
        stage="source", reason=each.reason, lost=each.is_lost, offset=base + each.start, length=each.end - each.start
    )


def _lost(size: int, find: Finder) -> Iterator[_Range]:
    position = lost = 0
    for _ in range(_PIECES_CHECKED):
        if position >= size or lost > _LOST_PIECES_MOST:
            break
        piece = find(position)
        end = min(size, position + piece.length)
        if piece.reason:
            lost += 1
            yield _Range(position, end, piece.reason)
        elif piece.medium is not None and not piece.is_padded and not isinstance(piece.medium, Unit):
            missing = piece.offset + end - position - piece.medium.size
            if missing > 0:
                reason = f"what is stored of it lies outside the file, which has {piece.medium.size} bytes"
                yield _Range(end - min(missing, end - position), end, reason)
        position = end
    reason = "the container's tables were checked beforehand up to here only"
    if position < size:
        yield _Range(position, size, reason, is_lost=False)


def _joined(ranges: Iterator[_Range]) -> Iterator[_Range]:
    """Yield ranges that follow each other as one, with the first one's reason."""
    kept: _Range | None = None
    for each in ranges:
        if kept is not None and kept.end == each.start and kept.is_lost == each.is_lost:
            kept = kept._replace(end=each.end)
            continue
        if kept is not None:
            yield kept
        kept = each
    if kept is not None:
        yield kept
