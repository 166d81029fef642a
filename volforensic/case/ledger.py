"""What should be in the case folder: the files that the last manifest names and what the custody log adds to them.

A digest is taken once, as the file is written, and carried from manifest to manifest. So a change between two runs is
found however many runs follow, and an interrupted run leaves enough behind to tell its own files from added ones.
"""

from collections.abc import Mapping
from typing import Any

from volforensic.case.custody import CUSTODY_NAME, CustodyEntry
from volforensic.case.evidence_folder import EVIDENCE
from volforensic.case.files import is_name
from volforensic.case.manifest import CASE_CLOSED, lines_digest

FILE_WRITTEN = "file written"
EVIDENCE_FINISHED = "evidence finished"
RESERVED_ACTS = frozenset({FILE_WRITTEN, EVIDENCE_FINISHED, CASE_CLOSED})


class Ledger:
    """Path and SHA-256 of each file, as the manifest and then the custody log's entries give it.

    ``named`` has the files that the manifest names, the log left out. ``digests`` has those of today; ``written`` those
    of them that were written singly after the manifest. ``finished`` has, for each evidence item that was finished
    after the manifest, the digests over its files' manifest lines, the latest last. ``largest`` is the size of the
    largest file in bytes, ``last`` the log's last entry. ``matched`` says whether the log has the entry that the
    manifest was written after, ``closed`` whether nothing follows it, ``lines_match`` whether that entry has the
    digest of the manifest's lines.
    """

    def __init__(self, manifest: Mapping[str, str] | None) -> None:
        """Start from the manifest, where there is one."""
        self.named = dict(manifest or {})
        self._log_digest = self.named.pop(CUSTODY_NAME, None)
        self.digests: dict[str, str] = dict(self.named)
        self.finished: dict[str, list[str]] = {}
        self.written: dict[str, str] = {}
        self.largest = 0
        self.matched = manifest is None
        self.closed = False
        self.lines_match = True
        self.last: CustodyEntry | None = None

    def take(self, entry: CustodyEntry) -> None:
        """Take in the next entry of the log."""
        self.closed = False
        self.last = entry
        size = entry.details.get("largest", entry.details.get("size", 0))
        self.largest = max(self.largest, size if isinstance(size, int) else 0)
        if entry.act == CASE_CLOSED:
            self._take_closing(entry)
        elif entry.act == FILE_WRITTEN and (pair := _named(entry.details, "path", "sha256")):
            self._take_file(*pair, entry.details.get("digest"))
        elif entry.act == EVIDENCE_FINISHED and (pair := _named(entry.details, "evidence", "digest")):
            self.finished.setdefault(pair[0], []).append(pair[1])

    def _take_closing(self, entry: CustodyEntry) -> None:
        if entry.log_digest != self._log_digest:
            return
        self.digests = dict(self.named)
        self.finished, self.written = {}, {}
        self.matched = self.closed = True
        self.lines_match = entry.details.get("digest") == lines_digest(self.named)

    def _take_file(self, path: str, sha256: str, folder_digest: object) -> None:
        self.digests[path] = self.written[path] = sha256
        evidence_id = path.split("/")[1] if path.startswith(f"{EVIDENCE}/") else ""
        if evidence_id in self.finished and isinstance(folder_digest, str):
            self.finished[evidence_id].append(folder_digest)

    def take_evidence(self, evidence_id: str, digests: Mapping[str, str]) -> None:
        """Put an evidence item's files (paths in the case) in the place of those it had."""
        folder = f"{EVIDENCE}/{evidence_id}/"
        self.digests = {name: digest for name, digest in self.digests.items() if not name.startswith(folder)}
        self.digests |= digests
        self.finished.pop(evidence_id, None)


def _named(details: Mapping[str, Any], name_key: str, digest_key: str) -> tuple[str, str] | None:
    """Return name and digest of an act; None where the name is none that a case has: no run of ours logged that."""
    name, digest = details.get(name_key), details.get(digest_key)
    if not isinstance(name, str) or not isinstance(digest, str) or not is_name(name):
        return None
    return name, digest
