"""The worker's side of the files stage: each file's bytes are read once, by its extents, and examined."""

from collections.abc import Iterator
from functools import cache, partial

import msgspec

from volforensic.evidence.digests import algorithm_names, hashes_of
from volforensic.evidence.layout import VolumeFacts
from volforensic.evidence.node import Extent
from volforensic.inventory.candidates import is_examined_by_head
from volforensic.inventory.examination import WINDOW_SIZE, Examination, Tools, examine, examine_bytes
from volforensic.inventory.file_bytes import Loss, OpenFilesystem, filesystem_opener, filled, merged, stored_chunks
from volforensic.inventory.neighbours import Neighbours
from volforensic.inventory.scanner import RuleSet
from volforensic.sandbox.worker import Workplace

LARGEST_HOLE = 8 << 30
"""Bytes of holes of one file that are hashed."""
_HEAD_SIZE = 4096
_RESULTS_PER_MESSAGE = 256
_BYTES_PER_MESSAGE = 32 << 20
_RESULT_BYTES = 4 << 20
_MOST_KNOWN = 16384


class FileJob(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A file to examine: where its bytes are, what its place on the host asks for.

    ``wanted`` is 0 where its first bytes decide whether it is examined, 1 where it is, 2 where its texts are searched
    for names too. ``algorithms`` has a bit for each of ``OPTIONAL_ALGORITHMS``.
    """

    volume: int
    tree: int
    inode: int
    size: int
    extents: tuple[Extent, ...] | None
    wanted: int
    algorithms: int = 0


class ExaminationArguments(msgspec.Struct, frozen=True, kw_only=True):
    """Files (a ``list[FileJob]`` in MessagePack), the volumes that they lie in, compiled YARA rules (not evidence)."""

    jobs: bytes
    volumes: dict[int, VolumeFacts]
    rules: bytes


class Outcome(msgspec.Struct, frozen=True, array_like=True):
    """What came of a file: None where its first bytes were not worth more; which of its bytes were not read."""

    examination: Examination | None
    losses: list[Loss] = []


class ExaminationMessage(msgspec.Struct, frozen=True, array_like=True):
    """What came of the file ``index`` of the batch and of those that follow it."""

    index: int
    results: list[Outcome]


def examine_files(place: Workplace, arguments: object) -> Iterator[ExaminationMessage]:
    """Yield what comes of the files, in their order: worker function, ``ExaminationArguments``.

    ``prepared`` is libmagic's cookie.
    """
    given = msgspec.convert(arguments, ExaminationArguments)
    jobs = msgspec.msgpack.decode(given.jobs, type=list[FileJob])
    examiner = _Examiner(place, given, jobs)
    results: list[Outcome] = []
    weight = 0
    for index, job in enumerate(jobs):
        outcome = examiner.examine(index, job)
        results.append(outcome)
        weight += job.size + (
            _RESULT_BYTES if outcome.losses or (outcome.examination and outcome.examination.matches) else 0
        )
        if len(results) >= _RESULTS_PER_MESSAGE or weight > _BYTES_PER_MESSAGE:
            yield ExaminationMessage(index + 1 - len(results), results)
            results, weight = [], 0
    if results:
        yield ExaminationMessage(len(jobs) - len(results), results)


class _Examiner:
    """Holds what the files of one batch share: rules, open filesystems, what was found about the same bytes before."""

    def __init__(self, place: Workplace, given: ExaminationArguments, jobs: list[FileJob]) -> None:
        self._place = place
        self._neighbours = Neighbours(place.source, jobs)
        self._filesystem: OpenFilesystem = filesystem_opener(place.source, given.volumes)
        rules = RuleSet.deserialize(given.rules) if given.rules else None

        @cache
        def tools(algorithms: int) -> Tools:
            return Tools(rules, place.prepared, algorithm_names(algorithms))

        self._tools = tools
        self._verified = frozenset(volume for volume, facts in given.volumes.items() if facts.is_verified)
        self._known: dict[tuple[str, int, bool], Examination] = {}

    def examine(self, index: int, job: FileJob) -> Outcome:
        self._place.begin_item(index)
        self._place.wait_for(self._neighbours.end(index, WINDOW_SIZE), index)
        if job.volume in self._verified:  # through its filesystem, which compares the checksums and knows other copies
            job = msgspec.structs.replace(job, extents=None)
        if not job.wanted and not is_examined_by_head(self._head(job), job.size):
            return Outcome(None)
        tools, is_named = self._tools(job.algorithms), job.wanted > 1
        data = self._neighbours.read(index) if job.size <= WINDOW_SIZE and job.extents is not None else None
        if data is not None:
            return Outcome(self._examine_bytes(data, job, tools, is_named=is_named))
        losses: list[Loss] = []
        blocks = stored_chunks(self._place.source, job, self._filesystem, losses)
        pieces = filled(blocks, job.size, LARGEST_HOLE, losses, partial(self._place.begin_item, index))
        found = examine(pieces, job.size, tools, is_named=is_named)
        return Outcome(found, merged(losses))

    def _examine_bytes(self, data: bytes, job: FileJob, tools: Tools, *, is_named: bool) -> Examination:
        """Examine a file that is there whole; what was found about the same bytes before is true of them again."""
        hashes = hashes_of(data, tools.others)
        key = (hashes.sha256, job.algorithms, is_named)
        found = self._known.get(key)
        if found is None:
            found = examine_bytes(data, hashes, tools, is_named=is_named)
            if len(self._known) < _MOST_KNOWN and not found.matches:
                self._known[key] = found
        return found

    def _head(self, job: FileJob) -> bytes:
        """Return a file's first bytes; empty where they do not read (the file costs no more than that here)."""
        if job.extents:
            first = job.extents[0]
            job = msgspec.structs.replace(job, extents=(first._replace(length=min(first.length, _HEAD_SIZE)),))
        block = next(stored_chunks(self._place.source, job, self._filesystem, []), None)
        return block.data[:_HEAD_SIZE] if block is not None and block.position == 0 else b""
