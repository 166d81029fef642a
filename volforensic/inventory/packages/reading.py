"""Reading package databases: what a worker does with the files of one."""

from collections.abc import Callable, Iterator
from functools import partial

import msgspec

from volforensic.evidence.layout import VolumeFacts
from volforensic.inventory.entry import FileEntry
from volforensic.inventory.file_bytes import Loss, OpenFilesystem, filesystem_opener, stored_chunks
from volforensic.inventory.packages import (
    apk,
    dpkg,
    dpkg_files,
    dpkg_status,
    python_records,
    rpm,
    rpm_berkeley,
    rpm_ndb,
    rpm_sqlite,
)
from volforensic.inventory.packages.accounts import Accounts
from volforensic.inventory.packages.claims import Claim, Claims, Lost, PackageName
from volforensic.sandbox.worker import Workplace

LARGEST_TEXT = 64 << 20
"""Bytes of one file of a database of small files."""
_LARGEST_TOGETHER = 384 << 20
_LARGEST_DATABASE = 384 << 20
_LARGEST_ACCOUNTS = 8 << 20
CLAIMS_PER_MESSAGE = 5000
_LARGEST_MESSAGE = 8 << 20
_CLAIM_COST = 200
_LARGEST_ALTERNATIVE = 1 << 20
_MOST_LOSSES = 20


class DatabaseArguments(msgspec.Struct, frozen=True, kw_only=True):
    """One database: its manager, its files by the names that the manager gives them, the volumes they lie in.

    ``accounts`` are the host's passwd and group; ``paths`` are the paths on the host of the files of pip.
    """

    manager: str
    files: dict[str, FileEntry]
    volumes: dict[int, VolumeFacts]
    accounts: dict[str, FileEntry] = {}
    paths: dict[str, bytes] = {}


