"""Volumes with a cache before them: the newest bytes are read, or it is said that they were not."""

import pytest
from memory_media import MemoryMedium, pattern, read_in_pieces, space_of

from images import lvm
from images.caches import cache_metadata, write_cache
from images.lvm import Logical, Physical, linear, segment
from volforensic.evidence.volumes.dirty_blocks import HeldBlock, cached_blocks, written_blocks
from volforensic.evidence.volumes.lvm import find_logical_volumes
from volforensic.evidence.volumes.map_check import check_map
from volforensic.evidence.volumes.mapped import Found
from volforensic.evidence.volumes.opening import open_map

EXTENT = START = CHUNK = 64 << 10
A = lvm.identity("PVa")
ORIGIN, DATA = pattern(1, 4 * EXTENT), pattern(2, 4 * EXTENT)
HIDDEN = [
    Logical("o", [linear(0, 4, "pv0", 0)], is_visible=False),
    Logical("m", [linear(0, 1, "pv0", 4)], is_visible=False),
    Logical("d", [linear(0, 4, "pv0", 5)], is_visible=False),
    Logical("v", [linear(0, 5, "pv0", 4)], is_visible=False),
]
POOL = segment(0, 4, "cache-pool", data="d", metadata="m", chunk_size=CHUNK // 512, cache_mode="writeback")
WITH_POOL = [
    Logical("root", [segment(0, 4, "cache", cache_pool="p", origin="o")]),
    Logical("p", [POOL], is_visible=False),
    *HIDDEN[:3],
]
PLACES = {
    "chunk_size": 128,
    "cache_mode": "writeback",
    "metadata_start": 0,
    "metadata_len": 128,
    "data_start": 128,
    "data_len": 512,
}
WITH_VOLUME = [
    Logical(
        "root",
        [segment(0, 4, "cache+CACHE_USES_CACHEVOL", cache_pool="v", origin="o", **PLACES)],
    ),
    HIDDEN[0],
    HIDDEN[3],
]  # fmt: skip
WITH_WRITES = [Logical("root", [segment(0, 4, "writecache", writecache="v", origin="o")]), HIDDEN[0], HIDDEN[3]]


def read(volumes: list[Logical], cache: bytes, data: bytes = b"") -> tuple[bytes, Found]:
    disk = lvm.physical_volume(A, START + 9 * EXTENT, lvm.group_text("vg", [Physical(A, 9)], volumes))
    for extent, part in ((0, ORIGIN), (4, cache), (5, data)):
        disk[START + extent * EXTENT : START + extent * EXTENT + len(part)] = part
    space, members = space_of([disk])
    found = find_logical_volumes(space, members)
    assert [volume.name for volume in found.volumes] == ["vg/root"]
    assert check_map(found.volumes[0].map, space.size) == ""
    return read_in_pieces(open_map(found.volumes[0].map, space)), found


def chunk(data: bytes, number: int) -> bytes:
    return data[number * CHUNK : (number + 1) * CHUNK]


HELD = {0: (2, False), 1: (3, True), 3: (0, True)}


@pytest.mark.parametrize("volumes", [WITH_POOL, WITH_VOLUME], ids=["pool", "volume"])
@pytest.mark.parametrize("version", [1, 2])
def test_blocks_that_only_the_cache_has_are_read_from_it(volumes: list[Logical], version: int) -> None:
    contents, found = read(volumes, cache_metadata(HELD, 4, CHUNK, version=version), DATA)
    assert contents == chunk(DATA, 3) + chunk(ORIGIN, 1) + chunk(ORIGIN, 2) + chunk(DATA, 1)
    assert [(problem.lost, problem.reason) for problem in found.problems] == [
        (False, "logical volume vg/root: 2 blocks were read from its cache: they are newer there")
    ]


@pytest.mark.parametrize("version", [1, 2])
def test_after_an_unclean_stop_all_that_the_cache_holds_counts(version: int) -> None:
    contents, _ = read(WITH_POOL, cache_metadata(HELD, 4, CHUNK, version=version, is_clean=False), DATA)
    assert contents == chunk(DATA, 3) + chunk(ORIGIN, 1) + chunk(DATA, 0) + chunk(DATA, 1)


def test_a_cache_that_holds_nothing_new_is_no_problem() -> None:
    contents, found = read(WITH_POOL, cache_metadata({1: (3, False)}, 4, CHUNK), DATA)
    assert (contents, found.problems) == (ORIGIN, [])


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        (bytes(8192), "its checksum is wrong"),
        (cache_metadata(HELD, 4, 2 * CHUNK), "blocks of 256 sectors"),
        (cache_metadata({0: (2, True), 1: (2, True)}, 4, CHUNK), "it holds a block twice"),
        (cache_metadata({3: (1, True)}, 4, CHUNK)[:8192] + bytes(8192), "its checksum is wrong"),
        (cache_metadata({}, 4, CHUNK, version=7), "of version 7"),
    ],
)
def test_a_cache_that_cannot_be_read_is_said(metadata: bytes, reason: str) -> None:
    contents, found = read(WITH_POOL, metadata, DATA)
    assert contents == ORIGIN
    assert reason in found.problems[0].reason
    assert found.problems[0].lost


