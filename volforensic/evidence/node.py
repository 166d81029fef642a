"""What every filesystem reader gives: entries of a directory with what their inodes say, and bytes of files."""

import stat
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple, Protocol, TypeAlias, get_args, runtime_checkable

from volforensic.evidence.attributes import Attribute, Device
from volforensic.evidence.reader import Window

FileType: TypeAlias = Literal[
    "file", "directory", "symlink", "fifo", "socket", "character_device", "block_device", "unknown"
]
FILE_TYPES: tuple[FileType, ...] = get_args(FileType)
TYPES: dict[int, FileType] = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "character_device",
    stat.S_IFBLK: "block_device",
}
"""A mode's file type bits (inode(7)) in words."""
DIRECTORY_TYPES: tuple[FileType, ...] = (
    "unknown", "file", "directory", "character_device", "block_device", "fifo", "socket", "symlink",
)  # fmt: skip
"""The file types that directories of ext, XFS and btrfs note beside a name, by their numbers."""
DEVICES = ("character_device", "block_device")
LINK_TARGET_LIMIT = 4096
MOST_EXTENTS = 65536
_READ_SIZE = 1 << 20
MOST_DAMAGE = 1000
"""Damaged blocks of one directory, at most: beyond that its rest is given up."""
NEVER_ENDED = "reading this inode did not end"
SLASH_IN_NAME = "a name with a slash"
REACHED_BEFORE = "this directory was reached by another path already"
TIME_OUT_OF_RANGE = "a time of it is farther from 1970 than 292 years: it is left out"
ENCRYPTED_BYTES = "it is encrypted (fscrypt): its bytes and its hash are those of the ciphertext"
ENCRYPTED_TREE = "encrypted by fscrypt, the key is not in the evidence: names and contents are ciphertext"
TOLD_BY_TREE = (ENCRYPTED_BYTES,)
"""Problems of an entry that its directory tells for the whole tree: each has them in its row, none its own record."""
NOT_IN_ARCHIVE = "the archive has no member for this directory: only those in it"
LISTED_BEFORE = "an earlier member of the archive is the same directory: what is in it is listed there"
UP_IN_NAME = "the archive has this name with a component '..': it leads nowhere here"
MORE_MEMBERS = "members follow the end of the archive: they are listed too"
SEVERAL_ARCHIVES = "several archives follow on each other: their members are listed together"
UNKNOWN_TYPE = "the archive has a type for it that is not known: it is listed as a file"
HARMLESS = (
    SLASH_IN_NAME,
    REACHED_BEFORE,
    TIME_OUT_OF_RANGE,
    NOT_IN_ARCHIVE,
    LISTED_BEFORE,
    UP_IN_NAME,
    MORE_MEMBERS,
    SEVERAL_ARCHIVES,
    UNKNOWN_TYPE,
)
"""Problems of an entry that cost nothing: everything was read."""


def type_problems(kind: int, node_type: FileType) -> tuple[str, ...]:
    """Return what is wrong where a directory notes another type beside a name than its inode has."""
    if not 0 < kind < len(DIRECTORY_TYPES) or DIRECTORY_TYPES[kind] == node_type:
        return ()
    return (f"the directory says that it is a {DIRECTORY_TYPES[kind]}: its name or its inode is damaged",)


def name_problems(name: bytes) -> tuple[str, ...]:
    """Return what no kernel would have written into a directory's name."""
    slash = (SLASH_IN_NAME,) if b"/" in name else ()
    return (*slash, "a name with a NUL byte") if b"\0" in name else slash


class Extent(NamedTuple):
    """A run of a file's bytes: where in the file, where in the source, how many. Holes have no extent."""

    file_offset: int
    source_offset: int
    length: int


class Node(NamedTuple):
    """An inode: times are nanoseconds since 1970 UTC, ``extents`` is None where bytes need the filesystem to be read.

    ``tree`` is the subvolume of a btrfs, 0 elsewhere; inode numbers are unique within a tree. A placeholder is a
    directory that is empty by its nature: nothing is listed in it. ``attributes`` are the flags that are set,
    ``device`` the major and minor number of a device node, ``capabilities`` those of a program, as getcap(8) prints
    them. ``has_all_runs`` is false where something was wrong with a file's runs: bytes of it may be missing.
    """

    inode: int
    type: FileType
    tree: int = 0
    mode: int = 0
    uid: int = 0
    gid: int = 0
    size: int = 0
    modified: int | None = None
    accessed: int | None = None
    changed: int | None = None
    created: int | None = None
    links: int = 0
    link_target: bytes | None = None
    extents: tuple[Extent, ...] | None = None
    problems: tuple[str, ...] = ()
    is_placeholder: bool = False
    attributes: tuple[Attribute, ...] = ()
    device: Device | None = None
    capabilities: str | None = None
    has_all_runs: bool = True


