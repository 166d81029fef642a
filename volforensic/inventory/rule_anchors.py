"""Which patterns of a YARA rule are looked for first: at least one of its *anchors* is there wherever it matches.

Of what a condition demands (``rule_conditions``) any choice is right; the one that is taken is cheap to search for and
rare. ``3 of 5`` patterns need one of any three of them: the three cheapest.
"""

from collections.abc import Collection, Iterator
from typing import NamedTuple

from volforensic.inventory.pattern_estimates import pattern_cost
from volforensic.inventory.rule_conditions import AtLeast, Bytes, Found, Node, Smaller


class Test(NamedTuple):
    """The bytes lie between the offsets of one of the places (``wanted``), or of none of them."""

    places: frozenset[tuple[int, int, bytes]]
    wanted: bool


class Guard(NamedTuple):
    """Buffers that come into question: those below a size (None: any) that pass every test."""

    limit: int | None
    tests: frozenset[Test]


def passes(test: Test, data: bytes) -> bool:
    """Return whether the bytes pass a test."""
    for start, end, value in test.places:
        if data.find(value, start, end) >= 0:
            return test.wanted
    return not test.wanted


class Anchor(NamedTuple):
    """A pattern as a rule text would have it (value and modifiers), and where it is needed."""

    pattern: str
    guard: Guard


class Need(NamedTuple):
    """What a condition needs.

    Its guard; the anchors of which one must be there (None: nothing is known), their cost; patterns that tell more
    where an anchor is there.
    """

    guard: Guard
    anchors: tuple[Anchor, ...] | None
    cost: float
    helpers: tuple[Anchor, ...] = ()


EVERYWHERE = Guard(None, frozenset())
_ENDLESS = float("inf")
_PREFERENCE = 1e-6
_MOST_PIECES = 4
"""Pieces of patterns that are searched for only to tell more."""
_COMMON = 25.0
"""Cost from which on anchors need help."""


def need_of(node: Node, preferred: Collection[str] = ()) -> Need:
    """Return what is needed where a node holds; ``preferred`` patterns are taken where they are enough."""
    if isinstance(node, Found):
        factor = _PREFERENCE if node.pattern in preferred else 1
        return Need(EVERYWHERE, (Anchor(node.pattern, EVERYWHERE),), node.cost.total * factor)
    if isinstance(node, Bytes):
        test = Test(frozenset({(node.offset, node.end, node.value)}), node.wanted)
        return Need(Guard(None, frozenset({test})), None, _ENDLESS)
    if isinstance(node, Smaller):
        return Need(Guard(node.size, frozenset()), None, _ENDLESS)
    if not isinstance(node, AtLeast):
        return Need(EVERYWHERE, None, _ENDLESS)
    needs = [need_of(part, preferred) for part in node.parts]
    return _chosen(sorted(needs, key=lambda need: need.cost), node.number)


def _chosen(needs: list[Need], number: int) -> Need:
    """Return what is needed where ``number`` of these needs are, the cheapest first."""
    guards = [need.guard for need in needs]
    guard = _meet(guards) if number == len(needs) else join_guards(guards)
    chosen, others = needs[: len(needs) - number + 1], needs[len(needs) - number + 1 :]
    if any(need.anchors is None for need in chosen):
        return Need(guard, None, _ENDLESS)
    cost = sum(need.cost for need in chosen)
    helpers = [anchor for need in chosen for anchor in need.helpers]
    room = _MOST_PIECES if cost > _COMMON else 0
    for need in others:
        room -= sum(pattern_cost(anchor.pattern).pieces for anchor in need.anchors or ())
        helpers += (need.anchors or ()) if room >= 0 else ()
    anchors = [anchor for need in chosen for anchor in need.anchors or ()]
    return Need(guard, tuple(_narrowed(anchors, guard)), cost, tuple(_narrowed(helpers, guard)))


def _narrowed(anchors: list[Anchor], guard: Guard) -> Iterator[Anchor]:
    yield from {Anchor(anchor.pattern, _meet([anchor.guard, guard])): None for anchor in anchors}


def _meet(guards: list[Guard]) -> Guard:
    """Return the guard of what demands all of these."""
    limits = [guard.limit for guard in guards if guard.limit is not None]
    return Guard(min(limits, default=None), frozenset().union(*(guard.tests for guard in guards)))


def join_guards(guards: list[Guard]) -> Guard:
    """Return a guard of what demands one of these: wider than needed where they have little in common."""
    limits = [guard.limit for guard in guards]
    limit = None if None in limits else max(limit for limit in limits if limit is not None)
    tests = frozenset.intersection(*(guard.tests for guard in guards))
    single = [test for guard in guards for test in guard.tests if len(guard.tests) == 1 and test.wanted]
    if len(single) == len(guards):
        tests = frozenset({Test(frozenset().union(*(test.places for test in single)), True)})  # noqa: FBT003
    return Guard(limit, tests)
