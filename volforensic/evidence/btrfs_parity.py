"""What parity gives back of a row of stripes: RAID 5 and 6 as the kernel writes them.

Source: the kernel's lib/raid6/algos.c and recov.c: P is the sum of the data columns, Q the sum of column n times 2**n
in the field of 256 elements whose polynomial is 0x11d.
"""

from collections.abc import Sequence
from functools import lru_cache

_POLYNOMIAL = 0x11D
_ORDER = 255


def rebuilt(data: Sequence[bytes | None], parity: Sequence[bytes | None], wanted: int) -> bytes | None:
    """Return the column ``wanted`` from the others and P (and Q); None where too much is missing. All are as long."""
    missing = [index for index, column in enumerate(data) if column is None or index == wanted]
    sum_p = parity[0] if parity else None
    sum_q = parity[1] if len(parity) > 1 else None
    others = [(index, column) for index, column in enumerate(data) if column is not None and index != wanted]
    if len(missing) == 1 and sum_p is not None:
        return _sum([sum_p, *(column for _, column in others)])
    if sum_q is None or len(missing) > 2:
        return None
    rest_q = _sum([sum_q, *(_times(column, index) for index, column in others)])
    if len(missing) == 1:
        return _times(rest_q, -wanted)
    if sum_p is None:
        return None
    other = missing[0] if missing[1] == wanted else missing[1]
    rest_p = _sum([sum_p, *(column for _, column in others)])
    distance = other - wanted
    both = _sum([_times(rest_q, -wanted), _times(rest_p, distance)])
    return _times(both, -_logarithm(1 ^ _power(distance)))


def _sum(columns: Sequence[bytes]) -> bytes:
    total = 0
    for column in columns:
        total ^= int.from_bytes(column, "little")
    return total.to_bytes(len(columns[0]), "little")


def _times(column: bytes, exponent: int) -> bytes:
    """Return every byte times 2 to the exponent."""
    return column if not exponent % _ORDER else column.translate(_table(exponent % _ORDER))


@lru_cache(maxsize=_ORDER)
def _table(exponent: int) -> bytes:
    return bytes([0, *(_power(_logarithm(value) + exponent) for value in range(1, 256))])


@lru_cache(maxsize=1)
def _powers() -> tuple[int, ...]:
    found, value = [], 1
    for _ in range(_ORDER):
        found.append(value)
        value = value << 1 ^ (_POLYNOMIAL if value & 0x80 else 0)
    return tuple(found)


def _power(exponent: int) -> int:
    return _powers()[exponent % _ORDER]


def _logarithm(value: int) -> int:
    return _powers().index(value)
