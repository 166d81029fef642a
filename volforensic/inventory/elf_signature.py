"""The signature at the end of a kernel module (Linux: kernel/module_signature.c, scripts/sign-file.c; RFC 5652)."""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from volforensic.inventory.elf_bytes import BoundedBytes
from volforensic.record import text

_MARK = b"~Module signature appended~\n"
_INFORMATION = 12
_LARGEST = 64 << 10
_MOST_VALUES = 64
_KINDS = {0: "PGP", 1: "X.509", 2: "PKCS#7"}
_SEQUENCE, _SET, _INTEGER, _OBJECT, _CONTEXT = 0x30, 0x31, 2, 6, 0xA0
_COMMON_NAME = b"\x55\x04\x03"
_HASHES = {
    bytes.fromhex("2b0e03021a"): "sha1",
    bytes.fromhex("608648016503040204"): "sha224",
    bytes.fromhex("608648016503040201"): "sha256",
    bytes.fromhex("608648016503040202"): "sha384",
    bytes.fromhex("608648016503040203"): "sha512",
    bytes.fromhex("608648016503040208"): "sha3-256",
    bytes.fromhex("608648016503040209"): "sha3-384",
    bytes.fromhex("60864801650304020a"): "sha3-512",
    bytes.fromhex("2a811ccf55018311"): "sm3",
}
"""Hash algorithms by the bytes of their object identifier (NIST CSOR, RFC 3279, GB/T 32905)."""


class ModuleSignature(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An appended signature: what it says of itself. Nobody has verified it.

    ``size`` counts the signature, its description and the mark behind it, in bytes.
    """

    kind: str
    size: int
    hash: str = ""
    signer: str = ""
    key: str = ""


class _Value(NamedTuple):
    tag: int
    content: bytes


def module_signature(data: BoundedBytes) -> ModuleSignature | None:
    """Return the signature at the end of a module; None where the mark is missing. Damage is said to ``data``."""
    tail = data.read(data.size - len(_MARK) - _INFORMATION, _INFORMATION + len(_MARK))
    if not tail.endswith(_MARK) or len(tail) < _INFORMATION + len(_MARK):
        return None
    kind, length = tail[2], int.from_bytes(tail[8:12], "big")
    size = length + len(tail)
    signature = data.read(data.size - size, min(length, _LARGEST))
    if size > data.size or len(signature) < length:
        data.say("the module's signature is longer than the file or than a signature can be")
        return ModuleSignature(kind=_KINDS.get(kind, f"kind {kind}"), size=min(size, data.size))
    found = _signer(signature) if kind == 2 else None
    if found is None:
        data.say("the module's signature cannot be read")
        return ModuleSignature(kind=_KINDS.get(kind, f"kind {kind}"), size=size)
    return ModuleSignature(kind=_KINDS[kind], size=size, hash=found[0], signer=found[1], key=found[2])


def _values(content: bytes) -> Iterator[_Value]:
    """Yield the values of a DER constructed value (X.690, 8.1): one byte of tag, a length, the content."""
    position = 0
    for _ in range(_MOST_VALUES):
        if position + 2 > len(content):
            return
        tag, length = content[position], content[position + 1]
        position += 2
        if length >= 0x80:
            width = length & 0x7F
            length = int.from_bytes(content[position : position + min(width, 4)], "big")
            position += width
        yield _Value(tag, content[position : position + length])
        position += length


def _inside(content: bytes, tag: int, number: int = 0) -> bytes:
    """Return the content of the ``number``-th value of a tag; empty where there is none."""
    found = [value.content for value in _values(content) if value.tag == tag]
    return found[number] if number < len(found) else b""


def _signer(signature: bytes) -> tuple[str, str, str] | None:
    """Return hash algorithm, signer's name and key of the first SignerInfo (RFC 5652, 5.1 and 5.3)."""
    signed = _inside(_inside(_inside(signature, _SEQUENCE), _CONTEXT), _SEQUENCE)
    sets = [value.content for value in _values(signed) if value.tag == _SET]
    information = _inside(sets[-1], _SEQUENCE) if len(sets) > 1 else b""
    if not information:
        return None
    identity, algorithm = _inside(information, _SEQUENCE), _inside(information, _SEQUENCE, 1)
    key = next((value.content for value in _values(information) if value.tag == 0x80), b"")
    if key:  # by the key's identifier instead of by issuer and serial number
        identity, algorithm = b"", _inside(information, _SEQUENCE)
    oid = _inside(algorithm, _OBJECT)
    serial = key or _inside(identity, _INTEGER)
    return _HASHES.get(oid, f"object identifier {oid[:32].hex()}"), _common_name(identity), serial[:32].hex()


def _common_name(identity: bytes) -> str:
    for relative in _values(_inside(identity, _SEQUENCE)):
        attribute = _inside(relative.content, _SEQUENCE)
        if _inside(attribute, _OBJECT) == _COMMON_NAME:
            name = [value.content for value in _values(attribute) if value.tag != _OBJECT]
            return text(name[0][:256]) if name else ""
    return ""
