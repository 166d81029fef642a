"""The names in a block of an erofs' directory.

Source: the kernel's fs/erofs/erofs_fs.h (erofs_dirent) and dir.c. A block begins with its entries, their names follow:
the first name's place tells how many entries there are.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

_ENTRY = struct.Struct("<QHBx")
_LONGEST_NAME = 255


class Name(NamedTuple):
    """A name in a directory: nid and type of the inode that it names."""

    name: bytes
    nid: int
    kind: int


def block_names(block: bytes, damage: list[str]) -> Iterator[Name]:
    """Yield the names of a block; what is wrong with it is appended to ``damage``."""
    first = int.from_bytes(block[8:10], "little")
    if first % _ENTRY.size or not _ENTRY.size <= first <= len(block):
        damage.append(f"its entries end at byte {first} of {len(block)}")
        return
    found = list(_ENTRY.iter_unpack(block[:first]))
    starts = [start for _, start, _ in found]
    for (nid, start, kind), following in zip(found, [*starts[1:], len(block)], strict=True):
        if not first <= start < following <= len(block):
            damage.append(f"a name from byte {start} to {following}")
            continue
        name = block[start:following]
        if following == len(block):
            name = name.partition(b"\0")[0]
        if not 0 < len(name) <= _LONGEST_NAME:
            damage.append(f"a name of {len(name)} bytes")
            continue
        yield Name(name, nid, kind)
