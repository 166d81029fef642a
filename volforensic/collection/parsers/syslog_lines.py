"""Lines of syslog files: stamp, host, process, pid and message, decided for each line by itself.

Read are RFC 3164 stamps (also with a year or a fraction), RFC 3339 and ISO 8601 stamps, RFC 5424 lines and the
``facility.level`` of BusyBox, each with or without ``<PRI>``.

Inside this module and its users a line is text in which **one character is one byte** (Latin-1), so offsets are byte
offsets and no byte can fail to decode; ``decoded`` turns a finished row's fields into UTF-8 text.
"""

import re
from collections.abc import Iterator

from volforensic.collection.content import Content
from volforensic.collection.parsers.syslog_clock import IMPOSSIBLE, OWN_YEAR_AND_ZONE, Clock, within_hour
from volforensic.record import Row, text_fields

_TAG = r"([^\s:\[]+)(?:\[(\d{1,10})\])?: ?(.*)"
_TRADITIONAL = re.compile(r"([A-Z][a-z]{2} [ \d]\d \d\d):(\d\d:\d\d) (\S+)(?<!:) " + _TAG, re.ASCII)
_ISO = re.compile(r"(\d{4}-\d\d-\d\dT\d\d):(\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d) (\S+)(?<!:) " + _TAG, re.ASCII)

_PREFIX = re.compile(r"[\0\xef\xbb\xbf]*(?:<\d{1,3}>)?")
_VERSION_STAMP = re.compile(r"1 (?:- )?")
_ANY_TRADITIONAL = re.compile(
    r"([A-Z][a-z]{2}) {1,2}(\d{1,2}) (?:(\d{4}) )?(\d\d):(\d\d:\d\d)(?:[.,](\d*))?(?: ((?:19|20)\d\d)(?= ))? ", re.ASCII
)
_ANY_ISO = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d):(\d\d:\d\d)(?:[.,](\d*))? ?(?:([Zz]|[+-]\d\d(?::?\d\d)?)(?= ))? ?", re.ASCII
)
_HOST_AND_TAG = re.compile(
    r"(\S+) (?:(?:kern|user|mail|daemon|auth|syslog|lpr|news|uucp|cron|authpriv|ftp|local[0-7])\.[a-z]{3,7} )?" + _TAG,
    re.ASCII,
)
_TAG_ALONE = re.compile(_TAG, re.ASCII)
_HEADER_5424 = re.compile(r"(\S+) (\S+) (\S+) (\S+) ", re.ASCII)
_STRUCTURED_DATA = re.compile(r'(?:-|(?:\[[^\]"]*+(?:"(?:[^"\\]|\\.)*+"[^\]"]*+)*+\])++)(?: |$)')
_NUL_THEN_LINE = re.compile(
    r"\0(?=(?:<\d{1,3}>)?(?:1 )?(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d))", re.ASCII
)


def read_lines(content: Content) -> Iterator[tuple[Row, str | None]]:
    """Yield each line as (row, message), both one character a byte; the message of a line not understood is None.

    A row has position, timestamp (microseconds since 1970 UTC or None), timestamp_desc, year_inferred, time_basis,
    raw and, where the line has them, host, process and pid. Hand it to ``decoded`` when its fields are complete.
    """
    clock = Clock(content)
    for position, raw in _text_lines(content):
        if found := _TRADITIONAL.fullmatch(raw):
            hour, minute_and_second, host, process, pid, message = found.groups()
            start, basis = clock.hour_without_year(position, hour)
            inferred, fraction = True, None
        elif found := _ISO.fullmatch(raw):
            hour, minute_and_second, fraction, zone, host, process, pid, message = found.groups()
            start, basis = clock.hour_with_zone(hour, zone), OWN_YEAR_AND_ZONE
            inferred = False
        else:
            yield _odd_line(clock, position, raw)
            continue
        timestamp = within_hour(start, minute_and_second, fraction)
        row: Row = {
            "position": position,
            "timestamp": timestamp,
            "timestamp_desc": "Logged",
            "year_inferred": inferred,
            "time_basis": basis if timestamp is not None or start is None else IMPOSSIBLE,
            "raw": raw,
            "host": host,
            "process": process,
        }
        if pid:
            row["pid"] = int(pid)
        yield row, message


