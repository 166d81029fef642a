"""The host's own view of its files: which filesystem was mounted where, and where a path leads.

Paths are looked up in the inventory alone. A symbolic link is followed inside the evidence, at most 40 times; no path
of the evidence is ever opened on the examiner's own filesystem.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from volforensic.inventory.entry import FileEntry
from volforensic.inventory.store import Inventory

MOST_LINKS = 40  # what the kernel follows, path_resolution(7)
_LONGEST_PATH = 64 << 10


class Tree(NamedTuple):
    """A part of a volume: all under ``prefix`` (``b""`` for everything), and where the host had it (``b""``: /).

    ``subvolume`` is the id of the btrfs subvolume that it is, 0 elsewhere.
    """

    volume: int
    prefix: bytes
    mount_point: bytes
    subvolume: int = 0

    @property
    def place(self) -> tuple[int, bytes]:
        """What no other tree has: the volume and the prefix."""
        return self.volume, self.prefix

    def host_path(self, path: bytes) -> bytes:
        """Return where the host had what lies at a path of the volume, inside this tree."""
        return (self.mount_point + path[len(self.prefix) :]).rstrip(b"/") or b"/"


class Resolved(NamedTuple):
    """Where a path leads: the entry (None: nowhere) and whether following its links ran in a circle."""

    entry: FileEntry | None
    is_loop: bool = False


class HostPaths:
    """Where the hosts had each entry: the path that an examiner reads.

    Only the first host that a volume belongs to gives its paths; the roots of others on the same volume (snapshots of
    the same system) keep their paths in the volume, so that a path stands for one entry of a volume.
    """

    def __init__(self, hosts: Sequence[Sequence[Tree]]) -> None:
        """Take the trees of each host, the most important host first."""
        self._places: dict[tuple[int, bytes], Tree] = {}
        known: set[int] = set()
        for trees in hosts:
            for tree in trees:
                shown = tree._replace(mount_point=tree.prefix) if tree.volume in known else tree
                self._places.setdefault(tree.place, shown)
            known |= {tree.volume for tree in trees}
        # Most volumes are one tree from its root on: there is nothing to look for.
        volumes = [volume for volume, _ in self._places]
        self._whole = {
            volume: tree for (volume, prefix), tree in self._places.items() if not prefix and volumes.count(volume) == 1
        }

    def path_of(self, entry: FileEntry) -> bytes:
        """Return where the host had the entry; its path in the volume where no host had it."""
        tree = self._whole.get(entry.volume) or nearest(self._places, entry)
        if tree is None or tree.prefix == tree.mount_point:
            return entry.path
        return tree.host_path(entry.path)


class Namespace:
    """One host's trees over the inventory."""

    def __init__(
        self,
        inventory: Inventory,
        trees: tuple[Tree, ...],
        others: tuple[Tree, ...] = (),
        binds: tuple[Tree, ...] = (),
    ) -> None:
        """Take the trees; which of two mounted inside each other holds a path is decided by the longest mount point.

        ``others`` are trees of other hosts. They may lie inside one of these (a snapshot inside its subvolume).
        ``binds`` are directories of the trees that are seen at a second place: paths lead there, but what lies in them
        keeps its first path (else a line of fstab would rename all of /etc).
        """
        self.inventory = inventory
        self.trees = tuple(sorted((*binds, *trees), key=lambda tree: -len(tree.mount_point)))
        self._owner: dict[tuple[int, bytes], Tree | None] = {tree.place: None for tree in others}
        self._owner.update({tree.place: tree for tree in trees})

    def at(self, path: bytes) -> FileEntry | None:
        """Return the entry at a host path without following a link at its end; links before it are followed."""
        parent, _, name = path.rpartition(b"/")
        directory = self.resolve(parent or b"/").entry if parent else None
        base = self.host_path(directory) if directory is not None else (b"" if not parent else None)
        if base is None:
            return None
        return self._plain(base.rstrip(b"/") + b"/" + name)

    def resolve(self, path: bytes) -> Resolved:
        """Follow a host path and every link on it."""
        waiting = [part for part in reversed(path.split(b"/")) if part]
        here: list[bytes] = []
        links = 0
        while waiting:
            part = waiting.pop()
            if part in (b".", b".."):
                del here[len(here) - (part == b"..") :]
                continue
            entry = self._plain(b"/" + b"/".join([*here, part]))
            if entry is None:
                return Resolved(None)
            if entry.type != "symlink":
                here.append(part)
                continue
            links += 1
            target = entry.link_target or b""
            if links > MOST_LINKS or len(target) + sum(map(len, waiting)) > _LONGEST_PATH:
                return Resolved(None, is_loop=True)
            if target.startswith(b"/"):
                here = []
            waiting.extend(piece for piece in reversed(target.split(b"/")) if piece)
        return Resolved(self._plain(b"/" + b"/".join(here)))

    def children(self, directory: FileEntry) -> Iterator[FileEntry]:
        """Yield the entries of a directory by name; what is mounted over one of them is shown by ``at`` alone."""
        return self.inventory.children(directory.volume, b"" if directory.path == b"/" else directory.path)

    def candidates(self, first: bytes, *, is_prefix: bool) -> Iterator[FileEntry]:
        """Yield the entries whose name is ``first``, or begins with it; those of other hosts among them."""
        return self.inventory.named(first, is_prefix=is_prefix)

    def mounted_over(self, path: bytes) -> FileEntry | None:
        """Return the root of what is mounted at exactly this path; None where nothing is."""
        is_mount = any(tree.mount_point == path for tree in self.trees)
        return self._plain(path) if is_mount else None

    def host_path(self, entry: FileEntry) -> bytes | None:
        """Return where the host had the entry; None where it belongs to another host."""
        tree = nearest(self._owner, entry)
        return None if tree is None else tree.host_path(entry.path)

    def _plain(self, path: bytes) -> FileEntry | None:
        for tree in self.trees:
            if is_under(path, tree.mount_point):
                inside = tree.prefix + path[len(tree.mount_point) :]
                entry = self.inventory.at(tree.volume, inside.rstrip(b"/") or b"/")
                if entry is not None:
                    return entry
        return None


def is_under(path: bytes, directory: bytes) -> bool:
    """Return whether a path is a directory (``b""`` for the root) or lies in it."""
    return not directory or path == directory or path.startswith(directory + b"/")


def nearest(places: Mapping[tuple[int, bytes], Tree | None], entry: FileEntry) -> Tree | None:
    """Return what stands for the nearest directory above an entry, or for itself, that has a place of its own."""
    prefix = entry.path.rstrip(b"/")
    while (entry.volume, prefix) not in places and prefix:
        prefix = prefix.rpartition(b"/")[0]
    return places.get((entry.volume, prefix))
