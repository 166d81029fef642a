"""Hash a source and every file in it, without a case: the verb ``hash``."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

from volforensic.case.scratch import scratch_folder
from volforensic.errors import IntegrityError
from volforensic.evidence.image import Image, ImageOptions
from volforensic.evidence.image_hash import ImageHash
from volforensic.evidence.layout import Layout
from volforensic.evidence.source import Digest
from volforensic.file_pass import FilePass, end_of_hash
from volforensic.inventory.hash_sets import HashSets
from volforensic.inventory.row_judge import RowJudge
from volforensic.inventory.store import Inventory
from volforensic.preload import preloaded_modules
from volforensic.record import Problem, Row
from volforensic.sandbox.confinement import probe
from volforensic.sandbox.pool import Pool
from volforensic.sources import SourceOpener
from volforensic.survey import Survey, host_paths
from volforensic.voice import Voice


class HashOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What to compute: compiled YARA rules (none: ``b""``), algorithms beside SHA-256, the image's hash, hash sets."""

    rules: bytes
    hashes: tuple[str, ...] = ()
    with_image: bool = True
    sets: HashSets | None = None
    jobs: int = 2
    image: ImageOptions = ImageOptions()


class HashedSource(NamedTuple):
    """What was found: the image, its hashes where they were wanted, its layout, what was not read, a row a file.

    ``rows`` gives the rows of the inventory, as in files.jsonl.zst, while the block runs; it may be called again.
    """

    image: Image
    digest: Digest | None
    layout: Layout
    problems: list[Problem]
    rows: Callable[[], Iterator[Row]]

    @property
    def is_complete(self) -> bool:
        """Whether everything was read."""
        return not any(problem.lost for problem in self.problems)


@contextmanager
def hashed_source(path: Path, options: HashOptions, voice: Voice) -> Iterator[HashedSource]:
    """Read a source once and give what its bytes are.

    Raises:
        SourceError: It cannot be opened or read.
        NoFilesystemError: Nothing in it is a filesystem that can be read.
        IntegrityError: It changed while it was read.
    """
    problems: list[Problem] = []

    def note(problem: Problem) -> None:
        problems.append(problem)
        voice.problem(problem)

    with ExitStack() as stack:
        pool = stack.enter_context(Pool(preload=preloaded_modules([]), jobs=options.jobs))
        opener = SourceOpener(pool, scratch_folder(), options.image, note, voice)
        image, view = stack.enter_context(opener.opened([path]))
        beside = stack.enter_context(ImageHash(image, options.hashes)) if options.with_image else None
        if beside is None:
            image.read_in_places()
        inventory = stack.enter_context(Inventory())
        for sentence in probe().missing():
            note(Problem(stage="sandbox", reason=sentence, lost=False))
        survey = Survey(image, pool, voice, note, view=view)
        layout = survey.read_layout()
        subvolumes = survey.walk(inventory, layout)
        paths = host_paths(survey.find_hosts(inventory, layout, subvolumes))
        work = FilePass(
            pool=pool,
            image=image,
            inventory=inventory,
            paths=paths,
            volumes=layout.facts(is_verified=True),
            rules=options.rules,
            others={*options.hashes, *(options.sets.algorithms_needed if options.sets is not None else ())},
        )
        for problem in work.run(voice, beside):
            note(problem)
        digest = end_of_hash(beside, image, voice, "hash") if beside else None
        for problem in (*digest.problems, *image.stored_hash_problems(digest)) if digest else ():
            note(problem)
        try:
            image.check_unchanged()
        except IntegrityError as error:
            note(Problem(stage="source", reason=str(error)))
            raise
        judge = RowJudge(sets=options.sets)
        yield HashedSource(image, digest, layout, problems, lambda: inventory.rows(paths.path_of, judge.add))
