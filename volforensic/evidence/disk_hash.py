"""The hashes of logical disks that are not plain files: read through their containers, in a worker."""

from collections.abc import Collection, Iterator, Sequence

import msgspec

from volforensic.evidence.containers.container import Fault
from volforensic.evidence.digests import Digests
from volforensic.evidence.disk_hash_messages import DiskHashed
from volforensic.evidence.disks import open_disk
from volforensic.evidence.recipes import DiskRecipe
from volforensic.medium import Medium
from volforensic.record import Problem
from volforensic.sandbox.worker import Workplace

_STEP = 1 << 20
_SECTOR = 512
_TOLD_EVERY = 32 << 20
_MOST_FAULTS = 1000
_MOST_FAILURES = 1 << 18
"""Sectors that are tried one by one and fail; after that a step that fails is taken as one: all may be bad."""


class NotedDisks:
    """Disks with what failed a check while they were read: the source of ``hash_disks``."""

    size = 0

    def __init__(self) -> None:
        """Begin without disks."""
        self.disks: list[tuple[Medium, list[Fault]]] = []

    def add(self, recipe: DiskRecipe, descriptors: list[int]) -> None:
        """Open a disk; its faults are kept, up to a bound."""
        faults: list[Fault] = []
        medium = open_disk(recipe, descriptors, lambda fault: _kept(faults, fault))
        self.disks.append((medium, faults))

    def read_at(self, position: int, size: int) -> bytes:
        """Give nothing: they are no one medium."""
        del position, size
        return b""


def open_noted_disks(descriptors: Sequence[int], recipe: object) -> Medium:
    """Open the disks of a list of recipes: runs in a worker."""
    opened, remaining = NotedDisks(), list(descriptors)
    for each in msgspec.convert(recipe, list[DiskRecipe]):
        opened.add(each, remaining)
    return opened


def hash_disks(place: Workplace, arguments: object) -> Iterator[DiskHashed]:
    """Yield progress and the hashes of every disk: worker function, arguments as names of further algorithms.

    Bytes that cannot be had count as NUL, and are told.
    """
    others = msgspec.convert(arguments, list[str])
    source = place.source
    if not isinstance(source, NotedDisks):
        raise TypeError("only disks can be hashed so")
    whole = Digests(others) if len(source.disks) > 1 else None
    for number, (medium, faults) in enumerate(source.disks):
        digest = Digests(others)
        patience = _Patience()
        told = 0
        for position in range(0, medium.size, _STEP):
            place.begin_item(position)
            data = _read(medium, position, min(_STEP, medium.size - position), faults, patience)
            digest.update(memoryview(data))
            if whole is not None:
                whole.update(memoryview(data))
            if position + len(data) - told >= _TOLD_EVERY:
                yield DiskHashed(read=position + len(data) - told)
                told = position + len(data)
        problems = [_problem(fault) for fault in _merged(faults)]
        read = medium.size - told
        yield DiskHashed(read=read, disk=number, sha256=digest.sha256, others=digest.others, problems=problems)
    if whole is not None:
        yield DiskHashed(disk=-1, sha256=whole.sha256, others=whole.others)


class _Patience:
    """Holds how many sectors of a disk did not read when they were tried one by one."""

    failures = 0

    def is_left(self, size: int) -> bool:
        """Return whether a range that failed is to be tried in sectors; a sector that failed is counted."""
        self.failures += size <= _SECTOR
        return size > _SECTOR and self.failures < _MOST_FAILURES


def _read(medium: Medium, position: int, size: int, faults: list[Fault], patience: _Patience) -> bytes:
    try:
        data = medium.read_at(position, size)
    except OSError as error:
        if patience.is_left(size):
            parts = range(position, position + size, _SECTOR)
            return b"".join(
                _read(medium, part, min(_SECTOR, position + size - part), faults, patience) for part in parts
            )
        data = b""
        reason = error.strerror or str(error)
    else:
        reason = "the source ended early"
    if len(data) < size:
        _kept(faults, Fault(position + len(data), size - len(data), reason, lost=True))
        data += bytes(size - len(data))
    return data


def _kept(faults: list[Fault], fault: Fault) -> None:
    last = faults[-1] if faults else None
    if last is not None and last[2:] == fault[2:] and last.position <= fault.position <= last.position + last.length:
        end = max(last.position + last.length, fault.position + fault.length)
        faults[-1] = last._replace(length=end - last.position)
    elif len(faults) < _MOST_FAULTS:
        faults.append(fault)


def _merged(faults: Collection[Fault]) -> list[Fault]:
    """Return the faults in order, each once; a container and the reading above it may tell of the same bytes."""
    merged: list[Fault] = []
    for fault in sorted(set(faults)):
        last = merged[-1] if merged else None
        if last is None or fault.position + fault.length > last.position + last.length or fault.lost != last.lost:
            merged.append(fault)
    return merged


def _problem(fault: Fault) -> Problem:
    return Problem(stage="source", reason=fault.reason, lost=fault.lost, offset=fault.position, length=fault.length)
