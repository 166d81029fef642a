"""Histories of shells, of tools with a command line, of less and vim."""

import pytest
from hypothesis import given
from parser_checks import Parser, chosen, noise, parse

from volforensic.collection.definitions import BUILT_IN
from volforensic.collection.loader import read_definition
from volforensic.collection.parsers import history, history_editors
from volforensic.detection.rules import apply_rules
from volforensic.record import Finding

NOVEMBER = 1_700_000_000_000_000


def test_bash_without_stamps_is_a_command_a_line_with_user_and_home() -> None:
    rows = parse(history.bash, b"ls -la\n\nid\r\n", home=b"/home/anna", user="anna")
    assert chosen(rows, "position", "shell", "user", "home", "command", "timestamp") == [
        (0, "bash", "anna", "/home/anna", "ls -la", None),
        (8, "bash", "anna", "/home/anna", "id", None),
    ]


def test_bash_with_stamps_joins_the_lines_of_a_command() -> None:
    rows = parse(history.bash, b"before\nalso\n#1700000000\nfor i in a\n\ndo x; done\n#1700000001\nid\n")
    assert chosen(rows, "position", "timestamp", "timestamp_desc", "command") == [
        (0, None, None, "before"),
        (7, None, None, "also"),
        (12, NOVEMBER, "Executed", "for i in a\n\ndo x; done"),
        (47, NOVEMBER + 1_000_000, "Executed", "id"),
    ]


@pytest.mark.parametrize("stamp", ["-1", "99999999999999999999", "253402300800", "1" * 5000])
def test_a_stamp_out_of_range_keeps_its_command(stamp: str) -> None:
    rows = parse(history.bash, f"#{stamp}\nid\n#5\nls\n".encode())
    assert chosen(rows, "timestamp", "command", "stamp") == [(None, "id", stamp[:100]), (5_000_000, "ls", None)]


def test_a_stamp_without_a_command_is_unparsed() -> None:
    rows = parse(history.bash, b"#1\n#2\nid\n#3")
    assert chosen(rows, "position", "unparsed", "raw", "command") == [
        (0, True, "#1", None),
        (3, None, None, "id"),
        (9, True, "#3", None),
    ]


def test_a_command_of_more_than_a_lines_length_goes_on_in_the_next_row() -> None:
    rows = parse(history.bash, b"#1700000000\n" + (b"x" * 30_000 + b"\n") * 5)
    assert sum(row["command"].count("x") for row in rows) == 150_000
    assert {row["timestamp"] for row in rows} == {NOVEMBER}
    assert [row["position"] for row in rows] == [0, 12 + 2 * 30_001, 12 + 4 * 30_001]


def test_bytes_that_are_not_utf8_and_nul_stay() -> None:
    rows = parse(history.bash, b"caf\xe9\na\0b\n\0\0\0\n")
    assert chosen(rows, "command", "command_bytes", "unparsed") == [
        ("caf\\xe9", "Y2Fm6Q==", None),
        ("a\0b", None, None),
        (None, None, True),
    ]


def test_tcsh_stamps() -> None:
    assert chosen(parse(history.tcsh, b"#+1700000000\nid\n"), "timestamp", "command") == [(NOVEMBER, "id")]


def test_zsh_extended_continued_metafied_and_plain() -> None:
    data = (
        b": 1700000000:5;echo a\\\nb\\\nc\nls\n: 1700000001:0;echo \xc3\x83\xb9 \x83\xa3\n"
        b": -1:x;odd\n: -5:0;neg\nend\\\\ \n"
    )
    assert chosen(parse(history.zsh, data), "timestamp", "elapsed", "command") == [
        (NOVEMBER, 5, "echo a\nb\nc"),
        (None, None, "ls"),
        (NOVEMBER + 1_000_000, 0, "echo \u00d9 \\x83"),
        (None, None, ": -1:x;odd"),
        (None, 0, "neg"),
        (None, None, "end\\\\"),
    ]


def test_zsh_continuation_at_the_end_of_the_file_is_kept() -> None:
    assert chosen(parse(history.zsh, b"a\\\nb\\"), "position", "command") == [(0, "a\nb")]


def test_fish() -> None:
    data = (
        b"- cmd: a\\nb \\\\n\n  when: 1700000000\n  paths:\n    - x\njunk\n"
        b"- cmd: id\n- cmd: late\n  when: 99999999999999\n"
    )
    rows = parse(history.fish, data)
    assert sorted(chosen(rows, "position", "timestamp", "command", "raw"), key=str) == [
        (0, NOVEMBER, "a\nb \\n", None),
        (52, None, None, "junk"),
        (57, None, "id", None),
        (67, None, "late", None),
    ]


