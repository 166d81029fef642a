"""Hash sets: lists of every form, the NSRL's databases, wrong lines named, and no more memory than is said."""

import bz2
import gzip
import hashlib
import lzma
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from volforensic.errors import DefinitionError, HostError
from volforensic.inventory import sorted_hashes
from volforensic.inventory.hash_lists import ALGORITHMS
from volforensic.inventory.hash_sets import HashSets
from volforensic.inventory.sorted_hashes import HashCollector


def digest(algorithm: str, number: int = 0) -> str:
    return hashlib.new(algorithm, b"%d" % number, usedforsecurity=False).hexdigest()


MD5, SHA1, SHA256, SHA512 = (digest(name) for name in ("md5", "sha1", "sha256", "sha512"))


def opened(path: Path, content: str | bytes) -> HashSets:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return HashSets(bad=[path])


def held(sets: HashSets, **hashes: str) -> bool:
    known = sets.known(hashes)
    assert known is None or known["good"] == []
    return known is not None


@pytest.mark.parametrize(
    "line",
    [
        "{}",
        "{}  ./etc/passwd",
        "{} *binary",
        "\\{}  new\\nline",
        "SHA256 (a file) = {}",
        "{},a comment",
        "{};a comment",
        "{}\ta comment",
        "  {}  ",
        "# before\n\n{}\n# after",
        "\ufeff{}",
        "{}\r",
    ],
)
@pytest.mark.parametrize("end", ["\n", ""])
@pytest.mark.parametrize("case", [str.lower, str.upper])
def test_a_line_of_every_form_is_read(tmp_path: Path, line: str, end: str, case: type[str]) -> None:
    with opened(tmp_path / "list", line.format(case(SHA256)) + end) as sets:
        assert held(sets, sha256=SHA256)
        assert held(sets, sha256=SHA256.upper())
        assert not held(sets, sha256=digest("sha256", 1))
        assert sets.algorithms_needed == {"sha256"}
        assert [(each.name, each.is_good, each.size) for each in sets.sets] == [("list", False, 1)]


def test_a_list_of_mixed_algorithms_needs_each_of_them(tmp_path: Path) -> None:
    with opened(tmp_path / "mixed", f"{MD5}\n{SHA512}\n{SHA1}  x\n{SHA256}\n{SHA256}\n") as sets:
        assert sets.algorithms_needed == {"md5", "sha1", "sha256", "sha512"}
        assert sets.sets[0].size == 4
        assert all(held(sets, **{name: digest(name)}) for name in ALGORITHMS.values())
        assert not held(sets, md5=SHA256, sha256=MD5, sha512="")
        assert not held(sets)


NSRL = (
    '"SHA-1","MD5","CRC32","FileName","FileSize","ProductCode","OpSystemCode","SpecialCode"\r\n'
    f'"{SHA1.upper()}","{MD5.upper()}","00000000","a,b ""c"".dll",1,2,"3",""\r\n'
)
HASHKEEPER = f'"file_id","hashset_id","file_name","directory","hash","file_size"\n1,2,"x","y","{MD5.upper()}",3\n'


@pytest.mark.parametrize(
    ("content", "algorithm"),
    [
        (NSRL, "sha1"),
        (HASHKEEPER, "md5"),
        (f"# exported\nName,SHA256,MD5\nx,{SHA256},{MD5}\n", "sha256"),
        (f"Name,SHA256,MD5\nx,,{MD5}\n", "md5"),
        (f"name,SHA256 hash\n\nx,{SHA256}\n", "sha256"),
    ],
)
def test_columns_are_found_by_their_names(tmp_path: Path, content: str, algorithm: str) -> None:
    with opened(tmp_path / "set.csv", content) as sets:
        assert sets.algorithms_needed == {algorithm}
        assert held(sets, **{algorithm: digest(algorithm)})


PACKERS = [gzip.compress, bz2.compress, lzma.compress, zstandard.ZstdCompressor().compress]


@pytest.mark.parametrize("pack", PACKERS)
def test_a_compressed_list_is_read_members_and_frames_alike(tmp_path: Path, pack: type[bytes]) -> None:
    with opened(tmp_path / "packed", pack(f"{MD5}\n".encode()) + pack(f"{SHA1}\n".encode())) as sets:
        assert held(sets, md5=MD5)
        assert held(sets, sha1=SHA1)


