"""Partition tables that lie, are damaged, or are none (hostile-inputs 4.2)."""

import struct
import zlib
from pathlib import Path

from images.hostile.ext_disk import Ext
from images.hostile.kit import MEBIBYTE, Builder, Hostile


def _forged_mbr(folder: Path) -> Hostile:
    image = Ext(folder)
    image.write(446, struct.pack("<B3xB3xII", 0x80, 0x83, 2048, 4096))
    image.write(510, b"\x55\xaa")
    return Hostile(image.path, keeps=("cron", "auth_log"), says="partition table", statuses=(0, 3))


def _forged_gpt(folder: Path) -> Hostile:
    image = Ext(folder)
    entry = struct.pack("<16s16sQQQ72s", b"\1" * 16, b"\2" * 16, 34, 60, 0, "x".encode("utf-16-le"))
    image.write(512, gpt_header(entries=entry.ljust(128 * 4, b"\0"), entries_at=60, count=4))
    image.write(60 * 512, entry)
    return Hostile(image.path, keeps=(), statuses=(0, 3))


def gpt_header(*, entries: bytes, entries_at: int, count: int, entry_size: int = 128) -> bytes:
    """Return a GPT header whose own checksum is right (UEFI 2.10, table 5.5)."""
    head = struct.pack(
        "<8sIIIIQQQQ16sQIII",
        b"EFI PART", 0x10000, 92, 0, 0, 1, 0, 34, 16000, b"\7" * 16, entries_at, count, entry_size, zlib.crc32(entries),
    )  # fmt: skip
    return head[:16] + struct.pack("<I", zlib.crc32(head)) + head[20:]


def gpt_disk(folder: Path, *, sector: int = 512) -> tuple[Path, int]:
    """Build a GPT disk with the good ext4 in its one partition; return it and the partition's first byte."""
    image = Ext(folder)
    content = image.path.read_bytes()
    start = MEBIBYTE
    size = start + len(content) + MEBIBYTE
    last = size // sector - 1
    first = start // sector
    entry = struct.pack("<16s16sQQQ72s", b"\xaf" * 16, b"\2" * 16, first, first + len(content) // sector - 1, 0, b"")
    entries = entry.ljust(128 * 128, b"\0")
    disk = bytearray(size)
    disk[446:462] = struct.pack("<B3xB3xII", 0, 0xEE, 1, last)
    disk[510:512] = b"\x55\xaa"
    disk[sector : sector + 92] = gpt_header(entries=entries, entries_at=2, count=128)
    disk[2 * sector : 2 * sector + len(entries)] = entries
    behind = last - len(entries) // sector
    disk[behind * sector : behind * sector + len(entries)] = entries
    disk[last * sector : last * sector + 92] = gpt_header(entries=entries, entries_at=behind, count=128)
    disk[start : start + len(content)] = content
    image.path.write_bytes(disk)
    return image.path, start


def _gpt(edits: dict[int, bytes], keeps: tuple[str, ...], says: str, statuses: tuple[int, ...] = (3,)) -> Builder:
    def build(folder: Path) -> Hostile:
        path, _ = gpt_disk(folder)
        with path.open("r+b") as file:
            for offset, data in edits.items():
                file.seek(offset)
                file.write(data)
        return Hostile(path, keeps=keeps, says=says, statuses=statuses, costs=() if keeps else ("/",))

    return build


def _gpt_header_edit(*, count: int = 128, entry_size: int = 128, entries_at: int = 2) -> Builder:
    """Write the same absurd header, its own checksum right, as primary and as backup."""

    def build(folder: Path) -> Hostile:
        path, _ = gpt_disk(folder)
        header = gpt_header(entries=b"", entries_at=entries_at, count=count, entry_size=entry_size)
        with path.open("r+b") as file:
            for place in (512, path.stat().st_size - 512):
                file.seek(place)
                file.write(header)
        keeps = ("cron", "auth_log") if entries_at == 2 else ()
        return Hostile(path, keeps=keeps, says="GPT", statuses=(3, 7), costs=() if keeps else ("/",))

    return build


def _extended_loop(folder: Path) -> Hostile:
    image = Ext(folder)
    content = image.path.read_bytes()
    disk = bytearray(MEBIBYTE) + content + bytes(MEBIBYTE)
    disk[446:478] = struct.pack("<B3xB3xII", 0, 0x83, 2048, len(content) // 512) + struct.pack(
        "<B3xB3xII", 0, 0x05, 100, 1000
    )
    disk[510:512] = b"\x55\xaa"
    disk[100 * 512 + 446 : 100 * 512 + 494] = struct.pack("<B3xB3xII", 0, 0x05, 0, 1000) * 3
    disk[100 * 512 + 510 : 100 * 512 + 512] = b"\x55\xaa"
    image.path.write_bytes(disk)
    return Hostile(image.path, keeps=("cron", "auth_log"), says="circle")


GENERATORS: dict[str, Builder] = {
    "forged-mbr": _forged_mbr,
    "forged-gpt": _forged_gpt,
    "gpt-primary-gone": _gpt({512: bytes(512)}, ("cron", "auth_log"), "backup", (0, 3)),
    "gpt-entries-changed": _gpt({1024 + 56: b"x"}, ("cron", "auth_log"), "checksum", (0, 3)),
    "gpt-first-after-last": _gpt(
        {1024 + 32: struct.pack("<Q", 1 << 40), 10 * MEBIBYTE - 512: bytes(512)}, (), "partition 1", (3, 7)
    ),
    "gpt-beyond-the-end": _gpt(
        {1024 + 40: struct.pack("<Q", (1 << 64) - 1), 10 * MEBIBYTE - 512: bytes(512)},
        ("cron", "auth_log"),
        "partition 1",
    ),
    "gpt-both-gone": _gpt({512: bytes(512), 10 * MEBIBYTE - 512: bytes(512)}, (), "", (3, 7)),
    "gpt-count-2-32": _gpt_header_edit(count=0xFFFFFFFF),
    "gpt-entry-size-0": _gpt_header_edit(entry_size=0),
    "gpt-entry-size-1": _gpt_header_edit(entry_size=1),
    "gpt-entries-beyond": _gpt_header_edit(entries_at=1 << 60),
    "extended-loop": _extended_loop,
}
