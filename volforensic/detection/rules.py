"""The rules beside the artifacts: records in, findings out, the identical ones merged."""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from volforensic.collection.definitions import COMMON_FIELDS, Artifact, FieldType, Rule
from volforensic.detection.rows import integer, main_text, shown
from volforensic.detection.where import Predicate, compile_where, required_texts
from volforensic.errors import DefinitionError
from volforensic.record import RECORD_KEYS, Finding, Problem, Row, finding_id

CITES_LIMIT = 50
"""Records that one finding cites; ``details.cites_total`` says how many there are."""
EVIDENCE_LIMIT = 10
"""Lines that one finding shows."""
FINDINGS_LIMIT = 1_000
"""Findings of one rule: more help no reader, and a hostile log must not fill the memory."""
_PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_INTEGER_KEYS = frozenset({"volume", "inode", "position"})


class Merged:
    """What one finding grows from while records come: counts, times, the first cites and lines."""

    __slots__ = ("cites", "count", "evidence", "first_seen", "last_seen", "sources", "volume")

    def __init__(self) -> None:
        """Start with nothing seen."""
        self.count = 0
        self.cites: list[str] = []
        self.evidence: list[str] = []
        self.sources: dict[str, None] = {}
        self.first_seen: str | None = None
        self.last_seen: str | None = None
        self.volume: int | None = None

    def add(self, row: Row) -> None:
        """Count one more record."""
        if not self.count:
            self.volume = integer(row.get("volume"))
        self.count += 1
        if len(self.cites) < CITES_LIMIT:
            self.cites.append(str(row.get("record_id")))
        source = row.get("source")
        if isinstance(source, str) and len(self.sources) < CITES_LIMIT:
            self.sources[source] = None
        if len(self.evidence) < EVIDENCE_LIMIT:
            line = main_text(row)
            if line not in self.evidence:
                self.evidence.append(line)
        moment = row.get("timestamp")
        if isinstance(moment, str):
            self.first_seen = min(moment, self.first_seen or moment)
            self.last_seen = max(moment, self.last_seen or moment)

    def seen(self) -> dict[str, Any]:
        """Return what a ``Finding`` says of its records: cites, lines, volume, times and how many there are."""
        return {
            "cites": self.cites,
            "evidence": self.evidence,
            "volume": self.volume,
            "first_seen": self.first_seen,
            "last_seen": self.last_seen,
            "count": self.count,
        }


class CompiledRule:
    """A rule ready to run, and what it has found so far: the merged records of each statement."""

    __slots__ = ("beyond", "groups", "holds", "rule", "statement")

    def __init__(self, rule: Rule, holds: Predicate, statement: Callable[[Row], str]) -> None:
        """Start with nothing found."""
        self.rule = rule
        self.holds = holds
        self.statement = statement
        self.groups: dict[str, Merged] = {}
        self.beyond = 0

    def note(self, row: Row) -> None:
        """Count a record that the rule holds for, with those that give the same statement."""
        words = self.statement(row)
        merged = self.groups.get(words)
        if merged is None:
            if len(self.groups) >= FINDINGS_LIMIT:
                self.beyond += 1
                return
            merged = self.groups[words] = Merged()
        merged.add(row)


def compile_rules(artifact: Artifact) -> list[CompiledRule]:
    """Return the artifact's rules ready to run.

    Raises:
        DefinitionError: A ``where`` or a statement is wrong; it names the artifact and the rule.
    """
    fields = record_fields(artifact)
    compiled = []
    for number, rule in enumerate(artifact.detect):
        place = f"{artifact.name}: detect[{number}] ({rule.name})"
        try:
            holds = compile_where(rule.where, fields)
        except DefinitionError as error:
            raise DefinitionError(place, f"{error.thing}: {error.wrong}") from error
        for name in _PLACEHOLDER.findall(rule.statement):
            if name not in fields:
                raise DefinitionError(place, f"statement: there is no field {name}")
        compiled.append(CompiledRule(rule, holds, _statement(rule.statement)))
    return compiled


def record_fields(artifact: Artifact) -> dict[str, FieldType]:
    """Return every key that the artifact's records can have, with its type."""
    fields: dict[str, FieldType] = {
        key: "integer" if key in _INTEGER_KEYS else "string" for key in (*RECORD_KEYS, *COMMON_FIELDS)
    }
    fields["unparsed"] = "boolean"
    return {**fields, **artifact.fields}


def apply_rules(artifact: Artifact, rows: Iterable[Row]) -> Iterator[Finding | Problem]:
    """Yield the findings of one artifact's rules over its records, which are read once and to the end."""
    compiled = compile_rules(artifact)
    field = _deciding_field(artifact)
    deciding = [required_texts(rule.rule.where, field) for rule in compiled]
    free = tuple(rule for rule, texts in zip(compiled, deciding, strict=True) if texts is None)
    chosen = {
        text: tuple(rule for rule, texts in zip(compiled, deciding, strict=True) if texts is None or text in texts)
        for text in frozenset().union(*(texts for texts in deciding if texts is not None))
    }
    for row in rows:
        value = row.get(field)
        for rule in chosen.get(value.lower(), free) if isinstance(value, str) else free:
            if rule.holds(row):
                rule.note(row)
    for rule in compiled:
        for words, merged in rule.groups.items():
            yield _finding(artifact.name, rule.rule, words, merged)
        if rule.beyond:
            yield limit_problem(rule.rule.name, rule.beyond, artifact.name)


def _deciding_field(artifact: Artifact) -> str:
    """Return the text field that most rules want one exact value of: what it holds tells which rules to try."""
    fields = [name for name, kind in artifact.fields.items() if kind == "string"]
    return max(
        fields,
        key=lambda field: sum(required_texts(rule.where, field) is not None for rule in artifact.detect),
        default="",
    )


def limit_problem(rule: str, beyond: int, artifact: str | None = None) -> Problem:
    """Return the note that a rule met more than it may report; the records and files themselves are all kept."""
    reason = f"the rule {rule} has {FINDINGS_LIMIT} findings; {beyond} further matches are not listed"
    return Problem(stage="detection", artifact=artifact, reason=reason, lost=False)


def _statement(template: str) -> Callable[[Row], str]:
    """Return what fills a statement's ``{field}``; the values themselves are never looked into for more of them."""
    pieces = _PLACEHOLDER.split(template)
    texts, names = pieces[::2], pieces[1::2]

    def fill(row: Row) -> str:
        words = [texts[0]]
        for name, text in zip(names, texts[1:], strict=True):
            words += (shown(row.get(name)), text)
        return "".join(words)

    return fill


def _finding(artifact: str, rule: Rule, statement: str, merged: Merged) -> Finding:
    return Finding(
        finding_id=finding_id(rule.name, [artifact, statement]),
        rule=rule.name,
        severity=rule.severity,
        statement=statement,
        attack=rule.attack,
        details={"artifact": artifact, "cites_total": merged.count, "sources": list(merged.sources)},
        **merged.seen(),
    )
