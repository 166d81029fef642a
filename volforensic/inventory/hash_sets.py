"""Hash sets of the examiner's: files that are known, good ones (``--known-good``) and bad ones (``--known-bad``).

The sets come from elsewhere than the evidence, so that their word on a file is worth more than that of a package
database on a suspect disk. They are read as a whole before any evidence is, so that a wrong line ends the run at once.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from volforensic.errors import DefinitionError, HostError
from volforensic.inventory.hash_databases import MAGIC, HashDatabase
from volforensic.inventory.hash_lists import ALGORITHMS, read_hash_list
from volforensic.inventory.sorted_hashes import HashCollector, SortedHashes
from volforensic.record import Row

_WIDTHS = {name: digits // 2 for digits, name in ALGORITHMS.items()}
Lookup = Callable[[str], bool]
"""Says whether a set holds a hash, hexadecimal digits."""


class HashSet(NamedTuple):
    """One set: its name, its file, whether its files are good, a look-up by algorithm.

    ``size`` is how many different hashes it holds; None where they are looked up in a database that nobody counted.
    ``sha256`` is the file's own; None for a database, which may have hundreds of gigabytes.
    """

    name: str
    path: Path
    is_good: bool
    lookups: dict[str, Lookup]
    size: int | None
    sha256: str | None

    def row(self) -> Row:
        """Return what the custody log and the report say of the set."""
        return {
            "name": self.name,
            "kind": "good" if self.is_good else "bad",
            "bytes": self.path.stat().st_size,
            "hashes": self.size,
            "algorithms": sorted(self.lookups),
            "sha256": self.sha256,
        }


class HashSets:
    """Every set of a run. Use it as a context manager: it may hold files open."""

    def __init__(self, good: Sequence[Path] = (), bad: Sequence[Path] = (), folder: Path | None = None) -> None:
        """Read the sets; large ones are sorted into temporary files in ``folder``.

        Raises:
            DefinitionError: A set cannot be read, or one of its lines is wrong: the line is named.
            HostError: There is no room for the temporary files.
        """
        self._stack = ExitStack()
        files = [(path, True) for path in good] + [(path, False) for path in bad]
        names = _names([path for path, _ in files])
        with self._stack:
            self.sets = tuple(
                self._opened(name, path, folder, is_good=is_good)
                for name, (path, is_good) in zip(names, files, strict=True)
            )
            self._stack = self._stack.pop_all()

    def __enter__(self) -> Self:
        """Return the sets."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close what is open."""
        self._stack.close()

    @property
    def algorithms_needed(self) -> frozenset[str]:
        """The algorithms whose hashes of each file the sets ask for."""
        return frozenset(algorithm for each in self.sets for algorithm in each.lookups)

    def known(self, hashes: Mapping[str, object]) -> Row | None:
        """Return the names of the sets that hold one of a file's hashes, as the row's key ``known``; None for none.

        Args:
            hashes: Hexadecimal digits by algorithm; a row of the inventory will do, for its keys are named so.
        """
        found: dict[bool, list[str]] = {True: [], False: []}
        for each in self.sets:
            for algorithm, is_held in each.lookups.items():
                digest = hashes.get(algorithm)
                if isinstance(digest, str) and is_held(digest):
                    found[each.is_good].append(each.name)
                    break
        return {"good": found[True], "bad": found[False]} if found[True] or found[False] else None

    def _opened(self, name: str, path: Path, folder: Path | None, *, is_good: bool) -> HashSet:
        try:
            with path.open("rb") as file:
                is_database = file.read(len(MAGIC)) == MAGIC
        except OSError as error:
            raise DefinitionError(str(path), f"cannot be read: {error.strerror or error}") from error
        if not is_database:
            found = self._sorted(name, path, read_hash_list(path), folder, is_good=is_good)
            with path.open("rb") as file:
                return found._replace(sha256=hashlib.file_digest(file, "sha256").hexdigest())
        database = HashDatabase(path)
        self._stack.callback(database.close)
        if database.indexed is not None:
            return HashSet(name, path, is_good, {database.indexed: database.holds}, None, None)
        return self._sorted(name, path, database.digests(), folder, is_good=is_good)

    def _sorted(
        self, name: str, path: Path, digests: Iterable[tuple[str, bytes]], folder: Path | None, *, is_good: bool
    ) -> HashSet:
        collectors: dict[str, HashCollector] = {}
        hashes: dict[str, SortedHashes] = {}
        try:
            for algorithm, joined in digests:
                if algorithm not in collectors:
                    collectors[algorithm] = HashCollector(_WIDTHS[algorithm], folder)
                    self._stack.callback(collectors[algorithm].close)
                collectors[algorithm].add(joined)
            for algorithm, collector in collectors.items():
                hashes[algorithm] = collector.sort()
                self._stack.callback(hashes[algorithm].close)
        except OSError as error:
            wrong = f"cannot be sorted into a temporary file: {error.strerror or error}"
            raise HostError(str(path), wrong, "Make room, or set TMPDIR") from error
        if not hashes:
            raise DefinitionError(str(path), "holds no hash")
        lookups = {algorithm: _lookup(found) for algorithm, found in hashes.items()}
        return HashSet(name, path, is_good, lookups, sum(found.count for found in hashes.values()), None)


def _lookup(hashes: SortedHashes) -> Lookup:
    return lambda digest: bytes.fromhex(digest) in hashes


def _names(paths: Sequence[Path]) -> list[str]:
    """Name each set after its file; after its whole path where two files have one name."""
    names = [path.name for path in paths]
    return [name if names.count(name) == 1 else str(path) for name, path in zip(names, paths, strict=True)]
