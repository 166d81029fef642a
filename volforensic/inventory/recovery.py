"""How much of a deleted file is still there: proved by what the disk says now, never hoped.

The tiers: *intact*: every block that the inode names is free, no other deleted file that was deleted later names one of
them, and the inode was not used again. *partial*: some of that is so. *name only*: nothing of the content can be shown.
What no filesystem can tell stays an assumption, and the reason says it: the blocks may have been used by another file
and freed again in between.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from volforensic.evidence.node import Extent
from volforensic.inventory.entry import FileEntry
from volforensic.inventory.free_stage import FreeSpace
from volforensic.record import Row

INTACT, PARTIAL, NAME_ONLY = "intact", "partial", "name only"
MOST_CLAIMS = 500_000
"""Extents of deleted files whose overlaps are looked for, at most."""
_MOST_ACTIVE = 32  # deleted extents that name one place
_INSIDE_INODE = 4096  # an NTFS record or an ext inode is no larger
ASSUMPTION = "that other files used them and freed them again in between cannot be excluded"
Inode = tuple[int, int, int]
"""Volume, tree, number."""


class Recovery(NamedTuple):
    """The tier, why, and which bytes of the source may be read for it (None: through the filesystem)."""

    tier: str
    reason: str
    extents: tuple[Extent, ...] | None = ()

    def row(self, sha256: str | None = None) -> Row:
        """Return the value of the row's key ``recovery``."""
        return {"tier": self.tier, "reason": self.reason, **({"sha256": sha256} if sha256 else {})}


class Claims:
    """Holds which blocks deleted inodes name, and so which of them are named by another one too."""

    def __init__(self, entries: Iterable[FileEntry]) -> None:
        """Take every deleted entry; the first ``MOST_CLAIMS`` extents count."""
        self.names: dict[Inode, int] = {}
        self.in_use: set[Inode] = set()
        self.is_complete = True
        self._contested: dict[Inode, int] = {}
        extents: list[tuple[int, int, int]] = []
        owners: list[tuple[Inode, int | None]] = []
        for entry in entries:
            inode = inode_of(entry)
            if entry.allocated:
                self.in_use.add(inode)
                continue
            if not entry.has_inode:
                continue
            self.names[inode] = self.names.get(inode, 0) + (not entry.is_orphan)
            if self.names[inode] > 1 or not entry.extents:
                continue
            if len(extents) + len(entry.extents) > MOST_CLAIMS:
                self.is_complete = False
                continue
            owners.append((inode, entry.changed))
            extents += (
                (extent.source_offset, extent.source_offset + extent.length, len(owners) - 1)
                for extent in entry.extents
            )
        self._find_contested(sorted(extents), owners)

    def contested(self, entry: FileEntry) -> int:
        """Return how many of the entry's bytes an inode that was deleted later (or nobody knows when) names too."""
        return self._contested.get(inode_of(entry), 0)

    def _find_contested(self, extents: list[tuple[int, int, int]], owners: list[tuple[Inode, int | None]]) -> None:
        """Compare each extent with those before it that reach into it; where they are too many, none is believed."""
        active: list[tuple[int, int]] = []
        for start, end, owner in extents:
            active = [(other_end, other) for other_end, other in active if other_end > start]
            for other_end, other in active:
                if other != owner:
                    self._compare(owners[other], owners[owner], min(end, other_end) - start)
            if len(active) < _MOST_ACTIVE:
                active.append((end, owner))
            else:
                self._add(owners[owner][0], end - start)
                for _, other in active:
                    self._add(owners[other][0], end - start)

    def _compare(self, one: tuple[Inode, int | None], two: tuple[Inode, int | None], shared: int) -> None:
        """Count the shared bytes against whichever was not deleted later, against both where nobody knows."""
        (first, changed), (second, other) = one, two
        if changed is None or other is None or other >= changed:
            self._add(first, shared)
        if changed is None or other is None or changed >= other:
            self._add(second, shared)

    def _add(self, inode: Inode, shared: int) -> None:
        self._contested[inode] = self._contested.get(inode, 0) + shared


