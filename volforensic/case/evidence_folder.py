"""The folder of one evidence item. While it is worked on it lies under ``.partial``; finished, under ``evidence``."""

import json
import re
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import msgspec

from volforensic.case.files import (
    KeptWriter,
    PendingFile,
    checked_name,
    make_folders,
    naming_errors,
    open_regular,
    reason,
    sync_folder,
)
from volforensic.case.manifest import lines_digest
from volforensic.case.streams import COMPRESSED_SUFFIX, PLAIN_SUFFIX, RowWriter, read_rows
from volforensic.errors import HostError, IntegrityError, UsageError
from volforensic.record import Row

PARTIAL, SCRATCH, REPLACED, EVIDENCE = ".partial", ".scratch", ".replaced", "evidence"
EXTRACTED_MODE = 0o400

_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
_JSON_LIMIT = 256 << 20


class CaseWriter(Protocol):
    """What an evidence folder needs of its case."""

    @property
    def path(self) -> Path:
        """The case folder."""

    def publish(self, pending: PendingFile) -> None:
        """Give a file of the case its name, with an entry in the custody log."""

    def begin_evidence(self, evidence_id: str) -> None:
        """Log that work on the item begins."""

    def finish_evidence(self, evidence_id: str, digests: dict[str, str], largest: int) -> None:
        """Log the finished item and put its folder in its place."""


def evidence_id(source_name: str, taken: Collection[str] = ()) -> str:
    """Return an id for a source: its base name reduced to ``[a-z0-9._-]``, with -2, -3 … where it is taken."""
    base = re.sub(r"[^a-z0-9._-]+", "-", source_name.rstrip("/").rpartition("/")[2].lower(), flags=re.ASCII)
    base = base.strip("-._")[:56].rstrip("-._") or "evidence"
    number = 1
    while (name := base if number == 1 else f"{base}-{number}") in taken:
        number += 1
    return name


