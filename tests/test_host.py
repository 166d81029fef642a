"""Who the imaged host is: zones from link, file and name, hostile facts; where stray volumes belong."""

from pathlib import Path

import pytest
from collection_runs import Files, artifacts, collected, disk, ext4
from inventory_samples import inventory_of

from volforensic.collection.content import NO_ZONE, Content, SourceFile
from volforensic.collection.host_facts import HostFacts, _facts, _with_zone
from volforensic.collection.namespace import Tree
from volforensic.collection.parsers import auth_log
from volforensic.collection.stray_volumes import likely_mount_point
from volforensic.collection.time_zones import is_zone_file, time_zone_file
from volforensic.record import Row, timestamp_text

KOLKATA = time_zone_file("Asia/Kolkata")
BY_LINK = "Asia/Kolkata from /etc/localtime"
NOVEMBER = 1_763_287_200 * 10**9  # 2025-11-16 10:00 UTC


def facts(link: bytes = b"", **data: bytes) -> HostFacts:
    return _with_zone(_facts(data, [], link))


@pytest.mark.parametrize(
    ("link", "localtime", "timezone", "name", "zone", "basis"),
    [
        (b"/usr/share/zoneinfo/Asia/Kolkata", KOLKATA, b"", "Asia/Kolkata", KOLKATA, BY_LINK),
        (b"/usr/share/zoneinfo/Asia/Kolkata", b"", b"", "Asia/Kolkata", KOLKATA, BY_LINK),
        (b"../usr/share/zoneinfo/posix/Asia/Kolkata", b"", b"", "Asia/Kolkata", KOLKATA, BY_LINK),
        (b"", KOLKATA, b"", "", KOLKATA, "unnamed from /etc/localtime"),
        (b"", b"", b"Asia/Kolkata\n", "Asia/Kolkata", KOLKATA, "Asia/Kolkata from /etc/timezone"),
        (b"", b"rubbish", b"Asia/Kolkata\0\r\n", "Asia/Kolkata", KOLKATA, "Asia/Kolkata from /etc/timezone"),
        (b"../../etc/passwd", b"root:x:0:0::/:/bin/sh\n", b"", "", b"", NO_ZONE),
        (b"", b"TZif2" + bytes(60), b"", "", b"", NO_ZONE),
        (b"", b"TZif2" + b"\xff" * 500, b"../../etc/passwd", "", b"", NO_ZONE),
        (b"/usr/share/zoneinfo/../../../etc/passwd", b"", b"\xff\xfe", "", b"", NO_ZONE),
        (b"/usr/share/zoneinfo/Mars/Olympus", b"", b"", "Mars/Olympus", b"", "UTC: the zone Mars/Olympus is not known"),
        (b"/usr/share/zoneinfo/tzdata.zi", b"", b"", "", b"", NO_ZONE),
        (b"/usr/share/zoneinfo/leapseconds", b"", b"", "leapseconds", b"", "UTC: the zone leapseconds is not known"),
        (b"", b"", b"", "", b"", NO_ZONE),
    ],
)  # fmt: skip
def test_the_zone_and_where_it_comes_from(  # noqa: PLR0913, PLR0917 - a table
    link: bytes, localtime: bytes, timezone: bytes, name: str, zone: bytes, basis: str
) -> None:
    found = facts(link, localtime=localtime, timezone=timezone)
    assert (found.time_zone_name, bool(found.time_zone), found.time_zone_basis) == (name, bool(zone), basis)
    if zone:
        assert is_zone_file(found.time_zone)


def test_a_zone_that_is_none_is_said() -> None:
    assert facts(b"../../etc/passwd", localtime=b"root:x").remarks == ["/etc/localtime is not a time zone's file"]
    assert facts(localtime=KOLKATA).remarks == []
    assert facts().remarks == []


def test_hostile_facts_are_bounded() -> None:
    found = facts(
        hostname=b"h" * (1 << 20),
        os_release=b'NAME="D\xff"\nPRETTY_NAME=' + b"x" * (1 << 20),
        fstab=b"\0 \0 \0\n" * 50_000 + b"a /b ext4 " + b"x," * 100_000,
        passwd=b"\xff\0:::::" * 10_000 + b"\nalice:x:1:1::/home/./alice/:/bin/sh\n",
    )
    assert len(found.hostname) <= 253
    assert len(found.os) <= 253
    assert max(len(mount.options) for mount in found.mounts) <= 253
    assert found.homes[b"/home/alice"] == "alice"


