"""Inodes without a name as entries of the inventory: where they stand, and what is said of them.

They stand in a folder that no kernel made: ``/$OrphanFiles`` as in The Sleuth Kit, with TSK's names for its entries
(``OrphanFile-1234``), so that both tools' lists can be compared. Where the root directory really has an entry of that
name (it is legal), the folder is ``/$OrphanFiles.1`` and so on: no entry of the folder can be a path of the disk.
"""

from collections.abc import Iterator
from typing import NamedTuple

from volforensic.evidence.node import Listed, Node, Reader

FOLDER = b"$OrphanFiles"
_SHOWN = 20


class Remark(NamedTuple):
    """A sentence on the volume's inodes without a name, an inode that it is about, and whether something is lost."""

    reason: str
    inode: int
    is_loss: bool


class Orphans:
    """Iterates over the inodes without a name after the walk; ``remarks`` afterwards says what they are."""

    def __init__(self, reader: Reader, root: Node) -> None:
        """Keep the reader, every directory of which was listed."""
        self._reader = reader
        self._root = root
        self._lost: list[int] = []
        self._deleted: list[int] = []
        self._counts = [0, 0]
        self._error = ""
        self.folder = b"/" + FOLDER

    def __iter__(self) -> Iterator[Listed]:
        """Yield them; whoever asks lists each directory in use before the next is asked for."""
        listing = self._reader.orphans()
        while True:
            try:
                listed = next(listing, None)
            except Exception as error:  # noqa: BLE001 - the libraries' errors have no common root; it is said
                self._error = f"{error or type(error).__name__}"[:500]
                return
            if listed is None:
                return
            if not self._counts[0] + self._counts[1]:
                self.folder = b"/" + self._free_name()
            self._count(listed)
            yield listed

    def remarks(self) -> Iterator[Remark]:
        """Yield what is to be said of them, and of those that could not be told."""
        if self._counts[1]:
            reason = (
                f"{self._counts[1]} files were deleted while open and are still whole: inodes {_some(self._deleted)}"
            )
            yield Remark(reason, self._deleted[0], is_loss=False)
        if self._counts[0]:
            reason = f"{self._counts[0]} inodes are in use and no name leads to them (lost names): {_some(self._lost)}"
            yield Remark(reason, self._lost[0], is_loss=True)
        if self._error:
            reason = f"not all inodes and names are accounted for: {self._error}"
            yield Remark(reason, self._root.inode, is_loss=True)

    def _count(self, listed: Listed) -> None:
        if not listed.allocated:
            return
        is_deleted = listed.node is not None and not listed.node.links
        self._counts[is_deleted] += 1
        numbers = self._deleted if is_deleted else self._lost
        if len(numbers) <= _SHOWN:
            numbers.append(listed.inode)

    def _free_name(self) -> bytes:
        """Return the folder's name: one that no entry of the root has, nor begins with before a slash."""
        taken = set()
        try:
            for listed in self._reader.entries(self._root):
                first = listed.name.split(b"/")[0]
                if first.startswith(FOLDER):
                    taken.add(first)
        except Exception:  # noqa: BLE001, S110 - said by the walk, which listed it before
            pass
        number, name = 0, FOLDER
        while name in taken:
            number += 1
            name = FOLDER + b".%d" % number
        return name


def _some(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:_SHOWN])) + (", ..." if len(numbers) > _SHOWN else "")
