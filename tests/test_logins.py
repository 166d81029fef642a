"""Login databases: layouts, damage, holes and what a record must say."""

import ipaddress
import struct
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parser_checks import original_bytes

from volforensic.collection.content import Block, Content, Loss, SourceFile
from volforensic.collection.definitions import BUILT_IN
from volforensic.collection.loader import read_definition
from volforensic.collection.parsers.logins import lastlog, utmp
from volforensic.detection.definition_check import differences
from volforensic.record import Row, timestamp_text

UTMP = {384: "h2si32s4s32s256shhiii16s20x", 400: "h2si32s4s32s256shhqqq16s20x4x"}
LASTLOG = {292: "i32s256s", 296: "q32s256s"}
FORMS = [(384, "<"), (400, "<"), (384, ">"), (400, ">")]
SECONDS = 1_767_225_602


def record(size: int = 384, order: str = "<", **given: Any) -> bytes:
    values: dict[str, Any] = {
        "type": 7,
        "pid": 4211,
        "line": b"pts/0",
        "user": b"deploy",
        "host": b"198.51.100.7",
        "exit": 0,
        "session": 5,
        "seconds": SECONDS,
        "microseconds": 9,
        "address": ipaddress.ip_address("198.51.100.7").packed,
        **given,
    }
    head = (values["type"], b"", values["pid"], values["line"], b"ts/0", values["user"], values["host"])
    times = (values["session"], values["seconds"], values["microseconds"], values["address"])
    return struct.pack(order + UTMP[size], *head, 0, values["exit"], *times)


def last(seconds: int, line: bytes = b"pts/0", host: bytes = b"h", size: int = 292, order: str = "<") -> bytes:
    return struct.pack(order + LASTLOG[size], seconds, line, host)


def rows(data: bytes, path: bytes = b"/var/log/wtmp") -> list[Row]:
    return list(utmp(Content.of(data, SourceFile(path=path))))


def pieces(parts: Iterable[tuple[int, bytes]], losses: Iterable[Loss] = ()) -> Content:
    """Return a content of allocated ranges."""

    def chunks(noted: list[Loss]) -> Iterable[Block]:
        noted.extend(losses)
        return [Block(position, data) for position, data in parts]

    return Content(SourceFile(path=b"/var/log/wtmp"), chunks)


@pytest.mark.parametrize("name", ["logins", "lastlog"])
def test_examples_of_the_definitions_hold(name: str) -> None:
    artifact = read_definition(BUILT_IN / f"{name}.yaml").artifact
    assert [fault for example in artifact.examples for fault in differences(artifact, example)] == []


@pytest.mark.parametrize(("size", "order"), FORMS)
@pytest.mark.parametrize("count", [1, 2, 50])
def test_layouts_are_told_apart(size: int, order: str, count: int) -> None:
    data = b"".join(record(size, order, pid=number, seconds=SECONDS + number) for number in range(count))
    found = rows(data)
    assert [(row["pid"], row["record_size"], row["position"]) for row in found] == [
        (number, size, number * size) for number in range(count)
    ]
    assert timestamp_text(found[0]["timestamp"]) == "2026-01-01T00:00:02.000009Z"
    assert {
        name: found[0][name] for name in ("type", "user", "terminal", "remote_host", "remote_address", "session")
    } == {
        "type": "USER_PROCESS",
        "user": "deploy",
        "terminal": "pts/0",
        "remote_host": "198.51.100.7",
        "remote_address": "198.51.100.7",
        "session": 5,
    }


def test_size_of_the_file_does_not_decide() -> None:
    # 25 records of 384 bytes are 24 of 400
    data = b"".join(record(pid=number) for number in range(25))
    assert len(data) % 400 == 0
    assert [row["pid"] for row in rows(data)] == list(range(25))


@pytest.mark.parametrize(
    ("path", "database", "description"),
    [
        (b"/var/log/wtmp-20260101.gz", "wtmp", "Logged in"),
        (b"/var/log/btmp.1", "btmp", "Failed login"),
        (b"/run/utmp", "utmp", "Logged in"),
    ],
)
def test_database_is_named_by_the_file(path: bytes, database: str, description: str) -> None:
    (row,) = rows(record(), path)
    assert (row["database"], row["timestamp_desc"]) == (database, description)


