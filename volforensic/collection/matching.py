"""From definitions to files: which entries of the inventory an artifact's sources mean on one host."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from volforensic.collection.content import SourceFile
from volforensic.collection.definitions import Artifact, ArtifactSource
from volforensic.collection.globbing import Match, expand
from volforensic.collection.host import Host
from volforensic.collection.namespace import HostPaths, Namespace
from volforensic.collection.parsing import FileTask
from volforensic.inventory.entry import FileEntry
from volforensic.record import Problem, Row, text_fields


class HostView(NamedTuple):
    """A host, its number, its namespace over the inventory, and the paths that are shown of entries."""

    number: int
    host: Host
    namespace: Namespace
    paths: HostPaths


class Parse(NamedTuple):
    """A file to parse for an artifact."""

    artifact: str
    task: FileTask
    path: bytes
    host: int


class OddFile(NamedTuple):
    """A path of an artifact at which there is no regular file: a FIFO, a device, a link that leads to none."""

    artifact: str
    entry: FileEntry
    path: bytes
    host: int

    def row(self) -> Row:
        """Return the record's own fields: what stands there instead of a file."""
        row: Row = {"position": 0, "file_type": self.entry.type}
        if self.entry.link_target is not None:
            row.update(text_fields("link_target", self.entry.link_target))
        return row


Matched = Parse | OddFile | Problem


def match_source(
    artifact: Artifact,
    source: ArtifactSource,
    patterns: Iterable[str],
    view: HostView,
    taken: set[tuple[int, bytes]],
) -> Iterator[Matched]:
    """Yield what the patterns of one source mean on one host, in the order of volumes and paths.

    ``taken`` holds (volume, path) of what this artifact has already; what is yielded is added to it.
    """
    matches = [match for pattern in patterns for match in expand(view.namespace, pattern)]
    for match in sorted(matches, key=lambda match: (match.entry.volume, match.host_path)):
        entry = match.entry
        if entry.type == "symlink":
            resolved = view.namespace.resolve(match.host_path)
            if resolved.is_loop:
                yield _problem(artifact, entry, view, "the symbolic link leads round in a circle")
            if resolved.entry is not None and resolved.entry.type in ("file", "directory"):
                entry = resolved.entry
        key = entry.volume, entry.path
        if entry.type == "directory" or key in taken:
            continue
        taken.add(key)
        if entry.type == "file":
            task = _task(artifact, source, entry, match, view.host)
            yield Parse(artifact.name, task, view.paths.path_of(entry), view.number)
        elif entry.has_inode:
            yield OddFile(artifact.name, entry, view.paths.path_of(entry), view.number)
        else:
            yield _problem(artifact, entry, view, "the file's inode could not be read")


def _task(artifact: Artifact, source: ArtifactSource, entry: FileEntry, match: Match, host: Host) -> FileTask:
    return FileTask(
        entry=entry,
        file=SourceFile(
            path=match.host_path,
            modified=entry.modified,
            inode=entry.inode,
            size=entry.size,
            owner=entry.uid,
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


def _problem(artifact: Artifact, entry: FileEntry, view: HostView, reason: str) -> Problem:
    return Problem(
        stage="collection",
        reason=reason,
        artifact=artifact.name,
        volume=entry.volume,
        inode=entry.inode,
        **text_fields("source", view.paths.path_of(entry)),
    )
