"""Flags, device numbers and capabilities of inodes: against the kernel and getcap, and in damaged bytes."""

import fcntl
import os
import shutil
import stat
import struct
import subprocess
from pathlib import Path

import pytest
from loop_mounts import mounted
from test_walk import MAKERS, Walked, empty_image

from images.hostile.ext_disk import Ext
from volforensic.evidence.attributes import EXT_FLAGS, ext_device, xfs_device
from volforensic.evidence.capabilities import capability_text
from volforensic.evidence.superblocks import crc32c
from volforensic.evidence.xfs_attributes import block_attributes, short_attributes

NET_RAW = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)
NAMESPACED = struct.pack("<IIIIII", 0x03000001, 1 << 13, 1 << 12, 0, 0, 100_000)
WITHOUT_EFFECT = struct.pack("<IIIII", 0x02000000, 1 << 13, 1 << 7, 1 << 7, 0)
EVERYTHING = struct.pack("<IIIII", 0x02000001, 0xFFFFFFFF, 0, 0x1FF, 0)
ACCESS_LIST = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", tag, 6, name)
    for tag, name in ((1, 1 << 32 - 1), (2, 1000), (4, 1 << 32 - 1), (16, 1 << 32 - 1), (32, 1 << 32 - 1))
)
GET_FLAGS, SET_FLAGS = 0x80086601, 0x40086602  # FS_IOC_GETFLAGS, FS_IOC_SETFLAGS: linux/fs.h
SHARED_FLAGS = {"immutable": 0x10, "append_only": 0x20, "no_dump": 0x40, "no_atime": 0x80, "synchronous": 0x8}
DEVICES = ((1, 3), (8, 0), (0, 0), (255, 255), (259, 7), (300, 70_000), (510, (1 << 18) - 1))


def set_flags(path: Path, flags: int) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        before = struct.unpack("I", fcntl.ioctl(descriptor, GET_FLAGS, bytes(8))[:4])[0]
        fcntl.ioctl(descriptor, SET_FLAGS, struct.pack("L", before | flags))
    finally:
        os.close(descriptor)


def fill(folder: Path) -> None:
    """Write what has capabilities, flags and device numbers, with attributes of all sizes before and behind."""
    for name, value in {
        "plain": NET_RAW,
        "namespaced": NAMESPACED,
        "without": WITHOUT_EFFECT,
        "everything": EVERYTHING,
    }.items():
        (folder / name).write_text("x")
        os.setxattr(folder / name, "security.capability", value)
    for count, size in ((1, 60), (3, 200), (1, 900), (8, 90), (120, 200)):
        path = folder / f"crowded-{count}-{size}"
        path.write_text("x")
        for number in range(count):
            try:
                os.setxattr(path, f"user.name{number}", bytes([number]) * size)
            except OSError:
                break  # ext has room for one block of them
        try:
            os.setxattr(path, "security.capability", NET_RAW)
        except OSError:
            os.removexattr(path, "user.name0")
            os.setxattr(path, "security.capability", NET_RAW)
    (folder / "listed").write_text("x")
    os.setxattr(folder / "listed", "system.posix_acl_access", ACCESS_LIST)
    for name, flag in SHARED_FLAGS.items():
        (folder / name).write_text("x")
        set_flags(folder / name, flag)
    (folder / "directory").mkdir()
    set_flags(folder / "directory", SHARED_FLAGS["no_dump"] | SHARED_FLAGS["immutable"])
    for major, minor in DEVICES:
        os.mknod(folder / f"c-{major}-{minor}", stat.S_IFCHR | 0o600, os.makedev(major, minor))
        os.mknod(folder / f"b-{major}-{minor}", stat.S_IFBLK | 0o600, os.makedev(major, minor))


