"""Extents and block maps that lie: circles, fan-outs, overlaps, places that are none (hostile-inputs 4.5)."""

import struct
from pathlib import Path

from images.hostile.ext_disk import BLOCK, Ext, extent_header, extent_index, extent_leaf
from images.hostile.kit import Builder, Hostile


def _extent_loop(folder: Path) -> Hostile:
    image = Ext(folder)
    free = image.free_block()
    image.set_extents("/var/log/auth.log", extent_header(1, 4, 1) + extent_index(0, free))
    image.write(free * BLOCK, extent_header(1, 84, 1) + extent_index(0, free))
    return Hostile(image.path, says="auth.log", costs=("/var/log/auth.log",))


def _extent_depth(folder: Path) -> Hostile:
    image = Ext(folder)
    image.set_extents("/var/log/auth.log", extent_header(1, 4, 65535) + extent_index(0, image.free_block()))
    return Hostile(image.path, says="auth.log", costs=("/var/log/auth.log",))


def _extent_fan_out(folder: Path) -> Hostile:
    image = Ext(folder)
    free = image.free_block()
    image.set_extents("/var/log/auth.log", extent_header(4, 4, 5) + b"".join(extent_index(n, free) for n in range(4)))
    for depth in range(5):
        below = free + depth + 1
        image.write(
            (free + depth) * BLOCK,
            extent_header(84, 84, 4 - depth) + b"".join(extent_index(n, below) for n in range(84)),
        )
    image.debugfs("set_inode_field /var/log/auth.log size 1073741824")
    return Hostile(image.path, says="auth.log", costs=("/var/log/auth.log",))


def _extent_overfull(folder: Path) -> Hostile:
    image = Ext(folder)
    block = image.block("/var/log/auth.log")
    image.set_extents("/var/log/auth.log", extent_header(65535, 65535, 0) + extent_leaf(0, 20, block))
    return Hostile(image.path, says="auth.log", costs=("/var/log/auth.log",))


def _extent_beyond(folder: Path) -> Hostile:
    image = Ext(folder)
    image.set_extents("/var/log/auth.log", extent_header(1, 4, 0) + extent_leaf(0, 20, 1 << 40))
    return Hostile(image.path, says="auth.log", costs=("/var/log/auth.log",))


def _extents_overlapping(folder: Path) -> Hostile:
    image = Ext(folder)
    block = image.block("/var/log/auth.log")
    leaves = [extent_leaf(0, 17, block), extent_leaf(2, 5, block), extent_leaf(1, 9, block), extent_leaf(0, 17, block)]
    image.set_extents("/var/log/auth.log", extent_header(4, 4, 0) + b"".join(leaves))
    return Hostile(image.path, says="auth.log", costs=("/var/log/auth.log",))


def _extent_magic(folder: Path) -> Hostile:
    image = Ext(folder)
    image.set_extents("/var/log/auth.log", b"\xff" * 60)
    return Hostile(image.path, says="auth.log", costs=("/var/log/auth.log",))


def _indirect_loop(place: int) -> Builder:
    def build(folder: Path) -> Hostile:
        image = Ext(folder, kind="ext2", features="^resize_inode")
        free = image.free_block()
        image.write(free * BLOCK, struct.pack("<I", free) * (BLOCK // 4))
        image.write(image.inode("/var/log/auth.log") + 40 + place * 4, struct.pack("<I", free))
        image.debugfs("set_inode_field /var/log/auth.log size 8589934592")
        return Hostile(image.path, says="auth.log", costs=("/var/log/auth.log",))

    return build


GENERATORS: dict[str, Builder] = {
    "extent-loop": _extent_loop,
    "extent-depth-65535": _extent_depth,
    "extent-fan-out": _extent_fan_out,
    "extent-more-than-most": _extent_overfull,
    "extent-beyond-the-end": _extent_beyond,
    "extents-overlapping": _extents_overlapping,
    "extent-magic-wrong": _extent_magic,
    "indirect-loop-single": _indirect_loop(12),
    "indirect-loop-double": _indirect_loop(13),
    "indirect-loop-triple": _indirect_loop(14),
}
