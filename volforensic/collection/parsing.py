"""Parsing files of artifacts: what a worker does with a batch of them."""

from collections.abc import Iterator
from functools import partial
from itertools import chain

import msgspec

from volforensic.collection.content import SourceFile
from volforensic.collection.definitions import FieldType
from volforensic.collection.file_content import open_content
from volforensic.collection.line_patterns import compile_lines
from volforensic.collection.readers import Parser, resolve_parser
from volforensic.evidence.layout import VolumeFacts
from volforensic.inventory.entry import FileEntry
from volforensic.inventory.file_bytes import Loss, OpenFilesystem, filesystem_opener, stored_chunks
from volforensic.record import Row
from volforensic.sandbox.worker import Workplace

ROWS_PER_MESSAGE = 2000
LARGEST_HOLE = 1 << 30
"""Bytes of holes up to which a sparse file is extracted whole; a larger one is parsed and not extracted."""


class FileTask(msgspec.Struct, frozen=True, kw_only=True):
    """One file to parse: the inventory's entry, what a parser may know, and how it is read (parser or lines)."""

    entry: FileEntry
    file: SourceFile
    parser: str | None = None
    lines: str = ""
    fields: dict[str, FieldType] = {}

    def read(self) -> Parser:
        """Return the function that reads this file."""
        return resolve_parser(self.parser) if self.parser is not None else compile_lines(self.lines, self.fields)


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
    """Rows of the parser."""

    index: int
    rows: list[Row]


class Parsed(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """The file's end: byte ranges that were lost, as (offset, length, reason), and whether all stored bytes came."""

    index: int
    losses: list[tuple[int, int, str]]
    is_whole: bool


ParsingMessage = Stored | Rows | Parsed


def parse_files(place: Workplace, arguments: object) -> Iterator[ParsingMessage]:
    """Yield each file's stored bytes, then its rows, then its end: worker function, ``ParsingArguments``."""
    given = msgspec.convert(arguments, ParsingArguments)
    filesystem = filesystem_opener(place.source, given.volumes)
    for index, task in enumerate(given.files):
        stored_losses: list[Loss] = []
        stored = _stored(place, index, task.entry, filesystem, stored_losses)
        for message in chain(stored, _parsed(place, index, task, filesystem, stored_losses)):
            place.begin_item(index)
            yield message


def _stored(
    place: Workplace, index: int, entry: FileEntry, filesystem: OpenFilesystem, losses: list[Loss]
) -> Iterator[Stored]:
    place.begin_item(index)
    allocated = sum(extent.length for extent in entry.extents or ())
    if entry.extents is not None and entry.size - allocated > LARGEST_HOLE:
        losses.append(Loss(0, entry.size, "too sparse to be extracted"))
        return
    for block in stored_chunks(place.source, entry, filesystem, losses):
        yield Stored(index, block.position, block.data)


def _parsed(
    place: Workplace, index: int, task: FileTask, filesystem: OpenFilesystem, stored_losses: list[Loss]
) -> Iterator[Rows | Parsed]:
    sign_of_life = partial(place.begin_item, index)
    content = open_content(place.source, task.entry, task.file, filesystem, sign_of_life)
    losses: list[tuple[int, int, str]] = []
    rows: list[Row] = []
    try:
        for row in task.read()(content):
            rows.append(row)
            if len(rows) >= ROWS_PER_MESSAGE:
                yield Rows(index, rows)
                rows = []
    except Exception as error:  # noqa: BLE001 - the boundary of one file: what came before stays
        losses.append((0, task.entry.size, f"the parser ended early: {type(error).__name__}: {error}"[:300]))
    if rows:
        yield Rows(index, rows)
    losses.extend((loss.offset, loss.length, loss.reason) for loss in content.losses)
    yield Parsed(index, losses, not stored_losses)
