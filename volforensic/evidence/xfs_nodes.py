"""What inodes of XFS say: the common ones in a few steps, all others carefully.

Source: the kernel's fs/xfs/libxfs/xfs_format.h (xfs_dinode). Both ways give the same of the same inode
(tests/test_xfs_nodes.py): the fast one only takes what is simple.
"""

import stat
import struct

from volforensic.evidence.attributes import NOTHING_EXTENDED, XFS_FLAGS, attribute_names, xfs_device
from volforensic.evidence.node import DEVICES, LINK_TARGET_LIMIT, TYPES, Extent, Node, Runs, checked_runs
from volforensic.evidence.reader import Window
from volforensic.evidence.superblocks import checksum_is_right
from volforensic.evidence.xfs_attributes import short_attributes
from volforensic.evidence.xfs_core import BIG_TIME, EPOCH_OF_BIG_TIME, EXTENTS, LOCAL, MANY_EXTENTS, Inode, XfsError
from volforensic.evidence.xfs_inodes import XfsInodes

_LINK_MAGIC = b"XSLM"
_LINK_HEADER, _LINK_CHECKSUM = 56, 12
_REALTIME = 1
_MOST_PROBLEMS = 5
_UNSOUND = "the checksum of its inode is wrong"
_FILE, _DIRECTORY, _LINK = stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK
_LITERAL = 176
_TOLD = sum(bit for bit, _ in XFS_FLAGS if bit < 1 << 16)
_DAX = 1
# mode, version, format, uid, gid, links, wide count of extents; access, modification, change, size; extents,
# place of the attribute fork, its format, flags; more flags, birth; the first extent
_COMMON = struct.Struct(">2xHBB2xIII4xQQQQQQ4xIHBB6xH28xQ16xQ24xQQ")
_NO_EXTENTS: tuple[Extent, ...] = ()
_new = tuple.__new__  # a NamedTuple's own is three times slower, and this is done for each inode


