"""Archives, disk images and media whose first bytes alone do not tell their type: what lies a little further does.

Sources: APPNOTE.TXT of PKWARE (zip), ECMA-376 part 2 and OpenDocument 1.2 part 3 (packages), tar(5), cpio(5), ISO/IEC
14496-12 (ftyp), RFC 9639 and 3533, ECMA-119 (ISO 9660), the kernel's ext4, XFS, btrfs and squashfs headers, QEMU's
documents of qcow2, the VHD, VHDX, VMDK and VDI formats. Where libmagic 5.44 has no MIME type for a disk image,
the names are those of freedesktop.org's shared-mime-info.
"""

import re

DISK_HEAD_SIZE = 66 << 10
"""Bytes in which every disk image that is known here shows itself: the superblock of btrfs begins at 64 KiB."""

_OFFICE = "application/vnd.openxmlformats-officedocument."
_OFFICE_FOLDERS = (
    (b"word/", f"{_OFFICE}wordprocessingml.document"),
    (b"ppt/", f"{_OFFICE}presentationml.presentation"),
    (b"xl/", f"{_OFFICE}spreadsheetml.sheet"),
)
_OFFICE_FIRST = (b"[Content_Types].xml", b"_rels/.rels", b"docProps/", b"customXml/")
_PACKAGE = re.compile(rb"mimetype(application/(?:vnd\.oasis\.opendocument\.[a-z-]{1,40}|epub\+zip))")
_ANDROID_FIRST = {b"AndroidManifest.xml", b"classes.dex", b"META-INF/com/android/build/gradle/app-metadata.properties"}
_MOST_MEMBERS = 16

_BRANDS = {
    b"qt  ": "video/quicktime",
    b"M4A ": "audio/x-m4a",
    b"M4V ": "video/x-m4v",
    b"heic": "image/heic",
    b"mif1": "image/heif",
    b"avif": "image/avif",
    b"jp2 ": "image/jp2",
}
_RIFF = {b"WAVE": "audio/x-wav", b"AVI ": "video/x-msvideo", b"WEBP": "image/webp"}
_OGG = {b"\x01vorbis": "audio/ogg", b"OpusHead": "audio/ogg", b"\x80theora": "video/ogg"}
_BMP_HEADERS = frozenset({12, 40, 52, 56, 64, 108, 124})
_NETPBM = re.compile(rb"P([1-6])\s{1,4}(?:#[^\n]{0,200}\n\s{0,4}){0,4}[0-9]{1,7}\s{1,4}[0-9]{1,7}\s")
_NETPBM_MIMES = ("image/x-portable-bitmap", "image/x-portable-greymap", "image/x-portable-pixmap")
_RAW = "application/x-raw-disk-image"
_DISKS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"QFI\xfb", "application/x-qemu-disk"),
    (0, b"KDMV", "application/x-vmdk-disk"),
    (0, b"# Disk DescriptorFile", "application/x-vmdk-disk"),
    (0, b"conectix", "application/x-virtualbox-vhd"),
    (0, b"vhdxfile", "application/x-vhdx-disk"),
    (64, b"\x7f\x10\xda\xbe", "application/x-vdi-disk"),
    (0, b"hsqs", "application/vnd.squashfs"),
    (0, b"XFSB", _RAW),
    (0, b"LUKS\xba\xbe", _RAW),
    (512, b"EFI PART", _RAW),
    (512, b"LABELONE", _RAW),
)
_DEEP_DISKS: tuple[tuple[int, bytes, str], ...] = (
    (32769, b"CD001", "application/x-iso9660-image"),
    (65536 + 64, b"_BHRfS_M", _RAW),
)
_EXT_MAGIC = slice(1080, 1082)


def zip_mime(head: bytes) -> str:
    """Return the MIME type of a zip file by the names of its first members."""
    first = _member(head, 0)
    if first == b"mimetype":
        package = _PACKAGE.match(head, 30)
        return package[1].decode("ascii") if package else "application/zip"
    if first in _ANDROID_FIRST:
        return "application/vnd.android.package-archive"
    if first.startswith(b"META-INF/"):
        return "application/java-archive"
    if first.startswith((*_OFFICE_FIRST, b"word/", b"ppt/", b"xl/")):
        return _office_mime(head)
    return "application/zip"


