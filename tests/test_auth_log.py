"""Auth logs: message fields, stamps and their years, lines that lie and lines that are damaged."""
# Lines of logs stand whole, as they are written:
# ruff: noqa: E501

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parser_checks import original_bytes

from volforensic.collection.content import BLOCK_SIZE, Block, Content, SourceFile
from volforensic.collection.definitions import BUILT_IN
from volforensic.collection.loader import read_definition
from volforensic.collection.parsers.auth_log import entries
from volforensic.collection.parsers.syslog_years import year_spans
from volforensic.collection.time_zones import time_zone_file
from volforensic.detection.definition_check import differences
from volforensic.record import Row, timestamp_text

STAMP = "2026-02-03T04:05:06Z web1 "
ORIGIN = {"remote_address": "203.0.113.9", "remote_port": 4242}


def rows(data: bytes | str, **file: Any) -> list[Row]:
    content = data if isinstance(data, bytes) else data.encode()
    return list(entries(Content.of(content, SourceFile(size=len(content), **file))))


def times(data: bytes | str, **file: Any) -> list[str | None]:
    return [timestamp_text(row.get("timestamp")) for row in rows(data, **file)]


def nanoseconds(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp()) * 10**9  # type: ignore[arg-type,misc]


@pytest.mark.parametrize("number", range(len(read_definition(BUILT_IN / "auth_log.yaml").artifact.examples)))
def test_examples_of_the_definition_hold(number: int) -> None:
    artifact = read_definition(BUILT_IN / "auth_log.yaml").artifact
    assert list(differences(artifact, artifact.examples[number])) == []


