"""rpm's three databases byte by byte: what they hold, and what damage and a hostile hand make of them."""

import random
import sqlite3
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rpm_databases import ARRAY, LONG, PAGE, SHORT, STRING, berkeley, header, ndb, package, sealed, sqlite_database

from volforensic.inventory.packages import rpm, rpm_berkeley, rpm_ndb, rpm_sqlite
from volforensic.inventory.packages.accounts import Accounts
from volforensic.inventory.packages.claims import (
    CONFIG,
    DIRECTORY,
    DOCUMENTATION,
    FILE,
    GHOST,
    NO_DIGEST_CHECK,
    OPTIONAL,
    SYMLINK,
    Claims,
    Lost,
)

DIGEST = b"ab" * 32
NOBODY = Accounts()
Read = Callable[[bytes], Iterator[bytes | Lost]]


def large(name: bytes, count: int = 400) -> bytes:
    """Return a package of many files: its header takes several pages."""
    return package(name, {b"/usr/lib/%b/%d" % (name, number): DIGEST for number in range(count)})


BLOBS = [package(b"a", {b"/usr/bin/a": DIGEST}), large(b"b"), large(b"c"), package(b"d", {b"/d": DIGEST})]


def read(blob: bytes, accounts: Accounts = NOBODY) -> Claims | Lost:
    """Return what comes last of a header."""
    return list(rpm.package_claims(blob, accounts))[-1]


def names(found: Iterator[bytes | Lost]) -> list[str]:
    """Return the packages' names, and for what was lost a dash."""
    made = (one if isinstance(one, Lost) else read(one) for one in found)
    return ["-" if isinstance(one, Lost) else one.package.name for one in made]


def test_a_header_becomes_claims() -> None:
    users = Accounts(b"tool:x:77:78::/:/bin/sh\n", b"tools:x:88:\n")
    blob = header(
        {
            1000: (STRING, b"tool"),
            1001: (STRING, b"1"),
            1002: (STRING, b"2"),
            1003: (LONG, [3]),
            1028: (LONG, [10, 20, 0, 30, 40, 50]),
            1030: (SHORT, [0o104755, 0o100644, 0o120777, 0o040755, 0o100600, 0o100644]),
            1035: (ARRAY, [b"0" * 32, b"1" * 32, b"", b"", b"2" * 32, b"not a digest"]),
            1036: (ARRAY, [b"", b"", b"../target", b"", b"", b""]),
            1037: (LONG, [0, 1 | 16, 0, 0, 64, 2 | 8]),
            1039: (ARRAY, [b"root", b"tool", b"root", b"root", b"nobody-knows", b"root"]),
            1040: (ARRAY, [b"tools", b"root", b"root", b"root", b"root", b"root"]),
            1045: (LONG, [0xFFFFFFFF, ~(1 | 2 | 8 | 64) & 0xFFFFFFFF] + [0xFFFFFFFF] * 4),
            1116: (LONG, [0, 1, 0, 2, 2, 2]),
            1117: (ARRAY, [b"su", b"tool.conf", b"link", b"tool", b"ghost", b"doc"]),
            1118: (ARRAY, [b"/bin/", b"/etc/", b"/var/lib/"]),
            5010: (ARRAY, [b"cap_net_raw=ep", b"", b"", b"", b"", b""]),
        }
    )
    found = read(blob, users)
    assert isinstance(found, Claims)
    assert tuple(found.package.__struct_fields__) == ("name", "version", "manager")
    assert (found.package.name, found.package.version) == ("tool", "3:1-2")
    su, conf, link, folder, ghost, doc = found.claims
    assert (su.path, su.kind, su.algorithm, su.digest) == (b"/bin/su", FILE, "md5", bytes(16))
    assert (su.mode, su.size, su.uid, su.gid, su.capabilities) == (0o4755, 10, 0, 88, "cap_net_raw=ep")
    assert (conf.flags, conf.mode, conf.size, conf.uid) == (CONFIG | NO_DIGEST_CHECK, -1, -1, -1)
    assert (link.kind, link.targets, link.mode) == (SYMLINK, (b"../target",), -1)
    assert (folder.path, folder.kind) == (b"/var/lib/tool", DIRECTORY)
    assert (ghost.flags & GHOST, ghost.kind, ghost.digest, ghost.uid) == (GHOST, "", b"", -1)
    assert (doc.flags, doc.digest, doc.algorithm) == (DOCUMENTATION | OPTIONAL, b"", "")


