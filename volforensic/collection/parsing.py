"""Parsing files of artifacts: what a worker does with a batch of them."""

from collections.abc import Callable, Iterator
from functools import partial

import msgspec

from volforensic.collection.content import Content, SourceFile
from volforensic.collection.definitions import FieldType
from volforensic.collection.file_content import open_content
from volforensic.collection.readers import Parser, reader
from volforensic.collection.records import encoded_rows
from volforensic.evidence.layout import VolumeFacts
from volforensic.inventory.entry import FileEntry
from volforensic.inventory.file_bytes import Loss, OpenFilesystem, filesystem_opener, stored_chunks
from volforensic.record import Row
from volforensic.sandbox.worker import Workplace

ROWS_PER_MESSAGE = 2000
LARGEST_MESSAGE = 8 << 20
"""Bytes of one message of rows: well below the sandbox's own limit, which ends the worker."""
MOST_UNPARSED = 100_000
"""Lines of one file that were not understood and are kept; more are counted."""
LARGEST_HOLE = 64 << 20
"""Bytes of holes up to which a sparse file is extracted whole; a larger one is parsed and not extracted."""
TOO_SPARSE = f"parsed, but not extracted: its holes have more than {LARGEST_HOLE >> 20} MiB"


class FileTask(msgspec.Struct, frozen=True, kw_only=True):
    """One file to parse: the inventory's entry, what a parser may know, and how it is read (parser or lines)."""

    entry: FileEntry
    file: SourceFile
    parser: str | None = None
    lines: str = ""
    fields: dict[str, FieldType] = {}

    def read(self) -> Parser:
        """Return the function that reads this file."""
        return reader(self.parser, self.lines, self.fields)


class ParsingArguments(msgspec.Struct, frozen=True, kw_only=True):
    """A batch of files and the volumes that they lie in, by index."""

    files: list[FileTask]
    volumes: dict[int, VolumeFacts]


class Stored(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Bytes of the file as it is stored, at a position; a gap before them is a hole."""

    index: int
    position: int
    data: bytes


class Rows(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Rows of the parser, as lines of JSON, and how many there are."""

    index: int
    count: int
    lines: bytes


class Parsed(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """The file's end: what was lost, whether all stored bytes came, and a remark where it was not to be extracted."""

    index: int
    losses: list[Loss]
    is_whole: bool
    remark: str = ""


ParsingMessage = Stored | Rows | Parsed


def parse_files(place: Workplace, arguments: object) -> Iterator[ParsingMessage]:
    """Yield each file's stored bytes, then its rows, then its end: worker function, ``ParsingArguments``."""
    given = msgspec.convert(arguments, ParsingArguments)
    filesystem = filesystem_opener(place.source, given.volumes)
    for index, task in enumerate(given.files):
        place.begin_item(index)
        most = given.volumes[task.entry.volume].length
        for message in _one_file(place, index, task, filesystem, most):
            place.begin_item(index)
            yield message


def _one_file(
    place: Workplace, index: int, task: FileTask, filesystem: OpenFilesystem, most: int
) -> Iterator[ParsingMessage]:
    losses: list[Loss] = []
    task = _within(task, most, losses)
    holes, end = _holes(task.entry), 0
    if holes <= LARGEST_HOLE:
        holes = 0
        for block in stored_chunks(place.source, task.entry, filesystem, losses):
            holes += block.position - end
            if holes > LARGEST_HOLE:
                break
            yield Stored(index, block.position, block.data)
            end = block.position + len(block.data)
        holes += 0 if losses else task.entry.size - end
    is_sparse = holes > LARGEST_HOLE
    is_whole = not losses and not is_sparse
    content = open_content(place.source, task.entry, task.file, filesystem, partial(place.begin_item, index))
    for count, lines in _batches(task, content, losses, partial(place.begin_item, index)):
        yield Rows(index, count, lines)
    yield Parsed(index, list(dict.fromkeys([*losses, *content.losses])), is_whole, TOO_SPARSE if is_sparse else "")


def _within(task: FileTask, most: int, losses: list[Loss]) -> FileTask:
    """Return the task with its file's extents cut to ``most`` bytes, the size of the volume.

    Extents of one file may be made to lie over each other: an image of megabytes then holds a file of terabytes.
    """
    extents = task.entry.extents or ()
    for number, extent in enumerate(extents):
        most -= extent.length
        if most < 0:
            reason = "its extents hold more bytes than the volume: the rest was not read"
            losses.append(Loss(extent.file_offset, max(0, task.entry.size - extent.file_offset), reason))
            return msgspec.structs.replace(task, entry=msgspec.structs.replace(task.entry, extents=extents[:number]))
    return task


def _holes(entry: FileEntry) -> int:
    """Return the bytes of a file that are holes, as far as its extents tell."""
    return 0 if entry.extents is None else entry.size - sum(extent.length for extent in entry.extents)


def _batches(
    task: FileTask, content: Content, losses: list[Loss], sign_of_life: Callable[[], None]
) -> Iterator[tuple[int, bytes]]:
    """Yield the parser's rows in encoded batches with their number; an error of the parser ends them and is a loss."""
    rows: list[Row] = []
    try:
        for row in _listed(task.read()(content), losses, sign_of_life):
            rows.append(row)
            if len(rows) >= ROWS_PER_MESSAGE:
                yield from _encoded(rows, losses)
                rows = []
    except Exception as error:  # noqa: BLE001 - the boundary of one file: what came before stays
        reason = f"the parser ended early: {type(error).__name__}: {error}"[:300]
        losses.append(Loss(0, task.entry.size, reason))
    if rows:
        yield from _encoded(rows, losses)


def _listed(rows: Iterator[Row], losses: list[Loss], sign_of_life: Callable[[], None]) -> Iterator[Row]:
    """Yield the rows without very many lines that were not understood: a bomb of short lines would fill the case."""
    unparsed, first = 0, 0
    try:
        for row in rows:
            if "unparsed" in row:
                unparsed += 1
                if unparsed > MOST_UNPARSED:
                    first = first or row["position"]
                    if unparsed % ROWS_PER_MESSAGE == 0:
                        sign_of_life()
                    continue
            yield row
    finally:
        if unparsed > MOST_UNPARSED:
            reason = f"{unparsed - MOST_UNPARSED} more lines were not understood and are not listed"
            losses.append(Loss(first, 0, reason))


def _encoded(rows: list[Row], losses: list[Loss]) -> Iterator[tuple[int, bytes]]:
    """Yield the rows in as many pieces as keep each below ``LARGEST_MESSAGE``; a row that cannot be sent is a loss."""
    try:
        lines = encoded_rows(rows)
        reason = "" if len(lines) <= LARGEST_MESSAGE else f"a row of {len(lines)} bytes is too large"
    except (UnicodeEncodeError, OverflowError, TypeError, RecursionError, msgspec.MsgspecError) as error:
        lines, reason = b"", f"a row cannot be kept: {error}"[:300]
    if not reason:
        yield len(rows), lines
    elif len(rows) == 1:
        position = rows[0].get("position", 0)
        losses.append(Loss(position if isinstance(position, int) else 0, 0, reason))
    else:
        yield from _encoded(rows[: len(rows) // 2], losses)
        yield from _encoded(rows[len(rows) // 2 :], losses)
