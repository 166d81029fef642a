"""From the case to its report: what the case room holds, in the plain values that the report room takes."""

from collections.abc import Iterator

from volforensic.case.custody import CustodyEntry
from volforensic.case.evidence_folder import EvidenceFolder
from volforensic.case.folder import Case
from volforensic.items import IDENTIFIED, NOT_READ
from volforensic.record import Row
from volforensic.report.html import render_html
from volforensic.report.logins import FIELDS_USED
from volforensic.report.model import Act, CaseFacts, Custody, EvidenceView, build_report, render_json

REPORT_PATH = "report.html"


def write_report(case: Case) -> Row:
    """Build the report over every finished item of the case, write report.json and report.html, and return it."""
    views = [_view(case.evidence(evidence_id)) for evidence_id in case.evidence_ids()]
    report = build_report(_facts(case), views)
    case.write("report.json", render_json(report), clobber=True)
    case.write(REPORT_PATH, render_html(report).encode("utf-8", "backslashreplace"), clobber=True)
    return report


def _facts(case: Case) -> CaseFacts:
    facts = case.facts
    acts = [_act(entry) for entry in case.acts()]
    return CaseFacts(
        case_id=facts.case_id,
        created=facts.created,
        number=facts.number,
        examiner=facts.examiner,
        versions=facts.runs[-1].versions if facts.runs else {},
        command_lines=[" ".join(run.command_line) for run in facts.runs],
        custody=Custody(
            head=case.custody.head,
            entries=case.custody.count,
            acts=acts,
        ),
        unread_sources=_unread_sources(acts),
    )


def _unread_sources(acts: list[Act]) -> list[str]:
    """Return the reasons of sources that could not be read, but for those that a later run did read."""
    reasons: dict[str, str] = {}
    for act in acts:
        source = str(act.details.get("source", ""))
        if act.act == NOT_READ:
            reasons[source] = str(act.details.get("reason", source))
        elif act.act == IDENTIFIED:
            reasons.pop(source, None)
    return list(reasons.values())


def _act(entry: CustodyEntry) -> Act:
    return Act(
        sequence=entry.sequence,
        time=entry.time,
        user=entry.user,
        host=entry.host,
        act=entry.act,
        details=entry.details,
    )


def _view(folder: EvidenceFolder) -> EvidenceView:
    known = set(folder.streams())

    def records(artifact: str) -> Iterator[Row]:
        name = f"records/{artifact}"
        return folder.read(name, FIELDS_USED.get(artifact, ())) if name in known else iter(())

    return EvidenceView(
        identity=folder.read_json("evidence"),
        findings=folder.read("findings"),
        coverage=folder.read_json("coverage"),
        problems=folder.read("problems"),
        records=records,
        files=lambda: folder.read("files"),
        missing=lambda: folder.read("missing") if folder.has("missing") else (),
    )
