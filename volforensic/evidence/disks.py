"""A disk as it lies in files: plain, or in containers, one on the other. Runs in a worker."""

from collections.abc import Iterator, Sequence

import msgspec

from volforensic.evidence.containers.container import (
    ContainerError,
    ContainerFacts,
    Fault,
    NamedFile,
    NoteFault,
    Refused,
)
from volforensic.evidence.containers.formats import FORMATS
from volforensic.evidence.raw_medium import RawMedium
from volforensic.evidence.recipes import RAW, DiskRecipe, FilePart
from volforensic.medium import Medium
from volforensic.sandbox.worker import Workplace


def open_disk(recipe: DiskRecipe, descriptors: list[int], note: NoteFault = lambda _: None) -> Medium:
    """Return the logical disk; the descriptors that belong to it are taken from the front of the list.

    ``note`` hears of what fails a check of a container; a fault of a disk below says so, at that disk's own position.

    Raises:
        ValueError: The recipe is none, or the headers of a container are not what they were when it was made.
    """
    chain = recipe.chain()
    files = [_files(each, descriptors) for each in chain]
    medium: Medium | None = None
    for each, its_files in zip(chain[:0:-1], files[:0:-1], strict=True):
        medium = _opened(each, its_files, medium, lambda fault: note(_in_parent(fault)))
    return _opened(recipe, files[0], medium, note)


def look_at(place: Workplace, arguments: object) -> Iterator[ContainerFacts | Refused]:
    """Yield what the files of the source are, or why not: worker function, arguments as a list of ``FilePart``.

    A file that is no container is a ``raw`` disk.
    """
    parts = msgspec.convert(arguments, list[FilePart])
    source = place.source
    if not isinstance(source, FileSet):
        raise TypeError("only files can be looked at")
    files = [NamedFile(part.name, medium) for part, medium in zip(parts, source.files, strict=True)]
    try:
        yield _facts(files)
    except ContainerError as error:
        yield Refused(str(error))


class FileSet:
    """The files of a container, before it is known which they are: the source of ``look_at``."""

    size = 0

    def __init__(self, files: Sequence[RawMedium]) -> None:
        """Take the files."""
        self.files = files

    def read_at(self, position: int, size: int) -> bytes:
        """Give nothing: as one medium they are not known yet."""
        del position, size
        return b""


def open_files(descriptors: Sequence[int], recipe: object) -> Medium:
    """Open the files that are looked at; the recipe is their sizes. Runs in a worker."""
    sizes = msgspec.convert(recipe, list[int])
    return FileSet([RawMedium(descriptor, size) for descriptor, size in zip(descriptors, sizes, strict=True)])


def _in_parent(fault: Fault) -> Fault:
    return fault._replace(reason=f"in a disk below: {fault.reason}")


def _facts(files: Sequence[NamedFile]) -> ContainerFacts:
    for name, container in FORMATS.items():
        if container.recognises(files[0]):
            return msgspec.structs.replace(container.look(files), kind=name)
    return ContainerFacts(kind=RAW, size=files[0].medium.size)


def _files(recipe: DiskRecipe, descriptors: list[int]) -> list[NamedFile]:
    taken, descriptors[:] = descriptors[: len(recipe.files)], descriptors[len(recipe.files) :]
    return [
        NamedFile(part.name, RawMedium(descriptor, part.size))
        for part, descriptor in zip(recipe.files, taken, strict=True)
    ]


def _opened(recipe: DiskRecipe, files: Sequence[NamedFile], parent: Medium | None, note: NoteFault) -> Medium:
    if recipe.kind == RAW:
        return files[0].medium
    return FORMATS[recipe.kind].open_container(files, parent, note)