def kernel_facts(path: Path) -> tuple[frozenset[str], tuple[int, int] | None, str | None]:
    """Return what the kernel says: the flags that all filesystems share, device number, capabilities by getcap."""
    status = path.lstat()
    if stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
        return frozenset(), (os.major(status.st_rdev), os.minor(status.st_rdev)), None
    descriptor = os.open(path, os.O_RDONLY | os.O_NOATIME)
    try:
        flags = struct.unpack("I", fcntl.ioctl(descriptor, GET_FLAGS, bytes(8))[:4])[0]
    finally:
        os.close(descriptor)
    names = {name for name, flag in SHARED_FLAGS.items() if flags & flag}
    if "system.posix_acl_access" in os.listxattr(path):
        names.add("acl")
    shown = subprocess.run(["getcap", "-n", str(path)], check=True, capture_output=True, text=True).stdout
    return frozenset(names), None, shown.strip().removeprefix(f"{path} ") or None


@pytest.mark.skipif(shutil.which("getcap") is None, reason="getcap (libcap2-bin) is not installed")
@pytest.mark.parametrize("name", ["ext3-2k", "ext4-4k", "ext4-128", "ext4-inline", "xfs", "btrfs"])
def test_flags_devices_and_capabilities_are_those_that_the_kernel_tells(tmp_path: Path, name: str) -> None:
    kind, size, command, options = MAKERS[name]
    image = empty_image(tmp_path, size << 20, *command)
    with mounted(image, tmp_path / "mount") as folder:
        fill(folder)
    with mounted(image, tmp_path / "mount", options) as folder:
        expected = {b"/" + os.fsencode(path.name): kernel_facts(path) for path in folder.iterdir()}
    walked = Walked(image, kind)
    shared = {*SHARED_FLAGS, "acl"}
    found = {
        path: (frozenset(shared & set(entry.attributes)), entry.device, entry.capabilities)
        for path, entry in walked.living().items()
    }
    assert {path: found.get(path) for path in expected} == expected
    assert [entry.problems for entry in walked.entries if entry.problems] == []
    assert expected[b"/plain"][2] == "cap_net_raw=ep"
    assert walked.problems == []


def test_every_flag_of_ext_has_the_name_that_lsattr_gives_it(tmp_path: Path) -> None:
    image = Ext(tmp_path)
    image.debugfs("set_inode_field /etc/passwd flags 0x1000f0")
    entry = Walked(image.path, "ext4").living()[b"/etc/passwd"]
    assert entry.attributes == ("append_only", "immutable", "no_atime", "no_dump", "verity")
    assert entry.row(entry.path)["attributes"] == entry.attributes
    assert len({bit for bit, _ in EXT_FLAGS}) == len(EXT_FLAGS)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (struct.pack("<III", 0x01000001, 1 << 13, 0), "cap_net_raw=ep"),
        (struct.pack("<III", 0x01000000, 0, 1 << 13), "cap_net_raw=i"),
        (NAMESPACED, "cap_net_admin=ei cap_net_raw+ep [rootid=100000]"),
        (EVERYTHING, "=ep"),
        (struct.pack("<IIIII", 0x02000001, 0, 0, 1 << 31, 0), "= 63+ep"),
    ],
)
def test_capabilities_as_getcap_prints_them(value: bytes, text: str) -> None:
    assert capability_text(value) == text


@pytest.mark.parametrize("value", [b"", b"\1", NET_RAW[:-1], NET_RAW + b"\0", b"\0" * 20, b"\xff" * 24])
def test_capabilities_that_cannot_be_are_refused(value: bytes) -> None:
    with pytest.raises(ValueError, match=r"security\.capability has"):
        capability_text(value)


def test_device_numbers_of_both_encodings() -> None:
    assert ext_device(0x0803, 0xFFFFFFFF) == (8, 3)
    assert ext_device(0, 0x11110312) == (0x103, 0x11112)
    assert ext_device(0, 259 << 8 | 7) == (259, 7)
    assert xfs_device(259 << 18 | 7) == (259, 7)


def with_attributes(tmp_path: Path, *commands: str) -> Ext:
    image = Ext(tmp_path, features="metadata_csum,^has_journal")
    (tmp_path / "value").write_bytes(NET_RAW)
    image.debugfs(*commands, f"ea_set -f {tmp_path}/value /bin/tool security.capability")
    return image


