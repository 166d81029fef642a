"""What readers of containers share: bytes that must be there, small structures in pages, runs of the logical disk."""

import errno
import re
import uuid
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Literal, NamedTuple

from volforensic.medium import Medium

_PAGE, _PAGES_KEPT = 64 << 10, 32
_LONGEST_TEXT = 2000
_BIT_RUNS = re.compile("0+|1+")


class ContainerError(ValueError):
    """A structure of a container is not what it can be: which field, and its value."""


class Run(NamedTuple):
    """A run of the logical disk and where its bytes come from.

    ``place`` is the first byte in the file (origin ``file``) or in the parent, ``reason`` why they are ``lost``.
    """

    origin: Literal["file", "parent", "zeros", "lost"]
    length: int
    place: int = 0
    reason: str = ""


RunsOf = Callable[[int, int], Iterator[Run]]


def unreadable(reason: str) -> OSError:
    """Return the error for bytes that cannot be had."""
    return OSError(errno.EIO, reason)


def exactly(medium: Medium, position: int, size: int, name: str) -> bytes:
    """Return ``size`` bytes of a structure; ContainerError with its ``name`` where the file ends before."""
    data = medium.read_at(position, size) if position >= 0 else b""
    if len(data) < size:
        raise ContainerError(f"{name} at {position} has {size} bytes and the file {medium.size}")
    return data


def last_component(name: str) -> str:
    r"""Return what stands behind the last slash or backslash: hosts of both kinds wrote the names."""
    return re.split(r"[/\\]", name.rstrip("/\\"))[-1]


def guid_text(data: bytes) -> str:
    """Return a GUID as Microsoft and Oracle store it (first three fields little-endian), as text."""
    return str(uuid.UUID(bytes_le=data))


def short_text(text: str) -> str:
    """Return text of the evidence for a detail: without NUL and spaces around it, cut where it is very long."""
    text = text.replace("\0", "").strip()
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]} … ({len(text)} characters)"


class Pages:
    """Small structures of a file, read in pages that are kept: tables and bitmaps of any size cost the same."""

    def __init__(self, medium: Medium) -> None:
        """Keep the pages of ``medium``."""
        self.size = medium.size
        self._medium = medium
        self._page = lru_cache(_PAGES_KEPT)(self._read_page)

    def read_at(self, position: int, size: int) -> bytes:
        """Return bytes; fewer where the file ends; see ``Medium``."""
        if position < 0 or size <= 0:
            return b""
        first, start = divmod(position, _PAGE)
        if start + size <= _PAGE:
            return self._page(first)[start : start + size]
        if size > _PAGE * 4:
            return self._medium.read_at(position, size)
        pages = range(first, (position + size - 1) // _PAGE + 1)
        return b"".join(self._page(number) for number in pages)[start : start + size]

    def _read_page(self, number: int) -> bytes:
        return self._medium.read_at(number * _PAGE, _PAGE)


class MappedDisk:
    """A logical disk whose bytes a map of runs finds in a file and in a parent.

    ``runs(position, size)`` gives the runs of a range in order; together they have its length. A parent that is
    shorter than the disk is followed by zeros. ``identity`` is what a child names this disk by.
    """

    def __init__(
        self, medium: Medium, size: int, runs: RunsOf, parent: Medium | None = None, *, identity: str = ""
    ) -> None:
        """Read by ``runs`` from ``medium``, the container's file, and from ``parent``."""
        self.size = size
        self.identity = identity
        self._medium = medium
        self._runs = runs
        self._parent = parent

    def read_at(self, position: int, size: int) -> bytes:
        """Return the bytes of the logical disk; see ``Medium``."""
        size = min(size, self.size - position)
        if position < 0 or size <= 0:
            return b""
        parts = [self._bytes(run) for run in _merged(self._runs(position, size))]
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _bytes(self, run: Run) -> bytes:
        if run.origin == "zeros":
            return bytes(run.length)
        if run.origin == "file":
            return self._file_bytes(run)
        if run.origin == "parent" and self._parent is not None:
            return self._parent.read_at(run.place, run.length).ljust(run.length, b"\0")
        raise unreadable(run.reason or "these bytes lie in the parent disk, which is not there")

    def _file_bytes(self, run: Run) -> bytes:
        data = self._medium.read_at(run.place, run.length)
        if len(data) < run.length:
            raise unreadable(f"the file ends at {self._medium.size}; data at {run.place + len(data)} lies behind that")
        return data


def _merged(runs: Iterable[Run]) -> Iterator[Run]:
    before: Run | None = None
    for run in runs:
        if before is not None and before.origin == run.origin and _continues(before, run):
            before = before._replace(length=before.length + run.length)
            continue
        if before is not None:
            yield before
        before = run
    if before is not None:
        yield before


def _continues(before: Run, run: Run) -> bool:
    return run.origin == "zeros" or (run.origin != "lost" and before.place + before.length == run.place)


def bit_runs(bitmap: bytes, first: int, count: int, *, order: Literal["big", "little"]) -> Iterator[tuple[bool, int]]:
    """Yield (set, number of bits) for ``count`` bits from bit ``first`` on; ``order``: which bit of a byte is first."""
    digits = f"{int.from_bytes(bitmap, order):0{len(bitmap) * 8}b}"
    if order == "little":
        digits = digits[::-1]
    for match in _BIT_RUNS.finditer(digits, first, first + count):
        yield match[0][0] == "1", len(match[0])


def split_blocks(position: int, size: int, block_size: int) -> Iterator[tuple[int, int, int]]:
    """Yield (block, first byte in it, number of bytes) for each block that a range touches."""
    while size > 0:
        block, start = divmod(position, block_size)
        length = min(size, block_size - start)
        yield block, start, length
        position += length
        size -= length


def is_zero(data: bytes) -> bool:
    """Say whether there is nothing but zeros."""
    return data.count(0) == len(data)
