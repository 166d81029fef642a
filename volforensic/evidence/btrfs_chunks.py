"""Where the logical addresses of a btrfs lie: its chunks, their profiles, the devices that are there.

Source: the kernel's include/uapi/linux/btrfs_tree.h (btrfs_chunk, BTRFS_BLOCK_GROUP_*) and fs/btrfs/volumes.c
(btrfs_map_block, map_blocks_raid0, map_blocks_raid56_read: the columns of a row move by one with each row).
"""

import struct
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import islice
from operator import itemgetter
from typing import NamedTuple

from volforensic.evidence.btrfs_parity import rebuilt
from volforensic.evidence.devices import DeviceRange
from volforensic.evidence.reader import Window
from volforensic.medium import Medium

DATA = 1
_STRIPED, _DOUBLE, _FIFTH, _SIXTH = 1 << 3, 1 << 6, 1 << 7, 1 << 8  # RAID0, RAID10, RAID5, RAID6
_MIRRORED = 1 << 4 | 1 << 5 | 1 << 9 | 1 << 10  # RAID1, DUP, RAID1C3, RAID1C4
_PROFILES = _STRIPED | _DOUBLE | _FIFTH | _SIXTH | _MIRRORED
_PARITY = _FIFTH | _SIXTH
_CHUNK = struct.Struct("<Q8xQQ12xHH")  # length, stripe's length, type, stripes, sub-stripes
_STRIPE = struct.Struct("<QQ16x")  # device, offset
_SMALLEST_STRIPE = 4096
_MOST_STRIPES = 1024
_MOST_PIECES = 1 << 20


class Chunk(NamedTuple):
    """A chunk: its logical bytes, its profile's bits, and for each stripe the device and the byte where it begins."""

    start: int
    length: int
    kind: int
    stripe_length: int
    sub_stripes: int
    stripes: tuple[tuple[int, int], ...]

    @property
    def parities(self) -> int:
        """How many columns of a row are parity."""
        return 2 if self.kind & _SIXTH else 1 if self.kind & _FIFTH else 0

    @property
    def is_double(self) -> bool:
        """Whether stripes stand together as mirrors, ``sub_stripes`` at a time (RAID10)."""
        return bool(self.kind & _DOUBLE)

    @property
    def is_whole(self) -> bool:
        """Whether each stripe holds all of the chunk, as it is."""
        return not self.kind & (_STRIPED | _DOUBLE | _PARITY)


class Piece(NamedTuple):
    """A run of logical bytes that is a run on each device: its copies by their byte in the source.

    ``row`` are the places of a row's columns, data first, then parity (None: missing), ``column`` which is this one.
    """

    logical: int
    length: int
    addresses: tuple[int, ...]
    row: tuple[int | None, ...] = ()
    column: int = 0
    parities: int = 0


