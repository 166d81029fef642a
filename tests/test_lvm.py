"""LVM2: groups found, put together, damaged and cloned; every segment type that needs no other driver."""

import pytest
from memory_media import SPACING, DiskSpace, MemoryMedium, pattern, read_in_pieces, space_of

from images import lvm
from images.lvm import Logical, Physical, linear, segment
from volforensic.evidence import maps
from volforensic.evidence.volumes.lvm import find_logical_volumes
from volforensic.evidence.volumes.map_check import check_map
from volforensic.evidence.volumes.mapped import Found, MappedVolume
from volforensic.evidence.volumes.opening import open_map

EXTENT = 64 << 10
START = 64 << 10
EXTENTS = 12
SIZE = START + EXTENTS * EXTENT
A, B, C = (lvm.identity(f"PV{letter}") for letter in "abc")


def disk(uuid: str, text: bytes, seed: int = 0, **options: object) -> bytearray:
    made = lvm.physical_volume(uuid, SIZE, text, **options)  # type: ignore[arg-type]  # as physical_volume takes them
    made[START:] = pattern(seed or ord(uuid[2]), EXTENTS * EXTENT)
    return made


def extents(made: bytes | bytearray, first: int, count: int = 1) -> bytes:
    return bytes(made[START + first * EXTENT : START + (first + count) * EXTENT])


def group(logical: list[Logical], uuids: tuple[str, ...] = (A,), name: str = "vg", **options: object) -> bytes:
    physical = [Physical(uuid, EXTENTS) for uuid in uuids]
    return lvm.group_text(name, physical, logical, **options)  # type: ignore[arg-type]  # as group_text takes them


def found_in(*disks: bytes | bytearray) -> tuple[DiskSpace, Found]:
    space, members = space_of(disks)
    return space, find_logical_volumes(space, members)


def contents(space: DiskSpace, volume: MappedVolume) -> bytes:
    assert check_map(volume.map, space.size) == ""
    return read_in_pieces(open_map(volume.map, space))


def lost(found: Found) -> list[str]:
    return [problem.reason for problem in found.problems if problem.lost]


def test_linear_volumes_over_two_disks_are_read() -> None:
    root = Logical("root-a", [linear(0, 3, "pv0", 2), linear(3, 2, "pv1", 0)])
    text = group([root, Logical("home", [linear(0, 4, "pv1", 5)])], (A, B), name="my-vg")
    disks = [disk(A, text), disk(B, text)]
    space, found = found_in(b"\0" * 8192, *disks)
    first, second = found.volumes
    assert found.problems == []
    assert contents(space, first) == extents(disks[0], 2, 3) + extents(disks[1], 0, 2)
    assert contents(space, second) == extents(disks[1], 5, 4)
    assert first.names == ["/dev/my-vg/root-a", "/dev/mapper/my--vg-root--a"]
    assert (first.kind, first.name, first.members, second.members) == ("lvm", "my-vg/root-a", [1, 2], [2])
    assert (first.uuid, first.length) == (lvm.dashed(lvm.identity("root_a")), 5 * EXTENT)


def test_neighbouring_segments_are_one_run() -> None:
    text = group([Logical("root", [linear(0, 2, "pv0", 1), linear(2, 3, "pv0", 3)])])
    assert found_in(disk(A, text))[1].volumes[0].map == maps.Run(START + EXTENT, 5 * EXTENT)


@pytest.mark.parametrize("place", [512, 4096, (60 << 10) - 512])
def test_a_text_may_go_round_the_end_of_its_area(place: int) -> None:
    text = group([Logical(f"volume{number}", [linear(0, 1, "pv0", number)]) for number in range(9)])
    assert len(text) > 1024
    _, found = found_in(disk(A, text, place=place))
    assert (len(found.volumes), found.problems) == (9, [])


def test_the_newest_metadata_counts() -> None:
    old = group([Logical("old", [linear(0, 1, "pv0", 0)])], (A, B), number=4)
    new = group([Logical("new", [linear(0, 1, "pv0", 0)])], (A, B), number=5)
    _, found = found_in(disk(A, old), disk(B, new))
    assert [volume.name for volume in found.volumes] == ["vg/new"]
    assert lost(found) == []
    assert "is older (number 4)" in found.problems[0].reason


