"""Reads the files in which container engines keep their books: worker functions, and what the parent asks of it."""

from collections.abc import Callable, Iterator, Mapping

import msgspec

from volforensic.collection.content import SourceFile
from volforensic.collection.file_content import open_content
from volforensic.collection.parsers import container_stores as stores
from volforensic.collection.parsers.container_stores import LONGEST_NAME, ContainerFacts, StoreSettings
from volforensic.collection.parsers.containerd import MOST_CONTAINERS, SnapshotContainer, read_containers
from volforensic.evidence.layout import VolumeFacts
from volforensic.inventory.entry import FileEntry
from volforensic.inventory.file_bytes import OpenFilesystem, filesystem_opener
from volforensic.record import text
from volforensic.sandbox.confinement import GIBIBYTE, Limits
from volforensic.sandbox.worker import Workplace

LIMITS = Limits(processor_seconds=300, memory=2 * GIBIBYTE, address_space=4 * GIBIBYTE)
_LARGEST_LIST, _LARGEST_FILE, _LARGEST_DATABASE = 16 << 20, 1 << 20, 256 << 20
_BATCH = 200
_MOST_LOSSES = 1000
_LONGEST_LOSS = 2000


class ContainerFile(msgspec.Struct, frozen=True):
    """A file to read: which kind of book it is, its entry, and the id of the container where its directory names it."""

    kind: str
    entry: FileEntry
    container: str = ""


class FilesArguments(msgspec.Struct, frozen=True):
    """The files to read and the volumes they lie in."""

    files: list[ContainerFile]
    volumes: dict[int, VolumeFacts]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What one of the files says: that which its kind has. ``loss`` tells why it was not read, or not whole."""

    number: int
    settings: StoreSettings | None = None
    containers: list[ContainerFacts] = []
    parents: dict[str, str] = {}
    names: list[str] = []
    loss: str = ""


class DatabasesArguments(msgspec.Struct, frozen=True, kw_only=True):
    """containerd's databases and the volumes they lie in; ``wanted`` as ``containerd.read_containers`` takes it."""

    metadata: FileEntry | None
    snapshotters: dict[str, FileEntry]
    wanted: list[tuple[str, str]]
    volumes: dict[int, VolumeFacts]


class SnapshotBatch(msgspec.Struct, frozen=True):
    """Containers, and what of the databases was lost."""

    containers: list[SnapshotContainer]
    losses: list[str] = []


_READERS: Mapping[str, Callable[[int, bytes, str], Answer]] = {
    "daemon.json": lambda number, data, _: Answer(number=number, settings=stores.docker_settings(data)),
    "toml": lambda number, data, _: Answer(number=number, settings=stores.toml_settings(data)),
    "config.v2.json": lambda number, data, known: Answer(
        number=number, containers=[stores.docker_container(data, known)]
    ),
    "containers.json": lambda number, data, _: Answer(number=number, containers=stores.stored_containers(data)),
    "layers.json": lambda number, data, _: Answer(number=number, parents=stores.stored_layers(data)),
    "name": lambda number, data, _: Answer(number=number, names=[stores.layer_name(data)]),
    "lower": lambda number, data, _: Answer(number=number, names=stores.lower_layers(data)),
    "lines": lambda number, data, _: Answer(number=number, names=stores.layer_lines(data)),
}
"""What reads each kind of file: its number, its bytes, the container's id."""


def read_files(place: Workplace, arguments: object) -> Iterator[Answer]:
    """Yield what each file says, in their order: worker function, arguments as ``FilesArguments``."""
    given = msgspec.convert(arguments, FilesArguments)
    filesystem = filesystem_opener(place.source, given.volumes)
    for number, file in enumerate(given.files):
        place.begin_item(number)
        limit = _LARGEST_LIST if file.kind in ("containers.json", "layers.json") else _LARGEST_FILE
        data, losses = _whole(place, file.entry, filesystem, limit)
        try:
            answer = _READERS[file.kind](number, data, file.container)
        except ValueError as error:
            losses.append(str(error))
            answer = Answer(number=number)
        yield msgspec.structs.replace(answer, loss="; ".join(losses)[:_LONGEST_LOSS])


