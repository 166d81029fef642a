"""Tests of one value of a record: what a value of a rule means under a modifier of Sigma's notation."""

import ipaddress
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

Test: TypeAlias = Callable[[Any], bool]
"""Says of one value of a record (never of a list) whether it is meant; any type may come, None too."""

REGEX_HEAD, REGEX_TAIL = 12 << 10, 4 << 10
"""Characters that a regular expression sees of a longer value: its begin and its end (a payload stands between ``echo``
and ``| base64 -d | sh``). A bound on what a hostile text can cost."""

_ADDRESS_LIMIT = 64
_TOKENS = re.compile(r"\\([*?\\])|([*?])|(.)", re.DOTALL)
_REGEX_FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL}


def any_of(tests: Sequence[Test]) -> Test:
    """Return the test that holds where one of the tests does."""
    if len(tests) == 1:
        return tests[0]

    def test(value: Any) -> bool:
        for one in tests:  # noqa: SIM110 - a generator costs more than the tests
            if one(value):
                return True
        return False

    return test


def exactly(expected: bool | int) -> Test:  # noqa: FBT001 - the value that a rule names
    """Return the test of an integer or a boolean; 1 is not true."""
    kind = type(expected)
    return lambda value: type(value) is kind and value == expected


def texts(patterns: Sequence[str], position: str, *, cased: bool) -> Test:
    r"""Return the test of a text against any of the patterns: ``*`` any characters, ``?`` one, ``\*``, ``\?``, ``\\``.

    ``position`` is empty (the whole text), contains, startswith or endswith. Upper and lower case are the same unless
    ``cased``.
    """
    literals: dict[str, list[str]] = {}
    tests: list[Test] = []
    for pattern in patterns:
        segments = _segments(pattern, position)
        shape, literal = _literal(segments)
        if literal is None:
            tests.append(_glob_test(segments, cased=cased))
        else:
            literals.setdefault(shape, []).append(literal)
    tests[:0] = [_LITERAL_TESTS[shape](tuple(values), cased) for shape, values in sorted(literals.items())]
    return any_of(tests)


def regex_test(pattern: str, flags: str) -> Test:
    """Return the test of a regular expression that is searched for; ``flags`` are letters of ``i``, ``m`` and ``s``.

    Raises:
        re.error: It is none.
    """
    combined = re.NOFLAG
    for flag in flags:
        combined |= _REGEX_FLAGS[flag]
    search = re.compile(pattern, combined).search
    return lambda value: isinstance(value, str) and search(_seen(value)) is not None


def _seen(value: str) -> str:
    return value if len(value) <= REGEX_HEAD + REGEX_TAIL else f"{value[:REGEX_HEAD]}\n{value[-REGEX_TAIL:]}"


def network_test(network: str) -> Test:
    """Return the test of an address inside a network in CIDR notation.

    Raises:
        ValueError: It is no network.
    """
    wanted = ipaddress.ip_network(network, strict=False)

    def test(value: Any) -> bool:
        if not isinstance(value, str) or len(value) > _ADDRESS_LIMIT:
            return False
        try:
            address = ipaddress.ip_address(value)
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return address in wanted or (mapped is not None and mapped in wanted)

    return test


def comparison(modifier: str, bound: int) -> Test:
    """Return the test of an integer against a bound; ``modifier`` is gt, gte, lt or lte."""
    if modifier == "gt":
        return lambda value: type(value) is int and value > bound
    if modifier == "gte":
        return lambda value: type(value) is int and value >= bound
    if modifier == "lt":
        return lambda value: type(value) is int and value < bound
    return lambda value: type(value) is int and value <= bound


def _segments(pattern: str, position: str) -> list[list[str | None]]:
    """Split a pattern at its ``*``; a segment is its characters, None where any one character is meant."""
    segments: list[list[str | None]] = [[]]
    for escaped, wildcard, character in _TOKENS.findall(pattern):
        if wildcard == "*":
            segments.append([])
        else:
            segments[-1].append(None if wildcard else escaped or character)
    if position in {"contains", "endswith"} and (len(segments) == 1 or segments[0]):
        segments.insert(0, [])
    if position in {"contains", "startswith"} and (len(segments) == 1 or segments[-1]):
        segments.append([])
    return segments


def _literal(segments: list[list[str | None]]) -> tuple[str, str | None]:
    """Return where a pattern's one literal stands and the literal; None where it takes more than one comparison."""
    shapes = {1: {0: "whole"}, 2: {0: "startswith", 1: "endswith"}, 3: {1: "contains"}}
    places = [number for number, segment in enumerate(segments) if segment] or [len(segments) // 2]
    shape = shapes.get(len(segments), {}).get(places[0], "")
    if not shape or len(places) > 1 or None in segments[places[0]]:
        return "", None
    return shape, "".join(character or "" for character in segments[places[0]])


def _whole(literals: tuple[str, ...], cased: bool) -> Test:  # noqa: FBT001 - called through the table only
    if cased:
        wanted = frozenset(literals)
        return lambda value: isinstance(value, str) and value in wanted
    lowered = frozenset(literal.lower() for literal in literals)
    return lambda value: isinstance(value, str) and value.lower() in lowered


def _startswith(literals: tuple[str, ...], cased: bool) -> Test:  # noqa: FBT001 - called through the table only
    if cased:
        return lambda value: isinstance(value, str) and value.startswith(literals)
    lowered = tuple(literal.lower() for literal in literals)
    return lambda value: isinstance(value, str) and value.lower().startswith(lowered)


def _endswith(literals: tuple[str, ...], cased: bool) -> Test:  # noqa: FBT001 - called through the table only
    if cased:
        return lambda value: isinstance(value, str) and value.endswith(literals)
    lowered = tuple(literal.lower() for literal in literals)
    return lambda value: isinstance(value, str) and value.lower().endswith(lowered)


def _contains(literals: tuple[str, ...], cased: bool) -> Test:  # noqa: FBT001 - called through the table only
    wanted = literals if cased else tuple(literal.lower() for literal in literals)

    def test(value: Any) -> bool:
        if not isinstance(value, str):
            return False
        seen = value if cased else value.lower()
        for literal in wanted:  # noqa: SIM110 - a generator costs more than the tests
            if literal in seen:
                return True
        return False

    return test


_LITERAL_TESTS = {"whole": _whole, "startswith": _startswith, "endswith": _endswith, "contains": _contains}


def _glob_test(segments: list[list[str | None]], *, cased: bool) -> Test:
    """Return the test of a pattern with wildcards: each segment at its first place after the one before.

    That never goes back, so it takes time in proportion to the text; the same as one regular expression does not.
    """
    flags = re.DOTALL if cased else re.DOTALL | re.IGNORECASE
    expressions = [
        re.compile("".join("." if character is None else re.escape(character) for character in segment), flags)
        for segment in segments
    ]
    first, *middle = expressions[:-1] or expressions
    last, last_length = expressions[-1], len(segments[-1])
    single = len(segments) == 1

    def test(value: Any) -> bool:
        if not isinstance(value, str):
            return False
        if single:
            return last.fullmatch(value) is not None
        found = first.match(value)
        for expression in middle:
            found = found and expression.search(value, found.end())
        tail = len(value) - last_length
        return found is not None and found.end() <= tail and last.match(value, tail) is not None

    return test
