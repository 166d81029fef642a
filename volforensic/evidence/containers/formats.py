"""The container formats, in the order in which a file is asked whether it is one. Loaded by workers alone."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from volforensic.evidence.containers.container import ContainerFacts, NamedFile, NoteFault
from volforensic.medium import Medium


class Format(Protocol):
    """A module that reads a container; see ``container.py``."""

    def recognises(self, first: NamedFile) -> bool:
        """Return whether the file is one."""

    def look(self, files: Sequence[NamedFile]) -> ContainerFacts:
        """Return what the container says of itself."""

    def open_container(self, files: Sequence[NamedFile], parent: Medium | None, note: NoteFault) -> Medium:
        """Return the logical disk."""


FORMATS: Mapping[str, Format] = {}
