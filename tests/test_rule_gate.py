"""The gate before YARA rules: what a rule needs is told rightly, and no answer differs with it from that without it."""

import re
from itertools import pairwise

import pytest
import yara_x
from hypothesis import given, settings
from hypothesis import strategies as st
from test_yara_rules import SAMPLES, SOURCES

from volforensic.inventory import scanner
from volforensic.inventory.rule_anchors import need_of
from volforensic.inventory.rule_conditions import AtLeast, Found, Node, condition_of
from volforensic.inventory.rule_gate import gate_plan
from volforensic.inventory.rule_text import RuleTextError, rules_in
from volforensic.inventory.scanner import Match, RuleSet, compile_rules

STRINGS = '$_a = "aaaa1111" $_b = "bbbb2222" $_c = "cccc3333" $_x_1 = "xxxx4444" $_x_2 = "xxxx5555"'


def anchors(condition: str, before: str = "") -> set[str] | None:
    """Return the anchors of a rule with this condition, which yara-x takes too (names with _ need not be used)."""
    condition = re.sub(r"([$#@!])([abcx])", r"\1_\2", condition)
    source = f"{before} rule r {{ strings: {STRINGS} condition: {condition} }}"
    yara_x.compile(source)
    conditions: dict[str, Node] = {}
    for rule in rules_in(source):
        conditions[rule.name] = condition_of(rule, conditions)
    found = need_of(conditions["r"]).anchors
    return None if found is None else {anchor.pattern[1:-1] for anchor in found}


A, B, C, X1, X2 = "aaaa1111", "bbbb2222", "cccc3333", "xxxx4444", "xxxx5555"


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("$a", {A}),
        ("$a or $b", {A, B}),
        ("$a or $b and $c", {A, B}),
        ("($a or $b) and $c", {C}),
        ("not $a or $b", None),
        ("not $a and $b", {B}),
        ("not ($a and $b)", None),
        ("$a and (filesize > 3 or $b)", {A}),
        ("filesize > 3 or $a", None),
        ("$a at 0", {A}),
        ("$a in (0..64) and $b at filesize - 8", {A}),
        ("#a > 0", {A}),
        ("#a >= 1", {A}),
        ("#a >= 0", None),
        ("#a == 0", None),
        ("#a == 2", {A}),
        ("#a != 2", None),
        ("#a < 2", None),
        ("#a > -1", None),
        ("#a - #b > 0", None),
        ("#a + #b >= 2", {A, B}),
        ("(#a + #b) >= 2", {A, B}),
        ("#a + 1 > 0", None),
        ("#a > #b", {A}),
        ("#a > #b - 2", None),
        ("#a in (0..9) == 0", None),
        ("#a * 2 > 1", None),
        ("@a < 9", None),
        ("!a > 1", None),
        ("any of them", {A, B, C, X1, X2}),
        ("any of ($x_*)", {X1, X2}),
        ("none of them", None),
        ("0 of them", None),
        ("2 of ($a, $x_*)", {A, X1}),
        ("all of ($x_*) and $a", {X1}),
        ("3 of ($a, $b, $c)", {A}),
        ("any of ($x_*) in (0..99)", {X1, X2}),
        ("any of ($x_*) at 4", {X1, X2}),
        ("50% of them", None),
        ("any of ($a, $b) and not $c", {A, B}),
        ("for any of ($x_*) : ( $ at 0 )", {X1, X2}),
        ("for all of ($x_*) : ( # > 2 )", {X1}),
        ("for any of ($x_*) : ( # == 0 )", None),
        ("for any of ($x_*) : ( not $ )", None),
        ("for none of ($x_*) : ( $ )", None),
        ("for any of ($x_*) : ( $ or $a )", {X1, X2, A}),
        ("for all i in (1..#a) : ( @a[i] > 9 )", None),
        ("for any i in (1..3) : ( $a at i )", {A}),
        ("for all i in (1..3) : ( $a at i )", None),
        ("for 2 i in (1..3) : ( $a at i and $b )", {A}),
        ("defined $a", None),
        ("defined @a[3] and $b", {B}),
        ("with n = #a : ( n == 0 or $b )", None),
        ("$b and with n = #a : ( n == 0 )", None),
        ("true", None),
        ("$a or false", None),
        ("uint8(0) == 5 and $a", {A}),
        ("( ( ( $a ) ) )", {A}),
        ("/* not $a or */ $b // and $c\n", {B}),
    ],
)
def test_what_a_condition_needs(condition: str, expected: set[str] | None) -> None:
    assert anchors(condition) == expected


