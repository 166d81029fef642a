"""A copy-on-write snapshot of device-mapper: the origin, but for the chunks that its exception store holds.

Source: the kernel's drivers/md/dm-snap-persistent.c and Documentation/admin-guide/device-mapper/snapshot.rst. Chunk 0
of the store is a header; then come areas: one chunk of exceptions (old chunk, new chunk; a new chunk of 0 ends them),
followed by as many chunks of data as it has room for exceptions. There is no checksum: what cannot be (a chunk that is
there twice, one of exceptions used for data, exceptions after the end) is damage.
"""

import errno
import struct
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import islice, pairwise
from typing import NamedTuple

from volforensic.evidence.volumes.joined import cut, read_all
from volforensic.medium import Medium

_MAGIC = 0x70416E53
_HEADER = struct.Struct("<IIII")
_EXCEPTION = struct.Struct("<QQ")
_MOST_EXCEPTIONS = 8 << 20
_SECTOR = 512
_NUMBER_BITS = 32
_LARGEST_NUMBER = (1 << _NUMBER_BITS) - 1


class StoreFacts(NamedTuple):
    """What the header of an exception store says: its chunk in bytes, whether the snapshot is whole."""

    chunk: int
    is_valid: bool


def read_store_header(store: Medium) -> StoreFacts:
    """Return what the store's header says. OSError with ``EIO`` where there is none or it cannot be read."""
    magic, valid, version, sectors = _HEADER.unpack(read_all(store, 0, _HEADER.size))
    if magic != _MAGIC:
        raise OSError(errno.EIO, "the snapshot's exception store has no header")
    if version != 1 or not sectors or sectors & (sectors - 1) or sectors > 1 << 21:
        raise OSError(errno.EIO, f"the snapshot's exception store is of version {version}, chunks of {sectors} sectors")
    return StoreFacts(sectors * _SECTOR, bool(valid))


class SnapshotMedium:
    """Holds origin and exception store; the exceptions are read when the first byte is."""

    def __init__(self, origin: Medium, store: Medium, chunk: int, size: int) -> None:
        """Take both, the chunk in bytes that the metadata says, the snapshot's size in bytes."""
        self._origin = origin
        self._store = store
        self._chunk = chunk
        self._size = size
        self._sorted: array[int] | None = None

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return self._size

    def read_at(self, position: int, size: int) -> bytes:
        """Return the bytes, each from the store where it holds their chunk; see ``Medium``."""
        end = position + cut(position, size, self._size)
        if position >= end:
            return b""
        pieces = []
        for is_stored, place, length in self._runs(position, end):
            pieces.append(read_all(self._store if is_stored else self._origin, place, length))
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _runs(self, position: int, end: int) -> Iterator[tuple[bool, int, int]]:
        """Yield (in the store?, where there, how many bytes) in order, neighbours as one."""
        last = (False, position, 0)
        for is_stored, place, length in self._pieces(position, end):
            if last[0] == is_stored and last[1] + last[2] == place:
                last = (is_stored, last[1], last[2] + length)
                continue
            if last[2]:
                yield last
            last = (is_stored, place, length)
        yield last

    def _pieces(self, position: int, end: int) -> Iterator[tuple[bool, int, int]]:
        exceptions, chunk, index = self._exceptions(), self._chunk, 0
        while position < end:
            index = bisect_left(exceptions, position // chunk << _NUMBER_BITS, index)
            following = (exceptions[index] >> _NUMBER_BITS) * chunk if index < len(exceptions) else end
            if following > position:
                length = min(end, following) - position
                yield False, position, length
            else:
                within = position - following
                length = min(end - position, chunk - within)
                yield True, (exceptions[index] & _LARGEST_NUMBER) * chunk + within, length
            position += length

    def _exceptions(self) -> "array[int]":
        """Return the exceptions in order: the old chunk above the new one. OSError where the store is damaged."""
        if self._sorted is None:
            header = read_store_header(self._store)
            if not header.is_valid:
                raise OSError(errno.EIO, "the snapshot is invalid: its exception store was full")
            if header.chunk != self._chunk:
                raise OSError(errno.EIO, f"the exception store has chunks of {header.chunk} bytes, not {self._chunk}")
            found = array("Q", sorted(islice(self._stored(), _MOST_EXCEPTIONS + 1)))
            if len(found) > _MOST_EXCEPTIONS:
                raise OSError(errno.EIO, f"the snapshot has more than {_MOST_EXCEPTIONS} exceptions")
            if _has_twins(value >> _NUMBER_BITS for value in found) or _has_twins(
                sorted(value & _LARGEST_NUMBER for value in found)
            ):
                raise OSError(errno.EIO, "the snapshot's exception store is damaged: a chunk is there twice")
            self._sorted = found
        return self._sorted

    def _stored(self) -> Iterator[int]:
        """Yield the exceptions of all areas up to the one that ends them."""
        room = self._chunk // _EXCEPTION.size
        chunks = self._store.size // self._chunk
        for area in range(1, chunks, room + 1):
            raw = read_all(self._store, area * self._chunk, self._chunk)
            for place, (old, new) in enumerate(_EXCEPTION.iter_unpack(raw)):
                is_end = not new
                if is_end and not any(raw[place * _EXCEPTION.size :]):
                    return
                if is_end or new >= chunks or not (new - 1) % (room + 1) or max(old, new) > _LARGEST_NUMBER:
                    raise OSError(errno.EIO, f"the snapshot's exception store is damaged in chunk {area}")
                yield old << _NUMBER_BITS | new


def _has_twins(numbers: Iterable[int]) -> bool:
    """Return whether two neighbours are the same."""
    return any(one == other for one, other in pairwise(numbers))
