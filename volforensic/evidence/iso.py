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
_MARK = b"SP\7\1\xbe\xef"
_POSIX_ATTRIBUTES = (b"PX\x2c\1", b"PX\x24\1")
_TOLD_OTHERWISE = "a number that stands in both byte orders differs between them"


class _Record(NamedTuple):
    """A directory record: where it stands, where its bytes begin (byte of the volume), how many, what else it says.

    ``is_told_twice``: place and size stand in it in both byte orders, and both say the same (ECMA-119, 7.3.3).
    """

    position: int
    place: int
    size: int
    flags: int
    time: bytes
    name: bytes
    area: bytes
    is_told_twice: bool


class IsoReader:
    """An ISO 9660 whose primary tree has Rock Ridge. An inode is the byte of its record, or of a directory."""

    def __init__(self, window: Window, begin_item: Callable[[int], None], skipped: frozenset[int]) -> None:
        """Open the filesystem; inodes in ``skipped`` are listed by name and not read."""
        self._window, self._begin_item, self._skipped = window, begin_item, skipped
        descriptor = window.read_at(_PRIMARY, _SECTOR)
        self._block = _block_size(descriptor)
        self._root = _root_place(window, descriptor)
        own = self._own(self._root)
        mark = own.area.find(_MARK) if own is not None else -1
        self._skip = own.area[mark + 6] if own is not None and 0 <= mark < len(own.area) - 6 else 0
        self._places: set[int] = set()
        fields = (descriptor[128:132], descriptor[158:166], descriptor[166:174])
        self._is_told_twice = all(one[: len(one) // 2] == one[: len(one) // 2 - 1 : -1] for one in fields)
        self._is_marked = mark >= 0

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
        if not self._is_marked:
            yield VolumeRemark(
                "nothing marks the tree as Rock Ridge (SP): its other fields were believed", is_loss=True
            )
        if not self._is_told_twice:
            yield VolumeRemark(f"the volume's descriptor: {_TOLD_OTHERWISE}", is_loss=True)
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
        if not all(part.is_told_twice for part in parts):
            problems = (*problems, _TOLD_OTHERWISE)
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
        other_place, other_size = struct.unpack_from(">I4xI", raw, 6)
        end = _FIXED + raw[32]
        return _Record(
            position=base + position,
            place=(place + attribute_blocks) * self._block,
            size=size,
            flags=raw[25],
            time=raw[18:25],
            name=raw[_FIXED:end],
            area=raw[end + (end & 1) :],
            is_told_twice=(place, size) == (other_place, other_size),
        )


def _block_size(descriptor: bytes) -> int:
    """Return the size of a logical block in bytes, that of a sector where the descriptor says what cannot be."""
    size = int.from_bytes(descriptor[128:130], "little")
    return size if size in (512, 1024, _SECTOR) else _SECTOR


def _root_place(window: Window, descriptor: bytes) -> int:
    """Return the byte where the root directory begins: of the two places that the descriptor says, one that is one."""
    block = _block_size(descriptor)
    places = [int.from_bytes(descriptor[158:162], "little") * block, int.from_bytes(descriptor[162:166], "big") * block]
    for place in places:
        raw = window.read_at(place, _FIXED + 1)
        if raw[32:34] == b"\1\0" and int.from_bytes(raw[2:6], "little") * block == place:
            return place
    return places[0]


def has_rock_ridge(window: Window) -> bool:
    """Return whether the primary tree has Rock Ridge: its root says so (SUSP, 5.3), or has its fields all the same."""
    try:
        descriptor = window.read_at(_PRIMARY, _SECTOR)
        root = window.read_at(_root_place(window, descriptor), _SECTOR)
    except OSError:
        return False
    return _MARK in root[34 : 34 + 64] or any(field in root for field in _POSIX_ATTRIBUTES)
