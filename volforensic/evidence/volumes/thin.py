"""A thin volume: blocks of its pool's data where the pool has mapped them, else its external origin, else NUL bytes.

Source: the kernel's drivers/md/dm-thin.c; a mapping holds the block of the data in its upper 40 bits, below it the
time of the snapshot that it is older than.
"""

from collections.abc import Iterator
from typing import NamedTuple

from volforensic.evidence.volumes.joined import cut, read_all
from volforensic.evidence.volumes.metadata_trees import TreeError
from volforensic.evidence.volumes.thin_pool import ThinPool
from volforensic.medium import Medium

_TIME_BITS = 24


class _Stretch(NamedTuple):
    """Blocks of the volume that lie one after the other; ``data`` is the first one's place, None where none is."""

    first: int
    blocks: int
    data: int | None


class ThinMedium:
    """Holds what a thin volume is read from. Mappings are looked up as they are asked for."""

    def __init__(self, pool: ThinPool, data: Medium, device: int, size: int, origin: Medium | None) -> None:
        """Take the pool with its data, the volume's number in it and its size in bytes."""
        self._pool = pool
        self._data = data
        self._device = device
        self._size = size
        self._origin = origin

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return self._size

    def read_at(self, position: int, size: int) -> bytes:
        """Return the bytes, mapped blocks that are neighbours in the data read in one go; see ``Medium``."""
        end = position + cut(position, size, self._size)
        if position >= end:
            return b""
        chunk = self._pool.chunk
        pieces = []
        for stretch in self._stretches(position // chunk, -(-end // chunk)):
            begin = max(position, stretch.first * chunk)
            length = min(end, (stretch.first + stretch.blocks) * chunk) - begin
            if stretch.data is None:
                pieces.append(self._unmapped(begin, length))
            else:
                pieces.append(read_all(self._data, stretch.data * chunk + begin - stretch.first * chunk, length))
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _unmapped(self, position: int, length: int) -> bytes:
        inside = cut(position, length, self._origin.size) if self._origin else 0
        if not inside or self._origin is None:
            return bytes(length)
        return read_all(self._origin, position, inside) + bytes(length - inside)

    def _stretches(self, first: int, end: int) -> Iterator[_Stretch]:
        """Yield the blocks from ``first`` to before ``end`` in as few stretches as they make."""
        begin, place, count = first, 0, 0  # the mapped blocks that are not yielded yet
        for block, data in self._mappings(first, end):
            if (block, data) != (begin + count, place + count):
                if count:
                    yield _Stretch(begin, count, place)
                if block > begin + count:
                    yield _Stretch(begin + count, block - begin - count, None)
                begin, place, count = block, data, 0
            count += 1
        if count:
            yield _Stretch(begin, count, place)
        if begin + count < end:
            yield _Stretch(begin + count, end - begin - count, None)

    def _mappings(self, first: int, end: int) -> Iterator[tuple[int, int]]:
        root = self._pool.root_of(self._device)
        while first < end:
            leaf = self._pool.leaf(root, first)
            for block, value in leaf.entries:
                if block >= end:
                    return
                if len(value) != 8:
                    raise TreeError(f"the mappings of the thin pool's device {self._device} are damaged")
                yield block, int.from_bytes(value, "little") >> _TIME_BITS
            first = leaf.until
