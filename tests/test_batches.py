"""Work in batches: whatever a worker does, each item gets exactly one result, in its order, or is lost alone."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from test_pieces import DONE, ITEMS, WORKERS, frame

from volforensic.sandbox import batches
from volforensic.sandbox.batches import work_in_batches
from volforensic.sandbox.pieces import LostItem
from volforensic.sandbox.pool import Pool, Task


class Batch(msgspec.Struct, frozen=True, array_like=True):
    """Results of the items from ``index`` on."""

    index: int
    results: list[str]


def honest(piece: Sequence[str]) -> list[list[Any]]:
    """The steps of a worker that says at the end what came of all its items."""
    return [["send", frame(Batch(0, [item.upper() for item in piece])) + DONE]]


def outcome(pool: Pool, scripts: dict[str, list[list[Any]]], pieces: Sequence[Sequence[str]] = (ITEMS,)) -> list[Any]:
    def task_of(piece: Sequence[str]) -> Task:
        script = scripts.get("".join(piece)) or honest(piece)
        return Task(function=f"{WORKERS}:puppet", arguments=script, message_type=Batch)

    found = work_in_batches(pool, pieces, task_of)
    return [(item, "lost" if isinstance(result, LostItem) else result) for item, result in found]


ALL = [("a", "A"), ("b", "B"), ("c", "C"), ("d", "D")]


def test_honest_workers(pool: Pool) -> None:
    assert outcome(pool, {}, [["a", "b"], ["c"], ["d"]]) == ALL
    parts = frame(Batch(0, ["A"])) + frame(Batch(1, ["B", "C"])) + frame(Batch(3, ["D"]))
    assert outcome(pool, {"abcd": [["send", parts + DONE]]}) == ALL


LIES = {
    "items left out": [["send", frame(Batch(0, ["A"])) + frame(Batch(3, ["D"])) + DONE]],
    "the last left out": [["send", frame(Batch(0, ["A", "B", "C"])) + DONE]],
    "nothing at all": [["send", DONE]],
    "no results": [["send", frame(Batch(0, [])) + DONE]],
    "too many results": [["send", frame(Batch(0, ["A", "B", "C", "D", "E"])) + DONE]],
    "results again": [["send", frame(Batch(0, ["A", "B"])) + frame(Batch(1, ["C"])) + DONE]],
    "an index below zero": [["send", frame(Batch(-1, ["A"])) + DONE]],
    "results of another type": [["send", frame([0, [1]]) + DONE]],
    "death with an item in hand that is not there": [["beat", 1, (1 << 64) - 1], ["abort"]],
    "death with an item in hand that was done": [["beat", 1, 0], ["send", frame(Batch(0, ["A", "B"]))], ["abort"]],
    "a status after all was done": [["send", frame(Batch(0, ["A", "B", "C", "D"]))], ["exit", 7]],
}


@pytest.mark.parametrize("script", LIES.values(), ids=LIES)
def test_a_worker_that_lies_costs_nothing(pool: Pool, script: list[list[Any]]) -> None:
    assert outcome(pool, {"abcd": script}) == ALL


@pytest.mark.parametrize("culprit", range(4))
def test_the_item_in_hand_is_tried_alone_and_no_other_is_lost(pool: Pool, culprit: int) -> None:
    # The worker dies of one item, and what it had found out about those before it was not sent yet.
    scripts: dict[str, list[list[Any]]] = {"abcd": [["beat", 1, culprit], ["abort"]], ITEMS[culprit]: [["abort"]]}
    expected = [(item, "lost" if index == culprit else item.upper()) for index, item in enumerate(ITEMS)]
    assert outcome(pool, scripts) == expected


def test_a_piece_whose_every_worker_dies_ends_all_the_same(pool: Pool) -> None:
    scripts = {"".join(ITEMS[start:end]): [["abort"]] for start in range(4) for end in range(start + 1, 5)}
    assert outcome(pool, scripts) == [(item, "lost") for item in ITEMS]


def test_where_too_much_time_was_lost_the_rest_is_not_tried(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MOST_SECONDS_LOST", -1)
    assert outcome(pool, {"abcd": [["abort"]]}) == [(item, "lost") for item in ITEMS]
