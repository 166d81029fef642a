r"""Command histories of shells and of the tools that keep one command a line.

bash(1) (HISTTIMEFORMAT: a ``#seconds`` line before each command), zsh (EXTENDED_HISTORY, ``Src/hist.c``), fish
(``fish_history``, a subset of YAML), tcsh (``#+seconds``), ksh93, GNU readline, libedit (``_HiStOrY_V2_``, strvis(3)).
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from volforensic.collection.content import LINE_LIMIT, Content
from volforensic.collection.parsers.plain_text import decimal, every_line, unparsed
from volforensic.record import Row, text_fields

LATEST_SECOND = 253_402_300_799
"""The last second of the year 9999: a later stamp is kept as text and dates nothing."""

_STAMP = re.compile(rb"#\+?(-?[0-9]+)[ \t\r]*")
_ZSH_EXTENDED = re.compile(rb": {0,10}(-?[0-9]+):(-?[0-9]+);(.*)", re.DOTALL)
_ZSH_META = re.compile(rb"\x83(.)", re.DOTALL)
_FISH_WHEN = re.compile(rb" {1,8}when:[ \t]*(-?[0-9]+)[ \t\r]*")
_FISH_DETAIL = re.compile(rb" {1,8}(?:paths:|- )", re.DOTALL)
_FISH_ESCAPE = re.compile(rb"\\([n\\])")
_LIBEDIT_HEADER = b"_HiStOrY_V2_"
_LIBEDIT_ESCAPE = re.compile(rb"\\(?:([0-7]{3})|(\\)|\^(.)|M-(.)|M\^(.))", re.DOTALL)
_KSH_HEADER = b"\x81\x01"


class _StampedCommand(NamedTuple):
    """A command being put together from the lines below its stamp; ``first`` is the line it began with."""

    position: int
    stamp: bytes
    first: bytes
    text: bytearray


def bash(content: Content) -> Iterator[Row]:
    """Yield bash's commands: with stamps all lines up to the next stamp are one, without stamps each line is one."""
    return _stamped(content, "bash")


def tcsh(content: Content) -> Iterator[Row]:
    """Yield tcsh's commands: the stamps are written ``#+seconds``."""
    return _stamped(content, "tcsh")


def zsh(content: Content) -> Iterator[Row]:
    r"""Yield zsh's commands, plain or extended (``: start:elapsed;command``); ``\\`` before a newline goes on."""
    for position, line in _continued(every_line(content), b"\\"):
        yield from _zsh_row(content, position, line)


def fish(content: Content) -> Iterator[Row]:
    """Yield fish's commands (``- cmd:``, dated by ``when:``; the ``paths:`` it guessed are left out)."""
    current: tuple[int, bytes, bytes | None] | None = None
    for position, line in every_line(content):
        when = _FISH_WHEN.fullmatch(line)
        if line.startswith(b"- cmd:"):
            if current:
                yield _fish_row(content, *current)
            current = position, line[6:].removeprefix(b" "), None
        elif when and current:
            current = current[0], current[1], when[1]
        elif line.strip() and not (current and _FISH_DETAIL.match(line)):
            yield unparsed(position, line)
    if current:
        yield _fish_row(content, *current)


def sh(content: Content) -> Iterator[Row]:
    """Yield the lines of the history of ash, dash, mksh or ksh93 (which has a binary header and a NUL between)."""
    return _plain(content, "sh")


def python(content: Content) -> Iterator[Row]:
    r"""Yield Python's lines; from 3.13 on ``\\r\\n`` inside a history means that the statement goes on."""
    for position, line in _continued(_decoded_lines(content), b"\r"):
        yield from _plain_row(content, "python", position, line)


def mysql(content: Content) -> Iterator[Row]:
    """Yield the statements of mysql or mariadb, written by readline or by libedit."""
    return _plain(content, "mysql")


def psql(content: Content) -> Iterator[Row]:
    """Yield the statements of psql, which writes a newline inside a statement as the byte 1."""
    return _plain(content, "psql")


def sqlite(content: Content) -> Iterator[Row]:
    """Yield the statements of sqlite3."""
    return _plain(content, "sqlite")


def redis(content: Content) -> Iterator[Row]:
    """Yield the commands of redis-cli."""
    return _plain(content, "redis")


def node(content: Content) -> Iterator[Row]:
    """Yield the lines of Node.js, the newest first as it writes them."""
    return _plain(content, "node")