SSHD = [
    ("Accepted password for root from 203.0.113.9 port 4242 ssh2", {"event": "accepted", "user": "root", "method": "password", **ORIGIN}),
    ("Accepted keyboard-interactive/pam for bob from 203.0.113.9 port 4242 ssh2", {"method": "keyboard-interactive/pam"}),
    ("Accepted publickey for bob from 203.0.113.9 port 4242 ssh2", {"event": "accepted", "method": "publickey", **ORIGIN}),
    ("Accepted publickey for bob from 203.0.113.9 port 4242 ssh2: RSA 0a:1b:2c", {"key_type": "RSA", "key_fingerprint": "0a:1b:2c"}),
    ("Accepted publickey for bob from 203.0.113.9 port 4242 ssh2: RSA MD5:0a:1b", {"key_fingerprint": "MD5:0a:1b", **ORIGIN}),
    (
        "Accepted publickey for bob from 203.0.113.9 port 4242 ssh2: ED25519-CERT SHA256:aB+/9 ID bob from 192.0.2.1 port 1 ssh2 (serial 0) CA RSA SHA256:c",
        {"user": "bob", "key_type": "ED25519-CERT", "key_fingerprint": "SHA256:aB+/9", **ORIGIN},
    ),
    (
        'Accepted hostbased for bob from 203.0.113.9 port 4242 ssh2: RSA SHA256:aB, client user "bob", client host "h"',
        {"method": "hostbased", "key_fingerprint": "SHA256:aB", **ORIGIN},
    ),
    ("Accepted gssapi-with-mic for bob from 203.0.113.9 port 4242 ssh2: bob@EXAMPLE.ORG", {"user": "bob", **ORIGIN}),
    ("Failed password for invalid user a b from 203.0.113.9 port 4242 ssh2", {"event": "failed", "user": "a b", **ORIGIN}),
    ("Failed password for illegal user x from ::1 port 4242 ssh2", {"user": "x", "remote_address": "::1"}),
    ("Failed password for root from UNKNOWN port 65535 ssh2", {"remote_address": "UNKNOWN", "remote_port": 65535}),
    ("Postponed publickey for root from 203.0.113.9 port 4242 ssh2 [preauth]", {"event": "message", "user": "root", **ORIGIN}),
    ("Invalid user  from 203.0.113.9 port 4242", {"event": "invalid_user", "user": "", **ORIGIN}),
    ("Invalid user x from 192.0.2.1 port 22 from 203.0.113.9", {"user": "x from 192.0.2.1 port 22", "remote_address": "203.0.113.9"}),
    ("input_userauth_request: invalid user x [preauth]", {"event": "invalid_user", "user": "x"}),
    ("User bob from 203.0.113.9 not allowed because not listed in AllowUsers", {"event": "invalid_user", "user": "bob"}),
    ("User bob not allowed because account is locked", {"event": "invalid_user", "user": "bob"}),
    ("Connection closed by 203.0.113.9 port 4242", {"event": "connection_closed", **ORIGIN}),
    ("Connection closed by 203.0.113.9 [preauth]", {"event": "connection_closed", "remote_address": "203.0.113.9"}),
    ("Connection reset by invalid user a 192.0.2.1 port 1 203.0.113.9 port 4242 [preauth]", {"user": "a 192.0.2.1 port 1", **ORIGIN}),
    ("Connection closed by authenticating user root 203.0.113.9 port 4242 [preauth]", {"user": "root", **ORIGIN}),
    ("Disconnected from user bob 203.0.113.9 port 4242", {"event": "disconnected", "user": "bob", **ORIGIN}),
    ("Disconnecting invalid user a 203.0.113.9 port 4242: Too many authentication failures [preauth]", {"event": "disconnected", "user": "a", **ORIGIN}),
    (
        "Disconnecting invalid user a 203.0.113.9 port 4242: Change of username or service not allowed: (a,x) -> (b 192.0.2.1 port 1: x,x) [preauth]",
        {"event": "disconnected", "user": "a", **ORIGIN},
    ),
    ("Received disconnect from 203.0.113.9 port 4242:11: Bye from 192.0.2.1 port 1:11: x [preauth]", {"event": "disconnected", **ORIGIN}),
    ("error: Received disconnect from 203.0.113.9: 3: com.jcraft.jsch: Auth fail [preauth]", {"remote_address": "203.0.113.9"}),
    ("error: maximum authentication attempts exceeded for invalid user x from 203.0.113.9 port 4242 ssh2 [preauth]", {"event": "max_attempts", "user": "x", **ORIGIN}),
    ("error: PAM: Authentication failure for illegal user x from host.example", {"event": "failed", "user": "x", "remote_address": "host.example"}),
    ("PAM 2 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.9  user=root", {"event": "message", "user": "root", "remote_address": "203.0.113.9"}),
    ("pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.9  user=root", {"user": "root", "remote_address": "203.0.113.9", "method": "pam"}),
    ("pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.9 ", {"remote_address": "203.0.113.9"}),
    ("pam_unix(sshd:session): session opened for user root by (uid=0)", {"event": "session_opened", "user": "root"}),
    ("pam_unix(sshd:session): session closed for user bob", {"event": "session_closed", "user": "bob"}),
    ("fatal: Unable to negotiate with 203.0.113.9 port 4242: no matching cipher found. Their offer: a from 192.0.2.1 port 1", {"event": "negotiation_failed", **ORIGIN}),
    ("Bad protocol version identification 'GET / from 192.0.2.1 port 1' from 203.0.113.9 port 4242", {"event": "negotiation_failed", **ORIGIN}),
    ("Did not receive identification string from 203.0.113.9", {"event": "negotiation_failed", "remote_address": "203.0.113.9"}),
    ("banner exchange: Connection from 203.0.113.9 port 4242: invalid format", {"event": "negotiation_failed", **ORIGIN}),
    ("drop connection #10 from [203.0.113.9]:4242 on [10.0.0.1]:22 past MaxStartups", {"event": "connection_closed", **ORIGIN}),
    ("fatal: Timeout before authentication for 203.0.113.9 port 4242", {"event": "connection_closed", **ORIGIN}),
    ("Timeout before authentication for connection from 203.0.113.9 to 10.0.0.1, pid = 5", {"remote_address": "203.0.113.9"}),
    ("ROOT LOGIN REFUSED FROM 203.0.113.9 port 4242", {"event": "failed", "user": "root", **ORIGIN}),
    ("Starting session: command for root from 203.0.113.9 port 4242 id 0", {"event": "session_opened", "user": "root", **ORIGIN}),
    ("Server listening on :: port 22.", {"event": "server_listening"}),
    ("reverse mapping checking getaddrinfo for h.example [203.0.113.9] failed - POSSIBLE BREAK-IN ATTEMPT!", {"event": "message", "remote_address": "203.0.113.9"}),
    ("Accepted key RSA SHA256:abc found at /root/.ssh/authorized_keys:1", {"event": "message", "key_fingerprint": "SHA256:abc"}),
    ("message repeated 5 times: [ Failed password for root from 203.0.113.9 port 4242 ssh2]", {"event": "failed", "repeated": 5, **ORIGIN}),
    ("Received signal 15; terminating.", {"event": "message"}),
    ("refused connect from h.example (203.0.113.9)", {"event": "connection_closed", "remote_address": "203.0.113.9"}),
    ("refused connect from 203.0.113.9", {"event": "connection_closed", "remote_address": "203.0.113.9"}),
    ("Read error from remote host 203.0.113.9 port 4242: Connection timed out", {"event": "connection_closed", **ORIGIN}),
    ("fatal: Access denied for user bob by PAM account configuration [preauth]", {"event": "failed", "user": "bob"}),
    ("fatal: no matching mac found: client a server b [preauth]", {"event": "negotiation_failed"}),
    ("fatal: Unable to negotiate a key exchange method [preauth]", {"event": "negotiation_failed"}),
    ("(pam_unix) authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.9  user=root", {"event": "message", "user": "root", "remote_address": "203.0.113.9"}),
]  # fmt: skip


