"""Who the imaged hosts are: their roots, what they mounted where, their zone and homes."""

from collections.abc import Iterator, Sequence

import msgspec

from volforensic.collection.host_facts import HostFacts, read_facts
from volforensic.collection.host_mounts import Joined, Mounts, Surroundings, host_problem, join_volumes, mount_problems
from volforensic.collection.namespace import Namespace, Tree
from volforensic.collection.parsers.container_stores import ContainerFacts
from volforensic.collection.stray_volumes import stray_trees
from volforensic.evidence.layout import Layout
from volforensic.inventory.entry import FileEntry
from volforensic.inventory.store import Inventory
from volforensic.record import Problem, Row, text
from volforensic.sandbox.messages import SourceHandle
from volforensic.sandbox.pool import Pool

_FACT_FOLDERS = {b"/etc", b"/usr", b"/usr/lib"}
_ROOT_SIGNS = (b"/etc", b"/usr", b"/var", b"/bin", b"/home", b"/root", b"/boot")
_SIGNS_NEEDED = 2
_MOST_HOSTS = 200


class Container(msgspec.Struct, frozen=True, kw_only=True):
    """What makes a host a container: its name in this case, the number of its host, what its engine says of it.

    ``is_users`` and ``has_names`` say how its layers hide what is below them (``container_layers.Found``).
    """

    label: str
    host: int
    facts: ContainerFacts
    is_users: bool = False
    has_names: bool = False


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """One operating system in the evidence: the trees that make up its view, and its facts.

    ``binds`` are directories of these trees that bind mounts show at a second place. The trees of a ``container`` are
    its layers, the upper one first.
    """

    trees: tuple[Tree, ...]
    facts: HostFacts
    binds: tuple[Tree, ...] = ()
    container: Container | None = None

    @property
    def root(self) -> Tree:
        """The tree that was mounted at /; a container's upper layer."""
        return self.trees[0]

    def described(self) -> Row:
        """Return the host as evidence.json holds it."""
        return {
            "hostname": self.facts.hostname,
            "os": self.facts.os,
            "time_zone": self.facts.time_zone_name,
            "time_zone_basis": self.facts.time_zone_basis,
            "trees": [
                {"volume": tree.volume, "subvolume": text(tree.prefix), "mount_point": text(tree.mount_point or b"/")}
                for tree in self.trees
            ],
            "binds": [
                {"directory": f"{text(tree.prefix)} of volume {tree.volume}", "shown_at": text(tree.mount_point)}
                for tree in self.binds
            ],
        }


def mounted_places(hosts: Sequence[Host]) -> dict[int, list[str]]:
    """Return where each volume's trees were mounted, by the volume's index."""
    places: dict[int, list[str]] = {}
    for tree in (tree for host in hosts for tree in host.trees):
        mount_point = text(tree.mount_point or b"/")
        places.setdefault(tree.volume, []).append(
            f"{text(tree.prefix)} on {mount_point}" if tree.prefix else mount_point
        )
    return places


def find_hosts(
    pool: Pool, source: SourceHandle, inventory: Inventory, layout: Layout, subvolumes: list[FileEntry]
) -> Iterator[Host | Problem]:
    """Yield every host in the evidence, and last, as hosts of their own, the trees that no host mounted.

    ``subvolumes`` are the entries of btrfs subvolumes' roots. A tree belongs to the first host whose fstab claims it.
    """
    volumes = layout.volumes
    trees = [Tree(volume.index, b"", b"") for volume in volumes if volume.is_readable]
    trees += [Tree(entry.volume, entry.path, b"", entry.tree) for entry in subvolumes]
    roots = sorted((tree for tree in trees if _is_root(inventory, tree)), key=_root_order)
    if len(roots) > _MOST_HOSTS:
        yield host_problem(roots[0], f"{len(roots)} systems (or snapshots of one): the first {_MOST_HOSTS} were read")
        roots = roots[:_MOST_HOSTS]
    claimed: dict[tuple[int, bytes], Tree] = {}
    hosts: list[Host] = []
    for root in roots:
        around = Surroundings(trees, volumes, claimed)
        known, joined, problems = _joined(pool, source, inventory, layout, root, around)
        yield from problems
        yield from mount_problems(root, Mounts(known.mounts, known.mappings), around)
        claimed.update({tree.place: tree for tree in joined.trees})
        hosts.append(Host(trees=joined.trees, facts=known, binds=joined.binds))
    yield from hosts
    yield from _strays(inventory, layout, hosts, [tree for tree in trees if tree.place not in claimed])


def _joined(  # noqa: PLR0913, PLR0917 - the run, the evidence, the host
    pool: Pool, source: SourceHandle, inventory: Inventory, layout: Layout, root: Tree, around: Surroundings
) -> tuple[HostFacts, Joined, list[Problem]]:
    """Return a host's facts, its trees, what went wrong; read once more where /usr or /etc is a volume of its own."""
    known, problems = read_facts(pool, source, Namespace(inventory, (root,)), root, layout.facts())
    joined = join_volumes(root, Mounts(known.mounts, known.mappings), around)
    if any(tree.mount_point in _FACT_FOLDERS for tree in joined.trees):
        known, problems = read_facts(pool, source, Namespace(inventory, joined.trees), root, layout.facts())
        joined = join_volumes(root, Mounts(known.mounts, known.mappings), around)
    return known, joined, problems


def _strays(inventory: Inventory, layout: Layout, hosts: list[Host], free: list[Tree]) -> Iterator[Host | Problem]:
    """Yield what no fstab mounts, or mounts elsewhere than it belongs, as hosts with the facts of their disk's host."""
    disks = {volume.index: volume.disk for volume in layout.volumes}

    def facts_of(tree: Tree) -> HostFacts:
        beside = [host for host in hosts if disks.get(host.root.volume) == disks.get(tree.volume)] or hosts
        return beside[0].facts.of_its_volumes() if beside else HostFacts()

    mounted = [tree for host in hosts for tree in host.trees[1:]]
    unclaimed = [tree for tree in free if not tree.prefix]  # an unclaimed subvolume is seen in the tree that holds it
    homes = hosts[0].facts.homes if hosts else {}
    strays = list(stray_trees(inventory, [*mounted, *unclaimed], homes))
    for tree in strays:
        reason = f"by its files this is a {text(tree.mount_point)}, and it was read as one"
        yield host_problem(tree, reason, lost=False)
        yield Host(trees=(tree,), facts=facts_of(tree))
    placed = {tree.volume for tree in strays}
    for tree in unclaimed:
        if tree.volume not in placed:
            yield Host(trees=(tree,), facts=facts_of(tree))


def _is_root(inventory: Inventory, tree: Tree) -> bool:
    present = sum(inventory.at(tree.volume, tree.prefix + sign) is not None for sign in _ROOT_SIGNS)
    return inventory.at(tree.volume, tree.prefix + b"/etc") is not None and present >= _SIGNS_NEEDED


def _root_order(tree: Tree) -> tuple[int, bool, bytes]:
    """Sort the root that the boot loader would take before its snapshots: ``@`` (Ubuntu), ``root`` (Fedora)."""
    return tree.volume, tree.prefix not in (b"", b"/@", b"/root"), tree.prefix