class ChunkMap:
    """Holds chunks and devices. Places are bytes of the source."""

    def __init__(self, medium: Medium, devices: Sequence[DeviceRange]) -> None:
        """Take the devices that are there, the best first."""
        self._medium = medium
        self._devices = {device.number: device for device in reversed(devices)}
        self._rank = {device.number: rank for rank, device in reversed(list(enumerate(devices)))}
        self.chunks: list[Chunk] = []

    def span(self) -> Window:
        """Return the range of the source in which all its devices lie."""
        first = min(device.offset for device in self._devices.values())
        end = max(device.offset + device.length for device in self._devices.values())
        return Window(self._medium, first, end - first)

    def add(self, start: int, raw: bytes) -> None:
        """Take a chunk as its item says it; what cannot be one is left out."""
        if len(raw) < _CHUNK.size:
            return
        length, stripe_length, kind, count, sub_stripes = _CHUNK.unpack_from(raw)
        stripes = raw[_CHUNK.size : _CHUNK.size + min(count, _MOST_STRIPES) * _STRIPE.size]
        places = tuple(_STRIPE.iter_unpack(stripes[: len(stripes) - len(stripes) % _STRIPE.size]))
        if kind & (_STRIPED | _DOUBLE | _PARITY) and not _is_possible(kind, stripe_length, sub_stripes, len(places)):
            places = ()
        if not kind & _PROFILES:
            places = places[:1]
        self.chunks.append(Chunk(start, length, kind, stripe_length, sub_stripes, places))

    def sort(self) -> None:
        """Put the chunks in order: after the last was added."""
        self.chunks.sort()

    def leave_out_data(self) -> None:
        """Have no place for data that a tree of stripes places (RAID_STRIPE_TREE): that is not read."""
        self.chunks = [
            chunk._replace(stripes=()) if chunk.kind & DATA and chunk.kind & _PROFILES else chunk
            for chunk in self.chunks
        ]

    def missing(self) -> tuple[list[int], bool]:
        """Return the devices that chunks name and that are not there, and whether bytes are lost by that."""
        absent = {device for chunk in self.chunks for device, _ in chunk.stripes} - self._devices.keys()
        is_loss = any(chunk.stripes and self._is_lost(chunk, absent) for chunk in self.chunks) if absent else False
        return sorted(absent), is_loss

    def pieces(self, logical: int, length: int) -> Iterator[Piece]:
        """Yield the pieces of a run of logical bytes; one without addresses is nowhere, or on a missing device."""
        end = logical + length
        for _ in range(_MOST_PIECES):
            if logical >= end:
                return
            piece = self._piece(logical, end - logical)
            yield piece
            logical += piece.length
        yield Piece(logical, end - logical, ())

    def physical(self, logical: int, length: int) -> tuple[int, ...]:
        """Return where a run of logical bytes begins, once for each copy that is one run; empty where none is."""
        piece = self._piece(logical, length) if length > 0 else None
        return piece.addresses if piece is not None and piece.length == length else ()

    def versions(self, logical: int, length: int) -> Iterator[bytes]:
        """Yield each version of some bytes that reads whole: of copies, and what parity gives instead."""
        pieces = list(islice(self.pieces(logical, length), 64))
        if sum(piece.length for piece in pieces) < length:
            return
        candidates = [self._candidates(piece) for piece in pieces]
        parts = [next(found, None) for found in candidates]
        while all(part is not None for part in parts):
            yield b"".join(part for part in parts if part is not None)
            following = [next(found, None) for found in candidates]
            if not any(part is not None for part in following):
                return
            parts = [after if after is not None else part for part, after in zip(parts, following, strict=True)]

    def read(self, address: int, length: int) -> bytes | None:
        """Return bytes of the source; None where they do not all come."""
        try:
            data = self._medium.read_at(address, length)
        except OSError:
            return None
        return data if len(data) == length else None

    def _candidates(self, piece: Piece) -> Iterator[bytes]:
        for address in piece.addresses:
            data = self.read(address, piece.length)
            if data is not None:
                yield data
        if piece.row:
            columns = [None if place is None else self.read(place, piece.length) for place in piece.row]
            edge = len(columns) - piece.parities
            data = rebuilt(columns[:edge], columns[edge:], piece.column)
            if data is not None:
                yield data

    def _piece(self, logical: int, most: int) -> Piece:
        index = bisect_right(self.chunks, logical, key=itemgetter(0)) - 1
        chunk = self.chunks[index] if index >= 0 else None
        if chunk is None or logical >= chunk.start + chunk.length:
            following = self.chunks[index + 1].start - logical if index + 1 < len(self.chunks) else most
            return Piece(logical, min(most, following), ())
        within = logical - chunk.start
        length = min(most, chunk.length - within)
        if index + 1 < len(self.chunks):  # chunks that overlap: the later one counts from where it begins
            length = min(length, max(1, self.chunks[index + 1].start - logical))
        if chunk.is_whole or not chunk.stripes:
            return Piece(logical, length, self._copies(chunk.stripes, within, length))
        number, rest = divmod(within, chunk.stripe_length)
        length = min(length, chunk.stripe_length - rest)
        if chunk.kind & _PARITY:
            return self._in_row(chunk, number, rest, Piece(logical, length, ()))
        together = chunk.sub_stripes if chunk.kind & _DOUBLE else 1
        row, column = divmod(number, len(chunk.stripes) // together)
        stripes = chunk.stripes[column * together : (column + 1) * together]
        return Piece(logical, length, self._copies(stripes, row * chunk.stripe_length + rest, length))

    def _in_row(self, chunk: Chunk, number: int, rest: int, piece: Piece) -> Piece:
        count = len(chunk.stripes)
        row, column = divmod(number, count - chunk.parities)
        places = tuple(
            self._address(chunk.stripes[(row + index) % count], row * chunk.stripe_length + rest, piece.length)
            for index in range(count)
        )
        own = places[column]
        return piece._replace(
            addresses=() if own is None else (own,), row=places, column=column, parities=chunk.parities
        )

    def _copies(self, stripes: Sequence[tuple[int, int]], within: int, length: int) -> tuple[int, ...]:
        if len(stripes) > 1:
            stripes = sorted(stripes, key=lambda stripe: self._rank.get(stripe[0], len(self._rank)))
        found = (self._address(stripe, within, length) for stripe in stripes)
        return tuple(address for address in found if address is not None)

    def _address(self, stripe: tuple[int, int], within: int, length: int) -> int | None:
        device, start = stripe
        known = self._devices.get(device)
        if known is None or start + within + length > known.length:
            return None
        return known.offset + start + within

    def _is_lost(self, chunk: Chunk, absent: set[int]) -> bool:
        gone = [device in absent for device, _ in chunk.stripes]
        if chunk.kind & _PARITY:
            return sum(gone) > chunk.parities
        if chunk.kind & _DOUBLE:
            step = chunk.sub_stripes
            return any(all(gone[first : first + step]) for first in range(0, len(gone), step))
        return any(gone) if chunk.kind & _STRIPED else all(gone)


def _is_possible(kind: int, stripe_length: int, sub_stripes: int, count: int) -> bool:
    if stripe_length < _SMALLEST_STRIPE or stripe_length % _SMALLEST_STRIPE or not count:
        return False
    if kind & _DOUBLE:
        return sub_stripes > 0 and not count % sub_stripes
    return count > (2 if kind & _SIXTH else 1 if kind & _FIFTH else 0)
