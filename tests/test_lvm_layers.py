"""LVM2 volumes that stand on others: arrays, thin volumes with their pool, old snapshots."""

import struct

import pytest
from lvm_texts import TWO, TWO_UUIDS
from memory_media import pattern, read_in_pieces, space_of

from images import lvm
from images.lvm import Logical, Physical, linear, segment
from images.thin import PoolBuilder
from volforensic.evidence import maps
from volforensic.evidence.volumes.lvm import find_logical_volumes
from volforensic.evidence.volumes.map_check import check_map
from volforensic.evidence.volumes.mapped import Found
from volforensic.evidence.volumes.opening import open_map

EXTENT = START = 64 << 10
EXTENTS = 24
A = lvm.identity("PVa")
RAID_TYPES = [
    ("raid1", 1, 0),
    ("raid4", 5, 4),
    ("raid5_la", 5, 0),
    ("raid5_ra", 5, 1),
    ("raid5_ls", 5, 2),
    ("raid5", 5, 2),
    ("raid5_rs", 5, 3),
    ("raid5_n", 5, 5),
    ("raid6_zr", 6, 8),
    ("raid6_nr", 6, 9),
    ("raid6_nc", 6, 10),
    ("raid6_n_6", 6, 5),
    ("raid6_ls_6", 6, 18),
    ("raid10", 10, 0x102),
]


def found_in(logical: list[Logical], contents: dict[int, bytes]) -> tuple[bytes, Found]:
    """Discover one disk with these volumes and these bytes from extents on."""
    text = lvm.group_text("vg", [Physical(A, EXTENTS)], logical)
    made = lvm.physical_volume(A, START + EXTENTS * EXTENT, text)
    for extent, data in contents.items():
        made[START + extent * EXTENT : START + extent * EXTENT + len(data)] = data
    space, members = space_of([made])
    return bytes(made), find_logical_volumes(space, members)


def volume_bytes(made: bytes, found: Found, name: str) -> bytes:
    space, _ = space_of([made])
    volume = next(volume for volume in found.volumes if volume.name == f"vg/{name}")
    assert check_map(volume.map, space.size) == ""
    return read_in_pieces(open_map(volume.map, space))


def reasons(found: Found, *, lost: bool = True) -> list[str]:
    return [problem.reason for problem in found.problems if problem.lost is lost]


def raid_volumes(kind: str, count: int, data: int) -> list[Logical]:
    names: list[object] = [name for place in range(count) for name in (f"r_rmeta_{place}", f"r_rimage_{place}")]
    whole = Logical("r", [segment(0, data, kind, device_count=count, stripe_size=16, data_copies=2, raids=names)])
    images = [Logical(f"r_rimage_{place}", [linear(0, 1, "pv0", place)], is_visible=False) for place in range(count)]
    metas = [Logical(f"r_rmeta_{place}", [linear(0, 1, "pv0", 10 + place)], is_visible=False) for place in range(count)]
    return [whole, *images, *metas]


def raid_superblock(events: int, failed: int = 0, recovered: int = (1 << 64) - 1) -> bytes:
    return struct.pack("<4sIIIQQQQIII", b"DmRd", 0, 4, 0, events, failed, recovered, 0, 5, 2, 16)


@pytest.mark.parametrize(("kind", "level", "layout"), RAID_TYPES)
def test_arrays_are_numbered_as_md_does(kind: str, level: int, layout: int) -> None:
    data = {1: 1, 5: 3, 6: 2, 10: 2}[level]
    _, found = found_in(raid_volumes(kind, 4, data), {})
    images: list[maps.Map | None] = [maps.Run(START + place * EXTENT, EXTENT) for place in range(4)]
    chunk = 0 if level == 1 else 8192
    assert [volume.map for volume in found.volumes] == [maps.Raid(level, layout, chunk, images, data * EXTENT)]
    assert found.problems == []
    assert check_map(found.volumes[0].map, 1 << 30) == ""


