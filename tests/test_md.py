"""md arrays from their members: every metadata version, degraded, stale, cloned, unequal, hostile."""

import shutil
import struct
import subprocess
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from byte_media import ByteMedium, all_of, opened, side_by_side
from md_layouts import KERNEL_ARRAYS, KernelArray, value

from images.md import FAULTY, JOURNAL, SPARE, Array, Extras, member
from volforensic.evidence.reader import Window
from volforensic.evidence.volumes.mapped import Found, MappedVolume
from volforensic.evidence.volumes.md import find_arrays, is_member

CHUNK = 4096
RAID5 = next(array for array in KERNEL_ARRAYS if (array.level, array.name) == (5, "left-symmetric"))
RAID6 = next(array for array in KERNEL_ARRAYS if (array.level, array.name) == (6, "right-asymmetric"))
RAID10 = next(array for array in KERNEL_ARRAYS if (array.level, array.name, len(array.members)) == (10, "n2", 4))
VERSIONS = ["0.90", "1.0", "1.1", "1.2"]


def shape(array: KernelArray, version: str = "1.2") -> Array:
    size = len(array.members[0]) // 2 * CHUNK
    return Array(array.level, len(array.members), size, CHUNK, array.layout, version)


def disks_of(array: KernelArray, made: Array | None = None) -> list[bytes]:
    made = made or shape(array)
    return [
        member(made, number, b"".join(bytes([byte]) * CHUNK for byte in bytes.fromhex(chunks)))
        for number, chunks in enumerate(array.members)
    ]


def content_of(array: KernelArray) -> bytes:
    return b"".join(bytes([value(chunk)]) * CHUNK for chunk in range(array.chunks))


def mirror(version: str = "1.2", **changes: Any) -> Array:
    return Array(level=1, disks=2, component=65536, chunk=0, version=version)._replace(**changes)


def found_in(disks: Sequence[bytes]) -> tuple[Found, ByteMedium]:
    space, members = side_by_side(disks)
    return find_arrays(space, members), space


def only(disks: Sequence[bytes]) -> tuple[MappedVolume, bytes, str]:
    """Return the one array that the disks make up, what is in it, and what was said."""
    found, space = found_in(disks)
    (volume,) = found.volumes
    content = all_of(opened(volume.map, space))
    assert len(content) == volume.length
    return volume, content, reasons(found)


def reasons(found: Found) -> str:
    return "; ".join(problem.reason for problem in found.problems)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("array", [RAID5, RAID6, RAID10], ids=lambda array: f"{array.level}")
def test_arrays_are_found_whole(array: KernelArray, version: str) -> None:
    disks = disks_of(array, shape(array, version))
    volume, content, said = only([*disks[1:], bytes(8192), disks[0]])
    assert content == content_of(array)
    assert said == ""
    assert volume.uuid == "00010203:04050607:08090a0b:0c0d0e0f"
    assert volume.description == f"raid{array.level}, {len(disks)} members, metadata {version}"
    assert len(volume.members) == len(disks)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("array", [RAID5, RAID6, RAID10], ids=lambda array: f"{array.level}")
def test_arrays_are_read_degraded_and_say_so(array: KernelArray, version: str) -> None:
    disks = disks_of(array, shape(array, version))
    _, content, said = only(disks[:1] + disks[2:])
    assert content == content_of(array)
    assert "degraded: member 1 is missing" in said
    found, _ = found_in(disks[:1])
    assert found.volumes == []
    missing = ", ".join(str(place) for place in range(1, len(disks)))
    assert f"cannot be assembled: too few members: members {missing} are missing" in reasons(found)
    assert found.problems[-1].lost