class ClaimBatch(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Claims of one package; ``origin`` is the name of the file that holds them, where each has its own."""

    package: PackageName
    claims: list[Claim]
    origin: str = ""


class DatabaseLoss(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """What of a database could not be read: a ``Lost``, and the name of the file among the arguments' files."""

    reason: str
    file: str = ""
    hides: bool = True
    offset: int | None = None
    length: int | None = None


DatabaseMessage = ClaimBatch | DatabaseLoss


class _Files:
    """Holds the way to the files of a database and what was lost of them."""

    def __init__(self, place: Workplace, given: DatabaseArguments) -> None:
        self._place = place
        self._filesystem = filesystem_opener(place.source, given.volumes)
        self._entries = {**given.files, **given.accounts}
        self._claiming = given.files.keys()
        self._loaded: dict[str, bytes] = {}
        self.losses: list[DatabaseLoss] = []

    def load(self) -> None:
        """Read all files in the order of the disk: thousands of small ones in any other cost a seek each."""
        rest = _LARGEST_TOGETHER
        for name in sorted(self._entries, key=lambda name: _place_of(self._entries[name])):
            self._place.begin_item(0)
            data = self.read(name, min(LARGEST_TEXT, rest)) or b""
            rest -= len(data)
            self._loaded[name] = data

    def names(self, folder: str) -> list[str]:
        """Return the names of the files of a folder, without the folder."""
        return sorted(name[len(folder) :] for name in self._entries if name.startswith(folder))

    def read(self, name: str, limit: int = LARGEST_TEXT) -> bytes | None:
        """Return a file's bytes; None where there is none."""
        if name in self._loaded or name not in self._entries:
            return self._loaded.get(name)
        losses: list[Loss] = []
        data = _whole(self._place, self._entries[name], self._filesystem, limit, losses)
        self.losses += [self._loss(name, loss) for loss in losses[:_MOST_LOSSES]]
        return data

    def _loss(self, name: str, loss: Loss) -> DatabaseLoss:
        """Return a loss as a message; names of accounts that were not read cost no claim."""
        if name in self._claiming:
            return DatabaseLoss(loss.reason, file=name, offset=loss.offset, length=loss.length)
        return DatabaseLoss(f"/etc/{name}: {loss.reason}", hides=False, offset=loss.offset, length=loss.length)


def read_database(place: Workplace, arguments: object) -> Iterator[DatabaseMessage]:
    """Yield the claims of a database, package by package, and what was lost: worker function, ``DatabaseArguments``."""
    given = msgspec.convert(arguments, DatabaseArguments)
    files = _Files(place, given)
    readers: dict[str, Callable[[], Iterator[DatabaseMessage]]] = {
        "dpkg": partial(_dpkg, files),
        "rpm": partial(_rpm, files),
        "apk": partial(_apk, files),
        "pip": partial(_pip, files, given.paths),
    }
    for message in readers[given.manager]():
        place.begin_item(0)
        yield message
    yield from files.losses


def _dpkg(files: _Files) -> Iterator[DatabaseMessage]:
    files.load()
    accounts = _accounts(files)
    names = ["dpkg.cfg", *(f"dpkg.cfg.d/{name}" for name in files.names("dpkg.cfg.d/"))]
    rules = [rule for name in names for rule in dpkg_files.path_rules(files.read(name) or b"")]
    common = dpkg.Common(
        dpkg_files.diversions(files.read("diversions") or b""),
        dpkg_files.overrides(files.read("statoverride") or b"", accounts),
        dpkg_files.PathFilter(rules),
        set(),
    )
    status = files.read("status")
    stems = {name.removesuffix(".list") for name in files.names("info/") if name.endswith(".list")}
    if status is not None or stems:
        yield from _status(files, status, stems, common)
    for name in files.names("status.d/"):
        if not name.endswith(".md5sums"):
            sums = files.read(f"status.d/{name}.md5sums")
            found = dpkg.distroless_claims(files.read(f"status.d/{name}") or b"", sums, common, name)
            yield from _messages(found, f"status.d/{name}")
    yield from _alternatives(files, "dpkg")


def _alternatives(files: _Files, manager: str) -> Iterator[DatabaseMessage]:
    for name in files.names("alternatives/"):
        data = files.read(f"alternatives/{name}") or b""
        if len(data) > _LARGEST_ALTERNATIVE:
            yield DatabaseLoss("too large for a file of alternatives: it was not read", f"alternatives/{name}")
            continue
        yield from _messages(iter([dpkg.alternative_claims(name.encode("latin-1"), data, manager)]))


def _status(files: _Files, data: bytes | None, stems: set[str], common: dpkg.Common) -> Iterator[DatabaseMessage]:
    is_cut = data is None or dpkg_status.is_cut(data)
    if data is None:
        yield DatabaseLoss("dpkg has lists of files and no status file: the versions of its packages are not known")
    elif is_cut:
        yield DatabaseLoss("the status file ends within a package", "status", True, len(data))  # noqa: FBT003 - as above
    found = dpkg.status_claims(
        dpkg_status.packages(data or b""), stems, lambda name: files.read(f"info/{name}"), common, is_cut=is_cut
    )
    yield from _messages(found)


def _rpm(files: _Files) -> Iterator[DatabaseMessage]:
    accounts = _accounts(files)
    for name in ("rpmdb.sqlite", "Packages.db", "Packages"):
        data = files.read(name, _LARGEST_DATABASE)
        if not data:
            continue
        if name == "rpmdb.sqlite":
            headers = rpm_sqlite.headers(data, files.read("rpmdb.sqlite-wal", rpm_sqlite.LARGEST) or b"")
        else:
            headers = (rpm_ndb if name == "Packages.db" else rpm_berkeley).headers(data)
        del data
        yield from _messages(_packages(headers, accounts), name)
    yield from _alternatives(files, "rpm")


def _packages(headers: Iterator[bytes | Lost], accounts: Accounts) -> Iterator[Claims | Lost]:
    for header in headers:
        if isinstance(header, Lost):
            yield header
        else:
            yield from rpm.package_claims(header, accounts)


def _apk(files: _Files) -> Iterator[DatabaseMessage]:
    yield from _messages(apk.installed(files.read("installed") or b""), "installed")


def _pip(files: _Files, paths: dict[str, bytes]) -> Iterator[DatabaseMessage]:
    for name, path in paths.items():
        data = files.read(name)
        if data:
            yield from _messages(python_records.record_claims(path, data), name, origin=name)


def _messages(found: Iterator[Claims | Lost], file: str = "", origin: str = "") -> Iterator[DatabaseMessage]:
    for one in found:
        if isinstance(one, Lost):
            yield DatabaseLoss(one.reason, file, one.hides, one.offset, one.length)
            continue
        for claims in _batches(one.claims):
            yield ClaimBatch(one.package, claims, origin)


def _batches(claims: list[Claim]) -> Iterator[list[Claim]]:
    """Yield the claims in messages of a bounded size; a package without any has one message too."""
    batch: list[Claim] = []
    size = 0
    for claim in claims:
        own = _CLAIM_COST + len(claim.path) + len(claim.excluded) + sum(map(len, claim.targets))
        if batch and (len(batch) >= CLAIMS_PER_MESSAGE or size + own > _LARGEST_MESSAGE):
            yield batch
            batch, size = [], 0
        batch.append(claim)
        size += own
    if batch or not claims:
        yield batch


def _accounts(files: _Files) -> Accounts:
    return Accounts(files.read("passwd", _LARGEST_ACCOUNTS) or b"", files.read("group", _LARGEST_ACCOUNTS) or b"")


def _place_of(entry: FileEntry) -> tuple[int, int]:
    return (0, entry.extents[0].source_offset) if entry.extents else (1, entry.inode)


def _whole(place: Workplace, entry: FileEntry, filesystem: OpenFilesystem, limit: int, losses: list[Loss]) -> bytes:
    """Return a file's bytes up to a limit, holes as NUL bytes; what is beyond is a loss."""
    buffer = bytearray()
    read = 0
    for block in stored_chunks(place.source, entry, filesystem, losses):
        place.begin_item(0)
        read += len(block.data)
        if read > 2 * limit:  # extents that lie over each other
            losses.append(Loss(len(buffer), max(0, entry.size - len(buffer)), "its extents hold more than it is long"))
            break
        if block.position > len(buffer):
            buffer.extend(bytes(min(block.position, limit) - len(buffer)))
        buffer.extend(block.data[len(buffer) - block.position :][: limit - len(buffer)])
        if len(buffer) >= limit:
            break
    if len(buffer) < min(entry.size, limit):
        buffer.extend(bytes(min(entry.size, limit) - len(buffer)))
    if entry.size > limit:
        losses.append(Loss(limit, entry.size - limit, f"only the first {limit} bytes are read"))
    return bytes(buffer)
