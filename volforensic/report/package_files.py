"""What the packages say of the files: how many are as shipped, which are not, and what nobody shipped."""

from collections.abc import Iterable, Iterator
from functools import partial

from volforensic.detection.judgements import is_elf
from volforensic.record import SEVERITIES, Row
from volforensic.report.bounds import Best, bounded, chosen, listing
from volforensic.report.findings import Findings

VERDICTS = ("proved", "altered", "config changed", "unverified", "unowned")
ALTERED_LIMIT = 100
UNOWNED_LIMIT = 200
MISSING_LIMIT = 100

CAVEAT = (
    "The package databases lie on the suspect disk and can have been edited by whoever was root there: proved means"
    " that a file is as the disk's own database says, not that its vendor shipped it. Compare with hash sets from"
    " elsewhere (--known-good) where it matters."
)
"""What stands beside the verdicts, wherever there is one."""

_FACTS = ("path", "path_bytes", "volume", "size", "mtime", "ctime", "crtime", "inode", "sha256", "mime", "package")
_SETID = 0o6000
_NO_FINDING = len(SEVERITIES)


class PackageFiles:
    """Counts the verdicts of the inventory's rows as they pass; keeps what was altered and the unowned programs."""

    def __init__(self, findings: Findings) -> None:
        """Start with none; what a finding is about is listed first."""
        self._findings = findings
        self._verdicts = dict.fromkeys(VERDICTS, 0)
        self._without = 0
        self._altered = Best(ALTERED_LIMIT)
        self._unowned = Best(UNOWNED_LIMIT)

    def watch(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Pass the rows on; regular files and links in use are counted."""
        for row in rows:
            if row.get("allocated", True) and row.get("type") in ("file", "symlink"):
                self._take(row)
            yield row

    def section(self, missing: Iterable[Row]) -> Row:
        """Return the section; ``missing`` are files that packages own and the disk lacks."""
        known = any(self._verdicts.values())
        return {
            "verdicts": dict(self._verdicts),
            "no_verdict": self._without,
            "caveat": CAVEAT if known else "",
            "altered": self._altered.listing(),
            "unowned_programs": self._unowned.listing(),
            "missing": listing(_lacking(missing), MISSING_LIMIT),
        }

    def _take(self, row: Row) -> None:
        package = row.get("package")
        verdict = package.get("verdict") if isinstance(package, dict) else None
        if not isinstance(verdict, str) or verdict not in self._verdicts:
            self._without += 1
            return
        self._verdicts[verdict] += 1
        if verdict == "altered":
            self._altered.add(self._order(row), partial(self._shown, row))
        elif verdict == "unowned" and is_elf(row):
            self._unowned.add(self._order(row), partial(self._shown, row))

    def _order(self, row: Row) -> tuple[int, int, str, int]:
        path, mode, volume = str(row.get("path", "")), row.get("mode"), row.get("volume")
        plain = 0 if isinstance(mode, int) and mode & _SETID else 1
        number = volume if isinstance(volume, int) else 0
        return self._findings.subjects.get(path, _NO_FINDING), plain, path, number

    def _shown(self, row: Row) -> Row:
        mode = row.get("mode")
        facts = chosen(row, _FACTS) | ({"mode": f"{mode & 0o7777:04o}"} if isinstance(mode, int) else {})
        return facts | {"uid": bounded(row.get("uid")), "findings": self._findings.citing(row.get("path", ""))}


def _lacking(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield what is missing without what the host's own rules left out (dpkg's path-exclude, rpm's nodocs)."""
    for row in rows:
        if not row.get("excluded"):
            package = row.get("package") if isinstance(row.get("package"), str) else row.get("name")
            keys = ("path", "path_bytes", "volume", "version", "manager", "is_config", "uncertain")
            yield chosen(row, keys) | {"package": bounded(package)}
