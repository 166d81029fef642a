"""ISO 9660 with Rock Ridge, read by our own arithmetic: TSK gives the short names and neither owners, times nor links.

Source: ECMA-119, chapters 8 and 9; ``rock_ridge``. All is bounded: a directory by its size, a name and a link by the
fields that hold it.
"""

import stat
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from volforensic.evidence.iso_check import trees
from volforensic.evidence.node import (
    DEVICES,
    NEVER_ENDED,
    TYPES,
    Extent,
    FileType,
    Listed,
    Node,
    VolumeRemark,
    checked_runs,
    extents_chunks,
    name_problems,
)
from volforensic.evidence.reader import Window
from volforensic.evidence.system_use import RockRidge, fields_of, nanoseconds

_SECTOR = 2048
_PRIMARY = 16 * _SECTOR
_DIRECTORY, _GOES_ON = 2, 0x80
_LARGEST_DIRECTORY = 64 << 20
_FIXED = 33


class _Record(NamedTuple):
    """A directory record: where it stands, where its bytes begin (byte of the volume), how many, what else it says."""

    position: int
    place: int
    size: int
    flags: int
    time: bytes
    name: bytes
    area: bytes


class IsoReader:
    """An ISO 9660 whose primary tree has Rock Ridge. An inode is the byte of its record, or of a directory."""

    def __init__(self, window: Window, begin_item: Callable[[int], None], skipped: frozenset[int]) -> None:
        """Open the filesystem; inodes in ``skipped`` are listed by name and not read."""
        self._window, self._begin_item, self._skipped = window, begin_item, skipped
        descriptor = window.read_at(_PRIMARY, _SECTOR)
        block = int.from_bytes(descriptor[128:130], "little")
        self._block = block if block in (512, 1024, _SECTOR) else _SECTOR
        self._root = int.from_bytes(descriptor[158:162], "little") * self._block
        own = self._own(self._root)
        mark = own.area.find(b"SP\7\1\xbe\xef") if own is not None else -1
        self._skip = own.area[mark + 6] if own is not None and 0 <= mark < len(own.area) - 6 else 0
        self._places: set[int] = set()

    def root(self) -> Node:
        """Return the root directory."""
        own = self._own(self._root)
        if own is None:
            raise ValueError("the root directory has no entry for itself")
        return self._node([own], self._said(own))

    def entries(self, directory: Node) -> Iterator[Listed]:
        """Yield the names of a directory."""
        records = self._records(directory.inode, directory.size)
        parts: list[_Record] = []
        for number, record in enumerate(records):
            if number < 2:  # its own entry, and its parent's
                continue
            parts.append(record)
            if not record.flags & _GOES_ON:
                listed = self._listed(parts)
                parts = []
                if listed is not None:
                    yield listed

    def orphans(self) -> Iterator[Listed]:
        """Yield nothing: what no directory lists is told by ``remarks``."""
        yield from ()

    def chunks(self, tree: int, inode: int) -> Iterator[tuple[int, bytes]]:
        """Yield a file's bytes: of one that has too many extents to be told."""
        del tree
        data = self._window.read_at(inode, 255)
        record = self._record(data, 0, inode)
        if record is not None:
            extent = Extent(0, self._window.offset + record.place, record.size)
            yield from extents_chunks([extent], self._window)

    def remarks(self) -> Iterator[VolumeRemark]:
        """Yield what the directory trees hold that was not listed, and what is damaged in them."""
        for tree in trees(self._window):
            missing = sorted(tree.files - self._places)
            if missing:
                reason = f"{len(missing)} files of the {tree.name} were not listed, the first is at byte {missing[0]}"
                yield VolumeRemark(reason, is_loss=True)
            for problem in tree.problems:
                yield VolumeRemark(f"{tree.name}: {problem}", is_loss=True)

    def _listed(self, parts: list[_Record]) -> Listed | None:
        record = parts[0]
        said = self._said(record)
        if said.is_moved:
            return None  # it is listed where it was before it was moved up
        name = said.name or record.name.rpartition(b";")[0] or record.name
        if said.child is not None:
            return self._child(name, said)
        inode = record.place if record.flags & _DIRECTORY else record.position
        self._begin_item(inode)
        if inode in self._skipped:
            return Listed(name, inode, 0, allocated=True, node=None, problems=(*name_problems(name), NEVER_ENDED))
        return Listed(name, inode, 0, allocated=True, node=self._node(parts, said), problems=name_problems(name))

    def _child(self, name: bytes, said: RockRidge) -> Listed:
        inode = (said.child or 0) * self._block
        self._begin_item(inode)
        own = self._own(inode)
        if own is None or inode in self._skipped:
            reason = NEVER_ENDED if own is not None else "the directory has no entry for itself"
            return Listed(name, inode, 0, allocated=True, node=None, problems=(*name_problems(name), reason))
        return Listed(
            name, inode, 0, allocated=True, node=self._node([own], self._said(own)), problems=name_problems(name)
        )

    def _node(self, parts: list[_Record], said: RockRidge) -> Node:
        record = parts[0]
        kind: FileType = "directory" if record.flags & _DIRECTORY else "file"
        if said.mode is not None and kind == "file":
            kind = TYPES.get(stat.S_IFMT(said.mode), "unknown")
            kind = "file" if kind == "directory" else kind
        size = sum(part.size for part in parts)
        extents, problems = self._extents(parts, size) if kind == "file" else ((), said.problems)
        times = {"modified": nanoseconds(record.time)} | said.times
        return Node(
            inode=record.place if kind == "directory" else record.position,
            type=kind,
            mode=stat.S_IMODE(said.mode or 0),
            uid=said.uid,
            gid=said.gid,
            size=len(said.link_target or b"") if kind == "symlink" else size,
            modified=times.get("modified"),
            accessed=times.get("accessed"),
            changed=times.get("changed"),
            created=times.get("created"),
            links=said.links,
            link_target=said.link_target if kind == "symlink" else None,
            extents=extents,
            problems=(*said.problems, *problems) if kind == "file" else problems,
            device=said.device if kind in DEVICES else None,
            has_all_runs=not problems,
        )

    def _extents(self, parts: list[_Record], size: int) -> tuple[tuple[Extent, ...] | None, tuple[str, ...]]:
        position, extents = 0, []
        for part in parts:
            if part.size:
                extents.append(Extent(position, self._window.offset + part.place, part.size))
                self._places.add(part.place)
            position += part.size
        runs = checked_runs(extents, size, self._window)
        return runs.extents, runs.problems

    def _said(self, record: _Record) -> RockRidge:
        return fields_of(record.area[self._skip :] if record.name != b"\0" else record.area, self._area)

    def _area(self, block: int, offset: int, size: int) -> bytes:
        return self._window.read_at(block * self._block + offset, size)

    def _own(self, place: int) -> _Record | None:
        """Return a directory's entry for itself."""
        record = self._record(self._window.read_at(place, 255), 0, place)
        is_own = record is not None and record.name == b"\0" and record.place == place
        return record if is_own else None

    def _records(self, place: int, size: int) -> Iterator[_Record]:
        if size > _LARGEST_DIRECTORY:
            raise ValueError(f"a directory of {size} bytes")
        data = self._window.read_at(place, size)
        position = 0
        while position + _FIXED < len(data):
            if not data[position]:  # the rest of a sector is empty
                position += _SECTOR - position % _SECTOR
                continue
            record = self._record(data, position, place)
            if record is not None:
                yield record
            if data[position] <= _FIXED:
                raise ValueError(f"an entry of the directory at byte {place} is damaged")
            position += data[position]

    def _record(self, data: bytes, position: int, base: int) -> _Record | None:
        length = data[position] if position < len(data) else 0
        raw = data[position : position + length]
        if length <= _FIXED or len(raw) < length or _FIXED + raw[32] > length:
            return None
        attribute_blocks, place, size = struct.unpack_from("<BI4xI", raw, 1)
        end = _FIXED + raw[32]
        return _Record(
            position=base + position,
            place=(place + attribute_blocks) * self._block,
            size=size,
            flags=raw[25],
            time=raw[18:25],
            name=raw[_FIXED:end],
            area=raw[end + (end & 1) :],
        )


def has_rock_ridge(window: Window) -> bool:
    """Return whether the primary tree has Rock Ridge: its root's own entry begins so (SUSP, 5.3)."""
    try:
        descriptor = window.read_at(_PRIMARY, _SECTOR)
        block = int.from_bytes(descriptor[128:130], "little")
        own = window.read_at(int.from_bytes(descriptor[158:162], "little") * (block or _SECTOR), 255)
    except OSError:
        return False
    return own[34:].startswith(b"SP\7\1\xbe\xef") or b"SP\7\1\xbe\xef" in own[34 : 34 + 64]
