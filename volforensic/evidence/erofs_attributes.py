"""The extended attributes of an erofs' inodes: few of them are asked for.

Source: the kernel's fs/erofs/erofs_fs.h (erofs_xattr_*) and xattr.c. They follow the inode: first the numbers of those
that several inodes share, then its own. A name begins with a prefix that has a number, a long one is of the image.
"""

import struct
from collections.abc import Iterator
from functools import cached_property, lru_cache

from volforensic.evidence.attributes import ASKED, NOTHING_EXTENDED, Extended, extended
from volforensic.evidence.erofs_contents import ErofsContents
from volforensic.evidence.erofs_inodes import Inode
from volforensic.evidence.erofs_space import ErofsError, ErofsSpace, Metadata
from volforensic.evidence.erofs_superblocks import FRAGMENTS, METABOX, PLAIN_PREFIXES, SHARED_IN_METABOX

_PREFIXES = {
    1: b"user.",
    2: b"system.posix_acl_access",
    3: b"system.posix_acl_default",
    4: b"trusted.",
    5: b"lustre.",
    6: b"security.",
}
_HEAD, _ENTRY = 12, struct.Struct("<BBH")  # length of the name without its prefix, prefix, length of the value
_LONG_PREFIX = 0x80
_KEPT = 1024


class ErofsAttributes:
    """What the attributes of each inode say."""

    def __init__(self, space: ErofsSpace, contents: ErofsContents) -> None:
        """Read nothing yet: most inodes have none."""
        self._superblock = space.superblock
        self._space = space
        self._contents = contents
        self._shared = lru_cache(_KEPT)(self._read_shared)

    def of(self, inode: Inode) -> Extended:
        """Return what the attributes of an inode say; what of them is damaged is among its problems."""
        if inode.behind == inode.attribute_place:
            return NOTHING_EXTENDED
        names: dict[bytes, bytes | None] = {}
        problems: list[str] = []
        try:
            for name, value in self._all(inode, problems):
                if name in ASKED:
                    names.setdefault(name, value)
        except ErofsError as error:
            problems.append(f"its extended attributes: {error}"[:300])
        return extended(names, problems)

    def _all(self, inode: Inode, problems: list[str]) -> Iterator[tuple[bytes, bytes]]:
        metadata = self._contents.metabox() if inode.is_in_metabox else self._space.metadata
        raw = metadata.read(inode.attribute_place, inode.behind - inode.attribute_place)
        place = _HEAD + 4 * raw[4]
        if place > len(raw):
            raise ErofsError(f"{raw[4]} that are shared in {len(raw)} bytes")
        while place < len(raw):
            length, prefix, size = _ENTRY.unpack_from(raw, place)
            place += _ENTRY.size
            if place + length + size > len(raw):
                raise ErofsError(f"a name of {length} and a value of {size} bytes leave the inode")
            name = self._name(prefix, raw[place : place + length], problems)
            yield name, raw[place + length : place + length + size]
            place += -(-(length + size) // 4) * 4
        for (number,) in struct.iter_unpack("<I", raw[_HEAD : _HEAD + 4 * raw[4]]):
            prefix, own, value = self._shared(number)
            yield self._name(prefix, own, problems), value

    def _read_shared(self, number: int) -> tuple[int, bytes, bytes]:
        superblock = self._superblock
        place, metadata = superblock.attribute_block << superblock.block_log, self._space.metadata
        if superblock.compatible & SHARED_IN_METABOX:
            place, metadata = 0, self._contents.metabox()
        place += 4 * number
        length, prefix, size = _ENTRY.unpack(metadata.read(place, _ENTRY.size))
        raw = metadata.read(place + _ENTRY.size, length + size)
        return prefix, raw[:length], raw[length:]

    def _name(self, prefix: int, own: bytes, problems: list[str]) -> bytes:
        if prefix & _LONG_PREFIX:
            prefixes, fault = self._long_prefixes
            number = prefix & ~_LONG_PREFIX
            if number < len(prefixes):
                return prefixes[number] + own
            problems.append(f"its extended attributes: prefix {number} of {len(prefixes)}{fault}"[:300])
        elif prefix in _PREFIXES:
            return _PREFIXES[prefix] + own
        else:
            problems.append(f"its extended attributes: a name with prefix number {prefix}")
        return b""

    @cached_property
    def _long_prefixes(self) -> tuple[list[bytes], str]:
        """The prefixes of the image, and what was wrong with their table."""
        found: list[bytes] = []
        place = self._superblock.prefix_start * 4
        try:
            metadata = self._prefix_metadata()
            for _ in range(self._superblock.prefixes):
                length = int.from_bytes(metadata.read(place, 2), "little")
                raw = metadata.read(place + 2, length)
                found.append(_PREFIXES.get(raw[0], b"?.") + raw[1:] if raw else b"?.")
                place += -(-(2 + length) // 4) * 4
        except ErofsError as error:
            return found, f" ({error})"
        return found, ""

    def _prefix_metadata(self) -> Metadata:
        superblock = self._superblock
        if not superblock.compatible & PLAIN_PREFIXES:
            if superblock.incompatible & METABOX:
                return self._contents.metabox()
            if superblock.incompatible & FRAGMENTS and superblock.packed:
                packed = self._contents.packed()
                return Metadata(packed.read_at, packed.size)
        return self._space.metadata
