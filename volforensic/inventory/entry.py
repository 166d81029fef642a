"""A row of the inventory: one entry of one filesystem."""

from typing import Annotated, TypeAlias

import msgspec

from volforensic.evidence.attributes import Attribute
from volforensic.evidence.capabilities import LONGEST_TEXT
from volforensic.evidence.node import Extent, FileType
from volforensic.record import Row, nanosecond_text, text_fields

_DeviceNumber: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=0xFFFFFFFF)]
Device: TypeAlias = tuple[_DeviceNumber, _DeviceNumber]
Capabilities: TypeAlias = Annotated[str, msgspec.Meta(max_length=LONGEST_TEXT, pattern=r"^[a-z0-9_=+,\-\[\] ]*\Z")]
"""What getcap(8) prints, and nothing else: the text comes from a worker."""


class FileEntry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One entry. Times are nanoseconds since 1970 UTC; ``extents`` is None where bytes need the filesystem to be read.

    ``path`` is the path in its volume, from ``/``. ``has_inode`` is false for a name whose inode could not be read or
    belongs to another file by now: of such an entry only path, inode and problems say anything. ``tree`` is the btrfs
    subvolume, 0 elsewhere. ``attributes`` are the flags that are set, ``device`` the major and minor number of a
    device node, ``capabilities`` a program's, as getcap(8) prints them. ``is_orphan``: no name leads to the inode, its
    path is one of ours (``orphans.py``); it is ``allocated`` where the inode is still in use. ``has_all_runs`` is false
    where something was wrong with the file's runs: bytes of it may be missing, so it has no hash of its own.
    """

    volume: int
    path: bytes
    type: FileType
    inode: int
    tree: int
    allocated: bool
    has_inode: bool
    mode: int
    uid: int
    gid: int
    size: int
    modified: int | None
    accessed: int | None
    changed: int | None
    created: int | None
    links: int
    link_target: bytes | None
    extents: tuple[Extent, ...] | None
    problems: tuple[str, ...]
    attributes: tuple[Attribute, ...] = ()
    device: Device | None = None
    capabilities: Capabilities | None = None
    is_orphan: bool = False
    has_all_runs: bool = True

    @property
    def parent(self) -> bytes:
        """The path of the directory that holds the entry, without a slash at the end; empty for the root's entries."""
        return self.path.rpartition(b"/")[0]

    @property
    def name(self) -> bytes:
        """The last component of the path."""
        return self.path.rpartition(b"/")[2]

    def row(self, host_path: bytes) -> Row:
        """Return the entry as a row of files.jsonl.zst; ``host_path`` is where the host had it."""
        known = self.has_inode
        row = {
            "volume": self.volume,
            **text_fields("path", host_path),
            "type": self.type,
            "mode": self.mode if known else None,
            "uid": self.uid if known else None,
            "gid": self.gid if known else None,
            "size": self.size if known else None,
            "mtime": nanosecond_text(self.modified),
            "atime": nanosecond_text(self.accessed),
            "ctime": nanosecond_text(self.changed),
            "crtime": nanosecond_text(self.created),
            "inode": self.inode,
            "nlink": self.links if known else None,
            "allocated": self.allocated,
            "state": "disk",
            "extents": self.extents,
            "problems": self.problems,
        }
        if self.link_target is not None:
            row.update(text_fields("link_target", self.link_target))
        if host_path != self.path:
            row.update(text_fields("volume_path", self.path))
        if self.is_orphan:
            row["orphan"] = True
        if self.tree:
            row["tree"] = self.tree
        if self.attributes:
            row["attributes"] = self.attributes
        if self.device is not None:
            row["device"] = self.device
        if self.capabilities is not None:
            row["capabilities"] = self.capabilities
        return row
