"""Workers of real stages that the evidence has taken over: the item is finished and says what was not believed."""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import msgspec
import pytest
from collection_runs import Files, ext4
from engine_samples import docker, identity
from inventory_samples import entry

from volforensic import survey, triage
from volforensic.case.folder import Case
from volforensic.case.verification import verify
from volforensic.collection import container_books, host_facts, stage
from volforensic.collection.container_worker import Answer
from volforensic.collection.host_facts import HostFacts
from volforensic.collection.loader import load_definitions
from volforensic.collection.parsers.container_stores import ContainerFacts, StoreSettings
from volforensic.collection.parsers.identity import FstabEntry
from volforensic.collection.parsing import LARGEST_HOLE, Parsed, Rows, Stored
from volforensic.errors import NoFilesystemError
from volforensic.evidence.layout import DiskTable, Layout, Volume
from volforensic.evidence.node import Extent
from volforensic.evidence.signatures import Filesystem
from volforensic.inventory import file_stage
from volforensic.inventory import stage as inventory_stage
from volforensic.inventory.entry import FileEntry
from volforensic.inventory.examination import Examination
from volforensic.inventory.file_bytes import Loss
from volforensic.inventory.file_worker import ExaminationMessage
from volforensic.inventory.file_worker import Outcome as FileOutcome
from volforensic.inventory.rule_files import load_yara_rules
from volforensic.inventory.scanner import Match
from volforensic.inventory.walk import WalkMessage
from volforensic.items import Outcome
from volforensic.preload import preloaded_modules
from volforensic.record import Problem
from volforensic.recording import MOST_PROBLEMS
from volforensic.sandbox.messages import FRAME_HEADER, KIND_DONE, KIND_MESSAGE
from volforensic.sandbox.pool import Pool, Task

DONE = FRAME_HEADER.pack(0, KIND_DONE)
LINE = b"2025-11-16T10:00:00.000001+00:00 web sshd[7]: Accepted password for alice from 203.0.113.9 port 50 ssh2\n"
FILES: Files = {
    "/etc/passwd": b"root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/bash\n",
    "/usr/": b"",
    "/bin/": b"",
    "/root/x.sh": b"#!/bin/sh\necho\n",
    "/var/log/auth.log": LINE * 3,
}


def frame(message: Any) -> bytes:
    body = msgspec.msgpack.encode(message)
    return FRAME_HEADER.pack(len(body), KIND_MESSAGE) + body


def sends(*messages: Any, done: bool = True) -> list[list[Any]]:
    return [["send", b"".join(map(frame, messages)) + (DONE if done else b"")]]


class Silence:
    """A voice that keeps the problems."""

    problems: list[Problem]
    stage = advance = end_stage = finding = staticmethod(lambda *_: None)

    def __init__(self) -> None:
        """Begin with none."""
        self.problems = []
        self.problem = self.problems.append


class Run(NamedTuple):
    """One triage of a small disk in which the workers of one stage do as a script says."""

    folder: Path
    patch: pytest.MonkeyPatch
    disk: Path
    options: triage.TriageOptions

    def take_over(self, module: ModuleType, steps: list[list[Any]]) -> None:
        """Replace the workers of a stage."""

        def hostile(**options: Any) -> Task:
            return Task(**{**options, "function": "sandbox_workers:puppet", "arguments": steps, "prepare": ""})

        self.patch.setattr(module, "Task", hostile)

    def triage(self) -> tuple[Outcome, list[str], dict[str, Any]]:
        """Return the outcome, the reasons of the problems, and all rows by stream; the case verifies."""
        voice = Silence()
        case = Case.create(self.folder / "case", number="1", examiner="A", command_line=[], versions={})
        with case:
            outcome = triage.triage_source(case, [self.disk], self.options, voice)
            item = case.evidence(outcome.evidence_id)
            rows = {name: list(item.read(name)) for name in (*item.streams(), "files", "extracted", "problems")}
            case.close(0)
        assert list(verify(self.folder / "case")) == []
        return outcome, [problem.reason for problem in voice.problems], rows


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ext4(tmp_path_factory.mktemp("disk") / "disk.raw", FILES)


@pytest.fixture(scope="module")
def options() -> triage.TriageOptions:
    definitions = [found for found in load_definitions() if found.artifact.name in ("auth_log", "users")]
    return triage.TriageOptions(definitions=tuple(definitions), yara=load_yara_rules([]))


