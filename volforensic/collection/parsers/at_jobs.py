r"""Jobs of at(1) and batch(1), as at's ``at.c`` writes them.

The file's name is a queue letter, the job number in five hexadecimal digits and the time in eight (minutes since
1970). The body is a shell script: ``# atrun uid=.. gid=..``, ``# mail USER 0``, umask, the creator's environment
(``NAME=value; export NAME`` with every unsafe byte escaped), ``cd DIRECTORY || {...}`` and then the command, which
newer versions wrap in a here-document.
"""

import re
from collections.abc import Iterator

from volforensic.collection.content import LINE_LIMIT, Content, Loss
from volforensic.collection.parsers.plain_text import decimal, file_name
from volforensic.record import Row, text, text_fields

_NAME = re.compile(rb"([A-Za-z=])([0-9a-fA-F]{5})([0-9a-fA-F]{8})")
_COUNTER = re.compile(rb"[0-9a-fA-F]{1,8}\n?")
_RUN_AS = re.compile(rb"^# atrun uid=([0-9]{1,10}) gid=([0-9]{1,10})$", re.MULTILINE)
_MAIL = re.compile(rb"^# mail[ \t]+(\S+)", re.MULTILINE)
_EXPORT = re.compile(rb"^([A-Za-z_][A-Za-z0-9_]*)=((?:[^;\n\\\"]|\\.|\"\n\")*); export \1$", re.MULTILINE)
_DIRECTORY = re.compile(rb"^cd ([^\n]{1,8192}) \|\| \{\n[^}\n]{0,200}\n[^}\n]{0,200}\n\}\n", re.MULTILINE)
_HERE_DOCUMENT = re.compile(rb"\$\{SHELL:-/bin/sh\} << '([A-Za-z0-9]{1,64})'\n")
_ESCAPED = re.compile(rb"\\(.)|\"(\n)\"", re.DOTALL)


def job(content: Content) -> Iterator[Row]:
    """Yield one row for a job; its timestamp is when at is to run it. A file of another name is a row without one."""
    name = file_name(content.source.path)
    body = content.whole()
    if name == b".SEQ" and _COUNTER.fullmatch(body):  # at's own counter of job numbers
        return
    row: Row = {"position": 0, **_named(name)}
    preamble = body
    directory = _DIRECTORY.search(preamble)
    if directory:
        row |= text_fields("working_directory", _unescape(directory[1]))
        preamble = body[: directory.start()]
    row |= _creator(preamble)
    if directory:
        row["environment"] = [text(match[1] + b"=" + _unescape(match[2])) for match in _EXPORT.finditer(preamble)]
    command = _without_wrapper(body[directory.end() if directory else 0 :]).strip(b"\n")
    if len(command) > LINE_LIMIT:
        content.lose(Loss(len(body) - len(command) + LINE_LIMIT, len(command) - LINE_LIMIT, "a command was cut"))
    yield row | text_fields("command", command[:LINE_LIMIT])


def _named(name: bytes) -> Row:
    match = _NAME.fullmatch(name)
    if match is None:
        return {}
    return {
        "timestamp": int(match[3], 16) * 60_000_000,
        "timestamp_desc": "Scheduled",
        "queue": match[1].decode("ascii"),
        "job_number": int(match[2], 16),
    }


def _creator(preamble: bytes) -> Row:
    row: Row = {}
    run_as, mail = _RUN_AS.search(preamble), _MAIL.search(preamble)
    if run_as:
        numbers = {"uid": decimal(run_as[1], 2**32 - 1), "gid": decimal(run_as[2], 2**32 - 1)}
        row |= {name: number for name, number in numbers.items() if number is not None}
    if mail:
        row |= text_fields("user", mail[1])
    return row


def _without_wrapper(command: bytes) -> bytes:
    start = _HERE_DOCUMENT.match(command)
    if start is None:
        return command
    body = command[start.end() :]
    end = (b"\n" + body).rfind(b"\n" + start[1])
    return body[: max(end - 1, 0)] if end >= 0 else body


def _unescape(value: bytes) -> bytes:
    return _ESCAPED.sub(lambda match: match[1] or match[2], value)
