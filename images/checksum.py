"""CRC-32C (Castagnoli), the checksum of XFS and btrfs metadata."""

_POLYNOMIAL = 0x82F63B78  # reversed, RFC 3720 appendix B.4


def _table() -> tuple[int, ...]:
    entries = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)  # noqa: PLW2901 - the shift register itself
        entries.append(value)
    return tuple(entries)


_TABLE = _table()


def update(register: int, data: bytes) -> int:
    """Return the shift register after ``data``, without inversion at the start or the end."""
    table = _TABLE
    for byte in data:
        register = table[(register ^ byte) & 0xFF] ^ register >> 8
    return register


def crc32c(data: bytes) -> int:
    """Return the CRC-32C of ``data``."""
    return update(0xFFFFFFFF, data) ^ 0xFFFFFFFF
