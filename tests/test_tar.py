"""Tar archives as filesystems: what GNU tar, bsdtar and Python write, entry by entry; and what damage costs."""

import hashlib
import io
import mmap
import os
import random
import shutil
import stat
import struct
import subprocess
import tarfile
from pathlib import Path

import pytest
from media import medium_of
from test_walk import Walked

from volforensic.evidence import archive_index
from volforensic.evidence.archives import open_archive
from volforensic.evidence.discovery import read_layout
from volforensic.evidence.layout import LayoutArguments
from volforensic.evidence.node import LISTED_BEFORE, MORE_MEMBERS, NOT_IN_ARCHIVE, TYPES, UP_IN_NAME
from volforensic.evidence.reader import Window
from volforensic.evidence.recipes import disk_bases
from volforensic.evidence.signatures import Filesystem, recognise
from volforensic.evidence.tar_header import number
from volforensic.sandbox.messages import PAGE_USED
from volforensic.sandbox.worker import Workplace

needs_gnu_tar = pytest.mark.skipif(shutil.which("tar") is None, reason="GNU tar is not installed")
SPARSE = ("--format=gnu", "--format=oldgnu", "--format=posix --sparse-version=0.0",
          "--format=posix --sparse-version=0.1", "--format=posix --sparse-version=1.0")  # fmt: skip


def fill(folder: Path) -> Path:
    """Write what a tar keeps in its several ways, as far as this user may."""
    chance = random.Random(5)  # noqa: S311 - no secret: the same each time
    folder.mkdir()
    for size in (0, 1, 511, 512, 513, 10240, 70_000):
        (folder / f"size{size}").write_bytes(chance.randbytes(size))
    with (folder / "sparse").open("wb") as file:
        for place in range(0, 6 << 20, 128 << 10):
            file.seek(place + 4096)
            file.write(b"%7d" % place * 300)
        file.truncate(7 << 20)
    (folder / "holes").touch()
    os.truncate(folder / "holes", 3 << 20)
    deep = folder / ("d" * 90) / ("e" * 90) / ("f" * 100)
    deep.mkdir(parents=True)
    (deep / ("n" * 255)).write_text("deep")
    (folder / "link").symlink_to("t" * 300)
    Path(os.fsdecode(os.fsencode(folder) + b"/odd\xff\n\x1b[ name")).write_text("odd")
    os.mkfifo(folder / "fifo")
    os.link(folder / "size513", folder / "hard")
    os.link(folder / "size513", deep / "hard")
    (folder / "size1").chmod(0o6751)
    os.utime(folder / "size0", ns=(1_234_567_890_123_456_789, -4_000_000_005))
    if not os.geteuid():
        os.mknod(folder / "device", 0o20600, os.makedev(300, 70_000))
        os.chown(folder / "size1", 3_000_000, 4_000_000)
        os.setxattr(folder / "size1", "security.capability", struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0))
    return folder


def expected_rows(folder: Path) -> dict[bytes, tuple[object, ...]]:
    rows: dict[bytes, tuple[object, ...]] = {}
    root = os.fsencode(folder)
    for path in folder.rglob("*"):
        status = path.lstat()
        kind = TYPES[stat.S_IFMT(status.st_mode)]
        rows[os.fsencode(path)[len(root) :]] = (
            kind,
            stat.S_IMODE(status.st_mode),
            status.st_uid,
            status.st_gid,
            status.st_size if kind in {"file", "symlink"} else 0,
            os.fsencode(path.readlink()) if kind == "symlink" else None,
            (os.major(status.st_rdev), os.minor(status.st_rdev)) if kind == "character_device" else None,
            hashlib.sha256(path.read_bytes()).hexdigest() if kind == "file" else "",
        )
    return rows


def found_rows(walked: Walked) -> dict[bytes, tuple[object, ...]]:
    rows: dict[bytes, tuple[object, ...]] = {}
    for path, entry in walked.living().items():
        digest, losses = walked.content(entry) if entry.type == "file" else ("", [])
        assert not losses
        assert not set(entry.problems) - {NOT_IN_ARCHIVE}
        owner = entry.type, entry.mode, entry.uid, entry.gid
        rows[path] = (*owner, entry.size, entry.link_target, entry.device, digest)
    rows.pop(b"/")
    return rows


