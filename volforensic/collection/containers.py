"""The containers of the hosts: each is a host of its own, whose files are those of its layers together."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from volforensic.collection.container_books import Books
from volforensic.collection.container_layers import (
    Found,
    docker_containers,
    snapshot_containers,
    stored_containers,
)
from volforensic.collection.container_stores import Store, find_stores
from volforensic.collection.host import Container, Host
from volforensic.collection.host_facts import HostFacts, read_facts
from volforensic.collection.host_mounts import host_problem
from volforensic.collection.layered import Hiding, LayeredNamespace, LayerIndex
from volforensic.collection.namespace import HostPaths, Namespace, Tree
from volforensic.evidence.attributes import Attribute
from volforensic.evidence.layout import VolumeFacts
from volforensic.inventory.entry import FileEntry
from volforensic.inventory.store import Inventory
from volforensic.record import CONTAINER_PREFIX, Problem, Row, text_fields
from volforensic.sandbox.messages import SourceHandle
from volforensic.sandbox.pool import Pool

_MOST_CONTAINERS = 4000
_SHORT = 12
_HEXADECIMAL = re.compile(r"[0-9a-f]{13,}\Z")
_NOT_IN_NAMES = re.compile(r"[^0-9A-Za-z_.-]")
_SNAPSHOT_DRIVERS = ("overlayfs", "native", "stargz", "nydus", "soci", "devmapper", "btrfs", "zfs", "erofs")
_MOST_MARKED = 100_000


class Evidence(NamedTuple):
    """What containers are looked for in: workers, source, volumes, inventory; ``note`` takes what was not read."""

    pool: Pool
    source: SourceHandle
    volumes: dict[int, VolumeFacts]
    inventory: Inventory
    note: Callable[[Problem], None]


def find_containers(evidence: Evidence, hosts: Sequence[Host]) -> Iterator[Host]:
    """Yield the containers of every host as hosts of their own, each with a label that no other has."""
    found: list[tuple[int, Found]] = []
    for number, host in enumerate(hosts):
        others = tuple(tree for other in hosts if other is not host for tree in other.trees)
        namespace = Namespace(evidence.inventory, host.trees, others, host.binds)
        books = Books(evidence.pool, evidence.source, evidence.volumes, namespace, evidence.note)
        is_stray = not host.facts.mounts and not host.facts.os
        found += ((number, one) for one in _of_host(books, find_stores(books, is_stray=is_stray)))
    if len(found) > _MOST_CONTAINERS:
        reason = f"{len(found)} containers on {len(hosts)} hosts (or snapshots of one): the first {_MOST_CONTAINERS}"
        evidence.note(host_problem(hosts[0].root, f"{reason} are shown"))
        del found[_MOST_CONTAINERS:]
    marks = _Marks(evidence.inventory)
    index = LayerIndex(evidence.inventory)
    for label, (number, one) in zip(_labels([one for _, one in found]), found, strict=True):
        for problem in _problems(label, one, marks, hosts[number]):
            evidence.note(problem)
        if one.layers:
            yield _host(evidence, index, Container(
                label=label, host=number, facts=one.facts, is_users=one.is_users, has_names=one.has_names
            ), one)  # fmt: skip


def container_view(host: Host, index: LayerIndex) -> LayeredNamespace | None:
    """Return a container's view of its files; None for a host that is none."""
    container = host.container
    if container is None:
        return None
    return LayeredNamespace(index, host.trees, Hiding(container.is_users, container.has_names))


def described(host: Host, paths: HostPaths, inventory: Inventory) -> Row:
    """Return a container as evidence.json holds it; its layers by the paths that files.jsonl.zst has."""
    if host.container is None:
        return {}
    facts = host.container.facts
    said = {
        "engine": facts.engine,
        "container_id": facts.id,
        "name": facts.name,
        "image": facts.image,
        "image_id": facts.image_id,
        "driver": facts.driver,
        "state": facts.state,
        "created": facts.created,
        "started": facts.started,
        "finished": facts.finished,
    }
    return {
        "path": f"{CONTAINER_PREFIX}{host.container.label}",
        "host": host.container.host,
        **{key: value for key, value in said.items() if value},
        "hostname": host.facts.hostname,
        "os": host.facts.os,
        "time_zone": host.facts.time_zone_name,
        "layers": [_layer(tree, paths, inventory) for tree in host.trees],
    }


def layer_paths(hosts: Sequence[Host], paths: HostPaths, inventory: Inventory) -> dict[str, list[str]]:
    """Return the layers of each container by its label: their paths as files.jsonl.zst has them, upper first."""
    return {
        host.container.label: [str(_layer(tree, paths, inventory)["path"]) for tree in host.trees]
        for host in hosts
        if host.container is not None
    }


def _layer(tree: Tree, paths: HostPaths, inventory: Inventory) -> Row:
    entry = inventory.at(tree.volume, tree.prefix or b"/")
    path = paths.path_of(entry) if entry is not None else tree.prefix
    row: Row = {"volume": tree.volume, **text_fields("path", path)}
    return row if path == tree.prefix else row | text_fields("volume_path", tree.prefix)


