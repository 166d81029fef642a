"""The map of an md array's bytes: zones of unequal members, degraded sets, members that are rebuilt only in part.

Sources: the kernel's drivers/md/raid0.c (``create_strip_zones``, ``raid0_map_submit_bio``), md-linear.c,
raid5.c (``raid5_size``), raid10.c (``raid10_size``), md.c.
"""

from collections.abc import Sequence
from itertools import pairwise

from volforensic.evidence.maps import Joined, Map, Mirrored, Missing, Raid, Run, Striped
from volforensic.evidence.volumes.md_sets import ArraySet, Part
from volforensic.evidence.volumes.md_superblock import SECTOR, Superblock
from volforensic.evidence.volumes.raid_rows import LAYOUTS, RaidError, copies_of, copy_places, data_members, far_stride

_MOST_CHUNK = 1 << 31
_MOST_MEMBERS = 1920
_ORIGINAL, _ALTERNATE = 1, 2
"""How level 0 counts chunks in the zones behind the first (``r0layout``): from the array's begin, from the zone's."""
_FEWEST = {0: 1, 1: 1, 4: 2, 5: 2, 6: 4, 10: 2, -1: 1}
MISSING_MEMBER = "a member of the array is not in the evidence"


def check_shape(shape: Superblock) -> None:
    """Raise RaidError where the array's level, layout, chunk or number of members cannot be, or is not read here."""
    level = shape.level
    if level not in _FEWEST:
        raise RaidError(f"level {level} is not supported")
    if not _FEWEST[level] <= shape.disks <= _MOST_MEMBERS:
        raise RaidError(f"{shape.disks} members")
    if level not in {1, -1} and (not 0 < shape.chunk <= _MOST_CHUNK or shape.chunk % SECTOR):
        raise RaidError(f"chunks of {shape.chunk} bytes")
    if shape.layout not in LAYOUTS.get(level, (shape.layout,)):
        raise RaidError(f"layout {shape.layout}")
    if level == 10:
        copies_of(shape.layout, shape.disks)


def lost_places(made: ArraySet) -> list[int]:
    """Return the places without which some of the array's bytes cannot be read; none where redundancy makes up."""
    shape = made.shape
    missing = [place for place in range(shape.disks) if place not in made.places]
    if shape.level == 1:
        return missing if len(missing) == shape.disks else []
    if shape.level == 10:
        return missing if _copies_are_lost(shape, set(missing)) else []
    return missing if len(missing) > {4: 1, 5: 1, 6: 2}.get(shape.level, 0) else []


def _copies_are_lost(shape: Superblock, missing: set[int]) -> bool:
    copies = copies_of(shape.layout, shape.disks)
    chunks = range(shape.disks)  # then the pattern of members repeats
    return any(all(member in missing for member, _ in copy_places(copies, chunk, 1)) for chunk in chunks)


def array_map(made: ArraySet) -> Map:
    """Return the map of the array; RaidError where there is none."""
    level = made.shape.level
    if level == -1:
        return _linear(made)
    if level == 0:
        return _striped(made)
    component = made.shape.component
    rounded = component - component % made.shape.chunk if level != 1 else component
    if rounded <= 0:
        raise RaidError(f"members of {component} bytes")
    members = [_component(made.places.get(place), component) for place in range(made.shape.disks)]
    if level == 1:
        return Mirrored(members=[member for member in members if member is not None], length=component)
    length = _length(made.shape, rounded)
    return Raid(level=level, layout=made.shape.layout, chunk=made.shape.chunk, members=members, length=length)


def map_length(mapped: Map) -> int:
    """Return how many bytes an array's map has."""
    if isinstance(mapped, Joined):
        return sum(map_length(part) for part in mapped.parts)
    return mapped.length


def _length(shape: Superblock, component: int) -> int:
    if shape.level != 10:
        return component * data_members(shape.level, shape.disks)
    copies = copies_of(shape.layout, shape.disks)
    return component // shape.chunk // copies.far * shape.disks // copies.near * shape.chunk