@pytest.mark.parametrize(("message", "fields"), SSHD)
@pytest.mark.parametrize("process", ["sshd", "sshd-session", "sshd-auth"])
def test_sshd(process: str, message: str, fields: Row) -> None:
    (row,) = rows(f"{STAMP}{process}[7]: {message}\n")
    assert {name: row.get(name) for name in fields} == fields
    assert row["pid"] == 7
    assert row["raw"] == f"{STAMP}{process}[7]: {message}"


OTHERS = [
    ("sudo: alice : TTY=unknown ; PWD=/x ; USER=www-data ; COMMAND=/bin/ls", {"event": "sudo", "user": "alice", "tty": "unknown", "target_user": "www-data", "command": "/bin/ls"}),
    ("sudo: alice : TTY=pts/0 ; PWD=/a ; b ; USER=root ; COMMAND=/bin/ls ; COMMAND=x", {"target_user": "root", "working_directory": "/a ; b", "command": "/bin/ls ; COMMAND=x"}),
    ("sudo: alice : TTY=pts/0 ; PWD=/ ; USER=root ; GROUP=adm ; TSID=00000A ; ENV=A=1 ; USER=x ; COMMAND=/bin/id", {"target_user": "root", "command": "/bin/id"}),
    ("sudo: alice : command not allowed ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh", {"event": "sudo_failed", "user": "alice"}),
    ("sudo: alice : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh", {"event": "sudo_failed", "command": "/bin/sh"}),
    ("sudo: alice : (command continued) --more", {"event": "sudo", "user": "alice", "command": "--more"}),
    ("sudo: pam_unix(sudo:auth): authentication failure; logname=alice uid=1000 euid=0 tty=/dev/pts/0 ruser=alice rhost=  user=alice", {"event": "message", "user": "alice"}),
    ("su: (to root) alice on pts/0", {"event": "su", "user": "alice", "target_user": "root", "tty": "pts/0"}),
    ("su[9]: FAILED SU (to root) alice on pts/0", {"event": "su_failed", "user": "alice", "target_user": "root"}),
    ("su[9]: Successful su for root by alice", {"event": "su", "user": "alice", "target_user": "root"}),
    ("su[9]: FAILED su for root by alice", {"event": "su_failed", "user": "alice"}),
    ("su[9]: + /dev/pts/0 alice:root", {"event": "su", "user": "alice", "target_user": "root", "tty": "/dev/pts/0"}),
    ("useradd[9]: new user: name=bob, UID=1001, GID=1001, home=/home/bob, shell=/bin/sh, from=none", {"event": "user_added", "user": "bob", "uid": 1001}),
    ("useradd[9]: new account added - account=bob, uid=0, gid=0, home=/root, shell=/bin/bash, by=0", {"event": "user_added", "user": "bob", "uid": 0}),
    ("usermod[9]: change user name 'bob' to 'rob'", {"event": "user_changed", "user": "bob"}),
    ("gpasswd[9]: members of group sudo set by root to bob,carol", {"event": "user_changed", "group": "sudo"}),
    ("groupadd[9]: new group: name=bob, GID=1001", {"event": "group_added", "group": "bob"}),
    ("userdel[9]: delete user 'bob'", {"event": "user_deleted", "user": "bob"}),
    ("userdel[9]: removed group 'bob' owned by 'bob'", {"event": "group_deleted", "group": "bob"}),
    ("usermod[9]: change user 'bob' password", {"event": "password_changed", "user": "bob"}),
    ("gpasswd[9]: user bob added by root to group docker", {"event": "user_changed", "user": "bob", "group": "docker"}),
    ("chage[9]: changed password expiry for bob", {"event": "user_changed", "user": "bob"}),
    ("passwd[9]: password for 'bob' changed by 'root'", {"event": "password_changed", "user": "bob"}),
    ("systemd-logind[4]: New session c1 of user gdm.", {"event": "logind_session", "user": "gdm"}),
    ("systemd-logind[4]: New session '3' of user 'bob' with class 'user' and type 'tty'.", {"event": "logind_session", "user": "bob"}),
    ("systemd-logind[4]: Removed session 12.", {"event": "logind_session"}),
    ("systemd-logind[4]: New seat seat0.", {"event": "message"}),
    ("login[4]: FAILED LOGIN (1) on '/dev/tty1' FOR 'root', Authentication failure", {"event": "failed", "user": "root", "tty": "/dev/tty1"}),
    ("login[4]: ROOT LOGIN  on '/dev/tty1'", {"event": "accepted", "user": "root", "tty": "/dev/tty1"}),
    ("login[4]: LOGIN ON tty1 BY bob", {"event": "accepted", "user": "bob"}),
    ("pkexec[4]: bob: Executing command [USER=root] [TTY=unknown] [CWD=/home/bob] [COMMAND=/bin/id]", {"user": "bob", "command": "/bin/id"}),
    ("CRON[4]: (root) CMD (cd / && run-parts)", {"event": "message", "user": "root", "command": "cd / && run-parts"}),
    ("vsftpd: pam_unix(vsftpd:auth): authentication failure; logname= uid=0 euid=0 tty=ftp ruser=x rhost=203.0.113.9", {"event": "failed", "remote_address": "203.0.113.9"}),
    ("sshd(pam_unix)[4]: authentication failure; logname= uid=0 euid=0 tty=NODEVssh ruser= rhost=203.0.113.9  user=root", {"event": "failed", "user": "root"}),
    ("gdm-password][4]: pam_unix(gdm-password:session): session opened for user bob(uid=1000) by (uid=0)", {"event": "session_opened", "uid": 1000}),
    ("polkitd(authority=local)[4]: Registered Authentication Agent for unix-session:1", {"event": "message"}),
    ("notsshd[4]: Accepted password for root from 203.0.113.9 port 22 ssh2", {"event": "message", "user": None}),
]  # fmt: skip


