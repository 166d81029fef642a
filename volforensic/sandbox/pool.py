"""The parent's side: start the fork server, run tasks in confined workers, take their messages in order.

The parent decodes what comes, checks its length and type, and survives any worker's death: that is a ``Failure``, a
value in the stream like the messages before it. The caller decides whether to try again in smaller pieces.
"""

import contextlib
import fcntl
import mmap
import os
import resource
import selectors
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from volforensic.errors import HostError
from volforensic.sandbox.confinement import Limits
from volforensic.sandbox.messages import (
    MOST_IN_MESSAGE,
    MOST_SOURCE_DESCRIPTORS,
    Ended,
    Kill,
    Lend,
    Notice,
    Order,
    SourceHandle,
    Start,
    Started,
)
from volforensic.sandbox.running import Check, Failure, RunningTask

_SERVER = "import sys; sys.path.append(sys.argv.pop(1)); from volforensic.sandbox.server import main; main()"
_PACKAGE_FOLDER = Path(__file__).resolve().parent.parent.parent
_MOST_FILES = 2 * MOST_SOURCE_DESCRIPTORS
_MOST_JOBS = 64  # the notices of so many fit into the socket: neither side ever waits for the other to read
_KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
_PIPE_SIZE = 1 << 20
_TICK_SECONDS = 0.25
_HELD_TICK_SECONDS = 0.01
_MESSAGE_LIMIT = 64 << 10
_NO_SOURCE = SourceHandle(opener="", descriptors=())


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of work: a worker function by name, its arguments, the source to read, what it yields.

    ``function`` is ``package.module:function`` with ``(Workplace, arguments) -> Iterator[message]``; ``arguments`` go
    through MessagePack. ``message_type`` is what each yielded message is decoded into. ``prepare`` names a function
    without arguments that the worker calls before it is locked in (to open a library's own data); its result is
    ``Workplace.prepared``. ``check`` looks at each message in the parent; a task with one runs once. ``reach`` tells up
    to which byte the source may be read (``Workplace.wait_for``): it is asked again and again while the worker runs,
    and given the byte that the worker waits for (0: none, or it is not its turn yet).
    """

    function: str
    arguments: Any
    message_type: Any
    source: SourceHandle | None = None
    limits: Limits = Limits()
    prepare: str = ""
    check: Check | None = None
    reach: Callable[[int], int] | None = None


class Pool:
    """A fork server and the workers that it forks. Close it (a context manager) to end them."""

    def __init__(self, preload: Iterable[str], jobs: int = 2) -> None:
        """Note which modules the server loads before it forks, and how many workers may run at once."""
        self.jobs = min(max(1, jobs), _MOST_JOBS)
        self._preload = tuple(preload)
        self._tasks_started = 0
        self._notices: dict[int, list[Started | Ended]] = {}  # by task, for those that run
        self._decoder = msgspec.msgpack.Decoder(Notice)
        self._server: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None
        self._errors = -1

    def __enter__(self) -> Self:
        """Start the fork server."""
        _allow_files()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._errors = os.memfd_create("errors", os.MFD_CLOEXEC)
        with theirs:
            # -P: what lies in the working directory is not ours, and may be the evidence.
            self._server = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-P", "-c", _SERVER, str(_PACKAGE_FOLDER), str(theirs.fileno()), *self._preload],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                env={name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ},
                pass_fds=[theirs.fileno()],
            )
        self._connection = ours
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the server; its workers end with it."""
        if self._connection is not None:
            self._connection.close()
        if self._server is not None:
            try:
                self._server.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self._server.kill()
                self._server.wait()
        if self._errors >= 0:
            os.close(self._errors)
            self._errors = -1

    def run(self, task: Task) -> Iterator[Any]:
        """Yield one task's messages as they come; a ``Failure`` comes last where the worker did not end well."""
        for _, message in self.run_all([task]):
            yield message

    def run_all(self, tasks: Iterable[Task]) -> Iterator[tuple[int, Any]]:
        """Yield ``(index of the task, message)`` in the order of the tasks, up to ``jobs`` of them at work at once.

        Each task's messages end with a ``Failure`` where its worker did not end well. A task that is ahead of its
        turn is read until its messages fill a bounded buffer, then it waits.
        """
        waiting = iter(enumerate(tasks))
        active: deque[tuple[int, RunningTask]] = deque()
        try:
            while True:
                while len(active) < self.jobs and (following := next(waiting, None)) is not None:
                    active.append((following[0], self._start(following[1])))
                if not active:
                    return
                index, head = active[0]
                for message in head.take():
                    yield index, message
                if head.finished:
                    active.popleft()
                    self._forget(head)
                    if head.failure is not None:
                        yield index, head.failure
                    continue
                self._wait([running for _, running in active], head)
        finally:
            for _, running in active:
                self._kill(running)
                self._forget(running)

    def _start(self, task: Task) -> RunningTask:
        if task.source is not None and len(task.source.descriptors) > MOST_SOURCE_DESCRIPTORS:
            raise HostError("sandbox", f"a source of more than {MOST_SOURCE_DESCRIPTORS} files cannot be read")
        self._tasks_started += 1
        number = self._tasks_started
        with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:
            arguments, heartbeat = _memory("arguments", theirs), _memory("heartbeat", theirs)
            reader, writer = os.pipe2(os.O_CLOEXEC)
            ours.callback(os.close, reader)
            theirs.callback(os.close, writer)
            os.set_blocking(reader, False)
            with contextlib.suppress(OSError):  # over a user's limit for pipes it stays smaller
                fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
            source = task.source or _NO_SOURCE
            _write_all(arguments, msgspec.msgpack.encode((task.arguments, source.recipe)))
            os.truncate(heartbeat, mmap.PAGESIZE)
            # A page that a worker could cut off would kill the parent when it looks.
            fcntl.fcntl(heartbeat, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
            page = mmap.mmap(heartbeat, mmap.PAGESIZE)
            descriptors = [arguments, writer, heartbeat, *source.descriptors]
            order = Start(
                task=number, function=task.function, prepare=task.prepare, opener=source.opener, limits=task.limits
            )
            last = max(0, len(descriptors) - 1) // MOST_IN_MESSAGE * MOST_IN_MESSAGE
            for place in range(0, last, MOST_IN_MESSAGE):
                self._send(Lend(), descriptors[place : place + MOST_IN_MESSAGE])
            self._send(order, descriptors[last:])
            ours.pop_all()
        self._notices[number] = []
        running = RunningTask(number, task.message_type, task.limits, reader, page, task.check, task.reach)
        running.show_reach(is_head=False)
        return running

    def _wait(self, running: list[RunningTask], head: RunningTask) -> None:
        with selectors.DefaultSelector() as selector:
            if self._connection is None:
                raise HostError("sandbox", "the fork server is not running")
            selector.register(self._connection, selectors.EVENT_READ, None)
            listened = [task for task in running if task.wants_data(is_head=task is head)]
            for task in listened:
                selector.register(task.reader, selectors.EVENT_READ, task)
            is_held = any(task.is_held for task in running)
            for key, _ in selector.select(_HELD_TICK_SECONDS if is_held else _TICK_SECONDS):
                if key.data is None:
                    self._take_notice()
                else:
                    key.data.read()
        now = time.monotonic()
        for task in running:
            task.show_reach(is_head=task is head)
            self._deliver(task)
            if task.overdue(now, is_read=task in listened):
                self._kill(task)

    def _take_notice(self) -> None:
        try:
            data = self._connection.recv(_MESSAGE_LIMIT) if self._connection is not None else b""
        except OSError:
            data = b""
        if not data:
            raise self._server_ended()
        notice = self._decoder.decode(data)
        if notice.task in self._notices:  # else of a task that was given up
            self._notices[notice.task].append(notice)

    def _deliver(self, running: RunningTask) -> None:
        for notice in self._notices[running.number]:
            running.notice(notice)
        self._notices[running.number] = []

    def _forget(self, running: RunningTask) -> None:
        running.close()
        self._notices.pop(running.number, None)

    def _server_ended(self) -> HostError:
        """Return the error to raise; the last thing that the server said is why."""
        said = os.pread(self._errors, _MESSAGE_LIMIT, 0).decode(errors="replace").strip() if self._errors >= 0 else ""
        reason = said.rpartition("\n")[2][:200]
        return HostError(
            "sandbox",
            "the fork server ended" + (f": {reason}" if reason else " (killed, or out of memory)"),
            "Run `volforensic doctor`; a library may be missing",
        )

    def _kill(self, running: RunningTask) -> None:
        with contextlib.suppress(HostError):  # the server may be gone already, and its workers with it
            self._send(Kill(task=running.number), [])

    def _send(self, order: Order, descriptors: list[int]) -> None:
        if self._connection is None:
            raise HostError("sandbox", "the fork server is not running")
        try:
            socket.send_fds(self._connection, [msgspec.msgpack.encode(order)], descriptors)
        except OSError as error:
            raise self._server_ended() from error


def _allow_files() -> None:
    """Let this process, and the server that it starts, open as many files as an image may lie in, where it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(_MOST_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _memory(name: str, stack: contextlib.ExitStack) -> int:
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    stack.callback(os.close, descriptor)
    return descriptor


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


__all__ = ["Check", "Failure", "Limits", "Pool", "SourceHandle", "Task"]
