"""The claims of all databases while a run works: on disk in a SQLite file, asked before and after the pass.

Before the pass: which digests beside SHA-256 does a file need? Afterwards: given its digests, what is it?
"""

import hashlib
import sqlite3
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import msgspec

from volforensic.inventory.entry import FileEntry
from volforensic.inventory.packages.claims import (
    CONFIG,
    DIGEST_SIZES,
    FILE,
    NO_DIGEST_CHECK,
    WEAK_MANAGERS,
    PackageName,
)
from volforensic.inventory.packages.databases import HostFiles
from volforensic.inventory.packages.matching import Found
from volforensic.record import Row

_SCHEMA = """
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    PRAGMA cache_size = -16384;
    CREATE TABLE package (id INTEGER PRIMARY KEY, name TEXT, version TEXT, manager TEXT);
    CREATE TABLE claimed (
        volume INTEGER, path BLOB, package INTEGER, flags INTEGER, algorithm TEXT, digest BLOB, size INTEGER,
        differs TEXT, proved_by TEXT
    );
    CREATE TABLE missing (data BLOB);
"""
_INDEX = "CREATE INDEX claimed_by_path ON claimed (volume, path)"
_QUESTION = (
    "SELECT name, version, manager, flags, algorithm, digest, size, differs, proved_by FROM claimed"
    " JOIN package ON package.id = claimed.package WHERE volume = ? AND path = ?"
)
_ALWAYS = "sha256"
_LARGEST_INODE = (1 << 64) - 1
_ORDER = ("proved", "config changed", "altered", "unverified")


class _Told(NamedTuple):
    """A row of the question: a claim on a path, and what is known of it without the content's digest."""

    name: str
    version: str
    manager: str
    flags: int
    algorithm: str
    digest: bytes
    size: int
    differs: str
    proved_by: str


class PackageProof:
    """Holds the SQLite file. Add claims, ``index()`` once, then ask. Use it as a context manager."""

    def __init__(self, path: Path) -> None:
        """Create the file; it must not exist."""
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.executescript(_SCHEMA)
        self._connection.execute("BEGIN")
        self._needed: dict[tuple[str, int, int], array[int]] = {}
        self._packages: dict[PackageName, int] = {}
        self._known: list[HostFiles] = []
        self._encoder = msgspec.msgpack.Encoder()

    def __enter__(self) -> Self:
        """Return the store."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self._connection.close()

    def add(self, package: PackageName, found: Sequence[Found]) -> None:
        """Keep claims of a package on entries, with what they differ in so far."""
        number = self._packages.get(package)
        if number is None:
            number = self._packages[package] = len(self._packages)
            self._connection.execute("INSERT INTO package VALUES (?, ?, ?, ?)", (number, *_texts(package)))
        self._connection.executemany(
            "INSERT INTO claimed VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    entry.volume,
                    entry.path,
                    number,
                    claim.flags,
                    claim.algorithm,
                    claim.digest,
                    claim.size,
                    ",".join(comparison.differs),
                    comparison.by,
                )
                for claim, entry, comparison in found
            ],
        )
        for claim, entry, _ in found:
            if claim.algorithm not in ("", _ALWAYS) and entry.type == FILE and 0 <= entry.inode <= _LARGEST_INODE:
                place = claim.algorithm, entry.volume, entry.tree
                self._needed.setdefault(place, array("Q")).append(entry.inode)

    def add_missing(self, row: Row) -> None:
        """Keep a row about a package's file that is not there."""
        self._connection.execute("INSERT INTO missing VALUES (?)", (self._encoder.encode(row),))

    def add_known_host(self, host: HostFiles) -> None:
        """Note that all databases of a host were read: a file of it that nobody claims is unowned."""
        self._known.append(host)

    def index(self) -> None:
        """Build the index: after the last claim."""
        self._connection.execute("COMMIT")
        self._connection.execute(_INDEX)
        self._needed = {place: array("Q", sorted(set(inodes))) for place, inodes in self._needed.items()}

    def algorithms(self, entry: FileEntry) -> frozenset[str]:
        """Return the digests beside SHA-256 that an inode's content needs, for any of the paths that lead to it."""
        return frozenset(
            algorithm
            for (algorithm, volume, tree), inodes in self._needed.items()
            if volume == entry.volume and tree == entry.tree and _holds(inodes, entry.inode)
        )

    def verdict(self, entry: FileEntry, hashes: Mapping[str, str]) -> Row | None:
        """Return the value of the row's key ``package`` for the entry of one path; None where nobody can say.

        ``hashes`` are hexadecimal digests of the whole content by algorithm; of a file that was not read to its end
        there are none. Directories have no verdict but where a package has a file in their place.
        """
        told = self._connection.execute(_QUESTION, (entry.volume, entry.path)).fetchall()
        if not told:
            is_known = entry.type != "directory" and any(host.host_path(entry) is not None for host in self._known)
            return {"verdict": "unowned"} if is_known else None
        return min((_judged(_Told(*row), entry, hashes) for row in told), key=_rank)

    def missing(self) -> Iterator[Row]:
        """Yield a row for each file of a package that is not on the disk, in the order of the databases."""
        for (data,) in self._connection.execute("SELECT data FROM missing ORDER BY rowid"):
            row: Row = msgspec.msgpack.decode(data)
            yield row


def _judged(told: _Told, entry: FileEntry, hashes: Mapping[str, str]) -> Row:
    differs = told.differs.split(",") if told.differs else []
    proved_by = told.proved_by
    if told.digest and entry.type == FILE:
        found = hashes.get(told.algorithm) or (_of_nothing(told.algorithm) if entry.size == 0 else "")
        if found:
            proved_by = told.algorithm
            differs += ["digest"] if found != told.digest.hex() else []
        elif told.size not in (-1, entry.size):
            differs.append("size")
    row: Row = {
        "verdict": _verdict(told.flags, differs, proved_by),
        "name": told.name,
        "version": told.version,
        "manager": told.manager,
    }
    if proved_by:
        row["by"] = proved_by
    if differs:
        row["differs"] = differs
    return row


def _verdict(flags: int, differs: list[str], proved_by: str) -> str:
    if not differs:
        return "proved" if proved_by else "unverified"
    if flags & CONFIG:
        return "config changed"
    if flags & NO_DIGEST_CHECK and set(differs) <= {"digest", "size"}:
        return "unverified"
    return "altered"


def _rank(row: Row) -> tuple[bool, bool, int]:
    """Sort the claim that says most first: a system's before pip's, one with a proof before one without."""
    is_weak = row["manager"] in WEAK_MANAGERS
    is_unverified = row["verdict"] == "unverified"
    return is_unverified, is_weak, _ORDER.index(row["verdict"])


def _holds(inodes: "array[int]", inode: int) -> bool:
    place = bisect_left(inodes, inode)
    return place < len(inodes) and inodes[place] == inode


def _of_nothing(algorithm: str) -> str:
    return hashlib.new(algorithm, b"", usedforsecurity=False).hexdigest() if algorithm in DIGEST_SIZES else ""


def _texts(package: PackageName) -> tuple[str, str, str]:
    return package.name, package.version, package.manager
