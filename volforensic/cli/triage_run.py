"""What ``triage`` does with its options: load, open the case, triage each source, report, close."""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import msgspec

from volforensic import __version__
from volforensic.case.custody import present_user
from volforensic.case.folder import Case
from volforensic.cli.garbage import collect_garbage_seldom
from volforensic.cli.output import summary_lines
from volforensic.cli.standard_output import as_text
from volforensic.cli.terminal import Terminal
from volforensic.collection.loader import load_definitions
from volforensic.detection.engine import check_rules
from volforensic.errors import (
    EXIT_COMPLETE,
    EXIT_FINDINGS,
    EXIT_PARTIAL,
    HostError,
    IntegrityError,
    UsageError,
    VolforensicError,
)
from volforensic.evidence.image import ImageOptions
from volforensic.inventory.hash_sets import HashSets
from volforensic.inventory.rule_files import is_worth_a_gate, load_yara_rules
from volforensic.items import NOT_READ, Outcome, source_fields
from volforensic.record import SEVERITIES
from volforensic.reporting import REPORT_PATH, write_report
from volforensic.sandbox.confinement import probe
from volforensic.triage import TriageOptions, triage_source

_LIBRARIES = ("dissect.btrfs", "dissect.squashfs", "dissect.xfs", "msgspec", "pytsk3", "python-magic", "yara-x")


class Request(NamedTuple):
    """The options of the command line."""

    sources: Sequence[Path]
    as_host: bool
    image: ImageOptions
    case: Path
    number: str
    examiner: str
    artifacts: Sequence[Path]
    yara: Sequence[Path]
    profile: str
    hashes: tuple[str, ...]
    known_good: Sequence[Path]
    known_bad: Sequence[Path]
    fail_on: str | None
    jobs: int
    clobber: bool
    resume: bool
    command_line: Sequence[str]


def run_triage(request: Request, terminal: Terminal, *, as_json: bool) -> tuple[list[str], int]:
    """Triage every source into the case; return the lines to print and the exit status.

    A source that fails does not keep the others from being read; the first failure gives the exit status.
    """
    if request.case.exists() and not request.case.is_dir():
        raise UsageError(str(request.case), "is no folder", "Name a case folder, or one that is not there yet")
    collect_garbage_seldom()
    with HashSets(request.known_good, request.known_bad) as sets:
        return _run(request, terminal, sets, as_json=as_json)


def _run(request: Request, terminal: Terminal, sets: HashSets, *, as_json: bool) -> tuple[list[str], int]:
    options = TriageOptions(
        sets=sets if sets.sets else None,
        definitions=load_definitions(request.artifacts),
        yara=load_yara_rules(request.yara, gated=is_worth_a_gate(request.sources)),
        jobs=request.jobs,
        second_reader=request.profile == "full",
        every_file=request.profile != "quick",
        carve=request.profile == "full",
        hashes=request.hashes,
        image=request.image,
        clobber=request.clobber,
        resume=request.resume,
    )
    check_rules(options.artifacts)
    items = [request.sources] if request.as_host else [[path] for path in request.sources]
    case = Case.create_or_open(
        request.case,
        number=request.number,
        examiner=request.examiner or present_user(),
        command_line=request.command_line,
        versions=versions(),
    )
    with case:
        _log_means(case, options, sets)
        outcomes, failures = _triage_items(case, items, options, terminal)
        if failures and len(items) == 1:
            case.close(failures[0].exit_status)
            raise failures[0]
        return _conclude(case, request, outcomes, failures, as_json=as_json)


def _log_means(case: Case, options: TriageOptions, sets: HashSets) -> None:
    """Say in the custody log with what the evidence is read."""
    case.log("definitions", {definition.artifact.name: definition.sha256 for definition in options.definitions})
    case.log("yara rules", options.yara.files)
    case.log("hash sets", {"sets": [known.row() for known in sets.sets]})
    protection = probe()
    case.log("sandbox", {**msgspec.to_builtins(protection), "missing": protection.missing()})


def _triage_items(
    case: Case, items: Sequence[Sequence[Path]], options: TriageOptions, terminal: Terminal
) -> tuple[list[Outcome], list[VolforensicError]]:
    """Triage each item; return how those ended that were read, and why the others were not."""
    outcomes: list[Outcome] = []
    failures: list[VolforensicError] = []
    for paths in items:
        try:
            outcomes.append(triage_source(case, paths, options, terminal))
        except VolforensicError as error:
            failures.append(error)
            fields = {**source_fields(paths), "reason": as_text(str(error)), "exit_status": error.exit_status}
            with suppress(HostError):  # a full disk: the error itself is told in any case
                case.log(NOT_READ, fields)
            if len(items) > 1:
                terminal.error(str(error))
    return outcomes, failures


def versions() -> dict[str, str]:
    """Return the versions of what reads the evidence."""
    return {"volforensic": __version__, **dict(_library_versions())}


def _library_versions() -> Iterator[tuple[str, str]]:
    for name in _LIBRARIES:
        try:
            yield name, metadata.version(name)
        except metadata.PackageNotFoundError:
            yield name, "unknown"


def _conclude(
    case: Case, request: Request, outcomes: list[Outcome], failures: list[VolforensicError], *, as_json: bool
) -> tuple[list[str], int]:
    report = write_report(case)
    exit_status = _exit_status(request, outcomes, failures)
    head = case.close(exit_status)
    path = case.path / REPORT_PATH
    if as_json:
        facts = {
            "case": as_text(str(case.path)),
            "report": as_text(str(path)),
            "custody_head": head,
            "exit_status": exit_status,
            "verdict": report["verdict"],
            "evidence": [outcome._asdict() for outcome in outcomes],
            "failures": [str(failure) for failure in failures],
        }
        return [json.dumps(facts, indent=2)], exit_status
    lines = summary_lines(
        report,
        case=as_text(str(case.path)),
        report_path=as_text(str(path)),
        exit_status=exit_status,
        failures=[str(failure) for failure in failures],
    )
    return [*lines, f"{'custody':<9} head {head} (note it: `volforensic verify --head` compares)"], exit_status


def _exit_status(request: Request, outcomes: list[Outcome], failures: list[VolforensicError]) -> int:
    if not all(outcome.is_unchanged for outcome in outcomes):
        return IntegrityError.exit_status
    if failures:
        return failures[0].exit_status
    if request.fail_on is not None:
        levels = SEVERITIES[: SEVERITIES.index(request.fail_on) + 1]
        if any(outcome.findings[level] for outcome in outcomes for level in levels):
            return EXIT_FINDINGS
    return EXIT_COMPLETE if all(outcome.is_complete for outcome in outcomes) else EXIT_PARTIAL
