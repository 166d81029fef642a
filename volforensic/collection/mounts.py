"""What a host's fstab mounts, found again among the volumes of the evidence. Source: fstab(5), btrfs(5)."""

import re
from collections.abc import Iterator, Sequence

import msgspec

from volforensic.collection.namespace import Tree
from volforensic.evidence.layout import Volume

_PARTITION_NUMBER = re.compile(
    rb"/dev/(?:sd[a-z]|vd[a-z]|xvd[a-z]|hd[a-z]|nvme\d{1,4}n\d{1,4}p|mmcblk\d{1,4}p)(\d{1,4})"
)
_WITHOUT_FILES = {
    "swap",
    "tmpfs",
    "proc",
    "sysfs",
    "devpts",
    "devtmpfs",
    "none",
    "nfs",
    "nfs4",
    "cifs",
    "cgroup",
    "efs",
}
_REMOVABLE = (b"/dev/sr", b"/dev/cdrom", b"/dev/fd", b"LABEL=cidata")


class Mount(msgspec.Struct, frozen=True, kw_only=True):
    """A line of fstab."""

    device: bytes
    mount_point: bytes
    type: str
    options: str


def mounted_trees(
    mounts: Sequence[Mount], root: Tree, free: Sequence[Tree], volumes: Sequence[Volume]
) -> Iterator[Tree]:
    """Yield the trees among ``free`` that the mounts claim, each with its mount point; the first claim counts."""
    claimed: set[tuple[int, bytes]] = {(root.volume, root.prefix)}
    for mount in _of_files(mounts):
        volume = _volume_of(mount.device, volumes)
        if volume is None or mount.mount_point == b"/":
            continue
        prefix = _subvolume(mount.options)
        for tree in free:
            place = tree.volume, tree.prefix
            if place == (volume.index, prefix) and place not in claimed:
                claimed.add(place)
                yield tree._replace(mount_point=b"/" + mount.mount_point.strip(b"/"))


def missing_mounts(mounts: Sequence[Mount], volumes: Sequence[Volume]) -> Iterator[Mount]:
    """Yield the mounts whose filesystem is not in this evidence."""
    for mount in _of_files(mounts):
        optional = {"noauto"} & set(mount.options.split(","))
        if not optional and not mount.device.startswith(_REMOVABLE) and _volume_of(mount.device, volumes) is None:
            yield mount


def _of_files(mounts: Sequence[Mount]) -> Iterator[Mount]:
    for mount in mounts:
        is_bind = {"bind", "rbind"} & set(mount.options.split(","))
        if mount.type not in _WITHOUT_FILES and mount.mount_point.startswith(b"/") and not is_bind:
            yield mount


def _volume_of(device: bytes, volumes: Sequence[Volume]) -> Volume | None:
    key, _, value = device.partition(b"=")
    wanted = value.strip(b"\"'").decode("utf-8", "replace")
    by_id = re.fullmatch(rb"/dev/disk/by-(uuid|label|partuuid|partlabel)/(.{1,255})", device)
    if by_id:
        key, wanted = by_id[1].upper(), by_id[2].decode("utf-8", "replace")
    number = _PARTITION_NUMBER.fullmatch(device)
    for volume in volumes:
        found = volume.filesystem
        names = {
            b"UUID": found.uuid if found else "",
            b"LABEL": found.label if found else "",
            b"PARTUUID": volume.uuid,
            b"PARTLABEL": volume.label,
        }
        if names.get(key) and names[key].casefold() == wanted.casefold():
            return volume
        # The evidence is one disk, so a partition's number says which it was, whatever the disk was called.
        if number and volume.number == int(number[1]):
            return volume
    return None


def _subvolume(options: str) -> bytes:
    """Return the subvolume that the options name as a path from the top level, ``b""`` for none."""
    for option in options.split(","):
        key, _, value = option.partition("=")
        if key == "subvol" and value.strip("/"):
            return b"/" + value.strip("/").encode()
    return b""
