"""LVM2 in user space: from physical volumes to logical ones with their maps. Nothing is activated.

Two copies of one volume group, groups of the same name, groups with missing disks: everything that is there is read,
and what is not is said, with the logical volumes that it touches.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence

from volforensic.evidence import maps
from volforensic.evidence.volumes.lvm_group import Budget, Built, Group, Place
from volforensic.evidence.volumes.lvm_groups import Assembly, assemble
from volforensic.evidence.volumes.lvm_label import PhysicalVolume, Texts, read_physical_volume
from volforensic.evidence.volumes.lvm_metadata import MetadataError, Section, number, sections, string, strings
from volforensic.evidence.volumes.lvm_segments import POOLS, build_all, build_snapshots, segment_type, words_of
from volforensic.evidence.volumes.lvm_stores import check_stores
from volforensic.evidence.volumes.map_facts import lost_ranges, map_length, runs
from volforensic.evidence.volumes.mapped import Found, MappedVolume, Member
from volforensic.medium import Medium
from volforensic.record import Problem

_SECTOR = 512
_MOST_VOLUMES = 1500
_MOST_PROBLEMS = 2000
_MOST_SECTIONS = 1 << 15
_MOST_WORK, _MOST_WORK_OF_GROUP = 1 << 20, 1 << 19
_LARGEST_EXTENT = 1 << 42
_SHOWN_RANGES = 8
_NAME = re.compile(r"[A-Za-z0-9+_.-]{1,127}")


def find_logical_volumes(space: Medium, members: Sequence[Member]) -> Found:
    """Return the logical volumes that the members make up, whichever of them are LVM2 physical volumes.

    ``space`` is the address space in which the members lie and in which the maps' leaves count. Nothing raises: what
    cannot be read is a problem, ``lost`` where bytes of a volume are. Names of the evidence come as they are.
    """
    texts, budget = Texts(), Budget(_MOST_WORK)
    physical = [one for member in members if (one := read_physical_volume(space, member, texts)) is not None]
    problems = [problem for one in physical for problem in one.problems]
    volumes: list[MappedVolume] = []
    for assembly in assemble(physical, problems):
        for volume in _volumes(space, assembly, budget, problems):
            if len(volumes) >= _MOST_VOLUMES:
                _note(problems, f"more than {_MOST_VOLUMES} logical volumes; the others were not read")
                return Found(volumes, problems[:_MOST_PROBLEMS])
            volumes.append(volume)
    return Found(volumes, problems[:_MOST_PROBLEMS])


def _note(problems: list[Problem], reason: str, *, lost: bool = True) -> None:
    problems.append(Problem(stage="layout", reason=reason, lost=lost))


def _volumes(space: Medium, assembly: Assembly, budget: Budget, problems: list[Problem]) -> Iterator[MappedVolume]:
    """Yield the volumes of one group that a host would have shown."""
    try:
        group = _group(space, assembly, budget)
    except MetadataError as error:
        _note(problems, f"volume group {assembly.copy.name}: {error}")
        return
    for uuid in sorted(_listed(assembly) - assembly.physical.keys()):
        _note(problems, f"physical volume {uuid} of volume group {group.name} is missing", lost=False)
    built = build_all(group)
    snapshots = build_snapshots(group, built)
    stores = check_stores(space, group, built, snapshots)
    for remark in stores.remarks:
        _note(problems, f"volume group {group.name}: {remark.reason}", lost=remark.lost)
    for name, volume in _shown(group, snapshots, problems):
        found = stores.unreadable.get(name) or snapshots.get(name) or built[name]
        label = f"logical volume {group.name}/{name}"
        if isinstance(found, str):
            _note(problems, f"{label} cannot be read: {found}")
            continue
        for remark in found.remarks:
            _note(problems, f"{label}: {remark.reason}", lost=remark.lost)
        if _say_lost(label, found.map, problems):
            yield _mapped(assembly, group, name, volume, found)


def _listed(assembly: Assembly) -> set[str]:
    return {string(section, "id") for section in sections(assembly.copy.group, "physical_volumes").values()}


def _group(space: Medium, assembly: Assembly, budget: Budget) -> Group:
    text = assembly.copy.group
    size = number(text, "extent_size", most=_LARGEST_EXTENT // _SECTOR) * _SECTOR
    volumes = sections(text, "logical_volumes")
    if not size or len(volumes) > _MOST_SECTIONS:
        raise MetadataError(f"it has {len(volumes)} logical volumes in extents of {size} bytes")
    places = {
        name: _place(section, assembly.physical.get(string(section, "id")))
        for name, section in sections(text, "physical_volumes").items()
    }
    return Group(space, assembly.copy.name, size, places, volumes, Budget(_MOST_WORK_OF_GROUP, budget))


def _place(section: Section, physical: PhysicalVolume | None) -> Place:
    start = number(section, "pe_start", most=1 << 54) * _SECTOR
    extents = number(section, "pe_count", most=1 << 54)
    address, length = (physical.member.address, physical.member.length) if physical else (None, 0)
    return Place(string(section, "id"), address, start, extents, length)


def _shown(
    group: Group, snapshots: Mapping[str, Built | str], problems: list[Problem]
) -> Iterator[tuple[str, Section]]:
    """Yield the volumes that are visible, old snapshots by their store's name; and what is hidden and used by none."""
    used = {word for name, volume in group.volumes.items() for word in words_of(volume) if word != name}
    for name, volume in group.volumes.items():
        if segment_type(volume) in POOLS | {"snapshot"}:
            continue
        if "VISIBLE" in strings(volume, "status") or name in snapshots:
            yield name, volume
        elif name not in used and not name.endswith("_pmspare"):
            _note(problems, f"logical volume {group.name}/{name} is hidden, and no other is made of it", lost=False)
            yield name, volume


