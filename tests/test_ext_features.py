"""Every layout that mke2fs makes: clusters, meta block groups, damaged superblocks and descriptors, encrypted names."""

import base64
import fcntl
import hashlib
import os
import struct
import subprocess
from pathlib import Path

import pytest
from loop_mounts import mounted
from media import medium_of
from test_walk import Walked, fill, kernel_rows, our_rows

from images.hostile.ext_disk import Ext
from images.hostile.kit import good_tree
from volforensic.evidence.ext_free import free_space
from volforensic.evidence.ext_geometry import Descriptors, read_geometry
from volforensic.evidence.ext_inodes import ATTRIBUTE_INODE, ExtInodes
from volforensic.evidence.node import ENCRYPTED_BYTES, ENCRYPTED_TREE
from volforensic.evidence.reader import Window
from volforensic.evidence.signatures import recognise
from volforensic.evidence.space import Unknown

LAYOUTS = {
    "bigalloc": ["-O", "bigalloc", "-b", "4096"],
    "bigalloc-1k": ["-O", "bigalloc", "-b", "1024", "-C", "16384"],
    "bigalloc-64k": ["-O", "bigalloc", "-b", "2048", "-C", "65536"],
    "meta_bg-1k": ["-O", "meta_bg,^resize_inode", "-b", "1024"],
    "meta_bg-4k": ["-O", "meta_bg,^resize_inode", "-b", "4096", "-g", "1024"],
    "meta_bg-old": ["-O", "meta_bg,^resize_inode,^64bit,^metadata_csum,uninit_bg", "-b", "1024", "-g", "256"],
    "sparse_super2": ["-O", "sparse_super2,^resize_inode", "-b", "1024"],
    "inline_data": ["-O", "inline_data,ea_inode", "-I", "512"],
    "not-flexible": ["-O", "^flex_bg,^64bit,^metadata_csum", "-b", "1024"],
}
READ_WITHOUT_A_KERNEL = LAYOUTS | {
    "casefold": ["-O", "casefold,verity,encrypt,stable_inodes,project,quota,orphan_file,large_dir", "-b", "1024"],
    "8k": ["-b", "8192"],
    "64k": ["-b", "65536", "-O", "^has_journal"],
}
SIZES = {"bigalloc": "5G", "bigalloc-1k": "400M", "bigalloc-64k": "3G", "8k": "1200M", "64k": "9G"}
"""Sparse files: with room for a second group."""


def made(folder: Path, options: list[str], size: str = "64M") -> Path:
    image = folder / "disk.raw"
    tree = good_tree(folder / "tree")
    for number in range(400):
        (tree / "usr" / f"a-file-with-a-long-name-{number:05}").write_bytes(b"%d\n" % number * number)
    command = ["mke2fs", "-q", "-F", "-t", "ext4", *options, "-d", str(tree), str(image), size]
    subprocess.run(command, check=True, capture_output=True)
    return image


def contents(walked: Walked) -> dict[bytes, tuple[str, object]]:
    found: dict[bytes, tuple[str, object]] = {}
    for path, entry in walked.living().items():
        assert entry.has_inode, entry
        found[path] = (entry.type, walked.content(entry)[0] if entry.type == "file" else entry.link_target)
    return found


def written(tree: Path) -> dict[bytes, tuple[str, object]]:
    """Return the same of the folder that an image was made of."""
    found: dict[bytes, tuple[str, object]] = {b"/": ("directory", None), b"/lost+found": ("directory", None)}
    for path in tree.rglob("*"):
        is_file = path.is_file()
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if is_file else None
        found[b"/" + os.fsencode(path.relative_to(tree))] = ("file" if is_file else "directory", digest)
    return found


def overwrite(image: Path, place: int, data: bytes) -> None:
    with image.open("r+b") as file:
        file.seek(place)
        file.write(data)


@pytest.mark.parametrize("layout", ["bigalloc-1k", "bigalloc-64k", "meta_bg-4k", "inline_data", "not-flexible"])
def test_every_layout_reads_as_the_kernel_reads_it(tmp_path: Path, layout: str) -> None:
    image = tmp_path / "disk.raw"
    command = ["mke2fs", "-q", "-F", "-t", "ext4", *LAYOUTS[layout], str(image), "96M"]
    subprocess.run(command, check=True, capture_output=True)
    with mounted(image, tmp_path / "mounted") as folder:
        fill(folder)
    with mounted(image, tmp_path / "mounted", "ro") as folder:
        expected = kernel_rows(folder)
    walked = Walked(image, "ext4")
    assert our_rows(walked) == expected
    assert not walked.problems


