"""CRC-32C of a whole table of records at once: the bytes at one place of all records together, not record by record.

A CRC is linear: what a byte adds to it depends on its value and its place only. So a table of records (the inodes of
ext) is taken apart into columns; a column of one value adds a constant, any other goes through ``bytes.translate``.
Where most columns hold one value this costs a fourth of one call for each record.
"""

from functools import lru_cache

_POLYNOMIAL = 0x82F63B78  # Castagnoli's, its bits reversed
_ALL_ONES = 0xFFFFFFFF

Planes = tuple[bytes, bytes, bytes, bytes]
"""For each value of a byte what it adds to the CRC: one table for each of its four bytes, the lowest first."""


def byte_checksum(value: int) -> int:
    """Return what one byte makes of a CRC of 0."""
    for _ in range(8):
        value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
    return value


def _xor(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one, "little") ^ int.from_bytes(other, "little")).to_bytes(len(one), "little")


@lru_cache(maxsize=4)
def _tables(length: int) -> tuple[Planes, ...]:
    """Return the planes for each place of a record of ``length`` bytes."""
    single = [byte_checksum(value) for value in range(256)]
    first = [bytes(value >> shift & 0xFF for value in single) for shift in (0, 8, 16, 24)]
    planes = (first[0], first[1], first[2], first[3])
    tables = [planes]
    for _ in range(length - 1):  # one byte further from the end: one zero byte more goes through the CRC
        low = planes[0]
        moved = [low.translate(table) for table in first]
        planes = (_xor(planes[1], moved[0]), _xor(planes[2], moved[1]), _xor(planes[3], moved[2]), moved[3])
        tables.append(planes)
    return tuple(reversed(tables))


def wrong_checksums(columns: list[bytes], stored: list[bytes], seed: int) -> bytes:
    """Return a byte for each record: 0 where the CRC-32C that goes on from ``seed`` is its stored one.

    ``columns`` are the bytes of all records at one place, in the order of the places, an empty one where all are NUL;
    ``stored`` are the columns of the checksum as ext stores it, not inverted at the end, its lowest byte first.
    """
    count = len(stored[0])
    tables = _tables(len(columns))
    constant = 0
    sums = [0, 0, 0, 0]
    start = seed ^ _ALL_ONES  # what a CRC begins with acts like its first four bytes
    for place in range(4):
        constant ^= _value(tables[place], start >> 8 * place & 0xFF)
    nothing = bytes(count)
    for planes, column in zip(tables, columns, strict=True):
        if not column or column == nothing:
            continue
        if column == column[:1] * count:
            constant ^= _value(planes, column[0])
            continue
        for number, plane in enumerate(planes):
            sums[number] ^= int.from_bytes(column.translate(plane), "little")
    wrong = 0
    for number, column in enumerate(stored):
        expected = bytes([constant >> 8 * number & 0xFF]) * count
        wrong |= sums[number] ^ int.from_bytes(expected, "little") ^ int.from_bytes(column, "little")
    return wrong.to_bytes(count, "little")


def _value(planes: Planes, byte: int) -> int:
    return planes[0][byte] | planes[1][byte] << 8 | planes[2][byte] << 16 | planes[3][byte] << 24
