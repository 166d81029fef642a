"""The types of LVM2 segments: what each is made of, and what cannot be read of it.

Source: the text_import functions of lvm2's lib/striped, mirror, raid, thin, cache_segtype, writecache, integrity and
snapshot; lvmraid(7), lvmthin(7), lvmcache(7); the table of RAID types in the kernel's drivers/md/dm-raid.c. Chunks and
stripes count in sectors of 512 bytes, areas in extents.
"""

from collections.abc import Callable

from volforensic.evidence import maps
from volforensic.evidence.volumes.lvm_caches import read_cache, read_write_cache
from volforensic.evidence.volumes.lvm_group import Remark, Segment
from volforensic.evidence.volumes.lvm_metadata import number, string, strings
from volforensic.evidence.volumes.lvm_raid import member_states
from volforensic.evidence.volumes.lvm_slices import SegmentError
from volforensic.evidence.volumes.map_check import MOST_MEMBERS
from volforensic.evidence.volumes.map_facts import map_length

_SECTOR = 512
_KNOWN_FLAGS = {"CACHE_USES_CACHEVOL", "METADATA_FORMAT"}
_PARITY = {5: 1, 6: 2}
_MD_LAYOUTS = {
    "raid1": (1, 0),
    "raid4": (5, 4),  # dm-raid keeps its parity on the first member, as md's level 5 with layout parity-first does
    "raid5": (5, 2),
    "raid5_la": (5, 0),
    "raid5_ra": (5, 1),
    "raid5_ls": (5, 2),
    "raid5_rs": (5, 3),
    "raid5_0": (5, 4),
    "raid5_n": (5, 5),
    "raid6": (6, 8),
    "raid6_zr": (6, 8),
    "raid6_nr": (6, 9),
    "raid6_nc": (6, 10),
    "raid6_la_6": (6, 16),
    "raid6_ra_6": (6, 17),
    "raid6_ls_6": (6, 18),
    "raid6_rs_6": (6, 19),
    "raid6_0_6": (6, 20),
    "raid6_n_6": (6, 5),
    "raid10": (10, 0x100),
    "raid10_near": (10, 0x100),
}


def segment_map(segment: Segment) -> maps.Map:
    """Return the map of a segment. SegmentError where it cannot be read, MetadataError where a number is none."""
    kind, _, flags = string(segment.section, "type").partition("+")
    reader = _READERS.get(kind)
    unknown = sorted({flag for flag in flags.split("+") if flag} - _KNOWN_FLAGS)
    if reader is None:
        raise SegmentError(f"segments of type {kind or 'without a name':.64} are not supported")
    if unknown:
        raise SegmentError(f"segments of type {kind}+{unknown[0]:.64} are not supported")
    return reader(segment)


def _areas(segment: Segment, key: str, count: int, length: int) -> list[maps.Map]:
    """Return the areas of a list of names and extents, each ``length`` bytes."""
    values = segment.section.get(key)
    values = values if isinstance(values, list) else []
    if not 0 < count <= MOST_MEMBERS or len(values) != 2 * count:
        raise SegmentError(f"it has {count} {key}, and {len(values)} names and places of them")
    return [segment.area(values[place], values[place + 1], length) for place in range(0, 2 * count, 2)]


