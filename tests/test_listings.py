"""Rows in the formats of other tools: sha256sum, mactime and an XML parser read them back."""

import base64
import hashlib
import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loop_mounts import mounted
from media import handle_of, medium_of

from volforensic.evidence.layout import Volume, VolumeFacts
from volforensic.evidence.reader import Window
from volforensic.evidence.signatures import recognise
from volforensic.inventory.stage import walk_volumes
from volforensic.preload import preloaded_modules
from volforensic.record import Row, text_fields
from volforensic.report.bodyfile import EARLY, TIMELESS, bodyfile_lines
from volforensic.report.dfxml import DfxmlSource, dfxml_parts
from volforensic.report.row_values import mode_letters, name_bytes, seconds
from volforensic.report.sha256sum import sha256sum_lines
from volforensic.sandbox.pool import Pool

NASTY = [
    b"plain",
    b"new\nline",
    b"carriage\rreturn",
    b"back\\slash",
    b"tab\tand bell\x07",
    b"quote\"s 'and' `more`",
    b"pipe|pipe",
    b"percent%41%7C",
    b"percent%0A%250A",
    b"not utf-8 \xff\xfe\xc3",
    b"surrogate \xed\xa0\x80",
    b"-leading dash",
    b" blank ",
    b"a -> b",
    b"b (deleted)",
    b"<&>]]>",
    "Grüße \u202e \ufffe 😀".encode(),
    b"n" * 255,
    b"\xff" * 255,
    b"*star ?",
    b"#hash",
]
SPACE = "{http://www.forensicswiki.org/wiki/Category:Digital_Forensics_XML}"
BASE64 = "{urn:volforensic:dfxml}base64"
TIMES = dict.fromkeys(("mtime", "atime", "ctime", "crtime"), "2024-05-06T07:08:09.987654321Z")


def row(path: bytes, **values: Any) -> Row:
    """A row of the inventory as ``FileEntry.row`` makes it."""
    known: Row = {"volume": 1, **text_fields("path", path), "type": "file", "mode": 0o644, "uid": 0, "gid": 0}
    known |= {"size": 3, **TIMES, "inode": 12, "nlink": 1, "allocated": True, "extents": None, "problems": ()}
    return known | values


def at(folder: Path, name: bytes) -> Path:
    return folder / os.fsdecode(name)


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Row]]:
    """An ext4 image with hard names, and its rows with hashes."""
    if shutil.which("mke2fs") is None or shutil.which("debugfs") is None:
        pytest.skip("this host has no e2fsprogs")
    folder = tmp_path_factory.mktemp("listing")
    tree = folder / "tree"
    deep = at(tree, b"d\\ir\xff/sub")
    deep.mkdir(parents=True)
    contents = {}
    for number, name in enumerate(NASTY):
        for place in (tree, deep):
            at(place, name).write_bytes(b"content %d" % number)
            contents[os.fsencode(at(place, name))[len(os.fsencode(tree)) :]] = b"content %d" % number
    at(tree, b"link|to").symlink_to("../new\nline|%")
    os.mkfifo(tree / "fifo")
    (tree / "plain").chmod(0o6755)
    deep.chmod(0o1777)
    image = folder / "ext4.raw"
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", tree, image, "8M"], check=True, capture_output=True)
    subprocess.run(["debugfs", "-w", "-R", 'rm "/-leading dash"', image], check=True, capture_output=True)
    return image, list(rows_of(image, contents))


def rows_of(image: Path, contents: dict[bytes, bytes]) -> list[Row]:
    size = image.stat().st_size
    descriptor = os.open(image, os.O_RDONLY)
    try:
        found = recognise(Window(medium_of(descriptor), 0, size))
        volume = Volume(index=0, offset=0, length=size, kind="whole", description="", filesystem=found)
        with Pool(preload=preloaded_modules([]), jobs=1) as pool:
            batches = [
                batch for batch in walk_volumes(pool, handle_of(descriptor), [volume]) if isinstance(batch, list)
            ]
    finally:
        os.close(descriptor)
    rows = []
    for entry in (entry for batch in batches for entry in batch):
        made = entry.row(entry.path)
        if entry.type == "file" and entry.allocated and entry.path in contents:
            made["sha256"] = hashlib.sha256(contents[entry.path]).hexdigest()
        rows.append(made)
    return rows


