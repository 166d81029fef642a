"""The disk in a VMDK: a descriptor, in a file of its own or inside an extent, and the extents it names.

Source: VMware's "Virtual Disk Format 1.1" and "5.0". The examiner may name the descriptor or an extent; an extent that
has no descriptor is opened as it stands. What an extent does not have is the parent's, or zeros.
"""

from collections.abc import Iterator, Sequence

from volforensic.evidence.containers.container import ContainerFacts, NamedFile, NoteFault, Reference
from volforensic.evidence.containers.joined import Part, joined_medium, lost_part, stored_part, zeros_part
from volforensic.evidence.containers.mapped import Noted
from volforensic.evidence.containers.vmdk_check import vmdk_problems
from volforensic.evidence.containers.vmdk_descriptor import Extent, VmdkError, has_descriptor
from volforensic.evidence.containers.vmdk_esx import COWD_MAGIC, SESPARSE_MAGIC
from volforensic.evidence.containers.vmdk_grains import SECTOR, Below
from volforensic.evidence.containers.vmdk_layout import (
    FLAT,
    SPARSE,
    Layout,
    descriptor_name,
    find_layout,
    open_grains,
    own_descriptor,
)
from volforensic.evidence.containers.vmdk_sparse import MAGIC
from volforensic.medium import Medium
from volforensic.record import text

_SHOWN = {"createtype": "create type", "cid": "CID", "parentcid": "parent CID", "parentfilenamehint": "parent file",
          "encoding": "encoding", "ddb.adaptertype": "adapter type", "ddb.uuid": "UUID", "ddb.comment": "comment",
          "ddb.longcontentid": "long content id", "ddb.toolsversion": "tools version",
          "ddb.virtualhwversion": "virtual hardware version", "changetrackpath": "change tracking file"}  # fmt: skip


def recognises(first: NamedFile) -> bool:
    """Return whether it begins like a descriptor or like one of the three kinds of sparse extents."""
    head = first.medium.read_at(0, 4096)
    return head.startswith((MAGIC, COWD_MAGIC, SESPARSE_MAGIC)) or has_descriptor(head)


def look(files: Sequence[NamedFile]) -> ContainerFacts:
    """Read descriptor and headers; see container.py. VmdkError where they cannot be, or name what is not supported."""
    layout = find_layout(files)
    return ContainerFacts(
        kind="vmdk",
        size=layout.size,
        references=list(_references(layout, files[0])),
        details=_details(layout),
        problems=list(vmdk_problems(layout, files[0])),
    )


def open_container(files: Sequence[NamedFile], parent: Medium | None, note: NoteFault) -> Medium:
    """Return the disk; see container.py. VmdkError as in ``look``, and where not one extent can be opened."""
    layout, noted = find_layout(files), Noted(note)
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


def _part(extent: Extent, file: NamedFile | None, below: Below, noted: Noted) -> Part:
    """Return an extent as a part of the disk; VmdkError where it cannot be had."""
    length = extent.sectors * SECTOR
    if extent.kind == "ZERO" or not length:
        return zeros_part(length)
    if extent.kind not in FLAT | SPARSE:
        raise VmdkError(f"an extent of the kind {extent.kind} is on another device, which is not in the file")
    if file is None:
        raise VmdkError("its file is missing")
    if extent.kind in FLAT:
        return stored_part(file.medium, extent.offset * SECTOR, length)
    return Part(length, open_grains(file.medium, below, noted).find)


def _references(layout: Layout, first: NamedFile) -> Iterator[Reference]:
    """Yield each extent's file once, and the parent; one extent of several may be missing, and is then lost."""
    if (beside := descriptor_name(first.name)) and own_descriptor(first.medium) == (None, ""):
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
