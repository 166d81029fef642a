"""VMDK that is built here: odd grains, streams with footers, ESX extents, chains, damage, text that lies."""

import errno
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from container_files import Opened, assert_reads, disk_bytes, mutant, open_files, open_path

from images.containers import vmdk
from volforensic.evidence.containers.container import parent_mismatch
from volforensic.evidence.containers.vmdk_descriptor import VmdkError, parse_descriptor

DISK = disk_bytes(1_500_672, 1)  # no multiple of a grain of 64 KiB
BELOW = disk_bytes(1_500_672, 2)
SECTORS = len(DISK) // 512
ONE = vmdk.descriptor([f'RW {SECTORS} SPARSE "old-name.vmdk"'], "monolithicSparse")
HOW = [
    vmdk.Sparse(descriptor=ONE),
    vmdk.Sparse(descriptor=ONE, grain=7, has_redundant=False),
    vmdk.Sparse(descriptor=ONE, grain=1, table_entries=100, has_zeroed=True),
    vmdk.Sparse(descriptor=ONE, grain=100_000),
]


def opened(**files: bytes) -> Opened:
    """Open the file ``d``; an underscore in a name is a dot."""
    return open_files({name.replace("_", ".").encode(): data for name, data in files.items()}, b"d")


@pytest.mark.parametrize("how", HOW)
def test_sparse_extents(how: vmdk.Sparse, tmp_path: Path) -> None:
    image = vmdk.sparse(DISK, how)
    found = opened(d=image)
    assert_reads(found.medium, DISK)
    assert found.facts.problems == []
    if shutil.which("qemu-img"):
        assert as_qemu_reads(tmp_path, image) == DISK


@pytest.mark.parametrize("how", HOW[:3])
def test_streams_with_a_footer(how: vmdk.Sparse, tmp_path: Path) -> None:
    image = vmdk.stream(DISK, how)
    for tail in (b"", bytes(3000)):
        found = opened(d=image + tail)
        assert_reads(found.medium, DISK)
        assert found.facts.problems == []
        assert found.faults == []
    if shutil.which("qemu-img") and how.grain > 1:  # qemu wants a compressed grain to be no larger than two
        assert as_qemu_reads(tmp_path, image) == DISK


def as_qemu_reads(folder: Path, image: bytes) -> bytes:
    path, raw = folder / "image.vmdk", folder / "raw"
    path.write_bytes(image)
    subprocess.run(["qemu-img", "convert", "-f", "vmdk", "-O", "raw", path, raw], check=True)
    return raw.read_bytes()


