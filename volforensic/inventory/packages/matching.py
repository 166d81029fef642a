"""Claims meet the disk: where a claimed path leads on this evidence, and in what the entry there differs."""

import hashlib
from collections import Counter
from collections.abc import Callable
from itertools import islice
from typing import NamedTuple

from volforensic.inventory.entry import FileEntry
from volforensic.inventory.packages.claims import DIRECTORY, FILE, SPECIAL, SYMLINK, Claim
from volforensic.inventory.packages.databases import HostFiles
from volforensic.inventory.store import Inventory

Capabilities = Callable[[FileEntry], str | None]
"""Returns an entry's capabilities as text (empty: it has none); None where nobody read them."""

_WITHOUT_OWNERS = frozenset({"fat", "fat12", "fat16", "fat32", "vfat", "exfat", "ntfs", "iso9660"})
_VOLATILE = (b"/run", b"/dev", b"/proc", b"/sys", b"/tmp")
_MOST_FOLDERS = 200_000
_MOST_LISTED = 20_000
_ENTRIES_AT_ONCE = 100
_ENTRIES_FOR_A_LOOK = 8
_SET_ID = 0o6000


class Folder(NamedTuple):
    """A directory of the host as the evidence has it: its volume, its path there and on the host, without links."""

    volume: int
    path: bytes
    host_path: bytes


class Comparison(NamedTuple):
    """What of an entry differs from a claim, and by what it was proved so far (a link's target), or empty."""

    differs: tuple[str, ...]
    by: str = ""


class Found(NamedTuple):
    """A claim, the entry that it is about, and what came of comparing the two."""

    claim: Claim
    entry: FileEntry
    comparison: Comparison


class Folders:
    """Holds the host's view: which directory of the evidence a path of its databases leads to.

    The database says /bin/ls and the disk has /usr/bin/ls: links to directories are followed, inside the evidence.
    """

    def __init__(self, inventory: Inventory, host: HostFiles) -> None:
        """Take the inventory and the host."""
        self._inventory = inventory
        self._host = host
        self._known: dict[bytes, Folder | None] = {}
        self._listings = _Listings(inventory)

    def find(self, claim_path: bytes) -> tuple[FileEntry | None, Folder | None]:
        """Return the entry at a path (its last component is not followed), and the directory that holds it."""
        parent, _, name = claim_path.rpartition(b"/")
        folder = self.folder(parent)
        if folder is None:
            return None, None
        names = self._listings.of(folder)
        at = self._inventory.at
        entry = names.get(name) if names is not None else at(folder.volume, folder.path + b"/" + name)
        # What is not in the mounted filesystem may lie below the mount point: the host's view knows.
        return entry or self._host.at(claim_path), folder

    def folder(self, path: bytes) -> Folder | None:
        """Return the directory that a host path (``b""`` for the root) leads to; None where there is none."""
        if path in self._known:
            return self._known[path]
        if len(self._known) > _MOST_FOLDERS:
            self._known.clear()
        self._known[path] = found = self._resolved(path)
        return found

    def is_volatile(self, path: bytes) -> bool:
        """Return whether a path lies where a running host keeps nothing on disk: /run, /proc and their like."""
        above = path
        while above and self.folder(above) is None:
            above = above.rpartition(b"/")[0]
        folder = self.folder(above)
        real = path if folder is None else folder.host_path + path[len(above) :]
        return any(real == place or real.startswith(place + b"/") for place in _VOLATILE)

    def _resolved(self, path: bytes) -> Folder | None:
        above, _, name = path.rpartition(b"/")
        parent = self._known.get(above) if path else None
        if parent is not None:  # one look instead of one for each component
            host_path = parent.host_path + b"/" + name
            entry = self._host.mounted_over(host_path) or self._inventory.at(parent.volume, parent.path + b"/" + name)
            if entry is not None and entry.type == DIRECTORY:
                return Folder(entry.volume, entry.path.rstrip(b"/"), host_path)
        entry = self._host.resolve(path or b"/").entry
        if entry is None or entry.type != DIRECTORY:
            return None
        host_path = self._host.host_path(entry) or path
        return Folder(entry.volume, entry.path.rstrip(b"/"), host_path.rstrip(b"/"))


