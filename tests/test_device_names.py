"""Which volume a device's name means: several disks, clones, logical volumes, encrypted ones, names by order."""

import pytest

from volforensic.collection.devices import plain_name
from volforensic.collection.discoverable import mounts_by_type
from volforensic.collection.mounts import bound_trees, doubtful_mounts, missing_mounts, mounted_trees
from volforensic.collection.namespace import Tree
from volforensic.collection.parsers.identity import FstabEntry
from volforensic.evidence.layout import Volume
from volforensic.evidence.signatures import Filesystem

ROOT = Tree(1, b"", b"")


def volume(index: int, disk: int, number: int, found: Filesystem, **values: object) -> Volume:
    fields = {"kind": "gpt" if number else "whole", "description": "", "offset": 0, "length": 0, **values}
    return Volume(index=index, disk=disk, number=number, filesystem=found, **fields)  # type: ignore[arg-type]


def ext4(uuid: str = "", label: str = "") -> Filesystem:
    return Filesystem(type="ext4", uuid=uuid, label=label)


def xfs(uuid: str = "", label: str = "") -> Filesystem:
    return Filesystem(type="xfs", uuid=uuid, label=label)


LUKS = Filesystem(type="luks", uuid="aaaa-luks", unread="it is encrypted and there is no key")
DISKS = [
    volume(1, 0, 1, ext4("root-1", "cloudimg-rootfs"), uuid="part-1"),
    volume(2, 0, 2, xfs("var-2")),
    volume(3, 1, 1, xfs("data-3", "r??t data")),
    volume(4, 2, 0, xfs("whole-4")),
    volume(5, 3, 1, ext4("home-5"), label="home part"),
    volume(6, 3, 2, LUKS),
    volume(7, 0, 0, ext4("lv-7"), kind="lvm", names=["/dev/vg-0/lv-a", "/dev/mapper/vg--0-lv--a"]),
    volume(
        8, 0, 0, xfs("md-8"), kind="md", uuid="11223344:55667788:99aabbcc:ddeeff00", names=["/dev/md0", "/dev/md/web:0"]
    ),
    volume(9, 3, 0, ext4("in-9"), kind="luks", uuid="aaaa-luks", names=["/dev/mapper/luks-aaaa-luks"]),
]
MAPPINGS = {b"secret": b"UUID=aaaa-luks", b"late": b'UUID="AAAA-luks"', b"gone": b"/dev/sdz9", b"me": b"/dev/mapper/me"}


def mounts(*table: str, is_enabled: bool = True) -> list[FstabEntry]:
    fields = (line.split() for line in table)
    return [FstabEntry(one[0].encode(), one[1].encode(), one[2], one[3], is_enabled=is_enabled) for one in fields]


def trees(volumes: list[Volume]) -> list[Tree]:
    return [Tree(one.index, b"", b"") for one in volumes if one.is_readable]


def joined(*table: str, volumes: list[Volume] = DISKS, root: Tree = ROOT) -> dict[str, int]:
    found = mounted_trees(mounts(*table), root, trees(volumes), volumes, MAPPINGS)
    return {tree.mount_point.decode(): tree.volume for tree in found}


def missing(*table: str, volumes: list[Volume] = DISKS) -> list[str]:
    found = missing_mounts(mounts(*table), ROOT, trees(volumes), volumes, MAPPINGS)
    return [mount.device.decode() for mount in found]


def doubts(*table: str, volumes: list[Volume] = DISKS, root: Tree = ROOT) -> str:
    return "; ".join(doubtful_mounts(mounts(*table), root, volumes, MAPPINGS))


