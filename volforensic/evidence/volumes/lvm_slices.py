"""Maps put together and cut: what the segments of a logical volume are made of."""

import msgspec

from volforensic.evidence import maps
from volforensic.evidence.volumes.map_facts import map_length


class SegmentError(ValueError):
    """A segment cannot be read, with the reason."""


def joined(parts: list[maps.Map]) -> maps.Map:
    """Return maps one after the other; runs that follow each other become one, a single one stays what it is."""
    flat: list[maps.Map] = []
    for part in parts:
        for piece in part.parts if isinstance(part, maps.Joined) else [part]:
            last = flat[-1] if flat else None
            if (
                isinstance(last, maps.Run)
                and isinstance(piece, maps.Run)
                and last.address + last.length == piece.address
            ):
                flat[-1] = maps.Run(last.address, last.length + piece.length)
            else:
                flat.append(piece)
    return flat[0] if len(flat) == 1 else maps.Joined(flat)


def sliced(found: maps.Map, offset: int, length: int) -> maps.Map:
    """Return a part of a map. SegmentError where it goes past its end, or begins inside what cannot be cut."""
    whole = map_length(found)
    if offset < 0 or length <= 0 or offset + length > whole:
        raise SegmentError(f"{length} bytes from byte {offset} on of something that has {whole}")
    if not offset and length == whole:
        return found
    match found:
        case maps.Run(address=address):
            return maps.Run(address + offset, length)
        case maps.Joined(parts=parts):
            return joined(_cut_parts(parts, offset, length))
        case maps.Mirrored(members=members):
            return maps.Mirrored([sliced(member, offset, length) for member in members], length)
        case maps.Striped():
            return _cut_stripes(found, offset, length)
    if offset and not isinstance(found, maps.Missing | maps.Zeros):
        raise SegmentError("it begins in the middle of an array, a thin volume or a snapshot")
    return msgspec.structs.replace(found, length=length)


def _cut_stripes(found: maps.Striped, offset: int, length: int) -> maps.Map:
    count = len(found.members)
    if offset % (found.chunk * count):
        raise SegmentError("it begins in the middle of a stripe of another volume")
    start = offset // count
    members = [sliced(member, start, map_length(member) - start) for member in found.members]
    return maps.Striped(members, found.chunk, length)


def _cut_parts(parts: list[maps.Map], offset: int, length: int) -> list[maps.Map]:
    pieces = []
    for part in parts:
        own = map_length(part)
        begin, end = max(offset, 0), min(offset + length, own)
        if begin < end:
            pieces.append(sliced(part, begin, end - begin))
        offset -= own
        if offset + length <= 0:
            break
    return pieces
