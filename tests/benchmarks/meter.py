"""Runs one program and measures it with everything that it starts."""

import contextlib
import ctypes
import os
import resource
import selectors
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

_SET_CHILD_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER, prctl(2)
_TICKS = os.sysconf("SC_CLK_TCK")
_KEPT_LINES = 20
_READ_SIZE = 1 << 16
_TICK_SECONDS = 10.0
_LAST_LINES_SECONDS = 2.0


class Measured(NamedTuple):
    """What a run cost.

    CPU is user and system time of the whole tree, memory the resident peak of its largest process. ``bytes_requested``
    counts what the tree asked for by read calls, pipes and its own libraries among it. A run that was ended at its
    time-out has no exit status.
    """

    user_seconds: float
    system_seconds: float
    wall_seconds: float
    peak_memory: int
    bytes_requested: int
    exit_status: int | None
    last_lines: tuple[str, ...]

    @property
    def cpu_seconds(self) -> float:
        """User and system time."""
        return self.user_seconds + self.system_seconds


LineReader = Callable[[bytes, int], None]
"""Is given each line of the program's standard error as it comes, and the program's process id."""


def measure(
    command: Sequence[str | Path],
    output: Path,
    *,
    timeout: float,
    on_line: LineReader = lambda _line, _process: None,
    on_tick: Callable[[float], None] = lambda _seconds: None,
) -> Measured:
    """Run a program to its end, its standard output into a file, and say what its tree cost.

    ``timeout`` is in seconds; then the tree is killed. ``on_tick`` is called every ten seconds with those gone by.

    Orphans count too: they become children of this process and are waited for, so no child of the caller's own may
    run at the same time.
    """
    requested = _bytes_requested()
    started = time.monotonic()
    with _adopting_orphans(), output.open("wb") as stream:
        program = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        with program, _ending(program):
            lines = _Lines(program, on_line)
            in_time = _wait(program, lines, started, timeout, on_tick)
            wall = time.monotonic() - started
            usages = list(_reap(program))
            lines.read_rest()
    return Measured(
        user_seconds=sum(usage.ru_utime for usage in usages),
        system_seconds=sum(usage.ru_stime for usage in usages),
        wall_seconds=wall,
        peak_memory=max(usage.ru_maxrss for usage in usages) * 1024,
        bytes_requested=_bytes_requested() - requested,
        exit_status=program.returncode if in_time else None,
        last_lines=tuple(lines.last),
    )


def tree_seconds(process: int) -> float:
    """Return the CPU seconds so far of a process, its living descendants and those that were waited for.

    Fields 14 to 17 of /proc/PID/stat, proc(5), in clock ticks of 10 ms. A process that is gone counts nothing.
    """
    try:
        fields = Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / _TICKS + sum(tree_seconds(child) for child in _children(process))


class _Lines:
    """Cuts a program's standard error into lines, hands them on and keeps the last ones."""

    def __init__(self, program: subprocess.Popen[bytes], on_line: LineReader) -> None:
        if program.stderr is None:
            raise ValueError("standard error is not a pipe")
        self.descriptor = program.stderr.fileno()
        self.last: deque[str] = deque(maxlen=_KEPT_LINES)
        self._process = program.pid
        self._on_line = on_line
        self._rest = b""
        os.set_blocking(self.descriptor, False)

    def read(self) -> bool:
        """Take what is there; False at the end of the stream."""
        try:
            data = os.read(self.descriptor, _READ_SIZE)
        except BlockingIOError:
            return True
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self.last.append(line.decode(errors="replace"))
            self._on_line(line, self._process)
        return bool(data)

    def read_rest(self) -> None:
        """Take what is left after the program's end: nobody writes any more, unless a process got away."""
        until = time.monotonic() + _LAST_LINES_SECONDS
        while self.read() and time.monotonic() < until:
            pass


def _wait(
    program: subprocess.Popen[bytes], lines: _Lines, started: float, timeout: float, on_tick: Callable[[float], None]
) -> bool:
    """Wait for the program's end while its lines are read; kill it at the time-out and say False."""
    ended = os.pidfd_open(program.pid)
    told = started
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(ended, selectors.EVENT_READ)
            selector.register(lines.descriptor, selectors.EVENT_READ)
            while (now := time.monotonic()) < started + timeout:
                if now - told >= _TICK_SECONDS:
                    told = now
                    on_tick(now - started)
                ready = {key.fd for key, _ in selector.select(min(_TICK_SECONDS, started + timeout - now))}
                if lines.descriptor in ready and not lines.read():
                    selector.unregister(lines.descriptor)
                if ended in ready:
                    return True
    finally:
        os.close(ended)
    _kill(program)
    return False


def _kill(program: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(program.pid, signal.SIGKILL)


@contextlib.contextmanager
def _ending(program: subprocess.Popen[bytes]) -> Iterator[None]:
    """Kill the program and its tree where the measuring itself is interrupted."""
    try:
        yield
    except BaseException:
        _kill(program)
        raise


def _reap(program: subprocess.Popen[bytes]) -> Iterator[resource.struct_rusage]:
    """Yield the usage of the program (its waited-for descendants in it) and of every orphan that it left, killed."""
    while True:
        for child in _children(os.getpid()):
            if child != program.pid:
                os.kill(child, signal.SIGKILL)
        try:
            process, status, usage = os.wait4(-1, 0)
        except ChildProcessError:
            return
        if process == program.pid:
            program.returncode = os.waitstatus_to_exitcode(status)
        yield usage


def _children(process: int) -> list[int]:
    children: list[int] = []
    with contextlib.suppress(OSError):  # the process may end at any moment
        for thread in Path(f"/proc/{process}/task").iterdir():
            children += map(int, (thread / "children").read_bytes().split())
    return children


def _bytes_requested() -> int:
    """Return the bytes that this process and those it waited for have read by read calls (rchar, proc(5))."""
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["rchar"])


@contextlib.contextmanager
def _adopting_orphans() -> Iterator[None]:
    """Let processes whose parent ended become this process's children, so that their CPU seconds are counted."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl: orphans cannot be adopted")
    try:
        yield
    finally:
        library.prctl(_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
