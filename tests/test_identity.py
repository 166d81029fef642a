"""What a host says of itself."""

import pytest
from hypothesis import given, strategies

from volforensic.collection.parsers import identity
from volforensic.collection.parsers.identity import FstabEntry


def test_os_release_survives_bad_bytes_and_cuts_values() -> None:
    data = (
        b'# c\nID=debian\r\nVERSION_ID="12"\nNAME=\'a $b\'\nPRETTY_NAME="A \\"B\\" \xff"\nlower=x\nBIG='
        + b"x" * 100_000
    )
    assert identity.os_release(data) == {
        "ID": "debian",
        "VERSION_ID": "12",
        "NAME": "a $b",
        "PRETTY_NAME": 'A "B" \\xff',
        "BIG": "x" * 253,
    }


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"web1\n", "web1"),
        (b"# c\n\n  web1.example \nx", "web1.example"),
        (b"", ""),
        (b"\0\0\n", ""),
        (b"a\xff", "a\\xff"),
    ],
)
def test_hostname(data: bytes, name: str) -> None:
    assert identity.hostname(data) == name


def test_a_hostname_of_a_megabyte_is_cut() -> None:
    assert identity.hostname(b"h" * (1 << 20)) == "h" * 253


def test_fstab() -> None:
    data = (
        b"# c\nUUID=1 / ext4 errors=remount-ro 0 1\n/dev/b /with\\040blank xfs\n//server/share /mnt cifs x 0 0\n"
        b"one two\n\0\n/dev/c " + b"/x" * 5000 + b" ext4 defaults\n"
    )
    assert identity.fstab(data) == [
        FstabEntry(b"UUID=1", b"/", "ext4", "errors=remount-ro"),
        FstabEntry(b"/dev/b", b"/with blank", "xfs", "defaults"),
        FstabEntry(b"//server/share", b"/mnt", "cifs", "x"),
    ]


@pytest.mark.parametrize(
    ("target", "zone"),
    [
        (b"/usr/share/zoneinfo/Europe/Zurich", "Europe/Zurich"),
        (b"../usr/share/zoneinfo/America/Argentina/Buenos_Aires", "America/Argentina/Buenos_Aires"),
        (b"/usr/share/zoneinfo/posix/Etc/GMT+5", "Etc/GMT+5"),
        (b"zoneinfo/UTC", "UTC"),
        (b"/usr/share/zoneinfo/../../etc/passwd", ""),
        (b"/usr/share/zoneinfo/Europe/Zu\0rich", ""),
        (b"/usr/share/zoneinfo/", ""),
        (b"/usr/share/zoneinfo/Europe//Zurich", ""),
        (b"/etc/passwd", ""),
        (b"", ""),
        (b"/usr/share/zoneinfo/" + b"a" * 5000, ""),
    ],
)
def test_zone_name(target: bytes, zone: str) -> None:
    assert identity.zone_name(target) == zone


def test_homes() -> None:
    data = (
        b"root:x:0:0:root:/root:/bin/sh\nanna:x:1:1::/home/anna/:/bin/sh\nben:x:2:2::/home/./anna:/bin/sh\n"
        b"a:x:3:3::/:/x\nb:x:3:3::/nonexistent:/x\nc:x:3:3:::/x\nd:x:3:3::home/d:/x\ne:x:3:3::/home/a/../../..:/x\n"
        b"f:x:3:3:://srv//f:/x\nshort:x\n\xff:x:4:4::/h\xff:/x\ng:x:1:1::/h\0:/x\n:x:1:1::/q:/x\n"
    )
    assert identity.homes(data) == {b"/root": "root", b"/home/anna": "anna", b"/srv/f": "f", b"/h\xff": "\\xff"}


@given(strategies.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    assert all(len(value) <= 253 for value in identity.os_release(data).values())
    assert len(identity.hostname(data)) <= 253
    assert all(len(entry.type) <= 253 for entry in identity.fstab(data))
    assert ".." not in identity.zone_name(b"/zoneinfo/" + data)
    assert all(home.startswith(b"/") and b"/../" not in home + b"/" for home in identity.homes(b"a:x:1:1::/" + data))
