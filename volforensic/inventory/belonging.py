"""Which deleted entry a carved piece may belong to: never more than *may*, and always with the reason."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from volforensic.evidence.space import Groups
from volforensic.inventory.entry import FileEntry
from volforensic.record import Row, text_fields

_MOST_REASONS = 5
_MOST_NEAR = 8
_MOST_ENTRIES = 500_000
_KINDS: dict[str, tuple[bytes, ...]] = {
    "elf": (b".so", b".ko", b".bin", b".elf", b".o"),
    "script": (b".sh", b".py", b".pl", b".php", b".rb", b".bash"),
    "miner configuration": (b".json", b".conf", b".cfg", b".txt"),
    "log": (b".log", b"syslog", b"messages", b"secure", b"auth", b"access", b"error"),
    "crontab": (b"cron", b".tab"),
    "shell history": (b"history",),
}


class _Name(NamedTuple):
    path: bytes
    inode: int


class Belonging:
    """Holds what deleted entries say: the blocks that their inodes name, their sizes, their groups of inodes."""

    def __init__(self, entries: Iterable[FileEntry], groups: dict[int, Groups]) -> None:
        """Take the deleted entries; ``groups`` is each volume's geometry. The first half million count."""
        self._groups = groups
        self._blocks: list[tuple[int, int, _Name]] = []
        self._sizes: dict[int, list[_Name]] = defaultdict(list)
        self._near: dict[tuple[int, int], list[_Name]] = defaultdict(list)
        for count, entry in enumerate(entries):
            if count >= _MOST_ENTRIES:
                break
            if not entry.allocated and entry.type in {"file", "unknown"}:
                self._add(entry)
        self._blocks.sort(key=lambda block: block[0])

    def reasons(self, kind: str, volume: int | None, offset: int, length: int) -> list[Row]:
        """Return the entries that a piece may belong to, the strongest reason first, each with its reason."""
        rows: list[Row] = []
        named: set[_Name] = set()
        for name, reason in self._candidates(kind, volume, offset, length):
            if name not in named and len(rows) < _MOST_REASONS:
                named.add(name)
                rows.append({**text_fields("path", name.path), "inode": name.inode, "reason": reason})
        return rows

    def _candidates(self, kind: str, volume: int | None, offset: int, length: int) -> Iterator[tuple[_Name, str]]:
        index = bisect_right(self._blocks, offset, key=lambda block: block[0])
        for start, end, name in self._blocks[max(0, index - _MOST_NEAR) : index]:
            if start <= offset < end:
                yield name, "its inode still names the block in which the piece begins"
        same = self._sizes.get(length, [])
        for name in same if len(same) <= _MOST_NEAR else ():
            yield name, f"it had the same size, {length} bytes"
        groups = self._groups.get(volume) if volume is not None else None
        if groups is None or not groups.bytes_per_group:
            return
        number = (offset - groups.origin) // groups.bytes_per_group
        near = [name for name in self._near.get((volume or 0, number), []) if _fits(kind, name.path)]
        for name in near if len(near) <= _MOST_NEAR else ():
            yield name, f"its inode is of block group {number}, in which the piece lies, and its name fits the kind"

    def _add(self, entry: FileEntry) -> None:
        name = _Name(entry.path, entry.inode)
        for extent in (entry.extents or ())[:_MOST_NEAR]:
            self._blocks.append((extent.source_offset, extent.source_offset + extent.length, name))
        if entry.has_inode and entry.size:
            self._sizes[entry.size].append(name)
        groups = self._groups.get(entry.volume)
        if groups is not None and groups.inodes_per_group and not entry.is_orphan:
            number = (entry.inode - groups.first_inode) // groups.inodes_per_group
            self._near[entry.volume, number].append(name)


def _fits(kind: str, path: bytes) -> bool:
    """Return whether a name can be one of the kind: by its ending, and a program mostly has none."""
    name = path.rpartition(b"/")[2].lower()
    if kind in {"elf", "script"} and b"." not in name.strip(b"."):
        return True
    return any(name.endswith(part) if part.startswith(b".") else part in name for part in _KINDS.get(kind, ()))
