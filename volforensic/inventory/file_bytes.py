"""A file's bytes as they are stored: by its extents, or through its filesystem. Runs in a worker."""

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import NamedTuple, Protocol

from volforensic.evidence.filesystems import open_filesystem
from volforensic.evidence.layout import VolumeFacts
from volforensic.evidence.node import Extent, LostRangesError, Reader, WrongChecksumsError
from volforensic.evidence.reader import Window
from volforensic.medium import Medium

BLOCK_SIZE = 4 << 20
"""Bytes of one block, at most."""
_SECTOR = 4096
_ZEROS = bytes(BLOCK_SIZE)


class Loss(NamedTuple):
    """A byte range of the file (of its decompressed bytes, where it is compressed) that was not read, and why.

    ``is_lost`` is false where the bytes came and are not what was written: their checksum is wrong.
    """

    offset: int
    length: int
    reason: str
    is_lost: bool = True

    def __str__(self) -> str:
        """Return the loss as a sentence."""
        return f"bytes {self.offset} to {self.offset + self.length}: {self.reason}"


class Block(NamedTuple):
    """Bytes of the file and where they begin."""

    position: int
    data: bytes


class StoredFile(Protocol):
    """What is asked of a file to read it: an entry of the inventory has it, and what a worker is given of one."""

    @property
    def volume(self) -> int:
        """The index of its volume."""

    @property
    def tree(self) -> int:
        """Its subvolume, 0 where the filesystem has none."""

    @property
    def inode(self) -> int:
        """Its inode."""

    @property
    def size(self) -> int:
        """Its size in bytes."""

    @property
    def extents(self) -> tuple[Extent, ...] | None:
        """Its runs; None where it is read through its filesystem."""


OpenFilesystem = Callable[[int], Reader]


def filesystem_opener(medium: Medium, volumes: dict[int, VolumeFacts]) -> OpenFilesystem:
    """Return a function that opens a volume's filesystem by the volume's index, each once."""

    @cache
    def opened(volume: int) -> Reader:
        facts = volumes[volume]
        window = Window(medium, facts.offset, facts.length)
        return open_filesystem(
            facts.kind, window, lambda _: None, devices=facts.devices, is_verifying=facts.is_verified
        )

    return opened


def stored_chunks(medium: Medium, entry: StoredFile, filesystem: OpenFilesystem, losses: list[Loss]) -> Iterator[Block]:
    """Yield the file's bytes as they are stored, in rising order, without its holes."""
    if entry.extents is None:
        yield from _through_filesystem(entry, filesystem, losses)
        return
    for extent in entry.extents:
        for start in range(0, extent.length, BLOCK_SIZE):
            part = Extent(
                extent.file_offset + start, extent.source_offset + start, min(BLOCK_SIZE, extent.length - start)
            )
            yield from _read_extent(medium, part, losses)


def _through_filesystem(entry: StoredFile, filesystem: OpenFilesystem, losses: list[Loss]) -> Iterator[Block]:
    position = 0
    try:
        for start, data in filesystem(entry.volume).chunks(entry.tree, entry.inode):
            yield Block(start, data[: max(0, entry.size - start)])
            position = start + len(data)
    except WrongChecksumsError as error:
        for first, length in error.ranges:
            kept = max(0, min(length, entry.size - first))
            losses.append(Loss(first, kept, "the checksum of these bytes is wrong", is_lost=False))
    except LostRangesError as error:
        losses += (Loss(first, min(length, entry.size - first), reason) for first, length, reason in error.ranges)
    except Exception as error:  # noqa: BLE001 - the libraries' errors have no common root; what was read is kept
        reason = f"the filesystem could not be read: {error or type(error).__name__}"[:300]
        losses.append(Loss(position, max(0, entry.size - position), reason))


def _read_extent(medium: Medium, extent: Extent, losses: list[Loss]) -> Iterator[Block]:
    try:
        data = Window(medium, extent.source_offset, extent.length).read_at(0, extent.length)
    except OSError:
        yield from _read_around_damage(medium, extent, losses)
        return
    if data:
        yield Block(extent.file_offset, data)
    if len(data) < extent.length:
        missing = extent.length - len(data)
        losses.append(Loss(extent.file_offset + len(data), missing, "the source ends before the file does"))


def _read_around_damage(medium: Medium, extent: Extent, losses: list[Loss]) -> Iterator[Block]:
    for start in range(0, extent.length, _SECTOR):
        size = min(_SECTOR, extent.length - start)
        try:
            data = Window(medium, extent.source_offset + start, size).read_at(0, size)
            yield Block(extent.file_offset + start, data)
        except OSError as error:
            place = extent.source_offset + start
            losses.append(
                Loss(extent.file_offset + start, size, f"read error at byte {place} of the source: {error.strerror}")
            )


def merged(losses: list[Loss]) -> list[Loss]:
    """Return the losses in the order of the file; those that follow on each other become one, with the first reason."""
    joined: list[Loss] = []
    for loss in sorted(losses):
        last = joined[-1] if joined else None
        if last is not None and last.offset + last.length >= loss.offset and last.is_lost == loss.is_lost:
            joined[-1] = last._replace(length=max(last.length, loss.offset + loss.length - last.offset))
        else:
            joined.append(loss)
    return joined


def filled(
    blocks: Iterable[Block], size: int, largest_hole: int, losses: list[Loss], sign: Callable[[], None]
) -> Iterator[bytes]:
    """Yield the first ``size`` bytes of a file in order: its blocks, and NUL bytes for all between and behind them.

    Where the holes are larger than ``largest_hole`` bytes in all, the rest is a loss. ``sign`` is called at each step.
    """
    position = holes = 0
    for start, data in blocks:
        sign()
        holes += max(0, start - position)
        if holes > largest_hole or start >= size:
            break
        yield from _zeros(start - position, sign)
        part = data[max(0, position - start) : size - start]
        yield part
        position = max(position, start) + len(part)
    rest = size - position
    if rest <= largest_hole - holes:
        yield from _zeros(rest, sign)
    else:
        losses.append(Loss(position, rest, f"holes of more than {largest_hole} bytes"))


def _zeros(size: int, sign: Callable[[], None]) -> Iterator[bytes]:
    for start in range(0, size, len(_ZEROS)):
        sign()
        yield _ZEROS[: size - start]
