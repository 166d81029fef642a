"""An erofs: names, inodes, extents of what is not compressed, and the bytes of all files.

Source: the kernel's Documentation/filesystems/erofs.rst and fs/erofs/. Only the time of modification is kept there. Of
checksums there is one, that of the superblock's block: what decompresses is told as it is. There is no table of inodes:
those without a name cannot be found, the superblock's count says that there are some.
"""

import stat
from collections.abc import Callable, Iterator

from volforensic.evidence.attributes import ext_device
from volforensic.evidence.erofs_attributes import ErofsAttributes
from volforensic.evidence.erofs_contents import ErofsBytes, ErofsContents
from volforensic.evidence.erofs_directory import Name, block_names
from volforensic.evidence.erofs_inodes import CHUNKED, INLINE, PLAIN, Inode, nid_of, read_inode, told
from volforensic.evidence.erofs_space import ErofsError, ErofsSpace
from volforensic.evidence.erofs_superblocks import FRAGMENTS, METABOX
from volforensic.evidence.node import (
    DEVICES,
    LINK_TARGET_LIMIT,
    MOST_DAMAGE,
    MOST_EXTENTS,
    NEVER_ENDED,
    TYPES,
    Extent,
    Listed,
    Node,
    Runs,
    VolumeRemark,
    checked_runs,
    name_problems,
    type_problems,
)
from volforensic.evidence.reader import Window

_MOST_LOST = 20
_MOST_SEEN = 2_000_000
_LARGEST_NUMBER = (1 << 62) - 1
_UNCOMPRESSED = (PLAIN, INLINE, CHUNKED)


