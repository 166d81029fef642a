"""qcow2 and qcow 1 that are built here: what qemu-img does not write, what is damaged, what lies."""

import errno
import shutil
import struct
import subprocess
from pathlib import Path

import msgspec
import pytest
from container_files import BytesMedium, assert_reads, disk_bytes, mutant, open_files

from images.containers import qcow1, qcow2
from volforensic.evidence.containers import qcow2 as reader
from volforensic.evidence.containers.container import NamedFile
from volforensic.evidence.containers.qcow1 import Qcow1Error
from volforensic.evidence.containers.qcow2_header import Qcow2Error, file_name

DISK = disk_bytes(1_500_160, 1)
BELOW = disk_bytes(1_100_288, 2)
VARIANTS = [
    qcow2.Variant(),
    qcow2.Variant(version=2, cluster_bits=9),
    qcow2.Variant(cluster_bits=21),
    qcow2.Variant(compression="zlib", cluster_bits=12),
    qcow2.Variant(compression="zstd"),
    qcow2.Variant(is_extended=True, cluster_bits=14, has_zero_clusters=True),
]


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_is_the_disk_it_was_built_from(variant: qcow2.Variant, tmp_path: Path) -> None:
    image = qcow2.build(DISK, variant).image
    found = open_files({b"d": image}, b"d")
    assert_reads(found.medium, DISK)
    assert found.facts.problems == []
    if shutil.which("qemu-img"):
        assert as_qemu_reads(tmp_path, image) == DISK


def as_qemu_reads(folder: Path, image: bytes) -> bytes:
    path, raw = folder / "image", folder / "raw"
    path.write_bytes(image)
    subprocess.run(["qemu-img", "convert", "-O", "raw", path, raw], check=True)
    return raw.read_bytes()


@pytest.mark.parametrize("is_zeroed", [False, True])
def test_what_is_absent_is_the_smaller_backing_files_and_zeros_behind_it(is_zeroed: bool) -> None:  # noqa: FBT001
    absent = frozenset(range(3, 20))
    variant = qcow2.Variant(backing_file=b"/vm/base.img", backing_format=b"raw", absent=absent, has_zero_clusters=True)
    disk = bytes(65536) + DISK[65536:] if is_zeroed else DISK
    found = open_files({b"d": qcow2.build(disk, variant).image, b"base.img": BELOW}, b"d")
    end = 20 << 16
    assert_reads(found.medium, disk[: 3 << 16] + BELOW[3 << 16 :].ljust(end - (3 << 16), b"\0") + disk[end:])
    assert found.facts.details["backing format"] == "raw"


def test_a_missing_backing_file_is_a_loss_and_not_zeros() -> None:
    variant = qcow2.Variant(backing_file=b"base.img", absent=frozenset({1}), has_zero_clusters=True)
    found = open_files({b"d": qcow2.build(DISK, variant).image}, b"d")
    assert found.medium.read_at(0, 65536) == DISK[:65536]
    with pytest.raises(OSError, match=r"base\.img is missing") as caught:
        found.medium.read_at(65536, 1)
    assert caught.value.errno == errno.EIO
    assert [(fault.position, fault.length, fault.lost) for fault in found.faults] == [(65536, 65536, True)]


def test_an_external_data_file_without_a_name_is_the_other_file() -> None:
    built = qcow2.build(DISK, qcow2.Variant(data_file=b"d.data"))
    assert_reads(open_files({b"d": built.image, b"d.data": built.data}, b"d").medium, DISK)
    with pytest.raises(Qcow2Error, match=r"external data file that is missing: d\.data"):
        open_files({b"d": built.image}, b"d")


def test_snapshots_are_listed_and_a_table_that_is_cut_is_said() -> None:
    listed = [qcow2.Snapshot(b"1", b"first", 1_700_000_000, 5 << 32), qcow2.Snapshot(b"2", b"\xff\x1b", 0)]
    image = qcow2.build(DISK, qcow2.Variant(snapshots=listed)).image
    details = open_files({b"d": image}, b"d").facts.details
    assert details["snapshot 1"] == (
        "id 1, name 'first', taken 2023-11-14T22:13:20Z, VM state of 21474836480 bytes, disk of 1500160 bytes"
    )
    assert "name '\\\\xff\\x1b'" in details["snapshot 2"]
    lying = patched(image, 60, ">I", 1 << 31)
    problems = open_files({b"d": lying}, b"d").facts.problems
    assert any("2147483648" in problem.reason for problem in problems)


def patched(image: bytes, offset: int, form: str, value: int) -> bytes:
    changed = bytearray(image)
    struct.pack_into(form, changed, offset, value)
    return bytes(changed)


