"""Rows of an inventory as the rules about files meet them, made by hand, and what is found in them."""

from collections.abc import Iterable
from typing import Any

from volforensic.detection.files import file_findings
from volforensic.detection.surroundings import Surroundings
from volforensic.record import Finding, Problem, Row

HOST = Surroundings(uids=frozenset({0, 1, 33, 1000}), web_uids=frozenset({33}))
YARA: dict[str, dict[str, Any]] = {
    "xmrig_elf": {"severity": "critical", "attack": "T1496", "description": "The XMRig miner."},
    "packed": {"severity": "low", "description": "A packed program"},
}
OWNED = {"verdict": "proved", "name": "coreutils", "version": "9.1-1", "manager": "dpkg", "by": "md5"}
ALTERED = {**OWNED, "verdict": "altered", "differs": ["digest"]}
UNOWNED = {"verdict": "unowned"}
SCRIPT: Row = {"mime": "text/x-shellscript", "family": "script"}
TEXT: Row = {"mime": "text/plain", "family": "text", "mode": 0o644}
LIBRARY: Row = {"mime": "application/x-sharedlib", "mode": 0o644}
DIRECTORY: Row = {"type": "directory", "mime": None, "family": None, "sha256": None}


def file(path: str, **facts: Any) -> Row:
    """Return the row of an executable of root's, with some of it replaced."""
    defaults: Row = {
        "volume": 0,
        "path": path,
        "type": "file",
        "mode": 0o755,
        "uid": 0,
        "gid": 0,
        "size": 40_000,
        "allocated": True,
        "mime": "application/x-pie-executable",
        "family": "elf",
        "sha256": "ab" * 32,
        "mtime": "2024-05-01T00:00:00.000000000Z",
        "ctime": "2024-05-02T00:00:00.120000000Z",
        "crtime": "2024-05-02T00:00:00.110000000Z",
        "inode": 12,
        "nlink": 1,
    }
    return defaults | facts


def outcomes(rows: Iterable[Row], **more: Any) -> list[Finding | Problem]:
    """Return everything that is said of the rows."""
    surroundings = more.pop("surroundings", HOST)
    return [outcome for _, found in file_findings(rows, YARA, surroundings, **more) for outcome in found]


def judged(*rows: Row, **more: Any) -> list[Finding]:
    """Return the findings about the rows."""
    return [outcome for outcome in outcomes(rows, **more) if isinstance(outcome, Finding)]


def said(*rows: Row, **more: Any) -> list[tuple[str, str]]:
    """Return rule and severity of each finding."""
    return [(found.rule, found.severity) for found in judged(*rows, **more)]
