"""What a host mounts, found again among the volumes of the evidence. Source: fstab(5), mount(8), btrfs(5)."""

import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from volforensic.collection.devices import Found, Names, disk_name, may_be, of_partition, unnumbered_kinds
from volforensic.collection.disk_order import Order, Wish, disks_by_name
from volforensic.collection.namespace import Tree, is_under
from volforensic.collection.parsers.identity import FstabEntry
from volforensic.evidence.layout import Volume
from volforensic.record import text

_NO_LOCAL_FILES = (
    "swap none ignore tmpfs ramfs proc sysfs devpts devtmpfs cgroup cgroup2 securityfs debugfs tracefs bpf pstore"
    " hugetlbfs mqueue configfs efivarfs fusectl binfmt_misc autofs overlay"
    " nfs nfs4 cifs smbfs smb3 efs lustre ceph glusterfs 9p virtiofs vboxsf afs sshfs davfs"
)
_WITHOUT_FILES = frozenset(_NO_LOCAL_FILES.split())
_REMOVABLE = (b"/dev/sr", b"/dev/cdrom", b"/dev/fd", b"LABEL=cidata")
_TOP_LEVEL = {"0", "5"}
_MOST_BINDS = 64
_MOST_MOUNTS = 2000
_NO_MAPPINGS: Mapping[bytes, bytes] = {}


def mounted_trees(
    mounts: Sequence[FstabEntry],
    root: Tree,
    free: Sequence[Tree],
    volumes: Sequence[Volume],
    mappings: Mapping[bytes, bytes] = _NO_MAPPINGS,
) -> Iterator[Tree]:
    """Yield the trees among ``free`` that the mounts claim, each with its mount point; the first claim counts.

    ``mappings`` are crypttab's: names below /dev/mapper and the devices that are encrypted.
    """
    claimed: set[tuple[int, bytes]] = {root.place}
    devices = _Devices.of(mounts, root, volumes, mappings)
    for mount in _of_files(mounts):
        volume = devices.volume_of(mount)
        place = _mount_point(mount)
        if volume is None or place == b"/":
            continue
        for tree in free:
            if _is_meant(mount, volume, tree) and tree.place not in claimed:
                claimed.add(tree.place)
                yield tree._replace(mount_point=place)


def missing_mounts(
    mounts: Sequence[FstabEntry],
    root: Tree,
    trees: Sequence[Tree],
    volumes: Sequence[Volume],
    mappings: Mapping[bytes, bytes] = _NO_MAPPINGS,
) -> Iterator[FstabEntry]:
    """Yield the mounts whose filesystem (or subvolume) is not in this evidence; ``trees`` are all that are."""
    devices = _Devices.of(mounts, root, volumes, mappings)
    for mount in _of_files(mounts):
        if not _is_expected(mount) or mount.device.startswith(_REMOVABLE) or _mount_point(mount) == b"/":
            continue
        volume = devices.volume_of(mount)
        is_seen = volume is not None and (
            not volume.is_readable or any(_is_meant(mount, volume, tree) for tree in trees)
        )
        if not is_seen:
            yield mount


def doubtful_mounts(
    mounts: Sequence[FstabEntry],
    root: Tree,
    volumes: Sequence[Volume],
    mappings: Mapping[bytes, bytes] = _NO_MAPPINGS,
) -> Iterator[str]:
    """Yield a sentence for each mount whose device could be another volume as well, and for images in files."""
    devices = _Devices.of(mounts, root, volumes, mappings)
    for mount in _of_files(mounts):
        found = devices.found(mount)
        if found.is_doubtful:
            which = ", ".join(str(volume.index) for volume in found.volumes)
            chosen = f"volume {found.volumes[0].index} was taken"
            yield f"{text(mount.device)}, mounted on {text(mount.mount_point)}, can be the volumes {which}: {chosen}"
    if len(mounts) > _MOST_MOUNTS:
        yield f"{len(mounts)} mounts: only the first {_MOST_MOUNTS} were followed"
    images = [mount for mount in mounts if _is_image(mount)]
    if images:
        names = ", ".join(text(mount.device) for mount in images[:3])
        yield f"{len(images)} mounts are of filesystems in files ({names}), which are not opened"


def bound_trees(mounts: Sequence[FstabEntry], trees: Sequence[Tree]) -> Iterator[Tree]:
    """Yield the directories that bind mounts show elsewhere, as trees; ``trees`` are what is mounted."""
    known = list(trees)
    for mount in mounts:
        if len(known) - len(trees) >= _MOST_BINDS:
            return
        source, place = _normal(mount.device), _mount_point(mount)
        if not _is_bind(mount) or not mount.device.startswith(b"/") or b"/" in (source, place):
            continue
        outer = max((tree for tree in known if is_under(source, tree.mount_point)), key=_depth, default=None)
        if outer is not None:
            inside = outer.prefix + source[len(outer.mount_point) :]
            known.append(outer._replace(prefix=inside, mount_point=place))
            yield known[-1]