AREAS = ((4096, 28 << 10), (32 << 10, 28 << 10))


def test_the_second_area_is_read_where_the_first_is_damaged() -> None:
    text = group([Logical("root", [linear(0, 1, "pv0", 0)])])
    made = disk(A, text, areas=AREAS)
    made[4096 + 600] ^= 1
    _, found = found_in(made)
    assert [volume.name for volume in found.volumes] == ["vg/root"]
    assert "the checksum of its text is wrong" in lost(found)[0]
    assert (found.problems[0].offset, found.problems[0].length) == AREAS[0]


@pytest.mark.parametrize("place", [4096 + 2, 4096 + 45, 4096 + 512 + 200])
def test_an_older_text_is_dug_out_where_no_area_is_whole(place: int) -> None:
    text = group([Logical("root", [linear(0, 1, "pv0", 0)])], number=9)
    older = group([Logical("older", [linear(0, 1, "pv0", 0)])], number=8)
    made = disk(A, text)
    made[4096 + 4096 : 4096 + 4096 + len(older)] = older
    made[place] = 0xFF
    _, found = found_in(made)
    assert [volume.name for volume in found.volumes] == ["vg/older" if place == 4096 + 712 else "vg/root"]
    assert any("volume group vg has no sound metadata" in reason for reason in lost(found))


def test_a_label_with_a_wrong_checksum_is_read_and_said() -> None:
    text = group([Logical("root", [linear(0, 1, "pv0", 0)])])
    made = disk(A, text)
    made[1000] ^= 1
    _, found = found_in(made)
    assert len(found.volumes) == 1
    assert "the checksum of the LVM label is wrong" in found.problems[0].reason


def test_the_label_is_found_in_any_of_the_first_four_sectors() -> None:
    made = disk(A, group([Logical("root", [linear(0, 1, "pv0", 0)])]))
    made[1536:2048] = lvm.label(A, SIZE, ((4096, 60 << 10),), sector=3)
    made[512:1024] = bytes(512)
    assert len(found_in(made)[1].volumes) == 1


def test_a_disk_whose_label_is_gone_is_the_one_that_is_missing() -> None:
    text = group([Logical("root", [linear(0, 1, "pv1", 3)])], (A, B))
    disks = [disk(A, text), disk(B, text)]
    disks[1][512:1024] = bytes(512)
    space, found = found_in(*disks)
    assert contents(space, found.volumes[0]) == extents(disks[1], 3)
    assert any("it was taken for the missing physical volume" in problem.reason for problem in found.problems)


def test_what_a_missing_disk_holds_is_said_and_the_rest_is_whole() -> None:
    whole, cut = (
        Logical("whole", [linear(0, 2, "pv0", 0)]),
        Logical("cut", [linear(0, 1, "pv0", 2), linear(1, 2, "pv1", 0)]),
    )
    text = group([whole, cut, Logical("gone", [linear(0, 1, "pv1", 5)])], (A, B))
    made = disk(A, text)
    space, found = found_in(made)
    assert [volume.name for volume in found.volumes] == ["vg/whole", "vg/cut"]
    assert contents(space, found.volumes[0]) == extents(made, 0, 2)
    medium = open_map(found.volumes[1].map, space)
    assert medium.read_at(0, EXTENT) == extents(made, 2)
    with pytest.raises(OSError, match=f"{lvm.dashed(B)} of volume group vg is missing"):
        medium.read_at(EXTENT, 1)
    assert any("vg/cut: bytes 65536 to 196607 cannot be read" in reason for reason in lost(found))
    assert any("vg/gone: bytes 0 to 65535 cannot be read" in reason for reason in lost(found))


def test_extents_beyond_a_cut_disk_are_missing() -> None:
    made = disk(A, group([Logical("root", [linear(0, 4, "pv0", 0)])]))
    space, found = found_in(made[: START + EXTENT + 100])
    medium = open_map(found.volumes[0].map, space)
    assert medium.read_at(0, EXTENT + 100) == made[START : START + EXTENT + 100]
    with pytest.raises(OSError, match="is cut at byte"):
        medium.read_at(EXTENT + 100, 1)
    assert "bytes 65636 to 262143 cannot be read" in lost(found)[0]


