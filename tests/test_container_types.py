"""Archives, media and disk images are told by what lies beyond their first bytes."""

import io
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from volforensic.inventory.container_types import DISK_HEAD_SIZE
from volforensic.inventory.signatures import HEAD_SIZE, content_type, disk_image, identify

OFFICE = "application/vnd.openxmlformats-officedocument."


def zipped(*names: str, content: bytes = b"x" * 50) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(name, content)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "mime"),
    [
        (zipped("a"), "application/zip"),
        (zipped("META-INF/MANIFEST.MF", "a.class"), "application/java-archive"),
        (zipped("AndroidManifest.xml"), "application/vnd.android.package-archive"),
        (zipped("[Content_Types].xml", "_rels/.rels", "word/document.xml"), f"{OFFICE}wordprocessingml.document"),
        (zipped("[Content_Types].xml", "xl/workbook.xml"), f"{OFFICE}spreadsheetml.sheet"),
        (zipped("_rels/.rels", "ppt/slides"), f"{OFFICE}presentationml.presentation"),
        (zipped("[Content_Types].xml", "other"), "application/zip"),
        (
            zipped("mimetype", content=b"application/vnd.oasis.opendocument.text"),
            "application/vnd.oasis.opendocument.text",
        ),
        (zipped("mimetype", content=b"application/epub+zip"), "application/epub+zip"),
        (zipped("mimetype", content=b"text/x-evil\x00"), "application/zip"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "audio/x-wav"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"OggS\x00\x02" + bytes(22) + b"\x01vorbis", "audio/ogg"),
        (b"OggS\x00\x02" + bytes(30), "application/ogg"),
        (b"\x00\x00\x00\x18ftypmp42\x00", "video/mp4"),
        (b"\x00\x00\x00\x18ftypM4A \x00", "audio/x-m4a"),
        (b"\x1a\x45\xdf\xa3\x01\x42\x82\x84webm", "video/webm"),
        (b"\x1a\x45\xdf\xa3\x01\x42\x82\x88matroska", "video/x-matroska"),
        (b"BM\x36\x00\x00\x00\x00\x00\x00\x00\x36\x00\x00\x00\x28\x00\x00\x00", "image/bmp"),
        (b"P5\n# made by hand\n16 16\n255\n\x00", "image/x-portable-greymap"),
        (b"P1\n2 2\n0 1 1 0\n", "image/x-portable-bitmap"),
        (b"P1 is a priority\n", "text/plain"),
        (b"\x80\x01\x00\x00\x00\x00%!PS-AdobeFont-1.0: A", "font/x-postscript-pfb"),
        (b"070701" + b"0" * 104, "application/x-cpio"),
        (b"Rar!\x1a\x07\x01\x00", "application/x-rar"),
        (b"wOF2\x00\x01\x00\x00", "font/woff2"),
        (b"\x00\x01\x00\x00\x00\x10", "font/sfnt"),
    ],
)
def test_a_container_is_told(data: bytes, mime: str) -> None:
    kind = identify(data)
    assert kind is not None
    assert kind.mime == mime


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_tar_file_is_told_also_without_its_magic(form: int) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as archive:
        archive.addfile(tarfile.TarInfo("a"))
    data = stream.getvalue()
    old = bytearray(data[:512])
    old[257:265] = bytes(8)
    old[148:156] = b"%06o\x00 " % (sum(old[:148]) + 256 + sum(old[156:]))
    wrong = bytearray(old)
    wrong[0] += 1
    kinds = [identify(head) for head in (data[:HEAD_SIZE], bytes(old), bytes(wrong))]
    assert [kind and kind.mime for kind in kinds] == ["application/x-tar", "application/x-tar", None]


def at(place: int, magic: bytes, size: int = DISK_HEAD_SIZE) -> bytes:
    return bytes(place) + magic + bytes(size - place - len(magic))


def boot_sector(flag: int = 0x80) -> bytes:
    return at(
        446, bytes([flag, 0, 0, 0, 0x83, 0, 0, 0]) + b"\x00\x08\x00\x00\x00\x10\x00\x00" + bytes(48) + b"\x55\xaa"
    )


@pytest.mark.parametrize(
    ("data", "mime"),
    [
        (at(0, b"QFI\xfb"), "application/x-qemu-disk"),
        (at(0, b"KDMV"), "application/x-vmdk-disk"),
        (at(0, b"conectix"), "application/x-virtualbox-vhd"),
        (at(0, b"vhdxfile"), "application/x-vhdx-disk"),
        (at(64, b"\x7f\x10\xda\xbe"), "application/x-vdi-disk"),
        (at(0, b"hsqs"), "application/vnd.squashfs"),
        (at(0, b"XFSB"), "application/x-raw-disk-image"),
        (at(0, b"LUKS\xba\xbe"), "application/x-raw-disk-image"),
        (at(512, b"EFI PART"), "application/x-raw-disk-image"),
        (at(32769, b"CD001"), "application/x-iso9660-image"),
        (at(65600, b"_BHRfS_M"), "application/x-raw-disk-image"),
        (boot_sector(), "application/x-raw-disk-image"),
        (boot_sector(flag=7), None),
        (at(510, b"\x55\xaa"), None),
        (at(1080, b"\x53\xef"), None),
        (bytes(DISK_HEAD_SIZE), None),
        (b"", None),
    ],
)
def test_a_disk_image_is_told(data: bytes, mime: str | None) -> None:
    kind = disk_image(data)
    assert (kind and kind.mime) == mime


def test_type_and_encoding_come_together() -> None:
    kind, encoding = content_type("Grüße\n".encode("latin-1") * 1000)
    assert (kind and kind.mime, encoding) == ("text/plain", "iso-8859-1")
    kind, encoding = content_type(b"a" * HEAD_SIZE + b"\x00")
    assert (kind and kind.mime, encoding) == ("text/plain", None)
    kind, encoding = content_type(at(65600, b"_BHRfS_M"))
    assert (kind and kind.family, encoding) == ("disk", None)
    assert content_type(b"\x00\x01") == (None, None)


@pytest.mark.skipif(shutil.which("mke2fs") is None, reason="this host has no mke2fs")
def test_a_filesystem_made_by_its_own_tool_is_told(tmp_path: Path) -> None:
    path = tmp_path / "ext4"
    subprocess.run(["mke2fs", "-q", "-t", "ext4", path, "2M"], check=True, capture_output=True)
    kind = disk_image(path.read_bytes()[:DISK_HEAD_SIZE])
    assert kind is not None
    assert kind.family == "disk"
