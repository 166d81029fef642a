"""From an engine's books to directories: which layers a container's view is made of, the upper ones first.

Sources: moby, daemon/graphdriver/{overlay2,overlay,fuse-overlayfs,vfs,aufs}; containers/storage, drivers/{overlay,vfs};
containerd, plugins/snapshots/{overlay,native}.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from volforensic.collection.container_books import Books, shown
from volforensic.collection.container_stores import Store
from volforensic.collection.container_worker import ContainerFile
from volforensic.collection.parsers.container_stores import MOST_LAYERS, ContainerFacts
from volforensic.collection.parsers.containerd import SnapshotContainer
from volforensic.inventory.entry import FileEntry

MOST_CONTAINERS = 2000
"""Containers of one store that are shown; more are counted."""
_LINKED = ("overlay2", "overlay", "fuse-overlayfs")
_DRIVERS = (*_LINKED, "vfs", "aufs")
_MARKED = ("aufs", "fuse-overlayfs")
_SNAPSHOTS = b"io.containerd.snapshotter.v1."
_METADATA = b"/io.containerd.metadata.v1.bolt/meta.db"


class Found(NamedTuple):
    """A container: what is said of it, its layers, what is missing of them, and how its layers hide what is below.

    ``is_users``: overlayfs was told to keep its marks where no root is needed. ``has_names``: files named ``.wh.``
    hide, as aufs and fuse-overlayfs have them.
    """

    facts: ContainerFacts
    layers: tuple[FileEntry, ...]
    reasons: tuple[str, ...] = ()
    is_users: bool = False
    has_names: bool = False


class _Wanted(NamedTuple):
    """A container and the directory of its driver's layer."""

    facts: ContainerFacts
    driver: str
    home: bytes


def docker_containers(books: Books, store: Store) -> list[Found]:
    """Return the containers of a Docker store; those whose layers containerd keeps come without any."""
    home = store.home.rstrip(b"/")
    mounts: dict[str, dict[str, FileEntry]] = {}
    for driver in books.children(home + b"/image"):
        for mount in books.children(home + b"/image/" + driver.name + b"/layerdb/mounts"):
            file = books.file(_below(home, b"image", driver.name, b"layerdb/mounts", mount.name, b"mount-id"))
            if file is not None:
                mounts.setdefault(shown(mount.name), {})[shown(driver.name)] = file
    configs: dict[str, FileEntry | None] = {}
    for folder in books.children(home + b"/containers"):
        if folder.type == "directory":
            configs[shown(folder.name)] = books.file(_below(home, b"containers", folder.name, b"config.v2.json"))
    names = sorted(dict.fromkeys((*configs, *mounts)))
    _limit(books, store, names)
    files = [ContainerFile("config.v2.json", config, name) for name in names if (config := configs.get(name))]
    said = {file.container: answer for file, answer in zip(files, books.read(files), strict=True)}
    facts = {
        name: said[name].containers[0]
        if name in said and said[name].containers
        else ContainerFacts(engine="docker", id=name[:200])
        for name in names
    }
    chosen = {name: _driver(facts[name].driver, mounts.get(name, {})) for name in names}
    asked = [ContainerFile("name", mounts[name][driver], name) for name, driver in chosen.items()
             if driver in mounts.get(name, {})]  # fmt: skip
    layers = {file.container: answer.names for file, answer in zip(asked, books.read(asked), strict=True)}
    wanted = [
        _Wanted(
            msgspec.structs.replace(facts[name], driver=chosen[name], layer=next(iter(layers.get(name, ())), "")),
            chosen[name],
            home + b"/" + chosen[name].encode("utf-8", "replace"),
        )
        for name in names
    ]
    return _with_layers(books, store, wanted, {})


def stored_containers(books: Books, store: Store) -> list[Found]:
    """Return the containers of a store of containers/storage: those of Podman, CRI-O, Buildah."""
    home = store.home.rstrip(b"/")
    found: list[Found] = []
    for folder in list(books.children(home)):
        driver, ending, _ = shown(folder.name).partition("-containers")
        if not ending or folder.type != "directory":
            continue
        files = [
            ContainerFile(kind, entry)
            for kind, place in (
                ("containers.json", f"{driver}-containers/containers.json"),
                ("containers.json", f"{driver}-containers/volatile-containers.json"),
                ("layers.json", f"{driver}-layers/layers.json"),
                ("layers.json", f"{driver}-layers/volatile-layers.json"),
            )
            if (entry := books.file(home + b"/" + place.encode()))
        ]
        facts: dict[str, ContainerFacts] = {}
        parents: dict[str, str] = {}
        for answer in books.read(files):
            facts.update((one.id, msgspec.structs.replace(one, driver=driver)) for one in answer.containers)
            parents.update(answer.parents)
        names = sorted(facts)
        _limit(books, store, names)
        place = home + b"/" + driver.encode()
        found += _with_layers(books, store, [_Wanted(facts[name], driver, place) for name in names], parents)
    return found


def snapshot_containers(books: Books, store: Store, docker: Sequence[Found]) -> list[Found]:
    """Return containerd's containers, and those of ``docker`` whose layers are snapshots of it."""
    home = store.home.rstrip(b"/")
    homes: dict[str, bytes] = {}
    databases: dict[str, FileEntry] = {}
    for folder in books.children(home):
        if folder.name.startswith(_SNAPSHOTS) and folder.type == "directory":
            name = shown(folder.name[len(_SNAPSHOTS) :])
            homes[name] = home + b"/" + folder.name + b"/snapshots/"
            file = books.file(home + b"/" + folder.name + b"/metadata.db")
            if file is not None:
                databases[name] = file
    metadata = books.file(home + _METADATA)
    if metadata is None and not databases:
        return []
    known = {one.facts.id: one.facts for one in docker}
    wanted = [(facts.id, facts.driver) for facts in known.values()]
    rows = books.databases(metadata, databases, wanted)
    rows = [row for row in rows if row.facts.engine != "docker" or row.snapshots]
    names = [row.facts.id for row in rows]
    _limit(books, store, names)
    return [_of_snapshots(books, store, row, homes.get(row.facts.driver, b""), known) for row in rows[: len(names)]]