@pytest.mark.parametrize(("tag", "algorithm"), [(269, "sha1"), (273, "sha256")])
def test_a_header_that_was_edited_proves_nothing_and_is_said(tag: int, algorithm: str) -> None:
    blob = sealed(package(b"tool", {b"/usr/bin/tool": DIGEST}), tag, algorithm)
    (whole,) = rpm.package_claims(blob, NOBODY)
    assert isinstance(whole, Claims)
    assert whole.claims[0].digest.hex() == DIGEST.decode()
    said, edited = rpm.package_claims(blob.replace(DIGEST, b"cd" * 32), NOBODY)
    assert isinstance(said, Lost)
    assert not said.hides
    assert "edited" in said.reason
    assert isinstance(edited, Claims)
    assert [(claim.path, claim.digest, claim.mode) for claim in edited.claims] == [(b"/usr/bin/tool", b"", -1)]


def test_files_that_were_not_unpacked_are_not_claimed() -> None:
    states = {"normal": 0, "replaced": 1, "not installed": 2, "on a network": 3, "wrong colour": 4}
    files = {f"/{name}".encode(): DIGEST for name in states}
    found = read(package(b"a", files, states=list(states.values())))
    assert isinstance(found, Claims)
    assert [claim.path for claim in found.claims] == [b"/normal"]


@pytest.mark.parametrize(
    ("number", "size", "name"), [(1, 16, "md5"), (2, 20, "sha1"), (8, 32, "sha256"), (10, 64, "sha512")]
)
def test_each_digest_has_its_name(number: int, size: int, name: str) -> None:
    found = read(package(b"a", {b"/a": b"0f" * size}, algorithm=number))
    assert isinstance(found, Claims)
    assert (found.claims[0].algorithm, found.claims[0].digest) == (name, b"\x0f" * size)


def test_a_digest_of_a_kind_that_is_not_computed_is_none() -> None:
    found = read(package(b"a", {b"/a": b"0f" * 48}, algorithm=9))
    assert isinstance(found, Claims)
    assert (found.claims[0].algorithm, found.claims[0].digest) == ("", b"")


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"\0" * 7,
        struct.pack(">II", 0xFFFFFFFF, 0xFFFFFFFF),
        struct.pack(">II", 1, 10**6) + bytes(16),
        header({1000: (STRING, b"")}),
        header({1000: (STRING, b"a"), 1116: (LONG, [9]), 1117: (ARRAY, [b"x"]), 1118: (ARRAY, [b"/"])}),
        header({1000: (STRING, b"a"), 1116: (LONG, [0, 0]), 1117: (ARRAY, [b"x"]), 1118: (ARRAY, [b"/"])}),
        header({1000: (STRING, b"a"), 1117: (LONG, [1])}),
        package(b"a", {b"/a": DIGEST, b"/b": DIGEST}, flags=[0]),
        package(b"a", {b"/a": DIGEST})[:-1],
        struct.pack(">II", 1, 4) + struct.pack(">IIII", 1000, ARRAY, 0, 0xFFFFFFFF) + b"abcd",
        struct.pack(">II", 1, 4) + struct.pack(">IIII", 1000, STRING, 4, 1) + b"abc\0",
    ],
)
def test_a_damaged_header_is_lost_and_said(blob: bytes) -> None:
    assert isinstance(read(blob), Lost)


def test_whatever_a_header_holds_nothing_but_a_loss_or_claims_comes_of_it() -> None:
    chance = random.Random(3)  # noqa: S311 - the same damage each time
    whole = package(b"a", {b"/usr/bin/%d" % number: DIGEST for number in range(5)})
    for _ in range(3000):
        blob = bytearray(whole)
        for _ in range(chance.randrange(1, 6)):
            blob[chance.randrange(len(blob))] = chance.randrange(256)
        assert isinstance(read(bytes(blob)), Claims | Lost)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_berkeley_database_is_read_in_either_byte_order(order: str) -> None:
    assert names(rpm_berkeley.headers(berkeley(BLOBS, order))) == ["a", "b", "c", "d"]