def read_databases(place: Workplace, arguments: object) -> Iterator[SnapshotBatch]:
    """Yield containerd's containers and last what was lost: worker function, arguments as ``DatabasesArguments``."""
    given = msgspec.convert(arguments, DatabasesArguments)
    filesystem = filesystem_opener(place.source, given.volumes)
    losses: list[str] = []

    def data_of(entry: FileEntry) -> bytes:
        place.begin_item(0)
        data, lost = _whole(place, entry, filesystem, _LARGEST_DATABASE)
        losses.extend(f"{text(entry.path)}: {loss}" for loss in lost)
        return data.ljust(min(entry.size, _LARGEST_DATABASE), b"\0")  # what ends with NUL bytes may end with a hole

    metadata = data_of(given.metadata) if given.metadata is not None else b""
    snapshotters = {name: data_of(entry) for name, entry in given.snapshotters.items()}
    batch: list[SnapshotContainer] = []
    for container in read_containers(metadata, snapshotters, given.wanted, losses):
        place.begin_item(0)
        batch.append(container)
        if len(batch) >= _BATCH:
            yield SnapshotBatch(batch)
            batch = []
    yield SnapshotBatch(batch, [loss[:_LONGEST_LOSS] for loss in losses[:_MOST_LOSSES]])


def _whole(place: Workplace, entry: FileEntry, filesystem: OpenFilesystem, limit: int) -> tuple[bytes, list[str]]:
    file = SourceFile(path=entry.path, size=entry.size)
    content = open_content(place.source, entry, file, filesystem, lambda: place.begin_item(0))
    data = content.whole(limit)
    return data, [loss.reason for loss in content.losses[:3]]


class FilesCheck:
    """Holds which answers came; what the parent asks of them: the worker that gives them has read hostile bytes."""

    def __init__(self, files: list[ContainerFile]) -> None:
        """Take what was asked."""
        self._files = files
        self._came = 0

    def refused(self, answer: Answer) -> str:
        """Return why an answer cannot be one; empty where it can."""
        if answer.number != self._came or answer.number >= len(self._files):
            return "an answer to no question"
        self._came += 1
        if max(len(answer.containers), len(answer.parents), len(answer.names)) > stores.MOST_LISTED:
            return "no engine has so many containers or layers"
        words = [*answer.names, *answer.parents, *answer.parents.values()]
        is_long = any(len(word) > LONGEST_NAME for word in words) or any(map(_is_long, answer.containers))
        settings = answer.settings or StoreSettings()
        is_odd = len(settings.roots) > 4 or not all(root.startswith("/") for root in settings.roots)
        return "a name that no engine gives" if is_long or is_odd or len(answer.loss) > _LONGEST_LOSS else ""

    def missing(self) -> str:
        """Return what should have come: an answer to each question."""
        return "" if self._came == len(self._files) else "the worker said nothing of some files"


class SnapshotsCheck:
    """Holds how many containers came, and refuses what cannot be one."""

    def __init__(self) -> None:
        """Begin with none."""
        self._came = 0

    def refused(self, batch: SnapshotBatch) -> str:
        """Return why a batch cannot be one; empty where it can."""
        self._came += len(batch.containers)
        if self._came > 2 * MOST_CONTAINERS or len(batch.losses) > _MOST_LOSSES:
            return "no containerd has so many containers"
        for container in batch.containers:
            if _is_long(container.facts) or len(container.snapshots) > stores.MOST_LAYERS:
                return "a container that no containerd has"
        return ""

    def missing(self) -> str:
        """Return what should have come."""
        return ""


def _is_long(facts: ContainerFacts) -> bool:
    return any(len(value) > LONGEST_NAME for value in msgspec.structs.astuple(facts))
