r"""sudoers(5): who may run what as whom, and the files that are read with it.

One row a grant: a rule ``users hosts = (runas) TAG: commands`` gives a row for each run of commands with the same
runas and tags. Aliases, Defaults and includes are rows of their own ``kind``. A comment is not continued by a
backslash at its end, everything else is.
"""

import re
from collections.abc import Iterator

from volforensic.collection.content import LINE_LIMIT, Content
from volforensic.collection.parsers.plain_text import every_line, unparsed
from volforensic.record import Row, text, text_fields

_TOKEN = re.compile(rb"(?:\"[^\"]*\"?|\\.?|[^\s\"\\])+", re.DOTALL)
_COMMENT = re.compile(rb"(?:\"[^\"]*\"|\\.|[^\"\\#]|#-?[0-9])*", re.DOTALL)
_INCLUDE = re.compile(rb"[@#](include|includedir)[ \t]+(.+)", re.DOTALL)
_INCLUDE_START = re.compile(rb"[ \t]*#include(?:dir)?[ \t]")
_DEFAULTS = re.compile(rb"Defaults(?:([:@!>])[ \t]*(\S+))?[ \t]+(.+)", re.DOTALL)
_ALIAS = re.compile(rb"(User_Alias|Runas_Alias|Host_Alias|Cmnd_Alias|Cmd_Alias)[ \t]+(.+)", re.DOTALL)
_ALIAS_ENTRY = re.compile(rb"([A-Z][A-Z0-9_]{0,255})[ \t]*=[ \t]*(.+)", re.DOTALL)
_NEXT_HOSTS = re.compile(rb"[ \t]:[ \t]*(?=[^\s=:,]{1,256}[ \t]*=)")
_RUN_AS = re.compile(rb"[ \t]*\(([^)]{0,4096})\)[ \t]*")
_OPTION = re.compile(
    rb"[ \t]*((?:ROLE|TYPE|PRIVS|LIMITPRIVS|NOTBEFORE|NOTAFTER|TIMEOUT|CWD|CHROOT|APPARMOR_PROFILE)=(?:\"[^\"]*\"|\S+)"
    rb"|(?:NO)?(?:EXEC|FOLLOW|LOG_INPUT|LOG_OUTPUT|MAIL|INTERCEPT|PASSWD|SETENV)(?=[ \t]*:))[ \t]*:?[ \t]*"
)
_NEVER_READ_NAME = re.compile(rb".*\..*|.*~", re.DOTALL)
_LIST_LIMIT = 1000


def grants(content: Content) -> Iterator[Row]:
    """Yield the grants, aliases, Defaults and includes of a sudoers file.

    ``include`` holds absolute globs: the file, or every file of an included directory. A file of a ``sudoers.d``
    whose name sudo passes over (it has a dot or ends in ``~``) gives rows with ``ignored``.
    """
    directory, _, name = content.source.path.rpartition(b"/")
    common: Row = {}
    if directory.endswith(b"sudoers.d") and _NEVER_READ_NAME.fullmatch(name):
        common["ignored"] = "sudo does not read a file of this name in an included directory"
    for position, statement, raw in _logical_lines(content):
        include = _INCLUDE.fullmatch(statement)
        rows = [_include(include, directory)] if include else _statement(statement)
        for row in rows:
            yield {"position": position, **row, **common}
        if not rows:
            yield unparsed(position, raw)