class Listed(NamedTuple):
    """A name in a directory. ``node`` is None where the inode could not be read or no longer belongs to the name."""

    name: bytes
    inode: int
    tree: int
    allocated: bool
    node: Node | None
    problems: tuple[str, ...] = ()


class Reader(Protocol):
    """A filesystem opened for reading. Methods raise whatever the library below raises: the caller is the boundary."""

    def root(self) -> Node:
        """Return the root directory."""

    def entries(self, directory: Node) -> Iterator[Listed]:
        """Yield what the directory lists, without ``.`` and ``..``; deleted names too where the reader finds them."""

    def orphans(self) -> Iterator[Listed]:
        """Yield, after all directories were listed, inodes to which no name led: allocated where they are in use.

        Raises at its end what says which could not be told. A directory in use is listed before more is asked for.
        """

    def chunks(self, tree: int, inode: int) -> Iterator[tuple[int, bytes]]:
        """Yield a file's bytes with their position in the file, for files without extents."""


class WrongChecksumsError(ValueError):
    """All bytes of a file came, and the checksums of some of them are wrong; ``ranges`` are first byte and length."""

    def __init__(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Take the ranges, which are joined where they touch."""
        self.ranges: list[tuple[int, int]] = []
        for first, length in sorted(ranges):
            last = self.ranges[-1] if self.ranges else None
            if last is not None and first <= last[0] + last[1]:
                self.ranges[-1] = last[0], max(last[1], first + length - last[0])
            else:
                self.ranges.append((first, length))
        super().__init__(f"the checksums of {sum(length for _, length in self.ranges)} bytes are wrong")


class LostRange(NamedTuple):
    """Bytes of a file that did not come: the first, how many, why."""

    first: int
    length: int
    reason: str


class LostRangesError(ValueError):
    """Parts of a file did not come, all others did; ``ranges`` are which, in the order of the file."""

    def __init__(self, ranges: Iterable[LostRange]) -> None:
        """Take the ranges."""
        self.ranges = tuple(ranges)
        super().__init__("; ".join(f"bytes from {first}: {reason}" for first, _, reason in self.ranges[:20]))


class VolumeRemark(NamedTuple):
    """What is to be said of a volume's own structures: a sentence, and whether something is lost by it."""

    reason: str
    is_loss: bool


@runtime_checkable
class Remarking(Protocol):
    """A reader that has something to say of the volume's own structures."""

    def remarks(self) -> Iterator[VolumeRemark]:
        """Yield, when all is listed, what is damaged in structures that are no entry's: told for the volume."""


class Runs(NamedTuple):
    """A file's extents (None: read it through the filesystem) and what was wrong with them."""

    extents: tuple[Extent, ...] | None
    problems: tuple[str, ...] = ()


def extents_chunks(extents: Iterable[Extent], window: Window) -> Iterator[tuple[int, bytes]]:
    """Yield the bytes of the extents with their offsets in the file, at most ``_READ_SIZE`` of them at once."""
    for extent in extents:
        for start in range(0, extent.length, _READ_SIZE):
            place = extent.source_offset - window.offset + start
            yield extent.file_offset + start, window.read_at(place, min(_READ_SIZE, extent.length - start))


def checked_runs(extents: Iterable[Extent], size: int, window: Window) -> Runs:
    """Return the extents cut to the file's size and to the volume, in the order of the file.

    An extent that points outside its volume is an adversary's or damage: it is cut, and said.
    """
    kept: list[Extent] = []
    outside = 0
    first = size
    end = window.offset + window.length
    for extent in extents:
        if len(kept) >= MOST_EXTENTS:
            return Runs(None, (f"more than {MOST_EXTENTS} extents",))
        length = min(extent.length, size - extent.file_offset)
        inside = min(length, end - extent.source_offset) if extent.source_offset >= window.offset else 0
        if max(0, length) > max(0, inside):
            outside += max(0, length) - max(0, inside)
            first = min(first, extent.file_offset + max(0, inside))
        if inside > 0:
            kept.append(extent._replace(length=inside))
    kept.sort()
    return Runs(
        tuple(kept),
        (f"{outside} bytes lie outside the volume, the first is byte {first} of the file",) if outside else (),
    )
