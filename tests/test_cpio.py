"""Cpio archives as filesystems: what GNU cpio writes in every form, entry by entry; and what damage costs."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from test_tar import contents, expected_rows, fill, found_rows, recognised, text
from test_walk import Walked

from volforensic.evidence.node import NOT_IN_ARCHIVE, SEVERAL_ARCHIVES
from volforensic.evidence.signatures import Filesystem

needs_cpio = pytest.mark.skipif(shutil.which("cpio") is None, reason="cpio is not installed")


def pack(folder: Path, archive: Path, form: str) -> Path:
    names = b"\0".join(os.fsencode(path.relative_to(folder)) for path in [folder, *sorted(folder.rglob("*"))])
    with archive.open("wb") as file:
        command = ["cpio", "-o", "-0", "-H", form]
        subprocess.run(command, check=True, cwd=folder, input=names, stdout=file, stderr=subprocess.DEVNULL)
    return archive


@needs_cpio
@pytest.mark.parametrize("form", ["newc", "crc", "odc", "bin"])
def test_gnu_cpio_in_every_form(tmp_path: Path, form: str) -> None:
    folder = fill(tmp_path / "tree")
    (folder / "size1").chmod(0o6751)
    if form in {"odc", "bin"}:  # there 16 and 18 bits are kept
        (folder / "device").unlink(missing_ok=True)
        if not os.geteuid():
            os.chown(folder / "size1", 1, 2)
    archive = pack(folder, tmp_path / "archive", form)
    walked = Walked(archive, "cpio")
    expected, found = expected_rows(folder), found_rows(walked)
    assert found.keys() == expected.keys()
    assert {path: row for path, row in found.items() if row != expected[path]} == {}
    assert walked.problems == []
    numbers = {path: entry.inode for path, entry in walked.living().items()}
    assert len(set(numbers.values())) == len(numbers) - 2
    assert len({inode for path, inode in numbers.items() if path.endswith((b"/hard", b"/size513"))}) == 1
    if form in {"newc", "crc"}:
        assert numbers[b"/size0"] == (folder / "size0").stat().st_ino
    assert recognised(archive) == Filesystem(type="cpio")


def member(name: str, data: bytes = b"", *, mode: int = stat.S_IFREG | 0o644, inode: int = 0, **more: int) -> bytes:
    fields = [inode, mode, 0, 0, more.get("links", 1), 1, len(data), 0, more.get("minor", 0), 0, 0, len(name) + 1]
    check = more.get("check")
    magic = b"070701" if check is None else b"070702"
    raw = magic + b"".join(b"%08x" % field for field in [*fields, check or 0]) + name.encode() + b"\0"
    raw += bytes(-len(raw) % 4)
    return raw + data + bytes(-len(data) % 4)


END = member("TRAILER!!!", mode=0)


def walk(tmp_path: Path, *parts: bytes) -> Walked:
    path = tmp_path / "archive"
    path.write_bytes(b"".join(parts))
    return Walked(path, "cpio")


def test_hard_links_have_the_bytes_of_the_last(tmp_path: Path) -> None:
    parts = [member(name, data, inode=5, links=3) for name, data in (("a", b""), ("b", b""), ("c", b"xyz"))]
    walked = walk(tmp_path, *parts, END)
    assert [(entry.path, entry.size, entry.inode, entry.links) for entry in walked.entries[1:]] == [
        (name, 3, 5, 3) for name in (b"/a", b"/b", b"/c")
    ]
    assert len({walked.content(entry)[0] for entry in walked.entries[1:]}) == 1


def test_names_that_only_say_that_they_are_one_file_are_not(tmp_path: Path) -> None:
    parts = [member(name, data, inode=5, links=3) for name, data in (("a", b"1"), ("b", b"2"), ("c", b"1"))]
    alone = member("d", b"4", inode=5), member("e", mode=stat.S_IFDIR, inode=5), member("e/f", b"6", inode=1)
    walked = walk(tmp_path, *alone, *parts, END)
    numbers = {entry.path: entry.inode for entry in walked.entries}
    assert numbers[b"/a"] == numbers[b"/c"]
    assert len(set(numbers.values())) == len(numbers) - 1
    assert len({walked.content(entry)[0] for entry in walked.entries if entry.type == "file"}) == 4


def test_archives_that_follow_on_each_other(tmp_path: Path) -> None:
    first, second = member("kernel/x", b"microcode", inode=1), member("init", b"#!", inode=1)
    walked = walk(tmp_path, first, END, bytes(4096 - 300), second, END, bytes(512))
    assert contents(walked) == {b"/kernel/x": 9, b"/init": 2}
    assert walked.entries[0].problems == (SEVERAL_ARCHIVES,)
    assert walked.problems == []
    walked = walk(tmp_path, first, END, bytes(512), b"\x1f\x8b" * 100)
    assert contents(walked) == {b"/kernel/x": 9}
    assert "are no members" in text(walked)


def test_the_sum_of_the_bytes_is_verified(tmp_path: Path) -> None:
    data = bytes(range(256)) * 5 + b"\xff" * 300
    walked = walk(tmp_path, member("a", data, check=sum(data)), member("b", data, check=sum(data) + 1), END)
    found = walked.living()
    assert found[b"/a"].problems == ()
    assert found[b"/b"].problems == ("the checksum of its bytes is wrong",)


def test_damage_is_told_and_what_is_behind_it_is_read(tmp_path: Path) -> None:
    first, second, third = member("a", b"1"), member("b", b"2"), member("c", b"3" * 100)
    walked = walk(tmp_path, first, b"X" + second[1:], third, END)
    assert contents(walked) == {b"/a": 1, b"/c": 100}
    assert f"bytes {len(first)} to {len(first + second)} of the archive are lost" in text(walked)
    walked = walk(tmp_path, first, second, third[:-40])
    assert contents(walked) == {b"/a": 1, b"/b": 1, b"/c": 100}
    assert "lie outside" in str(walked.living()[b"/c"].problems)
    assert "it is cut" in text(walked)


def test_a_trailer_with_bytes_hides_nothing(tmp_path: Path) -> None:
    walked = walk(tmp_path, member("TRAILER!!!", b"data"), member("../up", b"1"), END)
    assert contents(walked) == {b"/TRAILER!!!": 4, b"/../up": 1}
    assert [entry.problems[0] for entry in walked.entries if entry.path == b"/.."] == [NOT_IN_ARCHIVE]
