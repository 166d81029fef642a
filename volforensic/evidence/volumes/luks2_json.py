"""The JSON of a LUKS2 header: keyslots, digests, segments, requirements. Each is judged for itself.

Source: LUKS2 On-Disk Format Specification 1.1.3, chapter 3. Numbers of 64 bits are text there, salts base64.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import msgspec

from volforensic.evidence.volumes.crypt import SECTOR_SIZES
from volforensic.evidence.volumes.luks_header import Digest, Kdf, Keyslot, LuksError, Segment, checked_keyslot, shown

_MOST_OBJECTS = 64
"""Of one kind: cryptsetup writes 32 at most (LUKS2_KEYSLOTS_MAX, lib/luks2/luks2.h)."""
_LONGEST_NUMBER = 20
_MOST_BYTES = 1 << 62
_KNOWN_REQUIREMENTS = ("online-reencrypt",)
Item = TypeVar("Item")


class Areas(NamedTuple):
    """What the JSON says; as in ``Header``."""

    keyslots: list[Keyslot]
    digests: list[Digest]
    segments: list[Segment]
    faults: list[str]
    unread: list[str]


class _Text(msgspec.Struct):
    keyslots: dict[str, msgspec.Raw] = {}
    digests: dict[str, msgspec.Raw] = {}
    segments: dict[str, msgspec.Raw] = {}
    config: msgspec.Raw = msgspec.Raw(b"{}")


class _Kind(msgspec.Struct):
    type: str


class _KdfText(msgspec.Struct):
    type: str
    salt: str
    hash: str = ""
    iterations: int = 0
    time: int = 0
    memory: int = 0
    cpus: int = 0


class _SplitText(msgspec.Struct):
    type: str
    stripes: int
    hash: str


class _AreaText(msgspec.Struct):
    type: str
    offset: str
    size: str
    encryption: str
    key_size: int


class _KeyslotText(msgspec.Struct):
    key_size: int
    kdf: _KdfText
    af: _SplitText
    area: _AreaText
    priority: int = 1


class _DigestText(msgspec.Struct):
    type: str
    keyslots: list[str]
    segments: list[str]
    salt: str
    digest: str
    hash: str
    iterations: int


class _SegmentText(msgspec.Struct):
    type: str
    offset: str = "0"
    size: str = "dynamic"
    iv_tweak: str = "0"
    encryption: str = ""
    sector_size: int = 512
    flags: list[str] = []
    integrity: msgspec.Raw = msgspec.Raw(b"")


class _Requirements(msgspec.Struct):
    mandatory: list[str] = []


class _Config(msgspec.Struct):
    requirements: _Requirements = msgspec.field(default_factory=_Requirements)


def read_areas(text: bytes, areas_begin: int) -> Areas:
    """Return what the JSON says; ``areas_begin``: where both copies of the header have ended.

    Raises:
        LuksError: It is no JSON, or not that of a header.
    """
    whole = _decoded(text, _Text, "the header's JSON")
    faults: list[str] = []
    unread: list[str] = []
    keyslots = _each(whole.keyslots, "keyslot", faults, lambda number, raw: _keyslot(number, raw, areas_begin))
    digests = _each(whole.digests, "digest", faults, _digest)
    segments = _each(whole.segments, "segment", unread, lambda number, raw: _segment(number, raw, unread))
    if not segments:
        unread.append("it has no data segment")
    if any(segment.kind == "crypt" and segment.offset < areas_begin for segment in segments):
        unread.append("its header is detached: the data are on another device")
    unread += _requirements(whole.config)
    return Areas(keyslots, digests, segments, faults, unread)


def _requirements(config: msgspec.Raw) -> list[str]:
    wanted = _decoded(config, _Config, "the header's config").requirements.mandatory[:_MOST_OBJECTS]
    odd = sorted({name[:64] for name in wanted if not name.startswith(_KNOWN_REQUIREMENTS)})
    return [f"it requires {', '.join(odd)}, which is not supported"] if odd else []


def _decoded(text: bytes | msgspec.Raw, kind: type[Item], what: str) -> Item:
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError) as error:
        raise LuksError(f"{what} is unsound: {error}"[:200]) from error


def _each(
    objects: Mapping[str, msgspec.Raw],
    what: str,
    faults: list[str],
    read: Callable[[int, msgspec.Raw], Item | None],
) -> list[Item]:
    if len(objects) > _MOST_OBJECTS:
        faults.append(f"the header has {len(objects)} {what}s: the first {_MOST_OBJECTS} are read")
    found = []
    for name, raw in list(objects.items())[:_MOST_OBJECTS]:
        try:
            item = read(_number(name), raw)
        except LuksError as error:
            faults.append(f"{what} {name[:_LONGEST_NUMBER]!a}: {error}")
        else:
            found += [] if item is None else [item]
    return sorted(found, key=_by_number)


def _by_number(item: Any) -> int:
    number: int = item.number
    return number


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > _LONGEST_NUMBER or int(text) > _MOST_BYTES:
        raise LuksError(f"{text[:_LONGEST_NUMBER]!a} is no number")
    return int(text)


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise LuksError("its base64 is unsound") from error


def _keyslot(number: int, raw: msgspec.Raw, areas_begin: int) -> Keyslot | None:
    kind = _decoded(raw, _Kind, "it").type
    if kind == "reencrypt":  # the place where a reencryption keeps what it has in hand: no key
        return None
    if kind != "luks2":
        raise LuksError(f"its type {kind[:32]!a} is not known")
    text = _decoded(raw, _KeyslotText, "it")
    if text.area.type != "raw" or text.af.type != "luks1":
        raise LuksError("its area or its splitter is of a type that is not known")
    offset, size = _number(text.area.offset), _number(text.area.size)
    if offset < areas_begin:
        raise LuksError("its key material lies in the header itself")
    kdf = _kdf(text.kdf)
    keyslot = Keyslot(
        number, text.key_size, offset, text.area.encryption, text.area.key_size, text.af.stripes, text.af.hash, kdf,
        text.priority,
    )  # fmt: skip
    return checked_keyslot(keyslot, offset + size)


def _kdf(text: _KdfText) -> Kdf:
    if text.type == "pbkdf2":
        return Kdf("pbkdf2", _bytes(text.salt), text.iterations, text.hash)
    if text.type in {"argon2i", "argon2id"}:
        return Kdf(text.type, _bytes(text.salt), text.time, memory=text.memory, lanes=text.cpus)
    raise LuksError(f"its key derivation {text.type[:32]!a} is not known")


def _digest(number: int, raw: msgspec.Raw) -> Digest:
    text = _decoded(raw, _DigestText, "it")
    if text.type != "pbkdf2":
        raise LuksError(f"its type {text.type[:32]!a} is not known")
    kdf = Kdf("pbkdf2", _bytes(text.salt), text.iterations, text.hash)
    keyslots = tuple(_number(name) for name in text.keyslots[:_MOST_OBJECTS])
    segments = tuple(_number(name) for name in text.segments[:_MOST_OBJECTS])
    return Digest(number, kdf, _bytes(text.digest), keyslots, segments)


def _segment(number: int, raw: msgspec.Raw, unread: list[str]) -> Segment | None:
    text = _decoded(raw, _SegmentText, "it")
    flags = tuple(flag[:64] for flag in text.flags[:_MOST_OBJECTS])
    if any(flag.startswith("backup-") for flag in flags):  # what was, or will be: not what is
        return None
    if text.type.startswith("hw-opal"):
        unread.append(f"segment {number} is encrypted by the drive itself (OPAL), which is not supported")
    elif text.type not in {"crypt", "linear"}:
        unread.append(f"segment {number} is of the type {text.type[:32]!a}, which is not supported")
    if text.integrity:
        name = _integrity(text.integrity)
        unread.append(f"segment {number} has integrity tags (dm-integrity, {name!a}), which is not supported")
    if text.type == "crypt" and text.sector_size not in SECTOR_SIZES:
        raise LuksError(f"its sectors have {text.sector_size} bytes")
    return Segment(
        number=number,
        kind=text.type,
        offset=_number(text.offset),
        length=None if text.size == "dynamic" else _number(text.size),
        cipher=shown(text.encryption),
        first_sector=_number(text.iv_tweak),
        sector_size=text.sector_size,
        flags=flags,
    )


def _integrity(raw: msgspec.Raw) -> str:
    return _decoded(raw, _Kind, "its integrity").type[:64]