@pytest.mark.parametrize(("line", "fields"), OTHERS)
def test_other_programs(line: str, fields: Row) -> None:
    (row,) = rows(STAMP + line)
    assert {name: row.get(name) for name in fields} == fields


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("2026-02-03T04:05:06Z", "2026-02-03T04:05:06.000000Z"),
        ("2026-02-03T04:05:06.1-05:00", "2026-02-03T09:05:06.100000Z"),
        ("2026-02-03T04:05:06.123456789+0530", "2026-02-02T22:35:06.123456Z"),
        ("2026-02-03 04:05:06,5+01", "2026-02-03T03:05:06.500000Z"),
        ("2026-02-03T04:05:06", "2026-02-03T04:05:06.000000Z"),
        ("<86>2026-02-03T04:05:06Z", "2026-02-03T04:05:06.000000Z"),
        ("\ufeff<86>Feb  3 2026 04:05:06.25", "2026-02-03T04:05:06.250000Z"),
        ("Feb 3 04:05:06 2026", "2026-02-03T04:05:06.000000Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000000Z"),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59.000000Z"),
        ("2026-02-03T04:05:06+99:00", None),
        ("2026-02-30T04:05:06Z", None),
        ("2026-02-03T24:00:00Z", None),
        ("0000-01-01T00:00:00Z", None),
        ("2026-02-03T04:05:06." + "9" * 5000 + "Z", "2026-02-03T04:05:06.999999Z"),
    ],
)
def test_stamps(stamp: str, expected: str | None) -> None:
    (row,) = rows(f"{stamp} web1 sshd[7]: Accepted password for root from 203.0.113.9 port 4242 ssh2\r\n")
    assert timestamp_text(row["timestamp"]) == expected
    assert (row["host"], row["event"], row["year_inferred"]) == ("web1", "accepted", False)
    assert row["raw"].endswith("ssh2")


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ('<34>1 2026-02-03T04:05:06Z web1 sshd 77 ID47 [a@1 b="\\"] [c"][d] Server listening on :: port 22.', {"pid": 77, "event": "server_listening"}),
        ("1 - - sshd - - - \ufeffServer listening on :: port 22.", {"host": None, "event": "server_listening", "timestamp": None}),
        ("Feb  3 04:05:06 alpine authpriv.info sshd[7]: Server listening on :: port 22.", {"host": "alpine", "event": "server_listening"}),
        ("Feb  3 04:05:06 sshd[7]: Server listening on :: port 22.", {"host": None, "process": "sshd", "event": "server_listening"}),
        ("Feb  3 04:05:06 web1 -- MARK --", {"host": "web1", "event": "message"}),
        ("Feb  3 04:05:06 web1 sshd[99999999999]: x", {"pid": None, "event": "message"}),
        ("Feb  3 04:05", {"unparsed": True}),
        ("Xyz  3 04:05:06 web1 sshd[7]: x", {"timestamp": None, "event": "message"}),
    ],
)  # fmt: skip
def test_forms_of_lines(line: str, fields: Row) -> None:
    (row,) = rows(line, modified=nanoseconds(2026, 3, 1))
    assert {name: row.get(name) for name in fields} == fields


