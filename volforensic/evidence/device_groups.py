"""Volumes that are the devices of one filesystem: the first of them stands for it, the others are parts of that."""

from collections.abc import Iterable

import msgspec

from volforensic.evidence.devices import DeviceRange
from volforensic.evidence.layout import Volume


def with_devices(volumes: Iterable[Volume]) -> list[Volume]:
    """Return the volumes with those of a btrfs on several devices put together, by UUID and number.

    The volume with the lowest index holds the devices and is read; each of the others has it as its part and is not.
    Where a number comes twice (a disk and its copy) nobody knows which belong together: they stay alone.
    """
    groups: dict[str, list[Volume]] = {}
    found = list(volumes)
    for volume in found:
        if volume.is_readable and volume.filesystem is not None and volume.filesystem.devices > 1:
            groups.setdefault(volume.filesystem.uuid, []).append(volume)
    changed: dict[int, Volume] = {}
    for group in groups.values():
        first, *others = members = sorted(group, key=lambda volume: volume.index)
        devices = [
            DeviceRange(number=volume.filesystem.device, offset=volume.offset, length=volume.length)
            for volume in members
            if volume.filesystem is not None
        ]
        if not others or len({device.number for device in devices}) < len(devices):
            continue
        changed[first.index] = msgspec.structs.replace(first, devices=devices)
        for volume in others:
            changed[volume.index] = msgspec.structs.replace(volume, parts=[first.index])
    return [changed.get(volume.index, volume) for volume in found]
