"""Ciphers of sectors as dm-crypt spells them: AES in XTS, CBC and ECB, many sectors at a time.

Sources: the kernel's drivers/md/dm-crypt.c (how the number of a sector becomes its IV), crypto/essiv.c, and IEEE
1619 for XTS. Python pays by the call, not by the byte: a run of sectors goes through AES in one call as plain blocks
(ECB), and what the mode puts between them, all tweaks or all previous blocks, is one XOR of long integers.
"""

import hashlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from Crypto.Cipher import AES

SECTOR = 512
BLOCK = 16
_RUN = 16 << 10  # bytes in one go: integers of this size stay in the processor's cache
_LANE_SHIFT = 64
"""The most bits by which the lanes of tweaks are shifted at once: what falls out is folded back below bit 128."""

Decrypt = Callable[[bytes, bytes], bytes]
"""Sectors and their IVs (16 bytes each) in, plain sectors out. Their size follows from the two lengths."""
IvMaker = Callable[[range], bytes]
"""Numbers of sectors in, their IVs of 16 bytes each out."""


AES.new(bytes(BLOCK), AES.MODE_ECB)  # loads the modules that it wants: a worker that is locked in can load none


class CipherError(ValueError):
    """A cipher that is not read here, or a key that is none of it."""


class SectorCipher(NamedTuple):
    """How sectors are decrypted, and how their numbers become IVs."""

    decrypt: Decrypt
    ivs: IvMaker

    def __repr__(self) -> str:
        """Hide what holds a key."""
        return "SectorCipher()"

    def read(self, data: bytes, first: int, sector_size: int) -> bytes:
        """Return the plain bytes of whole sectors; ``first`` is the number of the first one in units of 512 bytes."""
        step = sector_size // SECTOR
        parts = []
        position = 0
        while position < len(data):
            count = _run_of((len(data) - position) // sector_size, sector_size)
            start = first + position // SECTOR
            piece = data[position : position + count * sector_size]
            parts.append(self.decrypt(piece, self.ivs(range(start, start + count * step, step))))
            position += len(piece)
        return b"".join(parts)


def sector_cipher(name: str, key: bytes) -> SectorCipher:
    """Return the cipher that dm-crypt calls ``name`` (``aes-xts-plain64``) under the key.

    Raises:
        CipherError: The cipher, its mode or its IV is not read here, or the key's length is none of it.
    """
    if refused := unread_cipher(name):
        raise CipherError(refused)
    _, mode, iv = _parts(name)
    if len(key) not in _KEY_SIZES[mode]:
        raise CipherError(f"a key of {8 * len(key)} bits is none of {name[:64]}")
    return SectorCipher(_MODES[mode](key), _iv_maker(mode, iv, key))


def unread_cipher(name: str) -> str:
    """Return why a cipher is not read here; empty where it is."""
    algorithm, mode, iv = _parts(name)
    if algorithm != "aes" or mode not in _MODES:
        return f"the cipher {name[:64]!a} is not supported: only aes in the modes xts, cbc and ecb is"
    if iv not in _PLAIN_IVS and not (mode == "ecb" and not iv) and not (mode == "cbc" and iv in _ESSIV):
        return f"the cipher {name[:64]!a} is not supported: its IV is none of {', '.join([*_PLAIN_IVS, *_ESSIV])}"
    return ""


def _parts(name: str) -> tuple[str, str, str]:
    algorithm, _, rest = name.partition("-")
    mode, _, iv = rest.partition("-")
    return algorithm, mode, iv


def _run_of(sectors: int, sector_size: int) -> int:
    """Return how many sectors to take at once: a power of two, so that few sizes of tables are ever kept."""
    if sectors < 1:
        raise CipherError("a part of a sector cannot be decrypted")
    return min(_RUN // sector_size, 1 << (sectors.bit_length() - 1))


def _xor(first: bytes | bytearray, second: bytes | bytearray) -> bytes:
    return (int.from_bytes(first, "little") ^ int.from_bytes(second, "little")).to_bytes(len(first), "little")


def _ecb(key: bytes) -> Decrypt:
    cipher: Any = AES.new(key, AES.MODE_ECB)
    return lambda data, _ivs: cipher.decrypt(data)


def _cbc(key: bytes) -> Decrypt:
    cipher: Any = AES.new(key, AES.MODE_ECB)

    def decrypt(data: bytes, ivs: bytes) -> bytes:
        previous = bytearray(BLOCK) + data[:-BLOCK]
        _spread(ivs, previous, len(data) * BLOCK // len(ivs))
        return _xor(cipher.decrypt(data), previous)

    return decrypt


def _xts(key: bytes) -> Decrypt:
    half = len(key) // 2
    cipher: Any = AES.new(key[:half], AES.MODE_ECB)
    tweak: Any = AES.new(key[half:], AES.MODE_ECB)

    def decrypt(data: bytes, ivs: bytes) -> bytes:
        size = len(data)
        tweaks = _tweaks(tweak.encrypt(ivs), size)
        mixed = (int.from_bytes(data, "little") ^ tweaks).to_bytes(size, "little")
        return (int.from_bytes(cipher.decrypt(mixed), "little") ^ tweaks).to_bytes(size, "little")

    return decrypt


_MODES: dict[str, Callable[[bytes], Decrypt]] = {"xts": _xts, "cbc": _cbc, "ecb": _ecb}
_KEY_SIZES = {"xts": (32, 48, 64), "cbc": (16, 24, 32), "ecb": (16, 24, 32)}


def _spread(blocks: bytes, target: bytearray, stride: int) -> None:
    """Put the blocks of 16 bytes at the beginning of every ``stride`` bytes of the target."""
    for place in range(BLOCK):
        target[place::stride] = blocks[place::BLOCK]


class _Doubling(NamedTuple):
    """How the first ``blocks`` tweaks of every sector give as many more: each times x to the power of ``blocks``."""

    kept: int
    carried: int
    shift: int
    times: int
    distance: int


@lru_cache(maxsize=64)
def _doublings(size: int, sector_size: int) -> list[_Doubling]:
    found = []
    blocks = 1
    while blocks * BLOCK < sector_size:
        shift = min(blocks, _LANE_SHIFT)
        low = (1 << (128 - shift)) - 1
        rest = bytes(sector_size - BLOCK * blocks)
        count = size // sector_size
        kept = int.from_bytes((low.to_bytes(BLOCK, "little") * blocks + rest) * count, "little")
        every = int.from_bytes((b"\xff" * BLOCK * blocks + rest) * count, "little")
        found.append(_Doubling(kept, every ^ kept, shift, blocks // shift, 8 * BLOCK * blocks))
        blocks *= 2
    return found


def _tweaks(first: bytes, size: int) -> int:
    """Return the tweaks of all blocks of all sectors as one integer, from the first of each sector.

    The tweak of a sector's block j is its first tweak times x^j in GF(2^128), reduced by x^128 = x^7 + x^2 + x + 1.
    """
    sector_size = size * BLOCK // len(first)
    spread = bytearray(size)
    _spread(first, spread, sector_size)
    tweaks = int.from_bytes(spread, "little")
    for doubling in _doublings(size, sector_size):
        product = tweaks
        for _ in range(doubling.times):
            carry = (product & doubling.carried) >> (128 - doubling.shift)
            product = ((product & doubling.kept) << doubling.shift) ^ (carry << 7) ^ (carry << 2) ^ (carry << 1) ^ carry
        tweaks |= product << doubling.distance
    return tweaks


def _iv_maker(mode: str, iv: str, key: bytes) -> IvMaker:
    if mode == "ecb":
        return lambda numbers: bytes(BLOCK * len(numbers))
    if iv in _PLAIN_IVS:
        return _PLAIN_IVS[iv]
    salt = hashlib.new(_ESSIV[iv], key, usedforsecurity=False).digest()
    cipher: Any = AES.new(salt, AES.MODE_ECB)
    return lambda numbers: cipher.encrypt(_plain64(numbers))


def _plain(numbers: range) -> bytes:
    return b"".join([(number & 0xFFFFFFFF).to_bytes(BLOCK, "little") for number in numbers])


def _plain64(numbers: range) -> bytes:
    return b"".join([(number & 0xFFFFFFFFFFFFFFFF).to_bytes(BLOCK, "little") for number in numbers])


def _plain64be(numbers: range) -> bytes:
    return b"".join([(number & 0xFFFFFFFFFFFFFFFF).to_bytes(BLOCK, "big") for number in numbers])


_PLAIN_IVS: dict[str, IvMaker] = {"plain": _plain, "plain64": _plain64, "plain64be": _plain64be}
_ESSIV = {"essiv:sha256": "sha256", "essiv:md5": "md5"}
"""Hashes whose digests are keys of AES; SHA-1's are not."""
