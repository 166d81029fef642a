"""The text of YARA rules in pieces: rules, their patterns and the words of their conditions.

Only so much of the grammar is read as finding what a rule needs takes (``rule_conditions``); yara-x has compiled the
text before and is the judge of it. Sources: the YARA manual ("Writing YARA rules"), "YARA-X vs YARA" of yara-x.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

_SKIPPED = re.compile(r"(?:\s|//[^\n]*|/\*.*?\*/)+", re.DOTALL)
_REGEX = re.compile(r"/(?:[^/\\\n]|\\[^\n])+/[a-z]*")
_TOKEN = re.compile(
    r"""(?P<text>"(?:[^"\\\n]|\\[^\n])*")
    |(?P<number>\d\w*(?:\.\d+)?)
    |(?P<sign>[=!<>]=|<<|>>|\.\.)
    |(?P<name>[$\#@!]\w*|[A-Za-z_]\w*)
    |(?P<other>.)""",
    re.DOTALL | re.VERBOSE,
)
_HEADINGS = ("meta", "strings", "condition")
OPENING, CLOSING = {"(", "[", "{"}, {")", "]", "}"}


class RuleTextError(Exception):
    """A rule file's text is not what this module reads."""


class Token(NamedTuple):
    """A word of the text; names have their ``$``, ``#``, ``@`` or ``!``."""

    kind: Literal["text", "regex", "number", "sign", "name", "other"]
    text: str
    start: int
    end: int


class Pattern(NamedTuple):
    """One line of ``strings``: the value as it is written and its modifiers (``xor(1-255)`` is one)."""

    identifier: str
    value: str
    modifiers: tuple[str, ...]

    @property
    def text(self) -> str:
        """Value and modifiers, as a rule has them; not ``private``, for yara-x says nothing of what is private."""
        return " ".join((self.value, *(modifier for modifier in self.modifiers if modifier != "private")))


class Rule(NamedTuple):
    """One rule: name, modifiers (``private``, ``global``), its place, patterns, condition, metadatum ``anchor``."""

    name: str
    modifiers: frozenset[str]
    start: int
    end: int
    patterns: tuple[Pattern, ...]
    condition: tuple[Token, ...]
    anchor: str = ""


def rules_in(source: str) -> list[Rule]:
    """Return the rules of a file's text, in order.

    Raises:
        RuleTextError: The text has something that is not read here.
    """
    tokens = tuple(_tokens(source))
    rules = []
    position = 0
    while position < len(tokens):
        if tokens[position].text in {"import", "include"}:
            position += 2
            continue
        rule, position = _rule(source, tokens, position)
        rules.append(rule)
    return rules


def _tokens(source: str) -> Iterator[Token]:
    if '"""' in source:
        raise RuleTextError("texts of several lines are not read")
    position, before = 0, ""
    while position < len(source):
        if skipped := _SKIPPED.match(source, position):
            position = skipped.end()
            continue
        regex = _REGEX.match(source, position) if before in {"=", "matches"} else None
        match = regex or _TOKEN.match(source, position)
        if match is None or match[0] in {'"', "\\"}:
            raise RuleTextError(f"what stands at {position} is not understood")
        kind = "regex" if regex else match.lastgroup
        yield Token(kind, match[0], position, match.end())  # type: ignore[arg-type]  # the groups are the kinds
        position, before = match.end(), match[0]


def _rule(source: str, tokens: Sequence[Token], start: int) -> tuple[Rule, int]:
    opening = next((index for index in range(start, len(tokens)) if tokens[index].text == "{"), len(tokens))
    head = [token.text for token in tokens[start:opening]]
    if "rule" not in head[:-1] or set(head[: head.index("rule")]) - {"private", "global"}:
        raise RuleTextError("no rule where one is expected")
    end = closing(tokens, opening)
    parts = _parts(tokens, opening + 1, end)
    if "condition" not in parts:
        raise RuleTextError("a rule without condition")
    patterns = tuple(_patterns(source, parts.get("strings", ())))
    name = head[head.index("rule") + 1]
    modifiers = frozenset(head[: head.index("rule")])
    rule = Rule(
        name,
        modifiers,
        tokens[start].start,
        tokens[end].end,
        patterns,
        tuple(parts["condition"]),
        _anchor(parts.get("meta", ())),
    )
    return rule, end + 1


def _anchor(meta: Sequence[Token]) -> str:
    words = [token.text for token in meta]
    return next(
        (words[index + 2][1:-1] for index in range(len(words) - 2) if words[index : index + 2] == ["anchor", "="]), ""
    )


def closing(tokens: Sequence[Token], opening: int) -> int:
    """Return where the bracket at ``opening`` is closed.

    Raises:
        RuleTextError: It is not.
    """
    depth = 0
    for index in range(opening, len(tokens)):
        depth += (tokens[index].text in OPENING) - (tokens[index].text in CLOSING)
        if not depth:
            return index
    raise RuleTextError("a bracket is not closed")


def _parts(tokens: Sequence[Token], start: int, end: int) -> dict[str, Sequence[Token]]:
    """Return the sections of a rule by their headings; a heading is no name of a pattern, so its words tell it."""
    places = [
        index
        for index in range(start, end - 1)
        if tokens[index].kind == "name" and tokens[index].text in _HEADINGS and tokens[index + 1].text == ":"
    ]
    if len({tokens[index].text for index in places}) != len(places):
        raise RuleTextError("a heading stands twice")
    return {
        tokens[index].text: tokens[index + 2 : following]
        for index, following in zip(places, [*places[1:], end], strict=True)
    }


def _patterns(source: str, tokens: Sequence[Token]) -> Iterator[Pattern]:
    index = 0
    while index < len(tokens):
        if not tokens[index].text.startswith("$") or [token.text for token in tokens[index + 1 : index + 2]] != ["="]:
            raise RuleTextError("no pattern where one is expected")
        identifier, first = tokens[index].text, index + 2
        if first >= len(tokens):
            raise RuleTextError("a pattern without value")
        last = closing(tokens, first) if tokens[first].text == "{" else first
        value = source[tokens[first].start : tokens[last].end]
        index = last + 1
        modifiers = []
        while index < len(tokens) and not tokens[index].text.startswith("$"):
            end = index
            if tokens[index + 1 : index + 2] and tokens[index + 1].text == "(":
                end = closing(tokens, index + 1)
            modifiers.append(source[tokens[index].start : tokens[end].end])
            index = end + 1
        yield Pattern(identifier, value, tuple(modifiers))
