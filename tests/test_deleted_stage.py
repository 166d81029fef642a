"""Tiers of deleted files: what is called intact is the file, what is not proved is not called so."""

import hashlib
import os
import re
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
from inventory_samples import entry as sample
from loop_mounts import mounted
from media import handle_of
from msgspec.structs import replace
from test_walk import Walked

from images.hostile.other_disks import xfs_image
from volforensic.evidence.free_space import SpaceMessage
from volforensic.evidence.layout import Volume, VolumeFacts
from volforensic.evidence.node import Extent
from volforensic.evidence.signatures import Filesystem
from volforensic.inventory import recovery
from volforensic.inventory.deleted_stage import judge_deleted
from volforensic.inventory.entry import FileEntry
from volforensic.inventory.free_stage import FreeSpace, find_free_space
from volforensic.inventory.recovery import Claims, judge
from volforensic.inventory.scanner import compile_rules
from volforensic.inventory.store import Inventory
from volforensic.preload import preloaded_modules
from volforensic.record import Problem, Row
from volforensic.sandbox.pool import Pool

CONTENT = b"\x7fELF" + b"stratum+tcp://pool.example:3333 " + os.urandom(50_000)
RULES = 'rule miner { strings: $a = "stratum+tcp://" condition: $a }'


def judged(image: Path, kind: str, folder: Path) -> dict[str, Row]:
    """The rows of deleted entries and of those in use without a name, by path, as a case would hold them."""
    walked = Walked(image, kind)
    compiled, _ = compile_rules({"test.yar": RULES})
    size = image.stat().st_size
    volume = Volume(index=0, offset=0, length=size, kind="whole", description="", filesystem=Filesystem(type=kind))
    with (
        Inventory(folder / "inventory.sqlite") as inventory,
        Pool(preloaded_modules([])) as pool,
        image.open("rb") as file,
    ):
        inventory.add(walked.entries)
        inventory.index()
        spaces = {
            found.volume: found
            for found in find_free_space(pool, handle_of(file.fileno()), [volume])
            if isinstance(found, FreeSpace)
        }
        facts = {0: VolumeFacts(offset=0, length=size, kind=kind)}
        for found in judge_deleted(pool, handle_of(file.fileno()), inventory, spaces, facts, compiled.serialize()):
            assert not isinstance(found, Problem), found
            inventory.note_recovery(*found)
        rows = inventory.rows(lambda entry: entry.path)
        return {row["path"]: row for row in rows if "recovery" in row}


def ext(folder: Path, kind: str, commands: str) -> Path:
    (folder / "content").write_bytes(CONTENT)
    (folder / "other").write_bytes(b"o" * 60_000)
    image = folder / "disk.raw"
    options = ["-O", "^has_journal"] if kind != "ext3" else []
    subprocess.run([f"mkfs.{kind}", "-q", *options, str(image), "16M"], check=True, stdout=subprocess.DEVNULL)
    script = commands.replace("@", str(folder) + "/")
    subprocess.run(["debugfs", "-w", "-f", "-", str(image)], input=script.encode(), check=True, capture_output=True)
    return image