def test_sha256sum_checks_every_file_of_the_mount(disk: tuple[Path, list[Row]], tmp_path: Path) -> None:
    image, rows = disk
    left_out: Counter[str] = Counter()
    lines = list(sha256sum_lines(rows, left_out))
    assert len(lines) == 2 * len(NASTY) - 1
    assert left_out["without a hash"] == 0
    (tmp_path / "list").write_bytes(b"".join(lines))
    with mounted(image, tmp_path / "mnt", "ro", "noload") as root:
        done = subprocess.run(
            ["sha256sum", "-c", "--strict", "--quiet", tmp_path / "list"], cwd=root, check=False, capture_output=True
        )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_sha256sum_writes_the_same_lines(tmp_path: Path) -> None:
    rows = []
    for name in NASTY:
        at(tmp_path, name).write_bytes(name)
        rows.append(row(b"/" + name, sha256=hashlib.sha256(name).hexdigest()))
    arguments: list[bytes] = [b"sha256sum", b"--", *(b"./" + name for name in NASTY)]
    done = subprocess.run(arguments, cwd=tmp_path, check=True, capture_output=True)
    assert b"".join(sha256sum_lines(rows, Counter())) == done.stdout


def test_what_gets_no_line_is_counted() -> None:
    digest = "0" * 64
    rows = [
        row(b"/a", sha256=digest),
        row(b"/b"),
        row(b"/c", sha256=digest, allocated=False),
        row(b"/d", sha256=digest, type="directory"),
        row(b"/../../etc/shadow", sha256=digest),
        row(b"/x//y", sha256=digest),
        row(b"/x\x00y", sha256=digest),
        row(b"x", sha256=digest),
        row(b"/var/e", sha256=digest, volume_path="/e"),
    ]
    left_out: Counter[str] = Counter()
    lines = list(sha256sum_lines(rows, left_out))
    assert [line[66:] for line in lines] == [b"./a\n", b"./var/e\n"]
    assert left_out == {"without a hash": 1, "deleted": 1, "a name that a mount cannot show": 4}
    assert [line[66:] for line in sha256sum_lines(rows, Counter(), in_volume=True)] == [b"./a\n", b"./e\n"]


def test_mactime_reads_every_name_back(disk: tuple[Path, list[Row]], tmp_path: Path) -> None:
    if shutil.which("mactime") is None:
        pytest.skip("this host has no mactime")
    _, rows = disk
    left_out: Counter[str] = Counter()
    body = tmp_path / "body"
    body.write_bytes(b"".join(bodyfile_lines(rows, left_out)))
    assert len(body.read_bytes().splitlines()) == len(rows)
    done = subprocess.run(["mactime", "-b", body, "-y", "-d", "-z", "UTC"], check=True, capture_output=True)
    timed = [each for each in rows if any(each[key] for key in TIMES)]
    assert left_out[TIMELESS] == len(rows) - len(timed)
    for each in timed:
        name = name_bytes(each, "path") or b""
        if each["type"] == "symlink":
            name += b" -> " + (name_bytes(each, "link_target") or b"")
        shown = name.replace(b"%25", b"%2525").replace(b"%0A", b"%250A").replace(b"\n", b"%0A").replace(b'"', b'""')
        suffix = b'"\n' if each["allocated"] else b" (deleted"
        assert shown + suffix in done.stdout


def test_a_line_of_the_body_file() -> None:
    rows = [
        row(b"/a|b%\n%0A", md5="d" * 32),
        row(b"/l", type="symlink", mode=0o777, **text_fields("link_target", b"x|\xff")),
        row(b"/gone", allocated=False, type="directory", mode=0o1777),
        row(b"/x", allocated=False, mode=None, problems=("the inode belongs to another file now",)),
        row(b"/a -> b (deleted)"),
        row(b"/s", mode=0o6644, type="socket", mtime=None, atime=None, ctime=None, crtime="1969-12-31T23:59:59.5Z"),
        row(b"/t", uid=None, gid=None, size=None, mode=None, type="unknown", **dict.fromkeys(TIMES)),
    ]
    times = "|1714979289" * 4
    left_out: Counter[str] = Counter()
    assert b"".join(bodyfile_lines(rows, left_out)).decode().splitlines() == [
        f"{'d' * 32}|/a%7Cb%25%250A%25250A|12|r/rrw-r--r--|0|0|3{times}",
        f"0|/l -> x%7C%FF|12|l/lrwxrwxrwx|0|0|3{times}",
        f"0|/gone (deleted)|12|d/drwxrwxrwt|0|0|3{times}",
        f"0|/x (deleted-realloc)|12|r/----------|0|0|3{times}",
        f"0|/a -%3E b %28deleted)|12|r/rrw-r--r--|0|0|3{times}",
        "0|/s|12|s/srwSr-Sr--|0|0|3|0|0|0|-1",
        "0|/t|12|-/----------|0|0|0|0|0|0|0",
    ]
    assert left_out == {TIMELESS: 1, EARLY: 1}