def decoded(row: Row) -> Row:
    """Return the row with its text as UTF-8, ``<name>_bytes`` beside what is not; the same row where it is ASCII."""
    if row["raw"].isascii():
        return row
    result: Row = {}
    for name, value in row.items():
        if isinstance(value, str) and name != "time_basis":
            result.update(text_fields(name, value.encode("latin-1")))
        else:
            result[name] = value
    return result


def _text_lines(content: Content) -> Iterator[tuple[int, str]]:
    """Yield (byte offset, line) without line ends; NUL bytes before a stamp end a line, as a hole of the file does."""
    for block in content.blocks():
        position = block.position
        for line in block.data.decode("latin-1").split("\n"):
            if line and line != "\r":
                if "\0" in line:
                    yield from _split_at_nul(position, line)
                else:
                    yield position, line.removesuffix("\r")
            position += len(line) + 1


def _split_at_nul(position: int, line: str) -> Iterator[tuple[int, str]]:
    start = 0
    for found in _NUL_THEN_LINE.finditer(line):
        # NUL bytes at a line's own beginning stay with it: they say that the file was damaged there
        if line[start : found.end()].strip("\0"):
            yield position + start, line[start : found.end()]
            start = found.end()
    yield position + start, line[start:].removesuffix("\r")


def _odd_line(clock: Clock, position: int, raw: str) -> tuple[Row, str | None]:
    """Read what the two common forms do not cover: priority, version, year, fraction, no offset, no tag."""
    start = _PREFIX.match(raw).end()  # type: ignore[union-attr]  # the pattern matches the empty text too
    version = _VERSION_STAMP.match(raw, start)
    stamp = _ANY_ISO.match(raw, version.end() if version else start)
    old_stamp = None if version or stamp else _ANY_TRADITIONAL.match(raw, start)
    if stamp:
        timestamp, inferred, basis = clock.of_iso(stamp)
        rest = stamp.end()
    elif old_stamp:
        timestamp, inferred, basis = clock.of_traditional(position, old_stamp)
        rest = old_stamp.end()
    elif version and raw[version.end() - 2 : version.end()] == "- ":
        timestamp, inferred, basis, rest = None, False, "the line has no stamp", version.end()
    else:
        return _unparsed(position, raw)
    parts = _after_stamp_5424(raw, rest) if version else _after_stamp(raw, rest)
    if parts is None:
        return _unparsed(position, raw)
    host, process, pid, message = parts
    row: Row = {
        "position": position,
        "timestamp": timestamp,
        "timestamp_desc": "Logged",
        "year_inferred": inferred,
        "time_basis": basis,
        "raw": raw,
    }
    row.update({name: value for name, value in (("host", host), ("process", process)) if value})
    if pid and pid.isdigit() and len(pid) <= 10:
        row["pid"] = int(pid)
    return row, message


def _unparsed(position: int, raw: str) -> tuple[Row, None]:
    return {"position": position, "unparsed": True, "raw": raw}, None


def _after_stamp(raw: str, start: int) -> tuple[str, str, str, str] | None:
    """Return (host, process, pid, message) of what follows an RFC 3164 stamp; empty text where there is none."""
    if found := _HOST_AND_TAG.fullmatch(raw, start):
        host, process, pid, message = found.groups()
        if not host.endswith(":"):
            return host, process, pid or "", message
    if found := _TAG_ALONE.fullmatch(raw, start):
        process, pid, message = found.groups()
        return "", process, pid or "", message
    host, _, message = raw[start:].lstrip(" ").partition(" ")
    return (host, "", "", message) if host else None


def _after_stamp_5424(raw: str, start: int) -> tuple[str, str, str, str] | None:
    """Return (host, process, pid, message) of RFC 5424 section 6: HOSTNAME APP-NAME PROCID MSGID DATA [MSG]."""
    header = _HEADER_5424.match(raw, start)
    if not header:
        return None
    host, process, pid, _ = ("" if part == "-" else part for part in header.groups())
    data = _STRUCTURED_DATA.match(raw, header.end())
    message = raw[data.end() if data else header.end() :]
    return host, process, pid, message.removeprefix("\xef\xbb\xbf")
