"""What a run that was cut off left behind: acts that the custody log holds are completed, the rest is removed.

Before a file or an evidence folder gets its name, its digest goes to the log. So what lies ready under its temporary
name with that digest only needs its name; anything else under a temporary name was never finished.
"""

from contextlib import suppress
from pathlib import Path

from volforensic.case.evidence_folder import EVIDENCE, PARTIAL, REPLACED, SCRATCH, place_folder, remove_folder
from volforensic.case.files import UNFINISHED_SUFFIX, naming_errors, sync_folder, temporary_path
from volforensic.case.ledger import Ledger
from volforensic.case.manifest import lines_digest
from volforensic.case.tree import file_digest, folder_digests, walk
from volforensic.errors import IntegrityError


def complete(root: Path, ledger: Ledger) -> None:
    """Complete what the log says was done, remove what is left of other work; partial evidence folders stay.

    Raises:
        IntegrityError: A finished evidence item is not what the log closed.
    """
    for name, digest in ledger.written.items():
        _complete_file(root, name, digest)
    for evidence_id, logged in list(ledger.finished.items()):
        ledger.take_evidence(evidence_id, _complete_evidence(root, evidence_id, logged[-1], ledger.largest))
    for leftover in (SCRATCH, REPLACED):
        remove_folder(root / leftover)
    for entry in list(walk(root)):
        if is_temporary(entry.name) and entry.kind == "file" and not entry.name.startswith(f"{PARTIAL}/"):
            with naming_errors(root / entry.name):
                (root / entry.name).unlink()


def is_temporary(name: str) -> bool:
    """Tell whether this is the name of a file that is still being written."""
    base = name.rpartition("/")[2]
    return base.startswith(".") and base.endswith(UNFINISHED_SUFFIX)


def _complete_file(root: Path, name: str, digest: str) -> None:
    path = root / name
    waiting = temporary_path(path)
    with suppress(OSError):
        if file_digest(root, waiting.relative_to(root).as_posix()) == digest:
            waiting.rename(path)
            sync_folder(path.parent)


def _complete_evidence(root: Path, evidence_id: str, digest: str, largest: int) -> dict[str, str]:
    place = f"{EVIDENCE}/{evidence_id}"
    for folder in (place, f"{PARTIAL}/{evidence_id}"):
        digests = folder_digests(root, folder, place, largest)
        if digests is not None and lines_digest(digests) == digest:
            if folder != place:
                place_folder(root, evidence_id)
            return digests
    raise IntegrityError(
        str(root / place), "is not what the custody log closed", "Run volforensic verify: the case was changed"
    )
