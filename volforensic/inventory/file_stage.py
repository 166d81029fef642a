"""The files stage: files worth it are hashed, typed and scanned in workers, in the order of the disk."""

import re
from collections.abc import Iterator, Sequence

import msgspec

from volforensic.evidence.layout import VolumeFacts
from volforensic.inventory.candidates import is_examined_by_head, is_examined_whole
from volforensic.inventory.entry import FileEntry
from volforensic.inventory.examination import Examination, examine
from volforensic.inventory.file_bytes import Loss, OpenFilesystem, filesystem_opener, stored_chunks
from volforensic.inventory.scanner import RuleSet
from volforensic.record import Problem, text_fields
from volforensic.sandbox.confinement import GIBIBYTE, Limits
from volforensic.sandbox.pieces import LostItem, work_on
from volforensic.sandbox.pool import Pool, Task
from volforensic.sandbox.worker import Workplace

LARGEST_HOLE = GIBIBYTE
_HEAD_SIZE = 4096
_FILES_PER_TASK = 4000
_BYTES_PER_TASK = GIBIBYTE
_FILE_COST = 64 << 10  # what opening one more file counts for, in bytes
# A YARA engine maps gigabytes that it never touches; what it writes to is limited like everything else.
_LIMITS = Limits(memory=GIBIBYTE, address_space=0, processor_seconds=900, item_seconds=60, output=GIBIBYTE)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SECONDS_PER_GIBIBYTE, _MOST_GIBIBYTES = 30, 2000
_MOST_PROBLEMS = 50  # of one file, one by one


class ExaminedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file to examine: its entry, its path on the host, and whether its first bytes still decide."""

    entry: FileEntry
    path: bytes
    is_whole: bool


class ExaminationArguments(msgspec.Struct, frozen=True, kw_only=True):
    """A batch of files, the volumes that they lie in, the compiled YARA rules (our own: not evidence)."""

    files: list[ExaminedFile]
    volumes: dict[int, VolumeFacts]
    rules: bytes


class ExaminationMessage(msgspec.Struct, frozen=True, array_like=True):
    """What came of the file ``index`` of the batch; None where its first bytes were not worth more."""

    index: int
    examination: Examination | None


class Examined(msgspec.Struct, frozen=True, kw_only=True):
    """A file and what its bytes are."""

    entry: FileEntry
    examination: Examination


def examine_files(place: Workplace, arguments: object) -> Iterator[ExaminationMessage]:
    """Yield a message for each file: worker function, ``ExaminationArguments``; ``prepared`` is libmagic's cookie."""
    given = msgspec.convert(arguments, ExaminationArguments)
    rules = RuleSet.deserialize(given.rules)
    filesystem = filesystem_opener(place.source, given.volumes)
    for index, file in enumerate(given.files):
        place.begin_item(index)
        entry = file.entry
        losses: list[Loss] = []
        if not file.is_whole and not is_examined_by_head(_head(place, entry, filesystem), entry.size):
            yield ExaminationMessage(index, None)
            continue
        result = examine(_pieces(place, index, entry, filesystem, losses), entry.size, rules, place.prepared)
        if losses:
            noted = [f"bytes {loss.offset} to {loss.offset + loss.length}: {loss.reason}" for loss in losses[:20]]
            result = msgspec.structs.replace(result, problems=[*result.problems, *noted])
        yield ExaminationMessage(index, result)


