"""Which bytes of a source no file has: free blocks of each volume, the space outside of volumes, swap.

Every filesystem says in a structure of its own which blocks are free; each is read by a module of its own. What a
damaged structure leaves open is *unknown*, never free.
"""

from collections.abc import Callable, Iterator
from functools import partial

import msgspec

from volforensic.evidence.archive_signatures import ARCHIVES
from volforensic.evidence.devices import DeviceRange
from volforensic.evidence.erofs_superblocks import erofs_superblock
from volforensic.evidence.layout import Layout, Volume
from volforensic.evidence.reader import Window
from volforensic.evidence.space import Groups, Run, Unknown, complement
from volforensic.evidence.superblocks import squashfs_superblock
from volforensic.record import Problem
from volforensic.sandbox.worker import Workplace

MOST_RUNS = 2_000_000
"""Free runs of one volume, at most."""
RUNS_AT_ONCE = 20_000
_MOST_PROBLEMS = 200
UNSUPPORTED = ("exfat", "iso9660")
"""Filesystems that are read, but whose free space is not told."""


class Region(msgspec.Struct, frozen=True, kw_only=True):
    """A range of the source (bytes) that is no filesystem's: what it is, and the volume that it lies in, if any."""

    kind: str
    offset: int
    length: int
    volume: int | None = None


class SpaceArguments(msgspec.Struct, frozen=True, kw_only=True):
    """The volume: its index, where it is in the source (bytes), its filesystem."""

    volume: int
    offset: int
    length: int
    kind: str
    devices: list[DeviceRange] = []


class SpaceMessage(msgspec.Struct, frozen=True, array_like=True):
    """Free runs of the source as offset, length, offset, length, in order; what lies behind the filesystem."""

    runs: list[int]
    unknown: list[tuple[int, int]] = []
    problems: list[Problem] = []
    behind: tuple[int, int] | None = None
    groups: Groups | None = None


def read_free_space(place: Workplace, arguments: object) -> Iterator[SpaceMessage]:
    """Yield the free runs of a volume: worker function, arguments as ``SpaceArguments``."""
    given = msgspec.convert(arguments, SpaceArguments)
    window = Window(place.source, given.offset, given.length)
    size, runs_of = _reader(given.kind, window, given.devices)
    runs: list[int] = []
    unknown: list[Unknown] = []
    count = 0
    for run in runs_of(window, place.begin_item):
        if isinstance(run, Unknown):
            unknown.append(run)
            continue
        length = min(run.length, given.length - run.start)
        if length <= 0:
            continue
        count += 1
        if count > MOST_RUNS:
            rest = given.length - run.start
            unknown.append(Unknown(run.start, rest, f"more than {MOST_RUNS} free runs: the rest was left out"))
            break
        runs += (given.offset + run.start, length)
        if len(runs) >= 2 * RUNS_AT_ONCE:
            yield SpaceMessage(runs)
            runs = []
    behind = (given.offset + size, given.length - size) if 0 < size < given.length else None
    places = [(given.offset + start, length) for start, length, _ in unknown]
    yield SpaceMessage(runs, places, list(_problems(given, unknown)), behind, _groups(given.kind, window))


def _reader(
    kind: str, window: Window, devices: list[DeviceRange]
) -> tuple[int, Callable[[Window, Callable[[int], None]], Iterator[Run | Unknown]]]:
    """Return the size of the filesystem (0 where it does not say) and the function that yields its free runs."""
    # Loaded here and not above: the parent process never loads a parser.
    if kind == "xfs":
        from volforensic.evidence import xfs_free  # noqa: PLC0415 - see above

        return xfs_free.filesystem_size(window), xfs_free.free_space
    if kind == "btrfs":
        from volforensic.evidence import btrfs_free  # noqa: PLC0415 - see above

        return btrfs_free.filesystem_size(window), partial(btrfs_free.free_space, devices=devices)
    if kind in {"squashfs", "erofs"}:
        superblock = squashfs_superblock(window) if kind == "squashfs" else erofs_superblock(window)
        return superblock.size if superblock else 0, _nothing_free
    if kind in ARCHIVES:
        return window.length, _nothing_free
    if kind in {"fat", "ntfs"}:
        from volforensic.evidence import fat_free  # noqa: PLC0415 - see above

        return 0, fat_free.fat_space if kind == "fat" else fat_free.ntfs_space
    from volforensic.evidence import ext_free  # noqa: PLC0415 - see above

    return ext_free.filesystem_size(window), ext_free.free_space


def _nothing_free(_window: Window, _begin_item: Callable[[int], None]) -> Iterator[Run | Unknown]:
    """Yield nothing: a squashfs, an erofs and an archive are written whole, without gaps."""
    return iter(())


def _groups(kind: str, window: Window) -> Groups | None:
    """Return the filesystem's groups; None where it has none that say where a file's blocks lie."""
    if kind == "xfs":
        from volforensic.evidence.xfs_groups import XfsGroups  # noqa: PLC0415 - as above

        groups = XfsGroups(window)
        size = groups.group_blocks * groups.block_size
        return Groups(window.offset, size, 1 << groups.group_log + groups.inodes_log, 0)
    if kind in {"ext2", "ext3", "ext4"}:
        from volforensic.evidence.ext_groups import ExtGroups  # noqa: PLC0415 - as above

        ext = ExtGroups(window)
        origin = window.offset + ext.first_block * ext.block_size
        return Groups(origin, ext.blocks_per_group * ext.block_size, ext.inodes_per_group, 1)
    return None


def _problems(given: SpaceArguments, unknown: list[Unknown]) -> Iterator[Problem]:
    for start, length, reason in unknown[:_MOST_PROBLEMS]:
        yield Problem(
            stage="free space",
            reason=f"which blocks are free is not known: {reason}",
            volume=given.volume,
            offset=given.offset + start,
            length=length,
        )
    if len(unknown) > _MOST_PROBLEMS:
        reason = f"which blocks are free is not known in {len(unknown) - _MOST_PROBLEMS} more places"
        yield Problem(stage="free space", reason=reason, volume=given.volume)


def outside_filesystems(layout: Layout) -> Iterator[Region]:
    """Yield what of the disks lies in no filesystem, in order: gaps, swap, volumes without one."""
    parts = [Run(volume.offset, volume.length) for volume in layout.volumes]
    gaps = [run for disk in layout.disks for run in complement(parts, Run(disk.address, disk.size))]
    regions = [Region(kind="outside every volume", offset=run.start, length=run.length) for run in gaps]
    for volume in layout.volumes:
        kind = _kind(volume)
        if kind:
            regions.append(Region(kind=kind, offset=volume.offset, length=volume.length, volume=volume.index))
    yield from sorted(regions, key=lambda region: region.offset)


def _kind(volume: Volume) -> str:
    if volume.parts:
        return ""
    if volume.filesystem is None:
        return "volume without a filesystem"
    return "swap" if volume.filesystem.type == "swap" else ""
