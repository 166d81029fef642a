"""Sectors that do not read: located, read around, and no more lost than what stands in them."""

import errno
from pathlib import Path

import pytest
from mutant_runs import read_disk
from mutants import MutantMedium, used_sectors
from seed_disks import SEEDS

from volforensic.evidence.bad_sectors import AroundMedium, read_around
from volforensic.evidence.reader import Window

PAGE = 4096  # what is read around in the bytes of a file: the kernel reads devices by pages
DISK = bytes(range(256)) * 16
MOST_LOST = {"ext4-checksums": 2, "xfs": 1}
"""Inodes of 256 and 512 bytes: what one sector holds."""
INDISPENSABLE = {"ext4-checksums": {2, 4}, "xfs": set[int]()}
"""Superblock and group descriptor of a disk so small that it has no copies."""


def test_nul_bytes_stand_for_what_does_not_read_and_its_place_is_kept() -> None:
    medium = AroundMedium(MutantMedium(DISK, len(DISK), frozenset({1, 2, 5})))
    assert medium.read_at(100, 3000) == DISK[100:512] + bytes(1024) + DISK[1536:2560] + bytes(512) + DISK[3072:3100]
    assert medium.runs() == [(512, 1024), (2560, 512)]
    window = Window(MutantMedium(DISK, len(DISK), frozenset({3})), 512, 2048)
    assert read_around(window, 1000, 100) == (DISK[1512:1536] + bytes(76), [(24, 76)])


def test_other_errors_are_raised() -> None:
    class Gone:
        size = 4096

        def read_at(self, _position: int, _size: int) -> bytes:
            raise OSError(errno.ENODEV, "it was pulled out")

    with pytest.raises(OSError, match="pulled out"):
        AroundMedium(Gone()).read_at(0, 512)


@pytest.mark.parametrize("name", MOST_LOST)
def test_a_sector_costs_itself_only(tmp_path: Path, name: str) -> None:
    if SEEDS[name].missing:
        pytest.skip(f"{SEEDS[name].missing} is not installed")
    disk = SEEDS[name].build(tmp_path / name).read_bytes()
    whole = read_disk(MutantMedium(disk, len(disk)))
    for sector in used_sectors(disk):
        found = read_disk(MutantMedium(disk, len(disk), frozenset({sector})))
        lost = [key for key in whole.files if key not in found.files]
        shorter = sum(
            max(0, content.read - found.files[key].read) for key, content in whole.files.items() if key not in lost
        )
        assert found.said or not (lost or shorter), sector
        assert sector in INDISPENSABLE[name] or len(lost) <= MOST_LOST[name], (sector, lost)
        assert sector in INDISPENSABLE[name] or shorter <= PAGE, sector
