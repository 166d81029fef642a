"""Partitions that systemd mounts by their type alone, where nothing else is mounted there.

Sources: systemd-gpt-auto-generator(8) and the UAPI group's Discoverable Partitions Specification: on the disk of the
root, the first partition of the type.
"""

import posixpath
from collections.abc import Iterator, Sequence

from volforensic.collection.namespace import Tree
from volforensic.collection.parsers.identity import FstabEntry
from volforensic.evidence.layout import Volume

_PLACES = {
    "933ac7e1-2eb4-4f13-b844-0e14e2aef915": b"/home",
    "3b8f8425-20e0-4f3b-907f-1a25a76f98e8": b"/srv",
    "4d21b016-b534-45c2-a9fb-5c16e091fd2d": b"/var",
    "7ec6f557-3bc5-4aca-b293-16ef5df639d1": b"/var/tmp",
    "8484680c-9521-48c6-9c11-b0720656f69e": b"/usr",
    "b0e01050-ee5f-4390-949a-9101b17104e9": b"/usr",
    "bc13c2ff-59e6-4262-a352-b275fd6f7172": b"/boot",
}


def mounts_by_type(mounts: Sequence[FstabEntry], root: Tree, volumes: Sequence[Volume]) -> Iterator[FstabEntry]:
    """Yield what a host mounts without being told: a disabled mount each, which is not missed where it is not there."""
    home = next((volume.disk for volume in volumes if volume.index == root.volume), None)
    taken = {posixpath.normpath(mount.mount_point) for mount in mounts}
    for volume in volumes:
        place = _PLACES.get(volume.description.rpartition(" ")[2])
        if place is None or volume.kind != "gpt" or volume.disk != home or place in taken or not volume.uuid:
            continue
        taken.add(place)
        device = b"PARTUUID=" + volume.uuid.encode("ascii", "replace")
        yield FstabEntry(device, place, "auto", "defaults", is_enabled=False)