@pytest.mark.parametrize(
    ("device", "index"),
    [
        ("UUID=home-5", 5), ("UUID=HOME-5", 5), ("uuid=home-5", 5), ("UUID='home-5'", 5),
        ("/dev/disk/by-partlabel/home\\x20part", 5), ("/dev/vg-0/lv-a", 7), ("/dev/mapper/vg--0-lv--a", 7),
        ("/dev/disk/by-id/dm-name-vg--0-lv--a", 7), ("/dev/md0", 8), ("/dev/md/web:0", 8), ("/dev/md127", 8),
        ("/dev/disk/by-id/md-uuid-11223344:55667788:99aabbcc:ddeeff00", 8), ("/dev/mapper/secret", 9),
        ("/dev/mapper/late", 9), ("/dev/mapper/luks-aaaa-luks", 9), ("/dev/disk/by-id/dm-name-secret", 9),
    ],
)  # fmt: skip
def test_names_that_say_what_they_mean(device: str, index: int) -> None:
    assert joined(f"{device} /srv auto defaults") == {"/srv": index}
    assert missing(f"{device} /srv auto defaults") == []
    assert doubts(f"{device} /srv auto defaults") == ""


def test_a_label_that_is_not_ascii() -> None:
    mount = FstabEntry("LABEL=röt data".encode("latin-1").replace(b"t ", b"t "), b"/srv", "xfs", "defaults")
    label = [volume(3, 1, 1, xfs("data-3", "r?t data"))]
    (tree,) = mounted_trees([mount], ROOT, trees(label), label)
    assert tree.volume == 3


def test_an_encrypted_volume_without_a_key_is_not_called_missing() -> None:
    locked = DISKS[:6]
    assert joined("/dev/mapper/secret /srv ext4 defaults", volumes=locked) == {}
    assert missing("/dev/mapper/secret /srv ext4 defaults", volumes=locked) == []
    assert missing("/dev/mapper/gone /srv ext4 x", "/dev/mapper/me /m ext4 x") == ["/dev/mapper/gone", "/dev/mapper/me"]


def test_disks_by_order_are_told_apart_by_what_lies_on_them() -> None:
    table = ("/dev/sda1 / ext4 defaults", "/dev/sda2 /var xfs x", "/dev/sdb1 /data xfs x", "/dev/sdd1 /home ext4 x")
    assert joined(*table) == {"/var": 2, "/data": 3, "/home": 5}
    assert missing(*table, "/dev/sde1 /x btrfs x") == ["/dev/sde1"]
    assert doubts(*table) == ""


@pytest.mark.parametrize("device", ["/dev/sdc", "/dev/xvdf", "/dev/nvme1n1", "/dev/disk/by-id/google-data"])
def test_a_whole_disk_is_a_filesystem(device: str) -> None:
    assert joined("UUID=root-1 / ext4 x", f"{device} /srv xfs x") == {"/srv": 4}


def test_the_first_disk_is_the_roots() -> None:
    assert joined("UUID=root-1 / ext4 x", "/dev/nvme0n1p2 /var xfs x", "/dev/nvme1n1p1 /data xfs x") == {
        "/var": 2,
        "/data": 3,
    }


def test_disks_that_are_alike_are_taken_in_their_order_and_that_is_told() -> None:
    alike = [DISKS[0], volume(2, 1, 1, xfs("a")), volume(3, 2, 1, xfs("b"))]
    table = ("UUID=root-1 / ext4 x", "/dev/sdb1 /a xfs x", "/dev/sdc1 /b xfs x")
    assert joined(*table, volumes=alike) == {"/a": 2, "/b": 3}
    assert "can be the volumes 2, 3: volume 2 was taken" in doubts(*table, volumes=alike)
    by_uuid = ("UUID=root-1 / ext4 x", "UUID=b /b xfs x", "/dev/sdc1 /a xfs x")
    assert joined(*by_uuid, volumes=alike) == {"/a": 2, "/b": 3}
    assert doubts(*by_uuid, volumes=alike) == ""


def test_of_clones_the_one_on_the_roots_disk_is_taken() -> None:
    clones = [
        volume(1, 0, 1, ext4("r")), volume(2, 0, 2, xfs("v")), volume(3, 1, 1, ext4("r")), volume(4, 1, 2, xfs("v")),
    ]  # fmt: skip
    assert joined("UUID=v /var xfs x", volumes=clones) == {"/var": 2}
    assert joined("UUID=v /var xfs x", volumes=clones, root=Tree(3, b"", b"")) == {"/var": 4}
    assert doubts("UUID=v /var xfs x", volumes=clones) == ""
    twice = [*clones, volume(5, 0, 3, xfs("v"))]
    assert "can be the volumes 2, 5, 4: volume 2 was taken" in doubts("UUID=v /var xfs x", volumes=twice)