@pytest.fixture(scope="module")
def pool(options: triage.TriageOptions) -> Iterator[Pool]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))
        with Pool(preload=["sandbox_workers", *preloaded_modules(options.artifacts)]) as running:
            yield running


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: Path, options: triage.TriageOptions, pool: Pool) -> Run:
    monkeypatch.setattr(triage, "Pool", lambda **_: nullcontext(pool))
    return Run(tmp_path, monkeypatch, disk, options)


def volume(**values: Any) -> Volume:
    filesystem = Filesystem(type="ext4")
    fields = {"index": 0, "offset": 0, "length": 4096, "kind": "whole", "description": "", "filesystem": filesystem}
    return Volume(**{**fields, **values})


def layout(*volumes: Volume, problems: int = 0) -> Layout:
    many = [Problem(stage="layout", reason="\x1b[2J")] * problems
    return Layout(disks=[], volumes=list(volumes), problems=many)


LAYOUTS = {
    "a volume behind the end": layout(volume(offset=1 << 40)),
    "a volume before the start": layout(volume(offset=-4096)),
    "a volume of EiB": layout(volume(length=1 << 62)),
    "one number twice": layout(volume(), volume(offset=4096)),
    "a number that is none": layout(volume(index=1 << 40)),
    "thousands of volumes": layout(*[volume()] * 50_000),
    "thousands of problems": layout(volume(), problems=50_000),
    "another type": ["Layout", 1],
}


@pytest.mark.parametrize("message", LAYOUTS.values(), ids=LAYOUTS)
def test_layouts_that_cannot_be(run: Run, message: Any) -> None:
    if isinstance(message, Layout):
        table = DiskTable(address=0, size=run.disk.stat().st_size, table="none", sector_size=512)
        message = msgspec.structs.replace(message, disks=[table])
    run.take_over(survey, sends(message))
    with pytest.raises(NoFilesystemError, match="the layout could not be read: the worker sent a message"):
        run.triage()


def test_no_layout(run: Run) -> None:
    run.take_over(survey, sends())
    with pytest.raises(NoFilesystemError, match="the worker gave no layout"):
        run.triage()


ROOT = entry(b"/", volume=0, type="directory", inode=2)


def listed(path: bytes = b"/a", **values: Any) -> WalkMessage:
    return WalkMessage([ROOT, entry(path, **{"volume": 0, **values})])


WALKS = {
    "a path without a slash": listed(b"etc/passwd"),
    "no path": listed(b""),
    "a path of MiB": listed(b"/" + b"a" * (1 << 20)),
    "a volume that is not there": listed(volume=7),
    "a volume below zero": listed(volume=-1),
    "a type that is none": listed(type="\x1b[31mfile"),
    "an extent outside the source": listed(size=10, extents=(Extent(0, 1 << 40, 10),)),
    "an extent before the source": listed(size=10, extents=(Extent(0, -1, 10),)),
    "an extent of nothing": listed(size=10, extents=(Extent(0, 0, 0),)),
    "an extent at a place below zero": listed(size=10, extents=(Extent(-5, 0, 5),)),
    "an extent of EiB": listed(size=10, extents=(Extent(0, 0, 1 << 63),)),
    "too many entries": WalkMessage([ROOT] * 2000),
    "another type": [[["x"] * 19], []],
}


@pytest.mark.parametrize("message", WALKS.values(), ids=WALKS)
def test_entries_that_cannot_be(run: Run, message: Any) -> None:
    run.take_over(inventory_stage, sends(message))
    outcome, reasons, rows = run.triage()
    assert not outcome.is_complete
    assert any("could not be walked to its end: the worker sent a message" in reason for reason in reasons)
    assert rows["files"] == []


def odd_entries() -> list[FileEntry]:
    """Entries that an honest worker could meet: they are rows."""
    huge = 1 << 63
    return [
        ROOT,
        entry(b"/nul\0name", volume=0),
        entry(b"/../../etc/passwd", volume=0),
        entry(b"//a//", volume=0),
        entry(b"/same", volume=0, inode=13),
        entry(b"/same", volume=0, inode=14),
        entry(b"/\xff\x1b]0;x\x07\n", volume=0, type="symlink", link_target=b"\xff" * 5000),
        entry(b"/" + b"d" * 60_000, volume=0),
        entry(b"/huge", volume=0, size=huge, inode=huge, mode=huge, uid=-1, links=huge, extents=None, tree=huge),
        entry(b"/less", volume=0, size=-huge, extents=None),
        entry(b"/hole", volume=0, size=huge - 1, extents=()),
        entry(b"/times", volume=0, modified=huge, accessed=-huge, changed=10**18 * 9, created=0),
        entry(b"/etc/passwd", volume=0, size=huge, extents=(Extent(0, 0, 4096),)),
        entry(b"/etc", volume=0, type="directory"),
        entry(b"/usr", volume=0, type="directory"),
        entry(b"/var/log/auth.log", volume=0, size=huge, extents=()),
        entry(b"/problems", volume=0, problems=("\x1b[2J" * 100_000,)),
    ]


