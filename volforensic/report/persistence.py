"""What runs again by itself and what lets somebody back in: concise rows, those that a finding cites first."""

from collections.abc import Callable
from functools import partial

from volforensic.record import Row
from volforensic.report.bounds import Best, Records, chosen, cut

ROW_LIMIT = 300
SCRIPT_LINES = 12
"""Lines shown of a script that cron runs."""

FIELDS = {
    "cron": ("schedule", "user", "kind", "command", "environment"),
    "at": ("queue", "job_number", "user", "command"),
    "ld_preload": ("library",),
    "authorized_keys": ("user", "key_type", "fingerprint", "comment", "options", "command"),
}
"""Artifact to the fields of it that are shown."""

_COMMON = ("file_type", "link_target", "unparsed", "raw", "timestamp", "source", "volume", "record_id")


def describe_persistence(records: Records, citing: Callable[[object], list[str]]) -> Row:
    """Return a listing for each of cron, at, ld_preload and authorized_keys."""
    return {artifact: _listing(records, artifact, citing) for artifact in FIELDS}


def _listing(records: Records, artifact: str, citing: Callable[[object], list[str]]) -> Row:
    best = Best(ROW_LIMIT)
    for row in records(artifact):
        findings = citing(row.get("record_id"))
        best.add((not findings,), partial(_row, row, FIELDS[artifact], findings))
    return best.listing()


def _row(row: Row, fields: tuple[str, ...], findings: list[str]) -> Row:
    shown = chosen(row, (*fields, *_COMMON)) | {"findings": findings}
    script = row.get("script")
    if not isinstance(script, str):
        return shown
    lines = script.split("\n")
    rest = [f"… ({len(lines) - SCRIPT_LINES} more lines)"] if len(lines) > SCRIPT_LINES else []
    return shown | {"script": [cut(line) for line in lines[:SCRIPT_LINES]] + rest}
