"""A worker that the evidence has taken over: the parent ends in bounded time and memory and says what happened."""

import ctypes
import json
import mmap
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from media import handle_of

from volforensic.errors import HostError
from volforensic.sandbox import confinement, landlock, running, seccomp
from volforensic.sandbox.confinement import Limits, Protection
from volforensic.sandbox.messages import FRAME_HEADER, FRAME_LIMIT, KIND_DONE, KIND_FAILED, KIND_MESSAGE, Ended
from volforensic.sandbox.pool import Failure, Pool, Task
from volforensic.sandbox.running import RunningTask

WORKERS = "sandbox_workers"
TESTS = Path(__file__).parent
IMPORTABLE = os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH")]))
HAS_ALL_USERS = os.geteuid() == 0 and "4294967295" in Path("/proc/self/uid_map").read_text()
DONE = FRAME_HEADER.pack(0, KIND_DONE)


def task(function: str, arguments: Any = None, message_type: Any = int, **options: Any) -> Task:
    return Task(function=f"{WORKERS}:{function}", arguments=arguments, message_type=message_type, **options)


def frame(body: bytes, kind: int = KIND_MESSAGE) -> bytes:
    return FRAME_HEADER.pack(len(body), kind) + body


def failure_of(pool: Pool, *steps: list[Any], message_type: Any = int, **limits: int) -> Failure:
    """The failure that a worker ends with which takes these steps."""
    work = task("puppet", list(steps), message_type, limits=Limits(**limits))
    *_, last = pool.run(work)
    assert isinstance(last, Failure)
    return last


# What it sends.

BODIES = {
    "nothing": b"",
    "text that is not UTF-8": b"\xa2\xff\xfe",
    "an extension": b"\xc7\x01\x05a",
    "an array of four milliards": b"\xdd\xff\xff\xff\xff",
    "a map of four milliards": b"\xdf\xff\xff\xff\xff",
    "nesting": b"\x91" * 200_000,
    "nesting of maps": b"\x81\xa1a" * 200_000,
    "bytes behind it": b"\x01\x01",
    "a type that is never used": b"\xc1",
    "half a number": b"\xcf\x00",
}


@pytest.mark.parametrize("message_type", [int, str, dict[str, Any], list[Any]])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_bodies_that_are_none(pool: Pool, body: bytes, message_type: Any) -> None:
    failure = failure_of(pool, ["send", frame(body) + DONE], message_type=message_type)
    assert failure.reason.startswith("the worker sent a message that is not valid")


FRAMES = {
    "an unknown kind": (frame(b"\x01", 9) + DONE, "unknown kind 9"),
    "kind 0": (frame(b"\x01", 0) + DONE, "unknown kind 0"),
    "a message after the end": (DONE + frame(b"\x01"), "went on after its last"),
    "two ends": (DONE + DONE, "went on after its last"),
    "one byte too long": (FRAME_HEADER.pack(FRAME_LIMIT + 1, KIND_MESSAGE), "announced a message"),
    "four milliards of bytes": (FRAME_HEADER.pack((1 << 32) - 1, KIND_FAILED), "announced a message"),
    "half a header": (b"\x01\x00", "ended before its work was done"),
    "half a body": (frame(b"\x01" * 100)[:50], "ended before its work was done"),
    "a failure that is no text": (frame(b"\x93\x01\x02\x03", KIND_FAILED), "could not say why"),
    "a failure that is not UTF-8": (frame(b"\xa2\xff\xfe", KIND_FAILED), "could not say why"),
    "a failure of nothing": (frame(b"\xa0", KIND_FAILED), "did not say why"),
    "a failure that is nested": (frame(b"\x91" * 100_000, KIND_FAILED), "could not say why"),
}


@pytest.mark.parametrize(("data", "reason"), FRAMES.values(), ids=FRAMES)
def test_frames_that_are_none(pool: Pool, data: bytes, reason: str) -> None:
    assert reason in failure_of(pool, ["send", data]).reason


def test_nothing_is_taken_after_the_first_lie(pool: Pool) -> None:
    steps = [["send", frame(b"\x01") + frame(b"\xa1x") + frame(b"\x02") + DONE]]
    first, *rest = pool.run(task("puppet", steps))
    assert first == 1
    assert [type(message) for message in rest] == [Failure]


def test_a_reason_is_cut(pool: Pool) -> None:
    reason = msgspec.msgpack.encode("\x1b]52;c;" + "x" * 1_000_000)
    assert len(failure_of(pool, ["send", frame(reason, KIND_FAILED)]).reason) == 600


def test_a_flood_of_tiny_messages_ends(pool: Pool) -> None:
    work = task("puppet", [["send", frame(b"\x01") * 10_000, 100]], limits=Limits(output=4 << 20))
    *messages, failure = pool.run(work)
    assert len(messages) <= 1024
    assert "wrote more than" in failure.reason


