"""What collection yields, written to the case: records by artifact, extracted files, problems, coverage."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Self

import msgspec

from volforensic.case.evidence_folder import EvidenceFolder
from volforensic.case.extraction import Extraction
from volforensic.case.streams import RowWriter
from volforensic.collection.stage import CollectionEvent, FileEnd, RecordBatch, StoredBytes
from volforensic.record import Coverage, Finding, Problem, Row, text_fields

MOST_PROBLEMS = 20_000
"""Problems of one item that are listed; how many there are is the adversary's choice."""
_LONGEST_REASON = 2000


def bounded(problem: Problem, listed: int) -> Problem | None:
    """Return the problem as it is listed behind ``listed`` others: its reason cut, None where the list is full."""
    if listed > MOST_PROBLEMS:
        return None
    if listed == MOST_PROBLEMS:
        return Problem(stage=problem.stage, reason=f"more than {MOST_PROBLEMS} problems: no more are listed")
    if len(problem.reason) > _LONGEST_REASON:
        return msgspec.structs.replace(problem, reason=f"{problem.reason[:_LONGEST_REASON]}…")
    return problem


class Recorder:
    """Holds the streams that are open. Artifacts come one after the other; each gets its file, even an empty one."""

    def __init__(self, folder: EvidenceFolder, artifacts: Iterable[str]) -> None:
        """Write to the folder; ``artifacts`` are all that will be asked for."""
        self._folder = folder
        self._unwritten = list(artifacts)
        self._stack = ExitStack()
        self._artifact = ""
        self._writer: RowWriter | None = None
        self._extraction: Extraction | None = None
        self._extracted: RowWriter | None = None

    def __enter__(self) -> Self:
        """Open the list of extracted files."""
        self._extracted = self._stack.enter_context(self._folder.rows("extracted", compressed=False))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Publish what is complete; after an exception nothing."""
        if self._extraction is not None:
            self._extraction.discard()
        if self._writer is not None and kind is not None:
            self._writer.discard()
        elif self._writer is not None:
            self._writer.keep()
        if kind is None:
            for artifact in self._unwritten:
                with self._folder.rows(f"records/{artifact}"):
                    pass
        self._stack.__exit__(kind, error, trace)

    def take(self, events: Iterable[CollectionEvent]) -> Iterator[Problem | Coverage | FileEnd]:
        """Write records and stored bytes; yield the rest, and the end of each file."""
        for event in events:
            if isinstance(event, RecordBatch):
                self._stream(event.artifact).write_lines(event.batch.lines, len(event.batch.rows))
            elif isinstance(event, StoredBytes):
                self._extraction = self._extraction or Extraction(self._folder)
                self._extraction.write_at(event.position, event.data)
            else:
                if isinstance(event, FileEnd):
                    self._end_file(event)
                yield event

    def _stream(self, artifact: str) -> RowWriter:
        if artifact != self._artifact or self._writer is None:
            if self._writer is not None:
                self._writer.keep()
            self._artifact = artifact
            self._unwritten.remove(artifact)
            self._writer = self._folder.rows(f"records/{artifact}")
        return self._writer

    def _end_file(self, end: FileEnd) -> None:
        extraction, self._extraction = self._extraction, None
        if extraction is None and end.is_whole:
            extraction = Extraction(self._folder)  # an empty file is a file too
        if extraction is None or self._extracted is None:
            return
        # What a broken read or a vast hole left out at the end is not there: NUL bytes would say that it was read.
        kept = extraction.end(end.entry.size if end.is_whole else None)
        row: Row = {
            "sha256": kept.sha256,
            "size": kept.size,
            "artifact": end.artifact,
            "volume": end.entry.volume,
            **text_fields("path", end.path),
            "inode": end.entry.inode,
            "complete": end.is_whole,
        }
        self._extracted.write([row])


def write_results(
    folder: EvidenceFolder,
    identity: Row,
    findings: Iterable[Finding],
    problems: Iterable[Problem],
    coverage: Row,
) -> None:
    """Write what the stages came to, and finish the item: findings, problems, coverage and its identity."""
    with folder.rows("findings", compressed=False) as writer:
        writer.write(findings)
    with folder.rows("problems", compressed=False) as writer:
        # The default is left out of messages, not of the case.
        writer.write({**msgspec.to_builtins(problem), "lost": problem.lost} for problem in problems)
    folder.write_json("coverage", coverage)
    folder.write_json("evidence", identity)
    folder.finish()
