"""The free space of each volume as the parent holds it: computed in a worker, asked by deleted files and carving."""

from array import array
from bisect import bisect_right
from collections.abc import Iterator

import msgspec

from volforensic.evidence.free_space import (
    MOST_RUNS,
    RUNS_AT_ONCE,
    UNSUPPORTED,
    Region,
    SpaceArguments,
    SpaceMessage,
)
from volforensic.evidence.layout import Volume
from volforensic.evidence.space import Groups, Run
from volforensic.record import Problem
from volforensic.sandbox.confinement import GIBIBYTE, Limits
from volforensic.sandbox.messages import SourceHandle
from volforensic.sandbox.pool import Failure, Pool, Task

_LIMITS = Limits(memory=2 * GIBIBYTE, processor_seconds=900, item_seconds=60, output=GIBIBYTE)


class FreeSpace:
    """Holds the free runs of one volume (bytes of the source, in order) and where nobody knows: 16 bytes a run.

    ``is_known`` is false where the worker did not end well or the filesystem's free space is not supported,
    ``is_settled`` where a log that was not replayed may hold newer changes of it.
    """

    def __init__(self, volume: int) -> None:
        """Begin without a run."""
        self.volume = volume
        self.is_known = False
        self.is_settled = True
        self.unknown: list[Run] = []
        self.behind: Region | None = None
        self.groups: Groups | None = None
        self._starts = array("Q")
        self._lengths = array("Q")

    def add(self, message: SpaceMessage) -> None:
        """Take the runs that a worker found; they come in order."""
        self._starts.extend(message.runs[::2])
        self._lengths.extend(message.runs[1::2])
        self.unknown += (Run(*place) for place in message.unknown)
        self.groups = message.groups or self.groups
        if message.behind is not None:
            offset, length = message.behind
            self.behind = Region(kind="behind the filesystem", offset=offset, length=length, volume=self.volume)

    def __len__(self) -> int:
        """Return how many runs there are."""
        return len(self._starts)

    def __iter__(self) -> Iterator[Run]:
        """Yield the runs in the order of the source."""
        return map(Run, self._starts, self._lengths)

    def total(self) -> int:
        """Return how many bytes are free."""
        return sum(self._lengths)

    def free_bytes(self, offset: int, length: int) -> int:
        """Return how many of the bytes of the source from ``offset`` on are free."""
        return sum(run.length for run in self.within(offset, length))

    def within(self, offset: int, length: int) -> Iterator[Run]:
        """Yield the parts of a range of the source that are free."""
        end = offset + length
        index = max(0, bisect_right(self._starts, offset) - 1)
        while index < len(self._starts) and self._starts[index] < end:
            first = max(self._starts[index], offset)
            last = min(self._starts[index] + self._lengths[index], end)
            if last > first:
                yield Run(first, last - first)
            index += 1

    def unknown_bytes(self, offset: int, length: int) -> int:
        """Return how many of the bytes lie where nobody knows and no run says that they are free."""
        spans = (min(offset + length, run.start + run.length) - max(offset, run.start) for run in self.unknown)
        unknown = max((span for span in spans if span > 0), default=0)
        return min(unknown, length - self.free_bytes(offset, length))

    def run_end(self, offset: int) -> int:
        """Return where the free run that holds the byte ends; ``offset`` itself where it is in none."""
        index = bisect_right(self._starts, offset) - 1
        end = self._starts[index] + self._lengths[index] if index >= 0 else 0
        return max(offset, end)


def find_free_space(pool: Pool, source: SourceHandle, volumes: list[Volume]) -> Iterator[FreeSpace | Problem]:
    """Yield the free space of every readable volume, each after its problems."""
    for volume in volumes:
        if volume.is_readable:
            yield from _of_volume(pool, source, volume)


def _of_volume(pool: Pool, source: SourceHandle, volume: Volume) -> Iterator[FreeSpace | Problem]:
    space = _empty(volume)
    kind = volume.filesystem.type if volume.filesystem else ""
    if kind in UNSUPPORTED:
        lost = kind != "iso9660"  # which has no free space: it is written once
        yield Problem(
            stage="free space", reason=f"the free space of {kind} is not supported", lost=lost, volume=volume.index
        )
        yield space
        return
    space.is_known = True
    for part in _devices(volume):
        for message in pool.run(_task(source, part, kind)):
            if isinstance(message, Failure):
                reason = f"the free space of the {kind} filesystem could not be read: {message.reason}"
                yield Problem(stage="free space", reason=reason, volume=volume.index)
                yield _empty(volume)
                return
            space.add(message)
            yield from message.problems
    yield space


def _devices(volume: Volume) -> list[Volume]:
    """Return the volume once for each device of its filesystem, in order: each tells what is free."""
    devices = sorted(volume.devices, key=lambda device: device.offset)
    return [msgspec.structs.replace(volume, offset=device.offset, length=device.length) for device in devices] or [
        volume
    ]


def _task(source: SourceHandle, volume: Volume, kind: str) -> Task:
    return Task(
        function="volforensic.evidence.free_space:read_free_space",
        arguments=SpaceArguments(
            volume=volume.index, offset=volume.offset, length=volume.length, kind=kind, devices=volume.devices
        ),
        message_type=SpaceMessage,
        source=source,
        limits=_LIMITS,
        check=_SpaceCheck(volume),
    )


def _empty(volume: Volume) -> FreeSpace:
    space = FreeSpace(volume.index)
    space.is_settled = volume.filesystem is not None and volume.filesystem.state == "clean"
    return space


class _SpaceCheck:
    """Holds where the last run ended: runs must come in order, apart from each other, within the volume."""

    def __init__(self, volume: Volume) -> None:
        self._volume = volume
        self._end = volume.offset
        self._count = 0

    def refused(self, message: SpaceMessage) -> str:
        self._count += len(message.runs) // 2
        if len(message.runs) % 2 or len(message.runs) > 2 * RUNS_AT_ONCE or self._count > MOST_RUNS:
            return "free runs that are none, or too many"
        last = self._volume.offset + self._volume.length
        for offset, length in zip(message.runs[::2], message.runs[1::2], strict=True):
            if offset < self._end or length <= 0 or offset + length > last:
                return f"a free run at byte {offset} overlaps another or lies outside the volume"
            self._end = offset + length
        places = [*message.unknown, *([message.behind] if message.behind else [])]
        if any(offset < self._volume.offset or length < 0 for offset, length in places):
            return "a place outside the volume"
        if any(problem.volume != self._volume.index for problem in message.problems):
            return "a problem of another volume"
        return ""

    def missing(self) -> str:
        return ""
