"""The entries of one directory block of ext2/3/4, deleted ones too.

Source: the kernel's Documentation/filesystems/ext4/directory.rst. A deleted entry stays in the slack of the one before
it until that room is used again.
"""

import base64
import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

_ENTRY = struct.Struct("<IHBB")
_LARGEST_TYPE = 7
_NOT_NUL = re.compile(rb"[^\0]")


class DirectoryEntry(NamedTuple):
    """What a directory's entry says: an inode's number and a name; ``is_deleted`` where it is in no chain any more.

    ``kind`` is the file type, 0 where the filesystem keeps none here (``DIRECTORY_TYPES``).
    """

    inode: int
    name: bytes
    is_deleted: bool = False
    kind: int = 0


class Names(NamedTuple):
    """The entries of a block whose chain is whole.

    Number and name of those in use, the deleted ones, the file types of those in use.
    """

    living: list[tuple[int, bytes]]
    deleted: list[DirectoryEntry]
    kinds: bytearray


def encoded_name(ciphertext: bytes) -> bytes:
    """Return an encrypted name as text, in base64 for URLs without padding: what a kernel shows without the key.

    The kernel puts two hash values before it and shortens long ones (fs/crypto/fname.c); this is the ciphertext alone.
    """
    return base64.urlsafe_b64encode(ciphertext).rstrip(b"=")


def block_names(data: bytes, most_inodes: int, behind: int = 0) -> Names | None:
    """Return the entries of a block; None where they do not chain to its end: see ``directory_entries``.

    ``behind`` bytes stand behind each name: the hashes of names that are encrypted and compared without case.
    """
    found = Names([], [], bytearray())
    living, kinds = found.living, found.kinds
    position, end = 0, len(data)
    unpack = _ENTRY.unpack_from
    while position + 8 <= end:
        number, length, name_length, kind = unpack(data, position)
        used = name_length + 11 & ~3
        if length < used or length & 3 or position + length > end:
            return None
        if number:
            living.append((number, data[position + 8 : position + 8 + name_length]))
            kinds.append(kind)
            used += behind
        else:
            used = 8
        if length >= used + 12:  # room for a deleted entry
            slack = data[position + used : position + length]
            if slack.count(0) < length - used:
                found.deleted.extend(_deleted(data, position + used, position + length, most_inodes))
        position += length
    return found


def directory_entries(data: bytes, most_inodes: int) -> Iterator[DirectoryEntry | str]:
    """Yield the entries of a block in use; a text where they stop to chain: what follows is taken from its bytes."""
    position = 0
    while position + _ENTRY.size <= len(data):
        number, length, name_length, kind = _ENTRY.unpack_from(data, position)
        if length in {0, 65535} and len(data) == 65536:  # a whole block of 64 KiB does not fit into 16 bits
            length = 65536
        if length < _ENTRY.size or length % 4 or position + length > len(data) or name_length + 8 > length:
            yield f"the entry at byte {position} says that it has {length} bytes"
            yield from _broken_chain(data, position, most_inodes)
            return
        name = data[position + 8 : position + 8 + name_length]
        if number:
            yield DirectoryEntry(number, name, kind=kind)
        used = 8 + (name_length + 3 & ~3) if number else 8
        yield from _deleted(data, position + used, position + length, most_inodes)
        position += length


def _broken_chain(data: bytes, position: int, most_inodes: int) -> Iterator[DirectoryEntry]:
    """Yield what looks like entries behind a broken one: in use as far as anybody can tell."""
    number, _, name_length, _ = _ENTRY.unpack_from(data, position)
    end = position + 8 + name_length
    if number and name_length and end <= len(data):
        yield DirectoryEntry(number, data[position + 8 : end])
        position = end + 3 & ~3
    for entry in _deleted(data, position, len(data), most_inodes):
        yield entry._replace(is_deleted=False)


def _deleted(data: bytes, position: int, end: int, most_inodes: int) -> Iterator[DirectoryEntry]:
    while position + 12 <= end:
        used = _NOT_NUL.search(data, position, end)  # most slack is NUL bytes: an entry begins with a number
        position = end if used is None else used.start() & ~3
        if position + 12 > end:
            return
        number, length, name_length, kind = _ENTRY.unpack_from(data, position)
        needed = 8 + (name_length + 3 & ~3)
        name = data[position + 8 : position + 8 + name_length]
        if (
            0 < number <= most_inodes
            and name_length
            and kind <= _LARGEST_TYPE
            and length >= needed
            and not length % 4
            and position + 8 + name_length <= end
            and position + length <= len(data)
            and not (b"\0" in name or b"/" in name)
        ):
            yield DirectoryEntry(number, name, is_deleted=True)
            position += needed
        else:
            position += 4
