"""rpm's own database format, ndb: ``Packages.db`` (rpm's lib/backend/ndb/rpmpkg.c), little endian.

The header: ``RpmP``, version 0, generation, how many pages of 4096 bytes the slots take. Slots of 16 bytes from byte 32
on: ``Slot``, the package's number, where its blob begins (0: the slot is free) and how long it is, in blocks of 16
bytes. A blob begins with ``BlbS``, the package's number, a time and its length; it ends with padding, an Adler-32
checksum, its length, ``BlbE``.
"""

import struct
import zlib
from collections.abc import Iterator

from volforensic.inventory.packages.claims import Lost

_MAGIC = b"RpmP"
_SLOT = struct.Struct("<4sIII")
_BLOCK = 16
_PAGE = 4096
_BLOB_HEAD = struct.Struct("<4sIII")
_BLOB_TAIL = struct.Struct("<II4s")
_AMPLIFICATION = 2


def headers(data: bytes) -> Iterator[bytes | Lost]:
    """Yield the header of each package, and what is lost."""
    if len(data) < 32 or data[:4] != _MAGIC:
        yield Lost("Packages.db is no ndb database")
        return
    version, _, pages = struct.unpack_from("<III", data, 4)
    if version:
        yield Lost(f"Packages.db has version {version}, which is not known")
        return
    end = pages * _PAGE
    if end > len(data):
        yield Lost("Packages.db ends within its table of packages", offset=len(data), length=end - len(data))
    left = _AMPLIFICATION * len(data)
    for position in range(32, min(end, len(data)) - _SLOT.size + 1, _SLOT.size):
        magic, number, block, count = _SLOT.unpack_from(data, position)
        if magic != b"Slot":
            yield Lost("a slot of Packages.db is damaged", offset=position, length=_SLOT.size)
        elif block:
            left -= count * _BLOCK
            if left < 0:
                yield Lost("the packages of Packages.db are longer than the file", offset=position)
                return
            yield from _blob(data, number, block * _BLOCK, count * _BLOCK)


def _blob(data: bytes, number: int, start: int, size: int) -> Iterator[bytes | Lost]:
    begin, end = start + _BLOB_HEAD.size, start + size - _BLOB_TAIL.size
    lost = Lost(f"package number {number} of Packages.db is damaged", offset=start, length=size)
    if end < begin or end + _BLOB_TAIL.size > len(data):
        yield lost
        return
    magic, own, _, length = _BLOB_HEAD.unpack_from(data, start)
    checksum, again, tail = _BLOB_TAIL.unpack_from(data, end)
    if (magic, own, tail) != (b"BlbS", number, b"BlbE") or length != again or length > end - begin:
        yield lost
        return
    if zlib.adler32(data[start:end]) != checksum:  # rpm does not look at it when it reads
        yield lost._replace(reason=f"package number {number} of Packages.db has a wrong checksum", hides=False)
    yield data[begin : begin + length]
