"""What the headers of one tar member say together, as a node."""

from collections.abc import Iterator
from typing import NamedTuple

from volforensic.evidence.attributes import Device
from volforensic.evidence.node import (
    DEVICES,
    LINK_TARGET_LIMIT,
    MOST_EXTENTS,
    UNKNOWN_TYPE,
    Extent,
    FileType,
    Node,
    Runs,
    checked_runs,
)
from volforensic.evidence.reader import Window
from volforensic.evidence.tar_header import BLOCK, Header, TarError
from volforensic.evidence.tar_pax import Records, extended_attributes, flags_of, nanoseconds, whole
from volforensic.evidence.tar_sparse import ReadBlock, SparseMap, extents, listed_map, map_before_data, old_map

_SECOND = 1_000_000_000
_TYPES: dict[bytes, FileType] = {
    b"0": "file",
    b"\0": "file",
    b"7": "file",
    b"S": "file",
    b"M": "file",
    b"1": "file",
    b"2": "symlink",
    b"3": "character_device",
    b"4": "block_device",
    b"5": "directory",
    b"D": "directory",
    b"6": "fifo",
}
_WRONG_CHECKSUM = "the checksum of its header is wrong"
_LARGEST_INODE = 1 << 61
_MOST_TREES = 200


class TarMember(NamedTuple):
    """A member: where it begins and its own header stands, what it says, how many bytes it stores (rounded up: not)."""

    start: int
    position: int
    header: Header
    records: Records
    repeated: list[bytes]
    problems: tuple[str, ...]
    stored: int
    is_readable: bool = True

    @property
    def name(self) -> bytes:
        """Its path as the archive has it."""
        return self.records.get(b"GNU.sparse.name") or self.records.get(b"path") or self.header.name

    @property
    def link(self) -> bytes:
        """The path that a link of either kind leads to."""
        return self.records.get(b"linkpath") or self.header.link

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory; in the oldest format a slash at the end says so."""
        return self.type == "directory"

    @property
    def type(self) -> FileType:
        """What it is."""
        kind = self.header.type
        if kind in (b"0", b"\0", b"7") and not self.stored:
            if self.records.get(b"volforensic.type") == b"socket":
                return "socket"
            if self.name.endswith(b"/"):
                return "directory"
        return _TYPES.get(kind, "file")

    def target(self) -> bytes | None:
        """Return the path of the member that a hard link shares its bytes with; None for what is no such link."""
        return self.link if self.header.type == b"1" and not self.stored else None

    def identity(self) -> tuple[int, int]:
        """Return inode number and tree as our copy of a tree keeps them, else the number of the header's block."""
        number = whole(self.records, b"volforensic.inode", [])
        mount = whole(self.records, b"volforensic.mount", []) or 0
        if number and number < _LARGEST_INODE and mount < _MOST_TREES:
            return number, 1 + mount
        return self.position // BLOCK + 2, 0

    def sparse_map(self, read: ReadBlock) -> SparseMap | None:
        """Return where a sparse file's runs belong, None for one that is not sparse; TarError where that is damaged."""
        records, data = self.records, self.position + BLOCK
        if self.header.type == b"S":
            return old_map(self.header, self.position, read)
        problems: list[str] = []
        size = whole(records, b"GNU.sparse.realsize", problems)
        size = whole(records, b"GNU.sparse.size", problems) if size is None else size
        if size is None:
            if problems or b"GNU.sparse.map" in records:
                raise TarError("a sparse file without a size")
            return None
        if records.get(b"GNU.sparse.major") == b"1":
            return map_before_data(size, data, self.stored, read)
        if b"GNU.sparse.map" in records:
            return listed_map(records[b"GNU.sparse.map"].split(b",") if records[b"GNU.sparse.map"] else [], size, data)
        return listed_map(self.repeated, size, data)

    def data(self, read: ReadBlock) -> int:
        """Return where its bytes begin: the blocks of an old sparse map are not counted in its size."""
        return old_map(self.header, self.position, read).data if self.header.type == b"S" else self.position + BLOCK


def member_of(  # noqa: PLR0913, PLR0917 - the parts of a member as they were read
    start: int,
    position: int,
    header: Header,
    records: Records,
    repeated: list[bytes],
    problems: tuple[str, ...],
    *,
    has_data: bool,
) -> TarMember:
    """Return the member that these headers make."""
    wrong = list(problems)
    if not header.is_sound:
        wrong.append(_WRONG_CHECKSUM)
    size = whole(records, b"size", wrong)
    stored = (header.size or 0) if size is None else size
    return TarMember(start, position, header, records, repeated, tuple(wrong), stored if has_data else 0)


