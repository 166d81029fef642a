"""XFS in all forms that mkfs.xfs makes, and damage in every structure that has a checksum: read on, and said."""

import os
import struct
import subprocess
from pathlib import Path

import pytest
from loop_mounts import mounted
from media import medium_of
from test_walk import Walked, fill, kernel_rows, our_rows

from images.hostile.kit import good_tree
from volforensic.evidence.reader import Window
from volforensic.evidence.signatures import Filesystem, recognise
from volforensic.evidence.superblocks import crc32c

SIZE = 320 << 20
FORMS = {
    "plain": [],
    "old-times": ["-m", "bigtime=0"],
    "all-trees": ["-m", "rmapbt=1,reflink=1,inobtcount=1,finobt=1"],
    "no-trees": ["-m", "finobt=0,rmapbt=0,reflink=0"],
    "directory-64k": ["-n", "size=65536"],
    "directory-16k": ["-b", "size=1024", "-n", "size=16384"],
    "wide-counts": ["-i", "nrext64=1,sparse=1,size=2048"],
    "sector-4k": ["-s", "size=4096"],
    "block-64k": ["-b", "size=65536"],
}
WITHOUT_A_KERNEL = {
    "v4": ["-m", "crc=0"],
    "v4-no-types": ["-m", "crc=0", "-n", "ftype=0"],
    "v4-512": ["-m", "crc=0", "-b", "size=512", "-n", "size=4096"],
    "v5": [],
    "v5-1k": ["-b", "size=1024"],
}


def empty(path: Path, *options: str) -> Path:
    with path.open("wb") as file:
        file.truncate(SIZE)
    subprocess.run(["mkfs.xfs", "-q", "-f", *options, str(path)], check=True, capture_output=True)
    return path


def made(folder: Path, *options: str) -> Path:
    """Make one of a prototype: a directory of 3000 names, a link (mkfs writes no header before a long one)."""
    tree = good_tree(folder / "tree")
    lines = ["/", "0 0", "d--755 0 0", f"crontab ---644 0 0 {tree / 'etc/crontab'}", "many d--755 0 0"]
    lines += [f"a-name-of-many-{number:05} ---644 0 0 {tree / 'etc/hostname'}" for number in range(3000)]
    lines += ["$", "short l--777 0 0 crontab", "$", ""]
    (folder / "prototype").write_text("\n".join(lines))
    return empty(folder / "disk.raw", *options, "-p", str(folder / "prototype"))


def recognised(path: Path) -> Filesystem:
    descriptor = os.open(path, os.O_RDONLY)
    found = recognise(Window(medium_of(descriptor), 0, path.stat().st_size))
    os.close(descriptor)
    assert found is not None
    return found


def flip(path: Path, place: int) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 0x40]))


def database(path: Path, *commands: str) -> str:
    arguments = [part for command in commands for part in ("-c", command)]
    return subprocess.run(["xfs_db", "-r", *arguments, str(path)], check=True, capture_output=True, text=True).stdout


def number(path: Path, field: str, *commands: str) -> int:
    return int(database(path, *commands, f"p {field}").split("=")[1].split()[0], 0)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_reads_as_the_kernel_reads_it(tmp_path: Path, form: str) -> None:
    image = empty(tmp_path / "disk.raw", *FORMS[form])
    with mounted(image, tmp_path / "mounted") as folder:
        fill(folder)
        (folder / "long").symlink_to("t" * 1000)
    with mounted(image, tmp_path / "mounted", "ro") as folder:
        expected = kernel_rows(folder)
    walked = Walked(image, "xfs")
    assert our_rows(walked) == expected
    assert not walked.problems


