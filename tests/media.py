"""Open descriptors as tests have them, as the product wants them: a medium to read, a handle for a task."""

import os

from volforensic.evidence.raw_medium import RawMedium, raw_source
from volforensic.sandbox.messages import SourceHandle


def size_of(descriptor: int) -> int:
    """Return how many bytes a file or device has."""
    return os.lseek(descriptor, 0, os.SEEK_END)


def medium_of(descriptor: int) -> RawMedium:
    """Return the medium that a descriptor is."""
    return RawMedium(descriptor, size_of(descriptor))


def handle_of(descriptor: int) -> SourceHandle:
    """Return what a task needs to read a descriptor."""
    return raw_source(descriptor, size_of(descriptor))
