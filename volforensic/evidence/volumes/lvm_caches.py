"""Volumes with a cache before them: the origin, with the blocks that only the cache holds laid over it.

Source: lvmcache(7), lvm2's lib/cache_segtype and lib/writecache. A cache has volumes of its own for data and
metadata, or both in one (a cachevol), with their places in sectors.
"""

from volforensic.evidence import maps
from volforensic.evidence.volumes.dirty_blocks import HeldBlock, cached_blocks, written_blocks
from volforensic.evidence.volumes.lvm_group import Remark, Segment
from volforensic.evidence.volumes.lvm_metadata import Section, number, string
from volforensic.evidence.volumes.lvm_slices import SegmentError, joined, sliced
from volforensic.evidence.volumes.map_facts import map_length
from volforensic.evidence.volumes.opening import open_map

_SECTOR = 512
_WRITING_THROUGH = {"writethrough", "passthrough"}
_MOST_HELD = 20_000


def read_cache(segment: Segment) -> maps.Map:
    """Return the map of a volume with a dm-cache. Unless all is written through, the cache may hold newer bytes."""
    origin = segment.area(string(segment.section, "origin"), 0, segment.length)
    below = segment.group.volumes.get(string(segment.section, "cache_pool"), {}).get("segment1")
    pool = below if isinstance(below, dict) else {}
    mode = string(segment.section, "cache_mode") or string(pool, "cache_mode")
    if mode in _WRITING_THROUGH:
        return origin
    try:
        metadata, data, chunk = _parts(segment, pool)
        held = cached_blocks(open_map(metadata, segment.group.space), chunk)
        return _laid_over(segment, origin, held, data)
    except (OSError, ValueError) as error:
        return _unread(segment, origin, f"its cache is of mode {mode or 'unknown':.32}", error)


def read_write_cache(segment: Segment) -> maps.Map:
    """Return the map of a volume with a dm-writecache."""
    origin = segment.area(string(segment.section, "origin"), 0, segment.length)
    try:
        data = segment.volume(string(segment.section, "writecache"))
        held = written_blocks(open_map(data, segment.group.space))
        return _laid_over(segment, origin, held, data)
    except (OSError, ValueError) as error:
        return _unread(segment, origin, "it has a write cache", error)


def _parts(segment: Segment, pool: Section) -> tuple[maps.Map, maps.Map, int]:
    """Return the maps of a cache's metadata and data, and the size of its blocks in bytes."""
    section = segment.section
    if "metadata_start" not in section:
        chunk = number(pool, "chunk_size", most=1 << 21) * _SECTOR
        return segment.volume(string(pool, "metadata")), segment.volume(string(pool, "data")), chunk
    whole = segment.volume(string(section, "cache_pool"))
    places = [number(section, key, most=1 << 50) * _SECTOR for key in ("metadata_start", "metadata_len")]
    data = [number(section, key, most=1 << 50) * _SECTOR for key in ("data_start", "data_len")]
    chunk = number(section, "chunk_size", most=1 << 21) * _SECTOR
    return sliced(whole, places[0], places[1]), sliced(whole, data[0], data[1]), chunk


def _laid_over(segment: Segment, origin: maps.Map, held: list[HeldBlock], data: maps.Map) -> maps.Map:
    """Return the origin with the blocks that the cache holds in their places."""
    if not held:
        return origin
    if len(held) > _MOST_HELD:
        raise SegmentError(f"it holds {len(held)} blocks, which is more than is laid over")
    segment.group.budget.spend(len(held) * sum(one.nodes for one in segment.used))
    parts: list[maps.Map] = []
    position = 0
    for block in held:
        length = min(block.length, segment.length - block.position)
        if length <= 0:
            continue
        if block.position < position:
            raise SegmentError("it holds a block twice")
        if block.position > position:
            parts.append(sliced(origin, position, block.position - position))
        parts.append(sliced(data, block.place, length))
        position = block.position + length
    if position < map_length(origin):
        parts.append(sliced(origin, position, map_length(origin) - position))
    segment.remarks.append(Remark(f"{len(held)} blocks were read from its cache: they are newer there", lost=False))
    return joined(parts)


def _unread(segment: Segment, origin: maps.Map, what: str, error: Exception) -> maps.Map:
    reason = (error.strerror if isinstance(error, OSError) else "") or str(error)
    segment.remarks.append(Remark(f"{what}, which may hold newer bytes and was not read: {reason:.300}", lost=True))
    return origin
