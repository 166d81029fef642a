"""A mirror: the same bytes on every member. What one cannot give, the next one is asked for."""

from collections.abc import Sequence

from volforensic.evidence.volumes.joined import cut, read_all
from volforensic.medium import Medium

_PIECE = 4096


class MirroredMedium:
    """Holds the members of a mirror, and its size in bytes."""

    def __init__(self, members: Sequence[Medium], size: int) -> None:
        """Take the members, the one to be asked first in front; ValueError where there are none."""
        if not members:
            raise ValueError("a mirror without members")
        self._members = members
        self._size = size

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return self._size

    def read_at(self, position: int, size: int) -> bytes:
        """Return the bytes from the first member that has them all, else piece by piece; see ``Medium``."""
        size = cut(position, size, self._size)
        if not size:
            return b""
        try:
            return self._whole(position, size)
        except OSError:
            if size <= _PIECE:
                raise
        pieces, end = [], position + size
        while position < end:
            length = min(end, position - position % _PIECE + _PIECE) - position
            pieces.append(self._whole(position, length))
            position += length
        return b"".join(pieces)

    def _whole(self, position: int, size: int) -> bytes:
        for member in self._members[:-1]:
            try:
                return read_all(member, position, size)
            except OSError:
                continue  # the last one's error is what the reader sees
        return read_all(self._members[-1], position, size)
