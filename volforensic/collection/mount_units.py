"""systemd's mount units of a host, found by their names in the inventory. Source: systemd.unit(5), search path."""

import posixpath
from collections.abc import Iterator, Sequence

import msgspec

from volforensic.collection.namespace import Namespace
from volforensic.collection.parsers.identity import FstabEntry
from volforensic.inventory.entry import FileEntry

_FOLDERS = (
    b"/etc/systemd/system",
    b"/usr/local/lib/systemd/system",
    b"/usr/lib/systemd/system",
    b"/lib/systemd/system",
)
"""In the order in which the first unit of a name counts; those of the first folder count before fstab."""

_MOST_UNITS = 500
_MOST_DROP_INS = 16
_MOST_NAMES = 20_000


class UnitFiles(msgspec.Struct, frozen=True):
    """A mount unit: its name, its path, its file and drop-ins in their order, and whether something enables it."""

    name: bytes
    path: bytes
    files: list[FileEntry]
    is_enabled: bool
    is_above_fstab: bool


def find_units(namespace: Namespace) -> Iterator[UnitFiles]:
    """Yield a host's mount units: each name once, none that is masked, at most some hundreds."""
    folders = [(folder, dict(_children(namespace, folder))) for folder in _FOLDERS]
    enabled = _enabled(namespace, folders)
    seen: set[bytes] = set()
    for folder, names in folders:
        for name, entry in sorted(names.items()):
            if not name.endswith(b".mount") or b"@" in name or name in seen or len(seen) >= _MOST_UNITS:
                continue
            seen.add(name)
            file = _file(namespace, folder + b"/" + name, entry)
            if file is None:
                continue  # a link to /dev/null: masked
            drop_ins = _drop_ins(namespace, name, folders)
            is_enabled = name in enabled or name.removesuffix(b".mount") + b".automount" in enabled
            yield UnitFiles(name, folder + b"/" + name, [file, *drop_ins], is_enabled, folder == _FOLDERS[0])


def all_mounts(lines: Sequence[FstabEntry], units: Sequence[tuple[UnitFiles, FstabEntry]]) -> list[FstabEntry]:
    """Return a host's mounts: a unit of the administrator counts before a line of fstab, a package's behind it."""
    places = {b"/" + posixpath.normpath(line.mount_point).lstrip(b"/") for line in lines}
    mounts = [
        msgspec.structs.replace(mount, unit=unit.path, is_enabled=unit.is_enabled or mount.mount_point in places)
        for unit, mount in units
        if unit.is_above_fstab or mount.mount_point not in places
    ]
    given = {mount.mount_point for mount in mounts}
    kept = [line for line in lines if b"/" + posixpath.normpath(line.mount_point).lstrip(b"/") not in given]
    return [*kept, *mounts]


def _enabled(namespace: Namespace, folders: list[tuple[bytes, dict[bytes, FileEntry]]]) -> set[bytes]:
    """Return the names of the units that a link in a .wants or .requires folder pulls in."""
    found: set[bytes] = set()
    for folder, names in folders:
        for name, entry in names.items():
            if entry.type == "directory" and name.endswith((b".wants", b".requires")):
                found |= {unit for unit, _ in _children(namespace, folder + b"/" + name)}
    return found


def _drop_ins(
    namespace: Namespace, name: bytes, folders: list[tuple[bytes, dict[bytes, FileEntry]]]
) -> list[FileEntry]:
    """Return the drop-ins of a unit by their names; of two of one name the first folder's."""
    found: dict[bytes, FileEntry] = {}
    for folder, names in folders:
        if name + b".d" not in names:
            continue
        for drop_in, entry in _children(namespace, folder + b"/" + name + b".d"):
            file = _file(namespace, folder + b"/" + name + b".d/" + drop_in, entry)
            if drop_in.endswith(b".conf") and file is not None:
                found.setdefault(drop_in, file)
    return [found[drop_in] for drop_in in sorted(found)[:_MOST_DROP_INS]]


def _children(namespace: Namespace, folder: bytes) -> Iterator[tuple[bytes, FileEntry]]:
    directory = namespace.resolve(folder).entry
    if directory is None or directory.type != "directory":
        return
    for number, entry in enumerate(namespace.children(directory)):
        if number >= _MOST_NAMES:
            return
        if entry.allocated:
            yield entry.name, entry


def _file(namespace: Namespace, path: bytes, entry: FileEntry) -> FileEntry | None:
    found = namespace.resolve(path).entry if entry.type == "symlink" else entry
    return found if found is not None and found.type == "file" else None
