"""LVM2 metadata that was made to deceive: it ends, it raises nothing, and what is not read is said."""

import random
import struct
from collections.abc import Iterator

import pytest
from memory_media import space_of

from images import lvm
from images.lvm import Logical, Physical, linear, segment
from volforensic.evidence.volumes.lvm import find_logical_volumes
from volforensic.evidence.volumes.lvm_label import Texts
from volforensic.evidence.volumes.lvm_metadata import MetadataError
from volforensic.evidence.volumes.map_check import check_map
from volforensic.evidence.volumes.mapped import Found
from volforensic.evidence.volumes.opening import open_map

A = lvm.identity("PVa")
SIZE = 1 << 20
HUGE = (1 << 40, 1 << 62, 1 << 63, (1 << 64) - 1)


def found_with(logical: list[Logical], change: tuple[str, str] | None = None) -> Found:
    text = lvm.group_text("vg", [Physical(A, 12)], logical)
    if change:
        assert change[0].encode() in text
        text = text.replace(change[0].encode(), change[1].encode(), 1)
    return found_on(lvm.physical_volume(A, SIZE, text, areas=((4096, 56 << 10),)))


def found_on(disk: bytes | bytearray) -> Found:
    """Discover, and let the parent's check see every map; open and read a little of each."""
    space, members = space_of([disk])
    found = find_logical_volumes(space, members)
    for volume in found.volumes:
        assert check_map(volume.map, space.size) == ""
        assert volume.length > 0
        try:
            medium = open_map(volume.map, space)
            medium.read_at(0, 5000)
            medium.read_at(volume.length - 10, 5000)
        except OSError:
            continue
    return found


def lost(found: Found) -> str:
    return " ".join(problem.reason for problem in found.problems if problem.lost)


ROOT = Logical("root", [linear(0, 2, "pv0", 0)])


