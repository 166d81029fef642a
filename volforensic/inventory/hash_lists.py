r"""Lists of hashes: one a line, as sha256sum writes them, or as columns of a CSV file with a header.

Read are: bare hashes, ``<hash>  <name>`` and ``SHA256 (<name>) = <hash>`` (GNU and BSD sums), ``<hash>,…`` and
``<hash>;…``, NSRLFile.txt of the NSRL's RDS 2 (Data Formats of the NSRL RDS, 2009) and hashkeeper's files, by the names
of their columns. ``#`` begins a comment. The algorithm is told by the length: MD5, SHA-1, SHA-256 or SHA-512.
"""

import bz2
import csv
import gzip
import lzma
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import zstandard

from volforensic.errors import DefinitionError

ALGORITHMS = {32: "md5", 40: "sha1", 64: "sha256", 128: "sha512"}
"""The algorithm that a hash is of, by its hexadecimal digits."""
PREFERENCE = ("sha256", "sha512", "sha1", "md5")
"""Of the hashes of one file in several columns, which one is kept: the pass computes SHA-256 in any case."""

_BLOCK_SIZE = 1 << 20
_LONGEST_LINE = 64 << 10
_MOST_LINES = 1 << 31
_HEX = rb"[0-9A-Fa-f]"
_HASH = rb"(%b{128}|%b{64}|%b{40}|%b{32})" % (_HEX, _HEX, _HEX, _HEX)
_LINE = re.compile(rb"^\\?" + _HASH + rb"(?=[ \t,;\r\n])", re.MULTILINE)
_BSD_LINE = re.compile(rb"\\?[A-Z0-9-]{1,12} \([^\n]*\) = " + _HASH + rb"\s*")
_COLUMNS = {"hash": "", "md5hash": "md5", "sha1hash": "sha1", "sha256hash": "sha256", "sha512hash": "sha512"} | {
    name: name for name in ALGORITHMS.values()
}
_UNPACKING = (zlib.error, lzma.LZMAError, zstandard.ZstdError, OSError, EOFError, ValueError)


