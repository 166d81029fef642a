"""Squashfs against the kernel or unsquashfs: names, inodes, contents of every compression; and what damage costs."""

import hashlib
import json
import lzma
import os
import random
import stat
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard
from collection_runs import disk
from command_line import run, triage
from loop_mounts import mounted
from media import medium_of
from mutant_runs import judged
from squashfs_images import COMPRESSIONS, squashfs_image
from test_walk import Walked, kernel_rows, our_rows

from images.hostile.kit import CRON_COMMAND, good_tree
from volforensic.evidence.filesystems import open_filesystem, open_with_library
from volforensic.evidence.node import REACHED_BEFORE, Node, Reader
from volforensic.evidence.reader import Window
from volforensic.evidence.signatures import Filesystem, recognise
from volforensic.evidence.squashfs_blocks import SquashfsBlocks, SquashfsError
from volforensic.evidence.superblocks import SquashfsSuperblock
from volforensic.inventory.file_bytes import Loss, stored_chunks

SUPERBLOCK = struct.Struct("<4xIIIIHHHHHHQQQQQQQQ")
FIELDS = SquashfsSuperblock._fields


def fill(folder: Path) -> None:
    """Write what a squashfs keeps in its several ways, as far as this user may."""
    chance = random.Random(3)  # noqa: S311 - no secret: the same each time
    (folder / "many").mkdir(parents=True)
    for number in range(2000):
        (folder / "many" / f"file-with-a-name-of-some-length-{number:04}").write_text(str(number % 7))
    for size in (0, 1, 4095, 4096, 4097, 131071, 131072, 131073, 400_000):
        (folder / f"random{size}").write_bytes(chance.randbytes(size))
        (folder / f"text{size}").write_bytes((b"the same line again\n" * (size // 20 + 1))[:size])
    with (folder / "sparse").open("wb") as file:
        file.seek(3 << 20)
        file.write(b"x" * 5000)
        file.truncate(9 << 20)
    (folder / "holes").touch()
    os.truncate(folder / "holes", 5 << 20)
    for length in (1, 255):
        (folder / ("n" * length)).write_text("named")
        (folder / f"link{length}").symlink_to("t" * length)
    (folder / "longlink").symlink_to("t" * 4000)
    Path(os.fsdecode(os.fsencode(folder) + b"/name\xff\n\x1b[")).write_text("odd")
    os.mkfifo(folder / "fifo")
    os.link(folder / "random4097", folder / "hard")
    (folder / "empty").mkdir()
    (folder / "a" / "b" / "c").mkdir(parents=True)
    (folder / "a" / "b" / "c" / "deep").write_text("deep")
    (folder / "text1").chmod(0o6751)
    os.utime(folder / "sparse", (1, 4_000_000_000))
    if not os.geteuid():
        os.mknod(folder / "device", 0o20600, os.makedev(300, 70_000))
        os.mknod(folder / "block", 0o60640, os.makedev(8, 1))
        os.chown(folder / "sparse", 200_000, 300_000)
        for name in ("text4095", "text4096", "hard"):
            os.setxattr(folder / name, "security.capability", struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0))
        os.setxattr(folder / "text4096", "user.other", b"v" * 3000)
        os.setxattr(folder / "longlink", "trusted.link", b"l", follow_symlinks=False)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("squashfs") / "tree"
    fill(folder)
    return folder


def without_unkept(rows: dict[bytes, tuple[object, ...]]) -> dict[bytes, tuple[object, ...]]:
    """Return rows of the walk's tests without the times of change and access, which no squashfs keeps."""
    return {path: (*row[:6], *row[8:]) for path, row in rows.items()}


@pytest.mark.parametrize(
    ("compression", "options"),
    [
        *((compression, ()) for compression in COMPRESSIONS),
        ("gzip", ("-b", "4096")),
        ("zstd", ("-b", "1048576", "-always-use-fragments")),
        ("gzip", ("-noI", "-noD", "-noF", "-noX")),
        ("xz", ("-Xbcj", "x86", "-no-fragments")),
        ("gzip", ("-no-xattrs", "-no-duplicates")),
    ],
)
def test_the_walk_sees_what_the_kernel_sees(
    tree: Path, tmp_path: Path, compression: str, options: tuple[str, ...]
) -> None:
    image = squashfs_image(tree, tmp_path / "image", *options, compression=compression)
    with mounted(image, tmp_path / "mount", "ro") as folder:
        expected = without_unkept(kernel_rows(folder))
        links = {os.fsencode(path)[len(os.fsencode(folder)) :]: path.lstat().st_nlink for path in folder.rglob("*")}
    walked = Walked(image, "squashfs")
    found = without_unkept(our_rows(walked))
    assert found.keys() == expected.keys()
    assert {path: row for path, row in found.items() if row != expected[path]} == {}
    assert {path: entry.links for path, entry in walked.living().items() if path != b"/"} == links
    assert walked.problems == []
    assert {entry.accessed or entry.changed or entry.created for entry in walked.entries} == {None}


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_files_are_what_was_packed(tree: Path, tmp_path: Path, compression: str) -> None:
    walked = Walked(squashfs_image(tree, tmp_path / "image", compression=compression), "squashfs")
    found = walked.living()
    root = os.fsencode(tree)
    for path in tree.rglob("*"):
        status = path.lstat()
        entry = found.pop(os.fsencode(path)[len(root) :])
        assert (entry.mode, entry.uid, entry.gid) == (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)
        assert entry.modified == int(status.st_mtime) * 1_000_000_000
        if path.is_symlink():
            assert entry.link_target == os.fsencode(path.readlink())
        elif path.is_file():
            assert (entry.size, entry.links) == (status.st_size, status.st_nlink)
            assert walked.content(entry) == (hashlib.sha256(path.read_bytes()).hexdigest(), [])
        elif entry.device is not None:
            assert entry.device == (os.major(status.st_rdev), os.minor(status.st_rdev))
    assert list(found) == [b"/"]


@pytest.mark.skipif(bool(os.geteuid()), reason="setting capabilities needs root")
def test_capabilities_are_told(tree: Path, tmp_path: Path) -> None:
    walked = Walked(squashfs_image(tree, tmp_path / "image"), "squashfs")
    with_capabilities = {path: entry.capabilities for path, entry in walked.living().items() if entry.capabilities}
    names = (b"/text4095", b"/text4096", b"/hard", b"/random4097")
    assert with_capabilities == dict.fromkeys(names, "cap_net_raw=ep")
    without = Walked(squashfs_image(tree, tmp_path / "image", "-no-xattrs"), "squashfs")
    assert not any(entry.capabilities or entry.problems for entry in without.entries)


def test_without_a_table_of_inodes_all_is_read_by_place(tree: Path, tmp_path: Path) -> None:
    with_table = Walked(squashfs_image(tree, tmp_path / "with"), "squashfs")
    without = Walked(squashfs_image(tree, tmp_path / "without", "-no-exports"), "squashfs")
    assert without.problems == []
    found, expected = our_rows(without), our_rows(with_table)
    assert {path: (*row[:4], *row[5:]) for path, row in found.items()} == {
        path: (*row[:4], *row[5:]) for path, row in expected.items()
    }
    numbers = {path: entry.inode for path, entry in without.living().items()}
    assert numbers[b"/hard"] == numbers[b"/random4097"]
    assert len(set(numbers.values())) == len(numbers) - 1


def superblock(image: Path) -> dict[str, int]:
    return dict(zip(FIELDS, SUPERBLOCK.unpack(image.read_bytes()[: SUPERBLOCK.size]), strict=True))


def edited(image: Path, **changes: int) -> Path:
    """Write other fields into the superblock."""
    fields = superblock(image) | changes
    data = bytearray(image.read_bytes())
    data[4 : SUPERBLOCK.size] = SUPERBLOCK.pack(*fields.values())[4:]
    image.write_bytes(data)
    return image


def recognised(image: Path) -> Filesystem | None:
    with image.open("rb") as file:
        return recognise(Window(medium_of(file.fileno()), 0, image.stat().st_size))


def small(folder: Path, *options: str, compression: str = "gzip") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return squashfs_image(good_tree(folder / "tree"), folder / "image", *options, compression=compression)


@pytest.mark.parametrize(
    "changes",
    [
        {"block_size": 2048, "block_log": 11},
        {"block_size": 2 << 20, "block_log": 21},
        {"block_size": 4096},
        {"block_log": 60},
        {"major": 3},
        {"compression": 2},
        {"compression": 7},
        {"inode_table": (1 << 64) - 1},
        {"directory_table": 8},
    ],
)
def test_a_superblock_that_cannot_be_is_said(tmp_path: Path, changes: dict[str, int]) -> None:
    image = small(tmp_path)
    sound = recognised(image)
    assert sound is not None
    assert (sound.type, sound.block_size, sound.unread, sound.remark) == ("squashfs", 131072, "", "")
    assert sound.inodes_used == sum(1 for _ in (tmp_path / "tree").rglob("*")) + 1
    found = recognised(edited(image, **changes))
    assert found is not None
    assert (found.type, bool(found.unread)) == ("squashfs", True)
    with image.open("rb") as file, pytest.raises(SquashfsError):
        SquashfsBlocks(Window(medium_of(file.fileno()), 0, image.stat().st_size))


def test_a_cut_image_is_said(tmp_path: Path) -> None:
    image = small(tmp_path)
    os.truncate(image, superblock(image)["size"] - 1)
    found = recognised(image)
    assert found is not None
    assert "the volume has" in found.remark


def metadata(content: bytes, *, is_stored: bool = False) -> bytes:
    raw = content if is_stored else zlib.compress(content)
    return struct.pack("<H", len(raw) | (0x8000 if is_stored else 0)) + raw


def blocks_with(image: Path, appended: bytes) -> tuple[SquashfsBlocks, int]:
    """Return the image's blocks with bytes behind it, and where those begin. Its descriptor is left to the process."""
    place = image.stat().st_size
    image.write_bytes(image.read_bytes() + appended)
    descriptor = os.open(image, os.O_RDONLY)
    return SquashfsBlocks(Window(medium_of(descriptor), 0, place + len(appended))), place


BOMBS = {
    "gzip": (1, zlib.compress(bytes(64 << 20))),
    "xz": (4, lzma.compress(bytes(64 << 20))),
    "zstd": (6, zstandard.ZstdCompressor().compress(bytes(64 << 20))),
    "zstd without its size": (6, zstandard.ZstdCompressor(write_content_size=False).compress(bytes(64 << 20))),
    "lz4": (5, b"\x1fa\1\0" + b"\xff" * 8000 + b"\0\x10b"),
    "lzo": (3, b"\x11" * 4000),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused(tmp_path: Path, name: str) -> None:
    compression, bomb = BOMBS[name]
    image = edited(small(tmp_path), compression=compression)
    blocks, place = blocks_with(image, struct.pack("<H", min(len(bomb), 8000)) + bomb)
    with pytest.raises(SquashfsError):
        blocks.metadata(place)
    with pytest.raises(SquashfsError):
        blocks.data(place + 2, min(len(bomb), 131072))


def test_metadata_that_cannot_be_is_refused(tmp_path: Path) -> None:
    whole = bytes(8192)
    blocks, place = blocks_with(small(tmp_path), metadata(whole) + metadata(b"ab", is_stored=True))
    assert blocks.metadata(place)[0] == whole
    assert blocks.metadata_bytes(place, 8190, 4)[0] == b"\0\0ab"
    for head in (b"\0\0", b"\0\x80", b"\xff\xff", b"\1\x7f"):
        damaged, place = blocks_with(small(tmp_path / head.hex()), head)
        with pytest.raises(SquashfsError):
            damaged.metadata(place)
    with pytest.raises(SquashfsError):
        blocks.metadata_bytes(place, 9000, 1)
    with pytest.raises(SquashfsError):
        blocks.metadata((1 << 64) - 2)


def test_a_damaged_block_costs_itself_and_is_said(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    content = random.Random(1).randbytes(1_000_000)  # noqa: S311 - no secret
    (tmp_path / "tree" / "large").write_bytes(content)
    image = squashfs_image(tmp_path / "tree", tmp_path / "image", "-noI")
    data = bytearray(image.read_bytes())
    stored = struct.pack("<I", 131072 | 1 << 24)
    third = data.index(stored, superblock(image)["inode_table"]) + 8
    assert data[third : third + 4] == stored
    data[third : third + 4] = struct.pack("<I", 131072)  # its third block is called compressed, which it is not
    image.write_bytes(data)
    walked = Walked(image, "squashfs")
    digest, losses = walked.content(walked.living()[b"/large"])
    expected = content[:262144] + bytes(131072) + content[393216:]
    assert digest == hashlib.sha256(expected).hexdigest()
    assert ["bytes from 262144" in loss.reason for loss in losses] == [True]
    ended = run("hash", image, "-f", "jsonl", "--progress", "none")
    assert ended.returncode == 3, ended.stderr
    row = next(row for row in map(json.loads, ended.stdout.splitlines()) if row["path"] == "/large")
    assert ("sha256" in row, row["sha256_partial"]) == (False, digest)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_mutants_end_and_say_what_they_lost(tmp_path: Path, compression: str) -> None:
    image = small(tmp_path, compression=compression)
    verdicts = list(judged(compression, image.read_bytes(), 1, range(60)))
    assert [one for one in verdicts if one.verdict in {"death", "silent"}] == []
    assert sum(one.verdict == "said" for one in verdicts) > 20


def test_names_that_are_gone_leave_inodes_without_a_name(tmp_path: Path) -> None:
    image = small(tmp_path)
    fields = superblock(image)
    data = bytearray(image.read_bytes())
    data[fields["directory_table"] + 6] ^= 0xFF
    image.write_bytes(data)
    walked = Walked(image, "squashfs")
    assert any("could not be listed to its end" in problem.reason for problem in walked.problems)
    contents = {walked.content(entry)[0] for entry in walked.entries if entry.type == "file"}
    assert hashlib.sha256((tmp_path / "tree/etc/crontab").read_bytes()).hexdigest() in contents


def test_hash_and_triage_of_a_partition(tmp_path: Path) -> None:
    image = small(tmp_path, compression="xz")
    os.truncate(image, -(-image.stat().st_size // 512) * 512)
    raw = disk(tmp_path / "disk.raw", [image])
    ended = run("hash", raw, "-f", "jsonl", "--progress", "none")
    assert ended.returncode == 0, ended.stderr
    rows = [json.loads(line) for line in ended.stdout.splitlines()]
    files = {row["path"]: row["sha256"] for row in rows if row["type"] == "file"}
    assert files == {
        f"/{path.relative_to(tmp_path / 'tree')}": hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (tmp_path / "tree").rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_triage_finds_the_host_and_the_second_reader_agrees(tmp_path: Path, compression: str) -> None:
    image = small(tmp_path, compression=compression)
    case = tmp_path / "case"
    ended = triage(image, case, "--progress", "none", "--profile", "full")
    assert ended.returncode in {0, 10}, ended.stdout + ended.stderr
    texts = [zstandard.ZstdDecompressor().stream_reader(path.read_bytes()).read() for path in case.rglob("*.jsonl.zst")]
    assert any(CRON_COMMAND.encode() in text for text in texts)
    assert not any(b"dissect.squashfs" in text for text in texts)


@pytest.mark.parametrize("options", [(), ("-no-exports",)])
def test_dissect_lists_the_same(tree: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    image = squashfs_image(tree, tmp_path / "image", *options)
    with image.open("rb") as file:
        window = Window(medium_of(file.fileno()), 0, image.stat().st_size)
        readers = [opened("squashfs", window, lambda _: None) for opened in (open_filesystem, open_with_library)]
        listed = [list(everything(reader)) for reader in readers]
        ours, theirs = ([found._replace(device=None, capabilities=None) for found in nodes] for nodes in listed)
        assert ours == theirs  # not the contents: dissect 1.12 reads a tail of n bytes (a block's size / n) times


def everything(reader: Reader) -> Iterator[Node]:
    waiting = [reader.root()]
    while waiting:
        for listed in reader.entries(waiting.pop()):
            assert listed.node is not None
            yield listed.node
            waiting += [listed.node] if listed.node.type == "directory" else []


def odd_tree(folder: Path) -> Path:
    """Write a directory that is led into a circle, a file with holes and two with contents."""
    (folder / "tree" / "loop").mkdir(parents=True)
    (folder / "tree" / "one").write_bytes(b"1" * 5000)
    (folder / "tree" / "two").write_bytes(b"2" * 5000)
    with (folder / "tree" / "sparse").open("wb") as file:
        file.truncate(9 << 20)
    return squashfs_image(folder / "tree", folder / "image", "-noI", "-no-duplicates")


def test_a_directory_that_holds_its_parent_is_entered_once(tmp_path: Path) -> None:
    image = odd_tree(tmp_path)
    fields = superblock(image)
    data = bytearray(image.read_bytes())
    place = data.index(b"loop", fields["directory_table"]) - 8
    assert fields["root"] >> 16 == 0
    base = struct.unpack_from("<I", data, fields["directory_table"] + 2 + 8)[0]
    struct.pack_into("<Hh", data, place, fields["root"] & 0xFFFF, fields["inodes"] - base)
    image.write_bytes(data)
    walked = Walked(image, "squashfs")
    assert set(walked.living()) >= {b"/", b"/loop", b"/one", b"/two", b"/sparse"}
    assert REACHED_BEFORE in walked.living()[b"/loop"].problems
    assert any("no name leads to them" in problem.reason for problem in walked.problems)


@pytest.mark.parametrize(("size", "is_told"), [(1 << 60, True), ((1 << 63) - 1, True), (1 << 63, False)])
def test_a_file_of_exbibytes_costs_itself(tmp_path: Path, size: int, is_told: bool) -> None:  # noqa: FBT001 - a parameter
    image = odd_tree(tmp_path)
    data = bytearray(image.read_bytes())
    place = data.index(struct.pack("<Q", 9 << 20), superblock(image)["inode_table"])
    struct.pack_into("<Q", data, place, size)
    image.write_bytes(data)
    walked = Walked(image, "squashfs")
    entry = walked.living()[b"/sparse"]
    assert entry.has_inode == is_told
    if is_told:
        losses: list[Loss] = []
        reader = open_filesystem("squashfs", Window(medium_of(walked.descriptor), 0, len(data)), lambda _: None)
        assert list(stored_chunks(medium_of(walked.descriptor), entry, lambda _: reader, losses)) == []
        assert [loss.length for loss in losses] == [size]
        ended = run("hash", image, "-f", "jsonl", "--progress", "none")
        assert ended.returncode == 3, ended.stderr
    else:
        assert "could not be read" in entry.problems[0]
    assert walked.content(walked.living()[b"/one"]) == (hashlib.sha256(b"1" * 5000).hexdigest(), [])


def test_a_number_that_leads_elsewhere_does_not_swap_contents(tmp_path: Path) -> None:
    image = odd_tree(tmp_path)
    sound = Walked(image, "squashfs").living()
    data = bytearray(image.read_bytes())
    moment = struct.pack("<I", sound[b"/two"].modified // 1_000_000_000)  # type: ignore[operator]  # it has one
    place = data.index(moment + struct.pack("<I", sound[b"/two"].inode), superblock(image)["inode_table"]) + 4
    struct.pack_into("<I", data, place, sound[b"/one"].inode)
    image.write_bytes(data)
    walked = Walked(image, "squashfs")
    found = walked.living()
    assert walked.content(found[b"/one"])[0] == hashlib.sha256(b"1" * 5000).hexdigest()
    assert walked.content(found[b"/two"])[0] == hashlib.sha256(b"2" * 5000).hexdigest()
    assert found[b"/one"].inode != found[b"/two"].inode
    assert any("is not where it stands" in problem for problem in found[b"/two"].problems)


@pytest.mark.parametrize("inodes", [0, 1, 0xFFFFFFFF])
def test_a_wrong_count_of_inodes_hides_nothing(tmp_path: Path, inodes: int) -> None:
    image = edited(odd_tree(tmp_path), inodes=inodes)
    walked = Walked(image, "squashfs")
    found = walked.living()
    assert {b"/", b"/loop", b"/one", b"/two", b"/sparse"} <= set(found)
    assert walked.content(found[b"/two"]) == (hashlib.sha256(b"2" * 5000).hexdigest(), [])
    assert walked.problems or any(entry.problems for entry in walked.entries)
