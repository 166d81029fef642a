"""The verdict: one sentence, a pure function of the findings and of what was read.

It never calls a system clean: no finding means that nothing that was looked for was found in what was read.
"""

from typing import NamedTuple

from volforensic.record import SEVERITIES, Row
from volforensic.report.bounds import cut

STATEMENT_LIMIT = 120
"""Characters of a finding's statement inside the verdict, which is read at a glance: the finding has it whole."""
ALARMING = SEVERITIES[:3]
"""Severities that the sentence names; the others are counted as low."""


class Reading(NamedTuple):
    """What became of the reading.

    ``looked_for`` is the number of rows of the coverage (artifact on volume), ``absent`` those that are not on the
    evidence, ``unread`` those that could not be read at all, ``partial`` those read in part, ``places`` the problems
    that lost something. ``declared_complete`` is what the coverage itself says; ``unchanged`` tells whether the
    source's hash was the same before and after, None where it was not compared.
    """

    looked_for: int
    absent: int
    unread: int
    partial: int
    places: int
    declared_complete: bool
    unchanged: bool | None
    unread_sources: int = 0

    @property
    def whole(self) -> bool:
        """Whether everything that was looked for was read."""
        lost = self.unread or self.partial or self.places or self.unread_sources
        return self.looked_for > 0 and self.declared_complete and not lost

    @property
    def complete(self) -> bool:
        """Whether everything was read, and from evidence that is not known to have changed meanwhile."""
        return self.whole and self.unchanged is not False


def together(readings: list[Reading], unread_sources: int = 0) -> Reading:
    """Return the reading of several evidence items as one; without any, nothing was looked for.

    ``unread_sources`` is the number of sources that could not be read and so are no items.
    """
    if not readings:
        return Reading(0, 0, 0, 0, 0, declared_complete=False, unchanged=None, unread_sources=unread_sources)
    unchanged = [reading.unchanged for reading in readings]
    return Reading(
        sum(reading.looked_for for reading in readings),
        sum(reading.absent for reading in readings),
        sum(reading.unread for reading in readings),
        sum(reading.partial for reading in readings),
        sum(reading.places for reading in readings),
        # an item for which nothing was looked for must not hide behind the others
        declared_complete=all(reading.declared_complete and reading.looked_for for reading in readings),
        unchanged=False if False in unchanged else None if None in unchanged else True,
        unread_sources=unread_sources,
    )


def judge(counts: dict[str, int], top_statement: str, reading: Reading) -> Row:
    """Return ``{sentence, severity, findings, complete, unchanged}``.

    ``counts`` holds the number of findings of each severity, ``top_statement`` the statement of the first of the
    most severe. ``severity`` of the verdict is that of the most severe finding, None without findings.
    """
    present = [severity for severity in SEVERITIES if counts.get(severity)]
    judged, alarming = _judged(counts, top_statement)
    sentence = f"{judged}{_read(reading, alarming=alarming)}."
    if reading.unchanged is False:
        sentence = f"The evidence changed: its SHA-256 before and after reading differ. {sentence}"
    return {
        "sentence": sentence,
        "severity": present[0] if present else None,
        "findings": {severity: counts.get(severity, 0) for severity in SEVERITIES},
        "complete": reading.complete,
        "unchanged": reading.unchanged,
    }


def _judged(counts: dict[str, int], top_statement: str) -> tuple[str, bool]:
    alarming = [severity for severity in ALARMING if counts.get(severity)]
    if alarming:
        total = sum(counts[severity] for severity in alarming)
        named = _series([f"{counts[severity]:,} {severity}" for severity in alarming])
        return f"{named} {_noun(total, 'finding')}: {_beginning(top_statement)}", True
    lesser = [f"{counts[severity]:,} {severity}" for severity in SEVERITIES if counts.get(severity)]
    return f"No finding above low ({_series(lesser)})" if lesser else "No finding", False


def _beginning(statement: str) -> str:
    """Return the statement without its full stop, or as many of its words as there is room for."""
    printable = cut(statement, len(statement))
    if len(printable) <= STATEMENT_LIMIT:
        return printable.rstrip(".")
    room = printable[:STATEMENT_LIMIT]
    return (room.rpartition(" ")[0].rstrip(" .,;:") or room) + " …"


def _read(reading: Reading, *, alarming: bool) -> str:
    if reading.looked_for == 0:
        said = "nothing was looked for"
    elif reading.absent == reading.looked_for:
        said = f"none of the {reading.looked_for:,} artifacts looked for exists on this evidence"
    elif reading.whole:
        return "; everything that was looked for was read"
    else:
        said = _lost(reading)
    return f"; {said}" if alarming else f", but {said}: absence of findings is not proof"


def _lost(reading: Reading) -> str:
    parts = []
    if reading.unread:
        parts.append(f"{_counted(reading.unread, 'artifact')} could not be read")
    if reading.partial:
        were = "was" if reading.partial == 1 else "were"
        parts.append(f"{_counted(reading.partial, 'artifact')} {were} read only in part")
    if reading.places:
        parts.append(f"{_counted(reading.places, 'place')} of the evidence could not be read")
    if reading.unread_sources:
        parts.append(f"{_counted(reading.unread_sources, 'whole source')} could not be read")
    if not parts:
        return "reading was not complete"
    return "reading was partial: " + _series(parts)


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {_noun(number, noun)}"


def _noun(number: int, noun: str) -> str:
    return noun if number == 1 else f"{noun}s"


def _series(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
