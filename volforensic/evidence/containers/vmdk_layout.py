"""Which extents make the disk of a VMDK, and which file each of them is."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from volforensic.evidence.containers.container import NamedFile
from volforensic.evidence.containers.mapped import Noted
from volforensic.evidence.containers.naming import last_component, named_file
from volforensic.evidence.containers.vmdk_descriptor import (
    DESCRIPTOR_MOST,
    Descriptor,
    EncryptedVmdkError,
    Extent,
    VmdkError,
    has_descriptor,
    parse_descriptor,
)
from volforensic.evidence.containers.vmdk_esx import COWD_MAGIC, SESPARSE_MAGIC, esx_capacity, open_esx
from volforensic.evidence.containers.vmdk_grains import SECTOR, Below, Grains
from volforensic.evidence.containers.vmdk_sparse import MAGIC, embedded_descriptor, open_sparse, sparse_header
from volforensic.medium import Medium

FLAT = {"FLAT", "VMFS"}
SPARSE = {"SPARSE", "VMFSSPARSE", "SESPARSE"}
_PART_NAME = re.compile(rb"(?is)(.+)-(?:s\d{3}|delta|sesparse)(\.vmdk)")


class Layout(NamedTuple):
    """The extents of the disk, each with its file (None where it is missing), and the descriptor that names them.

    ``damage``: why the descriptor inside an extent cannot be used, and the extent is opened as it stands.
    """

    descriptor: Descriptor | None
    extents: list[tuple[Extent, NamedFile | None]]
    damage: str = ""

    @property
    def size(self) -> int:
        """Bytes of the disk."""
        return SECTOR * sum(extent.sectors for extent, _ in self.extents)


def find_layout(files: Sequence[NamedFile]) -> Layout:
    """Return the extents that the named file leads to; VmdkError where it cannot be understood."""
    first = files[0]
    descriptor, damage = own_descriptor(first.medium)
    own = None
    if descriptor is None:
        descriptor = None if damage else _descriptor_beside(files)
        if descriptor is None:
            return Layout(None, [(Extent("RW", extent_capacity(first.medium), "SPARSE", first.name, 0), first)], damage)
        own = _names(descriptor).index(first.name.lower())
    else:
        own = _own_extent(first, descriptor)
    return Layout(
        descriptor,
        [
            (extent, first if number == own else named_file(files[1:], extent.name))
            for number, extent in enumerate(descriptor.extents)
        ],
    )


def own_descriptor(file: Medium) -> tuple[Descriptor | None, str]:
    """Return the descriptor that the named file is or has in it, and what is wrong with one inside an extent."""
    head = file.read_at(0, 8)
    if head.startswith((COWD_MAGIC, SESPARSE_MAGIC)):
        return None, ""
    if not head.startswith(MAGIC):
        return _with_extents(parse_descriptor(file.read_at(0, DESCRIPTOR_MOST))), ""
    header = sparse_header(file)
    data = embedded_descriptor(file, header)
    if not data.strip() and not header.descriptor_size:
        return None, ""
    try:
        return _with_extents(parse_descriptor(data)), ""
    except EncryptedVmdkError:
        raise
    except VmdkError as error:
        if not header.capacity:
            raise
        return None, f"the descriptor inside the extent is damaged, and a parent cannot be told: {error}"


def _descriptor_beside(files: Sequence[NamedFile]) -> Descriptor | None:
    """Return the descriptor that an extent without one belongs to: the file without -s001, if it names the extent."""
    beside = named_file(files[1:], descriptor_name(files[0].name))
    if beside is None or not has_descriptor(beside.medium.read_at(0, 4096)):
        return None
    descriptor = _with_extents(parse_descriptor(beside.medium.read_at(0, DESCRIPTOR_MOST)))
    return descriptor if files[0].name.lower() in _names(descriptor) else None


def descriptor_name(name: bytes) -> bytes:
    """Return the usual name of the descriptor of an extent with this name, b"" where it is not known."""
    match = _PART_NAME.fullmatch(name)
    return match[1] + match[2] if match else b""


def _names(descriptor: Descriptor) -> list[bytes]:
    return [last_component(extent.name).lower() for extent in descriptor.extents]


def _with_extents(descriptor: Descriptor) -> Descriptor:
    if not descriptor.extents:
        raise VmdkError("the descriptor names no extent")
    return descriptor


def _own_extent(first: NamedFile, descriptor: Descriptor) -> int | None:
    """Return which extent the named file itself is: one that has the descriptor in it may have been renamed since."""
    if not first.medium.read_at(0, 4).startswith(MAGIC) or not sparse_header(first.medium).capacity:
        return None
    names = _names(descriptor)
    if first.name.lower() in names:
        return names.index(first.name.lower())
    sparse = (number for number, extent in enumerate(descriptor.extents) if extent.kind in SPARSE)
    return next(sparse, None)


def extent_capacity(file: Medium) -> int:
    """Return for how many sectors of the disk a sparse extent is, as its header says."""
    return sparse_header(file).capacity if file.read_at(0, 4) == MAGIC else esx_capacity(file)


def open_grains(file: Medium, below: Below, noted: Noted) -> Grains:
    """Return what finds the bytes of a sparse extent of any kind; VmdkError where its header cannot be."""
    is_hosted = file.read_at(0, 4) == MAGIC
    return open_sparse(file, below, noted) if is_hosted else open_esx(file, below)
