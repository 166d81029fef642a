"""Writes EWF images (.E01, and the first version of the format as SMART has it) from a disk's bytes.

Source: libewf's "Expert Witness Compression Format" documentation and ASR Data's specification.
"""

import hashlib
import struct
import zlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

SECTOR = 512
SET_ID = bytes(range(1, 17))
_SIGNATURE = b"EVF\t\r\n\xff\0"
_COMPRESSED = 0x80000000


class Form(NamedTuple):
    """How an image is written.

    ``level`` is zlib's, None for chunks as they are; ``segment_chunks`` and ``table_chunks``: how many chunks a file
    and a table have; ``is_old``: the first version, chunks in the table; ``based``: offsets count from the sectors.
    """

    chunk_sectors: int = 64
    level: int | None = 1
    segment_chunks: int = 1 << 30
    table_chunks: int = 16375
    is_old: bool = False
    based: bool = False
    set_id: bytes = SET_ID
    errors: Sequence[tuple[int, int]] = ()
    header: str = (
        "1\nmain\nc\tn\ta\te\tt\tav\tov\tm\tu\tp\n7\t1\ta disk\tan examiner\tnotes\t20140813\tLinux\t0\t0\t0\n\n"
    )


def build(data: bytes, form: Form = Form()) -> list[bytes]:  # noqa: B008 - a frozen value
    """Return the files of an image, in order, of a disk whose bytes are whole sectors."""
    size = form.chunk_sectors * SECTOR
    chunks = [data[start : start + size] for start in range(0, len(data), size)]
    groups = [chunks[start : start + form.segment_chunks] for start in range(0, len(chunks), form.segment_chunks)]
    return [_segment(data, group, (number, len(groups), len(chunks)), form) for number, group in enumerate(groups, 1)]


def section(kind: bytes, place: int, body: bytes, *, is_end: bool = False) -> bytes:
    """Return a section that lies at ``place`` of its file: its descriptor and its bytes."""
    following = place if is_end else place + 76 + len(body)
    head = struct.pack("<16sQQ40x", kind, following, 0 if is_end else 76 + len(body))
    return head + _sum(head) + body


def _segment(data: bytes, chunks: Sequence[bytes], counts: tuple[int, int, int], form: Form) -> bytes:
    """Return a file; ``counts`` are its number, how many files and how many chunks there are."""
    number, last, total = counts
    file = bytearray(_SIGNATURE + struct.pack("<BHH", 1, number, 0))
    if number == 1:
        for kind, body in _headers(form):
            file += section(kind, len(file), body)
        file += section(b"volume", len(file), _volume(len(data), total, form))
    elif not form.is_old:
        file += section(b"data", len(file), _volume(len(data), total, form))
    for start in range(0, len(chunks), form.table_chunks):
        _append_chunks(file, chunks[start : start + form.table_chunks], form)
    if number == last:
        for kind, body in _endings(data, form):
            file += section(kind, len(file), body)
    file += section(b"done" if number == last else b"next", len(file), b"", is_end=True)
    return bytes(file)


def _headers(form: Form) -> Iterable[tuple[bytes, bytes]]:
    if not form.is_old:
        yield b"header2", zlib.compress(form.header.encode("utf-16"))
    yield b"header", zlib.compress(form.header.encode("utf-8", "replace"))


def _volume(size: int, chunks: int, form: Form) -> bytes:
    sectors = size // SECTOR
    if form.is_old:
        body = struct.pack("<IIIII65x5s", 1, chunks, form.chunk_sectors, SECTOR, sectors, b"SMART")
    else:
        sizes = chunks, form.chunk_sectors, SECTOR, sectors
        body = struct.pack("<B3xIIIQ12xB3x12xB3xI4x16s968x", 1, *sizes, 1, 1, 64, form.set_id)
    return body + _sum(body)


def _append_chunks(file: bytearray, chunks: Sequence[bytes], form: Form) -> None:
    stored = [_stored(chunk, form) for chunk in chunks]
    if form.is_old:
        here = len(file) + 76 + 24 + 4 * len(stored)
        file += section(b"table", len(file), _table(stored, here, 0, form) + b"".join(raw for raw, _ in stored))
        return
    here = len(file) + 76
    base = len(file) if form.based else 0
    file += section(b"sectors", len(file), b"".join(raw for raw, _ in stored))
    table = _table(stored, here, base, form)
    for kind in (b"table", b"table2"):
        file += section(kind, len(file), table)


def _stored(chunk: bytes, form: Form) -> tuple[bytes, bool]:
    """Return a chunk as it is stored, and whether it is compressed."""
    if form.level is not None or form.is_old:
        compressed = zlib.compress(chunk, form.level if form.level is not None else 0)
        if len(compressed) < len(chunk) or form.is_old:
            return compressed, True
    return chunk + _sum(chunk), False


def _table(stored: Sequence[tuple[bytes, bool]], here: int, base: int, form: Form) -> bytes:
    entries = bytearray()
    for raw, is_compressed in stored:
        entries += struct.pack("<I", here - base | (_COMPRESSED if is_compressed else 0))
        here += len(raw)
    head = struct.pack("<I4xQ4x", len(stored), base)
    return head + _sum(head) + bytes(entries) + (b"" if form.is_old else _sum(bytes(entries)))


def _endings(data: bytes, form: Form) -> Iterable[tuple[bytes, bytes]]:
    if form.errors:
        head = struct.pack("<I512x", len(form.errors))
        entries = b"".join(struct.pack("<II", first, count) for first, count in form.errors)
        yield b"error2", head + _sum(head) + entries + _sum(entries)
    md5 = hashlib.md5(data, usedforsecurity=False).digest()
    if not form.is_old:
        body = md5 + hashlib.sha1(data, usedforsecurity=False).digest() + bytes(40)
        yield b"digest", body + _sum(body)
    body = md5 + bytes(16)
    yield b"hash", body + _sum(body)


def _sum(data: bytes) -> bytes:
    return zlib.adler32(data).to_bytes(4, "little")