def attribute_block(image: Ext) -> int:
    return int(struct.unpack("<I", image.read(image.inode("/bin/tool") + 104, 4))[0])


def problems_of_the_tool(image: Ext) -> tuple[str | None, str]:
    walked = Walked(image.path, "ext4")
    living = walked.living()
    assert living[b"/etc/crontab"].problems == ()
    return living[b"/bin/tool"].capabilities, "; ".join(living[b"/bin/tool"].problems)


def test_damaged_attributes_in_an_ext_inode_are_said(tmp_path: Path) -> None:
    image = with_attributes(tmp_path)
    assert problems_of_the_tool(image) == ("cap_net_raw=ep", "")
    place = image.inode("/bin/tool")
    first = image.read(place, 256).index(b"capability") - 16
    for offset, data, sentence in (
        (2, b"\xf0\xff", "lie outside"),
        (4, b"\x0c\0\0\0", "lie in inode 12 (ea_inode)"),
        (8, b"\xff\xff\0\0", "they have 65535 bytes"),
        (8, b"\x13\0\0\0", "has 19 bytes and is of revision 2"),
        (0, b"\xff", "the list of its extended attributes is damaged"),
    ):
        before = image.read(place + first + offset, len(data))
        image.write(place + first + offset, data)
        text, said = problems_of_the_tool(image)
        assert (text, sentence in said) == (None, True), said
        image.write(place + first + offset, before)


def test_damaged_attributes_in_an_ext_block_are_said(tmp_path: Path) -> None:
    image = with_attributes(tmp_path, f"ea_set /bin/tool user.large {'b' * 300}", f"ea_set /bin/tool user.x {'c' * 60}")
    block = attribute_block(image)
    assert block
    assert problems_of_the_tool(image) == ("cap_net_raw=ep", "")
    image.write(block * 1024 + 900, b"\xee")
    assert "the checksum of the block" in problems_of_the_tool(image)[1]
    image.write(block * 1024, b"\xee")
    text, said = problems_of_the_tool(image)
    assert (text, f"block {block} holds no extended attributes" in said) == (None, True)
    image.write(image.inode("/bin/tool") + 104, b"\xff\xff\xff\x0f")
    assert "lies outside the volume" in problems_of_the_tool(image)[1]


def test_the_attribute_block_that_a_freed_inode_names_is_not_its_own(tmp_path: Path) -> None:
    image = with_attributes(tmp_path, f"ea_set /bin/tool user.large {'b' * 300}", f"ea_set /bin/tool user.x {'c' * 60}")
    block = attribute_block(image)
    number = next(entry.inode for entry in Walked(image.path, "ext4").entries if entry.path == b"/bin/tool")
    image.debugfs("rm /bin/tool", f"set_inode_field <{number}> file_acl {block}")
    for first in (b"\x00\x00\x02\xea", b"another file's bytes"):
        image.write(block * 1024, first)
        (freed,) = (entry for entry in Walked(image.path, "ext4").entries if entry.inode == number)
        assert (freed.allocated, freed.has_inode, freed.capabilities, freed.problems) == (False, True, None, ())


def short_entry(namespace: int, name: bytes, value: bytes) -> bytes:
    return bytes([len(name), len(value), namespace]) + name + value


def short_fork(*entries: bytes, count: int | None = None) -> bytes:
    body = b"".join(entries)
    return struct.pack(">HBx", len(body) + 4, len(entries) if count is None else count) + body


def test_attributes_in_an_xfs_inode() -> None:
    ours, others = short_entry(4, b"capability", NET_RAW), short_entry(0, b"capability", b"user's")
    assert short_attributes(short_fork(others, ours)).capabilities == "cap_net_raw=ep"
    assert short_attributes(short_fork(others, short_entry(0x84, b"capability", NET_RAW))).capabilities is None
    assert short_attributes(short_fork(short_entry(2, b"SGI_ACL_FILE", b"x"))).attributes == ("acl",)
    assert short_attributes(short_fork(ours)[:-1]).problems == ("its extended attributes are cut",)
    assert short_attributes(short_fork(ours, count=255)).problems == ("its extended attributes are cut",)
    assert "are damaged" in short_attributes(short_fork(short_entry(4, b"capability", b"x"))).problems[0]
    for cut in range(4):
        assert short_attributes(short_fork(ours)[:cut]).capabilities is None


