"""Who the imaged hosts are: their roots, what they mounted where, their zone and homes."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from volforensic.collection.content import CONFIGURATION_LIMIT, NO_ZONE, SourceFile
from volforensic.collection.file_content import open_content
from volforensic.collection.host_check import HostCheck
from volforensic.collection.host_mounts import Joined, Mounts, Surroundings, host_problem, join_volumes, mount_problems
from volforensic.collection.mount_units import UnitFiles, all_mounts, find_units
from volforensic.collection.namespace import Namespace, Tree
from volforensic.collection.parsers import identity, mount_units
from volforensic.collection.stray_volumes import stray_trees
from volforensic.collection.time_zones import LARGEST_ZONE, is_zone_file, packaged_zone
from volforensic.evidence.layout import Layout, VolumeFacts
from volforensic.inventory.entry import FileEntry
from volforensic.inventory.file_bytes import filesystem_opener
from volforensic.inventory.store import Inventory
from volforensic.record import Problem, Row, text
from volforensic.sandbox.messages import SourceHandle
from volforensic.sandbox.pool import Failure, Pool, Task
from volforensic.sandbox.worker import Workplace

_FACT_FILES = {
    "fstab": (b"/etc/fstab",),
    "os_release": (b"/etc/os-release", b"/usr/lib/os-release"),
    "hostname": (b"/etc/hostname",),
    "passwd": (b"/etc/passwd",),
    "timezone": (b"/etc/timezone",),
    "localtime": (b"/etc/localtime",),
    "crypttab": (b"/etc/crypttab",),
}
_FACT_FOLDERS = {b"/etc", b"/usr", b"/usr/lib"}
_ROOT_SIGNS = (b"/etc", b"/usr", b"/var", b"/bin", b"/home", b"/root", b"/boot")
_SIGNS_NEEDED = 2
_MOST_HOSTS = 200
_LARGEST_UNIT = 64 << 10


class HostFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the host's own files say of it. ``time_zone`` is a TZif file's bytes (empty: UTC), ``homes`` home → user.

    ``mounts`` are fstab's lines and mount units, ``mappings`` crypttab's names and their encrypted devices.
    """

    hostname: str = ""
    os: str = ""
    time_zone_name: str = ""
    time_zone: bytes = b""
    time_zone_basis: str = NO_ZONE
    mounts: list[identity.FstabEntry] = []
    mappings: dict[bytes, bytes] = {}
    homes: dict[bytes, str] = {}
    losses: list[str] = []
    remarks: list[str] = []

    def of_its_volumes(self) -> "HostFacts":
        """Return what holds of a volume that was the host's, but is not known as mounted: the zone and the homes."""
        return HostFacts(
            time_zone_name=self.time_zone_name,
            time_zone=self.time_zone,
            time_zone_basis=self.time_zone_basis,
            homes=self.homes,
        )


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """One operating system in the evidence: the trees that make up its view, and its facts.

    ``binds`` are directories of these trees that bind mounts show at a second place.
    """

    trees: tuple[Tree, ...]
    facts: HostFacts
    binds: tuple[Tree, ...] = ()

    @property
    def root(self) -> Tree:
        """The tree that was mounted at /."""
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


class HostArguments(msgspec.Struct, frozen=True, kw_only=True):
    """The files that say who a host is, its mount units, the volumes they lie in, and where /etc/localtime pointed."""

    files: dict[str, FileEntry]
    units: list[UnitFiles]
    volumes: dict[int, VolumeFacts]
    localtime_target: bytes


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
    known, problems = _read_facts(pool, source, inventory, (root,), layout.facts())
    joined = join_volumes(root, Mounts(known.mounts, known.mappings), around)
    if any(tree.mount_point in _FACT_FOLDERS for tree in joined.trees):
        known, problems = _read_facts(pool, source, inventory, joined.trees, layout.facts())
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


def read_host(place: Workplace, arguments: object) -> Iterator[HostFacts]:
    """Yield a host's facts: worker function, arguments as ``HostArguments``."""
    given = msgspec.convert(arguments, HostArguments)
    data: dict[str, bytes] = {}
    losses: list[str] = []
    filesystem = filesystem_opener(place.source, given.volumes)
    for index, (name, entry) in enumerate(given.files.items()):
        place.begin_item(index)
        file = SourceFile(path=entry.path, size=entry.size)
        content = open_content(place.source, entry, file, filesystem)
        data[name] = content.whole(LARGEST_ZONE if name == "localtime" else CONFIGURATION_LIMIT)
        if name != "localtime":  # what is no zone's file there may be of any size: see _zone
            losses.extend(f"{text(entry.path)}: {loss.reason}" for loss in content.losses)
    units: list[tuple[UnitFiles, identity.FstabEntry]] = []
    for index, unit in enumerate(given.units):
        place.begin_item(index)
        files = [open_content(place.source, entry, SourceFile(path=entry.path, size=entry.size), filesystem)
                 for entry in unit.files]  # fmt: skip
        mount = mount_units.mount_unit(unit.name, [file.whole(_LARGEST_UNIT) for file in files])
        losses.extend(f"{text(unit.path)}: {loss.reason}" for file in files for loss in file.losses)
        if mount is not None:
            units.append((unit, mount))
    yield _facts(data, losses, given.localtime_target, units)


