"""The index of an archive's members: which lie in which directory, in a few bytes for each member."""

from array import array
from collections.abc import Iterator
from typing import NamedTuple

from volforensic.evidence.archive import MOST_MEMBERS, Member, components

MOST_DIRECTORIES = 1_500_000
_MOST_NAME_BYTES = 128 << 20
_MOST_PATH_BYTES = 256 << 20  # of directories: a few names of 64 KiB make tens of thousands of them
_MOST_CLAIMS = 2_000_000
_NONE = -1
LONGEST_NAME = 64 << 10


class Child(NamedTuple):
    """What a directory lists: a member, or (``member`` is -1) a directory that has none of its own.

    ``directory`` is the number of the directory that it is, -1 for what is none; a directory's second member is
    ``is_repeated``.
    """

    member: int
    directory: int
    name: bytes
    is_repeated: bool = False


class ArchiveIndex:
    """Holds for each member where it begins, its inode and the next in its directory; and the directories' names.

    Directory 0 is the root. Names of members are not kept: they are read again when they are listed.
    """

    def __init__(self) -> None:
        """Begin with the root."""
        self.starts = array("Q")
        self.numbers = array("Q")
        self.trees = array("I")
        self.links: dict[int, int] = {}
        """For a hard link, the member whose bytes it has; -1 where that is not in the archive."""
        self.counts: dict[int, int] = {}
        """For a member with further names, how many it has in all."""
        self.full = ""
        self._keys = array("q")
        self._following = array("i")
        self._directories: dict[tuple[int, bytes], int] = {}
        self._names: list[bytes] = [b""]
        self._owners = array("i", [_NONE])  # the member that is the directory
        self._heads = [array("i", [_NONE]), array("i", [_NONE])]  # the first and the last member in it
        self._below = array("i", [_NONE])  # the first directory in it
        self._beside = array("i", [_NONE])  # the next directory in the same one
        self._lengths = array("I", [0])  # of the directories' paths
        self._name_bytes = self._path_bytes = 0
        self._claims: set[int] = set()
        self._pending: list[tuple[int, int]] = []

    def add(self, member: Member) -> bool:
        """Take a member; False where there is no room for it or its name cannot be (``full`` says why)."""
        parts = components(member.name)
        if len(self.starts) >= MOST_MEMBERS:
            self.full = f"more than {MOST_MEMBERS} members"
        elif len(member.name) > LONGEST_NAME:
            return False
        parent = _NONE if self.full else self._directory(parts[:-1])
        own = self._directory(parts) if member.is_directory else _NONE
        if self.full:
            return False
        index = len(self.starts)
        self.starts.append(member.start)
        self.numbers.append(member.number)
        self.trees.append(member.tree)
        self._following.append(_NONE)
        self._keys.append(hash((parent, parts[-1] if parts else b"")))
        if own != _NONE and self._owners[own] == _NONE:
            self._owners[own] = index
        if parts or not member.is_directory:
            self._append(parent, index)
        if member.link is not None:
            self._pending.append((index, self._key(components(member.link))))
        return True

    def claim(self, number: int, tree: int) -> bool:
        """Return whether nobody had this inode number before; it is taken now."""
        key = tree << 64 | number
        if key in self._claims or len(self._claims) >= _MOST_CLAIMS:
            return False
        self._claims.add(key)
        return True

    def join_links(self) -> None:
        """Find where hard links lead: to the last member of that name before the link, else to the first behind it.

        To be called once, when all members were added.
        """
        wanted: dict[int, array[int]] = {key: array("i") for _, key in self._pending}
        if wanted:
            for index, key in enumerate(self._keys):
                found = wanted.get(key)
                if found is not None:
                    found.append(index)
        are_links = {index for index, _ in self._pending}
        for index, key in self._pending:
            target = self._target(index, wanted[key], are_links)
            self.links[index] = target
            if target != _NONE:
                self.counts[target] = self.counts.get(target, 1) + 1
        self._pending.clear()

    def _target(self, index: int, candidates: "array[int]", are_links: set[int]) -> int:
        place = _bisected(candidates, index)
        if place:
            found = candidates[place - 1]
            return self.links.get(found, found)
        return next((found for found in candidates[place:] if found not in are_links), _NONE)

    def children(self, directory: int) -> Iterator[Child]:
        """Yield what lies in a directory, in the order of the archive; last the directories without a member."""
        index = self._heads[0][directory]
        while index != _NONE:
            yield Child(index, _NONE, b"")
            index = self._following[index]
        below = self._below[directory]
        while below != _NONE:
            if self._owners[below] == _NONE:
                yield Child(_NONE, below, self._names[below])
            below = self._beside[below]

    def owner(self, directory: int) -> int:
        """Return the first member that is this directory, -1 where there is none."""
        return self._owners[directory]

    def directory_of(self, name: bytes) -> int:
        """Return the number of the directory with this path, -1 where there is none."""
        return self._found(components(name))

    def _append(self, parent: int, index: int) -> None:
        first, last = self._heads
        if first[parent] == _NONE:
            first[parent] = index
        else:
            self._following[last[parent]] = index
        last[parent] = index

    def _found(self, parts: list[bytes]) -> int:
        number = 0
        for part in parts:
            found = self._directories.get((number, part))
            if found is None:
                return _NONE
            number = found
        return number

    def _key(self, parts: list[bytes]) -> int:
        """Return the key that a member with this path has: the hashes are salted anew in each process."""
        return hash((self._found(parts[:-1]), parts[-1] if parts else b""))

    def _directory(self, parts: list[bytes]) -> int:
        """Return the number of the directory, which is made where it is not there; -1 where there is no room."""
        number = 0
        for part in parts:
            key = number, part
            found = self._directories.get(key)
            if found is None:
                found = self._new(key)
                if found == _NONE:
                    return _NONE
            number = found
        return number

    def _new(self, key: tuple[int, bytes]) -> int:
        self._name_bytes += len(key[1])
        length = self._lengths[key[0]] + 1 + len(key[1])
        self._path_bytes += length
        if (
            len(self._names) >= MOST_DIRECTORIES
            or self._name_bytes > _MOST_NAME_BYTES
            or self._path_bytes > _MOST_PATH_BYTES
        ):
            self.full = f"more than {len(self._names)} directories, with paths of {self._path_bytes} bytes"
            return _NONE
        self._lengths.append(length)
        number = len(self._names)
        self._directories[key] = number
        self._names.append(key[1])
        self._owners.append(_NONE)
        for head in self._heads:
            head.append(_NONE)
        self._below.append(_NONE)
        self._beside.append(self._below[key[0]])
        self._below[key[0]] = number
        return number


def _bisected(candidates: "array[int]", index: int) -> int:
    """Return how many of the candidates come before the member."""
    low, high = 0, len(candidates)
    while low < high:
        middle = (low + high) // 2
        if candidates[middle] < index:
            low = middle + 1
        else:
            high = middle
    return low
