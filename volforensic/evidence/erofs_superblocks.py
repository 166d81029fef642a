"""The superblock of an erofs: its fields, its checksum, the features that it names.

Source: the kernel's fs/erofs/erofs_fs.h (erofs_super_block, EROFS_FEATURE_*) and super.c; Documentation/filesystems/
erofs.rst. There is one superblock, at byte 1024, and no copy of it.
"""

import struct
from typing import NamedTuple

from volforensic.evidence.bad_sectors import around
from volforensic.evidence.reader import Window
from volforensic.evidence.superblocks import UNKNOWN_FEATURES, crc32c

PLACE = 1024
MAGIC = b"\xe2\xe1\xf5\xe0"
_FIELDS = struct.Struct("<4xIIBBHQqIIII16s16sIHHHBBIQ4xI8x8x")
_SLOT, _SIZE, _METABOX = 16, 128, 128
_SMALLEST, _LARGEST = 9, 16
_ALL_ONES = 0xFFFFFFFF
_CHECKSUM = 0x1
SHARED_IN_METABOX, PLAIN_PREFIXES = 0x8, 0x10
"""Compatible features: shared attributes stand in the metabox; the prefixes of names stand on the disk as they are."""
ZERO_PADDING, CONFIGURED, DEVICES, FRAGMENTS, WIDE, METABOX = 0x1, 0x2, 0x8, 0x20, 0x80, 0x100
"""Incompatible features: compressed bytes end their cluster (zeros before them); compression is configured; there is a
table of devices; files' ends in the packed inode; 48 bits for blocks; metadata in an inode."""
_KNOWN = 0x1FF


class ErofsSuperblock(NamedTuple):
    """The superblock of an erofs. Blocks are counted from the volume's begin, ``epoch`` in seconds since 1970."""

    checksum: int
    compatible: int
    block_log: int
    slots: int
    root: int
    inodes: int
    epoch: int
    nanoseconds: int
    blocks: int
    metadata_block: int
    attribute_block: int
    uuid: bytes
    label: bytes
    incompatible: int
    algorithms: int
    devices: int
    device_slot: int
    directory_log: int
    prefixes: int
    prefix_start: int
    packed: int
    built: int
    metabox: int = 0
    is_sound: bool = True

    @property
    def block_size(self) -> int:
        """Bytes of a block."""
        return 1 << self.block_log

    @property
    def size(self) -> int:
        """Bytes that the filesystem has in this volume."""
        return self.blocks << self.block_log


def erofs_superblock(window: Window) -> ErofsSuperblock | None:
    """Return the superblock of an erofs, None where its signature is not there or its bytes are cut."""
    window = around(window)
    raw = window.read_at(PLACE, _SIZE + _SLOT)
    if not raw.startswith(MAGIC) or len(raw) < _SIZE:
        return None
    found = ErofsSuperblock(*_FIELDS.unpack_from(raw))
    wide_root = struct.unpack_from("<Q", raw, 0x70)[0]
    if found.incompatible & WIDE and wide_root:
        found = found._replace(root=wide_root, blocks=found.root << 32 | found.blocks)
    if len(raw) >= _METABOX + 8 and found.slots:
        found = found._replace(metabox=struct.unpack_from("<Q", raw, _METABOX)[0])
    if found.compatible & _CHECKSUM and _SMALLEST <= found.block_log <= _LARGEST:
        found = found._replace(is_sound=_checksum(window, found.block_size) == found.checksum)
    return found


def _checksum(window: Window, block_size: int) -> int:
    """Return the CRC-32C of the rest of the superblock's block (of a whole one, if it is small), not inverted."""
    raw = window.read_at(PLACE, block_size - PLACE if block_size > PLACE else block_size)
    return crc32c(raw[:4] + bytes(4) + raw[8:]) ^ _ALL_ONES


def erofs_fault(found: ErofsSuperblock) -> str:
    """Return why an erofs with this superblock cannot be read, "" where it can."""
    if not _SMALLEST <= found.block_log <= _LARGEST:
        return f"its superblock says blocks of 2^{found.block_log} bytes"
    if found.block_log + found.directory_log > _LARGEST:
        return f"its superblock says directory blocks of 2^{found.block_log + found.directory_log} bytes"
    if found.incompatible & ~_KNOWN:
        return f"{UNKNOWN_FEATURES}: {found.incompatible & ~_KNOWN:#x}"
    if found.incompatible & METABOX and (not found.slots or found.metabox >> 63):
        return "its superblock does not say where its metadata is (metabox)"
    return ""


def erofs_remark(found: ErofsSuperblock) -> str:
    """Return what is damaged in the superblock, "" for nothing."""
    return "" if found.is_sound else "the checksum of the superblock and of the rest of its block is wrong"
