r"""What a device's name in a host's configuration means among the volumes of the evidence.

Sources: fstab(5), crypttab(5), udev's 60-persistent-storage.rules (/dev/disk/by-*, ``\xNN`` for what is no plain
character), lvm(8) (a name's hyphen is doubled in /dev/mapper), md(4).
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from volforensic.evidence.layout import Volume

_TAG = re.compile(rb"(UUID|LABEL|PARTUUID|PARTLABEL)=(.{1,255})", re.DOTALL | re.IGNORECASE)
_BY_TAG = re.compile(rb"/dev/disk/by-(uuid|label|partuuid|partlabel)/(.{1,1024})", re.DOTALL)
_BY_ARRAY = re.compile(rb"/dev/disk/by-id/md-uuid-([0-9a-fA-F:-]{1,64})")
_DISK = re.compile(rb"(/dev/(?:sd[a-z]{1,3}|vd[a-z]{1,2}|xvd[a-z]{1,2}|hd[a-z]))(\d{0,4})")
_DISK_P = re.compile(rb"(/dev/(?:nvme\d{1,4}n\d{1,4}|mmcblk\d{1,4}))(?:p(\d{1,4}))?")
_DISK_LINK = re.compile(
    rb"(/dev/disk/(?!by-(?:uuid|label|partuuid|partlabel)/).{1,512}?)(?:-part(\d{1,4}))?", re.DOTALL
)
_MAPPED_LINK = re.compile(rb"/dev/disk/by-id/dm-name-(.{1,512})", re.DOTALL)
_LOGICAL = re.compile(rb"/dev/([A-Za-z0-9+_.][A-Za-z0-9+_.-]{0,127})/([A-Za-z0-9+_.][A-Za-z0-9+_.-]{0,127})")
_NO_GROUPS = {b"mapper", b"disk", b"md", b"block", b"char", b"shm", b"pts", b"input", b"cciss", b"dm", b"loop"}
_UNNUMBERED = re.compile(rb"/dev/(dm-|md_?d?)\d{1,4}")
_UDEV_ESCAPE = re.compile(rb"\\x([0-9a-fA-F]{2})")
_TABLES = ("gpt", "mbr")
_MAPPED = {"lvm", "md", "luks"}


class DiskName(NamedTuple):
    """A name that says disk and partition by the kernel's order: the disk's name, the number (0: the whole disk)."""

    disk: bytes
    number: int


class Found(NamedTuple):
    """The volumes that a name can mean, the likeliest first, and whether more than one is as likely."""

    volumes: Sequence[Volume]
    is_doubtful: bool = False


class Names(NamedTuple):
    """Names that say what they mean: tags and what the evidence itself calls a volume. ``home`` is the root's disk.

    ``mappings`` are those of crypttab: the name below /dev/mapper, and the device that is encrypted.
    """

    home: int
    mappings: Mapping[bytes, bytes]
    tags: Mapping[tuple[str, str], Sequence[Volume]]
    names: Mapping[bytes, Sequence[Volume]]

    @classmethod
    def of(cls, volumes: Iterable[Volume], home: int, mappings: Mapping[bytes, bytes]) -> "Names":
        """Index the volumes by what they are called."""
        tags: dict[tuple[str, str], list[Volume]] = {}
        names: dict[bytes, list[Volume]] = {}
        for volume in volumes:
            for key, value in _tags(volume):
                tags.setdefault((key, value.casefold()), []).append(volume)
            for name in {plain_name(name.encode("utf-8", "surrogateescape")) for name in volume.names}:
                names.setdefault(name, []).append(volume)
        return cls(home, mappings, tags, names)

    def meant(self, device: bytes) -> Found:
        """Return what a device's name means; nothing where it is one that the kernel gave by the order of disks."""
        found = self._by_tag(device) or self._by_name(device)
        if not found:
            found = self._unlocked(plain_name(device).removeprefix(b"/dev/mapper/"))
        ranked = sorted(found, key=self._rank)
        is_doubtful = len(ranked) > 1 and ranked[1].is_readable and _likeness(ranked[0]) == _likeness(ranked[1])
        return Found(ranked, is_doubtful)

    def _rank(self, volume: Volume) -> tuple[bool, bool, bool, int]:
        return not volume.is_readable, volume.disk != self.home, volume.kind not in _MAPPED, volume.index

    def _by_tag(self, device: bytes) -> list[Volume]:
        tag, link = _TAG.fullmatch(device), _BY_TAG.fullmatch(device)
        if tag:
            key, wanted = tag[1].upper().decode(), tag[2].strip(b"\"'")
        elif link:
            key, wanted = link[1].upper().decode(), _UDEV_ESCAPE.sub(lambda each: bytes([int(each[1], 16)]), link[2])
        else:
            return []
        shown = _shown(key, wanted)
        found = self.tags.get((key, shown.casefold()), ())
        return [volume for volume in found if (key, shown) in _tags(volume)] or list(found)

    def _by_name(self, device: bytes) -> list[Volume]:
        array = _BY_ARRAY.fullmatch(device)
        if array:
            return list(self.tags.get(("MD", _digits(array[1].decode())), ()))
        return list(self.names.get(plain_name(device), ()))

    def _unlocked(self, name: bytes) -> list[Volume]:
        """Return what crypttab calls by a name: the volume that was unlocked, else the one that is still encrypted."""
        source = self.mappings.get(name)
        if source is None:
            return []
        locked = self._by_tag(source) or self._by_name(source)
        uuids = {volume.filesystem.uuid.casefold() for volume in locked if volume.filesystem and volume.filesystem.uuid}
        if not locked and _TAG.fullmatch(source):
            uuids = {source.partition(b"=")[2].strip(b"\"'").decode("ascii", "replace").casefold()}
        opened = [volume for uuid in sorted(uuids) for volume in self.tags.get(("LUKS", uuid), ())]
        return opened or locked


