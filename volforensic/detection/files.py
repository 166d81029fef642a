"""Findings about files, from rows of the inventory: one pass, and what is told at its end.

Most rules look at one row. What many rows say together (groups, copies of shells, times of other files, a package
database that does not fit) is told when all have passed.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from volforensic.detection.attributes import attribute_judgements
from volforensic.detection.carved import carved_findings, deleted_judgements, is_orphan
from volforensic.detection.daemons import daemon_judgements
from volforensic.detection.devices import device_judgements
from volforensic.detection.file_owners import owner_judgements
from volforensic.detection.file_times import FileTimes
from volforensic.detection.groups import Groups
from volforensic.detection.hash_findings import known_bad_judgements
from volforensic.detection.judgements import Group, Judgement, Subject, finding_of, subject_of
from volforensic.detection.late import LateFindings
from volforensic.detection.odd_names import RepeatedNames, extension_judgements, name_judgements
from volforensic.detection.package_findings import altered_judgements, missing_findings
from volforensic.detection.place_findings import place_judgements
from volforensic.detection.privileges import SETGID, SETUID, privilege_judgements
from volforensic.detection.program_signs import signs_of
from volforensic.detection.rules import FINDINGS_LIMIT, limit_problem
from volforensic.detection.surroundings import Surroundings
from volforensic.detection.system_places import system_judgements
from volforensic.detection.temporary_trees import TemporaryTrees
from volforensic.detection.web_roots import web_judgements
from volforensic.detection.weighing import weighed
from volforensic.detection.yara_findings import YaraRules, yara_judgement
from volforensic.record import Finding, Problem, Row

_CARVED = Group("carved", "pieces of unallocated space match")


def file_findings(
    rows: Iterable[Row],
    yara_rules: YaraRules,
    surroundings: Surroundings | None = None,
    *,
    missing: Iterable[Row] = (),
    carved: Iterable[Row] = (),
) -> Iterator[tuple[Row, list[Finding | Problem]]]:
    """Yield every row with what is found about it; a rule's findings beyond its limit are a problem with the last row.

    ``rows`` are rows of the inventory with the results of the examination in them (``mime``, ``yara``, ``package``,
    ``elf`` …), in the order of the walk. What is told at the end comes with its row once more. ``missing`` are files
    that packages own and the disk lacks, ``carved`` pieces of unallocated space.
    """
    rules = FileRules(yara_rules, surroundings or Surroundings())
    counts: Counter[str] = Counter()
    row: Row = {}
    for row in rows:
        yield row, _within_limit(rules.take(row), counts)
    for row, one in rules.release(missing, carved):
        yield row, _within_limit([one], counts)
    beyond = [limit_problem(rule, count - FINDINGS_LIMIT) for rule, count in counts.items() if count > FINDINGS_LIMIT]
    if beyond:
        yield row, [*beyond]


def _within_limit(found: Iterable[Finding], counts: Counter[str]) -> list[Finding | Problem]:
    """Count the findings by rule and return those within the limit."""
    kept: list[Finding | Problem] = []
    for one in found:
        counts[one.rule] += 1
        if counts[one.rule] <= FINDINGS_LIMIT:
            kept.append(one)
    return kept


class FileRules:
    """All rules about files and what they keep of the rows that passed."""

    def __init__(self, yara_rules: YaraRules, surroundings: Surroundings) -> None:
        """Start with no row."""
        self._yara_rules = yara_rules
        self._order: Mapping[str, int] = {name: number for number, name in enumerate(yara_rules)}
        self._surroundings = surroundings
        self._trees = TemporaryTrees()
        self._names = RepeatedNames()
        self._times = FileTimes()
        self._groups = Groups()
        self._late = LateFindings(self._times, self._groups)

    def take(self, row: Row) -> list[Finding]:
        """Return what is found about a row at once; what is told later is kept."""
        subject = subject_of(row)
        if subject is None:
            return []
        if not row.get("allocated", True) or is_orphan(row):
            return self._told(subject, list(self._of_deleted(subject)))
        self._note(subject)
        judged = list(self._of_entry(subject))
        if row.get("type") == "file":
            judged += self._of_file(subject)
        signs = signs_of(subject, self._surroundings)
        return self._told(subject, weighed(subject, judged, signs) if judged or signs else judged)

    def release(self, missing: Iterable[Row], carved: Iterable[Row]) -> Iterator[tuple[Row, Finding]]:
        """Yield what was kept, with its row; then what packages lack and what was carved."""
        yield from self._trees.release()
        for row, finding, group in self._late.release():
            if group is None:
                yield row, finding
            else:
                self._groups.add(row, finding, group)
        for row, finding, group in missing_findings(missing):
            self._groups.add(row, finding, group)
        for piece, finding in carved_findings(carved, self._yara_rules, self._order):
            self._groups.add(piece, finding, _CARVED)
        yield from self._groups.release()

    def _note(self, subject: Subject) -> None:
        if subject.row.get("type") == "file":
            self._trees.note(subject.path)
        self._times.note(subject)
        self._late.note(subject)

    def _of_deleted(self, subject: Subject) -> Iterator[Judgement]:
        if subject.row.get("type") == "file":
            yield from self._by_content(subject)
            yield from deleted_judgements(subject)

    def _of_entry(self, subject: Subject) -> Iterator[Judgement]:
        """Yield what is said of an entry of any type; most rules are not even asked about a plain one."""
        row = subject.row
        yield from name_judgements(subject)
        yield from self._names.judgements(subject)
        yield from self._times.judgements(subject)
        if row.get("type") != "directory":
            yield from device_judgements(subject)
        if row.get("attributes"):
            yield from attribute_judgements(subject)
        if self._surroundings.lacks(subject.uid):
            yield from owner_judgements(subject, self._surroundings)
        if subject.verdict == "altered":
            yield from altered_judgements(subject)

    def _of_file(self, subject: Subject) -> Iterator[Judgement]:
        yield from self._by_content(subject)
        if subject.row.get("size") == 0:
            return
        if subject.kind:
            yield from place_judgements(subject)
            yield from daemon_judgements(subject)
        if subject.unowned:
            yield from system_judgements(subject)
        if not subject.settled:
            yield from web_judgements(subject, self._surroundings)
            yield from extension_judgements(subject)
        if subject.mode & (SETUID | SETGID) or subject.row.get("capabilities"):
            yield from privilege_judgements(subject)

    def _by_content(self, subject: Subject) -> Iterator[Judgement]:
        yara = subject.row.get("yara")
        if isinstance(yara, list) and yara:
            yield yara_judgement(subject, self._yara_rules, self._order)
        yield from known_bad_judgements(subject)

    def _told(self, subject: Subject, judged: list[Judgement]) -> list[Finding]:
        """Return the findings to be told now; keep the others."""
        told = []
        for judgement in judged:
            finding = finding_of(subject.row, judgement)
            if self._late.hold(subject, finding, judgement.group):
                continue
            if judgement.group is not None:
                self._groups.add(subject.row, finding, judgement.group)
            elif "raised" in finding.details or not self._trees.hold(subject.row, finding):
                told.append(finding)
        return told
