"""The sandbox: what a worker can do, and what the parent does about one that misbehaves."""

import os
from pathlib import Path
from typing import Any

import pytest
from media import handle_of

from volforensic.sandbox.confinement import Limits, probe
from volforensic.sandbox.pool import Failure, Pool, Task

WORKERS = "sandbox_workers"


def task(function: str, arguments: Any = None, message_type: Any = int, **options: Any) -> Task:
    return Task(function=f"{WORKERS}:{function}", arguments=arguments, message_type=message_type, **options)


def test_messages_come_in_order(pool: Pool) -> None:
    assert list(pool.run(task("count", 1000))) == list(range(1000))


def test_results_of_many_tasks_come_in_the_order_of_the_tasks(pool: Pool) -> None:
    expected = [(index, number) for index, size in enumerate([50, 0, 3, 200]) for number in range(size)]
    assert list(pool.run_all([task("count", size) for size in [50, 0, 3, 200]])) == expected


def test_the_source_is_read_by_its_descriptor(pool: Pool, tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(b"bytes of the evidence")
    source = os.open(image, os.O_RDONLY)
    assert list(pool.run(task("read_source", message_type=bytes, source=handle_of(source)))) == [b"bytes"]
    os.close(source)


def test_a_crash_keeps_what_came_before_and_names_the_item(pool: Pool) -> None:
    *numbers, failure = pool.run(task("crash_at", 13))
    assert numbers == list(range(13))
    assert failure.item == 13
    assert "SIGSEGV" in failure.reason


def test_other_tasks_survive_a_crash(pool: Pool) -> None:
    results = list(pool.run_all([task("crash_at", 0), task("count", 2)]))
    assert [type(results[0][1]), results[1:]] == [Failure, [(1, 0), (1, 1)]]


def test_an_endless_loop_is_ended(pool: Pool) -> None:
    numbers = list(pool.run(task("burn", limits=Limits(item_seconds=1))))
    assert numbers[0] == 1
    assert "processor time" in numbers[1].reason
    assert numbers[1].item == 7


def test_the_whole_task_has_a_processor_limit(pool: Pool) -> None:
    *_, failure = pool.run(task("burn", limits=Limits(processor_seconds=1)))
    assert "processor time" in failure.reason


def test_silence_is_ended(pool: Pool) -> None:
    *_, failure = pool.run(task("sleep", limits=Limits(silence_seconds=1)))
    assert (failure.reason, failure.item) == ("no sign of life for 1 seconds", 8)
    assert failure.seconds > 1


def test_memory_is_limited(pool: Pool) -> None:
    *_, failure = pool.run(task("eat_memory", limits=Limits(memory=256 << 20)))
    assert "MemoryError" in failure.reason


def test_a_flood_is_cut(pool: Pool) -> None:
    *messages, failure = pool.run(task("flood", message_type=bytes, limits=Limits(output=5 << 20)))
    assert len(messages) <= 8
    assert "wrote more than" in failure.reason


@pytest.mark.parametrize("function", ["announce_too_much", "send_garbage", "send_wrong_type", "end_silently"])
def test_broken_frames_are_a_failure(pool: Pool, function: str) -> None:
    assert isinstance(list(pool.run(task(function)))[-1], Failure)


def test_an_exception_is_a_failure_with_its_place(pool: Pool) -> None:
    first, failure = pool.run(task("raise_late"))
    assert first == 1
    assert failure.reason.startswith("KeyError: 'damaged \\x1b[2J' (sandbox_workers.py:")


def test_the_pool_works_after_all_that(pool: Pool) -> None:
    assert list(pool.run(task("count", 3))) == [0, 1, 2]


def test_a_generator_that_is_closed_early_ends_its_workers(pool: Pool) -> None:
    messages = pool.run(task("flood", message_type=bytes))
    next(messages)
    messages.close()  # type: ignore[attr-defined]  # a generator
    assert list(pool.run(task("count", 1))) == [0]


def test_no_way_out(pool: Pool, tmp_path: Path) -> None:
    protection = probe()
    if protection.missing():
        pytest.skip(f"this kernel lacks a layer: {protection.missing()}")
    image = tmp_path / "image"
    image.write_bytes(b"evidence")
    source = os.open(image, os.O_RDONLY)
    paths = {"image": str(image), "parent": str(os.getpid())}
    outcome = next(iter(pool.run(task("escape", paths, message_type=dict[str, str], source=handle_of(source)))))
    os.close(source)
    assert {name for name, result in outcome.items() if result == "ALLOWED"} == set()
    assert len(outcome) == 58
    assert image.read_bytes() == b"evidence"