class _Devices(NamedTuple):
    """What the devices of one host's mounts mean."""

    volumes: Sequence[Volume]
    names: Names
    order: Order
    taken: frozenset[int]

    @classmethod
    def of(
        cls, mounts: Sequence[FstabEntry], root: Tree, volumes: Sequence[Volume], mappings: Mapping[bytes, bytes]
    ) -> "_Devices":
        home = next((volume.disk for volume in volumes if volume.index == root.volume), 0)
        names = Names.of(volumes, home, mappings)
        wishes, taken = [], set[int]()
        for mount in _of_files(mounts):
            found = names.meant(mount.device)
            name = disk_name(mount.device)
            taken |= {volume.index for volume in found.volumes[:1]}
            if not found.volumes and name is not None:
                wishes.append(Wish(name, mount.type, _mount_point(mount) == b"/"))
        taken.discard(root.volume)
        order = disks_by_name(wishes, volumes, root.volume, frozenset(taken))
        return cls(volumes, names, order, frozenset(taken | {root.volume}))

    def volume_of(self, mount: FstabEntry) -> Volume | None:
        return next(iter(self.found(mount).volumes), None)

    def found(self, mount: FstabEntry) -> Found:
        found = self.names.meant(mount.device)
        name = disk_name(mount.device)
        kinds = unnumbered_kinds(mount.device)
        if not found.volumes and kinds:
            fitting = [volume for volume in self.volumes if volume.kind in kinds and may_be(volume, mount.type)]
            fitting = [volume for volume in fitting if volume.index not in self.taken]
            return Found(fitting, len(fitting) > 1)
        if found.volumes or name is None or name.disk not in self.order.disks:
            return found
        return self._on_disk(name.number, name.disk, mount.type)

    def _on_disk(self, number: int, name: bytes, kind: str) -> Found:
        chosen = of_partition(self.volumes, self.order.disks[name], number)
        if chosen is None:
            return Found([])
        if name not in self.order.doubtful:
            return Found([chosen])
        disks = sorted({volume.disk for volume in self.volumes} - {chosen.disk})
        others = [of_partition(self.volumes, disk, number) for disk in disks]
        fitting = [one for one in others if one is not None and may_be(one, kind) and one.index not in self.taken]
        return Found([chosen, *fitting], is_doubtful=bool(fitting))


def _of_files(mounts: Iterable[FstabEntry]) -> Iterator[FstabEntry]:
    for mount in islice(mounts, _MOST_MOUNTS):
        is_local = mount.type not in _WITHOUT_FILES and not mount.type.startswith("fuse")
        if is_local and mount.mount_point.startswith(b"/") and not _is_bind(mount) and not _is_image(mount):
            yield mount


def _is_bind(mount: FstabEntry) -> bool:
    return bool({"bind", "rbind"} & set(mount.options.split(",")))


def _is_image(mount: FstabEntry) -> bool:
    """Return whether a filesystem in a file is mounted: a snap, an ISO 9660 image."""
    is_file = mount.device.startswith(b"/") and not mount.device.startswith(b"/dev/")
    return is_file and not _is_bind(mount) and mount.type not in _WITHOUT_FILES and not mount.type.startswith("fuse")


def _is_expected(mount: FstabEntry) -> bool:
    """Return whether a running host has it mounted, or mounts it when somebody looks."""
    options = mount.options.split(",")
    return mount.is_enabled and ("noauto" not in options or "x-systemd.automount" in options)


def _mount_point(mount: FstabEntry) -> bytes:
    return _normal(mount.mount_point)


def _normal(path: bytes) -> bytes:
    return b"/" + posixpath.normpath(path).lstrip(b"/")


def _depth(tree: Tree) -> int:
    return len(tree.mount_point)


def _is_meant(mount: FstabEntry, volume: Volume, tree: Tree) -> bool:
    """Return whether a mount of this volume means this tree: the whole of it, or the subvolume that is named."""
    if tree.volume != volume.index:
        return False
    options = dict(option.partition("=")[::2] for option in mount.options.split(","))
    path, number = options.get("subvol", "").strip("/"), options.get("subvolid", "")
    if path:
        return tree.prefix == b"/" + path.encode("utf-8", "surrogateescape")
    if number and number not in _TOP_LEVEL:
        return str(tree.subvolume) == number
    return not tree.prefix
