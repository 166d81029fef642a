"""Arrays against what the kernel wrote (``md_layouts.py``): whole, degraded, with bad sectors."""

from itertools import combinations

import pytest
from byte_media import ByteMedium, all_of
from md_layouts import CHUNK, KERNEL_ARRAYS, KernelArray, value

from volforensic.evidence.maps import Raid
from volforensic.evidence.volumes.galois import inverse, power, product
from volforensic.evidence.volumes.raid import open_raid
from volforensic.evidence.volumes.raid_rows import RaidError, copies_of, copy_places, far_stride, parity_row

SMALL = 64
"""Bytes of a chunk here: the kernel's own were longer, with the same byte all through."""
by_name = pytest.mark.parametrize("array", KERNEL_ARRAYS, ids=lambda array: f"{array.level}-{array.name}")


def members(array: KernelArray) -> list[bytes]:
    return [b"".join(bytes([byte]) * SMALL for byte in bytes.fromhex(member)) for member in array.members]


def content(array: KernelArray) -> bytes:
    return b"".join(bytes([value(chunk)]) * SMALL for chunk in range(array.chunks))


def raid(array: KernelArray) -> Raid:
    return Raid(level=array.level, layout=array.layout, chunk=SMALL, members=[], length=array.chunks * SMALL)


def losses(array: KernelArray) -> list[tuple[int, ...]]:
    """Every set of members that can be lost; of level 10 those whose copies are all elsewhere."""
    places = range(len(array.members))
    if array.level != 10:
        return [lost for count in range(array.level // 6 + 2) for lost in combinations(places, count)]
    copies = copies_of(array.layout, len(places))
    everywhere = [{member for member, _ in copy_places(copies, chunk, 1)} for chunk in places]
    return [lost for count in range(3) for lost in combinations(places, count)
            if not any(holders <= set(lost) for holders in everywhere)]  # fmt: skip


@by_name
def test_every_layout_reads_whole_and_degraded(array: KernelArray) -> None:
    data = members(array)
    for lost in losses(array):
        media = [None if place in lost else ByteMedium(data[place]) for place in range(len(data))]
        assert all_of(open_raid(raid(array), media), 999) == content(array), lost


@by_name
def test_one_loss_too_many_is_an_error_and_the_rest_still_reads(array: KernelArray) -> None:
    data = members(array)
    kept = 0 if array.level == 10 else len(data) - array.level // 6 - 2
    medium = open_raid(raid(array), [ByteMedium(each) if place < kept else None for place, each in enumerate(data)])
    good = 0
    for chunk in range(array.chunks):
        try:
            assert medium.read_at(chunk * SMALL, SMALL) == bytes([value(chunk)]) * SMALL
            good += 1
        except OSError as error:
            assert "of the array" in str(error)  # noqa: PT017 - each chunk may do either
    assert good < array.chunks
    assert good > 0 or kept == 0 or "parity" in array.name


@pytest.mark.parametrize("level", [4, 5, 6, 10])
def test_bad_sectors_come_from_the_others(level: int) -> None:
    array = next(array for array in KERNEL_ARRAYS if array.level == level and len(array.members) >= 4)
    data = members(array)
    media = [ByteMedium(each, ((200 * place, 200 * place + 20),)) for place, each in enumerate(data)]
    assert all_of(open_raid(raid(array), media), 10) == content(array)


def test_a_member_that_is_cut_is_made_up_for() -> None:
    array = next(array for array in KERNEL_ARRAYS if array.level == 5)
    data = members(array)
    media = [ByteMedium(data[0][:700]), *map(ByteMedium, data[1:])]
    assert all_of(open_raid(raid(array), media)) == content(array)


def test_a_mirror_and_stripes() -> None:
    data = bytes(range(250)) * 4
    mirror = Raid(level=1, layout=0, chunk=0, members=[], length=1000)
    medium = open_raid(mirror, [None, ByteMedium(data, ((0, 500),)), ByteMedium(data, ((500, 1000),))])
    assert medium.read_at(490, 10) + medium.read_at(500, 900) == data[490:]
    with pytest.raises(OSError, match="no member of the mirror gives"):
        medium.read_at(490, 20)
    stripes = Raid(level=0, layout=0, chunk=100, members=[], length=1000)
    halves = [b"".join(data[start : start + 100] for start in range(first, 1000, 200)) for first in (0, 100)]
    assert all_of(open_raid(stripes, [ByteMedium(half) for half in halves]), 77) == data
    with pytest.raises(OSError, match="too few members"):
        open_raid(stripes, [ByteMedium(halves[0]), None]).read_at(0, 101)


def test_nothing_lies_outside() -> None:
    for level in (1, 5, 10):
        layout = 0x102 if level == 10 else 2
        array = Raid(level=level, layout=layout, chunk=64, members=[], length=1280)
        medium = open_raid(array, [ByteMedium(bytes(4096))] * 3)
        assert [medium.read_at(-1, 5), medium.read_at(1280, 5), medium.read_at(0, 0)] == [b"", b"", b""]
        assert len(medium.read_at(1270, 99)) == 10


@pytest.mark.parametrize(
    ("level", "layout", "chunk", "count"),
    [
        (5, 2, 0, 3), (5, 2, -512, 3), (5, 99, 512, 3), (6, 7, 512, 4), (6, 2, 512, 3), (5, 2, 512, 1), (10, 0, 512, 2),
        (10, 0x102, 512, 1), (10, 0x80102, 512, 4), (2, 0, 512, 3), (0, 0, 0, 2), (1, 0, 0, 0), (10, 0xFFFF, 512, 4),
    ],
)  # fmt: skip
def test_arrays_that_cannot_be_are_refused(level: int, layout: int, chunk: int, count: int) -> None:
    array = Raid(level=level, layout=layout, chunk=chunk, members=[], length=4096)
    with pytest.raises(RaidError):
        open_raid(array, [ByteMedium(bytes(4096))] * count)


@pytest.mark.parametrize("layout", [0x102, 0x201, 0x10201, 0x20201, 0x40201, 0x30201, 0x301, 0x202])
@pytest.mark.parametrize("disks", [4, 5, 6, 7])
def test_no_two_chunks_of_a_level_10_array_share_a_place(layout: int, disks: int) -> None:
    copies = copies_of(layout, disks)
    chunks = 24 * disks // copies.near // copies.far
    stride = far_stride(copies, chunks)
    places = [place for chunk in range(chunks) for place in copy_places(copies, chunk, stride)]
    assert len(set(places)) == len(places) == chunks * copies.near * copies.far


@by_name
def test_a_row_has_every_member_once(array: KernelArray) -> None:
    if array.level == 10:
        return
    disks = len(array.members)
    for number in range(20):
        row = parity_row(array.level, array.layout, disks, number)
        used = [*row.data, row.parity, *([row.syndrome] if array.level == 6 else [])]
        assert sorted(used) == list(range(disks))
        assert len(set(row.powers)) == len(row.powers)


def test_the_field_of_q() -> None:
    assert [power(exponent) for exponent in (0, 1, 7, 8, 255, -1)] == [1, 2, 128, 0x1D, 1, 0x8E]
    assert all(product(element, inverse(element)) == 1 for element in range(1, 256))
    assert CHUNK % SMALL == 0
