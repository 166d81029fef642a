"""The files stage: which files are examined, what their bytes give, what a loss costs."""

import errno
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from inventory_samples import entry
from media import handle_of, medium_of

from images.hostile.ext_disk import Ext, extent_header, extent_leaf
from images.hostile.other_disks import btrfs_image
from volforensic.evidence.digests import algorithm_bits
from volforensic.evidence.layout import Volume, VolumeFacts
from volforensic.evidence.node import Extent
from volforensic.evidence.reader import Window
from volforensic.evidence.signatures import recognise
from volforensic.inventory.candidates import is_examined_by_head, is_examined_whole
from volforensic.inventory.file_bytes import Loss, stored_chunks
from volforensic.inventory.file_stage import Examined, FileToExamine, examine_inventory
from volforensic.inventory.rule_files import load_yara_rules
from volforensic.inventory.stage import walk_volumes
from volforensic.preload import preloaded_modules
from volforensic.record import Problem
from volforensic.sandbox.pool import Pool


def examined(
    path: Path, kind: str = "ext4", *, every_file: bool = True, is_verified: bool = False
) -> Iterator[Examined | Problem]:
    descriptor = os.open(path, os.O_RDONLY)
    size = path.stat().st_size
    volume = Volume(
        index=0,
        offset=0,
        length=size,
        kind="whole",
        description="",
        filesystem=recognise(Window(medium_of(descriptor), 0, size)),
    )
    facts = {0: VolumeFacts(offset=0, length=size, kind=kind, is_verified=is_verified)}
    try:
        with Pool(preload=preloaded_modules([]), jobs=1) as pool:
            batches = [
                batch for batch in walk_volumes(pool, handle_of(descriptor), [volume]) if isinstance(batch, list)
            ]
            files = [FileToExamine(found, found.path) for batch in batches for found in batch if found.type == "file"]
            rules = load_yara_rules([]).compiled
            yield from examine_inventory(pool, handle_of(descriptor), iter(files), facts, rules, every_file=every_file)
    finally:
        os.close(descriptor)


def hashes_by_path(results: Iterable[Examined | Problem]) -> dict[bytes, str | None]:
    return {found.entry.path: found.row().get("sha256") for found in results if isinstance(found, Examined)}


def test_files_worth_it_are_hashed_and_a_damaged_one_costs_itself_only(tmp_path: Path) -> None:
    image = Ext(tmp_path)
    block = image.block("/home/alice/a/deep/file")
    image.set_extents("/etc/passwd", extent_header(1, 4, 0) + extent_leaf(0, 1, 1 << 33))
    results = list(examined(image.path))
    hashes = hashes_by_path(results)
    content = (tmp_path / "tree" / "home/alice/a/deep/file").read_bytes()
    assert block
    assert hashes[b"/home/alice/a/deep/file"] == hashlib.sha256(content).hexdigest()
    assert hashes[b"/bin/tool"] == hashlib.sha256((tmp_path / "tree" / "bin/tool").read_bytes()).hexdigest()
    assert hashes[b"/usr/share/doc/one"]
    chosen = hashes_by_path(examined(image.path, every_file=False))
    assert chosen[b"/usr/share/doc/one"] is None
    assert chosen[b"/bin/tool"] == hashes[b"/bin/tool"]


def test_the_same_bytes_have_the_hashes_that_each_file_asks_for(tmp_path: Path) -> None:
    # What was found about bytes is kept for the next file with the same ones, which may want other hashes of them.
    path = tmp_path / "disk"
    path.write_bytes(b"same" * 1024 + b"same" * 1024)
    descriptor = os.open(path, os.O_RDONLY)
    twins = [entry(b"/x", inode=number, size=4096, extents=(Extent(0, number * 4096, 4096),)) for number in (0, 1)]
    files = [
        FileToExamine(twin, twin.path, algorithm_bits([name]))
        for twin, name in zip(twins, ("md5", "sha1"), strict=True)
    ]
    with Pool(preload=preloaded_modules([]), jobs=1) as pool:
        results = list(examine_inventory(pool, handle_of(descriptor), iter(files), {}, b""))
    os.close(descriptor)
    found = [result.row() for result in results if isinstance(result, Examined)]
    content = b"same" * 1024
    assert found[0]["md5"] == hashlib.md5(content, usedforsecurity=False).hexdigest()
    assert found[1]["sha1"] == hashlib.sha1(content, usedforsecurity=False).hexdigest()
    assert ("sha1" in found[0], "md5" in found[1]) == (False, False)


@pytest.mark.parametrize(
    ("path", "mode", "size", "expected"),
    [
        (b"/usr/bin/ls", 0o755, 1 << 40, True),
        (b"/usr/share/.x", 0o644, 10, True),
        (b"/tmp/x", 0o644, 10, True),
        (b"/tmp/x", 0o644, 1 << 40, False),
        (b"/usr/share/doc/x", 0o644, 10, False),
        (b"/var/www/shell.php", 0o644, 10, True),
    ],
)
def test_which_files_are_examined_whole(path: bytes, mode: int, size: int, expected: bool) -> None:  # noqa: FBT001 - a case
    assert is_examined_whole(entry(path, mode=mode, size=size), path) is expected


def test_which_files_are_examined_for_their_head() -> None:
    heads = [b"\x7fELF", b"#!/bin/sh", b" \n{", b"text", b""]
    assert [is_examined_by_head(head, 100) for head in heads] == [True, True, True, False, False]
    assert not is_examined_by_head(b"{", 1 << 30)


def no_filesystem(volume: int) -> object:
    raise AssertionError(volume)


def test_bytes_that_do_not_read_are_lost_one_sector_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "disk"
    content = os.urandom(64 << 10)
    path.write_bytes(content)
    real = os.pread

    def failing(descriptor: int, size: int, offset: int) -> bytes:
        if offset < 12_288 and offset + size > 8192:
            raise OSError(errno.EIO, "Input/output error")
        return real(descriptor, size, offset)

    descriptor = os.open(path, os.O_RDONLY)
    monkeypatch.setattr(os, "pread", failing)
    losses: list[Loss] = []
    file = entry(b"/x", size=64 << 10, extents=(Extent(0, 0, 32 << 10), Extent(32 << 10, 48 << 10, 32 << 10)))
    blocks = list(stored_chunks(medium_of(descriptor), file, no_filesystem, losses))  # type: ignore[arg-type]  # never asked
    os.close(descriptor)
    assert [(loss.offset, loss.length) for loss in losses] == [(8192, 4096), (48 << 10, 16 << 10)]
    read = b"".join(block.data for block in blocks)
    assert read == content[:8192] + content[12_288 : 32 << 10] + content[48 << 10 :]


def test_bytes_whose_checksum_is_wrong_are_said_and_hashed_as_they_are(tmp_path: Path) -> None:
    path = btrfs_image(tmp_path, str(uuid4()))  # mkfs refuses one that a device of this machine has
    content = (tmp_path / "tree" / "var/log/auth.log").read_bytes()
    data = bytearray(path.read_bytes())
    place = data.index(content[:4096])
    data[place + 4096 + 7] ^= 1
    path.write_bytes(data)
    changed = hashlib.sha256(bytes(data[place : place + len(content)])).hexdigest()
    for is_verified in (False, True):
        results = list(examined(path, "btrfs", is_verified=is_verified))
        assert hashes_by_path(results)[b"/var/log/auth.log"] == changed
        problems = [found for found in results if isinstance(found, Problem)]
        assert [(found.offset, found.length, found.lost) for found in problems] == [(4096, 4096, False)] * is_verified
