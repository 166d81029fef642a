"""E01 images: every byte, any way it is split and compressed, and what is said of what is damaged or missing."""

import errno
import hashlib
import shutil
import subprocess
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from container_samples import SECTOR, BytesMedium, Opened, assert_reads, disk, mutant, open_files, try_mutant, whole
from dissect.evidence.ewf import EWF

from images.containers.ewf import Form, build, section
from volforensic.evidence.containers import ewf
from volforensic.evidence.containers.container import ContainerError, NamedFile
from volforensic.evidence.containers.ewf_chunks import decoded
from volforensic.evidence.containers.ewf_disk import EwfDisk, Piece
from volforensic.evidence.containers.ewf_names import segment_name
from volforensic.evidence.containers.ewf_sections import Section, Volume
from volforensic.evidence.containers.ewf_tables import Table

CHUNK = 64 * SECTOR
DISK = disk(3 * 1024 * 1024 + 5 * SECTOR)
SPLIT = Form(segment_chunks=20, table_chunks=7)
FORMS = {
    "compressed": Form(),
    "as it is": Form(level=None),
    "split": SPLIT,
    "based": Form(based=True, table_chunks=11),
    "large chunks": Form(chunk_sectors=4096),
    "small chunks": Form(chunk_sectors=1),
    "first version": Form(is_old=True, segment_chunks=30, table_chunks=8),
}


def opened(files: list[bytes], numbers: list[int] | None = None) -> Opened:
    names = [(f"disk.E{number:02}", files[number - 1]) for number in numbers or range(1, len(files) + 1)]
    return open_files("ewf", names)


@pytest.mark.parametrize("name", FORMS)
def test_every_form_gives_the_disk(name: str) -> None:
    image = opened(build(DISK, FORMS[name]))
    assert image.facts.problems == []
    assert image.facts.size == len(DISK)
    assert image.facts.hashes["md5"] == hashlib.md5(DISK, usedforsecurity=False).hexdigest()
    assert_reads(image.disk, DISK)
    assert image.faults == []


@pytest.mark.parametrize("name", ["compressed", "as it is", "split", "based", "large chunks"])
def test_dissect_reads_the_same(name: str, tmp_path: Path) -> None:
    paths = [tmp_path / f"disk.E{number:02}" for number in range(1, 50)]
    for path, data in zip(paths, build(DISK, FORMS[name]), strict=False):
        path.write_bytes(data)
    library: Any = EWF([path.open("rb") for path in paths if path.exists()])
    assert library.open().read(len(DISK) + 10) == DISK