def leaf(*entries: tuple[int, bytes, bytes]) -> bytes:
    """Return a leaf of an XFS without checksums (version 4)."""
    data = bytearray(512)
    struct.pack_into(">8xH2xH", data, 0, 0xFBEE, len(entries))
    place = 512
    for number, (flags, name, value) in enumerate(entries):
        body = value + bytes([len(name)]) + name if not flags & 1 else b""
        if flags & 1:
            body = struct.pack(">HB", len(value), len(name)) + name + value
        place -= len(body)
        data[place : place + len(body)] = body
        struct.pack_into(">IHBx", data, 32 + number * 8, number, place, flags)
    return bytes(data)


def node(level: int, *below: int, count: int | None = None) -> bytes:
    data = bytearray(512)
    struct.pack_into(">8xH2xHH", data, 0, 0xFEBE, len(below) if count is None else count, level)
    for number, child in enumerate(below):
        struct.pack_into(">II", data, 16 + number * 8, number, child)
    return bytes(data)


REMOTE = struct.pack(">II", 3, 20)
FORKS = {
    "a leaf": ([leaf((5, b"capability", NET_RAW))], "cap_net_raw=ep", ""),
    "a tree": ([node(1, 2, 1), leaf((5, b"capability", NET_RAW)), leaf((1, b"a", b"b"))], "cap_net_raw=ep", ""),
    "a remote value": ([leaf((4, b"capability", REMOTE)), b"", b"", NET_RAW + bytes(492)], "cap_net_raw=ep", ""),
    "a remote value outside": ([leaf((4, b"capability", REMOTE))], None, "lies outside the volume"),
    "a remote value of MiB": ([leaf((4, b"capability", struct.pack(">II", 1, 1 << 20)))], None, "1048576 bytes"),
    "a circle": ([node(1, 0)], None, "used twice"),
    "children without end": ([node(1, *range(1, 60), count=65535)], None, "is damaged"),
    "a level that is none": ([node(9, 1)], None, "is of level 9"),
    "a leaf too high": ([node(2, 1), leaf((5, b"capability", NET_RAW))], None, "is damaged"),
    "no block": ([], None, "is damaged"),
    "something else": ([b"\xff" * 512], None, "is damaged"),
    "an entry outside": (
        [leaf()[:12] + b"\0\1" + leaf()[14:32] + b"\0\0\0\0\1\xff\5\0" + bytes(472)],
        None,
        "outside it",
    ),
}


@pytest.mark.parametrize("name", FORKS)
def test_attributes_in_blocks_of_xfs(name: str) -> None:
    blocks, text, sentence = FORKS[name]
    read = lambda number: blocks[number] if number < len(blocks) else b""  # noqa: E731 - one line says it
    found = block_attributes(read, [], has_checksums=False)
    assert found.capabilities == text
    assert sentence in "; ".join(found.problems)
    assert bool(found.problems) == bool(sentence)


def test_the_checksum_of_an_xfs_block_is_verified() -> None:
    data = bytearray(leaf((5, b"capability", NET_RAW)))
    checked = bytearray(512)
    struct.pack_into(">8xH", checked, 0, 0x3BEE)
    struct.pack_into(">H", checked, 56, 1)
    place = struct.unpack_from(">IH", data, 32)[1]
    checked[80:88] = data[32:40]
    checked[place:] = data[place:]
    struct.pack_into("<I", checked, 12, crc32c(bytes(checked)))
    assert block_attributes(lambda _: bytes(checked), [], has_checksums=True).problems == ()
    checked[200] = 1
    assert "checksum" in block_attributes(lambda _: bytes(checked), [], has_checksums=True).problems[0]
