"""The text of LVM2: what the grammar has, and what an adversary makes of it."""

import pytest

from volforensic.evidence.volumes.lvm_metadata import MetadataError, number, parse_metadata, sections, string, strings

SAMPLE = rb"""
# a comment { with = marks
vg-0.a+b_c {
	id="x\"y\\z" # "not a string
	seqno = 12
	status = ["READ","WRITE", "VISIBLE",]
	empty = []
	9lives { a = -3 }
	"quoted name" { b = 1.5 }
}
creation_time = 1795180671	# Fri
"""


def test_the_grammar() -> None:
    parsed = parse_metadata(SAMPLE)
    assert parsed.root == {
        "vg-0.a+b_c": {
            "id": 'x"y\\z',
            "seqno": 12,
            "status": ["READ", "WRITE", "VISIBLE"],
            "empty": [],
            "9lives": {"a": -3},
            "quoted name": {"b": "1.5"},
        },
        "creation_time": 1795180671,
    }
    assert parsed.repeated == []


def test_bytes_that_are_no_text_are_kept_as_escapes() -> None:
    assert parse_metadata(b'a = "\xff\xc3\xa9"').root == {"a": "\\xff\u00e9"}


def test_of_two_with_one_name_the_first_counts_and_it_is_said() -> None:
    parsed = parse_metadata(b"a { x = 1 } a { x = 2 } b = 1 b = 2")
    assert (parsed.root, parsed.repeated) == ({"a": {"x": 1}, "b": 1}, ["a", "b"])


@pytest.mark.parametrize(
    "raw",
    [
        b"vg {",
        b"vg { a = ",
        b"vg { a = [1, 2",
        b'vg { a = "no end }',
        b'vg { a = "no end\\"',
        b"vg }",
        b"} vg {",
        b"vg { = 3 }",
        b"vg { a b }",
        b"vg { a = } }",
        b"vg { a = [ [ ] ] }",
        b"a {" * 17 + b"}" * 17,
        b"a {" * 1_000_000,
        b"x" * 1000 + b" = 1",
        b"[" * 1_000_000,
        bytes(range(256)),
    ],
)
def test_what_is_no_metadata_is_an_error(raw: bytes) -> None:
    with pytest.raises(MetadataError):
        parse_metadata(raw)


def test_long_numbers_and_strings_cost_nothing() -> None:
    parsed = parse_metadata(b"a = " + b"9" * 100_000 + b'\nb = "' + b"\\x" * 100_000 + b'"\nc = 1')
    assert isinstance(parsed.root["a"], str)
    assert (len(strings(parsed.root, "b")[0]), parsed.root["c"]) == (100_000, 1)
    assert len(string(parsed.root, "b")) < 1000


def test_too_long_a_text_is_not_read() -> None:
    with pytest.raises(MetadataError, match="the text has"):
        parse_metadata(bytes(17 << 20))


@pytest.mark.parametrize("value", [-1, 1 << 63, "5", [1], None])
def test_numbers_are_numbers(value: object) -> None:
    section = {} if value is None else {"a": value}
    with pytest.raises(MetadataError, match="a is"):
        number(section, "a")  # type: ignore[arg-type]  # what a section may hold, and more


def test_values_of_another_kind_are_none() -> None:
    section = parse_metadata(b'a = 1 b { c { } d = 2 } e = ["x", 3]').root
    assert (string(section, "a"), strings(section, "a"), strings(section, "e")) == ("", [], ["x"])
    assert (sections(section, "b"), sections(section, "a"), sections(section, "z")) == ({"c": {}}, {}, {})