def test_two_of_a_raid6_may_be_missing() -> None:
    for first, second in permutations(range(5), 2):
        if first < second:
            disks = [disk for place, disk in enumerate(disks_of(RAID6)) if place not in {first, second}]
            assert only(disks)[1] == content_of(RAID6)


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_old_format_is_read_in_both_byte_orders(order: str) -> None:
    made = shape(RAID5, "0.90")._replace(order=order, minor=3, events=(1 << 33) + 5)
    volume, content, _ = only(disks_of(RAID5, made))
    assert content == content_of(RAID5)
    assert volume.names == ["/dev/md3", "/dev/disk/by-id/md-uuid-00010203:04050607:08090a0b:0c0d0e0f"]


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("host:data", ["/dev/md/data", "/dev/disk/by-id/md-name-host:data"]),
        ("host:0", ["/dev/md/0", "/dev/md0", "/dev/disk/by-id/md-name-host:0"]),
        ("root", ["/dev/md/root", "/dev/disk/by-id/md-name-root"]),
        ("", []),
    ],
)
def test_names_are_those_that_the_superblock_tells(name: str, names: list[str]) -> None:
    volume, _, _ = only([member(mirror(name=name), number, bytes(65536)) for number in range(2)])
    assert volume.names[:-1] == names


# Level 1, linear, level 0


@pytest.mark.parametrize("version", VERSIONS)
def test_a_mirror_reads_from_either_side(version: str) -> None:
    data = bytes(range(256)) * 256
    disks = [member(mirror(version), number, data) for number in range(2)]
    assert only(disks)[1] == only(disks[1:])[1] == data


def stale_pair() -> list[bytes]:
    roles = (0, FAULTY)
    return [
        member(mirror(events=30, roles=roles), 0, b"new" * 21845 + b"."),
        member(mirror(), 1, b"old" * 21845 + b"."),
    ]


def test_a_stale_mirror_is_left_out_and_said() -> None:
    for disks in (stale_pair(), stale_pair()[::-1]):
        volume, content, said = only(disks)
        assert content.startswith(b"new")
        assert volume.members == [1, 2]
        assert "is stale (event count 7, the array's is 30): it is left out as member 1" in said
        assert "degraded: member 1 is missing" in said


def test_one_event_behind_is_up_to_date() -> None:
    disks = [member(mirror(events=30 + number), number, bytes(65536)) for number in range(2)]
    assert only(disks)[2] == ""


def test_spares_and_faulty_members_are_passed_over() -> None:
    made = mirror(roles=(0, 1, SPARE, FAULTY))
    disks = [member(made, number, bytes([number]) * 65536) for number in (3, 2, 1, 0)]
    volume, content, said = only(disks)
    assert (set(content), said) == ({0}, "")
    assert volume.members == [1, 2, 3, 4]  # the spare is no volume of its own


def linear(sizes: Sequence[int]) -> list[bytes]:
    made = Array(level=-1, disks=len(sizes), component=0, chunk=0)
    return [member(made, number, bytes([number + 1]) * size) for number, size in enumerate(sizes)]


def test_linear_members_of_any_size_follow_each_other() -> None:
    _, content, said = only(linear([8192, 512, 4096])[::-1])
    assert content == b"\1" * 8192 + b"\2" * 512 + b"\3" * 4096
    assert said == ""


def test_what_is_missing_of_a_linear_array_is_lost_and_the_rest_reads() -> None:
    found, space = found_in(linear([4096, 4096, 4096])[::2])
    (volume,) = found.volumes
    medium = opened(volume.map, space)
    assert medium.read_at(0, 4096) + medium.read_at(8192, 4096) == b"\1" * 4096 + b"\3" * 4096
    with pytest.raises(OSError, match=r"."):
        medium.read_at(4096, 512)
    (problem,) = found.problems
    assert problem.lost
    assert "member 1 is missing: those bytes are lost" in problem.reason
    unequal, _ = found_in(linear([4096, 512, 8192])[::2])
    assert unequal.volumes == []
    assert "of unequal size" in reasons(unequal)


