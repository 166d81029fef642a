"""A volume group on its way to maps: where its physical volumes lie, the logical volumes that are built already."""

from collections.abc import Mapping
from typing import NamedTuple

from volforensic.evidence import maps
from volforensic.evidence.volumes.lvm_metadata import Section
from volforensic.evidence.volumes.lvm_slices import SegmentError, joined, sliced
from volforensic.evidence.volumes.map_check import MOST_DEPTH, MOST_NODES, check_map
from volforensic.evidence.volumes.map_facts import measured
from volforensic.medium import Medium


class Place(NamedTuple):
    """A physical volume: its address (None where it is missing), its first extent, their number, the member's size."""

    uuid: str
    address: int | None
    start: int
    extents: int
    length: int


class Remark(NamedTuple):
    """Something to say about a volume; ``lost`` where bytes of it may be."""

    reason: str
    lost: bool


class Built(NamedTuple):
    """A volume's map, how many nodes it has, and what is to be said of it."""

    map: maps.Map
    nodes: int
    remarks: tuple[Remark, ...] = ()


class Budget:
    """Holds how much work a group may still make: maps that name each other many times would make it endless."""

    def __init__(self, most: int, whole: "Budget | None" = None) -> None:
        """Take how many nodes may be looked at, and the budget that this one is a part of."""
        self._left = most
        self._whole = whole

    def spend(self, nodes: int) -> None:
        """Take a number of nodes away. SegmentError where there are not so many left."""
        self._left -= nodes
        if self._whole is not None:
            self._whole.spend(nodes)
        if self._left < 0:
            raise SegmentError("its group's volumes name each other too often")


class Group(NamedTuple):
    """A volume group: its name, extent size in bytes, physical volumes and logical ones by their names in the text.

    ``space`` is what its addresses are in: the superblocks of arrays and caches are read from it.
    """

    space: Medium
    name: str
    extent_size: int
    places: Mapping[str, Place]
    volumes: Mapping[str, Section]
    budget: Budget


class Segment(NamedTuple):
    """A segment: its section, its length in bytes, the volumes built before it, what was used and is to be said."""

    group: Group
    built: Mapping[str, Built | str]
    section: Section
    length: int
    used: list[Built]
    remarks: list[Remark]

    def volume(self, name: str) -> maps.Map:
        """Return another volume's map. SegmentError where it has none."""
        found = self.built.get(name, "it is not in the metadata")
        if isinstance(found, str):
            raise SegmentError(f"{name:.128} cannot be read: {found}"[:600])
        self.group.budget.spend(found.nodes)
        self.used.append(found)
        return found.map

    def area(self, name: object, extent: object, length: int) -> maps.Map:
        """Return ``length`` bytes from an extent of a physical or another logical volume on."""
        if not isinstance(name, str) or not isinstance(extent, int) or not 0 <= extent <= 1 << 60:
            raise SegmentError(f"it is made of {name!r:.128} from extent {extent!r:.40} on")
        place = self.group.places.get(name)
        if place is None:
            return sliced(self.volume(name), extent * self.group.extent_size, length)
        return self._extents(place, extent, length)

    def _extents(self, place: Place, extent: int, length: int) -> maps.Map:
        """Return extents of a physical volume; what of them is not in the evidence is missing, and said to be."""
        size = self.group.extent_size
        if extent * size + length > place.extents * size:
            reason = f"extents from {extent} on are outside physical volume {place.uuid}, which has {place.extents}"
            return maps.Missing(length, reason)
        if place.address is None:
            return maps.Missing(length, f"physical volume {place.uuid} of volume group {self.group.name} is missing")
        start = place.start + extent * size
        inside = max(0, min(length, place.length - start))
        beyond = f"physical volume {place.uuid} of volume group {self.group.name} is cut at byte {place.length}"
        found: list[maps.Map] = [maps.Run(place.address + start, inside)] if inside else []
        return joined([*found, maps.Missing(length - inside, beyond)] if inside < length else found)


def finished(group: Group, found: maps.Map, used: list[Built], remarks: list[Remark]) -> Built:
    """Return a map with what is to be said of it. SegmentError where it is larger or deeper than a map may be."""
    nodes, depth = measured(found, MOST_NODES)
    group.budget.spend(nodes)
    if nodes > MOST_NODES or depth > MOST_DEPTH:
        raise SegmentError(f"it is made of {nodes} parts on {depth} levels")
    reason = check_map(found, 1 << 64)
    if reason:
        raise SegmentError(f"it would have {reason}")
    said = dict.fromkeys([*remarks, *(remark for one in used for remark in one.remarks)])
    return Built(found, nodes, tuple(said)[:100])
