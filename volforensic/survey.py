"""What every reading of a source begins with: its layout, the inventory of its filesystems, the hosts in it."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from volforensic.collection.host import Host, find_hosts
from volforensic.collection.namespace import HostPaths
from volforensic.errors import NoFilesystemError
from volforensic.evidence.image import Image
from volforensic.evidence.layout import Layout, LayoutArguments
from volforensic.evidence.layout_check import LayoutCheck
from volforensic.inventory.entry import FileEntry
from volforensic.inventory.stage import walk_volumes
from volforensic.inventory.store import Inventory
from volforensic.record import Problem, text
from volforensic.sandbox.pool import Failure, Pool, Task
from volforensic.voice import Voice

_SUBVOLUME_ROOT = 256  # the inode number of every btrfs subvolume's root
_LONGEST_REASONS = 2000


class Survey(NamedTuple):
    """Where to look, with what, and whom to tell: ``note`` takes what could not be read."""

    image: Image
    pool: Pool
    voice: Voice
    note: Callable[[Problem], None]

    def read_layout(self) -> Layout:
        """Return volumes and filesystems.

        Raises:
            NoFilesystemError: None of them can be read; the error names the reasons.
        """
        reasons: list[str] = []
        layout: Layout | None = None
        for found in self._layout():
            if isinstance(found, Problem):
                reasons.append(found.reason)
                self.note(found)
            else:
                layout = found
        if layout is None or not any(volume.is_readable for volume in layout.volumes):
            told = "; ".join(reasons)[:_LONGEST_REASONS] or "nothing known by a signature"
            raise NoFilesystemError(
                str(self.image.path),
                f"holds no filesystem that can be read ({told})",
                "`file` and `fdisk -l` tell more; open what is encrypted or LVM read-only and triage that device",
            )
        self.image.place(layout.placed, [])
        return layout

    def walk(self, inventory: Inventory, layout: Layout) -> list[FileEntry]:
        """Fill the inventory and index it; return the roots of btrfs subvolumes."""
        self.voice.stage("inventory", layout.entries_expected(), "files")
        subvolumes = []
        for batch in walk_volumes(self.pool, self.image.handle, layout.volumes):
            if isinstance(batch, Problem):
                self.note(batch)
                continue
            inventory.add(batch)
            subvolumes += [entry for entry in batch if entry.tree >= _SUBVOLUME_ROOT and _is_subvolume_root(entry)]
            self.voice.advance(len(batch), text(batch[-1].path) if batch else "")
        inventory.index()
        self.voice.end_stage()
        return subvolumes

    def find_hosts(self, inventory: Inventory, layout: Layout, subvolumes: list[FileEntry]) -> list[Host]:
        """Return the hosts whose trees are in the source."""
        hosts = []
        for found in find_hosts(self.pool, self.image.handle, inventory, layout, subvolumes):
            if isinstance(found, Problem):
                self.note(found)
            else:
                hosts.append(found)
        return hosts

    def _layout(self) -> Iterator[Layout | Problem]:
        task = Task(
            function="volforensic.evidence.discovery:read_layout",
            arguments=LayoutArguments(sizes=self.image.sizes),
            message_type=Layout,
            source=self.image.handle,
            check=LayoutCheck(self.image.sizes),
        )
        for message in self.pool.run(task):
            if isinstance(message, Failure):
                yield Problem(stage="layout", reason=f"the layout could not be read: {message.reason}")
            else:
                yield from message.problems
                yield message


def host_paths(hosts: list[Host]) -> HostPaths:
    """Return where the hosts had what lies in the volumes."""
    return HostPaths([host.trees for host in hosts])


def _is_subvolume_root(entry: FileEntry) -> bool:
    return entry.inode == _SUBVOLUME_ROOT and entry.type == "directory"