def _say_lost(label: str, found: maps.Map, problems: list[Problem]) -> bool:
    """Note what of a volume is missing; False where that is all of it."""
    lost = lost_ranges(found)
    if not lost:
        return True
    shown = ", ".join(f"{one.offset} to {one.offset + one.length - 1}" for one in lost[:_SHOWN_RANGES])
    more = f" and {len(lost) - _SHOWN_RANGES} more ranges" if len(lost) > _SHOWN_RANGES else ""
    reasons = "; ".join(dict.fromkeys(one.reason for one in lost[:_SHOWN_RANGES]))
    _note(problems, f"{label}: bytes {shown}{more} cannot be read, wholly or in part: {reasons}")
    return next(runs(found), None) is not None


def _mapped(assembly: Assembly, group: Group, name: str, volume: Section, found: Built) -> MappedVolume:
    names = []
    if _NAME.fullmatch(group.name) and _NAME.fullmatch(name):
        doubled = f"{group.name.replace('-', '--')}-{name.replace('-', '--')}"
        names = [f"/dev/{group.name}/{name}", f"/dev/mapper/{doubled}"]
    return MappedVolume(
        kind="lvm",
        name=f"{group.name}/{name}",
        uuid=string(volume, "id"),
        description=_description(volume, found.map),
        map=found.map,
        length=map_length(found.map),
        members=sorted(_members(assembly, found.map)),
        names=names,
    )


def _description(volume: Section, found: maps.Map) -> str:
    kind = segment_type(volume)
    if isinstance(found, maps.Snapshot):
        kind = "snapshot"
    elif kind == "striped" and not isinstance(found, maps.Striped):
        kind = "linear"
    return f"LVM {kind:.32}"


def _members(assembly: Assembly, found: maps.Map) -> set[int]:
    """Return the indices of the members that a map reads."""
    places = sorted((one.member.address, one.member.volume) for one in assembly.physical.values())
    return {places[bisect_right(places, (run.address, _MOST_SECTIONS)) - 1][1] for run in runs(found)}
