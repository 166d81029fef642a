"""Reading a layout: partition tables, then what is mapped from partitions, until nothing new is found. In a worker."""

from collections.abc import Iterator
from contextlib import suppress

import msgspec

from volforensic.evidence.bad_sectors import AroundMedium
from volforensic.evidence.device_groups import with_devices
from volforensic.evidence.gaps import FOUND
from volforensic.evidence.layout import DiskTable, Layout, LayoutArguments, Volume
from volforensic.evidence.layout_problems import volume_problems
from volforensic.evidence.partitions import Partition, read_table
from volforensic.evidence.reader import Window
from volforensic.evidence.recipes import Placed, disk_bases, next_base
from volforensic.evidence.signatures import CONTAINERS, READABLE, Filesystem, recognise, recognise_behind
from volforensic.evidence.spaces import AddressSpace
from volforensic.evidence.unlisted import find_unlisted
from volforensic.evidence.volumes.luks import luks_version
from volforensic.evidence.volumes.lvm import find_logical_volumes
from volforensic.evidence.volumes.mapped import Found, MappedVolume, Member
from volforensic.evidence.volumes.md import find_arrays, is_member
from volforensic.evidence.xfs_log import log_state
from volforensic.record import Problem
from volforensic.sandbox.worker import Workplace

_MEMBER = "linux_raid"
_MOST_ROUNDS = 16
_MOST_UNREAD = 3
_LONGEST_REASON = 500
_MOST_VOLUMES = 1000


def read_layout(place: Workplace, arguments: object) -> Iterator[Layout]:
    """Yield the one layout of the image: worker function, arguments as ``LayoutArguments``."""
    given = msgspec.convert(arguments, LayoutArguments)
    yield _Discovery(place, given).layout()


