"""What the parent asks of a layout before it believes it: the worker that made it has read hostile bytes."""

from volforensic.evidence.devices import DeviceRange
from volforensic.evidence.layout import Layout

_MOST_VOLUMES = 2000
_MOST_PROBLEMS = 5000
_MOST_DEVICES = 1024


class LayoutCheck:
    """Holds the size of the source; the check of what the worker says lies in it."""

    def __init__(self, size: int) -> None:
        """Take the size in bytes."""
        self._size = size
        self._came = False

    def refused(self, layout: Layout) -> str:
        """Return why the layout cannot be this source's; empty where it can."""
        if len(layout.volumes) > _MOST_VOLUMES or len(layout.problems) > _MOST_PROBLEMS:
            return f"{len(layout.volumes)} volumes and {len(layout.problems)} problems"
        if len({volume.index for volume in layout.volumes}) < len(layout.volumes):
            return "two volumes have one number"
        for volume in layout.volumes:
            if not 0 <= volume.index <= _MOST_VOLUMES:
                return "a volume's number is none"
            if volume.offset < 0 or volume.length < 0 or volume.offset + volume.length > self._size:
                return "a volume lies outside the source"
            if not self._are_devices(volume.devices):
                return "a device of a volume is none, or lies outside the source"
        self._came = True
        return ""

    def _are_devices(self, devices: list[DeviceRange]) -> bool:
        return len(devices) <= _MOST_DEVICES and all(
            device.number >= 0 <= device.offset <= device.offset + device.length <= self._size for device in devices
        )

    def missing(self) -> str:
        """Return what should have come: one layout."""
        return "" if self._came else "the worker gave no layout"
