"""Claims that need no second look, in little memory: one digest for an inode of one path, nothing else to say of it.

Nearly all claims are such. They stand in arrays, sorted by inode: some fifty bytes each, a question costs a bisection.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple

from volforensic.inventory.packages.claims import DIGEST_SIZES

_LARGEST_INODE = (1 << 64) - 1


class PlainClaim(NamedTuple):
    """One claim: the inode, the checksum of its path, the package's number, the claim's flags, the digest."""

    inode: int
    path_sum: int
    package: int
    flags: int
    digest: bytes


class PlainClaims:
    """Holds the claims of one tree of a volume with digests of one algorithm. Add, ``sort()`` once, then ask."""

    def __init__(self, algorithm: str) -> None:
        """Begin with nothing."""
        self.algorithm = algorithm
        self._size = DIGEST_SIZES[algorithm]
        self._inodes, self._path_sums, self._packages = array("Q"), array("L"), array("L")
        self._flags, self._digests = bytearray(), bytearray()

    def __len__(self) -> int:
        """Return the number of claims."""
        return len(self._inodes)

    def add(self, claim: PlainClaim) -> bool:
        """Keep a claim; return false where its inode's number is none."""
        if not 0 <= claim.inode <= _LARGEST_INODE:
            return False
        self._inodes.append(claim.inode)
        self._path_sums.append(claim.path_sum)
        self._packages.append(claim.package)
        self._flags.append(claim.flags)
        self._digests += claim.digest
        return True

    def sort(self) -> Iterator[PlainClaim]:
        """Sort the claims by inode and yield those on an inode that has several: they are not kept."""
        order = sorted(range(len(self)), key=self._inodes.__getitem__)
        inodes = self._inodes
        places = range(len(order))
        several = {
            inodes[order[place]] for place in places if place and inodes[order[place]] == inodes[order[place - 1]]
        }
        yield from (self._at(place) for place in order if inodes[place] in several)
        kept = [place for place in order if inodes[place] not in several] if several else order
        self._digests = bytearray().join(self._digests[place * self._size : (place + 1) * self._size] for place in kept)
        self._flags = bytearray(self._flags[place] for place in kept)
        self._inodes = array("Q", (inodes[place] for place in kept))
        self._path_sums = array("L", (self._path_sums[place] for place in kept))
        self._packages = array("L", (self._packages[place] for place in kept))

    def find(self, inode: int) -> PlainClaim | None:
        """Return the claim on an inode."""
        place = bisect_left(self._inodes, inode)
        return self._at(place) if place < len(self._inodes) and self._inodes[place] == inode else None

    def holds(self, inode: int) -> bool:
        """Return whether there is a claim on an inode."""
        place = bisect_left(self._inodes, inode)
        return place < len(self._inodes) and self._inodes[place] == inode

    def _at(self, place: int) -> PlainClaim:
        start = place * self._size
        digest = bytes(self._digests[start : start + self._size])
        return PlainClaim(
            self._inodes[place], self._path_sums[place], self._packages[place], self._flags[place], digest
        )
