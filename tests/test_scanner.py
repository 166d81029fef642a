"""Rules compile one file at a time, travel as bytes, and give bounded matches within a time limit."""

import subprocess
import sys

import pytest

from volforensic.errors import DefinitionError
from volforensic.inventory.scanner import (
    STRING_SIZE,
    STRINGS_PER_RULE,
    MatchedString,
    RuleSet,
    ScanError,
    compile_rules,
    rule_metadata,
)

WORD = 'rule word { strings: $w = "needle" condition: $w }'
SLOW = "rule slow { condition: for all i in (0..4000000000) : (uint8(i % filesize) != 300) }"


def compiled(*sources: str) -> RuleSet:
    rules, errors = compile_rules({f"{number}.yar": source for number, source in enumerate(sources)})
    assert errors == []
    return rules


def test_a_match_says_where_and_what() -> None:
    (match,) = compiled(WORD).scan(b"hay needle hay")
    assert match.rule == "word"
    assert match.strings == [MatchedString("$w", 4, "needle")]


def test_no_rules_and_no_bytes_match_nothing() -> None:
    assert compiled().scan(b"needle") == []
    assert compiled(WORD).scan(b"") == []


def test_compiled_rules_travel_as_bytes() -> None:
    rules = RuleSet.deserialize(compiled(WORD).serialize())
    assert [match.rule for match in rules.scan(b"a needle")] == ["word"]
    assert rules.scan(b"hay") == []


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("rule a {\n condition: $x }", 2),
        ("rule a { condition: true }\nrule b {\n\n condition: foo }", 4),
        ("rule a {", 1),
        ('include "/etc/passwd"', 1),
        (b"rule a { condition: true }\n// \xff", 2),
    ],
)
def test_a_wrong_file_is_named_with_its_line_and_the_others_stay(source: str | bytes, line: int) -> None:
    rules, errors = compile_rules({"wrong.yar": source, "right.yar": WORD})
    (error,) = errors
    assert isinstance(error, DefinitionError)
    assert error.exit_status == 2
    assert str(error).startswith(f"wrong.yar:{line}: ")
    assert [match.rule for match in rules.scan(b"needle")] == ["word"]


def test_two_files_may_use_one_name() -> None:
    rules = compiled(WORD, 'rule word { strings: $w = "hay" condition: $w }')
    assert [match.rule for match in rules.scan(b"needle in hay")] == ["word", "word"]


def test_the_strings_of_a_rule_are_bounded_and_no_pattern_crowds_out_another() -> None:
    rules = compiled('rule many { strings: $a = /x{1,900}/ $b = "needle" condition: all of them }')
    (match,) = rules.scan(b"x" * 5000 + b"needle")
    assert len(match.strings) == STRINGS_PER_RULE
    assert all(len(string.text) <= STRING_SIZE for string in match.strings)
    assert MatchedString("$b", 5000, "needle") in match.strings


def test_bytes_that_are_not_text_are_shown_escaped() -> None:
    (match,) = compiled("rule raw { strings: $r = { 41 FF 00 42 } condition: $r }").scan(b"A\xff\x00B")
    assert match.strings[0].text == "A\\xff\x00B"


def test_a_scan_that_takes_too_long_is_an_error_and_the_next_one_works() -> None:
    rules = compiled(SLOW, WORD)
    with pytest.raises(ScanError, match="within 1 s"):
        rules.scan(b"x" * 64, timeout=1)
    assert [match.rule for match in compiled(WORD).scan(b"needle")] == ["word"]


FORKING = """
import os, sys
from volforensic.inventory.scanner import RuleSet, ScanError, compile_rules
data = compile_rules({"slow.yar": sys.argv[1]})[0].serialize()
if os.fork():
    os.wait()
else:
    try:
        RuleSet.deserialize(data).scan(b"x" * 64, timeout=1)
    except ScanError as error:
        print(error, flush=True)
    os._exit(0)
"""


def test_a_worker_forked_from_a_parent_that_never_scanned_has_its_time_limit() -> None:
    done = subprocess.run([sys.executable, "-c", FORKING, SLOW], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "YARA did not finish within 1 s\n"


def test_metadata_is_read_from_the_source() -> None:
    source = """
    // rule not_this { meta: a = "b" condition: true }
    /* rule nor_this { condition: true } */
    private rule first : tag other {
      meta:
        text = "a \\"quoted\\" \\\\ rule { } // text"
        number = 7
        less = -3
        many = 0x10
        yes = true
      strings:
        $a = /rule "x" \\{ meta: \\/\\/ [*] /i
        $b = { 72 75 ?? [2-4] 65 }
        $c = "rule fake { meta: a = 1 }"
      condition: any of them or "x" matches /rule y/
    }
    rule second { condition: true }
    rule third { meta: text = "last" condition: true }
    """
    assert compile_rules({"x.yar": source})[1] == []
    assert rule_metadata({"x.yar": source, "y.yar": b"rule first { meta: a = 1 condition: true } \xff"}) == {
        "first": {"text": 'a "quoted" \\ rule { } // text', "number": 7, "less": -3, "many": 16, "yes": True},
        "second": {},
        "third": {"text": "last"},
    }


@pytest.mark.parametrize(
    "source", ["", "rule", "rule a", "rule a {", "rule a { meta:", "rule a { meta: x", "rule a { meta: x ="]
)
def test_metadata_of_a_cut_file_ends(source: str) -> None:
    assert set(rule_metadata({"x": source})) <= {"", "a"}
