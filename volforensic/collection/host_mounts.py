"""The volumes of the evidence as one host had them mounted, and what to say of it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from volforensic.collection.discoverable import mounts_by_type
from volforensic.collection.mounts import bound_trees, doubtful_mounts, missing_mounts, mounted_trees
from volforensic.collection.namespace import Tree
from volforensic.collection.parsers.identity import FstabEntry
from volforensic.evidence.layout import Volume
from volforensic.record import Problem, text, text_fields


class Mounts(NamedTuple):
    """What a host's files say of its mounts: entries, and crypttab's names with their encrypted devices."""

    entries: Sequence[FstabEntry]
    mappings: Mapping[bytes, bytes]


class Surroundings(NamedTuple):
    """The evidence around a host: all trees, all volumes, and the trees that other hosts have."""

    trees: Sequence[Tree]
    volumes: Sequence[Volume]
    claimed: Mapping[tuple[int, bytes], Tree]

    @property
    def free(self) -> list[Tree]:
        """The trees that no host has."""
        return [tree for tree in self.trees if tree.place not in self.claimed]


class Joined(NamedTuple):
    """The trees of one host, its root first, and the directories that its bind mounts show elsewhere."""

    trees: tuple[Tree, ...]
    binds: tuple[Tree, ...] = ()


def join_volumes(root: Tree, mounts: Mounts, around: Surroundings) -> Joined:
    """Return what a host had mounted where, out of what no other host has."""
    entries = [*mounts.entries, *mounts_by_type(mounts.entries, root, around.volumes)]
    trees = (root, *mounted_trees(entries, root, around.free, around.volumes, mounts.mappings))
    return Joined(trees, tuple(bound_trees(mounts.entries, trees)))


def mount_problems(root: Tree, mounts: Mounts, around: Surroundings) -> Iterator[Problem]:
    """Yield what is missing of a host's mounts, what could be another volume, and what another host has already."""
    for mount in missing_mounts(mounts.entries, root, around.trees, around.volumes, mounts.mappings):
        device, place = text(mount.device), text(mount.mount_point)
        source = text(mount.unit) or "fstab"
        yield host_problem(root, f"{source} mounts {place} from {device}, which is not in this evidence")
    for reason in doubtful_mounts(mounts.entries, root, around.volumes, mounts.mappings):
        yield host_problem(root, reason, lost=False)
    # Snapshots of a system have its fstab: what they share with it needs no word.
    others = [tree for tree in around.claimed.values() if tree.volume != root.volume and tree.mount_point]
    if _is_snapshot(root, around):
        return
    for tree in mounted_trees(mounts.entries, root, others, around.volumes, mounts.mappings):
        reason = f"it mounts volume {tree.volume} on {text(tree.mount_point)} too, which is shown with another host"
        yield host_problem(root, reason, lost=False)


def _is_snapshot(root: Tree, around: Surroundings) -> bool:
    """Return whether another host has its root on this one's volume."""
    return any(tree.volume == root.volume and not tree.mount_point for tree in around.claimed.values())


def host_problem(root: Tree, reason: str, *, lost: bool = True) -> Problem:
    """Return what is to be said of a host, with its root as the place."""
    return Problem(
        stage="collection",
        reason=reason,
        lost=lost,
        volume=root.volume,
        **text_fields("source", root.prefix or b"/"),
    )
