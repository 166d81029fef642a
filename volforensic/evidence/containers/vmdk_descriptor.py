"""The descriptor of a VMDK: text that names the disk's extents, its content id and its parent.

Source: VMware's "Virtual Disk Format 1.1" and "5.0"; libvmdk's description of the format for what they leave out. The
text may stand alone or inside a sparse extent, padded with NUL bytes.
"""

import codecs
import re
from typing import NamedTuple

from volforensic.evidence.containers.container import ContainerError
from volforensic.record import text

DESCRIPTOR_MOST = 1 << 20
_EXTENTS_MOST = 4096
_SECTORS_MOST = 1 << 42  # 4096 extents of 2 PiB
_FIELDS_MOST = 1000
_NAME_MOST = 4096
_NO_PARENT = "ffffffff"
_SIGNATURE = re.compile(rb"(?i)\A(?:\xef\xbb\xbf)?\s*#\s*Disk\s+DescriptorFile\b")
_BARE = re.compile(rb"(?i)\A(?:\xef\xbb\xbf)?(?:[ \t]*(?:#[^\n]*)?\r?\n)*[ \t]*version[ \t]*=[ \t]*\d")
_EXTENT = re.compile(
    rb'(?i)[ \t]*(RW|RDONLY|NOACCESS)[ \t]+(\d{1,18})[ \t]+([A-Z0-9]+)(?:[ \t]+"(.*?)"(?=\s|\Z))?(?:[ \t]+(\d{1,18}))?'
)
_EXTENT_BEGIN = re.compile(rb"(?i)[ \t]*(?:RW|RDONLY|NOACCESS)[ \t]")
_FIELD = re.compile(rb"[ \t]*([A-Za-z][\w.]*)[ \t]*=[ \t]*(.*)")
# Looked up here: a worker that is locked in can load no codec.
_ENCODINGS = {
    **{f"windows-125{number}": codecs.lookup(f"cp125{number}").name for number in range(9)},
    **{name: codecs.lookup(name).name for name in ("gbk", "gb18030", "big5", "shift_jis", "euc-kr", "iso-8859-1")},
}


class VmdkError(ContainerError):
    """A VMDK says what cannot be, or what is not supported."""


class EncryptedVmdkError(VmdkError):
    """The VMDK is encrypted."""


class Extent(NamedTuple):
    """A line of the descriptor: a part of the disk, ``sectors`` long, from sector ``offset`` of a file on."""

    access: str
    sectors: int
    kind: str
    name: bytes
    offset: int


class Descriptor(NamedTuple):
    """What a descriptor says: its fields by name in small letters, its extents, and what is odd of it.

    Each oddity is a sentence and whether bytes may be lost by it.
    """

    fields: dict[str, bytes]
    extents: list[Extent]
    oddities: list[tuple[str, bool]]

    def field(self, name: str) -> str:
        """Return a field as text, "" where it is not there."""
        return text(self.fields.get(name.lower(), b""))

    @property
    def parent(self) -> bytes:
        """The parent's file name, b"" where the disk has none."""
        has_parent = self.field("parentCID").lower() != _NO_PARENT
        stored = self.fields.get("parentfilenamehint", b"")[:_NAME_MOST]
        return local_name(stored, self.field("encoding")) if has_parent else b""

    @property
    def wants_parent(self) -> bool:
        """Whether it says that there is a parent, named or not."""
        return bool(self.parent) or self.field("parentCID").lower() not in {"", _NO_PARENT}


def has_descriptor(head: bytes) -> bool:
    """Return whether a file that begins so is a descriptor."""
    return bool(_SIGNATURE.match(head)) or bool(_BARE.match(head) and b"createType" in head)


def parse_descriptor(data: bytes) -> Descriptor:
    """Read the text, up to its first NUL. VmdkError where it names more than can be, or is encrypted."""
    lines = data.partition(b"\0")[0].removeprefix(b"\xef\xbb\xbf").splitlines()
    fields: dict[str, bytes] = {}
    extents: list[Extent] = []
    oddities: list[tuple[str, bool]] = []
    for line in lines:
        if _EXTENT_BEGIN.match(line):
            _add_extent(line, extents, oddities)
        elif match := _FIELD.fullmatch(line):
            _add_field(match[1].decode("ascii", "replace").lower(), _unquoted(match[2]), fields, oddities)
        elif line.strip() and not line.lstrip().startswith(b"#"):
            oddities.append((f"a line of the descriptor is not understood: {text(line[:200])}", True))
    if "encryption.keysafe" in fields or "encryption.data" in fields:
        raise EncryptedVmdkError("the VMDK is encrypted by VMware, which is not supported")
    encoding = text(fields.get("encoding", b""))
    extents = [extent._replace(name=local_name(extent.name, encoding)) for extent in extents]
    return Descriptor(fields, extents, oddities[:20])


def _add_extent(line: bytes, extents: list[Extent], oddities: list[tuple[str, bool]]) -> None:
    match = _EXTENT.match(line)
    if match is None:
        raise VmdkError(f"a line of an extent is not understood: {text(line[:200])}")
    access, sectors, kind, name, offset = match.groups()
    if len(extents) >= _EXTENTS_MOST:
        raise VmdkError(f"the descriptor has more than {_EXTENTS_MOST} extents")
    if int(sectors) > _SECTORS_MOST or int(offset or 0) > _SECTORS_MOST:
        raise VmdkError(f"an extent of {int(sectors)} sectors at sector {int(offset or 0)}: no disk has so many")
    if len(name or b"") > _NAME_MOST:
        raise VmdkError(f"an extent has a name of {len(name)} bytes")
    if name is None and kind.upper() != b"ZERO":
        oddities.append((f"an extent of the kind {text(kind)} names no file", True))
    extents.append(Extent(text(access).upper(), int(sectors), text(kind).upper(), name or b"", int(offset or 0)))


def _add_field(name: str, value: bytes, fields: dict[str, bytes], oddities: list[tuple[str, bool]]) -> None:
    """Keep a field; of two with one name the first counts."""
    if fields.setdefault(name, value) != value:
        oddities.append((f"the descriptor has two values of {name}: the first counts", False))
    if len(fields) > _FIELDS_MOST:
        raise VmdkError(f"the descriptor has more than {_FIELDS_MOST} fields")


def _unquoted(value: bytes) -> bytes:
    value = value.strip()
    return value[1:-1] if len(value) >= 2 and value[:1] == value[-1:] == b'"' else value


def local_name(name: bytes, encoding: str) -> bytes:
    """Return a stored name as files are named here: in UTF-8 where the descriptor has another encoding."""
    codec = _ENCODINGS.get(encoding.lower())
    try:
        return name.decode(codec).encode() if codec else name
    except UnicodeDecodeError:
        return name