def test_floods_ahead_of_their_turn_fill_a_bounded_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "_BUFFER_LIMIT", 1 << 20)
    reader, writer = os.pipe()
    ahead = RunningTask(1, bytes, Limits(), reader, mmap.mmap(-1, mmap.PAGESIZE))
    written = 0
    while ahead.wants_data(is_head=False):
        written += os.write(writer, frame(bytes(8000)))
        ahead.read()
    assert written <= 1 << 21
    os.close(writer)
    ahead.close()


# What it does.


def test_it_closes_its_pipe_and_lives_on(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "_SECONDS_TO_END", 0.5)
    assert failure_of(pool, ["close"], ["sleep", 1000]).reason == "the worker closed its pipe and did not end"
    ended = failure_of(pool, ["send", DONE], ["close"], ["beat for ever"])
    assert ended.reason == "the worker closed its pipe and did not end"


ENDLESS = {
    "it only beats": [["beat for ever"]],
    "it sends a byte now and then": [["drip for ever", b"\x01"]],
    "it sends a message now and then": [["drip for ever", frame(b"\x01")]],
    "it said that it is done": [["send", DONE], ["beat for ever"]],
    "it sends the head of a message and beats": [["send", frame(b"\x01" * 99)[:50]], ["beat for ever"]],
}


@pytest.mark.parametrize("steps", ENDLESS.values(), ids=ENDLESS)
def test_the_whole_task_has_a_wall_limit(pool: Pool, steps: list[list[Any]]) -> None:
    assert failure_of(pool, *steps, wall_seconds=1).reason == "the task took more than 1 seconds"


def test_the_wall_limit_follows_the_processor_limit() -> None:
    assert Limits(processor_seconds=3600).longest == 8 * 3600
    assert Limits().longest == 1800


def test_a_parent_that_is_busy_elsewhere_does_not_count(pool: Pool) -> None:
    messages = pool.run(task("puppet", [["send", frame(b"\x01")], ["sleep", 1], ["send", DONE]], limits=Limits(
        wall_seconds=2, silence_seconds=2)))  # fmt: skip
    assert next(messages) == 1
    time.sleep(3)
    assert list(messages) == []


@pytest.mark.parametrize(("steps", "reason"), [([["exit", 0]], "before its work"), ([["exit", 77]], "status 77"),
    ([["abort"]], "SIGSEGV")])  # fmt: skip
def test_odd_ends(pool: Pool, steps: list[list[Any]], reason: str) -> None:
    assert reason in failure_of(pool, *steps).reason


def test_signals_without_a_name() -> None:
    ended = Ended(task=1, status=-40, processor_seconds=0, peak_memory=0)
    assert running._describe_end(ended) == "the worker died of signal 40: of no name"


def test_the_item_in_hand_may_be_any_number(pool: Pool) -> None:
    assert failure_of(pool, ["beat", 1, (1 << 64) - 1], ["abort"]).item == (1 << 64) - 1


def test_the_page_cannot_be_cut_off_under_the_parent(pool: Pool) -> None:
    assert "PermissionError" in failure_of(pool, ["cut the page"]).reason

    def cut(process: int) -> None:
        pages = [entry for entry in Path(f"/proc/{process}/fd").iterdir() if "heartbeat" in entry.readlink().name]
        for page in pages:
            os.truncate(page, 0)

    with pytest.raises(PermissionError):  # a kernel without the filter must not allow it either: the page is sealed
        look(pool, cut)


def test_what_it_says_on_standard_error_goes_nowhere(pool: Pool, capfd: pytest.CaptureFixture[str]) -> None:
    assert list(pool.run(task("puppet", [["shout", b"\x1b]0;owned\x07"], ["send", DONE]]))) == []
    assert capfd.readouterr() == ("", "")


# What it has.