def test_entries_that_could_be(run: Run) -> None:
    run.take_over(inventory_stage, sends(WalkMessage(odd_entries())))
    _, reasons, rows = run.triage()
    assert len(rows["files"]) == len(odd_entries())
    assert max(map(len, reasons)) <= 2001


def test_a_walk_that_goes_on_for_ever(run: Run) -> None:
    run.patch.setattr(inventory_stage, "MOST_ENTRIES", 5000)
    message = frame(WalkMessage([ROOT, *[entry(b"/a", volume=0)] * 999]))
    run.take_over(inventory_stage, [["send", message, 10]])
    _, reasons, rows = run.triage()
    assert len(rows["files"]) == 5000
    assert any("more than 5000 entries" in reason for reason in reasons)


def test_a_walk_that_names_another_inode_each_time_is_given_up(run: Run) -> None:
    run.patch.setattr(inventory_stage, "_MOST_ATTEMPTS", 3)
    run.take_over(inventory_stage, [["beat", 1, (1 << 64) - 1], ["abort"]])
    outcome, reasons, _ = run.triage()
    assert not outcome.is_complete
    assert any("walked to its end" in reason or "given up" in reason for reason in reasons)


FACTS = {
    "a zone outside the database": [HostFacts(time_zone_name="../../../../../../../../../etc/shadow")],
    "a zone with NUL": [HostFacts(time_zone_name="Europe/\0")],
    "a zone that is not ASCII": [HostFacts(time_zone_name="Europe/Zürich")],
    "a zone of MiB": [HostFacts(time_zone=bytes(1 << 20))],
    "a million mounts": [HostFacts(mounts=[FstabEntry(device=b"", mount_point=b"", type="", options="")] * 200_000)],
    "a million losses": [HostFacts(losses=["x"] * 200_000)],
    "a name of MiB": [HostFacts(hostname="x" * (1 << 20))],
    "facts twice": [HostFacts(), HostFacts()],
    "no facts": [],
    "another type": [[1]],
}


@pytest.mark.parametrize("messages", FACTS.values(), ids=FACTS)
def test_facts_that_cannot_be(run: Run, messages: list[Any]) -> None:
    run.take_over(host_facts, sends(*messages))
    outcome, reasons, rows = run.triage()
    assert not outcome.is_complete
    assert any("the host's identity could not be read: the worker" in reason for reason in reasons)
    assert len(rows["records/auth_log"]) == 3


BOOKS = {
    "an answer to no question": [Answer(number=7)],
    "an answer twice": [Answer(number=0), Answer(number=0)],
    "no answer": [],
    "another type": [[1]],
    "a million layers": [Answer(number=0, names=["x"] * 100_000)],
    "a name of MiB": [Answer(number=0, containers=[ContainerFacts(engine="docker", id="x", name="x" * (1 << 20))])],
    "a relative root": [Answer(number=0, settings=StoreSettings(["../.."]))],
}


@pytest.mark.parametrize("messages", BOOKS.values(), ids=BOOKS)
def test_books_of_containers_that_cannot_be(run: Run, tmp_path: Path, messages: list[Any]) -> None:
    contained = run._replace(disk=ext4(tmp_path / "contained.raw", {**FILES, **docker(identity(7), {})}))
    run.take_over(container_books, sends(*messages))
    outcome, reasons, rows = contained.triage()
    assert not outcome.is_complete
    assert any("not read: the worker" in reason for reason in reasons)
    assert len(rows["records/auth_log"]) == 3


