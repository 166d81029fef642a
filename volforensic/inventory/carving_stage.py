"""The carving stage: every byte that no file has is read once, in the order of the disk, and what is found is told."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from volforensic.evidence.free_space import Region
from volforensic.evidence.layout import Volume
from volforensic.evidence.space import Run
from volforensic.inventory.belonging import Belonging
from volforensic.inventory.carving import (
    CarvingArguments,
    CarvingMessage,
    Piece,
    PieceFound,
    SpaceRun,
    Stretch,
    StretchDone,
)
from volforensic.inventory.free_stage import FreeSpace
from volforensic.record import Problem, Row
from volforensic.sandbox.confinement import GIBIBYTE, Limits
from volforensic.sandbox.messages import SourceHandle
from volforensic.sandbox.pieces import Again, LostItem, work_on
from volforensic.sandbox.pool import Pool, Task

MOST_PIECES = 100_000
"""Pieces of one source."""
_SECTOR = 512
_STRETCH_SIZE = 64 << 20
_STRETCH_RUNS = 4096
_STRETCHES_PER_TASK = 4
# As in the files stage: a YARA engine maps gigabytes that it never touches.
_LIMITS = Limits(memory=GIBIBYTE, address_space=0, processor_seconds=1800, item_seconds=300, output=GIBIBYTE)
_KINDS = frozenset({"elf", "script", "miner configuration", "log", "crontab", "shell history", "yara"})


class Space(NamedTuple):
    """What to carve: its kind for the row, its volume, runs in order, the size of blocks, where block 0 lies."""

    kind: str
    volume: int | None
    runs: Iterable[Run]
    block_size: int
    origin: int


class _Item(NamedTuple):
    kind: str
    volume: int | None
    stretch: Stretch


def spaces_of(volumes: list[Volume], free: Iterable[FreeSpace], regions: Iterable[Region]) -> list[Space]:
    """Return everything that no file has, in the order of the source: free blocks, gaps, swap, what lies behind."""
    known = {volume.index: volume for volume in volumes}
    spaces = []
    for space in free:
        volume = known[space.volume]
        size = volume.filesystem.block_size if volume.filesystem else 0
        size = size if 512 <= size <= 65536 and not size & (size - 1) else _SECTOR
        spaces.append(Space("free blocks", space.volume, space, min(size, 4096), volume.offset))
        regions = [*regions, *([space.behind] if space.behind else [])]
    spaces += (
        Space(region.kind, region.volume, [Run(region.offset, region.length)], _SECTOR, region.offset)
        for region in regions
    )
    return sorted(spaces, key=lambda space: next((run.start for run in space.runs), 0))


def carve_spaces(
    pool: Pool, source: SourceHandle, spaces: Iterable[Space], belonging: Belonging, rules: bytes
) -> Iterator[Row | Problem]:
    """Yield a row for each piece that is found in the spaces, in their order, and a problem for what was not read.

    A row: ``kind`` (elf, script, miner configuration, log, crontab, shell history, yara), ``space`` (what it lies in),
    ``volume``, ``offset`` and ``length`` in the source, what an examined file has (``sha256``, ``mime``, ``family``,
    ``yara``, ``matches`` with offsets in the piece, ``references``, ``indicators``), ``lines`` (each with ``offset`` in
    the source and ``text``), ``notes`` (what is assumed, what speaks against it), ``may_belong_to`` (``path``,
    ``inode``, ``reason``).
    """

    def task_of(piece: Sequence[_Item]) -> Task:
        return Task(
            function="volforensic.inventory.carving:carve",
            prepare="volforensic.inventory.magic_edge:prepare",
            arguments=CarvingArguments(stretches=[item.stretch for item in piece], rules=rules),
            message_type=CarvingMessage,
            source=source,
            limits=_LIMITS,
            check=_CarvingCheck([item.stretch for item in piece]),
        )

    count = 0
    found: list[Piece] = []
    for item, message in work_on(pool, _tasks(spaces), task_of, last=StretchDone):
        if isinstance(message, Again):
            found = []
        elif isinstance(message, PieceFound):
            found.append(message.piece)
        else:
            yield from _problems(item, message)
            kept = sorted(found, key=lambda piece: (piece.offset, piece.kind))[: MOST_PIECES - count]
            yield from (_row(item, piece, belonging) for piece in kept)
            count += len(kept)
            found = []
            if count >= MOST_PIECES:
                first = item.stretch.runs[0].offset
                reason = f"more than {MOST_PIECES} pieces: from this byte on nothing was kept"
                yield Problem(stage="carving", reason=reason, volume=item.volume, offset=first)
                return


def _tasks(spaces: Iterable[Space]) -> Iterator[list[_Item]]:
    items: list[_Item] = []
    for space in spaces:
        for runs in _stretches(space.runs):
            stretch = Stretch(runs=runs, block_size=space.block_size, origin=space.origin)
            items.append(_Item(space.kind, space.volume, stretch))
            if len(items) >= _STRETCHES_PER_TASK:
                yield items
                items = []
    if items:
        yield items


def _stretches(runs: Iterable[Run]) -> Iterator[list[SpaceRun]]:
    """Yield the runs in lists of about ``_STRETCH_SIZE`` bytes; a larger run is cut."""
    stretch: list[SpaceRun] = []
    size = 0
    for start, length in runs:
        end = start + length
        position = start
        while position < end:
            part = min(_STRETCH_SIZE - size, end - position)
            stretch.append(SpaceRun(position, part, end))
            size += part
            position += part
            if size >= _STRETCH_SIZE or len(stretch) >= _STRETCH_RUNS:
                yield stretch
                stretch, size = [], 0
    if stretch:
        yield stretch


def _row(item: _Item, piece: Piece, belonging: Belonging) -> Row:
    row: Row = {"kind": piece.kind, "space": item.kind, "volume": item.volume}
    row |= {"offset": piece.offset, "length": piece.length, **piece.examination.row()}
    row["lines"] = [{"offset": line.offset, "text": line.text} for line in piece.lines]
    row["notes"] = [*piece.notes, *row.pop("problems", ())]
    row["may_belong_to"] = belonging.reasons(piece.kind, item.volume, piece.offset, piece.length)
    return row


def _problems(item: _Item, message: StretchDone | LostItem) -> Iterator[Problem]:
    if isinstance(message, LostItem):
        first, last = item.stretch.runs[0], item.stretch.runs[-1]
        length = last.offset + last.length - first.offset
        lost = [(first.offset, length, f"this space could not be carved: {message.reason}")]
    else:
        lost = message.lost
    for offset, length, reason in lost:
        yield Problem(stage="carving", reason=reason, volume=item.volume, offset=offset, length=length)


class _CarvingCheck:
    """The check of what a worker says that it found."""

    def __init__(self, stretches: list[Stretch]) -> None:
        self._ranges = [(stretch.runs[0].offset, max(run.end for run in stretch.runs)) for stretch in stretches]

    def refused(self, message: CarvingMessage) -> str:
        if isinstance(message, StretchDone):
            return ""
        piece = message.piece
        begin, end = self._ranges[message.index]
        if piece.kind not in _KINDS:
            return "a piece's kind is none"
        if piece.length <= 0 or piece.offset < begin or piece.offset + piece.length > end:
            return "a piece lies outside of what was looked at"
        return piece.examination.refused()

    def missing(self) -> str:
        return ""
