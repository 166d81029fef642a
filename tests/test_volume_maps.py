"""Maps: what the parent believes of them, and that the media of device-mapper give every byte."""

import errno

import msgspec
import pytest
from memory_media import CountedMedium, MemoryMedium, pattern, read_in_pieces

from volforensic.evidence.maps import (
    Crypt,
    Joined,
    Map,
    Mirrored,
    Missing,
    Raid,
    Run,
    Snapshot,
    Striped,
    Thin,
    Zeros,
)
from volforensic.evidence.volumes.map_check import check_map
from volforensic.evidence.volumes.map_facts import LostRange, lost_ranges, map_length, runs
from volforensic.evidence.volumes.opening import open_map

SPACE = pattern(1, 40_000)
GONE = Missing(1000, "disk b is missing")
RUN = Run(0, 1000)


def opened(found: Map, bad: tuple[int, int] | None = None) -> CountedMedium:
    return CountedMedium(open_map(found, MemoryMedium(SPACE, [bad] if bad else [])))


def deep(levels: int) -> Map:
    found: Map = RUN
    for _ in range(levels):
        found = Mirrored([found], 1000)
    return found


GOOD: list[Map] = [
    Run(39_000, 1000),
    GONE,
    Zeros(1 << 60),
    Joined([RUN, GONE, Run(5000, 1)]),
    Striped([RUN, RUN, Run(7, 500)], 500, 2000),
    Mirrored([RUN, GONE], 1000),
    Raid(5, 2, 100, [RUN, None, RUN], 2000),
    Raid(0, 0, 100, [RUN, Run(0, 500)], 1500),
    Raid(1, 0, 0, [None, RUN], 1000),
    Raid(10, 0x102, 100, [RUN, None, RUN, RUN], 2000),
    Raid(6, 8, 100, [RUN, None, RUN, None], 2000),
    Thin(RUN, RUN, 1, 65536, 1 << 50, RUN),
    Snapshot(RUN, RUN, 4096, 1000),
    Crypt(RUN, "aes-xts-plain64", 0, 512, 0, 1000),
    deep(31),
]
BAD: list[Map] = [
    Run(39_001, 1000),
    Run(-1, 10),
    Run(0, 0),
    Run(0, 1 << 63),
    Missing(-5, ""),
    Missing(1, "x" * 5000),
    Zeros(1 << 63),
    Joined([]),
    Joined([RUN, Run(40_000, 1)]),
    Joined([Zeros(1 << 62), Zeros(1 << 62)]),
    Striped([RUN, RUN], 0, 2000),
    Striped([RUN, RUN], 500, 2001),
    Striped([], 500, 2000),
    Striped([RUN] * 1000, 1, 1000),
    Mirrored([], 1000),
    Mirrored([RUN, Run(0, 999)], 1000),
    Raid(5, 2, 0, [RUN, RUN, RUN], 2000),
    Raid(5, 2, 100, [RUN, RUN, RUN], 2001),
    Raid(5, 2, 100, [None, None], 2000),
    Raid(6, 2, 100, [RUN, RUN], 1),
    Raid(7, 2, 100, [RUN, RUN], 1),
    Raid(10, 0, 100, [RUN, RUN], 1000),
    Raid(10, 0x102, 100, [RUN, RUN], 1001),
    Raid(0, 0, 100, [RUN, RUN], 2001),
    Thin(RUN, RUN, 1, 0, 1000),
    Thin(RUN, RUN, -1, 65536, 1000),
    Thin(RUN, RUN, 1, 1 << 40, 1000),
    Snapshot(RUN, RUN, 0, 1000),
    Snapshot(RUN, RUN, 5000, 1000),
    Snapshot(RUN, RUN, 4096, 1001),
    Crypt(RUN, "aes", -1, 512, 0, 1000),
    Crypt(RUN, "aes", 0, 0, 0, 1000),
    Crypt(RUN, "aes", 0, 512, 0, 1001),
    Crypt(RUN, "x" * 2000, 0, 512, 0, 1000),
    deep(32),
    Joined([RUN] * 70_000),
]


@pytest.mark.parametrize("found", GOOD, ids=lambda found: type(found).__name__)
def test_what_can_be_is_believed(found: Map) -> None:
    assert check_map(found, 40_000) == ""
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(found), type=Map) == found


@pytest.mark.parametrize("found", BAD, ids=lambda found: type(found).__name__)
def test_what_cannot_be_is_not(found: Map) -> None:
    assert check_map(found, 40_000) != ""
    assert check_map(Mirrored([found], 1), 40_000) != ""


LAYERS: list[tuple[Map, bytes]] = [
    (Run(100, 3000), SPACE[100:3100]),
    (Zeros(5000), bytes(5000)),
    (Joined([Run(9000, 1), Run(100, 700), Zeros(3), Run(20_000, 6000)]),
     SPACE[9000:9001] + SPACE[100:800] + bytes(3) + SPACE[20_000:26_000]),
    (Striped([Run(0, 6000), Run(10_000, 6000), Run(20_000, 6000)], 512, 9000),
     b"".join(SPACE[base + row : base + row + 512] for row in range(0, 3072, 512) for base in (0, 10_000, 20_000))
     [:9000]),
    (Striped([Run(500, 6000)], 512, 6000), SPACE[500:6500]),
    (Mirrored([Run(0, 9000), Run(0, 9000)], 9000), SPACE[:9000]),
]  # fmt: skip


