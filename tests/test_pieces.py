"""Work in pieces: whatever a worker does, each item ends exactly once, done or lost, in its order."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import pytest

from volforensic.sandbox import pieces as pieces_module
from volforensic.sandbox.confinement import Limits
from volforensic.sandbox.messages import FRAME_HEADER, KIND_DONE, KIND_MESSAGE
from volforensic.sandbox.pieces import Again, LostItem, work_on
from volforensic.sandbox.pool import Pool, Task

WORKERS = "sandbox_workers"
ITEMS = ["a", "b", "c", "d"]


class Part(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """A message that does not end its item."""

    index: int


class End(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """A message that ends its item."""

    index: int
    text: str = ""


def frame(message: Any) -> bytes:
    body = msgspec.msgpack.encode(message)
    return FRAME_HEADER.pack(len(body), KIND_MESSAGE) + body


DONE = FRAME_HEADER.pack(0, KIND_DONE)
BEAT_FAR = ["beat", 1, (1 << 64) - 1]


def honest(piece: Sequence[str]) -> list[list[Any]]:
    """The steps of a worker that does its work."""
    parts = [frame(Part(index)) + frame(End(index, item)) for index, item in enumerate(piece)]
    return [["send", b"".join(parts) + DONE]]


def outcome(pool: Pool, scripts: dict[str, list[list[Any]]], pieces: Sequence[Sequence[str]] = (ITEMS,)) -> list[Any]:
    """What comes of the items when the worker of a piece does as its script says; without a script it is honest."""

    def task_of(piece: Sequence[str]) -> Task:
        script = scripts.get("".join(piece)) or honest(piece)
        return Task(function=f"{WORKERS}:puppet", arguments=script, message_type=Part | End)

    found = work_on(pool, pieces, task_of, last=End)
    return [(item, type(message).__name__) for item, message in found if not isinstance(message, Part)]


DONE_ITEMS = [(item, "End") for item in ITEMS]


def test_honest_workers(pool: Pool) -> None:
    assert outcome(pool, {}, [["a", "b"], ["c"], ["d"]]) == DONE_ITEMS


LIES = {
    "an item left out": [["send", frame(End(0)) + frame(End(2)) + frame(End(3)) + DONE]],
    "the first left out": [["send", frame(End(1)) + frame(End(2)) + DONE]],
    "the last left out": [["send", frame(End(0)) + frame(End(1)) + frame(End(2)) + DONE]],
    "nothing at all": [["send", DONE]],
    "not even its end": [["exit", 0]],
    "an index below zero": [["send", frame(End(0)) + frame(End(-1)) + DONE]],
    "an index beyond the piece": [["send", frame(End(4)) + DONE]],
    "an index beyond the machine": [["send", frame(["End", (1 << 64) - 1, ""]) + DONE]],
    "an item that ends twice": [["send", frame(End(0)) + frame(End(0)) + DONE]],
    "a part of an item that has ended": [["send", frame(End(0)) + frame(Part(0)) + DONE]],
    "one item too many": [["send", b"".join(frame(End(index)) for index in range(5)) + DONE]],
    "an item in hand that is not there, and death": [BEAT_FAR, ["send", frame(End(0))], ["abort"]],
    "the last item in hand, and death at once": [["beat", 1, 3], ["abort"]],
    "status 7 after all was done": [["send", b"".join(frame(End(index)) for index in range(4))], ["exit", 7]],
}


@pytest.mark.parametrize("script", LIES.values(), ids=LIES)
def test_a_worker_that_lies_costs_nothing(pool: Pool, script: list[list[Any]]) -> None:
    # The worker of the whole piece lies; those that are given its rest are honest.
    events = outcome(pool, {"abcd": script})
    assert [event for event in events if event[1] != "Again"] == DONE_ITEMS


@pytest.mark.parametrize("culprit", ITEMS)
def test_an_item_that_ends_every_worker_is_lost_and_the_others_are_not(pool: Pool, culprit: str) -> None:
    scripts: dict[str, list[list[Any]]] = {}
    for start in range(len(ITEMS)):
        rest = ITEMS[start:]
        if culprit in rest:
            before = rest[: rest.index(culprit)]
            done = b"".join(frame(End(index)) for index in range(len(before)))
            scripts["".join(rest)] = [["send", done], ["abort"]]
    scripts[culprit] = [["abort"]]
    events = outcome(pool, scripts)
    assert events.count((culprit, "Again")) == 1
    expected = [(item, "LostItem" if item == culprit else "End") for item in ITEMS]
    assert [event for event in events if event[1] != "Again"] == expected


def test_when_every_worker_lies_every_item_ends_all_the_same(pool: Pool) -> None:
    lie = [["send", frame(End(0, "forged")) + frame(End(9)) + DONE]]
    scripts = {"".join(ITEMS[start:]): lie for start in range(4)} | {item: [["send", DONE]] for item in ITEMS}
    events = outcome(pool, scripts)
    # What the worker said of the item in hand, in its turn and of the right type, cannot be told from the truth.
    assert [event for event in events if event[1] != "Again"] == [
        ("a", "End"), ("b", "LostItem"), ("c", "End"), ("d", "LostItem"),
    ]  # fmt: skip


def test_the_reason_is_told(pool: Pool) -> None:
    script = [["send", frame(End(3)) + DONE]]
    task = Task(function=f"{WORKERS}:puppet", arguments=script, message_type=Part | End)
    again, lost = work_on(pool, [["a"]], lambda _: task, last=End)
    assert again == ("a", Again())
    reason = "the worker sent a message that cannot be true: it is about item 3, where item 0 of 1 was due"
    assert lost == ("a", LostItem(reason))


def test_two_hundred_small_pieces(pool: Pool) -> None:
    pieces = [[str(number)] for number in range(200)]
    assert outcome(pool, {}, pieces) == [(str(number), "End") for number in range(200)]


def test_pieces_that_cannot_be_made(pool: Pool) -> None:
    def pieces() -> Iterator[list[str]]:
        yield ["a"]
        raise OSError("the inventory cannot be read")

    def task_of(piece: Sequence[str]) -> Task:
        return Task(function=f"{WORKERS}:puppet", arguments=honest(piece), message_type=Part | End)

    with pytest.raises(OSError, match="inventory"):
        list(work_on(pool, pieces(), task_of, last=End))
    assert outcome(pool, {}) == DONE_ITEMS


def test_time_that_is_lost_is_limited(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces_module, "MOST_SECONDS_LOST", 1)
    started: list[str] = []

    def task_of(piece: Sequence[str]) -> Task:
        started.append("".join(piece))
        script = [["beat for ever"]] if "b" in piece else honest(piece)
        limits = Limits(wall_seconds=1)
        return Task(function=f"{WORKERS}:puppet", arguments=script, message_type=Part | End, limits=limits)

    found = work_on(pool, [["a"], ["b", "c"], ["d"]], task_of, last=End)
    ends = [(item, type(message).__name__) for item, message in found if not isinstance(message, Part)]
    assert ends == [("a", "End"), ("b", "LostItem"), ("c", "LostItem"), ("d", "End")]
    assert started == ["a", "bc", "d"]
