"""Disks that end too soon, hold nothing or noise (hostile-inputs 4.1; containers: their own generators)."""

import os
from pathlib import Path

from images.hostile.ext_disk import Ext
from images.hostile.kit import MEBIBYTE, Builder, Hostile


def _cut(size: int, *costs: str) -> Builder:
    def build(folder: Path) -> Hostile:
        image = Ext(folder)
        os.truncate(image.path, size)
        return Hostile(image.path, keeps=(), statuses=(3, 7), costs=costs)

    return build


def _filled(content: bytes) -> Builder:
    def build(folder: Path) -> Hostile:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "disk.raw"
        path.write_bytes(content * (4 * MEBIBYTE // len(content)))
        return Hostile(path, keeps=(), statuses=(7,), costs=("/",))

    return build


GENERATORS: dict[str, Builder] = {
    "cut-half": _cut(4 * MEBIBYTE),
    "cut-to-inode-table": _cut(300 << 10, "/var/log", "/usr/share/doc"),
    "cut-to-superblock": _cut(2048, "/"),
    "cut-to-a-byte": _cut(1, "/"),
    "zeros": _filled(bytes(4096)),
    "noise": _filled(bytes(range(1, 256)) + b"\x01"),
}
