"""Where a host keeps its package databases: the files of each, looked up in the inventory."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from volforensic.inventory.entry import FileEntry
from volforensic.inventory.packages.python_records import is_record
from volforensic.inventory.store import Inventory

_DPKG = b"/var/lib/dpkg"
_RPM = (b"/var/lib/rpm", b"/usr/lib/sysimage/rpm", b"/usr/share/rpm")
_APK = (b"/lib/apk/db/installed", b"/usr/lib/apk/db/installed")
_INFO_KINDS = (b".list", b".md5sums")
_RPM_FILES = (b"rpmdb.sqlite", b"rpmdb.sqlite-wal", b"Packages", b"Packages.db")
_CONFIGURATION_NAMES = frozenset(b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-")
_MOST_FILES = 100_000
_RECORDS_PER_TASK = 2000
_RECORD_NAMES = (b"RECORD", b"installed-files.txt")


class ResolvedPath(Protocol):
    """Where a path leads."""

    @property
    def entry(self) -> FileEntry | None:
        """The entry; None where the path leads nowhere."""


class HostFiles(Protocol):
    """One host's own view of its files: ``collection.namespace.Namespace`` is one."""

    def resolve(self, path: bytes) -> ResolvedPath:
        """Follow a host path and every link on it, inside the evidence."""

    def at(self, path: bytes) -> FileEntry | None:
        """Return the entry at a host path without following a link at its end."""

    def children(self, directory: FileEntry) -> Iterator[FileEntry]:
        """Yield the entries of a directory."""

    def mounted_over(self, path: bytes) -> FileEntry | None:
        """Return the root of what is mounted at exactly this path."""

    def host_path(self, entry: FileEntry) -> bytes | None:
        """Return where the host had the entry; None where it belongs to another host."""


class Database(NamedTuple):
    """One database: who manages it, where the host has it, its files by name; of pip their paths on the host too.

    ``is_cut`` tells that it has more files than are read.
    """

    manager: str
    path: bytes
    volume: int
    files: dict[str, FileEntry]
    paths: dict[str, bytes]
    is_cut: bool = False


def find_databases(inventory: Inventory, host: HostFiles) -> Iterator[Database]:
    """Yield the host's databases, those of the system first, then the metadata of Python packages in pieces."""
    for found in (_dpkg(host), *_rpm(host), *_apk(host)):
        if found is not None and found.files:
            yield found
    yield from _python(inventory, host)


def account_files(host: HostFiles) -> dict[str, FileEntry]:
    """Return the host's passwd and group."""
    found = ((name, _file(host, f"/etc/{name}".encode())) for name in ("passwd", "group"))
    return {name: entry for name, entry in found if entry is not None}


def _dpkg(host: HostFiles) -> Database | None:
    folder = host.resolve(_DPKG).entry
    if folder is None:
        return None
    files = {}
    for name in ("status", "diversions", "statoverride"):
        entry = _file(host, _DPKG + b"/" + name.encode())
        if entry is not None:
            files[name] = entry
    files.update(_of_folder(host, _DPKG, "info", lambda name: name.endswith(_INFO_KINDS)))
    files.update(_of_folder(host, _DPKG, "status.d", lambda _: True))
    files.update(_of_folder(host, _DPKG, "alternatives", lambda _: True))
    if not any(name == "status" or name.startswith(("info/", "status.d/")) for name in files):
        return None
    configuration = _file(host, b"/etc/dpkg/dpkg.cfg")
    if configuration is not None:
        files["dpkg.cfg"] = configuration
    files.update(_of_folder(host, b"/etc/dpkg", "dpkg.cfg.d", _CONFIGURATION_NAMES.issuperset))
    is_cut = len(files) >= _MOST_FILES
    return Database("dpkg", _DPKG, folder.volume, files, {}, is_cut)


def _of_folder(host: HostFiles, above: bytes, name: str, is_wanted: "Wanted") -> Iterator[tuple[str, FileEntry]]:
    folder = host.resolve(above + b"/" + name.encode()).entry
    if folder is None or folder.type != "directory":
        return
    for count, entry in enumerate(host.children(folder)):
        if count >= _MOST_FILES:
            return
        if entry.type == "file" and is_wanted(entry.name):
            yield f"{name}/{entry.name.decode('utf-8', 'surrogateescape')}", entry


def _rpm(host: HostFiles) -> Iterator[Database]:
    seen = set()
    has_alternatives = False
    for path in _RPM:
        files = {}
        for name in _RPM_FILES:
            entry = _file(host, path + b"/" + name)
            if entry is not None and (entry.volume, entry.path) not in seen:
                seen.add((entry.volume, entry.path))
                files[name.decode()] = entry
        if files.keys() - {"rpmdb.sqlite-wal"}:
            if not has_alternatives:
                has_alternatives = True
                files.update(_of_folder(host, b"/var/lib", "alternatives", lambda _: True))
            yield Database("rpm", path, next(iter(files.values())).volume, files, {})


def _apk(host: HostFiles) -> Iterator[Database]:
    seen = set()
    for path in _APK:
        entry = _file(host, path)
        if entry is not None and (entry.volume, entry.path) not in seen:
            seen.add((entry.volume, entry.path))
            yield Database("apk", path, entry.volume, {"installed": entry}, {})


def _python(inventory: Inventory, host: HostFiles) -> Iterator[Database]:
    """Yield the metadata of Python packages anywhere on the host, in pieces of a bounded number of files."""
    files: dict[str, FileEntry] = {}
    paths: dict[str, bytes] = {}
    for name in _RECORD_NAMES:
        for entry in inventory.named(name, is_prefix=False):
            path = host.host_path(entry) if entry.type == "file" else None
            if path is None or not is_record(path):
                continue
            key = str(len(files))
            files[key], paths[key] = entry, path
            if len(files) >= _RECORDS_PER_TASK:
                yield Database("pip", b"", entry.volume, files, paths)
                files, paths = {}, {}
    if files:
        yield Database("pip", b"", next(iter(files.values())).volume, files, paths)


def _file(host: HostFiles, path: bytes) -> FileEntry | None:
    entry = host.resolve(path).entry
    return entry if entry is not None and entry.type == "file" else None


class Wanted(Protocol):
    """Whether a file of this name is wanted."""

    def __call__(self, name: bytes, /) -> bool:
        """Return it."""
