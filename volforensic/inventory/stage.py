"""The inventory stage: each readable volume is walked in a worker; one that dies is taken up behind its culprit."""

from collections.abc import Iterator

import msgspec

from volforensic.evidence.layout import Volume
from volforensic.inventory.entry import FileEntry
from volforensic.inventory.walk import WalkArguments, WalkMessage
from volforensic.record import Problem, text_fields
from volforensic.sandbox.confinement import Limits
from volforensic.sandbox.pool import Failure, Pool, Task

_MOST_ATTEMPTS = 32
_MOST_PROBLEMS = 1000
_LIMITS = Limits(processor_seconds=3600)


def walk_volumes(pool: Pool, source: int, volumes: list[Volume]) -> Iterator[list[FileEntry] | Problem]:
    """Yield batches of entries of every readable volume, and a problem for whatever could not be read."""
    for volume in volumes:
        if volume.is_readable:
            yield from _walk(pool, source, volume)


def _walk(pool: Pool, source: int, volume: Volume) -> Iterator[list[FileEntry] | Problem]:
    received, unread = 0, 0
    skipped: list[int] = []
    reported: set[bytes] = set()
    for _ in range(_MOST_ATTEMPTS):
        failure: Failure | None = None
        for message in pool.run(_task(source, volume, skipped, received)):
            if isinstance(message, Failure):
                failure = message
                continue
            received += len(message.entries)
            yield message.entries
            for problem in _entry_problems(message.entries):
                unread += 1
                if unread <= _MOST_PROBLEMS:
                    yield problem
            # A walk that is taken up again meets the same problems again.
            yield from (problem for problem in message.problems if _is_new(problem, reported))
        if unread > _MOST_PROBLEMS:
            yield _problem(volume, f"{unread - _MOST_PROBLEMS} more entries have problems: see files.jsonl.zst")
        if failure is None:
            return
        if failure.item is None or failure.item in skipped:
            yield _problem(volume, f"the filesystem could not be walked to its end: {failure.reason}")
            return
        yield _problem(volume, f"the walk met an inode that cannot be read: {failure.reason}", failure.item)
        skipped.append(failure.item)
    yield _problem(volume, f"the walk was given up after {_MOST_ATTEMPTS} inodes that cannot be read")


def _task(source: int, volume: Volume, skipped: list[int], received: int) -> Task:
    arguments = WalkArguments(
        volume=volume.index,
        offset=volume.offset,
        length=volume.length,
        kind=volume.filesystem.type if volume.filesystem else "",
        skipped=skipped,
        received=received,
    )
    return Task(
        function="volforensic.inventory.walk:walk_filesystem",
        arguments=arguments,
        message_type=WalkMessage,
        source=source,
        limits=_LIMITS,
    )


def _entry_problems(entries: list[FileEntry]) -> Iterator[Problem]:
    for entry in entries:
        if entry.problems and entry.allocated:
            yield Problem(
                stage="inventory",
                reason="; ".join(entry.problems),
                lost=not entry.has_inode or entry.extents is None or entry.type == "file",
                volume=entry.volume,
                inode=entry.inode,
                **text_fields("source", entry.path),
            )


def _is_new(problem: Problem, reported: set[bytes]) -> bool:
    key = msgspec.msgpack.encode(problem)
    if key in reported or len(reported) >= _MOST_PROBLEMS:
        return False
    reported.add(key)
    return True


def _problem(volume: Volume, reason: str, inode: int | None = None) -> Problem:
    return Problem(stage="inventory", reason=reason, volume=volume.index, inode=inode)
