"""The claims of all databases while a run works: asked before and after the pass.

Before the pass: which digests beside SHA-256 does a file need? Afterwards: given its digests, what is it? Plain claims
are in memory, the rest in a SQLite file, by inode and a checksum of the path: memory stays bounded whatever is claimed.
"""

import hashlib
import sqlite3
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import msgspec

from volforensic.inventory.entry import FileEntry
from volforensic.inventory.packages.claims import (
    CONFIG,
    DIGEST_SIZES,
    DIRECTORY,
    FILE,
    NO_DIGEST_CHECK,
    WEAK_MANAGERS,
    PackageName,
)
from volforensic.inventory.packages.databases import HostFiles
from volforensic.inventory.packages.matching import Found
from volforensic.inventory.packages.plain_claims import PlainClaim, PlainClaims
from volforensic.record import Row

_SCHEMA = """
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    PRAGMA cache_size = -8192;
    CREATE TABLE claimed (
        volume INTEGER, tree INTEGER, inode TEXT, path_sum INTEGER, package INTEGER, flags INTEGER, algorithm TEXT,
        digest BLOB, size INTEGER, differs TEXT, proved_by TEXT
    );
    CREATE TABLE missing (data BLOB);
"""
_INDEX = "CREATE INDEX claimed_by_inode ON claimed (volume, tree, inode)"
_QUESTION = (
    "SELECT package, flags, algorithm, digest, size, differs, proved_by FROM claimed"
    " WHERE volume = ? AND tree = ? AND inode = ? AND path_sum = ?"
)
_ALGORITHMS = "SELECT DISTINCT algorithm FROM claimed WHERE volume = ? AND tree = ? AND inode = ?"
_ALWAYS = "sha256"
_MOST_PLAIN = 2_000_000
_MOST_NEEDED = 300_000
_ORDER = ("proved", "config changed", "altered", "unverified")


class _Told(NamedTuple):
    """A row of the question: a claim on a path, and what is known of it without the content's digest."""

    package: int
    flags: int
    algorithm: str
    digest: bytes
    size: int = -1
    differs: str = ""
    proved_by: str = ""