@pytest.mark.parametrize("kind", ["ext2", "ext4"])
def test_a_deleted_file_whose_blocks_are_free_is_intact(tmp_path: Path, kind: str) -> None:
    image = ext(tmp_path, kind, "write @other kept\nwrite @content miner\nrm miner\n")
    row = judged(image, kind, tmp_path)["/miner"]
    assert row["recovery"]["tier"] == "intact"
    assert "cannot be excluded" in row["recovery"]["reason"]
    assert row["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert row["yara"] == ["miner"]
    assert not row["allocated"]


def test_a_file_some_of_whose_blocks_are_in_use_again_is_partial(tmp_path: Path) -> None:
    image = ext(tmp_path, "ext2", "write @content miner\nrm miner\n")
    first = int(debugfs(image, "blocks <12>").split()[0])
    take(image, first, 3)
    row = judged(image, "ext2", tmp_path)["/miner"]
    assert row["recovery"]["tier"] == "partial"
    assert "3072 of its" in row["recovery"]["reason"]
    assert "sha256" not in row
    expected = bytes(3072) + CONTENT[3072:]
    assert row["recovery"]["sha256"] == hashlib.sha256(expected).hexdigest()
    assert row["yara"] == [], "what lies in blocks of another file is not taken for this one's"


def debugfs(image: Path, command: str, *, write: bool = False) -> str:
    options = ["-w"] if write else []
    return subprocess.run(
        ["debugfs", *options, "-R", command, str(image)], check=True, capture_output=True, text=True
    ).stdout


def take(image: Path, block: int, count: int) -> None:
    """Have blocks of the first group in use again, in its bitmap and in its count of free blocks."""
    text = subprocess.run(["dumpe2fs", str(image)], check=True, capture_output=True, text=True).stdout
    free = int(re.findall(r"^  (\d+) free blocks", text, re.MULTILINE)[0])
    debugfs(image, f"setb {block} {count}", write=True)
    debugfs(image, f"set_bg 0 free_blocks_count {free - count}", write=True)


def test_a_file_all_of_whose_blocks_are_in_use_again_is_a_name_only(tmp_path: Path) -> None:
    image = ext(tmp_path, "ext2", "write @content miner\nrm miner\n")
    first = int(debugfs(image, "blocks <12>").split()[0])
    take(image, first, 60)
    row = judged(image, "ext2", tmp_path)["/miner"]
    assert row["recovery"]["tier"] == "name only"
    assert "sha256" not in row


def test_an_inode_that_was_used_again_leaves_a_name_only(tmp_path: Path) -> None:
    image = ext(tmp_path, "ext2", "write @other kept\nwrite @content miner\nrm miner\ncd lost+found\nwrite @other x\n")
    row = judged(image, "ext2", tmp_path)["/miner"]
    assert row["recovery"] == {
        "tier": "name only",
        "reason": "its inode belongs to another file now, or could not be read",
    }


def test_two_names_of_one_freed_inode_are_no_proof(tmp_path: Path) -> None:
    commands = "write @content first\nrm first\ncd lost+found\nwrite @content second\nrm second\n"
    rows = judged(ext(tmp_path, "ext2", commands), "ext2", tmp_path)
    for path in ("/first", "/lost+found/second"):
        assert rows[path]["recovery"]["tier"] == "partial"
        assert "2 deleted names lead to this inode" in rows[path]["recovery"]["reason"]


def test_blocks_that_were_discarded_are_no_content(tmp_path: Path) -> None:
    image = ext(tmp_path, "ext2", "write @content miner\nrm miner\n")
    first = int(debugfs(image, "blocks <12>").split()[0])
    with image.open("r+b") as file:
        file.seek(first * 1024)
        file.write(bytes(60_000))
    row = judged(image, "ext2", tmp_path)["/miner"]
    assert row["recovery"]["tier"] == "name only"
    assert "NUL bytes only" in row["recovery"]["reason"]


def test_content_of_another_kind_than_the_name_is_no_proof(tmp_path: Path) -> None:
    row = judged(ext(tmp_path, "ext2", "write @content photo.png\nrm photo.png\n"), "ext2", tmp_path)["/photo.png"]
    assert row["recovery"]["tier"] == "partial"
    assert "another kind of file" in row["recovery"]["reason"]


def test_an_extent_of_a_damaged_bitmap_is_not_called_free(tmp_path: Path) -> None:
    image = ext(tmp_path, "ext4", "write @content miner\nrm miner\n")
    text = subprocess.run(["dumpe2fs", str(image)], check=True, capture_output=True, text=True).stdout
    bitmap = next(line.split("at ")[1].split()[0] for line in text.splitlines() if "Block bitmap at" in line)
    with image.open("r+b") as file:
        for group in range(2):
            file.seek((int(bitmap) + group) * 1024 + 1020)
            file.write(b"\x55")
    row = judged(image, "ext4", tmp_path)["/miner"]
    assert row["recovery"]["tier"] == "name only"
    assert "nobody knows" in row["recovery"]["reason"]


def test_ext4_as_the_kernel_leaves_it_has_no_content(tmp_path: Path) -> None:
    image = ext(tmp_path, "ext4", "write @other kept\n")
    with mounted(image, tmp_path / "mount") as folder:
        (folder / "miner").write_bytes(CONTENT)
        number = (folder / "miner").stat().st_ino
        os.sync()
        (folder / "miner").unlink()
    rows = judged(image, "ext4", tmp_path)  # kernels from 5.13 on wipe the name too
    row = rows.get("/miner") or rows[f"/$OrphanFiles/OrphanFile-{number}"]
    assert row["recovery"]["tier"] == "name only"
    assert "the filesystem cleared them" in row["recovery"]["reason"]


def test_a_freed_xfs_inode_is_partial_because_its_size_is_gone(tmp_path: Path) -> None:
    image = xfs_image(tmp_path / "made")
    with mounted(image, tmp_path / "mount") as folder:
        (folder / "kept").write_bytes(CONTENT)
        (folder / "miner").write_bytes(CONTENT)
    with mounted(image, tmp_path / "mount") as folder:
        number = (folder / "miner").stat().st_ino
        (folder / "miner").unlink()
    row = judged(image, "xfs", tmp_path)[f"/$OrphanFiles/OrphanFile-{number}"]
    assert row["recovery"]["tier"] == "partial"
    assert "its size was cleared" in row["recovery"]["reason"]
    assert row["yara"] == ["miner"]
    padded = CONTENT + bytes(-len(CONTENT) % 4096)
    assert row["recovery"]["sha256"] == hashlib.sha256(padded).hexdigest()


def test_fat_assumes_what_follows_the_first_cluster(tmp_path: Path) -> None:
    image = tmp_path / "disk.raw"
    subprocess.run(
        ["mkfs.vfat", "-C", "-F", "16", "-s", "1", str(image), str(16 << 10)], check=True, stdout=subprocess.DEVNULL
    )
    with image.open("r+b") as file:
        reserved, tables, roots = struct.unpack_from("<HBH", file.read(512), 14)
        file.seek(22)
        root = (reserved + tables * int.from_bytes(file.read(2), "little")) * 512
        file.seek(root)
        name = b"\xe5INER   BIN\x20"  # the first byte of a deleted entry's name
        file.write(name + bytes(14) + struct.pack("<HI", 10, len(CONTENT)))
        file.seek(root + roots * 32 + 8 * 512)
        file.write(CONTENT)
    (row,) = judged(image, "fat", tmp_path).values()
    assert row["path"] == "/_INER.BIN"
    assert row["recovery"]["tier"] == "partial"
    assert "FAT keeps the first cluster only" in row["recovery"]["reason"]
    assert row["recovery"]["sha256"] == hashlib.sha256(CONTENT).hexdigest()


def claim(path: bytes, inode: int, offset: int, changed: int | None, **values: Any) -> FileEntry:
    extents = (Extent(0, offset, 100),)
    return sample(
        path=path, inode=inode, allocated=False, size=100, extents=extents, changed=changed, volume=1, **values
    )


@pytest.mark.parametrize(
    ("changed", "tiers"),
    [((1, 2), ("partial", "intact")), ((2, 2), ("partial", "partial")), ((None, 2), ("partial", "partial"))],
)
def test_of_two_that_name_one_block_only_the_later_one_is_believed(
    changed: tuple[int | None, int], tiers: tuple[str, str]
) -> None:
    entries = [claim(b"/one", 12, 1000, changed[0]), claim(b"/two", 13, 1050, changed[1])]
    space = FreeSpace(1)
    space.is_known = True
    space.add(SpaceMessage([0, 10_000]))
    claims = Claims(entries)
    assert tuple(judge(entry, space, claims, "ext2").tier for entry in entries) == tiers


def test_every_overlap_counts_not_only_the_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    longest = claim(b"/one", 12, 1000, 1)
    inner = [claim(b"/two", 13, 1010, 2), claim(b"/three", 14, 1020, 3)]
    inner = [replace(entry, extents=(entry.extents[0]._replace(length=20),)) for entry in inner if entry.extents]
    space = FreeSpace(1)
    space.is_known = True
    space.add(SpaceMessage([0, 10_000]))
    entries = [longest, *inner]
    claims = Claims(entries)
    assert [judge(entry, space, claims, "ext2").tier for entry in entries] == ["partial", "partial", "intact"]
    monkeypatch.setattr(recovery, "_MOST_ACTIVE", 1)
    claims = Claims(entries)
    assert [judge(entry, space, claims, "ext2").tier for entry in entries] == ["partial", "partial", "partial"]


def test_a_log_that_was_not_replayed_leaves_a_doubt() -> None:
    entry = claim(b"/one", 12, 1000, 1)
    space = FreeSpace(1)
    space.is_known = True
    space.add(SpaceMessage([0, 10_000]))
    assert judge(entry, space, Claims([entry]), "ext3").tier == "intact"
    space.is_settled = False
    found = judge(entry, space, Claims([entry]), "ext3")
    assert (found.tier, "not replayed" in found.reason) == ("partial", True)


def test_space_that_is_not_known_proves_nothing() -> None:
    entry = claim(b"/one", 12, 1000, 1)
    assert judge(entry, None, Claims([entry]), "ext2").tier == "name only"
    assert judge(entry, FreeSpace(1), Claims([entry]), "ext2").tier == "name only"


def test_a_name_that_was_lost_is_not_called_deleted(tmp_path: Path) -> None:
    commands = "write @content miner\nunlink miner\nmkdir a\nwrite @other a/b\nunlink a\n"
    rows = judged(ext(tmp_path, "ext4", commands), "ext4", tmp_path)
    assert {path: row["recovery"]["reason"] for path, row in rows.items() if row["allocated"]} == {
        "/$OrphanFiles/OrphanFile-12": "its inode is still in use: its name was lost",
        "/$OrphanFiles/OrphanFile-13/b": "its inode is still in use: its name was lost",
    }
