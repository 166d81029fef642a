"""Split raw images: which names follow which, what is missing in between, what is odd of the sizes."""

import pytest
from container_files import assert_reads, disk_bytes, open_files

from volforensic.evidence.containers.container import NamedFile
from volforensic.evidence.containers.split_raw import SEGMENTS_MOST, following_segments, look, recognises

DISK = disk_bytes(1_000_448, 1)


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        (b"d.001", b"d.002", b"d.3991"),
        (b"d.000", b"d.001", b"d.3990"),
        (b"d.raw.001", b"d.raw.002", b"d.raw.3991"),
        (b"d.01", b"d.02", b"d.3991"),
        (b"d.0000", b"d.0001", b"d.3990"),
        (b"d.aa", b"d.ab", b"d.zz"),
        (b"d.AAA", b"d.AAB", b"d.FXM"),
    ],
)
def test_what_follows_a_first_part(name: bytes, first: bytes, last: bytes) -> None:
    names = following_segments(name)
    assert (names[0], names[-1]) == (first, last)
    assert len(names) == (675 if last == b"d.zz" else SEGMENTS_MOST)


@pytest.mark.parametrize(
    "name", [b"d.002", b"d.raw", b"d.ab", b"d.2024", b"001", b".", b"", b"d.aaaa", b"d.1", b"d.aA"]
)
def test_what_is_no_first_part(name: bytes) -> None:
    assert following_segments(name) == []


def parts(names: list[bytes], sizes: list[int]) -> dict[bytes, bytes]:
    starts = [sum(sizes[:number]) for number in range(len(sizes))]
    return {name: DISK[start : start + size] for name, start, size in zip(names, starts, sizes, strict=True)}


@pytest.mark.parametrize(
    "names", [[b"d.001", b"d.002", b"d.003"], [b"d.aa", b"d.ab", b"d.ac"], [b"D.000", b"D.001", b"d.002"]]
)
def test_parts_make_one_disk(names: list[bytes]) -> None:
    found = open_files(parts(names, [400_384, 400_384, 199_680]), names[0])
    assert_reads(found.medium, DISK)
    assert found.facts.kind == "split raw"
    assert found.facts.problems == []
    assert found.facts.details["parts"].split(", ") == [name.decode() for name in names]


def test_a_missing_part_is_named_and_lost_and_the_others_stay_in_their_places() -> None:
    files = parts([b"d.001", b"d.002", b"d.003", b"d.004"], [300_032, 300_032, 300_032, 100_352])
    del files[b"d.003"]
    found = open_files(files, b"d.001")
    assert "the part d.003 is missing" in found.facts.problems[0].reason
    assert found.facts.problems[0].lost
    assert found.medium.size == len(DISK)
    assert found.medium.read_at(0, 600_064) == DISK[:600_064]
    assert found.medium.read_at(900_096, 200_000) == DISK[900_096:]
    with pytest.raises(OSError, match=r"d\.003 is missing"):
        found.medium.read_at(600_000, 100)
    assert [(fault.position, fault.length) for fault in found.faults] == [(600_064, 300_032)]


@pytest.mark.parametrize(
    ("sizes", "said", "lost"),
    [
        ([400_384, 300_032, 300_032], "d.002 has 300032 bytes and the first has 400384", True),
        ([300_032, 400_384, 300_032], "d.002 has 400384 bytes and the first has 300032", False),
        ([300_032, 300_032, 400_384], "the last part d.003 has 400384 bytes", False),
    ],
)
def test_odd_sizes_are_said(sizes: list[int], said: str, lost: bool) -> None:  # noqa: FBT001
    found = open_files(parts([b"d.001", b"d.002", b"d.003"], sizes), b"d.001")
    assert [(said in problem.reason, problem.lost) for problem in found.facts.problems] == [(True, lost)]
    assert_reads(found.medium, DISK)


def test_a_part_alone_and_a_later_part() -> None:
    alone = open_files({b"d.001": DISK}, b"d.001")
    assert (alone.facts.kind, alone.facts.problems) == ("raw", [])
    assert_reads(alone.medium, DISK)
    later = open_files({b"d.002": DISK, b"d.003": DISK}, b"d.002")
    assert "is not the first part" in later.facts.problems[0].reason
    assert later.medium.size == len(DISK)


def test_more_parts_than_are_looked_for() -> None:
    found = open_files({b"d.%03d" % number: b"x" * 512 for number in range(1, 4100)}, b"d.001")
    assert found.medium.size == 3991 * 512
    assert "3991 parts were joined" in found.facts.problems[0].reason


def test_a_name_that_is_no_part_is_not_recognised() -> None:
    medium = open_files({b"d.001": DISK}, b"d.001").medium
    assert not recognises(NamedFile(b"d.raw", medium))
    assert look([NamedFile(b"d.001", medium)]).references[0].is_optional
