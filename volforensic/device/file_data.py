"""The bytes of one open file: its runs without holes, read around what does not read."""

import errno
import os
from collections.abc import Iterator
from typing import NamedTuple

_READ_SIZE = 1 << 20
_SECTOR = 4096
_MOST_RUNS = 100_000
_MOST_DAMAGED = 1000


class Damage(NamedTuple):
    """A range of a file that could not be read, and why; NUL bytes stand for it in the copy."""

    offset: int
    length: int
    reason: str


def runs_of(descriptor: int, size: int) -> list[tuple[int, int]]:
    """Return where the file has data, as (offset, length); all of it where the filesystem cannot tell."""
    runs: list[tuple[int, int]] = []
    position = 0
    while position < size:
        try:
            begin = os.lseek(descriptor, position, os.SEEK_DATA)
            end = min(os.lseek(descriptor, begin, os.SEEK_HOLE), size)
        except OSError as error:
            return runs if error.errno == errno.ENXIO else [(0, size)]
        if begin >= size or end <= begin:
            break
        runs.append((begin, end - begin))
        if len(runs) > _MOST_RUNS:
            return [(0, size)]
        position = end
    return runs


def file_bytes(descriptor: int, runs: list[tuple[int, int]], damaged: list[Damage]) -> Iterator[bytes]:
    """Yield the bytes of the runs one after the other, NUL bytes for what does not read: that goes to ``damaged``."""
    for begin, length in runs:
        position, end = begin, begin + length
        while position < end:
            wanted = min(_READ_SIZE, end - position)
            try:
                data = os.pread(descriptor, wanted, position)
            except OSError:
                data = b"".join(_around_damage(descriptor, position, wanted, damaged))
            if not data:
                _note(damaged, Damage(position, end - position, "the file became shorter while it was copied"))
                yield from _zeros(end - position)
                break
            yield data
            position += len(data)


def _around_damage(descriptor: int, position: int, size: int, damaged: list[Damage]) -> Iterator[bytes]:
    for start in range(position, position + size, _SECTOR):
        length = min(_SECTOR, position + size - start)
        data = b""
        try:
            data = os.pread(descriptor, length, start)
        except OSError as error:
            _note(damaged, Damage(start, length, f"read error: {error.strerror}"))
        yield data + bytes(length - len(data))


def _note(damaged: list[Damage], damage: Damage) -> None:
    """Take down a range; one that follows on the last is joined to it."""
    last = damaged[-1] if damaged else None
    if last is not None and last.offset + last.length == damage.offset and last.reason == damage.reason:
        damaged[-1] = last._replace(length=last.length + damage.length)
    elif len(damaged) < _MOST_DAMAGED:
        damaged.append(damage)
    else:
        damaged[-1] = Damage(0, damage.offset + damage.length, f"more than {_MOST_DAMAGED} ranges do not read")


def _zeros(size: int) -> Iterator[bytes]:
    for start in range(0, size, _READ_SIZE):
        yield bytes(min(_READ_SIZE, size - start))
