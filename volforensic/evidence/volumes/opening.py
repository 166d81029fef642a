"""A map made readable: one medium for each kind, opened from the leaves up."""

from collections.abc import Callable, Sequence

from volforensic.evidence import maps
from volforensic.evidence.volumes.crypt import open_crypt
from volforensic.evidence.volumes.joined import JoinedMedium, MissingMedium, RunMedium, ZeroMedium
from volforensic.evidence.volumes.mirrored import MirroredMedium
from volforensic.evidence.volumes.raid import open_raid
from volforensic.evidence.volumes.snapshot import SnapshotMedium
from volforensic.evidence.volumes.striped import StripedMedium
from volforensic.evidence.volumes.thin import ThinMedium
from volforensic.evidence.volumes.thin_pool import ThinPool
from volforensic.medium import Medium


def open_map(found: maps.Map, space: Medium, keys: Sequence[bytes] = ()) -> Medium:
    """Return the bytes that a map describes; ``space`` is what its addresses are in, ``keys`` what its keys count.

    The map is one that ``check_map`` found nothing against: its depth bounds the calls. Nothing is read yet, or what
    is read and found damaged is told with the first read.

    Raises:
        ValueError: Where the map needs a key that is not there, or cannot be.
    """

    def opened(inner: maps.Map) -> Medium:
        return open_map(inner, space, keys)

    match found:
        case maps.Run(address=address, length=length):
            medium: Medium = RunMedium(space, address, length)
        case maps.Missing(length=length, reason=reason):
            medium = MissingMedium(length, reason)
        case maps.Zeros(length=length):
            medium = ZeroMedium(length)
        case maps.Joined(parts=parts):
            medium = JoinedMedium([opened(part) for part in parts])
        case maps.Raid(members=members):
            medium = open_raid(found, [None if member is None else opened(member) for member in members])
        case maps.Crypt(data=data, key=key):
            if not 0 <= key < len(keys):
                raise ValueError(f"key {key} of an encrypted volume is not there")
            medium = open_crypt(found, opened(data), keys[key])
        case _:
            medium = _open_layer(found, opened)
    return medium


def _open_layer(
    found: maps.Striped | maps.Mirrored | maps.Thin | maps.Snapshot, opened: Callable[[maps.Map], Medium]
) -> Medium:
    """Open what device-mapper alone makes."""
    match found:
        case maps.Striped(members=members, chunk=chunk, length=length):
            return StripedMedium([opened(member) for member in members], chunk, length)
        case maps.Mirrored(members=members, length=length):
            return MirroredMedium([opened(member) for member in members], length)
        case maps.Snapshot(origin=origin, store=store):
            return SnapshotMedium(opened(origin), opened(store), found.chunk, found.length)
        case maps.Thin(metadata=metadata, data=data, origin=origin):
            pool = ThinPool(opened(metadata), found.chunk)
            return ThinMedium(
                pool, opened(data), found.device, found.length, None if origin is None else opened(origin)
            )
