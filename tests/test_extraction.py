"""Files of the evidence on their way to extracted/<sha256>, through the recorder and a real case."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from inventory_samples import entry

from volforensic.case.evidence_folder import EvidenceFolder
from volforensic.case.folder import Case
from volforensic.collection.definitions import Artifact, ArtifactSource
from volforensic.collection.records import Records, encoded_rows
from volforensic.collection.stage import CollectionEvent, FileEnd, RecordBatch, StoredBytes
from volforensic.record import Coverage, Problem, Row
from volforensic.recording import Recorder


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[EvidenceFolder]:
    with Case.create(tmp_path / "case", number="", examiner="x", command_line=["x"], versions={}) as case:
        evidence = case.evidence("disk")
        evidence.begin()
        yield evidence


def record(folder: EvidenceFolder, *events: CollectionEvent) -> tuple[list[object], list[Row]]:
    with Recorder(folder, ["auth_log", "cron"]) as recorder:
        rest: list[object] = list(recorder.take(events))
    return rest, list(folder.read("extracted"))


def kept(folder: EvidenceFolder, row: Row) -> bytes:
    data: bytes = (folder.path / "extracted" / row["sha256"]).read_bytes()
    return data


def file(*blocks: tuple[int, bytes], size: int, path: bytes = b"/a", is_whole: bool = True) -> list[CollectionEvent]:
    source = entry(path, size=size)
    stored: list[CollectionEvent] = [StoredBytes("auth_log", source, position, data) for position, data in blocks]
    return [*stored, FileEnd("auth_log", source, path, is_whole)]


def test_holes_are_nul_bytes_within_and_at_the_end(folder: EvidenceFolder) -> None:
    _, (row,) = record(folder, *file((5, b"abc"), (10, b"de"), size=14))
    expected = bytes(5) + b"abc" + bytes(2) + b"de" + bytes(2)
    assert kept(folder, row) == expected
    assert (row["sha256"], row["size"], row["complete"]) == (hashlib.sha256(expected).hexdigest(), 14, True)


def test_blocks_that_overlap_are_written_once(folder: EvidenceFolder) -> None:
    _, (row,) = record(folder, *file((0, b"abcdef"), (3, b"XYZ12"), (1, b"."), size=8))
    assert kept(folder, row) == b"abcdef12"


def test_equal_files_are_kept_once_and_listed_twice(folder: EvidenceFolder) -> None:
    _, rows = record(folder, *file((0, b"same"), size=4, path=b"/a"), *file((0, b"same"), size=4, path=b"/b"))
    assert [row["path"] for row in rows] == ["/a", "/b"]
    assert [path.name for path in (folder.path / "extracted").iterdir()] == [rows[0]["sha256"]]


def test_an_empty_file_is_a_file(folder: EvidenceFolder) -> None:
    _, (row,) = record(folder, *file(size=0))
    assert (row["sha256"], row["size"]) == (hashlib.sha256(b"").hexdigest(), 0)


def test_what_did_not_come_is_not_made_up(folder: EvidenceFolder) -> None:
    """A file whose reader died is kept as far as it came; one of an exbibyte does not fill the disk with NUL bytes."""
    _, rows = record(
        folder, *file((0, b"head"), size=1 << 60, is_whole=False), *file(size=1 << 60, path=b"/none", is_whole=False)
    )
    (row,) = rows
    assert (row["path"], row["size"], row["complete"], kept(folder, row)) == ("/a", 4, False, b"head")


def test_a_name_that_is_not_utf_8_is_listed(folder: EvidenceFolder) -> None:
    _, (row,) = record(folder, *file((0, b"x"), size=1, path=b"/\xff/../../x\n"))
    assert (row["path"], row["path_bytes"]) == ("/\\xff/../../x\n", "L/8vLi4vLi4veAo=")
    assert {path.name for path in (folder.path / "extracted").iterdir()} == {row["sha256"]}


def test_every_artifact_has_its_stream_and_the_rest_passes_through(folder: EvidenceFolder) -> None:
    artifact = Artifact(name="cron", doc="", fields={"command": "string"}, sources=[ArtifactSource(paths=["/x"])])
    batch = Records(artifact).of(entry(b"/x"), b"/x", encoded_rows([{"position": 3, "command": "id"}]))
    problem = Problem(stage="collection", reason="r")
    coverage = Coverage(artifact="cron", volume=1, status="complete")
    rest, _ = record(folder, RecordBatch("cron", 0, batch), problem, coverage)
    assert rest == [problem, coverage]
    assert [(row["record_id"], row["command"]) for row in folder.read("records/cron")] == [("cron:1", "id")]
    assert list(folder.read("records/auth_log")) == []


def test_nothing_is_left_behind_by_an_error(folder: EvidenceFolder) -> None:
    def events() -> Iterator[CollectionEvent]:
        yield StoredBytes("auth_log", entry(b"/a", size=9), 0, b"half")
        raise RuntimeError

    with pytest.raises(RuntimeError), Recorder(folder, ["auth_log"]) as recorder:
        list(recorder.take(events()))
    assert [path for path in folder.path.rglob("*") if path.is_file()] == []
