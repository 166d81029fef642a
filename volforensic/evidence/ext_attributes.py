"""Extended attributes of ext2/3/4: behind the fields of an inode, and in a block of their own.

Source: the kernel's Documentation/filesystems/ext4/attributes.rst and fs/ext4/xattr.c (ext4_xattr_block_csum).
"""

import struct
from collections.abc import Callable

from volforensic.evidence.attributes import (
    ACCESS_LIST,
    ASKED,
    NOTHING_EXTENDED,
    VALUED,
    Extended,
    extended,
)
from volforensic.evidence.capabilities import LONGEST_VALUE
from volforensic.evidence.superblocks import crc32c

MAGIC = b"\x00\x00\x02\xea"
_ENTRY = struct.Struct("<BBHIII")  # length and kind of the name, place of the value, its inode, its size, hash
_BLOCK_HEADER = 32
_CHECKSUM = slice(16, 20)
_NAMESPACES = {1: b"user.", 4: b"trusted.", 6: b"security."}
_ASKED = {
    (kind, name[len(space) :]): name for kind, space in _NAMESPACES.items() for name in ASKED if name.startswith(space)
}
_ASKED[2, b""] = ACCESS_LIST
_ALL_ONES = 0xFFFFFFFF

Names = dict[bytes, bytes | None]


class AttributeBlocks:
    """Holds how a block of attributes is read and checked, and what the last one said: many inodes share theirs."""

    def __init__(
        self, read_block: Callable[[int], bytes], size: int, seed: int | None, read_value: Callable[[int, int], bytes]
    ) -> None:
        """Take what reads a block by its number, its size in bytes, and the checksums' seed (None: there are none).

        ``read_value`` returns the value of so many bytes that an inode holds; ValueError where it is none.
        """
        self._read_value = read_value
        self._read_block = read_block
        self._size = size
        self._seed = seed
        self._last: tuple[int, Names, list[str]] = (0, {}, [])

    def extended(self, raw: bytes, *, is_freed: bool = False) -> Extended:
        """Return what the attributes of an inode say, those that it holds itself and those in a block.

        The block that a freed inode still names is not its own any more: only what it holds itself is told.
        """
        names: Names = {}
        problems: list[str] = []
        first = 128 + int.from_bytes(raw[128:130], "little") + 4 if len(raw) > 128 else len(raw)
        if raw[first - 4 : first] == MAGIC:
            _take(raw, first, first, names, problems, self._read_value)
        block = int.from_bytes(raw[104:108], "little") | int.from_bytes(raw[118:120], "little") << 32
        if block and not is_freed:
            self._take_block(block, names, problems)
        return extended(names, problems) if names or problems else NOTHING_EXTENDED

    def _take_block(self, block: int, names: Names, problems: list[str]) -> None:
        if self._last[0] != block:
            found: Names = {}
            wrong: list[str] = []
            data = self._read_block(block)
            if len(data) < self._size:
                wrong.append(f"the block {block} of its extended attributes lies outside the volume")
            elif not data.startswith(MAGIC):
                wrong.append(f"block {block} holds no extended attributes")
            else:
                if self._seed is not None and not self._is_right(block, data):
                    wrong.append(f"the checksum of the block {block} of its extended attributes is wrong")
                _take(data, _BLOCK_HEADER, 0, found, wrong, self._read_value)
            self._last = block, found, wrong
        for name, value in self._last[1].items():
            names.setdefault(name, value)
        problems += self._last[2]

    def _is_right(self, block: int, data: bytes) -> bool:
        cleared = data[: _CHECKSUM.start] + bytes(4) + data[_CHECKSUM.stop :]
        found = crc32c(block.to_bytes(8, "little") + cleared, self._seed or 0) ^ _ALL_ONES
        return int.from_bytes(data[_CHECKSUM], "little") == found


def _take(  # noqa: PLR0913, PLR0917 - what is read, where, and what is to be filled
    data: bytes, place: int, base: int, names: Names, problems: list[str], read_value: Callable[[int, int], bytes]
) -> None:
    """Take the attributes that are asked for from the entries at ``place``; values lie behind ``base``."""
    end = len(data)
    while place + 4 <= end and data[place : place + 4] != bytes(4):
        if place + _ENTRY.size > end or place + _ENTRY.size + data[place] > end:
            problems.append("the list of its extended attributes is damaged")
            return
        name_length, kind, offset, inode, size, _ = _ENTRY.unpack_from(data, place)
        start = place + _ENTRY.size
        place = start + (name_length + 3 & ~3)
        name = _ASKED.get((kind, data[start : start + name_length]))
        if name is None or name in names:
            continue
        names[name] = None
        what = VALUED.get(name)
        if what is not None:
            if size > LONGEST_VALUE:
                problems.append(f"its {what} are damaged: they have {size} bytes")
            elif inode:
                names[name] = _value_of(what, inode, size, problems, read_value)
            elif base + offset + size > end:
                problems.append(f"its {what} lie outside the block of its extended attributes")
            else:
                names[name] = data[base + offset : base + offset + size]


def _value_of(
    what: str, inode: int, size: int, problems: list[str], read_value: Callable[[int, int], bytes]
) -> bytes | None:
    """Return a value that has an inode of its own (ea_inode)."""
    try:
        return read_value(inode, size)
    except (ValueError, OSError) as error:
        problems.append(f"its {what} lie in inode {inode} (ea_inode) and were not read: {error}")
        return None
