"""Writes LUKS volumes of both versions around plain bytes, the same bytes each time, without cryptsetup.

Sources: the LUKS On-Disk Format Specifications 1.2.3 and (LUKS2) 1.1.3, IEEE 1619. Made block by block, as the
specifications say it: slow, and another way than the reader's. Key derivations are as cheap as can be.
"""

import base64
import hashlib
import json
import struct
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from Crypto.Cipher import AES
from dissect.fve.crypto import argon2

SECTOR = 512
KEY = hashlib.sha512(b"volume key").digest()
UUID = "12345678-9abc-4def-8123-456789abcdef"
HEADER_SIZE = 16384
_SLOTS = 8
_MAGIC, _SECOND_MAGIC = b"LUKS\xba\xbe", b"SKUL\xba\xbe"


class Recipe(NamedTuple):
    """How a volume is made. ``edit`` may change the JSON of a LUKS2 header before it is written."""

    cipher: str = "aes-xts-plain64"
    key: bytes = KEY
    hash: str = "sha256"
    kdf: str = "pbkdf2"
    iterations: int = 4
    stripes: int = 4
    sector_size: int = SECTOR
    first_sector: int = 0
    edit: Callable[[dict[str, Any]], None] | None = None
    epochs: tuple[int, int] = (3, 3)


USUAL = Recipe()


def encrypted(cipher: str, key: bytes, plain: bytes, first: int = 0, sector_size: int = SECTOR) -> bytes:
    """Return the sectors as dm-crypt writes them; ``first`` is the number of the first one, in units of 512 bytes."""
    _, mode, iv = cipher.split("-")
    parts = []
    for start in range(0, len(plain), sector_size):
        number = first + start // SECTOR
        sector = plain[start : start + sector_size]
        if mode == "cbc":
            parts.append(AES.new(key, AES.MODE_CBC, iv=_iv(iv, key, number)).encrypt(sector))
        else:
            parts.append(_xts(key, _iv(iv, key, number), sector))
    return b"".join(parts)


def _iv(name: str, key: bytes, number: int) -> bytes:
    plain = number.to_bytes(16, "little")
    if name == "plain":
        return plain[:4] + bytes(12)
    if name.startswith("essiv:"):
        return bytes(AES.new(hashlib.new(name[6:], key).digest(), AES.MODE_ECB).encrypt(plain))
    return plain


def _xts(key: bytes, iv: bytes, sector: bytes) -> bytes:
    half = len(key) // 2
    cipher = AES.new(key[:half], AES.MODE_ECB)
    tweak = int.from_bytes(AES.new(key[half:], AES.MODE_ECB).encrypt(iv), "little")
    parts = []
    for start in range(0, len(sector), 16):
        mask = tweak.to_bytes(16, "little")
        block = bytes(a ^ b for a, b in zip(sector[start : start + 16], mask, strict=True))
        parts.append(bytes(a ^ b for a, b in zip(cipher.encrypt(block), mask, strict=True)))
        tweak <<= 1
        if tweak >> 128:
            tweak = tweak & (1 << 128) - 1 ^ 0x87
    return b"".join(parts)


def split(key: bytes, stripes: int, hash_name: str) -> bytes:
    """Return the key split by the anti-forensic splitter, its random stripes made of their numbers."""
    mixed = bytes(len(key))
    parts = []
    for number in range(stripes - 1):
        stripe = _bytes(f"stripe {number}", len(key))
        parts.append(stripe)
        mixed = _diffused(bytes(a ^ b for a, b in zip(mixed, stripe, strict=True)), hash_name)
    parts.append(bytes(a ^ b for a, b in zip(mixed, key, strict=True)))
    return b"".join(parts)


def _diffused(block: bytes, hash_name: str) -> bytes:
    width = hashlib.new(hash_name).digest_size
    pieces = [block[start : start + width] for start in range(0, len(block), width)]
    return b"".join(
        hashlib.new(hash_name, struct.pack(">I", number) + piece).digest()[: len(piece)]
        for number, piece in enumerate(pieces)
    )


def _bytes(label: str, size: int) -> bytes:
    return hashlib.shake_256(label.encode()).digest(size)