def component_needed(shape: Superblock) -> int:
    """Return how many bytes of a member the array uses: of level 10 it can be a little less than its component."""
    if shape.level != 10:
        return shape.component
    copies = copies_of(shape.layout, shape.disks)
    chunks = _length(shape, shape.component) // shape.chunk
    return min(shape.component, far_stride(copies, chunks) * copies.far * shape.chunk)


def _component(part: Part | None, length: int) -> Map | None:
    """Return the map of a member's data, what it lacks or knows to be bad as Missing; None for no member."""
    if part is None:
        return None
    superblock, member = part.superblock, part.member
    good = min(length, max(0, member.length - superblock.data_offset))
    if superblock.recovered is not None:
        good = min(good, superblock.recovered)
    holes = [(start, start + size, "the member knows them to be bad") for start, size in superblock.bad_blocks]
    holes.append((good, length, "the member ends before, or was not rebuilt so far"))
    return _with_holes(member.address + superblock.data_offset, length, holes)


def _with_holes(address: int, length: int, holes: Sequence[tuple[int, int, str]]) -> Map:
    parts: list[Map] = []
    position = 0
    for start, end, reason in sorted(holes):
        start, end = max(position, min(start, length)), min(end, length)  # noqa: PLW2901 - within what is left
        if end <= start:
            continue
        if start > position:
            parts.append(Run(address=address + position, length=start - position))
        parts.append(Missing(length=end - start, reason=reason))
        position = end
    if position < length:
        parts.append(Run(address=address + position, length=length - position))
    return parts[0] if len(parts) == 1 else Joined(parts=parts)


def _data_lengths(made: ArraySet) -> list[int]:
    """Return the length of each place's data, rounded to chunks; a missing one has the others'."""
    chunk = made.shape.chunk or SECTOR
    known = {place: part.superblock.data_size // chunk * chunk for place, part in made.places.items()}
    if len(known) < made.shape.disks and len(set(known.values())) > 1:
        raise RaidError("its members are of unequal size, and one is not there")
    if not known or min(known.values()) <= 0:
        raise RaidError("its members hold no data")
    return [known.get(place, min(known.values())) for place in range(made.shape.disks)]


def _piece(made: ArraySet, place: int, start: int, length: int) -> Map:
    """Return a range of a member's data."""
    part = made.places.get(place)
    if part is None:
        return Missing(length=length, reason=MISSING_MEMBER)
    member, begin = part.member, part.superblock.data_offset + start
    holes = [(bad - start, bad - start + size, "bad") for bad, size in part.superblock.bad_blocks]
    holes.append((max(0, member.length - begin), length, "the member ends before"))
    return _with_holes(member.address + begin, length, holes)


def _linear(made: ArraySet) -> Map:
    lengths = _data_lengths(made)
    return Joined(parts=[_piece(made, place, 0, length) for place, length in enumerate(lengths)])


def _striped(made: ArraySet) -> Map:
    """Return the zones of a level 0 array: the first over all members, each next one over those that are longer."""
    chunk = made.shape.chunk
    lengths = _data_lengths(made)
    zones: list[Map] = []
    begun = 0
    for start, end in pairwise([0, *sorted(set(lengths))]):
        places = [place for place, length in enumerate(lengths) if length > start]
        if zones and made.shape.layout != _ALTERNATE:
            first = begun // chunk % len(places)
            places = places[first:] + places[:first]
        size = end - start
        members = [_piece(made, place, start, size) for place in places]
        zones.append(Striped(members=members, chunk=chunk, length=size * len(members)))
        begun += size * len(members)
    return zones[0] if len(zones) == 1 else Joined(parts=zones)


def has_zones(made: ArraySet) -> bool:
    """Tell whether a level 0 array has zones, so that its bytes depend on its layout."""
    return made.shape.level == 0 and len(set(_data_lengths(made))) > 1


def has_known_layout(shape: Superblock) -> bool:
    """Tell whether a level 0 array says how its zones are counted."""
    return shape.has_layout and shape.layout in {_ORIGINAL, _ALTERNATE}
