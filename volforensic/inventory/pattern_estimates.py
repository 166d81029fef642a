"""How much a YARA pattern costs to search for, and how rare it is: estimates, on which no answer depends.

yara-x looks for *pieces* of up to four bytes of each pattern and then compares the pattern where one is found. Source:
the YARA manual ("Writing YARA rules") and the chapters on atoms in yara-x's documentation of its scanner.
"""

import re
from functools import cache
from typing import NamedTuple

PIECE_SIZE = 4
_UNSEARCHABLE = 4096
_SHORT_PIECES = {0: _UNSEARCHABLE, 1: _UNSEARCHABLE, 2: 8, 3: 4}
_DEEPEST = 16
_NOCASE_PIECES = 10
_FEW = 2
"""Up to so many alternatives are searched for as they are; of more, what may stand beside them counts too."""
_LONE_SIGNS = frozenset({":", "=", " ", "\\/", '"', "'"})
"""Signs that a regular expression often ends with, after classes that yara-x would spell out."""
_LEAST_FIXED = 11
_HITS = 800
"""A piece costs some 3 ms for each GB; all rules cost some 2.5 s for each GB of the buffers that hold the pattern."""
_SPACE_WEIGHT, _LETTER_WEIGHT, _SIGN_WEIGHT = 12, 18, 20
_PATTERN = re.compile(
    r"""(?P<text>"(?:[^"\\]|\\.)*")|(?P<regex>/(?:[^/\\]|\\.)*/)(?P<flags>[a-z]*)|(?P<hex>\{[^}]*\})""", re.DOTALL
)
_REGEX_TOKEN = re.compile(
    r"""(?P<literal>\\[^\w\s<>]|[^\\\[\](){}.*+?|^$])
    |(?P<class>\[\^?\]?(?:[^\]\\]|\\.)*\]|\\x[0-9a-fA-F]{2}|\\.|[.^$\]}])
    |(?P<quantifier>[*+?]\??|\{(?P<least>\d*)(?:,\d*)?\}\??)
    |(?P<sign>[(|)])
    |(?P<other>.)""",
    re.DOTALL | re.VERBOSE,
)


class Cost(NamedTuple):
    """Pieces that are searched for; fixed bytes, roughly: the more, the rarer."""

    pieces: int
    fixed: float

    @property
    def total(self) -> float:
        """One number to compare patterns by."""
        return self.pieces + _HITS * 2 ** (-self.fixed / 2)


@cache
def pattern_cost(pattern: str) -> Cost:
    """Return what a pattern as a rule's text has it (value and modifiers) costs."""
    match = _PATTERN.match(pattern)
    if match is None:
        return Cost(_UNSEARCHABLE, 0)
    modifiers = pattern[match.end() :].split()
    is_nocase = "nocase" in modifiers or "i" in (match["flags"] or "")
    if match["text"]:
        cost = _text_cost(re.sub(r"\\x..|\\.", "~", match["text"][1:-1]), is_nocase=is_nocase)
    elif match["regex"]:
        cost = _regex_cost(match["regex"][1:-1], is_nocase=is_nocase)
    else:
        cost = _hex_cost(match["hex"])
    return cost._replace(pieces=cost.pieces * _factor(pattern[match.end() :], modifiers))


@cache
def likely_piece(pattern: str) -> str:
    """Return the four letters of a pattern that yara-x is likely to look for: signs before letters before spaces.

    Sets of patterns with pieces that are alike are searched for faster.
    """
    match = _PATTERN.match(pattern)
    if match is None or match["hex"]:
        return ""
    if match["text"]:
        text = re.sub(r"\\x..|\\(.)", r"\1", match["text"][1:-1])
    else:
        letters = (text[-1] if kind == "literal" else "\0" for kind, text in _regex_tokens(match["regex"]))
        text = max("".join(letters).split("\0"), key=len)
    windows = [text[start : start + PIECE_SIZE] for start in range(max(1, len(text) - PIECE_SIZE + 1))]
    return max(windows, key=_quality)


def _quality(piece: str) -> int:
    weights = (_SPACE_WEIGHT if sign == " " else _LETTER_WEIGHT if sign.isalpha() else _SIGN_WEIGHT for sign in piece)
    return sum(weights) + 2 * len(set(piece))


def _factor(text: str, modifiers: list[str]) -> int:
    factor = 256 if "xor" in modifiers or "-" in text else 1
    factor *= 3 if "base64" in text else 1
    return factor * (2 if {"wide", "ascii"} <= set(modifiers) else 1)


def _text_cost(text: str, *, is_nocase: bool) -> Cost:
    """Return the cost of fixed text; words of small letters are names that many programs share."""
    fixed = len(text) / 2 if re.fullmatch("[a-z_]+", text) else float(len(text))
    return Cost(_run_pieces(text, is_nocase=is_nocase), fixed)


def _run_pieces(run: str, *, is_nocase: bool) -> int:
    pieces = _SHORT_PIECES.get(len(run), 1)
    return pieces * 2 ** min(PIECE_SIZE, sum(map(str.isalpha, run))) if is_nocase else pieces