def _facts(
    data: dict[str, bytes],
    losses: list[str],
    localtime_target: bytes,
    units: Sequence[tuple[UnitFiles, identity.FstabEntry]] = (),
) -> HostFacts:
    release = identity.os_release(data.get("os_release", b""))
    zone = _zone(data.get("localtime", b""), localtime_target, data.get("timezone", b""))
    return HostFacts(
        hostname=identity.hostname(data.get("hostname", b"")),
        os=release.get("PRETTY_NAME", "") or release.get("NAME", ""),
        time_zone_name=zone.name,
        time_zone=zone.file,
        time_zone_basis=zone.basis,
        mounts=all_mounts(identity.fstab(data.get("fstab", b"")), units),
        mappings=mount_units.crypttab(data.get("crypttab", b"")),
        homes=identity.homes(data.get("passwd", b"")),
        losses=losses,
        remarks=[zone.remark] if zone.remark else [],
    )


class _Zone(NamedTuple):
    name: str
    file: bytes
    basis: str
    remark: str = ""


def _zone(file: bytes, link_target: bytes, named: bytes) -> _Zone:
    """Return the host's zone: the file that /etc/localtime is, the name in its link, or the name in /etc/timezone."""
    name = identity.zone_name(link_target)
    remark = "" if is_zone_file(file) or not (file or link_target) else "/etc/localtime is not a time zone's file"
    if is_zone_file(file):
        return _Zone(name, file, f"{name or 'unnamed'} from /etc/localtime")
    if name:
        return _Zone(name, b"", f"{name} from /etc/localtime", remark if file else "")
    name = identity.zone_name(b"/zoneinfo/" + named.strip(b" \t\r\n\0"))
    if name:
        return _Zone(name, b"", f"{name} from /etc/timezone", remark)
    return _Zone("", b"", NO_ZONE, remark)


def _is_root(inventory: Inventory, tree: Tree) -> bool:
    present = sum(inventory.at(tree.volume, tree.prefix + sign) is not None for sign in _ROOT_SIGNS)
    return inventory.at(tree.volume, tree.prefix + b"/etc") is not None and present >= _SIGNS_NEEDED


def _root_order(tree: Tree) -> tuple[int, bool, bytes]:
    """Sort the root that the boot loader would take before its snapshots: ``@`` (Ubuntu), ``root`` (Fedora)."""
    return tree.volume, tree.prefix not in (b"", b"/@", b"/root"), tree.prefix


def _read_facts(
    pool: Pool,
    source: SourceHandle,
    inventory: Inventory,
    trees: tuple[Tree, ...],
    volumes: dict[int, VolumeFacts],
) -> tuple[HostFacts, list[Problem]]:
    root, namespace = trees[0], Namespace(inventory, trees)
    files = {}
    for name, paths in _FACT_FILES.items():
        found = [namespace.resolve(path).entry for path in paths]
        entry = next((entry for entry in found if entry is not None and entry.type == "file"), None)
        if entry is not None:
            files[name] = entry
    link = namespace.at(b"/etc/localtime")
    target = link.link_target if link is not None and link.link_target else b""
    arguments = HostArguments(files=files, units=list(find_units(namespace)), volumes=volumes, localtime_target=target)
    task = Task(
        function="volforensic.collection.host:read_host",
        arguments=arguments,
        message_type=HostFacts,
        source=source,
        check=HostCheck(),
    )
    facts, problems = HostFacts(), []
    for message in pool.run(task):
        if isinstance(message, Failure):
            problems.append(host_problem(root, f"the host's identity could not be read: {message.reason}"))
        else:
            facts = _with_zone(message)
            problems.extend(host_problem(root, loss) for loss in facts.losses)
            problems.extend(host_problem(root, remark, lost=False) for remark in facts.remarks)
    return facts, problems


def _with_zone(facts: HostFacts) -> HostFacts:
    """Where the evidence names a zone and does not hold its file, take the file of the tz database that we carry."""
    if facts.time_zone or not facts.time_zone_name:
        return facts
    file = packaged_zone(facts.time_zone_name)
    if is_zone_file(file):
        return msgspec.structs.replace(facts, time_zone=file)
    basis = f"UTC: the zone {facts.time_zone_name} is not known"
    return msgspec.structs.replace(facts, time_zone_basis=basis, remarks=[*facts.remarks, basis])
