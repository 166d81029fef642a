"""Triage: the stages in order for one evidence item. Who reads this file has read the tool."""

import os
from pathlib import Path
from typing import Protocol

import msgspec

from volforensic.case.evidence_folder import EvidenceFolder
from volforensic.case.folder import Case
from volforensic.collection.definitions import Artifact, Definition
from volforensic.collection.host import Host, find_hosts, mounted_places
from volforensic.collection.namespace import HostPaths
from volforensic.collection.stage import Evidence, FileEnd, collect
from volforensic.detection.engine import detect
from volforensic.errors import IntegrityError, NoFilesystemError
from volforensic.evidence.layout import Layout, LayoutArguments
from volforensic.evidence.layout_check import LayoutCheck
from volforensic.evidence.source import Digest, Source
from volforensic.inventory.comparison import compare_volumes
from volforensic.inventory.entry import FileEntry
from volforensic.inventory.file_stage import Examined, examine_inventory
from volforensic.inventory.rule_files import YaraRules
from volforensic.inventory.stage import walk_volumes
from volforensic.inventory.store import Inventory
from volforensic.items import IDENTIFIED, Outcome, choose_item, discarding, source_fields, stored_outcome
from volforensic.preload import preloaded_modules
from volforensic.record import SEVERITIES, Coverage, Finding, Problem, text, text_fields
from volforensic.recording import Recorder, bounded, write_results
from volforensic.sandbox.confinement import probe
from volforensic.sandbox.pool import Failure, Pool, Task

_OF_VOLUMES = ("layout", "inventory")  # stages whose losses may have cost files: a journal that was not replayed
_SUBVOLUME_ROOT = 256  # the inode number of every btrfs subvolume's root
_LONGEST_REASONS = 2000


class Voice(Protocol):
    """What a triage says while it runs."""

    def stage(self, name: str, total: int | None, unit: str) -> None:
        """Begin a stage of ``total`` units, None where nobody knows."""

    def advance(self, amount: int, current: str = "") -> None:
        """Count more units as done; ``current`` is the object in hand."""

    def end_stage(self, note: str = "") -> None:
        """End the stage."""

    def finding(self, finding: Finding) -> None:
        """Tell a finding."""

    def problem(self, problem: Problem) -> None:
        """Tell what could not be read."""


class TriageOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What to look for and how: definitions, YARA rules, workers, a second reading; what to do with a known item."""

    definitions: tuple[Definition, ...]
    yara: YaraRules
    jobs: int = 2
    second_reader: bool = False
    clobber: bool = False
    resume: bool = False

    @property
    def artifacts(self) -> list[Artifact]:
        """The definitions without their files."""
        return [definition.artifact for definition in self.definitions]


def triage_source(case: Case, path: Path, options: TriageOptions, voice: Voice) -> Outcome:
    """Read one raw image or block device and leave its evidence item in the case.

    Raises:
        SourceError: The source cannot be opened or read.
        NoFilesystemError: Nothing in it is a filesystem that can be read.
    """
    with Source(path) as source:
        pinned = msgspec.to_builtins(source.pin)
        case.log("source opened read-only", {**source_fields(path), "pinned": pinned})
        before = _hash(source, voice, "hash before")
        folder = choose_item(case, source, before.sha256, replace=options.clobber)
        if options.resume and not options.clobber and folder.finished:
            return stored_outcome(folder)
        case.log(IDENTIFIED, {"evidence": folder.id, **source_fields(path), "sha256": before.sha256})
        folder.begin(clobber=options.clobber, resume=options.resume)
        with (
            discarding(folder),
            Pool(
                preload=preloaded_modules(options.artifacts, second_reader=options.second_reader), jobs=options.jobs
            ) as pool,
        ):
            return _Item(case, folder, source, pool, options, voice).run(before)


def _hash(source: Source, voice: Voice, stage: str) -> Digest:
    voice.stage(stage, source.pin.size, "bytes")
    digest = source.digest(lambda count: voice.advance(count, str(source.path)))
    voice.end_stage(f"sha256 {digest.sha256}")
    return digest


class _Item:
    """Holds what the stages of one item share: case folder, source, workers, and the problems so far."""

    def __init__(  # noqa: PLR0913, PLR0917 - it only keeps what it is given
        self, case: Case, folder: EvidenceFolder, source: Source, pool: Pool, options: TriageOptions, voice: Voice
    ) -> None:
        self.case = case
        self.folder = folder
        self.source = source
        self.pool = pool
        self.options = options
        self.voice = voice
        self.problems: list[Problem] = []
        self.coverage: list[Coverage] = []
        self.findings: list[Finding] = []

    def run(self, before: Digest) -> Outcome:
        lacking = [Problem(stage="sandbox", reason=sentence, lost=False) for sentence in probe().missing()]
        self._note(*before.problems, *lacking)
        layout = self._read_layout()
        with Inventory(self.folder.scratch() / "inventory.sqlite") as inventory:
            subvolumes = self._walk(inventory, layout)
            self._compare(inventory, layout)
            hosts = self._find_hosts(inventory, layout, subvolumes)
            paths = HostPaths([host.trees for host in hosts])
            evidence = Evidence(self.pool, self.source.descriptor, inventory, hosts, layout.facts(), paths)
            self._collect(evidence, layout)
            self._examine(evidence)
            self._write_files(evidence)
        self._detect()
        after = self._after(before)
        self._write_results(layout, hosts, before, after)
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

    def _read_layout(self) -> Layout:
        task = Task(
            function="volforensic.evidence.layout:read_layout",
            arguments=LayoutArguments(size=self.source.pin.size),
            message_type=Layout,
            source=self.source.descriptor,
            check=LayoutCheck(self.source.pin.size),
        )
        layout: Layout | None = None
        for message in self.pool.run(task):
            if isinstance(message, Failure):
                self._note(Problem(stage="layout", reason=f"the layout could not be read: {message.reason}"))
            else:
                layout = message
        if layout is not None:
            self._note(*layout.problems)
        if layout is None or not any(volume.is_readable for volume in layout.volumes):
            reasons = "; ".join(problem.reason for problem in self.problems if problem.stage == "layout")[
                :_LONGEST_REASONS
            ]
            self.case.log("source refused", {"evidence": self.folder.id, "reasons": reasons})
            raise NoFilesystemError(
                str(self.source.path),
                f"holds no filesystem that can be read ({reasons or 'nothing known by a signature'})",
                "`file` and `fdisk -l` tell more; open what is encrypted or LVM read-only and triage that device",
            )
        self.case.log("layout", {"evidence": self.folder.id, "table": layout.table, "volumes": len(layout.volumes)})
        return layout

    def _walk(self, inventory: Inventory, layout: Layout) -> list[FileEntry]:
        self.voice.stage("inventory", layout.entries_expected(), "files")
        subvolumes = []
        for batch in walk_volumes(self.pool, self.source.descriptor, layout.volumes):
            if isinstance(batch, Problem):
                self._note(batch)
                continue
            inventory.add(batch)
            subvolumes += [entry for entry in batch if entry.tree >= _SUBVOLUME_ROOT and _is_subvolume_root(entry)]
            self.voice.advance(len(batch), text(batch[-1].path) if batch else "")
        inventory.index()
        self.voice.end_stage()
        return subvolumes

    def _compare(self, inventory: Inventory, layout: Layout) -> None:
        if not self.options.second_reader:
            return
        self.voice.stage("second reader", len(layout.volumes), "volumes")
        descriptor, scratch = self.source.descriptor, self.folder.scratch()
        self._note(*compare_volumes(self.pool, descriptor, layout.volumes, inventory, scratch))
        self.voice.end_stage()

    def _find_hosts(self, inventory: Inventory, layout: Layout, subvolumes: list[FileEntry]) -> list[Host]:
        hosts = []
        for found in find_hosts(self.pool, self.source.descriptor, inventory, layout, subvolumes):
            if isinstance(found, Problem):
                self._note(found)
            else:
                hosts.append(found)
        return hosts

    def _collect(self, evidence: Evidence, layout: Layout) -> None:
        artifacts = self.options.artifacts
        doubtful = {problem.volume for problem in self.problems if problem.stage in _OF_VOLUMES and problem.lost}
        self.voice.stage("collect", len(artifacts), "artifacts")
        ended: set[str] = set()
        with Recorder(self.folder, (artifact.name for artifact in artifacts)) as recorder:
            events = collect(evidence, artifacts, frozenset(number for number in doubtful if number is not None))
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

    def _examine(self, evidence: Evidence) -> None:
        total = evidence.inventory.count_files()
        self.voice.stage("files", total, "files")
        examined = passed = 0
        for result in examine_inventory(
            self.pool,
            self.source.descriptor,
            ((entry, evidence.paths.path_of(entry)) for entry in evidence.inventory.in_physical_order()),
            evidence.volumes,
            self.options.yara.compiled,
        ):
            if isinstance(result, Problem):
                self._note(result)
                continue
            entry = result.entry if isinstance(result, Examined) else result
            if isinstance(result, Examined):
                examined += 1
                evidence.inventory.note(entry, result.examination.row())
            passed += 1
            self.voice.advance(1, text(entry.path))
        self.voice.advance(total - passed)  # files that hold no bytes are not handed out
        self.voice.end_stage(f"{examined:,} hashed, typed and scanned")

    def _write_files(self, evidence: Evidence) -> None:
        with self.folder.rows("files") as writer:
            writer.write(evidence.inventory.rows(evidence.paths.path_of))

    def _detect(self) -> None:
        self.voice.stage("detect", None, "findings")
        found = detect(
            self.options.artifacts,
            lambda artifact: self.folder.read(f"records/{artifact}"),
            lambda: self.folder.read("files"),
            self.options.yara.metadata,
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
        after = _hash(self.source, self.voice, "hash after")
        self.case.log("hash after", {"evidence": self.folder.id, "sha256": after.sha256})
        try:
            self.source.check_unchanged()
        except IntegrityError as error:
            self._note(Problem(stage="source", reason=str(error)))
        if after.sha256 != before.sha256:
            reason = f"the evidence changed while it was read: {before.sha256} before, {after.sha256} after"
            self._note(Problem(stage="source", reason=reason))
        return after

    def _is_complete(self) -> bool:
        lacking = any(item.status in ("partial", "unreadable", "unsupported") for item in self.coverage)
        return not lacking and not any(problem.lost for problem in self.problems)

    def _write_results(self, layout: Layout, hosts: list[Host], before: Digest, after: Digest) -> None:
        described = [host.described() for host in hosts]
        identity = {
            "id": self.folder.id,
            **text_fields("source", os.fsencode(self.source.path.name)),
            "kind": self.source.kind,
            "size": self.source.pin.size,
            "sha256_before": before.sha256,
            "sha256_after": after.sha256,
            "layout": layout.described(mounted_places(hosts)),
            "host": described[0] if described else {},
            "hosts": described,
        }
        coverage = {"artifacts": self.coverage, "complete": self._is_complete()}
        write_results(self.folder, identity, self.findings, self.problems, coverage)


def _is_subvolume_root(entry: FileEntry) -> bool:
    return entry.inode == _SUBVOLUME_ROOT and entry.type == "directory"