def _office_mime(head: bytes) -> str:
    place = 0
    for _ in range(_MOST_MEMBERS):
        name = _member(head, place)
        mime = next((mime for folder, mime in _OFFICE_FOLDERS if name.startswith(folder)), None)
        if mime is not None:
            return mime
        place = head.find(b"PK\x03\x04", place + 4)
        if place < 0:
            break
    return "application/zip"


def _member(head: bytes, place: int) -> bytes:
    size = int.from_bytes(head[place + 26 : place + 28], "little")
    return head[place + 30 : place + 30 + min(size, 256)]


def riff_mime(head: bytes) -> str | None:
    """Return the MIME type of a file in the Resource Interchange File Format."""
    return _RIFF.get(head[8:12])


def ogg_mime(head: bytes) -> str:
    """Return the MIME type of an Ogg file by its first packet."""
    return next((mime for magic, mime in _OGG.items() if head.startswith(magic, 28)), "application/ogg")


def brand_mime(head: bytes) -> str | None:
    """Return the MIME type of a file in the ISO base media format; None where it is none."""
    return _BRANDS.get(head[8:12], "video/mp4") if head[4:8] == b"ftyp" else None


def matroska_mime(head: bytes) -> str:
    """Return the MIME type of an EBML file by its DocType."""
    return "video/webm" if b"\x42\x82\x84webm" in head[:64] else "video/x-matroska"


def image_mime(head: bytes) -> str | None:
    """Return the MIME type of an image or a font whose magic is too short to stand alone; None where it is none."""
    if head.startswith(b"BM"):
        return "image/bmp" if int.from_bytes(head[14:18], "little") in _BMP_HEADERS else None
    netpbm = _NETPBM.match(head)
    if netpbm is not None:
        return _NETPBM_MIMES[(netpbm[1][0] - ord("1")) % 3]
    if head.startswith(b"\x80\x01") and head.startswith((b"%!PS-AdobeFont-1.", b"%!FontType1"), 6):
        return "font/x-postscript-pfb"
    return None


def is_tar(head: bytes) -> bool:
    """Return whether the bytes begin a tar file, old ones without "ustar" included: the header's checksum is right."""
    if head[257:262] == b"ustar":
        return True
    if len(head) < 512 or not head[0] or head[154:156] not in {b"\x00 ", b" \x00"}:
        return False
    try:
        stated = int(head[148:154].strip(b" \x00") or b"0", 8)
    except ValueError:
        return False
    return stated == sum(head[:148]) + 256 + sum(head[156:512])


def disk_mime(data: bytes) -> str | None:
    """Return the MIME type of a disk or filesystem image; ``data`` are its first bytes, ``DISK_HEAD_SIZE`` at best."""
    for place, magic, mime in _DISKS:
        if data.startswith(magic, place):
            return mime
    if len(data) > 2048 and data[_EXT_MAGIC] == b"\x53\xef" and not any(data[:8]) and _is_ext(data):
        return _RAW
    for place, magic, mime in _DEEP_DISKS:
        if data.startswith(magic, place):
            return mime
    if data[510:512] == b"\x55\xaa" and _is_boot_sector(data):
        return _RAW
    return None


def _is_ext(data: bytes) -> bool:
    """Return whether the fields beside the magic of an ext superblock can be (block size, state, count of inodes)."""
    return int.from_bytes(data[1048:1052], "little") <= 6 and any(data[1024:1028]) and data[1082] < 8


def _is_boot_sector(data: bytes) -> bool:
    """Return whether the partition table can be: flags 0 or 0x80, a partition or more, each with start and size."""
    entries = [data[start : start + 16] for start in range(446, 510, 16)]
    used = [entry for entry in entries if entry[4]]
    sane = all(entry[0] in {0, 0x80} and any(entry[8:12]) and any(entry[12:16]) for entry in used)
    return bool(used) and sane
