"""containerd's containers and the snapshots that they are made of, out of its two kinds of bbolt databases.

Sources: containerd, core/metadata/buckets.go (``v1/<namespace>/containers|snapshots/…`` of meta.db) and
core/snapshots/storage/bolt.go (``v1/snapshots/<key>`` of a snapshotter's metadata.db: id, kind, parent); the times are
Go's time.MarshalBinary.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from volforensic.collection.parsers.bolt import Bolt, BoltError
from volforensic.collection.parsers.container_stores import LONGEST_NAME, MOST_LAYERS, ContainerFacts
from volforensic.record import text

MOST_CONTAINERS = 10_000
_MOST_SNAPSHOTS = 500_000
_ACTIVE = 2
_TIME_SIZE = 15
_FIRST_YEAR = datetime(1, 1, 1, tzinfo=UTC)
_NAME_LABELS = ("nerdctl/name", "io.kubernetes.container.name")
_POD_LABELS = ("io.kubernetes.pod.namespace", "io.kubernetes.pod.name")


class Snapshot(msgspec.Struct, frozen=True):
    """A snapshot of a snapshotter: the number that its directory has, its parent's key ("": none), its kind."""

    number: int
    parent: str
    kind: int


class SnapshotContainer(msgspec.Struct, frozen=True):
    """A container, the directories of its snapshots by number, its own first, and why they are not all of them."""

    facts: ContainerFacts
    snapshots: list[int]
    reason: str = ""


def read_containers(
    metadata: bytes, snapshotters: Mapping[str, bytes], wanted: Sequence[tuple[str, str]], losses: list[str]
) -> Iterator[SnapshotContainer]:
    """Yield the containers of meta.db with their snapshots; what could not be read is added to ``losses``.

    ``snapshotters`` are their metadata.db by name. ``wanted`` are Docker's containers (id, snapshotter): they have
    snapshots here by their id, and need not be listed here. Where meta.db cannot be read, every snapshot that
    something was written to is taken for a container.
    """
    known = {name: _snapshots(data, name, losses) for name, data in snapshotters.items()}
    try:
        database = Bolt(metadata)
    except BoltError as error:
        losses.append(f"meta.db: {error}: snapshots that can be written to are taken for containers")
        yield from _by_snapshots(known)
        return
    spaces = database.bucket(database.root(), b"v1") or b""
    left = MOST_CONTAINERS
    for space in database.items(spaces) if spaces else ():
        if not space.is_bucket:
            continue
        names = _snapshot_names(database, space.value)
        for found in _containers(database, space.value, text(space.key), names, known):
            left -= 1
            if left >= 0:
                yield found
        for identity, driver in wanted if space.key == b"moby" else ():
            name = names.get((driver, identity), "")
            facts = ContainerFacts(engine="docker", id=identity, driver=driver, layer=name)
            yield SnapshotContainer(facts, *_chain(known.get(driver), name))
    if left < 0:
        losses.append(f"{MOST_CONTAINERS - left} containers: the first {MOST_CONTAINERS} were read")
    losses += (f"meta.db: {loss}" for loss in database.losses)


def _containers(
    database: Bolt,
    space: bytes,
    namespace: str,
    names: Mapping[tuple[str, str], str],
    known: Mapping[str, Mapping[str, Snapshot]],
) -> Iterator[SnapshotContainer]:
    listed = database.bucket(space, b"containers")
    if listed is None or namespace == "moby":  # Docker keeps them itself, and more of them
        return
    for item in database.items(listed):
        if not item.is_bucket:
            continue
        values = database.values(item.value)
        stored = database.bucket(item.value, b"labels")
        labels = {text(key): _word(value) for key, value in database.values(stored).items()} if stored else {}
        driver, key = _word(values.get(b"snapshotter")), _word(values.get(b"snapshotKey"))
        name = names.get((driver, key), "")
        yield SnapshotContainer(
            ContainerFacts(
                engine="containerd",
                id=text(item.key)[:LONGEST_NAME],
                name=_name(namespace, labels),
                image=_word(values.get(b"image")),
                driver=driver,
                created=_time(values.get(b"createdat", b"")),
                layer=name,
            ),
            *_chain(known.get(driver), name),
        )


