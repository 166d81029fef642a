"""The fork server: a small process with the parsers' libraries loaded, which forks a worker for each task.

It is started by the pool with one socket, reads no evidence itself and ends when the socket closes. Workers die with
it.
"""

import gc
import os
import select
import signal
import socket
import sys
from importlib import import_module

import msgspec

from volforensic.sandbox.confinement import die_with_parent
from volforensic.sandbox.messages import MOST_IN_MESSAGE, Ended, Kill, Order, Start, Started
from volforensic.sandbox.worker import Descriptors, Work, run

MESSAGE_LIMIT = 64 << 10
_GARBAGE_AFTER = 100_000  # objects: circles are rare here, and looking for them is not free
_CODECS = (
    "ascii",
    "latin_1",
    "utf_8",
    "utf_8_sig",
    "utf_16",
    "utf_16_be",
    "utf_16_le",
    "utf_32_le",
    "cp1252",
    "unicode_escape",
    "raw_unicode_escape",
)
_HIGHEST_DESCRIPTOR = 1 << 20


class _Server:
    """Holds the socket to the parent and the workers that run."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.workers: dict[int, int] = {}  # process id to task
        self.decoder = msgspec.msgpack.Decoder(Order)
        self.lent: list[int] = []

    def serve(self) -> None:
        wake_up, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        poll = select.poll()  # select(2) takes no descriptor above 1023
        poll.register(self.connection, select.POLLIN)
        poll.register(wake_up, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll()}
            if wake_up in ready:
                os.read(wake_up, 4096)
            self._reap()
            if self.connection.fileno() in ready and not self._take_order():
                return

    def _take_order(self) -> bool:
        data, descriptors, _, _ = socket.recv_fds(self.connection, MESSAGE_LIMIT, MOST_IN_MESSAGE)
        if not data:
            self._kill_all()
            return False
        order = self.decoder.decode(data)
        if isinstance(order, Kill):
            self._kill(order.task)
            return True
        self.lent += descriptors
        if isinstance(order, Start):
            self._start(order, self.lent)
            for descriptor in self.lent:
                os.close(descriptor)
            self.lent.clear()
        return True

    def _start(self, order: Start, descriptors: list[int]) -> None:
        server = os.getpid()
        try:
            process = os.fork()
        except OSError:  # too many processes, no memory: this task fails, the server goes on
            self._tell(Ended(task=order.task, status=os.EX_OSERR, processor_seconds=0, peak_memory=0))
            return
        if process == 0:
            self._become_worker(order, descriptors, server)
        self.workers[process] = order.task
        self._tell(Started(task=order.task, process=process))

    def _become_worker(self, order: Start, descriptors: list[int], server: int) -> None:
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            die_with_parent()
            if os.getppid() != server:  # it died before the kernel was told
                os._exit(1)
            os.dup2(1, 2)  # to nowhere: the server's standard error is read by the parent
            _close_others({0, 1, 2, *descriptors})
            arguments, result, heartbeat, *sources = descriptors
            work = Work(order.function, order.prepare, order.opener, order.limits)
            run(work, Descriptors(arguments, result, heartbeat, tuple(sources)))
        finally:
            os._exit(1)

    def _reap(self) -> None:
        while self.workers:
            process, status, usage = os.wait4(-1, os.WNOHANG)
            if not process:
                return
            self._tell(
                Ended(
                    task=self.workers.pop(process),
                    status=os.waitstatus_to_exitcode(status),
                    processor_seconds=usage.ru_utime + usage.ru_stime,
                    peak_memory=usage.ru_maxrss * 1024,
                )
            )

    def _kill(self, task: int) -> None:
        for process, owner in self.workers.items():
            if owner == task:
                os.kill(process, signal.SIGKILL)

    def _kill_all(self) -> None:
        for process in self.workers:
            os.kill(process, signal.SIGKILL)

    def _tell(self, notice: Started | Ended) -> None:
        self.connection.send(msgspec.msgpack.encode(notice))


def _close_others(kept: set[int]) -> None:
    low = 0
    for descriptor in sorted(kept):
        if low < descriptor:  # closerange(0, 0) closes everything there is
            os.closerange(low, descriptor)
        low = descriptor + 1
    os.closerange(low, _HIGHEST_DESCRIPTOR)


def main() -> None:
    """Serve on the socket whose number is the first argument, with the modules of the others loaded."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    die_with_parent()
    for module in (*(f"encodings.{codec}" for codec in _CODECS), *sys.argv[2:]):
        import_module(module)
    gc.freeze()  # what is loaded stays: workers need not look through it, nor copy its pages
    gc.set_threshold(_GARBAGE_AFTER)
    connection = socket.socket(fileno=int(sys.argv[1]))
    try:
        _Server(connection).serve()
    except (BrokenPipeError, ConnectionResetError):
        return  # the parent is gone, and the workers go with this process


if __name__ == "__main__":
    main()
