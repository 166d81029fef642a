"""Maps: which bytes a logical volume, an array or an encrypted volume is made of. A tree whose leaves are addresses.

An address is a byte of the image's one address space (``spaces.py``). All lengths and offsets are bytes. A map is made
from hostile metadata in a worker, checked by the parent, and opened again in every worker that reads through it.
"""

from typing import TypeAlias

import msgspec


class Run(msgspec.Struct, frozen=True, tag="run"):
    """Bytes of the address space, one after the other."""

    address: int
    length: int


class Missing(msgspec.Struct, frozen=True, tag="missing"):
    """Bytes that are not in the evidence: reading them fails with the reason."""

    length: int
    reason: str


class Zeros(msgspec.Struct, frozen=True, tag="zeros"):
    """NUL bytes that stand nowhere (dm-zero)."""

    length: int


class Joined(msgspec.Struct, frozen=True, tag="joined"):
    """Maps one after the other (dm-linear)."""

    parts: list["Map"]


class Striped(msgspec.Struct, frozen=True, tag="striped"):
    """Chunks dealt out to the members in turn (dm-stripe)."""

    members: list["Map"]
    chunk: int
    length: int


class Mirrored(msgspec.Struct, frozen=True, tag="mirrored"):
    """The same bytes on every member: the first that reads is taken."""

    members: list["Map"]
    length: int


class Raid(msgspec.Struct, frozen=True, tag="raid"):
    """An array as Linux md lays it out: level 0, 1, 4, 5, 6 or 10, ``layout`` as md numbers it; None: a lost member."""

    level: int
    layout: int
    chunk: int
    members: list["Map | None"]
    length: int


class Thin(msgspec.Struct, frozen=True, tag="thin"):
    """A thin volume: blocks of the pool's data, found by the mappings in its metadata; else the origin's, else NUL."""

    metadata: "Map"
    data: "Map"
    device: int
    chunk: int
    length: int
    origin: "Map | None" = None


class Snapshot(msgspec.Struct, frozen=True, tag="snapshot"):
    """A copy-on-write snapshot: the origin's bytes, but for the chunks that the exception store holds."""

    origin: "Map"
    store: "Map"
    chunk: int
    length: int


class Crypt(msgspec.Struct, frozen=True, tag="crypt"):
    """An encrypted volume (dm-crypt): cipher as dm-crypt spells it, the number of its key, where sector 0 counts from.

    Keys are never in a map: ``key`` is an index into a list that the parent keeps in memory alone.
    """

    data: "Map"
    cipher: str
    key: int
    sector_size: int
    first_sector: int
    length: int


Map: TypeAlias = Run | Missing | Zeros | Joined | Striped | Mirrored | Raid | Thin | Snapshot | Crypt
