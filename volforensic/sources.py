"""What the user names as a source, opened as an image: disks in their containers, compressed ones, trees of files.

A compressed image is unpacked, and a tree copied, into a scratch file without a name, once: workers read by position
and can open nothing.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from volforensic.case.scratch import ScratchFile
from volforensic.device.kernel_view import Viewed, copied_by_kernel
from volforensic.device.tree_copy import Progress, TreeCopy
from volforensic.errors import HostError, UsageError
from volforensic.evidence.containers.container import ContainerFacts
from volforensic.evidence.disk_opening import DiskOpener, OpenedDisk, OpenFile
from volforensic.evidence.image import Image, ImageOptions
from volforensic.evidence.layout import Layout, Volume
from volforensic.evidence.recipes import RAW, DiskRecipe, FilePart
from volforensic.evidence.source import Source
from volforensic.evidence.unpacking import Unpacked, compression, unpacked
from volforensic.record import Problem, text
from volforensic.sandbox.pool import Pool
from volforensic.voice import Voice

TREE_PREFIX = "dir:"
_HEAD = 64


class OpenedSource(NamedTuple):
    """An image, and a way to have the kernel show those of its filesystems that no reader knows.

    ``view`` returns the indices of the volumes that the kernel read. Each is a further disk of the image then, in this
    order, so the layout is to be read again.
    """

    image: Image
    view: Callable[[Layout], list[int]]


class SourceOpener(NamedTuple):
    """What opening needs: workers, the folder for scratch files, options, whom to tell of problems and of progress."""

    pool: Pool
    scratch: Path
    options: ImageOptions
    note: Callable[[Problem], None]
    voice: Voice

    @contextmanager
    def opened(self, paths: Sequence[Path]) -> Iterator["OpenedSource"]:
        """Open sources as the disks of one image, and close them at the end.

        Raises:
            SourceError: One cannot be opened, or its container cannot be read.
            UsageError: A tree is named beside other sources.
            HostError: There is no room for what must be unpacked or copied.
        """
        with ExitStack() as stack:
            tree = next((path for path in paths if str(path).startswith(TREE_PREFIX)), None)
            if tree is not None and len(paths) > 1:
                raise UsageError(str(tree), "is a tree, and others are named beside it", "Name it alone")
            image = self._tree(tree, stack) if tree is not None else self._disks(paths, stack)
            for disk in image.disks:
                for problem in disk.facts.problems:
                    self.note(problem)
            yield OpenedSource(image, lambda layout: self._view(image, layout, stack))

    def _view(self, image: Image, layout: Layout, stack: ExitStack) -> list[int]:
        if not self.options.kernel_view or not image.is_plain:
            return []
        viewed = []
        for volume in layout.volumes:
            if volume.filesystem is not None and volume.filesystem.has_unknown_features:
                scratch = stack.enter_context(ScratchFile(self.scratch))
                if self._copy_view(image, volume, scratch):
                    image.add_view(_archive(image.path, "kernel view", scratch))
                    viewed.append(volume.index)
        return viewed

    def _disks(self, paths: Sequence[Path], stack: ExitStack) -> Image:
        def unpack(source: Source) -> OpenFile | None:
            return self._unpacked(source, stack)

        opener = DiskOpener(self.pool, stack, self.options.parents, self.options.as_raw, self.note, unpack)
        return Image([opener.open(path) for path in paths], self.options.secrets)

    def _unpacked(self, source: Source, stack: ExitStack) -> OpenFile | None:
        """Return what a compressed image holds, None where it is not compressed; a device never is."""
        kind = compression(os.pread(source.descriptor, _HEAD, 0)) if source.kind == "file" else ""
        if not kind:
            return None
        scratch = stack.enter_context(ScratchFile(self.scratch))
        steps = unpacked(self.pool, source.handle, scratch)
        self.voice.stage("unpack", source.pin.size, "bytes")
        self._follow((step.read, str(source.path)) if isinstance(step, Unpacked) else step for step in steps)
        self.voice.end_stage(f"{kind}, {scratch.size:,} bytes")
        reason = f"it is compressed ({kind}): what is examined is what it unpacks to"
        self.note(Problem(stage="source", reason=reason, lost=False))
        return OpenFile(os.fsencode(source.path.stem), scratch.finish(), scratch.size, source)

    def _tree(self, named: Path, stack: ExitStack) -> Image:
        root = Path(str(named).removeprefix(TREE_PREFIX))
        if str(named) == TREE_PREFIX:
            raise UsageError(TREE_PREFIX, "names no folder", "Write dir:/path/to/the/root")
        scratch = stack.enter_context(ScratchFile(self.scratch))
        copy = stack.enter_context(TreeCopy(root))
        scratch.require(copy.needed())
        self._follow_copy("copy", copy.copied(scratch.write), scratch)
        return Image([_archive(root, "tree", scratch)], tree=_TreeDigest(root, copy.unchanging))

    def _copy_view(self, image: Image, volume: Volume, scratch: ScratchFile) -> bool:
        """Copy what the kernel shows of a volume; return whether it showed it, and say why not."""
        try:
            self._view_of(image, volume, scratch)
        except HostError as error:
            if os.geteuid():
                raise
            self.note(Problem(stage="layout", reason=str(error), volume=volume.index))
            return False
        return True

    def _view_of(self, image: Image, volume: Volume, scratch: ScratchFile) -> None:
        kind = volume.filesystem.type if volume.filesystem is not None else ""
        descriptor = image.disks[0].sources[0].descriptor
        steps = copied_by_kernel(descriptor, volume.offset, volume.length, kind, scratch)
        self._follow_copy("kernel view", (step for step in steps if not isinstance(step, Viewed)), scratch)

    def _follow_copy(self, stage: str, steps: Iterator[Progress | Problem], scratch: ScratchFile) -> None:
        """Tell how a tree is copied, as a stage of this name."""
        self.voice.stage(stage, None, "entries")
        self._follow((step.entries, text(step.path)) if isinstance(step, Progress) else step for step in steps)
        self.voice.end_stage(f"{scratch.size:,} bytes")

    def _follow(self, steps: Iterator[tuple[int, str] | Problem]) -> None:
        """Tell each step: how far it is in all and what is in hand, or a problem."""
        told = 0
        for step in steps:
            if isinstance(step, Problem):
                self.note(step)
            else:
                done, current = step
                self.voice.advance(done - told, current)
                told = done


class _TreeDigest(NamedTuple):
    """The digest of a tree when it was copied, and how to have it again."""

    root: Path
    before: str

    def again(self, advance: Callable[[int], None]) -> str:
        """Read the tree again; see ``TreeDigest``."""
        with TreeCopy(self.root) as copy:
            for _ in copy.copied(lambda data: advance(len(data))):
                pass
            return copy.unchanging


def _archive(path: Path, kind: str, scratch: ScratchFile) -> OpenedDisk:
    """Return the archive in a scratch file as a disk."""
    descriptor = scratch.finish()
    recipe = DiskRecipe(kind=RAW, files=[FilePart(name=b"archive", size=scratch.size)], size=scratch.size)
    return OpenedDisk(path, kind, recipe, ContainerFacts(kind=kind, size=scratch.size), (), (descriptor,))
