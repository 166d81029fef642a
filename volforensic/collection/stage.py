"""The collection stage: every artifact's files are found in the inventory, parsed in workers, and become records.

It yields values and writes nothing: records in batches, the stored bytes of each file for extraction, problems, and at
the end the coverage of every artifact on every volume.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from volforensic.collection.coverage import CoverageCounts
from volforensic.collection.definitions import Artifact
from volforensic.collection.host import Host
from volforensic.collection.matching import HostView, Matched, OddFile, Parse, match_source
from volforensic.collection.namespace import HostPaths, Namespace
from volforensic.collection.parsing import Parsed, ParsingArguments, ParsingMessage, Rows, Stored
from volforensic.collection.records import Records
from volforensic.evidence.layout import VolumeFacts
from volforensic.inventory.entry import FileEntry
from volforensic.inventory.store import Inventory
from volforensic.record import Coverage, Problem, Row, text_fields
from volforensic.sandbox.confinement import Limits
from volforensic.sandbox.pieces import Again, LostItem, work_on
from volforensic.sandbox.pool import Pool, Task

_FILES_PER_TASK = 64
_BYTES_PER_TASK = 4 << 20
_MOST_FOLLOWED = 1000
_MOST_ROUNDS = 16


class RecordBatch(NamedTuple):
    """Records of one artifact on one host (by its number), in their order."""

    artifact: str
    host: int
    rows: list[Row]


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
    source: int
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
    followed: dict[str, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    for artifact in in_order(artifacts):
        records = Records(artifact)
        taken: set[tuple[int, bytes]] = set()
        seen_patterns: set[tuple[int, int, str]] = set()
        for _ in range(_MOST_ROUNDS):
            matched = list(_matched(evidence, artifact, followed, taken, seen_patterns))
            if not matched:
                break
            for event in _parsed(evidence, matched, records, counts):
                if isinstance(event, RecordBatch):
                    _note_followed(artifact, event, followed)
                yield event
        yield from counts.coverage(artifact.name, list(evidence.volumes))


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


def _matched(
    evidence: Evidence,
    artifact: Artifact,
    followed: dict[str, dict[int, list[str]]],
    taken: set[tuple[int, bytes]],
    seen: set[tuple[int, int, str]],
) -> Iterator[Matched]:
    """Yield what has not been matched yet: all in the first round, then what the records name that came of it."""
    for host_number, host in enumerate(evidence.hosts):
        view = HostView(host_number, host, Namespace(evidence.inventory, host.trees), evidence.paths)
        for source_number, source in enumerate(artifact.sources):
            patterns = source.paths or followed[source.follow or ""][host_number]
            new = [pattern for pattern in patterns if (host_number, source_number, pattern) not in seen]
            seen.update((host_number, source_number, pattern) for pattern in new)
            yield from match_source(artifact, source, new, view, taken)


def _note_followed(artifact: Artifact, batch: RecordBatch, followed: dict[str, dict[int, list[str]]]) -> None:
    """Keep the values of list fields: globs that another artifact's source, or this one's, may follow."""
    for field in (name for name, kind in artifact.fields.items() if kind == "list"):
        patterns = followed[f"{artifact.name}.{field}"][batch.host]
        for row in batch.rows:
            for pattern in row.get(field, ()):
                if isinstance(pattern, str) and pattern.startswith(("/", "~/")) and len(patterns) < _MOST_FOLLOWED:
                    patterns.append(pattern)


def _parsed(
    evidence: Evidence, matched: list[Matched], records: Records, counts: CoverageCounts
) -> Iterator[CollectionEvent]:
    parses = []
    for match in matched:
        if isinstance(match, Parse):
            parses.append(match)
        elif isinstance(match, OddFile):
            counts.file(match.artifact, match.entry.volume)
            yield RecordBatch(match.artifact, match.host, records.of(match.entry, match.path, [match.row()]))
        else:
            counts.lost(match.artifact or "", match.volume or 0, match.reason)
            yield match

    def task_of(piece: Sequence[Parse]) -> Task:
        size = sum(parse.task.entry.size for parse in piece)
        return Task(
            function="volforensic.collection.parsing:parse_files",
            arguments=ParsingArguments(files=[parse.task for parse in piece], volumes=evidence.volumes),
            message_type=ParsingMessage,
            source=evidence.source,
            limits=Limits(processor_seconds=60 + 4 * min(size >> 20, 10_000)),
        )

    current = _FileInHand()
    for parse, message in work_on(evidence.pool, _pieces(parses), task_of):
        yield from current.take(parse, message, records, counts)


class _FileInHand:
    """Holds how far the file in hand has come, so that a second try gives only what the first did not."""

    def __init__(self) -> None:
        self._rows = self._bytes = 0
        self._skip_rows = self._skip_bytes = 0

    def take(
        self, parse: Parse, message: object, records: Records, counts: CoverageCounts
    ) -> Iterator[CollectionEvent]:
        entry = parse.task.entry
        if isinstance(message, Again):
            self._skip_rows, self._skip_bytes = self._rows, self._bytes
            self._rows = self._bytes = 0
        elif isinstance(message, Stored):
            self._bytes += 1
            if self._bytes > self._skip_bytes:
                yield StoredBytes(parse.artifact, entry, message.position, message.data)
        elif isinstance(message, Rows):
            fresh = message.rows[max(0, self._skip_rows - self._rows) :]
            self._rows += len(message.rows)
            counts.rows(parse.artifact, entry.volume, fresh)
            yield RecordBatch(parse.artifact, parse.host, records.of(entry, parse.path, fresh))
        elif isinstance(message, (Parsed, LostItem)):
            yield from _end(parse, message, counts)
            self.__init__()  # type: ignore[misc]  # the next file begins at nothing


def _end(parse: Parse, message: Parsed | LostItem, counts: CoverageCounts) -> Iterator[CollectionEvent]:
    entry = parse.task.entry
    losses = message.losses if isinstance(message, Parsed) else [(0, entry.size, message.reason)]
    counts.file(parse.artifact, entry.volume)
    for offset, length, reason in losses:
        counts.lost(parse.artifact, entry.volume, reason)
        yield Problem(
            stage="collection",
            reason=reason,
            artifact=parse.artifact,
            volume=entry.volume,
            inode=entry.inode,
            offset=offset,
            length=length,
            **text_fields("source", parse.path),
        )
    yield FileEnd(parse.artifact, entry, parse.path, is_whole=isinstance(message, Parsed) and message.is_whole)


def _pieces(parses: list[Parse]) -> Iterator[list[Parse]]:
    """Yield the files in batches: many small ones together, a large one alone."""
    piece: list[Parse] = []
    size = 0
    for parse in parses:
        if piece and (len(piece) >= _FILES_PER_TASK or size + parse.task.entry.size > _BYTES_PER_TASK):
            yield piece
            piece, size = [], 0
        piece.append(parse)
        size += parse.task.entry.size
    if piece:
        yield piece
