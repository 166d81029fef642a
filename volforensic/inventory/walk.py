"""The one walk of a filesystem: every entry, each directory once, whatever was linked to what. Runs in a worker."""

from collections import deque
from collections.abc import Iterator

import msgspec

from volforensic.evidence.devices import DeviceRange
from volforensic.evidence.filesystems import open_filesystem, open_with_library
from volforensic.evidence.node import (
    FILE_TYPES,
    REACHED_BEFORE,
    TIME_OUT_OF_RANGE,
    Listed,
    Node,
    Reader,
    Remarking,
    VolumeRemark,
)
from volforensic.evidence.reader import Window
from volforensic.inventory.entry import FileEntry
from volforensic.inventory.orphans import Orphans
from volforensic.record import Problem, text_fields
from volforensic.sandbox.worker import Workplace

BATCH = 1000
LONGEST_PATH = 64 << 10
MOST_ENTRIES = 50_000_000
_EXTENT_WEIGHT = 28  # an extent in a message, bytes at most
_HEAVIEST_BATCH = 4 << 20
_LEAVES = frozenset(FILE_TYPES) - {"directory", "unknown"}
_NO_NODE = Node(inode=0, type="unknown", extents=())
_FARTHEST_TIME = (1 << 63) - 1  # nanoseconds: the year 2262; btrfs keeps any 64-bit second that a user sets


class WalkArguments(msgspec.Struct, frozen=True, kw_only=True):
    """The volume to walk; inodes that ended an earlier worker; how many entries were received from it; who reads."""

    volume: int
    offset: int
    length: int
    kind: str
    skipped: list[int] = []
    received: int = 0
    by_library: bool = False
    devices: list[DeviceRange] = []


class WalkMessage(msgspec.Struct, frozen=True, array_like=True):
    """A batch of entries and the problems met on the way."""

    entries: list[FileEntry]
    problems: list[Problem] = []


def walk_filesystem(place: Workplace, arguments: object) -> Iterator[WalkMessage]:
    """Yield every entry of the volume in the order of the walk: worker function, arguments as ``WalkArguments``.

    The walk is the same each time, so one that was broken off is taken up by leaving out what was already received.
    """
    given = msgspec.convert(arguments, WalkArguments)
    window = Window(place.source, given.offset, given.length)
    skipped = frozenset(given.skipped)
    if given.by_library:
        reader = open_with_library(given.kind, window, place.begin_item, skipped)
    else:
        reader = open_filesystem(given.kind, window, place.begin_item, skipped, given.devices)
    entries: list[FileEntry] = []
    problems: list[Problem] = []
    count = weight = 0
    for found in _entries(reader, given, place):
        if isinstance(found, Problem):
            problems.append(found)
            continue
        count += 1
        if count <= given.received:
            continue
        entries.append(found)
        weight += len(found.path) + (_EXTENT_WEIGHT * len(found.extents) if found.extents else 0)
        if len(entries) >= BATCH or weight > _HEAVIEST_BATCH:
            yield WalkMessage(entries, problems)
            entries, problems, weight = [], [], 0
        if count >= MOST_ENTRIES:
            problems.append(_problem(given, b"/", 0, f"more than {MOST_ENTRIES} entries: the walk was ended"))
            break
    yield WalkMessage(entries, problems)


def _entries(reader: Reader, given: WalkArguments, place: Workplace) -> Iterator[FileEntry | Problem]:
    try:
        root = reader.root()
    except Exception as error:  # noqa: BLE001 - as in _guarded; what lies below may still be told without a name
        yield _problem(given, b"/", 0, f"the root directory could not be read: {error or type(error).__name__}"[:300])
        root = Node(inode=0, type="directory", is_placeholder=True)
    visited = {(root.tree, root.inode)}
    waiting = deque([] if root.is_placeholder else [(b"", root)])
    yield _entry(given.volume, b"/", Listed(b"", root.inode, root.tree, allocated=True, node=root))
    if root.type != "directory":
        yield _problem(given, b"/", root.inode, f"the root is a {root.type} by its inode; it was listed all the same")
    yield from _below(reader, given, place, visited, waiting)
    orphans = Orphans(reader, root)
    for listed in orphans:
        path = orphans.folder + b"/" + listed.name
        problem = _descend(listed, path, visited, waiting)
        yield _entry(given.volume, path, listed, problem, is_orphan=True)
        yield from _below(reader, given, place, visited, waiting, is_orphan=True)
    for reason, inode, is_loss in orphans.remarks():
        yield _problem(given, b"/", inode, reason, lost=is_loss)
    for reason, is_loss in _remarks(reader):
        yield Problem(stage="inventory", reason=reason, lost=is_loss, volume=given.volume)