def inode_of(entry: FileEntry) -> Inode:
    """Return what tells an inode from all others of the source."""
    return entry.volume, entry.tree, entry.inode


def judge(entry: FileEntry, space: FreeSpace | None, claims: Claims, kind: str) -> Recovery:
    """Return the tier of a deleted entry before its bytes are read; ``kind`` is its filesystem's type."""
    if entry.allocated:
        how = "its name was lost" if entry.links else "it was deleted while open"
        return Recovery(INTACT, f"its inode is still in use: {how}", entry.extents)
    if entry.has_inode and inode_of(entry) in claims.in_use:
        reason = "its inode is still in use without a name: it was deleted while open, see the entry of that inode"
        return Recovery(INTACT, reason, entry.extents)
    if missing := _missing(entry):
        return Recovery(NAME_ONLY, missing)
    if entry.extents is None and entry.size <= _INSIDE_INODE:
        return Recovery(INTACT, "its bytes lie in its inode, which was not used again", None)
    if entry.extents is None or space is None or not space.is_known:
        return Recovery(NAME_ONLY, "which blocks are free is not known: nothing says that they are still its own")
    return _by_blocks(entry, space, claims, kind)


def _missing(entry: FileEntry) -> str:
    """Return why nothing of the content can be there; "" where something can."""
    if not entry.has_inode:
        return "its inode belongs to another file now, or could not be read"
    if entry.type not in {"file", "unknown"}:
        return f"a {entry.type} has no content of its own"
    if not entry.size:
        return "its inode keeps neither size nor blocks: the filesystem cleared them"
    if entry.extents is not None and not entry.extents:
        return f"its inode says {entry.size} bytes and no blocks: the filesystem cleared them"
    return ""


def _by_blocks(entry: FileEntry, space: FreeSpace, claims: Claims, kind: str) -> Recovery:
    named = sum(extent.length for extent in entry.extents or ())
    free = tuple(_free_parts(entry.extents or (), space))
    left = sum(extent.length for extent in free)
    unknown = sum(space.unknown_bytes(extent.source_offset, extent.length) for extent in entry.extents or ())
    doubts = []
    if left < named:
        doubts.append(f"{named - left - unknown} of its {named} bytes lie in blocks that are in use again")
    if unknown:
        doubts.append(f"of {unknown} bytes nobody knows whether they are free")
    if contested := claims.contested(entry):
        doubts.append(f"{contested} bytes are named by another deleted file too")
    if not claims.is_complete:
        doubts.append("there are too many deleted files to see which of them name the same blocks")
    if (names := claims.names.get(inode_of(entry), 0)) > 1:
        doubts.append(f"{names} deleted names lead to this inode, and its content was only one of theirs")
    if not space.is_settled:
        doubts.append("a log that was not replayed may hold newer changes of what is free")
    doubts += _doubts_of(entry, kind)
    if not left:
        return Recovery(NAME_ONLY, "; ".join(doubts))
    if doubts:
        return Recovery(PARTIAL, f"{left} bytes lie in free blocks; " + "; ".join(doubts), free)
    reason = f"all {named} bytes lie in free blocks that no other deleted file names, and the inode was not used again"
    return Recovery(INTACT, f"{reason}; {ASSUMPTION}", free)


def _doubts_of(entry: FileEntry, kind: str) -> Iterator[str]:
    yield from entry.problems
    if kind in {"fat", "exfat"}:
        yield "FAT keeps the first cluster only: that the others follow it is assumed"


def _free_parts(extents: Iterable[Extent], space: FreeSpace) -> Iterator[Extent]:
    for file_offset, source_offset, length in extents:
        for start, size in space.within(source_offset, length):
            yield Extent(file_offset + start - source_offset, start, size)
