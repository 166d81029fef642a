"""What container engines write down of their containers: Docker, and containers/storage (Podman, CRI-O, Buildah).

Sources: moby, daemon/container/container.go and layer/filestore.go (config.v2.json, mount-id), dockerd(8) for
daemon.json; containers-storage.conf(5), containers/storage's containers.go and layers.go; moby,
daemon/graphdriver/overlay2/overlay.go for the ``lower`` files, which both have.
"""

import re
import tomllib
from typing import Any, TypeVar

import msgspec

from volforensic.record import text

MOST_LAYERS = 512
"""Layers of one container that are read; overlayfs itself takes 500."""
LONGEST_NAME = 512
MOST_LISTED = 50_000
_IDENTITY = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.:-]{0,199}\Z")
_LAYER = re.compile(r"(?:\.\./)?[0-9A-Za-z][0-9A-Za-z_./:-]{0,299}\Z")
_T = TypeVar("_T")
_LONGEST_PATH = 4096
_STATES = ("Running", "Paused", "Restarting", "Dead", "RemovalInProgress")


class ContainerFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine says of a container. Times are its own words; what it does not say is empty.

    ``layer`` is where its own layer is found: the name of a directory, or a snapshot's key.
    """

    engine: str
    id: str
    name: str = ""
    image: str = ""
    image_id: str = ""
    driver: str = ""
    state: str = ""
    created: str = ""
    started: str = ""
    finished: str = ""
    hostname: str = ""
    layer: str = ""


class StoreSettings(msgspec.Struct, frozen=True):
    """What a configuration says of where a store lies, and whether fuse-overlayfs mounts it."""

    roots: list[str] = []
    is_fuse: bool = False


class _DockerState(msgspec.Struct):
    Running: Any = None
    Paused: Any = None
    Restarting: Any = None
    Dead: Any = None
    RemovalInProgress: Any = None
    StartedAt: Any = None
    FinishedAt: Any = None


class _DockerConfig(msgspec.Struct):
    Image: Any = None
    Hostname: Any = None


class _DockerContainer(msgspec.Struct):
    ID: Any = None
    Name: Any = None
    Created: Any = None
    Driver: Any = None
    Image: Any = None
    State: _DockerState | None = None
    Config: _DockerConfig | None = None


class _StoredContainer(msgspec.Struct):
    id: Any = None
    names: Any = None
    image: Any = None
    layer: Any = None
    metadata: Any = None
    created: Any = None


class _StoredLayer(msgspec.Struct):
    id: Any = None
    parent: Any = None


def docker_settings(data: bytes) -> StoreSettings:
    """Return what daemon.json says; ValueError where it is not to be read."""
    values = _decoded(data or b"{}", dict[str, Any])
    roots = _paths(values.get("data-root"), values.get("graph"))
    return StoreSettings(roots)


def toml_settings(data: bytes) -> StoreSettings:
    """Return what storage.conf or containerd's config.toml says; ValueError where it is not to be read."""
    try:
        values = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"it cannot be read as TOML: {error}"[:200]) from error
    storage = values.get("storage")
    storage = storage if isinstance(storage, dict) else {}
    roots = _paths(values.get("root"), storage.get("graphroot"))
    return StoreSettings(roots, is_fuse=b"fuse-overlayfs" in data)


def docker_container(data: bytes, known_id: str) -> ContainerFacts:
    """Return what config.v2.json says; ``known_id`` is its directory's name. ValueError where it cannot be read."""
    found = _decoded(data, _DockerContainer)
    state, config = found.State or _DockerState(), found.Config or _DockerConfig()
    words = [word.lower() for word in _STATES if getattr(state, word) is True]
    return ContainerFacts(
        engine="docker",
        id=known_id,
        name=_word(found.Name).removeprefix("/"),
        image=_word(config.Image),
        image_id=_word(found.Image),
        driver=_word(found.Driver),
        state=", ".join(words) or "exited",
        created=_word(found.Created),
        started=_word(state.StartedAt),
        finished=_word(state.FinishedAt),
        hostname=_word(config.Hostname),
    )


def stored_containers(data: bytes) -> list[ContainerFacts]:
    """Return what containers.json of containers/storage says; ValueError where it is not to be read."""
    rows = _decoded(data, list[_StoredContainer])
    return [_stored_container(row) for row in rows[:MOST_LISTED] if _is_identity(row.id)]


def _stored_container(row: _StoredContainer) -> ContainerFacts:
    more: dict[str, Any] = {}
    if isinstance(row.metadata, str) and row.metadata.startswith("{"):
        try:
            more = _decoded(row.metadata.encode("utf-8", "replace"), dict[str, Any])
        except ValueError:
            more = {}
    names = row.names if isinstance(row.names, list) else []
    return ContainerFacts(
        engine="cri-o" if "pod-name" in more or "pod-id" in more else "podman",
        id=row.id,
        name=next((_word(name) for name in names), "") or _word(more.get("name")),
        image=_word(more.get("image-name")),
        image_id=_word(row.image) or _word(more.get("image-id")),
        created=_word(row.created),
        layer=row.layer if _is_identity(row.layer) else "",
    )


def stored_layers(data: bytes) -> dict[str, str]:
    """Return each layer's parent as layers.json of containers/storage says ("" for none); ValueError as above."""
    rows = _decoded(data, list[_StoredLayer])
    return {
        row.id: row.parent if _is_identity(row.parent) else "" for row in rows[:MOST_LISTED] if _is_identity(row.id)
    }


def layer_name(data: bytes) -> str:
    """Return the directory that a mount-id or lower-id names; ValueError where that is no directory's name."""
    name = text(data[: LONGEST_NAME + 1]).strip()
    if not _is_identity(name):
        raise ValueError("it does not hold the name of a layer")
    return name


def lower_layers(data: bytes) -> list[str]:
    """Return the lower layers as a driver's ``lower`` file names them, the upper ones first; ValueError as above."""
    names = [name for name in text(data).strip().split(":") if name]
    if len(names) > MOST_LAYERS or not all(_LAYER.match(name) for name in names):
        raise ValueError(f"it does not hold names of at most {MOST_LAYERS} layers")
    return names


def layer_lines(data: bytes) -> list[str]:
    """Return the lower layers as a file of aufs lists them, one a line, the upper ones first; ValueError as above."""
    names = text(data).split()
    if len(names) > MOST_LAYERS or not all(map(_is_identity, names)):
        raise ValueError(f"it does not hold names of at most {MOST_LAYERS} layers")
    return names


def _decoded(data: bytes, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"it cannot be read as JSON: {error}"[:200]) from error


def _word(value: object) -> str:
    return value[:LONGEST_NAME] if isinstance(value, str) else ""


def _is_identity(value: object) -> bool:
    return isinstance(value, str) and _IDENTITY.match(value) is not None


def _paths(*values: object) -> list[str]:
    return [
        value for value in values if isinstance(value, str) and value.startswith("/") and len(value) < _LONGEST_PATH
    ]
