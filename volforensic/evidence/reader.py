"""A bounded view of the source for the libraries: reads by position, never outside its volume."""

import io
from typing import NamedTuple

from volforensic.medium import Medium


class Window(NamedTuple):
    """A range of a medium: first byte, number of bytes."""

    medium: Medium
    offset: int
    length: int

    @property
    def size(self) -> int:
        """Its length: a window is a medium too."""
        return self.length

    def read_at(self, position: int, size: int) -> bytes:
        """Return up to ``size`` bytes at ``position`` of the window; fewer at its end or at the end of the medium."""
        size = min(size, self.length - position)
        if position < 0 or size <= 0:
            return b""
        return self.medium.read_at(self.offset + position, size)


class WindowStream(io.RawIOBase):
    """A window as a seekable stream, as dissect's filesystems want it."""

    def __init__(self, window: Window) -> None:
        """Begin at the window's first byte."""
        super().__init__()
        self._window = window
        self._position = 0

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it can be sought."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move; a place before the first byte becomes the first byte."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._window.length}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # RawIOBase names the type loosely
        """Fill the buffer from here on."""
        data = self._window.read_at(self._position, len(buffer))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


def buffered(window: Window) -> io.BufferedReader:
    """Return the window as a buffered stream: small reads of neighbouring structures cost one read of the source."""
    return io.BufferedReader(WindowStream(window), 64 << 10)