def test_dm_numbers_are_found_by_elimination() -> None:
    assert joined("/dev/dm-1 /srv ext4 x", "/dev/mapper/secret /home ext4 x") == {"/srv": 7, "/home": 9}
    assert "can be the volumes 7, 9" in doubts("/dev/dm-1 /srv ext4 x")


def test_what_is_mounted_later_is_no_loss() -> None:
    assert missing("UUID=x /a ext4 noauto,x-systemd.automount", "UUID=y /b ext4 noauto") == ["UUID=x"]
    disabled = mounts("UUID=x /a ext4 x", is_enabled=False)
    assert not list(missing_mounts(disabled, ROOT, [ROOT], DISKS))


def test_images_in_files_are_told_once() -> None:
    table = ("/var/lib/snapd/snaps/core_1.snap /snap/core/1 squashfs x", "/a.iso /mnt iso9660 loop,ro")
    assert missing(*table) == []
    assert "2 mounts are of filesystems in files (/var/lib/snapd/snaps/core_1.snap, /a.iso)" in doubts(*table)


def test_bind_mounts_show_directories_elsewhere() -> None:
    mounted = [ROOT, Tree(2, b"/@data", b"/data", 256)]
    found = bound_trees(
        mounts("/data/home /home none bind", "/home/x /srv/y none rbind,x-systemd.requires=/home", "/ /z none bind",
               "/etc / none bind", "relative /r none bind", "/data /d ext4 x"),
        mounted,
    )  # fmt: skip
    assert list(found) == [Tree(2, b"/@data/home", b"/home", 256), Tree(2, b"/@data/home/x", b"/srv/y", 256)]
    assert len(list(bound_trees(mounts(*(f"/a{one} /b{one} none bind" for one in range(500))), mounted))) == 64


def test_partitions_that_are_mounted_by_their_type_alone() -> None:
    home, srv = "933ac7e1-2eb4-4f13-b844-0e14e2aef915", "3b8f8425-20e0-4f3b-907f-1a25a76f98e8"
    volumes = [
        DISKS[0],
        volume(2, 0, 2, xfs(), uuid="p2", description=f"gpt partition 2, type {home}"),
        volume(3, 0, 3, xfs(), uuid="p3", description=f"gpt partition 3, type {home}"),
        volume(4, 0, 4, xfs(), uuid="p4", description=f"gpt partition 4, type {srv}"),
        volume(5, 1, 1, xfs(), uuid="p5", description="gpt partition 1, type 4d21b016-b534-45c2-a9fb-5c16e091fd2d"),
    ]
    found = list(mounts_by_type(mounts("UUID=x /srv/ xfs x"), ROOT, volumes))
    assert [(mount.device, mount.mount_point) for mount in found] == [(b"PARTUUID=p2", b"/home")]


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        (b"/dev/vg0/root", b"/dev/mapper/vg0-root"),
        (b"/dev/my-vg/my-lv", b"/dev/mapper/my--vg-my--lv"),
        (b"/dev/disk/by-id/dm-name-a\\x2fb", b"/dev/mapper/a/b"),
        (b"/dev/md/0", b"/dev/md/0"),
        (b"/dev/sda1", b"/dev/sda1"),
        (b"/dev/a/b/c", b"/dev/a/b/c"),
        (b"", b""),
    ],
)
def test_spellings(name: bytes, plain: bytes) -> None:
    assert plain_name(name) == plain


def test_nonsense_raises_nothing_and_ends() -> None:
    table = [f"/dev/sd{chr(97 + one % 26)}{one} /m{one} auto x" for one in range(3000)]
    assert isinstance(joined(*table), dict)
    assert "only the first 2000" in doubts(*table)
