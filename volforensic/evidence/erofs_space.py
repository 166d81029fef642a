"""The bytes of an erofs by their place: the volume, the devices beside it, metadata within bounds.

Source: the kernel's fs/erofs/data.c (erofs_map_dev) and erofs_fs.h (erofs_deviceslot). Where only the first of several
devices is given, the kernel takes the others as following in it at the blocks that the table of devices names
(its flat mode); so does this.
"""

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from volforensic.evidence.bad_sectors import read_around
from volforensic.evidence.erofs_superblocks import DEVICES, ErofsSuperblock, erofs_fault, erofs_superblock
from volforensic.evidence.reader import Window

_SEGMENT = 64 << 10
_KEPT = 64
_SLOT = struct.Struct("<64sIIIH50x")


class ErofsError(ValueError):
    """A structure of an erofs is not what it can be."""


class Metadata(NamedTuple):
    """Where inodes and what follows them stand: the volume or the metabox. ``read`` gives all bytes or ErofsError."""

    read: Callable[[int, int], bytes]
    size: int
    is_metabox: bool = False


class Device(NamedTuple):
    """A device beside the first: its tag, its blocks, the block at which it follows (0: nowhere)."""

    tag: str
    blocks: int
    start: int


class ErofsSpace:
    """An erofs' superblock and its bytes."""

    def __init__(self, window: Window) -> None:
        """Read the superblock; ErofsError where it says what cannot be, or what is not read here."""
        superblock = erofs_superblock(window)
        if superblock is None:
            raise ErofsError("there is no superblock of an erofs")
        if fault := erofs_fault(superblock):
            raise ErofsError(fault)
        self.superblock: ErofsSuperblock = superblock
        self.window = window
        self.metadata = Metadata(self.raw, window.length)
        self._segment = lru_cache(_KEPT)(self._read_segment)
        self.devices, self.device_fault = self._read_devices()

    def raw(self, place: int, size: int) -> bytes:
        """Return bytes of the volume, small ones from a cache; ErofsError where they do not read or lie outside."""
        index, offset = divmod(place, _SEGMENT)
        if 0 <= place <= self.window.length and offset + size <= _SEGMENT:
            data, bad = self._segment(index)
            if not bad and offset + size <= len(data):
                return data[offset : offset + size]
        return self.data(place, size)

    def data(self, place: int, size: int) -> bytes:
        """Return bytes of the volume; ErofsError where they do not read or lie outside."""
        data, bad = read_around(self.window, place, size) if 0 <= place < self.window.length else (b"", [])
        if bad:
            raise ErofsError(f"bytes at {place + bad[0][0]} do not read (read error)")
        if len(data) < size:
            raise ErofsError(f"{size - len(data)} bytes at {place + len(data)} lie outside the volume")
        return data

    def _read_segment(self, index: int) -> tuple[bytes, bool]:
        data, bad = read_around(self.window, index * _SEGMENT, _SEGMENT)
        return data, bool(bad)

    def _read_devices(self) -> tuple[list[Device], str]:
        """Return the devices beside the first, and what is wrong with their table."""
        superblock = self.superblock
        found: list[Device] = []
        if not superblock.incompatible & DEVICES:
            return found, ""
        try:
            for number in range(superblock.devices):
                raw = self.raw((superblock.device_slot + number) * _SLOT.size, _SLOT.size)
                tag, blocks, start, blocks_high, start_high = _SLOT.unpack(raw)
                text = tag.rstrip(b"\0").decode("ascii", "backslashreplace")
                found.append(Device(text, blocks_high << 32 | blocks, start_high << 32 | start))
        except ErofsError as error:
            return found, f"the table of its {superblock.devices} further devices is cut: {error}"
        return found, ""

    def place_of(self, block: int, device: int) -> int:
        """Return the byte of the volume at which a block of a device stands; ErofsError where that is not here."""
        device &= (1 << self.superblock.devices.bit_length()) - 1 if self.superblock.incompatible & DEVICES else 0
        if device:
            if device > len(self.devices):
                raise ErofsError(f"its bytes lie on device {device} of {len(self.devices)}")
            if not self.devices[device - 1].start:
                raise self._missing(device)
            block += self.devices[device - 1].start
        place = block << self.superblock.block_log
        if place >= self.window.length:
            for number, (_, blocks, start) in enumerate(self.devices, 1):
                if number == device or (start and start <= block < start + blocks):
                    raise self._missing(number)
        return place

    def _missing(self, device: int) -> ErofsError:
        tag = self.devices[device - 1].tag
        return ErofsError(f"its bytes lie on device {device}{f' ({tag})' if tag else ''}, which is not in this volume")