@pytest.mark.parametrize(
    ("offset", "form", "value", "said"),
    [
        (4, ">I", 9, "version 9"),
        (20, ">I", 8, "cluster_bits is 8"),
        (20, ">I", 63, "cluster_bits is 63"),
        (24, ">Q", 1 << 63, "size is 9223372036854775808"),
        (32, ">I", 1, "AES"),
        (32, ">I", 2, "LUKS"),
        (36, ">I", 1 << 31, "l1_size is 2147483648"),
        (40, ">Q", 1 << 62, "l1_table_offset is 4611686018427387904"),
        (40, ">Q", 77, "l1_table_offset is 77"),
        (72, ">Q", 1 << 5, "incompatible feature 5"),
        (72, ">Q", 1 << 63, "incompatible feature 63"),
        (100, ">I", 8, "header_length is 8"),
        (100, ">I", 1 << 31, "header_length is 2147483648"),
    ],
)
def test_a_header_that_cannot_be_is_refused_by_field_and_value(offset: int, form: str, value: int, said: str) -> None:
    with pytest.raises(Qcow2Error, match=said):
        open_files({b"d": patched(qcow2.build(DISK, qcow2.Variant()).image, offset, form, value)}, b"d")


def test_dirty_and_corrupt_are_said_and_read_all_the_same() -> None:
    found = open_files({b"d": qcow2.build(DISK, qcow2.Variant(features=3)).image}, b"d")
    assert [problem.lost for problem in found.facts.problems] == [False, False]
    assert found.bytes() == DISK


@pytest.mark.parametrize("entry", [None, 1 << 40, (2 << 16) + 512])
def test_an_l1_entry_that_lies_loses_its_part_and_no_other(entry: int | None) -> None:
    disk, part = disk_bytes(600_064, 3), 128 << 10
    image = qcow2.build(disk, qcow2.Variant(cluster_bits=10)).image  # 128 KiB an L1 entry
    l1_offset = int.from_bytes(image[40:48])
    found = open_files({b"d": patched(image, l1_offset + 8, ">Q", l1_offset if entry is None else entry)}, b"d")
    assert found.medium.read_at(0, part) == disk[:part]
    for place in (part + 40_000, part, 2 * part - 1):
        with pytest.raises(OSError, match="entry 1 of the L1 table"):
            found.medium.read_at(place, 1)
    assert found.medium.read_at(2 * part, 100_000) == disk[2 * part : 2 * part + 100_000]
    assert all(part <= fault.position < 2 * part for fault in found.faults)


def test_a_cluster_outside_the_file_is_lost_and_told_once() -> None:
    image = qcow2.build(b"x" * 200_192, qcow2.Variant()).image
    cut = image[: -(3 * 65536 + 512)]  # the reference counts, the last cluster, a sector of the one before
    found = open_files({b"d": cut}, b"d")
    assert found.medium.read_at(0, 65536 * 2 + 65024) == b"x" * (65536 * 2 + 65024)
    for place in range(65536 * 3, 200_192, 512):
        with pytest.raises(OSError, match="outside the file"):
            found.medium.read_at(place, 512)
    assert [(fault.position, fault.length) for fault in found.faults] == [(196_608, 3584)]


def test_an_l1_table_that_is_too_short_is_a_problem_and_the_rest_is_lost() -> None:
    image = qcow2.build(DISK, qcow2.Variant(cluster_bits=9)).image
    found = open_files({b"d": patched(image, 36, ">I", 3)}, b"d")
    assert "the L1 table has 3 entries, of 46" in found.facts.problems[0].reason
    assert found.medium.read_at(0, 3 << 15) == DISK[: 3 << 15]
    with pytest.raises(OSError, match="no entry 3"):
        found.medium.read_at(3 << 15, 1)


def test_a_compressed_cluster_that_gives_too_little_is_lost() -> None:
    variant = qcow2.Variant(compression="zlib")
    image = bytearray(qcow2.build(b"a" * 65536 + b"b" * 65536, variant).image)
    l2_offset = int.from_bytes(image[int.from_bytes(image[40:48]) :][:8]) & (1 << 56) - 1
    place = struct.unpack_from(">Q", image, l2_offset)[0] & (1 << 54) - 1
    image[place : place + 20] = b"\3\0" * 10
    found = open_files({b"d": bytes(image)}, b"d")
    with pytest.raises(OSError, match="compressed cluster"):
        found.medium.read_at(100, 10)
    assert found.medium.read_at(65536, 65536) == b"b" * 65536
    assert [(fault.position, fault.length) for fault in found.faults] == [(100, 65436)]


def test_a_disk_of_an_exbibyte_is_read_without_its_tables() -> None:
    image = patched(qcow2.build(b"z" * 512, qcow2.Variant()).image, 24, ">Q", 1 << 60)
    found = open_files({b"d": image}, b"d")
    assert found.medium.size == 1 << 60
    assert found.medium.read_at(0, 1024) == b"z" * 512 + bytes(512)
    with pytest.raises(OSError, match="no entry"):
        found.medium.read_at(1 << 59, 512)


@pytest.mark.parametrize(
    ("stored", "path"),
    [
        (b"base.img", b"base.img"),
        (b"file:/a/base.img", b"/a/base.img"),
        (b'json:{"driver":"qcow2","file":{"driver":"file","filename":"/a/b"}}', b"/a/b"),
        (b'json:{"file.filename": "/a/c"}', b"/a/c"),
        (b"json:" + b"[" * 1000, b"json:" + b"[" * 1000),
    ],
)
def test_names_as_qemu_stores_them(stored: bytes, path: bytes) -> None:
    assert file_name(stored) == path