def log(*days: str) -> str:
    return "".join(f"{day} web1 sshd[1]: x\n" for day in days)


def years(*days: str, **file: Any) -> list[int | None]:
    return [None if time is None else int(time[:4]) for time in times(log(*days), **file)]


MARCH_2026 = nanoseconds(2026, 3, 10, 12)


def test_year_from_modification_time_over_new_year() -> None:
    days = ["Nov 30 10:00:00", "Dec 31 23:59:59", "Jan  1 00:00:01", "Mar 10 11:00:00"]
    assert years(*days, modified=MARCH_2026) == [2025, 2025, 2026, 2026]
    assert years(*days[:2], modified=MARCH_2026) == [2025, 2025]
    assert years("Mar 12 00:00:00", modified=MARCH_2026) == [2025]


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (["Mar  1 00:10:00", "Feb 28 23:50:00", "Mar  1 00:20:00"], [2026, 2026, 2026]),
        (["Dec 31 23:59:00", "Jan  1 00:00:10", "Dec 31 23:58:00", "Jan  1 00:01:00"], [2025, 2026, 2025, 2026]),
        (["Mar 10 09:00:00", "Mar 10 02:00:00"], [2026, 2026]),
        (["Jun  1 00:00:00", "Jan  1 00:00:00", "Jun  1 00:00:00", "Jan  1 00:00:00"], [2024, 2025, 2025, 2026]),
    ],
)
def test_clock_steps_back_are_no_new_year(days: list[str], expected: list[int]) -> None:
    assert years(*days, modified=MARCH_2026) == expected


def test_leap_day_survives_a_later_modification_time() -> None:
    assert times(log("Feb 29 12:00:00", "Mar  1 12:00:00"), modified=MARCH_2026) == [
        "2024-02-29T12:00:00.000000Z",
        "2024-03-01T12:00:00.000000Z",
    ]