def _of_host(books: Books, stores: Sequence[Store]) -> list[Found]:
    docker = [one for store in stores if store.kind == "docker" for one in docker_containers(books, store)]
    elsewhere = [one for one in docker if one.facts.driver in _SNAPSHOT_DRIVERS]
    found = [one for store in stores if store.kind == "storage" for one in stored_containers(books, store)]
    for store in stores:
        if store.kind == "containerd":
            found += snapshot_containers(books, store, elsewhere)
    seen = {one.facts.id for one in found if one.facts.engine == "docker"}
    return [one for one in docker if one.facts.id not in seen] + found


def _host(evidence: Evidence, index: LayerIndex, container: Container, one: Found) -> Host:
    trees = tuple(Tree(entry.volume, entry.path.rstrip(b"/"), b"", entry.tree) for entry in one.layers)
    namespace = LayeredNamespace(index, trees, Hiding(one.is_users, one.has_names))
    facts, problems = read_facts(evidence.pool, evidence.source, namespace, trees[0], evidence.volumes)
    for problem in problems:
        evidence.note(_said_of(container.label, one, problem.reason, lost=problem.lost))
    known = HostFacts(
        hostname=facts.hostname or one.facts.hostname,
        os=facts.os,
        time_zone_name=facts.time_zone_name,
        time_zone=facts.time_zone,
        time_zone_basis=facts.time_zone_basis,
        homes=facts.homes,
    )
    return Host(trees=trees, facts=known, container=container)


class _Marks:
    """Holds how many files of each layer are of a kind that is not merged."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._counts: dict[tuple[int, bytes, Attribute], tuple[int, int]] = {}

    def of(self, layers: Sequence[FileEntry], mark: Attribute, with_mark: Attribute) -> tuple[int, int]:
        """Return how many entries of the layers have a mark, and how many of these have the other too."""
        counts = [self._count(layer, mark, with_mark) for layer in layers]
        return sum(count for count, _ in counts), sum(both for _, both in counts)

    def _count(self, layer: FileEntry, mark: Attribute, with_mark: Attribute) -> tuple[int, int]:
        key = layer.volume, layer.path, mark
        if key not in self._counts:
            count = both = 0
            for entry in self._inventory.marked(layer.volume, layer.path.rstrip(b"/"), mark):
                count += 1
                both += with_mark in entry.attributes
                if count >= _MOST_MARKED:
                    break
            self._counts[key] = count, both
        return self._counts[key]


def _problems(label: str, one: Found, marks: _Marks, host: Host) -> Iterator[Problem]:
    for reason in one.reasons:
        without = "" if one.layers else ": nothing of it is shown"
        yield _said_of(label, one, reason + without, host=host)
    moved, without_data = _MARKS[one.is_users]
    renamed, _ = marks.of(one.layers, moved, without_data)
    if renamed:
        reason = (
            f"{renamed} directories or files of its layers were renamed (redirect_dir), which is not followed: what"
        )
        yield _said_of(label, one, f"{reason} they had in lower layers is not shown with them")
    copied, both = marks.of(one.layers, without_data, moved)
    if copied:
        reason = (
            f"{copied} files of its layers have their bytes in a lower layer (metacopy): they are shown with owner,"
        )
        yield _said_of(label, one, f"{reason} mode and times of that layer", lost=bool(both))


_MARKS: dict[bool, tuple[Attribute, Attribute]] = {
    False: ("overlay_redirect", "overlay_metacopy"),
    True: ("user_overlay_redirect", "user_overlay_metacopy"),
}


def _said_of(label: str, one: Found, reason: str, *, lost: bool = True, host: Host | None = None) -> Problem:
    volume = one.layers[0].volume if one.layers else host.root.volume if host is not None else None
    name = f" ({one.facts.name})" if one.facts.name else ""
    return Problem(
        stage="collection",
        reason=f"container {label}{name}: {reason}",
        lost=lost,
        volume=volume,
        **text_fields("source", (CONTAINER_PREFIX + label).encode()),
    )


def _labels(found: Sequence[Found]) -> Iterator[str]:
    """Yield a label for each container: twelve digits of its id where no other begins so, else all of it."""
    short = Counter(_short(one.facts.id) for one in found)
    used: set[str] = set()
    for one in found:
        label = _short(one.facts.id)
        if short[label] > 1 and _HEXADECIMAL.match(one.facts.id):
            label = one.facts.id[:128]
        number, unique = 1, label
        while unique in used:
            number += 1
            unique = f"{label}~{number}"
        used.add(unique)
        yield unique


def _short(identity: str) -> str:
    return identity[:_SHORT] if _HEXADECIMAL.match(identity) else _NOT_IN_NAMES.sub("_", identity)[:128] or "unnamed"


class ContainerPaths:
    """Where a container has an entry: the path that an examiner reads, with the container before it."""

    def __init__(self, label: str, view: LayeredNamespace) -> None:
        """Take the container's label and its view."""
        self._prefix = (CONTAINER_PREFIX + label).encode()
        self._view = view

    def path_of(self, entry: FileEntry) -> bytes:
        """Return the path in the container."""
        return self._prefix + (self._view.host_path(entry) or entry.path)
