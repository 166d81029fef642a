r"""What a record, a finding and a problem is, and how their values are written.

Text of the evidence is bytes. Where it is valid UTF-8 it is written as it is; where it is not, the text holds
``\\xNN`` for each byte that does not decode and a second key, ``<name>_bytes``, holds the original in base64. So
nothing is lost and every row is valid JSON.
"""

import base64
import hashlib
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

Row: TypeAlias = dict[str, Any]
"""One row on its way from a parser to the case: plain values that JSON knows (no bytes)."""

SEVERITIES = ("critical", "high", "medium", "low", "info")
Severity = Literal["critical", "high", "medium", "low", "info"]

COVERAGE_STATUSES = ("complete", "partial", "unreadable", "absent", "unsupported")
CoverageStatus = Literal["complete", "partial", "unreadable", "absent", "unsupported"]

RECORD_KEYS = (
    "record_id",
    "timestamp",
    "timestamp_desc",
    "artifact",
    "volume",
    "source",
    "source_bytes",
    "inode",
    "position",
)
"""Keys that every record has before its artifact's own fields; no artifact may name a field so."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_FIRST_DAY, _LAST_DAY = date.min.toordinal() - _EPOCH_ORDINAL, date.max.toordinal() - _EPOCH_ORDINAL


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What could not be read, where, and why.

    ``stage`` is the stage that met it (source, layout, inventory, collection, files, detection), ``reason`` the
    sentence for the examiner. ``offset`` and ``length`` are a byte range: of the file where ``source`` is set, else
    of the source itself. ``lost`` is false for what only needs saying (an ambiguity, an oddity): everything was
    read.
    """

    stage: str
    reason: str
    lost: bool = True
    artifact: str | None = None
    volume: int | None = None
    source: str | None = None
    source_bytes: str | None = None
    inode: int | None = None
    offset: int | None = None
    length: int | None = None


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A judgement that cites records (by id) or inventory paths.

    ``cites`` holds record ids as they stand in records/*.jsonl.zst and paths of the inventory. ``evidence`` holds
    the lines that a reader wants to see: the cited text itself.
    """

    finding_id: str
    rule: str
    severity: Severity
    statement: str
    attack: list[str] = []
    cites: list[str] = []
    evidence: list[str] = []
    path: str | None = None
    path_bytes: str | None = None
    volume: int | None = None
    first_seen: str | None = None
    last_seen: str | None = None
    count: int = 1
    details: dict[str, Any] = {}


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one artifact on one volume: how many files and records, how many lines were not understood.

    ``container`` is the label of the container whose view it is about, on the volume of its upper layer.
    """

    artifact: str
    volume: int
    status: CoverageStatus
    files: int = 0
    records: int = 0
    unparsed: int = 0
    reasons: list[str] = []
    container: str | UnsetType = UNSET


CONTAINER_PREFIX = "//container/"
"""What a path in a container begins with: behind it stand the container's label and the path that it had there."""


def container_of(path: object) -> str:
    """Return the label of the container that a path is in; empty where it is a path of a host."""
    if not isinstance(path, str) or not path.startswith(CONTAINER_PREFIX):
        return ""
    return path[len(CONTAINER_PREFIX) :].partition("/")[0]


def text(value: bytes) -> str:
    r"""Return the bytes as text: UTF-8 where valid, else with ``\\xNN`` for each byte that does not decode."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("utf-8", "backslashreplace")


def text_fields(name: str, value: bytes) -> Row:
    """Return ``{name: text}``, with ``name_bytes`` in base64 beside it where the bytes are not UTF-8."""
    try:
        return {name: value.decode()}
    except UnicodeDecodeError:
        return {
            name: value.decode("utf-8", "backslashreplace"),
            f"{name}_bytes": base64.b64encode(value).decode("ascii"),
        }


def epoch_microseconds(moment: datetime) -> int:
    """Return a time that has a zone as microseconds since 1970 UTC."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def timestamp_text(microseconds: int | None) -> str | None:
    """Write microseconds since 1970 as ISO 8601 UTC; None for no time and for times outside the years 1 to 9999."""
    if microseconds is None:
        return None
    minute, rest = divmod(microseconds, 60_000_000)
    start = _minute_text(minute)
    return None if start is None else f"{start}{rest // 1_000_000:02}.{rest % 1_000_000:06}Z"


@lru_cache(maxsize=8192)  # a package's files share theirs, and a file's own times are often one
def nanosecond_text(nanoseconds: int | None) -> str | None:
    """Write nanoseconds since 1970 as ISO 8601 UTC with nine digits; None as in ``timestamp_text``."""
    if nanoseconds is None:
        return None
    minute, rest = divmod(nanoseconds, 60_000_000_000)
    start = _minute_text(minute)
    return None if start is None else f"{start}{rest // 1_000_000_000:02}.{rest % 1_000_000_000:09}Z"


@lru_cache(maxsize=65536)  # millions of records share their minutes
def _minute_text(minute: int) -> str | None:
    day, rest = divmod(minute, 24 * 60)
    if not _FIRST_DAY <= day <= _LAST_DAY:
        return None
    return f"{date.fromordinal(_EPOCH_ORDINAL + day).isoformat()}T{rest // 60:02}:{rest % 60:02}:"


def finding_id(rule: str, parts: Iterable[str]) -> str:
    """Return the same id for the same rule about the same things: ``F-`` and 12 hexadecimal digits."""
    digest = hashlib.sha256("\0".join([rule, *parts]).encode("utf-8", "backslashreplace"))
    return f"F-{digest.hexdigest()[:12]}"