def test_raid0_is_a_stripe() -> None:
    images = [Logical(f"r_rimage_{place}", [linear(0, 1, "pv0", place)], is_visible=False) for place in range(2)]
    whole = Logical(
        "r", [segment(0, 2, "raid0", stripe_count=2, stripe_size=8, raid0_lvs=["r_rimage_0", "r_rimage_1"])]
    )
    one, other = pattern(1, EXTENT), pattern(2, EXTENT)
    made, found = found_in([whole, *images], {0: one, 1: other})
    dealt = b"".join(part[at : at + 4096] for at in range(0, EXTENT, 4096) for part in (one, other))
    assert volume_bytes(made, found, "r") == dealt


@pytest.mark.parametrize(
    ("stale", "reason"),
    [
        (raid_superblock(3), "is older"),
        (raid_superblock(9, recovered=64), "was rebuilt up to sector 64 only"),
        (bytes(512), "has no superblock"),
    ],
)
def test_a_member_that_is_out_of_date_is_left_out(stale: bytes, reason: str) -> None:
    newest = raid_superblock(9)
    metas = {10: newest, 11: stale, 12: newest, 13: newest}
    _, found = found_in(raid_volumes("raid5", 4, 3), metas)
    array = found.volumes[0].map
    assert isinstance(array, maps.Raid)
    assert [place for place, member in enumerate(array.members) if member is None] == [1]
    assert reason in reasons(found, lost=False)[0]


def test_a_member_that_failed_is_left_out() -> None:
    metas = {10: raid_superblock(9, failed=2), 11: raid_superblock(9), 12: raid_superblock(9), 13: raid_superblock(9)}
    _, found = found_in(raid_volumes("raid5", 4, 3), metas)
    assert "r_rimage_1 is left out of its array: it had failed" in reasons(found, lost=False)[0]


def test_members_that_the_array_cannot_do_without_stay_and_that_is_said() -> None:
    metas = {10: raid_superblock(9), 11: raid_superblock(3), 12: raid_superblock(3), 13: raid_superblock(9)}
    _, found = found_in(raid_volumes("raid5", 4, 3), metas)
    array = found.volumes[0].map
    assert isinstance(array, maps.Raid)
    assert None not in array.members
    assert "2 members of its array are out of date" in reasons(found)[0]


THIN = [
    Logical("pool", [segment(0, 8, "thin-pool", metadata="tmeta", pool="tdata", transaction_id=0, chunk_size=128)]),
    Logical("tmeta", [linear(0, 2, "pv0", 0)], is_visible=False),
    Logical("tdata", [linear(0, 8, "pv0", 4)], is_visible=False),
]


def thin(name: str, device: int, extents: int, **values: object) -> Logical:
    body = segment(0, extents, "thin", thin_pool="pool", transaction_id=0, device_id=device, **values)
    return Logical(name, [body])


def test_thin_volumes_and_their_snapshots_are_read() -> None:
    metadata = PoolBuilder(EXTENT, 2).finished({1: {0: 3, 1: 4, 5: 0, 7: 1}, 2: {0: 3, 1: 6, 2: 7}})
    data = pattern(3, 8 * EXTENT)
    made, found = found_in([*THIN, thin("t", 1, 9), thin("s", 2, 9, origin="t")], {0: metadata, 4: data})
    assert found.problems == []
    block = [data[at : at + EXTENT] for at in range(0, len(data), EXTENT)]
    none = bytes(EXTENT)
    assert volume_bytes(made, found, "t") == b"".join(
        [block[3], block[4], none, none, none, block[0], none, block[1], none]
    )
    assert volume_bytes(made, found, "s") == b"".join([block[3], block[6], block[7], *[none] * 6])
    assert [volume.description for volume in found.volumes] == ["LVM thin"] * 2