def _of_snapshots(
    books: Books, store: Store, row: SnapshotContainer, home: bytes, known: Mapping[str, ContainerFacts]
) -> Found:
    facts, layers = row.facts, []
    reasons = [row.reason] if row.reason else []
    if facts.engine == "docker":
        facts = msgspec.structs.replace(known[facts.id], layer=facts.layer) if facts.id in known else facts
    for number in row.snapshots if facts.driver in ("overlayfs", "fuse-overlayfs", "native") else ():
        place = home + str(number).encode() + (b"" if facts.driver == "native" else b"/fs")
        entry = books.directory(place)
        if entry is None:
            reasons.append(f"its layer {shown(place)} is not there")
        else:
            layers.append(entry)
    if facts.driver not in ("overlayfs", "fuse-overlayfs", "native"):
        reasons.append(f"the snapshotter {facts.driver or 'that it has'} is not supported")
    if facts.driver == "native":  # each snapshot is a whole tree
        layers = layers[:1]
    is_fuse = facts.driver == "fuse-overlayfs"
    return Found(facts, tuple(layers), tuple(reasons), store.is_users or is_fuse, is_fuse)


def _with_layers(books: Books, store: Store, wanted: Sequence[_Wanted], parents: Mapping[str, str]) -> list[Found]:
    """Return the containers with their layers: what lies below the upper one stands in a file of the driver's."""
    files = [file for one in wanted if (file := _file_of_lower(books, one)) is not None]
    lower = {file.container: answer.names for file, answer in zip(files, books.read(files), strict=True)}
    return [_found(books, store, one, lower.get(one.facts.id), parents) for one in wanted]


def _file_of_lower(books: Books, one: _Wanted) -> ContainerFile | None:
    layer = one.facts.layer.encode()
    if not layer or one.driver not in _DRIVERS:
        return None
    kind, place = {
        "vfs": ("", b""),
        "aufs": ("lines", one.home + b"/layers/" + layer),
    }.get(one.driver, ("lower", one.home + b"/" + layer + b"/lower"))
    file = books.file(place) if kind else None
    if file is None and one.driver == "overlay":  # Docker's first overlay driver, with one lower directory
        kind, file = "name", books.file(one.home + b"/" + layer + b"/lower-id")
    return None if file is None else ContainerFile(kind, file, one.facts.id)


def _found(books: Books, store: Store, one: _Wanted, lower: Sequence[str] | None, parents: Mapping[str, str]) -> Found:
    layer = one.facts.layer
    if one.driver not in _DRIVERS:
        reason = f"the storage driver {one.driver or 'that it has'} is not supported"
        return Found(one.facts, (), (reason,))
    if not layer:
        return Found(one.facts, (), ("nothing names its layer",))
    layers: list[FileEntry] = []
    reasons: list[str] = []
    for number, place in enumerate(_places(books, one, lower, parents)):
        entry = books.directory(place)
        inside = books.namespace.host_path(entry) if entry is not None else None
        home = books.directory(one.home)
        is_inside = inside is not None and home is not None and _is_in(books, inside, home)
        if entry is None or not is_inside:
            reasons.append(f"its {'own' if not number else 'lower'} layer {shown(place)} is not there")
        else:
            layers.append(entry)
    is_users = store.is_users or one.driver == "fuse-overlayfs"
    has_names = one.driver in _MARKED or (store.kind == "storage" and store.is_users)
    return Found(one.facts, tuple(layers), tuple(reasons), is_users, has_names)


def _places(books: Books, one: _Wanted, lower: Sequence[str] | None, parents: Mapping[str, str]) -> list[bytes]:
    """Return the host paths at which the layers ought to be, the upper one first."""
    layer, home = one.facts.layer, one.home
    if one.driver == "vfs":
        return [_below(home, b"dir", layer.encode())]
    if one.driver == "aufs":
        return [_below(home, b"diff", name.encode()) for name in (layer, *(lower or ()))]
    own = _below(home, layer.encode())
    if books.directory(own + b"/upper") is not None and books.directory(own + b"/diff") is None:
        return [own + b"/upper", *(_below(home, name.encode(), b"root") for name in lower or ())]
    if lower is not None:
        return [own + b"/diff", *(_below(home, name.encode()) for name in lower)]
    places = [own + b"/diff"]
    seen = {layer}
    above = parents.get(layer, "")
    while above and above not in seen and len(places) < MOST_LAYERS:
        places.append(_below(home, above.encode(), b"diff"))
        seen.add(above)
        above = parents.get(above, "")
    return places


def _driver(said: str, mounts: Mapping[str, FileEntry]) -> str:
    return said or next(iter(mounts), "")


def _is_in(books: Books, path: bytes, directory: FileEntry) -> bool:
    above = books.namespace.host_path(directory)
    return above is not None and path.startswith(above.rstrip(b"/") + b"/")


def _limit(books: Books, store: Store, names: list[str]) -> None:
    """Leave the first containers of a store, and say how many there are."""
    home = books.directory(store.home)
    if len(names) > MOST_CONTAINERS and home is not None:
        books.problem(home, f"{len(names)} containers: the first {MOST_CONTAINERS} are shown")
        del names[MOST_CONTAINERS:]


def _below(*parts: bytes) -> bytes:
    return b"/".join(parts)
