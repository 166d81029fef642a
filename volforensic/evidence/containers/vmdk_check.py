"""What is odd of a VMDK, and what of its disk is lost, as far as descriptor, headers and tables say it."""

from collections import Counter
from collections.abc import Iterator

from volforensic.evidence.containers.checking import NoParent, table_problems
from volforensic.evidence.containers.container import Fault, NamedFile
from volforensic.evidence.containers.mapped import Noted
from volforensic.evidence.containers.vmdk_descriptor import Extent, VmdkError
from volforensic.evidence.containers.vmdk_esx import esx_oddities
from volforensic.evidence.containers.vmdk_grains import SECTOR, Below
from volforensic.evidence.containers.vmdk_layout import (
    FLAT,
    SPARSE,
    Layout,
    descriptor_name,
    extent_capacity,
    open_grains,
)
from volforensic.evidence.containers.vmdk_sparse import MAGIC, header_oddities
from volforensic.medium import Medium
from volforensic.record import Problem, text

_FAULTS_GIVEN = 64
_ROUNDED = 2048
"""Sectors: a header may be for more than the descriptor says, since programs round up; by less than this."""


def vmdk_problems(layout: Layout, first: NamedFile) -> Iterator[Problem]:
    """Yield what is odd of the container, then what its tables lose."""
    for reason, lost in _oddities(layout, first):
        yield Problem(stage="source", reason=f"vmdk: {reason}", lost=lost)
    base = 0
    for extent, file in layout.extents:
        length = extent.sectors * SECTOR
        if extent.kind in SPARSE and file is not None and length:
            yield from _table_problems(file.medium, base, length)
        base += length


def _table_problems(file: Medium, base: int, length: int) -> Iterator[Problem]:
    """Yield what the tables of a sparse extent lose; an extent that cannot be opened is told elsewhere."""
    found: list[Problem] = []

    def note(fault: Fault) -> None:
        start, length = fault.position, fault.length
        if len(found) < _FAULTS_GIVEN:
            found.append(Problem(stage="source", reason=fault.reason, lost=fault.lost, offset=start, length=length))

    try:
        grains = open_grains(file, Below(NoParent(), base), Noted(note))
    except VmdkError:
        return
    yield from table_problems(min(length, grains.capacity), grains.find, base)
    yield from found


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
    if extent.kind not in FLAT | SPARSE:
        yield f"its kind {extent.kind} is on another device: {extent.sectors} sectors are not in the file", True
    elif file is None:
        yield f"its file is missing: {extent.sectors} sectors cannot be read", True
    elif extent.kind in FLAT:
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
        capacity = extent_capacity(file)
        yield from header_oddities(file) if is_hosted else esx_oddities(file)
    except VmdkError as error:
        yield f"{error}: {extent.sectors} sectors cannot be read", True
        return
    if capacity < extent.sectors:
        yield f"its header is for {capacity} sectors, the descriptor wants {extent.sectors}: the rest is lost", True
    elif capacity - extent.sectors >= _ROUNDED:
        yield f"its header is for {capacity} sectors, the descriptor for {extent.sectors}: the rest is not read", True
