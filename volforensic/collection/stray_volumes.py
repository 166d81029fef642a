"""Volumes that no fstab mounts, or mounts at an odd place: where they would have stood, by what they hold."""

import posixpath
from collections.abc import Iterator, Mapping, Sequence

from volforensic.collection.namespace import Tree
from volforensic.inventory.store import Inventory

_SIGNS: tuple[tuple[bytes, int, tuple[bytes, ...]], ...] = (
    (b"/var", 3, (b"/log", b"/lib", b"/spool", b"/cache", b"/tmp", b"/mail", b"/opt")),
    (
        b"/var/log",
        2,
        (b"/wtmp", b"/btmp", b"/lastlog", b"/auth.log", b"/secure", b"/syslog", b"/messages", b"/journal"),
    ),
    (b"/etc", 2, (b"/passwd", b"/group", b"/shadow", b"/ssh", b"/fstab")),
)
"""Mount point, how many of the names below it are enough, and the names."""


def likely_mount_point(inventory: Inventory, tree: Tree, homes: Mapping[bytes, str]) -> bytes | None:
    """Return where a host would have had this tree, judged by the names at its top; ``homes`` are those of passwd(5).

    A host whose /var/log is another filesystem keeps its logs at ``/auth.log`` of that volume: no path of an artifact
    would meet it there.
    """
    for mount_point, enough, names in _SIGNS:
        if sum(inventory.at(tree.volume, tree.prefix + name) is not None for name in names) >= enough:
            return mount_point
    for home in homes:
        parent, name = posixpath.split(home)
        if parent != b"/" and _is_directory(inventory, tree, b"/" + name):
            return parent
    return None


def stray_trees(inventory: Inventory, trees: Sequence[Tree], homes: Mapping[bytes, str]) -> Iterator[Tree]:
    """Yield the trees that look as if they belong elsewhere than where they are mounted, with that place."""
    for tree in trees:
        place = likely_mount_point(inventory, tree, homes)
        if place is not None and place != tree.mount_point:
            yield tree._replace(mount_point=place)


def _is_directory(inventory: Inventory, tree: Tree, path: bytes) -> bool:
    entry = inventory.at(tree.volume, tree.prefix + path)
    return entry is not None and entry.type == "directory"