def test_blocks_beyond_the_end_of_the_volume_are_left_out() -> None:
    held = {0: (3, True), 1: (4, True), 2: ((1 << 48) - 1, True)}
    assert read(WITH_POOL, cache_metadata(held, 4, CHUNK), DATA)[0] == ORIGIN[: 3 * CHUNK] + chunk(DATA, 0)


def test_an_array_of_many_blocks() -> None:
    held = {number: (number + 5, number % 3 == 0) for number in range(0, 1300, 7)}
    found = cached_blocks(MemoryMedium(cache_metadata(held, 1300, CHUNK)), CHUNK)
    expected = [HeldBlock((number + 5) * CHUNK, number * CHUNK, CHUNK) for number in range(0, 1300, 21)]
    assert found == expected


def test_every_changed_byte_of_a_caches_metadata_is_an_error_or_means_nothing() -> None:
    metadata = cache_metadata(HELD, 4, CHUNK)
    whole = cached_blocks(MemoryMedium(metadata), CHUNK)
    for place in range(3, len(metadata), 101):
        changed = bytearray(metadata)
        changed[place] ^= 4
        with pytest.raises(OSError, match="its checksum is wrong"):
            assert cached_blocks(MemoryMedium(bytes(changed)), CHUNK) != whole


def test_what_was_written_and_committed_last_counts() -> None:
    pieces = [pattern(number, 4096) for number in range(10, 16)]
    writes = [(8192, 3, pieces[0]), (8192, 5, pieces[1]), (8192, 9, pieces[2]), (-1, (1 << 64) - 1, pieces[3])]
    writes += [(0, 1, pieces[4]), (12_288, (1 << 64) - 1, pieces[5])]
    contents, found = read(WITH_WRITES, write_cache(writes, 9, 4096, 5 * EXTENT))
    assert contents == pieces[4] + ORIGIN[4096:8192] + pieces[1] + ORIGIN[12_288:]
    assert "2 blocks were read from its cache" in found.problems[0].reason


@pytest.mark.parametrize(
    "cache",
    [
        bytes(4096),
        write_cache([], 1, 4096, 4096)[:8] + b"\0\0\0\0" + bytes(60),
        write_cache([(0, 0, b"")] * 100, 1, 4096, 8192)[:24] + (1 << 40).to_bytes(8, "little") + bytes(100),
        write_cache([], 1, 4096, 4096)[:16] + (1 << 19).to_bytes(8, "little") + bytes(100),
        b"",
    ],
)
def test_a_write_cache_that_cannot_be_read_is_an_error(cache: bytes) -> None:
    with pytest.raises(OSError, match=r"write cache|too early"):
        written_blocks(MemoryMedium(cache))
    assert read(WITH_WRITES, cache)[1].problems[0].lost