def test_python_continues_at_carriage_returns() -> None:
    rows = parse(history.python, b"import os\ndef f():\r\n    pass\r\n\nos.getpid()\n")
    assert chosen(rows, "position", "command") == [(0, "import os"), (10, "def f():\n    pass\n"), (31, "os.getpid()")]


def test_libedit_escapes_are_undone_only_below_its_header() -> None:
    data = b"_HiStOrY_V2_\nselect\\0401;\\^Ia\\\\b\\M-i\n"
    assert chosen(parse(history.mysql, data), "position", "shell", "command", "command_bytes") == [
        (13, "mysql", "select 1;\ta\\b\\xe9", "c2VsZWN0IDE7CWFcYuk=")
    ]
    assert chosen(parse(history.mysql, b"select '\\040';\n"), "command") == [("select '\\040';",)]


def test_psql_newlines_redis_sqlite_node_and_ksh() -> None:
    assert chosen(parse(history.psql, b"select 1\x01from x;\n"), "shell", "command") == [("psql", "select 1\nfrom x;")]
    assert chosen(parse(history.redis, b"config set dir /x\n"), "shell", "command") == [("redis", "config set dir /x")]
    assert chosen(parse(history.sqlite, b".tables\n"), "shell", "command") == [("sqlite", ".tables")]
    assert chosen(parse(history.node, b"1+1\n"), "shell", "command") == [("node", "1+1")]
    assert chosen(parse(history.sh, b"\x81\x01id\n\0ls\n\0"), "position", "command") == [(2, "id"), (5, "ls")]


def test_less() -> None:
    data = b'.less-history-file:\n.search\n"Accepted\n.shell\n"id\n.mark\nm a 1 99 /var/log/auth.log\n\xff\n'
    assert chosen(parse(history_editors.less, data), "kind", "command", "unparsed") == [
        ("search", "Accepted", None),
        ("shell", "id", None),
        ("mark", "/var/log/auth.log", None),
        (None, None, True),
    ]


def test_vim() -> None:
    data = (
        b'# This viminfo\n|1,4\n*encoding=utf-8\n~h\n\n:wq\n|2,0,1700000000,,"wq"\n:q\n?/root\n|2,1,1700000000,47,"x"\n'
        b':\x1612\n<long command\n|2,0,1700000001,,>12\n|<"long"\n\'0  1  0  ~/a\n> ~/.ssh/authorized_keys\n'
        b'\t*\t1700000002\t0\n\t"\t1\t0\nrubbish\n'
    )
    assert chosen(parse(history_editors.vim, data), "kind", "command", "timestamp", "timestamp_desc", "raw") == [
        ("command", "wq", NOVEMBER, "Executed", None),
        ("command", "q", None, None, None),
        ("search", "root", NOVEMBER, "Executed", None),
        ("command", "long command", NOVEMBER + 1_000_000, "Executed", None),
        ("file", "~/.ssh/authorized_keys", NOVEMBER + 2_000_000, "Edited", None),
        (None, None, None, None, "rubbish"),
    ]


@pytest.mark.parametrize(
    ("path", "target", "rules"),
    [
        ("/root/.bash_history", "/dev/null", [("history-linked-to-null", "medium")]),
        ("/home/a/.local/share/fish/fish_history", "/dev/null", [("history-linked-to-null", "medium")]),
        ("/root/.mysql_history", "/dev/null", [("tool-history-linked-to-null", "low")]),
        ("/root/.bash_history", "/root/other", []),
    ],
)
def test_a_history_linked_to_null_is_a_finding(path: str, target: str, rules: list[tuple[str, str]]) -> None:
    artifact = read_definition(BUILT_IN / "shell_history.yaml").artifact
    row = {"record_id": "shell_history:0", "source": path, "file_type": "symlink", "link_target": target, "position": 0}
    found = [finding for finding in apply_rules(artifact, [row]) if isinstance(finding, Finding)]
    assert [(finding.rule, finding.severity) for finding in found] == rules


@pytest.mark.parametrize(
    "parser",
    [
        history.bash,
        history.zsh,
        history.tcsh,
        history.fish,
        history.sh,
        history.python,
        history.mysql,
        history.psql,
        history_editors.less,
        history_editors.vim,
    ],
)
@given(
    data=noise(
        [
            b"#1700000000\n",
            b": 17:5;",
            b"\\\n",
            b"\x83",
            b"- cmd: ",
            b"  when: 17",
            b"_HiStOrY_V2_\n",
            b"\\040",
            b"\\M^",
            b"\x81\x01",
            b".mark\n",
            b'.search\n"',
            b"m a 1 1 x",
            b":\x161\n<",
            b"|2,0,17,,",
            b"> ",
            b"\t*\t17\t0",
            b"\r\n",
        ]
    )
)
def test_any_bytes(parser: Parser, data: bytes) -> None:
    parse(parser, data, home=b"/home/\xff", user="x")