def test_an_ndb_database_is_read() -> None:
    assert names(rpm_ndb.headers(ndb(BLOBS * 100))) == ["a", "b", "c", "d"] * 100


def test_a_sqlite_database_is_read_with_its_log(tmp_path: Path) -> None:
    database = tmp_path / "rpmdb.sqlite"
    sqlite_database(database, BLOBS[:2], later=BLOBS[2:])
    wal = (tmp_path / "rpmdb.sqlite-wal").read_bytes()
    assert names(rpm_sqlite.headers(database.read_bytes())) == ["a", "b"]
    assert names(rpm_sqlite.headers(database.read_bytes(), wal)) == ["a", "b", "c", "d"]
    for reset in (b"", wal[:32], wal[:20]):
        assert names(rpm_sqlite.headers(database.read_bytes(), reset)) == ["a", "b"]


def test_a_log_whose_last_transaction_is_not_committed_or_damaged_is_applied_up_to_it(tmp_path: Path) -> None:
    database = tmp_path / "rpmdb.sqlite"
    sqlite_database(database, BLOBS[:2], later=BLOBS[2:])
    data, wal = database.read_bytes(), (tmp_path / "rpmdb.sqlite-wal").read_bytes()
    assert names(rpm_sqlite.headers(data, wal[:-1])) == ["a", "b"]
    damaged = wal[:-1] + bytes([wal[-1] ^ 1])
    assert names(rpm_sqlite.headers(data, damaged)) == ["-", "a", "b"]
    assert names(rpm_sqlite.headers(data, b"x" + wal[1:])) == ["-", "a", "b"]
    assert names(rpm_sqlite.headers(data, wal[:30] + b"xx" + wal[32:])) == ["-", "a", "b"]
    restarts, salt = struct.unpack_from(">II", wal, 12)
    frame = wal[32 : 32 + 24 + 4096]
    for before, expected in ((restarts, []), (restarts + 1, ["-"])):  # an old frame, and one that no log left behind
        old = frame.replace(wal[16:24], struct.pack(">II", salt - before, 12345))
        assert names(rpm_sqlite.headers(data, wal + old)) == [*expected, "a", "b", "c", "d"]
    wrong = wal[:40] + b"another!" + wal[48:]
    assert names(rpm_sqlite.headers(data, wrong)) == ["-", "a", "b"]


def test_a_damaged_page_of_sqlite_costs_what_is_on_it(tmp_path: Path) -> None:
    database = tmp_path / "rpmdb.sqlite"
    sqlite_database(database, [package(b"p%d" % number, {b"/%d" % number: DIGEST}) for number in range(200)])
    whole = database.read_bytes()
    leaves = [start for start in range(PAGE, len(whole), PAGE) if whole[start] == 13]
    damaged = bytearray(whole)
    middle = leaves[len(leaves) // 2]
    damaged[middle : middle + PAGE] = bytes(PAGE)
    found = names(rpm_sqlite.headers(bytes(damaged)))
    assert found.count("-") == 1
    assert len(set(found)) == len(found)
    assert {"p0", "p199"} < set(found)
    assert 150 < len(found) < 201


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE VIEW Packages AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i, i FROM n",
        "CREATE TABLE Other (a)",
        "CREATE TABLE Packages (hnum, blob AS (hex(zeroblob(9999))))",
        "CREATE TABLE Packages (hnum INTEGER)",
    ],
)
def test_a_hostile_schema_runs_nothing(tmp_path: Path, statement: str) -> None:
    connection = sqlite3.connect(tmp_path / "x")
    connection.execute(statement)
    if "hex" in statement:
        connection.execute("INSERT INTO Packages (hnum) VALUES (1)")
    connection.commit()
    connection.close()
    assert names(rpm_sqlite.headers((tmp_path / "x").read_bytes())) == ["-"]


