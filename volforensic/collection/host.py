"""Who the imaged hosts are: their roots, what they mounted where, their zone and homes."""

from collections.abc import Iterator, Sequence
from importlib import resources

import msgspec

from volforensic.collection.content import SourceFile
from volforensic.collection.file_content import open_content
from volforensic.collection.mounts import Mount, missing_mounts, mounted_trees
from volforensic.collection.namespace import Namespace, Tree
from volforensic.collection.parsers import identity
from volforensic.evidence.layout import Layout, VolumeFacts
from volforensic.inventory.entry import FileEntry
from volforensic.inventory.file_bytes import filesystem_opener
from volforensic.inventory.store import Inventory
from volforensic.record import Problem, Row, text, text_fields
from volforensic.sandbox.pool import Failure, Pool, Task
from volforensic.sandbox.worker import Workplace

_FACT_FILES = {
    "fstab": (b"/etc/fstab",),
    "os_release": (b"/etc/os-release", b"/usr/lib/os-release"),
    "hostname": (b"/etc/hostname",),
    "passwd": (b"/etc/passwd",),
    "timezone": (b"/etc/timezone",),
    "localtime": (b"/etc/localtime",),
}
_ROOT_SIGNS = (b"/etc", b"/usr", b"/var", b"/bin", b"/home", b"/root", b"/boot")
_SIGNS_NEEDED = 2
_LARGEST_ZONE = 64 << 10


class HostFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the host's own files say of it. ``time_zone`` is a TZif file's bytes (empty: UTC), ``homes`` home → user."""

    hostname: str = ""
    os: str = ""
    time_zone_name: str = ""
    time_zone: bytes = b""
    time_zone_basis: str = "UTC: the evidence names no zone"
    mounts: list[Mount] = []
    homes: dict[bytes, str] = {}
    losses: list[str] = []


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """One operating system in the evidence: the trees that make up its view, and its facts."""

    trees: tuple[Tree, ...]
    facts: HostFacts

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
    """The files that say who a host is, the volumes they lie in, and where /etc/localtime pointed."""

    files: dict[str, FileEntry]
    volumes: dict[int, VolumeFacts]
    localtime_target: bytes


def find_hosts(
    pool: Pool, source: int, inventory: Inventory, layout: Layout, subvolumes: list[FileEntry]
) -> Iterator[Host | Problem]:
    """Yield every host in the evidence, and last, as hosts of their own, the trees that no host mounted.

    ``subvolumes`` are the entries of btrfs subvolumes' roots. A tree belongs to the first host whose fstab claims it.
    """
    volumes = layout.volumes
    free = [Tree(volume.index, b"", b"") for volume in volumes if volume.is_readable]
    free += [Tree(entry.volume, entry.path, b"") for entry in subvolumes]
    facts = layout.facts()
    roots = sorted((tree for tree in free if _is_root(inventory, tree)), key=_root_order)
    for root in roots:
        known, problems = _read_facts(pool, source, inventory, root, facts)
        yield from problems
        free = [tree for tree in free if tree != root]
        mounted = list(mounted_trees(known.mounts, root, free, volumes))
        places = {(tree.volume, tree.prefix) for tree in mounted}
        free = [tree for tree in free if (tree.volume, tree.prefix) not in places]
        for mount in missing_mounts(known.mounts, volumes):
            yield _missing(root, mount)
        yield Host(trees=(root, *mounted), facts=known)
    for tree in free:
        if not tree.prefix:  # a subvolume that nobody mounted is seen in the tree that holds it
            yield Host(trees=(tree,), facts=HostFacts())


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
        data[name] = content.whole(_LARGEST_ZONE if name == "localtime" else 1 << 20)
        losses.extend(f"{entry.path!r}: {loss.reason}" for loss in content.losses)
    yield _facts(data, losses, given.localtime_target)


def _facts(data: dict[str, bytes], losses: list[str], localtime_target: bytes) -> HostFacts:
    release = identity.os_release(data.get("os_release", b""))
    name = identity.zone_name(localtime_target)
    zone = data.get("localtime", b"")
    basis = f"zone {name or 'of /etc/localtime'} from /etc/localtime"
    if not name and not zone.startswith(b"TZif"):
        name = identity.zone_name(b"/zoneinfo/" + data.get("timezone", b"").strip())
        basis = f"zone {name} from /etc/timezone"
    if not zone.startswith(b"TZif"):
        zone = b""
    if not name and not zone:
        basis = "UTC: the evidence names no zone"
    return HostFacts(
        hostname=identity.hostname(data.get("hostname", b"")),
        os=release.get("PRETTY_NAME", "") or release.get("NAME", ""),
        time_zone_name=name,
        time_zone=zone,
        time_zone_basis=basis,
        mounts=[
            Mount(device=entry.device, mount_point=entry.mount_point, type=entry.type, options=entry.options)
            for entry in identity.fstab(data.get("fstab", b""))
        ],
        homes=identity.homes(data.get("passwd", b"")),
        losses=losses,
    )


def _is_root(inventory: Inventory, tree: Tree) -> bool:
    present = sum(inventory.at(tree.volume, tree.prefix + sign) is not None for sign in _ROOT_SIGNS)
    return inventory.at(tree.volume, tree.prefix + b"/etc") is not None and present >= _SIGNS_NEEDED


def _root_order(tree: Tree) -> tuple[int, bool, bytes]:
    """Sort the root that the boot loader would take before its snapshots: ``@`` (Ubuntu), ``root`` (Fedora)."""
    return tree.volume, tree.prefix not in (b"", b"/@", b"/root"), tree.prefix


def _read_facts(
    pool: Pool, source: int, inventory: Inventory, root: Tree, volumes: dict[int, VolumeFacts]
) -> tuple[HostFacts, list[Problem]]:
    namespace = Namespace(inventory, (root,))
    files = {}
    for name, paths in _FACT_FILES.items():
        found = [namespace.resolve(path).entry for path in paths]
        entry = next((entry for entry in found if entry is not None and entry.type == "file"), None)
        if entry is not None:
            files[name] = entry
    link = namespace.at(b"/etc/localtime")
    target = link.link_target if link is not None and link.link_target else b""
    arguments = HostArguments(files=files, volumes=volumes, localtime_target=target)
    task = Task(
        function="volforensic.collection.host:read_host",
        arguments=arguments,
        message_type=HostFacts,
        source=source,
    )
    facts, problems = HostFacts(), []
    for message in pool.run(task):
        if isinstance(message, Failure):
            problems.append(_problem(root, f"the host's identity could not be read: {message.reason}"))
        else:
            facts = _with_zone(message)
            problems.extend(_problem(root, loss) for loss in message.losses)
    return facts, problems


def _with_zone(facts: HostFacts) -> HostFacts:
    """Where the evidence names a zone and does not hold its file, take the file of the tz database that we carry."""
    if facts.time_zone or not facts.time_zone_name:
        return facts
    folder = resources.files("tzdata") / "zoneinfo"
    place = folder.joinpath(*facts.time_zone_name.split("/"))
    if place.is_file():
        return msgspec.structs.replace(facts, time_zone=place.read_bytes())
    return msgspec.structs.replace(facts, time_zone_basis=f"UTC: the zone {facts.time_zone_name} is not known")


def _missing(root: Tree, mount: Mount) -> Problem:
    device, place = text(mount.device), text(mount.mount_point)
    return _problem(root, f"fstab mounts {place} from {device}, which is not in this evidence")


def _problem(root: Tree, reason: str) -> Problem:
    return Problem(stage="collection", reason=reason, volume=root.volume, **text_fields("source", root.prefix or b"/"))
