"""The parent's side: start the fork server, run tasks in confined workers, take their messages in order.

The parent decodes what comes, checks its length and type, and survives any worker's death: that is a ``Failure``, a
value in the stream like the messages before it. The caller decides whether to try again in smaller pieces.
"""

import contextlib
import mmap
import os
import selectors
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, Self

import msgspec

from volforensic.errors import HostError
from volforensic.sandbox.confinement import Limits
from volforensic.sandbox.messages import Ended, Kill, Notice, Order, Start, Started
from volforensic.sandbox.running import Failure, RunningTask

_SERVER_MODULE = "volforensic.sandbox.server"
_KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
_PIPE_SIZE = 1 << 20
_SET_PIPE_SIZE = 1031  # F_SETPIPE_SZ, fcntl(2)
_TICK_SECONDS = 0.25
_MESSAGE_LIMIT = 64 << 10


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of work: a worker function by name, its arguments, the source's descriptor, what it yields.

    ``function`` is ``package.module:function`` with ``(Workplace, arguments) -> Iterator[message]``; ``arguments`` go
    through MessagePack. ``message_type`` is what each yielded message is decoded into. ``prepare`` names a function
    without arguments that the worker calls before it is locked in (to open a library's own data); its result is
    ``Workplace.prepared``.
    """

    function: str
    arguments: Any
    message_type: Any
    source: int = -1
    limits: Limits = Limits()
    prepare: str = ""


class Pool:
    """A fork server and the workers that it forks. Close it (a context manager) to end them."""

    def __init__(self, preload: Iterable[str], jobs: int = 2) -> None:
        """Note which modules the server loads before it forks, and how many workers may run at once."""
        self.jobs = max(1, jobs)
        self.processor_seconds = 0.0
        self.peak_memory = 0
        self._preload = tuple(preload)
        self._tasks_started = 0
        self._notices: dict[int, list[Started | Ended]] = {}
        self._decoder = msgspec.msgpack.Decoder(Notice)
        self._server: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None

    def __enter__(self) -> Self:
        """Start the fork server."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._server = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", _SERVER_MODULE, str(theirs.fileno()), *self._preload],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
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
                    self._account(head)
                    head.close()
                    if head.failure is not None:
                        yield index, head.failure
                    continue
                self._wait([running for _, running in active], head)
        finally:
            for _, running in active:
                self._kill(running)
                running.close()

    def _start(self, task: Task) -> RunningTask:
        self._tasks_started += 1
        number = self._tasks_started
        arguments = os.memfd_create("arguments", os.MFD_CLOEXEC)
        heartbeat = os.memfd_create("heartbeat", os.MFD_CLOEXEC)
        os.truncate(heartbeat, mmap.PAGESIZE)
        reader, writer = os.pipe2(os.O_CLOEXEC)
        with contextlib.suppress(OSError):  # over a user's limit for pipes it stays smaller
            _set_pipe_size(reader)
        try:
            _write_all(arguments, msgspec.msgpack.encode(task.arguments))
            descriptors = [arguments, writer, heartbeat] + ([task.source] if task.source >= 0 else [])
            self._send(
                Start(task=number, function=task.function, prepare=task.prepare, limits=task.limits), descriptors
            )
            page = mmap.mmap(heartbeat, mmap.PAGESIZE)
        finally:
            for descriptor in (arguments, heartbeat, writer):
                os.close(descriptor)
        os.set_blocking(reader, False)
        return RunningTask(number, task.message_type, task.limits, reader, page)

    def _wait(self, running: list[RunningTask], head: RunningTask) -> None:
        with selectors.DefaultSelector() as selector:
            if self._connection is None:
                raise HostError("sandbox", "the fork server is not running")
            selector.register(self._connection, selectors.EVENT_READ, None)
            for task in running:
                if task.wants_data(is_head=task is head):
                    selector.register(task.reader, selectors.EVENT_READ, task)
            for key, _ in selector.select(_TICK_SECONDS):
                if key.data is None:
                    self._take_notice()
                else:
                    key.data.read()
        now = time.monotonic()
        for task in running:
            self._deliver(task)
            if task.overdue(now, is_read=task.wants_data(is_head=task is head)):
                self._kill(task)

    def _take_notice(self) -> None:
        if self._connection is None:
            return
        data = self._connection.recv(_MESSAGE_LIMIT)
        if not data:
            raise HostError("sandbox", "the fork server ended", "Run `volforensic doctor`; a library may be missing")
        notice = self._decoder.decode(data)
        self._notices.setdefault(notice.task, []).append(notice)

    def _deliver(self, running: RunningTask) -> None:
        for notice in self._notices.pop(running.number, []):
            running.notice(notice)

    def _account(self, running: RunningTask) -> None:
        if running.ended is not None:
            self.processor_seconds += running.ended.processor_seconds
            self.peak_memory = max(self.peak_memory, running.ended.peak_memory)

    def _kill(self, running: RunningTask) -> None:
        with contextlib.suppress(OSError):  # the server may be gone already, and its workers with it
            self._send(Kill(task=running.number), [])

    def _send(self, order: Order, descriptors: list[int]) -> None:
        if self._connection is None:
            raise HostError("sandbox", "the fork server is not running")
        socket.send_fds(self._connection, [msgspec.msgpack.encode(order)], descriptors)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _set_pipe_size(descriptor: int) -> None:
    import fcntl  # noqa: PLC0415 - used here alone

    fcntl.fcntl(descriptor, _SET_PIPE_SIZE, _PIPE_SIZE)


__all__ = ["Failure", "Limits", "Pool", "Task"]
