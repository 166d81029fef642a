"""Linux md arrays: found by the superblocks of their members, each array as a map, what is missing said.

Sources: as in ``md_superblock.py``, ``md_sets.py`` and ``md_maps.py``. Nothing is activated, nothing is written.
"""

from collections.abc import Iterator, Sequence

from volforensic.evidence.reader import Window
from volforensic.evidence.volumes.foreign import external_metadata
from volforensic.evidence.volumes.mapped import Found, MappedVolume, Member
from volforensic.evidence.volumes.md_journal import journal_note
from volforensic.evidence.volumes.md_maps import (
    array_map,
    check_shape,
    component_needed,
    has_known_layout,
    has_zones,
    lost_places,
    map_length,
)
from volforensic.evidence.volumes.md_sets import REDUNDANT, ArraySet, Part, array_name, array_sets, level_name
from volforensic.evidence.volumes.md_superblock import Superblock, superblocks
from volforensic.evidence.volumes.raid_rows import RaidError
from volforensic.medium import Medium
from volforensic.record import Problem

_MOST_NAMED = 16


def find_arrays(space: Medium, members: Sequence[Member]) -> Found:
    """Return the md arrays that the members make up, and what is missing, stale or not supported.

    Args:
        space: where addresses lead.
        members: the volumes that may be members; those that are none are passed over in silence.
    """
    problems: list[Problem] = []
    parts = []
    for member in members:
        part = _part(space, member, problems)
        if part is not None:
            parts.append(part)
    volumes = []
    for made in array_sets(parts):
        volume = _assembled(space, made, problems)
        if volume is not None:
            volumes.append(volume)
    return Found(volumes, problems)


def is_member(window: Window) -> bool:
    """Tell whether a volume has a superblock of md: what is in it belongs to an array."""
    return next(superblocks(window), None) is not None


def _part(space: Medium, member: Member, problems: list[Problem]) -> Part | None:
    """Return the member with the superblock that counts, where it has one."""
    window = Window(space, member.address, member.length)
    found = list(superblocks(window))
    if not found:
        external = external_metadata(window)
        if external:
            problems.append(_problem(member, f"a member of a RAID with {external}, which is not supported", lost=True))
        return None
    best = max(found, key=lambda superblock: (superblock.is_sound, superblock.created, superblock.updated))
    if len({superblock.uuid for superblock in found}) > 1:
        reason = f"it has superblocks of several md arrays: that of {best.uuid}, the one made last, counts"
        problems.append(_problem(member, reason, lost=False))
    return Part(member, best)


def _problem(member: Member, reason: str, *, lost: bool) -> Problem:
    return Problem(
        stage="layout", reason=reason, lost=lost, volume=member.volume, offset=member.address, length=member.length
    )


def _assembled(space: Medium, made: ArraySet, problems: list[Problem]) -> MappedVolume | None:
    """Return the array as a volume; None, and a problem that says why, where it cannot be read."""
    name = array_name(made.shape)
    problems.extend(Problem(stage="layout", reason=f"{name}: {note}", lost=False) for note in made.notes)
    if not made.places:
        reason = f"{name}: none of its members is there, but spares, faulty ones or its journal"
        problems.append(Problem(stage="layout", reason=reason, volume=made.members[0]))
        return None
    try:
        check_shape(made.shape)
        _refuse(made)
        volume = _volume(made)
    except RaidError as error:
        problems.append(Problem(stage="layout", reason=f"{name} cannot be assembled: {error}", volume=made.members[0]))
        return None
    for reason, lost in _notes(space, made):
        problems.append(Problem(stage="layout", reason=f"{name}: {reason}", lost=lost, volume=made.members[0]))
    return volume


def _refuse(made: ArraySet) -> None:
    if made.shape.is_reshaping:
        raise RaidError("a reshape is in progress, which is not supported")
    lost = lost_places(made)
    if lost and made.shape.level in REDUNDANT:
        raise RaidError(f"too few members: {_numbers(lost)} missing")


def _numbers(places: Sequence[int]) -> str:
    """Return the members as the begin of a sentence, the verb with them."""
    if len(places) == 1:
        return f"member {places[0]} is"
    shown = ", ".join(str(place) for place in places[:_MOST_NAMED])
    return f"members {shown}{' and others' if len(places) > _MOST_NAMED else ''} are"


def _notes(space: Medium, made: ArraySet) -> Iterator[tuple[str, bool]]:
    """Yield what is to be said of an array that can be read, and whether bytes are lost."""
    shape = made.shape
    missing = [place for place in range(shape.disks) if place not in made.places]
    if missing and shape.level in REDUNDANT:
        yield f"degraded: {_numbers(missing)} missing: those bytes are read from the others", False
    elif missing:
        yield f"{_numbers(missing)} missing: those bytes are lost", True
    for place, part in sorted(made.places.items()):
        short = shape.level in REDUNDANT and part.superblock.data_offset + component_needed(shape) - part.member.length
        short = short or part.superblock.data_offset + part.superblock.data_size - part.member.length
        if short > 0:
            yield f"member {place} is cut: {short} bytes at its end are missing", shape.level not in REDUNDANT
        if part.superblock.bad_blocks:
            yield f"member {place} knows {len(part.superblock.bad_blocks)} ranges of it to be bad", False
        if part.superblock.recovered is not None:
            yield f"member {place} was rebuilt up to byte {part.superblock.recovered} only", False
    if has_zones(made) and not has_known_layout(shape):
        yield "its zones are counted as Linux 3.14 and later do: it does not say how", False
    if shape.synchronised is not None and shape.level in REDUNDANT:
        yield "it was not in sync: copies and parity may differ from the data", False
    if shape.has_journal or made.journals:
        yield journal_note(space, made)


def _volume(made: ArraySet) -> MappedVolume:
    shape = made.shape
    mapped = array_map(made)
    short = shape.name.rpartition(":")[2]
    return MappedVolume(
        kind="md",
        name=shape.name or (f"md{shape.minor}" if shape.minor >= 0 else shape.uuid),
        uuid=shape.uuid,
        description=f"{level_name(shape.level)}, {shape.disks} members, metadata {shape.version}",
        map=mapped,
        length=map_length(mapped),
        members=made.members,
        names=list(_device_names(shape, short)),
    )


def _device_names(shape: Superblock, short: str) -> Iterator[str]:
    """Yield the names that mdadm and udev give the array; the number of one that has a mere name is not known."""
    if shape.minor >= 0:
        yield f"/dev/md{shape.minor}"
    if short:
        yield f"/dev/md/{short}"
        if short.isascii() and short.isdigit():
            yield f"/dev/md{short}"
    if shape.name:
        yield f"/dev/disk/by-id/md-name-{shape.name}"
    yield f"/dev/disk/by-id/md-uuid-{shape.uuid}"
