"""Triage: the stages in order for one evidence item. Who reads this file has read the tool."""

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from volforensic.case.evidence_folder import EvidenceFolder
from volforensic.case.folder import Case
from volforensic.collection.containers import described, layer_paths
from volforensic.collection.definitions import Artifact, Definition
from volforensic.collection.host import Host, mounted_places
from volforensic.collection.stage import Evidence, FileEnd, collect
from volforensic.detection.engine import detect
from volforensic.errors import IntegrityError, NoFilesystemError
from volforensic.evidence.image import ImageOptions
from volforensic.evidence.image_hash import ImageHash
from volforensic.evidence.layout import Layout
from volforensic.evidence.source import Digest
from volforensic.file_pass import end_of_hash, hash_again, hash_source
from volforensic.file_stages import FileOptions, FileStages
from volforensic.inventory.comparison import compare_volumes
from volforensic.inventory.hash_sets import HashSets
from volforensic.inventory.packages.proof import PackageProof
from volforensic.inventory.rule_files import YaraRules
from volforensic.inventory.store import Inventory
from volforensic.items import (
    BEGUN,
    IDENTIFIED,
    Outcome,
    choose_item,
    discarding,
    is_known_path,
    pinned_files,
    source_fields,
    stored_outcome,
)
from volforensic.preload import preloaded_modules
from volforensic.record import SEVERITIES, Coverage, Finding, Problem, Row, text, text_fields
from volforensic.recording import Recorder, bounded, write_results
from volforensic.sandbox.confinement import probe
from volforensic.sandbox.pool import Pool
from volforensic.sources import OpenedSource, SourceOpener
from volforensic.survey import Survey, host_paths
from volforensic.voice import Voice

HASH_BEFORE = "hash before"
_OF_VOLUMES = ("layout", "inventory")  # stages whose losses may have cost files: a journal that was not replayed


class TriageOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What to look for and how: definitions, YARA rules, workers, a second reading, which files are examined.

    ``carve`` searches free space, and what no partition has for filesystems. ``hashes`` are algorithms beside SHA-256,
    ``sets`` hash sets of the examiner's. ``clobber`` and ``resume`` say what to do with a known item.
    """

    definitions: tuple[Definition, ...]
    yara: YaraRules
    jobs: int = 2
    second_reader: bool = False
    every_file: bool = True
    carve: bool = False
    hashes: tuple[str, ...] = ()
    sets: HashSets | None = None
    image: ImageOptions = ImageOptions()
    clobber: bool = False
    resume: bool = False

    def of_files(self) -> FileOptions:
        """Return what the stages about files ask for."""
        return FileOptions(rules=self.yara.compiled, hashes=self.hashes, every_file=self.every_file)

    @property
    def artifacts(self) -> list[Artifact]:
        """The definitions without their files."""
        return [definition.artifact for definition in self.definitions]


def triage_source(case: Case, paths: Sequence[Path], options: TriageOptions, voice: Voice) -> Outcome:
    """Read one image or block device, or several as the disks of one host, and leave an evidence item in the case.

    Raises:
        SourceError: A source cannot be opened or read.
        NoFilesystemError: Nothing in it is a filesystem that can be read.
    """
    preload = preloaded_modules(options.artifacts, second_reader=options.second_reader)
    noted: list[Problem] = []
    with (
        Pool(preload=preload, jobs=options.jobs) as pool,
        SourceOpener(pool, case.path, options.image, noted.append, voice).opened(paths) as opened,
    ):
        image = opened.image
        case.log("source opened read-only", {**source_fields(image.paths), "files": pinned_files(image)})
        # What lay at this path before may be the same item: its hash tells. Else the hash is taken with the files.
        before = hash_source(image, voice, HASH_BEFORE, options.hashes) if is_known_path(case, image) else None
        folder = choose_item(case, image, before.sha256 if before else "", replace=options.clobber)
        if options.resume and not options.clobber and folder.finished:
            return stored_outcome(folder)
        case.log(BEGUN, {"evidence": folder.id, **source_fields(image.paths)})
        folder.begin(clobber=options.clobber, resume=options.resume)
        with discarding(folder):
            return _Item(case, folder, opened, pool, options, voice).run(before, noted)


class _Item:
    """Holds what the stages of one item share: case folder, source, workers, and the problems so far."""

    def __init__(  # noqa: PLR0913, PLR0917 - it only keeps what it is given
        self, case: Case, folder: EvidenceFolder, source: OpenedSource, pool: Pool, options: TriageOptions, voice: Voice
    ) -> None:
        self.case = case
        self.folder = folder
        self.image = source.image
        self.view = source.view
        self.pool = pool
        self.options = options
        self.voice = voice
        self.problems: list[Problem] = []
        self.coverage: list[Coverage] = []
        self.findings: list[Finding] = []
        self.layers: dict[str, list[str]] = {}

    def run(self, before: Digest | None, noted: Sequence[Problem]) -> Outcome:
        self._note(*noted)
        self._note(*(Problem(stage="sandbox", reason=sentence, lost=False) for sentence in probe().missing()))
        survey = Survey(self.image, self.pool, self.voice, self._note, searches_gaps=self.options.carve, view=self.view)
        try:
            layout = survey.read_layout()
        except NoFilesystemError as error:
            self._identify(before or hash_source(self.image, self.voice, HASH_BEFORE, self.options.hashes))
            self.case.log("source refused", {"evidence": self.folder.id, "reasons": error.wrong})
            raise
        self.case.log("layout", {"evidence": self.folder.id, "table": layout.table, "volumes": len(layout.volumes)})
        scratch = self.folder.scratch()
        with Inventory(scratch / "inventory.sqlite") as inventory, PackageProof(scratch / "packages.sqlite") as proof:
            subvolumes = survey.walk(inventory, layout)
            hosts = survey.find_hosts(inventory, layout, subvolumes)
            paths = host_paths(hosts)
            contained = survey.find_containers(inventory, layout, hosts)
            volumes = layout.facts(is_verified=self.options.every_file)
            evidence = Evidence(self.pool, self.image.handle, inventory, [*hosts, *contained], volumes, paths)
            containers = [described(host, paths, inventory) for host in contained]
            self.layers = layer_paths(contained, paths, inventory)
            doubtful = self._doubtful()
            self._collect(evidence, layout, doubtful)
            files = FileStages(survey, evidence, proof, self.options.of_files(), self.options.sets)
            files.read_packages(doubtful)
            before = self._examine(files, before)
            self._identify(before)
            self._compare(inventory, layout)
            files.describe_programs()
            files.judge_deleted(layout)
            self._write_files(files, layout)
            packages = files.packages()
        self._detect()
        after = self._after(before)
        self._write_results(layout, hosts, before, after, {"packages": packages, "containers": containers})
        return Outcome(
            evidence_id=self.folder.id,
            is_complete=self._is_complete(),
            is_unchanged=before.sha256 == after.sha256,
            findings={level: sum(finding.severity == level for finding in self.findings) for level in SEVERITIES},
        )

    def _note(self, *problems: Problem) -> None:
        for problem in problems:
            kept = bounded(problem, len(self.problems))
            if kept is not None:
                self.problems.append(kept)
                self.voice.problem(kept)

    def _compare(self, inventory: Inventory, layout: Layout) -> None:
        if not self.options.second_reader:
            return
        self.voice.stage("second reader", len(layout.volumes), "volumes")
        handle, scratch = self.image.handle, self.folder.scratch()
        self._note(*compare_volumes(self.pool, handle, layout.volumes, inventory, scratch))
        self.voice.end_stage()

    def _doubtful(self) -> frozenset[int]:
        """Return the volumes that were not read whole."""
        lacking = [problem for problem in self.problems if problem.stage in _OF_VOLUMES and problem.lost]
        return frozenset(problem.volume for problem in lacking if problem.volume is not None)

    def _collect(self, evidence: Evidence, layout: Layout, doubtful: frozenset[int]) -> None:
        artifacts = self.options.artifacts
        self.voice.stage("collect", len(artifacts), "artifacts")
        ended: set[str] = set()
        with Recorder(self.folder, (artifact.name for artifact in artifacts)) as recorder:
            events = collect(evidence, artifacts, doubtful)
            for event in recorder.take(events):
                if isinstance(event, Problem):
                    self._note(event)
                elif isinstance(event, Coverage):
                    self.coverage.append(event)
                    self.voice.advance(int(event.artifact not in ended), event.artifact)
                    ended.add(event.artifact)
                elif isinstance(event, FileEnd):
                    self.voice.advance(0, text(event.path))
        lost = {problem.volume for problem in layout.problems if problem.lost}  # swap is not among them
        unread = [volume.index for volume in layout.volumes if volume.index in lost and not volume.is_readable]
        for artifact in artifacts:
            self.coverage += [
                Coverage(artifact=artifact.name, volume=number, status="unsupported") for number in unread
            ]
        self.voice.end_stage(f"{sum(item.records for item in self.coverage):,} records")

    def _examine(self, files: FileStages, before: Digest | None) -> Digest:
        """Examine the files, and hash the source beside them where that was not done before."""
        if before is not None:
            files.examine(None)
            return before
        with ImageHash(self.image, self.options.hashes) as beside:
            files.examine(beside)
            return end_of_hash(beside, self.image, self.voice, HASH_BEFORE)

    def _identify(self, before: Digest) -> None:
        """Say in the custody log which source it is."""
        self._note(*before.problems, *self.image.stored_hash_problems(before))
        identity = {"evidence": self.folder.id, **source_fields(self.image.paths), "sha256": before.sha256}
        self.case.log(IDENTIFIED, {**identity, **before.others})

    def _write_files(self, files: FileStages, layout: Layout) -> None:
        with self.folder.rows("files") as writer:
            writer.write(files.rows())
        with self.folder.rows("missing") as writer:
            writer.write(files.missing())
        if self.options.carve:
            with self.folder.rows("carved") as writer:
                writer.write(files.carve(layout))

    def _detect(self) -> None:
        self.voice.stage("detect", None, "findings")
        found = detect(
            self.options.artifacts,
            lambda artifact: self.folder.read(f"records/{artifact}"),
            lambda: self.folder.read("files"),
            self.options.yara.metadata,
            missing=self.folder.read("missing"),
            carved=self.folder.read("carved") if self.options.carve else (),
            layers=self.layers,
        )
        for outcome in found:
            if isinstance(outcome, Problem):
                self._note(outcome)
            else:
                self.findings.append(outcome)
                self.voice.finding(outcome)
                self.voice.advance(1, outcome.rule)
        self.voice.end_stage()

    def _after(self, before: Digest) -> Digest:
        after = hash_again(self.image, before, self.voice, "hash after")
        self.case.log("hash after", {"evidence": self.folder.id, "sha256": after.sha256})
        try:
            self.image.check_unchanged()
        except IntegrityError as error:
            self._note(Problem(stage="source", reason=str(error)))
        if after.sha256 != before.sha256:
            reason = f"the evidence changed while it was read: {before.sha256} before, {after.sha256} after"
            self._note(Problem(stage="source", reason=reason))
        return after

    def _is_complete(self) -> bool:
        lacking = any(item.status in ("partial", "unreadable", "unsupported") for item in self.coverage)
        return not lacking and not any(problem.lost for problem in self.problems)

    def _write_results(self, layout: Layout, hosts: list[Host], before: Digest, after: Digest, more: Row) -> None:
        described = [host.described() for host in hosts]
        identity = {
            "id": self.folder.id,
            **text_fields("source", os.fsencode(self.image.path.name)),
            "kind": self.image.kind,
            "size": self.image.size,
            "sha256_before": before.sha256,
            "sha256_after": after.sha256,
            "hashes": before.others,
            "disks": self.image.described(before, after),
            "layout": layout.described(mounted_places(hosts)),
            "host": described[0] if described else {},
            "hosts": described,
            "packages": more["packages"],
        }
        if more["containers"]:
            identity["containers"] = more["containers"]
        coverage = {"artifacts": self.coverage, "complete": self._is_complete()}
        write_results(self.folder, identity, self.findings, self.problems, coverage)