def zoned(layout: int, sizes: Sequence[int], features: int = 4096) -> list[bytes]:
    """Write an unequal level 0 array as raid0.c maps it, chunk by chunk: chunk k is filled with the byte k."""
    made = Array(level=0, disks=len(sizes), component=0, layout=layout, features=features)
    data = [bytearray(size * CHUNK) for size in sizes]
    chunk = 0
    begin, zone_begin = 0, 0
    while any(size > begin for size in sizes):
        places = [place for place, size in enumerate(sizes) if size > begin]
        end = min(sizes[place] for place in places)
        for within in range((end - begin) * len(places)):
            counted = within if layout == 2 else zone_begin + within
            place, row = places[counted % len(places)], begin + within // len(places)
            data[place][row * CHUNK : (row + 1) * CHUNK] = bytes([chunk]) * CHUNK
            chunk += 1
        zone_begin += (end - begin) * len(places)
        begin = end
    return [member(made, number, bytes(each)) for number, each in enumerate(data)]


@pytest.mark.parametrize("layout", [1, 2])
@pytest.mark.parametrize("sizes", [(4, 4), (3, 7, 5), (2, 5, 5, 7), (5,)])
def test_zones_of_unequal_members_are_counted_as_the_array_says(layout: int, sizes: Sequence[int]) -> None:
    _, content, said = only(zoned(layout, sizes))
    assert content == b"".join(bytes([chunk]) * CHUNK for chunk in range(sum(sizes)))
    assert said == ""


def test_zones_that_are_not_told_are_an_ambiguity() -> None:
    _, _, said = only(zoned(2, (2, 5, 4), features=0))
    assert "its zones are counted as Linux 3.14 and later do: it does not say how" in said


def test_stripes_without_a_member_read_where_they_are() -> None:
    found, space = found_in(zoned(1, (4, 4))[1:])
    (volume,) = found.volumes
    medium = opened(volume.map, space)
    assert medium.read_at(CHUNK, CHUNK) == b"\1" * CHUNK
    with pytest.raises(OSError, match="too few members"):
        medium.read_at(0, 1)
    assert [problem.lost for problem in found.problems] == [True]


# Clones, leftovers, members in a state


def test_clones_are_each_read_for_themselves() -> None:
    first = disks_of(RAID5)
    second = [bytes(255 - byte for byte in disk[8192:]) for disk in first]
    second = [disk[:8192] + data for disk, data in zip(first, second, strict=True)]
    found, space = found_in([*first, *second[:2], second[3]])
    assert [volume.members for volume in found.volumes] == [[1, 2, 3, 4], [5, 6, 7]]
    assert all_of(opened(found.volumes[0].map, space)) == content_of(RAID5)
    assert reasons(found).count("more than once (clones)") == 2


def test_clones_of_two_times_are_told_apart_by_their_events() -> None:
    old = [member(mirror(events=10), number, b"o" * 65536) for number in range(2)]
    new = [member(mirror(events=90), number, b"n" * 65536) for number in range(2)]
    found, space = found_in([old[0], new[0], new[1], old[1]])
    assert [volume.members for volume in found.volumes] == [[1, 4], [2, 3]]
    assert [all_of(opened(volume.map, space))[:1] for volume in found.volumes] == [b"o", b"n"]


def test_the_array_that_was_made_last_counts_where_superblocks_are_left_over() -> None:
    old = member(mirror("1.1", uuid=b"o" * 16, created=5), 0, bytes(65536))
    new = member(mirror("1.2"), 0, bytes(65536))
    found, _ = found_in([old[:4096] + new[4096:]])
    assert [volume.uuid[:8] for volume in found.volumes] == ["00010203"]
    assert "superblocks of several md arrays" in reasons(found)


def test_a_superblock_with_a_wrong_sum_is_used_only_where_it_must() -> None:
    disks = disks_of(RAID5)
    broken = bytearray(disks[2])
    broken[4096 + 200] ^= 1
    _, content, said = only([disks[0], disks[1], bytes(broken), disks[3]])
    assert content == content_of(RAID5)
    assert "superblock of volume 3 fails its checksum: it is left out as member 2" in said
    _, content, said = only([disks[0], bytes(broken), disks[3]])
    assert content == content_of(RAID5)
    assert "superblock of volume 2 fails its checksum: it is used all the same" in said


