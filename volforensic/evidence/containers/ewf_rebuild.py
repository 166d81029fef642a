"""Chunks of an EWF image whose table is gone, found one after the other from the first on.

A compressed chunk says itself where it ends, one that is not ends with the checksum of its bytes: both are checked, so
what is found is sound. At the first that is neither the others behind it are lost: nothing says where they begin.
"""

import zlib

from volforensic.evidence.containers.ewf_chunks import longest_stored
from volforensic.evidence.containers.ewf_sections import Section, Volume
from volforensic.evidence.containers.ewf_tables import Table
from volforensic.evidence.containers.parts import read_around
from volforensic.medium import Medium

_COMPRESSED, _LARGEST_OFFSET = 0x80000000, 0x7FFFFFFF
_READ_AT_ONCE = 4 << 20


def rebuilt(medium: Medium, sectors: Section, volume: Volume) -> tuple[Table | None, bool]:
    """Return a table of the chunks that are found, and whether these are all that the section has."""
    chunk_size = volume.chunk_size
    end = min(sectors.end, medium.size, sectors.data_at + _LARGEST_OFFSET)
    longest = longest_stored(chunk_size)
    entries = bytearray()
    here = sectors.data_at
    data = memoryview(b"")
    while here < end:
        if len(data) < min(longest, end - here):
            data = memoryview(read_around(medium, here, min(max(_READ_AT_ONCE, longest), end - here)))
        piece = data[:longest]
        length, is_compressed, is_whole = _chunk(piece, chunk_size, is_end=here + len(piece) >= end)
        if length == 0:
            break
        entries += (here - sectors.data_at | (_COMPRESSED if is_compressed else 0)).to_bytes(4, "little")
        here += length
        data = data[length:]
        if not is_whole:
            break
    count = len(entries) // 4
    table = Table(count, sectors.data_at, (sectors,), ((sectors.data_at, here),), bytes(entries)) if count else None
    return table, here >= sectors.end


def _chunk(data: memoryview, chunk_size: int, *, is_end: bool) -> tuple[int, bool, bool]:
    """Return how many bytes the chunk has that begins here, whether compressed, and whether of full size; 0: none."""
    if len(data) > 2 and data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0:
        stream = zlib.decompressobj()
        try:
            size = len(stream.decompress(data, chunk_size + 1))
        except zlib.error:
            size = 0
        if stream.eof and 0 < size <= chunk_size:
            return len(data) - len(stream.unused_data), True, size == chunk_size
    for length in {min(chunk_size, len(data) - 4), len(data) - 4 if is_end else chunk_size}:
        if 0 < length <= chunk_size and zlib.adler32(data[:length]) == int.from_bytes(
            data[length : length + 4], "little"
        ):
            return length + 4, False, length == chunk_size
    return 0, False, False
