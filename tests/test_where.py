"""The notation of rules: what each modifier means, and what is refused."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volforensic.detection.value_tests import REGEX_HEAD, REGEX_TAIL, texts
from volforensic.detection.where import compile_where
from volforensic.errors import DefinitionError

FIELDS = {
    "command": "string",
    "user": "string",
    "remote_address": "string",
    "uid": "integer",
    "repeated": "integer",
    "year_inferred": "boolean",
    "options": "list",
}
Where = dict[str, Any] | list[dict[str, Any]]


def holds(where: Where, **row: Any) -> bool:
    return compile_where(where, FIELDS)(row)


@pytest.mark.parametrize(
    ("where", "value", "meant"),
    [
        ({"command": "XMRig"}, "xmrig", True),
        ({"command": "xmrig"}, "xmrig2", False),
        ({"command|cased": "XMRig"}, "xmrig", False),
        ({"command": "*xm?ig"}, "/opt/XMRIG", True),
        ({"command": "a*b*c"}, "a1b2b3c", True),
        ({"command": "a*b*c"}, "a1b2b3", False),
        ({"command": "ab*bc"}, "abc", False),
        ({"command": r"a\*b"}, "a*b", True),
        ({"command": r"a\*b"}, "axb", False),
        ({"command": r"c:\temp\x"}, r"C:\temp\x", True),
        ({"command": r"a\\*"}, r"a\b", True),
        ({"command": "*"}, "", True),
        ({"command": ""}, "", True),
        ({"command": ""}, "x", False),
        ({"command": "a.c"}, "abc", False),
        ({"command|contains": "MRI"}, "xmrig", True),
        ({"command|contains": "x*g"}, "a xmrig b", True),
        ({"command|contains": "x?r"}, "a xmrig b", True),
        ({"command|startswith": "/opt/"}, "/OPT/x", True),
        ({"command|startswith": "/opt/"}, " /opt/x", False),
        ({"command|startswith|cased": "/opt/"}, "/OPT/x", False),
        ({"command|endswith": [".sh", ".py"]}, "A.PY", True),
        ({"command|endswith": "a*b"}, "xaab", True),
        ({"command|endswith": "a*b"}, "abx", False),
        ({"command|contains": ["curl", "wget"]}, "WGET x", True),
        ({"command|contains|all": ["curl", "| sh"]}, "curl x | sh", True),
        ({"command|contains|all": ["curl", "| sh"]}, "curl x", False),
        ({"command|contains|cased": "A"}, "a", False),
        ({"command|re": "^a+$"}, "aaa", True),
        ({"command|re": "^a+$"}, "AAA", False),
        ({"command|re|i": "^a+$"}, "AAA", True),
        ({"command|re|m": "^b"}, "a\nb", True),
        ({"command|re|i|s": "A.B"}, "a\nb", True),
        ({"command|re": ["x", "y"]}, "y", True),
        ({"command": None}, None, True),
        ({"command": None}, "x", False),
        ({"command": [None, "x"]}, "X", True),
        ({"command|exists": True}, "x", True),
        ({"command|exists": False}, "x", False),
        ({"command|exists": False}, None, True),
        ([{"command": "x"}, {"command": "y"}], "y", True),
    ],
)
def test_text_is_compared_as_sigma_says(where: Where, value: str | None, meant: object) -> None:
    row = {} if value is None else {"command": value}
    assert holds(where, **row) is meant


def test_every_entry_of_a_dict_must_hold() -> None:
    where = {"user": "root", "command|contains": "curl"}
    assert holds(where, user="Root", command="curl x")
    assert not holds(where, user="root", command="ls")
    assert not holds(where, command="curl x")


def test_numbers_and_booleans_keep_their_kind() -> None:
    assert holds({"uid": 0}, uid=0)
    assert not holds({"uid": 0}, uid=False)
    assert not holds({"uid": 1}, uid=True)
    assert not holds({"uid": 0}, uid="0")
    assert holds({"year_inferred": True}, year_inferred=True)
    assert not holds({"year_inferred": True}, year_inferred=1)
    assert holds({"uid": [1, 2**63]}, uid=2**63)


def test_numbers_are_ordered() -> None:
    assert holds({"repeated|gt": 3}, repeated=4)
    assert not holds({"repeated|gt": 3}, repeated=3)
    assert holds({"repeated|gte": 3}, repeated=3)
    assert holds({"repeated|lt": 3}, repeated=-(10**30))
    assert holds({"repeated|lte": 3}, repeated=3)
    assert not holds({"repeated|lte": 3}, repeated="1")
    assert not holds({"repeated|lte": 3})


def test_one_item_of_a_list_is_enough() -> None:
    assert holds({"options|startswith": "command="}, options=["no-pty", "COMMAND=x"])
    assert not holds({"options|startswith": "command="}, options=[])
    assert holds({"options|contains|all": ["a", "b"]}, options=["xa", "xb"])
    assert not holds({"options": "x"}, options=[1, None, ["x"]])


def test_networks_hold_their_addresses() -> None:
    assert holds({"remote_address|cidr": "10.0.0.0/8"}, remote_address="10.1.2.3")
    assert holds({"remote_address|cidr": ["192.0.2.0/24", "2001:db8::/32"]}, remote_address="2001:db8::1")
    assert holds({"remote_address|cidr": "10.0.0.0/8"}, remote_address="::ffff:10.1.2.3")
    for strange in ("host.example", "10.1.2", "", "1" * 100_000, 7):
        assert not holds({"remote_address|cidr": "10.0.0.0/8"}, remote_address=strange)


def test_a_long_text_is_cut_before_a_regular_expression() -> None:
    assert holds({"command|re": "x"}, command="a" * (REGEX_HEAD - 1) + "x" + "a" * REGEX_TAIL)
    assert not holds({"command|re": "x"}, command="a" * REGEX_HEAD + "x" + "a" * REGEX_TAIL)
    assert holds({"command|re": r"base64 -d \| sh$"}, command=f"echo {'QUJD' * 20_000} | base64 -d | sh")


@pytest.mark.parametrize(
    "where",
    [
        {},
        [],
        [{}],
        {"nowhere": "x"},
        {"command|base64": "x"},
        {"command|contains|startswith": "x"},
        {"command|contains|contains": "x"},
        {"command|i": "x"},
        {"command|re|cased": "x"},
        {"command|re": "("},
        {"command": 7},
        {"command": 1.5},
        {"command": []},
        {"command": {"a": "b"}},
        {"uid": "0"},
        {"uid": True},
        {"uid|contains": "0"},
        {"uid|gt": "0"},
        {"command|gt": 3},
        {"year_inferred": 1},
        {"remote_address|cidr": "10.0.0.0/99"},
        {"command|exists": "yes"},
        {"command|contains": None},
    ],
)
def test_what_means_nothing_is_refused(where: Where) -> None:
    with pytest.raises(DefinitionError):
        compile_where(where, FIELDS)


ROW_VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=20), st.lists(st.one_of(st.text(max_size=5), st.none()))
)


@given(st.dictionaries(st.sampled_from(sorted(FIELDS)), ROW_VALUES))
def test_no_record_raises(row: dict[str, Any]) -> None:
    where: Where = [
        {"command": "a*b?c", "user|contains|all": ["a", "b"]},
        {"command|re|i": "a.c", "remote_address|cidr": "::/0"},
        {"uid|gte": 5, "year_inferred": False, "options|endswith": "x"},
        {"options": [None, "y"], "user|exists": True},
    ]
    assert compile_where(where, FIELDS)(row) in {True, False}


@given(st.text(alphabet="ab*?", max_size=8), st.text(alphabet="ab", max_size=10))
def test_wildcards_mean_what_a_regular_expression_of_them_means(pattern: str, value: str) -> None:
    expression = "".join({"*": ".*", "?": "."}.get(character, character) for character in pattern)
    for cased in (True, False):
        assert texts([pattern], "", cased=cased)(value) is (re.fullmatch(expression, value) is not None)
    assert texts([pattern], "contains", cased=True)(value) is (re.search(expression, value) is not None)
    assert texts([pattern], "startswith", cased=True)(value) is (re.match(expression, value) is not None)
    assert texts([pattern], "endswith", cased=True)(value) is (re.search(f"(?:{expression})\\Z", value) is not None)