@pytest.mark.parametrize("layout", READ_WITHOUT_A_KERNEL)
def test_a_damaged_first_superblock_costs_nothing(tmp_path: Path, layout: str) -> None:
    image = made(tmp_path, READ_WITHOUT_A_KERNEL[layout], SIZES.get(layout, "64M"))
    whole = Walked(image, "ext4")
    before = contents(whole)
    assert not whole.problems
    if layout != "inline_data":  # of which mke2fs 1.47 cuts a file that ends with a hole: the kernel reads what we read
        assert before == written(tmp_path / "tree")
    descriptor = os.open(image, os.O_RDONLY)
    spaces = list(free_space(Window(medium_of(descriptor), 0, image.stat().st_size), lambda _: None))
    assert not [space for space in spaces if isinstance(space, Unknown)]
    overwrite(image, 1024, bytes(1024))
    found = recognise(Window(medium_of(descriptor), 0, image.stat().st_size))
    os.close(descriptor)
    assert found is not None
    assert "backup superblock" in found.remark
    assert contents(Walked(image, "ext4")) == before


@pytest.mark.parametrize("layout", ["meta_bg-1k", "meta_bg-4k", "meta_bg-old", "sparse_super2", "not-flexible"])
@pytest.mark.parametrize("damage", [b"\0", b"\xff", b"\x31"])
def test_copies_stand_in_for_damaged_group_descriptors(tmp_path: Path, layout: str, damage: bytes) -> None:
    image = made(tmp_path, LAYOUTS[layout])
    before = contents(Walked(image, "ext4"))
    descriptor = os.open(image, os.O_RDONLY)
    geometry = read_geometry(Window(medium_of(descriptor), 0, image.stat().st_size))
    os.close(descriptor)
    first = 2 if geometry.block_size == 1024 else 1
    overwrite(image, first * geometry.block_size, damage * geometry.block_size)
    walked = Walked(image, "ext4")
    assert contents(walked) == before
    assert any("copies of them were used" in problem.reason and not problem.lost for problem in walked.problems)


def test_without_a_right_copy_the_loss_is_said(tmp_path: Path) -> None:
    image = made(tmp_path, ["-b", "4096"])
    overwrite(image, 4096 + 3, b"\x31")
    walked = Walked(image, "ext4")
    assert any("no copy of it is right" in problem.reason and problem.lost for problem in walked.problems)


def test_a_damaged_index_of_a_directory_is_said_and_costs_nothing(tmp_path: Path) -> None:
    image = made(tmp_path, ["-b", "1024"])
    subprocess.run(["e2fsck", "-fyD", str(image)], check=False, capture_output=True)
    whole = Walked(image, "ext4")
    before = contents(whole)
    assert not whole.problems
    output = subprocess.run(["debugfs", "-R", "bmap /usr 0", str(image)], check=True, capture_output=True)
    block = int(output.stdout.split()[0])
    overwrite(image, block * 1024 + 60, b"\xff")
    walked = Walked(image, "ext4")
    assert contents(walked) == before
    assert any("checksum of its index" in problem.reason for problem in walked.problems)


def test_the_value_of_an_attribute_may_have_an_inode_of_its_own(tmp_path: Path) -> None:
    image = Ext(tmp_path, features="ea_inode,^metadata_csum,^has_journal")
    number, place = image.number("/home/alice/.bash_history"), image.inode("/home/alice/.bash_history")
    flags = struct.unpack("<I", image.read(place + 32, 4))[0]
    entry = struct.pack("<BBHIII", 10, 6, 0, number, 6, 0) + b"capability\0\0" + bytes(4)
    descriptor = os.open(image.path, os.O_RDONLY)
    inodes = ExtInodes(Window(medium_of(descriptor), 0, image.path.stat().st_size))
    raw = (bytes(128) + struct.pack("<H", 32)).ljust(160, b"\0") + b"\x00\x00\x02\xea" + entry

    blocks = inodes.attribute_blocks()
    assert any("holds no value" in problem for problem in blocks.extended(raw).problems)
    image.write(place + 32, struct.pack("<I", flags | ATTRIBUTE_INODE))
    inodes = ExtInodes(Window(medium_of(descriptor), 0, image.path.stat().st_size))
    (problem,) = inodes.attribute_blocks().extended(raw).problems
    assert "capabilities are damaged" in problem  # the value came, and is none
    os.close(descriptor)


