"""Streams: the same bytes for the same rows, whole or not there, and damage is told with its place."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volforensic.case import streams
from volforensic.case.files import PendingFile
from volforensic.case.streams import RowWriter, read_rows
from volforensic.errors import HostError, IntegrityError, UsageError
from volforensic.record import Problem, Row

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def write(path: Path, batches: list[list[Row]], *, clobber: bool = False) -> Path:
    compressed = path.suffix == ".zst"
    with RowWriter(PendingFile(path, clobber=clobber), compressed=compressed) as writer:
        for batch in batches:
            writer.write(batch)
    assert writer.count == sum(map(len, batches))
    return path


def sample(count: int) -> list[Row]:
    return [
        {"record_id": f"x:{number}", "position": number * 100, "raw": f"é {number} " * 20} for number in range(count)
    ]


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.zst"])
@pytest.mark.parametrize("count", [0, 1, 513, 20_000])
def test_rows_come_back_in_order(tmp_path: Path, name: str, count: int) -> None:
    write(tmp_path / name, [sample(count)])
    assert list(read_rows(tmp_path, name)) == sample(count)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.zst"])
def test_bytes_do_not_depend_on_how_rows_arrive(tmp_path: Path, name: str) -> None:
    rows = sample(9_000)
    once = write(tmp_path / name, [rows]).read_bytes()
    singly = write(tmp_path / f"b{name}", [[row] for row in rows]).read_bytes()
    assert once == singly
    assert len(rows) * 300 > 2 << 20  # several frames


def test_stock_tools_read_it(tmp_path: Path) -> None:
    if not shutil.which("zstd"):
        pytest.skip("zstd is not installed")
    path = write(tmp_path / "a.jsonl.zst", [sample(9_000)])
    shown = subprocess.run(["zstd", "-dc", path], capture_output=True, check=True).stdout
    assert [json.loads(line) for line in shown.splitlines()] == sample(9_000)


def test_keys_keep_their_order(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [[{"z": 1, "a": 2}]])
    assert path.read_bytes() == b'{"z":1,"a":2}\n'


def test_structs_are_rows(tmp_path: Path) -> None:
    with RowWriter(PendingFile(tmp_path / "p.jsonl"), compressed=False) as writer:
        writer.write([Problem(stage="source", reason="gone")])
    assert list(read_rows(tmp_path, "p.jsonl")) == [{"stage": "source", "reason": "gone"}]


@given(st.lists(st.dictionaries(st.text(), st.text() | st.integers(-(2**63), 2**63 - 1) | st.none() | st.booleans())))
@settings(max_examples=30, deadline=None)
def test_every_row_of_json_values_comes_back(tmp_path_factory: pytest.TempPathFactory, rows: list[Row]) -> None:
    folder = tmp_path_factory.mktemp("rows")
    write(folder / "a.jsonl.zst", [rows])
    assert list(read_rows(folder, "a.jsonl.zst")) == rows


def test_half_a_surrogate_pair_is_written_visibly(tmp_path: Path) -> None:
    rows: list[Row] = [{"ok": 1}, {"path": "x\udcff", "l": ["\ud800"]}]
    write(tmp_path / "a.jsonl", [rows])
    assert list(read_rows(tmp_path, "a.jsonl")) == [{"ok": 1}, {"path": "x\\udcff", "l": ["\\ud800"]}]


def test_a_row_too_long_for_a_line_says_what_it_left_out(tmp_path: Path) -> None:
    rows: list[Row] = [{"position": 1}, {"position": 2, "raw": "x" * streams.LINE_LIMIT}, {"position": 3}]
    write(tmp_path / "a.jsonl.zst", [rows])
    found = list(read_rows(tmp_path, "a.jsonl.zst"))
    assert found == [{"position": 1}, {"position": 2, "left_out": ["raw"]}, {"position": 3}]


def test_an_exception_leaves_nothing(tmp_path: Path) -> None:
    def failing() -> Iterator[Row]:
        yield from sample(5_000)
        raise RuntimeError("a parser died")

    with (
        pytest.raises(RuntimeError, match="a parser died"),
        RowWriter(PendingFile(tmp_path / "a.jsonl.zst"), compressed=True) as writer,
    ):
        writer.write(failing())
    assert list(tmp_path.iterdir()) == []


def test_an_existing_stream_is_replaced_only_when_told(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [[{"a": 1}]])
    with pytest.raises(UsageError, match="--clobber"):
        write(path, [[{"a": 2}]])
    assert list(read_rows(tmp_path, "a.jsonl")) == [{"a": 1}]
    write(path, [[{"a": 2}]], clobber=True)
    assert list(read_rows(tmp_path, "a.jsonl")) == [{"a": 2}]


def test_every_flipped_bit_of_a_compressed_stream_is_seen(tmp_path: Path) -> None:
    rows = sample(30)
    path = write(tmp_path / "a.jsonl.zst", [rows])
    data = path.read_bytes()
    for index in range(len(data)):
        path.write_bytes(data[:index] + bytes([data[index] ^ 1 << index % 8]) + data[index + 1 :])
        try:
            found = list(read_rows(tmp_path, "a.jsonl.zst"))
        except IntegrityError as error:
            assert "a.jsonl.zst: damaged at byte" in str(error)  # noqa: PT017 (a reserved bit may change nothing)
        else:
            assert found == rows


def test_every_cut_of_a_compressed_stream_is_seen(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl.zst", [sample(30)])
    data = path.read_bytes()
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(IntegrityError):
            list(read_rows(tmp_path, "a.jsonl.zst"))


def test_damage_costs_no_frame_before_it_and_names_the_offset(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl.zst", [sample(9_000)])
    data = bytearray(path.read_bytes())
    second = data.index(zstd.compress(b"x")[:4], 4)
    data[second + 40] ^= 255
    path.write_bytes(data)
    found: list[Row] = []
    with pytest.raises(IntegrityError, match=f"damaged at byte {second}:"):
        found.extend(read_rows(tmp_path, "a.jsonl.zst"))
    rows = read_rows(tmp_path, "a.jsonl.zst")
    assert [next(rows) for _ in range(2_000)] == sample(2_000)


@pytest.mark.parametrize(
    "data",
    [b'{"a":1}', b'{"a":1}\n{"a"', b"[1]\n", b'{"a":\n', b'{"a":"\xff"}\n', b'{"a":' + b"[" * 5_000 + b"\n", b"\0\n"],
)
def test_a_plain_stream_with_other_content_is_damaged(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.jsonl").write_bytes(data)
    with pytest.raises(IntegrityError):
        list(read_rows(tmp_path, "a.jsonl"))


def test_a_bomb_is_stopped(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.zst").write_bytes(zstd.compress(bytes(64 << 20)))
    with pytest.raises(IntegrityError, match="longer than"):
        list(read_rows(tmp_path, "a.jsonl.zst"))


def test_a_window_larger_than_ours_is_refused(tmp_path: Path) -> None:
    options: dict[int, Any] = {zstd.CompressionParameter.window_log: 27}
    compressor = zstd.ZstdCompressor(options=options)
    data = compressor.compress(b"{}\n") + compressor.flush()
    (tmp_path / "a.jsonl.zst").write_bytes(data)
    with pytest.raises(IntegrityError):
        list(read_rows(tmp_path, "a.jsonl.zst"))


def test_links_and_missing_streams_are_not_read(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", [[{"a": 1}]])
    (tmp_path / "b.jsonl").symlink_to("a.jsonl")
    (tmp_path / "f").mkdir()
    (tmp_path / "g").symlink_to("f")
    for name in ("b.jsonl", "c.jsonl", "g/a.jsonl", "f"):
        with pytest.raises(HostError):
            list(read_rows(tmp_path, name))
