"""The edge to The Sleuth Kit: FAT, exFAT, NTFS and ISO 9660 through pytsk3, and the second opinion on ext2/3/4."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytsk3

from volforensic.evidence.ext import EXT_KINDS, ExtReader
from volforensic.evidence.ext_geometry import UnknownGeometryError
from volforensic.evidence.ext_orphans import name_of
from volforensic.evidence.iso_check import trees
from volforensic.evidence.node import (
    NEVER_ENDED,
    SLASH_IN_NAME,
    Extent,
    FileType,
    Listed,
    Node,
    Runs,
    VolumeRemark,
    checked_runs,
)
from volforensic.evidence.reader import Window

_TYPES: dict[int, FileType] = {
    int(pytsk3.TSK_FS_META_TYPE_REG): "file",
    int(pytsk3.TSK_FS_META_TYPE_DIR): "directory",
    int(pytsk3.TSK_FS_META_TYPE_LNK): "symlink",
    int(pytsk3.TSK_FS_META_TYPE_FIFO): "fifo",
    int(pytsk3.TSK_FS_META_TYPE_SOCK): "socket",
    int(pytsk3.TSK_FS_META_TYPE_CHR): "character_device",
    int(pytsk3.TSK_FS_META_TYPE_BLK): "block_device",
}
_VIRTUAL = {int(pytsk3.TSK_FS_META_TYPE_VIRT), int(pytsk3.TSK_FS_META_TYPE_VIRT_DIR)}
_NAME_ALLOCATED = int(pytsk3.TSK_FS_NAME_FLAG_ALLOC)
_META_ALLOCATED = int(pytsk3.TSK_FS_META_FLAG_ALLOC)
# Checked against the kernel: a run reads as NUL bytes where either flag is set, not where both are.
_HOLE = int(pytsk3.TSK_FS_ATTR_RUN_FLAG_FILLER) | int(pytsk3.TSK_FS_ATTR_RUN_FLAG_SPARSE)
_FILLER = int(pytsk3.TSK_FS_ATTR_RUN_FLAG_FILLER)
_DATA_ATTRIBUTES = {1, 128}  # TSK_FS_ATTR_TYPE_DEFAULT and NTFS's unnamed $DATA
_NON_RESIDENT = int(pytsk3.TSK_FS_ATTR_NONRES)  # the bytes lie in blocks, not in the inode
_DATA_KINDS = {128, 144}  # NTFS's attributes of data and of indexes: its own files may have only these
_FILE_NAME = 48
_FIRST_NTFS_INODE = 24  # those before are the filesystem's own
_META_IN_USE = int(pytsk3.TSK_FS_META_FLAG_ALLOC) | int(pytsk3.TSK_FS_META_FLAG_USED)
_READ_SIZE = 1 << 20
_WITH_ORPHANS = int(pytsk3.TSK_FS_TYPE_NTFS) | int(pytsk3.TSK_FS_TYPE_FAT_DETECT) | int(pytsk3.TSK_FS_TYPE_EXFAT)


class _Image(pytsk3.Img_Info):  # type: ignore[misc]  # pytsk3 has no types
    """The window as TSK reads it."""

    def __init__(self, window: Window) -> None:
        self._window = window
        super().__init__(url="", type=pytsk3.TSK_IMG_TYPE_EXTERNAL)

    def close(self) -> None:
        """Leave the descriptor open: it is not ours."""

    def read(self, offset: int, size: int) -> bytes:
        return self._window.read_at(offset, size)

    def get_size(self) -> int:
        return self._window.length


class TskReader:
    """A filesystem that TSK reads. ``begin_item`` is told each inode before it is touched."""

    def __init__(self, window: Window, begin_item: Callable[[int], None], skipped: frozenset[int]) -> None:
        """Open the filesystem; inodes in ``skipped`` are listed by name and not read."""
        self._window = window
        self._begin_item = begin_item
        self._skipped = skipped
        self._filesystem: Any = pytsk3.FS_Info(_Image(window))
        self._block_size = int(self._filesystem.info.block_size)
        self._is_ntfs = bool(int(self._filesystem.info.ftype) & int(pytsk3.TSK_FS_TYPE_NTFS))
        # Holes of ext have no record of their own.
        self._names_holes = not int(self._filesystem.info.ftype) & int(pytsk3.TSK_FS_TYPE_EXT_DETECT)
        self._is_iso = bool(int(self._filesystem.info.ftype) & int(pytsk3.TSK_FS_TYPE_ISO9660))
        self._reached: set[int] = set()
        self._places: set[int] = set()

    def root(self) -> Node:
        """Return the root directory."""
        return self._node(self._filesystem.open_meta(self._filesystem.info.root_inum))

    def entries(self, directory: Node) -> Iterator[Listed]:
        """Yield the names of a directory, deleted ones too."""
        for file in self._filesystem.open_dir(inode=directory.inode):
            name = file.info.name
            inode = int(name.meta_addr)
            text = bytes(name.name)
            if text == b"." or (text == b".." and self._is_directory(file)):
                continue
            meta = file.info.meta
            if meta is not None and int(meta.type) in _VIRTUAL:
                continue
            self._begin_item(inode)
            if self._is_ntfs:
                self._reached.add(inode)
            allocated = bool(int(name.flags) & _NAME_ALLOCATED)
            yield self._listed(file, text, inode, allocated=allocated)

    def orphans(self) -> Iterator[Listed]:
        """Yield freed inodes to which no name leads, as TSK finds them: not on ext, which has a reader of its own."""
        if int(self._filesystem.info.ftype) & _WITH_ORPHANS:
            for file in self._filesystem.open_dir(inode=int(self._filesystem.info.last_inum)):
                name = bytes(file.info.name.name)
                if name not in {b".", b".."}:
                    inode = int(file.info.name.meta_addr)
                    self._begin_item(inode)
                    yield self._listed(file, name, inode, allocated=False)
        if self._is_ntfs:
            yield from self._in_use()

    def _in_use(self) -> Iterator[Listed]:
        """Yield the records of NTFS that are in use and have a name, to which no directory led: names were lost."""
        for inode in range(_FIRST_NTFS_INODE, int(self._filesystem.info.last_inum)):
            if inode in self._reached:
                continue
            self._begin_item(inode)
            try:
                file = self._filesystem.open_meta(inode)
                is_lost = int(file.info.meta.flags) & _META_IN_USE == _META_IN_USE and _FILE_NAME in _kinds(file)
            except OSError:
                continue  # a record that was never used
            if is_lost:
                yield self._listed(file, name_of(inode), inode, allocated=True)

    def remarks(self) -> Iterator[VolumeRemark]:
        """Yield what the directory trees of an ISO 9660 hold that was not listed, and what is damaged in them."""
        for tree in trees(self._window) if self._is_iso else ():
            missing = sorted(tree.files - self._places)
            if missing:
                reason = f"{len(missing)} files of the {tree.name} were not listed, the first is at byte {missing[0]}"
                yield VolumeRemark(reason, is_loss=True)
            for problem in tree.problems:
                yield VolumeRemark(f"{tree.name}: {problem}", is_loss=True)

    def chunks(self, tree: int, inode: int) -> Iterator[tuple[int, bytes]]:
        """Yield a file's bytes through TSK: inline data, compressed or otherwise without runs."""
        del tree
        file = self._filesystem.open_meta(inode)
        size, position = int(file.info.meta.size), 0
        while position < size:  # read_random fails at and beyond the end
            data = file.read_random(position, min(_READ_SIZE, size - position))
            if not data:
                return
            yield position, data
            position += len(data)

    def _listed(self, file: Any, text: bytes, inode: int, *, allocated: bool) -> Listed:
        meta = file.info.meta
        problems = (SLASH_IN_NAME,) if b"/" in text else ()
        if inode in self._skipped:
            return Listed(text, inode, 0, allocated, node=None, problems=(*problems, NEVER_ENDED))
        if meta is None:
            reason = () if not allocated else ("the inode could not be read",)
            return Listed(text, inode, 0, allocated, None, (*problems, *reason))
        if not allocated and int(meta.flags) & _META_ALLOCATED:
            return Listed(text, inode, 0, allocated, None, (*problems, "the inode belongs to another file now"))
        try:
            return Listed(text, inode, 0, allocated, self._node(file), problems)
        except Exception as error:  # noqa: BLE001 - TSK's errors have no common root; this inode costs itself only
            return Listed(text, inode, 0, allocated, None, (*problems, f"the inode could not be read: {error}"[:300]))

    def _is_directory(self, file: Any) -> bool:
        return file.info.meta is None or int(file.info.meta.type) == int(pytsk3.TSK_FS_META_TYPE_DIR)

    def _node(self, file: Any) -> Node:
        meta = file.info.meta
        kind = _TYPES.get(int(meta.type), "unknown")
        size = max(0, int(meta.size))
        runs = self._extents(file, size) if kind == "file" else Runs(())
        if self._is_iso and runs.extents:
            self._places.add(runs.extents[0].source_offset - self._window.offset)
        return Node(
            inode=int(meta.addr),
            type=kind,
            mode=int(meta.mode) & 0o7777,
            uid=int(meta.uid),
            gid=int(meta.gid),
            size=size,
            modified=_nanoseconds(meta.mtime, meta.mtime_nano),
            accessed=_nanoseconds(meta.atime, meta.atime_nano),
            changed=_nanoseconds(meta.ctime, meta.ctime_nano),
            created=_nanoseconds(meta.crtime, meta.crtime_nano) if int(meta.crtime) else None,
            links=int(meta.nlink),
            link_target=bytes(meta.link) if kind == "symlink" and meta.link is not None else None,
            extents=runs.extents,
            problems=runs.problems,
            has_all_runs=not runs.problems,
        )

    def _extents(self, file: Any, size: int) -> Runs:
        if self._is_ntfs and not _DATA_KINDS & _kinds(file):
            return Runs((), ("it has no data: an attribute of it was lost",))
        if not size:
            return Runs(())
        for attribute in file:
            if int(attribute.info.type) in _DATA_ATTRIBUTES and not attribute.info.name:
                if int(attribute.info.flags) & _NON_RESIDENT:
                    runs = checked_runs(self._runs(attribute), size, self._window)
                    return runs._replace(problems=(*runs.problems, *self._uncovered(attribute, size)))
                return Runs(None)
        return Runs(None)

    def _uncovered(self, attribute: Any, size: int) -> Iterator[str]:
        """Yield what is wrong where the runs of a file, its holes among them, do not hold all bytes that it has."""
        named = 0
        for run in attribute:  # a filler stands for runs that no record names
            if not int(run.flags) & _FILLER:
                begin, end = int(run.offset) * self._block_size, (int(run.offset) + int(run.len)) * self._block_size
                named += max(0, min(end, size) - begin)
        if named < size and self._names_holes:
            yield f"its runs hold {named} of its {size} bytes"

    def _runs(self, attribute: Any) -> Iterator[Extent]:
        for run in attribute:
            if not int(run.flags) & _HOLE:
                yield Extent(
                    int(run.offset) * self._block_size,
                    self._window.offset + int(run.addr) * self._block_size,
                    int(run.len) * self._block_size,
                )


def open_with_tsk(
    kind: str, window: Window, begin_item: Callable[[int], None], skipped: frozenset[int]
) -> ExtReader | TskReader:
    """Return a reader for the window: our own for ext where it knows the geometry, else TSK's."""
    if kind in EXT_KINDS:
        with contextlib.suppress(UnknownGeometryError):
            return ExtReader(window, begin_item, skipped)
    return TskReader(window, begin_item, skipped)


def _kinds(file: Any) -> set[int]:
    return {int(attribute.info.type) for attribute in file}


def _nanoseconds(seconds: int, fraction: int) -> int:
    return int(seconds) * 1_000_000_000 + (int(fraction) if 0 <= int(fraction) < 1_000_000_000 else 0)