def test_kinds_of_records() -> None:
    boot = record(type=2, user=b"reboot", line=b"~", host=b"6.1.0-32", pid=0, address=bytes(16))
    found = rows(boot + record(type=8, exit=3, user=b"") + record(type=6))
    assert [(row["type"], row["timestamp_desc"]) for row in found] == [
        ("BOOT_TIME", "Booted"),
        ("DEAD_PROCESS", "Logged out"),
        ("LOGIN_PROCESS", "Waiting for a login"),
    ]
    assert found[0]["kernel"] == "6.1.0-32"
    assert "remote_host" not in found[0]
    assert found[1]["exit_status"] == 3
    assert "user" not in found[1]


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("2001:db8::5", "2001:db8::5"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("203.0.113.9", "203.0.113.9"),
        ("::1", "::1"),
        ("::", None),
    ],
)
def test_addresses(address: str, text: str | None) -> None:
    (row,) = rows(record(address=ipaddress.ip_address(address).packed))
    assert row.get("remote_address") == text


@pytest.mark.parametrize(
    ("size", "seconds", "expected", "suspicious"),
    [
        (384, 0, "1970-01-01T00:00:00.000009Z", "no time"),
        (384, -1, "1969-12-31T23:59:59.000009Z", "time before 1990"),
        (384, 0x80000001 - (1 << 32), "2038-01-19T03:14:09.000009Z", "time after 2038"),
        (400, 1 << 32, "2106-02-07T06:28:16.000009Z", "time after 2038"),
        (400, -(10**9), "1938-04-24T22:13:20.000009Z", "time before 1990"),
        (400, (1 << 63) - 1, None, "time after 2038"),
        (400, -(1 << 63), None, "time before 1990"),
    ],
)
def test_odd_times_are_kept_and_flagged(size: int, seconds: int, expected: str | None, suspicious: str) -> None:
    _, row, _ = rows(record(size) + record(size, seconds=seconds) + record(size))
    assert timestamp_text(row["timestamp"]) == expected
    assert (row["user"], row["suspicious"]) == ("deploy", suspicious)


def test_strings_without_nul_and_bytes_that_are_no_text() -> None:
    (row,) = rows(record(user=b"u" * 32, line=b"l" * 32, host=b"\xff\x1b]" + b"h" * 253))
    assert (row["user"], row["terminal"]) == ("u" * 32, "l" * 32)
    assert original_bytes(row, "remote_host") == b"\xff\x1b]" + b"h" * 253


@pytest.mark.parametrize(("size", "order"), FORMS)
def test_zeroed_records_are_flagged_and_the_others_kept(size: int, order: str) -> None:
    found = rows(record(size, order) + bytes(size * 2) + record(size, order))
    assert [row.get("suspicious") for row in found] == [None, "zeroed record", "zeroed record", None]
    assert [row["position"] for row in found] == [0, size, size * 2, size * 3]


@pytest.mark.parametrize(("size", "order"), FORMS)
@pytest.mark.parametrize("length", [1, 3, 100, 384, 400, 1000, 5000])
def test_garbage_in_the_middle_costs_itself(size: int, order: str, length: int) -> None:
    garbage = (b"\xde\xad\xbe\xef\x07\0\0" * 1000)[:length]
    good = [record(size, order, pid=number) for number in range(20)]
    data = b"".join(good[:10]) + garbage + b"".join(good[10:])
    found = rows(data)
    assert [row["pid"] for row in found if "pid" in row] == list(range(20))
    bad = [row for row in found if row.get("unparsed")]
    assert b"".join(original_bytes(row, "raw") for row in bad) == garbage


@pytest.mark.parametrize("length", [1, 200, 383])
def test_cut_last_record(length: int) -> None:
    first, cut = rows(record() + record()[:length])
    assert first["user"] == "deploy"
    assert cut["unparsed"] is True
    assert cut["suspicious"] == f"cut record: {length} of 384 bytes"
    assert original_bytes(cut, "raw") == record()[:length]


@pytest.mark.parametrize(("size", "order"), FORMS)
@pytest.mark.parametrize("step", [1, 77, 4096])
def test_chunks_do_not_fall_on_records(size: int, order: str, step: int) -> None:
    data = b"".join(record(size, order, pid=number) for number in range(12))
    content = pieces([(start, data[start : start + step]) for start in range(0, len(data), step)])
    assert [row["pid"] for row in utmp(content)] == list(range(12))


def test_a_hole_is_said_and_not_walked() -> None:
    begin = (1 << 44) // 4096 * 4096
    after = -begin % 384
    tail = bytes(after) + record(pid=2) + record(pid=3)
    found = list(utmp(pieces([(0, record(pid=1)), (begin, tail)])))
    assert [row["pid"] for row in found if "pid" in row] == [1, 2, 3]
    (hole,) = [row for row in found if str(row.get("suspicious")).startswith("hole")]
    assert hole["position"] == 384
    assert hole["suspicious"] == f"hole of {begin - 384} bytes: reads as zeroed records"