@pytest.mark.parametrize("variant", [qcow1.Variant(), qcow1.Variant(cluster_bits=9, l2_bits=6, is_compressed=True)])
def test_qcow_1_is_the_disk_it_was_built_from(variant: qcow1.Variant, tmp_path: Path) -> None:
    image = qcow1.build(DISK, variant)
    assert_reads(open_files({b"d": image}, b"d").medium, DISK)
    if shutil.which("qemu-img"):
        assert as_qemu_reads(tmp_path, image) == DISK


def test_qcow_1_over_a_smaller_file() -> None:
    absent = frozenset(range(5, 320))
    image = qcow1.build(DISK, qcow1.Variant(backing_file=b"base", absent=absent))
    expected = DISK[:20480] + BELOW[20480:].ljust((320 << 12) - 20480, b"\0") + DISK[320 << 12 :]
    assert_reads(open_files({b"d": image, b"base": BELOW}, b"d").medium, expected)
    with pytest.raises(OSError, match="base is missing"):
        open_files({b"d": image}, b"d").medium.read_at(20480, 1)


@pytest.mark.parametrize(
    ("offset", "form", "value", "said"),
    [
        (36, ">I", 1, "AES"),
        (32, ">B", 30, "cluster_bits is 30"),
        (24, ">Q", 1 << 62, "size is 4611686018427387904"),
        (40, ">Q", 1 << 62, "l1_table_offset is"),
        (16, ">I", 5000, "backing_file_size is 5000"),
    ],
)
def test_a_header_of_qcow_1_that_cannot_be(offset: int, form: str, value: int, said: str) -> None:
    image = qcow1.build(DISK, qcow1.Variant(backing_file=b"base"))
    with pytest.raises((Qcow1Error, Qcow2Error), match=said):
        open_files({b"d": patched(image, offset, form, value)}, b"d")


@pytest.mark.parametrize("number", range(len(VARIANTS) + 1))
def test_mutants_end_in_bytes_or_in_errors_that_say_so(number: int) -> None:
    disk = disk_bytes(300_032, 7)
    is_new = number < len(VARIANTS)
    variant = (
        msgspec.structs.replace(VARIANTS[number], cluster_bits=min(14, VARIANTS[number].cluster_bits))
        if is_new
        else None
    )
    image = qcow2.build(disk, variant).image if variant else qcow1.build(disk, qcow1.Variant(is_compressed=True))
    for seed in range(40):
        try:
            found = open_files({b"d": mutant(image, seed)}, b"d")
        except (OSError, ValueError, StopIteration):
            continue
        for start in range(0, min(found.medium.size, 1 << 20), 65536):
            try:
                found.medium.read_at(start, 65536)
            except OSError as error:
                assert error.errno == errno.EIO  # noqa: PT017
        assert len(found.faults) < 2000


def test_a_newer_version_is_recognised_and_refused_by_name() -> None:
    image = NamedFile(b"d", BytesMedium(b"QFI\xfb" + struct.pack(">I", 4).ljust(600, b"\0")))
    assert reader.recognises(image)
    with pytest.raises(Qcow2Error, match="version 4"):
        reader.look([image])


@pytest.mark.parametrize("compression", ["", "zlib"])
def test_a_cut_image_says_what_is_lost_before_anything_is_read(compression: str) -> None:
    disk = disk_bytes(1_500_160, 21).replace(b"\0", b"\1")
    for image in (
        qcow2.build(disk, qcow2.Variant(cluster_bits=12, compression=compression)).image,
        qcow1.build(disk, qcow1.Variant(is_compressed=bool(compression))),
    ):
        found = open_files({b"d": image[: len(image) // 2]}, b"d")
        lost = [problem for problem in found.facts.problems if problem.lost]
        assert sum(problem.length or 0 for problem in lost) > 400_000
        for start in range(0, len(disk), 4096):
            is_told = any((one.offset or 0) - 4096 < start < (one.offset or 0) + (one.length or 0) for one in lost)
            try:
                assert found.medium.read_at(start, 4096) == disk[start : start + 4096]
            except OSError:
                # a compressed cluster that the file's end cuts in two only shows when it is read
                assert is_told or compression


def test_more_ranges_than_are_told_one_by_one_are_told_as_one() -> None:
    disk = disk_bytes(300_032, 22).replace(b"\0", b"\1")
    image = bytearray(qcow2.build(disk, qcow2.Variant(cluster_bits=9)).image)
    l2_offset = int.from_bytes(image[int.from_bytes(image[40:48]) :][:8]) & (1 << 56) - 1
    for number in range(0, 580, 2):
        struct.pack_into(">Q", image, l2_offset + 8 * number, 1 << 50)
    problems = open_files({b"d": bytes(image)}, b"d").facts.problems
    assert len(problems) == 65
    assert problems[0].length == 512
    assert "more ranges" in problems[-1].reason
    assert (problems[-1].offset or 0) + (problems[-1].length or 0) == 578 * 512 + 512
