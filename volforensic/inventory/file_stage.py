"""The files stage: every file is hashed, typed and scanned in workers, in the order of the disk, each inode once."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from volforensic.evidence.layout import VolumeFacts
from volforensic.inventory.candidates import is_examined_whole, is_searched_for_names
from volforensic.inventory.entry import FileEntry
from volforensic.inventory.examination import Examination
from volforensic.inventory.file_bytes import Loss
from volforensic.inventory.file_worker import ExaminationArguments, ExaminationMessage, FileJob, Outcome
from volforensic.record import Problem, Row, text_fields
from volforensic.sandbox.batches import work_in_batches
from volforensic.sandbox.confinement import GIBIBYTE, Limits
from volforensic.sandbox.messages import SourceHandle
from volforensic.sandbox.pieces import LostItem
from volforensic.sandbox.pool import Pool, Task

_FILES_PER_TASK = 12_000
_BYTES_PER_TASK = GIBIBYTE
_FILE_COST = 16 << 10  # what opening one more file counts for, in bytes
# A YARA engine maps gigabytes that it never touches; what it writes to is limited like everything else.
_LIMITS = Limits(memory=GIBIBYTE, address_space=0, processor_seconds=900, item_seconds=60, output=GIBIBYTE)
_SECONDS_PER_GIBIBYTE, _MOST_GIBIBYTES = 30, 2000
_MOST_LOSSES = 50  # of one file, one by one
_WANTED_BY_HEAD, _WANTED, _WANTED_WITH_NAMES = 0, 1, 2


class FileToExamine(NamedTuple):
    """A file, its path on the host, and a bit for each of ``OPTIONAL_ALGORITHMS`` that is wanted of it."""

    entry: FileEntry
    path: bytes
    algorithms: int = 0


class Examined(msgspec.Struct, frozen=True, kw_only=True):
    """A file and what its bytes are; ``examination`` is None where its first bytes were not worth more.

    ``losses`` are the byte ranges that were not read: they count as NUL bytes in the hashes, like those that the
    filesystem's damage hides. Those that are not lost came and have a wrong checksum: the hash is of them as they are.
    """

    entry: FileEntry
    examination: Examination | None
    losses: list[Loss] = []

    def row(self) -> Row:
        """Return the keys that the inventory's row gets. Hashes of a file that did not read whole are no file's hashes.

        They are told by other names, ``sha256_partial`` and so on.
        """
        if self.examination is None:
            return {}
        row = self.examination.row()
        if any(loss.is_lost for loss in self.losses) or not self.entry.has_all_runs:
            for name in ("sha256", *self.examination.others):
                row[f"{name}_partial"] = row.pop(name)
        if self.losses or not self.entry.has_all_runs:
            row["problems"] = [*row.get("problems", ()), *map(str, self.losses[:_MOST_LOSSES])]
        return row


def examine_inventory(  # noqa: PLR0913 - what the workers need, and what is wanted of them
    pool: Pool,
    source: SourceHandle,
    files: Iterator[FileToExamine],
    volumes: dict[int, VolumeFacts],
    rules: bytes,
    *,
    every_file: bool = True,
    reach: Callable[[int], int] | None = None,
) -> Iterator[Examined | Problem]:
    """Yield each file that was looked at, in the order given, and a problem for whatever was not read of one.

    Args:
        pool: The workers.
        source: The source's descriptor.
        files: Regular files in physical order. Empty ones are passed over; of the names of one inode the first counts.
        volumes: The volumes that they lie in.
        rules: Compiled YARA rules; none (``b""``) leave YARA out.
        every_file: Whether every file is examined, or those that is_examined_whole or their first bytes choose.
        reach: Tells up to which byte the source may be read, given the byte that is waited for: files behind it wait.
    """

    def task_of(piece: Sequence[FileToExamine]) -> Task:
        gibibytes = min(sum(max(0, file.entry.size) for file in piece) >> 30, _MOST_GIBIBYTES)
        jobs = [_job(file, every_file=every_file) for file in piece]
        return Task(
            function="volforensic.inventory.file_worker:examine_files",
            prepare="volforensic.inventory.magic_edge:prepare",
            arguments=ExaminationArguments(jobs=msgspec.msgpack.encode(jobs), volumes=volumes, rules=rules),
            message_type=ExaminationMessage,
            source=source,
            limits=msgspec.structs.replace(
                _LIMITS, processor_seconds=_LIMITS.processor_seconds + _SECONDS_PER_GIBIBYTE * gibibytes
            ),
            check=_ExaminationCheck(),
            reach=reach,
        )

    for file, outcome in work_in_batches(pool, _batches(_each_inode_once(files)), task_of):
        if isinstance(outcome, LostItem):
            yield _problem(file, f"the file could not be examined: {outcome.reason}")
            continue
        yield Examined(entry=file.entry, examination=outcome.examination, losses=outcome.losses)
        if outcome.examination is not None:
            yield from _problems(file, outcome)


class _ExaminationCheck:
    """The check of what the worker says of files' bytes."""

    def refused(self, message: ExaminationMessage) -> str:
        return next(filter(None, (one.examination.refused() for one in message.results if one.examination)), "")

    def missing(self) -> str:
        return ""


def _job(file: FileToExamine, *, every_file: bool) -> FileJob:
    entry = file.entry
    wanted = _WANTED if every_file or is_examined_whole(entry, file.path) else _WANTED_BY_HEAD
    if is_searched_for_names(entry, file.path):
        wanted = _WANTED_WITH_NAMES
    return FileJob(entry.volume, entry.tree, entry.inode, entry.size, entry.extents, wanted, file.algorithms)


def _each_inode_once(files: Iterator[FileToExamine]) -> Iterator[FileToExamine]:
    linked: set[tuple[int, int, int]] = set()
    for file in files:
        entry = file.entry
        if entry.links > 1:
            identity = (entry.volume, entry.tree, entry.inode)
            if identity in linked:
                continue
            linked.add(identity)
        yield file


def _batches(files: Iterator[FileToExamine]) -> Iterator[list[FileToExamine]]:
    batch: list[FileToExamine] = []
    size = 0
    for file in files:
        if not file.entry.size:
            continue
        batch.append(file)
        size += max(0, file.entry.size) + _FILE_COST
        if len(batch) >= _FILES_PER_TASK or size >= _BYTES_PER_TASK:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _problems(file: FileToExamine, outcome: Outcome) -> Iterator[Problem]:
    for loss in outcome.losses[:_MOST_LOSSES]:
        yield _problem(file, loss.reason, loss)
    if len(outcome.losses) > _MOST_LOSSES:
        rest = outcome.losses[_MOST_LOSSES:]
        yield _problem(file, f"{len(rest)} more ranges, {sum(loss.length for loss in rest)} bytes, were not read")
    for reason in outcome.examination.problems[:_MOST_LOSSES] if outcome.examination else ():
        yield _problem(file, reason)


def _problem(file: FileToExamine, reason: str, loss: Loss | None = None) -> Problem:
    entry = file.entry
    return Problem(
        stage="files",
        reason=reason,
        lost=loss is None or loss.is_lost,
        volume=entry.volume,
        inode=entry.inode,
        offset=None if loss is None else loss.offset,
        length=None if loss is None else loss.length,
        **text_fields("source", file.path),
    )
