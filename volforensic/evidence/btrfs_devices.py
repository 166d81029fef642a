"""The devices of a btrfs: their superblocks, which of them belong together, which was written last.

Source: the kernel's include/uapi/linux/btrfs_tree.h (btrfs_super_block, btrfs_dev_item). A device that was away while
the others were written has an older generation: its copies come last.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from volforensic.evidence.devices import DeviceRange
from volforensic.evidence.reader import Window
from volforensic.evidence.superblocks import btrfs_superblock

_BACKUPS = range(2859, 2859 + 4 * 168, 168)  # super_roots: earlier roots of the root tree, each with its transaction


class BtrfsError(ValueError):
    """A structure of the filesystem cannot be what it says."""


class Superblock(NamedTuple):
    """What a superblock says: logical addresses, sizes in bytes, the device's number, the system chunks.

    ``identity`` is the filesystem's UUID, ``features`` are the incompatible ones, ``devices`` how many it has.
    ``backups`` are the roots of the last transactions: the address of a block, the transaction.
    """

    identity: bytes
    generation: int
    root: int
    chunk_root: int
    chunk_root_generation: int
    sector_size: int
    block_size: int
    features: int
    checksum_type: int
    devices: int
    device: int
    system_chunks: bytes
    backups: tuple[tuple[int, int], ...] = ()


class PresentDevice(NamedTuple):
    """A device that is there and what its superblock says."""

    place: DeviceRange
    superblock: Superblock


def read_superblock(window: Window) -> Superblock:
    """Return the superblock that is right, or the first that has a signature."""
    found = btrfs_superblock(window)
    if found is None:
        raise BtrfsError("no superblock of a btrfs")
    raw = found.raw
    generation, root, chunk_root = struct.unpack_from("<QQQ", raw, 72)
    devices, sector_size, block_size, _, _, array_size, chunk_generation = struct.unpack_from("<Q5IQ", raw, 136)
    features, checksum_type = struct.unpack_from("<QH", raw, 188)
    return Superblock(
        identity=raw[32:48],
        generation=generation,
        root=root,
        chunk_root=chunk_root,
        chunk_root_generation=chunk_generation,
        sector_size=sector_size,
        block_size=block_size,
        features=features,
        checksum_type=checksum_type,
        devices=devices,
        device=struct.unpack_from("<Q", raw, 201)[0],
        system_chunks=raw[811 : 811 + min(array_size, 2048)],
        backups=tuple(struct.unpack_from("<QQ", raw, place) for place in _BACKUPS),
    )


def present_devices(window: Window, devices: Sequence[DeviceRange]) -> Iterator[PresentDevice]:
    """Yield the devices of the window's filesystem, that which was written last first; BtrfsError where it is none.

    A range whose superblock is of another filesystem, or says another number than the range, is none of them.
    """
    own = read_superblock(window)
    here = PresentDevice(DeviceRange(number=own.device, offset=window.offset, length=window.length), own)
    found = {own.device: here}
    for place in devices:
        try:
            superblock = read_superblock(Window(window.medium, place.offset, place.length))
        except (BtrfsError, OSError):
            continue
        if superblock.identity == own.identity and superblock.device == place.number:
            found.setdefault(place.number, PresentDevice(place, superblock))
    yield from sorted(found.values(), key=lambda device: -device.superblock.generation)