def plain_name(device: bytes) -> bytes:
    """Return one name for the spellings of one device: a logical volume's is that of /dev/mapper."""
    link = _MAPPED_LINK.fullmatch(device)
    if link:
        return b"/dev/mapper/" + _UDEV_ESCAPE.sub(lambda each: bytes([int(each[1], 16)]), link[1])
    logical = _LOGICAL.fullmatch(device)
    if logical and logical[1] not in _NO_GROUPS:
        return b"/dev/mapper/" + logical[1].replace(b"-", b"--") + b"-" + logical[2].replace(b"-", b"--")
    return device


def disk_name(device: bytes) -> DiskName | None:
    """Return disk and number where the name is one by the kernel's order, or by a path or serial we do not know."""
    if plain_name(device) != device or _BY_ARRAY.fullmatch(device):
        return None
    for pattern in (_DISK, _DISK_P, _DISK_LINK):
        match = pattern.fullmatch(device)
        if match:
            return DiskName(match[1], int(match[2] or 0))
    return None


def unnumbered_kinds(device: bytes) -> set[str]:
    """Return the kinds of volumes that a name like /dev/dm-0 or /dev/md127 can mean; none for other names."""
    match = _UNNUMBERED.fullmatch(device)
    if match is None:
        return set()
    return {"lvm", "luks"} if match[1] == b"dm-" else {"md"}


def of_partition(volumes: Iterable[Volume], disk: int, number: int) -> Volume | None:
    """Return the partition of a disk by its number, the whole disk for 0."""
    kinds = _TABLES if number else ("whole",)
    fitting = (one for one in volumes if one.disk == disk and one.number == number and one.kind in kinds)
    return next(fitting, None)


def may_be(volume: Volume, kind: str) -> bool:
    """Return whether a volume can be mounted as a filesystem of this type."""
    found = volume.filesystem.type if volume.filesystem is not None else ""
    if found.startswith("ext") and kind.startswith("ext"):
        return True
    return (
        kind in {"auto", found} or (found == "fat" and kind in {"vfat", "msdos"}) or (found, kind) == ("ntfs", "ntfs3")
    )


def _likeness(volume: Volume) -> tuple[bool, int, bool]:
    return volume.is_readable, volume.disk, volume.kind in _MAPPED


def _tags(volume: Volume) -> Iterator[tuple[str, str]]:
    """Yield what a volume can be called by: MD and LUKS are not words of fstab, but UUIDs of their own."""
    found, is_mapped = volume.filesystem, volume.kind in _MAPPED
    tags = [
        ("UUID", found.uuid if found else ""),
        ("LABEL", found.label if found else ""),
        ("PARTUUID", "" if is_mapped else volume.uuid),
        ("PARTLABEL", "" if is_mapped else volume.label),
        ("MD", _digits(volume.uuid) if volume.kind == "md" else ""),
        ("LUKS", volume.uuid if volume.kind == "luks" else ""),
    ]
    yield from ((key, value) for key, value in tags if value)


def _shown(key: str, wanted: bytes) -> str:
    """Return a label as superblocks' labels are shown here: what is no plain character is a question mark."""
    if key == "LABEL":
        return re.sub(rb"[^\x20-\x7e]", b"?", wanted).decode("ascii").rstrip()
    return wanted.decode("utf-8", "replace")


def _digits(value: str) -> str:
    return re.sub(r"[^0-9a-f]", "", value.lower())
