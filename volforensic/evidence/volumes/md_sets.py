"""Which members make up one md array: those of one UUID, a set for each copy of it, the stale ones left out.

Source: the kernel's drivers/md/md.c (``super_1_validate``: a member whose event count is more than one behind is
not up to date) and mdadm(8), "assemble".
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from volforensic.evidence.volumes.mapped import Member
from volforensic.evidence.volumes.md_superblock import ACTIVE_ROLES, JOURNAL, Superblock

_MOST_BEHIND = 1
_NAMED_SAME = 3
REDUNDANT = (1, 4, 5, 6, 10)
_LEVEL_NAMES = {-1: "linear", -4: "multipath", -5: "faulty", -100: "container"}


class Part(NamedTuple):
    """A member and the superblock that it has."""

    member: Member
    superblock: Superblock


class ArraySet(NamedTuple):
    """One array: the superblock that tells its shape, who has which place, and what is to be said of it.

    ``members`` are the indices of all volumes that belong to it, spares and stale ones too: none is a volume of its
    own beside the array.
    """

    shape: Superblock
    places: dict[int, Part]
    journals: list[Part]
    members: list[int]
    notes: list[str]


def array_name(superblock: Superblock) -> str:
    """Return how a problem names the array: by its name where it has one, else by its UUID."""
    name = superblock.name or (f"md{superblock.minor}" if superblock.minor >= 0 else superblock.uuid)
    return f"md array {name} ({level_name(superblock.level)}, {superblock.disks} members)"


def level_name(level: int) -> str:
    """Return the level as mdadm spells it."""
    return _LEVEL_NAMES.get(level, f"raid{level}")


def array_sets(parts: Iterable[Part]) -> list[ArraySet]:
    """Return the arrays that the members make up, in the order in which their first members came."""
    groups: dict[tuple[str, bool], list[Part]] = defaultdict(list)
    for part in parts:
        groups[part.superblock.uuid, part.superblock.version == "0.90"].append(part)
    return [made for group in groups.values() for made in _sets_of(group)]


def _sets_of(group: Sequence[Part]) -> list[ArraySet]:
    """Return one set, or one for each copy where places are taken twice, as by clones of all members."""
    active = [part for part in group if _is_active(part)]
    counts: dict[int, int] = defaultdict(int)
    for part in active:
        if not part.superblock.is_replacement:
            counts[part.superblock.role] += 1
    if max(counts.values(), default=1) == 1:
        return [_set(group, [])]
    note = "its members are there more than once (clones): each copy is read for itself, in the order given"
    by_state = defaultdict(list)
    for part in group:
        by_state[_state(part, active)].append(part)
    return [_set(copy, [note]) for parts in by_state.values() for copy in _dealt(parts)]


def _is_active(part: Part) -> bool:
    return part.superblock.role < min(ACTIVE_ROLES, part.superblock.disks)


def _state(part: Part, active: Sequence[Part]) -> int:
    """Return the highest event count that is as good as the part's own: parts of one copy share it."""
    events = part.superblock.events
    return max((other.superblock.events for other in active if 0 <= other.superblock.events - events <= _MOST_BEHIND),
               default=events)  # fmt: skip


def _dealt(parts: Sequence[Part]) -> list[list[Part]]:
    """Deal parts that claim the same places out to copies: the first of each place to the first copy, and so on."""
    copies: list[list[Part]] = []
    seen: dict[tuple[int, str], int] = defaultdict(int)
    for part in parts:
        key = (part.superblock.role, part.superblock.device if not _is_active(part) else "")
        number = seen[key]
        seen[key] += 1
        while len(copies) <= number:
            copies.append([])
        copies[number].append(part)
    return copies


def _set(group: Sequence[Part], notes: list[str]) -> ArraySet:
    sound = [part for part in group if part.superblock.is_sound]
    trusted = [part for part in sound if _is_active(part)] or sound or list(group)
    shape = max(trusted, key=lambda part: (part.superblock.events, part.superblock.updated)).superblock
    journals = [part for part in group if part.superblock.role == JOURNAL]
    members = sorted(part.member.volume for part in group)
    made = ArraySet(shape, {}, journals, members, list(notes))
    for part in sorted(group, key=lambda part: (not part.superblock.is_sound, part.superblock.is_replacement)):
        _place(made, part)
    return made


def _place(made: ArraySet, part: Part) -> None:
    """Give the part its place in the array, or say why it has none."""
    own, shape = part.superblock, made.shape
    number = part.member.volume
    if own.role == JOURNAL or (own.role >= ACTIVE_ROLES and own.events >= shape.events - _MOST_BEHIND):
        return  # a spare, or one that the array has put out and that says so itself
    if own.role >= min(ACTIVE_ROLES, shape.disks):
        made.notes.append(f"volume {number} has no place in it: it is left out")
    elif own.events < shape.events - _MOST_BEHIND and shape.level in REDUNDANT:
        behind = f"event count {own.events}, the array's is {shape.events}"
        made.notes.append(f"volume {number} is stale ({behind}): it is left out as member {own.role}")
    elif (own.level, own.layout, own.chunk, own.disks) != (shape.level, shape.layout, shape.chunk, shape.disks):
        made.notes.append(f"volume {number} tells another level, layout, chunk or number of members: it is left out")
    elif own.role in made.places:
        if not own.is_replacement:
            made.notes.append(f"volume {number} claims to be member {own.role} too: it is left out")
    elif not own.is_sound and shape.level in REDUNDANT and _is_enough(made):
        made.notes.append(f"the superblock of volume {number} fails its checksum: it is left out as member {own.role}")
    else:
        if not own.is_sound:
            made.notes.append(f"the superblock of volume {number} fails its checksum: it is used all the same")
        made.places[own.role] = part


def _is_enough(made: ArraySet) -> bool:
    """Tell whether the places that are taken so far suffice to read the array."""
    spare = {1: made.shape.disks - 1, 4: 1, 5: 1, 6: 2}.get(made.shape.level, 0)
    return len(made.places) >= made.shape.disks - spare
