"""From definitions to files: which entries of the inventory an artifact's sources mean on one host."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from volforensic.collection.content import SourceFile
from volforensic.collection.definitions import Artifact, ArtifactSource
from volforensic.collection.globbing import Allowance, Match, expand
from volforensic.collection.host import Host
from volforensic.collection.namespace import HostPaths, Namespace
from volforensic.collection.parsing import FileTask
from volforensic.inventory.entry import FileEntry
from volforensic.inventory.store import Inventory
from volforensic.record import Problem, Row, text, text_fields


class HostView(NamedTuple):
    """A host, its number, its namespace over the inventory, and the paths that are shown of entries.

    ``is_below_mounts``: only the root's own tree is looked at, for files that a mount hid from the running host.
    """

    number: int
    host: Host
    namespace: Namespace
    paths: HostPaths
    is_below_mounts: bool = False


def host_views(inventory: Inventory, hosts: Sequence[Host], paths: HostPaths) -> Iterator[HostView]:
    """Yield the views of every host: all its trees, and its root without what was mounted over it."""
    for number, host in enumerate(hosts):
        others = tuple(tree for other in hosts if other is not host for tree in other.trees)
        yield HostView(number, host, Namespace(inventory, host.trees, others, host.binds), paths)
        if len(host.trees) > 1 or host.binds:
            root = Namespace(inventory, (host.root,), (*others, *host.trees[1:]))
            yield HostView(number, host, root, paths, is_below_mounts=True)


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


def match_source(  # noqa: PLR0913, PLR0917 - what is searched for, where, and what is known already
    artifact: Artifact,
    source: ArtifactSource,
    patterns: Iterable[str],
    view: HostView,
    taken: set[tuple[int, bytes, int]],
    allowance: Allowance | None = None,
) -> Iterator[Matched]:
    """Yield what the patterns of one source mean on one host, in the order of volumes and paths.

    ``taken`` holds (volume, path, inode) of what this artifact has already; what is yielded is added to it.
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
        key = entry.volume, entry.path, entry.inode
        if key in taken or (kind == "directory" and not _stands_for_file(match, pattern)):
            continue
        taken.add(key)
        if entry.type == "file":
            task = _task(artifact, source, entry, match, view.host)
            yield Parse(artifact.name, task, view.paths.path_of(entry), view.number)
        elif entry.has_inode:
            yield OddFile(artifact.name, entry, view.paths.path_of(entry), view.number)
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
