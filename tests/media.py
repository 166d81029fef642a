"""Open descriptors as tests have them, as the product wants them: a medium to read, a handle for a task."""

import os

from volforensic.evidence.containers.container import ContainerFacts
from volforensic.evidence.disk_opening import OpenedDisk
from volforensic.evidence.image import Image
from volforensic.evidence.raw_medium import RawMedium, raw_source
from volforensic.evidence.recipes import RAW, DiskRecipe, FilePart
from volforensic.evidence.source import Source
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


def plain_image(source: Source) -> Image:
    """Return a source as an image of one plain disk."""
    size = source.pin.size
    recipe = DiskRecipe(kind=RAW, files=[FilePart(name=source.path.name.encode(), size=size)], size=size)
    return Image(
        [
            OpenedDisk(
                source.path, source.kind, recipe, ContainerFacts(kind=RAW, size=size), (source,), (source.descriptor,)
            )
        ]
    )
