"""An image: the disks of one evidence item, opened and pinned, the volumes mapped above them, and their hashes."""

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from volforensic.errors import SourceError
from volforensic.evidence.disk_hash_messages import DiskHashed
from volforensic.evidence.disk_opening import OpenedDisk
from volforensic.evidence.recipes import Placed, SpaceRecipe, disk_bases
from volforensic.evidence.source import Digest, Source
from volforensic.evidence.vast import files_hashed, of_files
from volforensic.evidence.volumes.unlock_messages import Secrets
from volforensic.record import Problem, Row, text_fields
from volforensic.sandbox.confinement import GIBIBYTE, Limits
from volforensic.sandbox.messages import SourceHandle
from volforensic.sandbox.pool import Failure, Pool, Task

_HASH_MODULES = ("volforensic.evidence.disk_hash",)
_NO_SECRETS = Secrets()
_HASH_LIMITS = Limits(processor_seconds=48 * 3600, item_seconds=120, wall_seconds=96 * 3600, output=GIBIBYTE)


class ImageOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How sources are opened: parents that the user names, whether a container is read as a plain disk, keys.

    ``kernel_view``: the kernel is asked for filesystems that no reader of ours knows.
    """

    parents: tuple[Path, ...] = ()
    as_raw: bool = False
    secrets: Secrets = Secrets()
    kernel_view: bool = False


class TreeDigest(Protocol):
    """What takes the place of a disk's hash where the source is a tree of files, copied into an archive."""

    @property
    def before(self) -> str:
        """The SHA-256 of the tree as it was copied, without times of access."""

    def again(self, advance: Callable[[int], None]) -> str:
        """Read the tree again, write nothing, and return the same of it."""


