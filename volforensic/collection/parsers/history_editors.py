r"""What less and vim remember: commands, searches and the files they had open.

less(1) keeps ``.lesshst``, a list of sections whose entries begin with ``"`` (marks with ``m``). vim keeps
``.viminfo`` (``:help viminfo``): a line's first character says what it is; a ``|2,`` line repeats a history entry
with its time.
"""

import re
from collections.abc import Iterator

from volforensic.collection.content import Content, lines
from volforensic.collection.parsers.history import command_row
from volforensic.collection.parsers.plain_text import unparsed
from volforensic.record import Row

_LESS_HEADERS = (b".less-history-file:", b".search", b".shell", b".mark")
_LESS_MARK = re.compile(rb"[mMu] \S{1,4} [0-9]{1,20} [0-9]{1,20} (.*)", re.DOTALL)

_VIM_ENTRY = {b":": "command", b"?": "search", b"=": "expression", b"@": "input", b">": "file"}
_VIM_SKIPPED = (b"#", b"|", b"*", b"~", b'"', b"'", b"-", b"\t", b"%", b"&", b"$", b"!", b"/", b"<")
_VIM_STAMP = re.compile(rb"\|2,[0-9]{1,3},([0-9]{1,20}),.*", re.DOTALL)
_VIM_FILE_STAMP = re.compile(rb"\t\*\t([0-9]{1,20})(?:\t.*)?", re.DOTALL)
_VIM_LONG = re.compile(rb".?\x16[0-9]{1,10}")


def less(content: Content) -> Iterator[Row]:
    """Yield what less remembers: searches, shell commands and the files in which a place was marked."""
    section = ""
    for position, line in lines(content.blocks()):
        mark = _LESS_MARK.fullmatch(line)
        if line in _LESS_HEADERS:
            section = line[1:].decode("ascii")
        elif section in {"search", "shell"} and line.startswith(b'"'):
            yield command_row(content, "less", position, line[1:]) | {"kind": section}
        elif section == "mark" and mark:
            yield command_row(content, "less", position, mark[1]) | {"kind": section}
        else:
            yield unparsed(position, line)


def vim(content: Content) -> Iterator[Row]:
    """Yield what vim remembers: command lines, searches, expressions, inputs and files, with their times if kept."""
    waiting: tuple[int, bytes] | None = None
    for position, line in lines(content.blocks()):
        if waiting is not None and _VIM_LONG.fullmatch(waiting[1][1:]) and line.startswith(b"<"):
            waiting = waiting[0], waiting[1][:1] + line[1:]
            continue
        if waiting is not None:
            stamp = (_VIM_FILE_STAMP if waiting[1].startswith(b">") else _VIM_STAMP).fullmatch(line)
            yield _vim_row(content, *waiting, stamp[1] if stamp else None)
            waiting = None
        if line[:1] in _VIM_ENTRY:
            waiting = position, line
        elif not line.startswith(_VIM_SKIPPED):
            yield unparsed(position, line)
    if waiting is not None:
        yield _vim_row(content, *waiting, None)


def _vim_row(content: Content, position: int, line: bytes, stamp: bytes | None) -> Row:
    kind = _VIM_ENTRY[line[:1]]
    text = line[2:] if kind in {"search", "file"} else line[1:]
    row = command_row(content, "vim", position, text, stamp) | {"kind": kind}
    if kind == "file" and stamp is not None:
        row["timestamp_desc"] = "Edited"
    return row
