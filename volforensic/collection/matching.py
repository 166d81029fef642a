"""From definitions to files: which entries of the inventory an artifact's sources mean on one host."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from volforensic.collection.containers import ContainerPaths, container_view
from volforensic.collection.content import SourceFile
from volforensic.collection.coverage import Place
from volforensic.collection.definitions import Artifact, ArtifactSource
from volforensic.collection.globbing import Allowance, Match, expand
from volforensic.collection.host import Host
from volforensic.collection.layered import LayerIndex
from volforensic.collection.namespace import HostPaths, Namespace
from volforensic.collection.parsing import FileTask
from volforensic.inventory.entry import FileEntry
from volforensic.inventory.store import Inventory
from volforensic.record import Problem, Row, text, text_fields

_REPEATED_BYTES = 256 << 20  # of one artifact, read once more for further containers that have the same layers
_LARGEST_REPEAT, _SMALLEST_REPEAT = 4 << 20, 4096


class HostView(NamedTuple):
    """A host, its number, its namespace over the inventory, and the paths that are shown of entries.

    ``is_below_mounts``: only the root's own tree is looked at, for files that a mount hid from the running host.
    ``containers`` knows what containers show: that is theirs, and not also the host's in whose directories it lies.
    """

    number: int
    host: Host
    namespace: Namespace
    paths: HostPaths | ContainerPaths
    is_below_mounts: bool = False
    containers: LayerIndex | None = None

    @property
    def label(self) -> str:
        """The label of the container that it is; empty for a host."""
        return self.host.container.label if self.host.container is not None else ""

    def is_anothers(self, entry: FileEntry) -> bool:
        """Return whether an entry lies in this host's trees and is seen in a container."""
        return self.containers is not None and not self.label and self.containers.shows(entry)


def host_views(inventory: Inventory, hosts: Sequence[Host], paths: HostPaths) -> Iterator[HostView]:
    """Yield the views of every host: all its trees, and its root without what was mounted over it; then containers."""
    machines = [host for host in hosts if host.container is None]
    index = LayerIndex(inventory)
    contained = [
        HostView(number, host, view, ContainerPaths(host.container.label, view))
        for number, host in enumerate(hosts)
        if host.container is not None and (view := container_view(host, index)) is not None
    ]
    for number, host in enumerate(hosts):
        if host.container is not None:
            continue
        others = tuple(tree for other in machines if other is not host for tree in other.trees)
        namespace = Namespace(inventory, host.trees, others, host.binds)
        yield HostView(number, host, namespace, paths, containers=index)
        if len(host.trees) > 1 or host.binds:
            root = Namespace(inventory, (host.root,), (*others, *host.trees[1:]))
            yield HostView(number, host, root, paths, is_below_mounts=True, containers=index)
    yield from contained


class Taken:
    """Holds what an artifact has already: each file once, of layers once for each container, while they are small."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._files: set[tuple[int, bytes, int]] = set()
        self._of_containers: set[tuple[int, int, bytes, int]] = set()
        self._left = _REPEATED_BYTES
        self.unrepeated = 0

    def take(self, view: HostView, entry: FileEntry) -> bool:
        """Return whether the file is to be read for this view, and note that it is."""
        key = entry.volume, entry.path, entry.inode
        own = (view.number, *key)
        is_known = key in self._files
        if own in self._of_containers or (is_known and not view.label) or (not is_known and view.is_anothers(entry)):
            return False
        if is_known:
            size = max(entry.size, _SMALLEST_REPEAT)
            if size > min(self._left, _LARGEST_REPEAT):
                self._of_containers.add(own)
                self.unrepeated += 1
                return False
            self._left -= size
        self._files.add(key)
        if view.label:
            self._of_containers.add(own)
        return True


class Parse(NamedTuple):
    """A file to parse for an artifact."""

    artifact: str
    task: FileTask
    path: bytes
    host: int
    label: str = ""

    @property
    def place(self) -> Place:
        """Where it is counted."""
        return self.task.entry.volume, self.label


class OddFile(NamedTuple):
    """A path of an artifact at which there is no regular file: a FIFO, a device, a link that leads to none."""

    artifact: str
    entry: FileEntry
    path: bytes
    host: int
    label: str = ""

    @property
    def place(self) -> Place:
        """Where it is counted."""
        return self.entry.volume, self.label

    def row(self) -> Row:
        """Return the record's own fields: what stands there instead of a file."""
        row: Row = {"position": 0, "file_type": self.entry.type}
        if self.entry.link_target is not None:
            row.update(text_fields("link_target", self.entry.link_target))
        return row


