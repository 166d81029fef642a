"""The container formats, in the order in which a file is asked whether it is one. Loaded by workers alone."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from volforensic.evidence.containers import ewf, qcow1, qcow2, split_raw, vdi, vhd, vhdx, vmdk
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


FORMATS: Mapping[str, Format] = {
    "ewf": ewf,
    "qcow2": qcow2,
    "qcow": qcow1,
    "vmdk": vmdk,
    "vhdx": vhdx,
    "vdi": vdi,
    "vhd": vhd,
    "split raw": split_raw,  # by its name: a container may be cut in parts as well, but none of these formats is
}
