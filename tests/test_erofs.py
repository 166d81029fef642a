"""Erofs against the kernel: names, inodes, contents of every layout that mkfs.erofs makes; and what damage costs."""

import hashlib
import json
import os
import random
import struct
from pathlib import Path

import pytest
from collection_runs import disk
from command_line import run, triage
from erofs_images import erofs_image
from loop_mounts import mounted
from media import medium_of
from mutants import MutantMedium
from test_squashfs import fill, without_unkept
from test_walk import Walked, kernel_rows, our_rows

from images.hostile import ALL
from images.hostile.kit import good_tree
from images.hostile.sealing import seal_erofs
from volforensic.evidence.erofs_codecs import decompressed
from volforensic.evidence.erofs_directory import block_names
from volforensic.evidence.erofs_space import ErofsError, ErofsSpace
from volforensic.evidence.filesystems import open_filesystem
from volforensic.evidence.node import REACHED_BEFORE, LostRangesError
from volforensic.evidence.reader import Window
from volforensic.evidence.signatures import Filesystem, recognise

VARIANTS = (
    (),
    ("-zlz4",),
    ("-zlz4hc,12", "-C65536"),
    ("-zlz4", "-C1048576"),
    ("-zlz4hc", "-Elegacy-compress"),
    ("-zlz4", "-Eztailpacking"),
    ("-zlz4", "-C32768", "-Eztailpacking,force-inode-extended"),
    ("-zlz4", "--max-extent-bytes=16384"),
    ("-Enoinline_data",),
    ("-Eforce-inode-extended", "-x1"),
    ("-Eforce-inode-compact", "--ignore-mtime", "--force-uid=7", "--force-gid=65535"),
    ("-x-1",),
    ("--chunksize=4096",),
    ("--chunksize=65536", "-Eforce-inode-blockmap"),
    ("--chunksize=4096", "-Eforce-chunk-indexes"),
    ("-zlz4", "-T1234567890"),
)


def more(folder: Path) -> Path:
    """Write what only an erofs keeps in its own ways: half-compressible files, large ones, shared attributes."""
    fill(folder)
    (folder / ("n" * 255)).rename(folder / ("n" * 254))  # mkfs.erofs 1.5 ends with an error at 255
    chance = random.Random(5)  # noqa: S311 - no secret: the same each time
    words = [chance.randbytes(7) for _ in range(50)]
    text = b"".join(chance.choice(words) for _ in range(200_000))
    (folder / "words").write_bytes(text)
    (folder / "mixed").write_bytes(
        b"".join(text[n : n + 20_000] + chance.randbytes(9_000) for n in range(0, 900_000, 20_000))
    )
    (folder / "zeros").write_bytes(bytes(3_000_000))
    (folder / "tail").write_bytes(text[:100_003])
    (folder / "many" / "longer").write_bytes(text[:8192])
    if not os.geteuid():
        for name in ("words", "mixed", "zeros", "tail"):
            os.setxattr(folder / name, "user.shared", b"the same value of all")
            os.setxattr(folder / name, "security.capability", struct.pack("<IIIII", 0x02000001, 1 << 12, 0, 0, 0))
    return folder


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return more(tmp_path_factory.mktemp("erofs") / "tree")