@pytest.mark.parametrize("form", WITHOUT_A_KERNEL)
@pytest.mark.parametrize("wiped", [512, 65536, 1 << 20])
def test_a_copy_stands_in_for_the_superblock(tmp_path: Path, form: str, wiped: int) -> None:
    image = made(tmp_path, *WITHOUT_A_KERNEL[form])
    before = recognised(image)
    expected = our_rows(Walked(image, "xfs"))
    assert len(expected) == 3003
    with image.open("r+b") as file:
        file.write(bytes(wiped))
    found = recognised(image)
    assert (found.type, found.uuid, found.block_size) == ("xfs", before.uuid, before.block_size)
    assert "its copy in allocation group" in found.remark
    if wiped == 512:
        assert our_rows(Walked(image, "xfs")) == expected


def test_a_superblock_whose_checksum_is_wrong_gives_way_to_a_copy(tmp_path: Path) -> None:
    image = made(tmp_path)
    expected = our_rows(Walked(image, "xfs"))
    with image.open("r+b") as file:
        file.seek(4)
        file.write(struct.pack(">I", 8192))
    assert "its checksum is wrong); its copy in allocation group" in recognised(image).remark
    assert our_rows(Walked(image, "xfs")) == expected


def test_an_uuid_that_was_changed_is_no_damage(tmp_path: Path) -> None:
    image = made(tmp_path)
    done = subprocess.run(["xfs_admin", "-U", "generate", str(image)], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr
    walked = Walked(image, "xfs")
    assert len(our_rows(walked)) == 3003
    assert not walked.problems


GROUP = {
    "agf 1": ("agf 1", "its XAGF"),
    "agfl 2": ("agfl 2", "its XAFL"),
    "free space by block": ("agf 1", "free space by block", "bnoroot"),
    "free space by size": ("agf 1", "free space by size", "cntroot"),
    "owners": ("agf 0", "the tree of owners", "rmaproot"),
    "shared blocks": ("agf 0", "the tree of shared blocks", "refcntroot"),
    "free inodes": ("agi 0", "the tree of free inodes", "free_root"),
    "copy": ("sb 2", "its copy of the superblock"),
}


@pytest.mark.parametrize("structure", GROUP)
def test_damage_of_a_group_is_said_and_costs_nothing(tmp_path: Path, structure: str) -> None:
    image = made(tmp_path, "-m", "rmapbt=1,reflink=1,finobt=1")
    whole = Walked(image, "xfs")
    assert not whole.problems
    command, words, *root = GROUP[structure]
    name, _, group = command.partition(" ")
    group_bytes = 4096 * number(image, "agblocks", "sb 0")
    if root:
        place = group_bytes * int(group) + 4096 * number(image, root[0], command) + 1000
    else:
        place = group_bytes * int(group) + {"sb": 0, "agf": 1, "agfl": 3}[name] * 512 + 300
    flip(image, place)
    walked = Walked(image, "xfs")
    assert our_rows(walked) == our_rows(whole)
    assert [(problem.lost, words in problem.reason) for problem in walked.problems] == [(False, True)]


def block_of(path: Path, name: str, block: int) -> int:
    """Return the byte where a block of a file lies."""
    inode = next(entry.inode for entry in Walked(path, "xfs").entries if entry.path == name.encode())
    text = database(path, f"inode {inode}", f"dblock {block}", "daddr")
    return int(text.split()[-1]) * 512


@pytest.mark.parametrize(
    ("name", "block", "within", "words"),
    [
        ("/many", 1, 500, "block 1 of the directory: its checksum is wrong"),
        ("/many", (32 << 30) // 4096, 500, "blocks of its index are wrong"),
        ("/many", (32 << 30) // 4096 + 1, 500, "blocks of its index are wrong"),
        ("/many", (64 << 30) // 4096, 500, "blocks of its index are wrong"),
    ],
)
def test_damage_of_a_directory_is_said(tmp_path: Path, name: str, block: int, within: int, words: str) -> None:
    image = made(tmp_path)
    paths = set(Walked(image, "xfs").living())
    flip(image, block_of(image, name, block) + within)
    walked = Walked(image, "xfs")
    assert len(set(walked.living()) ^ paths) <= 2  # a name of which a letter changed
    assert any(words in problem.reason for problem in walked.problems), walked.problems


def test_damage_of_a_link_in_a_block_is_said(tmp_path: Path) -> None:
    image = empty(tmp_path / "disk.raw", "-b", "size=1024")
    with mounted(image, tmp_path / "mounted") as folder:
        (folder / "long").symlink_to("t" * 1000)
    place = block_of(image, "/long", 0)
    assert Walked(image, "xfs").living()[b"/long"].problems == ()
    flip(image, place + 1500)
    damaged = Walked(image, "xfs").living()[b"/long"]
    assert damaged.link_target is not None
    assert damaged.problems == ("the checksum of the block that holds where it leads is wrong",)
    with image.open("r+b") as file:
        file.seek(place)
        file.write(bytes(1024))
    (problem,) = Walked(image, "xfs").living()[b"/long"].problems
    assert "does not say so in its header" in problem


def test_a_directory_s_block_that_is_another_s_is_said(tmp_path: Path) -> None:
    image = made(tmp_path)
    place = block_of(image, "/many", 1)
    with image.open("r+b") as file:
        file.seek(place)
        block = bytearray(file.read(4096))
        block[40:48] = struct.pack(">Q", 131)
        block[4:8] = bytes(4)
        block[4:8] = struct.pack("<I", crc32c(bytes(block)))
        file.seek(place)
        file.write(block)
    walked = Walked(image, "xfs")
    assert len(walked.living()) == 3004
    assert any("it belongs to inode 131 by its header" in problem.reason for problem in walked.problems)


def test_features_are_named(tmp_path: Path) -> None:
    image = made(tmp_path)
    with image.open("r+b") as file:
        sector = bytearray(file.read(512))
        features = struct.unpack_from(">I", sector, 216)[0]
        struct.pack_into(">I", sector, 216, features | 1 << 4 | 1 << 9 | 1 << 20)
        sector[224:228] = bytes(4)
        sector[224:228] = struct.pack("<I", crc32c(bytes(sector)))
        file.seek(0)
        file.write(sector)
    found = recognised(image)
    assert found.has_unknown_features
    remark = found.remark
    names = "it has features that are not known: ZONED, 0x100000"
    assert remark.startswith(f"it is marked as in need of repair (NEEDSREPAIR); {names}")


def test_the_bytes_of_a_realtime_file_are_not_taken_from_the_data_section(tmp_path: Path) -> None:
    image = made(tmp_path, "-m", "crc=0")
    walked = Walked(image, "xfs")
    entry = walked.living()[b"/crontab"]
    place = next(iter(entry.extents or ())).source_offset
    inode = int(database(image, f"inode {entry.inode}", "daddr").split()[-1]) * 512
    with image.open("r+b") as file:
        file.seek(inode)
        cluster = file.read(64 * 256)
        within = next(
            at for at in range(0, len(cluster), 256) if _is_of(cluster[at : at + 256], place // 4096, entry.size)
        )
        file.seek(inode + within + 90)
        flags = struct.unpack(">H", file.read(2))[0]
        file.seek(inode + within + 90)
        file.write(struct.pack(">H", flags | 1))
    found = Walked(image, "xfs").living()[b"/crontab"]
    assert (found.extents, found.has_all_runs) == ((), False)
    assert found.problems == ("its bytes lie in the realtime section, which is not read",)


def _is_of(inode: bytes, block: int, size: int) -> bool:
    return inode[:2] == b"IN" and inode[56:64] == struct.pack(">Q", size) and bool(block)


def test_an_inode_that_says_another_number_is_said(tmp_path: Path) -> None:
    image = made(tmp_path)
    entry = Walked(image, "xfs").living()[b"/crontab"]
    place = entry.inode * 512  # in the first group an inode's number is its place
    with image.open("r+b") as file:
        file.seek(place)
        inode = bytearray(file.read(512))
        inode[152:160] = struct.pack(">Q", 99)
        inode[100:104] = bytes(4)
        inode[100:104] = struct.pack("<I", crc32c(bytes(inode)))
        file.seek(place)
        file.write(inode)
    assert Walked(image, "xfs").living()[b"/crontab"].problems == ("its inode says that it is inode 99",)
