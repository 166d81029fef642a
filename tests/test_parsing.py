"""What a worker does with a file: bounded messages, extents that overlap, parsers that raise."""

import mmap
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from inventory_samples import entry
from media import medium_of

from volforensic.collection.content import LINE_LIMIT, SourceFile
from volforensic.collection.parsing import (
    LARGEST_HOLE,
    LARGEST_MESSAGE,
    MOST_UNPARSED,
    FileTask,
    Parsed,
    ParsingArguments,
    ParsingMessage,
    Rows,
    Stored,
    parse_files,
)
from volforensic.evidence.layout import VolumeFacts
from volforensic.evidence.node import Extent
from volforensic.inventory.entry import FileEntry
from volforensic.sandbox.worker import Workplace


def parsed(tmp_path: Path, image: bytes, file: FileEntry, lines: str = r"(?P<word>\S+)") -> list[ParsingMessage]:
    path = tmp_path / "image"
    path.write_bytes(image)
    task = FileTask(entry=file, file=SourceFile(path=file.path, size=file.size), lines=lines, fields={"word": "string"})
    facts = VolumeFacts(offset=0, length=len(image), kind="ext4")
    arguments = ParsingArguments(files=[task], volumes={1: facts})
    with mmap.mmap(-1, mmap.PAGESIZE) as page:
        place = Workplace(medium_of(os.open(path, os.O_RDONLY)), page, None)
        return list(parse_files(place, msgspec.to_builtins(arguments)))


def whole(data: bytes, **values: Any) -> FileEntry:
    return entry(b"/log", **{"size": len(data), "extents": (Extent(0, 0, len(data)),), **values})


def end(messages: list[ParsingMessage]) -> Parsed:
    assert isinstance(messages[-1], Parsed)
    return messages[-1]


def rows(messages: list[ParsingMessage]) -> list[dict[str, Any]]:
    lines = [line for message in messages if isinstance(message, Rows) for line in message.lines.splitlines()]
    return [msgspec.json.decode(line) for line in lines]


def test_bytes_rows_and_the_end(tmp_path: Path) -> None:
    data = b"one\ntwo\n"
    messages = parsed(tmp_path, data, whole(data))
    assert messages[0] == Stored(0, 0, data)
    assert [row["word"] for row in rows(messages)] == ["one", "two"]
    assert end(messages) == Parsed(0, [], is_whole=True)


def test_long_lines_of_noise_make_no_message_that_ends_the_worker(tmp_path: Path) -> None:
    """Each line that is not UTF-8 takes five times its bytes: some hundreds would be more than a frame may hold."""
    data = (b"\xff" * (LINE_LIMIT - 1) + b"\n") * 200
    messages = parsed(tmp_path, data, whole(data), lines="(?P<word>x)")
    assert len(rows(messages)) == 200
    assert all(len(message.lines) <= LARGEST_MESSAGE for message in messages if isinstance(message, Rows))
    assert end(messages).losses == []


def test_extents_that_lie_over_each_other_are_cut_to_the_volume(tmp_path: Path) -> None:
    data = b"line\n" * 1000
    extents = tuple(Extent(number * len(data), 0, len(data)) for number in range(10_000))
    messages = parsed(tmp_path, data, whole(data, size=len(data) * 10_000, extents=extents))
    assert len(rows(messages)) == 1000
    (loss,) = end(messages).losses
    assert (loss.offset, "more bytes than the volume" in loss.reason, end(messages).is_whole) == (
        len(data),
        True,
        False,
    )


def test_a_vast_hole_is_parsed_and_not_extracted(tmp_path: Path) -> None:
    data = b"head\ntail\n"
    extents = (Extent(0, 0, 5), Extent(LARGEST_HOLE * 2, 5, 5))
    messages = parsed(tmp_path, data, whole(data, size=LARGEST_HOLE * 2 + 5, extents=extents))
    assert [row["position"] for row in rows(messages)] == [0, LARGEST_HOLE * 2]
    assert not [message for message in messages if isinstance(message, Stored)]
    assert (end(messages).losses, end(messages).is_whole, "not extracted" in end(messages).remark) == ([], False, True)


def test_the_source_ends_before_the_file(tmp_path: Path) -> None:
    data = b"one\ntwo\n"
    messages = parsed(tmp_path, data, whole(data, size=100, extents=(Extent(0, 4, 4), Extent(4, 4096, 4))))
    assert [row["word"] for row in rows(messages)] == ["two"]
    assert (len(end(messages).losses), end(messages).is_whole) == (1, False)


def test_what_a_parser_raises_costs_the_rest_of_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def raising(_content: object) -> Any:
        yield {"position": 0, "word": "kept"}
        yield {"position": 1, "word": 1 << 70}
        yield {"position": 2, "word": "\ud800"}
        yield {"position": 3, "word": "kept too"}
        raise MemoryError

    monkeypatch.setattr(FileTask, "read", lambda _self: raising)
    messages = parsed(tmp_path, b"x", whole(b"x"))
    assert [row["word"] for row in rows(messages) if isinstance(row["word"], str)] == ["kept", "kept too"]
    assert any("MemoryError" in loss.reason for loss in end(messages).losses)


def test_lines_beyond_understanding_are_counted_and_hide_nothing_behind_them(tmp_path: Path) -> None:
    data = b"-\n" * (MOST_UNPARSED + 5000) + b"word\n-\nword\n"
    messages = parsed(tmp_path, data, whole(data), lines="(?P<word>w.*)")
    found = rows(messages)
    assert [row["word"] for row in found if "word" in row] == ["word", "word"]
    assert sum("unparsed" in row for row in found) == MOST_UNPARSED
    (loss,) = end(messages).losses
    assert (loss.offset, loss.reason) == (MOST_UNPARSED * 2, "5001 more lines were not understood and are not listed")