def test_times_and_modes() -> None:
    assert seconds("1970-01-01T00:00:01.999999999Z") == 1
    assert seconds("1960-02-29T00:00:00Z") == -310521600
    assert [seconds(time) for time in (None, "", "yesterday")] == [0, 0, 0]
    assert mode_letters(0o4711) == "rws--x--x"
    assert mode_letters(None) == "-" * 9


def document(rows: list[Row], volumes: dict[int, VolumeFacts] | None = None, **head: Any) -> ET.Element:
    source = DfxmlSource(image="a", size=1, digests={}, version="1", command_line="x")._replace(**head)
    return ET.fromstring(b"".join(dfxml_parts(rows, source, volumes or {})))  # noqa: S314 - what we wrote ourselves


def read_back(element: ET.Element) -> bytes:
    encoded = element.get(BASE64)
    return base64.b64decode(encoded) if encoded else (element.text or "").encode()


def test_dfxml_holds_every_name_and_where_its_bytes_lie(disk: tuple[Path, list[Row]]) -> None:
    image, rows = disk
    volumes = {0: VolumeFacts(offset=0, length=image.stat().st_size, kind="ext4")}
    root = document(rows, volumes)
    objects = root.findall(f"{SPACE}volume/{SPACE}fileobject")
    names = [read_back(found) for element in objects if (found := element.find(f"{SPACE}filename")) is not None]
    assert names == [((name_bytes(each, "path") or b"").removeprefix(b"/") or b".") for each in rows]
    data = image.read_bytes()
    checked = 0
    for element in objects:
        digest = element.find(f"{SPACE}hashdigest[@type='sha256']")
        run = element.find(f"{SPACE}byte_runs/{SPACE}byte_run")
        size = int(element.findtext(f"{SPACE}filesize") or 0)
        if digest is not None and run is not None:
            start = int(run.attrib["img_offset"])
            assert hashlib.sha256(data[start : start + size]).hexdigest() == digest.text
            checked += 1
    assert checked == 2 * len(NASTY) - 1


def test_the_head_and_the_volumes_of_dfxml() -> None:
    rows = [
        row(b"/a", volume=1, extents=[(0, 5000, 10)], md5="m", blake3="b"),
        row(b"/gone", volume=2, allocated=False, mode=None, uid=None, volume_path="/x", mime="text/plain"),
    ]
    volumes = {1: VolumeFacts(offset=4096, length=9, kind="xfs")}
    root = document(rows, volumes, image="\x1b<&\ud800", size=7, digests={"sha256": "s"}, command_line="a\x00b")
    assert root.findtext(f"{SPACE}source/{SPACE}image_filename") == "\\x1b<&\\ud800"
    assert root.findtext(f"{SPACE}source/{SPACE}hashdigest") == "s"
    assert root.findtext(f"{SPACE}creator/{SPACE}execution_environment/{SPACE}command_line") == "a\\x00b"
    first, second = root.findall(f"{SPACE}volume")
    assert (first.get("offset"), first.findtext(f"{SPACE}ftype_str"), second.get("offset")) == ("4096", "xfs", None)
    run = first.find(f"{SPACE}fileobject/{SPACE}byte_runs/{SPACE}byte_run")
    assert run is not None
    assert run.attrib == {"file_offset": "0", "fs_offset": "904", "img_offset": "5000", "len": "10"}
    assert [each.get("type") for each in first.iter(f"{SPACE}hashdigest")] == ["md5", "blake3"]
    gone = second.find(f"{SPACE}fileobject")
    assert gone is not None
    tags = [(child.tag.removeprefix(SPACE), child.text) for child in gone]
    assert tags[:6] == [
        ("filename", "x"),
        ("partition", "2"),
        ("name_type", "r"),
        ("filesize", "3"),
        ("unalloc", "1"),
        ("alloc", "0"),
    ]
    assert "mode" not in dict(tags)


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=5), st.binary(max_size=20))
def test_any_names_survive_every_format(names: list[bytes], target: bytes) -> None:
    rows = [row(b"/" + name, sha256="0" * 64, **text_fields("link_target", target)) for name in names]
    objects = document(rows).findall(f"{SPACE}volume/{SPACE}fileobject")
    tags = (f"{SPACE}filename", f"{SPACE}link_target")
    found = [[read_back(element) for element in each if element.tag in tags] for each in objects]
    assert found == [[name or b".", target] for name in names]
    for line in bodyfile_lines(rows, Counter()):
        assert line.decode().count("|") == 10
        assert line.count(b"\n") == 1
    assert all(line.count(b"\n") == 1 for line in sha256sum_lines(rows, Counter()))