@pytest.mark.parametrize("pack", PACKERS)
def test_a_cut_compressed_list_is_refused(tmp_path: Path, pack: type[bytes]) -> None:
    packed = pack("".join(digest("sha256", number) + "\n" for number in range(500)).encode())
    with pytest.raises(DefinitionError) as raised:
        opened(tmp_path / "packed", packed[: len(packed) // 2])
    assert raised.value.thing.endswith("packed")


GOOD_LINES = "".join(digest("md5", number) + "\n" for number in range(40_000))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (f"{MD5}\nnot a hash\n", "line 2: 'not a hash'"),
        (f"# a\n\n{MD5}\n{MD5[:-1]}", "line 4: "),
        (f"{MD5}\n{MD5}0\n", "line 2: "),
        (f"{MD5}\n{'g' * 32}\n", "line 2: "),
        (f"{MD5}\n{'é' * 16}\n", "line 2: "),
        (f"{MD5}\n{MD5[:20]} {MD5[21:]}\n", "line 2: "),
        (GOOD_LINES + "zz\n", "line 40001: 'zz'"),
        ("name,size\nx,1\n", "names no column of hashes"),
        (f"name,sha1\nx,{SHA1}\ny,{MD5}\n", "line 3: "),
        (f"name,sha1\nx,{SHA1}\ny\n", "line 3: "),
        (f'name,sha1\nx,{SHA1}\n"y"\rz,{SHA1}\n', "line 3: "),
        ("", "holds no hash"),
        ("# nothing\n", "holds no hash"),
        ("name,sha1\n", "holds no hash"),
        (f"{MD5}\n".encode("utf-16"), "UTF-16"),
        (b"PK\x03\x04", "zip"),
        (b"x" * (3 << 20), "line 1 is longer"),
        (b"\x00\x01\x02", "line 1: "),
    ],
)
def test_a_wrong_line_is_named_and_the_file_refused(tmp_path: Path, content: str | bytes, said: str) -> None:
    with pytest.raises(DefinitionError) as raised:
        opened(tmp_path / "set", content)
    assert raised.value.thing == str(tmp_path / "set")
    assert said in raised.value.wrong
    assert raised.value.exit_status == 2


def test_a_set_that_is_not_there_or_no_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(DefinitionError) as raised:
            HashSets(good=[path])
        assert raised.value.thing == str(path)


def test_known_names_the_sets_good_and_bad(tmp_path: Path) -> None:
    for name, hashes in {"a/set": [MD5], "b/set": [SHA256], "bad": [MD5]}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("\n".join(hashes))
    good = [tmp_path / "a/set", tmp_path / "b/set"]
    with HashSets(good=good, bad=[tmp_path / "bad"]) as sets:
        assert sets.known({"md5": MD5, "sha256": SHA256}) == {"good": [str(path) for path in good], "bad": ["bad"]}
        assert sets.known({"path": "/x", "sha256": SHA256}) == {"good": [str(good[1])], "bad": []}
        assert sets.known({"sha256": None, "md5": digest("md5", 1)}) is None
        assert sets.sets[2].row() == {
            "name": "bad",
            "kind": "bad",
            "bytes": 32,
            "hashes": 1,
            "algorithms": ["md5"],
            "sha256": hashlib.sha256(MD5.encode()).hexdigest(),
        }
    with HashSets() as sets:
        assert sets.algorithms_needed == frozenset()
        assert sets.known({"md5": MD5}) is None


def rds(path: Path, *statements: str) -> Path:
    with closing(sqlite3.connect(path)) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()
    return path


def insert(table: str, *values: str) -> str:
    return f"INSERT INTO {table} VALUES ({', '.join(repr(value) for value in values)})"  # noqa: S608 - our own words


MINIMAL = (
    "CREATE TABLE FILE (sha256 VARCHAR NOT NULL, sha1 VARCHAR, md5 VARCHAR, crc32 VARCHAR, file_name VARCHAR)",
    insert("FILE", SHA256.upper(), SHA1.upper(), MD5.upper(), "00000000", "a"),
    "CREATE TABLE VERSION (version VARCHAR)",
)
FULL = (
    "CREATE TABLE METADATA (metadata_id INTEGER, sha256 TEXT, sha1 TEXT, md5 TEXT)",
    insert("METADATA", "1", SHA256, SHA1, MD5),
    "CREATE VIEW FILE AS SELECT sha256, sha1, md5 FROM METADATA",
)
INDEX = "CREATE INDEX by_hash ON {} ({})"