def gnu_tar(folder: Path, archive: Path, *options: str) -> Path:
    subprocess.run(["tar", "-C", str(folder), "-cf", str(archive), *options, "."], check=True, capture_output=True)
    return archive


def check(folder: Path, archive: Path) -> Walked:
    walked = Walked(archive, "tar")
    expected, found = expected_rows(folder), found_rows(walked)
    assert found.keys() == expected.keys()
    assert {path: row for path, row in found.items() if row != expected[path]} == {}
    assert walked.problems == []
    numbers = {path: entry.inode for path, entry in walked.living().items()}
    assert len({inode for path, inode in numbers.items() if path.endswith((b"/hard", b"/size513"))}) == 1
    assert len(set(numbers.values())) == len(numbers) - 2
    assert {entry.links for path, entry in walked.living().items() if path.endswith(b"/hard")} == {3}
    return walked


@needs_gnu_tar
@pytest.mark.parametrize("options", ["--format=gnu", *(f"-S {one}" for one in SPARSE)])
def test_gnu_tar_in_every_sparse_form(tmp_path: Path, options: str) -> None:
    folder = fill(tmp_path / "tree")
    check(folder, gnu_tar(folder, tmp_path / "archive", *options.split()))


@needs_gnu_tar
def test_times_and_attributes_of_pax(tmp_path: Path) -> None:
    folder = fill(tmp_path / "tree")
    walked = check(folder, gnu_tar(folder, tmp_path / "archive", "--format=posix", "--xattrs", "--xattrs-include=*"))
    for path, entry in walked.living().items():
        status = os.lstat(os.fsencode(folder) + path)
        assert (entry.modified, entry.changed) == (status.st_mtime_ns, status.st_ctime_ns)
    if not os.geteuid():
        assert walked.living()[b"/size1"].capabilities == "cap_net_raw=ep"


@pytest.mark.skipif(shutil.which("bsdtar") is None, reason="bsdtar is not installed")
@pytest.mark.parametrize("form", ["pax", "gnutar"])
def test_bsdtar(tmp_path: Path, form: str) -> None:
    folder = fill(tmp_path / "tree")
    archive = tmp_path / "archive"
    command = ["bsdtar", "-C", str(folder), "-cf", str(archive), "--format", form, "."]
    subprocess.run(command, check=True, capture_output=True)
    check(folder, archive)


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_python(tmp_path: Path, form: int) -> None:
    folder = fill(tmp_path / "tree")
    with tarfile.open(tmp_path / "archive", "w", format=form) as archive:
        archive.add(folder, ".")
    check(folder, tmp_path / "archive")


def member(name: str, data: bytes = b"", **fields: object) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    return info.tobuf(tarfile.PAX_FORMAT) + data + bytes(-len(data) % 512)


END = bytes(1024)


def walk(tmp_path: Path, *parts: bytes | bytearray) -> Walked:
    path = tmp_path / "archive"
    path.write_bytes(b"".join(parts))
    return Walked(path, "tar")


def text(walked: Walked) -> str:
    return " ".join(problem.reason for problem in walked.problems if problem.lost)


def contents(walked: Walked) -> dict[bytes, int]:
    return {entry.path: entry.size for entry in walked.entries if entry.type == "file"}


def test_odd_names_lead_nowhere(tmp_path: Path) -> None:
    names = ["../../etc/passwd", "/absolute", "./a//./b", "x/../y", "../.."]
    walked = walk(tmp_path, *(member(name, b"x") for name in names), END)
    assert set(contents(walked)) == {b"/../../etc/passwd", b"/absolute", b"/a/b", b"/x/../y", b"/../.."}
    ups = [entry for entry in walked.entries if entry.path == b"/.."]
    assert [entry.problems for entry in ups] == [(NOT_IN_ARCHIVE, UP_IN_NAME)]
    assert walked.problems == []


def test_two_of_a_name_are_both_listed_and_what_is_in_a_directory_once(tmp_path: Path) -> None:
    folder = {"type": tarfile.DIRTYPE}
    parts = member("d", **folder), member("d/f", b"1"), member("d/f", b"22"), member("d", **folder), member("d/g")
    walked = walk(tmp_path, *parts, member("d", b"file"), END)
    found = [(entry.path, entry.type, entry.size, entry.problems) for entry in walked.entries[1:]]
    assert found == [
        (b"/d", "directory", 0, ()),
        (b"/d", "directory", 0, (LISTED_BEFORE,)),
        (b"/d", "file", 4, ()),
        (b"/d/f", "file", 1, ()),
        (b"/d/f", "file", 2, ()),
        (b"/d/g", "file", 0, ()),
    ]
    assert len({entry.inode for entry in walked.entries}) == 7


