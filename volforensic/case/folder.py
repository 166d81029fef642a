"""The case: one folder, held by one run at a time, whose every file is accounted for."""

import fcntl
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from volforensic import __version__
from volforensic.case.custody import CUSTODY_NAME, CustodyEntry, CustodyLog, entries, present_time, present_user
from volforensic.case.evidence_folder import (
    EVIDENCE,
    SCRATCH,
    EvidenceFolder,
    canonical_json,
    evidence_digest,
    place_folder,
    remove_empty_folders,
    remove_folder,
)
from volforensic.case.facts import CASE_NAME, CaseFacts, Run, read_case_facts
from volforensic.case.files import (
    LOCK_NAME,
    UNFINISHED_SUFFIX,
    PendingFile,
    checked_name,
    make_folders,
    naming_errors,
    write_file,
)
from volforensic.case.ledger import EVIDENCE_FINISHED, FILE_WRITTEN, RESERVED_ACTS, Ledger
from volforensic.case.manifest import MANIFEST_NAME, read_manifest, write_manifest
from volforensic.case.recovery import complete
from volforensic.errors import BusyError, IntegrityError, UsageError

_NEW_CASE_NAMES = {LOCK_NAME, CASE_NAME, f".{CASE_NAME}{UNFINISHED_SUFFIX}", CUSTODY_NAME}


