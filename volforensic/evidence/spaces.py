"""The address space of an image, as a worker reads it: its disks and mapped volumes side by side (``recipes.py``)."""

from bisect import bisect_right
from collections.abc import Sequence

import msgspec

from volforensic.evidence.disks import open_disk
from volforensic.evidence.reader import Window
from volforensic.evidence.recipes import Placed, SpaceRecipe, disk_bases
from volforensic.evidence.volumes.opening import open_map
from volforensic.medium import Medium


class AddressSpace:
    """Media side by side. A read goes to the one that holds its first byte and ends where that ends."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._bases: list[int] = []
        self._media: list[Medium] = []

    @property
    def size(self) -> int:
        """The first address behind everything."""
        return self._bases[-1] + self._media[-1].size if self._bases else 0

    def add(self, base: int, medium: Medium) -> None:
        """Put a medium behind what is there already."""
        if base < self.size:
            raise ValueError(f"a medium cannot begin at {base}: the address space goes up to {self.size}")
        self._bases.append(base)
        self._media.append(medium)

    def place(self, volume: Placed, keys: Sequence[bytes]) -> None:
        """Put a mapped volume behind what is there already."""
        below = Window(self, 0, volume.base)
        self.add(volume.base, open_map(volume.map, below, keys))

    def read_at(self, position: int, size: int) -> bytes:
        """Return the bytes of one medium; see ``Medium``."""
        index = bisect_right(self._bases, position) - 1
        return self._media[index].read_at(position - self._bases[index], size) if index >= 0 else b""


def open_space(descriptors: Sequence[int], recipe: object) -> Medium:
    """Build the address space that a ``SpaceRecipe`` describes: runs in a worker."""
    given = msgspec.convert(recipe, SpaceRecipe)
    remaining = list(descriptors)
    disks = [open_disk(disk, remaining) for disk in given.disks]
    if len(disks) == 1 and not given.volumes:
        return disks[0]
    space = AddressSpace()
    for base, disk in zip(disk_bases(disk.size for disk in disks), disks, strict=True):
        space.add(base, disk)
    for volume in given.volumes:
        space.place(volume, given.keys)
    return space