@pytest.mark.parametrize(
    ("statements", "algorithm", "size"),
    [
        (MINIMAL, "sha256", 1),
        (FULL, "sha256", 1),
        ((*MINIMAL, INDEX.format("FILE", "sha256")), "sha256", None),
        ((*FULL, INDEX.format("METADATA", "md5")), "md5", None),
        (("CREATE TABLE file (md5 TEXT)", insert("file", MD5)), "md5", 1),
    ],
)
def test_databases_of_the_nsrl_are_read(
    tmp_path: Path, statements: tuple[str, ...], algorithm: str, size: int | None
) -> None:
    path = rds(tmp_path / "RDS.db", *statements)
    before = path.read_bytes()
    with HashSets(good=[path]) as sets:
        assert sets.algorithms_needed == {algorithm}
        assert sets.sets[0].size == size
        assert sets.known({algorithm: digest(algorithm)}) == {"good": ["RDS.db"], "bad": []}
        assert sets.known({algorithm: digest(algorithm).upper()}) is not None
        assert sets.known({algorithm: digest(algorithm, 1)}) is None
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["RDS.db"]


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        (("CREATE TABLE other (sha256 TEXT)",), "no table FILE or METADATA"),
        (("CREATE TABLE file (name TEXT)",), "no table FILE or METADATA"),
        ((*MINIMAL, insert("FILE", "", "x", "", "", "")), "row 2 of file: 'x'"),
        ((*MINIMAL, insert("FILE", "", "", "", "", "")), "row 2 of file"),
        ((*MINIMAL, insert("FILE", "é" * 64, "", "", "", "")), "row 2 of file"),
    ],
)
def test_a_database_without_hashes_is_refused(tmp_path: Path, statements: tuple[str, ...], said: str) -> None:
    with pytest.raises(DefinitionError) as raised:
        HashSets(good=[rds(tmp_path / "RDS.db", *statements)])
    assert said in raised.value.wrong


def test_a_damaged_database_and_one_that_is_being_written_are_refused(tmp_path: Path) -> None:
    path = rds(tmp_path / "RDS.db", *MINIMAL)
    (tmp_path / "cut.db").write_bytes(path.read_bytes()[:5000])
    (tmp_path / "RDS.db-wal").write_bytes(b"x")
    for name in ("cut.db", "RDS.db"):
        with pytest.raises(DefinitionError) as raised:
            HashSets(bad=[tmp_path / name])
        assert raised.value.thing.endswith(name)


def test_a_database_that_is_damaged_inside_does_not_say_no(tmp_path: Path) -> None:
    values = [insert("FILE", digest("sha256", number), "", "", "", "x" * 900) for number in range(200)]
    path = rds(tmp_path / "RDS.db", MINIMAL[0], *values, INDEX.format("FILE", "sha256"))
    data = path.read_bytes()
    path.write_bytes(data[:8192] + b"\xff" * (len(data) - 8192))
    with HashSets(bad=[path]) as sets, pytest.raises(HostError) as raised:
        list(map(sets.known, [{"sha256": digest("sha256", number)} for number in range(200)]))
    assert raised.value.thing == str(path)


@pytest.fixture
def small_memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let ten digests be too many to hold and two too many to read at once."""
    monkeypatch.setattr(sorted_hashes, "_WAITING_LIMIT", 320)
    monkeypatch.setattr(sorted_hashes, "_READ_AT_ONCE", 2)
    return iter(())


@pytest.mark.usefixtures("small_memory")
def test_many_hashes_go_through_a_file(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_text("".join(digest("sha256", number % 900) + "\n" for number in range(1000)))
    with HashSets(bad=[path], folder=tmp_path) as sets:
        assert sets.sets[0].size == 900
        found = [held(sets, sha256=digest("sha256", number)) for number in range(1800)]
        assert found == [True] * 900 + [False] * 900
        assert [each.name for each in tmp_path.iterdir()] == ["large"]


@pytest.mark.usefixtures("small_memory")
def test_no_room_for_the_file_is_the_host_s_fault(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_text("".join(digest("sha256", number) + "\n" for number in range(1000)))
    with pytest.raises(HostError) as raised:
        HashSets(bad=[path], folder=tmp_path / "gone")
    assert raised.value.exit_status == 5


@settings(deadline=None, max_examples=40)
@given(st.lists(st.binary(min_size=4, max_size=4), max_size=300), st.binary(min_size=4, max_size=4), st.booleans())
def test_what_was_added_is_found_and_nothing_else(
    digests: list[bytes],
    other: bytes,
    is_small: bool,  # noqa: FBT001 - drawn
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if is_small:
            patch.setattr(sorted_hashes, "_WAITING_LIMIT", 40)
            patch.setattr(sorted_hashes, "_READ_AT_ONCE", 1)
        collector = HashCollector(4)
        for each in digests:
            collector.add(each)
        with closing(collector.sort()) as found:
            assert all(each in found for each in digests)
            assert (other in found) is (other in digests)
            assert found.count == len(set(digests))
            assert b"" not in found