def test_a_hard_link_to_nothing_is_said_and_one_behind_leads_forward(tmp_path: Path) -> None:
    parts = [
        member("lost", type=tarfile.LNKTYPE, linkname="nowhere/x"),
        member("early", type=tarfile.LNKTYPE, linkname="late"),
        member("self", type=tarfile.LNKTYPE, linkname="self"),
        member("late", b"bytes"),
        member("late", b"again"),
        member("with data", b"own", type=tarfile.LNKTYPE, linkname="late"),
    ]
    walked = walk(tmp_path, *parts, END)
    found = walked.living()
    assert (found[b"/early"].inode, found[b"/early"].size) == (walked.entries[4].inode, 5)
    assert not found[b"/lost"].has_inode
    assert not found[b"/self"].has_inode
    assert (found[b"/with data"].size, found[b"/with data"].inode != found[b"/late"].inode) == (3, True)
    assert "nowhere/x" in str(found[b"/lost"].problems)


def test_a_member_without_a_name_is_listed(tmp_path: Path) -> None:
    assert contents(walk(tmp_path, member("./", b"x"), member("a", b"22"), END)) == {b"/.": 1, b"/a": 2}


def test_a_wrong_checksum_costs_what_is_said(tmp_path: Path) -> None:
    first, second, third = member("a", b"1" * 600), member("b", b"2" * 600), member("c", b"3")
    wrong = bytearray(second)
    wrong[5] = 7
    walked = walk(tmp_path, first, wrong, third, END)
    assert contents(walked) == {b"/a": 600, b"/b\0\0\0\0\x07"[:2]: 600, b"/c": 1}
    problems = [entry.problems for entry in walked.entries if entry.problems]
    assert problems == [("the checksum of its header is wrong",)]
    wrong[124:136] = b"7" * 12
    walked = walk(tmp_path, first, wrong, third, END)
    assert contents(walked) == {b"/a": 600, b"/c": 1}
    assert f"bytes {len(first)} to {len(first) + len(second)} of the archive are lost" in text(walked)
    walked = walk(tmp_path, first, bytes(512), second[512:], third, END)
    assert contents(walked) == {b"/a": 600, b"/c": 1}
    assert "are no members, and members follow" in text(walked)


def test_a_cut_archive_keeps_what_came_before(tmp_path: Path) -> None:
    whole = member("a", b"1") + member("b", b"2" * 5000)
    walked = walk(tmp_path, whole[:-3000])
    assert contents(walked) == {b"/a": 1, b"/b": 5000}
    assert "lie outside the volume" in str(walked.living()[b"/b"].problems)
    assert not walked.living()[b"/b"].has_all_runs
    assert "it is cut" in text(walked)
    assert "it is cut" in text(walk(tmp_path, whole))
    assert text(walk(tmp_path, whole, END)) == ""
    assert "behind the end of the archive" in text(walk(tmp_path, whole, END, b"garbage"))


def test_members_behind_the_end_are_listed(tmp_path: Path) -> None:
    one = member("a", b"1") + END
    one += bytes(-len(one) % 10240)
    walked = walk(tmp_path, one, member("b", b"22"), END)
    assert contents(walked) == {b"/a": 1, b"/b": 2}
    assert (text(walked), walked.entries[0].problems) == ("", (MORE_MEMBERS,))
    walked = walk(tmp_path, member("a", b"1"), END, b"junk" * 128, member("b", b"22"), END)
    assert contents(walked) == {b"/a": 1, b"/b": 2}
    assert "are no members" in text(walked)


def pax(**records: bytes) -> bytes:
    body = b"".join(record(name.replace("__", ".").encode(), value) for name, value in records.items())
    return member("x", body, type=tarfile.XHDTYPE)


