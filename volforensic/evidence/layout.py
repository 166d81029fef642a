"""What an image holds: the partition tables of its disks and, in each volume, which filesystem."""

import msgspec

from volforensic.evidence.devices import DeviceRange
from volforensic.evidence.gaps import Gap
from volforensic.evidence.maps import Map
from volforensic.evidence.recipes import Placed
from volforensic.evidence.signatures import READABLE, Filesystem
from volforensic.evidence.volumes.mapped import MappedVolume
from volforensic.record import Problem, Row


class VolumeFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Where a volume is in the address space (bytes) and which filesystem it holds: what a worker needs to open it.

    ``devices`` as in ``Volume``. ``is_verified``: the checksums that its filesystem has of files' bytes (btrfs) are
    compared when they are read.
    """

    offset: int
    length: int
    kind: str
    devices: list[DeviceRange] = []
    is_verified: bool = False


VERIFIED = ("btrfs",)
"""Filesystems that have checksums of files' bytes."""


class Volume(msgspec.Struct, frozen=True, kw_only=True):
    """A range of addresses (bytes) that may hold a filesystem: a disk, a partition, or what is mapped from others.

    ``kind`` is ``whole``, the partition table's, or ``lvm``, ``md`` or ``luks`` for a volume with a ``map``, which
    is then in the address space at ``offset``. ``disk`` is the disk that it lies on, counted from 0; ``members`` are
    the volumes that it is made of, ``parts`` those that are made of it: one that has parts is not read by itself.
    ``names`` are the device names by which its host knew it, where the evidence says. ``devices`` are those of a
    filesystem that has several (btrfs), this volume among them.
    """

    index: int
    offset: int
    length: int
    kind: str
    description: str
    label: str = ""
    uuid: str = ""
    number: int = 0
    disk: int = 0
    names: list[str] = []
    members: list[int] = []
    parts: list[int] = []
    map: Map | None = None
    filesystem: Filesystem | None = None
    devices: list[DeviceRange] = []

    @property
    def is_readable(self) -> bool:
        """Whether there is a filesystem here that can be walked."""
        found = self.filesystem
        return found is not None and found.type in READABLE and not found.unread and not self.parts

    def facts(self, *, is_verified: bool = False) -> VolumeFacts:
        """Return what a worker needs to open it; ``is_verified``: files' checksums are compared where there are any."""
        kind = self.filesystem.type if self.filesystem is not None else ""
        is_verified = is_verified and kind in VERIFIED
        return VolumeFacts(
            offset=self.offset, length=self.length, kind=kind, devices=self.devices, is_verified=is_verified
        )


class DiskTable(msgspec.Struct, frozen=True, kw_only=True):
    """One disk: where it is in the address space (bytes), its partition table's kind and sector size in bytes.

    ``gaps`` are the ranges of the disk (bytes from its beginning) that no partition has.
    """

    address: int
    size: int
    table: str
    sector_size: int
    gaps: list[Gap] = []


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """The disks with their tables, the volumes, and what was odd or could not be read."""

    disks: list[DiskTable]
    volumes: list[Volume]
    problems: list[Problem]

    @property
    def table(self) -> str:
        """The kind of the first disk's partition table: gpt, mbr or none."""
        return self.disks[0].table

    @property
    def sector_size(self) -> int:
        """The sector size of the first disk's table, in bytes."""
        return self.disks[0].sector_size

    @property
    def placed(self) -> list[Placed]:
        """The mapped volumes, as workers need them, in the order of their bases."""
        mapped = (volume for volume in self.volumes if volume.map is not None)
        placed = (Placed(base=volume.offset, length=volume.length, map=volume.map) for volume in mapped if volume.map)
        return sorted(placed, key=lambda volume: volume.base)

    def facts(self, *, is_verified: bool = False) -> dict[int, VolumeFacts]:
        """Return what a worker needs to open each readable volume; ``is_verified`` as in ``Volume.facts``."""
        readable = (volume for volume in self.volumes if volume.is_readable)
        return {volume.index: volume.facts(is_verified=is_verified) for volume in readable}

    def entries_expected(self) -> int | None:
        """Return about how many entries the readable volumes hold by their superblocks; None where one does not say."""
        counts = [volume.filesystem.inodes_used for volume in self.volumes if volume.is_readable and volume.filesystem]
        return sum(counts) if all(counts) else None

    def described(self, mounted: dict[int, list[str]]) -> Row:
        """Return the layout as evidence.json holds it; ``mounted`` is where the hosts had each volume's trees."""
        described: Row = msgspec.to_builtins(self)
        described.pop("problems")
        described.update(table=self.table, sector_size=self.sector_size)
        for volume in described["volumes"]:
            volume["mounted"] = mounted.get(volume["index"], [])
        return described


class OpenedVolume(msgspec.Struct, frozen=True, kw_only=True):
    """An encrypted volume that was opened: the address where it begins, and what it holds."""

    address: int
    volume: MappedVolume


class LayoutArguments(msgspec.Struct, frozen=True, kw_only=True):
    """The sizes of the disks in bytes, and the encrypted volumes that were opened, with the keys of their maps.

    ``searches_gaps``: what no partition has is searched for filesystems.
    """

    sizes: list[int]
    searches_gaps: bool = False
    opened: list[OpenedVolume] = []
    keys: list[bytes] = []

    def __repr__(self) -> str:
        """Say how much there is, and no key."""
        return f"LayoutArguments({self.sizes}, {len(self.opened)} opened)"
