"""What the parent asks of a layout before it believes it: the worker that made it has read hostile bytes."""

from collections.abc import Sequence

from volforensic.evidence.layout import Layout, Volume
from volforensic.evidence.recipes import END_OF_ADDRESSES, disk_bases
from volforensic.evidence.volumes.map_check import check_map

_MOST_VOLUMES = 2000
_MOST_PROBLEMS = 5000


class LayoutCheck:
    """Holds where the disks lie; the check of what the worker says lies in them."""

    def __init__(self, sizes: Sequence[int]) -> None:
        """Take the disks' sizes in bytes."""
        self._disks = list(zip(disk_bases(sizes), sizes, strict=True))
        self._came = False

    def refused(self, layout: Layout) -> str:
        """Return why the layout cannot be this image's; empty where it can."""
        if len(layout.volumes) > _MOST_VOLUMES or len(layout.problems) > _MOST_PROBLEMS:
            return f"{len(layout.volumes)} volumes and {len(layout.problems)} problems"
        if [(disk.address, disk.size) for disk in layout.disks] != self._disks:
            return "its disks are others"
        if len({volume.index for volume in layout.volumes}) < len(layout.volumes):
            return "two volumes have one number"
        spaces = [*self._disks]
        for volume in layout.volumes:
            reason = _refused(volume, spaces)
            if reason:
                return reason
        places = {(volume.offset, volume.length) for volume in layout.volumes}
        if any((each.offset, each.length) not in places for volume in layout.volumes for each in volume.devices):
            return "a device of a volume is no volume"
        self._came = True
        return ""

    def missing(self) -> str:
        """Return what should have come: one layout."""
        return "" if self._came else "the worker gave no layout"


def _refused(volume: Volume, spaces: list[tuple[int, int]]) -> str:
    """Return why there can be no such volume; a mapped one is added to the ranges that others may lie in."""
    begin, end = volume.offset, volume.offset + volume.length
    if not 0 <= volume.index <= _MOST_VOLUMES:
        return "a volume's number is none"
    if begin < 0 or volume.length < 0 or end > END_OF_ADDRESSES:
        return "a volume has no place"
    if volume.map is not None:
        if begin < max(base + length for base, length in spaces):
            return "a mapped volume lies where others do"
        reason = check_map(volume.map, begin)
        if reason:
            return f"a mapped volume cannot be: {reason}"
        spaces.append((begin, volume.length))
    elif not any(base <= begin and end <= base + length for base, length in spaces):
        return "a volume lies outside the image"
    return ""
