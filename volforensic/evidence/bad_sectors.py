"""Reading around sectors that do not read: NUL bytes in their place, and where they are.

For those that can tell NUL bytes from what they look for, or that say which of their bytes are none.
"""

import errno

from volforensic.evidence.reader import Window
from volforensic.medium import Medium

SECTOR = 512
_MOST_NOTED = 4096
UNREAD = 2
"""The verdict on a record that lies in a sector which does not read."""


class AroundMedium:
    """A medium that gives NUL bytes for sectors that do not read. ``bad`` holds their places in the medium, in order.

    Other errors than EIO are raised.
    """

    def __init__(self, medium: Medium) -> None:
        """Read through ``medium``."""
        self._medium = medium
        self.size = medium.size
        self.bad: dict[int, int] = {}

    def read_at(self, position: int, size: int) -> bytes:
        """Return the bytes, fewer at the end; see ``Medium``."""
        try:
            return self._medium.read_at(position, size)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
        end = min(position + size, self.size)
        parts: list[bytes] = []
        while position < end:
            length = min(SECTOR - position % SECTOR, end - position)
            parts.append(self._sector(position, length))
            position += length
        return b"".join(parts)

    def _sector(self, position: int, length: int) -> bytes:
        try:
            data = self._medium.read_at(position, length)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            if len(self.bad) < _MOST_NOTED:
                self.bad[position] = length
            return bytes(length)
        return data

    def runs(self) -> list[tuple[int, int]]:
        """Return (first byte, number of bytes) of what did not read, neighbours joined."""
        joined: list[tuple[int, int]] = []
        for position, length in sorted(self.bad.items()):
            if joined and sum(joined[-1]) >= position:
                first = joined[-1][0]
                joined[-1] = (first, max(sum(joined[-1]), position + length) - first)
            else:
                joined.append((position, length))
        return joined


def around(window: Window) -> Window:
    """Return the window with NUL bytes in place of sectors that do not read."""
    if isinstance(window.medium, AroundMedium):
        return window
    return window._replace(medium=AroundMedium(window.medium))


def read_around(window: Window, position: int, size: int) -> tuple[bytes, list[tuple[int, int]]]:
    """Return bytes of the window and (place among them, length) of those that did not read: they are NUL there."""
    try:
        return window.read_at(position, size), []
    except OSError as error:
        if error.errno != errno.EIO:
            raise
    medium = AroundMedium(window.medium)
    data = window._replace(medium=medium).read_at(position, size)
    start = window.offset + position
    return data, [(place - start, length) for place, length in medium.runs()]


def marked(verdicts: bytes, bad: list[tuple[int, int]], size: int) -> bytes:
    """Return a byte for each record of ``size`` bytes: as given, ``UNREAD`` where a part of it did not read."""
    if not bad:
        return verdicts
    result = bytearray(verdicts)
    for place, length in bad:
        for index in range(place // size, min(len(result), -(-(place + length) // size))):
            result[index] = UNREAD
    return bytes(result)
