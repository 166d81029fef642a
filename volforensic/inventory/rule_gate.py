"""The gate before YARA rules: a few small sets of patterns tell which buffers the rules need to be searched for at all.

Searching every byte for all patterns of all rules is what a scan costs; up to some 64 patterns yara-x finds an order of
magnitude faster (it compares 16 or 32 bytes at once). Wherever a rule matches, one of its anchors (``rule_anchors``) is
there. So the anchors of all rules are compiled into small sets, each with a guard that says which buffers it is needed
for. Where no set that admits a buffer finds anything, no rule matches it; else the rules themselves decide. Rules
without anchors (``residue``) are small sets of their own.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from volforensic.inventory.pattern_estimates import likely_piece, pattern_cost
from volforensic.inventory.rule_anchors import Anchor, Guard, Need, Test, join_guards, need_of
from volforensic.inventory.rule_conditions import AtLeast, Found, Node, Unknown, condition_of, found
from volforensic.inventory.rule_demands import Demanded, Numbered, Several
from volforensic.inventory.rule_text import Rule, RuleTextError, rules_in

PIECES_PER_SET = 54
"""Pieces of patterns that one set searches for."""
_SMALLEST_CLASS = 16


class GateSet(msgspec.Struct, frozen=True):
    """Rule texts by namespace to compile together, to scan with where the guard admits the bytes.

    ``patterns``: the pattern ``$_2`` of the rule ``anchors`` is the pattern with the number patterns[2]; none: the
    rules of the residue.
    """

    guard: Guard
    sources: dict[str, str]
    patterns: list[int]


class Demand(msgspec.Struct, frozen=True, array_like=True):
    """What a rule demands (``Found`` patterns by their number) and the numbers of its anchors."""

    condition: Demanded
    anchors: list[int]


class GatePlan(msgspec.Struct, frozen=True):
    """The sets to scan with; what rules demand of the patterns that were found."""

    sets: list[GateSet]
    demands: list[Demand]


def gate_plan(sources: Mapping[str, str]) -> GatePlan | None:
    """Return the gate before the rules of these files ({name: text}, which yara-x compiles); None: there is none.

    Wherever one of the rules matches, a rule of the residue does, or one of the demands holds and one of its anchors
    is found; every set that has to do with it has a guard that admits the bytes.
    """
    needs: list[tuple[Node, Need]] = []
    residue: list[GateSet] = []
    try:
        for name, source in sources.items():
            rules = rules_in(source)
            if any("global" in rule.modifiers for rule in rules):
                return None
            for rule, condition, need in _needs(rules):
                if need.anchors is None:
                    residue.append(GateSet(need.guard, {name: _only(source, rules, rule)}, []))
                else:
                    needs.append((condition, need))
    except (RuleTextError, RecursionError):
        return None
    anchors = [anchor for _, need in needs for anchor in (*(need.anchors or ()), *need.helpers)]
    numbers = {pattern: number for number, pattern in enumerate(dict.fromkeys(anchor.pattern for anchor in anchors))}
    demands = [
        Demand(_numbered(condition, numbers), [numbers[anchor.pattern] for anchor in need.anchors or ()])
        for condition, need in needs
    ]
    return GatePlan([*_merged(residue), *_packed(anchors, numbers)], demands)


def _needs(rules: Iterable[Rule]) -> Iterator[tuple[Rule, Node, Need]]:
    """Yield what the rules of a file demand that may be reported."""
    conditions: dict[str, Node] = {}
    for rule in rules:
        conditions[rule.name] = condition_of(rule, conditions)
        if "private" not in rule.modifiers:
            yield rule, conditions[rule.name], need_of(conditions[rule.name], _preferred(rule))


def _numbered(node: Node, numbers: Mapping[str, int]) -> Demanded:
    """Return a condition with the numbers of its patterns; those that nobody searches for are unknown."""
    if isinstance(node, AtLeast):
        return Several(node.number, tuple(_numbered(part, numbers) for part in node.parts))
    if isinstance(node, Found):
        return Numbered(numbers[node.pattern]) if node.pattern in numbers else Unknown()
    return node


def _preferred(rule: Rule) -> list[str]:
    """Return the patterns that metadata would have as anchors (``anchor = "$name_* $other"``), if they are enough."""
    names = rule.anchor.split()
    return [
        found(pattern).pattern
        for pattern in rule.patterns
        if any(
            pattern.identifier == name or (name.endswith("*") and pattern.identifier.startswith(name[:-1]))
            for name in names
        )
    ]


def _only(source: str, rules: Sequence[Rule], wanted: Rule) -> str:
    """Return a file's text with one rule and those that it may name."""
    kept = {wanted.name}
    for rule in reversed(rules):
        if rule.name in kept:
            kept |= {token.text for token in rule.condition if token.kind == "name"}
    pieces, end = [], 0
    for rule in rules:
        pieces.append(source[end : rule.start])
        if rule.name in kept:
            pieces.append(source[rule.start : rule.end])
        end = rule.end
    return "".join((*pieces, source[end:]))