def read_hash_list(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield digests of a list that may be compressed (gzip, bzip2, xz, Zstandard): an algorithm, digests side by side.

    Raises:
        DefinitionError: The file cannot be read or unpacked, or a line is wrong; the line is named.
    """
    try:
        with path.open("rb") as raw:
            yield from _digests(path, _unpacked(raw))
    except _UNPACKING as error:
        reason = getattr(error, "strerror", None) or str(error) or "it ends too soon"
        raise DefinitionError(str(path), f"cannot be read: {reason}") from error


def _unpacked(raw: BinaryIO) -> BinaryIO:
    magic = raw.read(6)
    raw.seek(0)
    if magic.startswith(b"\x1f\x8b"):
        return cast("BinaryIO", gzip.GzipFile(fileobj=raw))
    if magic.startswith(b"BZh"):
        return cast("BinaryIO", bz2.BZ2File(raw))
    if magic == b"\xfd7zXZ\x00":
        return cast("BinaryIO", lzma.LZMAFile(raw))
    if magic.startswith(b"\x28\xb5\x2f\xfd"):
        reader = zstandard.ZstdDecompressor(max_window_size=1 << 27)
        return cast("BinaryIO", reader.stream_reader(raw, read_across_frames=True))
    return raw


def _digests(path: Path, stream: BinaryIO) -> Iterator[tuple[str, bytes]]:
    number, columns = 0, None
    for block in _blocks(path, stream):
        if number == 0:
            columns = _header(path, block)
        if number > _MOST_LINES:
            raise DefinitionError(str(path), f"has more than {_MOST_LINES} lines")
        if columns is not None:
            yield from _from_columns(path, number, block, columns)
        else:
            yield from _uniform(block) or _from_lines(path, number, block)
        number += block.count(b"\n")


def _blocks(path: Path, stream: BinaryIO) -> Iterator[bytes]:
    """Yield whole lines, about ``_BLOCK_SIZE`` bytes at once; the last one is given an end where it has none."""
    rest, number = b"", 0
    while data := stream.read(_BLOCK_SIZE):
        if not number and not rest:
            _check_start(path, data)
            data = data.removeprefix(b"\xef\xbb\xbf")
        end = data.rfind(b"\n") + 1
        if not end:
            rest += data
            if len(rest) > _BLOCK_SIZE + _LONGEST_LINE:
                raise DefinitionError(str(path), f"line {number + 1} is longer than {_LONGEST_LINE} bytes")
            continue
        block, rest = rest + data[:end], data[end:]
        number += block.count(b"\n")
        yield block
    if rest:
        yield rest + b"\n"


def _check_start(path: Path, data: bytes) -> None:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DefinitionError(str(path), "is a text in UTF-16", "Write it in UTF-8")
    if data.startswith(b"PK\x03\x04"):
        raise DefinitionError(str(path), "is a zip file", "Unpack it and name the file in it")


def _uniform(block: bytes) -> list[tuple[str, bytes]]:
    """Return the digests of a block whose lines are bare hashes of one length, converted at once; else nothing."""
    size = block.index(b"\n") + 1
    digits = size - (2 if block[size - 2 : size] == b"\r\n" else 1)
    count = len(block) // size
    if digits not in ALGORITHMS or len(block) != count * size or block[size - 1 :: size] != b"\n" * count:
        return []
    try:
        digests = bytes.fromhex(block.decode("ascii"))
    except ValueError:
        return []
    return [(ALGORITHMS[digits], digests)] if len(digests) == count * digits // 2 else []


def _from_lines(path: Path, number: int, block: bytes) -> Iterator[tuple[str, bytes]]:
    found = _LINE.findall(block)
    if len(found) != block.count(b"\n"):
        found = [digest for digest in _line_by_line(path, number, block) if digest]
    for digits, algorithm in ALGORITHMS.items():
        digests = b"".join([digest for digest in found if len(digest) == digits])
        if digests:
            yield algorithm, bytes.fromhex(digests.decode("ascii"))


def _line_by_line(path: Path, number: int, block: bytes) -> Iterator[bytes]:
    for count, line in enumerate(block.split(b"\n")[:-1], number + 1):
        content = line.strip()
        if not content or content.startswith(b"#"):
            continue
        match = _LINE.match(content + b"\n") or _BSD_LINE.fullmatch(content)
        if match is None:
            raise _wrong(path, count, content)
        yield match[1]


def _wrong(path: Path, number: int, content: bytes) -> DefinitionError:
    shown = content[:60].decode("utf-8", "backslashreplace")
    wrong = f"line {number}: {shown!r} holds no MD5, SHA-1, SHA-256 or SHA-512"
    return DefinitionError(str(path), wrong, "Mend the line or mark it with #")


def _header(path: Path, block: bytes) -> dict[int, str] | None:
    """Return which column holds which algorithm's hashes ("": told by the length); None where there is no header."""
    lines = (line.strip() for line in block.split(b"\n"))
    first = next((line for line in lines if line and not line.startswith(b"#")), b"")
    if b"," not in first or _LINE.match(first + b"\n"):
        return None
    names = _cells(path, 1, first.decode("utf-8", "backslashreplace"))
    plain = [re.sub(r"[^a-z0-9]", "", name.lower()) for name in names]
    columns = {index: _COLUMNS[name] for index, name in enumerate(plain) if name in _COLUMNS}
    if not columns:
        known = ", ".join(sorted(_COLUMNS))
        raise DefinitionError(str(path), "its header names no column of hashes", f"Name one of {known}")
    return columns


def _from_columns(path: Path, number: int, block: bytes, columns: dict[int, str]) -> Iterator[tuple[str, bytes]]:
    collected: dict[str, list[str]] = {}
    lines = block.decode("utf-8", "backslashreplace").split("\n")[:-1]
    is_header = number == 0
    for count, line in enumerate(lines, number + 1):
        if not line.strip() or line.startswith("#"):
            continue
        if is_header:
            is_header = False
            continue
        algorithm, digest = _chosen(path, count, line, columns)
        collected.setdefault(algorithm, []).append(digest)
    for algorithm, digests in collected.items():
        yield algorithm, bytes.fromhex("".join(digests))


def _chosen(path: Path, number: int, line: str, columns: dict[int, str]) -> tuple[str, str]:
    """Return the preferred hash of a line of a CSV file."""
    cells = _cells(path, number, line)
    found: dict[str, str] = {}
    for index, algorithm in columns.items():
        cell = cells[index].strip() if index < len(cells) else ""
        if not cell:
            continue
        told = ALGORITHMS.get(len(cell)) if re.fullmatch(_HEX.decode() + "+", cell) else None
        if told is None or algorithm not in {"", told}:
            raise _wrong(path, number, line.encode())
        found[told] = cell
    for algorithm in PREFERENCE:
        if algorithm in found:
            return algorithm, found[algorithm]
    raise _wrong(path, number, line.encode())


def _cells(path: Path, number: int, line: str) -> list[str]:
    try:
        return next(csv.reader([line]), [])
    except csv.Error as error:
        raise _wrong(path, number, line.encode()) from error
