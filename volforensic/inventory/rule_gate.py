"""The gate before YARA rules: a few small sets of patterns tell which buffers the rules need to be searched for at all.

Searching every byte for all patterns of all rules is what a scan costs; up to some 64 patterns yara-x finds an order of
magnitude faster (it compares 16 or 32 bytes at once). Wherever a rule matches, one of its anchors (``rule_anchors``) is
there. So the anchors of all rules are compiled into small sets, each with a guard that says which buffers it is needed
for. Where no set that admits a buffer finds anything, no rule matches it; else the rules themselves decide. Rules
without anchors (``residue``) are small sets of their own.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from volforensic.inventory.pattern_cost import pattern_cost
from volforensic.inventory.rule_anchors import Anchor, Guard, Test, join_guards, need_of
from volforensic.inventory.rule_conditions import Node, condition_of
from volforensic.inventory.rule_text import Pattern, Rule, RuleTextError, rules_in

PIECES_PER_SET = 58
"""Pieces of patterns that one set searches for."""
_SMALLEST_CLASS = 16


class GateSet(NamedTuple):
    """Rule texts by namespace to compile together, to scan with where the guard admits the bytes.

    ``patterns``: where the pattern ``$_2`` of the rule ``anchors`` is needed is said by the guard 2; none: a match of
    any rule counts.
    """

    guard: Guard
    sources: dict[str, str]
    patterns: list[Guard]


def gate_sets(sources: Mapping[str, str]) -> list[GateSet] | None:
    """Return the gate before the rules of these files ({name: text}, which yara-x compiles); None: there is none.

    Wherever one of the rules matches, a rule of one of the sets does whose guard admits the bytes.
    """
    anchors: list[Anchor] = []
    sets: list[GateSet] = []
    try:
        for name, source in sources.items():
            rules = rules_in(source)
            if any("global" in rule.modifiers for rule in rules):
                return None
            found, residue = _needs(rules)
            anchors += found
            sets += [GateSet(guard, {name: _only(source, rules, rule)}, []) for rule, guard in residue]
    except (RuleTextError, RecursionError):
        return None
    return [*_merged(sets), *_packed(anchors)]


def _needs(rules: Iterable[Rule]) -> tuple[list[Anchor], list[tuple[Rule, Guard]]]:
    """Return the anchors of a file's rules, and the rules that have none."""
    conditions: dict[str, Node] = {}
    anchors: list[Anchor] = []
    residue = []
    for rule in rules:
        conditions[rule.name] = condition_of(rule, conditions)
        if "private" in rule.modifiers:
            continue
        need = need_of(conditions[rule.name], _preferred(rule))
        if need.anchors is None:
            residue.append((rule, need.guard))
        else:
            anchors += need.anchors
    return anchors, residue


def _preferred(rule: Rule) -> list[Pattern]:
    """Return the patterns that the rule's metadata name as anchors: ``anchor = "$name_* $other"``, if they are enough."""
    names = rule.anchor.split()
    return [
        pattern
        for pattern in rule.patterns
        if any(pattern.identifier == name or (name.endswith("*") and pattern.identifier.startswith(name[:-1])) for name in names)
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


def _packed(anchors: Iterable[Anchor]) -> list[GateSet]:
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
    return [gate for tests, patterns in classes.items() for gate in _chunks(tests, patterns)]


def _chunks(tests: frozenset[Test], patterns: Mapping[str, Guard]) -> Iterator[GateSet]:
    """Yield one class of patterns in sets of so many pieces."""
    chunk: dict[str, Guard] = {}
    room = PIECES_PER_SET
    for pattern, guard in sorted(patterns.items(), key=lambda item: -(item[1].limit or 1 << 63)):
        pieces = pattern_cost(pattern).pieces
        if chunk and pieces > room:
            yield _gate(tests, chunk)
            chunk, room = {}, PIECES_PER_SET
        chunk[pattern] = guard
        room -= pieces
    if chunk:
        yield _gate(tests, chunk)


def _gate(tests: frozenset[Test], patterns: Mapping[str, Guard]) -> GateSet:
    lines = "\n".join(f"$_{number} = {pattern}" for number, pattern in enumerate(patterns))
    text = f"rule anchors {{\nstrings:\n{lines}\ncondition:\nany of them\n}}\n"
    guards = list(patterns.values())
    return GateSet(join_guards(guards)._replace(tests=tests), {"": text}, guards)
