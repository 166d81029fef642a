"""Checksums made right again after an edit: what an adversary does who knows the format."""

from images.checksum import crc32c

_BTRFS_CHECKSUM = 32
_XFS_INODE_CHECKSUM = slice(100, 104)


def seal_btrfs(disk: bytearray, place: int, size: int = 16384) -> None:
    """Write the CRC-32C of a btrfs tree block or superblock."""
    checksum = crc32c(bytes(disk[place + _BTRFS_CHECKSUM : place + size]))
    disk[place : place + _BTRFS_CHECKSUM] = checksum.to_bytes(4, "little").ljust(_BTRFS_CHECKSUM, b"\0")


def seal_xfs(disk: bytearray, place: int, size: int, checksum: int) -> None:
    """Write the CRC-32C of an XFS structure of ``size`` bytes; it stands ``checksum`` bytes behind its begin."""
    where = slice(place + checksum, place + checksum + 4)
    disk[where] = bytes(4)
    disk[where] = crc32c(bytes(disk[place : place + size])).to_bytes(4, "little")


def seal_xfs_inode(disk: bytearray, place: int, size: int = 512) -> None:
    """Write the CRC-32C of an XFS inode of version 3."""
    seal_xfs(disk, place, size, _XFS_INODE_CHECKSUM.start)


def seal_erofs(disk: bytearray) -> None:
    """Write the CRC-32C of an erofs' superblock and of the rest of its block."""
    block = max(1 << min(disk[1024 + 12], 16), 2048)
    disk[1028:1032] = bytes(4)
    disk[1028:1032] = (crc32c(bytes(disk[1024:block])) ^ 0xFFFFFFFF).to_bytes(4, "little")
