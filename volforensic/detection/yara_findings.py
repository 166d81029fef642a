"""What YARA matched in a file, as one judgement."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from volforensic.detection.judgements import Judgement, Subject, package_of
from volforensic.detection.rows import cut
from volforensic.detection.rules import EVIDENCE_LIMIT
from volforensic.record import SEVERITIES, Row, Severity

DEFAULT_SEVERITY: Severity = "medium"
"""Of a YARA rule that does not say: what it finds is worth a look, and nothing more is known."""

YaraRules = Mapping[str, Mapping[str, Any]]
"""Metadata of the YARA rules by name, in the order of the rule files: severity, attack, description, family …"""


class Grade(NamedTuple):
    """What the rules that match amount to: their names, the gravest first, and what that one says."""

    names: list[str]
    severity: Severity
    words: str
    attack: list[str]
    sources: dict[str, dict[str, str]]


def grade(names: Iterable[str], yara_rules: YaraRules, order: Mapping[str, int]) -> Grade:
    """Return what these rules amount to: named and graded by the most severe, the first of these in the rule files."""
    severities = {name: _severity(yara_rules.get(name, {})) for name in names}
    sorted_names = sorted(
        severities, key=lambda name: (SEVERITIES.index(severities[name]), order.get(name, len(order)), name)
    )
    metas = [yara_rules.get(name, {}) for name in sorted_names]
    sources = {
        name: {key: str(meta[key]) for key in ("author", "reference", "license") if meta.get(key)}
        for name, meta in zip(sorted_names, metas, strict=True)
    }
    return Grade(
        names=sorted_names,
        severity=severities[sorted_names[0]],
        words=_words(sorted_names, metas[0]),
        attack=sorted({technique for meta in metas for technique in _techniques(meta)}),
        sources=sources,
    )


def yara_judgement(subject: Subject, yara_rules: YaraRules, order: Mapping[str, int]) -> Judgement:
    """Return one judgement for all the rules that match a file."""
    row = subject.row
    graded = grade([str(name) for name in row["yara"]], yara_rules, order)
    return Judgement(
        rule=graded.names[0],
        severity=graded.severity,
        words=graded.words + _claimed(row) + _recovered(row),
        attack=graded.attack,
        details={"yara": graded.names, "sources": graded.sources},
        evidence=matched_strings(row.get("matches")),
    )


def matched_strings(matches: object) -> list[str]:
    """Return a line for each string that matched: rule, identifier, offset, text."""
    lines = []
    for match in matches if isinstance(matches, list) else []:
        for string in (match.get("strings") or []) if isinstance(match, dict) else []:
            offset = string.get("offset")
            where = f"{offset:#x}" if type(offset) is int else "-"
            lines.append(cut(f"{match.get('rule')} {string.get('identifier')} at {where}: {string.get('text')}"))
    return lines[:EVIDENCE_LIMIT]


def _words(names: list[str], meta: Mapping[str, Any]) -> str:
    description = str(meta.get("description") or meta.get("statement") or "").rstrip(".")
    others = f"; also {', '.join(names[1:])}" if len(names) > 1 else ""
    return (
        f"{description} (YARA rule {names[0]}{others})" if description else f"matches the YARA rule {names[0]}{others}"
    )


def _claimed(row: Row) -> str:
    """Say that a package brought it: a miner can be installed from a distribution, too, and a database be edited."""
    package = package_of(row)
    if package.get("verdict") != "proved":
        return ""
    return f"; the package {cut(str(package.get('name')))} brought it by the package database on this same disk"


def _recovered(row: Row) -> str:
    recovery = row.get("recovery")
    if row.get("allocated", True) or not isinstance(recovery, dict) or not isinstance(recovery.get("tier"), str):
        return ""
    return f"; its content was recovered: {cut(recovery['tier'])}"


def _severity(meta: Mapping[str, Any]) -> Severity:
    given = meta.get("severity")
    return given if given in SEVERITIES else DEFAULT_SEVERITY


def _techniques(meta: Mapping[str, Any]) -> list[str]:
    attack = meta.get("attack") or []
    given = attack.split(",") if isinstance(attack, str) else attack
    return [str(technique).strip() for technique in given]
