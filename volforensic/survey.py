"""What every reading of a source begins with: its layout, the inventory of its filesystems, the hosts in it."""

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from volforensic.collection.containers import Evidence, find_containers
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
from volforensic.sandbox.confinement import Limits
from volforensic.sandbox.pool import Failure, Pool, Task
from volforensic.unlocking import Unlocking
from volforensic.voice import Voice

_SUBVOLUME_ROOT = 256  # the inode number of every btrfs subvolume's root
_LONGEST_REASONS = 2000
_LIMITS = Limits(processor_seconds=4 * 3600, wall_seconds=12 * 3600)
"""A whole disk may be searched, in pieces with a sign of life each; what hangs in one item is stopped all the same."""
_MOST_UNLOCKINGS = 16


class Survey(NamedTuple):
    """Where to look, with what, and whom to tell: ``note`` takes what could not be read.

    ``searches_gaps``: what no partition has is searched for filesystems.
    """

    image: Image
    pool: Pool
    voice: Voice
    note: Callable[[Problem], None]
    searches_gaps: bool = False
    view: Callable[[Layout], list[int]] = lambda _: []

    def read_layout(self) -> Layout:
        """Return volumes and filesystems.

        Raises:
            NoFilesystemError: None of them can be read; the error names the reasons.
            IntegrityError: None can be read, and the source is not what it was.
        """
        unlocking = Unlocking(self.image, self.pool)
        layout, problems = self._layout(unlocking)
        for _ in range(_MOST_UNLOCKINGS):
            if layout is None or not unlocking.open_more(layout):
                break
            layout, problems = self._layout(unlocking)
        if layout is not None:
            unlocking.give_up(layout)
        viewed = self.view(layout) if layout is not None else []
        if viewed:
            layout, problems = self._layout(unlocking)
            layout, problems = _with_views(layout, viewed), _not_lost(problems, viewed)
        problems += unlocking.problems
        for problem in problems:
            self.note(problem)
        if layout is None or not any(volume.is_readable for volume in layout.volumes):
            self.image.check_unchanged()  # what was cut while it was read is no disk without a filesystem
            reasons = "; ".join(problem.reason for problem in problems)[:_LONGEST_REASONS]
            raise NoFilesystemError(
                str(self.image.path),
                f"holds no filesystem that can be read ({reasons or 'nothing known by a signature'})",
                "`file` and `fdisk -l` tell more; what is encrypted is opened with --passphrase-file or --key-file",
            )
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

    def find_containers(self, inventory: Inventory, layout: Layout, hosts: list[Host]) -> list[Host]:
        """Return the containers of the hosts, each as a host of its own."""
        volumes = layout.facts()
        evidence = Evidence(self.pool, self.image.handle, volumes, inventory, self.note)
        return list(find_containers(evidence, hosts))

    def _layout(self, unlocking: Unlocking) -> tuple[Layout | None, list[Problem]]:
        """Return the layout as far as encrypted volumes were opened, and the problems; the image now knows it."""
        self.image.place([], [])
        task = Task(
            function="volforensic.evidence.discovery:read_layout",
            arguments=LayoutArguments(
                sizes=self.image.sizes, searches_gaps=self.searches_gaps, opened=unlocking.opened, keys=unlocking.keys
            ),
            message_type=Layout,
            limits=_LIMITS,
            source=self.image.handle,
            check=LayoutCheck(self.image.sizes),
        )
        layout: Layout | None = None
        problems = []
        for message in self.pool.run(task):
            if isinstance(message, Failure):
                problems.append(Problem(stage="layout", reason=f"the layout could not be read: {message.reason}"))
            else:
                layout = message
                problems += message.problems
        if layout is not None:
            self.image.place(layout.placed, unlocking.keys)
        return layout, problems


def _with_views(layout: Layout | None, viewed: list[int]) -> Layout | None:
    """Return the layout with each volume that the kernel read as the whole of the disk that shows it."""
    if layout is None:
        return None
    views = [volume.index for volume in layout.volumes if volume.disk >= len(layout.disks) - len(viewed)]
    parts = dict(zip(viewed, views, strict=False))
    volumes = [
        msgspec.structs.replace(volume, parts=[parts[volume.index]]) if volume.index in parts else volume
        for volume in layout.volumes
    ]
    return msgspec.structs.replace(layout, volumes=volumes, problems=_not_lost(layout.problems, viewed))


def _not_lost(problems: list[Problem], viewed: list[int]) -> list[Problem]:
    return [
        msgspec.structs.replace(problem, lost=False) if problem.volume in viewed else problem for problem in problems
    ]


def host_paths(hosts: list[Host]) -> HostPaths:
    """Return where the hosts had what lies in the volumes."""
    return HostPaths([host.trees for host in hosts])


def _is_subvolume_root(entry: FileEntry) -> bool:
    return entry.inode == _SUBVOLUME_ROOT and entry.type == "directory"
