"""Which evidence item of the case a source is, new or known, and how an item ended."""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

from volforensic.case.evidence_folder import EvidenceFolder, evidence_id
from volforensic.case.folder import Case
from volforensic.errors import HostError, VolforensicError
from volforensic.evidence.image import Image
from volforensic.record import SEVERITIES, Row, text, text_fields

NOT_READ = "source not read"
"""The act that says that a source could not be read, and why."""

BEGUN = "item begun"
"""The act in the custody log that says where the source of an item lies, before its hash is known."""
IDENTIFIED = "hash before"
"""The act in the custody log that says which source an item is."""


_ROOM_ERRORS = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
_ROOM_REMEDY = "Free some space, look at the limits (ulimit -f) and run again with --resume"


class Outcome(NamedTuple):
    """How an item ended: its id, whether all was read, whether the evidence is what it was, findings by severity."""

    evidence_id: str
    is_complete: bool
    is_unchanged: bool
    findings: dict[str, int]


class _Identified(NamedTuple):
    """An item as the custody log has it: its id, where its source lay, the SHA-256 before reading."""

    evidence: str
    source: str
    sha256: str


def source_fields(paths: Sequence[Path]) -> Row:
    """Return where the disks of an item lie, as the custody log has it."""
    return text_fields("source", b" + ".join(os.fsencode(path.resolve()) for path in paths))


def pinned_files(image: Image) -> list[Row]:
    """Return every file that was opened, and what was held fast of it."""
    return [
        {**text_fields("name", os.fsencode(source.path.name)), **msgspec.to_builtins(source.pin)}
        for source in image.sources
    ]


def is_known_path(case: Case, image: Image) -> bool:
    """Return whether an item of the case lay where this source lies: only its hash tells whether it is the same."""
    path = source_fields(image.paths)["source"]
    return any(known.source == path and _is_there(case.evidence(known.evidence)) for known in _identified(case))


def choose_item(case: Case, image: Image, sha256: str, *, replace: bool) -> EvidenceFolder:
    """Return the folder for this source, not begun yet; ``sha256`` may be empty where its path is not known.

    What lay at the same path and had the same bytes is the same item; so is a file at the same path whose bytes
    differ, where its item was cut off or is to be replaced. A device's path names other bytes with every volume that
    is attached. Anything else gets a new id, also where another source has the same name.
    """
    path = source_fields(image.paths)["source"]
    there = [known for known in _identified(case) if _is_there(case.evidence(known.evidence))]
    for known in reversed(there):
        folder = case.evidence(known.evidence)
        may_differ = image.kind == "file" and (replace or folder.interrupted)
        if known.source == path and (known.sha256 == sha256 or may_differ):
            return folder
    taken = {*case.evidence_ids(), *(known.evidence for known in there)}
    return case.evidence(evidence_id(text(os.fsencode(image.path.name)), taken))


@contextmanager
def discarding(folder: EvidenceFolder) -> Iterator[None]:
    """Discard the item where an error ends the block: the work on it is begun afresh anyway.

    Raises:
        HostError: The inventory, which lies beside the item while it is worked on, has no room.
    """
    try:
        yield
    except VolforensicError:
        folder.discard()
        raise
    except sqlite3.OperationalError as error:
        path = str(folder.path)
        folder.discard()
        if error.sqlite_errorcode & 0xFF in _ROOM_ERRORS:
            raise HostError(path, f"has no room for the inventory ({error})", _ROOM_REMEDY) from error
        raise


def stored_outcome(folder: EvidenceFolder) -> Outcome:
    """Return how a finished item ended."""
    identity = folder.read_json("evidence")
    severities = [finding["severity"] for finding in folder.read("findings")]
    return Outcome(
        evidence_id=folder.id,
        is_complete=folder.read_json("coverage")["complete"],
        is_unchanged=identity["sha256_before"] == identity["sha256_after"],
        findings={level: severities.count(level) for level in SEVERITIES},
    )


def _is_there(folder: EvidenceFolder) -> bool:
    return folder.finished or folder.interrupted


def _identified(case: Case) -> Iterator[_Identified]:
    """Yield what the custody log says, the last word on each item last."""
    for entry in case.acts():
        if entry.act in (BEGUN, IDENTIFIED):
            yield _Identified(**{key: str(entry.details.get(key, "")) for key in _Identified._fields})
