"""Jobs of at and batch."""

import pytest
from hypothesis import given
from parser_checks import noise, parse

from volforensic.collection.content import Content, SourceFile
from volforensic.collection.parsers import at_jobs

PREAMBLE = (
    b"#!/bin/sh\n# atrun uid=1000 gid=100\n# mail anna 0\numask 22\n"
    b'SSH_CLIENT=203.0.113.9\\ 51234\\ 22; export SSH_CLIENT\nA=x"\n"y\\;z; export A\nHOME=/home/anna; export HOME\n'
    b"cd /home/an\\ na || {\n\t echo 'Execution directory inaccessible' >&2\n\t exit 1\n}\n"
)
PATH = b"/var/spool/cron/atjobs/a0000f01a1b2c3"


def test_name_gives_queue_number_and_time_and_body_gives_the_rest() -> None:
    (row,) = parse(at_jobs.job, PREAMBLE + b"echo one\necho two\n", PATH)
    assert row == {
        "position": 0,
        "timestamp": 0x01A1B2C3 * 60_000_000,
        "timestamp_desc": "Scheduled",
        "queue": "a",
        "job_number": 15,
        "working_directory": "/home/an na",
        "uid": 1000,
        "gid": 100,
        "user": "anna",
        "environment": ["SSH_CLIENT=203.0.113.9 51234 22", "A=x\ny;z", "HOME=/home/anna"],
        "command": "echo one\necho two",
    }


def test_here_document_of_newer_versions_is_taken_off() -> None:
    wrapped = b"${SHELL:-/bin/sh} << 'marcinDELIMITER1a2b'\n/x\n/y\n\nmarcinDELIMITER1a2b\n"
    assert parse(at_jobs.job, PREAMBLE + wrapped, PATH)[0]["command"] == "/x\n/y"
    cut = wrapped[: wrapped.rindex(b"marcin")]
    assert parse(at_jobs.job, PREAMBLE + cut, PATH)[0]["command"] == "/x\n/y"


@pytest.mark.parametrize("name", [b"zzz", b"a0000f01a1b2c", b"a0000f01a1b2c3.bak", b"\xff", b"gXXXXX01a1b2c3"])
def test_a_name_that_does_not_fit_is_a_row_without_a_time(name: bytes) -> None:
    (row,) = parse(at_jobs.job, b"/opt/x\xff\n", b"/var/spool/at/" + name)
    assert row == {"position": 0, "command": "/opt/x\\xff", "command_bytes": "L29wdC94/w=="}


def test_the_counter_is_no_job_but_a_job_under_its_name_is() -> None:
    assert parse(at_jobs.job, b"0000f\n", b"/var/spool/cron/atjobs/.SEQ") == []
    assert len(parse(at_jobs.job, b"0000f\n/opt/x\n", b"/var/spool/cron/atjobs/.SEQ")) == 1


def test_padding_before_the_command_does_not_hide_it_and_a_cut_is_said() -> None:
    padding = b"A=" + b"b" * 300_000 + b"; export A\n"
    body = PREAMBLE.replace(b"cd ", padding + b"cd ", 1)
    assert parse(at_jobs.job, body + b"/opt/x\n", PATH)[0]["command"] == "/opt/x"
    content = Content.of(PREAMBLE + b"y" * 70_000, SourceFile(path=PATH))
    (row,) = at_jobs.job(content)
    assert len(row["command"]) == 65_536
    assert [(loss.offset, loss.length) for loss in content.losses] == [(len(PREAMBLE) + 65_536, 70_000 - 65_536)]


@given(noise([PREAMBLE, b"cd / || {\na\nb\n}\n", b"; export A", b"\nA=", b"${SHELL:-/bin/sh} << 'a'\n", b"a\n"]))
def test_any_bytes(data: bytes) -> None:
    assert len(parse(at_jobs.job, data, PATH)) == 1
