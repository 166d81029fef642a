"""Times of a file that contradict each other or the other files of its filesystem (ATT&CK T1070.006).

What can be set and what cannot: modification and access by anybody (utimensat(2)); the change of the inode by the
kernel alone; the birth by the kernel at creation. So a birth after the last change is impossible on a running host,
unless its clock stepped back: it is made by debugfs(8) and its like, by tools that build images, and by clocks. A
modification time before the birth is ordinary: tar(1), rsync(1), dpkg(1) and `cp -p` restore it.
"""

from collections import Counter
from collections.abc import Iterator

from volforensic.detection.judgements import Group, Judgement, Sign, Subject, slim
from volforensic.detection.rows import cut, string
from volforensic.detection.times import DAY, SECOND, microseconds, shown_time
from volforensic.record import Row, Severity, timestamp_text

RULE = "times-contradict"
DAYS_LIMIT = 20_000
"""Days on which inodes changed that are counted: the days of fifty years."""
TIMES_LIMIT = 100_000
"""Modification times of the system's own programs that are remembered."""
MANY = 50
"""So many files of one volume with a birth after the change were made by whatever built the image."""
_SEVERAL = 3  # changes of inodes that are believed together
_FEW_LIMIT = 20_000
_LONG_AFTER = 366 * DAY  # hosts lie still for months: only what lies a year apart was misdated
_SLACK = 2 * SECOND


class FileTimes:
    """What the files say of times: the days on which inodes changed, and the times of known programs."""

    def __init__(self) -> None:
        """Start with no file."""
        self._days: Counter[str] = Counter()
        self._known: dict[str, tuple[str, int]] = {}
        self._few: list[tuple[str, Subject]] = []
        self._newest: int | None = None

    def note(self, subject: Subject) -> None:
        """Note the day on which an inode changed; and the times of a program that is the package's own."""
        row = subject.row
        changed = row.get("ctime")
        if isinstance(changed, str):
            day = changed[:10]
            if day in self._days or len(self._days) < DAYS_LIMIT:
                self._days[day] += 1
                if self._days[day] < _SEVERAL and len(self._few) < _FEW_LIMIT:
                    self._few.append((day, slim(subject)))
        if subject.kind and subject.settled and len(self._known) < TIMES_LIMIT:
            stamp, born = string(row.get("mtime")), microseconds(row.get("crtime"))
            if stamp and born is not None:
                self._known.setdefault(stamp, (subject.path, born))

    def judgements(self, subject: Subject) -> Iterator[Judgement]:
        """Yield a judgement where a file's own times contradict each other; most are compared as the texts they are."""
        row = subject.row
        changed, modified, born = row.get("ctime"), row.get("mtime"), row.get("crtime")
        if not isinstance(changed, str) or subject.contained:
            return
        if isinstance(born, str) and born > changed and _apart(born, changed) > _SLACK:
            words = "it was created after its inode changed last, which no running kernel writes"
            severity: Severity = "medium" if subject.kind and not subject.settled else "low"
            yield _judgement(subject, severity, words, "were created after their inodes changed last")
        if isinstance(modified, str) and modified > changed and _apart(modified, changed) > DAY and not subject.settled:
            words = "its time of modification lay in the future when it was set, by its own inode"
            yield _judgement(
                subject, "low", words, "have times of modification that lay in the future when they were set"
            )

    def later_judgements(self) -> Iterator[tuple[Subject, Judgement]]:
        """Yield a judgement for each of the few inodes that changed long after all others; at the end."""
        for day, subject in self._few:
            newest = self.newest()
            changed = microseconds(f"{day}T00:00:00.000000Z")
            if newest is not None and changed is not None and changed > newest + _LONG_AFTER and not subject.contained:
                words = (
                    "its inode changed more than a year after the last day that several inodes have seen"
                    f" ({shown_time(timestamp_text(newest - 1))}): the clock was wrong, or the time was written by hand"
                )
                plural = "have inodes that changed more than a year after the last day that several inodes have seen"
                yield subject, _judgement(subject, "low", words, plural)

    def late_signs(self, row: Row) -> Iterator[Sign]:
        """Yield signs about a program that want the other files: times copied from another, set to a whole second."""
        modified, changed, born = (microseconds(row.get(key)) for key in ("mtime", "ctime", "crtime"))
        stamp = string(row.get("mtime"))
        if stamp is None or modified is None or born is None:
            return
        known = self._known.get(stamp)
        if known is not None and known[0] != row.get("path") and born - known[1] > DAY:
            words = f"its time of modification is exactly that of {cut(known[0])}, though it was created later"
            yield Sign("time", words, 3)
        elif _is_whole(stamp) and born - modified > 30 * DAY:
            yield Sign("time", "its time of modification is a whole second long before its creation", 1)
        newest = self.newest()
        if newest is not None and max(modified, born, changed or 0) > newest + DAY:
            yield Sign("time", "one of its times is later than the last day that several inodes have seen", 1)

    def newest(self) -> int | None:
        """Return the end of the day on which the third newest change of an inode was, in microseconds since 1970.

        All volumes count together: a quiet one lies beside one that is written to. One inode can be given any time, the
        days on which a host ran cannot; the examiner's own clock says nothing. To be asked when all rows were noted.
        """
        if self._newest is None:
            count = 0
            for day in sorted(self._days, reverse=True):
                count += self._days[day]
                if count >= _SEVERAL:
                    start = microseconds(f"{day}T00:00:00.000000Z")
                    self._newest = None if start is None else start + DAY
                    break
        return self._newest


def is_image_builders(count: int, total: int) -> bool:
    """Say whether so many files with impossible times were made by what built the image, not by a hand."""
    return count >= MANY or count * 20 > max(total, 1)


def _judgement(subject: Subject, severity: Severity, words: str, plural: str) -> Judgement:
    group = Group(f"{plural}{subject.row.get('tree') or ''}", f"files {plural}")
    return Judgement(RULE, severity, words, ["T1070.006"], {}, [], group)


def _apart(later: str, earlier: str) -> int:
    """Return how much later a time is, in microseconds; 0 where one of them is none."""
    first, second = microseconds(later), microseconds(earlier)
    return 0 if first is None or second is None else first - second


def _is_whole(stamp: str) -> bool:
    return stamp[19:].strip("0Z") == "."
