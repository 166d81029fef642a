"""What was read and what was not: coverage by artifact and volume, and the problems."""

from collections.abc import Iterable
from functools import partial

from volforensic.record import COVERAGE_STATUSES, Row
from volforensic.report.bounds import Best, bounded, chosen, cut, texts
from volforensic.report.verdict import Reading

COVERAGE_LIMIT = 1_000
PROBLEM_LIMIT = 500
NOTE_LIMIT = 200
REASON_LIMIT = 10
STAGE_LIMIT = 50

_WORST_FIRST = ("unreadable", "unsupported", "partial", "complete", "absent")
_PROBLEM_KEYS = ("stage", "reason", "artifact", "volume", "source", "source_bytes", "inode", "offset", "length")


def describe_coverage(stored: Row) -> Row:
    """Return ``{complete, by_status, total, listed}`` from coverage.json, what was not read first."""
    best = Best(COVERAGE_LIMIT)
    by_status = dict.fromkeys(COVERAGE_STATUSES, 0)
    for row in stored.get("artifacts", []):
        status = row.get("status")
        # a status that this version does not know must not pass for read
        status = status if status in by_status else "unsupported"
        by_status[status] += 1
        container = str(row.get("container") or "")  # the hosts' rows come first: there may be many containers
        key = (
            bool(container),
            _WORST_FIRST.index(status),
            str(row.get("artifact", "")),
            row.get("volume") or 0,
            container,
        )
        best.add(key, partial(_row, row, status))
    return {"complete": bool(stored.get("complete")), "by_status": by_status} | best.listing()


def describe_problems(rows: Iterable[Row]) -> Row:
    """Return ``{not_read, noted}``: what was lost, and what only needs saying; each with totals by stage."""
    lost, noted = _Problems(PROBLEM_LIMIT), _Problems(NOTE_LIMIT)
    for row in rows:
        (lost if row.get("lost", True) else noted).add(row)
    return {"not_read": lost.listing(), "noted": noted.listing()}


def reading(stored: Row, lost: int, unchanged: bool | None) -> Reading:  # noqa: FBT001 - three answers, not a flag
    """Return what became of the reading, counted by artifact: one that failed on any volume was not read."""
    statuses: dict[str, set[str]] = {}
    for row in stored.get("artifacts", []):
        statuses.setdefault(str(row.get("artifact", "")), set()).add(str(row.get("status", "")))
    known = {"complete", "partial", "absent"}
    unread = sum(1 for seen in statuses.values() if seen - known)
    return Reading(
        looked_for=len(statuses),
        absent=sum(1 for seen in statuses.values() if seen == {"absent"}),
        unread=unread,
        partial=sum(1 for seen in statuses.values() if not seen - known and "partial" in seen),
        places=lost,
        declared_complete=bool(stored.get("complete")),
        unchanged=unchanged,
    )


class _Problems:
    def __init__(self, limit: int) -> None:
        self._best = Best(limit)
        self._by_stage: dict[str, int] = {}

    def add(self, row: Row) -> None:
        stage = cut(str(row.get("stage", "")), 100)
        if stage in self._by_stage or len(self._by_stage) < STAGE_LIMIT:
            self._by_stage[stage] = self._by_stage.get(stage, 0) + 1
        self._best.add((), lambda: chosen(row, _PROBLEM_KEYS))

    def listing(self) -> Row:
        return self._best.listing() | {"by_stage": self._by_stage}


def _row(row: Row, status: str) -> Row:
    return {
        "artifact": cut(str(row.get("artifact", ""))),
        "volume": bounded(row.get("volume")),
        "status": status,
        **{key: bounded(row.get(key, 0)) for key in ("files", "records", "unparsed")},
        "reasons": texts(row.get("reasons"), REASON_LIMIT),
        **({"container": cut(str(row["container"]))} if row.get("container") else {}),
    }
