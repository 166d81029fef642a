"""What a LUKS header says, version 1 or 2, in one form.

Sources: LUKS On-Disk Format Specification 1.2.3 and LUKS2 On-Disk Format Specification 1.1.3 (cryptsetup's project).
"""

from typing import NamedTuple

LARGEST_KEY = 512
"""Bytes: cryptsetup's own limit (LUKS2_... ``MAX_KEY_SIZE``)."""
MOST_STRIPES = 1 << 16
"""cryptsetup always writes 4000."""
SECTOR = 512
_LONGEST_TEXT = 80  # more than any cipher's name: one that is cut is none


class LuksError(ValueError):
    """A structure of a LUKS header is not what it can be, or is not supported."""


class Kdf(NamedTuple):
    """How a passphrase becomes a key: ``pbkdf2`` (hash, iterations) or ``argon2i`` and ``argon2id``.

    ``iterations`` is Argon2's time too, ``memory`` is KiB, ``lanes`` Argon2's parallelism.
    """

    kind: str
    salt: bytes
    iterations: int
    hash: str = ""
    memory: int = 0
    lanes: int = 0


class Keyslot(NamedTuple):
    """A copy of a volume key: where it lies (bytes from the header's begin), and how it is locked."""

    number: int
    key_size: int
    offset: int
    cipher: str
    area_key_size: int
    stripes: int
    split_hash: str
    kdf: Kdf
    priority: int = 1


class Digest(NamedTuple):
    """What tells a right volume key, and what that key is for: numbers of keyslots and of segments."""

    number: int
    kdf: Kdf
    value: bytes
    keyslots: tuple[int, ...]
    segments: tuple[int, ...]


class Segment(NamedTuple):
    """A piece of the volume: ``crypt`` or ``linear``; bytes from the device's begin; no length: to its end."""

    number: int
    kind: str
    offset: int
    length: int | None
    cipher: str = ""
    first_sector: int = 0
    sector_size: int = SECTOR
    flags: tuple[str, ...] = ()


class Header(NamedTuple):
    """A LUKS header: what is unsound in it is in ``faults``, what it needs that is not read here in ``unread``."""

    version: int
    uuid: str
    label: str
    keyslots: list[Keyslot]
    digests: list[Digest]
    segments: list[Segment]
    faults: list[str]
    unread: list[str]

    @property
    def described(self) -> str:
        """The encryption in a few words, as a problem names it."""
        ciphers = sorted({segment.cipher for segment in self.segments if segment.cipher})
        kinds = sorted({keyslot.kdf.kind for keyslot in self.keyslots})
        count = len(self.keyslots)
        slots = f"{count} keyslot{'' if count == 1 else 's'}"
        return ", ".join([f"LUKS{self.version}", *ciphers, slots, *kinds])


def checked_keyslot(keyslot: Keyslot, header_end: int | None = None) -> Keyslot:
    """Return the keyslot; LuksError where its numbers cannot be. ``header_end``: where key material must end."""
    if not 0 < keyslot.key_size <= LARGEST_KEY or not 0 < keyslot.area_key_size <= LARGEST_KEY:
        raise LuksError(f"keyslot {keyslot.number} says that its key has {keyslot.key_size} bytes")
    if not 0 < keyslot.stripes <= MOST_STRIPES:
        raise LuksError(f"keyslot {keyslot.number} says that its key is split into {keyslot.stripes} stripes")
    end = keyslot.offset + keyslot.key_size * keyslot.stripes
    if keyslot.offset < SECTOR or (header_end is not None and end > header_end):
        raise LuksError(f"the key material of keyslot {keyslot.number} lies outside the header")
    return keyslot


def printable(raw: bytes) -> str:
    """Return a text field up to its first NUL, what is no printable ASCII escaped."""
    return shown(raw.partition(b"\0")[0].decode("latin-1"))


def shown(text: str) -> str:
    """Return text of a header so that it can stand in a sentence: escaped where it must be, and not too long."""
    text = text[:_LONGEST_TEXT]
    return text if text.isascii() and text.isprintable() else text.encode("unicode_escape").decode("ascii")