def test_year_from_the_rotated_name() -> None:
    file = {"path": b"/var/log/secure-20240107.gz", "modified": MARCH_2026}
    assert years("Dec 31 10:00:00", "Jan  6 10:00:00", **file) == [2023, 2024]
    (row,) = rows(log("Jan  6 10:00:00"), **file)
    assert "name" in row["time_basis"]


def test_year_from_dated_lines_around() -> None:
    lines = [
        "Dec 31 10:00:00",
        "Jan  1 10:00:00",
        "2020-01-02T00:00:00Z",
        "Jan  3 10:00:00",
        "2023-05-01T00:00:00Z",
        "May  2 00:00:00",
    ]
    assert years(*lines, modified=MARCH_2026) == [2019, 2020, 2020, 2020, 2023, 2023]


@pytest.mark.parametrize("modified", [None, 0, -(10**18), 1 << 62, -(1 << 70), 1 << 80])
def test_no_usable_modification_time_gives_no_year_and_says_so(modified: int | None) -> None:
    (row,) = rows(log("Nov 16 10:00:00"), modified=modified)
    assert row["timestamp"] is None
    assert row["year_inferred"] is True
    assert "no year" in row["time_basis"]


def test_years_that_go_round_for_ever_are_bounded() -> None:
    text = log(*["Jun  1 00:00:00", "Jan  1 00:00:00"] * 3000)
    content = Content.of(text.encode(), SourceFile(modified=MARCH_2026))
    assert len(year_spans(content)) <= 500
    assert len(list(entries(content))) == 6000


def test_local_time_is_converted_and_a_damaged_zone_is_said() -> None:
    zone = time_zone_file("Europe/Berlin")
    text = log("Jul  1 12:00:00", "Dec  1 12:00:00")
    file = {"modified": MARCH_2026, "time_zone_basis": "Europe/Berlin"}
    assert times(text, time_zone=zone, **file) == ["2025-07-01T10:00:00.000000Z", "2025-12-01T11:00:00.000000Z"]
    for damaged in (b"TZif", b"\xff" * 100, zone[:60], zone[:44] + b"\xff" * 200):
        first = rows(text, time_zone=damaged, **file)[0]
        assert timestamp_text(first["timestamp"]) == "2025-07-01T12:00:00.000000Z"
        assert "damaged" in first["time_basis"]


def test_last_message_repeated_takes_the_fields_of_the_line_before() -> None:
    line = "sshd[7]: Failed password for root from 203.0.113.9 port 4242 ssh2"
    text = (
        f"{STAMP}{line}\n{STAMP}last message repeated 4 times\n2026-02-03T04:05:06Z db2 last message repeated 9 times\n"
    )
    _, same, other = rows(text)
    assert (same["event"], same["user"], same["repeated"], same["remote_port"]) == ("failed", "root", 4, 4242)
    assert (other["event"], other.get("user"), other["repeated"]) == ("message", None, 9)


def test_bytes_that_are_not_text_survive() -> None:
    line = b"2026-02-03T04:05:06Z web1 sshd[7]: Invalid user \xff\x1b[2J\xc3\xa9 from 203.0.113.9 port 4242"
    (row,) = rows(line + b"\n")
    assert original_bytes(row, "user") == b"\xff\x1b[2J\xc3\xa9"
    assert original_bytes(row, "raw") == line
    assert row["remote_address"] == "203.0.113.9"
    (row,) = rows(line.replace(b"\xff", b""))
    assert row["user"] == "\x1b[2Jé"
    assert "user_bytes" not in row


def test_damage_costs_its_own_line_only() -> None:
    good = b"2026-02-03T04:05:06Z web1 sshd[7]: Server listening on :: port 22.\n"
    data = good + b"\x00\x01\xff\xfe garbage\r\n" + b"\0" * 5000 + good + b"\n\r\n" + b"cut\0\0\0" + good + good[:40]
    found = rows(data)
    assert [row.get("event", "unparsed") for row in found] == [
        *("server_listening", "unparsed", "server_listening", "unparsed", "server_listening", "message")
    ]
    for row in found:
        stretch = original_bytes(row, "raw")
        assert data[row["position"] : row["position"] + len(stretch)] == stretch


