"""A layout of more volumes or problems than are taken: what is listed stays, the rest is told."""

import struct

import pytest
from memory_media import MemoryMedium

from volforensic.evidence import disk_hash, layout_problems
from volforensic.evidence.containers.container import Fault  # noqa: TC001
from volforensic.evidence.discovery import read_layout
from volforensic.evidence.layout import Layout, LayoutArguments
from volforensic.evidence.layout_check import LayoutCheck

SECTORS = 4096


class Place:
    """A workplace that nobody watches."""

    prepared = None

    def __init__(self, source: MemoryMedium) -> None:
        """Take the source."""
        self.source = source

    def begin_item(self, item: int) -> None:
        """Do nothing."""


def layout() -> Layout:
    table = bytearray(SECTORS * 512)
    for number in range(4):
        entry = struct.pack("<8B2I", 0, 0, 0, 0, 0x83, 0, 0, 0, 64 + 8 * number, 8)
        table[446 + 16 * number : 462 + 16 * number] = entry
    table[510:512] = b"\x55\xaa"
    for place in range(64 * 512, 96 * 512):
        table[place] = 1
    arguments = LayoutArguments(sizes=[len(table)], searches_gaps=False, opened=[], keys=[])
    return next(iter(read_layout(Place(MemoryMedium(bytes(table))), arguments)))  # type: ignore[arg-type]


def test_volumes_beyond_the_bound_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout_problems, "MOST_VOLUMES", 2)
    found = layout()
    assert len(found.volumes) == 2
    assert "2 volumes are listed" in found.problems[0].reason
    assert found.problems[0].lost


def test_problems_beyond_the_bound_are_told_and_the_layout_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout_problems, "MOST_PROBLEMS", 2)
    found = layout()
    assert len(found.volumes) == 4
    assert len(found.problems) == 3
    assert found.problems[-1].lost
    assert not LayoutCheck([SECTORS * 512]).refused(found)


def test_a_disk_that_does_not_read_at_all_is_not_tried_sector_by_sector_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(disk_hash, "_MOST_FAILURES", 10)
    size = 4 << 20
    faults: list[Fault] = []
    bad = MemoryMedium(bytes(size), [(0, size)])
    patience = disk_hash._Patience()
    for position in range(0, size, 1 << 20):
        assert disk_hash._read(bad, position, 1 << 20, faults, patience) == bytes(1 << 20)
    assert [(fault.position, fault.length) for fault in faults] == [(0, size)]
    assert patience.failures == 2048
