"""File types by their first bytes: a cheap table, asked before libmagic.

The magics stand in the formats' own specifications (elf(5), RFC 1952, the xz, Zstandard, PNG and PDF specifications,
deb(5), ar(5), the SQLite file format, the journal file format of systemd) and in magic(5).
"""

import re
from typing import Literal, NamedTuple

from volforensic.inventory import container_types as containers
from volforensic.inventory.text_encodings import is_text, text_encoding, wide_encoding
from volforensic.inventory.text_types import text_mime

HEAD_SIZE = 4096
"""Bytes of a file that its type is told from."""


class FileType(NamedTuple):
    """A MIME type, the family that other stages ask for, and the interpreter that a script names."""

    mime: str
    family: str
    interpreter: str | None = None


TEXT_FAMILIES = frozenset({"script", "text", "json", "xml", "html", "php"})
"""Families whose bytes are read as text."""

_PREFIXES: tuple[tuple[bytes, FileType], ...] = (
    (b"\x1f\x8b", FileType("application/gzip", "gzip")),
    (b"\xfd7zXZ\x00", FileType("application/x-xz", "xz")),
    (b"\x28\xb5\x2f\xfd", FileType("application/zstd", "zstd")),
    (b"\x04\x22\x4d\x18", FileType("application/x-lz4", "lz4")),
    (b"LZIP", FileType("application/x-lzip", "lzip")),
    (b"\x5d\x00\x00\x00\x01", FileType("application/x-lzma", "lzma")),
    (b"\x5d\x00\x00\x10\x00", FileType("application/x-lzma", "lzma")),
    (b"\x5d\x00\x00\x80\x00", FileType("application/x-lzma", "lzma")),
    (b"\x89LZO\x00\r\n\x1a\n", FileType("application/x-lzop", "lzop")),
    (b"\x1f\x9d", FileType("application/x-compress", "compress")),
    (b"Rar!\x1a\x07", FileType("application/x-rar", "rar")),
    (b"MSCF\x00\x00\x00\x00", FileType("application/vnd.ms-cab-compressed", "cab")),
    (b"070701", FileType("application/x-cpio", "cpio")),
    (b"070702", FileType("application/x-cpio", "cpio")),
    (b"070707", FileType("application/x-cpio", "cpio")),
    (b"\xc7\x71", FileType("application/x-cpio", "cpio")),
    (b"7z\xbc\xaf\x27\x1c", FileType("application/x-7z-compressed", "7z")),
    (b"\xff\xd8\xff", FileType("image/jpeg", "image")),
    (b"\x89PNG\r\n\x1a\n", FileType("image/png", "image")),
    (b"GIF87a", FileType("image/gif", "image")),
    (b"GIF89a", FileType("image/gif", "image")),
    (b"\x00\x00\x01\x00", FileType("image/vnd.microsoft.icon", "image")),
    (b"II*\x00", FileType("image/tiff", "image")),
    (b"MM\x00*", FileType("image/tiff", "image")),
    (b"8BPS\x00\x01", FileType("image/vnd.adobe.photoshop", "image")),
    (b"fLaC", FileType("audio/flac", "audio")),
    (b"ID3", FileType("audio/mpeg", "audio")),
    (b"MThd", FileType("audio/midi", "audio")),
    (b"\x00\x01\x00\x00\x00", FileType("font/sfnt", "font")),
    (b"OTTO\x00", FileType("application/vnd.ms-opentype", "font")),
    (b"wOFF", FileType("font/woff", "font")),
    (b"wOF2", FileType("font/woff2", "font")),
    (b"%PDF-", FileType("application/pdf", "pdf")),
    (b"!<arch>\ndebian-binary", FileType("application/vnd.debian.binary-package", "deb")),
    (b"!<arch>\n", FileType("application/x-archive", "ar")),
    (b"\xed\xab\xee\xdb", FileType("application/x-rpm", "rpm")),
    (b"SQLite format 3\x00", FileType("application/vnd.sqlite3", "sqlite")),
    (b"LPKSHHRH", FileType("application/x-journal", "journal")),
    (b"\xde\x12\x04\x95", FileType("application/x-gettext-translation", "data")),
    (b"\x95\x04\x12\xde", FileType("application/x-gettext-translation", "data")),
    (b"TZif", FileType("application/tzif", "data")),
    (b"\xce\xfa\xed\xfe", FileType("application/x-mach-binary", "macho")),
    (b"\xcf\xfa\xed\xfe", FileType("application/x-mach-binary", "macho")),
    (b"\xfe\xed\xfa\xce", FileType("application/x-mach-binary", "macho")),
    (b"\xfe\xed\xfa\xcf", FileType("application/x-mach-binary", "macho")),
    (b"\x1a\x01", FileType("application/x-terminfo", "data")),
    (b"\x1e\x02", FileType("application/x-terminfo2", "data")),
    (b"\xce\x9a\x57\x13", FileType("application/x-gdbm", "data")),
    (b"\xcd\x9a\x57\x13", FileType("application/x-gdbm", "data")),
    (b"\xcf\x9a\x57\x13", FileType("application/x-gdbm", "data")),
    (b"JM\x01\x00", FileType("application/x-java-jmod", "zip")),
    (b";ELC", FileType("application/x-elc", "data")),
    (b"BC\xc0\xde", FileType("application/x-llvm", "data")),
    (b"\x00asm", FileType("application/wasm", "data")),
    (b"<?php", FileType("text/x-php", "php")),
    (b"<?=", FileType("text/x-php", "php")),
    (b"<?xml", FileType("text/xml", "xml")),
)
_IMAGE_STARTS = (b"BM", b"\x80\x01", *(b"P%d" % kind for kind in range(1, 7)))
_MEDIA = {b"RIFF": containers.riff_mime, b"OggS": containers.ogg_mime, b"\x1a\x45\xdf\xa3": containers.matroska_mime}
_LEADING: dict[bytes, tuple[tuple[bytes, FileType], ...]] = {
    first: tuple(entry for entry in _PREFIXES if entry[0][:1] == first)
    for first in {magic[:1] for magic, _ in _PREFIXES}
}

