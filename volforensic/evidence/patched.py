"""A medium read around its bad sectors, to recognise what a volume holds although a part of its head is gone."""

import errno
from typing import NamedTuple

from volforensic.medium import Medium

_SECTOR = 512
_MOST_SECTORS = 4096


class Patched(NamedTuple):
    """A medium whose bad sectors read as NUL bytes; their first bytes are noted in ``bad``. Only for signatures."""

    medium: Medium
    bad: list[int]

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return self.medium.size

    def read_at(self, position: int, size: int) -> bytes:
        """Return the bytes, sector by sector where they cannot be had at once.

        Raises:
            OSError: Too many sectors are bad.
        """
        try:
            return self.medium.read_at(position, size)
        except OSError:
            return b"".join(self._pieces(position, min(position + size, self.medium.size)))

    def _pieces(self, position: int, end: int) -> list[bytes]:
        pieces = []
        while position < end:
            following = min(end, (position // _SECTOR + 1) * _SECTOR)
            try:
                pieces.append(self.medium.read_at(position, following - position))
            except OSError:
                if len(self.bad) >= _MOST_SECTORS:
                    raise OSError(errno.EIO, f"more than {_MOST_SECTORS} sectors cannot be read") from None
                self.bad.append(position)
                pieces.append(bytes(following - position))
            position = following
        return pieces
