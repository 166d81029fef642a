r"""Crontabs, anacrontab and the scripts of cron.hourly to cron.yearly.

Formats: crontab(5) of Vixie cron and cronie, anacrontab(5), run-parts(8). A crontab is read as cron reads it: line by
line up to ``\\n``, variables in force for the lines below them, everything else on its own. A Redis dump written over a
crontab works for cron because lines that do not parse are passed over; so it does here, and they are kept as unparsed.
"""

import re
from collections.abc import Callable, Iterator
from typing import TypeAlias

from volforensic.collection.content import LINE_LIMIT, Content, lines
from volforensic.collection.parsers.plain_text import file_name, unparsed
from volforensic.record import Row, text, text_fields

_LineReader: TypeAlias = Callable[[bytes], Row | None]

_NUMBERS = rb"[0-9*,/~?-]{1,400}"
_MONTHS = rb"(?:[0-9*,/~?-]|(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)){1,400}"
_WEEKDAYS = rb"(?:[0-9*,/~?#-]|(?i:sun|mon|tue|wed|thu|fri|sat)){1,400}"
_FIVE_FIELDS = rb"[ \t]+".join([_NUMBERS, _NUMBERS, _NUMBERS, _MONTHS, _WEEKDAYS])
_NICKNAME = (
    rb"@(?i:reboot|yearly|annually|monthly|weekly|daily|midnight|hourly|every_minute|every_second|[0-9]{1,9})"
    rb"(?=[ \t])"
)
_ENTRY = re.compile(rb"(%s|%s)[ \t]+([^ \t].*)" % (_NICKNAME, _FIVE_FIELDS), re.DOTALL)
_USER_AND_COMMAND = re.compile(rb"([^ \t]+)[ \t]+([^ \t].*)", re.DOTALL)
_NO_USER = re.compile(
    rb"[^ \t]*[*/=$&|;(\"'`\\]|\.|(?:curl|wget|bash|sh|dash|python[0-9.]{0,4}|perl|php|nohup|echo|cd|sleep)(?![^ \t])"
)
_ANACRON_ENTRY = re.compile(
    rb"(@[A-Za-z]{1,20}|[0-9]{1,9})[ \t]+([0-9]{1,9})[ \t]+([^ \t]+)[ \t]+([^ \t].*)", re.DOTALL
)
_VARIABLE = re.compile(
    rb"(?:\"([A-Za-z_][A-Za-z0-9_]*)\"|'([A-Za-z_][A-Za-z0-9_]*)'|([A-Za-z_][A-Za-z0-9_]*))[ \t]*=[ \t]*(.*)", re.DOTALL
)
_PIECE = re.compile(rb"[^\r\0]+")
_RUN_PARTS_NAME = re.compile(rb"[A-Za-z0-9_-]+")
_NEVER_READ_NAME = re.compile(rb"[.#].*|.*(?:~|,|\.rpmsave|\.rpmorig|\.rpmnew|\.swp|\.cfsaved)", re.DOTALL)

_VARIABLES_LIMIT = 32
_VARIABLES_BYTES_LIMIT = 2048
_HIDDEN = "cron reads up to the newline and does not take this part of the line for an entry of its own"


def system_crontab(content: Content) -> Iterator[Row]:
    """Yield the entries of /etc/crontab or a file of /etc/cron.d: the sixth field is the user."""
    common: Row = {"kind": "system"}
    if content.source.path.rpartition(b"/")[0].endswith(b"/cron.d"):
        common |= _ignored_name(file_name(content.source.path))
    return _entries(content, _system_entry, common)


def user_crontab(content: Content) -> Iterator[Row]:
    """Yield the entries of a crontab of the spool; the user is the file's name."""
    common: Row = {"kind": "user", **text_fields("user", file_name(content.source.path))}
    return _entries(content, _user_entry, common)


def anacrontab(content: Content) -> Iterator[Row]:
    """Yield the jobs of /etc/anacrontab; the schedule is ``period delay job-identifier`` (days, minutes, name)."""
    return _entries(content, _anacron_entry, {"kind": "anacron", "user": "root"})