@pytest.mark.parametrize("options", VARIANTS, ids=" ".join)
def test_the_walk_sees_what_the_kernel_sees(tree: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    image = erofs_image(tree, tmp_path / "image", *options)
    with mounted(image, tmp_path / "mount", "ro") as folder:
        expected = without_unkept(kernel_rows(folder))
        links = {os.fsencode(path)[len(os.fsencode(folder)) :]: path.lstat().st_nlink for path in folder.rglob("*")}
        devices = {path: os.lstat(os.fsencode(folder) + path).st_rdev for path in (b"/device", b"/block")}
    walked = Walked(image, "erofs")
    found = without_unkept(our_rows(walked))
    assert found.keys() == expected.keys()
    assert {path: row for path, row in found.items() if row != expected[path]} == {}
    living = walked.living()
    assert {path: entry.links for path, entry in living.items() if path != b"/"} == links
    assert {path: os.makedev(*living[path].device or ()) for path in devices} == devices
    assert walked.problems == []
    capable = {path: entry.capabilities for path, entry in living.items() if entry.capabilities}
    raw = {b"/text4095", b"/text4096", b"/hard", b"/random4097"}
    expected_names = dict.fromkeys(raw, "cap_net_raw=ep") | dict.fromkeys(
        (b"/words", b"/mixed", b"/zeros", b"/tail"), "cap_net_admin=ep"
    )
    assert capable == ({} if "-x-1" in options else expected_names)


def small(folder: Path, *options: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return erofs_image(good_tree(folder / "tree"), folder / "image", *options)


def edited(image: Path, place: int, raw: bytes, *, is_sealed: bool = True) -> Path:
    """Write bytes into the image, and where it is sealed the checksum that it has then."""
    data = bytearray(image.read_bytes())
    data[place : place + len(raw)] = raw
    if is_sealed:
        seal_erofs(data)
    image.write_bytes(data)
    return image


def recognised(image: Path) -> Filesystem | None:
    with image.open("rb") as file:
        return recognise(Window(medium_of(file.fileno()), 0, image.stat().st_size))


@pytest.mark.parametrize(
    ("place", "raw", "reason"),
    [
        (12, b"\x08", "blocks of 2^8 bytes"),
        (12, b"\x11", "blocks of 2^17 bytes"),
        (0x5A, b"\x05", "directory blocks"),
        (0x50, b"\0\0\1\0", "features that are not known: 0x10000"),
        (0x50, b"\1\1\0\0", "metabox"),
    ],
)
def test_a_superblock_that_cannot_be_is_said(tmp_path: Path, place: int, raw: bytes, reason: str) -> None:
    image = small(tmp_path, "-Uc1b9d5a2-f162-11cf-9ece-0020afc76f16")
    sound = recognised(image)
    assert sound is not None
    assert (sound.type, sound.block_size, sound.unread, sound.remark) == ("erofs", 4096, "", "")
    assert sound.uuid == "c1b9d5a2-f162-11cf-9ece-0020afc76f16"
    assert sound.inodes_used == sum(1 for _ in (tmp_path / "tree").rglob("*")) + 1
    found = recognised(edited(image, 1024 + place, raw))
    assert found is not None
    assert (found.type, reason in found.unread) == ("erofs", True)
    with image.open("rb") as file, pytest.raises(ErofsError):
        ErofsSpace(Window(medium_of(file.fileno()), 0, image.stat().st_size))


def test_a_wrong_checksum_and_a_cut_are_said(tmp_path: Path) -> None:
    image = edited(small(tmp_path), 1024 + 0x40, b"label", is_sealed=False)
    found = recognised(image)
    assert found is not None
    assert (found.unread, "checksum" in found.remark, found.label) == ("", True, "label")
    assert Walked(image, "erofs").problems == []
    os.truncate(image, image.stat().st_size - 4096)
    found = recognised(edited(image, 1024 + 0x40, b"other"))
    assert found is not None
    assert "the volume has" in found.remark


def packed(folder: Path, content: bytes) -> tuple[Path, Walked]:
    (folder / "tree").mkdir()
    (folder / "tree" / "file").write_bytes(content)
    image = erofs_image(folder / "tree", folder / "image", "-zlz4", "-C16384", "-Eforce-inode-extended")
    return image, Walked(image, "erofs")


def text(size: int) -> bytes:
    chance = random.Random(7)  # noqa: S311 - no secret
    words = [chance.randbytes(8) for _ in range(500)]
    return b"".join(chance.choice(words) for _ in range(size // 8))


def test_a_damaged_cluster_costs_its_range_and_is_said(tmp_path: Path) -> None:
    content = text(400_000)
    image, walked = packed(tmp_path, content)
    reader = walked._reader
    pieces = list(reader._contents.pieces(reader._read(walked.living()[b"/file"].inode)))  # type: ignore[attr-defined]
    piece = pieces[2]
    assert piece.form == "compressed"
    edited(image, piece.place, bytes(piece.size))
    walked = Walked(image, "erofs")
    digest, losses = walked.content(walked.living()[b"/file"])
    end = piece.start + piece.length
    expected = content[: piece.start] + bytes(piece.length) + content[end:]
    assert digest == hashlib.sha256(expected).hexdigest()
    assert [(loss.offset, loss.length) for loss in losses] == [(piece.start, piece.length)]


def test_what_does_not_read_costs_itself(tmp_path: Path) -> None:
    content = text(400_000)
    image, walked = packed(tmp_path, content)
    reader = walked._reader
    inode = walked.living()[b"/file"].inode
    piece = list(reader._contents.pieces(reader._read(inode)))[1]  # type: ignore[attr-defined]
    raw = image.read_bytes()
    medium = MutantMedium(raw, len(raw), frozenset({piece.place // 512}))
    again = open_filesystem("erofs", Window(medium, 0, len(raw)), lambda _: None)
    with pytest.raises(LostRangesError) as caught:
        list(again.chunks(0, inode))
    assert [(first, length) for first, length, _ in caught.value.ranges] == [(piece.start, piece.length)]
    assert "read error" in str(caught.value)


def test_names_that_are_gone_are_missed_by_their_count(tmp_path: Path) -> None:
    image = small(tmp_path)
    raw = image.read_bytes()
    place = raw.index(b"...onetwo") - 4 * 12
    walked = Walked(edited(image, place + 36, raw[place + 24 : place + 32]), "erofs")  # "two" is a name of "one" now
    assert ["names were lost" in problem.reason for problem in walked.problems] == [True]


def test_a_directory_that_holds_the_root_is_entered_once(tmp_path: Path) -> None:
    walked = Walked(ALL["erofs-directory-cycle"](tmp_path).path, "erofs")
    assert REACHED_BEFORE in walked.living()[b"/usr/share/doc"].problems
    assert any("names were lost" in problem.reason for problem in walked.problems)


def test_bytes_on_another_device_are_said(tmp_path: Path) -> None:
    tree = good_tree(tmp_path / "tree")
    blob = tmp_path / "blob"
    image = erofs_image(tree, tmp_path / "image", "--chunksize=4096", f"--blobdev={blob}")
    walked = Walked(image, "erofs")
    assert [problem.lost for problem in walked.problems] == [False]
    files = [entry for entry in walked.entries if entry.type == "file"]
    assert all(any("device 1" in reason for reason in entry.problems) and not entry.has_all_runs for entry in files)
    # With the device behind the first, as the kernel takes it where it is given one alone.
    raw = image.read_bytes()
    slot = struct.unpack_from("<H", raw, 1024 + 0x58)[0] * 128
    edited(image, slot + 68, struct.pack("<I", len(raw) // 4096))
    image.write_bytes(image.read_bytes() + blob.read_bytes())
    walked = Walked(image, "erofs")
    for entry in walked.entries:
        if entry.type == "file":
            expected = hashlib.sha256((tree / os.fsdecode(entry.path[1:])).read_bytes()).hexdigest()
            assert walked.content(entry) == (expected, [])
    with mounted(image, tmp_path / "mount", "ro") as folder:
        assert (folder / "etc/passwd").read_bytes() == (tree / "etc/passwd").read_bytes()


@pytest.mark.parametrize("size", [1, 100, 5000])
def test_bombs_and_noise_are_bounded(size: int) -> None:
    raw = {
        0: b"\x1fa\1\0" + b"\xff" * 8000 + b"\0\x10b",
        1: b"\xa2" + bytes(4000),
        2: b"\x4b" * 4000,
        3: b"\x28" * 4000,
    }
    for algorithm, data in raw.items():
        try:
            assert len(decompressed(algorithm, data, size, is_partial=True)) == size
        except ErofsError:
            continue
    with pytest.raises(ErofsError):
        decompressed(0, raw[0], size, is_partial=False)
    with pytest.raises(ErofsError):
        decompressed(4, b"", 1, is_partial=False)


def entry_of(nid: int, start: int, kind: int = 1) -> bytes:
    return struct.pack("<QHBx", nid, start, kind)


@pytest.mark.parametrize(
    ("block", "names", "faults"),
    [
        (entry_of(1, 24) + entry_of(2, 25) + b"ab", [b"a", b"b"], 0),
        (entry_of(1, 24) + entry_of(2, 25) + b"ab\0\0", [b"a", b"b"], 0),
        (entry_of(1, 23) + b"ab", [], 1),
        (entry_of(1, 0) + b"ab", [], 1),
        (entry_of(1, 4080) + b"ab", [], 1),
        (entry_of(1, 24) + entry_of(2, 4000) + b"ab", [], 2),
        (entry_of(1, 24) + entry_of(2, 24) + b"ab", [b"ab"], 1),
        (entry_of(1, 12) + b"n" * 256, [], 1),
        (entry_of(1, 12), [], 1),
    ],
)
def test_entries_that_cannot_be_are_said(block: bytes, names: list[bytes], faults: int) -> None:
    damage: list[str] = []
    assert [found.name for found in block_names(block, damage)] == names
    assert len(damage) == faults


def test_hash_and_triage_of_a_partition(tmp_path: Path) -> None:
    image = small(tmp_path, "-zlz4")
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
    ended = triage(raw, tmp_path / "case", "--progress", "none", "--profile", "full")
    assert ended.returncode in {0, 10}, ended.stdout + ended.stderr