def test_what_a_thin_volume_does_not_hold_is_its_external_origins() -> None:
    metadata = PoolBuilder(EXTENT).finished({1: {1: 2}})
    data, origin = pattern(3, 8 * EXTENT), pattern(4, 2 * EXTENT)
    outer = Logical("ext", [linear(0, 2, "pv0", 14)])
    made, found = found_in([*THIN, outer, thin("t", 1, 3, external_origin="ext")], {0: metadata, 4: data, 14: origin})
    assert volume_bytes(made, found, "t") == origin[:EXTENT] + data[2 * EXTENT : 3 * EXTENT] + bytes(EXTENT)


def test_what_is_odd_about_a_pool_is_said() -> None:
    metadata = PoolBuilder(EXTENT).finished({1: {}, 7: {0: 0, 1: 1}}, flags=1, held=3)
    _, found = found_in([*THIN, thin("t", 1, 3), thin("u", 2, 3)], {0: metadata})
    assert [volume.name for volume in found.volumes] == ["vg/t"]
    notes = " ".join(reasons(found, lost=False))
    assert "needs_check" in notes
    assert "snapshot of its metadata in block 3" in notes
    assert "its device 7 with 2 blocks is no logical volume" in reasons(found)[0]
    assert "vg/u cannot be read: its thin pool pool has no device 2" in reasons(found)[1]


def test_a_damaged_pool_loses_its_volumes_and_says_so() -> None:
    metadata = bytearray(PoolBuilder(EXTENT).finished({1: {}}))
    metadata[100] ^= 1
    _, found = found_in([*THIN, thin("t", 1, 3)], {0: bytes(metadata)})
    assert found.volumes == []
    assert "block 0 of the metadata of the thin pool is damaged: its checksum is wrong" in reasons(found)[0]
    assert "vg/t cannot be read: its thin pool pool" in reasons(found)[1]


SNAPSHOT = [
    Logical("base", [linear(0, 4, "pv0", 0)]),
    Logical("snap", [linear(0, 6, "pv0", 8)], is_visible=False),
    Logical("snapshot0", [segment(0, 4, "snapshot", chunk_size=8, origin="base", cow_store="snap")]),
]


def changed(size: int, chunks: dict[int, bytes], chunk: int = 4096) -> bytes:
    data = bytearray(pattern(5, size))
    for number, piece in chunks.items():
        data[number * chunk : (number + 1) * chunk] = piece
    return bytes(data)


def test_old_snapshots_are_read() -> None:
    base = pattern(5, 4 * EXTENT)
    chunks = {number: pattern(100 + number, 4096) for number in (63, 5, 6, 7, 0, 40)}
    made, found = found_in(SNAPSHOT, {0: base, 8: lvm.exception_store(chunks, 4096, 6 * EXTENT)})
    assert found.problems == []
    assert [volume.name for volume in found.volumes] == ["vg/base", "vg/snap"]
    assert found.volumes[1].uuid == lvm.dashed(lvm.identity("snap"))
    assert volume_bytes(made, found, "base") == base
    assert volume_bytes(made, found, "snap") == changed(4 * EXTENT, chunks)


def test_exceptions_go_on_in_the_next_area() -> None:
    chunks = {number: pattern(100 + number, 512) for number in range(90, 10, -1)}  # 32 to an area
    volumes = [
        *SNAPSHOT[:2],
        Logical("snapshot0", [SNAPSHOT[2].segments[0].replace("chunk_size = 8", "chunk_size = 1")]),
    ]
    made, found = found_in(volumes, {0: pattern(5, 4 * EXTENT), 8: lvm.exception_store(chunks, 512, 6 * EXTENT)})
    assert volume_bytes(made, found, "snap") == changed(4 * EXTENT, chunks, 512)


