"""The inventory stage: each readable volume is walked in a worker; one that dies is taken up behind its culprit."""

import hashlib
from collections.abc import Iterator

import msgspec

from volforensic.evidence.layout import Volume
from volforensic.evidence.node import HARMLESS, TOLD_BY_TREE
from volforensic.inventory.entry import FileEntry
from volforensic.inventory.walk import BATCH, LONGEST_PATH, MOST_ENTRIES, WalkArguments, WalkMessage
from volforensic.record import Problem, text_fields
from volforensic.sandbox.confinement import GIBIBYTE, Limits
from volforensic.sandbox.messages import SourceHandle
from volforensic.sandbox.pool import Failure, Pool, Task

_MOST_ATTEMPTS = 32
_MOST_PROBLEMS = 1000
_LONGEST_NAME = 64 << 10
_MOST_SECONDS_LOST = 2 * 3600
_LIMITS = Limits(processor_seconds=3600, wall_seconds=6 * 3600, output=32 * GIBIBYTE)


def walk_volumes(pool: Pool, source: SourceHandle, volumes: list[Volume]) -> Iterator[list[FileEntry] | Problem]:
    """Yield batches of entries of every readable volume, and a problem for whatever could not be read."""
    for volume in volumes:
        if volume.is_readable:
            yield from walk_volume(pool, source, volume)


def walk_volume(
    pool: Pool, source: SourceHandle, volume: Volume, *, by_library: bool = False
) -> Iterator[list[FileEntry] | Problem]:
    """Yield batches of one volume's entries and its problems, read by our reader or, a second time, by a library."""
    problems = _Problems(volume)
    skipped: list[int] = []
    received = 0
    lost = 0.0
    for _ in range(_MOST_ATTEMPTS):
        failure: Failure | None = None
        for message in pool.run(_task(source, volume, skipped, received, by_library=by_library)):
            if isinstance(message, Failure):
                failure = message
                continue
            received += len(message.entries)
            yield message.entries
            yield from problems.new([*_entry_problems(message.entries), *message.problems])
        if failure is None:
            break
        lost += failure.seconds
        if failure.item is None or failure.item in skipped or lost > _MOST_SECONDS_LOST:
            kind = volume.filesystem.type if volume.filesystem else ""
            yield _problem(volume, f"the {kind} filesystem could not be walked to its end: {failure.reason}")
            break
        yield _problem(volume, f"the walk met an inode that cannot be read: {failure.reason}", failure.item)
        skipped.append(failure.item)
    else:
        yield _problem(volume, f"the walk was given up after {_MOST_ATTEMPTS} inodes that cannot be read")
    yield from problems.rest()


class _Problems:
    """Holds which problems were told: a walk that is taken up again meets the same again; a flood is only counted."""

    def __init__(self, volume: Volume) -> None:
        self._volume = volume
        self._told: set[bytes] = set()
        self._untold = 0
        self._lost = False

    def new(self, problems: list[Problem]) -> Iterator[Problem]:
        for problem in problems:
            key = hashlib.blake2b(msgspec.msgpack.encode(problem), digest_size=16).digest()
            if key in self._told:
                continue
            if len(self._told) < _MOST_PROBLEMS:
                self._told.add(key)
                yield problem
            else:
                self._untold += 1
                self._lost |= problem.lost

    def rest(self) -> Iterator[Problem]:
        if self._untold:
            reason = f"{self._untold} more entries and directories have problems: see files.jsonl.zst"
            yield Problem(stage="inventory", reason=reason, lost=self._lost, volume=self._volume.index)


def _task(source: SourceHandle, volume: Volume, skipped: list[int], received: int, *, by_library: bool) -> Task:
    arguments = WalkArguments(
        volume=volume.index,
        offset=volume.offset,
        length=volume.length,
        kind=volume.filesystem.type if volume.filesystem else "",
        skipped=skipped,
        received=received,
        by_library=by_library,
        devices=volume.devices,
    )
    return Task(
        function="volforensic.inventory.walk:walk_filesystem",
        arguments=arguments,
        message_type=WalkMessage,
        source=source,
        limits=_LIMITS,
        check=_WalkCheck(volume, received),
    )


class _WalkCheck:
    """Holds how many entries came; the check of what the worker says it found."""

    def __init__(self, volume: Volume, received: int) -> None:
        self._volume = volume
        self._received = received

    def refused(self, message: WalkMessage) -> str:
        self._received += len(message.entries)
        if self._received > MOST_ENTRIES:
            return f"more than {MOST_ENTRIES} entries"
        if len(message.entries) > BATCH:
            return f"{len(message.entries)} entries at once"
        return _refused(message.entries, self._volume)

    def missing(self) -> str:
        return ""


def _refused(entries: list[FileEntry], volume: Volume) -> str:
    """Return what cannot be of the entries; the decoder has seen to their types, kinds and attributes."""
    index, begin, end = volume.index, volume.offset, volume.offset + volume.length
    others = [(device.offset, device.offset + device.length) for device in volume.devices]
    for entry in entries:
        path = entry.path
        if path[:1] != b"/" or len(path) > LONGEST_PATH + _LONGEST_NAME:
            return "an entry's path is none"
        if entry.volume != index:
            return "an entry's volume is none"
        for file_offset, source_offset, length in entry.extents or ():
            if length <= 0 or file_offset < 0:
                return "an extent has no place in its file"
            if (source_offset < begin or source_offset + length > end) and not any(
                first <= source_offset and source_offset + length <= last for first, last in others
            ):
                return "an extent lies outside the volume"
    return ""


def _entry_problems(entries: list[FileEntry]) -> Iterator[Problem]:
    for entry in entries:
        told = [problem for problem in entry.problems if problem not in TOLD_BY_TREE]
        if told and entry.allocated:
            yield Problem(
                stage="inventory",
                reason="; ".join(told),
                lost=not entry.has_inode or any(problem not in HARMLESS for problem in told),
                volume=entry.volume,
                inode=entry.inode,
                **text_fields("source", entry.path),
            )


def _problem(volume: Volume, reason: str, inode: int | None = None) -> Problem:
    return Problem(stage="inventory", reason=reason, volume=volume.index, inode=inode)