def test_a_member_that_was_rebuilt_in_part_gives_that_part() -> None:
    made = shape(RAID5)._replace(features=2)
    data = b"".join(bytes([byte]) * CHUNK for byte in bytes.fromhex(RAID5.members[3]))
    half = data[: 8 * CHUNK] + bytes(16 * CHUNK)
    disks = [*disks_of(RAID5)[:3], member(made, 3, half, Extras(recovery=64))]
    _, content, said = only(disks)
    assert content == content_of(RAID5)
    assert "member 3 was rebuilt up to byte 32768 only" in said


def test_bad_blocks_that_a_member_knows_come_from_the_others() -> None:
    data = b"".join(bytes([byte]) * CHUNK for byte in bytes.fromhex(RAID5.members[0]))
    spoiled = data[:CHUNK] + b"?" * CHUNK + data[2 * CHUNK :]
    disks = [member(shape(RAID5), 0, spoiled, Extras(bad_blocks=((2, 4), (24, 8)))), *disks_of(RAID5)[1:]]
    _, content, said = only(disks)
    assert content == content_of(RAID5)
    assert "member 0 knows 1 ranges of it to be bad" in said


def test_a_member_that_is_cut_is_made_up_for_and_said() -> None:
    disks = disks_of(RAID5)
    _, content, said = only([disks[0][:20000], *disks[1:]])
    assert content == content_of(RAID5)
    assert "member 0 is cut" in said


def test_a_reshape_is_a_loss_by_name() -> None:
    found, _ = found_in(disks_of(RAID5, shape(RAID5)._replace(features=4)))
    assert found.volumes == []
    assert "a reshape is in progress" in reasons(found)
    assert found.problems[0].lost


@pytest.mark.parametrize(("is_full", "words"), [(True, "holds blocks that the array may not have"), (False, "nothing")])
def test_a_write_journal_is_named(*, is_full: bool, words: str) -> None:
    made = shape(RAID5)._replace(features=512, roles=(0, 1, 2, 3, JOURNAL))
    block = struct.pack("<IIBBHIQQ", 0x6433C509, 0, 1, 0, 0, 64 if is_full else 32, 9, 8)
    journal = member(made, 4, bytes(4096) + block.ljust(8192, b"\0"), Extras(recovery=8))
    found, _ = found_in([*disks_of(RAID5, made), journal])
    assert words in reasons(found)
    assert [problem.lost for problem in found.problems] == [is_full]
    without, _ = found_in(disks_of(RAID5, made))
    assert "its write journal is not there" in reasons(without)


def test_an_array_that_was_not_in_sync_is_said() -> None:
    found, _ = found_in(disks_of(RAID5, shape(RAID5)._replace(resync=0)))
    assert "not in sync" in reasons(found)
    assert not found.problems[0].lost


def test_external_metadata_are_named() -> None:
    ddf = bytes(8192 - 512) + b"\xde\x11\xde\x11".ljust(512, b"\0")
    intel = bytes(8192 - 1024) + b"Intel Raid ISM Cfg Sig. 1.1.00".ljust(1024, b"\0")
    found, _ = found_in([ddf, intel])
    assert "metadata of DDF" in reasons(found)
    assert "metadata of Intel (IMSM)" in reasons(found)
    assert all(problem.lost for problem in found.problems)


# Hostile superblocks

HOSTILE: list[dict[str, Any]] = [
    {"chunk": 0}, {"chunk": 1 << 40}, {"chunk": 100}, {"disks": 0, "roles": (0, 1, 2, 3)}, {"disks": 0}, {"disks": 1},
    {"disks": 1 << 31, "roles": (0, 1, 2, 3)}, {"level": 77}, {"level": -4}, {"layout": 99}, {"component": 0},
    {"component": 1 << 61}, {"component": 1024}, {"level": 10, "layout": 0}, {"level": 10, "layout": 0xFFFFFFFF},
    {"level": 10, "layout": 0x102, "disks": 1}, {"level": 0, "chunk": 0}, {"level": 6, "disks": 3},
    {"level": 0, "disks": 60000, "roles": (0, 1, 2, 3)}, {"level": -1, "disks": 60000, "roles": (0, 1, 2, 3)},
    {"roles": (FAULTY,) * 4}, {"roles": (0,) * 4}, {"roles": (65000,) * 4}, {"roles": ()}, {"roles": (0,) * 1800},
]  # fmt: skip