def record(name: bytes, value: bytes) -> bytes:
    size = len(name) + len(value) + 3
    size += len(str(size + len(str(size))))
    return b"%d %s=%s\n" % (size, name, value)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (pax(size=b"99999999999999"), "its extended header says"),
        (pax(size=b"x"), "is no number"),
        (pax(mtime=b"1.2.3"), "is no time"),
        (member("x", b"77 nonsense", type=tarfile.XHDTYPE), "extended header"),
        (pax(GNU__sparse__major=b"1", GNU__sparse__realsize=b"9"), "sparse"),
        (pax(GNU__sparse__map=b"0,5,3,5", GNU__sparse__size=b"9"), "not in order"),
        (pax(GNU__sparse__map=b"0,99", GNU__sparse__size=b"9"), "outside"),
        (pax(GNU__sparse__map=b"0,9", GNU__sparse__size=b"9"), "not in the archive"),
        (pax(SCHILY__xattr__security__capability=b"bad") + b"", "capabilities"),
        (pax(uid=b"999999999999"), "is no number"),
    ],
)
def test_a_lie_in_an_extended_header_costs_one_member(tmp_path: Path, header: bytes, said: str) -> None:
    walked = walk(tmp_path, header, member("a", b"1234"), member("b", b"1"), END)
    assert set(contents(walked)) == {b"/a", b"/b"}
    assert said in str(walked.living()[b"/a"].problems)
    assert walked.living()[b"/b"].problems == ()
    assert not text(walked)


def test_pax_values(tmp_path: Path) -> None:
    header = pax(path=b"n\0a/m\xff", mtime=b"-1.5", atime=b"3.000000001", ctime=b"4", LIBARCHIVE__creationtime=b"5.25")
    walked = walk(tmp_path, header, member("a", b"1234"), END)
    entry = next(entry for entry in walked.entries if entry.type == "file")
    assert entry.path == b"/n\0a/m\xff"
    assert (entry.modified, entry.accessed) == (-1_500_000_000, 3_000_000_001)
    assert (entry.changed, entry.created) == (4_000_000_000, 5_250_000_000)
    acl = pax(SCHILY__acl__access=b"user::rw-,user:7:r--,group::r--,mask::r--,other::---")
    plain = pax(SCHILY__acl__access=b"user::rw-\ngroup::r--\nother::---\n")
    walked = walk(tmp_path, acl, member("a"), plain, member("b"), END)
    assert [entry.attributes for entry in walked.entries[1:]] == [("acl",), ()]


def test_numbers_that_others_claim_hide_nothing(tmp_path: Path) -> None:
    same = pax(volforensic__inode=b"7")
    folders = same + member("d", type=tarfile.DIRTYPE), same + member("e", type=tarfile.DIRTYPE)
    walked = walk(tmp_path, *folders, member("d/1", b"1"), member("e/2", b"2"), same, member("f", b"3"), END)
    assert set(contents(walked)) == {b"/d/1", b"/e/2", b"/f"}
    assert len({(entry.tree, entry.inode) for entry in walked.entries}) == 6


def test_a_flood_of_damage_ends(tmp_path: Path) -> None:
    good = member("a", b"1")
    walked = walk(tmp_path, *(good + b"junk" * 128 for _ in range(1200)), END)
    assert 1000 <= len(walked.entries) <= 1200
    assert "1002 times: bytes 1024 to 1536" in text(walked)


def test_v7_and_base_256(tmp_path: Path) -> None:
    assert [number(field) for field in (b"0000644\0", b" 12 \0", b"\0" * 8, b"x", b"9")] == [0o644, 10, 0, None, None]
    assert (number(b"\x80" + bytes(6) + b"\x09"), number(b"\xff" * 8)) == (9, -1)
    raw = bytearray(member("v7/", b"") + member("v7/f", b"12"))
    for at in (0, 512):
        raw[at + 257 : at + 512] = bytes(255)
        raw[at + 156] = 0
        raw[at + 148 : at + 156] = b" " * 8
        raw[at + 148 : at + 156] = b"%06o\0 " % sum(raw[at : at + 512])
    walked = walk(tmp_path, raw, END)
    assert [(entry.path, entry.type) for entry in walked.entries[1:]] == [(b"/v7", "directory"), (b"/v7/f", "file")]
    assert recognised(tmp_path / "archive") == Filesystem(type="tar")
    damaged = bytes(raw) + b"junk" * 128 + bytes(raw[512:])
    walked = walk(tmp_path, damaged, END)
    assert [entry.path for entry in walked.entries[1:]] == [b"/v7", b"/v7/f", b"/v7/f"]