class PackageProof:
    """Holds the claims. Add them, ``index()`` once, then ask. Use it as a context manager."""

    def __init__(self, path: Path) -> None:
        """Create the SQLite file at the path; it must not exist."""
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.executescript(_SCHEMA)
        self._connection.execute("BEGIN")
        self._plain: dict[tuple[int, int], list[PlainClaims]] = {}
        self._plain_left = _MOST_PLAIN
        self._needed: dict[tuple[int, int, int], frozenset[str]] = {}  # of inodes that are not plain
        self._has_more = False  # inodes that are not in _needed because they are too many
        self._packages: list[PackageName] = []
        self._numbers: dict[PackageName, int] = {}
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
        number = self._numbers.setdefault(package, len(self._packages))
        if number == len(self._packages):
            self._packages.append(package)
        for one in found:
            claim, entry, comparison = one
            path_sum = zlib.crc32(entry.path)
            plain = PlainClaim(entry.inode, path_sum, number, claim.flags, claim.digest)
            if self._plain_left and _is_plain(one) and self._group(entry, claim.algorithm).add(plain):
                self._plain_left -= 1
            else:
                told = _Told(number, claim.flags, claim.algorithm, claim.digest, claim.size,
                             ",".join(comparison.differs), comparison.by)  # fmt: skip
                self._keep(entry.volume, entry.tree, entry.inode, path_sum, told)

    def add_missing(self, row: Row) -> None:
        """Keep a row about a package's file that is not there."""
        self._connection.execute("INSERT INTO missing VALUES (?)", (self._encoder.encode(row),))

    def add_known_host(self, host: HostFiles) -> None:
        """Note that all databases of a host were read: a file of it that nobody claims is unowned."""
        self._known.append(host)

    def index(self) -> None:
        """Sort what was added: after the last claim."""
        for (volume, tree), groups in self._plain.items():
            for group in groups:
                for claim in group.sort():
                    told = _Told(claim.package, claim.flags, group.algorithm, claim.digest)
                    self._keep(volume, tree, claim.inode, claim.path_sum, told)
        self._connection.execute("COMMIT")
        self._connection.execute(_INDEX)

    def algorithms(self, entry: FileEntry) -> frozenset[str]:
        """Return the digests beside SHA-256 that an inode's content needs, for any of the paths that lead to it."""
        needed = self._needed.get((entry.volume, entry.tree, entry.inode), frozenset())
        if self._has_more:
            place = entry.volume, entry.tree, str(entry.inode)
            needed = frozenset(name for (name,) in self._connection.execute(_ALGORITHMS, place)) - {"", _ALWAYS}
        for group in self._plain.get((entry.volume, entry.tree), ()):
            if group.algorithm != _ALWAYS and group.holds(entry.inode):
                needed |= {group.algorithm}
        return needed

    def verdict(self, entry: FileEntry, hashes: Mapping[str, str]) -> Row | None:
        """Return the value of the row's key ``package`` for the entry of one path; None where nobody can say.

        ``hashes`` are hexadecimal digests of the whole content by algorithm; of a file that was not read to its end
        there are none. Directories have no verdict but where a package has a file in their place.
        """
        told = self._told(entry)
        if not told:
            is_known = entry.type != DIRECTORY and any(host.host_path(entry) is not None for host in self._known)
            return {"verdict": "unowned"} if is_known else None
        rows = [_judged(one, self._packages[one.package], entry, hashes) for one in told]
        return rows[0] if len(rows) == 1 else min(rows, key=_rank)

    def missing(self) -> Iterator[Row]:
        """Yield a row for each file of a package that is not on the disk, in the order of the databases."""
        for (data,) in self._connection.execute("SELECT data FROM missing ORDER BY rowid"):
            row: Row = msgspec.msgpack.decode(data)
            yield row

    def _told(self, entry: FileEntry) -> list[_Told]:
        """Return the claims on an entry; the link count of a hostile inode may lie, so its path is looked at too."""
        told: list[_Told] = []
        path_sum = zlib.crc32(entry.path)
        if self._has_more or (entry.volume, entry.tree, entry.inode) in self._needed:
            place = entry.volume, entry.tree, str(entry.inode), path_sum
            told = [_Told(*row) for row in self._connection.execute(_QUESTION, place)]
        for group in self._plain.get((entry.volume, entry.tree), ()):
            claim = group.find(entry.inode)
            if claim is not None and claim.path_sum == path_sum:
                told.append(_Told(claim.package, claim.flags, group.algorithm, claim.digest))
        return told

    def _group(self, entry: FileEntry, algorithm: str) -> PlainClaims:
        groups = self._plain.setdefault((entry.volume, entry.tree), [])
        for group in groups:
            if group.algorithm == algorithm:
                return group
        groups.append(PlainClaims(algorithm))
        return groups[-1]

    def _keep(self, volume: int, tree: int, inode: int, path_sum: int, told: _Told) -> None:
        place = volume, tree, inode
        if len(self._needed) < _MOST_NEEDED or place in self._needed:
            self._needed[place] = self._needed.get(place, frozenset()) | ({told.algorithm} - {"", _ALWAYS})
        else:
            self._has_more = True
        values = (volume, tree, str(inode), path_sum, *told)
        self._connection.execute("INSERT INTO claimed VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)


def _is_plain(found: Found) -> bool:
    claim, entry, comparison = found
    return (
        bool(claim.digest)
        and entry.type == FILE
        and entry.links == 1
        and not comparison.differs
        and not comparison.by
        and claim.size in (-1, entry.size)
    )


def _judged(told: _Told, package: PackageName, entry: FileEntry, hashes: Mapping[str, str]) -> Row:
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
        "name": package.name,
        "version": package.version,
        "manager": package.manager,
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


def _of_nothing(algorithm: str) -> str:
    return hashlib.new(algorithm, b"", usedforsecurity=False).hexdigest() if algorithm in DIGEST_SIZES else ""
