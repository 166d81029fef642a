"""Rows of a worker become records: numbered, typed, with their provenance; what is not declared is refused."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from inventory_samples import entry

from volforensic.collection.definitions import Artifact, ArtifactSource
from volforensic.collection.records import Batch, Records, encoded_rows
from volforensic.record import timestamp_text

ARTIFACT = Artifact(
    name="sample",
    doc="",
    fields={"word": "string", "count": "integer", "is_odd": "boolean", "names": "list"},
    sources=[ArtifactSource(paths=["/x"])],
)
PLACE = entry(b"/log/x", volume=3, inode=77)


def of(rows: list[dict[str, Any]], path: bytes = b"/var/log/x") -> Batch:
    return Records(ARTIFACT).of(PLACE, path, encoded_rows(rows))


def decoded(batch: Batch) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in batch.lines.splitlines()]


def test_a_record_has_its_provenance_first() -> None:
    row = {"position": 5, "timestamp": 1_763_287_200_000_001, "timestamp_desc": "Logged", "word": "w", "names": ["a"]}
    (record,) = decoded(of([row]))
    assert list(record.items()) == [
        ("record_id", "sample:1"),
        ("timestamp", "2025-11-16T10:00:00.000001Z"),
        ("timestamp_desc", "Logged"),
        ("artifact", "sample"),
        ("volume", 3),
        ("source", "/var/log/x"),
        ("inode", 77),
        ("position", 5),
        ("word", "w"),
        ("names", ["a"]),
    ]


def test_records_are_numbered_on_through_files() -> None:
    records = Records(ARTIFACT)
    lines = encoded_rows([{"position": 0}] * 3)
    found = [record["record_id"] for _ in range(2) for record in decoded(records.of(PLACE, b"/x", lines))]
    assert found == [f"sample:{number}" for number in range(1, 7)]
    assert decoded(records.of(PLACE, b"/x", lines, 2))[0]["record_id"] == "sample:7"


@pytest.mark.parametrize(
    "row",
    [
        b'{"position":1,"undeclared":"x"}',
        b'{"position":1,"record_id":"sample:99"}',
        b'{"position":1,"artifact":"other"}',
        b'{"position":"1"}',
        b'{"position":1,"word":7}',
        b'{"position":1,"count":"7"}',
        b'{"position":1,"is_odd":1}',
        b'{"position":1,"names":"a"}',
        b'{"position":1,"names":[1]}',
        b'{"position":1,"word":{"a":1}}',
        b'{"position":1,"timestamp":"now"}',
        b'{"position":1,"word":"\xff"}',
        b"[1]",
        b"not json",
        b"[" * 5000,
    ],
)
def test_what_a_worker_should_not_send_is_refused_and_counted(row: bytes) -> None:
    good = b'{"position":1,"word":"good"}'
    batch = Records(ARTIFACT).of(PLACE, b"/x", good + b"\n" + row + b"\n" + good + b"\n")
    assert [record["word"] for record in decoded(batch)] == ["good", "good"]
    assert batch.refused == 1


def test_lines_that_were_not_understood_are_counted() -> None:
    batch = of([{"position": 0, "unparsed": True, "raw": "x"}, {"position": 2, "word": "w"}])
    assert batch.unparsed == 1
    assert decoded(batch)[0]["unparsed"] is True


def test_bytes_that_are_not_utf_8_keep_their_copy() -> None:
    (record,) = decoded(of([{"position": 0, "word": "\\xff", "word_bytes": "/w=="}], path=b"/\xff"))
    assert (record["word_bytes"], record["source"], record["source_bytes"]) == ("/w==", "/\\xff", "L/8=")


@given(st.integers(-(2**63), 2**63 - 1))
def test_times_are_written_as_everywhere(moment: int) -> None:
    (record,) = decoded(of([{"position": 0, "timestamp": moment}]))
    assert record["timestamp"] == timestamp_text(moment)


@given(st.text(max_size=30), st.binary(max_size=20))
def test_any_text_comes_back(word: str, path: bytes) -> None:
    word = word.encode("utf-8", "replace").decode()
    (record,) = decoded(of([{"position": 0, "word": word}], path=b"/" + path))
    assert record["word"] == word
