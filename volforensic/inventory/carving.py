"""Carving: what lies in a stretch of space that no file has, by signature and by YARA, in one read. In a worker.

A file begins at a block of its filesystem, so each block's first bytes are looked at; its bytes are taken to follow
each other, which a filesystem mostly sees to and never promises. YARA sees every byte that is not NUL; a match outside
of what was carved gives the blocks around it.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from volforensic.inventory.carved_elf import elf_span
from volforensic.inventory.carved_text import Line, identify_text, lines_at
from volforensic.inventory.examination import Examination, Tools, examine
from volforensic.inventory.scanner import Match, RuleSet, ScanError
from volforensic.sandbox.worker import Workplace

WINDOW_SIZE = 8 << 20
OVERLAP_SIZE = 64 << 10
"""Bytes of a window that are scanned again with the next, for what lies across the border."""
MOST_PIECES = 2000
"""Pieces of one stretch."""
LARGEST_PIECE = 256 << 20
LARGEST_TEXT = 4 << 20
_CHUNK = 64 << 10
_AROUND = 256 << 10
_READ_SIZE = 4 << 20
_HITS_PER_RULE = 16
_ZEROS = bytes(_CHUNK)
_FIRST_OF_TEXT = re.compile(rb"[\x7f\t\n!-~]")
_NOT_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_SAMPLE, _SHORTEST_TEXT = 64, 12


class SpaceRun(msgspec.Struct, frozen=True, array_like=True):
    """A run of the source to look at, and where the free run that it is a part of ends: a piece may reach so far."""

    offset: int
    length: int
    end: int


class Stretch(msgspec.Struct, frozen=True, kw_only=True):
    """Runs that are read as one item, the size of the blocks there, and where block 0 lies."""

    runs: list[SpaceRun]
    block_size: int
    origin: int


class CarvingArguments(msgspec.Struct, frozen=True, kw_only=True):
    """Stretches to carve and the compiled YARA rules (our own: not evidence)."""

    stretches: list[Stretch]
    rules: bytes


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """A piece found: its kind, where in the source, what its bytes are; ``notes`` say what speaks against it."""

    kind: str
    offset: int
    length: int
    examination: Examination
    lines: list[Line] = []
    notes: list[str] = []


class PieceFound(msgspec.Struct, frozen=True, tag=True):
    """A piece of the stretch ``index`` of the task."""

    index: int
    piece: Piece


class StretchDone(msgspec.Struct, frozen=True, tag=True):
    """The stretch ``index`` was read: ranges of the source that were not looked at, with the reason."""

    index: int
    lost: list[tuple[int, int, str]] = []


CarvingMessage = PieceFound | StretchDone


def carve(place: Workplace, arguments: object) -> Iterator[PieceFound | StretchDone]:
    """Yield the pieces of each stretch: worker function, ``CarvingArguments``; ``prepared`` is libmagic's cookie."""
    given = msgspec.convert(arguments, CarvingArguments)
    rules = RuleSet.deserialize(given.rules)
    for index, stretch in enumerate(given.stretches):
        carver = _Carver(place, index, stretch, rules)
        for count, piece in enumerate(carver.pieces()):
            if count >= MOST_PIECES:
                rest = max(run.offset + run.length for run in stretch.runs) - piece.offset
                carver.lost.append((piece.offset, rest, f"more than {MOST_PIECES} pieces: the rest was left out"))
                break
            yield PieceFound(index, piece)
        yield StretchDone(index, carver.lost[:100])


class _Segment(NamedTuple):
    """Bytes of a window: where in it, where in the source, how many.

    What begins at ``limit`` or behind is another stretch's; the free run goes on to ``end``.
    """

    position: int
    offset: int
    length: int
    limit: int
    end: int