def test_extents_that_the_disk_does_not_have_are_an_error() -> None:
    _, found = found_in(disk(A, group([Logical("root", [linear(0, 4, "pv0", 10)])])))
    assert found.volumes == []
    assert "are outside physical volume" in lost(found)[0]


def test_two_clones_are_both_read() -> None:
    text = group([Logical("root", [linear(0, 1, "pv0", 0), linear(1, 1, "pv1", 0)])], (A, B))
    disks = [disk(A, text, 1), disk(B, text, 2), disk(A, text, 3), disk(B, text, 4)]
    space, found = found_in(*disks)
    assert [contents(space, volume) for volume in found.volumes] == [
        extents(disks[0], 0) + extents(disks[1], 0),
        extents(disks[2], 0) + extents(disks[3], 0),
    ]
    assert [volume.members for volume in found.volumes] == [[0, 1], [2, 3]]
    assert "is there 2 times, with the same UUIDs" in found.problems[0].reason
    assert lost(found) == []


def test_clones_are_paired_by_the_number_of_their_metadata() -> None:
    older, newer = (
        group([Logical("root", [linear(0, 1, "pv0", 0), linear(1, 1, "pv1", 0)])], (A, B), number=number)
        for number in (3, 7)
    )
    _, found = found_in(disk(A, older), disk(B, newer), disk(B, older), disk(A, newer))
    assert [volume.members for volume in found.volumes] == [[0, 2], [1, 3]]


def test_groups_of_one_name_are_both_read() -> None:
    first = group([Logical("root", [linear(0, 1, "pv0", 0)])], (A,), uuid=lvm.identity("one"))
    second = group([Logical("root", [linear(0, 1, "pv0", 1)])], (B,), uuid=lvm.identity("two"))
    disks = [disk(A, first), disk(B, second)]
    space, found = found_in(*disks)
    assert [contents(space, volume) for volume in found.volumes] == [extents(disks[0], 0), extents(disks[1], 1)]
    assert "two different volume groups are called vg" in found.problems[0].reason


def test_a_disk_without_metadata_areas_belongs_to_the_group_that_names_it() -> None:
    text = group([Logical("root", [linear(0, 1, "pv1", 3)])], (A, B))
    disks = [disk(A, text), disk(B, b"", areas=())]
    space, found = found_in(*disks)
    assert contents(space, found.volumes[0]) == extents(disks[1], 3)
    assert found.problems == []


def test_a_disk_of_no_group_is_said() -> None:
    _, found = found_in(disk(A, b""))
    assert (found.volumes, "belongs to no volume group" in found.problems[0].reason) == ([], True)


def test_stripes_are_dealt_out() -> None:
    stripes = segment(0, 4, "striped", stripe_count=2, stripe_size=8, stripes=["pv0", 1, "pv1", 2])
    text = group([Logical("root", [stripes])], (A, B))
    disks = [disk(A, text), disk(B, text)]
    space, found = found_in(*disks)
    one, other = extents(disks[0], 1, 2), extents(disks[1], 2, 2)
    dealt = b"".join(part[at : at + 4096] for at in range(0, 2 * EXTENT, 4096) for part in (one, other))
    assert contents(space, found.volumes[0]) == dealt
    assert found.volumes[0].description == "LVM striped"


def test_a_mirror_is_read_from_the_member_that_can_be() -> None:
    images = [Logical(f"m_mimage_{place}", [linear(0, 2, f"pv{place}", 3)], is_visible=False) for place in range(2)]
    mirror = segment(0, 2, "mirror", mirror_count=2, region_size=1024, mirrors=["m_mimage_0", 0, "m_mimage_1", 0])
    text = group([Logical("m", [mirror]), *images], (A, B))
    disks = [disk(A, text), disk(B, text)]
    disks[1][START:] = disks[0][START:]
    space, found = found_in(*disks)
    bad = (START + 3 * EXTENT + 5000, START + 3 * EXTENT + 9000)
    broken = DiskSpace({0: MemoryMedium(bytes(disks[0]), [bad]), 1: MemoryMedium(bytes(disks[1]))})
    assert [volume.name for volume in found.volumes] == ["vg/m"]
    assert contents(space, found.volumes[0]) == contents(broken, found.volumes[0]) == extents(disks[0], 3, 2)
    _, alone = found_in(disks[1])
    assert "the first member of its mirror is missing" in lost(alone)[0]
    assert isinstance(alone.volumes[0].map, maps.Mirrored)


