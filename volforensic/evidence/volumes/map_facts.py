"""What can be said of a map without reading anything: its length, which addresses it reads, which bytes are missing."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from volforensic.evidence import maps

_PARITY = {0: 0, 4: 1, 5: 1, 6: 2}


class LostRange(NamedTuple):
    """Bytes of a volume that are not in the evidence, and why."""

    offset: int
    length: int
    reason: str


def children(found: maps.Map) -> Sequence[maps.Map]:
    """Return the maps that a map is made of."""
    if isinstance(found, maps.Run | maps.Missing | maps.Zeros):
        return ()
    below: Sequence[maps.Map | None] = []
    match found:
        case maps.Joined(parts=parts):
            return parts
        case maps.Striped(members=members) | maps.Mirrored(members=members):
            return members
        case maps.Raid(members=with_gaps):
            below = with_gaps
        case maps.Thin():
            below = [found.metadata, found.data, found.origin]
        case maps.Snapshot():
            below = [found.origin, found.store]
        case maps.Crypt():
            below = [found.data]
    return [one for one in below if one is not None]


def map_length(found: maps.Map) -> int:
    """Return how many bytes a map gives."""
    return sum(map(map_length, found.parts)) if isinstance(found, maps.Joined) else found.length


def measured(found: maps.Map, most: int) -> tuple[int, int]:
    """Return how many nodes a map has and how many levels; it stops counting above ``most`` nodes."""
    nodes, deepest = 0, 0
    waiting = [(found, 1)]
    while waiting and nodes <= most:
        node, depth = waiting.pop()
        nodes += 1
        deepest = max(deepest, depth)
        waiting += [(child, depth + 1) for child in children(node)]
    return nodes + len(waiting), deepest


def runs(found: maps.Map) -> Iterator[maps.Run]:
    """Yield the runs of addresses that a map can read."""
    waiting = [found]
    while waiting:
        node = waiting.pop()
        if isinstance(node, maps.Run):
            yield node
        waiting += children(node)


def lost_ranges(found: maps.Map) -> list[LostRange]:
    """Return what of a map cannot be read because members are missing, in order; neighbours are one.

    Where only a part of a stripe, an array or a pool is lost, its whole range is given: every so many bytes of it.
    """
    merged: list[LostRange] = []
    for offset, length, reason in _lost(found):
        last = merged[-1] if merged else LostRange(0, 0, "")
        if last.offset + last.length == offset and last.reason == reason:
            merged[-1] = LostRange(last.offset, last.length + length, reason)
        else:
            merged.append(LostRange(offset, length, reason))
    return merged


def _lost(found: maps.Map) -> Iterator[LostRange]:
    if isinstance(found, maps.Missing):
        yield LostRange(0, found.length, found.reason)
    elif isinstance(found, maps.Joined):
        offset = 0
        for part in found.parts:
            for lost in _lost(part):
                yield LostRange(offset + lost.offset, lost.length, lost.reason)
            offset += map_length(part)
    elif reason := _loss_of_whole(found):
        yield LostRange(0, map_length(found), reason)


def _loss_of_whole(found: maps.Map) -> str:
    if isinstance(found, maps.Raid):
        return _raid_loss(found)
    reasons = [_first_reason(child) for child in children(found)]
    is_mirror = isinstance(found, maps.Mirrored)
    is_lost = bool(reasons) and (all(reasons) if is_mirror else any(reasons))
    return next(filter(None, reasons)) if is_lost else ""


def _first_reason(found: maps.Map) -> str:
    return next((lost.reason for lost in _lost(found)), "")


def _raid_loss(found: maps.Raid) -> str:
    """Return why an array cannot give all its bytes, "" where its redundancy makes up for what is missing."""
    reasons = ["a member is missing" if member is None else _first_reason(member) for member in found.members]
    lost = [place for place, reason in enumerate(reasons) if reason]
    if not lost:
        return ""
    near = found.layout & 0xFF
    if found.level == 10 and found.layout >> 8 & 0xFF == 1 and near and not len(reasons) % near:
        groups = [reasons[start : start + near] for start in range(0, len(reasons), near)]
        return reasons[lost[0]] if any(all(group) for group in groups) else ""
    spare = {1: len(reasons) - 1, 10: max(1, near * (found.layout >> 8 & 0xFF)) - 1}.get(found.level)
    spare = _PARITY.get(found.level, 0) if spare is None else spare
    return reasons[lost[0]] if len(lost) > spare else ""
