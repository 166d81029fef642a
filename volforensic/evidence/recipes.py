"""How an image is opened again in every worker: its disks as they lie in files, and the volumes mapped above them.

Everything that reads evidence reads addresses of one space. The first disk begins at 0, so an address of a plain image
is a byte of its file. What follows begins at multiples of ``ALIGNMENT``, and a map refers only to addresses below its
own base: no volume can be made of itself.
"""

from collections.abc import Iterable

import msgspec

from volforensic.evidence.maps import Map

RAW = "raw"
ALIGNMENT = 1 << 30
END_OF_ADDRESSES = 1 << 62
MOST_PARENTS = 32
"""Disks that stand on each other, at most."""


class FilePart(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a container: the last component of its path, and its size in bytes."""

    name: bytes
    size: int


class DiskRecipe(msgspec.Struct, frozen=True, kw_only=True):
    """How a disk is opened: its kind, its files in the order of the descriptors (then its parent's), its size."""

    kind: str
    files: list[FilePart]
    size: int
    parent: "DiskRecipe | None" = None

    def chain(self) -> list["DiskRecipe"]:
        """Return the disk and what it stands on, from the top down.

        Raises:
            ValueError: More than ``MOST_PARENTS`` disks stand on each other.
        """
        disks = [self]
        while disks[-1].parent is not None:
            if len(disks) > MOST_PARENTS:
                raise ValueError(f"more than {MOST_PARENTS} disks stand on each other")
            disks.append(disks[-1].parent)
        return disks


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """A mapped volume at its place in the address space (bytes)."""

    base: int
    length: int
    map: Map


class SpaceRecipe(msgspec.Struct, frozen=True, kw_only=True):
    """How a worker builds the address space: disks, mapped volumes, and keys, which stand nowhere else."""

    disks: list[DiskRecipe]
    volumes: list[Placed] = []
    keys: list[bytes] = []

    def __repr__(self) -> str:
        """Say how much there is, and no key."""
        return f"SpaceRecipe({len(self.disks)} disks, {len(self.volumes)} volumes)"


def next_base(end: int) -> int:
    """Return where what is added to an address space that ends at ``end`` begins."""
    return -(-end // ALIGNMENT) * ALIGNMENT


def disk_bases(sizes: Iterable[int]) -> list[int]:
    """Return where disks of these sizes begin."""
    bases: list[int] = []
    end = 0
    for size in sizes:
        bases.append(next_base(end))
        end = bases[-1] + size
    return bases
