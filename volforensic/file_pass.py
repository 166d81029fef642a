"""The one pass over the source: its hash and, behind it from the same blocks, every file's hashes, type and matches."""

from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

from volforensic.collection.namespace import HostPaths
from volforensic.evidence.digests import algorithm_bits, algorithm_names
from volforensic.evidence.image import Image
from volforensic.evidence.image_hash import ImageHash
from volforensic.evidence.layout import VolumeFacts
from volforensic.evidence.source import Digest
from volforensic.inventory.entry import FileEntry
from volforensic.inventory.examination import Tools, examine
from volforensic.inventory.file_stage import Examined, FileToExamine, examine_inventory
from volforensic.inventory.store import Inventory
from volforensic.record import Problem, Row, text
from volforensic.sandbox.pool import Pool
from volforensic.voice import Voice

_TOLD_EVERY = 256
_LISTENING_SECONDS = 0.1


class FilePass(NamedTuple):
    """What the pass needs: workers, image, inventory, paths on the host, volumes, compiled YARA rules, hashes wanted.

    ``others`` are algorithms beside SHA-256 for every file; ``algorithms_of`` adds those that one file needs.
    ``every_file`` is false where only files that look worth it are examined.
    """

    pool: Pool
    image: Image
    inventory: Inventory
    paths: HostPaths
    volumes: dict[int, VolumeFacts]
    rules: bytes
    others: Collection[str] = ()
    algorithms_of: Callable[[FileEntry], Collection[str]] = lambda _: ()
    every_file: bool = True

    def run(self, voice: Voice, image_hash: ImageHash | None) -> Iterator[Problem]:
        """Examine the files behind the image's hash, note what they are in the inventory, yield what was not read."""
        total = self.inventory.count_files()
        voice.stage("files", total, "files")
        examined = passed = 0
        notes: list[tuple[FileEntry, Row]] = []
        is_behind = image_hash is not None and self.image.in_place
        if image_hash is not None and not is_behind:
            image_hash.run_free()
        for result in examine_inventory(
            self.pool,
            self.image.handle,
            self._files(),
            self.volumes,
            self.rules,
            every_file=self.every_file,
            reach=image_hash.reach if image_hash and is_behind else None,
        ):
            if isinstance(result, Problem):
                yield result
                continue
            if result.examination is not None:
                examined += 1
                notes.append((result.entry, result.row()))
            passed += 1
            if passed % _TOLD_EVERY == 0:
                self.inventory.note_contents(notes)
                notes.clear()
                voice.advance(_TOLD_EVERY, text(result.entry.path))
                if image_hash is not None:
                    image_hash.examined(_place(result))
        self.inventory.note_contents(notes)
        voice.advance(total - passed // _TOLD_EVERY * _TOLD_EVERY)  # also empty files and further names of one inode
        voice.end_stage(f"{examined:,} hashed, typed and scanned")

    def _files(self) -> Iterator[FileToExamine]:
        always = algorithm_bits(self.others)
        for entry in self.inventory.in_physical_order():
            algorithms = always | algorithm_bits(self.algorithms_of(entry))
            if entry.size == 0 and entry.has_inode:
                empty = examine((), 0, Tools(others=algorithm_names(algorithms)))
                self.inventory.note_content(entry, empty.row())
            else:
                yield FileToExamine(entry, self.paths.path_of(entry), algorithms)


def hash_source(source: Image, voice: Voice, stage: str, others: Collection[str] = ()) -> Digest:
    """Hash the source by itself, as a stage of this name."""
    voice.stage(stage, source.size, "bytes")
    digest = source.digest(lambda count: voice.advance(count, str(source.path)), others)
    voice.end_stage(f"sha256 {digest.sha256}")
    return digest


def hash_again(image: Image, before: Digest, voice: Voice, stage: str) -> Digest:
    """Hash the image after it was read, as a stage of this name."""
    voice.stage(stage, sum(source.pin.size for source in image.sources), "bytes")
    digest = image.digest_after(before, lambda count: voice.advance(count, str(image.path)))
    voice.end_stage(f"sha256 {digest.sha256 or 'of a file is another'}")
    return digest


def end_of_hash(image_hash: ImageHash, source: Image, voice: Voice, stage: str) -> Digest:
    """Wait for the hash that runs beside the stages, and tell its progress as a stage of this name."""
    voice.stage(stage, source.size, "bytes")
    told = 0
    while (digest := image_hash.wait(_LISTENING_SECONDS)) is None:
        done = min(image_hash.reach(0), source.size)
        voice.advance(done - told, str(source.path))
        told = done
    voice.advance(source.size - told, str(source.path))
    voice.end_stage(f"sha256 {digest.sha256}")
    return digest


def _place(examined: Examined) -> int:
    extents = examined.entry.extents
    return extents[0].source_offset if extents else 0
