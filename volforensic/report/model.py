"""The report as data: a pure function of what the case holds. docs/report-format.md describes the result."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from volforensic.record import SEVERITIES, Row
from volforensic.report.bounds import Records, bounded, chosen, cut
from volforensic.report.containers import describe_containers
from volforensic.report.coverage import describe_coverage, describe_problems, reading
from volforensic.report.files import files_of_interest
from volforensic.report.findings import Findings
from volforensic.report.logins import describe_logins
from volforensic.report.package_files import PackageFiles
from volforensic.report.packages import describe_packages
from volforensic.report.persistence import describe_persistence
from volforensic.report.system import describe_system, owners
from volforensic.report.verdict import Reading, judge, together

SCHEMA_VERSION = 1
ACT_LIMIT = 500
VOLUME_LIMIT = 128


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the custody log: its number, when (ISO 8601 UTC), who on which host, what was done and on what."""

    sequence: int
    time: str
    user: str
    act: str
    host: str = ""
    details: dict[str, Any] = {}


class Custody(msgspec.Struct, frozen=True, kw_only=True):
    """The custody log when the report is made: the hash of its newest entry, how many there are, and the acts."""

    head: str
    entries: int
    acts: Sequence[Act] = ()


class CaseFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the case says of itself. ``versions`` names what read the evidence; times are ISO 8601 UTC.

    ``unread_sources`` are sources that a run was given and could not read, each with the reason.
    """

    case_id: str
    created: str
    custody: Custody
    number: str = ""
    examiner: str = ""
    tool: str = "volforensic"
    versions: dict[str, str] = {}
    command_lines: list[str] = []
    unread_sources: list[str] = []


@dataclass(frozen=True, kw_only=True)
class EvidenceView:
    """What the case holds of one evidence item: plain values and two ways to rows, which may be huge.

    ``identity`` is evidence.json: id, source, size, sha256_before, sha256_after, layout (``volumes``: a list of
    objects with index, label, filesystem, offset, size in bytes, uuid), host (hostname, os, time_zone,
    time_zone_basis), packages (databases, counts of verdicts). ``findings`` and ``problems`` are rows as stored,
    ``coverage`` is coverage.json. ``records`` gives the rows of an artifact by its name, none where there are none;
    ``files`` the rows of the inventory. Both may be called again and give the same rows in the same order.
    """

    identity: Row
    findings: Iterable[Row]
    coverage: Row
    problems: Iterable[Row]
    records: Records
    files: Callable[[], Iterator[Row]]
    missing: Callable[[], Iterable[Row]] = tuple
    """Gives the files that packages own and the disk lacks."""


def build_report(case_facts: CaseFacts, evidence: Sequence[EvidenceView]) -> Row:
    """Return the report as plain values, ready for JSON; the same case gives the same report."""
    built = [_evidence(view) for view in evidence]
    counts = {severity: sum(findings.counts[severity] for _, findings, _ in built) for severity in SEVERITIES}
    worst = min(built, key=_worst, default=None)
    whole = together([was_read for _, _, was_read in built], unread_sources=len(case_facts.unread_sources))
    return {
        "schema_version": SCHEMA_VERSION,
        "case": _case(case_facts),
        "unread_sources": bounded(case_facts.unread_sources),
        "verdict": judge(counts, worst[1].top_statement if worst else "", whole),
        "evidence": [section for section, _, _ in built],
        "custody": _custody(case_facts.custody),
    }


def render_json(report: Row) -> bytes:
    """Return report.json: UTF-8, indented by one space, ending with a newline; the same report gives the same bytes."""
    return msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n"


def _evidence(view: EvidenceView) -> tuple[Row, Findings, Reading]:
    findings = Findings(view.findings)
    users = owners(view.records)
    by_package = PackageFiles(findings)
    files = files_of_interest(by_package.watch(view.files()), findings, users)
    met = describe_problems(view.problems)
    identity = _identity(view.identity)
    was_read = reading(view.coverage, met["not_read"]["total"], identity["unchanged"])
    section = identity | {
        "verdict": judge(findings.counts, findings.top_statement, was_read),
        "findings": findings.section(),
        "system": bounded(view.identity.get("host") or {}) | describe_system(view.records, findings.citing),
        "packages": describe_packages(view.identity.get("packages")),
        **describe_containers(view.identity.get("containers")),
        "logins": describe_logins(view.records, users),
        "persistence": describe_persistence(view.records, findings.citing),
        "package_files": by_package.section(view.missing()),
        "files_of_interest": files,
        "coverage": describe_coverage(view.coverage),
        "problems": met,
    }
    return section, findings, was_read


def _worst(item: tuple[Row, Findings, Reading]) -> int:
    severities = [rank for rank, severity in enumerate(SEVERITIES) if item[1].counts[severity]]
    return min(severities, default=len(SEVERITIES))


def _identity(identity: Row) -> Row:
    before, after = identity.get("sha256_before"), identity.get("sha256_after")
    return {
        "id": cut(str(identity.get("id", ""))),
        "source": cut(str(identity.get("source", ""))),
        "size": bounded(identity.get("size")),
        "sha256_before": bounded(before),
        "sha256_after": bounded(after),
        "unchanged": before == after if before and after else None,
        "origin": bounded(identity.get("origin") or {}),
        "layout": _layout(identity.get("layout")),
    }


def _layout(layout: object) -> Row:
    described = layout if isinstance(layout, dict) else {"volumes": layout}
    volumes = described.get("volumes")
    volumes = volumes if isinstance(volumes, list) else []
    rest: Row = bounded({key: value for key, value in described.items() if key != "volumes"})
    listed = [bounded(volume) for volume in volumes[:VOLUME_LIMIT] if isinstance(volume, dict)]
    return rest | {"volumes": {"total": len(volumes), "listed": listed}}


def _case(facts: CaseFacts) -> Row:
    return {
        "case_id": cut(facts.case_id),
        "number": cut(facts.number),
        "examiner": cut(facts.examiner),
        "created": cut(facts.created),
        "tool": cut(facts.tool),
        "versions": bounded(facts.versions),
        "command_lines": bounded(facts.command_lines),
    }


def _custody(custody: Custody) -> Row:
    shown = [
        chosen(msgspec.to_builtins(act), ("sequence", "time", "user", "host", "act", "details"))
        for act in custody.acts[:ACT_LIMIT]
    ]
    return {"head": cut(custody.head), "entries": custody.entries, "total": len(custody.acts), "listed": shown}
