"""Names counted against the link counts of inodes: where fewer names were found, a directory lost some."""

from collections.abc import Iterator

_MOST = 1 << 18
_SHOWN = 10


class LinkCounts:
    """Holds the inodes with several links of which not all names were met yet."""

    def __init__(self) -> None:
        """Begin with none."""
        self._waiting: dict[int, int] = {}
        self._done: set[int] = set()

    def count(self, inode: int, links: int) -> None:
        """Take note of a name of an inode that has more than one link. Beyond 262,144 inodes no more are counted."""
        left = self._waiting.get(inode)
        if left is None:
            if inode not in self._done and len(self._waiting) + len(self._done) < _MOST:
                self._waiting[inode] = links - 1
        elif left > 1:
            self._waiting[inode] = left - 1
        else:
            del self._waiting[inode]
            self._done.add(inode)

    def missing(self) -> Iterator[str]:
        """Yield a sentence where inodes have more links than names were found."""
        if self._waiting:
            some = ", ".join(f"{inode} (of {left})" for inode, left in list(self._waiting.items())[:_SHOWN])
            yield f"names of {len(self._waiting)} files are missing by their link counts: inodes {some}"