def test_a_snapshot_that_is_merged_is_what_its_origin_becomes() -> None:
    body = segment(0, 4, "snapshot", chunk_size=8, origin="base", merging_store="snap")
    chunks = {3: pattern(9, 4096)}
    volumes = [*SNAPSHOT[:2], Logical("snapshot0", [body], is_visible=False)]
    made, found = found_in(volumes, {0: pattern(5, 4 * EXTENT), 8: lvm.exception_store(chunks, 4096, 6 * EXTENT)})
    assert [volume.name for volume in found.volumes] == ["vg/base"]
    assert volume_bytes(made, found, "base") == changed(4 * EXTENT, chunks)
    assert "being merged" in reasons(found, lost=False)[0]


@pytest.mark.parametrize(
    ("store", "reason"),
    [
        (lvm.exception_store({}, 4096, EXTENT, is_valid=False), "the snapshot is invalid"),
        (lvm.exception_store({}, 8192, EXTENT), "chunks of 8192 bytes"),
        (bytes(EXTENT), "has no header"),
        (struct.pack("<IIII", 0x70416E53, 1, 9, 8), "version 9"),
        (struct.pack("<IIII", 0x70416E53, 1, 1, 0), "chunks of 0 sectors"),
    ],
)
def test_a_snapshot_that_cannot_be_read_is_said(store: bytes, reason: str) -> None:
    _, found = found_in(SNAPSHOT, {8: store})
    assert [volume.name for volume in found.volumes] == ["vg/base"]
    assert "vg/snap cannot be read" in reasons(found)[0]
    assert reason in reasons(found)[0]


@pytest.mark.parametrize(
    "exceptions",
    [
        [(1, 2), (1, 3)],
        [(1, 2), (2, 2)],
        [(1, 1)],
        [(1, 2 + 256)],
        [(1, 2), (0, 0), (3, 4)],
        [(1, 2), (3, 0)],
        [(1 << 40, 2)],
        [(1, 1 << 40)],
    ],
)
def test_exceptions_that_cannot_be_are_errors(exceptions: list[tuple[int, int]]) -> None:
    store = bytearray(lvm.exception_store({}, 4096, 6 * EXTENT))
    for place, entry in enumerate(exceptions):
        struct.pack_into("<QQ", store, 4096 + place * 16, *entry)
    made, found = found_in(SNAPSHOT, {8: bytes(store)})
    with pytest.raises(OSError, match="exception store is damaged"):
        volume_bytes(made, found, "snap")


def test_metadata_that_lvm_wrote_gives_the_volumes_that_lvm_shows() -> None:
    disks = [lvm.physical_volume(uuid, 60 << 20, TWO) for uuid in TWO_UUIDS]
    pieces = {0: PoolBuilder(EXTENT).finished({device: {} for device in range(1, 6)})}
    disks[1][1 << 20 : (1 << 20) + len(pieces[0])] = pieces[0]
    for extent, chunk in ((16, 8192), (28, 4096), (30, 4096), (119, 4096)):
        at = (1 << 20) + extent * (256 << 10)
        disks[0][at : at + chunk] = lvm.exception_store({}, chunk, chunk)
    space, members = space_of(disks)
    found = find_logical_volumes(space, members)
    kinds = {volume.name.removeprefix("two/"): (type(volume.map), volume.length >> 10) for volume in found.volumes}
    assert kinds == {
        "base": (maps.Run, 4096),
        "snap": (maps.Snapshot, 4096),
        "snapsmall": (maps.Snapshot, 4096),
        "snapfull": (maps.Snapshot, 4096),
        "ext": (maps.Run, 2048),
        "thin1": (maps.Thin, 12288),
        "thinsnap": (maps.Thin, 12288),
        "thinsnap2": (maps.Thin, 12288),
        "big": (maps.Thin, 1 << 20),
        "fromext": (maps.Thin, 2048),
        "mbase": (maps.Snapshot, 2048),
    }
    assert reasons(found) == []
    assert "being merged" in " ".join(reasons(found, lost=False))