Matched = Parse | OddFile | Problem


def match_source(  # noqa: PLR0913, PLR0917 - what is searched for, where, and what is known already
    artifact: Artifact,
    source: ArtifactSource,
    patterns: Iterable[str],
    view: HostView,
    taken: Taken,
    allowance: Allowance | None = None,
) -> Iterator[Matched]:
    """Yield what the patterns of one source mean on one host, in the order of volumes and paths.

    ``taken`` holds what this artifact has already; what is yielded is added to it.
    """
    found = [(match, pattern) for pattern in patterns for match in expand(view.namespace, pattern, allowance)]
    for match, pattern in sorted(found, key=lambda one: (one[0].entry.volume, one[0].host_path, one[0].entry.inode)):
        entry, kind = match.entry, match.entry.type
        if view.is_below_mounts and entry.type != "file":
            continue
        if entry.type == "symlink":
            resolved = view.namespace.resolve(match.host_path)
            if resolved.is_loop:
                yield _problem(artifact, entry, view, "the symbolic link leads round in a circle", lost=False)
            elif resolved.entry is None and not (entry.link_target or b"").startswith(b"/dev/"):
                target = text(entry.link_target or b"")
                yield _problem(artifact, entry, view, f"it is a link to {target}, which is not in this evidence")
            kind = resolved.entry.type if resolved.entry is not None else kind
            if resolved.entry is not None and kind == "file":
                entry = resolved.entry
        if (kind == "directory" and not _stands_for_file(match, pattern)) or not taken.take(view, entry):
            continue
        if entry.type == "file":
            task = _task(artifact, source, entry, match, view.host)
            yield Parse(artifact.name, task, view.paths.path_of(entry), view.number, view.label)
        elif entry.has_inode:
            yield OddFile(artifact.name, entry, view.paths.path_of(entry), view.number, view.label)
        else:
            yield _problem(artifact, entry, view, "the file's inode could not be read")


def _stands_for_file(match: Match, pattern: str) -> bool:
    """Return whether a directory has the very name at which a file is looked for (and ``*`` did not just meet it)."""
    return match.host_path.rpartition(b"/")[2] == pattern.rpartition("/")[2].rstrip("*").encode()


def _task(artifact: Artifact, source: ArtifactSource, entry: FileEntry, match: Match, host: Host) -> FileTask:
    return FileTask(
        entry=entry,
        file=SourceFile(
            path=match.host_path,
            modified=entry.modified,
            inode=entry.inode,
            size=entry.size,
            owner=entry.uid,
            mode=entry.mode,
            home=match.home,
            user=_user(match.home, host),
            time_zone=host.facts.time_zone,
            time_zone_basis=host.facts.time_zone_basis,
        ),
        parser=source.parser,
        lines=source.lines or "",
        fields=artifact.fields,
    )


def _user(home: bytes, host: Host) -> str:
    if not home:
        return ""
    named = host.facts.homes.get(home)
    return named if named is not None else home.rpartition(b"/")[2].decode("utf-8", "backslashreplace")


def _problem(artifact: Artifact, entry: FileEntry, view: HostView, reason: str, *, lost: bool = True) -> Problem:
    return Problem(
        stage="collection",
        reason=reason,
        lost=lost,
        artifact=artifact.name,
        volume=entry.volume,
        inode=entry.inode,
        **text_fields("source", view.paths.path_of(entry)),
    )
