"""The disk of an EWF image: chunk by chunk through the tables, each decompressed once for reads in order."""

from bisect import bisect_right
from functools import lru_cache
from typing import NamedTuple

from volforensic.evidence.containers.container import NoteFault
from volforensic.evidence.containers.ewf_chunks import decoded, longest_stored
from volforensic.evidence.containers.ewf_sections import Volume
from volforensic.evidence.containers.ewf_tables import Table, table_entries
from volforensic.evidence.containers.mapped import Noted, unreadable
from volforensic.medium import Medium

_TABLES_KEPT = 4
_MEMORY_KEPT, _MOST_CHUNKS_KEPT = 8 << 20, 128
_READ_AHEAD = 1 << 20
_COMPRESSED, _OFFSET = 0x80000000, 0x7FFFFFFF


class Piece(NamedTuple):
    """Chunks from ``first`` on that one table has; ``table`` is None where they are lost, and ``reason`` says why."""

    first: int
    chunks: int
    medium: Medium | None
    table: Table | None
    reason: str


class _Stored(NamedTuple):
    """Where a chunk lies in its segment."""

    place: int
    size: int
    is_compressed: bool


class _Entries(NamedTuple):
    """A table as it is read: its entries, and from which on they are offsets of 32 bits (see ``_overflow``)."""

    raw: bytes
    overflow: int


class EwfDisk:
    """The logical disk; see ``Medium``."""

    def __init__(self, volume: Volume, pieces: list[Piece], note: NoteFault) -> None:
        """``pieces`` follow each other without a hole from chunk 0 to the last of the disk."""
        self.size = volume.size
        self._chunk_size = volume.chunk_size
        self._longest = longest_stored(volume.chunk_size)
        self._pieces = pieces
        self._firsts = [piece.first for piece in pieces]
        self._noted = Noted(note)
        self._entries = lru_cache(_TABLES_KEPT)(self._read_entries)
        kept = min(_MOST_CHUNKS_KEPT, max(1, _MEMORY_KEPT // self._chunk_size))
        self._chunk = lru_cache(kept)(self._read_chunk)
        self._ahead: tuple[int, int, bytes] = (-1, 0, b"")  # piece, first byte in its file, bytes
        self._wanted = 0  # the last chunk of the read that is under way

    def read_at(self, position: int, size: int) -> bytes:
        """Return the bytes; a chunk that fails its checksum is given and noted, one that does not decompress raises."""
        size = min(size, self.size - position)
        if position < 0 or size <= 0:
            return b""
        first, start = divmod(position, self._chunk_size)
        self._wanted = (position + size - 1) // self._chunk_size
        if first == self._wanted:
            return self._chunk(first)[start : start + size]
        parts = [self._chunk(number) for number in range(first, self._wanted + 1)]
        parts[0] = parts[0][start:]
        parts[-1] = parts[-1][: position + size - self._wanted * self._chunk_size]
        return b"".join(parts)

    def _read_chunk(self, number: int) -> bytes:
        position = number * self._chunk_size
        expected = min(self._chunk_size, self.size - position)
        try:
            index = bisect_right(self._firsts, number) - 1
            stored = self._stored(index, number)
            raw = self._raw(index, number, stored)
            data, reason = decoded(raw, expected, self._chunk_size, is_compressed=stored.is_compressed)
        except OSError as error:
            self._noted.tell(*self._lost_range(number), error.strerror or str(error))
            raise
        if reason:
            self._noted.tell(position, expected, reason, lost=False)
        return data

    def _lost_range(self, number: int) -> tuple[int, int]:
        """Return position and length of what is lost with a chunk: the whole hole, where it lies in one."""
        piece = self._pieces[bisect_right(self._firsts, number) - 1]
        first, chunks = (number, 1) if piece.table else (piece.first, piece.chunks)
        position = first * self._chunk_size
        return position, min(chunks * self._chunk_size, self.size - position)

    def _stored(self, index: int, number: int) -> _Stored:
        piece = self._pieces[index]
        if piece.table is None:
            raise unreadable(piece.reason)
        entries = self._entries(index)
        which = number - piece.first
        here = int.from_bytes(entries.raw[4 * which : 4 * which + 4], "little")
        is_compressed = which < entries.overflow and bool(here & _COMPRESSED)
        place = here & _OFFSET if which < entries.overflow else here
        end = self._end(piece.table, entries, which, place + piece.table.base)
        longest = self._longest if is_compressed else self._chunk_size + 4
        return _Stored(place + piece.table.base, min(end - place - piece.table.base, longest), is_compressed)

    def _end(self, table: Table, entries: _Entries, which: int, place: int) -> int:
        """Return where the chunk at ``place`` ends: at the next one, or with the section that holds it."""
        if which + 1 < table.chunks:
            following = int.from_bytes(entries.raw[4 * which + 4 : 4 * which + 8], "little")
            end = (following if which + 1 >= entries.overflow else following & _OFFSET) + table.base
            if end > place:
                return end
        ends = [end for start, end in table.regions if start <= place < end]
        return ends[0] if ends else place + self._longest

    def _raw(self, index: int, number: int, stored: _Stored) -> bytes:
        """Return a chunk as stored, out of one read of the file for many of them."""
        ahead, start, data = self._ahead
        offset = stored.place - start
        if ahead == index and offset >= 0 and offset + stored.size <= len(data):
            return data[offset : offset + stored.size]
        medium = self._pieces[index].medium
        if medium is None:
            raise unreadable(self._pieces[index].reason)
        chunks = max(0, self._wanted - number) + 1
        data = _read_ahead(medium, stored, min(_READ_AHEAD, chunks * self._longest))
        self._ahead = index, stored.place, data
        return data[: stored.size]

    def _read_entries(self, index: int) -> _Entries:
        piece = self._pieces[index]
        if piece.table is None or piece.medium is None:
            raise unreadable(piece.reason)
        try:
            raw, _ = table_entries(piece.medium, piece.table)
        except ValueError as error:
            raise unreadable(str(error)) from error
        return _Entries(raw, _overflow(raw, piece.table))


def _read_ahead(medium: Medium, stored: _Stored, size: int) -> bytes:
    """Return a chunk as stored, and as much behind it as is likely to be read next."""
    if size > stored.size:
        try:
            return medium.read_at(stored.place, size)
        except OSError:  # somewhere in what is read ahead; the chunk itself may be whole
            return medium.read_at(stored.place, stored.size)
    return medium.read_at(stored.place, stored.size)


def _overflow(raw: bytes, table: Table) -> int:
    """Return from which entry on the offsets have 32 bits and no flag.

    EnCase 6.7 wrote sections of more than 2 GiB: behind that no chunk is compressed, and the bit is the offset's.
    """
    count = len(raw) // 4
    if not any(end - table.base > _OFFSET for _, end in table.regions):
        return count
    before = 0
    for which in range(count):
        word = int.from_bytes(raw[4 * which : 4 * which + 4], "little")
        if word & _OFFSET < before and word >= before:
            return which
        before = word & _OFFSET
    return count