def _hex_cost(value: str) -> Cost:
    runs = re.findall(r"(?:\b[0-9A-Fa-f]{2}\s+)+", value)
    longest = max((len(run.split()) for run in runs), default=0)
    return Cost(_SHORT_PIECES.get(longest, 1), 1.5 * sum(len(run.split()) for run in runs))


def trimmed(pattern: str) -> str:
    """Return a weaker pattern than a regular expression: without the classes at its ends, which yara-x would spell out.

    What has modifiers that look at the ends of a match, or alternatives that are not in brackets, stays as it is.
    """
    match = _PATTERN.match(pattern)
    if match is None or not match["regex"] or set(pattern[match.end() :].split()) - {"nocase", "ascii"}:
        return pattern
    tokens = _regex_tokens(match["regex"])
    if not _is_simple(tokens):
        return pattern
    start, end = 0, len(tokens)
    while end > 1 and (_is_open(tokens[end - 1]) or (tokens[end - 1][0] == "quantifier" and _is_open(tokens[end - 2]))):
        end -= 1 if _is_open(tokens[end - 1]) else 2
    while start + 1 < end and _is_open(tokens[start]):
        start += 2 if start + 1 < end and tokens[start + 1][0] == "quantifier" else 1
    kept = "".join(text for _, text in tokens[start:end])
    cost = _regex_cost(kept, is_nocase=False)
    if cost.pieces > _FEW or cost.fixed < _LEAST_FIXED:
        return pattern
    return f"/{kept}/{match['flags']}{pattern[match.end() :]}"


def first_bytes(pattern: str) -> bytes:
    """Return bytes that every match of a regular expression begins with; empty where that is not plain to see."""
    match = _PATTERN.match(pattern)
    if match is None or not match["regex"] or set(pattern[match.end() :].split()) - {"nocase", "ascii", "fullword"}:
        return b""
    tokens = _regex_tokens(match["regex"])
    found = b""
    for (kind, text), following in zip(tokens, [*tokens[1:], (None, "")], strict=True):
        if kind != "literal" or text[-1].isalpha() or not text.isascii() or following[0] == "quantifier":
            break
        found += text[-1].encode()
    return found if _is_simple(tokens) else b""


def _regex_tokens(regex: str) -> list[tuple[str | None, str]]:
    return [(found.lastgroup, found[0]) for found in _REGEX_TOKEN.finditer(regex[1:-1])]


def _is_simple(tokens: list[tuple[str | None, str]]) -> bool:
    """Return whether what matches is one thing after the other, and each of them is understood."""
    depth = 0
    for kind, text in tokens:
        depth += (text == "(") - (text == ")")
        if kind == "other" or (text == "|" and not depth) or (text.startswith("[") and "[" in text[1:]):
            return False
    return not depth


def _is_open(token: tuple[str | None, str]) -> bool:
    return token[0] == "class" or token[1] in _LONE_SIGNS


def _regex_cost(regex: str, *, is_nocase: bool) -> Cost:
    cost = _alternatives(_regex_tokens(f"/{regex}/"), 0, is_nocase=False, depth=0)[0]
    if is_nocase:
        return cost._replace(pieces=max(_NOCASE_PIECES, 2 * cost.pieces))
    return cost._replace(pieces=cost.pieces + (cost.pieces + 1) // 2) if "(" in regex else cost


def _alternatives(tokens: list[tuple[str | None, str]], index: int, *, is_nocase: bool, depth: int) -> tuple[Cost, int]:
    """Return the cost of ``a|b|c`` up to its bracket: all are searched for, the commonest counts."""
    costs = []
    while True:
        cost, index = _sequence(tokens, index, is_nocase=is_nocase, depth=depth)
        costs.append(cost)
        if index >= len(tokens) or tokens[index][1] == ")":
            return Cost(sum(cost.pieces for cost in costs), min(cost.fixed for cost in costs)), index
        index += 1


def _sequence(tokens: list[tuple[str | None, str]], index: int, *, is_nocase: bool, depth: int) -> tuple[Cost, int]:
    """Return the cost of what stands in a row: the cheapest part is searched for."""
    run = ""
    best, fixed = _UNSEARCHABLE, 0.0
    while index < len(tokens) and tokens[index][1] not in {"|", ")"}:
        kind, text = tokens[index]
        inner = None
        if text == "(" and kind == "sign" and depth < _DEEPEST:
            inner, index = _alternatives(tokens, index + 1, is_nocase=is_nocase, depth=depth + 1)
        index += 1
        is_needed = index >= len(tokens) or not re.match(r"[*?]|\{0?[,}]", tokens[index][1])
        if kind == "literal" and is_needed:
            run += text[-1]
            fixed += 1
            continue
        best, run = min(best, _run_pieces(run, is_nocase=is_nocase)), ""
        if inner is not None and is_needed:
            pieces = inner.pieces if inner.pieces <= _FEW else 2 * inner.pieces
            best, fixed = min(best, pieces), fixed + inner.fixed
        elif kind == "class" and text.startswith("["):
            fixed += 0.25
    return Cost(min(best, _run_pieces(run, is_nocase=is_nocase)), fixed), index
