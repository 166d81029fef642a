"""A cpio archive as a filesystem: also several that follow on each other, as in an initramfs.

Sources: cpio(5) of FreeBSD; the kernel's Documentation/driver-api/early-userspace/buffer-format.rst. The names of one
file have the same inode number there; in newc and crc only the last of them comes with the bytes.
"""

import hashlib
import stat
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import NamedTuple

from volforensic.evidence.archive import Blocks, Losses, Member, first_used, steps
from volforensic.evidence.cpio_header import LONGEST_HEADER, SIGNS, TRAILER, Header, read_header
from volforensic.evidence.node import (
    LINK_TARGET_LIMIT,
    SEVERAL_ARCHIVES,
    TYPES,
    Extent,
    Node,
    checked_runs,
    extents_chunks,
)
from volforensic.evidence.reader import Window

_MOST_TREES = 200
_SECOND = 1_000_000_000
_SUMMED = 256  # so many bytes have a sum below what Adler-32 counts to
_EXTENSIONS_LIMIT = 2_000_000


class _Entry(NamedTuple):
    """A header with its name, where its bytes are and where the next header is."""

    header: Header
    name: bytes
    data: int
    following: int


class _DamagedError(ValueError):
    """No header where one was to be."""


class _Group:
    """Holds what is known of a file with several names: where its first and its bytes are."""

    def __init__(self, first: int) -> None:
        self.first = first
        self.holder = -1
        self.digest = b""


