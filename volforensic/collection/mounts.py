"""What a host's fstab mounts, found again among the volumes of the evidence. Source: fstab(5), mount(8), btrfs(5)."""

import posixpath
import re
from collections.abc import Iterator, Sequence

from volforensic.collection.namespace import Tree
from volforensic.collection.parsers.identity import FstabEntry
from volforensic.evidence.layout import Volume

_PARTITION = re.compile(
    rb"/dev/(sd[a-z]{1,3}|vd[a-z]{1,2}|xvd[a-z]{1,2}|hd[a-z]|nvme\d{1,4}n\d{1,4}p|mmcblk\d{1,4}p)(\d{1,4})"
)
_BY_NAME = re.compile(rb"/dev/disk/by-(uuid|label|partuuid|partlabel)/(.{1,255})", re.DOTALL)
_NO_LOCAL_FILES = (
    "swap none ignore tmpfs ramfs proc sysfs devpts devtmpfs cgroup cgroup2 securityfs debugfs tracefs bpf pstore"
    " hugetlbfs mqueue configfs efivarfs fusectl binfmt_misc autofs overlay"
    " nfs nfs4 cifs smbfs smb3 efs lustre ceph glusterfs 9p virtiofs vboxsf afs sshfs davfs"
)
_WITHOUT_FILES = frozenset(_NO_LOCAL_FILES.split())
_REMOVABLE = (b"/dev/sr", b"/dev/cdrom", b"/dev/fd", b"LABEL=cidata")
_TOP_LEVEL = {"0", "5"}


def mounted_trees(
    mounts: Sequence[FstabEntry], root: Tree, free: Sequence[Tree], volumes: Sequence[Volume]
) -> Iterator[Tree]:
    """Yield the trees among ``free`` that the mounts claim, each with its mount point; the first claim counts."""
    claimed: set[tuple[int, bytes]] = {root.place}
    for mount in _of_files(mounts):
        volume = _volume_of(mount, mounts, root, volumes)
        place = _mount_point(mount)
        if volume is None or place == b"/":
            continue
        for tree in free:
            if _is_meant(mount, volume, tree) and tree.place not in claimed:
                claimed.add(tree.place)
                yield tree._replace(mount_point=place)


def missing_mounts(
    mounts: Sequence[FstabEntry], root: Tree, trees: Sequence[Tree], volumes: Sequence[Volume]
) -> Iterator[FstabEntry]:
    """Yield the mounts whose filesystem (or subvolume) is not in this evidence; ``trees`` are all that are."""
    for mount in _of_files(mounts):
        if "noauto" in mount.options.split(",") or mount.device.startswith(_REMOVABLE) or _mount_point(mount) == b"/":
            continue
        volume = _volume_of(mount, mounts, root, volumes)
        is_seen = volume is not None and (
            not volume.is_readable or any(_is_meant(mount, volume, tree) for tree in trees)
        )
        if not is_seen:
            yield mount


def _of_files(mounts: Sequence[FstabEntry]) -> Iterator[FstabEntry]:
    for mount in mounts:
        is_bind = {"bind", "rbind"} & set(mount.options.split(","))
        is_local = mount.type not in _WITHOUT_FILES and not mount.type.startswith("fuse")
        if is_local and mount.mount_point.startswith(b"/") and not is_bind:
            yield mount


def _mount_point(mount: FstabEntry) -> bytes:
    return b"/" + posixpath.normpath(mount.mount_point).lstrip(b"/")


def _is_meant(mount: FstabEntry, volume: Volume, tree: Tree) -> bool:
    """Return whether a mount of this volume means this tree: the whole of it, or the subvolume that is named."""
    if tree.volume != volume.index:
        return False
    options = dict(option.partition("=")[::2] for option in mount.options.split(","))
    path, number = options.get("subvol", "").strip("/"), options.get("subvolid", "")
    if path:
        return tree.prefix == b"/" + path.encode()
    if number and number not in _TOP_LEVEL:
        return str(tree.subvolume) == number
    return not tree.prefix


def _volume_of(mount: FstabEntry, mounts: Sequence[FstabEntry], root: Tree, volumes: Sequence[Volume]) -> Volume | None:
    key, _, value = mount.device.partition(b"=")
    wanted = value.strip(b"\"'").decode("utf-8", "replace")
    by_name = _BY_NAME.fullmatch(mount.device)
    if by_name:
        key, wanted = by_name[1].upper(), by_name[2].decode("utf-8", "replace")
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
    return _by_number(mount, mounts, root, volumes)


def _by_number(mount: FstabEntry, mounts: Sequence[FstabEntry], root: Tree, volumes: Sequence[Volume]) -> Volume | None:
    """Return the volume that /dev/sdaN means, where the disk can be the one that the evidence is.

    The evidence is one disk, the one that holds the root. Where fstab gives the root by such a name too, the disks must
    be the same; where it does not, the number must be another than the root's and the type right.
    """
    partition = _PARTITION.fullmatch(mount.device)
    volume = next((one for one in volumes if partition and one.number == int(partition[2])), None)
    if partition is None or volume is None:
        return None
    at_root = next((_PARTITION.fullmatch(one.device) for one in mounts if _mount_point(one) == b"/"), None)
    if at_root:
        return volume if at_root[1] == partition[1] else None
    kind = volume.filesystem.type if volume.filesystem else ""
    is_possible = volume.index != root.volume and mount.type in ("auto", kind)
    return volume if is_possible or _mount_point(mount) == b"/" else None
