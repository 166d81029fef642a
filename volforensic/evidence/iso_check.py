"""The directory trees of an ISO 9660 read by our own arithmetic, to tell what TSK did not list.

Source: ECMA-119, chapters 8 (volume descriptors) and 9 (directory records: numbers stand there twice, in both orders
of bytes); Joliet's specification for the supplementary tree. A directory is entered once, so the walk ends.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from volforensic.evidence.bad_sectors import around
from volforensic.evidence.reader import Window

_SECTOR = 2048
_FIRST_DESCRIPTOR, _MOST_DESCRIPTORS = 16, 32
_PRIMARY, _SUPPLEMENTARY, _LAST = 1, 2, 255
_RECORD = struct.Struct(
    "<BxI4sI4s7xB6xB"
)  # length; place and size, each also the other way round; flags; length of name
_DIRECTORY = 2
_MOST_DIRECTORIES = 100_000
_LARGEST_DIRECTORY = 64 << 20
_MOST_PROBLEMS = 20


class Tree(NamedTuple):
    """What a tree says: bytes at which its files begin, and what is damaged in it."""

    name: str
    files: set[int]
    problems: list[str]


def trees(window: Window) -> Iterator[Tree]:
    """Yield the tree of each volume descriptor."""
    window = around(window)
    for number in range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + _MOST_DESCRIPTORS):
        raw = window.read_at(number * _SECTOR, _SECTOR)
        if len(raw) < _SECTOR or raw[1:6] != b"CD001":
            yield Tree("list of volume descriptors", set(), [f"it breaks off at sector {number}"])
            return
        if raw[0] == _LAST:
            return
        if raw[0] in {_PRIMARY, _SUPPLEMENTARY}:
            yield _tree(window, "primary tree" if raw[0] == _PRIMARY else "Joliet tree", raw[156:190])


def _tree(window: Window, name: str, root: bytes) -> Tree:
    tree = Tree(name, set(), [])
    _, place, _, size, *_ = _RECORD.unpack_from(root)
    waiting, visited = [(place, size)], {place}
    while waiting and len(tree.problems) < _MOST_PROBLEMS:
        place, size = waiting.pop()
        if size > _LARGEST_DIRECTORY or len(visited) > _MOST_DIRECTORIES:
            tree.problems.append(f"the directory at sector {place} was not entered")
            continue
        data = window.read_at(place * _SECTOR, size)
        if len(data) < size or not data or data[33:34] != b"\0":
            tree.problems.append(f"the directory at sector {place} has no entry for itself")
        for child, child_size, is_directory in _records(data, place, tree.problems):
            if not is_directory:
                if child_size:
                    tree.files.add(child * _SECTOR)
            elif child not in visited:
                visited.add(child)
                waiting.append((child, child_size))
    return tree


def _records(data: bytes, where: int, problems: list[str]) -> Iterator[tuple[int, int, bool]]:
    """Yield place (in sectors), size and whether it is a directory of each entry but the first two."""
    position = number = 0
    while position + 34 <= len(data):
        length = data[position]
        if not length:  # the rest of a sector is empty
            position += _SECTOR - position % _SECTOR
            continue
        _, place, again, size, size_again, flags, name = _RECORD.unpack_from(data, position)
        if length < 33 + name or place != int.from_bytes(again, "big") or size != int.from_bytes(size_again, "big"):
            problems.append(f"an entry of the directory at sector {where} is damaged")
            if length < 34:
                return
        elif number >= 2:
            yield place, size, bool(flags & _DIRECTORY)
        number += 1
        position += length
