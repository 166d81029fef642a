"""The extended attributes of a squashfs' inodes, of which few are asked for.

Source: the kernel's fs/squashfs/squashfs_fs.h (squashfs_xattr_*), xattr.c and xattr_id.c. Inodes with the same
attributes share one entry of the table.
"""

import struct
from functools import lru_cache

from volforensic.evidence.attributes import ASKED, NOTHING_EXTENDED, VALUED, Extended, extended
from volforensic.evidence.capabilities import LONGEST_VALUE
from volforensic.evidence.squashfs_blocks import METADATA_SIZE, NOTHING, SquashfsBlocks, SquashfsError

_TABLE = struct.Struct("<QI4x")  # first metadata block of attributes, number of entries; block pointers follow
_ENTRY = struct.Struct("<QII")  # reference, number of attributes, their size
_NAME = struct.Struct("<HH")  # type, length of the name without its prefix
_PREFIX, _ELSEWHERE = 0xFF, 0x100
_SPACES = (b"user.", b"trusted.", b"security.")
_MOST = 4096
_LONGEST_VALUE = 65536  # XATTR_SIZE_MAX, include/uapi/linux/limits.h
_KEPT = 1024


class SquashfsAttributes:
    """What the attributes of each index say."""

    def __init__(self, blocks: SquashfsBlocks) -> None:
        """Read nothing yet: most filesystems are asked for few."""
        self._blocks = blocks
        self.of = lru_cache(_KEPT)(self._of)

    def _of(self, index: int) -> Extended:
        """Return what the attributes with this index say; what of them is damaged is among its problems."""
        if self._blocks.superblock.attribute_table == NOTHING:
            return extended({}, ["its extended attributes: the filesystem has no table of them"])
        try:
            names = self._names(index)
        except SquashfsError as error:
            return extended({}, [f"its extended attributes: {error}"[:300]])
        return extended(names, []) if names else NOTHING_EXTENDED

    def _names(self, index: int) -> dict[bytes, bytes | None]:
        blocks = self._blocks
        table = blocks.superblock.attribute_table
        first, count = _TABLE.unpack(blocks.raw(table, _TABLE.size))
        if index >= count:
            raise SquashfsError(f"number {index} of {count}")
        reference, names, _ = _ENTRY.unpack(blocks.table_entry(table + _TABLE.size, index, _ENTRY.size))
        if names > _MOST:
            raise SquashfsError(f"{names} of them")
        place, offset = first + (reference >> 16), reference & 0xFFFF
        found: dict[bytes, bytes | None] = {}
        for _ in range(names):
            raw, place, offset = blocks.metadata_bytes(place, offset, _NAME.size)
            kind, length = _NAME.unpack(raw)
            name, place, offset = blocks.metadata_bytes(place, offset, length)
            raw, place, offset = blocks.metadata_bytes(place, offset, 4)
            size = int.from_bytes(raw, "little")
            if size > _LONGEST_VALUE:
                raise SquashfsError(f"a value of {size} bytes")
            value, place, offset = blocks.metadata_bytes(place, offset, size)
            whole = _SPACES[kind & _PREFIX] + name if kind & _PREFIX < len(_SPACES) else name
            if whole in VALUED:
                found[whole] = self._value(first, value) if kind & _ELSEWHERE else value
            elif whole in ASKED:
                found[whole] = None
        return found

    def _value(self, first: int, pointer: bytes) -> bytes:
        """Return a value that several share: it stands elsewhere in the table, with its length before it."""
        reference = int.from_bytes(pointer, "little")
        raw, place, offset = self._blocks.metadata_bytes(first + (reference >> 16), reference & 0xFFFF, 4)
        size = int.from_bytes(raw, "little")
        if len(pointer) != 8 or size > min(METADATA_SIZE, 4 * LONGEST_VALUE):
            raise SquashfsError(f"a short value of {size} bytes")
        return self._blocks.metadata_bytes(place, offset, size)[0]
