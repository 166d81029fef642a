"""Findings that want what all rows say together before they are told."""

from collections.abc import Iterator

import msgspec

from volforensic.detection.file_times import MANY, FileTimes, is_image_builders
from volforensic.detection.file_times import RULE as TIMES_RULE
from volforensic.detection.groups import Groups
from volforensic.detection.judgements import Group, Subject, finding_of, slim
from volforensic.detection.kernel_modules import KernelModules
from volforensic.detection.privileges import PROGRAM_DIRECTORIES, SETUID, SHELL, grants, shell_copy
from volforensic.detection.rows import cut
from volforensic.detection.system_places import RULE as SYSTEM_RULE
from volforensic.detection.system_places import SYSTEM_DIRECTORY
from volforensic.detection.weighing import raised
from volforensic.record import Finding, Row, finding_id

HELD_LIMIT = 5_000
"""Findings that are kept with their rows; beyond it they are told without what the other rows say."""
_SHELLS_LIMIT = 5_000
_LATE_RULES = frozenset({SYSTEM_RULE, "suspicious-program", "name-of-system-daemon", "unowned-kernel-module"})


class LateFindings:
    """Findings about programs that times of other files may make graver, setuid files, impossible times."""

    def __init__(self, times: FileTimes, groups: Groups) -> None:
        """Keep nothing yet; ``times`` is asked at the end, ``groups`` takes what need not wait."""
        self._times = times
        self._groups = groups
        self._modules = KernelModules()
        self._held: list[tuple[Row, Finding, Group | None]] = []
        self._impossible: list[tuple[Row, Finding, Group | None]] = []
        self._setuid: list[Subject] = []
        self._shells: dict[str, str] = {}
        self._files = 0
        self._claimed = 0
        self._unowned = 0

    def note(self, subject: Subject) -> None:
        """Note the hash of a shell and what the package database says of the system's programs."""
        self._files += 1
        if not subject.kind:
            self._modules.note(subject)
            return
        if "elf" in subject.row:
            self._modules.note(subject)
        if subject.verdict and SYSTEM_DIRECTORY.match(subject.inner):
            if subject.unowned:
                self._unowned += 1
            else:
                self._claimed += 1
        row = subject.row
        digest = row.get("sha256")
        if not isinstance(digest, str) or not row.get("size"):
            return
        if subject.mode & SETUID:
            if grants(subject) and len(self._setuid) < _SHELLS_LIMIT:
                self._setuid.append(slim(subject))
        elif len(self._shells) < _SHELLS_LIMIT and _is_shell(subject):
            self._shells.setdefault(digest, subject.path)

    def hold(self, subject: Subject, finding: Finding, group: Group | None) -> bool:
        """Keep a finding to the end; False where it is to be told as it is."""
        if finding.rule == TIMES_RULE and group is not None:
            if len(self._impossible) >= MANY:
                self._groups.add(subject.row, _by_builders(finding), group)
            else:
                self._impossible.append((slim(subject).row, finding, group))
            return True
        if finding.rule not in _LATE_RULES or len(self._held) >= HELD_LIMIT:
            return False
        self._held.append((slim(subject).row, finding, group))
        return True

    def release(self) -> Iterator[tuple[Row, Finding, Group | None]]:
        """Yield the findings with their groups."""
        yield from self._programs()
        yield from self._copies()
        builders = is_image_builders(len(self._impossible), self._files)
        for row, finding, group in self._impossible:
            yield row, _by_builders(finding) if builders else finding, group
        for subject, judgement in self._times.later_judgements():
            yield subject.row, finding_of(subject.row, judgement), judgement.group

    def _programs(self) -> Iterator[tuple[Row, Finding, Group | None]]:
        fits = self._unowned <= self._claimed
        first = True
        for row, finding, group in self._held:
            if fits or finding.rule != SYSTEM_RULE:
                yield row, self._with_signs(row, finding), group
            elif first:
                first = False
                yield row, _unfit(finding, self._unowned, self._claimed), None

    def _with_signs(self, row: Row, finding: Finding) -> Finding:
        signs = [*self._times.late_signs(row), *self._modules.late_signs(row)]
        if not signs:
            return finding
        words = [sign.words for sign in signs]
        details = {**finding.details, "signs": [*finding.details.get("signs", ()), *words]}
        higher = None if "raised" in details else raised(finding.severity, signs)
        if higher is not None:
            details["raised"] = f"from {finding.severity} by its signs"
        evidence = [*finding.evidence, cut(f"signs: {'; '.join(words)}")]
        return msgspec.structs.replace(finding, severity=higher or finding.severity, details=details, evidence=evidence)

    def _copies(self) -> Iterator[tuple[Row, Finding, Group | None]]:
        for subject in self._setuid:
            original = self._shells.get(str(subject.row.get("sha256")))
            if original is not None and original != subject.path:
                judgement = shell_copy(subject, original)
                yield subject.row, finding_of(subject.row, judgement), judgement.group


def _by_builders(finding: Finding) -> Finding:
    """Return the finding as no suspicion: where a tool made the whole image, its files were born when it ran."""
    return msgspec.structs.replace(finding, severity="info")


def _is_shell(subject: Subject) -> bool:
    return subject.inner.startswith(PROGRAM_DIRECTORIES) and SHELL.fullmatch(subject.name) is not None


def _unfit(finding: Finding, unowned: int, claimed: int) -> Finding:
    """Return the one finding in place of many where the database does not know most of the system's programs."""
    statement = (
        f"The package database knows {claimed:,} of the programs in the system's directories and does not know"
        f" {unowned:,}: it does not belong to this system, or most of it was removed; that a file is unowned says"
        " little here"
    )
    return Finding(
        finding_id=finding_id("package-database-does-not-fit", [str(finding.volume)]),
        rule="package-database-does-not-fit",
        severity="low",
        statement=statement,
        cites=finding.cites,
        volume=finding.volume,
        count=unowned,
        details={"claimed": claimed, "unowned": unowned},
    )
