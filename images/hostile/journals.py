"""Filesystems with a journal: pending changes, checksums (hostile-inputs 4.13)."""

import struct
from pathlib import Path

from images.hostile.ext_disk import Ext
from images.hostile.kit import Builder, Hostile


def _dirty_journal(folder: Path) -> Hostile:
    image = Ext(folder, features="^metadata_csum,has_journal")
    flags = struct.unpack("<I", image.read(1024 + 96, 4))[0]
    image.superblock(96, "<I", flags | 0x4)
    return Hostile(image.path, keeps=("cron", "auth_log"), says="journal")


def _checksummed(folder: Path) -> Hostile:
    image = Ext(folder, features="metadata_csum,has_journal")
    return Hostile(image.path, keeps=("cron", "auth_log"), statuses=(0,))


GENERATORS: dict[str, Builder] = {
    "dirty-journal": _dirty_journal,
    "checksummed": _checksummed,
}
