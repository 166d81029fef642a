"""One pass gives hash, type, matches and names, whatever the pieces are that the bytes come in."""

import hashlib
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from yara_samples import POOL, WALLET, elf, script

from volforensic.evidence.digests import hashes_of
from volforensic.inventory import examination
from volforensic.inventory.examination import Examination, Tools, examine, examine_bytes
from volforensic.inventory.scanner import Match, MatchedString, RuleSet, ScanError, compile_rules

RULES = """
rule needle { strings: $n = "needle" condition: $n }
rule program { condition: uint32be(0) == 0x7f454c46 }
"""


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    compiled, errors = compile_rules({"test.yar": RULES})
    assert errors == []
    return compiled


@pytest.fixture
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "WINDOW_SIZE", 100)
    monkeypatch.setattr(examination, "OVERLAP_SIZE", 20)


def whole(data: bytes, rules: RuleSet | None = None) -> Examination:
    tools = Tools(rules)
    found = examine([data], len(data), tools)
    assert not data or examine_bytes(data, hashes_of(data), tools) == found
    return found


def test_a_script_gives_everything(rules: RuleSet) -> None:
    data = script(f"/opt/.x/a -o {POOL} -u {WALLET} # needle")
    found = whole(data, rules)
    assert found == Examination(
        sha256=hashlib.sha256(data).hexdigest(),
        size_read=len(data),
        mime="text/x-shellscript",
        family="script",
        encoding="us-ascii",
        matches=[Match("needle", [MatchedString("$n", data.index(b"needle"), "needle")])],
        references=["/bin/bash", "/opt/.x/a"],
        indicators=[f"pool:{POOL}", f"wallet:{WALLET}"],
    )


def test_an_empty_file(rules: RuleSet) -> None:
    for pieces in ([], [b""]):
        found = examine(pieces, 0, Tools(rules))
        assert (found.sha256, found.mime, found.family) == (hashlib.sha256().hexdigest(), "inode/x-empty", "empty")
        assert found.problems == []


def test_the_row_holds_plain_values(rules: RuleSet) -> None:
    row = whole(b"a needle", rules).row()
    assert msgspec.json.decode(msgspec.json.encode(row)) == row
    assert row["matches"] == [{"rule": "needle", "strings": [{"identifier": "$n", "offset": 2, "text": "needle"}]}]
    assert set(row) == {"sha256", "mime", "family", "encoding", "yara", "matches"}
    assert set(examine([b"\x00\x01"], 3).row()) == {"sha256", "mime", "family", "yara", "problems"}


def test_a_program_is_searched_where_it_is_suspicious(rules: RuleSet) -> None:
    quiet = elf("pool.supportxmr.com:443", "/opt/path")
    assert whole(quiet).indicators == []
    assert whole(quiet, rules).indicators == ["pool:pool.supportxmr.com:443"]
    assert whole(elf(POOL)).indicators == [f"pool:{POOL}"]
    assert whole(elf(POOL)).references == []


def test_a_large_text_is_not_searched_and_a_padded_script_is() -> None:
    padding = b"#" * (2 << 20)
    assert whole(b"see /etc/x\n" + padding).references == []
    assert whole(script("/opt/x") + padding).references == ["/bin/bash", "/opt/x"]


def test_bytes_of_no_known_type_are_searched_only_where_a_rule_matched(rules: RuleSet) -> None:
    data = b"\x00\x01REDIS0009 */2 * * * * /opt/x "
    assert whole(data, rules).references == []
    assert whole(data + b"needle", rules).references == ["/opt/x"]


def test_libmagic_is_asked_for_the_rest() -> None:
    class Cookie:
        """A libmagic that knows one type."""

        def from_buffer(self, data: bytes) -> str:
            """Return the type of bytes that the table does not know."""
            assert data == b"\x00\x01\x02"
            return "application/x-test"

    assert examine([b"\x00\x01\x02"], 3, Tools(magic=Cookie())).mime == "application/x-test"
    assert examine([b"text"], 4, Tools(magic=Cookie())).mime == "text/plain"
    assert whole(b"\x00\x01\x02").mime is None
    assert whole(b"\x00\x01\x02").family == "other"


@pytest.mark.usefixtures("small_windows")
@given(data=st.binary(max_size=700), cuts=st.lists(st.integers(0, 700), max_size=8))
def test_the_pieces_do_not_matter(data: bytes, cuts: list[int]) -> None:
    borders = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[start:end] for start, end in pairwise(borders)]
    windows = list(examination._windows(pieces, 100))
    assert b"".join(window.data[window.repeated :] for window in windows) == data
    assert all(data[window.offset :].startswith(window.data) for window in windows)
    assert all(len(window.data) <= 120 and window.repeated <= 20 for window in windows)
    assert all(window.repeated == 20 for window in windows[1:] if window.offset)
    assert examine(pieces, len(data)).sha256 == hashlib.sha256(data).hexdigest()


@pytest.mark.usefixtures("small_windows")
@pytest.mark.parametrize("position", [0, 50, 90, 95, 99, 100, 101, 140, 197, 250, 294])
def test_a_match_across_windows_is_found_once_at_its_place(rules: RuleSet, position: int) -> None:
    data = bytearray(b"." * 300)
    data[position : position + 6] = b"needle"
    for size in (7, 100, 300):
        pieces = [bytes(data[start : start + size]) for start in range(0, 300, size)]
        assert examine(pieces, 300, Tools(rules)).matches == [
            Match("needle", [MatchedString("$n", position, "needle")])
        ]


def test_bytes_that_are_missing_are_a_problem() -> None:
    found = examine([b"abc"], 10)
    assert found.size_read == 3
    assert found.problems == ["3 of 10 bytes were examined"]


def test_a_window_that_was_not_scanned_is_a_problem_and_the_rest_is_kept(
    rules: RuleSet, monkeypatch: pytest.MonkeyPatch, small_windows: None
) -> None:
    del small_windows
    real = RuleSet.scan

    def scan(self: RuleSet, data: bytes, *arguments: Any) -> list[Match]:
        if b"slow" in data:
            raise ScanError("YARA did not finish within 1 s")
        return real(self, data, *arguments)

    monkeypatch.setattr(RuleSet, "scan", scan)
    data = b"needle".ljust(100, b".") + b"slow".rjust(60, b".")
    found = examine(iter([data[:100], data[100:]]), len(data), Tools(rules))
    assert found.yara == ["needle"]
    assert found.problems == ["bytes 130 to 160 were not scanned: YARA did not finish within 1 s"]
    assert found.sha256 == hashlib.sha256(data).hexdigest()


def test_the_bytes_are_taken_one_window_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "WINDOW_SIZE", 10)
    taken: list[int] = []

    def pieces() -> Iterator[bytes]:
        for number in range(5):
            taken.append(number)
            yield bytes(10)

    windows = examination._windows(pieces(), 10)
    next(windows)
    assert taken == [0, 1]
    next(windows)
    assert taken == [0, 1, 2]


@given(st.binary(max_size=200), st.sampled_from([b"", b"#!", b"\x7fELF", b'{"user":"', b"stratum"]))
def test_any_bytes_are_examined(data: bytes, start: bytes) -> None:
    pieces: Iterable[bytes] = [start, data]
    found = examine(pieces, len(start) + len(data))
    assert found.problems == []
    assert msgspec.json.encode(found.row())