class CpioArchive:
    """A cpio. ``sign`` is called now and then while much is read."""

    def __init__(self, window: Window, sign: Callable[[], None]) -> None:
        """Take the window on the archive."""
        self.losses = Losses()
        self.notes: dict[str, None] = {}
        self._window = window
        self._sign = sign
        self._read = Blocks(window, {}).read
        self._bases = [0]  # where archives begin: what is filled up is counted from there
        self._trees: dict[tuple[int, tuple[int, int]], int] = {}
        self._groups: dict[tuple[int, tuple[int, int], int], _Group] = {}
        self._members_of: dict[int, _Group] = {}
        self._family = "text"

    def members(self) -> Iterator[Member]:
        """Yield the members; see ``Archive``."""
        position, is_ended = 0, False
        while position < self._window.length and not self.losses.is_flood:
            try:
                entry = self._entry(position)
            except (ValueError, OSError) as error:
                position = self._behind_damage(position, error)
                continue
            self._family = entry.header.family
            is_ended = entry.name == TRAILER and not entry.header.size and not entry.header.mode & 0o7777
            if is_ended:
                position = self._behind_trailer(entry.following)
                self._groups.clear()
            else:
                yield self._member(position, entry)
                position = entry.following
        if self.losses.is_flood:
            self.losses.add(f"the archive was given up at byte {position}")
        elif not is_ended:
            self.losses.add(f"the archive has no trailer: after {self._window.length} bytes it is cut")

    def member(self, start: int) -> Member:
        """Return a member; see ``Archive``."""
        entry = self._entry(start)
        return Member(start, entry.name, stat.S_ISDIR(entry.header.mode))

    def node(self, start: int) -> Node:
        """Return a member's node; see ``Archive``."""
        header = self._entry(start).header
        problems: list[str] = []
        kind = TYPES.get(stat.S_IFMT(header.mode), "unknown")
        held = self._holder(start)
        runs = checked_runs(self._extents(held), held.header.size, self._window)
        problems += runs.problems
        target = None
        if kind == "symlink":
            target = self._target(held, problems)
        elif not runs.problems:
            problems += self._wrong_sum(held)
        return Node(
            inode=0,
            type=kind,
            mode=header.mode & 0o7777,
            uid=header.uid,
            gid=header.gid,
            size=held.header.size if kind in {"file", "symlink"} else 0,
            modified=header.modified * _SECOND,
            links=header.links,
            link_target=target,
            extents=runs.extents if kind == "file" else (),
            problems=tuple(problems),
            device=header.named_device if kind in {"character_device", "block_device"} else None,
            has_all_runs=not runs.problems,
        )

    def extents(self, start: int) -> Iterator[Extent]:
        """Yield a file's one run; see ``Archive``."""
        return self._extents(self._holder(start))

    def _extents(self, entry: _Entry) -> Iterator[Extent]:
        if entry.header.size:
            yield Extent(0, self._window.offset + entry.data, entry.header.size)

    def _holder(self, start: int) -> _Entry:
        """Return the member that has the bytes of this one."""
        group = self._members_of.get(start)
        own = self._entry(start)
        return own if own.header.size or group is None or group.holder < 0 else self._entry(group.holder)

    def _target(self, entry: _Entry, problems: list[str]) -> bytes:
        size = min(entry.header.size, LINK_TARGET_LIMIT)
        if size < entry.header.size:
            problems.append(f"a link of {entry.header.size} bytes: its first {size} are told")
        return self._read(entry.data, size)

    def _wrong_sum(self, entry: _Entry) -> Iterator[str]:
        """Yield a problem where the sum of a member's bytes (form crc) is not what its header says."""
        if entry.header.form != "crc":
            return
        total = 0
        for _, data in extents_chunks(self._extents(entry), self._window):
            self._sign()
            view = memoryview(data)
            total += sum(zlib.adler32(view[at : at + _SUMMED], 0) & 0xFFFF for at in range(0, len(data), _SUMMED))
        if total & 0xFFFFFFFF != entry.header.check:
            yield "the checksum of its bytes is wrong"

    def _entry(self, position: int) -> _Entry:
        header = read_header(self._read(position, LONGEST_HEADER))
        if header is None:
            raise _DamagedError("no header where one was to be")
        name = self._read(position + header.length, header.name_size)
        if len(name) < header.name_size or name[-1:] != b"\0":
            raise _DamagedError("a header whose name is cut or damaged")
        base = self._base_of(position)
        data = base + _rounded(position - base + header.length + header.name_size, header.alignment)
        following = base + _rounded(data - base + header.size, header.alignment)
        return _Entry(header, name[:-1], data, following)

    def _base_of(self, position: int) -> int:
        """Return where the archive begins that this place belongs to."""
        return self._bases[max(0, bisect_right(self._bases, position) - 1)]

    def _member(self, position: int, entry: _Entry) -> Member:
        header = entry.header
        is_directory = stat.S_ISDIR(header.mode)
        key = len(self._bases), header.device
        tree = self._trees.setdefault(key, len(self._trees)) if len(self._trees) < _MOST_TREES else -1
        plain = Member(position, entry.name, is_directory, None, header.inode if tree >= 0 else 0, max(tree, 0))
        if is_directory or header.links < 2:
            return plain
        group = self._groups.get((*key, header.inode))
        if group is None:
            if len(self._members_of) >= _EXTENSIONS_LIMIT:
                return plain
            group = self._groups[*key, header.inode] = _Group(position)
        elif header.size and group.holder >= 0 and not self._is_same(group, entry):
            return plain._replace(number=0, tree=0)
        if header.size and group.holder < 0:
            group.holder = position
        self._members_of[position] = group
        return plain if group.first == position else plain._replace(same=group.first)

    def _is_same(self, group: _Group, entry: _Entry) -> bool:
        """Return whether a further name's bytes are those of the first that came with bytes."""
        first = self._entry(group.holder)
        if first.header.size != entry.header.size:
            return False
        group.digest = group.digest or self._digest(first)
        return group.digest == self._digest(entry)

    def _digest(self, entry: _Entry) -> bytes:
        digest = hashlib.blake2b()
        try:
            for _, data in extents_chunks(self._extents(entry), self._window):
                self._sign()
                digest.update(data)
        except OSError:
            return b"unread %d" % entry.data
        return digest.digest()

    def _behind_trailer(self, position: int) -> int:
        """Return where the next archive begins, the end where there is none; say what lies between."""
        end = self._window.length
        first = first_used(self._window, position, end, self._sign)
        if first is None:
            return end
        following = first if self._begins_at(first) else self._next_header(first)
        if following is None:
            self.losses.add(f"bytes {first} to {end}, behind the end of the archive, are no members")
            return end
        if following > first:
            self.losses.add(f"bytes {first} to {following}, between two archives, are no members")
        self.notes[SEVERAL_ARCHIVES] = None
        self._bases.append(following)
        return following

    def _behind_damage(self, position: int, error: Exception) -> int:
        following = self._next_header(position + 1)
        end = self._window.length if following is None else following
        self.losses.add(f"bytes {position} to {end} of the archive are lost: {error}")
        if following is not None:
            self._bases.append(following)
        return end

    def _begins_at(self, position: int) -> bool:
        try:
            self._entry(position)
        except (ValueError, OSError):
            return False
        return True

    def _next_header(self, position: int) -> int | None:
        for start, size in steps(position, self._window.length):
            self._sign()
            try:
                data = self._window.read_at(start, size + 5)
            except OSError:
                continue
            for found in SIGNS[self._family].finditer(data):
                if self._begins_at(start + found.start()):
                    return start + found.start()
        return None


def _rounded(size: int, alignment: int) -> int:
    return -(-size // alignment) * alignment
