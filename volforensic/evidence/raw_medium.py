"""A file or block device as a medium, and the handle by which a worker is given one."""

import os
from collections.abc import Sequence
from typing import NamedTuple

from volforensic.sandbox.messages import SourceHandle


class RawMedium(NamedTuple):
    """A descriptor that is open for reading, and how many bytes it had when it was pinned."""

    descriptor: int
    size: int

    def read_at(self, position: int, size: int) -> bytes:
        """Return the bytes, fewer at the end; see ``Medium``."""
        size = min(size, self.size - position)
        if position < 0 or size <= 0:
            return b""
        data = os.pread(self.descriptor, size, position)
        return data if len(data) == size else self._joined(data, position, size)

    def _joined(self, data: bytes, position: int, size: int) -> bytes:
        parts = [data]
        length = len(data)
        while data and length < size:
            data = os.pread(self.descriptor, size - length, position + length)
            parts.append(data)
            length += len(data)
        return b"".join(parts)


def raw_source(descriptor: int, size: int) -> SourceHandle:
    """Return what a task needs to read a plain image or device: its workers get a ``RawMedium``."""
    return SourceHandle(opener=f"{__name__}:open_raw", descriptors=(descriptor,), recipe=size)


def open_raw(descriptors: Sequence[int], recipe: object) -> RawMedium:
    """Open what ``raw_source`` describes: runs in a worker."""
    if not isinstance(recipe, int):
        raise TypeError("the recipe of a raw medium is its size")
    return RawMedium(descriptors[0], recipe)
