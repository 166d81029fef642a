"""Extended attributes of XFS: in the inode, in one leaf, or in a tree of leaves.

Source: the kernel's fs/xfs/libxfs/xfs_da_format.h (xfs_attr_sf_entry, xfs_attr3_leaf_hdr, xfs_attr3_rmt_hdr,
xfs_da3_node_hdr). A block is entered once and its level falls by one, so the walk ends.
"""

import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from volforensic.evidence.attributes import ACCESS_LIST, ASKED, VALUED, Extended, extended
from volforensic.evidence.capabilities import LONGEST_VALUE
from volforensic.evidence.superblocks import checksum_is_right

_ROOT, _SECURE, _NAMESPACES, _LOCAL, _INCOMPLETE = 0x02, 0x04, 0x0E, 0x01, 0x80
_SPACES = {0: b"user.", _ROOT: b"trusted.", _SECURE: b"security."}
_ASKED = {
    (kind, name[len(space) :]): name for kind, space in _SPACES.items() for name in ASKED if name.startswith(space)
}
_ASKED[_ROOT, b"SGI_ACL_FILE"] = ACCESS_LIST
_NODE, _LEAF = {0x3EBE: True, 0xFEBE: False}, {0x3BEE: True, 0xFBEE: False}
_NODE_HEADERS, _LEAF_HEADERS = (16, 64), (32, 80)  # without and with a checksum
_CHECKSUM, _REMOTE_CHECKSUM, _REMOTE_HEADER = 12, 12, 56
_DEEPEST = 5
_MOST_BLOCKS = 4096

ReadBlock = Callable[[int], bytes]
Names = dict[bytes, bytes | None]


class _Attribute(NamedTuple):
    """An attribute: its namespace, its name, and its value or where that lies (block of the fork, bytes)."""

    namespace: int
    name: bytes
    value: bytes
    remote: tuple[int, int] | None = None


def short_attributes(fork: bytes) -> Extended:
    """Return what attributes in the inode itself say."""
    problems: list[str] = []
    return _extended(_short(fork, problems), problems, lambda _: b"")


def block_attributes(read_block: ReadBlock, problems: list[str], *, has_checksums: bool) -> Extended:
    """Return what attributes in blocks say; ``read_block`` gives a block of the attribute fork by its number in it."""
    return _extended(_blocks(read_block, problems, has_checksums=has_checksums), problems, read_block)


def _extended(found: Iterator[_Attribute], problems: list[str], read_block: ReadBlock) -> Extended:
    names: Names = {}
    for attribute in found:
        name = _ASKED.get((attribute.namespace, attribute.name))
        if name is None or name in names:
            continue
        names[name] = attribute.value if attribute.remote is None else None
        if name in VALUED and attribute.remote is not None:
            names[name] = _remote(VALUED[name], *attribute.remote, read_block, problems)
    return extended(names, problems)


def _short(fork: bytes, problems: list[str]) -> Iterator[_Attribute]:
    size, count = struct.unpack_from(">HB", fork) if len(fork) >= 4 else (0, 0)
    place, end = 4, min(size, len(fork))
    for _ in range(count):
        if place + 3 > end or place + 3 + fork[place] + fork[place + 1] > end:
            problems.append("its extended attributes are cut")
            return
        name_end = place + 3 + fork[place]
        value_end = name_end + fork[place + 1]
        if not fork[place + 2] & _INCOMPLETE:
            yield _Attribute(fork[place + 2] & _NAMESPACES, fork[place + 3 : name_end], fork[name_end:value_end])
        place = value_end


def _blocks(read_block: ReadBlock, problems: list[str], *, has_checksums: bool) -> Iterator[_Attribute]:
    waiting: list[tuple[int, int | None]] = [(0, None)]
    visited: set[int] = set()
    while waiting:
        number, level = waiting.pop()
        if number in visited or len(visited) >= _MOST_BLOCKS:
            problems.append(f"block {number} of its extended attributes is used twice, or they have too many")
            continue
        visited.add(number)
        data = read_block(number)
        magic = int.from_bytes(data[8:10], "big")
        if magic in _NODE and _NODE[magic] == has_checksums:
            own, below = _children(data, has_checksums=has_checksums)
            if not 0 < own <= _DEEPEST or (level is not None and own != level):
                problems.append(f"block {number} of its extended attributes is of level {own}")
                continue
            waiting += [(child, own - 1) for child in reversed(below)]
        elif magic in _LEAF and _LEAF[magic] == has_checksums and not level:
            yield from _leaf(data, number, problems, has_checksums=has_checksums)
        else:
            problems.append(f"block {number} of its extended attributes is damaged")
            continue
        if has_checksums and not checksum_is_right(data, _CHECKSUM):
            problems.append(f"the checksum of block {number} of its extended attributes is wrong")


def _children(data: bytes, *, has_checksums: bool) -> tuple[int, list[int]]:
    header = _NODE_HEADERS[has_checksums]
    count, level = struct.unpack_from(">HH", data, 56 if has_checksums else 12)
    most = (len(data) - header) // 8
    entries = data[header : header + min(count, most) * 8]
    return level, [below for _, below in struct.iter_unpack(">II", entries)]


def _leaf(data: bytes, number: int, problems: list[str], *, has_checksums: bool) -> Iterator[_Attribute]:
    header = _LEAF_HEADERS[has_checksums]
    count = int.from_bytes(data[56:58] if has_checksums else data[12:14], "big")
    entries = data[header : header + min(count, (len(data) - header) // 8) * 8]
    for _, place, flags in struct.iter_unpack(">IHBx", entries):
        if flags & _INCOMPLETE:
            continue
        fixed = 3 if flags & _LOCAL else 9
        length = data[place + fixed - 1] if place + fixed <= len(data) else len(data)
        size = int.from_bytes(data[place : place + 2], "big") if flags & _LOCAL else 0
        name_end = place + fixed + length
        if name_end + size > len(data):
            problems.append(f"an entry in block {number} of its extended attributes lies outside it")
            continue
        name = data[place + fixed : name_end]
        remote = None if flags & _LOCAL else struct.unpack_from(">II", data, place)
        yield _Attribute(flags & _NAMESPACES, name, data[name_end : name_end + size], remote)


def _remote(what: str, block: int, size: int, read_block: ReadBlock, problems: list[str]) -> bytes | None:
    """Return a value that lies in a block of its own."""
    if size > LONGEST_VALUE:
        problems.append(f"its {what} are damaged: they have {size} bytes")
        return None
    data = read_block(block)
    if data.startswith(b"XARM"):
        if not checksum_is_right(data, _REMOTE_CHECKSUM):
            problems.append(f"the checksum of block {block} of its extended attributes is wrong")
        data = data[_REMOTE_HEADER:]
    if len(data) < size:
        problems.append(f"block {block} of its extended attributes lies outside the volume")
        return None
    return data[:size]