def test_a_stream_that_is_cut_is_read_by_its_markers_as_far_as_it_goes() -> None:
    disk = b"".join(number.to_bytes(2, "little") * 2048 for number in range(300)) + bytes(4096 * 10)
    image = vmdk.stream(disk, vmdk.Sparse(grain=8, table_entries=64, descriptor=b"", absent=frozenset({5})))
    expected = disk[: 5 * 4096] + bytes(4096) + disk[6 * 4096 :]
    found = opened(d=image[: len(image) // 2])
    assert [problem.lost for problem in found.facts.problems] == [False, True, True]
    assert "it is cut" in found.facts.problems[1].reason
    assert (found.facts.problems[2].offset or 0) + (found.facts.problems[2].length or 0) == len(disk)
    good = 0
    while good < len(disk):
        try:
            assert found.medium.read_at(good, 4096) == expected[good : good + 4096]
        except OSError as error:
            assert "the stream is cut" in str(error)  # noqa: PT017
            break
        good += 4096
    assert 80 * 4096 < good < 200 * 4096
    with pytest.raises(OSError, match="the stream is cut"):
        found.medium.read_at(len(disk) - 1, 1)
    assert found.faults[0].position == good


def test_a_grain_whose_marker_or_checksum_is_wrong_comes_and_is_told() -> None:
    disk = bytes([1]) * 65536 + bytes([2]) * 65536 + bytes([3]) * 65536
    image = bytearray(vmdk.stream(disk, vmdk.Sparse()))
    first, second = (image.index(struct.pack("<Q", number * 128), 65536) for number in (0, 1))
    image[first + 12 + struct.unpack_from("<I", image, first + 8)[0] - 1] ^= 0xFF
    image[second : second + 8] = struct.pack("<Q", 4711)
    found = opened(d=bytes(image))
    assert found.medium.read_at(0, 131_072) == disk[:131_072]
    told = [(fault.position, fault.length, fault.lost) for fault in found.faults]
    assert told == [(0, 65536, False), (65536, 65536, False)]
    assert "checksum" in found.faults[0].reason
    assert "marker says sector 4711" in found.faults[1].reason


@pytest.mark.parametrize("build", [vmdk.cowd, vmdk.sesparse])
@pytest.mark.parametrize("has_descriptor", [True, False])
def test_extents_of_esx(build: object, has_descriptor: bool, tmp_path: Path) -> None:  # noqa: FBT001
    image = build(DISK)  # type: ignore[operator]
    kind, create = ("SESPARSE", "seSparse") if build is vmdk.sesparse else ("VMFSSPARSE", "vmfsSparse")
    text = vmdk.descriptor([f'RW {SECTORS} {kind} "d-delta.vmdk"'], create)
    files = {b"d": text, b"d-delta.vmdk": image} if has_descriptor else {b"d": image}
    found = open_files(files, b"d")
    assert_reads(found.medium, DISK)
    assert [problem.lost for problem in found.facts.problems] == ([] if has_descriptor else [True])
    if shutil.which("qemu-img"):
        for name, data in {"d.vmdk": text, "d-delta.vmdk": image}.items():
            (tmp_path / name).write_bytes(data)
        subprocess.run(["qemu-img", "convert", "-O", "raw", tmp_path / "d.vmdk", tmp_path / "raw"], check=True)
        assert (tmp_path / "raw").read_bytes() == DISK


def test_a_sesparse_whose_journal_waits_is_said() -> None:
    problems = opened(d=vmdk.sesparse(DISK, has_journal=True)).facts.problems
    assert any("journal waits" in problem.reason and problem.lost for problem in problems)


@pytest.mark.parametrize(
    ("kind", "build"),
    [
        ("SPARSE", lambda disk, absent: vmdk.sparse(disk, vmdk.Sparse(grain=16, absent=absent, has_zeroed=True))),
        ("VMFSSPARSE", lambda disk, absent: vmdk.cowd(disk, 16, absent)),
        ("SESPARSE", vmdk.sesparse),
    ],
)
def test_what_is_absent_is_the_parents_at_the_place_of_the_extent(kind: str, build: object) -> None:
    size, half = (4096 if kind == "SESPARSE" else 8192), 655_360
    disk = bytes(value or 1 for value in DISK)  # COWD has no grains of zeros
    absent = frozenset(range(10, 40))
    first, second = build(disk[:half], absent), build(disk[half:], absent)  # type: ignore[operator]
    lines = [f'RW {half // 512} {kind} "1.vmdk"', f'RW {(len(DISK) - half) // 512} {kind} "2.vmdk"']
    text = vmdk.descriptor(lines, "custom", ("0abc", "C:\\VMs\\base disk.vmdk"))
    files = {b"d": text, b"1.vmdk": first, b"2.vmdk": second, b"base disk.vmdk": BELOW[:1_000_448]}
    expected = bytearray(disk)
    for base in (0, half):
        place = slice(base + 10 * size, base + 40 * size)
        expected[place] = BELOW[:1_000_448].ljust(len(DISK), b"\0")[place]
    found = open_files(files, b"d")
    assert_reads(found.medium, bytes(expected))
    missing = open_files({name: data for name, data in files.items() if name != b"base disk.vmdk"}, b"d")
    assert missing.medium.read_at(0, 512) == disk[:512]
    with pytest.raises(OSError, match=r"parent .* is missing") as caught:
        missing.medium.read_at(half + 10 * size, 1)
    assert caught.value.errno == errno.EIO


def test_an_extent_that_is_named_finds_its_descriptor_beside_it() -> None:
    half = 655_360
    lines = [f'RW {half // 512} SPARSE "disk-s001.vmdk"', f'RW {(len(DISK) - half) // 512} SPARSE "disk-s002.vmdk"']
    files = {b"disk.vmdk": vmdk.descriptor(lines, "twoGbMaxExtentSparse")}
    files[b"disk-s001.vmdk"] = vmdk.sparse(DISK[:half], vmdk.Sparse())
    files[b"disk-s002.vmdk"] = vmdk.sparse(DISK[half:], vmdk.Sparse())
    for name in files:
        found = open_files(files, name)
        assert found.facts.problems == []
        assert_reads(found.medium, DISK)
    del files[b"disk.vmdk"]
    alone = open_files(files, b"disk-s002.vmdk")
    assert [problem.lost for problem in alone.facts.problems] == [True]
    assert alone.bytes() == DISK[half:]


def test_content_ids_of_a_chain() -> None:
    child = vmdk.descriptor([f'RW {SECTORS} FLAT "f" 0'], "monolithicFlat", ("0abc", "base.vmdk"))
    parent = vmdk.descriptor([f'RW {SECTORS} FLAT "f" 0'], "monolithicFlat")
    files = {b"d": child, b"base.vmdk": parent, b"f": DISK}
    facts, below = open_files(files, b"d").facts, open_files(files, b"base.vmdk").facts
    assert "is 12345678 and not 0abc" in parent_mismatch(facts, below)
    same = open_files(files | {b"d": child.replace(b"0abc", b"12345678")}, b"d").facts
    assert parent_mismatch(same, below) == ""


def test_a_disk_of_every_kind_of_extent_in_a_row() -> None:
    lines = [
        'RW 100 FLAT "one.bin" 3',
        "RW 50 ZERO",
        'RDONLY 200 SPARSE "two.bin"',
        'rw 30 vmfs "one.bin"',
        'RW 0 FLAT "nothing" 0',
        'RW 40 FLAT "one.bin" 90 partitionUUID 0',
    ]
    one, two = disk_bytes(512 * 130, 5), disk_bytes(512 * 200, 6)
    text = vmdk.descriptor(lines, "custom").replace(b"\n", b"\r\n")
    found = opened(d=text, one_bin=one, two_bin=vmdk.sparse(two, vmdk.Sparse(grain=3)))
    expected = one[512 * 3 : 512 * 103] + bytes(512 * 50) + two + one[: 512 * 30] + one[512 * 90 : 512 * 130]
    assert_reads(found.medium, expected)
    assert found.facts.problems == []


def test_an_extent_that_is_short_loses_its_end_and_nothing_else() -> None:
    text = vmdk.descriptor(['RW 100 FLAT "a" 0', 'RW 100 FLAT "b" 0', 'RW 9 FLAT "c" 0'], "custom")
    one = disk_bytes(51_200, 3)
    found = opened(d=text, a=one[:20_000], b=one)
    reasons = [problem.reason for problem in found.facts.problems if problem.lost]
    assert "the last 31200 are lost" in reasons[0]
    assert "its file is missing" in reasons[1]
    assert found.medium.size == 209 * 512
    assert found.medium.read_at(0, 20_000) == one[:20_000]
    assert found.medium.read_at(51_200, 51_200) == one
    for place in (19_999, 51_199, 102_400):
        with pytest.raises(OSError, match=r"ends|missing"):
            found.medium.read_at(place, 10)
    assert (20_000, 31_200) in [(fault.position, fault.length) for fault in found.faults]


def test_an_extent_without_descriptor_and_a_descriptor_without_its_only_extent() -> None:
    found = opened(d=vmdk.sparse(DISK, vmdk.Sparse()))
    assert found.bytes() == DISK
    assert "may be one of several" in found.facts.problems[0].reason
    with pytest.raises(VmdkError, match="missing"):
        opened(d=vmdk.descriptor(['RW 9 FLAT "gone.vmdk" 0'], "monolithicFlat"))


@pytest.mark.parametrize("which", ["table", "redundant table", "directory", "place", "entry"])
def test_a_damaged_directory_or_table_is_read_from_its_redundant_copy(which: str) -> None:
    disk = bytes(value or 1 for value in DISK)
    image = bytearray(vmdk.sparse(disk, vmdk.Sparse(grain=8, descriptor=ONE)))
    redundant, directory = (512 * place for place in struct.unpack_from("<QQ", image, 48))
    tables = [512 * struct.unpack_from("<I", image, place)[0] for place in (redundant, directory)]
    place = {"table": tables[1], "redundant table": tables[0], "directory": directory, "place": 56, "entry": directory}[
        which
    ]
    image[place : place + 8] = bytes(8) if "table" in which else b"\xfe" * 8
    if which == "entry":  # it points to data of the disk, which is no table
        image[place : place + 8] = struct.pack("<II", *struct.unpack_from("<II", image, tables[1]))
    found = opened(d=bytes(image))
    assert found.bytes() == disk
    assert [fault.lost for fault in found.faults] == ([] if which == "place" else [False])
    assert [problem.lost for problem in found.facts.problems] == [False]


@pytest.mark.parametrize(
    ("offset", "form", "value", "said"),
    [
        (4, "<I", 9, "version 9"),
        (12, "<Q", 1 << 60, "capacity is 1152921504606846976"),
        (20, "<Q", 0, "grainSize is 0"),
        (20, "<Q", 1 << 40, "grainSize is 1099511627776"),
        (44, "<I", 0, "numGTEsPerGT is 0"),
        (44, "<I", 1 << 31, "numGTEsPerGT is 2147483648"),
        (56, "<Q", 1 << 40, "gdOffset is 1099511627776"),
        (77, "<H", 7, "compressAlgorithm 7"),
    ],
)
def test_a_header_that_cannot_be_is_refused_by_field_and_value(offset: int, form: str, value: int, said: str) -> None:
    image = bytearray(vmdk.sparse(DISK, vmdk.Sparse(has_redundant=False)))
    struct.pack_into(form, image, offset, value)
    with pytest.raises(VmdkError, match=said):
        opened(d=bytes(image))


def test_a_disk_that_is_larger_than_its_extent_says_so() -> None:
    text = ONE.replace(str(SECTORS).encode(), str(SECTORS + 8).encode())
    found = opened(d=vmdk.sparse(DISK, vmdk.Sparse(descriptor=text)))
    assert "the descriptor wants" in found.facts.problems[0].reason
    assert found.medium.read_at(0, len(DISK)) == DISK
    with pytest.raises(OSError, match="is for 1500672 bytes only"):
        found.medium.read_at(len(DISK), 1)


def test_a_transfer_as_text_and_an_unclean_close_are_said() -> None:
    image = bytearray(vmdk.sparse(DISK, vmdk.Sparse(descriptor=ONE, is_unclean=True)))
    image[73:77] = b"\n \n\n"
    assert [problem.lost for problem in opened(d=bytes(image)).facts.problems] == [True, False]


def test_a_descriptor_that_names_itself_or_what_is_no_extent() -> None:
    text = vmdk.descriptor(['RW 1 FLAT "d" 0', 'RW 4 SPARSE "d"', 'RW 2 VMFSRDM "x-rdm.vmdk"'], "custom")
    found = open_files({b"d": text, b"x-rdm.vmdk": b"#"}, b"d")
    assert all(problem.lost for problem in found.facts.problems)
    with pytest.raises(OSError, match="another device"):
        found.medium.read_at(5 * 512, 512)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b'RW 99999999999999999 FLAT "x" 0\n', "99999999999999999 sectors"),
        (b'RW many FLAT "x"\n', "not understood"),
        (b"RW 1 ZERO\n" * 5000, "more than 4096 extents"),
        (b"".join(b"a%d=1\n" % number for number in range(2000)), "more than 1000 fields"),
        (b'encryption.keySafe = "vmware:key"\nRW 1 ZERO\n', "encrypted"),
        (b"version=1\n", "names no extent"),
    ],
)
def test_text_that_lies_is_refused(text: bytes, said: str) -> None:
    with pytest.raises(VmdkError, match=said):
        opened(d=b"# Disk DescriptorFile\n" + text)