def test_a_range_that_could_not_be_read_is_no_hole() -> None:
    parts = [(0, record(pid=1)), (384 * 100, record(pid=2))]
    found = list(utmp(pieces(parts, [Loss(384, 384 * 99, "bad sectors")])))
    assert [row.get("pid") for row in found] == [1, 2]


@pytest.mark.parametrize("length", [50, 512, 4096])
def test_bad_sectors_are_no_zeroed_records(length: int) -> None:
    data = b"".join(record(pid=number) for number in range(40))
    start = 384 * 10 + 100
    parts = [(0, data[:start]), (start + length, data[start + length :])]
    found = list(utmp(pieces(parts, [Loss(start, length, "bad sectors")])))
    last_lost = (start + length - 1) // 384
    assert [row["pid"] for row in found if "pid" in row] == [*range(10), *range(last_lost + 1, 40)]
    parts_left = [row for row in found if row.get("unparsed")]
    assert original_bytes(parts_left[0], "raw") == record(pid=10)[:100]
    assert not any("zeroed" in row.get("suspicious", "") for row in found)


def test_login_without_a_user_name() -> None:
    assert rows(record(user=b""))[0]["suspicious"] == "login without a user name"
    assert "suspicious" not in rows(record(user=b""), b"/var/log/btmp")[0]


def test_empty_database() -> None:
    assert rows(b"") == []
    assert list(lastlog(Content.of(b""))) == []


@pytest.mark.parametrize(("size", "order"), [(292, "<"), (296, "<"), (292, ">"), (296, ">")])
def test_lastlog_layouts(size: int, order: str) -> None:
    def entry(uid: int) -> bytes:
        return last(SECONDS + uid, b"pts/%d" % uid, b"198.51.100.%d" % uid, size, order)

    data = entry(0) + bytes(size * 999) + entry(100) + entry(101)
    found = list(lastlog(Content.of(data)))
    assert [(row["uid"], row["terminal"], row["remote_host"], row["position"]) for row in found] == [
        (0, "pts/0", "198.51.100.0", 0),
        (1000, "pts/100", "198.51.100.100", 1000 * size),
        (1001, "pts/101", "198.51.100.101", 1001 * size),
    ]
    assert timestamp_text(found[0]["timestamp"]) == "2026-01-01T00:00:02.000000Z"


def test_lastlog_of_a_large_uid_is_read_without_its_hole() -> None:
    uid = 4_000_000_000
    start = uid * 292 // 4096 * 4096
    block = (bytes(uid * 292 - start) + last(SECONDS)).ljust(8192, b"\0")
    content = pieces([(0, last(SECONDS).ljust(4096, b"\0")), (start, block)])
    assert [row["uid"] for row in lastlog(content)] == [0, uid]


def test_lastlog_record_that_reaches_into_a_hole() -> None:
    # the host's end lies in the hole and reads as zeros
    (row,) = lastlog(pieces([(0, (bytes(292 * 13) + last(SECONDS, host=b"h" * 256))[:4000]), (1 << 30, bytes(4096))]))
    assert (row["uid"], row["terminal"]) == (13, "pts/0")


def test_lastlog_damage() -> None:
    data = last(SECONDS) + b"\xff" * 292 + last(0, host=b"evil.example") + last(SECONDS)[:100]
    good, bad, wiped, cut = lastlog(Content.of(data))
    assert good["uid"] == 0
    assert (bad["unparsed"], original_bytes(bad, "raw")) == (True, b"\xff" * 292)
    assert (wiped["uid"], wiped["remote_host"], wiped["suspicious"]) == (2, "evil.example", "no time")
    assert (cut["unparsed"], cut["suspicious"]) == (True, "cut record: 100 of 292 bytes")


PARTS = st.binary(max_size=500) | st.sampled_from([record(), record(400), bytes(384), bytes(400), b"\x07\0\0\0"])


@given(st.lists(st.tuples(st.integers(0, 9000), PARTS), max_size=8))
def test_any_bytes_give_rows_and_no_exception(parts: list[tuple[int, bytes]]) -> None:
    placed, position = [], 0
    for gap, data in parts:
        if data:
            position += gap
            placed.append((position, data))
            position += len(data)
    for parser in (utmp, lastlog):
        for row in parser(pieces(placed)):
            assert 0 <= row["position"] <= position
            assert all(abs(value) < 1 << 63 for value in row.values() if type(value) is int)
