"""Which disk of the evidence /dev/sdb is: by what must lie on it, by what is taken, at last by the order given.

The kernel names disks in the order in which it meets them. An image does not say it: only the partitions that fstab
wants on a disk, and their filesystems, tell disks apart.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from volforensic.collection.devices import DiskName, may_be, of_partition
from volforensic.evidence.layout import Volume

_FIRST = {b"/dev/sda", b"/dev/vda", b"/dev/xvda", b"/dev/hda", b"/dev/nvme0n1", b"/dev/mmcblk0"}


class Wish(NamedTuple):
    """A name by the kernel's order in a host's configuration, the type it is mounted as, whether it is the root."""

    name: DiskName
    type: str
    is_root: bool


class Order(NamedTuple):
    """The disk that each disk's name means, and the names where another would have done as well."""

    disks: Mapping[bytes, int]
    doubtful: frozenset[bytes]


def disks_by_name(wishes: Sequence[Wish], volumes: Sequence[Volume], root: int, taken: frozenset[int]) -> Order:
    """Return which disks the names mean.

    ``root`` is the index of the volume that is the root, ``taken`` are volumes that other names already mean.
    """
    home = next((volume.disk for volume in volumes if volume.index == root), 0)
    own = {wish.name.disk for wish in wishes if wish.is_root}
    possible: dict[bytes, list[int]] = {}
    for name in sorted({wish.name.disk for wish in wishes}):
        if name in own:
            possible[name] = [home]
            continue
        wanted = [wish for wish in wishes if wish.name.disk == name]
        disks = sorted({volume.disk for volume in volumes})
        fitting = [disk for disk in disks if _fits(wanted, volumes, disk, taken | {root})]
        possible[name] = _likely(name, fitting, home, is_home_taken=bool(own))
    return _settled(possible)


def _fits(wanted: Sequence[Wish], volumes: Sequence[Volume], disk: int, taken: frozenset[int]) -> bool:
    for wish in wanted:
        volume = of_partition(volumes, disk, wish.name.number)
        if volume is None or volume.index in taken or not may_be(volume, wish.type):
            return False
    return True


def _likely(name: bytes, fitting: list[int], home: int, *, is_home_taken: bool) -> list[int]:
    """Return the possible disks, the likeliest first: the first disk's name means the root's, another's another."""
    if name in _FIRST and home in fitting and not is_home_taken:
        return [home]
    others = [disk for disk in fitting if disk != home]
    return others if others or is_home_taken else fitting


def _settled(possible: dict[bytes, list[int]]) -> Order:
    disks: dict[bytes, int] = {}
    doubtful: set[bytes] = set()
    while possible:
        left = {name: [disk for disk in found if disk not in disks.values()] for name, found in possible.items()}
        name = min(left, key=lambda one: (len(left[one]) != 1, one))
        if len(left[name]) > 1:
            doubtful.add(name)
        if left[name]:
            disks[name] = left[name][0]
        del possible[name]
    return Order(disks, frozenset(doubtful))