@pytest.mark.parametrize("number", HUGE)
@pytest.mark.parametrize("field", [0, 8, 16, 24])
def test_huge_numbers_in_the_header_of_an_area(number: int, field: int) -> None:
    disk = lvm.physical_volume(A, SIZE, lvm.group_text("vg", [Physical(A, 12)], [ROOT]))
    place = 4096 + (24, 32, 40, 48)[field // 8]
    struct.pack_into("<Q", disk, place, number)
    struct.pack_into("<I", disk, 4096, lvm.checksum(bytes(disk[4100:4608])))
    assert "an LVM metadata area is damaged" in lost(found_on(disk))


@pytest.mark.parametrize("area", [(1 << 63, 1 << 63), (4096, (1 << 64) - 1), (SIZE - 100, 4096), (1, 0)])
def test_areas_that_lie_elsewhere(area: tuple[int, int]) -> None:
    disk = lvm.physical_volume(A, SIZE, lvm.group_text("vg", [Physical(A, 12)], [ROOT]))
    disk[512:1024] = lvm.label(A, SIZE, [area] * 20)
    found = found_on(disk)
    assert (area[0] == 4096) == bool(found.volumes)
    assert found.problems or found.volumes


@pytest.mark.parametrize("start", [0, 31, 480, 512, (1 << 32) - 1])
def test_a_label_whose_header_lies_elsewhere(start: int) -> None:
    disk = lvm.physical_volume(A, SIZE, lvm.group_text("vg", [Physical(A, 12)], [ROOT]))
    struct.pack_into("<I", disk, 532, start)
    struct.pack_into("<I", disk, 528, lvm.checksum(bytes(disk[532:1024])))
    found = found_on(disk)
    assert "its header begins at byte" in lost(found)
    assert [volume.name for volume in found.volumes] == ["vg/root"]  # by the area that has its usual place


def test_volumes_that_are_made_of_themselves() -> None:
    logical = [
        Logical("self", [linear(0, 1, "self", 0)]),
        Logical("a", [linear(0, 1, "b", 0)]),
        Logical("b", [linear(0, 1, "c", 0)]),
        Logical("c", [linear(0, 1, "a", 0)]),
        ROOT,
    ]
    found = found_with(logical)
    assert [volume.name for volume in found.volumes] == ["vg/root"]
    assert lost(found).count("cannot be read") >= 4
    assert "it is made of itself" in lost(found)


def test_a_chain_of_volumes_is_no_recursion() -> None:
    chain = [Logical(f"v{place}", [linear(0, 1, f"v{place + 1}", 0)]) for place in range(250)]
    found = found_with([*chain, Logical("v250", [linear(0, 1, "pv0", 3)])])
    assert len(found.volumes) == 251  # all of them the same run: nothing stands between


def test_a_chain_of_layers_ends() -> None:
    chain = [
        Logical(f"v{place}", [segment(0, 1, "mirror", mirror_count=1, mirrors=[f"v{place + 1}", 0])])
        for place in range(60)
    ]
    found = found_with([*chain, Logical("v60", [linear(0, 1, "pv0", 3)])])
    assert 20 < len(found.volumes) < 40
    assert "levels" in lost(found)


def test_volumes_that_double_each_time_end() -> None:
    chain = [
        Logical(f"v{place}", [segment(0, 1, "mirror", mirror_count=2, mirrors=[f"v{place + 1}", 0] * 2)])
        for place in range(24)
    ]
    found = found_with([*chain, Logical("v24", [linear(0, 1, "pv0", 3)])])
    assert "parts on" in lost(found)
    assert len(found.volumes) < 20


def test_segments_that_each_name_all_of_another_volume_end() -> None:
    logical = [Logical("v5", [linear(0, 1, "pv0", 3), linear(1, 1, "pv0", 1)])]
    for place in range(5):
        body = [linear(2 * part, 2, f"v{place + 1}", 0) for part in range(60)]
        logical.append(Logical(f"v{place}", body))
    text = lvm.group_text("vg", [Physical(A, 12)], logical)
    found = found_on(lvm.physical_volume(A, SIZE, text, areas=((4096, 56 << 10),)))
    assert len(found.volumes) == 6


def changes() -> Iterator[tuple[str, str]]:
    for number in ("0", "-1", "2", *map(str, HUGE), "99999999999999999999999", '"x"', "[]", "{ }"):
        for key, value in [
            ("extent_count", "2"),
            ("start_extent", "0"),
            ("stripe_count", "1"),
            ("segment_count", "1"),
            ("pe_start", "128"),
            ("pe_count", "12"),
            ("extent_size", "128"),
            ("seqno", "1"),
        ]:
            yield f"{key} = {value}", f"{key} = {number}".replace("= {", "{")
    for stripes in (
        "[]",
        '["pv0"]',
        '["pv0", "pv0"]',
        "[0, 0]",
        '["pv0", -1]',
        f'["pv0", {1 << 63}]',
        '["nothing", 0]',
    ):
        yield 'stripes = ["pv0", 0]', f"stripes = {stripes}"
    yield "physical_volumes {", "other {"
    yield "pv0 {", "root {"
    yield 'id = "', 'id = 5 # "'


@pytest.mark.parametrize("change", list(changes()), ids=lambda change: change[1])
def test_numbers_that_cannot_be(change: tuple[str, str]) -> None:
    found = found_with([ROOT], change)
    assert found.volumes or found.problems


@pytest.mark.parametrize("size", [0, 3, HUGE[0], HUGE[2]])
@pytest.mark.parametrize("count", [0, 2, 3, HUGE[1]])
def test_stripes_that_cannot_be(size: int, count: int) -> None:
    body = segment(0, 2, "striped", stripe_count=count, stripe_size=size, stripes=["pv0", 0, "pv0", 2])
    found = found_with([Logical("root", [body])])
    assert (found.volumes, "cannot be read" in lost(found)) == ([], True)


def test_a_name_that_is_no_name_of_lvm_has_no_device_names() -> None:
    found = found_with([ROOT], ("root {", '"../../etc" {'))
    assert [(volume.name, volume.names) for volume in found.volumes] == [("vg/../../etc", [])]


def test_the_work_is_bounded_for_all_groups_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("volforensic.evidence.volumes.lvm._MOST_WORK", 1 << 14)
    chain = [
        Logical(f"v{place}", [segment(0, 1, "mirror", mirror_count=2, mirrors=[f"v{place + 1}", 0] * 2)])
        for place in range(9)
    ]
    logical = [Logical("v9", [linear(0, 1, "pv0", 0)]), *chain]
    disks = [
        lvm.physical_volume(uuid, 128 << 10, lvm.group_text(uuid, [Physical(uuid, 1)], logical))
        for uuid in (lvm.identity(f"PV{number}") for number in range(10, 50))
    ]
    space, members = space_of(disks)
    found = find_logical_volumes(space, members)
    assert "name each other too often" in lost(found)
    assert 10 < len(found.volumes) < 40 * 10


def test_too_much_metadata_is_not_read() -> None:
    padding = " " * (15 << 20)
    texts = Texts()
    for number in range(4):
        texts.parsed(f"vg {{ seqno = {number} }}{padding}".encode())
    with pytest.raises(MetadataError, match="were read before it"):
        texts.parsed(f"vg {{ seqno = 9 }}{padding}".encode())


def test_a_hundred_clones() -> None:
    disk = lvm.physical_volume(
        A, 128 << 10, lvm.group_text("vg", [Physical(A, 1)], [Logical("r", [linear(0, 1, "pv0", 0)])])
    )
    space, members = space_of([disk] * 100)
    found = find_logical_volumes(space, members)
    assert len(found.volumes) == 64
    assert "36 of its copies were not read" in lost(found)


def test_a_thousand_mutants_raise_nothing_and_lose_nothing_silently() -> None:
    mirror = segment(0, 2, "mirror", mirror_count=2, mirrors=["pv0", 4, "pv0", 6])
    logical = [ROOT, Logical("m", [mirror]), Logical("s", [linear(0, 1, "pv0", 8)], is_visible=False)]
    logical.append(Logical("snapshot0", [segment(0, 2, "snapshot", chunk_size=8, origin="root", cow_store="s")]))
    disk = lvm.physical_volume(A, SIZE, lvm.group_text("vg", [Physical(A, 12)], logical))
    start = (64 << 10) * 9
    disk[start : start + 65536] = lvm.exception_store({1: bytes(4096)}, 4096, 65536)
    whole = len(found_on(disk).volumes)
    chance = random.Random(4)  # noqa: S311 - the same mutants each time
    for _ in range(1000):
        mutant = bytearray(disk)
        for _ in range(chance.randrange(1, 4)):
            place = chance.choice((range(512, 1024), range(4096, 4200), range(4608, 6400), range(start, start + 40)))
            mutant[chance.choice(place)] = chance.randrange(256)
        space, members = space_of([mutant])
        found = find_logical_volumes(space, members)
        assert len(found.volumes) >= whole or found.problems or mutant[512:544] != disk[512:544]
