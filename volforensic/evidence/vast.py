"""Disks that are far larger than what is stored of them: to hash NUL bytes that nobody wrote can take years.

The size of a disk is whatever its container's header, or the length of a sparse file, says. What is stored of such a
disk is hashed; that the rest was not is told.
"""

import struct
from collections.abc import Iterable

from volforensic.evidence.digests import Digests
from volforensic.record import Problem

_SMALLEST = 64 << 30  # bytes: less is hashed in a minute
_RATIO = 1024
_PLACE = struct.Struct("<Q")


def is_vast(size: int, stored: int) -> bool:
    """Return whether a disk of ``size`` bytes, of which so many are stored, is not hashed from end to end."""
    return size > _SMALLEST and size // _RATIO > stored


def add_block(digest: Digests, position: int, block: memoryview) -> None:
    """Hash a block of a vast disk: its position (8 bytes, little-endian) and its bytes; nothing where all are NUL.

    The holes of the file that it lies in do not matter so: a copy with others has the same hash.
    """
    if block != bytes(len(block)):
        digest.update(memoryview(_PLACE.pack(position)))
        digest.update(block)


def blocks_hashed(size: int, stored: int, block: int) -> Problem:
    """Return what to say of a plain disk that was hashed by ``add_block``."""
    reason = (
        f"it has {size} bytes, and {stored} are stored: the SHA-256 given is not that of all bytes, but of those "
        f"blocks of {block} bytes that are not all NUL, each behind its position (8 bytes, little-endian)"
    )
    return Problem(stage="source", reason=reason, lost=False)


def files_hashed(name: str, size: int, stored: int) -> Problem:
    """Return what to say of a disk in a container of which the files alone were hashed."""
    reason = (
        f"{name}: it says that its disk has {size} bytes, and {stored} are stored: its files were hashed, not the disk"
    )
    return Problem(stage="source", reason=reason, lost=False)


def of_files(hashes: Iterable[str]) -> str:
    """Return what stands for the SHA-256 of an image with such a disk: its one file's, or that of its files' together.

    Several are written in hexadecimal, one after the other, and hashed.
    """
    known = list(hashes)
    if len(known) == 1:
        return known[0]
    digest = Digests(())
    digest.update(memoryview("".join(known).encode()))
    return digest.sha256