def _striped(segment: Segment) -> maps.Map:
    count = number(segment.section, "stripe_count", default=1, most=MOST_MEMBERS)
    if not count or segment.length % count:
        raise SegmentError(f"{segment.length} bytes are dealt out to {count} stripes")
    members = _areas(segment, "stripes", count, segment.length // count)
    return members[0] if count == 1 else maps.Striped(members, _chunk(segment, "stripe_size"), segment.length)


def _chunk(segment: Segment, key: str) -> int:
    sectors = number(segment.section, key, most=1 << 31)
    if not sectors:
        raise SegmentError(f"its {key} is 0")
    return sectors * _SECTOR


def _mirror(segment: Segment) -> maps.Map:
    """Return an old mirror, also the one that ``pvmove`` makes: its first member has all data, always."""
    count = number(segment.section, "mirror_count", most=MOST_MEMBERS)
    members = _areas(segment, "mirrors", count, segment.length)
    if isinstance(members[0], maps.Missing):
        reason = "the first member of its mirror is missing; whether the others have all changes is not known"
        segment.remarks.append(Remark(reason, lost=True))
    return maps.Mirrored(members, segment.length)


def _raid0(segment: Segment) -> maps.Map:
    names = strings(segment.section, "raid0_lvs") or strings(segment.section, "raids")[1::2]
    count = number(segment.section, "stripe_count", default=len(names), most=MOST_MEMBERS)
    if not names or count != len(names) or segment.length % count:
        raise SegmentError(f"{segment.length} bytes are dealt out to {count} stripes on {len(names)} volumes")
    members = [segment.area(name, 0, segment.length // count) for name in names]
    return maps.Striped(members, _chunk(segment, "stripe_size"), segment.length)


def _raid(segment: Segment) -> maps.Map:
    section = segment.section
    level, layout = _MD_LAYOUTS[string(section, "type").partition("+")[0]]
    names = strings(section, "raids")
    metas, images = names[::2], names[1::2]
    if len(metas) != len(images) or not 0 < len(images) <= MOST_MEMBERS:
        raise SegmentError(f"it is an array on {len(images)} volumes")
    if number(section, "reshape_count", default=0) or number(section, "data_offset", default=0):
        raise SegmentError("arrays that are reshaped are not supported")
    if level == 10:
        layout |= number(section, "data_copies", default=2, most=255)
    members = _present(segment, metas, images, spare=_spare(level, layout, len(images)))
    chunk = 0 if level == 1 else _chunk(segment, "stripe_size")
    _check_raid(segment, level, layout, members)
    return maps.Raid(level, layout, chunk, members, segment.length)


def _spare(level: int, layout: int, count: int) -> int:
    """Return how many members an array can do without, at least."""
    return {1: count - 1, 10: (layout & 0xFF) - 1}.get(level, _PARITY.get(level, 0))


def _present(segment: Segment, metas: list[str], images: list[str], spare: int) -> list[maps.Map | None]:
    """Return the members that are whole, None for the others; all that are there where too many are not whole."""
    members = [segment.volume(name) for name in images]
    states = member_states(segment.group.space, [segment.volume(name) for name in metas])
    gone = {place: member.reason for place, member in enumerate(members) if isinstance(member, maps.Missing)}
    stale = {place: state for place, state in enumerate(states) if state and place not in gone}
    if stale and len(stale) + len(gone) > spare:
        reason = f"{len(stale)} members of its array are out of date, and it cannot do without them: {stale}"
        segment.remarks.append(Remark(f"{reason:.500}", lost=True))
        stale = {}
    for place, reason in (gone | stale).items():
        segment.remarks.append(Remark(f"{images[place]:.128} is left out of its array: {reason}", lost=False))
    return [None if place in gone | stale else member for place, member in enumerate(members)]


def _check_raid(segment: Segment, level: int, layout: int, members: list[maps.Map | None]) -> None:
    """Raise SegmentError where the members have no room for the array's bytes."""
    present = [map_length(member) for member in members if member is not None]
    copies = (layout & 0xFF) if level == 10 else 1
    data = 1 if level == 1 else len(members) - _PARITY.get(level, 0)
    if not present:
        raise SegmentError("all members of its array are missing")
    if data <= 0 or not copies or segment.length * copies > data * min(present):
        raise SegmentError(f"an array of {segment.length} bytes on {len(members)} members of {min(present)}")


def _thin(segment: Segment) -> maps.Map:
    """Return a thin volume: the pool is the volume that it names, whose one segment names metadata and data."""
    name = string(segment.section, "thin_pool")
    pool = segment.group.volumes.get(name, {}).get("segment1")
    if not isinstance(pool, dict) or string(pool, "type").partition("+")[0] != "thin-pool":
        raise SegmentError(f"its pool {name:.128} is not in the metadata")
    chunk = number(pool, "chunk_size", most=1 << 21) * _SECTOR
    if not chunk:
        raise SegmentError("its pool has blocks of 0 bytes")
    external = string(segment.section, "external_origin")
    if string(segment.section, "merge"):
        segment.remarks.append(Remark("a snapshot was about to be merged into it or its origin", lost=False))
    return maps.Thin(
        metadata=segment.volume(string(pool, "metadata")),
        data=segment.volume(string(pool, "pool")),
        device=number(segment.section, "device_id", most=1 << 24),
        chunk=chunk,
        length=segment.length,
        origin=segment.volume(external) if external else None,
    )


def _integrity(segment: Segment) -> maps.Map:
    """Return the data below dm-integrity, which lies as it is where the checksums have a device of their own."""
    if not string(segment.section, "meta_dev"):
        raise SegmentError("integrity without a volume for its metadata is not supported")
    if string(segment.section, "mode") != "B":
        segment.remarks.append(Remark("the journal of its integrity was not read: it may hold newer bytes", lost=True))
    return segment.area(string(segment.section, "origin"), 0, segment.length)


def _zeros(segment: Segment) -> maps.Map:
    return maps.Zeros(segment.length)


def _error(segment: Segment) -> maps.Map:
    return maps.Missing(segment.length, f"it is a volume of errors in volume group {segment.group.name}")


_READERS: dict[str, Callable[[Segment], maps.Map]] = {
    "striped": _striped,
    "linear": _striped,
    "mirror": _mirror,
    "raid0": _raid0,
    "raid0_meta": _raid0,
    "thin": _thin,
    "cache": read_cache,
    "writecache": read_write_cache,
    "integrity": _integrity,
    "zero": _zeros,
    "error": _error,
    **dict.fromkeys(_MD_LAYOUTS, _raid),
}
