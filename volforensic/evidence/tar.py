"""A tar archive as a filesystem: v7, ustar, GNU and pax members, one after the other.

Sources: POSIX.1-2017, pax; GNU tar's manual, "Tar Internals"; tar(5) of FreeBSD. Where a header is damaged, the next
valid one is looked for, and what lies between is told as lost.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import NamedTuple

from volforensic.evidence.archive import Blocks, Losses, Member, first_used
from volforensic.evidence.node import MORE_MEMBERS, Extent, Node
from volforensic.evidence.reader import Window
from volforensic.evidence.tar_header import BLOCK, Header, TarError, is_empty, is_header, read_header
from volforensic.evidence.tar_nodes import TarMember, build_node, member_extents, member_of
from volforensic.evidence.tar_pax import LARGEST_PAX, Records, pax_records
from volforensic.evidence.tar_search import next_header

_LONGEST_NAME = 1 << 20
_MOST_EXTENSIONS = 16
_MOST_GLOBALS = 1000
_MOST_DAMAGED = 100_000
_RECORD = 10240
_DAMAGE = b"volforensic.damage"
_OF_ONE_MEMBER = (b"path", b"linkpath", b"size", b"GNU.sparse.", b"volforensic.")
_WITHOUT_DATA = (b"2", b"3", b"4", b"5", b"6")


class _DamagedError(TarError):
    """A header that is none, and where it stands."""

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(reason)
        self.position = position


class _Extensions(NamedTuple):
    """What the headers before a member's own say: pax records, those that may come again, problems."""

    records: Records
    repeated: list[bytes]
    problems: list[str]