def script(content: Content) -> Iterator[Row]:
    """Yield one row for a script that run-parts starts; its text up to 64 KiB, none where it is a program."""
    directory, _, name = content.source.path.rpartition(b"/")
    body = b"" if _is_binary(content) else content.whole(LINE_LIMIT)
    row: Row = {"position": 0, **text_fields("schedule", directory.rpartition(b".")[2]), "user": "root"}
    row |= {**text_fields("command", content.source.path), "kind": "script"}
    if body:
        row |= text_fields("script", body)
    yield row | _ignored_mode(content.source.mode) | _ignored_name(name)


def _is_binary(content: Content) -> bool:
    """Say whether the file is no text: of a program there is no text to miss, so none of it counts as not read."""
    head = next(iter(content.chunks()), None)
    return head is not None and b"\0" in head.data[:4096]


def _entries(content: Content, read: _LineReader, common: Row) -> Iterator[Row]:
    variables: dict[bytes, bytes] = {}
    in_force: Row = {}
    for position, line in lines(content.blocks()):
        stripped = line.lstrip(b" \t")
        if not stripped or (stripped.startswith(b"#") and b"\r" not in stripped):
            continue
        entry = read(stripped)
        if entry is not None:
            yield {"position": position, **entry, **in_force, **common}
        elif _set_variable(variables, stripped):
            in_force = {"environment": [text(name + b"=" + value) for name, value in variables.items()]}
        else:
            yield from _pieces(position, line, read, in_force | common)


def _pieces(position: int, line: bytes, read: _LineReader, common: Row) -> Iterator[Row]:
    """Yield entries behind a carriage return or NUL bytes: hidden from cron, or by cron's terminal output from us."""
    for piece in _PIECE.finditer(line):
        stripped = piece[0].lstrip(b" \t")
        entry = read(stripped)
        if entry is not None:
            yield {"position": position + piece.end() - len(stripped), **entry, **common, "ignored": _HIDDEN}
    if not line.lstrip(b" \t").startswith(b"#"):
        yield unparsed(position, line)


def _user_entry(line: bytes) -> Row | None:
    match = _ENTRY.match(line)
    if match is None:
        return None
    return {"schedule": _schedule(match[1]), **text_fields("command", match[2])}


def _system_entry(line: bytes) -> Row | None:
    match = _ENTRY.match(line)
    if match is None:
        return None
    schedule: Row = {"schedule": _schedule(match[1])}
    if _NO_USER.match(match[2]):
        return schedule | text_fields("command", match[2]) | {"ignored": "no user name before the command"}
    rest = _USER_AND_COMMAND.match(match[2])
    if rest is None:
        return None
    return schedule | text_fields("user", rest[1]) | text_fields("command", rest[2])


def _anacron_entry(line: bytes) -> Row | None:
    match = _ANACRON_ENTRY.match(line)
    if match is None:
        return None
    return {**text_fields("schedule", b" ".join(match.group(1, 2, 3))), **text_fields("command", match[4])}


def _schedule(fields: bytes) -> str:
    return " ".join(fields.decode("ascii").split())


def _set_variable(variables: dict[bytes, bytes], line: bytes) -> bool:
    """Put ``NAME = value`` in force; false where the line is none or the bounds on what a row repeats are reached."""
    match = _VARIABLE.match(line)
    if match is None:
        return False
    name = match[1] or match[2] or match[3]
    value = match[4].rstrip(b" \t")
    if len(value) > 1 and value[:1] == value[-1:] and value[:1] in b"\"'":
        value = value[1:-1]
    others = [len(key) + len(variables[key]) for key in variables if key != name]
    if len(others) >= _VARIABLES_LIMIT or sum(others) + len(name) + len(value) > _VARIABLES_BYTES_LIMIT:
        return False
    variables[name] = value
    return True


def _ignored_mode(mode: int | None) -> Row:
    """Say that run-parts passes over a script that nobody may execute (run-parts(8); cronie's tests ``-x`` too)."""
    if mode is not None and not mode & 0o111:
        return {"ignored": "run-parts does not start a file that is not executable"}
    return {}


def _ignored_name(name: bytes) -> Row:
    """Say that cron (crontab directories) or run-parts (script directories) passes over a file of this name."""
    if _NEVER_READ_NAME.fullmatch(name):
        return {"ignored": "cron does not read a file of this name"}
    if not _RUN_PARTS_NAME.fullmatch(name):
        return {"ignored": "Debian's cron does not read a file of this name, cronie does"}
    return {}
