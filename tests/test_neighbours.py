"""Small files are read with their neighbours, and every file gets its own bytes whatever lies beside it."""

import errno
import os
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inventory_samples import entry
from media import medium_of

from volforensic.evidence.node import Extent
from volforensic.inventory.entry import FileEntry
from volforensic.inventory.neighbours import Neighbours

CONTENT = os.urandom(4 << 20)


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    path = tmp_path_factory.mktemp("neighbours") / "disk"
    path.write_bytes(CONTENT)
    descriptor = os.open(path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def file(start: int, size: int) -> FileEntry:
    return entry(b"/x", size=size, extents=(Extent(0, start, size),))


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    seen: list[tuple[int, int]] = []
    real = os.pread

    def counted(descriptor: int, size: int, offset: int) -> bytes:
        seen.append((offset, size))
        return real(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", counted)
    return seen


def test_files_side_by_side_cost_one_request(disk: int, requests: list[tuple[int, int]]) -> None:
    files = [file(number * 4096, 1000 + number) for number in range(50)]
    neighbours = Neighbours(medium_of(disk), files)
    assert [neighbours.read(index) for index in range(50)] == [
        CONTENT[number * 4096 : number * 4096 + 1000 + number] for number in range(50)
    ]
    assert requests == [(0, 49 * 4096 + 1049)]
    assert neighbours.end(7, 1 << 20) == 49 * 4096 + 1049


def test_what_lies_between_is_not_read(disk: int, requests: list[tuple[int, int]]) -> None:
    files = [file(0, 100), file(8192, 100), file(1 << 20, 1 << 20), file(2 << 20, 100)]
    neighbours = Neighbours(medium_of(disk), files)
    for index in range(4):
        neighbours.read(index)
    assert requests == [(0, 100), (8192, 100), (1 << 20, 1 << 20), (2 << 20, 100)]


def test_a_neighbour_that_does_not_read_costs_itself_only(disk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.pread

    def failing(descriptor: int, size: int, offset: int) -> bytes:
        if offset <= 4096 < offset + size:
            raise OSError(errno.EIO, "Input/output error")
        return real(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", failing)
    neighbours = Neighbours(medium_of(disk), [file(0, 100), file(4096, 100), file(8192, 100)])
    assert [neighbours.read(index) for index in range(3)] == [CONTENT[:100], None, CONTENT[8192:8292]]


def test_what_is_no_single_run_or_lies_behind_the_end_is_left_to_others(disk: int) -> None:
    holed = entry(b"/x", size=5000, extents=(Extent(0, 0, 100), Extent(4096, 8192, 904)))
    through = entry(b"/x", size=5000, extents=None)
    neighbours = Neighbours(medium_of(disk), [holed, through, file(len(CONTENT) - 10, 100)])
    assert neighbours.read(0) is None
    assert neighbours.read(2) is None
    assert (neighbours.end(0, 50), neighbours.end(2, 1 << 20)) == (50, len(CONTENT) + 90)


places = st.tuples(st.integers(0, 3 << 20), st.one_of(st.integers(1, 9000), st.integers(1, 400_000)))


@given(st.lists(places, max_size=60), st.booleans())
def test_every_file_gets_its_bytes(given_places: list[tuple[int, int]], in_order: bool) -> None:  # noqa: FBT001 - a case
    descriptor = os.memfd_create("disk")
    os.write(descriptor, CONTENT)
    files = [file(start, size) for start, size in (sorted(given_places) if in_order else given_places)]
    neighbours = Neighbours(medium_of(descriptor), files)
    for index, each in enumerate(files):
        assert each.extents
        start = each.extents[0].source_offset
        assert neighbours.end(index, 64 << 20) >= start + each.size
        assert neighbours.read(index) == CONTENT[start : start + each.size]
    os.close(descriptor)
