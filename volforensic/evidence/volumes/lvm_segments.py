"""The logical volumes of a group as maps: built from their segments, those that others are made of first.

Source: lvm2's lib/format_text/import_vsn1.c. A volume is a list of segments that follow each other without a gap.
"""

from collections.abc import Iterator, Mapping

from volforensic.evidence import maps
from volforensic.evidence.volumes.lvm_group import Built, Group, Remark, Segment, finished
from volforensic.evidence.volumes.lvm_metadata import MetadataError, Section, number, string, strings
from volforensic.evidence.volumes.lvm_slices import SegmentError, joined
from volforensic.evidence.volumes.lvm_types import segment_map
from volforensic.evidence.volumes.map_facts import map_length

POOLS = {"thin-pool", "cache-pool"}
_MOST_SEGMENTS = 1 << 16
_LONGEST = 1 << 60
_THIN_PARTS = ("thin_pool", "external_origin")
_PARTS = (
    *("stripes", "mirrors", "raids", "raid0_lvs"),
    *("metadata", "pool", "data", "cache_pool", "writecache"),
    *("origin", "cow_store", "merging_store"),
)


def segments_of(volume: Section) -> list[Section]:
    """Return a logical volume's segments in order. MetadataError where there are not as many as it says."""
    count = number(volume, "segment_count", most=_MOST_SEGMENTS)
    found = [volume.get(f"segment{place}") for place in range(1, count + 1)]
    segments = [segment for segment in found if isinstance(segment, dict)]
    if not segments or len(segments) < count:
        raise MetadataError(f"it has {len(segments)} of {count} segments")
    return segments


def segment_type(volume: Section) -> str:
    """Return the type of a volume's first segment, without its flags."""
    first = volume.get("segment1")
    return string(first, "type").partition("+")[0] if isinstance(first, dict) else ""


def words_of(volume: Section) -> Iterator[str]:
    """Yield every string in a volume's segments: the names of whatever it may have to do with are among them."""
    for segment in volume.values():
        if isinstance(segment, dict):
            for key in segment:
                yield from strings(segment, key)


def build_all(group: Group) -> dict[str, Built | str]:
    """Return for each logical volume its map, or why it has none. What a volume is made of is built before it."""
    built: dict[str, Built | str] = {}
    on_the_way: set[str] = set()
    for name in group.volumes:
        waiting = [name]
        while waiting:
            current = waiting[-1]
            if current in built:
                waiting.pop()
            elif current in on_the_way:
                built[current] = _build(group, group.volumes[current], built)
            else:
                on_the_way.add(current)
                needed = sorted(_needed(group, group.volumes[current]) - built.keys())
                if on_the_way.isdisjoint(needed):
                    waiting += needed
                else:
                    built[current] = "it is made of itself"
    return built


def _needed(group: Group, volume: Section) -> set[str]:
    """Return the names of the volumes that a volume is made of."""
    names: set[str] = set()
    for segment in volume.values():
        if isinstance(segment, dict):
            keys = _THIN_PARTS if string(segment, "type") == "thin" else _PARTS
            names.update(name for key in keys for name in strings(segment, key))
    return (names & group.volumes.keys()) - group.places.keys()


def _build(group: Group, volume: Section, built: Mapping[str, Built | str]) -> Built | str:
    if segment_type(volume) in POOLS | {"snapshot"}:
        return f"it is of type {segment_type(volume)}"
    used: list[Built] = []
    remarks: list[Remark] = []
    parts: list[maps.Map] = []
    extent = 0
    try:
        for section in segments_of(volume):
            start, count = number(section, "start_extent"), number(section, "extent_count", most=_LONGEST)
            length = count * group.extent_size
            if start != extent or not 0 < length <= _LONGEST:
                return f"a segment of {count} extents begins at extent {start}, not at {extent}"
            found = segment_map(Segment(group, built, section, length, used, remarks))
            if map_length(found) != length:
                return f"a segment of {length} bytes is made of {map_length(found)}"
            parts.append(found)
            extent += count
        return finished(group, joined(parts), used, remarks)
    except (SegmentError, MetadataError) as error:
        return str(error)


def build_snapshots(group: Group, built: Mapping[str, Built | str]) -> dict[str, Built | str]:
    """Return the old snapshots by the name of their store; one that is being merged by that of its origin."""
    found: dict[str, Built | str] = {}
    for volume in group.volumes.values():
        section = volume.get("segment1")
        if segment_type(volume) != "snapshot" or not isinstance(section, dict):
            continue
        origin, store = string(section, "origin"), string(section, "cow_store")
        merging = string(section, "merging_store")
        used: list[Built] = []
        try:
            length = number(section, "extent_count", most=_LONGEST) * group.extent_size
            segment = Segment(group, built, section, length, used, [])
            below = segment.volume(origin)
            length = min(length, map_length(below))
            chunk = number(section, "chunk_size", most=1 << 21) * 512
            whole = maps.Snapshot(below, segment.volume(store or merging), chunk, length)
            remarks = [Remark("its snapshot was being merged into it: it is read with the changes", lost=False)]
            found[store or origin] = finished(group, whole, used, remarks if merging else [])
        except (SegmentError, MetadataError) as error:
            found[store or origin] = str(error)
    return found
