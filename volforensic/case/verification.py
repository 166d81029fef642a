"""Is the case what it was? Everything that was changed, added, removed or cut since, without writing anything.

The case may come from a stranger: no link is followed, nothing but folders and regular files is opened, no file is
read that is larger than any the case had, and what is wrong is told, never raised.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from volforensic.case.custody import CUSTODY_NAME, ChainBreak, entries
from volforensic.case.evidence_folder import EVIDENCE, PARTIAL, REPLACED, SCRATCH
from volforensic.case.facts import CASE_NAME, read_case_facts
from volforensic.case.files import LOCK_NAME, open_regular, reason, temporary_path
from volforensic.case.ledger import Ledger
from volforensic.case.manifest import CASE_CLOSED, MANIFEST_NAME, lines_digest, read_manifest
from volforensic.case.recovery import is_temporary
from volforensic.case.tree import TreeEntry, file_digest, folder_digests, walk
from volforensic.errors import IntegrityError, UsageError
from volforensic.record import text

Kind = Literal["changed", "added", "removed", "truncated", "chain", "manifest", "unfinished"]

_UNKNOWN_LARGEST = 64 << 30  # where the log is broken, the size of the largest file is not known
_SHA256 = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)
_EMPTY = hashlib.sha256().hexdigest()


class Discrepancy(msgspec.Struct, frozen=True):
    """One thing that is not as it was: ``path`` is relative to the case, ``detail`` the sentence for the examiner."""

    kind: Kind
    path: str
    detail: str


class Summary(NamedTuple):
    """How many files the case accounts for, how many entries its custody log has, and the hash of the last."""

    files: int
    entries: int
    head: str


class _Reading(NamedTuple):
    ledger: Ledger
    hashes: list[str]
    manifest: dict[str, str] | None
    discrepancies: list[Discrepancy]


def verify(path: Path, head: str | None = None) -> Iterator[Discrepancy]:
    """Yield every way in which the case is not what its last run left; nothing is yielded for an intact case.

    Args:
        path: The case folder.
        head: The custody head that the examiner noted when the run ended; without it, a case that was made anew as a
            whole, or set back to the end of an earlier run, is not told from the true one.

    Raises:
        UsageError: There is no case, or the noted head is no SHA-256.
    """
    if head is not None and not _SHA256.fullmatch(head):
        raise UsageError("--head", "is not 64 hexadecimal digits", "Give the head as it was printed")
    _refuse_no_case(path)
    reading = _read(path)
    yield from reading.discrepancies
    yield from _head_discrepancies(reading, head)
    yield from _binding_discrepancies(reading)
    yield from _unplaced_evidence(path, reading.ledger)
    told = {discrepancy.path for discrepancy in reading.discrepancies}
    for discrepancy in _file_discrepancies(path, reading.ledger):
        if discrepancy.path not in told:
            yield discrepancy


def summarise(path: Path) -> Summary:
    """Return what an intact case has, the custody head with it; nothing is checked."""
    _refuse_no_case(path)
    reading = _read(path)
    return Summary(len(reading.ledger.digests), len(reading.hashes), reading.hashes[-1] if reading.hashes else "")


def _refuse_no_case(path: Path) -> None:
    if not path.is_dir() or not any(os.path.lexists(path / name) for name in (CASE_NAME, CUSTODY_NAME, MANIFEST_NAME)):
        raise UsageError(str(path), "is no case", "Name a folder that volforensic made")


def _read(path: Path) -> _Reading:
    discrepancies: list[Discrepancy] = []
    case_id = manifest = None
    try:
        case_id = read_case_facts(path).case_id
    except IntegrityError as error:
        discrepancies.append(Discrepancy("changed", CASE_NAME, error.wrong))
    except OSError as error:
        kind: Kind = "removed" if isinstance(error, FileNotFoundError) else "changed"
        discrepancies.append(Discrepancy(kind, CASE_NAME, reason(error)))
    try:
        manifest = read_manifest(path)
    except IntegrityError as error:
        discrepancies.append(Discrepancy("manifest", MANIFEST_NAME, error.wrong))
    except OSError as error:
        discrepancies.append(Discrepancy("changed", MANIFEST_NAME, reason(error)))
    reading = _Reading(Ledger(manifest), [], manifest, discrepancies)
    _read_log(path, case_id, reading)
    return reading


def _read_log(path: Path, case_id: str | None, reading: _Reading) -> None:
    try:
        with open_regular(path, CUSTODY_NAME) as file:
            for entry in entries(file, case_id):
                if isinstance(entry, ChainBreak):
                    kind: Kind = "truncated" if entry.torn else "chain"
                    detail = f"entry {entry.sequence}, at byte {entry.offset}: {entry.reason}"
                    reading.discrepancies.append(Discrepancy(kind, CUSTODY_NAME, detail))
                    reading.ledger.largest = max(reading.ledger.largest, _UNKNOWN_LARGEST)
                    return
                reading.ledger.take(entry)
                reading.hashes.append(entry.hash)
    except FileNotFoundError:
        reading.discrepancies.append(Discrepancy("removed", CUSTODY_NAME, "the custody log is gone"))
    except OSError as error:
        reading.discrepancies.append(Discrepancy("changed", CUSTODY_NAME, reason(error)))
    if not reading.hashes:
        reading.ledger.largest = _UNKNOWN_LARGEST


def _head_discrepancies(reading: _Reading, noted: str | None) -> Iterator[Discrepancy]:
    if noted is None:
        return
    noted = noted.lower()
    last = reading.hashes[-1] if reading.hashes else "none"
    if noted == last:
        return
    if noted in reading.hashes:
        after = len(reading.hashes) - 1 - reading.hashes.index(noted)
        yield Discrepancy("chain", CUSTODY_NAME, f"{after} entries follow the noted head; the head is {last}")
    else:
        yield Discrepancy("chain", CUSTODY_NAME, f"the noted head is not in the log; its head is {last}")


def _binding_discrepancies(reading: _Reading) -> Iterator[Discrepancy]:
    """Compare the manifest and the log, each of which holds a digest of the other."""
    ledger, manifest, last = reading.ledger, reading.manifest, reading.ledger.last
    broken = any(found.path in {CUSTODY_NAME, MANIFEST_NAME} for found in reading.discrepancies)
    if manifest is None:
        if broken:
            return
        kind: Kind = "removed" if last is not None and last.act == CASE_CLOSED else "unfinished"
        detail = "there is no manifest" + (", though the log closed the case" if kind == "removed" else " yet")
        yield Discrepancy(kind, MANIFEST_NAME, detail)
    elif CUSTODY_NAME not in manifest:
        yield Discrepancy("manifest", MANIFEST_NAME, "it does not name the custody log")
    elif not ledger.matched:
        if last is not None and last.act == CASE_CLOSED and last.details.get("digest") == lines_digest(ledger.named):
            yield Discrepancy("manifest", MANIFEST_NAME, "its digest of the custody log is not that of the log")
        elif not broken:
            detail = "the manifest was written over a longer log, or over another one"
            yield Discrepancy("truncated", CUSTODY_NAME, detail)
    elif not ledger.lines_match:
        yield Discrepancy("manifest", MANIFEST_NAME, "its lines are not those that the custody log closed")
    elif not ledger.closed and last is not None:
        detail = f"the last run was not closed; its last act was {last.act!r} at {last.time}"
        yield Discrepancy("unfinished", CUSTODY_NAME, detail)


def _unplaced_evidence(path: Path, ledger: Ledger) -> Iterator[Discrepancy]:
    """Account for items that an interrupted run finished: the log has one digest over all their files.

    While an item waits whole under its partial name, which is told as unfinished, the one before may be in its place.
    """
    for evidence_id, logged in list(ledger.finished.items()):
        place = f"{EVIDENCE}/{evidence_id}"
        placed = folder_digests(path, place, place, ledger.largest)
        waiting = folder_digests(path, f"{PARTIAL}/{evidence_id}", place, ledger.largest)
        waits = waiting is not None and lines_digest(waiting) == logged[-1]
        if placed is not None and lines_digest(placed) in (logged if waits else logged[-1:]):
            ledger.take_evidence(evidence_id, placed)
        elif waits and not os.path.lexists(path / place):
            ledger.take_evidence(evidence_id, {})
        elif not waits:
            yield Discrepancy("changed", _shown(place), "its files are not those that the custody log closed")


def _file_discrepancies(path: Path, ledger: Ledger) -> Iterator[Discrepancy]:
    expected = ledger.digests
    folders = {parent.as_posix() for name in expected for parent in Path(name).parents} - {"."}
    seen = set()
    for entry in walk(path):
        seen.add(entry.name)
        if entry.name in expected:
            yield from _expected_file(path, entry, expected[entry.name], ledger.largest)
        elif entry.name in folders and (entry.problem or entry.kind != "folder"):
            detail = f"cannot be read: {entry.problem}" if entry.problem else f"is a {entry.kind}, and was a folder"
            yield Discrepancy("changed", _shown(entry.name), detail)
        elif entry.name not in folders:
            yield from _other_name(entry)
    for name in sorted(expected.keys() - seen):
        if not _waits(path, name, expected[name], ledger.largest):
            yield Discrepancy("removed", _shown(name), "the file is gone")


def _expected_file(path: Path, entry: TreeEntry, digest: str, largest: int) -> Iterator[Discrepancy]:
    detail = ""
    kind: Kind = "changed"
    if entry.problem or entry.kind != "file":
        detail = entry.problem or f"is a {entry.kind}, and was a file"
    elif entry.size > largest:
        detail = f"its {entry.size} bytes are more than any file of the case had"
    elif not entry.size and digest != _EMPTY:
        kind, detail = "truncated", "the file is empty"
    else:
        try:
            found = file_digest(path, entry.name)
        except OSError as error:
            found, detail = digest, f"cannot be read: {reason(error)}"
        if found != digest:
            detail = f"its SHA-256 is {found}, and was {digest}"
    if detail and not _waits(path, entry.name, digest, largest):
        yield Discrepancy(kind, _shown(entry.name), detail)


def _waits(path: Path, name: str, digest: str, largest: int) -> bool:
    """Tell whether the file lies ready under its temporary name, which is told as unfinished."""
    waiting = temporary_path(Path(name)).as_posix()
    try:
        return (path / waiting).lstat().st_size <= largest and file_digest(path, waiting) == digest
    except OSError:
        return False


def _other_name(entry: TreeEntry) -> Iterator[Discrepancy]:
    """Judge a name that the case does not account for as a file."""
    top = entry.name.partition("/")[0]
    if top in {PARTIAL, SCRATCH, REPLACED}:
        if entry.name == top or (top == PARTIAL and entry.name.count("/") == 1):
            yield Discrepancy("unfinished", _shown(entry.name), "is left of a run that was cut off")
    elif entry.name == EVIDENCE and entry.kind == "folder":
        yield Discrepancy("unfinished", EVIDENCE, "no evidence item was finished")
    elif entry.name == CASE_NAME and entry.kind == "file":
        yield Discrepancy("unfinished", CASE_NAME, "the first run was cut off before the log accounted for it")
    elif entry.name in {CUSTODY_NAME, MANIFEST_NAME} and entry.kind == "file":
        return
    elif entry.name == LOCK_NAME and entry.kind == "file":
        if entry.size:
            yield Discrepancy("changed", LOCK_NAME, "has content, and never had any")
    elif is_temporary(entry.name) and entry.kind == "file":
        yield Discrepancy("unfinished", _shown(entry.name), "is left of a write that was cut off")
    else:
        detail = entry.problem or f"this {entry.kind} is none of the case's"
        yield Discrepancy("added", _shown(entry.name), detail)


def _shown(name: str) -> str:
    return text(os.fsencode(name))
