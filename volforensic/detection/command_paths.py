"""Which files a command line or a script may start: the shell's reading, roughly, and rather more than it."""

import posixpath
import re
from collections.abc import Collection, Iterable, Iterator
from itertools import islice

DEFAULT_DIRECTORIES = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
"""Where a command without a slash is looked for when no PATH is set."""

_TEXT_LIMIT = 64 << 10
_WORDS_LIMIT = 5_000
_DIRECTORIES_LIMIT = 32
_WORD = re.compile(r"[^\s'\"`;|&<>(){}=,:\\]{1,4096}")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,15}://[^\s'\"`;|&<>]{0,4096}")
_CHANGE_DIRECTORY = re.compile(r"(?:^|[\s;&|(`])cd[ \t]{1,16}([^\s'\"`;|&<>()]{1,4096})")
_HOME = re.compile(r"(?:~|\$HOME|\$\{HOME\})(?=/)")
_ASSIGNED_PATH = re.compile(r"(?<![\w$])([A-Za-z_]\w{0,31})=[\"']?(/[\w./+@-]{1,255})")
_VARIABLE = re.compile(r"\$\{?([A-Za-z_]\w{0,31})\}?[\"']?(?=/)")
_ENVIRONMENT_PATH = re.compile(r"PATH[ \t]{0,4}=[ \t]{0,4}[\"']?([^\s\"']{1,4096})")


def named_paths(
    text: str, *, home: str = "", environment: Iterable[str] = (), wanted_names: Collection[str] = ()
) -> Iterator[str]:
    """Yield the absolute paths that a command line or a script names.

    ``home`` is what ``~`` and ``$HOME`` stand for, ``environment`` the assignments in force (``PATH=/opt/x:/usr/bin``);
    ``$D/name`` is read with what they, or the text itself, assign to ``D``.
    A relative word is looked for in the directories of ``cd``, of PATH and in the home, but only where its last
    component is one of ``wanted_names``, for that would name half the text.
    """
    text = _HOME.sub(lambda _: home, text[:_TEXT_LIMIT]) if home else text[:_TEXT_LIMIT]
    environment = list(environment)
    text = _URL.sub(" ", _expanded(text, environment))[:_TEXT_LIMIT]
    directories = list(_directories(text, home, environment))[:_DIRECTORIES_LIMIT]
    seen: set[str] = set()
    for word, _ in zip(_WORD.finditer(text), range(_WORDS_LIMIT), strict=False):
        for path in _readings(word[0], directories, wanted_names):
            if path not in seen:
                seen.add(path)
                yield path


def _expanded(text: str, environment: Iterable[str]) -> str:
    """Put the paths that variables stand for in their place, where a slash follows."""
    if "$" not in text:
        return text
    values: dict[str, str] = {}
    for source in (*environment, text):
        for match in islice(_ASSIGNED_PATH.finditer(str(source)), _DIRECTORIES_LIMIT):
            values[match[1]] = match[2]
    return _VARIABLE.sub(lambda match: values.get(match[1], match[0]), text)


def _readings(word: str, directories: Iterable[str], wanted_names: Collection[str]) -> Iterator[str]:
    if word.startswith("/"):
        yield clean(word)
    elif word.rsplit("/", 1)[-1] in wanted_names:
        for directory in directories:
            yield clean(f"{directory}/{word}")


def _directories(text: str, home: str, environment: Iterable[str]) -> Iterator[str]:
    for match in _CHANGE_DIRECTORY.finditer(text):
        target = match[1]
        if target.startswith("/"):
            yield target
        elif home:
            yield f"{home}/{target}"
    settings = [match for line in environment for match in _ENVIRONMENT_PATH.finditer(str(line))]
    settings += _ENVIRONMENT_PATH.finditer(text)
    for match in settings:
        yield from (directory for directory in match[1].split(":") if directory.startswith("/"))
    yield from DEFAULT_DIRECTORIES
    if home:
        yield home


def clean(path: str) -> str:
    """Return an absolute path without ``.``, ``..`` and doubled slashes."""
    normal = posixpath.normpath(path)
    return f"/{normal.lstrip('/')}"