@pytest.mark.parametrize("changes", HOSTILE, ids=str)
def test_hostile_arrays_end_soon_and_never_silently(changes: dict[str, Any]) -> None:
    made = shape(RAID5)._replace(**changes)
    data = bytes(24 * CHUNK)
    disks = [member(made, number, data) for number in range(4)]
    found, space = found_in(disks)
    assert found.problems
    for volume in found.volumes:
        read_somehow(volume, space)


def read_somehow(volume: MappedVolume, space: ByteMedium) -> None:
    medium = opened(volume.map, space)
    for position in (0, volume.length // 2, volume.length - 1):
        try:
            assert len(medium.read_at(position, 1)) == 1
        except OSError as error:
            assert str(error)  # noqa: PT017 - either will do


@pytest.mark.parametrize(
    "extras", [Extras(data_offset=1 << 40), Extras(data_offset=1 << 63), Extras(size=1 << 63), Extras(data_offset=400)]
)
@pytest.mark.parametrize("level", [-1, 0, 1, 5])
def test_data_that_lie_outside_the_member_are_said(level: int, extras: Extras) -> None:
    made = shape(RAID5)._replace(level=level, features=4096 if level == 0 else 0)
    disks = [member(made, number, bytes(24 * CHUNK), extras) for number in range(4)]
    found, space = found_in(disks)
    is_unread = extras.size == 1 << 63 or extras.data_offset == 1 << 63
    assert found.problems or is_unread
    assert not found.volumes or not is_unread
    for volume in found.volumes:
        read_somehow(volume, space)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_flipped_byte_of_a_superblock_is_borne(version: str) -> None:
    data = bytes(65536)
    good = [member(mirror(version), number, data) for number in range(2)]
    begin = {"0.90": 65536, "1.0": 65536, "1.1": 0, "1.2": 4096}[version]
    for place in [*range(begin, begin + 264, 3), begin + 3968, begin + 3972]:
        broken = bytearray(good[0])
        broken[place] ^= 0xFF
        found, space = found_in([bytes(broken), good[1]])
        assert [all_of(opened(volume.map, space), 65536) for volume in found.volumes][:1] == [data]


def test_what_is_no_member_is_passed_over_in_silence() -> None:
    for disk in (
        b"",
        b"\xfc\x4e\x2b\xa9" * 3000,
        bytes(100),
        bytes(1 << 17),
        b"\xfc\x4e\x2b\xa9".ljust(1 << 17, b"\xff"),
    ):
        found, space = found_in([disk])
        assert found == Found([], [])
        assert not is_member(Window(space, 0, len(disk)))
    assert is_member(Window(ByteMedium(stale_pair()[0]), 0, len(stale_pair()[0])))


def test_bad_sectors_where_superblocks_lie_are_borne() -> None:
    disks = disks_of(RAID5)
    space, members = side_by_side(disks)
    found = find_arrays(space._replace(bad=((4096, 8192),)), members)
    assert "degraded: member 0 is missing" in reasons(found)


@pytest.mark.skipif(shutil.which("mdadm") is None, reason="mdadm is not installed")
@pytest.mark.parametrize("version", VERSIONS)
def test_mdadm_takes_what_the_builder_makes(tmp_path: Path, version: str) -> None:
    path = tmp_path / "member"
    path.write_bytes(member(shape(RAID5, version), 1, bytes(24 * CHUNK)))
    run = subprocess.run(["mdadm", "--examine", path], capture_output=True, text=True, check=False)
    if "Checksum" not in run.stdout:
        pytest.skip(f"mdadm examines no plain file here: {run.stderr.strip()[:100]}")
    assert "correct" in run.stdout
    assert "Raid Level : raid5" in run.stdout