class Image:
    """Holds the open disks. What reads it gets ``handle``, which knows the mapped volumes too once they are placed."""

    def __init__(
        self, disks: Sequence[OpenedDisk], secrets: Secrets = _NO_SECRETS, tree: TreeDigest | None = None
    ) -> None:
        """Take the disks, the first one's path stands for the image; and what may open encrypted volumes in them.

        ``tree`` is given where the one disk is the copy of a tree.
        """
        self.disks = tuple(disks)
        self.secrets = secrets
        self._tree = tree
        self._views: list[OpenedDisk] = []
        self._volumes: list[Placed] = []
        self._keys: list[bytes] = []

    @property
    def path(self) -> Path:
        """The path of the first disk."""
        return self.disks[0].path

    @property
    def paths(self) -> tuple[Path, ...]:
        """What was named, in order."""
        return tuple(disk.path for disk in self.disks)

    @property
    def sources(self) -> tuple[Source, ...]:
        """Every open file, in the order of the descriptors."""
        return tuple(source for disk in self.disks for source in disk.sources)

    @property
    def kind(self) -> str:
        """``file``, ``block device`` or ``tree``: what was named first."""
        return self.disks[0].kind

    @property
    def sizes(self) -> list[int]:
        """The sizes of the disks in bytes, and of the kernel's views behind them."""
        return [disk.recipe.size for disk in (*self.disks, *self._views)]

    @property
    def size(self) -> int:
        """The bytes of all disks together."""
        return sum(disk.recipe.size for disk in self.disks)

    @property
    def is_plain(self) -> bool:
        """Whether the image is one plain file or device, byte for byte."""
        return len(self.disks) == 1 and self.disks[0].is_plain

    @property
    def in_place(self) -> bool:
        """Whether every address is a byte of the one plain file, so that files are read best behind its hash."""
        return self.is_plain and not self._volumes and not self._views

    @property
    def handle(self) -> SourceHandle:
        """What a task needs to read it."""
        disks = [*self.disks, *self._views]
        recipe = SpaceRecipe(disks=[disk.recipe for disk in disks], volumes=self._volumes, keys=self._keys)
        return _handle(disks, "volforensic.evidence.spaces:open_space", recipe)

    def place(self, volumes: Sequence[Placed], keys: Sequence[bytes]) -> None:
        """Take the mapped volumes with the keys that they refer to, in place of those before."""
        self._volumes, self._keys = list(volumes), list(keys)

    def add_view(self, view: OpenedDisk) -> None:
        """Take what the kernel shows of a filesystem as one more disk: it is read, and is no part of the evidence."""
        self._views.append(view)

    def check_unchanged(self) -> None:
        """Raise IntegrityError where size, modification time or place of a file differ from the pinned ones."""
        for source in self.sources:
            source.check_unchanged()

    def read_in_places(self) -> None:
        """Tell the kernel that nothing is read from end to end."""
        for source in self.sources:
            source.read_in_places()

    def digest(self, advance: Callable[[int], None] = lambda _: None, others: Collection[str] = ()) -> Digest:
        """Read every disk once, in order, and return the hashes; what ``advance`` raises ends it.

        Of several disks ``sha256`` is that of all of them, one after the other.
        """
        if self._tree is not None:
            return Digest(sha256=self._tree.before, problems=[], disks=[{"sha256": self._tree.before}])
        if self.is_plain:
            digest = self.disks[0].sources[0].digest(advance, others)
            return msgspec.structs.replace(
                digest, disks=[{"sha256": digest.sha256, **digest.others}], files=[digest.sha256]
            )
        stored = {name for disk in self.disks for name in disk.facts.hashes}
        whole = [disk for disk in self.disks if not disk.is_vast]
        messages = self._hashed(whole, sorted({*others, *stored}), advance) if whole else ()
        hashed = [message for message in messages if message.disk is not None]
        of_disks = iter([message for message in hashed if message.disk != -1])
        hashes, problems = [], []
        for disk in self.disks:
            if disk in whole:
                message = next(of_disks)
                hashes.append({"sha256": message.sha256, **message.others})
                problems += message.problems
            else:
                hashes.append({})
                problems.append(files_hashed(disk.path.name, disk.recipe.size, disk.stored))
        files = list(self._file_hashes(hashes))
        is_whole = len(whole) == len(self.disks)
        return Digest(
            sha256=hashed[-1].sha256 if is_whole else of_files(files),
            others={name: value for name, value in hashed[-1].others.items() if name in others} if is_whole else {},
            problems=problems,
            disks=hashes,
            files=files,
        )

    def digest_after(self, before: Digest, advance: Callable[[int], None]) -> Digest:
        """Return the hash after reading: of a container, its files are hashed again, not the disk that they hold."""
        if self._tree is not None:
            return Digest(sha256=self._tree.again(advance), problems=[])
        if self.is_plain:
            return self.digest(advance)
        files = [source.digest(advance).sha256 for source in self.sources]
        return Digest(sha256=before.sha256 if files == before.files else "", problems=[], files=files)

    def _file_hashes(self, of_disks: Sequence[dict[str, str]]) -> Iterator[str]:
        """Yield the SHA-256 of every file, byte for byte; a plain disk's is known."""
        for disk, hashes in zip(self.disks, of_disks, strict=True):
            for source in disk.sources:
                yield hashes["sha256"] if disk.is_plain and hashes else source.digest().sha256

    def stored_hash_problems(self, digest: Digest) -> Iterator[Problem]:
        """Yield a problem for each hash that a container stores of its disk and that is not the disk's."""
        for disk, computed in zip(self.disks, digest.disks, strict=False):
            for name, stored in disk.facts.hashes.items():
                if name in computed and computed[name] != stored.lower():
                    reason = f"{disk.path.name}: the {name} that the container stores is {stored}, its disk's is "
                    yield Problem(stage="source", reason=reason + computed[name])

    def described(self, before: Digest, after: Digest) -> list[Row]:
        """Return the disks as evidence.json has them."""
        rows, number = [], 0
        for index, (disk, base) in enumerate(zip(self.disks, disk_bases(self.sizes), strict=False)):
            files = []
            for source in disk.sources:
                hashes = {"sha256_before": before.files[number], "sha256_after": after.files[number]}
                files.append({**text_fields("name", os.fsencode(source.path.name)), "size": source.pin.size, **hashes})
                number += 1
            rows.append(
                {
                    **text_fields("source", os.fsencode(disk.path.name)),
                    "kind": disk.kind,
                    "address": base,
                    "size": disk.recipe.size,
                    "container": [each.kind for each in disk.recipe.chain()],
                    "details": disk.facts.details,
                    "stored_hashes": disk.facts.hashes,
                    "hashes": before.disks[index],
                    "files": files,
                }
            )
        return rows

    def _hashed(
        self, disks: Sequence[OpenedDisk], others: list[str], advance: Callable[[int], None]
    ) -> Iterator[DiskHashed]:
        task = Task(
            function="volforensic.evidence.disk_hash:hash_disks",
            arguments=others,
            message_type=DiskHashed,
            source=_handle(disks, "volforensic.evidence.disk_hash:open_noted_disks", [disk.recipe for disk in disks]),
            limits=_HASH_LIMITS,
        )
        # A pool of its own: the image is hashed in a thread beside the other stages.
        with Pool(preload=_HASH_MODULES, jobs=1) as pool:
            for message in pool.run(task):
                if isinstance(message, Failure):
                    raise SourceError(str(self.path), f"the disk in it could not be hashed: {message.reason}")
                advance(message.read)
                yield message


def _handle(disks: Sequence[OpenedDisk], opener: str, recipe: object) -> SourceHandle:
    descriptors = tuple(descriptor for disk in disks for descriptor in disk.descriptors)
    return SourceHandle(opener=opener, descriptors=descriptors, recipe=recipe)
