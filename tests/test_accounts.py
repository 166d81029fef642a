"""passwd, shadow and group."""

import pytest
from hypothesis import given
from parser_checks import Parser, chosen, noise, parse

from volforensic.collection.parsers import accounts


def test_passwd_fields() -> None:
    rows = parse(accounts.passwd, b"root:x:0:0:root:/root:/bin/bash\nnews:*:9:13:a,b:/var/news:/usr/sbin/nologin \n")
    assert rows[0] == {
        "position": 0,
        "user": "root",
        "uid": 0,
        "gid": 0,
        "comment": "root",
        "home": "/root",
        "shell": "/bin/bash",
        "password_state": "shadowed",
    }
    assert (rows[1]["shell"], rows[1]["password_state"]) == ("/usr/sbin/nologin ", "locked")


@pytest.mark.parametrize(
    "line",
    [
        b"a:x:99999999999999999999:0::/:/bin/sh",
        b"a:x:1",
        b"a",
        b":x:1:1::/:/x",
        b"a:x::1::/:/x",
        b"\x00\x00",
        b"\xff\xfe\n"[:2],
        b"a:x:4294967296:0::/:/x",
        b"a:x:0x0:0::/:/x",
        b"a:x:1 1:0::/:/x",
    ],
)
def test_a_bad_line_costs_itself(line: bytes) -> None:
    rows = parse(accounts.passwd, b"root:x:0:0::/root:/bin/sh\n" + line + b"\nanna:x:1000:1000::/home/anna:/bin/sh\n")
    assert chosen(rows, "user", "unparsed") == [("root", None), (None, True), ("anna", None)]


@pytest.mark.parametrize(
    ("number", "uid"), [(b" 0", 0), (b"00", 0), (b"+0", 0), (b"-0", 0), (b"-2", -2), (b"4294967295", 2**32 - 1)]
)
def test_ids_are_read_as_the_c_library_reads_them(number: bytes, uid: int) -> None:
    assert parse(accounts.passwd, b"a:x:" + number + b":0::/:/bin/sh\n")[0]["uid"] == uid


def test_missing_and_surplus_fields_nis_comments_and_duplicates() -> None:
    data = b"short:x:1:1\nmore:x:1:1:c:/h:/bin/sh:x:y\n+@ops::::::\n# c:x:0:0\n\na:x:0:0::/:\na:x:0:0::/:/x\n"
    assert chosen(parse(accounts.passwd, data), "user", "uid", "shell") == [
        ("short", 1, None),
        ("more", 1, "/bin/sh:x:y"),
        ("+@ops", None, None),
        ("a", 0, ""),
        ("a", 0, "/x"),
    ]


@pytest.mark.parametrize(
    ("field", "state", "hash_type"),
    [
        (b"", "empty", None),
        (b"*", "locked", None),
        (b"!!", "locked", None),
        (b"!*", "locked", None),
        (b"*LK*", "locked", None),
        (b"x", "locked", None),
        (b"!$6$salt$hash", "locked", "sha512crypt"),
        (b"$6$salt$hash", "hashed", "sha512crypt"),
        (b"$y$j9T$a$b", "hashed", "yescrypt"),
        (b"$2b$12$aaaa", "hashed", "bcrypt"),
        (b"$1$a$b", "hashed", "md5crypt"),
        (b"$new$a$b", "hashed", "unknown"),
        (b"ab01FAX.bQRSU", "hashed", "des"),
    ],
)
def test_password_states(field: bytes, state: str, hash_type: str | None) -> None:
    (row,) = parse(accounts.shadow, b"a:" + field + b":19675:0:99999:7:::\n")
    assert (row["password_state"], row.get("hash_type")) == (state, hash_type)
    assert (row["last_changed"], row["timestamp"]) == ("2023-11-14", 19675 * 86_400_000_000)
    assert not field or field.decode() not in [value for value in row.values() if value not in {"x", "a"}]


@pytest.mark.parametrize("day", [b"", b"0", b"-1", b"99999999999999999999", b"2932897", b"x"])
def test_a_day_that_dates_nothing_is_left_out(day: bytes) -> None:
    assert parse(accounts.shadow, b"a:*:" + day + b":::::\n") == [
        {"position": 0, "user": "a", "password_state": "locked"}
    ]


def test_shadow_lines_of_other_lengths() -> None:
    rows = parse(accounts.shadow, b"a\n:x:\nb:!\n\xff:!\n")
    assert chosen(rows, "unparsed", "user") == [(True, None), (True, None), (None, "b"), (None, "\\xff")]


def test_group() -> None:
    rows = parse(accounts.group, b"root:x:0:\nsudo:x:27:a,,\xff,b\nx:x:1\nbad:x:y:z\n+:::\nn:x:99999999999999999999:\n")
    assert chosen(rows, "group", "gid", "members", "unparsed") == [
        ("root", 0, [], None),
        ("sudo", 27, ["a", "\\xff", "b"], None),
        ("x", 1, [], None),
        (None, None, None, True),
        ("+", None, [], None),
        (None, None, None, True),
    ]


@pytest.mark.parametrize("parser", [accounts.passwd, accounts.shadow, accounts.group])
@given(data=noise([b"root:x:0:0:", b"a:$6$a$b:", b":::", b"+", b"0", b"19675", b"\n"]))
def test_any_bytes(parser: Parser, data: bytes) -> None:
    parse(parser, data)
