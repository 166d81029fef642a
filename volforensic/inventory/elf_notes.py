"""Notes of an ELF file: what identifies the build (the System V gABI, "Note Section"; elf.h, NT_GNU_BUILD_ID)."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from volforensic.inventory.elf_format import NOTE, NOTE_SECTION, Image

_LARGEST = 64 << 10
_MOST_PLACES = 64
_MOST_NOTES = 256
_GNU_BUILD_ID, _GO_BUILD_ID = 3, 4
_LONGEST_ID = 64


class Note(NamedTuple):
    """One note: who defined it, its type, its bytes."""

    owner: bytes
    type: int
    content: bytes


class BuildNotes(NamedTuple):
    """The identities that linkers leave in notes; empty where there is none."""

    build_id: str = ""
    go_build_id: bytes = b""


def build_notes(image: Image) -> BuildNotes:
    """Return the build-ids of the GNU linker and of Go's."""
    identity, go_identity = "", b""
    for note in _notes(image):
        if note.owner == b"GNU" and note.type == _GNU_BUILD_ID:
            identity = identity or note.content[:_LONGEST_ID].hex()
        elif note.owner == b"Go" and note.type == _GO_BUILD_ID:
            go_identity = go_identity or note.content[:256].rstrip(b"\0")
    return BuildNotes(identity, go_identity)


def _notes(image: Image) -> Iterator[Note]:
    places = [(one.offset, one.file_size) for one in image.segments if one.type == NOTE]
    places += [(one.offset, one.size) for one in image.sections if one.type == NOTE_SECTION]
    head = struct.Struct(image.header.order + "III")
    for offset, size in sorted(set(places))[:_MOST_PLACES]:
        raw = image.data.read(offset, min(size, _LARGEST))
        position = 0
        for _ in range(_MOST_NOTES):
            if position + head.size > len(raw):
                break
            name_size, content_size, kind = head.unpack_from(raw, position)
            start = position + head.size
            content = start + -(-name_size // 4) * 4
            if content + content_size > len(raw):
                break
            yield Note(raw[start : start + name_size].rstrip(b"\0"), kind, raw[content : content + content_size])
            position = content + -(-content_size // 4) * 4
