"""The second reading: a library reads each filesystem again, and where it differs both answers are told.

Neither is taken for the truth: a difference is a reader's fault, or a disk that was made to look different to different
tools, and an examiner wants to know either.
"""

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from volforensic.evidence.filesystems import SECOND_READERS
from volforensic.evidence.layout import Volume
from volforensic.evidence.node import Extent
from volforensic.inventory.comparison_messages import ComparisonArguments, LibraryHash
from volforensic.inventory.entry import FileEntry
from volforensic.inventory.stage import walk_volume
from volforensic.inventory.store import Inventory
from volforensic.record import Problem, text_fields
from volforensic.sandbox.confinement import Limits
from volforensic.sandbox.messages import SourceHandle
from volforensic.sandbox.pieces import LostItem, work_on
from volforensic.sandbox.pool import Pool, Task

_MOST_DIFFERENCES = 100
_FILES_PER_TASK = 64
_SLOWEST_READING = 2 << 20  # bytes a second


class _Twin(NamedTuple):
    """A file as our reader lists it, and as a library does."""

    ours: FileEntry
    theirs: FileEntry


def compare_volumes(
    pool: Pool, source: SourceHandle, volumes: list[Volume], inventory: Inventory, scratch: Path
) -> Iterator[Problem]:
    """Yield a problem (nothing is lost by it) for each difference between the inventory and a library's reading.

    ``scratch`` is a folder for the second inventory, which is not kept.
    """
    for volume in volumes:
        reader = SECOND_READERS.get(volume.filesystem.type if volume.filesystem else "")
        if not volume.is_readable or reader is None:
            continue
        if len(volume.devices) > 1:
            yield _problem(volume, f"{reader} does not read a filesystem on several devices: it was not read twice")
            continue
        with Inventory(scratch / f"second-{volume.index}.sqlite") as second:
            met = []
            for found in walk_volume(pool, source, volume, by_library=True):
                if isinstance(found, Problem):
                    met.append(found)
                else:
                    second.add(found)
            second.index()
            if next(iter(second), None) is not None:
                differences = _differences(volume, reader, inventory, second)
                contents = _contents(pool, source, volume, inventory, second)
                yield from _told(volume, reader, chain(differences, contents))
        if met:
            yield _problem(volume, f"{reader} met {len(met)} problems of its own, the first: {met[0].reason}")


def _told(volume: Volume, reader: str, differences: Iterator[Problem]) -> Iterator[Problem]:
    untold = 0
    for number, difference in enumerate(differences):
        if number < _MOST_DIFFERENCES:
            yield difference
        else:
            untold += 1
    if untold:
        yield _problem(volume, f"{untold} more entries differ from what {reader} reads")


def _differences(volume: Volume, reader: str, ours: Inventory, theirs: Inventory) -> Iterator[Problem]:
    for entry in ours:
        if entry.volume != volume.index or not entry.allocated or entry.is_orphan:
            continue
        other = theirs.at(volume.index, entry.path)
        if other is None:
            yield _problem(volume, f"{reader} does not list this entry", entry)
        elif difference := _difference(entry, other, reader):
            yield _problem(volume, difference, entry)
    for other in theirs:
        if other.allocated and ours.at(volume.index, other.path) is None:
            yield _problem(volume, f"{reader} lists this entry, our reader does not", other)