def times(zone: str, lines: bytes, modified: int = NOVEMBER) -> list[str | None]:
    source = SourceFile(
        path=b"/var/log/auth.log",
        modified=modified,
        size=len(lines),
        time_zone=time_zone_file(zone),
        time_zone_basis=f"{zone} from /etc/localtime",
    )
    rows: list[Row] = list(auth_log.entries(Content.of(lines, source)))
    assert all(row["year_inferred"] is True and zone in row["time_basis"] for row in rows)
    return [timestamp_text(row["timestamp"]) for row in rows]


@pytest.mark.parametrize(
    ("zone", "stamp", "utc"),
    [
        ("America/New_York", b"Jul  4 12:00:00", "2025-07-04T16:00:00"),
        ("America/New_York", b"Nov 14 12:00:00", "2025-11-14T17:00:00"),
        ("America/New_York", b"Mar  9 01:59:59", "2025-03-09T06:59:59"),
        ("America/New_York", b"Mar  9 03:00:00", "2025-03-09T07:00:00"),
        ("America/New_York", b"Nov  2 00:59:59", "2025-11-02T04:59:59"),
        ("America/New_York", b"Nov  2 02:00:00", "2025-11-02T07:00:00"),
        ("Asia/Kolkata", b"Nov 15 12:00:00", "2025-11-15T06:30:00"),
        ("Asia/Kathmandu", b"Nov 15 12:07:08", "2025-11-15T06:22:08"),
        ("Europe/Berlin", b"Dec 31 23:30:00", "2024-12-31T22:30:00"),
        ("Pacific/Kiritimati", b"Jan  1 03:00:00", "2024-12-31T13:00:00"),
    ],
)
def test_traditional_stamps_are_the_hosts_local_time(zone: str, stamp: bytes, utc: str) -> None:
    assert times(zone, stamp + b" web sshd[1]: x\n") == [f"{utc}.000000Z"]


def test_the_hour_that_comes_twice_keeps_its_order_within_an_hour() -> None:
    lines = b"".join(
        b"Nov  2 %s web sshd[1]: x\n" % hour for hour in (b"00:30:00", b"01:30:00", b"01:30:00", b"02:30:00")
    )
    found = times("America/New_York", lines)
    assert [found[0], found[3]] == ["2025-11-02T04:30:00.000000Z", "2025-11-02T07:30:00.000000Z"]
    assert set(found[1:3]) <= {"2025-11-02T05:30:00.000000Z", "2025-11-02T06:30:00.000000Z"}


def test_the_zone_of_the_host_reaches_the_records(tmp_path: Path) -> None:
    files: Files = {
        "/etc/localtime": time_zone_file("America/New_York"),
        "/usr/": b"",
        "/bin/": b"",
        "/var/log/auth.log": b"Jul  4 12:00:00 web sshd[1]: x\n2025-07-04T12:00:00Z web sshd[1]: y\n",
    }
    result = collected(ext4(tmp_path / "disk.raw", files), tmp_path, artifacts("auth_log"))
    records = result.records["auth_log"]
    assert [record["timestamp"] for record in records] == ["2025-07-04T16:00:00.000000Z", "2025-07-04T12:00:00.000000Z"]
    assert [record["year_inferred"] for record in records] == [True, False]
    assert "unnamed from /etc/localtime" in records[0]["time_basis"]


@pytest.mark.parametrize(
    ("paths", "found"),
    [
        (["/log/", "/lib/", "/spool/", "/cache/"], b"/var"),
        (["/wtmp", "/journal/", "/nginx/"], b"/var/log"),
        (["/passwd", "/shadow"], b"/etc"),
        (["/alice/", "/lost+found/"], b"/home"),
        (["/alice"], None),
        (["/data/", "/log/"], None),
        ([], None),
    ],
)
def test_where_a_stray_volume_belongs(tmp_path: Path, paths: list[str], found: bytes | None) -> None:
    inventory = inventory_of(tmp_path, paths)
    homes = {b"/home/alice": "alice", b"/root": "root", b"/": "bin"}
    assert likely_mount_point(inventory, Tree(1, b"", b""), homes) == found


def test_damage_to_one_root_leaves_the_other_host(tmp_path: Path) -> None:
    good = ext4(
        tmp_path / "good", {"/etc/hostname": b"good\n", "/usr/": b"", "/bin/": b"", "/etc/crontab": b"@daily root x\n"}
    )
    empty = ext4(tmp_path / "empty", {})
    result = collected(disk(tmp_path / "disk.raw", [empty, good]), tmp_path, artifacts("cron"))
    assert [record["command"] for record in result.records["cron"]] == ["x"]
    assert result.hosts[0].facts.hostname == "good"
