"""What a run of text in free space was: a script, a miner's configuration, a crontab, a log, a shell's history.

The forms: syslog as RFC 3164 and RFC 5424's timestamp write it, audit records, the common log format, lines that
begin with a date; crontab(5); the history of bash(1) with and without times. Only what is sure is told: text that
fits none of them is left to YARA.
"""

import re
from typing import NamedTuple

import msgspec

from volforensic.record import text as as_text

MOST_LINES = 200
"""Lines of one piece that are kept."""
LONGEST_LINE = 500
"""Bytes that are kept of one line."""
_FIRST_LINES = 20
_LOG_LINE = re.compile(
    rb"^(?:(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)[^\n]{3,4000}"
    rb"|type=[A-Z_]{2,40} msg=audit\([^\n]{3,4000}"
    rb"|[\da-fA-F:.]{2,45} \S{1,64} \S{1,64} \[\d\d/[A-Z][a-z]{2}/\d{4}:[^\n]{3,4000})$",
    re.MULTILINE,
)
_TELLING = (b"sshd[", b"sudo:", b"COMMAND=", b"useradd[", b"su[", b"su:", b"passwd[", b"CRON[", b"session opened")
_SHEBANG = re.compile(rb"#![ \t]{0,8}/[\w./-]{2,100}")
_SAMPLE_SIZE = 64 << 10
_SCHEDULE = re.compile(
    rb"^(?:@(?:reboot|hourly|daily|weekly|monthly|yearly|annually|midnight)[ \t]+"
    rb"|(?:[\d*][\d*/,-]{0,20}[ \t]+){4}[\d*A-Za-z][\d*/,A-Za-z-]{0,20}[ \t]+)[^\s\d*][^\n]{1,1000}$",
    re.MULTILINE,
)
_HISTORY_TIME = re.compile(rb"^#1\d{9}\n(?=[^\n#])", re.MULTILINE)
_COMMAND = re.compile(
    rb"^(?:sudo |nohup )?(?:\./[^\s;]{1,80}|cd|ls|cat|wget|curl|chmod|chown|rm|mv|cp|mkdir|tar|unzip|ps|top|kill"
    rb"|pkill|killall|ssh|scp|sftp|vi|vim|nano|crontab|history|exit|su|passwd|useradd|adduser|apt|apt-get|yum|dnf|systemctl|service"
    rb"|netstat|ss|ip|ifconfig|iptables|whoami|id|uname|w|last|find|grep|tail|head|less|more|echo|export|unset|python3?"
    rb"|perl|bash|sh|nohup|screen|tmux|docker|git|make|gcc|nmap|nc|ping|dig|base64|lsattr|chattr|touch|df|free|mount|"
    rb"umount|dd|reboot|sudo)(?:[ \t;|&>][^\n]{0,2000})?$",
    re.MULTILINE,
)
_MINER_KEY = re.compile(
    rb"\"(?:pools|donate-level|algo|coin|rig-id|cpu-affinity|max-threads-hint|randomx|wallet|pool_address|nicehash)\"\s{0,8}:"
    rb"|stratum\+(?:tcp|ssl)://"
)


class Line(msgspec.Struct, frozen=True, array_like=True):
    """A line and the offset of its first byte in the source."""

    offset: int
    text: str


class TextPiece(NamedTuple):
    """What a run of text is, and its first or most telling lines (positions within the run)."""

    kind: str
    lines: list[tuple[int, bytes]]


def identify_text(data: bytes) -> TextPiece | None:
    """Tell what a run of text is by its first ``_SAMPLE_SIZE`` bytes; None where it is nothing that is looked for."""
    sample = data[:_SAMPLE_SIZE]
    for recognise in (_script, _configuration, _timed_history, _log, _crontab, _history):
        kind, lines = recognise(sample)
        if kind == "log":
            lines = _telling(data, lines)
        if kind:
            return TextPiece(kind, lines)
    return None


_Recognised = tuple[str, list[tuple[int, bytes]]]


def _script(data: bytes) -> _Recognised:
    return ("script", _first_lines(data)) if _SHEBANG.match(data) else ("", [])


def _configuration(data: bytes) -> _Recognised:
    is_object = data.lstrip()[:1] in {b"{", b"["}
    keys = {found[0] for found in _MINER_KEY.finditer(data)} if is_object else set()
    return ("miner configuration", _first_lines(data)) if len(keys) > 1 else ("", [])


def _timed_history(data: bytes) -> _Recognised:
    times = [found.start() for found in _HISTORY_TIME.finditer(data)]
    is_history = len(times) > 1 or times == [0]
    return ("shell history", _first_lines(data[times[0] :], times[0])) if is_history else ("", [])


def _log(data: bytes) -> _Recognised:
    lines = _matches(_LOG_LINE, data)
    return ("log", lines) if len(lines) > 1 or (lines and data.count(b"\n") <= 2) else ("", [])


def _crontab(data: bytes) -> _Recognised:
    scheduled = _matches(_SCHEDULE, data)
    stated = sum(1 for line in data.splitlines() if line.strip() and not line.startswith(b"#") and b"=" not in line)
    return ("crontab", scheduled) if scheduled and len(scheduled) * 2 >= stated else ("", [])


def _history(data: bytes) -> _Recognised:
    commands = _matches(_COMMAND, data)
    is_history = len(commands) >= 4 and len(commands) * 10 >= (data.count(b"\n") + 1) * 6
    return ("shell history", commands) if is_history else ("", [])


def _matches(pattern: re.Pattern[bytes], data: bytes) -> list[tuple[int, bytes]]:
    return [(found.start(), found[0]) for found in pattern.finditer(data)]


def lines_at(offset: int, lines: list[tuple[int, bytes]]) -> list[Line]:
    """Return the lines with their offsets in the source, cut to ``LONGEST_LINE``."""
    return [Line(offset + position, as_text(line[:LONGEST_LINE])) for position, line in lines[:MOST_LINES]]


def _first_lines(data: bytes, position: int = 0) -> list[tuple[int, bytes]]:
    lines = []
    for line in data[: _FIRST_LINES * LONGEST_LINE].split(b"\n")[:_FIRST_LINES]:
        if line.strip():
            lines.append((position, line))
        position += len(line) + 1
    return lines


def _telling(data: bytes, lines: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Return at most ``MOST_LINES``: those on logins, rights and jobs anywhere in the piece before its first ones."""
    found: dict[int, bytes] = {}
    for needle in _TELLING:
        place, most = data.find(needle), len(found) + MOST_LINES // 4
        while place >= 0 and len(found) < min(most, MOST_LINES):
            start, end = data.rfind(b"\n", 0, place) + 1, data.find(b"\n", place)
            end = end if end >= 0 else len(data)
            found[start] = data[start : min(end, start + LONGEST_LINE)]
            place = data.find(needle, end)
    for start, line in lines:
        if len(found) >= MOST_LINES:
            break
        found.setdefault(start, line)
    return sorted(found.items())
