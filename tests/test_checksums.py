"""The two fast ways to a CRC-32C against the plain one."""

import random

import pytest

from volforensic.evidence.checksum_columns import wrong_checksums
from volforensic.evidence.checksum_zeros import padded_crc32c
from volforensic.evidence.superblocks import crc32c

_ALL_ONES = 0xFFFFFFFF


def test_the_checksum_of_the_standard() -> None:
    assert crc32c(b"123456789") == 0xE3069283  # RFC 3720, appendix B.4 gives the same polynomial's values
    assert padded_crc32c(b"123456789") == 0xE3069283
    assert padded_crc32c(bytes(32)) == 0x8A9136AA


@pytest.mark.parametrize("zeros", [0, 1, 63, 64, 65, 100, 255, 1000, 4084, 65_000])
def test_nul_bytes_at_the_end_count(zeros: int) -> None:
    chance = random.Random(zeros)  # noqa: S311 - no secret: the same each time
    for used in (0, 1, 40, 500):
        data = chance.randbytes(used) + bytes(zeros)
        before = chance.getrandbits(32)
        assert padded_crc32c(data, before) == crc32c(data, before)


@pytest.mark.parametrize("count", [1, 2, 63, 512])
def test_records_whose_checksum_is_wrong_are_told_from_those_whose_is_right(count: int) -> None:
    chance = random.Random(count)  # noqa: S311 - no secret: the same each time
    length, seed = 100, chance.getrandbits(32)
    fixed = chance.randbytes(30) + bytes(40)
    records = [fixed + chance.randbytes(30) for _ in range(count)]
    checksums = [crc32c(record, seed) ^ _ALL_ONES for record in records]
    wrong = {number for number in range(count) if chance.random() < 0.3}
    for number in wrong:
        checksums[number] ^= 1 << chance.randrange(32)
    columns = [bytes(record[place] for record in records) for place in range(length)]
    columns[50] = b""  # all NUL, and said to be so
    stored = [bytes(checksum >> shift & 0xFF for checksum in checksums) for shift in (0, 8, 16, 24)]
    found = wrong_checksums(columns, stored, seed)
    assert {number for number, verdict in enumerate(found) if verdict} == wrong
