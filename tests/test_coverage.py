"""What became of an artifact on a volume: each status has its own cause."""

from volforensic.collection.coverage import CoverageCounts
from volforensic.collection.records import Batch
from volforensic.record import CoverageStatus


def batch(records: int, unparsed: int = 0, refused: int = 0) -> Batch:
    class Row:
        def __init__(self, *, is_unparsed: bool) -> None:
            self.unparsed = True if is_unparsed else None

    return Batch(b"", [Row(is_unparsed=number < unparsed) for number in range(records)], refused)


def status(counts: CoverageCounts, volume: int = 1) -> CoverageStatus:
    (coverage,) = counts.coverage("cron", [(volume, "")])
    return coverage.status


def test_absent_until_a_file_is_found() -> None:
    counts = CoverageCounts(frozenset())
    assert status(counts) == "absent"
    counts.file("cron", (1, ""))
    assert (status(counts), status(counts, 2)) == ("complete", "absent")


def test_partial_where_something_came_and_unreadable_where_nothing_did() -> None:
    counts = CoverageCounts(frozenset())
    counts.file("cron", (1, ""))
    counts.lost("cron", (1, ""), "read error")
    assert status(counts) == "unreadable"
    counts.batch("cron", (1, ""), batch(3, unparsed=1))
    (coverage,) = counts.coverage("cron", [(1, "")])
    assert (coverage.status, coverage.records, coverage.unparsed, coverage.reasons) == ("partial", 3, 1, ["read error"])


def test_nothing_is_absent_or_complete_on_a_volume_that_was_not_walked_to_its_end() -> None:
    counts = CoverageCounts(frozenset({1}))
    assert status(counts) == "partial"
    counts.file("cron", (1, ""))
    (coverage,) = counts.coverage("cron", [(1, "")])
    assert coverage.status == "partial"
    assert "files may be missing" in coverage.reasons[0]


def test_rows_that_were_refused_are_a_loss() -> None:
    counts = CoverageCounts(frozenset())
    counts.file("cron", (1, ""))
    counts.batch("cron", (1, ""), batch(2, refused=1))
    assert status(counts) == "partial"


def test_the_reasons_are_few_and_each_stands_once() -> None:
    counts = CoverageCounts(frozenset())
    for number in range(500):
        counts.lost("cron", (1, ""), f"reason {number // 2}")
    (coverage,) = counts.coverage("cron", [(1, "")])
    assert coverage.reasons == [f"reason {number}" for number in range(20)]