class _Discovery:
    """Holds the volumes found so far and the address space in which they lie."""

    def __init__(self, place: Workplace, given: LayoutArguments) -> None:
        self._place = place
        self._opened = {each.address: each.volume for each in given.opened}
        self._sizes = given.sizes
        self._keys = given.keys
        self._searches_gaps = given.searches_gaps
        self._space = AddressSpace()
        self._volumes: list[Volume] = []
        self._problems: list[Problem] = []

    def layout(self) -> Layout:
        """Return everything that there is."""
        bases = disk_bases(self._sizes)
        for base, size in zip(bases, self._sizes, strict=True):
            self._space.add(base, Window(self._place.source, base, size))
        tables = [self._disk(number, base, self._sizes[number]) for number, base in enumerate(bases)]
        self._map_all()
        self._settle_mirrors()
        disks = [self._with_unlisted(*table, number) for number, table in enumerate(tables)]
        self._map_all()
        self._read_behind()
        self._volumes = with_devices(self._volumes)
        for volume in self._volumes:
            self._problems.extend(volume_problems(volume, self._window(volume)))
        return Layout(disks=disks, volumes=self._volumes, problems=self._problems)

    def _disk(self, number: int, base: int, size: int) -> tuple[DiskTable, list[Partition]]:
        """Add a disk's volumes; return its table and the partitions in it, none where it is one filesystem."""
        whole = Window(self._space, base, size)
        table = read_table(whole)
        self._problems += [_moved(problem, base) for problem in table.problems]
        found = self._recognised(whole, 0, is_disk=True)
        if table.partitions and found is not None and found.type in CONTAINERS:
            found = self._behind(whole) or found
        is_readable = found is not None and found.type in READABLE
        partitions = [one for one in table.partitions if one.offset or not is_readable]  # the whole is that one too
        if found is not None and is_readable and partitions:
            reason = f"a {found.type} filesystem begins at byte 0, where a partition table stands too: both were read"
            self._problems.append(Problem(stage="layout", reason=reason, lost=False, offset=base))
        if is_readable or not partitions:
            self._add(_whole(self._number(is_whole=number == 0), number, base, size, found))
        elif self._is_mirror(whole, partitions):
            found = Filesystem(type=_MEMBER)
            self._add(_whole(self._number(is_whole=number == 0), number, base, size, found))
        for partition in partitions:
            self._add_partition(partition, base, number)
        disk = DiskTable(address=base, size=size, table=table.kind, sector_size=table.sector_size)
        return disk, [] if is_readable else partitions

    def _behind(self, window: Window) -> Filesystem | None:
        """Return the filesystem that begins where a container of volumes does, None where there is none to be had."""
        with suppress(OSError):
            return recognise_behind(window)
        return None

    def _read_behind(self) -> None:
        """Read what begins like a container, and of which nothing came, as the filesystem that begins there too."""
        for volume in list(self._volumes):
            kind = volume.filesystem.type if volume.filesystem is not None else ""
            found = self._behind(self._window(volume)) if kind in CONTAINERS and not volume.parts else None
            if found is None:
                continue
            reason = f"a {found.type} filesystem begins where {kind} begins too: both were read"
            self._problems.append(Problem(stage="layout", reason=reason, lost=False, offset=volume.offset))
            self._add(msgspec.structs.replace(volume, index=self._number(), filesystem=found, number=0))

    def _is_mirror(self, whole: Window, partitions: list[Partition]) -> bool:
        """Return whether the disk is a member of an array, and the partitions on it are the array's.

        A superblock at the end may be the last partition's as well as the disk's: then it is the partition's.
        """
        inner = (Window(self._space, whole.offset + one.offset, one.length) for one in partitions)
        return is_member(whole) and not any(is_member(window) for window in inner)

    def _settle_mirrors(self) -> None:
        """Leave out the partitions of a disk that makes up an array: it has them too; else leave out the disk."""
        for mirror in [one for one in self._volumes if one.kind == "whole" and _is_of(one, _MEMBER)]:
            inner = [one for one in self._volumes if one.map is None and one.disk == mirror.disk and one is not mirror]
            if not inner:
                continue
            inside = [one for one in inner if mirror.offset <= one.offset < mirror.offset + mirror.length]
            left_out = {one.index for one in inside} if mirror.parts else {mirror.index}
            self._volumes = [one for one in self._volumes if one.index not in left_out]
            if mirror.parts:
                reason = "the disk is a member of an array: its partitions are read there, and not a second time here"
                self._problems.append(Problem(stage="layout", reason=reason, lost=False, volume=mirror.index))

    def _with_unlisted(self, disk: DiskTable, partitions: list[Partition], number: int) -> DiskTable:
        """Add the filesystems that no table names; return the disk with its gaps."""
        whole = Window(self._space, disk.address, disk.size)
        own = [volume for volume in self._volumes if volume.disk == number]
        found = find_unlisted(
            whole,
            partitions,
            lambda _position: self._place.begin_item(0),
            is_barren=not any(volume.filesystem or volume.parts for volume in own),
            is_full=self._searches_gaps,
        )
        self._problems += [_moved(problem, disk.address) for problem in found.problems]
        for partition in found.partitions:
            self._add_partition(partition, disk.address, number)
        return msgspec.structs.replace(disk, gaps=found.gaps if partitions else [])

    def _add_partition(self, partition: Partition, base: int, disk: int) -> None:
        index = self._number()
        if partition.inside or partition.table == FOUND:
            self._note_outer(base + partition.offset, partition.length, index)
        window = Window(self._space, base + partition.offset, partition.length)
        found = self._recognised(window, index)
        self._add(
            Volume(
                index=index,
                offset=window.offset,
                length=window.length,
                kind=partition.table,
                description=partition.description,
                label=partition.label,
                uuid=partition.uuid,
                number=partition.number,
                disk=disk,
                filesystem=found,
            )
        )

    def _note_outer(self, offset: int, length: int, index: int) -> None:
        """Note in the smallest volume around a range that this one is a part of it, where it holds nothing else."""
        around = [one for one in self._volumes if one.offset <= offset and offset + length <= one.offset + one.length]
        outer = min(around, key=lambda volume: volume.length, default=None)
        if outer is not None and outer.filesystem is None:
            self._note_part(outer.index, index)

    def _map_all(self) -> None:
        for _ in range(_MOST_ROUNDS):
            if not self._map():
                break

    def _map(self) -> bool:
        """Map what can be mapped from the volumes that have no parts yet; return whether anything was."""
        before = len(self._volumes)
        for found in self._found():
            self._problems += (problem for problem in found.problems if problem not in self._problems)
            for volume in found.volumes:
                self._add_mapped(volume)
        return before < len(self._volumes) < _MOST_VOLUMES

    def _found(self) -> Iterator[Found]:
        """Yield what the volumes without parts make up: arrays and opened volumes, and when there are none, LVM's."""
        arrays = find_arrays(self._space, self._members())
        opened = [
            msgspec.structs.replace(self._opened.pop(member.address), members=[member.volume])
            for member in self._members("luks")
            if member.address in self._opened
        ]
        yield arrays
        yield Found(opened, [])
        if not arrays.volumes and not opened:
            # A physical volume whose label is gone is known by its metadata.
            yield find_logical_volumes(self._space, self._members("lvm2", ""))

    def _members(self, *kinds: str) -> list[Member]:
        """Return volumes that nothing is made of yet: of these kinds ("" for none known), or all."""
        chosen = [
            volume
            for volume in self._volumes
            if not volume.parts and (not kinds or (volume.filesystem.type if volume.filesystem else "") in kinds)
        ]
        return [Member(volume.index, volume.offset, volume.length) for volume in chosen]

    def _add_mapped(self, mapped: MappedVolume) -> None:
        index, base = self._number(), next_base(self._space.size)
        try:
            self._space.place(Placed(base=base, length=mapped.length, map=mapped.map), self._keys)
        except (ValueError, OSError) as error:
            reason = f"{mapped.kind} volume {mapped.name} cannot be read: {error}"
            self._problems.append(Problem(stage="layout", reason=reason[:_LONGEST_REASON]))
            return
        window = Window(self._space, base, mapped.length)
        members = [volume for volume in self._volumes if volume.index in mapped.members]
        volume = Volume(
            index=index,
            offset=base,
            length=mapped.length,
            kind=mapped.kind,
            description=mapped.description,
            label=mapped.name,
            uuid=mapped.uuid,
            disk=members[0].disk if members else 0,
            names=mapped.names,
            members=mapped.members,
            map=mapped.map,
            filesystem=self._recognised(window, index),
        )
        for member in mapped.members:
            self._note_part(member, index)
        self._add(volume)
        if volume.filesystem is None:
            self._add_partitions_of(volume, window)

    def _add_partitions_of(self, volume: Volume, window: Window) -> None:
        """Add what a partition table inside a mapped volume names."""
        table = read_table(window)
        if table.partitions:
            self._problems += [_moved(problem, volume.offset) for problem in table.problems]
        for partition in table.partitions:
            self._note_part(volume.index, self._number())
            self._add_partition(msgspec.structs.replace(partition, number=0), volume.offset, volume.disk)

    def _note_part(self, volume: int, part: int) -> None:
        """Note that a volume is a member of another, or holds its partition."""
        for position, candidate in enumerate(self._volumes):
            if candidate.index == volume:
                self._volumes[position] = msgspec.structs.replace(candidate, parts=[*candidate.parts, part])

    def _recognised(self, window: Window, index: int, *, is_disk: bool = False) -> Filesystem | None:
        self._place.begin_item(index)
        around = AroundMedium(self._space)
        window = window._replace(medium=around)
        try:
            found = recognise(window, is_disk=is_disk)
            if found is not None and found.type == "xfs":
                found = msgspec.structs.replace(found, state=log_state(window))
        except OSError as error:
            self._note_bad(window, index, error.strerror or str(error))
            return None
        if found is None and luks_version(window):
            found = Filesystem(type="luks", unread="it is encrypted")
        runs = around.runs()
        for place, length in runs[:_MOST_UNREAD]:
            self._note_bad(window, index, f"{length} bytes from byte {place} on were taken as NUL")
        if more := runs[_MOST_UNREAD:]:
            unread = sum(length for _, length in more)
            self._note_bad(window, index, f"{unread} more, at {len(more)} places from byte {more[0][0]} on, as well")
        return found

    def _note_bad(self, window: Window, index: int, reason: str) -> None:
        reason = f"where a filesystem's superblocks lie bytes cannot be read: {reason}"
        problem = Problem(stage="layout", reason=reason, volume=index, offset=window.offset, length=window.length)
        self._problems.append(problem)

    def _add(self, volume: Volume) -> None:
        self._volumes.append(volume)

    def _number(self, *, is_whole: bool = False) -> int:
        """Return the next volume's index: 0 is the first disk as a whole, whether it is listed or not."""
        return 0 if is_whole else max((volume.index for volume in self._volumes), default=0) + 1

    def _window(self, volume: Volume) -> Window:
        return Window(AroundMedium(self._space), volume.offset, volume.length)


def _is_of(volume: Volume, kind: str) -> bool:
    return volume.filesystem is not None and volume.filesystem.type == kind


def _whole(index: int, disk: int, base: int, size: int, found: Filesystem | None) -> Volume:
    return Volume(
        index=index, offset=base, length=size, kind="whole", description="the whole source", disk=disk, filesystem=found
    )


def _moved(problem: Problem, base: int) -> Problem:
    """Return a table's problem with its place in the address space."""
    return msgspec.structs.replace(problem, offset=problem.offset + base) if problem.offset is not None else problem