def test_port_and_pid_of_too_many_digits() -> None:
    digits = "1" * 10_000
    (row,) = rows(f"{STAMP}sshd[7]: Failed password for root from 203.0.113.9 port {digits} ssh2")
    assert (row["event"], row["remote_address"], row.get("remote_port")) == ("failed", "203.0.113.9", None)
    (row,) = rows(f"{STAMP}sshd[7]: Failed password for root from 203.0.113.9 port 70000 ssh2")
    assert row.get("remote_port") is None


PUMPS = [
    *(
        " ",
        "1",
        "1.1.1.",
        "[",
        "a:",
        "\t",
        " for ",
        " from a",
        " from a port 1",
        " user ",
        "rhost= ",
        " ; USER=",
        "\0",
        "\0a",
    ),
    *(" by ", "[CWD=", "<1>", ": ", " port 1: ", ' x="', '["', "\\", "'", " on ", " : ", " FROM '", " rhost=a user="),
]
HEADS = [
    *(
        "Failed password for ",
        "Accepted publickey for a from b port 1 ssh2: RSA ",
        "Invalid user ",
        "User ",
        "PAM: a for ",
    ),
    *("Connection closed by invalid user ", "Disconnecting invalid user ", "Received disconnect from ", "", "(to "),
    *("pam_unix(sshd:auth): authentication failure; ", "pam_unix(sshd:session): session opened for user ", "a : PWD="),
    *("message repeated 5 times: [ ", "new user: name=", "a: Executing [USER=] [TTY=] [CWD=", "FAILED LOGIN (1) on "),
]


@pytest.mark.parametrize("pump", PUMPS)
def test_no_pattern_backtracks(pump: str) -> None:
    for process in ("sshd", "sudo", "su", "login", "useradd", "pkexec", "CRON", "systemd-logind"):
        for head in HEADS:
            assert rows(f"{STAMP}{process}: {head}{(pump * 60_000)[:60_000]}x")
    for start in ("", "Feb  3 04:05:06 ", "<1>1 2026-02-03T04:05:06Z a b c d [", "2026-02-03T04:05:06 "):
        assert rows(start + (pump * 200_000)[:200_000])


def test_lines_across_blocks_keep_their_offsets() -> None:
    line = f"{STAMP}sshd[7]: Invalid user x from 203.0.113.9 port 4242\n".encode()
    count = BLOCK_SIZE // len(line) + 3
    data = line * count
    found = rows(data)
    assert [row["position"] for row in found] == list(range(0, len(data), len(line)))


def test_a_hole_ends_a_line() -> None:
    line = f"{STAMP}sshd[7]: Server listening on :: port 22.".encode()
    content = Content(SourceFile(), lambda _losses: [Block(0, line[:50]), Block(1 << 40, line)])
    assert [(row["position"], row["event"]) for row in entries(content)] == [
        (0, "message"),
        (1 << 40, "server_listening"),
    ]


@given(
    st.lists(
        st.binary(max_size=60)
        | st.sampled_from([b"Feb 29 10:00:00 a sshd[1]: ", b"<1>1 ", b"\0", b"\r", b"Invalid user "]),
        max_size=20,
    )
)
def test_any_bytes_give_rows_and_no_exception(parts: list[bytes]) -> None:
    data = b"".join(parts)
    found = rows(data, modified=MARCH_2026)
    seen = b"".join(original_bytes(row, "raw") for row in found)
    assert seen == data.replace(b"\n", b"").replace(b"\r", b"") or b"\r" in data
    assert all(row.get("unparsed") or row["event"] for row in found)


def test_the_hour_that_comes_twice_is_marked() -> None:
    zone = time_zone_file("America/New_York")
    source = SourceFile(path=b"/var/log/auth.log", modified=1_762_300_000 * 10**9, time_zone=zone)
    line = b"Nov  2 %b:30:00 h sshd[1]: Server listening on :: port 22.\n"
    first, second = entries(Content.of(line % b"01" + line % b"03", source))
    assert "this hour came twice" in first["time_basis"]
    assert "twice" not in second["time_basis"]
