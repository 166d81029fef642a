"""The ``lines:`` way of reading: one record for each line that a regular expression with named groups matches."""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, tzinfo

from volforensic.collection.content import Content, lines
from volforensic.collection.time_zones import loaded_zone
from volforensic.record import Row, epoch_microseconds, text_fields

TIMESTAMP_GROUP = "timestamp"
"""The group that holds a line's time: ISO 8601, or seconds since 1970 with an optional fraction."""

_INTEGER = re.compile(rb"[+-]?[0-9]{1,19}")
_EPOCH_SECONDS = re.compile(rb"([0-9]{9,11})(?:\.([0-9]{1,6})[0-9]{0,3})?")
_TRUE = frozenset({b"1", b"true", b"yes", b"on"})
_INTEGER_LIMIT = 2**63


def compile_lines(pattern: str, fields: Mapping[str, str]) -> Callable[[Content], Iterator[Row]]:
    """Return the parser that a ``lines:`` pattern stands for.

    The pattern is searched for in each line's bytes; the named groups are fields of the artifact, written as their type
    says, and ``timestamp``. A line that it does not match, or whose integer is none, becomes an ``unparsed`` row; empty
    lines are passed over.

    Raises:
        re.error: The pattern is no regular expression.
        ValueError: It has no named group, or one that is no field.
    """
    expression = re.compile(pattern.encode())
    if not expression.groupindex:
        raise ValueError("the pattern has no named group")
    unknown = sorted(set(expression.groupindex) - set(fields) - {TIMESTAMP_GROUP})
    if unknown:
        raise ValueError(f"the groups {', '.join(unknown)} are no fields of this artifact")

    def parse(content: Content) -> Iterator[Row]:
        zone = loaded_zone(content.source.time_zone) or UTC  # for stamps that name none
        for position, line in lines(content.blocks()):
            match = expression.search(line)
            row = None if match is None else _row(match.groupdict(), fields, zone)
            if row is None:
                yield {"position": position, "unparsed": True, **text_fields("raw", line)}
            else:
                yield {"position": position, **row}

    return parse


def _row(groups: Mapping[str, bytes | None], fields: Mapping[str, str], zone: tzinfo) -> Row | None:
    row: Row = {}
    for name, value in groups.items():
        if value is None:
            continue
        kind = fields.get(name)
        if name == TIMESTAMP_GROUP:
            row["timestamp"] = _microseconds(value, zone)
            row["timestamp_desc"] = "Logged"
        elif kind == "integer":
            number = int(value) if _INTEGER.fullmatch(value) else _INTEGER_LIMIT
            if abs(number) >= _INTEGER_LIMIT:
                return None
            row[name] = number
        elif kind == "boolean":
            row[name] = value.lower() in _TRUE
        else:
            row.update(
                text_fields(name, value) if kind == "string" else {name: [*text_fields(name, value).values()][:1]}
            )
    return row


def _microseconds(value: bytes, zone: tzinfo) -> int | None:
    epoch = _EPOCH_SECONDS.fullmatch(value)
    if epoch is not None:
        return int(epoch[1]) * 1_000_000 + int((epoch[2] or b"").ljust(6, b"0"))
    try:
        moment = datetime.fromisoformat(value[:40].decode("ascii"))
        return epoch_microseconds(moment if moment.tzinfo else moment.replace(tzinfo=zone))
    except (ValueError, OverflowError):
        return None
