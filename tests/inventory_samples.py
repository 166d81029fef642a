"""Entries and inventories made in memory, for tests of what asks an inventory."""

from pathlib import Path
from typing import Any

from volforensic.inventory.entry import FileEntry
from volforensic.inventory.store import Inventory


def entry(path: bytes, **values: Any) -> FileEntry:
    """Return an allocated, empty regular file of volume 1; ``values`` are other fields."""
    fields: dict[str, Any] = {
        "volume": 1,
        "path": path,
        "type": "file",
        "inode": 12,
        "tree": 0,
        "allocated": True,
        "has_inode": True,
        "mode": 0o644,
        "uid": 0,
        "gid": 0,
        "size": 0,
        "modified": None,
        "accessed": None,
        "changed": None,
        "created": None,
        "links": 1,
        "link_target": None,
        "extents": (),
        "problems": (),
    }
    return FileEntry(**{**fields, **values})


def inventory_of(folder: Path, *volumes: list[str]) -> Inventory:
    """Return an inventory: each volume is a list of paths, ``/x -> /y`` a link, ``/x/`` a directory, numbered from 1.

    Directories above a path are made; inode numbers count up over all volumes.
    """
    inventory = Inventory(folder / "inventory.sqlite")
    inode = 100
    for number, paths in enumerate(volumes, start=1):
        entries = {b"/": entry(b"/", volume=number, type="directory", inode=2)}
        found = []
        for text in paths:
            name, _, target = text.partition(" -> ")
            path = name.rstrip("/").encode() or b"/"
            for above in _above(path):
                inode += 1
                entries.setdefault(above, entry(above, volume=number, type="directory", inode=inode))
            inode += 1
            kind = "symlink" if target else "directory" if name.endswith("/") else "file"
            link_target = target.encode() or None
            found.append(entry(path, volume=number, type=kind, inode=inode, link_target=link_target))
        inventory.add([*entries.values(), *found])
    inventory.index()
    return inventory


def _above(path: bytes) -> list[bytes]:
    parts = path.split(b"/")
    return [b"/".join(parts[:count]) for count in range(2, len(parts))]
