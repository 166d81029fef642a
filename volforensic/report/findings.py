"""The findings of one evidence item: the most severe first, and what they cite."""

from collections.abc import Iterable
from functools import partial

from volforensic.record import SEVERITIES, Row
from volforensic.report.attack import techniques
from volforensic.report.bounds import Best, bounded, cut, texts

FINDING_LIMIT = 1_000
"""Findings listed of one evidence item."""
RULE_LIMIT = 200
"""Findings listed of one rule, so that a noisy rule cannot push the others out."""
RULE_TABLE_LIMIT = 200
EVIDENCE_LIMIT = 20
CITATION_LIMIT = 200_000
CITED_BY_LIMIT = 10

_RANK = {severity: rank for rank, severity in enumerate(SEVERITIES)}
_UNKNOWN_RANK = len(SEVERITIES)


class Findings:
    """One pass over the findings of an evidence item; what the other sections ask about them.

    ``counts`` is the number of each severity. ``cited`` maps a record id or a path to the ids of the findings that
    cite it or are about it. ``listed`` holds the rows of the report.
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        """Go through the findings once."""
        self.counts = dict.fromkeys(SEVERITIES, 0)
        self.subjects: dict[str, int] = {}
        self._cited: dict[str, list[str]] = {}
        self._rules: dict[str, _Rule] = {}
        self._total = 0
        for row in rows:
            self._take(row)
        best = Best(FINDING_LIMIT)
        for rule in self._rules.values():
            for raw in rule.best.listing()["listed"]:
                best.add(_order(raw), partial(_row, raw))
        self.listed: list[Row] = best.listing()["listed"]

    @property
    def top_statement(self) -> str:
        """Return the statement of the first of the most severe findings."""
        return str(self.listed[0]["statement"]) if self.listed else ""

    def citing(self, thing: object) -> list[str]:
        """Return the ids of findings that cite this record id or path (at most ten), in order."""
        return sorted(self._cited.get(str(thing), []))

    def section(self) -> Row:
        """Return ``{total, by_severity, by_rule, listed}``."""
        rules = sorted(self._rules.items(), key=lambda item: (item[1].rank, -item[1].best.total, item[0]))
        return {
            "total": self._total,
            "by_severity": dict(self.counts),
            "by_rule": [
                {"rule": cut(name), "severity": SEVERITIES[min(rule.rank, 4)], "count": rule.best.total}
                for name, rule in rules[:RULE_TABLE_LIMIT]
            ],
            "listed": self.listed,
        }

    def _take(self, row: Row) -> None:
        self._total += 1
        rank = _RANK.get(row.get("severity", ""), _UNKNOWN_RANK)
        self.counts[SEVERITIES[min(rank, len(SEVERITIES) - 1)]] += 1
        name = str(row.get("rule", ""))
        rule = self._rules.setdefault(name, _Rule(rank))
        rule.rank = min(rule.rank, rank)
        rule.best.add(_order(row), lambda: row)
        path = row.get("path")
        if path is not None and (path in self.subjects or len(self.subjects) < CITATION_LIMIT):
            self.subjects[path] = min(rank, self.subjects.get(path, rank))
        for thing in [*row.get("cites", []), *([] if path is None else [path])]:
            self._cite(str(thing), cut(str(row.get("finding_id", ""))))

    def _cite(self, thing: str, finding: str) -> None:
        if thing not in self._cited and len(self._cited) >= CITATION_LIMIT:
            return
        citing = self._cited.setdefault(thing, [])
        if finding not in citing and len(citing) < CITED_BY_LIMIT:
            citing.append(finding)


class _Rule:
    def __init__(self, rank: int) -> None:
        self.rank = rank
        self.best = Best(RULE_LIMIT)


def _order(row: Row) -> tuple[int, str, str, str]:
    rank = _RANK.get(row.get("severity", ""), _UNKNOWN_RANK)
    return rank, str(row.get("first_seen") or "~"), str(row.get("rule", "")), str(row.get("finding_id", ""))


def _row(row: Row) -> Row:
    severity = row.get("severity")
    optional = ("path", "path_bytes", "volume", "first_seen", "last_seen")
    return {
        "finding_id": cut(str(row.get("finding_id", ""))),
        "rule": cut(str(row.get("rule", ""))),
        "severity": severity if severity in SEVERITIES else SEVERITIES[-1],
        "statement": cut(str(row.get("statement", ""))),
        "attack": techniques(texts(row.get("attack"))),
        "cites": texts(row.get("cites")),
        "evidence": texts(row.get("evidence"), EVIDENCE_LIMIT),
        "count": bounded(row.get("count", 1)),
        "details": bounded(row.get("details") or {}),
        **{key: bounded(row.get(key)) for key in optional},
    }