def _remarks(reader: Reader) -> Iterator[VolumeRemark]:
    """Yield what the reader says of the volume's own structures."""
    try:
        yield from reader.remarks() if isinstance(reader, Remarking) else ()
    except Exception as error:  # noqa: BLE001 - as in _guarded: the walk itself is complete
        reason = f"the volume's own structures could not be checked: {error or type(error).__name__}"
        yield VolumeRemark(reason[:300], is_loss=True)


def _below(  # noqa: PLR0913 - the walk's state, shared by its two beginnings: the root, and inodes without a name
    reader: Reader,
    given: WalkArguments,
    place: Workplace,
    visited: set[tuple[int, int]],
    waiting: deque[tuple[bytes, Node]],
    *,
    is_orphan: bool = False,
) -> Iterator[FileEntry | Problem]:
    skipped, volume = frozenset(given.skipped), given.volume
    while waiting:
        path, directory = waiting.popleft()
        place.begin_item(directory.inode)
        if directory.inode in skipped:
            yield _problem(given, path or b"/", directory.inode, "listing this directory did not end")
            continue
        listing = _guarded(reader.entries(directory), given, path, directory)
        path += b"/"
        for listed in listing:
            if isinstance(listed, Problem):
                yield listed
                continue
            child_path = path + listed[0]
            node = listed[4]
            is_plain = node is None or node[1] in _LEAVES
            problem = "" if is_plain else _descend(listed, child_path, visited, waiting)
            yield _entry(volume, child_path, listed, problem, is_orphan=is_orphan)


def _guarded(
    listing: Iterator[Listed], given: WalkArguments, path: bytes, directory: Node
) -> Iterator[Listed | Problem]:
    """Yield the listing; where it breaks off, what came before stays and a problem says that the rest is missing."""
    try:
        yield from listing
    except Exception as error:  # noqa: BLE001 - the libraries' errors have no common root; a directory costs itself only
        reason = f"the directory could not be listed to its end: {error or type(error).__name__}"[:300]
        yield _problem(given, path or b"/", directory.inode, reason)


def _descend(listed: Listed, path: bytes, visited: set[tuple[int, int]], waiting: deque[tuple[bytes, Node]]) -> str:
    """Queue a directory for listing; return why it is not, where it is not ("" where it is, or is no directory)."""
    node = listed.node
    if node is not None and node.type == "unknown" and listed.allocated:
        return "its mode names no file type that is known"
    if node is None or node.type != "directory" or node.is_placeholder or not listed.allocated:
        return ""
    if (node.tree, node.inode) in visited:
        return REACHED_BEFORE
    if len(path) > LONGEST_PATH:
        return f"its path has {len(path)} bytes: it was not entered"
    visited.add((node.tree, node.inode))
    waiting.append((path, node))
    return ""


def _entry(volume: int, path: bytes, listed: Listed, problem: str = "", *, is_orphan: bool = False) -> FileEntry:
    _, inode, tree, allocated, node, problems = listed
    has_inode = node is not None
    (
        _, kind, _, mode, uid, gid, size, modified, accessed, changed, created, links, target, extents, wrong, _,
        attributes, device, capabilities, has_all_runs,
    ) = node or _NO_NODE  # fmt: skip
    if wrong or problem:
        problems = problems + wrong + ((problem,) if problem else ())
    # One comparison for the times of nearly all entries: none of them is negative, all before 2262.
    if not 0 <= (modified or 0) | (accessed or 0) | (changed or 0) | (created or 0) <= _FARTHEST_TIME:
        times = [modified, accessed, changed, created]
        modified, accessed, changed, created = map(_kept, times)
        if [modified, accessed, changed, created] != times:
            problems = (*problems, TIME_OUT_OF_RANGE)
    return FileEntry(
        volume,
        path,
        kind,
        inode,
        tree,
        allocated,
        has_inode,
        mode,
        uid,
        gid,
        size,
        modified,
        accessed,
        changed,
        created,
        links,
        target,
        extents,
        problems,
        attributes,
        device,
        capabilities,
        is_orphan,
        has_all_runs,
    )


def _kept(time: int | None) -> int | None:
    return None if time is None or abs(time) > _FARTHEST_TIME else time


def _problem(given: WalkArguments, path: bytes, inode: int, reason: str, *, lost: bool = True) -> Problem:
    source = text_fields("source", path)
    return Problem(stage="inventory", reason=reason, lost=lost, volume=given.volume, inode=inode, **source)
