"""The reader of archives: one scan makes an index, then directory after directory is listed from it."""

from collections.abc import Callable, Iterator

from volforensic.evidence.archive import INVENTED, INVENTED_DIRECTORY, ROOT, Archive, Member, components
from volforensic.evidence.archive_index import LONGEST_NAME, ArchiveIndex, Child
from volforensic.evidence.node import (
    LISTED_BEFORE,
    NEVER_ENDED,
    NOT_IN_ARCHIVE,
    UP_IN_NAME,
    Extent,
    Listed,
    Node,
    extents_chunks,
    name_problems,
)
from volforensic.evidence.reader import Window

_DIRECTORY_MODE = 0o755
_NAMELESS = b"."
"""What a file without a name is called: no member can have this name."""
OpenArchive = Callable[[Window, Callable[[], None]], Archive]


class ArchiveReader:
    """An archive as a filesystem. ``begin_item`` is told each inode before it is touched."""

    def __init__(
        self, opened: OpenArchive, window: Window, begin_item: Callable[[int], None], skipped: frozenset[int]
    ) -> None:
        """Scan the archive; inodes in ``skipped`` are listed by name and not read."""
        self._window = window
        self._begin_item = begin_item
        self._skipped = skipped
        self._archive = opened(window, lambda: begin_item(ROOT))
        self._index = ArchiveIndex()
        self._index.claim(ROOT, 0)
        self._renumbered: dict[int, tuple[int, int]] = {}
        self._directories: dict[tuple[int, int], int] = {(0, ROOT): 0}
        self._places: dict[tuple[int, int], int] = {}
        self._scan()

    def root(self) -> Node:
        """Return the root directory: the archive's own member for it, or one that is made up."""
        owner = self._index.owner(0)
        if owner < 0:
            return Node(ROOT, "directory", mode=_DIRECTORY_MODE, problems=tuple(self._archive.notes))
        try:
            node = self._archive.node(self._index.starts[owner])
        except (ValueError, OSError) as error:
            return Node(ROOT, "directory", problems=(f"its member could not be read: {error}"[:300],))
        return node._replace(inode=ROOT, tree=0, problems=(*node.problems, *self._archive.notes))

    def entries(self, directory: Node) -> Iterator[Listed]:
        """Yield what a directory holds; ValueError at the root's end where the archive has lost members."""
        number = self._directories.get((directory.tree, directory.inode))
        if number is None:
            raise ValueError("the archive has no such directory")
        for child in self._index.children(number):
            yield self._listed(child)
        if not number and self._archive.losses:
            raise ValueError(str(self._archive.losses))

    def orphans(self) -> Iterator[Listed]:
        """Yield nothing: an archive has nothing without a name."""
        return iter(())

    def chunks(self, tree: int, inode: int) -> Iterator[tuple[int, bytes]]:
        """Yield the bytes of a file that has too many runs for its node."""
        if not self._places:
            for index, number in enumerate(self._index.numbers):
                self._places.setdefault((self._index.trees[index], number), self._index.starts[index])
        start = self._places.get((tree, inode))
        if start is None:
            raise ValueError("the archive has no such file")
        yield from extents_chunks(self._inside(self._archive.extents(start)), self._window)

    def _inside(self, extents: Iterator[Extent]) -> Iterator[Extent]:
        end = self._window.offset + self._window.length
        for extent in extents:
            length = min(extent.length, end - extent.source_offset)
            if length < extent.length:
                raise ValueError(f"byte {extent.file_offset + max(0, length)} of the file is behind the archive's end")
            yield extent

    def _scan(self) -> None:
        index, losses = self._index, self._archive.losses
        for member in self._archive.members():
            self._begin_item(member.number)
            if not index.add(self._numbered(member)):
                if index.full:
                    losses.add(f"{index.full}: the members from byte {member.start} on were not read")
                    break
                losses.add(
                    f"the member at byte {member.start} has a name of {len(member.name)} bytes, over {LONGEST_NAME}"
                )
        index.join_links()

    def _numbered(self, member: Member) -> Member:
        """Return the member with an inode number that nobody else has, but for the other names of the same file."""
        if member.link is not None:
            return member._replace(number=0, tree=0)
        if member.same >= 0:
            number, tree = self._renumbered.get(member.same, (member.number, member.tree))
            return member._replace(number=number, tree=tree)
        if member.number and self._index.claim(member.number, member.tree):
            return member
        self._renumbered[member.start] = INVENTED + member.start, 0
        return member._replace(number=INVENTED + member.start, tree=0)

    def _listed(self, child: Child) -> Listed:
        if child.member < 0:
            inode = INVENTED_DIRECTORY + child.directory
            self._directories[0, inode] = child.directory
            node = Node(inode, "directory", mode=_DIRECTORY_MODE)
            problems = (NOT_IN_ARCHIVE, *_problems(child.name))
            return Listed(child.name, inode, 0, allocated=True, node=node, problems=problems)
        start, target = self._index.starts[child.member], self._index.links.get(child.member)
        try:
            own = self._archive.member(start)
        except (ValueError, OSError) as error:
            reason = f"its member could not be read a second time: {error}"[:300]
            return Listed(b"member-%d" % start, INVENTED + start, 0, allocated=True, node=None, problems=(reason,))
        name = (components(own.name) or [_NAMELESS])[-1]
        holder = child.member if target is None else target
        if target is not None and target < 0:
            link = (own.link or b"")[:300]
            reason = f"the archive has no member {link!r}, to which this hard link leads"
            inode = INVENTED + start
            return Listed(name, inode, 0, allocated=True, node=None, problems=(*_problems(name), reason))
        listed = self._read(name, holder, self._directory_number(own, child.member))
        return listed if target is None else listed._replace(problems=(*listed.problems, *own.problems))

    def _directory_number(self, member: Member, index: int) -> int:
        """Return which directory the member is, -2 for one that is listed already, -1 for none."""
        if not member.is_directory:
            return -1
        number = self._index.directory_of(member.name)
        return number if self._index.owner(number) == index else -2

    def _read(self, name: bytes, holder: int, directory: int) -> Listed:
        number, tree = self._index.numbers[holder], self._index.trees[holder]
        problems = _problems(name)
        self._begin_item(number)
        if number in self._skipped:
            return Listed(name, number, tree, allocated=True, node=None, problems=(*problems, NEVER_ENDED))
        try:
            node = self._archive.node(self._index.starts[holder])
        except (ValueError, OSError) as error:
            reason = f"its member could not be read: {error}"[:300]
            return Listed(name, number, tree, allocated=True, node=None, problems=(*problems, reason))
        links = max(node.links, self._index.counts.get(holder, 1))
        node = node._replace(inode=number, tree=tree, links=links)
        if directory >= 0:
            self._directories[tree, number] = directory
        elif directory == -2:
            node = node._replace(is_placeholder=True, problems=(*node.problems, LISTED_BEFORE))
        return Listed(name, number, tree, allocated=True, node=node, problems=problems)


def _problems(name: bytes) -> tuple[str, ...]:
    problems = name_problems(name)
    return (UP_IN_NAME, *problems) if name == b".." else problems