class _Listings:
    """Holds the entries of the directories asked for last: a listing costs an eighth of as many single looks."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._names: dict[tuple[int, bytes], dict[bytes, FileEntry]] = {}
        self._asked: Counter[tuple[int, bytes]] = Counter()
        self._size = 0

    def of(self, folder: Folder) -> dict[bytes, FileEntry] | None:
        """Return a directory's entries by name; None where listing it would cost more than it has been asked for."""
        place = folder.volume, folder.path
        names = self._names.pop(place, None)
        if names is not None:
            self._names[place] = names  # the last one asked for stays longest
            return names
        if len(self._asked) > _MOST_FOLDERS:
            self._asked.clear()
        self._asked[place] += 1
        asked = self._asked[place]
        if asked & (asked - 1):  # look again at each power of two: what is tried in vain stays below what is asked
            return None
        most = _ENTRIES_AT_ONCE + _ENTRIES_FOR_A_LOOK * asked
        entries = list(islice(self._inventory.children(*place), most + 1))
        if len(entries) > most:
            return None
        names = {}
        for entry in entries:
            names.setdefault(entry.name, entry)  # the first where an adversary made two
        self._names[place] = names
        self._size += len(names)
        while self._size > _MOST_LISTED and len(self._names) > 1:
            oldest = next(iter(self._names))
            self._size -= len(self._names.pop(oldest))
        return names


def is_concerned(claim: Claim, entry: FileEntry) -> bool:
    """Return whether a claim says something of an entry: of directories only that they are there."""
    if entry.type == DIRECTORY:
        return claim.kind not in ("", DIRECTORY) or bool(claim.digest)
    return True


def compare(claim: Claim, entry: FileEntry, filesystem: str, capabilities: Capabilities) -> Comparison:
    """Return in what an entry differs from a claim, all but the digest of its content."""
    if not entry.has_inode:  # what cannot be read differs in nothing that anybody knows
        return Comparison(())
    if not _is_kind(claim, entry.type):
        return Comparison(("type",))
    differs: list[str] = []
    by = ""
    if entry.type == SYMLINK:
        by, is_same = _link(claim, entry.link_target or b"")
        differs += [] if is_same else ["link target"]
    elif filesystem not in _WITHOUT_OWNERS:
        differs += _rights(claim, entry)
    if filesystem not in _WITHOUT_OWNERS and entry.type == FILE and claim.capabilities is not None:
        found = capabilities(entry)
        if found is not None and _capabilities(found) != _capabilities(claim.capabilities):
            differs.append("capabilities")
    return Comparison(tuple(differs), by)


def owner_differs(claim: Claim, entry: FileEntry) -> list[str]:
    """Return whether user and group are not those that were claimed."""
    names = []
    if claim.uid not in (-1, entry.uid):
        names.append("owner")
    if claim.gid not in (-1, entry.gid):
        names.append("group")
    return names


def _is_kind(claim: Claim, found: str) -> bool:
    kind = claim.kind
    if not kind:
        return not claim.digest or found in (FILE, SYMLINK)
    if kind == DIRECTORY:  # an administrator may move a directory and leave a link: dpkg keeps it
        return found in (DIRECTORY, SYMLINK)
    return found == kind if kind != SPECIAL else found not in (FILE, DIRECTORY, SYMLINK)


def _link(claim: Claim, target: bytes) -> tuple[str, bool]:
    if claim.targets:
        return "link target", target in claim.targets
    if claim.hashes_target and claim.digest:
        digest = hashlib.new(claim.algorithm, target, usedforsecurity=False).digest()
        return claim.algorithm, digest == claim.digest
    return "", True


def _rights(claim: Claim, entry: FileEntry) -> list[str]:
    differs = owner_differs(claim, entry)
    if claim.mode >= 0 and entry.mode & 0o7777 != claim.mode:
        differs.append("mode")
        if entry.mode & ~claim.mode & _SET_ID:
            differs.append("setuid" if entry.mode & ~claim.mode & 0o4000 else "setgid")
    return differs


def _capabilities(text: str) -> frozenset[tuple[str, str]]:
    """Return capabilities as pairs of name and flags: ``cap_a,cap_b=ep``, and ``= cap_a+ep`` of older libraries."""
    found = set()
    for clause in text.lower().replace("+", "=").split():
        names, equals, flags = clause.partition("=")
        if equals and names:
            found |= {(name, "".join(sorted(flags))) for name in names.split(",")}
    return frozenset(found)
