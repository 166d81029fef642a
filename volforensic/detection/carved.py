"""What was carved out of unallocated space, and deleted files that were open when the snapshot was taken."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from volforensic.detection.judgements import Group, Judgement, Subject, article
from volforensic.detection.rows import cut, integer, shown
from volforensic.detection.yara_findings import YaraRules, grade, matched_strings
from volforensic.record import Finding, Row, finding_id


def deleted_judgements(subject: Subject) -> Iterator[Judgement]:
    """Yield a judgement for a program that was deleted and still in use: it ran when the snapshot was taken."""
    row = subject.row
    if (
        not subject.kind
        or not row.get("size")
        or not is_orphan(row)
        or not row.get("allocated")
        or row.get("nlink") != 0
    ):
        return
    words = f"{article(subject.kind)} was deleted while it was in use: a process still ran or held it"
    group = Group("open", "programs were deleted while they were in use")
    yield Judgement("deleted-program-in-use", "medium", words, ["T1070.004"], {}, [], group)


def is_orphan(row: Row) -> bool:
    """Say whether no name leads to the inode: its path is ours, so that only its content can be judged."""
    return row.get("orphan") is True


def carved_findings(
    pieces: Iterable[Row], yara_rules: YaraRules, order: Mapping[str, int]
) -> Iterator[tuple[Row, Finding]]:
    """Yield a finding with its piece for each carved piece in which YARA matched: rule and grade of the gravest rule.

    ``pieces`` are plain objects: ``offset`` and ``length`` in the source (bytes), ``kind``, ``sha256``, ``yara`` (rule
    names), ``matches``, ``volume``, ``may_belong_to`` (a list of {path, inode, reason}, the strongest reason first).
    """
    for piece in pieces:
        names = piece.get("yara")
        if isinstance(names, list) and names:
            yield piece, _carved(piece, [str(name) for name in names[:_NAMES_LIMIT]], yara_rules, order)


_NAMES_LIMIT = 100


def _belonging(entries: object) -> str:
    """Say which deleted entry a piece may have been, and why that is thought."""
    first = entries[0] if isinstance(entries, list) and entries else None
    if not isinstance(first, dict) or not first.get("path"):
        return ""
    return f"; it may have been the deleted {shown(first['path'])} ({shown(first.get('reason'))})"


def _carved(piece: Row, names: list[str], yara_rules: YaraRules, order: Mapping[str, int]) -> Finding:
    graded = grade(names, yara_rules, order)
    offset, length = integer(piece.get("offset")), integer(piece.get("length"))
    where = f"at byte {offset:,} of the source" if offset is not None else "at a place not known"
    size = f", {length:,} bytes" if length is not None else ""
    belongs = _belonging(piece.get("may_belong_to"))
    statement = (
        f"Unallocated space, {where}{size} ({shown(piece.get('kind'))}): {graded.words};"
        f" SHA-256 {shown(piece.get('sha256'))}{belongs}"
    )
    details: dict[str, Any] = {"offset": offset, "length": length, "yara": graded.names, "sources": graded.sources}
    details |= {key: cut(str(piece[key])) for key in ("kind", "sha256") if piece.get(key)}
    return Finding(
        finding_id=finding_id(graded.names[0], ["carved", str(piece.get("volume")), str(offset)]),
        rule=graded.names[0],
        severity=graded.severity,
        statement=statement,
        attack=graded.attack,
        cites=[],
        evidence=matched_strings(piece.get("matches")),
        volume=integer(piece.get("volume")),
        details=details,
    )