ROW = b'{"position":0,"event":"accepted","user":"eve"}\n'
PARSES = {
    "a row that is no JSON": [Rows(0, 1, b"{]\n"), Parsed(0, [], is_whole=True)],
    "fields that are not declared": [Rows(0, 1, b'{"record_id":"x","evil":1}\n'), Parsed(0, [], is_whole=True)],
    "fields of another type": [Rows(0, 1, b'{"position":[1],"user":{"a":1}}\n'), Parsed(0, [], is_whole=True)],
    "a time that is text": [Rows(0, 1, b'{"position":0,"timestamp":"now"}\n'), Parsed(0, [], is_whole=True)],
    "numbers beyond the machine": [Rows(0, 1, b'{"position":' + b"9" * 5000 + b"}\n"), Parsed(0, [], is_whole=True)],
    "nesting": [Rows(0, 1, b'{"user":' + b"[" * 100_000), Parsed(0, [], is_whole=True)],
    "no text": [Rows(0, 1, b'{"user":"\xff"}\n'), Parsed(0, [], is_whole=True)],
    "an index that is none": [Rows(9, 1, ROW), Parsed(9, [], is_whole=True)],
    "no end": [Rows(0, 1, ROW)],
    "a loss of a million places": [Parsed(0, [Loss(-1, 1 << 63, "\x1b[2J")] * 50_000, is_whole=False)],
    "another type": [["Rows", 0, "x", 1]],
}


@pytest.mark.parametrize("messages", PARSES.values(), ids=PARSES)
def test_rows_that_cannot_be(run: Run, messages: list[Any]) -> None:
    run.take_over(stage, sends(*messages))
    outcome, reasons, rows = run.triage()
    assert not outcome.is_complete
    assert reasons
    assert len(reasons) <= MOST_PROBLEMS + 1
    assert all(row["artifact"] in {"auth_log", "users"} for row in rows["records/auth_log"] + rows["records/users"])


STORED = {
    "far behind": [Stored(0, (1 << 63) - 1, b"x")],
    "beyond the machine": [Stored(0, (1 << 64) - 1, b"x")],
    "before the start": [Stored(0, -(1 << 63), b"x")],
    "a hole of EiB, in steps": [Stored(0, step * (LARGEST_HOLE - 1), b"x") for step in range(100)],
    "falling": [Stored(0, 4096, b"abc"), Stored(0, 0, b"abc"), Stored(0, 2, b"abc")],
}


@pytest.mark.parametrize("messages", STORED.values(), ids=STORED)
def test_stored_bytes_that_cannot_be(run: Run, messages: list[Any]) -> None:
    run.take_over(stage, sends(*messages, Parsed(0, [], is_whole=True)))
    _, _, rows = run.triage()
    assert all(row["size"] <= LARGEST_HOLE + 4096 for row in rows["extracted"])


def test_an_entry_of_eib_that_is_said_to_be_whole_is_not_written(run: Run) -> None:
    run.take_over(inventory_stage, sends(WalkMessage(odd_entries())))
    run.take_over(stage, sends(Parsed(0, [], is_whole=True)))
    _, _, rows = run.triage()
    assert all(row["size"] == 0 for row in rows["extracted"])


def examined(**values: Any) -> ExaminationMessage:
    fields = {"sha256": "0" * 64, "size_read": 1, "mime": None, "family": "other"}
    return ExaminationMessage(0, [FileOutcome(Examination(**{**fields, **values}))])


EXAMINATIONS = {
    "a hash that is a path": examined(sha256="../../../../etc/cron.d/x"),
    "a hash in capitals": examined(sha256="A" * 64),
    "a size below zero": examined(size_read=-1),
    "an index that is none": ExaminationMessage(1 << 40, [FileOutcome(None)]),
    "no result": ExaminationMessage(0, []),
    "more results than files": ExaminationMessage(0, [FileOutcome(None)] * 5000),
    "a hash of another length": examined(sha256="0" * 63),
    "a further hash that is none": examined(others={"md5": "<script>"}),
    "another type": [0, {"sha256": 1}],
    "nothing": None,
}


@pytest.mark.parametrize("message", EXAMINATIONS.values(), ids=EXAMINATIONS)
def test_examinations_that_cannot_be(run: Run, message: Any) -> None:
    run.take_over(file_stage, sends(message))
    outcome, reasons, rows = run.triage()
    assert not outcome.is_complete
    assert any("the file could not be examined: the worker" in reason for reason in reasons)
    assert not any("sha256" in row for row in rows["files"])


def test_an_examination_of_floods(run: Run) -> None:
    message = examined(
        mime="\x1b]0;x\x07",
        matches=[Match("x" * 10_000)] * 100,
        references=["/\x1b[2J"] * 10_000,
        problems=["p" * 99] * 10_000,
    )
    run.take_over(file_stage, sends(message))
    _, reasons, rows = run.triage()
    assert len(rows["files"]) > 5
    assert len(reasons) < 1000