@pytest.mark.parametrize(("found", "expected"), LAYERS, ids=lambda value: type(value).__name__)
def test_every_byte_however_it_is_asked_for(found: Map, expected: bytes) -> None:
    medium = opened(found)
    assert (medium.size, map_length(found)) == (len(expected), len(expected))
    for piece in (1 << 20, 511, 512, 513, 1999):
        assert read_in_pieces(medium, piece) == expected
    assert [medium.read_at(len(expected), 5), medium.read_at(-1, 5), medium.read_at(3, 0)] == [b""] * 3
    assert medium.read_at(len(expected) - 2, 5) == expected[-2:]


def test_what_a_member_has_of_a_stripe_is_read_in_one_go() -> None:
    space = CountedMedium(MemoryMedium(SPACE))
    open_map(Striped([Run(0, 6000), Run(10_000, 6000)], 512, 12_000), space).read_at(100, 9000)
    assert [position for position, _ in space.reads] == [100, 10_000]
    assert sum(size for _, size in space.reads) == 9000


def test_a_mirror_takes_each_piece_from_the_member_that_has_it() -> None:
    space = SPACE[:9000] * 2
    medium = open_map(
        Mirrored([Run(0, 9000), Run(9000, 9000)], 9000), MemoryMedium(space, [(100, 101), (14_000, 14_001)])
    )
    assert medium.read_at(0, 9000) == SPACE[:9000]
    both = open_map(Mirrored([Run(0, 9000), Run(9000, 9000)], 9000), MemoryMedium(space, [(100, 101), (9100, 9101)]))
    with pytest.raises(OSError, match="a bad sector"):
        both.read_at(0, 9000)
    assert both.read_at(101, 8000) == SPACE[101:8101]


def test_missing_bytes_are_errors_with_their_reason() -> None:
    medium = opened(Joined([RUN, GONE, RUN]))
    assert medium.read_at(0, 1000) == medium.read_at(2000, 1000) == SPACE[:1000]
    with pytest.raises(OSError, match="disk b is missing") as raised:
        medium.read_at(999, 2)
    assert raised.value.errno == errno.EIO
    assert opened(GONE).read_at(1000, 1) == b""


def test_what_ends_too_early_is_an_error() -> None:
    with pytest.raises(OSError, match="ends 1 bytes too early"):
        opened(Run(39_500, 501)).read_at(0, 501)


def test_a_key_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ValueError, match="key 1 of an encrypted volume"):
        open_map(Crypt(RUN, "aes", 1, 512, 0, 1000), MemoryMedium(SPACE), [b"k"])


@pytest.mark.parametrize(
    ("found", "ranges"),
    [
        (RUN, []),
        (Joined([RUN, GONE, GONE, RUN, GONE]), [(1000, 2000), (4000, 1000)]),
        (Mirrored([GONE, RUN], 1000), []),
        (Mirrored([GONE, GONE], 1000), [(0, 1000)]),
        (Striped([RUN, GONE], 500, 2000), [(0, 2000)]),
        (Raid(5, 2, 100, [RUN, None, RUN], 2000), []),
        (Raid(5, 2, 100, [RUN, None, GONE], 2000), [(0, 2000)]),
        (Raid(6, 8, 100, [RUN, None, GONE, RUN], 2000), []),
        (Raid(1, 0, 0, [None, RUN], 1000), []),
        (Raid(10, 0x102, 100, [None, RUN, RUN, None], 2000), []),
        (Raid(10, 0x102, 100, [None, None, RUN, RUN], 2000), [(0, 2000)]),
        (Raid(10, 0x102, 100, [None, RUN, RUN], 1500), []),
        (Raid(0, 0, 100, [RUN, None], 1500), [(0, 1500)]),
        (Thin(RUN, GONE, 1, 65536, 5000), [(0, 5000)]),
        (Snapshot(RUN, GONE, 4096, 1000), [(0, 1000)]),
        (Crypt(GONE, "aes", 0, 512, 0, 1000), [(0, 1000)]),
    ],
)  # fmt: skip
def test_what_is_lost_is_known_without_reading(found: Map, ranges: list[tuple[int, int]]) -> None:
    lost = lost_ranges(found)
    assert [(one.offset, one.length) for one in lost] == ranges
    assert all(isinstance(one, LostRange) and one.reason for one in lost)


def test_the_runs_of_a_map() -> None:
    found = Thin(Run(0, 1), Joined([Run(2, 3), GONE]), 1, 65536, 5000, Snapshot(Run(5, 1), Run(7, 1), 4096, 1))
    assert sorted(run.address for run in runs(found)) == [0, 2, 5, 7]
