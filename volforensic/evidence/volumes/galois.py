"""Whole buffers in the field of RAID 6's Q: GF(2^8) by x^8 + x^4 + x^3 + x^2 + 1, generator x.

Source: H. P. Anvin, "The mathematics of RAID-6". A multiplication by a constant is one translation of bytes.
"""

from functools import lru_cache

_POLYNOMIAL = 0x11D


def power(exponent: int) -> int:
    """Return the generator to a power; the exponent may be negative."""
    value = 1
    for _ in range(exponent % 255):
        value <<= 1
        if value & 0x100:
            value ^= _POLYNOMIAL
    return value


def product(first: int, second: int) -> int:
    """Return the product of two elements."""
    result = 0
    while second:
        if second & 1:
            result ^= first
        first <<= 1
        if first & 0x100:
            first ^= _POLYNOMIAL
        second >>= 1
    return result


def inverse(element: int) -> int:
    """Return the inverse of an element that is not 0: its power of 254."""
    result = 1
    for _ in range(254):
        result = product(result, element)
    return result


@lru_cache(maxsize=256)
def _table(factor: int) -> bytes:
    return bytes(product(factor, element) for element in range(256))


def scaled(data: bytes, factor: int) -> bytes:
    """Return every byte times the factor."""
    return data if factor == 1 else data.translate(_table(factor))


def added(first: bytes, *others: bytes) -> bytes:
    """Return the sum, which is XOR, of buffers of one length."""
    total = int.from_bytes(first, "little")
    for other in others:
        total ^= int.from_bytes(other, "little")
    return total.to_bytes(len(first), "little")
