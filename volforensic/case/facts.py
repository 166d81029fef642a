"""case.json: which case it is, and every run of the tool on it."""

from pathlib import Path

import msgspec

from volforensic.case.files import open_regular
from volforensic.errors import IntegrityError

CASE_NAME = "case.json"

_CASE_LIMIT = 64 << 20


class Run(msgspec.Struct, kw_only=True):
    """One run of the tool on the case; ``ended`` and ``exit_status`` are null where it was cut off."""

    started: str
    command_line: list[str]
    host: str
    user: str
    examiner: str
    versions: dict[str, str]
    ended: str | None = None
    exit_status: int | None = None


class CaseFacts(msgspec.Struct, kw_only=True):
    """What case.json says. ``case_id`` is random and made once; the custody log's first entry is bound to it."""

    format: int = 1
    case_id: str
    number: str
    examiner: str
    created: str
    tool_version: str
    runs: list[Run] = []


def read_case_facts(root: Path) -> CaseFacts:
    """Return what case.json says; IntegrityError where it does not hold that, OSError where it cannot be read."""
    with open_regular(root, CASE_NAME) as file:
        data = file.read(_CASE_LIMIT)
    try:
        return msgspec.json.decode(data, type=CaseFacts)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise IntegrityError(str(root / CASE_NAME), f"is damaged: {error}", "Run volforensic verify") from error