def luks1(plain: bytes, passphrases: Sequence[bytes], recipe: Recipe = USUAL) -> bytes:
    """Return a LUKS1 volume that the passphrases open, each in a keyslot of its own."""
    size = len(recipe.key)
    area = -(-size * recipe.stripes // 4096) * 4096
    payload = 4096 + _SLOTS * area  # cryptsetup wants room for those that are free too
    name, mode = recipe.cipher.split("-", 1)
    salt = _bytes("digest", 32)
    proof = hashlib.pbkdf2_hmac(recipe.hash, recipe.key, salt, recipe.iterations, 20)
    header = struct.pack(
        ">6sH32s32s32sII20s32sI40s", _MAGIC, 1, name.encode(), mode.encode(), recipe.hash.encode(), payload // SECTOR,
        size, proof, salt, recipe.iterations, UUID.encode(),
    )  # fmt: skip
    areas = b""
    for slot in range(_SLOTS):
        used = slot < len(passphrases)
        place = (4096 + slot * area) // SECTOR
        salt = _bytes(f"slot {slot}", 32)
        state = 0x00AC71F3 if used else 0x0000DEAD
        header += struct.pack(">II32sII", state, recipe.iterations if used else 0, salt, place, recipe.stripes)
        if used:
            key = hashlib.pbkdf2_hmac(recipe.hash, passphrases[slot], salt, recipe.iterations, size)
            areas += _area(recipe, key).ljust(area, b"\0")
    head = (header.ljust(4096, b"\0") + areas).ljust(payload, b"\0")
    return head + encrypted(recipe.cipher, recipe.key, plain)


def _area(recipe: Recipe, key: bytes) -> bytes:
    material = split(recipe.key, recipe.stripes, recipe.hash)
    padded = material.ljust(-(-len(material) // SECTOR) * SECTOR, b"\0")
    return encrypted(recipe.cipher, key, padded)


def luks2(plain: bytes, passphrases: Sequence[bytes], recipe: Recipe = USUAL) -> bytes:
    """Return a LUKS2 volume that the passphrases open; both copies of its header are there."""
    size = len(recipe.key)
    area = -(-size * recipe.stripes // 4096) * 4096
    payload = 2 * HEADER_SIZE + len(passphrases) * area
    slots, areas = {}, b""
    for slot, passphrase in enumerate(passphrases):
        kdf, key = _kdf(recipe, passphrase, f"slot {slot}")
        slots[str(slot)] = {
            "type": "luks2", "key_size": size, "kdf": kdf,
            "af": {"type": "luks1", "stripes": recipe.stripes, "hash": recipe.hash},
            "area": {"type": "raw", "offset": str(2 * HEADER_SIZE + slot * area), "size": str(area),
                     "encryption": recipe.cipher, "key_size": size},
        }  # fmt: skip
        areas += _area(recipe, key).ljust(area, b"\0")
    text = _text(recipe, slots, payload, len(areas))
    if recipe.edit is not None:
        recipe.edit(text)
    body = json.dumps(text, sort_keys=True).encode()
    copies = [header_copy(body, 0, recipe.epochs[0]), header_copy(body, HEADER_SIZE, recipe.epochs[1])]
    data = encrypted(recipe.cipher, recipe.key, plain, recipe.first_sector, recipe.sector_size)
    return b"".join(copies) + areas + data


def _kdf(recipe: Recipe, passphrase: bytes, label: str) -> tuple[dict[str, Any], bytes]:
    salt = _bytes(label, 32)
    text = base64.b64encode(salt).decode()
    size = len(recipe.key)
    if recipe.kdf == "pbkdf2":
        key = hashlib.pbkdf2_hmac(recipe.hash, passphrase, salt, recipe.iterations, size)
        return {"type": "pbkdf2", "hash": recipe.hash, "iterations": recipe.iterations, "salt": text}, key
    key = argon2.hash_secret_raw(passphrase, salt, recipe.iterations, 32, 1, size, recipe.kdf)
    return {"type": recipe.kdf, "time": recipe.iterations, "memory": 32, "cpus": 1, "salt": text}, key


def _text(recipe: Recipe, slots: dict[str, Any], payload: int, areas: int) -> dict[str, Any]:
    salt = _bytes("digest", 32)
    proof = hashlib.pbkdf2_hmac(recipe.hash, recipe.key, salt, recipe.iterations, 32)
    return {
        "keyslots": slots,
        "tokens": {},
        "segments": {
            "0": {"type": "crypt", "offset": str(payload), "size": "dynamic", "iv_tweak": str(recipe.first_sector),
                  "encryption": recipe.cipher, "sector_size": recipe.sector_size},
        },
        "digests": {
            "0": {"type": "pbkdf2", "keyslots": sorted(slots), "segments": ["0"], "hash": recipe.hash,
                  "iterations": recipe.iterations, "salt": base64.b64encode(salt).decode(),
                  "digest": base64.b64encode(proof).decode()},
        },
        "config": {"json_size": str(HEADER_SIZE - 4096), "keyslots_size": str(areas)},
    }  # fmt: skip


def header_copy(body: bytes, place: int, epoch: int) -> bytes:
    """Return one copy of a LUKS2 header: its binary part with the checksum, its JSON."""
    magic = _SECOND_MAGIC if place else _MAGIC
    binary = struct.pack(
        ">6sHQQ48s32s64s40s48sQ", magic, 2, HEADER_SIZE, epoch, b"", b"sha256", _bytes("header", 64), UUID.encode(),
        b"", place,
    )  # fmt: skip
    raw = bytearray(binary.ljust(4096, b"\0") + body.ljust(HEADER_SIZE - 4096, b"\0"))
    raw[448:480] = hashlib.sha256(raw).digest()
    return bytes(raw)
