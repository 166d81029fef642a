"""The text in which LVM2 keeps a volume group: sections, values and lists, made into dictionaries.

Source: the grammar as lvm.conf(5) and lvm2's ``vgcfgbackup`` files have it: ``name { ... }``, ``key = value``, values
are integers, strings in quotation marks (a backslash takes the next character as it is) and lists of them; ``#``
begins a comment. Everything is an adversary's: size, number of tokens and depth are bounded, nothing recurses.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from volforensic.record import text

Scalar: TypeAlias = int | str
Value: TypeAlias = "Scalar | list[Scalar] | Section"
Section: TypeAlias = dict[str, Value]

LARGEST_TEXT = 16 << 20
_MOST_TOKENS = 2 << 20
_DEEPEST = 16
_LONGEST_NAME = 160
_TOKEN = re.compile(
    rb'[\s\0]+|#[^\n]*|(?P<string>"[^"\\]*(?:\\.[^"\\]*)*")|(?P<mark>[{}=\[\],])|(?P<word>[^\s{}=\[\],"#\0]+)',
    re.DOTALL,
)
_INTEGER = re.compile(rb"-?[0-9]{1,19}")
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)


class MetadataError(ValueError):
    """The text is no metadata of a volume group."""


class _Token(NamedTuple):
    kind: str
    raw: bytes


class Parsed(NamedTuple):
    """The outermost section, and the names that stand twice in one section (the first is kept)."""

    root: Section
    repeated: list[str]


def parse_metadata(raw: bytes) -> Parsed:
    """Return the text's sections. MetadataError where it is cut, too long, too deep or not of the grammar."""
    if len(raw) > LARGEST_TEXT:
        raise MetadataError(f"the text has {len(raw)} bytes")
    root: Section = {}
    repeated: list[str] = []
    open_sections = [root]
    tokens = _tokens(raw)
    for token in tokens:
        if token.raw == b"}" and token.kind == "mark":
            open_sections.pop()
            if not open_sections:
                raise MetadataError("a section ends that did not begin")
            continue
        name = _name(token)
        value = _value_after(tokens)
        section = open_sections[-1]
        if name in section:
            repeated = [*repeated, name] if len(repeated) < 100 else repeated
        else:
            section[name] = value
        if isinstance(value, dict):
            open_sections.append(value)
            if len(open_sections) > _DEEPEST:
                raise MetadataError(f"sections are nested more than {_DEEPEST} deep")
    if len(open_sections) > 1:
        raise MetadataError("the text ends in the middle of a section")
    return Parsed(root, repeated)


def _tokens(raw: bytes) -> Iterator[_Token]:
    position, count = 0, 0
    while position < len(raw):
        match = _TOKEN.match(raw, position)
        if match is None:
            raise MetadataError(f"the string at byte {position} of the text does not end")
        position = match.end()
        if match.lastgroup is None:
            continue
        count += 1
        if count > _MOST_TOKENS:
            raise MetadataError(f"the text has more than {_MOST_TOKENS} words")
        yield _Token(match.lastgroup, match.group())


def _next(tokens: Iterator[_Token]) -> _Token:
    token = next(tokens, None)
    if token is None:
        raise MetadataError("the text ends in the middle of a section")
    return token


def _name(token: _Token) -> str:
    if token.kind == "mark":
        raise MetadataError(f"{token.raw.decode()} stands where a name should be")
    if len(token.raw) > _LONGEST_NAME:
        raise MetadataError(f"a name of {len(token.raw)} bytes")
    return _string(token) if token.kind == "string" else text(token.raw)


def _value_after(tokens: Iterator[_Token]) -> Value:
    """Return the value after a name: an empty section where one begins."""
    token = _next(tokens)
    if token == ("mark", b"{"):
        return {}
    if token != ("mark", b"="):
        raise MetadataError("a name is followed by neither = nor {")
    token = _next(tokens)
    return _list(tokens) if token == ("mark", b"[") else _scalar(token)


def _list(tokens: Iterator[_Token]) -> list[Scalar]:
    values: list[Scalar] = []
    while (token := _next(tokens)) != ("mark", b"]"):
        if token != ("mark", b","):
            values.append(_scalar(token))
    return values


def _scalar(token: _Token) -> Scalar:
    if token.kind == "mark":
        raise MetadataError(f"{token.raw.decode()} stands where a value should be")
    if token.kind == "string":
        return _string(token)
    return int(token.raw) if _INTEGER.fullmatch(token.raw) else text(token.raw)


def _string(token: _Token) -> str:
    return text(_ESCAPED.sub(rb"\1", token.raw[1:-1]))


def number(section: Section, name: str, *, default: int | None = None, most: int = 1 << 62) -> int:
    """Return an integer of a section, 0 or more. MetadataError where it is missing, none, or above ``most``."""
    value = section.get(name, default)
    if not isinstance(value, int) or not 0 <= value <= most:
        raise MetadataError(f"{name} is {value!r:.60}" if name in section else f"{name} is missing")
    return value


def string(section: Section, name: str) -> str:
    """Return a string of a section, empty where there is none; one that is longer than any name is cut."""
    value = section.get(name)
    return value[:_LONGEST_NAME] if isinstance(value, str) else ""


def strings(section: Section, name: str) -> list[str]:
    """Return the strings of a list in a section; a single one counts as a list."""
    value = section.get(name)
    values = value if isinstance(value, list) else [value]
    return [item for item in values if isinstance(item, str)]


def sections(section: Section, name: str) -> dict[str, Section]:
    """Return the sections in the section called ``name``, none where there is none."""
    value = section.get(name)
    inner = value if isinstance(value, dict) else {}
    return {key: item for key, item in inner.items() if isinstance(item, dict)}
