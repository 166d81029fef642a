"""The parent's side of reading container engines' files: which are read together, and what came of each."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from volforensic.collection.container_worker import (
    LIMITS,
    Answer,
    ContainerFile,
    DatabasesArguments,
    FilesArguments,
    FilesCheck,
    SnapshotBatch,
    SnapshotsCheck,
)
from volforensic.collection.namespace import Namespace
from volforensic.collection.parsers.containerd import SnapshotContainer
from volforensic.evidence.layout import VolumeFacts
from volforensic.inventory.entry import FileEntry
from volforensic.record import Problem, text, text_fields
from volforensic.sandbox.messages import SourceHandle
from volforensic.sandbox.pool import Failure, Pool, Task

_WORKER = "volforensic.collection.container_worker"
_FILES_PER_TASK = 1000


class Books(NamedTuple):
    """Where one host's containers are looked for and how: workers, the source, its volumes, the host's view.

    ``note`` takes what could not be read.
    """

    pool: Pool
    source: SourceHandle
    volumes: dict[int, VolumeFacts]
    namespace: Namespace
    note: Callable[[Problem], None]

    def directory(self, path: bytes) -> FileEntry | None:
        """Return the directory that a host path leads to; None where there is none."""
        entry = self.namespace.resolve(path).entry
        return entry if entry is not None and entry.type == "directory" else None

    def file(self, path: bytes) -> FileEntry | None:
        """Return the file that a host path leads to; None where there is none."""
        entry = self.namespace.resolve(path).entry
        return entry if entry is not None and entry.type == "file" and entry.has_inode else None

    def children(self, path: bytes) -> Iterator[FileEntry]:
        """Yield the entries of a directory by name; none where there is no directory."""
        directory = self.directory(path)
        return self.namespace.children(directory) if directory is not None else iter(())

    def read(self, files: Sequence[ContainerFile]) -> list[Answer]:
        """Return what each file says, in their order; what could not be read of it was noted."""
        answers: list[Answer] = []
        for first in range(0, len(files), _FILES_PER_TASK):
            piece = list(files[first : first + _FILES_PER_TASK])
            task = Task(
                function=f"{_WORKER}:read_files",
                arguments=FilesArguments(piece, self.volumes),
                message_type=Answer,
                source=self.source,
                limits=LIMITS,
                check=FilesCheck(piece),
            )
            came: list[Answer] = []
            for message in self.pool.run(task):
                if isinstance(message, Failure):
                    self.problem(piece[min(len(came), len(piece) - 1)].entry, f"not read: {message.reason}")
                else:
                    came.append(message)
            answers += came[: len(piece)]
            answers += [Answer(number=number, loss="it was not read") for number in range(len(came), len(piece))]
        for file, answer in zip(files, answers, strict=True):
            if answer.loss:
                who = f" (container {file.container[:12]})" if file.container else ""
                self.problem(file.entry, f"a container engine's file{who}: {answer.loss}")
        return answers

    def databases(
        self, metadata: FileEntry | None, snapshotters: dict[str, FileEntry], wanted: list[tuple[str, str]]
    ) -> list[SnapshotContainer]:
        """Return containerd's containers; what could not be read of its databases was noted."""
        task = Task(
            function=f"{_WORKER}:read_databases",
            arguments=DatabasesArguments(
                metadata=metadata, snapshotters=snapshotters, wanted=wanted, volumes=self.volumes
            ),
            message_type=SnapshotBatch,
            source=self.source,
            limits=LIMITS,
            check=SnapshotsCheck(),
        )
        place = metadata or next(iter(snapshotters.values()))
        found: list[SnapshotContainer] = []
        for message in self.pool.run(task):
            losses = [f"not read: {message.reason}"] if isinstance(message, Failure) else message.losses
            for loss in losses:
                self.problem(place, f"containerd's databases: {loss}")
            found += () if isinstance(message, Failure) else message.containers
        return found

    def problem(self, entry: FileEntry, reason: str, *, lost: bool = True) -> None:
        """Note what is to be said of a file or directory of an engine."""
        path = self.namespace.host_path(entry) or entry.path
        fields = text_fields("source", path)
        problem = Problem(
            stage="collection", reason=reason, lost=lost, volume=entry.volume, inode=entry.inode, **fields
        )
        self.note(problem)


def shown(path: bytes) -> str:
    """Return a path for a sentence."""
    return text(path)
