"""Which patterns of a YARA rule are looked for first: at least one of its *anchors* is there wherever it matches.

Of what a condition demands (``rule_conditions``) any choice is right; the one that is taken is cheap to search for and
rare. ``3 of 5`` patterns need one of any three of them: the three cheapest.
"""

from collections.abc import Collection
from typing import NamedTuple

from volforensic.inventory.pattern_cost import pattern_cost, trimmed
from volforensic.inventory.rule_conditions import AtLeast, Bytes, Node, Smaller
from volforensic.inventory.rule_text import Pattern


class Test(NamedTuple):
    """The bytes lie between the offsets of one of the places (``wanted``), or of none of them."""

    places: frozenset[tuple[int, int, bytes]]
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
        if wanted != any(data.find(value, start, end) >= 0 for start, end, value in places):
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
_PREFERENCE = 0.01


def need_of(node: Node, preferred: Collection[Pattern] = ()) -> Need:
    """Return what is needed where a node holds; ``preferred`` patterns are taken where they are enough."""
    if isinstance(node, Pattern):
        pattern = trimmed(" ".join((node.value, *node.modifiers)))
        factor = _PREFERENCE if node in preferred else 1
        return Need(EVERYWHERE, (Anchor(pattern, EVERYWHERE),), pattern_cost(pattern).total * factor)
    if isinstance(node, Bytes):
        test = Test(frozenset({(node.offset, node.end, node.value)}), node.wanted)
        return Need(Guard(None, frozenset({test})), None, _ENDLESS)
    if isinstance(node, Smaller):
        return Need(Guard(node.size, frozenset()), None, _ENDLESS)
    if not isinstance(node, AtLeast):
        return Need(EVERYWHERE, None, _ENDLESS)
    needs = [need_of(part, preferred) for part in node.parts]
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