def test_a_volume_that_is_being_moved_is_read_where_it_was() -> None:
    mirrors = [segment(0, 2, "mirror", mirror_count=2, mirrors=["pv0", 0, "pv1", 4]), linear(2, 3, "pv0", 6)]
    moved = Logical("pvmove0", mirrors, is_visible=False)
    root = Logical("root", [linear(0, 1, "pvmove0", 1), linear(1, 2, "pvmove0", 2), linear(3, 1, "pvmove0", 0)])
    text = group([root, moved], (A, B))
    disks = [disk(A, text), disk(B, text)]
    space, found = found_in(*disks)
    expected = extents(disks[0], 1) + extents(disks[0], 6, 2) + extents(disks[0], 0)
    assert contents(space, found.volumes[0]) == expected


def test_volumes_of_zeros_and_errors() -> None:
    zeros = Logical("z", [segment(0, 1, "zero")])
    holed = Logical("h", [linear(0, 1, "pv0", 0), segment(1, 1, "error")])
    space, found = found_in(disk(A, group([zeros, holed])))
    assert contents(space, found.volumes[0]) == bytes(EXTENT)
    assert "vg/h: bytes 65536 to 131071 cannot be read" in lost(found)[0]


def test_a_hidden_volume_that_none_uses_is_shown_and_said() -> None:
    hidden = Logical("secret", [linear(0, 1, "pv0", 0)], is_visible=False)
    spare = Logical("lvol0_pmspare", [linear(0, 1, "pv0", 1)], is_visible=False)
    _, found = found_in(disk(A, group([hidden, spare])))
    assert [volume.name for volume in found.volumes] == ["vg/secret"]
    assert "vg/secret is hidden" in found.problems[0].reason


@pytest.mark.parametrize("kind", ["vdo", "raid7", "striped+SOMETHING", ""])
def test_what_is_not_supported_is_lost_by_name(kind: str) -> None:
    body = segment(0, 1, kind, stripe_count=1, stripes=["pv0", 0])
    _, found = found_in(disk(A, group([Logical("x", [body]), Logical("y", [linear(0, 1, "pv0", 0)])])))
    assert [volume.name for volume in found.volumes] == ["vg/y"]
    assert "vg/x cannot be read" in lost(found)[0]
    assert kind in lost(found)[0]


@pytest.mark.parametrize(("mode", "is_lost"), [("writethrough", False), ("writeback", True), ("", True)])
def test_a_cache_may_hold_newer_bytes(mode: str, *, is_lost: bool) -> None:
    pool = Logical("c", [segment(0, 1, "cache-pool", **({"cache_mode": mode} if mode else {}))], is_visible=False)
    origin = Logical("root_corig", [linear(0, 2, "pv0", 1)], is_visible=False)
    root = Logical("root", [segment(0, 2, "cache", cache_pool="c", origin="root_corig")])
    made = disk(A, group([root, pool, origin]))
    space, found = found_in(made)
    assert contents(space, found.volumes[0]) == extents(made, 1, 2)
    assert bool(lost(found)) is is_lost


def test_volumes_of_nothing_known_are_not_looked_at_twice() -> None:
    space, members = space_of([pattern(1, 8192), b"", b"LABELONE"])
    assert find_logical_volumes(space, members) == Found([], [])


def test_bytes_of_a_label_that_cannot_be_had_are_said() -> None:
    made = disk(A, group([Logical("root", [linear(0, 1, "pv0", 0)])]))
    space, members = space_of([made])
    space = DiskSpace({0: MemoryMedium(bytes(made), [(512, 1024)])})
    found = find_logical_volumes(space, members)
    assert [volume.name for volume in found.volumes] == ["vg/root"]
    assert "cannot be read: a bad sector" in lost(found)[0]
    assert space.size < SPACING
