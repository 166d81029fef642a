"""What readers of containers share: structures that must be there, names and ids, runs of bits, a disk with an id."""

import re
import uuid
from typing import Literal, NamedTuple

from volforensic.evidence.containers.container import ContainerError
from volforensic.evidence.containers.mapped import MappedMedium, Pages, Piece
from volforensic.medium import Medium

_LONGEST_TEXT = 2000
_AROUND = 512
_BITS_AT_ONCE = 512
_BIT_RUN = re.compile("0+|1+")


class IdentifiedDisk(NamedTuple):
    """A disk and what a child names it by; see ``Medium``."""

    disk: MappedMedium
    identity: str

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return self.disk.size

    def read_at(self, position: int, size: int) -> bytes:
        """Return the bytes; see ``Medium``."""
        return self.disk.read_at(position, size)


def identity_of(parent: Medium | None) -> str:
    """Return what a child names the disk by; nothing where it is no disk of that kind, or there is none."""
    return parent.identity if isinstance(parent, IdentifiedDisk) else ""


def parent_piece(parent: Medium | None, position: int, length: int, name: str = "the parent disk") -> Piece:
    """Return the piece that is a parent's; it is followed by zeros where it is the shorter one."""
    if parent is None:
        return Piece(length, reason=f"these bytes lie in {name}, which is not there")
    return Piece(length, parent, position, is_padded=True)


def exactly(medium: Medium, position: int, size: int, name: str) -> bytes:
    """Return ``size`` bytes of a structure; ContainerError with its ``name`` where the file ends before."""
    data = medium.read_at(position, size) if position >= 0 else b""
    if len(data) < size:
        raise ContainerError(f"{name} at {position} has {size} bytes and the file {medium.size}")
    return data


def held(medium: Medium, position: int, size: int) -> bytes:
    """Return bytes of a structure that there is a copy of, or that can be done without; none where they do not come."""
    try:
        return medium.read_at(position, size)
    except OSError:
        return b""


def read_around(medium: Medium, position: int, size: int) -> bytes:
    """Return bytes to search in, with zeros for the sectors that cannot be read."""
    size = min(size, medium.size - position)
    if data := held(medium, position, size):
        return data
    places = range(position, position + size, _AROUND)
    parts = ((place, min(_AROUND, position + size - place)) for place in places)
    return b"".join(held(medium, place, length).ljust(length, b"\0") for place, length in parts)


def last_component(name: str) -> str:
    r"""Return what stands behind the last slash or backslash: hosts of both kinds wrote the names."""
    return re.split(r"[/\\]", name.rstrip("/\\"))[-1]


def guid_text(data: bytes) -> str:
    """Return a GUID as Microsoft and Oracle store it (first three fields little-endian), as text."""
    return str(uuid.UUID(bytes_le=data))


def short_text(text: str) -> str:
    """Return text of the evidence for a detail: without NUL and spaces around it, cut where it is very long."""
    text = text.replace("\0", "").strip()
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]} … ({len(text)} characters)"


def bit_run(bitmap: Pages, place: int, first: int, count: int, order: Literal["big", "little"]) -> tuple[bool, int]:
    """Return whether bit ``first`` of the bitmap at ``place`` is set, and how many from there on are the same.

    Of ``count`` bits at most, and of no more than are worth reading at once. ``order``: which bit of a byte is first.
    Raises ``EIO`` where the bitmap lies outside its file.
    """
    byte, bit = divmod(first, 8)
    count = min(count, _BITS_AT_ONCE)
    bits = bitmap.read(place + byte, (bit + count + 7) // 8)
    digits = f"{int.from_bytes(bits, order):0{len(bits) * 8}b}"
    match = _BIT_RUN.match(digits if order == "big" else digits[::-1], bit, bit + count)
    return (match[0][0] == "1", len(match[0])) if match else (False, count)