def _merged(residue: Iterable[GateSet]) -> list[GateSet]:
    """Put sets of the same tests together; every rule keeps a namespace of its own."""
    by_tests: dict[frozenset[Test], list[GateSet]] = {}
    for gate in residue:
        by_tests.setdefault(gate.guard.tests, []).append(gate)
    return [
        GateSet(
            join_guards([gate.guard for gate in gates]),
            {f"{index} {name}": text for index, gate in enumerate(gates) for name, text in gate.sources.items()},
            [],
        )
        for gates in by_tests.values()
    ]


def _packed(anchors: Iterable[Anchor], numbers: Mapping[str, int]) -> list[GateSet]:
    """Distribute anchors: those of the same tests together, those for the largest buffers first."""
    classes: dict[frozenset[Test], dict[str, Guard]] = {}
    for anchor in anchors:
        patterns = classes.setdefault(anchor.guard.tests, {})
        others = [patterns[anchor.pattern]] if anchor.pattern in patterns else []
        patterns[anchor.pattern] = join_guards([*others, anchor.guard])
    for tests in sorted(classes, key=len, reverse=True):
        wider = [other for other in classes if other < tests]
        if wider and len(classes[tests]) < _SMALLEST_CLASS:
            for pattern, guard in classes.pop(tests).items():
                target = classes[max(wider, key=len)]
                others = [target[pattern]] if pattern in target else []
                target[pattern] = join_guards([*others, guard])
    return [gate for tests, patterns in classes.items() for gate in _chunks(tests, patterns, numbers)]


def _chunks(tests: frozenset[Test], patterns: Mapping[str, Guard], numbers: Mapping[str, int]) -> Iterator[GateSet]:
    """Yield one class of patterns in sets of so many pieces."""
    chunk: dict[str, Guard] = {}
    room = PIECES_PER_SET
    for pattern, guard in sorted(patterns.items(), key=_place):
        pieces = pattern_cost(pattern).pieces
        if chunk and pieces > room:
            yield _gate(tests, chunk, numbers)
            chunk, room = {}, PIECES_PER_SET
        chunk[pattern] = guard
        room -= pieces
    if chunk:
        yield _gate(tests, chunk, numbers)


def _place(item: tuple[str, Guard]) -> tuple[int, str, str]:
    """Return what patterns are sorted by: those for the largest buffers first, then what is alike together."""
    pattern, guard = item
    tier = (guard.limit or 1 << 63).bit_length() // 3
    return -tier, likely_piece(pattern), pattern


def _gate(tests: frozenset[Test], patterns: Mapping[str, Guard], numbers: Mapping[str, int]) -> GateSet:
    lines = "\n".join(f"$_{number} = {pattern}" for number, pattern in enumerate(patterns))
    text = f"rule anchors {{\nstrings:\n{lines}\ncondition:\nany of them\n}}\n"
    guard = join_guards(list(patterns.values()))._replace(tests=tests)
    return GateSet(guard, {"": text}, [numbers[pattern] for pattern in patterns])
