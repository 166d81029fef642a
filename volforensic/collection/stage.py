"""The collection stage: every artifact's files are found in the inventory, parsed in workers, and become records.

It yields values and writes nothing: records in batches, the stored bytes of each file for extraction, problems, and at
the end the coverage of every artifact on every volume.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from volforensic.collection.coverage import CoverageCounts
from volforensic.collection.definitions import Artifact
from volforensic.collection.host import Host
from volforensic.collection.matching import Matched, OddFile, Parse, host_views
from volforensic.collection.namespace import HostPaths
from volforensic.collection.parsing import LARGEST_HOLE, Parsed, ParsingArguments, ParsingMessage, Rows, Stored
from volforensic.collection.records import Batch, Records, encoded_rows
from volforensic.collection.search import Followed, Search, unread_forms
from volforensic.evidence.layout import VolumeFacts
from volforensic.inventory.entry import FileEntry
from volforensic.inventory.file_bytes import Loss
from volforensic.inventory.store import Inventory
from volforensic.record import Coverage, Problem, Row, container_of, text_fields
from volforensic.sandbox.confinement import Limits
from volforensic.sandbox.messages import SourceHandle
from volforensic.sandbox.pieces import Again, LostItem, work_on
from volforensic.sandbox.pool import Pool, Task

PARSE_FILES = "volforensic.collection.parsing:parse_files"
_FILES_PER_TASK = 64
_LARGEST_OUTPUT = 8 << 30  # the rows of logs that were compressed
_OUTPUT_FACTOR = 8  # a file's bytes as stored, and its rows
_BYTES_PER_TASK = 4 << 20


class RecordBatch(NamedTuple):
    """Records of one artifact on one host (by its number) in their order, as lines of JSON."""

    artifact: str
    host: int
    batch: Batch

    @property
    def rows(self) -> list[Row]:
        """The records, decoded."""
        return [msgspec.json.decode(line) for line in self.batch.lines.splitlines()]


class StoredBytes(NamedTuple):
    """Bytes of an artifact's file as stored, at a position; what lies between two of them is a hole."""

    artifact: str
    entry: FileEntry
    position: int
    data: bytes


class FileEnd(NamedTuple):
    """An artifact's file is done. ``is_whole``: all its stored bytes came."""

    artifact: str
    entry: FileEntry
    path: bytes
    is_whole: bool


CollectionEvent = RecordBatch | StoredBytes | FileEnd | Problem | Coverage


class Evidence(NamedTuple):
    """What collection works on: the workers, the source's descriptor, the inventory, the hosts and the volumes."""

    pool: Pool
    source: SourceHandle
    inventory: Inventory
    hosts: Sequence[Host]
    volumes: dict[int, VolumeFacts]
    paths: HostPaths


def collect(
    evidence: Evidence, artifacts: Sequence[Artifact], doubtful: frozenset[int] = frozenset()
) -> Iterator[CollectionEvent]:
    """Yield everything that the artifacts' files hold, artifact by artifact.

    ``doubtful`` are volumes whose inventory is not complete: there nothing is called absent.
    """
    counts = CoverageCounts(doubtful)
    followed = Followed()
    views = list(host_views(evidence.inventory, evidence.hosts, evidence.paths))
    for artifact in in_order(artifacts):
        records = Records(artifact)
        search = Search(artifact, views)
        while matched := list(search.next_round(followed)):
            for event in _parsed(evidence, matched, records, counts):
                if isinstance(event, RecordBatch):
                    followed.note(artifact, event.host, event.batch.rows)
                yield event
        for problem in (*followed.problems(artifact), *search.problems()):
            if problem.lost:
                counts.lost(artifact.name, (problem.volume or 0, ""), problem.reason)
            yield problem
        yield from unread_forms(artifact, views, counts)
        places = [(volume, "") for volume in evidence.volumes]
        places += [(view.host.root.volume, view.label) for view in views if view.label]
        yield from counts.coverage(artifact.name, places)


def in_order(artifacts: Sequence[Artifact]) -> list[Artifact]:
    """Return the artifacts by name, each after those whose fields it follows."""
    names = {artifact.name: artifact for artifact in artifacts}
    ordered: dict[str, Artifact] = {}

    def place(artifact: Artifact, above: frozenset[str]) -> None:
        for source in artifact.sources:
            before = (source.follow or "").partition(".")[0]
            if before in names and before not in ordered and before not in above:
                place(names[before], above | {before})
        ordered.setdefault(artifact.name, artifact)

    for name in sorted(names):
        place(names[name], frozenset({name}))
    return list(ordered.values())