class TarArchive:
    """A tar. ``sign`` is called now and then while much is read."""

    def __init__(self, window: Window, sign: Callable[[], None]) -> None:
        """Take the window on the archive."""
        self.losses = Losses()
        self.notes: dict[str, None] = {}
        self._window = window
        self._sign = sign
        self._read = Blocks(window, {}).read
        self._globals: list[tuple[int, Records]] = []
        self._damage: dict[int, list[str]] = {}
        self._globals_size = 0
        self._has_v7 = False
        self._held: TarMember | None = None

    def members(self) -> Iterator[Member]:
        """Yield the members; see ``Archive``."""
        position, last, has_end = 0, -1, False
        while position < self._window.length and not self.losses.is_flood:
            try:
                block = self._read(position, BLOCK)
                if is_empty(block):
                    following = self._behind_end(position)
                    has_end = following is None
                    position = self._window.length if following is None else following
                    continue
                found, position = self._next(position, last)
            except (_DamagedError, OSError) as error:
                position = self._behind_damage(getattr(error, "position", position), error)
                continue
            if found is not None:
                last = found.start
                yield _listed(found)
        if self.losses.is_flood:
            self.losses.add(f"the archive was given up at byte {position}")
        elif not has_end:
            self.losses.add(f"the archive has no end: after {self._window.length} bytes it is cut")

    def member(self, start: int) -> Member:
        """Return a member; see ``Archive``."""
        self._held = self._member(start)[0]
        return _listed(self._held)

    def node(self, start: int) -> Node:
        """Return a member's node; see ``Archive``."""
        held = self._held
        member = held if held is not None and held.start == start else self._member(start)[0]
        node = build_node(member, self._window, self._read)
        damage = self._damage.get(start)
        if damage:
            node = node._replace(problems=(*node.problems, *damage[:20]), has_all_runs=False)
        return node

    def extents(self, start: int) -> Iterator[Extent]:
        """Yield a file's runs; see ``Archive``."""
        member, _ = self._member(start)
        return member_extents(member, self._window, self._read)

    def _next(self, position: int, last: int) -> tuple[TarMember | None, int]:
        """Return the member that begins here, None for what is only about others, and where the next one begins."""
        header = self._header(position)
        behind = position + BLOCK + _rounded(header.size or 0)
        if header.type == b"g":
            self._take_globals(position, header, last)
            return None, behind
        if header.type == b"V":  # the label of a GNU archive
            return None, position + BLOCK
        return self._member(position, header)

    def _member(self, start: int, first: Header | None = None) -> tuple[TarMember, int]:
        """Return the member and where the next begins; _DamagedError where one of its headers is none.

        ``first`` is the header that stands at its start, where that was read before.
        """
        position = start
        extensions = _Extensions(dict(self._globals_at(start)), [], [])
        for _ in range(_MOST_EXTENSIONS):
            header = self._header(position) if first is None else first
            first = None
            if header.type not in (b"x", b"X", b"L", b"K"):
                break
            self._take_extension(position, header, extensions)
            position += BLOCK + _rounded(header.size or 0)
        else:
            raise _DamagedError(position - BLOCK, f"more than {_MOST_EXTENSIONS} extended headers before one member")
        records, repeated, problems = extensions
        has_data = header.type not in _WITHOUT_DATA and not self._is_link_only(header, position)
        member = member_of(start, position, header, records, repeated, tuple(problems), has_data=has_data)
        member = self._with_size_that_fits(member)
        try:
            data = member.data(self._read)
        except (TarError, OSError) as error:
            data = position + BLOCK
            member = member._replace(problems=(*member.problems, str(error)), is_readable=False)
        return member, data + _rounded(member.stored)

    def _with_size_that_fits(self, member: TarMember) -> TarMember:
        """Return the member with its header's size where that of the extended one, which has no checksum, is wrong."""
        plain = member.header.size or 0
        end = member.position + BLOCK
        if member.stored == plain or end + member.stored <= self._window.length or end + plain > self._window.length:
            return member
        if not self._may_begin_at(end + _rounded(plain)):
            return member
        reason = f"its extended header says that it has {member.stored} bytes, its header {plain}"
        return member._replace(stored=plain, problems=(*member.problems, reason))

    def _header(self, position: int) -> Header:
        """Return the header at a place. One with a wrong checksum is taken where another follows where it says."""
        block = self._read(position, BLOCK)
        if len(block) < BLOCK:
            raise _DamagedError(position, f"{len(block)} bytes where a header was to be")
        if is_header(block):
            header = read_header(block, is_sound=True)
            self._has_v7 |= header.magic == "v7"
            return header
        header = read_header(block, is_sound=False)
        fits = block[257:262] == b"ustar" and header.size is not None and header.size >= 0 and header.name
        if fits and self._may_begin_at(position + BLOCK + _rounded(header.size or 0)):
            return header
        raise _DamagedError(position, "no header where one was to be, or its checksum is wrong")

    def _may_begin_at(self, position: int) -> bool:
        if position == self._window.length:
            return True
        try:
            block = self._read(position, BLOCK)
        except OSError:
            return False
        return is_header(block) or is_empty(block)

    def _is_link_only(self, header: Header, position: int) -> bool:
        """Return whether a hard link comes without the bytes of its file: some programs write the size all the same."""
        if header.type != b"1" or not header.size:
            return header.type == b"1"
        return self._may_begin_at(position + BLOCK) or not self._may_begin_at(position + BLOCK + _rounded(header.size))

    def _body(self, position: int, header: Header, most: int) -> bytes:
        size = header.size or 0
        if size > most:
            raise TarError(f"an extended header of {size} bytes was not read")
        body = self._read(position + BLOCK, size)
        if len(body) < size:
            raise TarError("its extended header is cut")
        return body

    def _take_extension(self, position: int, header: Header, extensions: _Extensions) -> None:
        records, repeated, problems = extensions
        if not header.is_sound:
            problems.append("the checksum of its extended header is wrong")
        try:
            if header.type in (b"L", b"K"):
                value, rest = _long_name(self._body(position, header, _LONGEST_NAME))
                if rest:
                    problems.append(f"its long name or link is damaged behind byte {len(value)}")
                records.setdefault(b"path" if header.type == b"L" else b"linkpath", value)
                return
            for keyword, value in pax_records(self._body(position, header, LARGEST_PAX)):
                if keyword in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"):
                    repeated.append(value)
                records[keyword] = value
        except (TarError, OSError) as error:
            problems.append(str(error))

    def _take_globals(self, position: int, header: Header, last: int) -> None:
        try:
            found = dict(pax_records(self._body(position, header, LARGEST_PAX)))
        except (TarError, OSError) as error:
            self.losses.add(f"the global header at byte {position}: {error}")
            return
        damage = found.pop(_DAMAGE, None)
        if damage is not None and last >= 0 and len(self._damage) < _MOST_DAMAGED:
            self._damage.setdefault(last, []).append(damage.decode("utf-8", "replace")[:300])
        kept = {keyword: value for keyword, value in found.items() if not keyword.startswith(_OF_ONE_MEMBER)}
        if len(kept) < len(found):
            self.losses.add(f"the global header at byte {position} says of all members what can be true of one only")
        self._globals_size += header.size or 0
        if not kept:
            return
        if len(self._globals) >= _MOST_GLOBALS or self._globals_size > LARGEST_PAX:
            self.losses.add(f"the global header at byte {position} is one too many: it was not heeded")
            return
        before = self._globals[-1][1] if self._globals else {}
        self._globals.append((position, before | kept))

    def _globals_at(self, start: int) -> Records:
        index = bisect_right(self._globals, start, key=lambda one: one[0])
        return self._globals[index - 1][1] if index else {}

    def _behind_damage(self, position: int, error: Exception) -> int:
        """Return where the next valid header is, the end where there is none; say what is lost."""
        following = next_header(self._window, position + BLOCK, self._sign, with_v7=self._has_v7)
        end = self._window.length if following is None else following
        reason = str(error) if isinstance(error, TarError) else f"it does not read: {error}"
        self.losses.add(f"bytes {position} to {end} of the archive are lost: {reason}")
        return end

    def _behind_end(self, position: int) -> int | None:
        """Return where members go on behind a block of NUL bytes, None where none do; say what that means."""
        following = next_header(self._window, position + BLOCK, self._sign, with_v7=self._has_v7)
        end = self._window.length if following is None else following
        first = first_used(self._window, position + BLOCK, end, self._sign)
        if following is None:
            if first is not None:
                self.losses.add(f"bytes {first} to {end}, behind the end of the archive, are no members")
            return None
        if first is None and following - position >= 2 * BLOCK and not following % _RECORD:
            self.notes[MORE_MEMBERS] = None
        else:
            self.losses.add(f"bytes {position} to {end} of the archive are no members, and members follow them")
        return following


def _long_name(body: bytes) -> tuple[bytes, bool]:
    """Return a name of GNU tar, which ends with the one NUL byte there is, and whether there are others."""
    name, _, rest = body.partition(b"\0")
    return name, bool(rest) or (not name and len(body) > 1)


def _rounded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _listed(member: TarMember) -> Member:
    number, tree = member.identity()
    return Member(
        member.start, member.name, member.is_directory, member.target(), number, tree, problems=member.problems
    )