@pytest.mark.parametrize(
    ("before", "condition", "expected"),
    [
        ('rule p { strings: $q = "qqqq9999" condition: $q }', "p", {"qqqq9999"}),
        ('private rule p { strings: $q = "qqqq9999" condition: $q }', "p or $a", {"qqqq9999", A}),
        ('rule p { strings: $q = "qqqq9999" condition: $q }', "not p", None),
        ('rule p { strings: $q = "qqqq9999" condition: $q }', "any of (p)", {"qqqq9999"}),
        ("rule p { condition: filesize < 9 }", "p or $a", None),
        ('rule p { strings: $q = "qqqq9999" condition: $q } rule o { condition: p }', "o", {"qqqq9999"}),
        ('rule i { strings: $q = "qqqq9999" condition: $q }', "for any i in (1..2) : ( i == 1 )", None),
    ],
)
def test_rules_that_name_rules(before: str, condition: str, expected: set[str] | None) -> None:
    assert anchors(condition, before) == expected


def test_a_text_of_every_kind_is_taken_apart() -> None:
    source = r"""
    import "math" /* rule no { condition: true } */
    rule one : tag_1 tag_2 {
      meta: word = "condition: strings: $no = 1" number = -3
      strings: // rule no {
        $text = "a \" } condition: // \\" wide ascii nocase
        $regex = /a"\/{2}[{"]condition:/is
        $hex = { 4D 5A [2-4] ( 00 | 01 ) // }
                 FF } private
        $key = "secret" xor(0x01-0x7f)
      condition: $text and math.entropy(0, filesize) > 1 or "x" matches /y"\{/ and #regex == 1 and any of them
    }
    private rule two { condition: one }"""
    yara_x.compile(source)
    one, two = rules_in(source)
    assert (one.name, two.name, two.modifiers) == ("one", "two", frozenset({"private"}))
    assert [pattern.identifier for pattern in one.patterns] == ["$text", "$regex", "$hex", "$key"]
    assert [pattern.modifiers for pattern in one.patterns][::3] == [("wide", "ascii", "nocase"), ("xor(0x01-0x7f)",)]
    assert one.condition[-1].text == "them"


@pytest.mark.parametrize(
    "source", ["rule", "rule a { condition: ( true }", "rule a {", 'rule a { strings: $a = """x""" }', "x"]
)
def test_what_is_not_understood_has_no_gate(source: str) -> None:
    with pytest.raises(RuleTextError):
        rules_in(source)
    assert gate_plan({"a": source}) is None


def test_global_rules_have_no_gate() -> None:
    assert gate_plan({"a": "global rule a { condition: filesize > 3 }"}) is None
    assert gate_plan({"a": 'rule a { strings: $a = "abcdef" condition: $a }'}) is not None


def test_a_condition_as_deep_as_can_be_is_bounded() -> None:
    source = f'rule a {{ strings: $a = "abcdefgh" condition: {"(" * 200}$a{")" * 200} }}'
    plan = gate_plan({"a": source})
    assert plan is not None
    assert [one.patterns for one in plan.sets] == [[]]


def test_metadata_prefer_an_anchor_only_where_it_is_enough() -> None:
    source = 'rule a {{ meta: anchor = "$b" strings: $a = "long and rare enough" $b = "bbbb" condition: $a {} $b }}'
    both, either = (rules_in(source.format(word))[0] for word in ("and", "or"))
    assert both.anchor == "$b"
    plans = [gate_plan({"a": source.format(word)}) for word in ("and", "or")]
    assert [len(plan.demands[0].anchors) for plan in plans if plan] == [1, 2]
    assert isinstance(condition_of(either, {}), AtLeast)
    assert isinstance(condition_of(rules_in(source.format("and").replace("$a and ", ""))[0], {}), Found)


def ungated(sources: dict[str, bytes]) -> RuleSet:
    return RuleSet(
        scanner._RuleSetFile(scanner._compiled({name: text.decode() for name, text in sources.items()}), None, [])
    )


def ask_the_gate_of_every_buffer(patch: pytest.MonkeyPatch) -> None:
    """Take away the limits beyond which the rules are searched for without the gate."""
    for name, value in (("SMALL", 0), ("MOST_SETS", 1000), ("MOST_SETS_OF_ELF", 1000)):
        patch.setattr(scanner, name, value)


@pytest.fixture
def always_gated(monkeypatch: pytest.MonkeyPatch) -> None:
    ask_the_gate_of_every_buffer(monkeypatch)