def _contents(
    pool: Pool, source: SourceHandle, volume: Volume, ours: Inventory, theirs: Inventory
) -> Iterator[Problem]:
    """Yield a problem for each file whose bytes the library reads otherwise: where the runs do not tell already."""
    reader = SECOND_READERS[volume.filesystem.type if volume.filesystem else ""]

    def task_of(piece: Sequence[_Twin]) -> Task:
        return Task(
            function="volforensic.inventory.comparison_worker:hash_by_library",
            arguments=ComparisonArguments(files=[twin.theirs for twin in piece], volume=volume.facts()),
            message_type=LibraryHash,
            source=source,
            limits=Limits(processor_seconds=60 + sum(twin.theirs.size for twin in piece) // _SLOWEST_READING),
        )

    for twin, message in work_on(pool, _pieces(_twins(volume, ours, theirs)), task_of, last=LibraryHash):
        if isinstance(message, LostItem):
            yield _problem(volume, f"{reader} could not read the bytes: {message.reason}", twin.ours)
        elif isinstance(message, LibraryHash):
            yield from _content_difference(volume, reader, ours.sha256_of(twin.ours), message, twin.ours)


def _content_difference(
    volume: Volume, reader: str, sha256: str, theirs: LibraryHash, entry: FileEntry
) -> Iterator[Problem]:
    if theirs.reason:
        yield _problem(volume, f"{reader} could not read the bytes: {theirs.reason}", entry)
    elif sha256 and sha256 != theirs.sha256:
        reason = f"our reader and {reader} differ in bytes: sha256 {sha256} by our reader, {theirs.sha256} by {reader}"
        yield _problem(volume, reason, entry)


def _twins(volume: Volume, ours: Inventory, theirs: Inventory) -> Iterator[_Twin]:
    """Yield the files that one of the two reads through the filesystem, each inode once."""
    seen: set[tuple[int, int]] = set()
    for entry in ours.in_physical_order():
        key = entry.tree, entry.inode
        if entry.volume != volume.index or key in seen or not entry.has_inode or not entry.size:
            continue
        seen.add(key)
        other = theirs.at(volume.index, entry.path)
        if other is None or other.type != "file" or other.size != entry.size:
            continue  # told already
        if entry.extents is None or other.extents is None:
            yield _Twin(entry, other)


def _pieces(twins: Iterator[_Twin]) -> Iterator[list[_Twin]]:
    while piece := list(islice(twins, _FILES_PER_TASK)):
        yield piece


def _difference(ours: FileEntry, theirs: FileEntry, reader: str) -> str:
    """Return what differs in words, "" where nothing does; what either could not read is not compared."""
    if not ours.has_inode or not theirs.has_inode:
        return "" if ours.has_inode == theirs.has_inode else f"only one of our reader and {reader} could read the inode"
    pairs: dict[str, tuple[object, object]] = {
        "inode": (ours.inode, theirs.inode),
        "type": (ours.type, theirs.type),
        "size": (ours.size, theirs.size) if ours.type == "file" else (0, 0),
        "link target": (ours.link_target, theirs.link_target),
        "place of its bytes": (_joined(ours.extents), _joined(theirs.extents)),
    }
    if ours.extents is None or theirs.extents is None:
        del pairs["place of its bytes"]
    if theirs.link_target is None:  # TSK gives no target that lies in a block of its own
        del pairs["link target"]
    differing = [name for name, (one, other) in pairs.items() if one != other]
    if not differing:
        return ""
    first = differing[0]
    values = (
        f": {pairs[first][0]} by our reader, {pairs[first][1]} by {reader}"
        if first in {"inode", "type", "size"}
        else ""
    )
    return f"our reader and {reader} differ in {', '.join(differing)}{values}"


def _joined(extents: tuple[Extent, ...] | None) -> list[Extent]:
    """Return the extents with those that follow each other made one: readers cut the same run differently."""
    joined: list[Extent] = []
    for extent in extents or ():
        last = joined[-1] if joined else None
        if last and (last.file_offset + last.length, last.source_offset + last.length) == extent[:2]:
            joined[-1] = last._replace(length=last.length + extent.length)
        else:
            joined.append(extent)
    return joined


def _problem(volume: Volume, reason: str, entry: FileEntry | None = None) -> Problem:
    named = {} if entry is None else {"inode": entry.inode, **text_fields("source", entry.path)}
    return Problem(stage="inventory", reason=reason, lost=False, volume=volume.index, **named)
