"""Findings about files, from rows of the inventory: YARA matches, and programs in places or with names of malware."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from volforensic.detection import places
from volforensic.detection.file_graph import PROGRAM_TYPES
from volforensic.detection.rows import cut, integer
from volforensic.detection.rules import EVIDENCE_LIMIT, FINDINGS_LIMIT, limit_problem
from volforensic.detection.temporary_trees import RULE as TEMPORARY_RULE
from volforensic.detection.temporary_trees import TemporaryTrees
from volforensic.record import SEVERITIES, Finding, Problem, Row, Severity, finding_id

_LIBRARY_TYPES = ("application/x-sharedlib", "application/x-object")
_SCRIPT_TYPES = (
    "text/x-sh",
    "text/x-script",
    "text/x-python",
    "text/x-perl",
    "text/x-ruby",
    "text/x-lua",
    "text/x-php",
)
_EXECUTABLE_BITS = 0o111
DEFAULT_SEVERITY: Severity = "medium"
"""Of a YARA rule that does not say: what it finds is worth a look, and nothing more is known."""
_TIMES = (("mtime", "modified"), ("ctime", "changed"), ("crtime", "created"))

YaraRules = Mapping[str, Mapping[str, Any]]
"""Metadata of the YARA rules by name, in the order of the rule files: severity, attack, description, family …"""


class Judgement(NamedTuple):
    """What one rule says of one file."""

    rule: str
    severity: Severity
    words: str
    attack: list[str]
    details: dict[str, Any]
    evidence: list[str]


def file_findings(rows: Iterable[Row], yara_rules: YaraRules) -> Iterator[tuple[Row, list[Finding | Problem]]]:
    """Yield every row with what is found about it; a rule's findings beyond its limit are a problem with the last row.

    ``rows`` are rows of the inventory with the results of the examination in them (``mime``, ``yara``, ``matches``).
    """
    order = {name: number for number, name in enumerate(yara_rules)}
    counts: Counter[str] = Counter()
    trees = TemporaryTrees()
    row: Row = {}
    for row in rows:
        if row.get("type") == "file" and isinstance(row.get("path"), str):
            trees.note(row["path"])
        found = [_finding(row, judgement) for judgement in judge(row, yara_rules, order)]
        yield row, _within_limit([one for one in found if not trees.hold(row, one)], counts)
    for row, one in trees.release():
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


def judge(row: Row, yara_rules: YaraRules, order: Mapping[str, int]) -> Iterator[Judgement]:
    """Yield what the rules say of one row of the inventory: at most one judgement from YARA, and those of its place."""
    path = row.get("path")
    if row.get("type") != "file" or not isinstance(path, str):
        return
    if isinstance(row.get("yara"), list) and row["yara"]:
        yield _yara_judgement(row, yara_rules, order)
    kind = _program_kind(row)
    if kind and row.get("allocated", True) and row.get("size") != 0:
        yield from _place_judgements(path, kind)


def _yara_judgement(row: Row, yara_rules: YaraRules, order: Mapping[str, int]) -> Judgement:
    """Return one judgement for all the rules that match: named and graded by the most severe, the first of these."""
    names = [str(name) for name in row["yara"]]
    severities = {name: _severity(yara_rules.get(name, {})) for name in names}
    names.sort(key=lambda name: (SEVERITIES.index(severities[name]), order.get(name, len(order)), name))
    metas = [yara_rules.get(name, {}) for name in names]
    description = str(metas[0].get("description") or metas[0].get("statement") or "").rstrip(".")
    others = f"; also {', '.join(names[1:])}" if len(names) > 1 else ""
    words = (
        f"{description} (YARA rule {names[0]}{others})" if description else f"matches the YARA rule {names[0]}{others}"
    )
    attack = sorted({technique for meta in metas for technique in _techniques(meta)})
    sources = {
        name: {key: str(meta[key]) for key in ("author", "reference", "license") if meta.get(key)}
        for name, meta in zip(names, metas, strict=True)
    }
    return Judgement(
        rule=names[0],
        severity=severities[names[0]],
        words=words,
        attack=attack,
        details={"yara": names, "sources": sources},
        evidence=_matched_strings(row),
    )


def _matched_strings(row: Row) -> list[str]:
    lines = []
    matches = row.get("matches")
    for match in matches if isinstance(matches, list) else []:
        for string in (match.get("strings") or []) if isinstance(match, dict) else []:
            offset = string.get("offset")
            where = f"{offset:#x}" if type(offset) is int else "-"
            lines.append(cut(f"{match.get('rule')} {string.get('identifier')} at {where}: {string.get('text')}"))
    return lines[:EVIDENCE_LIMIT]


def _severity(meta: Mapping[str, Any]) -> Severity:
    given = meta.get("severity")
    return given if given in SEVERITIES else DEFAULT_SEVERITY


def _techniques(meta: Mapping[str, Any]) -> list[str]:
    attack = meta.get("attack") or []
    given = attack.split(",") if isinstance(attack, str) else attack
    return [str(technique).strip() for technique in given]


def _program_kind(row: Row) -> str:
    """Return what program a file is: an executable, a library, a script, or none.

    A script counts where its mode lets someone run it; an ELF executable always, since a mode is set in a moment.
    """
    mime = row.get("mime")
    if not isinstance(mime, str):
        return ""
    if mime.startswith(PROGRAM_TYPES):
        return "executable"
    mode = row.get("mode")
    runnable = type(mode) is int and bool(mode & _EXECUTABLE_BITS)
    if mime.startswith(_LIBRARY_TYPES):
        return "executable" if runnable else "library"
    return "script" if runnable and (row.get("family") == "script" or mime.startswith(_SCRIPT_TYPES)) else ""


def _place_judgements(path: str, kind: str) -> Iterator[Judgement]:
    inner, contained = places.inside_container(path)
    name = inner.rsplit("/", 1)[-1]
    likeness = places.kernel_thread_name(name) if kind != "library" else ""
    if likeness:
        words = f"{_article(kind)} {likeness} the name of a kernel thread ({name}), which is never a file"
        yield _place("name-of-kernel-thread", "high", words, ["T1036.005"])
    directory = places.temporary_directory(inner)
    if directory is not None:
        if kind != "library":
            yield _temporary_judgement(inner, directory, kind, contained=contained)
        return
    if inner.startswith("/dev/") and name != "MAKEDEV":
        words = f"{_article(kind)} lies under /dev, where only device nodes belong"
        yield _place("executable-in-device-directory", "high", words, ["T1564.001"])
        return
    hidden = places.hidden_part(inner)
    if hidden is not None:
        where = "is itself hidden" if hidden == name else f"lies in a hidden directory ({hidden})"
        yield _place("executable-in-hidden-directory", "medium", f"{_article(kind)} {where}", ["T1564.001"])


def _temporary_judgement(path: str, directory: str, kind: str, *, contained: bool) -> Judgement:
    hidden = "/." in path
    severity: Severity = "high" if hidden or directory.endswith("/shm/") else "medium"
    if severity == "medium" and (kind == "script" or contained or places.is_build_leftover(path, directory)):
        severity = "low"
    words = f"{_article(kind)} lies in {directory}, where every account may write"
    if hidden:
        words += ", under a hidden name"
    return _place(TEMPORARY_RULE, severity, words, ["T1036.005", "T1564.001"] if hidden else [])


def _article(kind: str) -> str:
    return "an executable" if kind == "executable" else f"a {kind}"


def _place(rule: str, severity: Severity, words: str, attack: list[str]) -> Judgement:
    return Judgement(rule, severity, words, attack, {}, [])


def _finding(row: Row, judgement: Judgement) -> Finding:
    """Return the finding; without ``first_seen``, for anyone may set a file's time of modification (utimensat(2))."""
    path = str(row["path"])
    deleted = "" if row.get("allocated", True) else "deleted "
    statement = f"The {deleted}file {cut(path)}: {judgement.words}; {_facts(row)}"
    return Finding(
        finding_id=finding_id(judgement.rule, [str(row.get("volume")), path, str(row.get("inode"))]),
        rule=judgement.rule,
        severity=judgement.severity,
        statement=statement,
        attack=judgement.attack,
        cites=[path],
        evidence=judgement.evidence,
        path=path,
        path_bytes=row.get("path_bytes"),
        volume=integer(row.get("volume")),
        details={
            **judgement.details,
            **{key: row.get(key) for key in ("sha256", "size", "uid", "mode", "mime", "inode")},
            **{key: row[key] for key, _ in _TIMES if row.get(key)},
        },
    )


def _facts(row: Row) -> str:
    """Return what a reader looks up first: size, hash, owner, times."""
    facts = [f"{row.get('size', '-')} bytes", f"SHA-256 {row.get('sha256') or '-'}", f"owner uid {row.get('uid', '-')}"]
    facts += [f"{word} {row[key]}" for key, word in _TIMES if row.get(key)]
    return ", ".join(facts)