def recognised(path: Path) -> Filesystem | None:
    with path.open("rb") as file:
        return recognise(Window(medium_of(file.fileno()), 0, path.stat().st_size), is_disk=True)


def test_a_tar_is_recognised_as_a_whole_disk_only(tmp_path: Path) -> None:
    path = tmp_path / "archive"
    path.write_bytes(member("a", b"1") + END)
    assert recognised(path) == Filesystem(type="tar")
    with path.open("rb") as file:
        assert recognise(Window(medium_of(file.fileno()), 0, 1024)) is None
    path.write_bytes(b"\0" * 4096)
    assert recognised(path) is None


def test_a_filesystem_behind_a_header_of_tar_is_told(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    path.touch()
    os.truncate(path, 1 << 20)
    subprocess.run(["mke2fs", "-q", "-F", str(path)], check=True)
    with path.open("r+b") as file:
        file.write(member("fake"))
    found = recognised(path)
    assert found is not None
    assert (found.type, "tar" in found.remark) == ("ext2", True)


class _BadSector(io.BytesIO):
    """A medium one sector of which does not read."""

    def __init__(self, data: bytes, begin: int, end: int) -> None:
        super().__init__(data)
        self.bad = range(begin, end)
        self.size = len(data)

    def read_at(self, position: int, size: int) -> bytes:
        if position < self.bad.stop and position + size > self.bad.start:
            raise OSError(5, "read error")
        self.seek(position)
        return self.read(size)


def test_a_sector_that_does_not_read_costs_its_members() -> None:
    parts = [member(f"f{index}", b"x" * 512) for index in range(100)]
    data = b"".join(parts) + END
    reader = open_archive("tar", Window(_BadSector(data, 4096 * 3, 4096 * 4), 0, len(data)), lambda _: None)
    names: set[bytes] = set()
    with pytest.raises(ValueError, match="bytes 12288 to 16384 of the archive are lost: it does not read"):
        names.update(listed.name for listed in reader.entries(reader.root()))
    assert names == {b"f%d" % index for index in range(100) if not 12 <= index < 16}


def test_a_global_header_gives_no_path_to_all(tmp_path: Path) -> None:
    header = member("g", record(b"path", b"p" * 60_000) + record(b"uid", b"77"), type=tarfile.XGLTYPE)
    walked = walk(tmp_path, member("a"), header, member("b"), member("c"), END)
    assert [(entry.path, entry.uid) for entry in walked.entries[1:]] == [(b"/a", 0), (b"/b", 77), (b"/c", 77)]
    assert "what can be true of one only" in text(walked)
    walked = walk(tmp_path, member("g", record(b"mtime", b"77.5"), type=tarfile.XGLTYPE), member("b"), END)
    assert walked.entries[1].modified == 77_500_000_000


def test_a_few_deep_names_do_not_fill_the_disk_with_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_index, "_MOST_PATH_BYTES", 1 << 20)
    deep = [pax(path=b"%d/" % number + b"a/" * 900) + member("x") for number in range(5)]
    walked = walk(tmp_path, member("before"), *deep, END)
    assert b"/before" in contents(walked)
    assert sum(len(entry.path) for entry in walked.entries) < 2 << 20
    assert "directories, with paths of" in text(walked)


class _Disks:
    """Two disks in one space of addresses."""

    def __init__(self, parts: list[bytes]) -> None:
        self._parts = parts
        self._bases = disk_bases([len(part) for part in parts])
        self.size = self._bases[-1] + len(parts[-1])

    def read_at(self, position: int, size: int) -> bytes:
        for base, part in zip(self._bases, self._parts, strict=True):
            if base <= position < base + len(part):
                return part[position - base : position - base + size]
        return b""


def test_an_archive_is_recognised_on_every_disk() -> None:
    parts = [member("a", b"1") + END, member("b", b"22") + END]
    place = Workplace(_Disks(parts), mmap.mmap(-1, PAGE_USED), None)
    layout = next(read_layout(place, LayoutArguments(sizes=[len(part) for part in parts])))
    assert [volume.filesystem.type for volume in layout.volumes if volume.filesystem] == ["tar", "tar"]
    assert not any(problem.lost for problem in layout.problems)