@pytest.mark.parametrize("read", [rpm_sqlite.headers, rpm_berkeley.headers, rpm_ndb.headers])
@pytest.mark.parametrize("data", [b"", b"\0" * 5000, b"SQLite format 3\0" + b"\xff" * 5000, b"RpmP" + b"\xff" * 5000])
def test_what_is_no_database_is_said(read: Read, data: bytes) -> None:
    assert names(read(data)) == ["-"]


@pytest.mark.parametrize(("read", "whole"), [(rpm_berkeley.headers, berkeley(BLOBS)), (rpm_ndb.headers, ndb(BLOBS))])
def test_a_database_that_ends_early_gives_what_it_holds_and_says_so(read: Read, whole: bytes) -> None:
    for size in range(len(whole) - 1, 0, -3001):
        found = names(read(whole[:size]))
        assert "-" in found
        assert set(found) <= {"a", "b", "c", "d", "-"}
    assert names(read(whole[: len(whole) - 10]))[:3] in (["-", "a", "b"], ["a", "b", "c"])


@pytest.mark.parametrize(("read", "whole"), [(rpm_berkeley.headers, berkeley(BLOBS)), (rpm_ndb.headers, ndb(BLOBS))])
def test_damage_anywhere_never_raises_and_never_invents(read: Read, whole: bytes) -> None:
    chance = random.Random(7)  # noqa: S311 - the same damage each time
    for _ in range(400):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 9)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        assert len(list(read(bytes(data)))) < 20


def test_chains_that_meet_are_not_read_without_end() -> None:
    """Many packages whose headers are all the same chain would turn megabytes into terabytes."""
    whole = bytearray(berkeley([large(b"big", 20_000)] + [package(b"s", {b"/s": DIGEST})] * 300))
    first = struct.pack("<II", 3, len(large(b"big", 20_000)))
    for start in range(2 * PAGE, len(whole), PAGE):
        if whole[start + 25] == 13:
            place = struct.unpack_from("<HH", whole, start + 26)[1]
            whole[start + place + 4 : start + place + 12] = first
    found = list(rpm_berkeley.headers(bytes(whole)))
    assert sum(len(one) for one in found if isinstance(one, bytes)) <= 2 * len(whole)
    assert any(isinstance(one, Lost) and "longer than the file" in one.reason for one in found)


def test_a_page_of_keys_that_was_wiped_is_noticed_by_what_it_named() -> None:
    whole = bytearray(berkeley(BLOBS))
    keys = [start for start in range(2 * PAGE, len(whole), PAGE) if whole[start + 25] == 13]
    whole[keys[1] : keys[1] + PAGE] = bytes(PAGE)
    assert names(rpm_berkeley.headers(bytes(whole))) == ["a", "c", "d", "-"]


def test_a_chain_that_is_a_ring_ends() -> None:
    whole = bytearray(berkeley([large(b"b")]))
    for start in range(3 * PAGE, len(whole), PAGE):
        struct.pack_into("<I", whole, start + 16, 3)  # the next page is the first one of the chain again
    assert len(list(rpm_berkeley.headers(bytes(whole)))) == 1


def test_slots_of_ndb_that_all_name_one_package_are_not_read_without_end() -> None:
    whole = bytearray(ndb([large(b"big")] + [package(b"s", {b"/s": DIGEST})] * 200))
    for slot in range(48, 48 + 200 * 16, 16):
        whole[slot + 4 : slot + 16] = whole[36:48]
    found = list(rpm_ndb.headers(bytes(whole)))
    assert sum(len(one) for one in found if isinstance(one, bytes)) <= 2 * len(whole)
    assert isinstance(found[-1], Lost)


def test_a_wrong_checksum_of_ndb_is_said_and_the_package_is_read_as_rpm_does() -> None:
    whole = bytearray(ndb(BLOBS[:1]))
    whole[-12] ^= 1
    said, blob = rpm_ndb.headers(bytes(whole))
    assert isinstance(said, Lost)
    assert not said.hides
    assert blob == BLOBS[0]
