"""Finding and opening the files that a disk lies in: the parent opens, a worker says what they are.

What a container names is only a name: it is looked for beside the file that names it, by its last component, and must
be a regular file there. No path of the evidence is followed.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from volforensic.errors import SourceError
from volforensic.evidence.containers.container import ContainerFacts, Reference
from volforensic.evidence.recipes import MOST_PARENTS, RAW, DiskRecipe, FilePart
from volforensic.evidence.source import Source
from volforensic.record import Problem, text
from volforensic.sandbox.confinement import Limits
from volforensic.sandbox.messages import MOST_SOURCE_DESCRIPTORS, SourceHandle
from volforensic.sandbox.pool import Failure, Pool, Task

_MOST_LOOKS = 8
_PLAIN_SUFFIXES = (".raw", ".dd")
_LARGEST_DISK = 1 << 60
_LOOK_LIMITS = Limits(processor_seconds=120, item_seconds=120)


class OpenedDisk(NamedTuple):
    """A disk: what was named, how workers open it, what its container says, its files (with its parents') open."""

    path: Path
    recipe: DiskRecipe
    facts: ContainerFacts
    sources: tuple[Source, ...]

    @property
    def is_plain(self) -> bool:
        """Whether the disk is one file or device, byte for byte."""
        return self.recipe.kind == RAW


class _Part(NamedTuple):
    """One disk of a chain, before its parents are known."""

    facts: ContainerFacts
    sources: tuple[Source, ...]


class DiskOpener(NamedTuple):
    """What opening needs: workers, who keeps the files open, parents that the user named, whom to tell."""

    pool: Pool
    stack: ExitStack
    parents: Sequence[Path]
    as_raw: bool
    note: Callable[[Problem], None]

    def open(self, path: Path) -> OpenedDisk:
        """Return the disk that a path leads to.

        Raises:
            SourceError: It cannot be opened; a file that it needs is not there; its container cannot be read.
        """
        chain: list[_Part] = []
        seen: set[tuple[int, int]] = set()
        following: Path | None = path
        while following is not None:
            part = self._part(following, is_named=not chain)
            pin = part.sources[0].pin
            if (pin.device, pin.inode) in seen or len(chain) >= MOST_PARENTS:
                raise SourceError(str(path), f"stands on itself: {following} comes a second time among its parents")
            seen.add((pin.device, pin.inode))
            chain.append(part)
            following = self._parent(following, part.facts)
        sources = tuple(source for part in chain for source in part.sources)
        if len(sources) > MOST_SOURCE_DESCRIPTORS:
            wrong = f"lies in {len(sources)} files; {MOST_SOURCE_DESCRIPTORS} can be opened"
            raise SourceError(str(path), wrong, "Join them to one raw image first")
        return OpenedDisk(path, _recipe(chain), chain[0].facts, sources)

    def _part(self, path: Path, *, is_named: bool) -> _Part:
        sources = [self._opened(path)]
        if self.as_raw and is_named:
            return _Part(_raw(sources[0]), tuple(sources))
        facts = self._look(path, sources)
        if facts.kind != RAW and is_named and self._is_plain_by_name(sources[0], facts):
            return _Part(_raw(sources[0]), tuple(sources))
        found: set[bytes] = set()
        for _ in range(_MOST_LOOKS):
            wanted = [each for each in facts.references if each.role != "parent" and each.name not in found]
            if not wanted:
                break
            found |= {reference.name for reference in wanted}
            sources += self._found(path, wanted)
            facts = self._look(path, sources)
        return _Part(facts, tuple(sources))

    def _is_plain_by_name(self, source: Source, facts: ContainerFacts) -> bool:
        """Return whether to believe the name against the bytes: whoever writes a disk can begin it as a container."""
        is_device = source.kind == "block device"
        if not is_device and source.path.suffix.lower() not in _PLAIN_SUFFIXES:
            return False
        what = "is a block device" if is_device else f"is named {source.path.suffix}"
        reason = f"it looks like a {facts.kind} container and {what}: it was read as a plain disk, byte for byte"
        self.note(Problem(stage="source", reason=reason, lost=False, offset=0))
        return True

    def _found(self, path: Path, references: Sequence[Reference]) -> Iterator[Source]:
        neighbours = _neighbours(path)
        for reference in references:
            beside = _beside(neighbours, reference.name)
            if beside is not None:
                yield self._opened(beside, must_be_file=True)
            elif not reference.is_optional:
                raise _absent(path, reference)

    def _parent(self, path: Path, facts: ContainerFacts) -> Path | None:
        wanted = [reference for reference in facts.references if reference.role == "parent"]
        if not wanted:
            return None
        neighbours = _neighbours(path)
        for reference in wanted:
            name = _last_component(reference.name)
            for parent in self.parents:
                if os.fsencode(parent.name).lower() == name.lower() or len(self.parents) == 1:
                    return parent
            beside = _beside(neighbours, reference.name)
            if beside is not None:
                return beside
        raise _absent(path, wanted[0])

    def _opened(self, path: Path, *, must_be_file: bool = False) -> Source:
        source = self.stack.enter_context(Source(path))
        if must_be_file and source.kind != "file":
            raise SourceError(str(path), "is no regular file, and a container names it")
        return source

    def _look(self, path: Path, sources: Sequence[Source]) -> ContainerFacts:
        parts = [FilePart(name=os.fsencode(source.path.name), size=source.pin.size) for source in sources]
        handle = SourceHandle(
            opener="volforensic.evidence.disks:open_files",
            descriptors=tuple(source.descriptor for source in sources),
            recipe=[source.pin.size for source in sources],
        )
        function = "volforensic.evidence.disks:look_at"
        task = Task(function=function, arguments=parts, message_type=ContainerFacts, source=handle, limits=_LOOK_LIMITS)
        facts: ContainerFacts | None = None
        for message in self.pool.run(task):
            if isinstance(message, Failure):
                raise SourceError(str(path), f"its container cannot be read: {message.reason}", "See --raw")
            facts = message
        if facts is None or not 0 < facts.size <= _LARGEST_DISK:
            size = "no size" if facts is None else f"a disk of {facts.size} bytes"
            raise SourceError(str(path), f"its container says that it holds {size}", "See --raw")
        return facts


def _raw(source: Source) -> ContainerFacts:
    return ContainerFacts(kind=RAW, size=source.pin.size)


def _recipe(chain: Sequence[_Part]) -> DiskRecipe:
    recipe: DiskRecipe | None = None
    for part in reversed(chain):
        files = [FilePart(name=os.fsencode(source.path.name), size=source.pin.size) for source in part.sources]
        recipe = DiskRecipe(kind=part.facts.kind, files=files, size=part.facts.size, parent=recipe)
    if recipe is None:
        raise ValueError("a chain of no disks")
    return recipe


def _last_component(name: bytes) -> bytes:
    """Return the last component of a path of Unix or of Windows; empty where there is none that can be a file's."""
    last = name.replace(b"\\", b"/").rpartition(b"/")[2]
    return b"" if last in (b".", b"..") or b"\0" in last or len(last) > 255 else last


def _neighbours(path: Path) -> dict[bytes, Path]:
    """Return what lies in the folder of ``path``, by name and, where no other name is the same, by it in lower case."""
    try:
        entries = sorted(path.parent.iterdir())
    except OSError as error:
        raise SourceError(str(path.parent), f"cannot be listed: {error.strerror}") from error
    by_name = {os.fsencode(entry.name): entry for entry in entries}
    return {**{name.lower(): entry for name, entry in reversed(by_name.items())}, **by_name}


def _beside(neighbours: dict[bytes, Path], name: bytes) -> Path | None:
    """Return the file of this name, in another case where there is none in this."""
    last = _last_component(name)
    return neighbours.get(last) or neighbours.get(last.lower())


def _absent(path: Path, reference: Reference) -> SourceError:
    name = text(_last_component(reference.name) or reference.name)
    if reference.role == "parent":
        return SourceError(str(path), f"stands on {name}, which is not beside it", "Name that disk with --parent FILE")
    return SourceError(str(path), f"needs {name}, which is not beside it", "Put all files of the image in one folder")
