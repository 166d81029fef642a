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
from volforensic.evidence.containers.container import ContainerFacts, Reference, Refused, parent_mismatch
from volforensic.evidence.recipes import MOST_PARENTS, RAW, DiskRecipe, FilePart
from volforensic.evidence.source import Source
from volforensic.evidence.unpacking import compression
from volforensic.evidence.vast import is_vast
from volforensic.record import Problem, text
from volforensic.sandbox.confinement import Limits
from volforensic.sandbox.messages import MOST_SOURCE_DESCRIPTORS, SourceHandle
from volforensic.sandbox.pool import Failure, Pool, Task

_MOST_LOOKS = 8
_PLAIN_SUFFIXES = (".raw", ".dd")
_LARGEST_DISK = 1 << 60
_HEAD = 64
_LOOK_LIMITS = Limits(processor_seconds=120, item_seconds=120)


class OpenFile(NamedTuple):
    """A file as workers read it: its name, a descriptor, its size in bytes, and the file of the evidence that it is.

    One that was unpacked has a descriptor of its own, and is still that file of the evidence.
    """

    name: bytes
    descriptor: int
    size: int
    source: Source

    @property
    def part(self) -> FilePart:
        """The file in a recipe."""
        return FilePart(name=self.name, size=self.size)

    @classmethod
    def of(cls, source: Source) -> "OpenFile":
        """Return a source as it lies there."""
        return cls(os.fsencode(source.path.name), source.descriptor, source.pin.size, source)


class OpenedDisk(NamedTuple):
    """A disk: what was named, of which kind that is, how workers open it, what its container says, what is open of it.

    ``sources`` are the files of the evidence that it lies in (with its parents'), ``descriptors`` what workers read.
    """

    path: Path
    kind: str
    recipe: DiskRecipe
    facts: ContainerFacts
    sources: tuple[Source, ...]
    descriptors: tuple[int, ...]

    @property
    def is_plain(self) -> bool:
        """Whether the disk is one file or device of the evidence, byte for byte."""
        return self.recipe.kind == RAW and self.descriptors == tuple(source.descriptor for source in self.sources)

    @property
    def stored(self) -> int:
        """How many bytes its files have."""
        return sum(source.pin.size for source in self.sources)

    @property
    def is_vast(self) -> bool:
        """Whether next to nothing of it is stored (``vast.py``)."""
        return self.sources[0].is_vast if self.is_plain else is_vast(self.recipe.size, self.stored)


Unpack = Callable[[Source], OpenFile | None]
"""Gives what a compressed file holds, None where it is not compressed."""


class _Part(NamedTuple):
    """One disk of a chain, before its parents are known."""

    facts: ContainerFacts
    files: tuple[OpenFile, ...]


