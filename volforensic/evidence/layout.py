"""What a source holds: its partition table and, in each volume, which filesystem. Runs in a worker."""

from collections.abc import Iterator

import msgspec

from volforensic.evidence.bad_sectors import AroundMedium
from volforensic.evidence.partitions import Partition, read_table
from volforensic.evidence.reader import Window
from volforensic.evidence.signatures import READABLE, Filesystem, is_empty, recognise
from volforensic.evidence.xfs_log import log_state
from volforensic.medium import Medium
from volforensic.record import Problem, Row
from volforensic.sandbox.worker import Workplace

_MOST_UNREAD = 100
_NOT_FOR_FILES = {
    "21686148-6449-6e6f-744e-656564454649": "BIOS boot partition",
    "9e1a2d38-c612-4316-aa26-8b49521e5a8b": "PReP boot partition",
    "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f": "swap partition",
    "0x82": "swap partition",
    "0x41": "PReP boot partition",
}


class Volume(msgspec.Struct, frozen=True, kw_only=True):
    """A range of the source (bytes) that may hold a filesystem: a partition, or the whole source."""

    index: int
    offset: int
    length: int
    kind: str
    description: str
    label: str = ""
    uuid: str = ""
    number: int = 0
    filesystem: Filesystem | None = None

    @property
    def is_readable(self) -> bool:
        """Whether there is a filesystem here that can be walked."""
        found = self.filesystem
        return found is not None and found.type in READABLE and not found.unread


class VolumeFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Where a volume is in the source (bytes) and which filesystem it holds: what a worker needs to open it."""

    offset: int
    length: int
    kind: str


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """The table's kind, the sector size in bytes, the volumes, and what was odd or could not be read."""

    table: str
    sector_size: int
    volumes: list[Volume]
    problems: list[Problem]

    def facts(self) -> dict[int, VolumeFacts]:
        """Return what a worker needs to open each readable volume."""
        return {
            volume.index: VolumeFacts(offset=volume.offset, length=volume.length, kind=volume.filesystem.type)
            for volume in self.volumes
            if volume.is_readable and volume.filesystem is not None
        }

    def entries_expected(self) -> int | None:
        """Return about how many entries the readable volumes hold by their superblocks; None where one does not say."""
        counts = [volume.filesystem.inodes_used for volume in self.volumes if volume.is_readable and volume.filesystem]
        return sum(counts) if all(counts) else None

    def described(self, mounted: dict[int, list[str]]) -> Row:
        """Return the layout as evidence.json holds it; ``mounted`` is where the hosts had each volume's trees."""
        described: Row = msgspec.to_builtins(self)
        described.pop("problems")
        for volume in described["volumes"]:
            volume["mounted"] = mounted.get(volume["index"], [])
        return described


class LayoutArguments(msgspec.Struct, frozen=True, kw_only=True):
    """The size of the source in bytes."""

    size: int


def read_layout(place: Workplace, arguments: object) -> Iterator[Layout]:
    """Yield the one layout of the source: worker function, arguments as ``LayoutArguments``."""
    size = msgspec.convert(arguments, LayoutArguments).size
    medium = AroundMedium(place.source)
    whole = Window(medium, 0, size)
    table = read_table(whole)
    volumes = [
        _volume(place, Window(medium, partition.offset, partition.length), index, partition)
        for index, partition in enumerate(table.partitions, start=1)
    ]
    problems = list(table.problems)
    found = recognise(whole)
    if found is not None and found.type in READABLE:
        if volumes:
            reason = f"a {found.type} filesystem begins at byte 0, where a partition table stands too: both were read"
            problems.append(Problem(stage="layout", reason=reason, lost=False, offset=0))
        volumes.insert(0, _volume(place, whole, 0, None))
    elif not volumes:
        volumes.append(_volume(place, whole, 0, None))
    for volume in volumes:
        problems.extend(_volume_problems(volume, medium))
    problems.extend(_unread(run) for run in medium.runs()[:_MOST_UNREAD])
    yield Layout(table=table.kind, sector_size=table.sector_size, volumes=volumes, problems=problems)


def _unread(run: tuple[int, int]) -> Problem:
    reason = "read error: what stands here of tables and superblocks is not known"
    return Problem(stage="layout", reason=reason, offset=run[0], length=run[1])


def _volume(place: Workplace, window: Window, index: int, partition: Partition | None) -> Volume:
    place.begin_item(index)
    found = recognise(window)
    if found is not None and found.type == "xfs":
        found = msgspec.structs.replace(found, state=log_state(window))
    if partition is None:
        return Volume(
            index=0, offset=0, length=window.length, kind="whole", description="the whole source", filesystem=found
        )
    return Volume(
        index=index,
        offset=window.offset,
        length=window.length,
        kind=partition.table,
        description=f"{partition.table} partition {partition.number}, type {partition.type}",
        label=partition.label,
        uuid=partition.uuid,
        number=partition.number,
        filesystem=found,
    )


def _volume_problems(volume: Volume, medium: Medium) -> Iterator[Problem]:
    found = volume.filesystem
    if found is None:
        yield _without_filesystem(volume, Window(medium, volume.offset, volume.length))
        return
    if found.remark:
        yield _problem(volume, f"{found.type}: {found.remark}", lost=True)
    reason = ""
    if found.unread:
        reason = f"{found.type}: {found.unread}"
    elif volume.is_readable and found.state != "clean":
        reason = f"{found.type}: {found.state}; they were not read"
    elif found.type == "swap":
        yield _problem(volume, "swap space was not searched", lost=False)
    elif not volume.is_readable:
        reason = f"{found.type} is not supported"
    if reason:
        yield _problem(volume, reason, lost=True)


def _without_filesystem(volume: Volume, window: Window) -> Problem:
    kind = volume.description.rpartition(" ")[2]
    if kind in _NOT_FOR_FILES:
        return _problem(volume, f"{_NOT_FOR_FILES[kind]}: no filesystem is expected here", lost=False)
    if is_empty(window):
        return _problem(volume, "no filesystem: the volume begins and ends with NUL bytes", lost=False)
    return _problem(volume, "no filesystem that is known", lost=True)


def _problem(volume: Volume, reason: str, *, lost: bool) -> Problem:
    return Problem(
        stage="layout", reason=reason, lost=lost, volume=volume.index, offset=volume.offset, length=volume.length
    )
