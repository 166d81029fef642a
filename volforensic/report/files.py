"""Files of interest: what the rules flagged and what findings are about, from one pass over the inventory."""

from collections.abc import Iterable
from functools import partial

from volforensic.record import SEVERITIES, Row
from volforensic.report.bounds import TEXT_LIMIT, Best, bounded, chosen, cut, texts
from volforensic.report.findings import Findings

FILE_LIMIT = 300
STRING_LIMIT = 8
SAME_PATH_LIMIT = 4

_FACTS = ("path", "path_bytes", "volume", "state", "allocated", "type", "size", "mtime", "atime", "ctime", "crtime")
_EXAMINED = ("link_target", "inode", "sha256", "mime", "package")
_NO_FINDING = len(SEVERITIES)


def files_of_interest(rows: Iterable[Row], findings: Findings, owners: dict[int, str]) -> Row:
    """Return the listing of flagged files, those with the worst finding first, and give the findings their files.

    A file is of interest where a YARA rule or an indicator matched or a finding is about it or cites its path.
    ``owners`` names users by uid. Each listed finding with a path gets ``files``: the facts of the entries there.
    """
    best = Best(FILE_LIMIT)
    about: dict[str, list[Row]] = {row["path"]: [] for row in findings.listed if row["path"] is not None}
    for row in rows:
        path = row.get("path", "")
        same_path = about.get(path if len(path) <= TEXT_LIMIT else cut(path))
        if same_path is not None and len(same_path) < SAME_PATH_LIMIT:
            same_path.append(_facts(row, owners))
        citing = findings.citing(path)
        if citing or row.get("yara") or row.get("indicators"):
            best.add(_order(row, findings), partial(_interest, row, citing, owners))
    for finding in findings.listed:
        volume = finding["volume"]
        entries = about.get(finding["path"], [])
        finding["files"] = [entry for entry in entries if volume is None or entry.get("volume", volume) == volume]
    return best.listing()


def _order(row: Row, findings: Findings) -> tuple[int, int, str, int, int]:
    path = row.get("path", "")
    matched = 0 if row.get("yara") else 1
    return findings.subjects.get(path, _NO_FINDING), matched, path, row.get("volume") or 0, row.get("inode") or 0


def _facts(row: Row, owners: dict[int, str]) -> Row:
    facts = chosen(row, (*_FACTS, *_EXAMINED))
    mode, uid, gid = row.get("mode"), row.get("uid"), row.get("gid")
    if isinstance(mode, int):
        facts["mode"] = f"{mode & 0o7777:04o}"
    if isinstance(uid, int):
        facts |= {"uid": bounded(uid), "gid": bounded(gid), "owner": owners.get(uid, "")}
    return facts


def _interest(row: Row, citing: list[str], owners: dict[int, str]) -> Row:
    return _facts(row, owners) | {
        "rules": texts(row.get("yara")),
        "strings": _strings(row.get("matches")),
        "indicators": texts(row.get("indicators")),
        "references": texts(row.get("references")),
        "problems": texts(row.get("problems")),
        "findings": citing,
    }


def _strings(matches: object) -> list[Row]:
    found = [
        {"rule": cut(str(match.get("rule", "")))} | chosen(string, ("identifier", "offset", "text"))
        for match in (matches if isinstance(matches, list) else [])
        for string in match.get("strings", [])[:STRING_LIMIT]
    ]
    return found[: 4 * STRING_LIMIT]
