"""A file as the rules see it, and what a rule says of it: subject, sign, judgement and the finding made of them."""

from typing import Any, NamedTuple

from volforensic.detection import places
from volforensic.detection.file_graph import PROGRAM_TYPES
from volforensic.detection.rows import cut, integer
from volforensic.record import Finding, Row, Severity, finding_id

LIBRARY_TYPES = ("application/x-sharedlib", "application/x-object")
_SCRIPT_TYPES = (
    "text/x-sh",
    "text/x-script",
    "text/x-python",
    "text/x-perl",
    "text/x-ruby",
    "text/x-lua",
    "text/x-php",
)
EXECUTABLE_BITS = 0o111
ALONE_LIMIT = 5
"""So many findings of one group are told one by one, where the group does not say otherwise."""
_TIMES = (("mtime", "modified"), ("ctime", "changed"), ("crtime", "created"))
WEAK_MANAGERS = frozenset({"pip", "npm"})
"""Managers whose lists anybody who writes the files writes as well: their proof excuses nothing."""
_KEPT = (
    *(
        "volume",
        "path",
        "path_bytes",
        "type",
        "allocated",
        "inode",
        "mtime",
        "ctime",
        "crtime",
        "sha256",
        "size",
        "uid",
    ),
    *("uid", "gid", "mode", "mime", "references", "indicators", "elf"),
)
_NO_PACKAGE: dict[str, Any] = {}


class Group(NamedTuple):
    """What a judgement is counted with where there are many: a key, and words for several files of it.

    ``alone`` is how many of them are told one by one.
    """

    key: str
    words: str
    alone: int = ALONE_LIMIT


class Judgement(NamedTuple):
    """What one rule says of one file; with a ``group`` it is told together with others of the same."""

    rule: str
    severity: Severity
    words: str
    attack: list[str]
    details: dict[str, Any]
    evidence: list[str]
    group: Group | None = None


class Sign(NamedTuple):
    """One thing about a file that says little alone: topic, words, and how much it weighs (1 little, 3 nearly enough).

    Topics: package, owner, name, place, attribute, privilege, yara, built, time.
    """

    topic: str
    words: str
    weight: int


class Subject(NamedTuple):
    """One row of the inventory, with what most rules ask of it.

    ``inner`` is the path as a container saw it, ``path`` itself outside of one. ``kind`` is executable, library,
    script or none. ``verdict`` is the package verdict, empty where nobody can say. ``settled`` says that a set of
    known good hashes holds the content, or that a package brought it and its digest agrees.
    """

    row: Row
    path: str
    inner: str
    contained: bool
    name: str
    kind: str
    mode: int
    verdict: str
    known_good: bool

    @property
    def settled(self) -> bool:
        """Whether the content is what a package or a set of known good files says."""
        return self.known_good or (
            self.verdict == "proved" and str(package_of(self.row).get("manager")) not in WEAK_MANAGERS
        )

    @property
    def unowned(self) -> bool:
        """Whether a readable package database does not know the path."""
        return self.verdict == "unowned"

    @property
    def directory(self) -> str:
        """The directory that it lies in, without a closing slash (empty for the root)."""
        return self.path.rpartition("/")[0]

    @property
    def uid(self) -> int | None:
        """The number of the owner."""
        return integer(self.row.get("uid"))


def subject_of(row: Row) -> Subject | None:
    """Return the row as rules see it; None where it has no path."""
    path = row.get("path")
    if not isinstance(path, str):
        return None
    inner, contained = places.inside_container(path)
    mode = row.get("mode")
    known = row.get("known")
    return Subject(
        row=row,
        path=path,
        inner=inner,
        contained=contained,
        name=inner.rpartition("/")[2],
        kind=program_kind(row) if row.get("type") == "file" else "",
        mode=mode if type(mode) is int else 0,
        verdict=str(package_of(row).get("verdict") or ""),
        known_good=isinstance(known, dict) and bool(known.get("good")),
    )


def slim(subject: Subject) -> Subject:
    """Return the subject with what is asked of its row at the end, not the strings and extents that it may hold."""
    return subject._replace(row={key: subject.row[key] for key in _KEPT if key in subject.row})


def package_of(row: Row) -> dict[str, Any]:
    """Return what is known of the package that a file belongs to; empty where nothing is."""
    package = row.get("package")
    return package if isinstance(package, dict) else _NO_PACKAGE


def program_kind(row: Row) -> str:
    """Return what program a file is: an executable, a library, a script, or none.

    A script counts where its mode lets someone run it; an ELF executable always, since a mode is set in a moment.
    """
    mime = row.get("mime")
    if not isinstance(mime, str):
        return ""
    if mime.startswith(PROGRAM_TYPES):
        return "executable"
    mode = row.get("mode")
    runnable = type(mode) is int and bool(mode & EXECUTABLE_BITS)
    if mime.startswith(LIBRARY_TYPES):
        return "executable" if runnable else "library"
    return "script" if runnable and (row.get("family") == "script" or mime.startswith(_SCRIPT_TYPES)) else ""


def is_elf(row: Row) -> bool:
    """Say whether the content is an ELF file of any kind but a core dump."""
    mime = row.get("mime")
    return isinstance(mime, str) and mime.startswith((*PROGRAM_TYPES, *LIBRARY_TYPES))


def article(kind: str) -> str:
    """Return the kind with its article."""
    return "an executable" if kind == "executable" else f"a {kind}"


def finding_of(row: Row, judgement: Judgement) -> Finding:
    """Return the finding; without ``first_seen``, for anyone may set a file's time of modification (utimensat(2))."""
    path = str(row["path"])
    deleted = "" if row.get("allocated", True) else "deleted "
    noun = _NOUNS.get(str(row.get("type")), "file")
    return Finding(
        finding_id=finding_id(judgement.rule, [str(row.get("volume")), path, str(row.get("inode"))]),
        rule=judgement.rule,
        severity=judgement.severity,
        statement=f"The {deleted}{noun} {cut(path)}: {judgement.words}; {_facts(row)}",
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


_NOUNS = {"directory": "directory", "character_device": "device node", "block_device": "device node", "symlink": "link"}


def _facts(row: Row) -> str:
    """Return what a reader looks up first: size, hash, owner, times."""
    facts = [f"owner uid {row.get('uid', '-')}"]
    if row.get("type") == "file":
        facts = [f"{row.get('size', '-')} bytes", f"SHA-256 {row.get('sha256') or '-'}", *facts]
    facts += [f"{word} {row[key]}" for key, word in _TIMES if row.get(key)]
    return ", ".join(facts)
