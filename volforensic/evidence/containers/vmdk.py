"""The disk in a VMDK: a descriptor, in a file of its own or inside an extent, and the extents it names.

Source: VMware's "Virtual Disk Format 1.1" and "5.0". The examiner may name the descriptor or an extent; an extent that
has no descriptor is opened as it stands. What an extent does not have is the parent's, or zeros.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from volforensic.evidence.containers.container import ContainerFacts, NamedFile, NoteFault, Reference
from volforensic.evidence.containers.joined import Part, joined_medium, lost_part, stored_part, zeros_part
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
from volforensic.evidence.containers.vmdk_esx import COWD_MAGIC, SESPARSE_MAGIC, esx_capacity, esx_oddities, open_esx
from volforensic.evidence.containers.vmdk_grains import SECTOR, Below
from volforensic.evidence.containers.vmdk_sparse import (
    MAGIC,
    embedded_descriptor,
    header_oddities,
    open_sparse,
    sparse_header,
)
from volforensic.medium import Medium
from volforensic.record import Problem, text

_ROUNDED = 2048
"""Sectors: a header may be for more than the descriptor says, since programs round up; by less than this."""
_PART_NAME = re.compile(rb"(?is)(.+)-(?:s\d{3}|delta|sesparse)(\.vmdk)")
_FLAT = {"FLAT", "VMFS"}
_SPARSE = {"SPARSE", "VMFSSPARSE", "SESPARSE"}
_SHOWN = {"createtype": "create type", "cid": "CID", "parentcid": "parent CID", "parentfilenamehint": "parent file",
          "encoding": "encoding", "ddb.adaptertype": "adapter type", "ddb.uuid": "UUID", "ddb.comment": "comment",
          "ddb.longcontentid": "long content id", "ddb.toolsversion": "tools version",
          "ddb.virtualhwversion": "virtual hardware version", "changetrackpath": "change tracking file"}  # fmt: skip


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


def recognises(first: NamedFile) -> bool:
    """Return whether it begins like a descriptor or like one of the three kinds of sparse extents."""
    head = first.medium.read_at(0, 4096)
    return head.startswith((MAGIC, COWD_MAGIC, SESPARSE_MAGIC)) or has_descriptor(head)


def look(files: Sequence[NamedFile]) -> ContainerFacts:
    """Read descriptor and headers; see container.py. VmdkError where they cannot be, or name what is not supported."""
    layout = _layout(files)
    return ContainerFacts(
        kind="vmdk",
        size=layout.size,
        references=list(_references(layout, files[0])),
        details=_details(layout),
        problems=[
            Problem(stage="source", reason=f"vmdk: {reason}", lost=lost) for reason, lost in _oddities(layout, files[0])
        ],
    )


def open_container(files: Sequence[NamedFile], parent: Medium | None, note: NoteFault) -> Medium:
    """Return the disk; see container.py. VmdkError as in ``look``, and where not one extent can be opened."""
    layout, noted = _layout(files), Noted(note)
    missing = _missing_parent(layout) if parent is None else ""
    parts: list[Part] = []
    faults: list[VmdkError] = []
    base = 0
    for extent, file in layout.extents:
        below = Below(parent, base, missing)
        base += extent.sectors * SECTOR
        try:
            parts.append(_part(extent, file, below, noted))
        except VmdkError as error:
            faults.append(error)
            parts.append(lost_part(extent.sectors * SECTOR, f"vmdk: extent {text(extent.name)}: {error}"))
    if faults and len(faults) == len(parts):
        raise faults[0]
    return joined_medium(parts, noted)


def parent_mismatch(child: ContainerFacts, parent: ContainerFacts) -> str:
    """Return why the one does not have the other as its parent, by their content ids; "" where nothing says so."""
    wanted, found = child.details.get("parent CID", ""), parent.details.get("CID", "")
    if not wanted or wanted.lower().lstrip("0") == found.lower().lstrip("0"):
        return ""
    return (
        f"vmdk: the parent's content id is {found or 'not known'} and not {wanted}: it was changed, or is another disk"
    )


def _layout(files: Sequence[NamedFile]) -> Layout:
    first = files[0]
    descriptor, damage = _descriptor(first.medium)
    own = None
    if descriptor is None:
        descriptor = None if damage else _descriptor_beside(files)
        if descriptor is None:
            return Layout(None, [(Extent("RW", _capacity(first.medium), "SPARSE", first.name, 0), first)], damage)
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


def _descriptor(file: Medium) -> tuple[Descriptor | None, str]:
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
    sparse = (number for number, extent in enumerate(descriptor.extents) if extent.kind in _SPARSE)
    return next(sparse, None)


def _capacity(file: Medium) -> int:
    return sparse_header(file).capacity if file.read_at(0, 4) == MAGIC else esx_capacity(file)


def _part(extent: Extent, file: NamedFile | None, below: Below, noted: Noted) -> Part:
    """Return an extent as a part of the disk; VmdkError where it cannot be had."""
    length = extent.sectors * SECTOR
    if extent.kind == "ZERO" or not length:
        return zeros_part(length)
    if extent.kind not in _FLAT | _SPARSE:
        raise VmdkError(f"an extent of the kind {extent.kind} is on another device, which is not in the file")
    if file is None:
        raise VmdkError("its file is missing")
    if extent.kind in _FLAT:
        return stored_part(file.medium, extent.offset * SECTOR, length)
    is_hosted = file.medium.read_at(0, 4) == MAGIC
    grains = open_sparse(file.medium, below, noted) if is_hosted else open_esx(file.medium, below)
    return Part(length, grains.find)


def _references(layout: Layout, first: NamedFile) -> Iterator[Reference]:
    """Yield each extent's file once, and the parent; one extent of several may be missing, and is then lost."""
    if (beside := descriptor_name(first.name)) and _descriptor(first.medium) == (None, ""):
        yield Reference(name=beside, role="extent", is_optional=True)
    names = {extent.name: None for extent, file in layout.extents if file is not first and extent.name}
    for name in names:
        yield Reference(name=name, role="extent", is_optional=len(layout.extents) > 1)
    if layout.descriptor is not None and layout.descriptor.parent:
        yield Reference(name=layout.descriptor.parent, role="parent")


