"""Directories and names: circles, chains that break, names that no kernel writes (hostile-inputs 4.6)."""

import struct
from pathlib import Path

from images.hostile.ext_disk import BLOCK, Ext
from images.hostile.kit import Builder, Hostile


def _directory_cycle(folder: Path) -> Hostile:
    image = Ext(folder)
    image.debugfs("ln <2> /home/alice/loop", "ln <2> /home/alice/a/loop", "ln /home /home/alice/a/up", "ln <2> /loop")
    return Hostile(image.path, keeps=("cron", "auth_log"), statuses=(0, 3))


def _record_length(value: int) -> Builder:
    def build(folder: Path) -> Hostile:
        image = Ext(folder)
        start = image.block("/usr/share/doc") * BLOCK
        image.write(start + 24 + 4, struct.pack("<H", value))
        return Hostile(image.path, keeps=("cron", "auth_log"), says="/usr/share/doc")

    return build


def _inode_out_of_range(value: int) -> Builder:
    def build(folder: Path) -> Hostile:
        image = Ext(folder)
        start = image.block("/usr/share/doc") * BLOCK
        image.write(start + 24, struct.pack("<I", value))
        costs = ("/usr/share/doc/one",)
        return Hostile(image.path, keeps=("cron", "auth_log"), says="/usr/share/doc", costs=costs)

    return build


def _odd_names(folder: Path) -> Hostile:
    image = Ext(folder)
    names = [f"name{number:04}" for number in range(10)]
    image.debugfs("mkdir /odd", "cd /odd", *(f"write /etc/hostname {name}" for name in names))
    odd = [b"na\x00e0000", b"../../et", b"\x1b]52;c;0", b"\xff\xfeABCDEF", b"new\nline", b"dup00000", b"dup00000"]
    odd += [b"=cmd()!A", b"-rf / ..", b"\xe2\x80\xaeabcde"]
    for name, new in zip(names, odd, strict=True):
        image.rename_in_place("/odd", name.encode(), new)
    return Hostile(image.path, keeps=("cron", "auth_log"), statuses=(0, 3))


def _dot_dot_file(folder: Path) -> Hostile:
    image = Ext(folder)
    image.debugfs("mkdir /odd", "cd /odd", "write /etc/hostname zz", "write /etc/hostname z")
    image.rename_in_place("/odd", b"zz", b"..")
    return Hostile(image.path, keeps=("cron", "auth_log"), statuses=(0, 3))


def _deep(folder: Path) -> Hostile:
    image = Ext(folder)
    lines = ["mkdir /odd", "cd /odd"]
    for _ in range(1500):
        lines += ["mkdir d", "cd d"]
    image.debugfs(*lines)
    return Hostile(image.path, keeps=("cron", "auth_log"), statuses=(0, 3))


GENERATORS: dict[str, Builder] = {
    "directory-cycle": _directory_cycle,
    "record-length-0": _record_length(0),
    "record-length-odd": _record_length(7),
    "record-length-65535": _record_length(65535),
    "inode-out-of-range": _inode_out_of_range(0xFFFFFFF0),
    "inode-one-too-high": _inode_out_of_range(2049),
    "odd-names": _odd_names,
    "file-named-dot-dot": _dot_dot_file,
    "deep-directories": _deep,
}