_PDF_START = 256  # readers let something stand before it
_SHEBANG = re.compile(rb"#![ \t]{0,16}([^\s]{1,255})(?:[ \t]{1,16}([^\n]{0,255}))?")
_HTML = re.compile(rb"\s{0,64}<(?:!doctype html|html|head|body)\b", re.IGNORECASE)
_JSON = re.compile(rb"\s{0,64}(?:\{\s{0,64}(?:[\"}/]|$)|\[\s{0,64}(?:[{\[\"\]0-9-]|$))")
_INTERPRETER_MIMES = (
    (("sh", "bash", "dash", "ash", "zsh", "ksh", "fish", "busybox"), "text/x-shellscript"),
    (("python",), "text/x-script.python"),
    (("perl",), "text/x-perl"),
    (("ruby",), "text/x-ruby"),
    (("php",), "text/x-php"),
    (("node", "nodejs"), "application/javascript"),
    (("awk", "gawk", "mawk"), "text/x-awk"),
    (("tclsh", "wish"), "text/x-tcl"),
    (("lua",), "text/x-lua"),
)


def identify(head: bytes) -> FileType | None:
    """Tell a file's type from its first ``HEAD_SIZE`` bytes; None where this table does not know it."""
    if not head:
        return FileType("inode/x-empty", "empty")
    head = head[:HEAD_SIZE]
    return _executable(head) or _prefixed(head) or _text(head) or _container(head) or _byte_code(head)


def content_type(data: bytes) -> tuple[FileType | None, str | None]:
    """Return a file's type and, of a text, its encoding; None where this table does not know.

    Args:
        data: The file's first bytes, as many as are at hand: types are told from 4 KiB, encodings and disk images from
            64 KiB.
    """
    kind = identify(data) or disk_image(data)
    is_readable = kind is None or kind.family in TEXT_FAMILIES
    return kind, text_encoding(data) if is_readable else None


def _prefixed(head: bytes) -> FileType | None:
    kind = next((kind for magic, kind in _LEADING.get(head[:1], ()) if head.startswith(magic)), None)
    if kind is not None and kind.family == "xml" and b"<svg" in head:
        return FileType("image/svg+xml", "xml")
    return kind


def _executable(head: bytes) -> FileType | None:
    if head.startswith(b"\x7fELF"):
        return FileType(_elf_mime(head), "elf")
    if head.startswith(b"#!"):
        return _script(head)
    if head.startswith(b"MZ") and b"\x00" in head[:64]:
        return FileType("application/vnd.microsoft.portable-executable", "pe")
    return None


