"""CRC-32C of bytes that end with NUL bytes: most of a directory's block is room that was never used.

Going on over n NUL bytes is a linear map of the 32 bits; those for powers of two are kept as tables.
"""

from functools import lru_cache

from volforensic.evidence.checksum_columns import byte_checksum
from volforensic.evidence.superblocks import crc32c

_ALL_ONES = 0xFFFFFFFF
_FEWEST = 64
"""So few NUL bytes cost less when they are read like any others."""

Map = tuple[list[int], list[int], list[int], list[int]]
"""For each byte of a CRC, the lowest first, what each of its values becomes."""


def padded_crc32c(data: bytes, before: int = 0) -> int:
    """Return the CRC-32C of the bytes, going on from that of the bytes before: ``crc32c``, fast over NUL at the end."""
    used = data.rstrip(b"\0")
    zeros = len(data) - len(used)
    if zeros < _FEWEST:
        return crc32c(data, before)
    found = crc32c(used, before) ^ _ALL_ONES
    for power in range(zeros.bit_length()):
        if zeros >> power & 1:
            first, second, third, fourth = _zeros(power)
            found = first[found & 0xFF] ^ second[found >> 8 & 0xFF] ^ third[found >> 16 & 0xFF] ^ fourth[found >> 24]
    return found ^ _ALL_ONES


def padded_checksum_is_right(data: bytes, place: int) -> bool:
    """Return whether the four bytes at ``place`` are the CRC-32C of the structure with NUL bytes in their place."""
    cleared = data[:place] + bytes(4) + data[place + 4 :]
    return int.from_bytes(data[place : place + 4], "little") == padded_crc32c(cleared)


@lru_cache(maxsize=32)
def _zeros(power: int) -> Map:
    """Return what 2 ** ``power`` NUL bytes make of a CRC."""
    if not power:
        return _map([_one_zero(1 << bit) for bit in range(32)])
    below = _zeros(power - 1)
    return _map([_apply(below, _apply(below, 1 << bit)) for bit in range(32)])


def _one_zero(value: int) -> int:
    return value >> 8 ^ byte_checksum(value & 0xFF)


def _apply(step: Map, value: int) -> int:
    return step[0][value & 0xFF] ^ step[1][value >> 8 & 0xFF] ^ step[2][value >> 16 & 0xFF] ^ step[3][value >> 24]


def _map(bits: list[int]) -> Map:
    """Return the map that makes ``bits[n]`` of bit n."""
    tables = []
    for number in range(4):
        table = [0] * 256
        for value in range(1, 256):
            lowest = value & -value
            table[value] = table[value ^ lowest] ^ bits[8 * number + lowest.bit_length() - 1]
        tables.append(table)
    return tables[0], tables[1], tables[2], tables[3]
