"""sudoers and the files that it includes."""

import pytest
from hypothesis import given
from parser_checks import chosen, noise, parse

from volforensic.collection.parsers import sudoers


def test_grants_with_and_without_runas_and_tags() -> None:
    data = (
        b"root\tALL=(ALL:ALL) ALL\n%sudo , anna  web1, web2 = NOPASSWD:SETENV: /bin/ls -l, /bin/cat\n"
        b'#1000 ALL = (#0) ALL\n"DOM\\user x" ALL=(:adm) /bin/id\n'
    )
    assert chosen(parse(sudoers.grants, data), "user", "host", "run_as", "options", "command") == [
        ("root", "ALL", "ALL:ALL", None, "ALL"),
        ("%sudo,anna", "web1,web2", None, ["NOPASSWD", "SETENV"], "/bin/ls -l, /bin/cat"),
        ("#1000", "ALL", "#0", None, "ALL"),
        ("DOM\\user x", "ALL", ":adm", None, "/bin/id"),
    ]


def test_a_tag_holds_until_its_opposite_and_runas_until_the_next() -> None:
    rows = parse(sudoers.grants, b"a ALL=(b) NOPASSWD: /1, /2, PASSWD: /3, (c) /4, CWD=/x NOPASSWD: /5\n")
    assert chosen(rows, "run_as", "options", "command") == [
        ("b", ["NOPASSWD"], "/1, /2"),
        ("b", ["PASSWD"], "/3"),
        ("c", ["PASSWD"], "/4"),
        ("c", ["CWD=/x", "NOPASSWD"], "/5"),
    ]


def test_several_hosts_in_one_rule_and_escapes_in_commands() -> None:
    rows = parse(sudoers.grants, b"a web = /bin/x a\\=b\\,c\\:d : db = (r) /bin/y\n")
    assert chosen(rows, "user", "host", "run_as", "command") == [
        ("a", "web", None, "/bin/x a\\=b\\,c\\:d"),
        ("a", "db", "r", "/bin/y"),
    ]


def test_aliases_and_defaults() -> None:
    data = b'User_Alias A = x, %y : B_1 = z\nDefaults env_reset, secure_path="/a:/b, c"\nDefaults:anna  !authenticate\n'
    assert chosen(parse(sudoers.grants, data), "kind", "name", "value", "options") == [
        ("alias", "A", "x, %y", ["User_Alias"]),
        ("alias", "B_1", "z", ["User_Alias"]),
        ("defaults", None, None, ["env_reset", 'secure_path="/a:/b, c"']),
        ("defaults", ":anna", None, ["!authenticate"]),
    ]


@pytest.mark.parametrize(
    ("line", "glob"),
    [
        (b"@includedir /etc/sudoers.d", "/etc/sudoers.d/*"),
        (b"#includedir /etc/sudoers.d/", "/etc/sudoers.d/*"),
        (b"@include /opt/x", "/opt/x"),
        (b"  #include  sudoers.local", "/etc/sudoers.local"),
        (b'@include "/a b/c"', "/a b/c"),
        (b"@include /a\\ b", "/a b"),
        (b"@include /etc/sudoers.%h", "/etc/sudoers.*"),
        (b"@include /a/**/b", "/a/*/b"),
    ],
)
def test_includes(line: bytes, glob: str) -> None:
    rows = parse(sudoers.grants, line + b"\n", b"/etc/sudoers")
    assert chosen(rows, "kind", "include") == [("include", [glob])]


def test_continued_lines_and_comments_that_are_not_continued() -> None:
    data = b"a ALL=\\\n  (ALL) \\\n  /x # why \\\n# c \\\nmallory ALL=(ALL) NOPASSWD: ALL\n\n #x\nb ALL=/y\\"
    assert chosen(parse(sudoers.grants, data), "position", "user", "run_as", "command") == [
        (0, "a", "ALL", "/x"),
        (data.index(b"mallory"), "mallory", "ALL", "ALL"),
        (data.index(b"b ALL"), "b", None, "/y"),
    ]


@pytest.mark.parametrize(
    "line", [b"rubbish", b"a ALL=", b"a b ALL=ALL", b"\xff\0", b"#include", b"= ALL", b"User_Alias x"]
)
def test_what_sudo_would_not_understand_is_unparsed(line: bytes) -> None:
    rows = parse(sudoers.grants, line + b"\nroot ALL=ALL\n")
    assert [row["user"] for row in rows if "user" in row] == ["root"]
    assert [row["unparsed"] for row in rows[:-1]] == ([] if line == b"#include" else [True])


@pytest.mark.parametrize(
    ("path", "ignored"),
    [
        (b"/etc/sudoers.d/90-cloud-init-users", False),
        (b"/etc/sudoers.d/a.bak", True),
        (b"/etc/sudoers.d/.a", True),
        (b"/etc/sudoers.d/a~", True),
        (b"/etc/sudoers.local", False),
    ],
)
def test_names_that_sudo_passes_over(path: bytes, ignored: bool) -> None:  # noqa: FBT001 - a table's column
    assert ("ignored" in parse(sudoers.grants, b"a ALL=ALL\n", path)[0]) is ignored


@given(
    noise(
        [b"a ALL=", b"NOPASSWD:", b"(ALL)", b"ALL", b"Defaults ", b"User_Alias A=", b"@include ", b"\\\n", b" : h = "]
    )
)
def test_any_bytes(data: bytes) -> None:
    parse(sudoers.grants, data, b"/etc/sudoers.d/\xff")
