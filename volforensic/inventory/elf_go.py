"""What Go's linker says about a build: the blob that ``go version -m`` reads (Go's package debug/buildinfo).

The blob is 32 bytes: a magic of 14, the size of a pointer, flags. Since Go 1.18 flag 2 is set and the version and the
module's lines follow, each with its length as a varint; before, two pointers lead to string headers. The module's lines
stand between two markers of 16 bytes.
"""

import struct
from typing import NamedTuple

import msgspec

from volforensic.inventory.elf_format import IS_EXECUTABLE, IS_WRITABLE, Image
from volforensic.record import text

_MAGIC = b"\xff Go buildinf:"
_IS_BIG_ENDIAN, _IS_INLINE = 1, 2
_LARGEST_TEXT = 1 << 20
_SEARCHED = 1 << 20  # of each writable segment, where nothing says that it is Go
_SEARCHED_OF_GO = 16 << 20
_MOST_SEGMENTS = 4
_MOST_DEPENDENCIES = 100
_MOST_SETTINGS = 32
_LONGEST_VALUE = 512
_MARKER = 16


class GoBuild(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a Go program was built; an empty text is a fact that the linker left out or somebody took out.

    ``path`` is the main package, ``module`` its module, ``settings`` the build settings (GOOS, vcs.revision, -ldflags).
    """

    version: str = ""
    path: str = ""
    module: str = ""
    module_version: str = ""
    revision: str = ""
    build_id: str = ""
    settings: dict[str, str] = {}
    dependencies: list[str] = []
    dependency_count: int = 0


class _Blob(NamedTuple):
    version: bytes
    module: bytes


def go_build(image: Image, build_id: bytes) -> GoBuild | None:
    """Return how a Go program was built; None where nothing says that it is one. ``build_id`` is Go's note."""
    is_go = bool(build_id) or image.section(b".gopclntab") is not None
    blob = _find(image, is_go=is_go)
    if blob is None:
        return GoBuild(build_id=_value(build_id)) if is_go else None
    return _described(blob, build_id)


def _find(image: Image, *, is_go: bool) -> _Blob | None:
    section = image.section(b".go.buildinfo")
    if section is not None and (blob := _read(image, section.offset)) is not None:
        return blob
    limit = _SEARCHED_OF_GO if is_go else _SEARCHED
    data = [one for one in image.loads() if one.flags & IS_WRITABLE or (is_go and not one.flags & IS_EXECUTABLE)]
    for segment in data[:_MOST_SEGMENTS]:
        raw = image.content(segment, limit)
        place = raw.find(_MAGIC)
        if place >= 0 and (blob := _read(image, segment.offset + place)) is not None:
            return blob
    return None


def _read(image: Image, offset: int) -> _Blob | None:
    head = image.data.read(offset, 32)
    if len(head) < 32 or not head.startswith(_MAGIC):
        return None
    width, flags = head[14], head[15]
    if flags & _IS_INLINE:
        return _inline(image.data.read(offset + 32, _LARGEST_TEXT))
    if width not in {4, 8}:
        return None
    form = struct.Struct((">" if flags & _IS_BIG_ENDIAN else "<") + ("Q" if width == 8 else "I"))
    texts = [_pointed(image, form, *form.unpack_from(head, 16 + number * width)) for number in (0, 1)]
    return _Blob(*texts)


def _inline(raw: bytes) -> _Blob:
    version, rest = _sized(raw)
    return _Blob(version, _sized(rest)[0])


def _sized(raw: bytes) -> tuple[bytes, bytes]:
    """Return a text that a varint's length precedes, and what follows it."""
    length = 0
    for position, byte in enumerate(raw[:4]):
        length |= (byte & 0x7F) << 7 * position
        if byte < 0x80:
            return raw[position + 1 : position + 1 + length], raw[position + 1 + length :]
    return b"", b""


def _pointed(image: Image, form: struct.Struct, address: int) -> bytes:
    """Return the text of the string header (pointer, length) at an address."""
    raw = image.at_address(address, 2 * form.size)
    if len(raw) < 2 * form.size:
        return b""
    (start,), (length,) = form.unpack_from(raw), form.unpack_from(raw, form.size)
    return image.at_address(start, min(length, _LARGEST_TEXT))


def _described(blob: _Blob, build_id: bytes) -> GoBuild:
    module = blob.module
    if len(module) > 2 * _MARKER and module[-_MARKER - 1 : -_MARKER] == b"\n":
        module = module[_MARKER:-_MARKER]
    path = name = version = ""
    settings: dict[str, str] = {}
    dependencies: list[str] = []
    count = 0
    for line in module.split(b"\n"):
        kind, _, rest = line.partition(b"\t")
        values = [_value(part) for part in rest.split(b"\t")]
        if kind == b"path":
            path = values[0]
        elif kind == b"mod":
            name, version = values[0], values[1] if len(values) > 1 else ""
        elif kind == b"dep":
            count += 1
            if count <= _MOST_DEPENDENCIES:
                dependencies.append(" ".join(values[:2]))
        elif kind == b"build" and len(settings) < _MOST_SETTINGS:
            key, _, setting = rest.partition(b"=")
            settings[_value(key)] = _value(setting)
    return GoBuild(
        version=_value(blob.version),
        path=path,
        module=name,
        module_version=version,
        revision=settings.get("vcs.revision", ""),
        build_id=_value(build_id),
        settings=settings,
        dependencies=dependencies,
        dependency_count=count,
    )


def _value(value: bytes) -> str:
    return text(value[:_LONGEST_VALUE])