def canonical_json(value: Any) -> bytes:
    """Return a value (plain, or made of msgspec structs) as JSON that a person can read: sorted keys, indent 1."""
    plain = json.dumps(msgspec.to_builtins(value), sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    return plain.encode("utf-8", "backslashreplace") + b"\n"


class EvidenceFolder:
    """Streams, JSON files and extracted files of one evidence item.

    Names are ours and without suffix: ``rows("records/auth_log")`` writes records/auth_log.jsonl.zst. Between
    ``begin`` and ``finish`` everything is written to a partial folder, and read from there.
    """

    def __init__(self, case: CaseWriter, evidence_id: str) -> None:
        """Name the item; nothing is written yet."""
        if not _ID.fullmatch(evidence_id):
            raise UsageError(evidence_id, "is no evidence id", "Use 1 to 64 of a-z, 0-9, '.', '_' and '-'")
        self.id = evidence_id
        self._case = case
        self._begun = False
        self._digests: dict[str, str] = {}
        self._largest = 0
        self._extractions = 0

    @property
    def finished(self) -> bool:
        """Whether the item was finished, by this run or an earlier one."""
        return (self._case.path / EVIDENCE / self.id / "evidence.json").is_file()

    @property
    def interrupted(self) -> bool:
        """Whether an earlier run left it unfinished."""
        return not self._begun and (self._case.path / PARTIAL / self.id).exists()

    @property
    def path(self) -> Path:
        """The folder, where it lies at present."""
        return self._case.path / self._folder

    def begin(self, *, clobber: bool = False, resume: bool = False) -> None:
        """Start the item afresh. Finished before, it needs ``clobber``; left unfinished, ``resume``.

        What was finished stays in its place until the new folder is finished.
        """
        if self.finished and not clobber:
            raise UsageError(self.id, "is finished in this case", "Add --clobber to replace it")
        if self.interrupted and not (resume or clobber):
            raise UsageError(self.id, "was interrupted in this case", "Add --resume to begin it again")
        self._case.begin_evidence(self.id)
        remove_folder(self._case.path / PARTIAL / self.id)
        make_folders(self._case.path, f"{PARTIAL}/{self.id}")
        self._digests, self._largest, self._begun = {}, 0, True

    def finish(self) -> None:
        """Close the item: from now on it is evidence/<id>, complete. It must have its evidence.json."""
        if f"{EVIDENCE}/{self.id}/evidence.json" not in self._digests:
            raise ValueError("an evidence item is finished only with its evidence.json")
        remove_folder(self._case.path / SCRATCH / self.id)
        for folder in {(self.path / name.split("/", 2)[2]).parent for name in self._digests}:
            with naming_errors(folder):
                sync_folder(folder)
        self._case.finish_evidence(self.id, self._digests, self._largest)
        self._begun = False

    def discard(self) -> None:
        """Give the item up: nothing of this run's work on it stays."""
        remove_folder(self._case.path / SCRATCH / self.id)
        remove_folder(self._case.path / PARTIAL / self.id)
        self._begun = False

    def rows(self, name: str, *, compressed: bool = True, clobber: bool = False) -> RowWriter:
        """Return a writer of rows for ``<name>.jsonl.zst``, or ``<name>.jsonl``."""
        file_name = name + (COMPRESSED_SUFFIX if compressed else PLAIN_SUFFIX)
        return RowWriter(self._pending(file_name, clobber=clobber), compressed=compressed, publish=self._publish)

    def write_json(self, name: str, value: Any, *, clobber: bool = False) -> None:
        """Write ``<name>.json``."""
        pending = self._pending(f"{name}.json", clobber=clobber)
        pending.write(canonical_json(value))
        self._publish(pending)

    def read(self, name: str, keys: Collection[str] = ()) -> Iterator[Row]:
        """Yield the rows of a stream, compressed or not, with these keys or all; ``HostError`` where there is none."""
        suffix = PLAIN_SUFFIX if (self.path / f"{name}{PLAIN_SUFFIX}").exists() else COMPRESSED_SUFFIX
        return read_rows(self._case.path, f"{self._folder}/{checked_name(name + suffix)}", keys)

    def read_json(self, name: str) -> Any:
        """Return the value of ``<name>.json``."""
        file_name = checked_name(f"{name}.json")
        try:
            with open_regular(self._case.path, f"{self._folder}/{file_name}") as file:
                return msgspec.json.decode(file.read(_JSON_LIMIT))
        except OSError as error:
            raise HostError(str(self.path / file_name), reason(error)) from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise IntegrityError(str(self.path / file_name), f"is damaged: {error}") from error

    def streams(self, folder: str = "records") -> list[str]:
        """Return the names (for ``read``) of the streams in a folder of the item, sorted."""
        where = self.path / checked_name(folder)
        names = [entry.name for entry in where.iterdir()] if where.is_dir() else []
        found = {name.removesuffix(suffix) for name in names for suffix in (COMPRESSED_SUFFIX, PLAIN_SUFFIX)}
        return sorted(f"{folder}/{name}" for name in found if name not in names and not name.startswith("."))

    def has(self, name: str) -> bool:
        """Return whether the item has a stream of this name: an item of an earlier version may lack one."""
        path = self.path / checked_name(name)
        return any(path.with_name(path.name + suffix).is_file() for suffix in (COMPRESSED_SUFFIX, PLAIN_SUFFIX))

    def scratch(self) -> Path:
        """Return a folder for temporary files; it is removed when the item is finished or the case is closed."""
        return make_folders(self._case.path, f"{SCRATCH}/{self.id}")

    def extract(self) -> "ExtractedWriter":
        """Return a writer for one extracted file: kept as extracted/<sha256>, once whatever its name was.

        Only between ``begin`` and ``finish``; several may be open at the same time.
        """
        if not self._begun:
            raise ValueError(f"work on {self.id} has not begun")
        self._extractions += 1
        pending = self._pending(f"extracted/incoming-{self._extractions}", mode=EXTRACTED_MODE)
        return ExtractedWriter(pending, self._publish_extracted)

    @property
    def _folder(self) -> str:
        return f"{PARTIAL if self._begun else EVIDENCE}/{self.id}"

    def _pending(self, name: str, *, clobber: bool = False, mode: int | None = None) -> PendingFile:
        if not self._begun and not self.finished:
            raise ValueError(f"work on {self.id} has not begun")
        folder = make_folders(self._case.path, f"{self._folder}/{checked_name(name)}".rpartition("/")[0])
        path = folder / name.rpartition("/")[2]
        return PendingFile(path, clobber=clobber, mode=mode) if mode else PendingFile(path, clobber=clobber)

    def _publish(self, pending: PendingFile) -> None:
        if not self._begun:
            self._case.publish(pending)
            return
        pending.publish(flush_folder=False)
        name = pending.path.relative_to(self.path).as_posix()
        self._digests[f"{EVIDENCE}/{self.id}/{name}"] = pending.digest
        self._largest = max(self._largest, pending.size)

    def _publish_extracted(self, pending: PendingFile) -> None:
        target = pending.path.with_name(pending.digest)
        if target.exists():
            pending.discard()
            return
        pending.path = target
        self._publish(pending)


class ExtractedWriter(KeptWriter):
    """One file's bytes on their way to extracted/<sha256>: ``sha256`` and ``size`` hold once it is kept."""

    def __init__(self, pending: PendingFile, publish: Callable[[PendingFile], None]) -> None:
        """Write to ``pending``."""
        self.sha256 = ""
        self.size = 0
        self._pending = pending
        self._publish = publish

    def keep(self) -> None:
        """Keep the file: all its bytes have come."""
        self.sha256, self.size = self._pending.digest, self._pending.size
        self._publish(self._pending)

    def discard(self) -> None:
        """Keep nothing of it."""
        self._pending.discard()

    def write(self, data: bytes) -> None:
        """Append the bytes."""
        self._pending.write(data)


def remove_folder(folder: Path) -> None:
    """Remove a folder and what is in it; a name that is no folder, or a link to one, is left to an error."""
    with naming_errors(folder), suppress(FileNotFoundError):
        shutil.rmtree(folder)


def place_folder(root: Path, evidence_id: str) -> None:
    """Put the item's partial folder in its place; what was there goes first to ``.replaced``, then away."""
    replaced = root / REPLACED / evidence_id
    place = make_folders(root, EVIDENCE) / evidence_id
    remove_folder(replaced)
    with naming_errors(place):
        if place.exists():
            place.rename(make_folders(root, REPLACED) / evidence_id)
        (root / PARTIAL / evidence_id).rename(place)
        sync_folder(root / PARTIAL)
        sync_folder(place.parent)
    remove_folder(replaced)
    remove_empty_folders(root)


def remove_empty_folders(root: Path) -> None:
    """Remove folders of ours that have nothing in them, as work that was cut off leaves them."""
    for folder in (PARTIAL, SCRATCH, REPLACED, EVIDENCE, "exports"):
        with suppress(OSError):
            (root / folder).rmdir()


def evidence_digest(digests: dict[str, str], evidence_id: str) -> str:
    """Return the digest over the manifest's lines for the item's files."""
    folder = f"{EVIDENCE}/{evidence_id}/"
    return lines_digest({name: digest for name, digest in digests.items() if name.startswith(folder)})