def command_row(content: Content, shell: str, position: int, command: bytes, stamp: bytes | None = None) -> Row:
    """Return the row of a command: whose it is, and when it was run as far as the stamp (in seconds) can be used."""
    row: Row = {"position": position}
    if stamp is not None:
        seconds = decimal(stamp, LATEST_SECOND)
        row |= {"timestamp": None if seconds is None else seconds * 1_000_000, "timestamp_desc": "Executed"}
        if seconds is None:
            row |= text_fields("stamp", stamp[:100])
    row["shell"] = shell
    if content.source.user:
        row["user"] = content.source.user
    if content.source.home:
        row |= text_fields("home", content.source.home)
    return row | text_fields("command", command)


def _stamped(content: Content, shell: str) -> Iterator[Row]:
    current: _StampedCommand | None = None
    for position, line in every_line(content):
        stamp = _STAMP.fullmatch(line)
        if stamp is None and current is None:
            yield from _plain_row(content, shell, position, line)
            continue
        if stamp is None and current is not None and len(current.text) + len(line) < LINE_LIMIT:
            current.text.extend(line + b"\n")
            continue
        if current is not None:
            yield _stamped_row(content, shell, current)
        if stamp is not None:
            current = _StampedCommand(position, stamp[1], line, bytearray())
        elif current is not None:
            current = _StampedCommand(position, current.stamp, line, bytearray(line + b"\n"))
    if current is not None:
        yield _stamped_row(content, shell, current)


def _stamped_row(content: Content, shell: str, command: _StampedCommand) -> Row:
    text = bytes(command.text).rstrip(b"\r\n")
    if not text:
        return unparsed(command.position, command.first)
    return command_row(content, shell, command.position, text, command.stamp)


def _continued(numbered: Iterable[tuple[int, bytes]], ending: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield lines, a line that ends so joined with the next by a newline, up to the length that a line may have."""
    start, parts, size = 0, list[bytes](), 0
    for position, line in numbered:
        start = start if parts else position
        size += len(line) + 1
        if line.endswith(ending) and size < LINE_LIMIT:
            parts.append(line[:-1])
            continue
        yield start, b"\n".join([*parts, line])
        parts, size = [], 0
    if parts:
        yield start, b"\n".join(parts)


def _zsh_row(content: Content, position: int, line: bytes) -> Iterator[Row]:
    without_blanks = line.rstrip(b" ")
    if without_blanks.endswith(b"\\") and without_blanks != line:
        line = line[:-1]  # zsh adds a blank after a backslash that ends a command
    line = _ZSH_META.sub(lambda match: bytes([match[1][0] ^ 0x20]), line)
    extended = _ZSH_EXTENDED.fullmatch(line)
    if extended is None:
        yield from _plain_row(content, "zsh", position, line)
        return
    row = command_row(content, "zsh", position, extended[3], extended[1])
    elapsed = decimal(extended[2], LATEST_SECOND)
    yield row if elapsed is None else row | {"elapsed": elapsed}


def _fish_row(content: Content, position: int, command: bytes, stamp: bytes | None) -> Row:
    unescaped = _FISH_ESCAPE.sub(lambda match: b"\n" if match[1] == b"n" else b"\\", command)
    return command_row(content, "fish", position, unescaped.removesuffix(b"\r"), stamp)


def _plain(content: Content, shell: str) -> Iterator[Row]:
    for position, line in _decoded_lines(content):
        command = line.replace(b"\x01", b"\n") if shell == "psql" else line
        yield from _plain_row(content, shell, position, command)


def _plain_row(content: Content, shell: str, position: int, line: bytes) -> Iterator[Row]:
    command = line.removesuffix(b"\r")
    if not command.strip(b" \t\r\n\0"):
        if b"\0" in command:
            yield unparsed(position, line)
        return
    yield command_row(content, shell, position, command)


def _decoded_lines(content: Content) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a history as readline writes them; libedit's and ksh's own forms are undone."""
    libedit = ksh = False
    for position, line in every_line(content):
        if position == 0 and line.rstrip(b"\r") == _LIBEDIT_HEADER:
            libedit = True
        elif position == 0 and line.startswith(_KSH_HEADER):
            ksh = True
            yield position + 2, line[2:].strip(b"\0")
        elif libedit:
            yield position, _LIBEDIT_ESCAPE.sub(_libedit_byte, line)
        else:
            yield position, line.strip(b"\0") if ksh else line


def _libedit_byte(match: re.Match[bytes]) -> bytes:
    octal, backslash, control, meta, meta_control = match.groups()
    if octal:
        return bytes([int(octal, 8) & 0xFF])
    if backslash:
        return b"\\"
    if control:
        return bytes([_control(control)])
    return bytes([0x80 | (meta[0] if meta else _control(meta_control))])


def _control(character: bytes) -> int:
    return 0x7F if character == b"?" else character[0] & 0x1F
