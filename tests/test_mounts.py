"""Lines of fstab and the volumes and subvolumes that they mean."""

import pytest

from volforensic.collection.mounts import missing_mounts, mounted_trees
from volforensic.collection.namespace import Tree
from volforensic.collection.parsers.identity import FstabEntry
from volforensic.evidence.layout import Volume
from volforensic.evidence.signatures import Filesystem

ROOT = Tree(1, b"", b"")
ROOT_UUID, VAR_UUID = "11111111-aaaa-4000-8000-000000000001", "ABCD-0002"


def filesystem(kind: str, uuid: str = "", label: str = "") -> Filesystem:
    return Filesystem(type=kind, uuid=uuid, label=label)


def volume(number: int, found: Filesystem | None, uuid: str = "", label: str = "") -> Volume:
    return Volume(
        index=number, offset=0, length=0, kind="gpt", description="", label=label, uuid=uuid, number=number,
        filesystem=found,
    )  # fmt: skip


VOLUMES = [
    volume(1, filesystem("ext4", ROOT_UUID, "root"), "0a-1", "system"),
    volume(2, filesystem("xfs", VAR_UUID, "logs"), "0a-2", "variable data"),
    volume(3, filesystem("btrfs", "b3", "pool"), "0a-3"),
    volume(4, filesystem("LVM2_member", "n4")),
]
FREE = [
    Tree(2, b"", b""),
    Tree(3, b"", b"", 0),
    Tree(3, b"/@home", b"", 257),
    Tree(3, b"/@/var", b"", 258),
    Tree(3, b"/root/snap", b"", 300),
]


def mounts(*table: str) -> list[FstabEntry]:
    made = []
    for line in table:
        device, place, kind, options = line.split()
        made.append(FstabEntry(device=device.encode(), mount_point=place.encode(), type=kind, options=options))
    return made


def claimed(*table: str) -> list[tuple[int, str, str]]:
    trees = mounted_trees(mounts(*table), ROOT, FREE, VOLUMES)
    return [(tree.volume, tree.prefix.decode(), tree.mount_point.decode()) for tree in trees]


def missing(*table: str) -> list[str]:
    return [mount.device.decode() for mount in missing_mounts(mounts(*table), ROOT, [ROOT, *FREE], VOLUMES)]


@pytest.mark.parametrize(
    "device",
    [
        f"UUID={VAR_UUID}", f"UUID={VAR_UUID.lower()}", f'UUID="{VAR_UUID}"', "LABEL=logs", "PARTUUID=0a-2",
        "PARTUUID=0A-2", f"/dev/disk/by-uuid/{VAR_UUID}", "/dev/disk/by-label/logs", "/dev/disk/by-partuuid/0a-2",
        "/dev/disk/by-partlabel/variable data", "/dev/sda2", "/dev/vda2", "/dev/xvda2", "/dev/nvme0n1p2",
        "/dev/mmcblk0p2",
    ],
)  # fmt: skip
def test_the_ways_to_name_a_device(device: str) -> None:
    mount = FstabEntry(device=device.encode(), mount_point=b"/var", type="xfs", options="defaults")
    (tree,) = mounted_trees([mount], ROOT, FREE, VOLUMES)
    assert tree == Tree(2, b"", b"/var")
    assert not list(missing_mounts([mount], ROOT, [ROOT, *FREE], VOLUMES))


@pytest.mark.parametrize(
    ("options", "prefix"),
    [
        ("subvol=@home", "/@home"),
        ("defaults,subvol=/@home,noatime", "/@home"),
        ("subvol=/@/var/", "/@/var"),
        ("subvolid=257", "/@home"),
        ("subvolid=300,compress=zstd:1", "/root/snap"),
        ("subvol=@home,subvolid=257", "/@home"),
        ("subvolid=5", ""),
        ("subvol=/", ""),
        ("defaults", ""),
    ],
)
def test_the_ways_to_name_a_subvolume(options: str, prefix: str) -> None:
    assert claimed(f"UUID=b3 /data btrfs {options}") == [(3, prefix, "/data")]


@pytest.mark.parametrize(
    "options", ["subvol=@nothing", "subvolid=999", "subvolid=", "subvol=@home/../@", "subvolid=2570"]
)
def test_a_subvolume_that_is_not_there(options: str) -> None:
    found = claimed(f"UUID=b3 /data btrfs {options}")
    assert found in ([], [(3, "", "/data")])
    assert (missing(f"UUID=b3 /data btrfs {options}") == ["UUID=b3"]) is (found == [])


def test_a_tree_is_claimed_once_and_the_root_never() -> None:
    assert claimed(f"UUID={VAR_UUID} /var xfs defaults", f"UUID={VAR_UUID} /mnt xfs defaults") == [(2, "", "/var")]
    assert claimed(f"UUID={ROOT_UUID} / ext4 defaults", f"UUID={ROOT_UUID} /again ext4 defaults") == []
    assert missing(f"UUID={ROOT_UUID} / ext4 defaults", f"UUID={ROOT_UUID} /again ext4 defaults") == []


@pytest.mark.parametrize("place", ["/var/", "//var", "/./var", "/srv/../var", "/../var"])
def test_mount_points_are_normalised(place: str) -> None:
    assert claimed(f"LABEL=logs {place} xfs defaults") == [(2, "", "/var")]


def test_what_has_no_files_of_the_evidence_is_passed_over() -> None:
    lines = [
        "UUID=x none swap sw", "tmpfs /tmp tmpfs size=1g", "server:/export /data nfs4 rw", "//s/share /mnt cifs ro",
        "/srv/a /srv/b none bind", "/srv/a /srv/c ext4 rw,bind", "fs-1:/ /efs efs _netdev", "s3fs#b /b fuse.s3fs rw",
        "/dev/sr0 /cdrom iso9660 ro", "UUID=gone /old ext4 noauto", "LABEL=logs relative xfs rw",
        "/dev/fd0 /floppy auto rw",
    ]  # fmt: skip
    assert claimed(*lines) == []
    assert missing(*lines) == []


def test_what_is_not_in_the_evidence_is_told() -> None:
    assert missing(
        "UUID=elsewhere /data ext4 nofail", "/dev/mapper/vg-var /var ext4 defaults", "UUID=n4 /win ntfs ro"
    ) == ["UUID=elsewhere", "/dev/mapper/vg-var"]


def test_another_disk_is_not_taken_for_this_one() -> None:
    root = "/dev/sda1 / ext4 defaults"
    assert claimed(root, "/dev/sdb2 /data xfs defaults") == []
    assert missing(root, "/dev/sdb2 /data xfs defaults") == ["/dev/sdb2"]
    assert claimed(root, "/dev/sda2 /data xfs defaults") == [(2, "", "/data")]
    by_uuid = f"UUID={ROOT_UUID} / ext4 defaults"
    assert missing(by_uuid, "/dev/xvdf1 /data ext4 defaults") == ["/dev/xvdf1"]
    assert claimed(by_uuid, "/dev/sdb2 /data ext4 defaults") == []


def test_nonsense_raises_nothing() -> None:
    lines = [
        "UUID= / x y",
        "= /x ext4 =",
        "UUID=\x00 /x ext4 ,,=,",
        "/dev/sda99999 /x ext4 -",
        "/dev/disk/by-uuid/ /x ext4 -",
    ]
    assert claimed(*lines) == []
    assert len(missing(*lines)) == 4