def member_extents(member: TarMember, window: Window, read: ReadBlock) -> Iterator[Extent]:
    """Yield where a file's bytes are; TarError where its map is damaged."""
    found = member.sparse_map(read)
    data = member.position + BLOCK
    if found is not None:
        begin = found.data if member.header.type == b"S" else data  # a map of the old format is not counted in its size
        yield from extents(found, begin + member.stored, window.offset)
    elif member.stored:
        yield Extent(0, window.offset + data, member.stored)


def build_node(member: TarMember, window: Window, read: ReadBlock) -> Node:
    """Return the node; who asks gives it its number."""
    header, records = member.header, member.records
    problems = list(member.problems)
    kind = member.type
    more = extended_attributes(records, problems)
    size, runs = _runs(member, window, read) if kind == "file" else (0, Runs(()))
    problems += runs.problems
    target = member.link[:LINK_TARGET_LIMIT] if kind == "symlink" else None
    if len(member.link) > LINK_TARGET_LIMIT:
        problems.append(f"a link of {len(member.link)} bytes: its first {LINK_TARGET_LIMIT} are told")
    numbers = [_owner(member, problems, *field) for field in ((b"uid", 108), (b"gid", 116))]
    mode = header.number(100, 8)
    times = _times(member, problems)
    if kind == "file" and header.type not in _TYPES:
        problems.append(UNKNOWN_TYPE)
    return Node(
        inode=0,
        type=kind,
        mode=(mode or 0) & 0o7777,
        uid=numbers[0],
        gid=numbers[1],
        size=len(target) if target is not None else size,
        modified=times[0],
        accessed=times[1],
        changed=times[2],
        created=nanoseconds(records, b"LIBARCHIVE.creationtime", problems),
        links=whole(records, b"volforensic.nlink", problems) or 0,
        link_target=target,
        extents=runs.extents,
        problems=tuple(dict.fromkeys(problems)),
        attributes=flags_of(records, more.attributes),
        device=_device(member, problems) if kind in DEVICES else None,
        capabilities=more.capabilities,
        has_all_runs=member.is_readable and not runs.problems and header.is_sound,
    )


def _runs(member: TarMember, window: Window, read: ReadBlock) -> tuple[int, Runs]:
    """Return a file's size and its runs."""
    if not member.is_readable:
        return member.stored, Runs(())
    try:
        found = member.sparse_map(read)
    except (TarError, OSError) as error:
        return member.stored, Runs((), (f"its bytes cannot be told apart: {error}",))
    size = member.stored if found is None else found.size
    if member.header.type == b"M":
        whole_size = member.header.number(483, 12) or 0
        offset = member.header.number(369, 12) or 0
        return max(whole_size, size), Runs(
            (), (f"a part of it from byte {offset} on, {member.stored} bytes: the archive has several volumes",)
        )
    if found is None:
        return size, checked_runs(member_extents(member, window, read), size, window)
    runs = checked_runs(extents(found, 1 << 62, window.offset), size, window)
    missing = sum(length for _, length in found.runs) - sum(run.length for run in member_extents(member, window, read))
    if missing > 0:
        return size, runs._replace(problems=(*runs.problems, f"{missing} bytes of its runs are not in the archive"))
    return size, Runs(None) if len(found.runs) > MOST_EXTENTS else runs


def _owner(member: TarMember, problems: list[str], keyword: bytes, place: int) -> int:
    value = whole(member.records, keyword, problems)
    value = member.header.number(place, 8) if value is None else value
    if value is None or not 0 <= value < 1 << 32:
        problems.append(f"its {keyword.decode()} is no number")
        return 0
    return value


def _times(member: TarMember, problems: list[str]) -> tuple[int | None, int | None, int | None]:
    """Return the times of modification, access and change."""
    records, header = member.records, member.header
    found = [nanoseconds(records, keyword, problems) for keyword in (b"mtime", b"atime", b"ctime")]
    plain = [header.number(136, 12), None, None]
    if header.magic == "gnu":  # written for incremental archives
        plain[1:] = [header.number(345, 12) or None, header.number(357, 12) or None]
    if plain[0] is None and found[0] is None:
        problems.append("its time is no number")
    times = [
        one * _SECOND if one is not None and time is None else time for one, time in zip(plain, found, strict=True)
    ]
    return times[0], times[1], times[2]


def _device(member: TarMember, problems: list[str]) -> Device | None:
    values = [
        member.header.number(place, 8) if value is None else value
        for keyword, place in ((b"SCHILY.devmajor", 329), (b"SCHILY.devminor", 337))
        for value in [whole(member.records, keyword, problems)]
    ]
    if any(value is None or not 0 <= value <= 0xFFFFFFFF for value in values):
        problems.append("its device is no number")
        return None
    return values[0] or 0, values[1] or 0