def examine_inventory(
    pool: Pool, source: int, files: Iterator[tuple[FileEntry, bytes]], volumes: dict[int, VolumeFacts], rules: bytes
) -> Iterator[FileEntry | Examined | Problem]:
    """Yield each examined file, and the entry of each file that was looked at and not worth it, in physical order.

    ``files`` are regular files with their paths on the host. A file that ends its worker twice is a problem.
    """

    def task_of(piece: Sequence[ExaminedFile]) -> Task:
        gibibytes = min(sum(max(0, file.entry.size) for file in piece) >> 30, _MOST_GIBIBYTES)
        return Task(
            function="volforensic.inventory.file_stage:examine_files",
            prepare="volforensic.inventory.magic_edge:prepare",
            arguments=ExaminationArguments(files=list(piece), volumes=volumes, rules=rules),
            message_type=ExaminationMessage,
            source=source,
            limits=msgspec.structs.replace(
                _LIMITS, processor_seconds=_LIMITS.processor_seconds + _SECONDS_PER_GIBIBYTE * gibibytes
            ),
            check=_ExaminationCheck(),
        )

    for file, message in work_on(pool, _batches(files), task_of, last=ExaminationMessage):
        if isinstance(message, LostItem):
            yield _problem(file, f"the file could not be examined: {message.reason}")
        elif isinstance(message, ExaminationMessage):
            if message.examination is None:
                yield file.entry
                continue
            yield Examined(entry=file.entry, examination=message.examination)
            for reason in message.examination.problems[:_MOST_PROBLEMS]:
                yield _problem(file, reason)


class _ExaminationCheck:
    """The check of what the worker says of a file's bytes."""

    def refused(self, message: ExaminationMessage) -> str:
        found = message.examination
        if found is None:
            return ""
        if not _SHA256.fullmatch(found.sha256) or found.size_read < 0:
            return "a file's hash or size is none"
        return ""

    def missing(self) -> str:
        return ""


def _batches(files: Iterator[tuple[FileEntry, bytes]]) -> Iterator[list[ExaminedFile]]:
    batch: list[ExaminedFile] = []
    size = 0
    for entry, host_path in files:
        if not entry.size:
            continue
        batch.append(ExaminedFile(entry=entry, path=host_path, is_whole=is_examined_whole(entry, host_path)))
        size += max(0, entry.size) + _FILE_COST
        if len(batch) >= _FILES_PER_TASK or size >= _BYTES_PER_TASK:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _pieces(
    place: Workplace, index: int, entry: FileEntry, filesystem: OpenFilesystem, losses: list[Loss]
) -> Iterator[bytes]:
    """Yield the file's bytes in order, holes as NUL bytes up to ``LARGEST_HOLE``; what is beyond is a loss."""
    position = holes = 0
    for block in stored_chunks(place.source, entry, filesystem, losses):
        place.begin_item(index)
        if block.position > position:
            holes += block.position - position
            if holes > LARGEST_HOLE:
                losses.append(Loss(position, entry.size - position, f"holes of more than {LARGEST_HOLE} bytes"))
                return
            yield from _zeros(block.position - position)
        yield block.data[max(0, position - block.position) :]
        position = max(position, block.position + len(block.data))
    rest = entry.size - position
    if 0 < rest <= LARGEST_HOLE - holes:
        yield from _zeros(rest)
    elif rest > 0:
        losses.append(Loss(position, rest, f"holes of more than {LARGEST_HOLE} bytes"))


def _zeros(size: int) -> Iterator[bytes]:
    step = 4 << 20
    for start in range(0, size, step):
        yield bytes(min(step, size - start))


def _head(place: Workplace, entry: FileEntry, filesystem: OpenFilesystem) -> bytes:
    """Return a file's first bytes; empty where they do not read (the file costs no more than that here)."""
    if entry.extents:
        first = entry.extents[0]
        entry = msgspec.structs.replace(entry, extents=(first._replace(length=min(first.length, _HEAD_SIZE)),))
    block = next(stored_chunks(place.source, entry, filesystem, []), None)
    return block.data[:_HEAD_SIZE] if block is not None and block.position == 0 else b""


def _problem(file: ExaminedFile, reason: str) -> Problem:
    entry = file.entry
    return Problem(
        stage="files", reason=reason, volume=entry.volume, inode=entry.inode, **text_fields("source", file.path)
    )
