"""What must hold wherever a YARA rule matches: a condition read as far as it is understood.

A condition becomes a tree of ``AtLeast`` (``and``: all of them, ``or``: one of them, ``3 of ($a*)``: three) over
patterns, tests of the bytes at fixed places and limits of the size. Everything else, ``not`` above all, is unknown:
nothing is claimed about it. The tree is therefore true wherever the condition is, never the other way round. Source:
the YARA manual ("Writing YARA rules"), its table of precedence: ``not``, comparisons, ``and``, ``or``.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from volforensic.inventory.pattern_estimates import Cost, first_bytes, pattern_cost, trimmed
from volforensic.inventory.rule_text import CLOSING, OPENING, Pattern, Rule, RuleTextError, Token, closing

_DEEPEST = 64
_INTEGER_READER = re.compile(r"uint(8|16|32)(be)?")
_COMPARISONS = {"==", "!=", "<", ">", "<=", ">=", "contains", "matches", "startswith", "endswith", "iequals"} | {
    "icontains",
    "istartswith",
    "iendswith",
}
_UNITS = {"KB": 1 << 10, "MB": 1 << 20}


class Unknown(msgspec.Struct, frozen=True, array_like=True, tag=0):
    """Nothing is claimed."""


class Bytes(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """These bytes lie between two offsets (``wanted``), or do not."""

    offset: int
    end: int
    value: bytes
    wanted: bool


class Smaller(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """The buffer has fewer bytes than this."""

    size: int


class Found(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """A pattern (a rule's, or a weaker one) is there."""

    pattern: str
    cost: Cost


class AtLeast(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """So many of the parts hold."""

    number: int
    parts: tuple["Node", ...]


Node = Unknown | Bytes | Smaller | Found | AtLeast
UNKNOWN = Unknown()


class _Scope(NamedTuple):
    """What names mean: a rule's patterns, the rules before it, what ``$`` stands for inside ``for ... of``."""

    patterns: tuple[Pattern, ...]
    rules: Mapping[str, Node]
    current: Pattern | None = None


def condition_of(rule: Rule, rules: Mapping[str, Node]) -> Node:
    """Return what a rule's condition demands; ``rules``: the conditions of the rules of its file before it.

    Raises:
        RuleTextError: The condition's brackets do not add up.
    """
    return _expression(rule.condition, _Scope(rule.patterns, rules), 0)


def _expression(tokens: Sequence[Token], scope: _Scope, depth: int) -> Node:
    if depth > _DEEPEST or not tokens:
        return UNKNOWN
    alternatives = _split(tokens, "or")
    terms = _split(tokens, "and")
    if any(token.text == "with" for token in tokens):
        return UNKNOWN
    if len(alternatives) > 1:
        return AtLeast(1, tuple(_expression(part, scope, depth + 1) for part in alternatives))
    if len(terms) > 1:
        return AtLeast(len(terms), tuple(_expression(part, scope, depth + 1) for part in terms))
    return _term(tokens, scope, depth)


def _split(tokens: Sequence[Token], word: str) -> list[Sequence[Token]]:
    """Return what stands between the words (``or``, ``,``) outside of brackets."""
    parts, start, depth = [], 0, 0
    for index, token in enumerate(tokens):
        depth += (token.text in OPENING) - (token.text in CLOSING)
        if depth < 0:
            raise RuleTextError("a bracket is not opened")
        if not depth and token.text == word:
            parts.append(tokens[start:index])
            start = index + 1
    return [*parts, tokens[start:]]


def _term(tokens: Sequence[Token], scope: _Scope, depth: int) -> Node:
    """Return what a term without ``and`` and ``or`` demands."""
    first = tokens[0].text
    if first == "(" and closing(tokens, 0) == len(tokens) - 1:
        return _expression(tokens[1:-1], scope, depth + 1)
    if first == "for":
        return _loop(tokens, scope, depth)
    if len(tokens) == 1 and first in scope.rules:
        return scope.rules[first]
    of = [index for index, part in enumerate(tokens) if part.text == "of"]
    if of == [1]:
        return _of(tokens, scope, depth)
    if first.startswith("$"):
        is_plain = len(tokens) == 1 or (tokens[1].text in {"at", "in"} and not _has_comparison(tokens))
        return _placed(_named(tokens[0], scope), tokens[1:]) if is_plain else UNKNOWN
    return _comparison(tokens, scope)


def _placed(pattern: Pattern | None, place: Sequence[Token]) -> Node:
    """Return what ``$a in (0..1024)`` demands: the pattern, and that its first bytes are among the buffer's first."""
    if pattern is None:
        return UNKNOWN
    words = [token.text for token in place]
    if len(words) != 6 or words[:2] != ["in", "("] or words[3] != "..":
        return found(pattern)
    last, head = _number(place[4]), first_bytes(pattern.text)
    if last is None or not head:
        return found(pattern)
    return AtLeast(2, (found(pattern), Bytes(0, last + len(head), head, wanted=True)))


def found(pattern: Pattern) -> Found:
    """Return the demand that a pattern is there; ends of a regular expression that say little are left out."""
    text = trimmed(pattern.text)
    return Found(text, pattern_cost(text))


def _has_comparison(tokens: Sequence[Token]) -> bool:
    return any(token.text in _COMPARISONS or token.text == "not" for token in tokens)


def _named(token: Token, scope: _Scope) -> Pattern | None:
    """Return the pattern that ``$name`` or ``#name`` stands for."""
    if len(token.text) == 1:
        return scope.current
    named = [pattern for pattern in scope.patterns if pattern.identifier[1:] == token.text[1:]]
    return named[0] if len(named) == 1 else None


def _of(tokens: Sequence[Token], scope: _Scope, depth: int) -> Node:
    """Read ``3 of ($a*, $b)``, ``any of them``, with ``in (0..64)`` or ``at 0`` after it."""
    items, end = _items(tokens, 2, scope, depth)
    rest = tokens[end:]
    if rest and (rest[0].text not in {"at", "in"} or _has_comparison(rest)):
        return UNKNOWN
    return _counted(tokens[0], [found(item) if isinstance(item, Pattern) else item for item in items])


def _counted(quantifier: Token, items: Sequence[Node]) -> Node:
    number = {"any": 1, "all": len(items)}.get(quantifier.text, _number(quantifier))
    if number is None or number < 1 or not items:
        return UNKNOWN
    return AtLeast(min(number, len(items)), tuple(items))


def _items(tokens: Sequence[Token], start: int, scope: _Scope, depth: int) -> tuple[list[Pattern | Node], int]:
    """Return the members of a set and where the text goes on; none where one of them is not understood.

    A pattern that is named twice stays twice: so the count of them is right, whether yara-x counts it twice or not.
    """
    if start < len(tokens) and tokens[start].text == "them":
        return list(scope.patterns), start + 1
    if start >= len(tokens) or tokens[start].text != "(":
        return [], len(tokens)
    end = closing(tokens, start)
    items: list[Pattern | Node] = []
    for part in _split(tokens[start + 1 : end], ","):
        words = [token.text for token in part]
        if len(words) == 2 and words[0].startswith("$") and words[1] == "*":
            items += [pattern for pattern in scope.patterns if pattern.identifier.startswith(words[0])]
        elif words[-1:] == ["*"]:
            return [], end + 1
        elif len(words) == 1 and words[0].startswith("$"):
            items.append(_named(part[0], scope) or UNKNOWN)
        else:
            items.append(_expression(part, scope, depth + 1))
    return items, end + 1


def _loop(tokens: Sequence[Token], scope: _Scope, depth: int) -> Node:
    """Read ``for any of ($a*) : ( $ at 0 )`` and ``for any i in (1..3) : ( ... )``; the body says what is needed."""
    words = [token.text for token in tokens]
    colon = next((index for index, _ in enumerate(words) if words[index : index + 2] == [":", "("]), len(words))
    if colon + 1 >= len(words) or closing(tokens, colon + 1) != len(words) - 1:
        return UNKNOWN
    body = tokens[colon + 2 : -1]
    if words[2] == "of":
        patterns, end = _items(tokens, 3, scope, depth)
        if end != colon or not all(isinstance(pattern, Pattern) for pattern in patterns):
            return UNKNOWN
        bound = [scope._replace(current=pattern) for pattern in patterns if isinstance(pattern, Pattern)]
        return _counted(tokens[1], [_expression(body, inner, depth + 1) for inner in bound])
    if "in" not in words[:colon] or (words[1] != "any" and (_number(tokens[1]) or 0) < 1):
        return UNKNOWN
    variables = set(words[2 : words.index("in")])
    visible = {name: node for name, node in scope.rules.items() if name not in variables}
    return _expression(body, scope._replace(rules=visible), depth + 1)


def _comparison(tokens: Sequence[Token], scope: _Scope) -> Node:
    """Read ``#a + #b >= 2``, ``#a > #b``, ``filesize < 4MB``, ``uint32be(0) == 0x7f454c46``."""
    signs = [index for index, token in enumerate(tokens) if token.text in _COMPARISONS]
    if len(signs) > 1 or (signs and signs[0] in {0, len(tokens) - 1}):
        return UNKNOWN
    middle = signs[0] if signs else len(tokens)
    left, right = tokens[:middle], tokens[middle + 1 :]
    sign = tokens[middle].text if signs else ">"
    counted = _counts(left, scope)
    value = _number(right[0]) if len(right) == 1 else None
    if counted:
        is_more_than_others = not signs or (sign == ">" and bool(_counts(right, scope)))
        is_one_needed = value is not None and ((sign in {">=", "=="} and value >= 1) or (sign == ">" and value >= 0))
        return AtLeast(1, tuple(counted)) if is_more_than_others or is_one_needed else UNKNOWN
    if value is None:
        return UNKNOWN
    if [token.text for token in left] == ["filesize"] and sign in {"<", "<="}:
        return Smaller(value + (sign == "<="))
    return _bytes(left, sign, value)


def _counts(tokens: Sequence[Token], scope: _Scope) -> list[Node]:
    """Return the patterns of a sum of counts; none where it is something else."""
    if tokens and tokens[0].text == "(" and closing(tokens, 0) == len(tokens) - 1:
        return _counts(tokens[1:-1], scope)
    parts = _split(tokens, "+")
    if not all(len(part) == 1 and part[0].text.startswith("#") for part in parts):
        return []
    named = [_named(part[0], scope) for part in parts]
    return [found(pattern) if pattern else UNKNOWN for pattern in named]


def _bytes(tokens: Sequence[Token], sign: str, value: int) -> Node:
    function = _INTEGER_READER.fullmatch(tokens[0].text)
    words = [token.text for token in tokens[1:]]
    if function is None or sign not in {"==", "!="} or len(words) != 3 or (words[0], words[2]) != ("(", ")"):
        return UNKNOWN
    offset, size = _number(tokens[2]), int(function[1]) // 8
    if offset is None or not value < 1 << 8 * size:
        return UNKNOWN
    return Bytes(offset, offset + size, value.to_bytes(size, "big" if function[2] else "little"), sign == "==")


def _number(token: Token) -> int | None:
    """Return an integer as YARA writes it; None where the word is something else."""
    match = re.fullmatch(r"(0x[0-9a-fA-F]{1,16}|0o[0-7]{1,21}|\d{1,18})(KB|MB)?", token.text)
    if match is None or token.kind != "number":
        return None
    return int(match[1], 8 if match[1].startswith("0o") else 16 if match[1].startswith("0x") else 10) * _UNITS.get(
        match[2] or "", 1
    )