class XfsNodes:
    """Holds the inodes of a filesystem."""

    def __init__(self, window: Window, inodes: XfsInodes) -> None:
        """Take the inodes."""
        self._window = window
        self._inodes = inodes
        self._at = inodes.at
        self._size = inodes.inode_size

    def node(self, number: int) -> Node:
        """Return what an inode says; XfsError where it cannot be read or is not in use."""
        data, offset, is_right = self._at(number)
        if is_right:
            node = self._common(number, data, offset)
            if node is not None:
                return node
        return self.of(self._inodes.read(number))

    def _common(self, number: int, data: bytes, offset: int) -> Node | None:
        """Return what a common inode says whose checksum is right: at most one extent, new times."""
        (
            mode, version, fork, uid, gid, links, wide, accessed, modified, changed, size, blocks, count, attributes,
            fork_end, fork_format, flags, more_flags, birth, high, low,
        ) = _COMMON.unpack_from(data, offset)  # fmt: skip
        if more_flags & MANY_EXTENTS:
            count, attributes = wide, count
        if (
            version != 3
            or flags & _TOLD
            or more_flags & (_DAX | BIG_TIME) != BIG_TIME
            or (fork_end and fork_format != LOCAL and (fork_format != EXTENTS or attributes))
        ):
            return None
        end = offset + (_LITERAL + fork_end * 8 if fork_end else self._size)
        has_attributes = fork_end and fork_format == LOCAL
        more = short_attributes(data[end : offset + self._size]) if has_attributes else NOTHING_EXTENDED
        form = mode & 0xF000
        target, extents = None, _NO_EXTENTS
        if form == _FILE and fork == EXTENTS:
            if not count and blocks:
                return None
            if count:
                found = self._one_extent(size, high, low) if count == 1 and blocks == low & 0x1FFFFF else None
                if found is None:
                    return None
                extents = found
        elif form == _LINK and fork == LOCAL and size <= min(end - offset - _LITERAL, LINK_TARGET_LIMIT):
            target = data[offset + _LITERAL : offset + _LITERAL + size]
        elif form != _DIRECTORY:
            return None
        return _new(
            Node,
            (
                number, TYPES[form], 0, mode & 0xFFF, uid, gid, size, modified - EPOCH_OF_BIG_TIME,
                accessed - EPOCH_OF_BIG_TIME, changed - EPOCH_OF_BIG_TIME, birth - EPOCH_OF_BIG_TIME, links, target,
                extents, more.problems, False, more.attributes, None, more.capabilities,
                True,
            ),
        )  # fmt: skip

    def _one_extent(self, size: int, high: int, low: int) -> tuple[Extent, ...] | None:
        """Return the extent of a record cut to the file's size; None where it is none that this can tell."""
        place = self._inodes.place((high & 0x1FF) << 43 | low >> 21)
        block_size = self._inodes.block_size
        first, length = (high >> 9) * block_size, (low & 0x1FFFFF) * block_size
        if place is None or high >> 63 or first >= size or not length:
            return None
        length = min(length, size - first)
        if place * block_size + length > self._window.length:
            return None
        return (_new(Extent, (first, self._window.offset + place * block_size, length)),)

    def of(self, inode: Inode) -> Node:
        """Return what a stored inode says, whatever it is; XfsError where it is not in use."""
        if not inode.mode:
            raise XfsError("it is not in use")
        kind = TYPES.get(stat.S_IFMT(inode.mode), "unknown")
        runs = self._runs(inode) if kind == "file" else Runs(())
        wrong = [] if inode.own_number == inode.number else [f"its inode says that it is inode {inode.own_number}"]
        more = self._inodes.extended(inode)
        return Node(
            inode=inode.number,
            type=kind,
            mode=stat.S_IMODE(inode.mode),
            uid=inode.uid,
            gid=inode.gid,
            size=inode.size,
            modified=inode.modified,
            accessed=inode.accessed,
            changed=inode.changed,
            created=inode.created,
            links=inode.links,
            link_target=self._link_target(inode, wrong) if kind == "symlink" else None,
            extents=runs.extents,
            problems=(*runs.problems, *more.problems, *wrong, *(() if inode.is_sound else (_UNSOUND,))),
            has_all_runs=not runs.problems,
            attributes=attribute_names(inode.flags, XFS_FLAGS, more.attributes),
            device=xfs_device(int.from_bytes(inode.fork[:4], "big")) if kind in DEVICES else None,
            capabilities=more.capabilities,
        )

    def _runs(self, inode: Inode) -> Runs:
        if inode.format == LOCAL:  # the bytes lie in the inode
            return Runs(None)
        if inode.flags & _REALTIME and inode.size:
            return Runs((), ("its bytes lie in the realtime section, which is not read",))
        problems: list[str] = []
        runs = checked_runs(self._inodes.extents(inode, problems), inode.size, self._window)
        return Runs(runs.extents, (*runs.problems, *dict.fromkeys(problems[:_MOST_PROBLEMS])))

    def _link_target(self, inode: Inode, wrong: list[str]) -> bytes:
        if inode.size > LINK_TARGET_LIMIT:
            raise XfsError(f"a symbolic link of {inode.size} bytes")
        if inode.format == LOCAL:
            return inode.fork[: inode.size]
        parts: list[bytes] = []
        problems: list[str] = []
        for run in self._inodes.runs(inode, problems):
            count = min(run.length, LINK_TARGET_LIMIT // 256)
            data = b"".join(self._inodes.read_block(run.block + index) for index in range(count))
            is_new = data.startswith(_LINK_MAGIC)
            if is_new and not checksum_is_right(data, _LINK_CHECKSUM):  # one for all blocks of a run
                wrong.append("the checksum of the block that holds where it leads is wrong")
            elif self._inodes.has_checksums and not is_new:
                wrong.append("the block that holds where it leads does not say so in its header")
            parts.append(data[_LINK_HEADER:] if is_new else data)
        if problems:
            raise XfsError(problems[0])
        return b"".join(parts)[: inode.size]