@pytest.mark.skipif(shutil.which("ewfacquire") is None, reason="ewfacquire is not installed")
@pytest.mark.parametrize(
    ("form", "compression", "ending"),
    [
        *[("encase6", "none", "E01"), ("encase6", "best", "E01"), ("encase6", "empty-block", "E01")],
        *[("encase1", "fast", "E01"), ("encase5", "fast", "E01"), ("encase7", "fast", "E01"), ("ftk", "fast", "E01")],
        *[("linen7", "fast", "E01"), ("ewfx", "fast", "e01"), ("ewf", "fast", "e01"), ("smart", "fast", "s01")],
    ],
)
def test_what_ewfacquire_writes_is_read(form: str, compression: str, ending: str, tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(DISK)
    command = ["ewfacquire", "-u", "-q", "-f", form, "-c", compression, "-S", "1MiB", "-d", "sha1", "-C", "case 7"]
    subprocess.run(
        [*command, "-t", tmp_path / "disk", "-l", tmp_path / "log", tmp_path / "raw"], check=True, capture_output=True
    )
    paths = sorted(path for path in tmp_path.iterdir() if path.suffix[1:2] in {"E", "e", "s"})
    assert paths[0].suffix[1:] == ending
    image = open_files("ewf", [(path.name, path.read_bytes()) for path in paths])
    assert image.facts.problems == []
    assert image.facts.hashes["md5"] == hashlib.md5(DISK, usedforsecurity=False).hexdigest()
    assert whole(image.disk) == DISK
    assert image.facts.details.get("case number") == "case 7"


@pytest.mark.skipif(shutil.which("ewfverify") is None, reason="ewfverify is not installed")
def test_what_is_built_here_is_what_libewf_reads(tmp_path: Path) -> None:
    for number, data in enumerate(build(DISK, SPLIT), 1):
        (tmp_path / f"disk.E{number:02}").write_bytes(data)
    result = subprocess.run(["ewfverify", "-q", tmp_path / "disk.E01"], check=True, capture_output=True, text=True)
    assert "SUCCESS" in result.stdout


def test_segments_are_called_as_the_format_calls_them() -> None:
    names = {2: b"a.E02", 99: b"a.E99", 100: b"a.EAA", 125: b"a.EAZ", 126: b"a.EBA", 775: b"a.EZZ", 776: b"a.FAA"}
    assert {number: segment_name(b"a.E01", number) for number in names} == names
    assert segment_name(b"a.e01", 100) == b"a.eaa"
    assert segment_name(b"x.s01", 100) == b"x.saa"
    assert segment_name(b"a.E01", 99 + 22 * 676) == b"a.ZZZ"
    assert segment_name(b"a.E01", 100 + 22 * 676) is None
    assert segment_name(b"disk.bin", 2) is None


def test_segments_are_asked_for_until_the_last_is_found() -> None:
    files = [NamedFile(b"disk.E%02d" % number, BytesMedium(data)) for number, data in enumerate(build(DISK, SPLIT), 1)]
    first = ewf.look(files[:1]).references
    assert [reference.name for reference in first[:2]] == [b"disk.E02", b"disk.E03"]
    assert len(first) == 98
    assert all(reference.is_optional and reference.role == "segment" for reference in first)
    assert [reference.name for reference in ewf.look(files).references] == [file.name for file in files[1:]]
    assert ewf.look([NamedFile(b"a.E01", BytesMedium(build(DISK)[0]))]).references == []


def test_a_missing_segment_costs_its_own_chunks_only() -> None:
    files = build(DISK, SPLIT)
    image = opened(files, [1, 2, 4, 5])
    assert image.losses == [(40 * CHUNK, 20 * CHUNK)]
    assert "segment 3 (disk.E03) is missing" in image.reasons
    assert image.disk.read_at(0, 40 * CHUNK) == DISK[: 40 * CHUNK]
    assert image.disk.read_at(60 * CHUNK, 1 << 30) == DISK[60 * CHUNK :]
    with pytest.raises(OSError, match="segment 3") as error:
        image.disk.read_at(40 * CHUNK - 1, 2)
    assert error.value.errno == errno.EIO
    with pytest.raises(OSError, match="segment 3"):
        image.disk.read_at(50 * CHUNK, 1)
    assert [(fault.position, fault.length, fault.lost) for fault in image.faults] == [(40 * CHUNK, 20 * CHUNK, True)]


def test_the_last_segments_missing_are_named_with_their_bytes() -> None:
    image = opened(build(DISK, SPLIT), [1, 2])
    assert image.losses == [(40 * CHUNK, len(DISK) - 40 * CHUNK)]
    assert "segment 3 (disk.E03) is missing, and all after it" in image.reasons


def test_a_segment_of_another_image_is_left_out_and_named() -> None:
    files, others = build(DISK, SPLIT), build(DISK, SPLIT._replace(set_id=bytes(range(60, 76))))
    image = open_files("ewf", [("disk.E01", files[0]), ("disk.E02", others[1]), *list_of(files, 3)])
    assert "disk.E02 belongs to another image" in image.reasons
    assert image.losses == [(20 * CHUNK, 20 * CHUNK)]


def test_segments_out_of_order_are_read_by_their_own_numbers() -> None:
    files = build(DISK, SPLIT)
    image = open_files(
        "ewf", [("disk.E01", files[0]), ("disk.E02", files[2]), ("disk.E03", files[1]), *list_of(files, 4)]
    )
    assert "disk.E02 says that it is segment 3" in image.reasons
    assert image.losses == []
    assert whole(image.disk) == DISK


def list_of(files: list[bytes], start: int) -> list[tuple[str, bytes]]:
    return [(f"disk.E{number:02}", files[number - 1]) for number in range(start, len(files) + 1)]


def test_a_chunk_with_a_wrong_checksum_is_given_and_noted() -> None:
    file = bytearray(build(DISK, Form(level=None))[0])
    place = file.index(DISK[2 * CHUNK : 2 * CHUNK + 5000]) + 7
    file[place] ^= 1
    image = opened([bytes(file)])
    expected = bytearray(DISK)
    expected[2 * CHUNK + 7] ^= 1
    assert whole(image.disk) == expected
    assert [(fault.position, fault.length, fault.lost) for fault in image.faults] == [(2 * CHUNK, CHUNK, False)]


def test_a_compressed_chunk_whose_checksum_alone_is_wrong_is_given_and_noted() -> None:
    chunk = b"some text " * 100
    raw = bytearray(zlib.compress(chunk))
    raw[-1] ^= 0xFF
    data, reason = decoded(bytes(raw), len(chunk), len(chunk), is_compressed=True)
    assert data == chunk
    assert "checksum" in reason
    assert decoded(bytes(raw[:-4]), len(chunk), len(chunk), is_compressed=True)[1]


def test_a_chunk_that_does_not_decompress_is_lost_and_no_other() -> None:
    file = bytearray(build(b"line of text\n" * 20_000 + bytes(380))[0])
    place = file.index(b"sectors") + 76
    file[place + 10 : place + 20] = bytes(10)
    image = opened([bytes(file)])
    with pytest.raises(OSError, match="decompress"):
        image.disk.read_at(0, 10)
    assert [(fault.position, fault.lost) for fault in image.faults] == [(0, True)]
    assert image.disk.read_at(CHUNK, 100) == (b"line of text\n" * 20_000)[CHUNK : CHUNK + 100]


def test_a_chunk_that_grows_without_end_stops_at_its_size() -> None:
    data, reason = decoded(zlib.compress(bytes(50_000_000)), CHUNK, CHUNK, is_compressed=True)
    assert data == bytes(CHUNK)
    assert "more bytes" in reason


def test_a_damaged_table_is_replaced_by_its_copy() -> None:
    file = bytearray(build(DISK)[0])
    table = file.index(b"table\0")
    file[table + 76 + 24 + 9] ^= 0xFF
    image = opened([bytes(file)])
    assert "its copy is used" in image.reasons
    assert image.losses == []
    assert whole(image.disk) == DISK
    file[file.index(b"table2\0") + 76 + 24 + 40] ^= 0x01
    assert "used as it stands" in opened([bytes(file)]).reasons


def test_a_damaged_head_of_a_table_is_replaced_by_that_of_its_copy() -> None:
    file = bytearray(build(DISK)[0])
    table = file.index(b"table\0")
    file[table + 76] ^= 0xFF
    image = opened([bytes(file)])
    assert whole(image.disk) == DISK


def test_read_errors_of_the_acquisition_are_problems() -> None:
    image = opened(build(DISK, Form(errors=[(3, 2), (100, 64)])))
    assert image.losses == [(3 * SECTOR, 2 * SECTOR), (100 * SECTOR, 64 * SECTOR)]


def test_a_stored_hash_whose_section_is_damaged_is_not_compared() -> None:
    file = bytearray(build(DISK)[0])
    file[file.index(b"digest") + 76] ^= 1
    image = opened([bytes(file)])
    assert "is not compared" in image.reasons
    assert image.facts.hashes == {"md5": hashlib.md5(DISK, usedforsecurity=False).hexdigest()}


def test_header_text_is_bounded_and_given() -> None:
    header = "1\nmain\nc\te\tt\tm\nΩ\tb\t" + "n" * 3_000_000 + "\t1142163845\n"
    details = opened(build(DISK, Form(header=header))).facts.details
    assert details["case number"] == "Ω"
    assert len(details["notes"]) < 3000
    details = opened(build(DISK, Form(header=header.replace("n" * 3_000_000, "n")))).facts.details
    assert details["acquisition date"] == "2006-03-12T11:44:05.000000Z"


@pytest.mark.parametrize("signature", [b"LVF\t\r\n\xff\0", b"EVF2\r\n\x81\0", b"LEF2\r\n\x81\0"])
def test_relatives_are_not_taken_for_it(signature: bytes) -> None:
    assert not ewf.recognises(NamedFile(b"disk.E01", BytesMedium(signature + bytes(1000))))


class BadMedium(NamedTuple):
    """A file on a disk with a sector that cannot be read."""

    data: bytes
    bad: int

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return len(self.data)

    def read_at(self, position: int, size: int) -> bytes:
        """See ``Medium``."""
        if position < self.bad + SECTOR and self.bad < position + size:
            raise OSError(errno.EIO, "bad sector")
        return self.data[position : position + size]


@pytest.mark.parametrize(("kind", "place"), [(b"sectors\0", 70_000), (b"table\0", -300), (b"table2\0", 90)])
def test_a_bad_sector_of_the_file_costs_its_chunk_and_no_table(kind: bytes, place: int) -> None:
    file = build(DISK, Form(level=None))[0]
    files = [NamedFile(b"disk.E01", BadMedium(file, file.index(kind) + place))]
    image = ewf.open_container(files, None, lambda _: None)
    assert ewf.look(files).size == len(DISK)
    lost = 0
    for position in range(0, len(DISK), CHUNK):
        try:
            assert image.read_at(position, CHUNK) == DISK[position : position + CHUNK]
        except OSError:
            lost += 1
    assert lost <= 1


def test_a_later_segment_is_not_taken_for_the_first() -> None:
    with pytest.raises(ContainerError, match="segment 2"):
        opened([build(DISK, SPLIT)[1]])


@pytest.mark.parametrize("form", [Form(), Form(level=None), Form(table_chunks=10), Form(is_old=True)])
def test_a_cut_image_gives_what_is_before_the_cut(form: Form) -> None:
    file = build(DISK, form)[0]
    image = opened([file[: len(file) // 2]])
    ((offset, length),) = image.losses
    assert offset is not None
    assert length is not None
    assert offset + length == len(DISK)
    assert offset > len(DISK) // 4 or form.is_old
    assert image.disk.read_at(0, offset) == DISK[:offset]
    with pytest.raises(OSError, match=r"cut|chunk"):
        image.disk.read_at(offset, 1)


@pytest.mark.parametrize("form", [Form(), Form(level=None), Form(table_chunks=40)])
def test_chunks_are_found_where_both_tables_are_gone(form: Form) -> None:
    file = bytearray(build(DISK, form)[0])
    for kind in (b"table\0", b"table2\0"):
        file[file.index(kind) + 76] ^= 1
    image = opened([bytes(file)])
    assert "were found without a table" in image.reasons
    assert image.losses == []
    assert_reads(image.disk, DISK)


@pytest.mark.parametrize(
    "kind", [b"header\0", b"volume\0", b"sectors\0", b"table\0", b"table2\0", b"digest\0", b"hash\0"]
)
def test_one_descriptor_that_is_gone_costs_no_chunk(kind: bytes) -> None:
    file = bytearray(build(DISK)[0])
    place = file.index(kind)
    file[place : place + 76] = b"\xee" * 76
    image = opened([bytes(file)])
    assert "no sound section" in image.reasons
    assert whole(image.disk) == DISK


def test_a_section_that_leads_back_is_passed_by() -> None:
    file = bytearray(build(DISK)[0])
    place = file.index(b"sectors")
    file[place : place + 76] = section(b"sectors", 13 - 76, b"")[:76]
    assert whole(opened([bytes(file)]).disk) == DISK


def test_offsets_behind_two_gibibytes_have_no_flag() -> None:
    first, step = 0x7FFFFFFF - CHUNK, CHUNK + 4
    words = [first - step | 0x80000000, first, first + step, first + 2 * step]
    raw = b"".join(word.to_bytes(4, "little") for word in words)
    table_at = 100
    copy = Section(b"table", table_at - 76, table_at, table_at + 24 + len(raw) + 4)

    class Sparse:
        size = first + 3 * step

        def read_at(self, position: int, size: int) -> bytes:
            if position == table_at + 24:
                return raw + zlib.adler32(raw).to_bytes(4, "little")
            number = (position - first) // step + 1
            chunk = bytes([number]) * CHUNK
            return (zlib.compress(chunk) if number == 0 else chunk + zlib.adler32(chunk).to_bytes(4, "little"))[:size]

    table = Table(4, 0, (copy,), ((copy.end, first + 3 * step),))
    volume = Volume(4, 64, SECTOR, 256, 1, 1, 64, "", is_sound=True, is_old=False)
    disk_of = EwfDisk(volume, [Piece(0, 4, Sparse(), table, "")], lambda _: None)
    assert [disk_of.read_at(number * CHUNK, 1)[0] for number in range(4)] == [0, 1, 2, 3]


@pytest.mark.parametrize("seed", range(60))
def test_mutants_end_with_bytes_or_an_error(seed: int) -> None:
    form = [Form(), SPLIT, Form(is_old=True)][seed % 3]
    files = build(DISK[: 40 * CHUNK], form)
    files[seed % len(files)] = mutant(files[seed % len(files)], seed, 2500)
    try_mutant("ewf", list_of(files, 1), CHUNK)
