"""What the core of an XFS inode says.

Source: the kernel's fs/xfs/libxfs/xfs_format.h (xfs_dinode) and xfs_inode_buf.c.
"""

import struct
from typing import NamedTuple

from volforensic.evidence.superblocks import checksum_is_right

LOCAL, EXTENTS, BTREE = 1, 2, 3
_DAX, BIG_TIME, MANY_EXTENTS, _METADATA = 1, 1 << 3, 1 << 4, 1 << 5
METADATA = _METADATA << 16
"""Of an inode's ``flags``: it is the filesystem's own, in the tree of metadata (METADIR)."""
INODE_CHECKSUM, OWN_NUMBER = 100, 152
EPOCH_OF_BIG_TIME = (1 << 31) * 1_000_000_000
_CORE = struct.Struct(">2sHBBHIII12x8s8s8sQQ4xIHB7xH")


class XfsError(ValueError):
    """A structure of the filesystem cannot be what it says."""


class Inode(NamedTuple):
    """What an inode's core says (times in nanoseconds since 1970 UTC), its data fork, whether its checksum is right.

    ``own_number`` is the number that it says itself.
    """

    number: int
    mode: int
    format: int
    uid: int
    gid: int
    links: int
    accessed: int
    modified: int
    changed: int
    created: int | None
    size: int
    blocks: int
    extents: int
    fork: bytes
    is_sound: bool
    flags: int
    attribute_format: int
    attribute_extents: int
    attribute_fork: bytes
    own_number: int


def decoded(number: int, raw: bytes) -> Inode:
    """Return what the inode with this number says."""
    _, mode, version, form, old_links, uid, gid, links, *times = _CORE.unpack_from(raw)
    accessed, modified, changed, size, blocks, extents, attribute_extents, fork_end, own_flags = times
    is_new = version >= 3
    flags = struct.unpack_from(">Q", raw, 120)[0] if is_new else 0
    literal = 176 if is_new else 100
    end = literal + fork_end * 8 if fork_end else len(raw)
    if flags & MANY_EXTENTS:
        extents = struct.unpack_from(">Q", raw, 24)[0]
    is_big = bool(flags & BIG_TIME)
    return Inode(
        number=number,
        mode=mode,
        format=form,
        uid=uid,
        gid=gid,
        links=links if version > 1 else old_links,
        accessed=_nanoseconds(accessed, is_big=is_big),
        modified=_nanoseconds(modified, is_big=is_big),
        changed=_nanoseconds(changed, is_big=is_big),
        created=_nanoseconds(raw[144:152], is_big=is_big) if is_new else None,
        size=size,
        blocks=blocks,
        extents=extents,
        fork=raw[literal:end],
        is_sound=not is_new or checksum_is_right(raw, INODE_CHECKSUM),
        flags=own_flags | (flags & (_DAX | _METADATA)) << 16,
        attribute_format=raw[83],
        attribute_extents=struct.unpack_from(">I", raw, 76)[0] if flags & MANY_EXTENTS else attribute_extents,
        attribute_fork=raw[end:] if fork_end else b"",
        own_number=struct.unpack_from(">Q", raw, OWN_NUMBER)[0] if is_new else number,
    )


def _nanoseconds(raw: bytes, *, is_big: bool) -> int:
    if is_big:
        return int.from_bytes(raw, "big") - EPOCH_OF_BIG_TIME
    seconds, fraction = struct.unpack(">iI", raw)
    return int(seconds * 1_000_000_000 + (fraction if fraction < 1_000_000_000 else 0))
