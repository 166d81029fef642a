"""A striped volume: chunks dealt out to the members in turn, as the kernel's drivers/md/dm-stripe.c does."""

from collections.abc import Sequence

from volforensic.evidence.volumes.joined import cut, read_all
from volforensic.medium import Medium


class StripedMedium:
    """Holds the members of a striped volume, its chunk and its size in bytes."""

    def __init__(self, members: Sequence[Medium], chunk: int, size: int) -> None:
        """Take the members in their order; ValueError where there are none, or chunks of no bytes."""
        if not members or chunk <= 0:
            raise ValueError(f"{len(members)} members with chunks of {chunk} bytes")
        self._members = members
        self._chunk = chunk
        self._size = size

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return self._size

    def read_at(self, position: int, size: int) -> bytes:
        """Return the bytes; what a member has of them is one run, and read in one go. See ``Medium``."""
        size = cut(position, size, self._size)
        if not size:
            return b""
        chunk, count = self._chunk, len(self._members)
        first, last = position // chunk, (position + size - 1) // chunk
        shares: dict[int, tuple[int, bytes]] = {}  # by member: where its share begins, its bytes
        for number in range(first, min(last + 1, first + count)):
            row, place = divmod(number, count)
            final_row = row + (last - number) // count
            begin = row * chunk + (position - first * chunk if number == first else 0)
            end = final_row * chunk + chunk
            if final_row * count + place == last:
                end = final_row * chunk + position + size - last * chunk
            shares[place] = begin, read_all(self._members[place], begin, end - begin)
        if len(shares) == 1:
            return shares[first % count][1]
        return b"".join(self._pieces(shares, position, size))

    def _pieces(self, shares: dict[int, tuple[int, bytes]], position: int, size: int) -> list[memoryview]:
        views = {place: (begin, memoryview(data)) for place, (begin, data) in shares.items()}
        pieces, end = [], position + size
        while position < end:
            number, within = divmod(position, self._chunk)
            row, place = divmod(number, len(self._members))
            length = min(self._chunk - within, end - position)
            begin, view = views[place]
            start = row * self._chunk + within - begin
            pieces.append(view[start : start + length])
            position += length
        return pieces
