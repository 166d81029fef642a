"""Findings that are told together where there are many of one kind in one place: a thousand rows are one sentence."""

from collections.abc import Iterator

from volforensic.detection.judgements import Group
from volforensic.detection.rows import cut
from volforensic.detection.rules import CITES_LIMIT, EVIDENCE_LIMIT, FINDINGS_LIMIT
from volforensic.record import Finding, Row, finding_id

_SHOWN = 3
_ELSEWHERE = Group("", "further files of this kind, in more places than are told apart")


class _Held:
    """One group while rows come."""

    __slots__ = ("cites", "count", "evidence", "first", "group", "kept", "last")

    def __init__(self, group: Group) -> None:
        """Start with nothing seen."""
        self.group = group
        self.count = 0
        self.kept: list[tuple[Row, Finding]] = []
        self.cites: list[str] = []
        self.evidence: list[str] = []
        self.first: str | None = None
        self.last: str | None = None

    def add(self, row: Row, finding: Finding) -> None:
        """Count one more; the first are kept whole."""
        self.count += 1
        if len(self.kept) < max(self.group.alone, _SHOWN):
            self.kept.append((row, finding))
        if len(self.cites) < CITES_LIMIT:
            self.cites += finding.cites[:1]
        if len(self.evidence) < EVIDENCE_LIMIT:
            self.evidence.append(cut("; ".join([finding.path or finding.statement, *finding.evidence[:1]])))
        changed = row.get("ctime")
        if isinstance(changed, str):
            self.first = min(changed, self.first or changed)
            self.last = max(changed, self.last or changed)

    def findings(self) -> Iterator[tuple[Row, Finding]]:
        """Yield what was kept, or one finding in place of many."""
        if self.count <= self.group.alone:
            yield from self.kept
            return
        row, model = self.kept[0]
        shown = ", ".join(cut(finding.path or finding.statement) for _, finding in self.kept[:_SHOWN])
        reason = model.details.get("why")
        yield (
            row,
            Finding(
                finding_id=finding_id(model.rule, [str(model.volume), model.severity, self.group.key]),
                rule=model.rule,
                severity=model.severity,
                statement=f"{self.count:,} {cut(self.group.words)}; the first are {shown}",
                attack=model.attack,
                cites=self.cites,
                evidence=self.evidence,
                path=model.path,
                path_bytes=model.path_bytes,
                volume=model.volume,
                count=self.count,
                details={
                    "cites_total": self.count,
                    "ctime_first": self.first,
                    "ctime_last": self.last,
                    **({"why": reason} if reason else {}),
                },
            ),
        )


class Groups:
    """All groups of all rules; memory is bounded by ``FINDINGS_LIMIT`` groups of a rule."""

    def __init__(self) -> None:
        """Start with no group."""
        self._held: dict[tuple[str, str, int | None, str], _Held] = {}
        self._of_rule: dict[str, int] = {}

    def add(self, row: Row, finding: Finding, group: Group) -> None:
        """Count a finding with its group; those of one severity and one volume are together."""
        key = (finding.rule, finding.severity, finding.volume, group.key)
        held = self._held.get(key)
        if held is None:
            if self._of_rule.get(finding.rule, 0) >= FINDINGS_LIMIT:
                group = _ELSEWHERE
                key = (finding.rule, finding.severity, None, group.key)
            else:
                self._of_rule[finding.rule] = self._of_rule.get(finding.rule, 0) + 1
            held = self._held.setdefault(key, _Held(group))
        held.add(row, finding)

    def release(self) -> Iterator[tuple[Row, Finding]]:
        """Yield the findings, group by group in the order of their first."""
        for held in self._held.values():
            yield from held.findings()