class _Carver:
    """Holds one stretch: what reads it, and what was found in it so far."""

    def __init__(self, place: Workplace, index: int, stretch: Stretch, rules: RuleSet) -> None:
        self.lost: list[tuple[int, int, str]] = []
        self._place = place
        self._index = index
        self._stretch = stretch
        self._rules = rules
        self._tools = Tools(rules, place.prepared)
        self._found: list[Piece] = []
        self._text_end = 0
        self._reached = 0

    def pieces(self) -> Iterator[Piece]:
        for data, segments in self._windows():
            self._place.begin_item(self._index)
            for segment in segments:
                for piece in self._at_blocks(data, segment):
                    self._found.append(piece)
                    yield piece
                self._reached = max(self._reached, segment.offset + segment.length)
            for piece in self._by_rules(data, segments):
                self._found.append(piece)
                yield piece
            begin = segments[0].offset
            self._found = [piece for piece in self._found if piece.offset + piece.length > begin]

    def _windows(self) -> Iterator[tuple[bytes, list[_Segment]]]:
        """Yield what is not NUL bytes, up to ``WINDOW_SIZE`` at once; small runs share a window."""
        parts: list[bytes] = []
        segments: list[_Segment] = []
        size = 0
        for run in self._stretch.runs:
            start, limit = run.offset, run.offset + run.length
            last = min(run.end, limit + OVERLAP_SIZE)  # a match may begin here and end in the next stretch
            while start < limit:
                wanted = min(WINDOW_SIZE, last - start)
                data = self._read(start, wanted)
                for begin, end in _filled(data):
                    segments.append(_Segment(size, start + begin, end - begin, limit, run.end))
                    parts.append(data if (begin, end) == (0, len(data)) else data[begin:end])
                    size += end - begin
                if size >= WINDOW_SIZE // 2:
                    yield (parts[0] if len(parts) == 1 else b"".join(parts)), segments
                    parts, segments, size = [], [], 0
                start += wanted if start + wanted >= last else wanted - OVERLAP_SIZE
        if segments:
            yield b"".join(parts), segments

    def _read(self, offset: int, size: int) -> bytes:
        self._place.begin_item(self._index)
        try:
            data = self._place.source.read_at(offset, size)
        except OSError as error:
            self.lost.append((offset, size, f"read error: {error.strerror}"))
            return b""
        if len(data) < size:
            self.lost.append((offset + len(data), size - len(data), "the source ends here"))
        return data

    def _at_blocks(self, data: bytes, segment: _Segment) -> Iterator[Piece]:
        """Yield what begins at a block of the segment that no window before had."""
        step = self._stretch.block_size
        first = segment.position + -(segment.offset - self._stretch.origin) % step
        end = segment.position + segment.length
        for found in _FIRST_OF_TEXT.finditer(data[first:end:step]):
            position = first + found.start() * step
            offset = segment.offset + position - segment.position
            if offset < self._reached or offset >= segment.limit:
                continue
            if data.startswith(b"\x7fELF", position):
                yield from self._elf(offset, segment.end)
            elif offset >= self._text_end and _is_text(data, position, min(position + _SAMPLE, end)):
                yield from self._text(data, position, segment)

    def _elf(self, offset: int, end: int) -> Iterator[Piece]:
        span = elf_span(lambda position, size: self._within(offset + position, size, end))
        if span is None:
            return
        notes = ["its blocks are taken to follow each other"]
        if span.doubt:
            notes.append(span.doubt)
        length = min(span.size, LARGEST_PIECE, end - offset)
        if length < span.size:
            notes.append(f"it has {span.size} bytes by its headers, and only {length} of them are here")
        yield self._piece("elf", offset, length, notes)

    def _text(self, data: bytes, position: int, segment: _Segment) -> Iterator[Piece]:
        """Yield the run of text that begins here, where it is something that is looked for."""
        offset = segment.offset + position - segment.position
        end = segment.position + segment.length
        stop = _NOT_TEXT.search(data, position, end)
        text = data[position : stop.start() if stop else end][:LARGEST_TEXT]
        while stop is None and len(text) < LARGEST_TEXT and offset + len(text) < segment.end:
            more = self._within(offset + len(text), _CHUNK, segment.end)
            stop = _NOT_TEXT.search(more)
            text += more[: stop.start()] if stop else more
            if not more:
                break
        self._text_end = offset + len(text)
        found = identify_text(text)
        if found is None:
            return
        notes = ["its blocks are taken to follow each other"] if len(text) > self._stretch.block_size else []
        if len(text) >= LARGEST_TEXT:
            notes.append(f"it was cut after {LARGEST_TEXT} bytes")
        yield self._piece(found.kind, offset, len(text), notes, lines_at(offset, found.lines))

    def _by_rules(self, data: bytes, segments: list[_Segment]) -> Iterator[Piece]:
        """Yield the blocks around matches that lie in no piece of which the same rule was told."""
        try:
            matches = self._rules.scan(data)
        except ScanError as error:
            last = segments[-1]
            begin = segments[0].offset
            self.lost.append((begin, last.offset + last.length - begin, f"not scanned: {error}"))
            return
        for match in matches:
            for string in match.strings[:_HITS_PER_RULE]:
                segment = next((each for each in reversed(segments) if each.position <= string.offset), segments[0])
                offset = segment.offset + string.offset - segment.position
                if offset < segment.limit and not self._is_told(match, offset):
                    yield from self._around(data, string.offset, segment, match.rule)

    def _is_told(self, match: Match, offset: int) -> bool:
        return any(
            piece.offset <= offset < piece.offset + piece.length and match.rule in piece.examination.yara
            for piece in self._found
        )

    def _around(self, data: bytes, position: int, segment: _Segment, rule: str) -> Iterator[Piece]:
        """Yield the blocks around a match, up to the next of NUL bytes; nothing where the rule does not match them."""
        step = self._stretch.block_size
        low = max(segment.position, position - _AROUND)
        high = min(segment.position + segment.length, position + _AROUND)
        first = position - (segment.offset + position - segment.position - self._stretch.origin) % step
        start, end = max(low, first), min(high, first + step)
        empty = bytes(step)
        while start - step >= low and data[start - step : start] != empty:
            start -= step
        while end < high and data[end : end + step] != empty:
            end = min(high, end + step)
        offset = segment.offset + start - segment.position
        found = examine([data[start:end]], end - start, self._tools)
        if rule in found.yara:
            note = "the blocks around the match, not a whole file"
            yield Piece(kind="yara", offset=offset, length=end - start, examination=found, notes=[note])

    def _piece(self, kind: str, offset: int, length: int, notes: list[str], lines: list[Line] | None = None) -> Piece:
        pieces = self._parts(offset, length)
        examination = examine(pieces, length, self._tools)
        return Piece(kind=kind, offset=offset, length=length, examination=examination, lines=lines or [], notes=notes)

    def _parts(self, offset: int, length: int) -> Iterator[bytes]:
        for start in range(0, length, _READ_SIZE):
            yield self._read(offset + start, min(_READ_SIZE, length - start))

    def _within(self, offset: int, size: int, end: int) -> bytes:
        """Return bytes of the free run that ends at ``end``; fewer there, none on a read error."""
        return self._read(offset, max(0, min(size, end - offset))) if offset < end else b""


def _is_text(data: bytes, position: int, end: int) -> bool:
    """Return whether text begins here: some bytes of it, up to the sample's end or to NUL bytes behind a short one."""
    stop = _NOT_TEXT.search(data, position, end)
    return stop is None or (stop[0] == b"\0" and stop.start() - position >= _SHORTEST_TEXT)


def _filled(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the parts of the bytes that are not chunks of NUL bytes."""
    begin = -1
    for start in range(0, len(data), _CHUNK):
        is_empty = not data[start] and data[start : start + _CHUNK] == _ZEROS[: len(data) - start]
        if is_empty and begin >= 0:
            yield begin, start
            begin = -1
        elif not is_empty and begin < 0:
            begin = start
    if begin >= 0:
        yield begin, len(data)
