"""Keys of LUKS: a passphrase opens a keyslot's key material, the material merges to a volume key, a digest proves it.

Sources: the LUKS specifications (as in ``luks_header.py``), RFC 8018 (PBKDF2), RFC 9106 (Argon2), and C. Fruhwirth,
"TKS1", for the anti-forensic splitter. What a key derivation may cost is bounded before it begins: a header is an
adversary's.
"""

import errno
import hashlib
import hmac
import struct
from typing import NamedTuple

from dissect.fve.crypto import argon2

from volforensic.evidence.reader import Window
from volforensic.evidence.volumes.ciphers import sector_cipher
from volforensic.evidence.volumes.luks_header import SECTOR, Digest, Kdf, Keyslot, LuksError
from volforensic.evidence.volumes.unlock_messages import MOST_MEMORY, MOST_SECONDS

_ROUNDS_A_SECOND = 1_000_000
"""PBKDF2 rounds that a processor does in a second, at least: SHA-1 to SHA-512 do 2.5 to 5.5 million on ours."""
_KIBIBYTES_A_SECOND = 1_000_000
"""KiB of Argon2 that it fills in a second; 1.4 million on ours."""
_MOST_LANES = 64
_SHORTEST_SALT, _LONGEST_SALT = 8, 4096
_SHORTEST_DIGEST, _LONGEST_DIGEST = 16, 64
_HASHES = {
    "sha1": "sha1", "sha224": "sha224", "sha256": "sha256", "sha384": "sha384", "sha512": "sha512",
    "ripemd160": "ripemd160", "sm3": "sm3", "whirlpool": "whirlpool",
    "blake2b-512": "blake2b", "blake2s-256": "blake2s",
    "sha3-224": "sha3_224", "sha3-256": "sha3_256", "sha3-384": "sha3_384", "sha3-512": "sha3_512",
}  # fmt: skip
"""Hashes as cryptsetup names them, and as hashlib does: where the host's OpenSSL has them."""


class Allowance(NamedTuple):
    """What one key derivation may cost: seconds of a processor (estimated), bytes of memory."""

    seconds: float = MOST_SECONDS
    memory: int = MOST_MEMORY


def estimated_seconds(kdf: Kdf, size: int) -> float:
    """Return about how long it takes to derive ``size`` bytes.

    Raises:
        LuksError: Its numbers cannot be, or its hash is not to be had here.
    """
    if not _SHORTEST_SALT <= len(kdf.salt) <= _LONGEST_SALT or kdf.iterations < 1:
        raise LuksError(f"its {kdf.kind} has {kdf.iterations} iterations and a salt of {len(kdf.salt)} bytes")
    if kdf.kind == "pbkdf2":
        blocks = -(-size // hashlib.new(hash_name(kdf.hash), usedforsecurity=False).digest_size)
        return kdf.iterations * blocks / _ROUNDS_A_SECOND
    if not 1 <= kdf.lanes <= _MOST_LANES or kdf.memory < 8 * kdf.lanes:
        raise LuksError(f"its {kdf.kind} has {kdf.lanes} lanes and {kdf.memory} KiB of memory")
    return kdf.iterations * kdf.memory / _KIBIBYTES_A_SECOND


def hash_name(name: str) -> str:
    """Return hashlib's name of a hash; LuksError where it is not known, or the host's OpenSSL lacks it."""
    known = _HASHES.get(name.lower(), "")
    try:
        hashlib.new(known, usedforsecurity=False)
    except ValueError as error:
        raise LuksError(f"the hash {name[:32]!a} is not to be had here") from error
    return known


def check_cost(kdf: Kdf, size: int, allowance: Allowance) -> float:
    """Return the estimated seconds; LuksError that names the cap where the derivation would cost more than allowed."""
    if kdf.memory > allowance.memory >> 10:
        raise LuksError(f"its {kdf.kind} wants {kdf.memory >> 10} MiB of memory, of {allowance.memory >> 20} allowed")
    seconds = estimated_seconds(kdf, size)
    if seconds > allowance.seconds:
        wanted = f"{kdf.iterations} iterations, about {seconds:.0f} seconds"
        raise LuksError(f"its {kdf.kind} wants {wanted}, of {allowance.seconds} allowed")
    return seconds


def derive(kdf: Kdf, secret: bytes, size: int) -> bytes:
    """Return ``size`` bytes derived from the secret; MemoryError where Argon2's memory is not to be had."""
    if kdf.kind == "pbkdf2":
        return hashlib.pbkdf2_hmac(hash_name(kdf.hash), secret, kdf.salt, kdf.iterations, size)
    bytearray(kdf.memory << 10)  # the library aborts the process where it gets none; this only raises
    derived: bytes = argon2.hash_secret_raw(
        secret, kdf.salt, kdf.iterations, kdf.memory, kdf.lanes, size, kdf.kind
    )  # fmt: skip
    return derived


def open_keyslot(window: Window, keyslot: Keyslot, secret: bytes) -> bytes:
    """Return the key that the keyslot holds under the secret, right or wrong: a digest tells.

    Raises:
        LuksError, CipherError: Its hash or cipher is not to be had here.
        OSError: Its key material cannot be read.
        MemoryError: There is too little memory for its Argon2.
    """
    size = keyslot.key_size * keyslot.stripes
    rounded = -(-size // SECTOR) * SECTOR
    raw = window.read_at(keyslot.offset, rounded)
    if len(raw) < rounded:
        raise OSError(errno.EIO, "its key material ends outside the volume")
    hash_name(keyslot.split_hash)
    key = derive(keyslot.kdf, secret, keyslot.area_key_size)
    material = sector_cipher(keyslot.cipher, key).read(raw, 0, SECTOR)
    return merge(material[:size], keyslot.stripes, keyslot.split_hash)


def merge(material: bytes, stripes: int, split_hash: str) -> bytes:
    """Return what the anti-forensic splitter had split into the stripes."""
    size = len(material) // stripes
    algorithm = hash_name(split_hash)
    merged = bytes(size)
    for stripe in range(stripes - 1):
        merged = _diffused(_xor(merged, material[stripe * size : (stripe + 1) * size]), algorithm)
    return _xor(merged, material[(stripes - 1) * size :])


def _diffused(block: bytes, algorithm: str) -> bytes:
    width = hashlib.new(algorithm, usedforsecurity=False).digest_size
    parts = []
    for number, start in enumerate(range(0, len(block), width)):
        piece = block[start : start + width]
        numbered = struct.pack(">I", number) + piece
        parts.append(hashlib.new(algorithm, numbered, usedforsecurity=False).digest()[: len(piece)])
    return b"".join(parts)


def _xor(first: bytes, second: bytes) -> bytes:
    return (int.from_bytes(first, "little") ^ int.from_bytes(second, "little")).to_bytes(len(first), "little")


def is_key(digest: Digest, key: bytes) -> bool:
    """Tell whether the digest proves the key. LuksError where the digest is none, or its hash is not to be had."""
    if not _SHORTEST_DIGEST <= len(digest.value) <= _LONGEST_DIGEST:
        raise LuksError(f"the digest of a key has {len(digest.value)} bytes")
    return hmac.compare_digest(derive(digest.kdf, key, len(digest.value)), digest.value)