def _missing_parent(layout: Layout) -> str:
    if layout.descriptor is None or not layout.descriptor.wants_parent:
        return ""
    return f"vmdk: the parent {text(layout.descriptor.parent) or '(no name is stored)'} is missing"


def _details(layout: Layout) -> dict[str, str]:
    if layout.descriptor is None:
        return {"descriptor": "none"}
    shown = {label: layout.descriptor.field(key)[:1000] for key, label in _SHOWN.items()}
    kinds = sorted({extent.kind for extent, _ in layout.extents})
    return {label: value for label, value in shown.items() if value} | {
        "extents": f"{len(layout.extents)} ({', '.join(kinds)})"
    }


def _oddities(layout: Layout, first: NamedFile) -> Iterator[tuple[str, bool]]:
    """Yield what is odd of the container, and whether bytes are lost by it."""
    if layout.damage:
        yield layout.damage, True
    elif layout.descriptor is None:
        reason = "the extent has no descriptor: it is opened as it stands, and may be one of several or have a parent"
        is_hosted = first.medium.read_at(0, 4) == MAGIC
        yield reason, bool(descriptor_name(first.name)) or not is_hosted
    else:
        yield from layout.descriptor.oddities
        if layout.descriptor.wants_parent and not layout.descriptor.parent:
            yield "the descriptor says that there is a parent and does not name it", True
    uses = Counter(extent.name for extent, _ in layout.extents)
    for extent, file in layout.extents:
        prefix = "" if file is first else f"extent {text(extent.name)}: "
        for reason, lost in _extent_oddities(extent, file, is_whole=uses[extent.name] == 1 and not extent.offset):
            yield f"{prefix}{reason}", lost


def _extent_oddities(extent: Extent, file: NamedFile | None, *, is_whole: bool) -> Iterator[tuple[str, bool]]:
    """Yield what is odd of an extent; ``is_whole``: its file is for nothing else."""
    if extent.kind == "ZERO" or not extent.sectors:
        return
    if extent.kind not in _FLAT | _SPARSE:
        yield f"its kind {extent.kind} is on another device: {extent.sectors} sectors are not in the file", True
    elif file is None:
        yield f"its file is missing: {extent.sectors} sectors cannot be read", True
    elif extent.kind in _FLAT:
        missing = (extent.offset + extent.sectors) * SECTOR - file.medium.size
        if missing > 0:
            lost = min(missing, extent.sectors * SECTOR)
            yield f"its file has {file.medium.size} bytes: the last {lost} are lost", True
        elif missing < 0 and is_whole:
            yield f"its file has {-missing} bytes more than the descriptor says: they are not read", False
    else:
        yield from _sparse_oddities(extent, file.medium)


def _sparse_oddities(extent: Extent, file: Medium) -> Iterator[tuple[str, bool]]:
    try:
        is_hosted = file.read_at(0, 4) == MAGIC
        capacity = _capacity(file)
        yield from header_oddities(file) if is_hosted else esx_oddities(file)
    except VmdkError as error:
        yield f"{error}: {extent.sectors} sectors cannot be read", True
        return
    if capacity < extent.sectors:
        yield f"its header is for {capacity} sectors, the descriptor wants {extent.sectors}: the rest is lost", True
    elif capacity - extent.sectors >= _ROUNDED:
        yield f"its header is for {capacity} sectors, the descriptor for {extent.sectors}: the rest is not read", True
