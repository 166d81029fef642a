"""Physical volumes put together to volume groups: by UUID, each copy of a group by itself.

Two clones of one disk have the same UUIDs twice. Each clone is a group of its own; which physical volumes belong
together is told by the number of their metadata and by their order, and the ambiguity is said.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from volforensic.evidence.volumes.lvm_label import VERIFIED, MetadataCopy, PhysicalVolume
from volforensic.evidence.volumes.lvm_metadata import sections, string
from volforensic.record import Problem

_MOST_CLONES = 64


class Assembly(NamedTuple):
    """A volume group with its physical volumes by UUID; those that are missing are not among them."""

    copy: MetadataCopy
    physical: Mapping[str, PhysicalVolume]


def assemble(physical: Sequence[PhysicalVolume], problems: list[Problem]) -> Iterator[Assembly]:
    """Yield the volume groups that the physical volumes make up, in the order of their addresses."""
    in_order = sorted(physical, key=_address)
    by_group: dict[str, list[PhysicalVolume]] = defaultdict(list)
    for one in in_order:
        if one.copies:
            by_group[_newest(one.copies).uuid].append(one)
    claimed = {one.member for group in by_group.values() for one in group}
    for group in list(by_group.values()):
        listed = _identities(_newest([copy for one in group for copy in one.copies]))
        group += [one for one in in_order if not one.copies and one.uuid in listed]
        claimed.update(one.member for one in group)
    names: dict[str, str] = {}
    for uuid, group in by_group.items():
        for assembly in _assemblies(group, problems):
            name = assembly.copy.name
            if names.setdefault(name, uuid) != uuid:
                _note(problems, f"two different volume groups are called {name}: both were read")
            yield assembly
    for one in in_order:
        if one.member not in claimed:
            said = "is damaged" if one.problems else "belongs to no volume group, or its group's metadata is not here"
            _note(problems, f"LVM physical volume {one.uuid} {said}", one, lost=bool(one.problems))


def _address(one: PhysicalVolume) -> int:
    return one.member.address


def _newest(copies: Sequence[MetadataCopy]) -> MetadataCopy:
    """Return the copy with the highest number; one whose checksum was not verified only where no other is."""
    return max(copies, key=lambda copy: (copy.trust, copy.number))


def _identities(copy: MetadataCopy) -> set[str]:
    return {string(section, "id") for section in sections(copy.group, "physical_volumes").values()}


def _note(problems: list[Problem], reason: str, one: PhysicalVolume | None = None, *, lost: bool = False) -> None:
    place, volume = (one.member.address, one.member.volume) if one else (None, None)
    problems.append(Problem(stage="layout", reason=reason, lost=lost, offset=place, volume=volume))


def _assemblies(group: list[PhysicalVolume], problems: list[Problem]) -> Iterator[Assembly]:
    """Yield the copies of one group: as many as its most frequent physical volume has."""
    by_uuid: dict[str, list[PhysicalVolume]] = defaultdict(list)
    for one in group:
        by_uuid[one.uuid].append(one)
    unlabelled = by_uuid.pop("", [])
    count = max((len(found) for found in by_uuid.values()), default=0)
    if count > 1:
        name = _newest([copy for one in group for copy in one.copies]).name
        reason = f"volume group {name} is there {count} times, with the same UUIDs: copies of one host's disks?"
        _note(problems, f"{reason} Their physical volumes were put together by the order of the disks")
    if count > _MOST_CLONES:
        _note(problems, f"{count - _MOST_CLONES} of its copies were not read", lost=True)
    for found in by_uuid.values():
        found.sort(key=lambda one: (max((copy.number for copy in one.copies), default=0), _address(one)))
    chosen = [
        {uuid: found[min(place, len(found) - 1)] for uuid, found in by_uuid.items()}
        for place in range(min(count, _MOST_CLONES))
    ]
    if not chosen and unlabelled:
        chosen = [{}]
    for one_set in sorted(chosen, key=lambda found: sorted(_address(one) for one in found.values())):
        yield _assembly(one_set, unlabelled if count <= 1 else [], problems)


def _assembly(
    physical: dict[str, PhysicalVolume], unlabelled: list[PhysicalVolume], problems: list[Problem]
) -> Assembly:
    copies = [copy for one in [*physical.values(), *unlabelled] for copy in one.copies]
    newest = _newest(copies)
    if newest.trust != VERIFIED:
        reason = f"volume group {newest.name} has no sound metadata; a text with number {newest.number} was used"
        _note(problems, f"{reason}: what changed after it is not known", lost=True)
    if any(copy.number == newest.number and copy.group != newest.group for copy in copies if copy.trust == VERIFIED):
        _note(problems, f"metadata of volume group {newest.name} with the same number differ; one was used", lost=True)
    missing = sorted(_identities(newest) - physical.keys())
    if len(missing) == 1 and len(unlabelled) == 1:
        _note(problems, f"its label is gone; it was taken for the missing physical volume {missing[0]}", unlabelled[0])
        physical = {**physical, missing[0]: unlabelled[0]}
    else:
        for one in unlabelled:
            _note(problems, "its label is gone: which physical volume it is, is not known", one, lost=True)
    for uuid, one in physical.items():
        own = max((copy.number for copy in one.copies if copy.trust == VERIFIED), default=newest.number)
        if uuid not in _identities(newest):
            _note(problems, f"physical volume {uuid} is no part of volume group {newest.name} any more", one, lost=True)
        elif own < newest.number and newest.trust == VERIFIED:
            reason = (
                f"the metadata on physical volume {uuid} is older (number {own}) than its group's ({newest.number})"
            )
            _note(problems, f"{reason}: it may have been away for some time", one)
    return Assembly(newest, physical)