def _logical_lines(content: Content) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield statements with their offset and their lines as they stand; empty lines and comments are left out.

    Lines that a backslash continues are joined. A comment ends with its line, also one that ends in a backslash.
    """
    start, parts, raw, size = 0, list[bytes](), list[bytes](), 0
    for position, physical in every_line(content):
        line = physical.removesuffix(b"\r")
        if parts or not _INCLUDE_START.match(line):
            line = _without_comment(line)
        if not parts and not line.strip():
            continue
        start = start if parts else position
        raw.append(physical)
        size += len(line) + 1
        if line.endswith(b"\\") and size < LINE_LIMIT:
            parts.append(line[:-1])
            continue
        yield start, b" ".join([*parts, line]).strip(), b"\n".join(raw)
        parts, raw, size = [], [], 0
    if parts:
        yield start, b" ".join(parts).strip(), b"\n".join(raw)


def _without_comment(line: bytes) -> bytes:
    match = _COMMENT.match(line)
    if match is None or line[match.end() : match.end() + 1] != b"#":
        return line
    return line[: match.end()].rstrip()


def _include(match: re.Match[bytes], directory: bytes) -> Row:
    path = match[2].strip(b" \t")
    path = path[1:-1] if len(path) > 1 and path[:1] == path[-1:] == b'"' else path.replace(b"\\ ", b" ")
    if not path.startswith(b"/"):
        path = directory + b"/" + path
    if match[1] == b"includedir":
        path = path.rstrip(b"/") + b"/*"
    glob = re.sub(rb"\*+", b"*", path.replace(b"%h", b"*"))  # %h: the host's short name
    return {"kind": "include", "include": [text(glob)]}


def _statement(line: bytes) -> list[Row]:
    defaults = _DEFAULTS.fullmatch(line)
    if defaults:
        scope = text_fields("name", defaults[1] + defaults[2]) if defaults[1] else {}
        return [{"kind": "defaults", **scope, "options": [text(part) for part in _split(defaults[3], b",")]}]
    alias = _ALIAS.fullmatch(line)
    if alias:
        return _aliases(alias)
    return _grants(line)


def _aliases(match: re.Match[bytes]) -> list[Row]:
    entries = [_ALIAS_ENTRY.fullmatch(part) for part in _split(match[2], b":")]
    return [
        {
            "kind": "alias",
            "options": [text(match[1])],
            **text_fields("name", entry[1]),
            **text_fields("value", entry[2]),
        }
        for entry in entries
        if entry
    ]


def _grants(line: bytes) -> list[Row]:
    left, separator, right = _partition(line)
    words = _TOKEN.findall(b",".join(name.strip() for name in left.split(b",")))
    if not separator or len(words) != 2:
        return []
    users, hosts = words
    rows: list[Row] = []
    for index, part in enumerate(_NEXT_HOSTS.split(right, _LIST_LIMIT)):
        if index:
            hosts, _, part = part.partition(b"=")  # noqa: PLW2901 the part begins with its own hosts
        who = {**text_fields("user", _unquoted(users)), **text_fields("host", hosts.strip())}
        rows.extend({"kind": "grant", **who, **what} for what in _commands(part))
    return rows


def _commands(listed: bytes) -> Iterator[Row]:
    """Yield a row for each run of commands with the same runas and tags: both hold until they are set anew."""
    run_as: bytes | None = None
    options: list[bytes] = []
    commands: list[bytes] = []
    for item in _split(listed, b","):
        new_run_as, new_options, command = _command(item, run_as, options)
        if commands and (new_run_as, new_options) != (run_as, options):
            yield _what(run_as, options, commands)
            commands = []
        run_as, options = new_run_as, new_options
        commands.append(command)
    if commands:
        yield _what(run_as, options, commands)


def _command(item: bytes, run_as: bytes | None, options: list[bytes]) -> tuple[bytes | None, list[bytes], bytes]:
    position = 0
    match = _RUN_AS.match(item)
    if match:
        run_as, position = match[1].strip(), match.end()
    while match := _OPTION.match(item, position):
        options = [*(option for option in options if _option_name(option) != _option_name(match[1])), match[1]]
        position = match.end()
    return run_as, options, item[position:].strip()


def _option_name(option: bytes) -> bytes:
    """Return what an option is about: PASSWD for NOPASSWD too, CWD for ``CWD=/tmp``."""
    return option.partition(b"=")[0] if b"=" in option else option.removeprefix(b"NO")


def _what(run_as: bytes | None, options: list[bytes], commands: list[bytes]) -> Row:
    row: Row = {} if run_as is None else text_fields("run_as", run_as)
    if options:
        row["options"] = [text(option) for option in options]
    return row | text_fields("command", b", ".join(commands))


def _split(listed: bytes, separator: bytes) -> list[bytes]:
    """Split at a separator that is neither quoted, escaped nor inside parentheses."""
    parts, start, depth = list[bytes](), 0, 0
    for match in re.finditer(rb"\"[^\"]*\"|\\.|[()]|" + separator, listed, re.DOTALL):
        if match[0] in {b"(", b")"}:
            depth = max(depth + (1 if match[0] == b"(" else -1), 0)
        elif match[0] == separator and not depth and len(parts) < _LIST_LIMIT:
            parts.append(listed[start : match.start()].strip())
            start = match.end()
    return [part for part in [*parts, listed[start:].strip()] if part]


def _partition(line: bytes) -> tuple[bytes, bytes, bytes]:
    for match in re.finditer(rb"\"[^\"]*\"|\\.|=", line, re.DOTALL):
        if match[0] == b"=":
            return line[: match.start()], b"=", line[match.end() :]
    return line, b"", b""


def _unquoted(word: bytes) -> bytes:
    return word[1:-1] if len(word) > 1 and word[:1] == word[-1:] == b'"' else word
