r"""Files as Digital Forensics XML (the DFXML working group's schema, version 1.1, in the order of its elements).

XML 1.0 has no way to write most control characters, U+FFFE or bytes that are not UTF-8. A name that holds one has
``\xNN`` or ``\uNNNN`` in its place, and the attribute ``base64`` of our own namespace has the name's bytes. Beyond the
schema go that attribute, ``image_size`` and ``hashdigest`` of the source, and the digest types sha512 and blake3.
"""

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr

from volforensic.evidence.layout import VolumeFacts
from volforensic.record import Row, text
from volforensic.report.row_values import TYPE_LETTERS, name_bytes

_NAMESPACE = "http://www.forensicswiki.org/wiki/Category:Digital_Forensics_XML"
_OWN_NAMESPACE = "urn:volforensic:dfxml"
_DUBLIN_CORE = "http://purl.org/dc/elements/1.1/"
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SPACES = {"\r": "&#13;", "\n": "&#10;", "\t": "&#9;"}
_META_TYPES = {
    "file": 1,
    "directory": 2,
    "fifo": 3,
    "character_device": 4,
    "block_device": 5,
    "symlink": 6,
    "socket": 8,
}
_DIGESTS = ("md5", "sha1", "sha256", "sha512", "blake3")


class DfxmlSource(NamedTuple):
    """What the head of the file says: the image's path, its size in bytes, its digests by algorithm, and who writes."""

    image: str
    size: int
    digests: Mapping[str, str]
    version: str
    command_line: str


def dfxml_parts(rows: Iterable[Row], source: DfxmlSource, volumes: Mapping[int, VolumeFacts]) -> Iterator[bytes]:
    """Yield a well-formed document in UTF-8, part by part.

    Args:
        rows: Rows of the inventory, those of a volume together.
        source: What the head says.
        volumes: Where each volume is, by its index.
    """
    yield _head(source).encode()
    for index, files in groupby(rows, lambda row: int(row["volume"])):
        volume = volumes.get(index)
        yield _volume_head(volume).encode()
        offset = volume.offset if volume else 0
        for row in files:
            yield _fileobject(row, index, offset).encode()
        yield b"  </volume>\n"
    yield b"</dfxml>\n"


def _head(source: DfxmlSource) -> str:
    root = (
        f'<dfxml xmlns="{_NAMESPACE}" xmlns:dc="{_DUBLIN_CORE}" xmlns:volforensic="{_OWN_NAMESPACE}" version="1.1.1">'
    )
    command = f"<execution_environment>{_element('command_line', source.command_line)}</execution_environment>"
    image = _element("image_filename", source.image) + _element("image_size", source.size)
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        root,
        "  <metadata><dc:type>Disk Image</dc:type></metadata>",
        f"  <creator><program>volforensic</program>{_element('version', source.version)}{command}</creator>",
        f"  <source>{image}{_hashdigests(source.digests)}</source>",
    ]
    return "\n".join(lines) + "\n"


def _volume_head(volume: VolumeFacts | None) -> str:
    if volume is None:
        return "  <volume>\n"
    place = _element("partition_offset", volume.offset) if volume.offset else ""
    return f'  <volume offset="{volume.offset}">{place}{_element("ftype_str", volume.kind)}\n'


def _fileobject(row: Row, index: int, offset: int) -> str:
    allocated = bool(row["allocated"])
    parts = [
        _name("filename", _inside(row)),
        _element("partition", index or None),
        _element("name_type", TYPE_LETTERS.get(row["type"], "-")),
        _element("filesize", row.get("size")),
        _element("unalloc", None if allocated else 1),
        _element("alloc", 1 if allocated else 0),
        _element("inode", row.get("inode")),
        _element("meta_type", _META_TYPES.get(row["type"], 0)),
        *(_element(key, row.get(key)) for key in ("mode", "nlink", "uid", "gid", "mtime", "ctime", "atime", "crtime")),
        _name("link_target", name_bytes(row, "link_target")),
        _element("libmagic", row.get("mime")),
        _byte_runs(row, offset),
        _hashdigests(row),
    ]
    return f"    <fileobject>{''.join(parts)}</fileobject>\n"


def _inside(row: Row) -> bytes:
    """Return the path in the volume, from its root and without the first slash, as the schema has it."""
    path = name_bytes(row, "volume_path")
    path = path if path is not None else name_bytes(row, "path") or b""
    return path.removeprefix(b"/") or b"."


def _byte_runs(row: Row, offset: int) -> str:
    extents = row.get("extents")
    if not extents:
        return ""
    runs = "".join(
        f'<byte_run file_offset="{in_file}" fs_offset="{in_source - offset}" img_offset="{in_source}" len="{length}"/>'
        for in_file, in_source, length in extents
    )
    return f"<byte_runs>{runs}</byte_runs>"


def _hashdigests(digests: Mapping[str, object]) -> str:
    named = ((name, digests.get(name)) for name in _DIGESTS)
    return "".join(f'<hashdigest type="{name}">{escape(str(value))}</hashdigest>' for name, value in named if value)


def _name(element: str, name: bytes | None) -> str:
    if name is None:
        return ""
    shown = text(name)
    if _NO_XML.search(shown) or shown.encode("utf-8", "backslashreplace") != name:
        attribute = f" volforensic:base64={quoteattr(base64.b64encode(name).decode('ascii'))}"
        return f"<{element}{attribute}>{_escaped(shown)}</{element}>"
    return f"<{element}>{_escaped(shown)}</{element}>"


def _element(name: str, value: object) -> str:
    return "" if value is None else f"<{name}>{_escaped(str(value))}</{name}>"


def _escaped(value: str) -> str:
    return escape(_NO_XML.sub(_visible, value), _SPACES)


def _visible(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
