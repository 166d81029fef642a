"""The header of LUKS version 1. Source: LUKS On-Disk Format Specification 1.2.3; all numbers are big-endian."""

import struct

from volforensic.evidence.reader import Window
from volforensic.evidence.volumes.luks_header import (
    SECTOR,
    Digest,
    Header,
    Kdf,
    Keyslot,
    LuksError,
    Segment,
    checked_keyslot,
    printable,
)

MAGIC = b"LUKS\xba\xbe"
_HEAD = struct.Struct(">6sH32s32s32sII20s32sI40s")
_KEYSLOT = struct.Struct(">II32sII")
_SLOTS, _SIZE = 8, 592
_ENABLED, _DISABLED = 0x00AC71F3, 0x0000DEAD


def read_luks1(window: Window) -> Header:
    """Return what the header at the window's begin says.

    Raises:
        LuksError: It is none of version 1, or what it says of the whole cannot be.
        OSError: Its bytes cannot be had.
    """
    raw = window.read_at(0, _SIZE)
    if len(raw) < _SIZE:
        raise LuksError("the header is cut")
    magic, version, name, mode, hash_name, payload, key_size, value, salt, iterations, uuid = _HEAD.unpack_from(raw)
    if magic != MAGIC or version != 1:
        raise LuksError("there is no header of LUKS1")
    cipher = f"{printable(name)}-{printable(mode)}"
    algorithm = printable(hash_name)
    faults: list[str] = []
    keyslots = _keyslots(raw, cipher, algorithm, key_size, faults)
    kdf = Kdf(kind="pbkdf2", salt=salt, iterations=iterations, hash=algorithm)
    digest = Digest(0, kdf, value, tuple(keyslot.number for keyslot in keyslots), (0,))
    unread = [] if payload else ["its header is detached: the data are on another device"]
    segment = Segment(number=0, kind="crypt", offset=payload * SECTOR, length=None, cipher=cipher)
    return Header(1, printable(uuid), "", keyslots, [digest], [segment], faults, unread)


def _keyslots(raw: bytes, cipher: str, algorithm: str, key_size: int, faults: list[str]) -> list[Keyslot]:
    found = []
    for number in range(_SLOTS):
        state, iterations, salt, sector, stripes = _KEYSLOT.unpack_from(raw, _HEAD.size + number * _KEYSLOT.size)
        if state == _DISABLED:
            continue
        kdf = Kdf(kind="pbkdf2", salt=salt, iterations=iterations, hash=algorithm)
        keyslot = Keyslot(number, key_size, sector * SECTOR, cipher, key_size, stripes, algorithm, kdf)
        if state != _ENABLED:
            faults.append(f"keyslot {number} is neither in use nor free: it is taken for one in use")
        try:
            found.append(checked_keyslot(keyslot))
        except LuksError as error:
            faults.append(str(error))
    return found