@pytest.mark.usefixtures("always_gated")
def test_every_sample_of_ours_is_answered_as_without_the_gate() -> None:
    gated, full = compile_rules(SOURCES)[0], ungated(SOURCES)
    assert gated._stored.gate
    samples = [sample for samples in SAMPLES.values() for sample in samples]
    cut = [sample[: len(sample) * part // 50] for sample in samples for part in range(0, 50, 7)]
    moved = [b"#!/bin/sh\n" + sample for sample in samples] + [b"\x7fELF" + bytes(60) + sample for sample in samples]
    joined = [one + other for one, other in pairwise(samples)]
    for data in (*samples, *cut, *moved, *joined):
        assert gated.scan(data) == full.scan(data)


WORDS = ("abcd", "bcde", "cdea", "deab", "eabc")
TERMS = st.sampled_from(
    [f"${name}" for name in "abcde"]
    + [f"#{name} {sign} {number}" for name in "abc" for sign in ("==", ">=", ">", "<") for number in (0, 1, 2)]
    + [
        "$a at 0",
        "$b in (0..6)",
        "#a > #b",
        "#a + #b > 1",
        "filesize < 12",
        "uint16be(0) == 0x6162",
        "uint16be(0) != 0x6162",
    ]
    + [
        f"{number} of ({items})"
        for number in ("any", "all", "none", 0, 1, 2, 3)
        for items in ("$a, $b, $c", "$*", "$d, $e")
    ]
    + ["for any of ($a, $b) : (# == 1)", "for all of ($*) : ($ or #c > 0)", "for any i in (1..2) : ($d at i)", "first"]
)
CONDITIONS = st.recursive(
    TERMS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(" ".join),
        inner.map("({})".format),
        inner.map("not {}".format),
        inner.map("not ({})".format),
    ),
    max_leaves=6,
)
MODIFIERS = st.sampled_from(["", "nocase", "wide", "wide ascii", "fullword", "xor", "base64", "private"])


@settings(deadline=None, max_examples=150)
@given(
    conditions=st.tuples(CONDITIONS, CONDITIONS),
    modifiers=st.tuples(*[MODIFIERS] * 5),
    buffers=st.lists(st.text("abcdeA ", max_size=40).map(str.encode), min_size=1, max_size=8),
)
def test_random_rules_are_answered_as_without_the_gate(
    conditions: tuple[str, str], modifiers: tuple[str, ...], buffers: list[bytes]
) -> None:
    strings = "\n".join(
        f'${name} = "{word}" {modifier}' for name, word, modifier in zip("abcde", WORDS, modifiers, strict=True)
    )
    first, second = conditions
    source = (
        f"rule first {{ strings: {strings} condition: any of them and ({first.replace('first', 'true')}) }}\n"
        f"rule second {{ strings: {strings} condition: any of them or true and ({second}) }}\n"
        f"rule third {{ strings: {strings} condition: #a + #b + #c + #d + #e >= 0 and ({second}) }}\n"
    )
    rules, errors = compile_rules({"a.yar": source})
    assert errors == []
    full = ungated({"a.yar": source.encode()})
    with pytest.MonkeyPatch.context() as patch:
        ask_the_gate_of_every_buffer(patch)
        for data in (*buffers, b"".join(buffers), "".join(WORDS).encode(), b"abcd" * 3):
            assert [match.rule for match in rules.scan(data)] == [match.rule for match in full.scan(data)]


REGEXES = (
    r"/[a-z]{2}needle in hay[0-9]+/",
    r"/needle in (a|the) hay[^a]?/",
    r"/needle in hay|[0-9]{3}x/",
    r"/\bneedle in hay\b/ fullword",
    r"/^needle in hay$/ nocase",
    r"/[a[b]c]needle in hay/",
    r"/needle in hay[[:digit:]]{0,2}/",
    r"/(needle in hay:)?stack[a-z]:/",
    r"/.needle in hay./s",
    r"/needle in hay\x41?[\]b]/",
)


@pytest.mark.usefixtures("always_gated")
@pytest.mark.parametrize("regex", REGEXES)
def test_shortened_regular_expressions_are_answered_as_without_the_gate(regex: str) -> None:
    source = f"rule a {{ strings: $a = {regex} condition: $a in (0..9) or #a > 1 }}"
    rules, full = compile_rules({"a": source})[0], ungated({"a": source.encode()})
    words = (
        "",
        "needle in hay",
        "xx needle in hay7",
        "abneedle in hay12",
        "123x",
        "NEEDLE IN HAY",
        "stackb:",
        "needle in the hay",
    )
    for data in (f"{one}{other}{last}".encode() for one in words for other in words for last in ("", "]", "A]", "\n")):
        assert rules.scan(data) == full.scan(data)


def test_what_is_found_is_what_the_rules_say_not_the_gate() -> None:
    rules, _ = compile_rules({"a": 'rule a { strings: $a = "abcdefgh" $b = "z" condition: $a and #b < 9 }'})
    data = b"x" * scanner.SMALL + b"abcdefgh z"
    assert [string.identifier for match in rules.scan(data) for string in match.strings] == ["$a", "$b"]
    assert RuleSet.deserialize(rules.serialize()).scan(data) == rules.scan(data)
    assert rules.scan(b"z" * scanner.SMALL) == []
    assert isinstance(rules.scan(data)[0], Match)
