"""What is said of a file beyond its bytes: what its package's database says, what hash sets say, what its name says."""

from typing import NamedTuple

from volforensic.inventory.entry import FileEntry
from volforensic.inventory.extensions import mismatch
from volforensic.inventory.hash_sets import HashSets
from volforensic.inventory.packages.claims import WEAK_MANAGERS
from volforensic.inventory.packages.proof import PackageProof
from volforensic.record import Row


class RowJudge(NamedTuple):
    """Holds what the rows are judged by: package databases and hash sets, None where there are none."""

    proof: PackageProof | None = None
    sets: HashSets | None = None

    def add(self, entry: FileEntry, row: Row) -> None:
        """Add ``package``, ``known`` and ``mismatch`` to the row of a living entry where there is something to say.

        A file that was not read whole has no hashes in its row, and no type to be sure of.
        """
        if not entry.allocated:
            return
        if "sha256" in row:
            extension = mismatch(entry.name, row.get("mime"), row.get("family", "other"))
            if extension is not None:
                row["mismatch"] = extension
            known = self.sets.known(row) if self.sets is not None else None
            if known is not None:
                row["known"] = known
        verdict = self._verdict(entry, row)
        if verdict is not None:
            row["package"] = verdict

    def is_proved(self, entry: FileEntry, row: Row) -> bool:
        """Return whether a package other than pip's proves a file, so that nobody need look at it more closely."""
        verdict = self._verdict(entry, row)
        return verdict is not None and verdict["verdict"] == "proved" and verdict.get("manager") not in WEAK_MANAGERS

    def _verdict(self, entry: FileEntry, row: Row) -> Row | None:
        """Return what the package databases say of a path; nobody can say it of an inode without one."""
        return self.proof.verdict(entry, row) if self.proof is not None and not entry.is_orphan else None