def test_flagged_as_encrypted_names_are_told_as_text(tmp_path: Path) -> None:
    image = Ext(tmp_path)
    for path in ("/home/alice", "/home/alice/a", "/home/alice/.bash_history"):
        place = image.inode(path)
        flags = struct.unpack("<I", image.read(place + 32, 4))[0]
        image.write(place + 32, struct.pack("<I", flags | 0x800))
    walked = Walked(image.path, "ext4")
    name = base64.urlsafe_b64encode(b".bash_history").rstrip(b"=")
    living = walked.living()
    assert living[b"/home/alice"].problems == (ENCRYPTED_TREE,)
    assert living[b"/home/alice/" + name].problems == (ENCRYPTED_BYTES,)
    assert living[b"/home/alice/YQ"].problems == ()


def encrypt(folder: Path) -> None:
    """Give the filesystem a key and an empty folder a policy (Documentation/filesystems/fscrypt.rst)."""
    root = os.open(folder.parent, os.O_RDONLY)
    added = bytearray(struct.pack("<II32sII32s", 2, 0, b"", 64, 0, b"") + bytes(range(64)))
    try:
        fcntl.ioctl(root, 0xC0506617, added)
    except OSError as error:
        pytest.skip(f"this kernel encrypts nothing: {error}")
    finally:
        os.close(root)
    folder.mkdir()
    descriptor = os.open(folder, os.O_RDONLY)
    fcntl.ioctl(descriptor, 0x800C6613, bytearray(struct.pack("<BBBBB3x16s", 2, 1, 4, 0, 0, bytes(added[8:24]))))
    os.close(descriptor)


def test_encrypted_names_are_those_that_a_kernel_without_the_key_shows(tmp_path: Path) -> None:
    image = tmp_path / "disk.raw"
    command = ["mke2fs", "-q", "-F", "-t", "ext4", "-b", "1024", "-O", "encrypt,stable_inodes", str(image), "16M"]
    subprocess.run(command, check=True, capture_output=True)
    with mounted(image, tmp_path / "mounted") as folder:
        encrypt(folder / "secret")
        for number in range(100):
            (folder / "secret" / f"file{number}{'x' * number}").write_bytes(b"content" * number)
        (folder / "secret" / "link").symlink_to("file1")
    with mounted(image, tmp_path / "mounted", "ro") as folder:
        expected = {
            path.lstat().st_ino: (decoded(path.name), decoded(str(path.readlink())) if path.is_symlink() else None)
            for path in (folder / "secret").iterdir()
        }
    walked = Walked(image, "ext4")
    assert not walked.problems
    living = walked.living()
    assert living.pop(b"/secret").problems == (ENCRYPTED_TREE,)
    found = {
        entry.inode: (decoded(entry.name.decode(), 0), entry.link_target and decoded(entry.link_target.decode(), 0))
        for entry in living.values()
        if entry.path.startswith(b"/secret/")
    }
    assert found == expected
    assert all(ENCRYPTED_BYTES in entry.problems for entry in living.values() if entry.path.startswith(b"/secret/"))


def decoded(name: str, hashes: int = 8) -> bytes:
    return base64.urlsafe_b64decode(name + "=" * (-len(name) % 4))[hashes:]


def test_a_descriptor_is_right_by_its_place_where_nothing_has_a_checksum(tmp_path: Path) -> None:
    image = made(tmp_path, LAYOUTS["not-flexible"])
    overwrite(image, 2048 + 3 * 32 + 8, struct.pack("<I", 100))  # the inode table of another group
    descriptor = os.open(image, os.O_RDONLY)
    window = Window(medium_of(descriptor), 0, image.stat().st_size)
    found = Descriptors(window, read_geometry(window)).descriptor(3)
    os.close(descriptor)
    assert (found.fault, found.backup) == ("its descriptor puts the inode table outside the group", 8194)


def test_a_copy_of_the_superblock_does_not_hide_a_journal_that_waits(tmp_path: Path) -> None:
    image = tmp_path / "disk.raw"
    command = ["mke2fs", "-q", "-F", "-t", "ext4", "-b", "1024", str(image), "64M"]
    subprocess.run(command, check=True, capture_output=True)
    with mounted(image, tmp_path / "mounted") as folder:
        (folder / "new").write_text("new")
        descriptor = os.open(folder, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
        waiting = image.read_bytes()
    copy = tmp_path / "copy.raw"
    for data, state in ((waiting, "committed changes"), (image.read_bytes(), "clean")):
        for wiped in (0, 1024):
            copy.write_bytes(data[:1024] + bytes(wiped) + data[1024 + wiped :])
            with copy.open("rb") as file:
                found = recognise(Window(medium_of(file.fileno()), 0, len(data)))
            assert found is not None
            assert state in found.state
