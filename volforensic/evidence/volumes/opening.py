"""Opening a map: which module reads which kind of volume. Runs in a worker."""

from collections.abc import Sequence

from volforensic.evidence.maps import Map, Run
from volforensic.evidence.reader import Window
from volforensic.medium import Medium


def open_map(volume_map: Map, space: Medium, keys: Sequence[bytes]) -> Medium:
    """Return the bytes that a map names in the address space; ``keys`` are those that its ``Crypt`` refers to."""
    del keys
    if isinstance(volume_map, Run):
        return Window(space, volume_map.address, volume_map.length)
    raise NotImplementedError(type(volume_map).__name__)