def test_a_damaged_descriptor_inside_an_extent_is_said_and_the_extent_is_read() -> None:
    for text in (b"\xff" * 300, b"# Disk DescriptorFile\nCID=1\n", ONE.replace(b"RW ", b"RW x")):
        found = opened(d=vmdk.sparse(DISK, vmdk.Sparse(descriptor=text)))
        assert found.bytes() == DISK
        assert [("descriptor inside" in problem.reason, problem.lost) for problem in found.facts.problems] == [
            (True, True)
        ]


def test_lines_that_are_not_understood_and_sizes_that_do_not_fit_are_said() -> None:
    text = vmdk.descriptor(['RW 10 FLAT "a" 0', 'WR 10 FLAT "a" 0', 'RW 1 SPARSE "b"'], "custom")
    found = opened(d=text, a=bytes(5632), b=vmdk.sparse(DISK, vmdk.Sparse()))
    told = [(problem.reason.removeprefix("vmdk: ")[:40], problem.lost) for problem in found.facts.problems]
    assert told == [
        ("a line of the descriptor is not understo", True),
        ("extent a: its file has 512 bytes more th", False),
        ("extent b: its header is for 2931 sectors", True),
    ]


def test_duplicate_keys_quotes_and_encodings() -> None:
    lines = [b'encoding="windows-1252"', b"CID=1", b"cid=2", b'RW 5 FLAT "caf\xe9 "q".vmdk" 2', b"parentCID=ffffffff"]
    text = b"# Disk DescriptorFile\n" + b"\n".join(lines)
    found = parse_descriptor(text + b'\nparentFileNameHint="x"\n\0RW 7 ZERO\n')
    assert found.field("CID") == "1"
    assert found.oddities == [("the descriptor has two values of cid: the first counts", False)]
    assert [(extent.name.decode(), extent.offset) for extent in found.extents] == [('caf\u00e9 "q".vmdk', 2)]
    assert found.parent == b""


