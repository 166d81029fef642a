"""Inodes: types, sizes, times and attributes that cannot be (hostile-inputs 4.4)."""

import struct
from pathlib import Path

from images.hostile.ext_disk import Ext
from images.hostile.kit import Builder, Hostile


def _root_is_file(folder: Path) -> Hostile:
    image = Ext(folder)
    image.debugfs("set_inode_field <2> mode 0100644")
    return Hostile(image.path, keeps=(), says="root", statuses=(3, 7))


def _odd_inodes(folder: Path) -> Hostile:
    image = Ext(folder)
    image.debugfs(
        "set_inode_field /usr/share/doc/one mode 0170644",
        "set_inode_field /usr/share/doc/two links_count 0",
        "set_inode_field /etc/hostname uid 4294967295",
        "set_inode_field /home/alice/.bash_history mtime 0xffffffff",
        "set_inode_field /home/alice/.bash_history mtime_extra 0xffffffff",
        "set_inode_field /home/alice/.bash_history crtime_extra 0xffffffff",
        "set_inode_field /bin/tool generation 0xffffffff",
    )
    return Hostile(image.path, keeps=("cron", "auth_log"), statuses=(0, 3), costs=("/usr/share/doc/one",))


def _odd_attributes(folder: Path) -> Hostile:
    image = Ext(folder)
    image.debugfs("ea_set /etc/passwd user.x aaaa", f"ea_set /etc/hostname user.y {'b' * 300}")
    image.write(image.inode("/etc/passwd") + 128 + 32 + 4 + 2, b"\xff" * 12)
    image.write(image.inode("/etc/hostname") + 104, struct.pack("<I", 0xFFFFFFFF))
    return Hostile(image.path, keeps=("cron", "auth_log"), statuses=(0, 3))


def _inline_data(folder: Path) -> Hostile:
    image = Ext(folder, features="^metadata_csum,^has_journal,inline_data")
    return Hostile(image.path, keeps=("cron", "auth_log"), statuses=(0,), costs=("/bin/tool",))


GENERATORS: dict[str, Builder] = {
    "root-is-a-file": _root_is_file,
    "odd-inodes": _odd_inodes,
    "odd-attributes": _odd_attributes,
    "inline-data": _inline_data,
}