class Case:
    """The case folder, locked for this run. ``close`` ends the run well; without it the run counts as cut off."""

    def __init__(self, path: Path, lock: int, facts: CaseFacts) -> None:
        """Take over the lock, read the custody log once and complete what an earlier run began."""
        self.path = path
        self.facts = facts
        self._lock: int | None = lock
        self._folders: dict[str, EvidenceFolder] = {}
        self._ledger = Ledger(None)
        self.custody = self._opened_log()

    @classmethod
    def create(
        cls, path: Path, *, number: str, examiner: str, command_line: Sequence[str], versions: Mapping[str, str]
    ) -> "Case":
        """Make a case in a folder that is new or empty, and begin its first run."""
        with naming_errors(path):
            path.mkdir(parents=True, exist_ok=True)
            _refuse_content(path)
        lock = _locked(path)
        try:
            _refuse_content(path)
            facts = CaseFacts(
                case_id=str(uuid.uuid4()),
                number=number,
                examiner=examiner,
                created=present_time(),
                tool_version=__version__,
            )
            write_file(path / CASE_NAME, canonical_json(facts))
            case = cls(path, lock, facts)
        except BaseException:
            os.close(lock)
            raise
        case._begin_run(examiner, command_line, versions)
        return case

    @classmethod
    def open(
        cls, path: Path, *, command_line: Sequence[str], versions: Mapping[str, str], examiner: str = ""
    ) -> "Case":
        """Open a case for another run.

        Raises:
            UsageError: The folder is no case.
            BusyError: Another run holds it.
            IntegrityError: The custody log, the manifest or case.json does not verify.
        """
        if not (path / CASE_NAME).is_file():
            raise UsageError(str(path), "is no case", "Name a folder that volforensic made")
        lock = _locked(path)
        try:
            with naming_errors(path / CASE_NAME):
                facts = read_case_facts(path)
            case = cls(path, lock, facts)
        except BaseException:
            os.close(lock)
            raise
        with naming_errors(path / CASE_NAME):
            case.facts = read_case_facts(path)  # a newer case.json of a run that was cut off may have its name now
        case._begin_run(examiner or case.facts.examiner, command_line, versions)
        return case

    @classmethod
    def create_or_open(
        cls, path: Path, *, number: str, examiner: str, command_line: Sequence[str], versions: Mapping[str, str]
    ) -> "Case":
        """Open the case that the folder holds, or make one; a number that differs from the case's is refused."""
        if not (path / CASE_NAME).is_file():
            return cls.create(path, number=number, examiner=examiner, command_line=command_line, versions=versions)
        if number:  # looked at before the run is begun: a refusal leaves the case as it was
            with naming_errors(path / CASE_NAME):
                known = read_case_facts(path).number
            if number != known:
                raise UsageError(str(path), f"is case {known!r}, not {number!r}", "Choose another folder")
        return cls.open(path, command_line=command_line, versions=versions, examiner=examiner)

    def __enter__(self) -> Self:
        """Return the case."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release the case; a run that was not closed counts as cut off."""
        self.release()

    def evidence(self, evidence_id: str) -> EvidenceFolder:
        """Return the folder of an evidence item, the same object for the same id."""
        if evidence_id not in self._folders:
            self._folders[evidence_id] = EvidenceFolder(self, evidence_id)
        return self._folders[evidence_id]

    def evidence_ids(self) -> list[str]:
        """Return the ids of the finished items, sorted."""
        names = [name.split("/") for name in self._ledger.digests]
        return sorted({name[1] for name in names if name[0] == EVIDENCE and name[2:] == ["evidence.json"]})

    def acts(self) -> Iterator[CustodyEntry]:
        """Yield the entries of the custody log."""
        with (self.path / CUSTODY_NAME).open("rb") as file:
            yield from (entry for entry in entries(file, self.facts.case_id) if isinstance(entry, CustodyEntry))

    def log(self, act: str, details: Mapping[str, Any]) -> str:
        """Write an act to the custody log; returns the entry's hash, once it is on the disk."""
        if act in RESERVED_ACTS:
            raise ValueError(f"only the case itself logs {act!r}")
        return self.custody.append(act, details)

    def write(self, name: str, data: bytes, *, clobber: bool = False) -> None:
        """Write a file of the case itself: report.html, report.json, or one in a folder."""
        path = make_folders(self.path, checked_name(name).rpartition("/")[0]) / name.rpartition("/")[2]
        pending = PendingFile(path, clobber=clobber)
        pending.write(data)
        self.publish(pending)

    def publish(self, pending: PendingFile) -> None:
        """Give a file its name, once its digest is in the custody log."""
        name = pending.path.relative_to(self.path).as_posix()
        try:
            pending.seal()
            details: dict[str, Any] = {"path": name, "sha256": pending.digest, "size": pending.size}
            digests = self._ledger.digests | {name: pending.digest}
            if name.startswith(f"{EVIDENCE}/"):
                details["digest"] = evidence_digest(digests, name.split("/")[1])
            self.custody.append(FILE_WRITTEN, details)
            pending.publish()
        except BaseException:
            pending.discard()
            raise
        self._ledger.digests = digests
        self._ledger.largest = max(self._ledger.largest, pending.size)

    def begin_evidence(self, evidence_id: str) -> None:
        """Log that work on the item begins."""
        self.custody.append("evidence begun", {"evidence": evidence_id})

    def finish_evidence(self, evidence_id: str, digests: dict[str, str], largest: int) -> None:
        """Log the digest over the item's files, then put its folder in its place."""
        details = {"evidence": evidence_id, "files": len(digests), "largest": largest}
        self.custody.append(EVIDENCE_FINISHED, {**details, "digest": evidence_digest(digests, evidence_id)})
        place_folder(self.path, evidence_id)
        self._ledger.take_evidence(evidence_id, digests)
        self._ledger.largest = max(self._ledger.largest, largest)

    def close(self, exit_status: int) -> str:
        """End the run: case.json, custody log and manifest are complete. Returns the custody head, to be noted."""
        run = self.facts.runs[-1]
        run.ended, run.exit_status = present_time(), exit_status
        self.custody.append("run ended", {"exit_status": exit_status})
        self._write_facts()
        remove_folder(self.path / SCRATCH)
        remove_empty_folders(self.path)
        write_manifest(self.path, self._ledger.digests, self._ledger.largest, self.custody)
        self.release()
        return self.custody.head

    def release(self) -> None:
        """Let go of the lock and the log; may be called again."""
        if self._lock is not None:
            self.custody.close()
            fcntl.flock(self._lock, fcntl.LOCK_UN)  # closing is not enough where a child process has a copy
            os.close(self._lock)
            self._lock = None

    def _opened_log(self) -> CustodyLog:
        log_path = self.path / CUSTODY_NAME
        written = log_path.is_file() and log_path.stat().st_size > 0
        if not written and {entry.name for entry in self.path.iterdir()} - _NEW_CASE_NAMES:
            raise IntegrityError(str(log_path), "is missing", "Run volforensic verify: the case was changed")
        with naming_errors(self.path / MANIFEST_NAME):
            self._ledger = Ledger(read_manifest(self.path))
        return CustodyLog(log_path, self.facts.case_id, self._ledger.take, self._check_ledger)

    def _check_ledger(self) -> None:
        if not (self._ledger.matched and self._ledger.lines_match):
            raise IntegrityError(
                str(self.path / MANIFEST_NAME),
                "does not belong to the custody log",
                "Run volforensic verify on the case",
            )
        complete(self.path, self._ledger)

    def _begin_run(self, examiner: str, command_line: Sequence[str], versions: Mapping[str, str]) -> None:
        run = Run(
            started=present_time(),
            command_line=list(command_line),
            host=os.uname().nodename,
            user=present_user(),
            examiner=examiner,
            versions=dict(versions),
        )
        try:
            if not self.custody.count:
                self.custody.append("case created", {"number": self.facts.number, "examiner": self.facts.examiner})
            details = {"command_line": run.command_line, "examiner": examiner, "versions": run.versions}
            self.custody.append("run started", {**details, "tool_version": __version__})
            self.facts.runs.append(run)
            self._write_facts()
        except BaseException:
            self.release()
            raise

    def _write_facts(self) -> None:
        self.write(CASE_NAME, canonical_json(self.facts), clobber=True)


def _refuse_content(path: Path) -> None:
    names = {entry.name for entry in path.iterdir()}
    if CASE_NAME in names:
        raise UsageError(str(path), "is a case already", "Choose another folder")
    if others := names - _NEW_CASE_NAMES:
        raise UsageError(
            str(path), f"is not empty and no case: it holds {min(others)!r}", "Choose a new or an empty folder"
        )


def _locked(path: Path) -> int:
    lock_path = path / LOCK_NAME
    with naming_errors(lock_path):
        descriptor = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise BusyError(str(path), "another run holds the case", "Wait until it has ended") from None
        except BaseException:
            with suppress(OSError):
                os.close(descriptor)
            raise
    return descriptor