@pytest.mark.parametrize("number", range(6))
def test_mutants_end_in_bytes_or_in_errors_that_say_so(number: int) -> None:
    disk = disk_bytes(300_032, 7)
    text = vmdk.descriptor([f'RW {len(disk) // 512} SPARSE "d"'], "monolithicSparse")
    how = vmdk.Sparse(grain=8, table_entries=16, descriptor=text)
    image = [vmdk.sparse(disk, how), vmdk.stream(disk, how), vmdk.stream(disk, how)[:200_000], vmdk.cowd(disk),
             vmdk.sesparse(disk), vmdk.sparse(disk, vmdk.Sparse(has_zeroed=True, grain=3))][number]  # fmt: skip
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


def test_a_file_that_was_renamed_and_one_that_lies_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "DISK-FLAT.VMDK").write_bytes(DISK)
    (tmp_path / "d.vmdk").write_bytes(vmdk.descriptor([f'RW {SECTORS} VMFS "/vmfs/volumes/x/DISK-FLAT.VMDK"'], "vmfs"))
    assert_reads(open_path(tmp_path / "d.vmdk").medium, DISK)


@pytest.mark.parametrize("build", [vmdk.cowd, vmdk.sesparse, lambda disk: vmdk.sparse(disk, vmdk.Sparse(grain=8))])
def test_a_cut_extent_says_what_is_lost_before_anything_is_read(build: object) -> None:
    image = build(DISK.replace(b"\0", b"\1"))  # type: ignore[operator]
    text = vmdk.descriptor(['RW 16 FLAT "a" 0', f'RW {SECTORS} SPARSE "b"'], "custom")
    found = open_files({b"d": text, b"a": bytes(8192), b"b": image[: len(image) // 2]}, b"d")
    lost = [(problem.offset, problem.length) for problem in found.facts.problems if problem.lost]
    assert len(lost) == 1
    offset, length = lost[0]
    assert offset is not None
    assert offset + (length or 0) == 8192 + len(DISK)
    assert found.medium.read_at(8192, offset - 8192) == DISK.replace(b"\0", b"\1")[: offset - 8192]
    with pytest.raises(OSError, match=r"outside the file|grain table"):
        found.medium.read_at(offset, 512)


def test_what_is_odd_of_a_range_does_not_hide_what_is_lost_of_it() -> None:
    disk = DISK.replace(b"\0", b"\1")
    image = bytearray(vmdk.sparse(disk, vmdk.Sparse(grain=8, descriptor=ONE)))
    for place in (512 * sector for sector in struct.unpack_from("<QQ", image, 48)):
        table = 512 * struct.unpack_from("<I", image, place)[0]
        struct.pack_into("<I", image, table + 40, 0xFFFFFFF0 + (place & 1))
    struct.pack_into("<I", image, table + 44, 0xFFFFFFF0)
    found = opened(d=bytes(image))
    with pytest.raises(OSError, match="outside the file"):
        found.medium.read_at(40_960, 512)
    assert [(fault.position, fault.lost) for fault in found.faults] == [(0, False), (40_960, True)]
    assert found.medium.read_at(45_056, 4096) == disk[45_056:49_152]
