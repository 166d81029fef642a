"""What is found out about files, in order: packages' claims, the one pass, ELF facts, the deleted; then the rows."""

from collections import Counter
from collections.abc import Iterator

import msgspec

from volforensic.collection.matching import host_views
from volforensic.collection.stage import Evidence
from volforensic.evidence.free_space import outside_filesystems
from volforensic.evidence.image_hash import ImageHash
from volforensic.evidence.layout import Layout
from volforensic.file_pass import FilePass
from volforensic.inventory.belonging import Belonging
from volforensic.inventory.carving_stage import carve_spaces, spaces_of
from volforensic.inventory.deleted_stage import judge_deleted
from volforensic.inventory.elf_stage import examine_elf
from volforensic.inventory.entry import FileEntry
from volforensic.inventory.free_stage import FreeSpace, find_free_space
from volforensic.inventory.hash_sets import HashSets
from volforensic.inventory.packages.proof import PackageProof
from volforensic.inventory.packages.stage import PackageDatabase, Sources, described, read_packages
from volforensic.inventory.row_judge import RowJudge
from volforensic.record import Problem, Row, text
from volforensic.survey import Survey

_TOLD_EVERY = 64


class FileOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Compiled YARA rules, algorithms beside SHA-256, whether every file is examined or those that look worth it."""

    rules: bytes
    hashes: tuple[str, ...] = ()
    every_file: bool = True


class FileStages:
    """Holds what the stages share, and what they count for the report."""

    def __init__(
        self, survey: Survey, evidence: Evidence, proof: PackageProof, options: FileOptions, sets: HashSets | None
    ) -> None:
        """Work on the evidence; ``proof`` is empty, ``sets`` are the examiner's hash sets."""
        self._survey = survey
        self._evidence = evidence
        self._proof = proof
        self._options = options
        self._sets = sets
        self._judge = RowJudge(proof, sets)
        self._databases: list[PackageDatabase] = []
        self._verdicts: Counter[str] = Counter()
        self._spaces: dict[int, FreeSpace] = {}

    def read_packages(self, doubtful: frozenset[int]) -> None:
        """Read the package databases of every host; ``doubtful`` are the volumes that were not read whole."""
        evidence, voice = self._evidence, self._survey.voice
        views = host_views(evidence.inventory, evidence.hosts, evidence.paths)
        hosts = [view.namespace for view in views if not view.is_below_mounts and not view.label]
        given = Sources(evidence.pool, evidence.source, evidence.volumes, evidence.inventory, hosts, doubtful)
        voice.stage("packages", None, "claims")
        for found in read_packages(given, self._proof):
            if isinstance(found, Problem):
                self._survey.note(found)
            else:
                self._databases.append(found)
                voice.advance(found.claims, found.path)
        voice.end_stage(f"{sum(database.packages for database in self._databases):,} packages")

    def examine(self, beside: ImageHash | None) -> None:
        """Hash, type and scan the files behind the hash of the image."""
        evidence = self._evidence
        needed = frozenset(self._sets.algorithms_needed if self._sets is not None else ())
        work = FilePass(
            pool=evidence.pool,
            image=self._survey.image,
            inventory=evidence.inventory,
            paths=evidence.paths,
            volumes=evidence.volumes,
            rules=self._options.rules,
            others={*self._options.hashes, *needed},
            algorithms_of=self._proof.algorithms,
            every_file=self._options.every_file,
        )
        for problem in work.run(self._survey.voice, beside):
            self._survey.note(problem)

    def describe_programs(self) -> None:
        """Say what the ELF files are that no package proves."""
        evidence, voice = self._evidence, self._survey.voice
        voice.stage("programs", None, "files")
        told = 0
        for found in examine_elf(evidence.pool, evidence.source, self._unproved_programs(), evidence.volumes):
            if isinstance(found, Problem):
                self._survey.note(found)
                continue
            entry, facts = found
            evidence.inventory.note_elf(entry, {"elf": facts.row()})
            told += 1
            if told % _TOLD_EVERY == 0:
                voice.advance(_TOLD_EVERY, text(entry.path))
        voice.advance(told % _TOLD_EVERY)
        voice.end_stage()

    def judge_deleted(self, layout: Layout) -> None:
        """Say of each deleted entry, and of each inode in use without a name, what is left of it."""
        evidence, voice = self._evidence, self._survey.voice
        if next(evidence.inventory.nameless_and_deleted(), None) is None:
            return
        self._find_free_space(layout)
        voice.stage("deleted", None, "entries")
        found = judge_deleted(
            evidence.pool, evidence.source, evidence.inventory, self._spaces, evidence.volumes, self._options.rules
        )
        for judged in found:
            if isinstance(judged, Problem):
                self._survey.note(judged)
                continue
            entry, row = judged
            evidence.inventory.note_recovery(entry, row)
            voice.advance(1, text(entry.path))
        voice.end_stage()

    def carve(self, layout: Layout) -> Iterator[Row]:
        """Yield what is found in the bytes that no file has."""
        evidence, voice = self._evidence, self._survey.voice
        self._find_free_space(layout)
        regions = outside_filesystems(layout)
        groups = {number: space.groups for number, space in self._spaces.items() if space.groups}
        belonging = Belonging(evidence.inventory.nameless_and_deleted(), groups)
        spaces = spaces_of(layout.volumes, self._spaces.values(), regions)
        voice.stage("carving", None, "pieces")
        for found in carve_spaces(evidence.pool, evidence.source, spaces, belonging, self._options.rules):
            if isinstance(found, Problem):
                self._survey.note(found)
            else:
                voice.advance(1, f"{found['kind']} at byte {found['offset']}")
                yield found
        voice.end_stage()

    def rows(self) -> Iterator[Row]:
        """Yield the rows of the inventory with all that is known, and count the packages' verdicts."""
        for row in self._evidence.inventory.rows(self._evidence.paths.path_of, self._judge.add):
            if "package" in row:
                self._verdicts[row["package"]["verdict"]] += 1
            yield row

    def missing(self) -> Iterator[Row]:
        """Yield a row for each file of a package that is not there."""
        return self._proof.missing()

    def packages(self) -> Row:
        """Return what evidence.json says of packages; after ``rows``."""
        return described(self._databases, self._verdicts)

    def _find_free_space(self, layout: Layout) -> None:
        """Find which blocks of each volume are free, once."""
        if self._spaces:
            return
        for found in find_free_space(self._evidence.pool, self._evidence.source, layout.volumes):
            if isinstance(found, Problem):
                self._survey.note(found)
            else:
                self._spaces[found.volume] = found

    def _unproved_programs(self) -> Iterator[tuple[FileEntry, bytes]]:
        for entry, row in self._evidence.inventory.programs():
            if not self._judge.is_proved(entry, row):
                yield entry, self._evidence.paths.path_of(entry)