class ErofsReader:
    """An erofs. ``begin_item`` is told each inode before it is touched."""

    def __init__(self, window: Window, begin_item: Callable[[int], None], skipped: frozenset[int]) -> None:
        """Open the filesystem; inodes in ``skipped`` are listed by name and not read."""
        self._begin_item = begin_item
        self._skipped = skipped
        self._window = window
        self._space = ErofsSpace(window)
        self._contents = ErofsContents(self._space)
        self._attributes = ErofsAttributes(self._space, self._contents)
        self._seen: set[int] = set()

    def root(self) -> Node:
        """Return the root directory."""
        nid = self._space.superblock.root
        self._see(told(nid))
        return self._node(self._read(nid))

    def entries(self, directory: Node) -> Iterator[Listed]:
        """Yield the names of a directory; ErofsError at its end where blocks of it are damaged."""
        found = ErofsBytes(self._contents, self._read(nid_of(directory.inode)))
        size = self._space.superblock.block_size << self._space.superblock.directory_log
        damage: list[str] = []
        usual = {b".", b".."}
        for position in range(0, found.size, size):
            wrong: list[str] = []
            try:
                block = found.read_at(position, min(size, found.size - position))
            except ErofsError as error:
                block = b""
                wrong.append(str(error))
            for name in block_names(block, wrong) if block else ():
                if name.name in usual:
                    usual.remove(name.name)
                else:
                    yield self._listed(name)
            damage += [f"its block at byte {position}: {reason}" for reason in wrong[:_MOST_LOST]]
            if len(damage) >= MOST_DAMAGE:
                damage.insert(0, f"it was given up at byte {position} of {found.size}")
                break
        if damage:
            more = f"; and {len(damage) - _MOST_LOST} more" if len(damage) > _MOST_LOST else ""
            raise ErofsError("; ".join(damage[:_MOST_LOST]) + more)

    def orphans(self) -> Iterator[Listed]:
        """Yield nothing: nothing leads to an inode without a name. ``remarks`` tells how many are missing."""
        return iter(())

    def remarks(self) -> Iterator[VolumeRemark]:
        """Yield what is to be said of the volume: inodes to which no name led, devices that are not here."""
        superblock = self._space.superblock
        has_packed = bool(superblock.incompatible & FRAGMENTS and superblock.packed)
        nameless = has_packed + bool(superblock.incompatible & METABOX)
        seen = len(self._seen)
        if seen + nameless < superblock.inodes and seen < _MOST_SEEN:
            reason = f"its superblock counts {superblock.inodes} inodes, names lead to {seen}: names were lost"
            yield VolumeRemark(reason, is_loss=True)
        elif seen > superblock.inodes:
            reason = f"its superblock counts {superblock.inodes} inodes, names lead to {seen}"
            yield VolumeRemark(reason, is_loss=False)
        if self._space.device_fault:
            yield VolumeRemark(self._space.device_fault, is_loss=True)
        if self._space.devices:
            tags = ", ".join(device.tag or "without a name" for device in self._space.devices[:_MOST_LOST])
            reason = (
                f"it has {len(self._space.devices)} further devices ({tags}): what lies on them is read only where they"
                " follow in this volume"
            )
            yield VolumeRemark(reason[:500], is_loss=False)

    def chunks(self, tree: int, inode: int) -> Iterator[tuple[int, bytes]]:
        """Yield a file's bytes, without its holes.

        What cannot be had of it is left out, and LostRangesError says so at the end.
        """
        del tree
        yield from self._contents.chunks(self._read(nid_of(inode)))

    def _read(self, nid: int) -> Inode:
        return read_inode(self._contents.metadata(nid), self._space.superblock, nid)

    def _see(self, number: int) -> None:
        if len(self._seen) < _MOST_SEEN:
            self._seen.add(number)

    def _listed(self, entry: Name) -> Listed:
        problems = name_problems(entry.name)
        number = min(told(entry.nid), _LARGEST_NUMBER)
        self._begin_item(number)
        if number in self._skipped:
            self._see(number)
            return Listed(entry.name, number, 0, allocated=True, node=None, problems=(*problems, NEVER_ENDED))
        try:
            node = self._node(self._read(entry.nid))
        except ErofsError as error:
            reason = f"the inode could not be read: {error}"[:300]
            return Listed(entry.name, number, 0, allocated=True, node=None, problems=(*problems, reason))
        self._see(number)
        problems += type_problems(entry.kind, node.type)
        return Listed(entry.name, number, 0, allocated=True, node=node, problems=problems)

    def _node(self, inode: Inode) -> Node:
        kind = TYPES.get(stat.S_IFMT(inode.mode), "unknown")
        more = self._attributes.of(inode)
        runs = self._runs(inode) if kind == "file" else Runs(())
        problems = inode.faults + more.problems + runs.problems
        target = None
        if kind == "symlink":
            try:
                target = self._link_target(inode)
            except ErofsError as error:
                problems = (*problems, f"where it leads could not be read: {error}"[:300])
        return Node(
            inode.number,
            kind,
            0,
            stat.S_IMODE(inode.mode),
            inode.uid,
            inode.gid,
            inode.size,
            inode.modified,
            links=inode.links,
            link_target=target,
            extents=runs.extents,
            problems=problems,
            attributes=more.attributes,
            device=ext_device(0, inode.word) if kind in DEVICES else None,
            capabilities=more.capabilities,
            has_all_runs=not runs.problems,
        )

    def _link_target(self, inode: Inode) -> bytes:
        if inode.size > LINK_TARGET_LIMIT:
            raise ErofsError(f"a symbolic link of {inode.size} bytes")
        return ErofsBytes(self._contents, inode).read_at(0, inode.size)

    def _runs(self, inode: Inode) -> Runs:
        """Return the extents of a file; None where it is compressed, or part of it stands in the metabox."""
        if not inode.size:
            return Runs(())
        if inode.layout not in _UNCOMPRESSED or inode.is_in_metabox:
            return Runs(None)
        extents: list[Extent] = []
        problems: list[str] = []
        try:
            for piece in self._contents.pieces(inode):
                if len(extents) >= MOST_EXTENTS:
                    return Runs(None)
                if piece.form == "lost":
                    problems.append(f"{piece.length} bytes from byte {piece.start}: {piece.reason}")
                elif piece.form == "stored":
                    extents.append(Extent(piece.start, self._window.offset + piece.place, piece.length))
        except ErofsError as error:
            problems.append(f"where its bytes are could not be read: {error}")
        found = checked_runs(extents, inode.size, self._window)
        return Runs(found.extents, (*problems[:_MOST_LOST], *found.problems))