def _elf_mime(head: bytes) -> str:
    """Return the MIME type of an ELF file (elf(5): e_type; a program of type ET_DYN has a PT_INTERP header)."""
    order: Literal["little", "big"] = "big" if head[5:6] == b"\x02" else "little"
    kind = int.from_bytes(head[16:18], order)
    if kind == 3:
        return "application/x-pie-executable" if _names_interpreter(head, order) else "application/x-sharedlib"
    names = {1: "application/x-object", 2: "application/x-executable", 4: "application/x-coredump"}
    return names.get(kind, "application/x-elf")


def _names_interpreter(head: bytes, order: Literal["little", "big"]) -> bool:
    """Return whether one of the program headers within the head is PT_INTERP (3)."""
    wide = head[4:5] == b"\x02"
    start = int.from_bytes(head[32:40] if wide else head[28:32], order)
    sizes = head[54:58] if wide else head[42:46]
    size, count = int.from_bytes(sizes[:2], order), int.from_bytes(sizes[2:], order)
    if size < 32 or start > HEAD_SIZE:
        return False
    positions = range(start, min(start + size * count, HEAD_SIZE), size)
    return any(int.from_bytes(head[position : position + 4], order) == 3 for position in positions)


def _script(head: bytes) -> FileType:
    match = _SHEBANG.match(head)
    if match is None:
        return FileType("text/plain", "script")
    program = match[1].rsplit(b"/", 1)[-1]
    if program == b"env":
        words = [word for word in (match[2] or b"").split() if not word.startswith(b"-") and b"=" not in word]
        program = words[0].rsplit(b"/", 1)[-1] if words else program
    name = program.decode("utf-8", "backslashreplace")
    base = name.rstrip("0123456789.")
    mime = next((mime for names, mime in _INTERPRETER_MIMES if base in names), "text/plain")
    return FileType(mime, "script", name)


def _container(head: bytes) -> FileType | None:
    """Tell what shows its type beyond its first bytes: archives, media, disk images."""
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        archive = containers.zip_mime(head)
        return FileType(archive, "jar" if archive == "application/java-archive" else "zip")
    if head.startswith(b"BZh") and head[4:10] in {b"1AY&SY", b"\x17rE8P\x90"}:
        return FileType("application/x-bzip2", "bzip2")
    medium = _MEDIA.get(head[:4])
    if medium is None:
        medium = containers.image_mime if head.startswith(_IMAGE_STARTS) else containers.brand_mime
    mime = medium(head)
    if mime is not None:
        return FileType(mime, mime.partition("/")[0])
    if b"%PDF-" in head[:_PDF_START]:
        return FileType("application/pdf", "pdf")
    return FileType("application/x-tar", "tar") if containers.is_tar(head) else None


def disk_image(data: bytes) -> FileType | None:
    """Tell a disk or filesystem image from its first bytes, at best ``DISK_HEAD_SIZE``; None for anything else."""
    mime = containers.disk_mime(data)
    return FileType(mime, "disk") if mime else None


def _byte_code(head: bytes) -> FileType | None:
    """Tell Java classes (the JVM specification, 4.1) and compiled Python (importlib: a magic that ends in CR LF)."""
    if head.startswith(b"\xca\xfe\xba\xbe") and int.from_bytes(head[6:8], "big") >= 45:
        return FileType("application/x-java-applet", "class")
    if (
        head[2:4] == b"\r\n"
        and len(head) >= 12
        and (head[1] in {0xF2, 0xF3} or (head[1] in {12, 13, 14} and head[4] < 4))
    ):
        return FileType("application/x-bytecode.python", "pyc")
    return None


def _text(head: bytes) -> FileType | None:
    if not is_text(head):
        return FileType("text/plain", "text") if wide_encoding(head) else None
    image = containers.image_mime(head) if head[:1] == b"P" else None
    if image:
        return FileType(image, "image")
    if _HTML.match(head):
        return FileType("text/html", "html")
    if _JSON.match(head):
        return FileType("application/json", "json")
    mime = text_mime(head)
    return FileType(mime, "html" if mime == "text/html" else "text")
