"""Which patterns of a YARA rule are looked for first: at least one of its *anchors* is there wherever it matches.

Of what a condition demands (``rule_conditions``) any choice is right; the one that is taken is cheap to search for and
rare. ``3 of 5`` patterns need one of any three of them: the three cheapest.
"""

import re
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from volforensic.inventory.rule_conditions import AtLeast, Bytes, Node, Smaller
from volforensic.inventory.rule_text import Pattern


class Test(NamedTuple):
    """The bytes at one of the places are these (``wanted``), or at none of them."""

    places: frozenset[tuple[int, bytes]]
    wanted: bool


class Guard(NamedTuple):
    """Buffers that come into question: those below a size (None: any) that pass every test."""

    limit: int | None
    tests: frozenset[Test]

    def admits(self, data: bytes) -> bool:
        """Return whether something that has this guard may match the bytes."""
        return is_below(self.limit, data) and tests_pass(self.tests, data)


def is_below(limit: int | None, data: bytes) -> bool:
    """Return whether the bytes are fewer than a limit (None: any number is)."""
    return limit is None or len(data) < limit


def tests_pass(tests: frozenset[Test], data: bytes) -> bool:
    """Return whether the bytes pass every test."""
    for places, wanted in tests:
        if wanted != any(data.startswith(value, offset) for offset, value in places):
            return False
    return True


class Anchor(NamedTuple):
    """A pattern as a rule text would have it (value and modifiers), and where it is needed."""

    pattern: str
    guard: Guard


class Need(NamedTuple):
    """What a condition needs: its guard; the anchors of which one must be there (None: nothing is known), their cost."""

    guard: Guard
    anchors: tuple[Anchor, ...] | None
    cost: float


EVERYWHERE = Guard(None, frozenset())
_ENDLESS = float("inf")
_DEEPEST = 16


def need_of(node: Node) -> Need:
    """Return what is needed where a node holds."""
    if isinstance(node, Pattern):
        return Need(EVERYWHERE, (Anchor(" ".join((node.value, *node.modifiers)), EVERYWHERE),), _cost(node))
    if isinstance(node, Bytes):
        test = Test(frozenset({(node.offset, node.value)}), node.wanted)
        return Need(Guard(None, frozenset({test})), None, _ENDLESS)
    if isinstance(node, Smaller):
        return Need(Guard(node.size, frozenset()), None, _ENDLESS)
    if not isinstance(node, AtLeast):
        return Need(EVERYWHERE, None, _ENDLESS)
    needs = [need_of(part) for part in node.parts]
    if node.number == len(needs):
        guard = _meet([need.guard for need in needs])
    else:
        guard = _join([need.guard for need in needs])
    chosen = sorted(needs, key=lambda need: need.cost)[: len(needs) - node.number + 1]
    if any(need.anchors is None for need in chosen):
        return Need(guard, None, _ENDLESS)
    anchors = {
        Anchor(anchor.pattern, _meet([anchor.guard, guard])): None for need in chosen for anchor in need.anchors or ()
    }
    return Need(guard, tuple(anchors), sum(need.cost for need in chosen))


def _meet(guards: list[Guard]) -> Guard:
    """Return the guard of what demands all of these."""
    limits = [guard.limit for guard in guards if guard.limit is not None]
    return Guard(min(limits, default=None), frozenset().union(*(guard.tests for guard in guards)))


def _join(guards: list[Guard]) -> Guard:
    """Return a guard of what demands one of these: wider than needed where they have little in common."""
    limits = [guard.limit for guard in guards]
    limit = None if None in limits else max(limit for limit in limits if limit is not None)
    tests = frozenset.intersection(*(guard.tests for guard in guards))
    single = [test for guard in guards for test in guard.tests if len(guard.tests) == 1 and test.wanted]
    if len(single) == len(guards):
        tests = frozenset({Test(frozenset().union(*(test.places for test in single)), True)})  # noqa: FBT003
    return Guard(limit, tests)


join_guards = _join


@cache
def _cost(pattern: Pattern) -> float:
    """Return what a pattern costs as an anchor: pieces to search for, and how often all rules are searched for it.

    A piece is some 3 ms for each GB; all rules are 2.5 s for each GB of buffers that hold the pattern.
    """
    return _pieces(pattern.value, pattern.modifiers) + 800 * 2 ** (-_rarity(pattern.value) / 2)


def pieces_of(pattern: str) -> int:
    """Return how many pieces yara-x searches for on behalf of a pattern with its modifiers, roughly."""
    match = _WRITTEN.fullmatch(pattern)
    return _pieces(match[1], match[2].split()) if match else 1


_WRITTEN = re.compile(r"""("(?:[^"\\]|\\.)*"|/(?:[^/\\]|\\.)*/[a-z]*|\{[^}]*\})((?: .*)?)""", re.DOTALL)
_GROUP = re.compile(r"\(([^()]*)\)([?*]|\{0?,)?")


def _rarity(value: str) -> float:
    """Return how many bytes of a pattern are fixed, roughly; words of small letters are names that programs share."""
    if value.startswith("{"):
        return 1.5 * len(re.findall(r"\b[0-9A-Fa-f]{2}\b", value))
    if value.startswith("/"):
        return float(sum(map(len, _runs(value))))
    text = re.sub(r"\\x..|\\.", "~", value[1:-1])
    return len(text) / 2 if re.fullmatch("[a-z_]+", text) else float(len(text))


def _pieces(value: str, modifiers: Sequence[str]) -> int:
    words = {modifier.partition("(")[0] for modifier in modifiers}
    pieces = 1
    if "xor" in words:
        pieces *= 256 if "xor" in modifiers or "-" in " ".join(modifiers) else 1
    if words & {"base64", "base64wide"}:
        pieces *= 3
    if {"wide", "ascii"} <= words:
        pieces *= 2
    if value.startswith("/"):
        longest = max(map(len, _runs(value)), default=0)
        pieces *= {0: 4096, 1: 4096, 2: 16, 3: 4}.get(longest, 2) + min(value.count("|"), 16) // 4
    if "nocase" in words or re.search(r"/[a-z]*i[a-z]*$", value):
        pieces *= 8
    return pieces


@cache
def _runs(regex: str) -> list[str]:
    """Return the runs of literal bytes of a regular expression, roughly: of alternatives, those of the shortest."""
    text = regex[1 : regex.rindex("/")]
    text = re.sub(r"\\[/.()\[\]{}$*+?|^\\\-]", "~", text)
    text = re.sub(r"\[\^?\]?[^\]]*\]|\\x..|\\.|\.", "\0", text)
    for _ in range(_DEEPEST):
        text, changes = _GROUP.subn(lambda group: "\0" if group[2] else min(group[1].split("|"), key=len), text)
        if not changes:
            break
    return re.findall(r"[^\0?*+|^$]+", re.sub(r"\{[0-9,]*\}|.[?*]", "\0", text))
