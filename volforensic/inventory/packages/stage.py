"""The packages stage: the databases of every host are read in workers, and their claims meet the inventory."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from volforensic.evidence.layout import VolumeFacts
from volforensic.inventory.packages.claims import (
    CONFIG,
    DIGEST_SIZES,
    DIRECTORY,
    DOCUMENTATION,
    GHOST,
    LONGEST_NAME,
    LONGEST_PATH,
    MOST_LINK_TARGETS,
    OPTIONAL,
    WEAK_MANAGERS,
    Claim,
    PackageName,
)
from volforensic.inventory.packages.databases import Database, HostFiles, account_files, find_databases
from volforensic.inventory.packages.matching import Capabilities, Folder, Folders, Found, compare, is_concerned
from volforensic.inventory.packages.proof import PackageProof
from volforensic.inventory.packages.reading import (
    CLAIMS_PER_MESSAGE,
    ClaimBatch,
    DatabaseArguments,
    DatabaseLoss,
    DatabaseMessage,
)
from volforensic.inventory.store import Inventory
from volforensic.record import Problem, Row, text, text_fields
from volforensic.sandbox.confinement import GIBIBYTE, Limits
from volforensic.sandbox.messages import SourceHandle
from volforensic.sandbox.pool import Failure, Pool, Task

MOST_CLAIMS = 10_000_000
MOST_MISSING = 300_000
"""Missing files of one host that are listed; more are counted."""
_LONGEST_REASON = 600
_MOST_PROBLEMS = 100
_DOCUMENTATION_PLACES = tuple(b"/usr/share/" + name for name in (b"doc/", b"man/", b"info/", b"locale/", b"help/"))
_LIMITS = Limits(memory=2 * GIBIBYTE, address_space=4 * GIBIBYTE, processor_seconds=600, item_seconds=120,
                 output=4 * GIBIBYTE)  # fmt: skip


class Sources(NamedTuple):
    """What the stage works on: workers, the source's descriptor, its volumes, the inventory.

    ``hosts`` are the hosts' views of their files, the most important first (``collection.namespace.Namespace``).
    ``doubtful`` are the volumes whose filesystem was not read whole. ``capabilities`` returns an entry's.
    """

    pool: Pool
    source: SourceHandle
    volumes: Mapping[int, VolumeFacts]
    inventory: Inventory
    hosts: Sequence[HostFiles]
    doubtful: frozenset[int] = frozenset()
    capabilities: Capabilities = lambda _: None


class PackageDatabase(msgspec.Struct, frozen=True, kw_only=True):
    """A database that was read: what the report says of it. ``is_complete`` is false where claims may be lost."""

    manager: str
    path: str
    volume: int
    packages: int
    claims: int
    missing: int
    is_complete: bool


def described(databases: Sequence[PackageDatabase], verdicts: Mapping[str, int]) -> Row:
    """Return the key ``packages`` of evidence.json: the databases, and how many entries got which verdict."""
    return {"databases": [msgspec.to_builtins(database) for database in databases], "verdicts": dict(verdicts)}


def read_packages(given: Sources, proof: PackageProof) -> Iterator[PackageDatabase | Problem]:
    """Read all databases of all hosts into ``proof`` and yield each database, and a problem for what was lost.

    Ends with ``proof.index()``: after it ``proof`` can be asked.
    """
    for host in given.hosts:
        reading = _HostReading(given, host, proof)
        for database in find_databases(given.inventory, host):
            yield from reading.read(database)
        if reading.is_known and reading.is_complete:
            proof.add_known_host(host)
    proof.index()


class _HostReading:
    """Holds what the databases of one host share."""

    def __init__(self, given: Sources, host: HostFiles, proof: PackageProof) -> None:
        self._given = given
        self._host = host
        self._proof = proof
        self._accounts = account_files(host)
        self._folders = Folders(given.inventory, host)
        self._missing = 0
        self.is_known = False
        self.is_complete = True

    def read(self, database: Database) -> Iterator[PackageDatabase | Problem]:
        """Yield what came of one database, its problems first."""
        packages: set[PackageName] = set()
        claims = missing = told = 0
        is_complete = not database.is_cut
        if database.is_cut:
            yield self._problem(database, DatabaseLoss(f"only the first {len(database.files)} files of it are read"))
        for message in self._given.pool.run(self._task(database)):
            if isinstance(message, ClaimBatch):
                packages.add(message.package)
                claims += len(message.claims)
                missing += self._take(message, database)
                continue
            lost = _as_loss(message, database)
            is_complete = is_complete and not lost.hides
            told += 1
            if told <= _MOST_PROBLEMS:
                yield self._problem(database, lost)
        if told > _MOST_PROBLEMS:
            reason = f"{told - _MOST_PROBLEMS} more places of the {database.manager} database were lost"
            yield self._problem(database, DatabaseLoss(reason, hides=not is_complete))
        if self._missing > MOST_MISSING:
            reason = f"{self._missing - MOST_MISSING} missing files more than {MOST_MISSING} are not listed"
            yield self._problem(database, DatabaseLoss(reason, hides=False))
            self._missing = MOST_MISSING
        if database.manager not in WEAK_MANAGERS:
            self.is_known = self.is_known or claims > 0
            self.is_complete = self.is_complete and is_complete
        yield PackageDatabase(
            manager=database.manager,
            path=text(database.path),
            volume=database.volume,
            packages=len(packages),
            claims=claims,
            missing=missing,
            is_complete=is_complete,
        )

    def _task(self, database: Database) -> Task:
        return Task(
            function="volforensic.inventory.packages.reading:read_database",
            arguments=DatabaseArguments(
                manager=database.manager,
                files=database.files,
                volumes=dict(self._given.volumes),
                accounts=self._accounts,
                paths=database.paths,
            ),
            message_type=DatabaseMessage,
            source=self._given.source,
            limits=_LIMITS,
            check=_DatabaseCheck(database),
        )

    def _take(self, batch: ClaimBatch, database: Database) -> int:
        """Keep the claims of a message; return how many of their files are not there."""
        found: list[Found] = []
        missing = 0
        writer = database.files[batch.origin] if batch.origin else None
        for claim in batch.claims:
            entry, folder = self._folders.find(claim.path)
            if entry is None:
                missing += self._miss(batch.package, claim, folder, database)
            elif is_concerned(claim, entry) and (writer is None or writer.uid in (0, entry.uid)):
                kind = self._given.volumes[entry.volume].kind if entry.volume in self._given.volumes else ""
                comparison = compare(claim, entry, kind, self._given.capabilities)
                found.append(Found(claim, entry, comparison))
        self._proof.add(batch.package, found)
        return missing

    def _miss(self, package: PackageName, claim: Claim, folder: Folder | None, database: Database) -> int:
        """Note a file that is not there; return 1 where that is worth counting, else 0."""
        if claim.flags & (GHOST | OPTIONAL) or claim.kind == DIRECTORY:
            return 0
        if self._folders.is_volatile(claim.path.rpartition(b"/")[0]):
            return 0
        volume = database.volume if folder is None else folder.volume
        row: Row = {
            **text_fields("path", claim.path),
            "volume": volume,
            "package": package.name,
            "version": package.version,
            "manager": package.manager,
            "is_config": bool(claim.flags & CONFIG),
        }
        volume_path = claim.path if folder is None else folder.path + b"/" + claim.path.rpartition(b"/")[2]
        if volume_path != claim.path:
            row.update(text_fields("volume_path", volume_path))
        if claim.kind:
            row["type"] = claim.kind
        if claim.flags & DOCUMENTATION or claim.path.startswith(_DOCUMENTATION_PLACES):
            row["is_documentation"] = True
        if claim.excluded:
            row["excluded"] = claim.excluded
        if volume in self._given.doubtful:
            row["uncertain"] = "the filesystem was not read whole"
        self._missing += 1
        if self._missing <= MOST_MISSING:
            self._proof.add_missing(row)
        return int(not claim.excluded)

    def _problem(self, database: Database, lost: DatabaseLoss) -> Problem:
        entry = database.files.get(lost.file)
        source = database.path or b"/"
        if entry is not None:
            source = self._host.host_path(entry) or entry.path
        effect = "; no file of this host is called unowned because of it" if lost.hides else ""
        return Problem(
            stage="packages",
            reason=lost.reason[:_LONGEST_REASON] + effect,
            volume=database.volume if entry is None else entry.volume,
            inode=None if entry is None else entry.inode,
            offset=lost.offset,
            length=lost.length,
            **text_fields("source", source),
        )


class _DatabaseCheck:
    """Holds how many claims came; the check of what the worker says a database holds."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._claims = 0

    def refused(self, message: DatabaseMessage) -> str:
        if isinstance(message, DatabaseLoss):
            return "" if message.file in self._database.files or not message.file else "a loss in a file that is none"
        self._claims += len(message.claims)
        if self._claims > MOST_CLAIMS or len(message.claims) > CLAIMS_PER_MESSAGE:
            return f"more than {MOST_CLAIMS} claims, or {len(message.claims)} at once"
        package = message.package
        if package.manager != self._database.manager or max(len(package.name), len(package.version)) > LONGEST_NAME:
            return "a package's manager or name is none"
        if (message.origin not in self._database.files) if message.origin else self._database.manager in WEAK_MANAGERS:
            return "claims of a file that is none"
        return "a claim's path or digest is none" if any(map(_is_wrong, message.claims)) else ""

    def missing(self) -> str:
        return ""


def _is_wrong(claim: Claim) -> bool:
    return (
        not claim.path.startswith(b"/")
        or len(claim.path) > LONGEST_PATH
        or len(claim.digest) != DIGEST_SIZES.get(claim.algorithm, 0)
        or len(claim.targets) > MOST_LINK_TARGETS
    )


def _as_loss(message: DatabaseLoss | Failure, database: Database) -> DatabaseLoss:
    if isinstance(message, Failure):
        message = DatabaseLoss(f"the package database could not be read to its end: {message.reason}")
    if database.manager in WEAK_MANAGERS:  # its claims do not decide what is unowned
        return msgspec.structs.replace(message, hides=False)
    return message
