"""The second reading: libraries agree with our readers on sound disks, and a disk that shows two faces is told."""

import subprocess
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest
from command_line import triage
from test_hostile_stages import Silence

from images import build
from volforensic.evidence.image import ImageOptions
from volforensic.inventory.comparison import compare_volumes
from volforensic.inventory.store import Inventory
from volforensic.preload import preloaded_modules
from volforensic.sandbox.pool import Pool
from volforensic.sources import SourceOpener
from volforensic.survey import Survey


def problems_of(disk: Path, case: Path) -> list[dict[str, object]]:
    ended = triage(disk, case, "--profile", "full", "--progress", "none")
    assert ended.returncode in {0, 3}, ended.stderr
    (found,) = case.glob("evidence/*/problems.jsonl")
    problems = [msgspec.json.decode(line) for line in found.read_bytes().splitlines()]
    return [problem for problem in problems if "reader" in problem["reason"] or "TSK" in problem["reason"]]


@pytest.mark.parametrize("name", ["debian-cron-miner", "amazon-brute-force", "ubuntu-btrfs", "mbr-logical"])
def test_the_libraries_read_the_same_on_the_stories(name: str, tmp_path: Path) -> None:
    assert problems_of(build.cached(name), tmp_path / "case") == []


def make_disk(folder: Path, files: dict[str, str]) -> Path:
    disk, tree = folder / "disk.raw", folder / "tree"
    for name, content in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(content)
    disk.touch()
    make = ["mke2fs", "-q", "-F", "-t", "ext4", "-O", "^metadata_csum", "-d", str(tree), str(disk), "4M"]
    subprocess.run(make, check=True, capture_output=True)
    return disk


def test_a_name_that_a_library_cuts_is_told_by_both_answers(tmp_path: Path) -> None:
    disk = make_disk(tmp_path, {"etc/hidden-name": "bytes"})
    data = disk.read_bytes()
    assert data.count(b"hidden-name") == 1
    disk.write_bytes(data.replace(b"hidden-name", b"hid\0en-name"))
    told = {(problem["source"], problem["reason"]) for problem in problems_of(disk, tmp_path / "case")}
    assert ("/etc/hid\0en-name", "TSK does not list this entry") in told
    assert ("/etc/hid", "TSK lists this entry, our reader does not") in told


def test_inodes_without_a_name_are_no_difference(tmp_path: Path) -> None:
    disk = make_disk(tmp_path, {"etc/name": "bytes", "var/log/lost": "more bytes"})
    subprocess.run(["debugfs", "-w", "-R", "unlink /var/log/lost", str(disk)], check=True, capture_output=True)
    assert problems_of(disk, tmp_path / "case") == []


def test_bytes_that_a_library_reads_otherwise_are_told_by_both_hashes(tmp_path: Path) -> None:
    # Our answer is made wrong for one file: whichever reader is at fault, both answers must be told.
    disk = build.cached("ubuntu-btrfs")
    with ExitStack() as stack:
        pool = stack.enter_context(Pool(preloaded_modules([], second_reader=True), jobs=1))
        opener = SourceOpener(pool, tmp_path, ImageOptions(), lambda _: None, Silence())
        image, _ = stack.enter_context(opener.opened([disk]))
        survey = Survey(image, pool, Silence(), lambda _: None)
        layout = survey.read_layout()
        inventory = stack.enter_context(Inventory(tmp_path / "inventory.sqlite"))
        survey.walk(inventory, layout)
        chosen = next(entry for entry in inventory.in_physical_order() if entry.extents is None and entry.size)
        inventory.note_content(chosen, {"sha256": "0" * 64})
        (told,) = compare_volumes(pool, image.handle, layout.volumes, inventory, tmp_path)
    assert "differ in bytes: sha256 " + "0" * 64 in told.reason
    assert told.inode == chosen.inode