def _name(namespace: str, labels: Mapping[str, str]) -> str:
    own = next((labels[label] for label in _NAME_LABELS if label in labels), "")
    pod = [labels[label] for label in _POD_LABELS if label in labels]
    return "/".join(part for part in (namespace, *pod, own) if part)[:LONGEST_NAME]


def _snapshot_names(database: Bolt, space: bytes) -> dict[tuple[str, str], str]:
    """Return what the snapshotter calls each snapshot of a namespace, by snapshotter and the namespace's own key."""
    names: dict[tuple[str, str], str] = {}
    snapshotters = database.bucket(space, b"snapshots")
    for snapshotter in database.items(snapshotters) if snapshotters is not None else ():
        for item in database.items(snapshotter.value) if snapshotter.is_bucket else ():
            if item.is_bucket and len(names) < _MOST_SNAPSHOTS:
                name = database.values(item.value).get(b"name", b"")
                names[text(snapshotter.key), _word(item.key)] = _word(name)
    return names


def _snapshots(data: bytes, name: str, losses: list[str]) -> dict[str, Snapshot]:
    """Return a snapshotter's snapshots by its own keys."""
    found: dict[str, Snapshot] = {}
    try:
        database = Bolt(data)
    except BoltError as error:
        losses.append(f"metadata.db of {name}: {error}")
        return found
    version = database.bucket(database.root(), b"v1")
    listed = database.bucket(version, b"snapshots") if version is not None else None
    for item in database.items(listed) if listed is not None else ():
        if item.is_bucket and len(found) < _MOST_SNAPSHOTS:
            values = database.values(item.value)
            kind = values.get(b"kind", b"\0")[:1]
            parent = _word(values.get(b"parent"))
            found[_word(item.key)] = Snapshot(_variable(values.get(b"id", b"")), parent, kind[0] if kind else 0)
    losses += (f"metadata.db of {name}: {loss}" for loss in database.losses)
    return found


def _chain(known: Mapping[str, Snapshot] | None, name: str) -> tuple[list[int], str]:
    """Return the numbers of a snapshot and of those below it, and why they are not all of them."""
    if known is None:
        return [], "its snapshotter keeps no metadata.db that was read"
    numbers: list[int] = []
    seen: set[str] = set()
    while name:
        snapshot = known.get(name)
        if snapshot is None:
            return numbers, f"the snapshot {name} is not in the snapshotter's metadata.db"
        if name in seen or len(numbers) >= MOST_LAYERS:
            return numbers, f"its snapshots go round in a circle, or are more than {MOST_LAYERS}"
        seen.add(name)
        numbers.append(snapshot.number)
        name = snapshot.parent
    return numbers, "" if numbers else "its snapshot is not in meta.db"


def _by_snapshots(known: Mapping[str, Mapping[str, Snapshot]]) -> Iterator[SnapshotContainer]:
    for driver, snapshots in sorted(known.items()):
        written = [(name, snapshot) for name, snapshot in snapshots.items() if snapshot.kind == _ACTIVE]
        for name, snapshot in written[:MOST_CONTAINERS]:
            namespace, _, rest = name.partition("/")
            identity = rest.partition("/")[2] or f"{driver}-{snapshot.number}"
            if not identity.startswith("extract-"):  # an image that was being unpacked
                facts = ContainerFacts(engine="containerd", id=identity, name=namespace, driver=driver, layer=name)
                yield SnapshotContainer(facts, *_chain(snapshots, name))


def _variable(data: bytes) -> int:
    """Return a number of Go's encoding/binary Uvarint; -1 where it is none."""
    value = 0
    for index, byte in enumerate(data[:10]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value if value < 1 << 62 else -1
    return -1


def _time(data: bytes) -> str:
    if len(data) < _TIME_SIZE or data[0] not in (1, 2):
        return ""
    seconds, fraction = int.from_bytes(data[1:9], "big"), int.from_bytes(data[9:13], "big")
    try:
        moment = _FIRST_YEAR + timedelta(seconds=seconds, microseconds=fraction // 1000)
    except OverflowError:
        return ""
    return moment.isoformat().replace("+00:00", "Z")


def _word(value: bytes | None) -> str:
    return text(value or b"")[:LONGEST_NAME]