def _parsed(
    evidence: Evidence, matched: list[Matched], records: Records, counts: CoverageCounts
) -> Iterator[CollectionEvent]:
    parses = []
    for match in matched:
        if isinstance(match, Parse):
            parses.append(match)
        elif isinstance(match, OddFile):
            counts.file(match.artifact, match.place)
            batch = records.of(match.entry, match.path, encoded_rows([match.row()]))
            counts.batch(match.artifact, match.place, batch)
            yield RecordBatch(match.artifact, match.host, batch)
        else:
            if match.lost:
                place = match.volume or 0, container_of(match.source)
                counts.lost(match.artifact or "", place, match.reason)
            yield match

    def task_of(piece: Sequence[Parse]) -> Task:
        size = sum(stored_size(parse.task.entry) for parse in piece)
        return Task(
            function=PARSE_FILES,
            arguments=ParsingArguments(files=[parse.task for parse in piece], volumes=evidence.volumes),
            message_type=ParsingMessage,
            source=evidence.source,
            limits=Limits(
                processor_seconds=60 + 4 * min(size >> 20, 10_000), output=_LARGEST_OUTPUT + _OUTPUT_FACTOR * size
            ),
        )

    current = _FileInHand()
    for parse, message in work_on(evidence.pool, _pieces(parses), task_of, last=Parsed):
        yield from current.take(parse, message, records, counts)
        if isinstance(message, (Parsed, LostItem)):
            current = _FileInHand()


class _FileInHand:
    """Holds how far the file in hand has come, so that a second try gives only what the first did not."""

    def __init__(self) -> None:
        self._rows = self._bytes = 0
        self._skip_rows = self._skip_bytes = 0
        self._end = self._holes = 0

    def take(
        self, parse: Parse, message: object, records: Records, counts: CoverageCounts
    ) -> Iterator[CollectionEvent]:
        entry = parse.task.entry
        if isinstance(message, Again):
            self._skip_rows, self._skip_bytes = self._rows, self._bytes
            self._rows = self._bytes = self._end = self._holes = 0
        elif isinstance(message, Stored):
            self._bytes += 1
            self._reach(message.position, len(message.data))
            if self._bytes > self._skip_bytes and self._holes <= LARGEST_HOLE:
                yield StoredBytes(parse.artifact, entry, message.position, message.data)
        elif isinstance(message, Rows):
            batch = records.of(entry, parse.path, message.lines, max(0, self._skip_rows - self._rows))
            self._rows += message.count
            counts.batch(parse.artifact, parse.place, batch)
            yield RecordBatch(parse.artifact, parse.host, batch)
            if batch.refused:
                yield _problem(parse, f"{batch.refused} rows are not what the definition declares")
        elif isinstance(message, (Parsed, LostItem)):
            self._reach(entry.size, 0)
            yield from _end(parse, message, counts, is_extracted=self._holes <= LARGEST_HOLE)

    def _reach(self, position: int, length: int) -> None:
        """Count the holes: a worker that was taken over must not have the case filled with zeros."""
        self._holes += max(0, position - self._end)
        self._end = max(self._end, position + length)


def _end(
    parse: Parse, message: Parsed | LostItem, counts: CoverageCounts, *, is_extracted: bool
) -> Iterator[CollectionEvent]:
    entry = parse.task.entry
    losses = message.losses if isinstance(message, Parsed) else [Loss(0, entry.size, message.reason)]
    counts.file(parse.artifact, parse.place)
    for loss in losses:
        counts.lost(parse.artifact, parse.place, loss.reason)
        yield _problem(parse, loss.reason, offset=loss.offset, length=loss.length)
    if isinstance(message, Parsed) and message.remark:
        yield _problem(parse, message.remark, lost=False)
    is_whole = isinstance(message, Parsed) and message.is_whole and is_extracted
    yield FileEnd(parse.artifact, entry, parse.path, is_whole=is_whole)


def _problem(
    parse: Parse, reason: str, *, lost: bool = True, offset: int | None = None, length: int | None = None
) -> Problem:
    return Problem(
        stage="collection",
        reason=reason,
        lost=lost,
        artifact=parse.artifact,
        volume=parse.task.entry.volume,
        inode=parse.task.entry.inode,
        offset=offset,
        length=length,
        **text_fields("source", parse.path),
    )


def stored_size(entry: FileEntry) -> int:
    """Return how many bytes of a file are there to be read: a sparse file's size says little."""
    return max(0, entry.size) if entry.extents is None else sum(extent.length for extent in entry.extents)


def _pieces(parses: list[Parse]) -> Iterator[list[Parse]]:
    """Yield the files in batches: many small ones together, a large one alone."""
    piece: list[Parse] = []
    size = 0
    for parse in parses:
        own = stored_size(parse.task.entry)
        if piece and (len(piece) >= _FILES_PER_TASK or size + own > _BYTES_PER_TASK):
            yield piece
            piece, size = [], 0
        piece.append(parse)
        size += own
    if piece:
        yield piece
