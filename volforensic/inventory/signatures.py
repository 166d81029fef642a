"""File types by their first bytes: a cheap table, asked before libmagic.

The magics stand in the formats' own specifications (elf(5), RFC 1952, the xz, Zstandard, PNG and PDF specifications,
deb(5), ar(5), the SQLite file format, the journal file format of systemd) and in magic(5).
"""

import re
from typing import Literal, NamedTuple

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
    (b"7z\xbc\xaf\x27\x1c", FileType("application/x-7z-compressed", "7z")),
    (b"\xff\xd8\xff", FileType("image/jpeg", "image")),
    (b"\x89PNG\r\n\x1a\n", FileType("image/png", "image")),
    (b"GIF87a", FileType("image/gif", "image")),
    (b"GIF89a", FileType("image/gif", "image")),
    (b"%PDF-", FileType("application/pdf", "pdf")),
    (b"!<arch>\ndebian-binary", FileType("application/vnd.debian.binary-package", "deb")),
    (b"!<arch>\n", FileType("application/x-archive", "ar")),
    (b"\xed\xab\xee\xdb", FileType("application/x-rpm", "rpm")),
    (b"SQLite format 3\x00", FileType("application/vnd.sqlite3", "sqlite")),
    (b"LPKSHHRH", FileType("application/x-journal", "journal")),
    (b"\xde\x12\x04\x95", FileType("application/x-gettext-translation", "data")),
    (b"\x95\x04\x12\xde", FileType("application/x-gettext-translation", "data")),
    (b"TZif", FileType("application/tzif", "data")),
    (b"\x1a\x01", FileType("application/x-terminfo", "data")),
    (b"BC\xc0\xde", FileType("application/x-llvm", "data")),
    (b"\x00asm", FileType("application/wasm", "data")),
    (b"<?php", FileType("text/x-php", "php")),
    (b"<?=", FileType("text/x-php", "php")),
    (b"<?xml", FileType("text/xml", "xml")),
)
_LEADING: dict[bytes, tuple[tuple[bytes, FileType], ...]] = {
    first: tuple(entry for entry in _PREFIXES if entry[0][:1] == first)
    for first in {magic[:1] for magic, _ in _PREFIXES}
}

_SHEBANG = re.compile(rb"#![ \t]{0,16}([^\s]{1,255})(?:[ \t]{1,16}([^\n]{0,255}))?")
_HTML = re.compile(rb"\s{0,64}<(?:!doctype html|html|head|body)\b", re.IGNORECASE)
_JSON = re.compile(rb"\s{0,64}(?:\{\s{0,64}(?:[\"}/]|$)|\[\s{0,64}(?:[{\[\"\]0-9-]|$))")
_TEXT_BYTES = bytes([*range(7, 14), 27, *range(32, 127)])
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
    return _executable(head) or _prefixed(head) or _archive(head) or _byte_code(head) or _text(head)


def _prefixed(head: bytes) -> FileType | None:
    return next((kind for magic, kind in _LEADING.get(head[:1], ()) if head.startswith(magic)), None)


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


def _archive(head: bytes) -> FileType | None:
    if head.startswith(b"BZh") and head[4:10] in {b"1AY&SY", b"\x17rE8P\x90"}:
        return FileType("application/x-bzip2", "bzip2")
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        if head[30:39] == b"META-INF/":
            return FileType("application/java-archive", "jar")
        return FileType("application/zip", "zip")
    if head[257:262] == b"ustar":
        return FileType("application/x-tar", "tar")
    return None


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
    if head.translate(None, _TEXT_BYTES) and not _is_utf8_text(head):
        return None
    if _HTML.match(head):
        return FileType("text/html", "html")
    if _JSON.match(head):
        return FileType("application/json", "json")
    return FileType("text/plain", "text")


def _is_utf8_text(head: bytes) -> bool:
    """Return whether the bytes are UTF-8 without control characters; the head may cut the last character."""
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        if len(head) < HEAD_SIZE or error.start < HEAD_SIZE - 3 or error.reason != "unexpected end of data":
            return False
        text = head[: error.start].decode()
    return not text.encode().translate(None, bytes(range(128, 256))).translate(None, _TEXT_BYTES)