class DiskOpener(NamedTuple):
    """What opening needs: workers, who keeps files open, parents that the user named, whom to tell, who unpacks."""

    pool: Pool
    stack: ExitStack
    parents: Sequence[Path]
    as_raw: bool
    note: Callable[[Problem], None]
    unpack: Unpack = lambda _: None

    def open(self, path: Path) -> OpenedDisk:
        """Return the disk that a path leads to.

        Raises:
            SourceError: It cannot be opened; a file that it needs is not there; its container cannot be read.
        """
        chain: list[_Part] = []
        seen: set[tuple[int, int]] = set()
        following: Path | None = path
        while following is not None:
            part = self._part(
                following, is_named=not chain, as_raw=_says_raw(chain[-1].facts) if chain else self.as_raw
            )
            if chain and (wrong := parent_mismatch(chain[-1].facts, part.facts)):
                self.note(Problem(stage="source", reason=f"{path.name}: {wrong}"))
            pin = part.files[0].source.pin
            if (pin.device, pin.inode) in seen:
                raise SourceError(str(path), f"stands on itself: {following} comes a second time among its parents")
            if len(chain) >= MOST_PARENTS:
                raise SourceError(str(path), f"stands on more than {MOST_PARENTS} disks", "Join some of them first")
            seen.add((pin.device, pin.inode))
            chain.append(part)
            following = self._parent(following, part.facts)
        files = [file for part in chain for file in part.files]
        if len(files) > MOST_SOURCE_DESCRIPTORS:
            wrong = f"lies in {len(files)} files; {MOST_SOURCE_DESCRIPTORS} can be opened"
            raise SourceError(str(path), wrong, "Join them to one raw image first")
        sources = tuple(file.source for file in files)
        descriptors = tuple(file.descriptor for file in files)
        return OpenedDisk(path, sources[0].kind, _recipe(chain), chain[0].facts, sources, descriptors)

    def _part(self, path: Path, *, is_named: bool, as_raw: bool) -> _Part:
        source = self._opened(path, must_be_file=not is_named and path not in self.parents)
        plain = OpenFile.of(source)
        if as_raw:
            return _Part(ContainerFacts(kind=RAW, size=plain.size), (plain,))
        if is_named and _is_plain_by_name(source):
            self._note_disguise(source, plain)
            return _Part(ContainerFacts(kind=RAW, size=plain.size), (plain,))
        files = [self.unpack(source) or plain]
        facts = self._look(path, files)
        found: set[bytes] = set()
        for _ in range(_MOST_LOOKS):
            wanted = [each for each in facts.references if each.role != "parent" and each.name not in found]
            if not wanted:
                break
            found |= {reference.name for reference in wanted}
            files += map(OpenFile.of, self._found(path, wanted))
            facts = self._look(path, files)
        return _Part(facts, tuple(files))

    def _note_disguise(self, source: Source, plain: OpenFile) -> None:
        """Say what a disk looks like that is read byte for byte by its name, where that is a container."""
        kind = compression(os.pread(source.descriptor, _HEAD, 0))
        try:
            kind = kind or self._look(source.path, [plain]).kind
        except SourceError:
            kind = "damaged"
        if kind != RAW:
            what = "is a block device" if source.kind == "block device" else f"is named {source.path.suffix}"
            reason = f"it looks like a {kind} container and {what}: it was read as a plain disk, byte for byte"
            self.note(Problem(stage="source", reason=reason, lost=False, offset=0))

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
        if must_be_file and _leads_elsewhere(path):
            wrong = "is a link that leads out of its folder, and a container names it"
            raise SourceError(str(path), wrong, "Put the file itself there, or name a parent with --parent FILE")
        source = self.stack.enter_context(Source(path))
        if must_be_file and source.kind != "file":
            raise SourceError(str(path), "is no regular file, and a container names it")
        return source

    def _look(self, path: Path, files: Sequence[OpenFile]) -> ContainerFacts:
        parts = [file.part for file in files]
        handle = SourceHandle(
            opener="volforensic.evidence.disks:open_files",
            descriptors=tuple(file.descriptor for file in files),
            recipe=[file.size for file in files],
        )
        function = "volforensic.evidence.disks:look_at"
        answer = ContainerFacts | Refused
        task = Task(function=function, arguments=parts, message_type=answer, source=handle, limits=_LOOK_LIMITS)
        facts: ContainerFacts | None = None
        for message in self.pool.run(task):
            if isinstance(message, (Failure, Refused)):
                raise SourceError(str(path), f"its container cannot be read: {message.reason}", "See --raw")
            facts = message
        if facts is None or not 0 < facts.size <= _LARGEST_DISK:
            size = "no size" if facts is None else f"a disk of {facts.size} bytes"
            raise SourceError(str(path), f"its container says that it holds {size}", "See --raw")
        return facts


def _is_plain_by_name(source: Source) -> bool:
    """Return whether to believe the name against the bytes: whoever writes a disk can begin it as a container."""
    return source.kind == "block device" or source.path.suffix.lower() in _PLAIN_SUFFIXES


def _says_raw(facts: ContainerFacts) -> bool:
    """Return whether a disk says that the one below it is plain: then what that one looks like is not believed."""
    return facts.details.get("backing format") == "raw"


def _recipe(chain: Sequence[_Part]) -> DiskRecipe:
    recipe: DiskRecipe | None = None
    for part in reversed(chain):
        files = [file.part for file in part.files]
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


def _leads_elsewhere(path: Path) -> bool:
    """Return whether a neighbour is a link to anything that lies elsewhere: no container is to choose a host's file."""
    try:
        return path.is_symlink() and path.resolve().parent != path.parent.resolve()
    except OSError:
        return True


def _absent(path: Path, reference: Reference) -> SourceError:
    name = text(_last_component(reference.name) or reference.name)
    if reference.role == "parent":
        return SourceError(str(path), f"stands on {name}, which is not beside it", "Name that disk with --parent FILE")
    return SourceError(str(path), f"needs {name}, which is not beside it", "Put all files of the image in one folder")