def look(pool: Pool, at: Callable[[int], Any]) -> Any:
    """What the test sees of a worker, given its process id."""
    messages = pool.run(task("descriptors"))
    seen = at(next(messages))
    messages.close()  # type: ignore[attr-defined]  # a generator
    return seen


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can look at a worker")
def test_its_descriptors(pool: Pool, tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.touch()
    with image.open("rb") as source:
        messages = pool.run(task("descriptors", source=handle_of(source.fileno())))
        folder = Path(f"/proc/{next(messages)}/fd")
        names = sorted(entry.readlink().name.partition(":")[0] for entry in folder.iterdir())
        messages.close()  # type: ignore[attr-defined]  # a generator
    assert names == ["image", "memfd", "null", "null", "null", "pipe"]


def test_its_environment_holds_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", IMPORTABLE)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "secret")
    with Pool(preload=[WORKERS]) as fresh:
        assert fresh._server is not None
        environment = Path(f"/proc/{fresh._server.pid}/environ").read_bytes()
    names = {variable.partition(b"=")[0] for variable in environment.split(b"\0") if variable}
    assert names <= {b"PATH", b"LANG", b"LC_ALL", b"LC_CTYPE", b"PYTHONPATH", b"LD_LIBRARY_PATH", b"VIRTUAL_ENV"}


def test_its_limits_and_its_user(pool: Pool) -> None:
    status = look(pool, lambda process: Path(f"/proc/{process}/status").read_text())
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["NoNewPrivs"] == "1"
    assert fields["Seccomp"] == ("2" if seccomp.supported() else "0")
    if HAS_ALL_USERS:
        assert "0" not in fields["Uid"].split() + fields["Gid"].split()
        assert fields["Groups"].strip() == ""
        assert int(fields["CapEff"], 16) == int(fields["CapPrm"], 16) == 0


@pytest.mark.skipif(not HAS_ALL_USERS, reason="only root's workers get a user of their own")
def test_threads_are_limited(pool: Pool) -> None:
    assert next(iter(pool.run(task("threads")))) < 32


@pytest.mark.parametrize("kind", ["private", "shared", "growing downwards"])
@pytest.mark.parametrize("address_space", [0, 2 << 30])
def test_memory_of_every_kind_is_limited(pool: Pool, kind: str, address_space: int) -> None:
    limits = Limits(memory=256 << 20, address_space=address_space)
    assert list(pool.run(task("memory", kind, limits=limits)))[0] <= 256  # noqa: RUF015 - it may end in a failure


# What surrounds it.


def test_a_worker_that_could_not_be_locked_in_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confinement, "_leave_root", lambda: True)
    monkeypatch.setattr(confinement, "_limit_threads", lambda **_: None)
    monkeypatch.setattr(confinement, "_limit", lambda _: None)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: type("Library", (), {"prctl": lambda *_: 0}))
    monkeypatch.setattr(confinement, "probe", lambda: Protection(landlock_version=3, seccomp=True))
    monkeypatch.setattr(landlock, "restrict", lambda: False)
    monkeypatch.setattr(seccomp, "restrict", lambda: True)
    monkeypatch.setattr(os, "listdir", lambda _: ["1"])  # what runs the tests may have threads of its own
    with pytest.raises(RuntimeError, match="could not be locked in"):
        confinement.confine(Limits())


def test_without_any_wall_that_is_said() -> None:
    assert len(Protection(landlock_version=0, seccomp=False).missing()) == 2


def test_the_fork_server_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", IMPORTABLE)
    with Pool(preload=[WORKERS]) as fresh:
        messages = fresh.run(task("sleep"))
        next(messages)
        assert fresh._server is not None
        fresh._server.kill()
        with pytest.raises(HostError, match="the fork server ended"):
            list(messages)
        with pytest.raises(HostError, match="the fork server ended"):
            list(fresh.run(task("count", 1)))


def test_a_library_that_is_missing_is_named() -> None:
    with Pool(preload=["volforensic.no_such_module"]) as fresh, pytest.raises(HostError, match="no_such_module"):
        list(fresh.run(task("count", 1)))


def test_what_lies_in_the_working_directory_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("msgspec", "socket", "volforensic"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('taken over')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", IMPORTABLE)
    with Pool(preload=[WORKERS]) as fresh:
        assert list(fresh.run(task("count", 2))) == [0, 1]


def test_the_parent_is_killed() -> None:
    program = (
        "import sys; from volforensic.sandbox.pool import Pool, Task\n"
        f"with Pool(['{WORKERS}']) as pool:\n"
        f"    task = Task(function='{WORKERS}:descriptors', arguments=None, message_type=int)\n"
        "    messages = pool.run(task)\n"
        "    print(next(messages), pool._server.pid, flush=True)\n"
        "    list(messages)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": IMPORTABLE},
        cwd=TESTS.parent,
    )
    assert parent.stdout is not None
    processes = [int(word) for word in parent.stdout.readline().split()]
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    for _ in range(100):
        left = [process for process in processes if _is_alive(process)]
        if not left:
            break
        time.sleep(0.1)
    assert len(processes) == 2
    assert left == []


def _is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_two_pools_at_once_and_thousands_of_descriptors(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", IMPORTABLE)
    _, highest = resource.getrlimit(resource.RLIMIT_NOFILE)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, highest), highest))
    held = [os.open("/dev/null", os.O_RDONLY) for _ in range(1500 if highest >= 4096 else 100)]
    try:
        with Pool(preload=[WORKERS], jobs=3) as second:
            one, other = pool.run(task("count", 3)), second.run(task("count", 3))
            assert list(zip(one, other, strict=True)) == [(0, 0), (1, 1), (2, 2)]
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_under_the_limits_of_the_examiners_shell() -> None:
    program = (
        "import resource; from volforensic.sandbox.pool import Pool, Task\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))\n"
        "resource.setrlimit(resource.RLIMIT_CPU, (40, 50))\n"
        f"with Pool(['{WORKERS}']) as pool:\n"
        f"    print(list(pool.run(Task(function='{WORKERS}:count', arguments=2, message_type=int))))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": IMPORTABLE}, cwd=TESTS.parent,
    )  # fmt: skip
    assert json.loads(result.stdout) == [0, 1]


def test_more_jobs_than_the_server_could_be_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", IMPORTABLE)
    with Pool(preload=[WORKERS], jobs=100_000) as fresh:
        assert [number for number, _ in fresh.run_all([task("count", 1)] * 130)] == list(range(130))
