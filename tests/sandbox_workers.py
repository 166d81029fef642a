"""Worker functions that misbehave, for the tests of the sandbox and of the stages above it."""

import contextlib
import ctypes
import fcntl
import io
import mmap
import os
import signal
import socket
import termios
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from volforensic.evidence.raw_medium import RawMedium
from volforensic.medium import Medium
from volforensic.sandbox.messages import FRAME_HEADER, FRAME_LIMIT, HEARTBEAT
from volforensic.sandbox.worker import Workplace


def count(place: Workplace, up_to: int) -> Iterator[int]:
    for number in range(up_to):
        place.begin_item(number)
        yield number


def read_source(place: Workplace, _arguments: object) -> Iterator[bytes]:
    yield place.source.read_at(0, 5)


def crash_at(place: Workplace, item: int) -> Iterator[int]:
    for number in range(100):
        place.begin_item(number)
        if number == item:
            ctypes.string_at(0)
        yield number


def burn(place: Workplace, _arguments: object) -> Iterator[int]:
    place.begin_item(7)
    yield 1
    while True:
        pass


def sleep(place: Workplace, _arguments: object) -> Iterator[int]:
    place.begin_item(8)
    yield 1
    time.sleep(1000)
    yield 2


def eat_memory(_place: Workplace, _arguments: object) -> Iterator[int]:
    yield 1
    hoard = [bytearray(50 << 20) for _ in range(200)]
    yield len(hoard)


def flood(_place: Workplace, _arguments: object) -> Iterator[bytes]:
    while True:
        yield bytes(1 << 20)


def announce_too_much(_place: Workplace, _arguments: object) -> Iterator[int]:
    os.write(_pipe(), FRAME_HEADER.pack(FRAME_LIMIT + 1, 1) + b"x" * 100)
    yield 1


def send_garbage(_place: Workplace, _arguments: object) -> Iterator[int]:
    os.write(_pipe(), FRAME_HEADER.pack(4, 1) + b"\xc1\xc1\xc1\xc1")
    yield 1


def send_wrong_type(_place: Workplace, _arguments: object) -> Iterator[str]:
    yield "text where a number is declared"


def raise_late(_place: Workplace, _arguments: object) -> Iterator[int]:
    yield 1
    raise KeyError("damaged \x1b[2J")


def end_silently(_place: Workplace, _arguments: object) -> Iterator[int]:
    yield 1
    os._exit(0)


def puppet(place: Workplace, script: list[list[Any]]) -> Iterator[int]:
    """Do what the test says, step by step, with the pipe, the heartbeat page and the process itself."""
    pipe = _pipe()
    steps: dict[str, Callable[..., Any]] = {
        "send": lambda data, times=1: _write(pipe, data, times),
        "beat": lambda signs, item: HEARTBEAT.pack_into(place._heartbeat, 0, signs, item),
        "beat for ever": lambda: _for_ever(place.begin_item),
        "drip for ever": lambda data: _for_ever(lambda _: _write(pipe, data)),
        "close": lambda: os.close(pipe),
        "sleep": time.sleep,
        "shout": lambda data: os.write(2, data),
        "exit": os._exit,
        "abort": os.abort,
        "cut the page": lambda: _cut_off(descriptor for descriptor in range(3, 10) if descriptor != pipe),
    }
    for name, *arguments in script:
        steps[name](*arguments)
    os._exit(0)
    yield 1


def _write(pipe: int, data: bytes, times: int = 1) -> None:
    for _ in range(times):
        view = memoryview(data)
        while view:
            view = view[os.write(pipe, view) :]


def _cut_off(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        os.ftruncate(descriptor, 0)


def _for_ever(act: Callable[[int], Any]) -> None:
    number = 0
    while True:
        number += 1
        act(number)
        time.sleep(0.05)


def descriptors(_place: Workplace, _arguments: object) -> Iterator[int]:
    """Give the process id; the test looks at the process from outside while it sleeps."""
    yield os.getpid()
    time.sleep(1000)


def threads(_place: Workplace, _arguments: object) -> Iterator[int]:
    """Start threads until the kernel refuses; give their number."""
    end = threading.Event()
    threading.stack_size(64 << 10)
    count = 0
    try:
        for _ in range(5000):
            threading.Thread(target=end.wait, daemon=True).start()
            count += 1
    except RuntimeError:
        pass
    yield count
    os._exit(0)


def memory(_place: Workplace, kind: str) -> Iterator[int]:
    """Take memory of one kind, 64 MiB at a time, and touch it, up to 4 GiB; give how many MiB came."""
    flags = {
        "private": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS,
        "shared": mmap.MAP_SHARED | mmap.MAP_ANONYMOUS,
        "growing downwards": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x100,
    }[kind]
    taken: list[mmap.mmap] = []
    with contextlib.suppress(OSError, MemoryError):
        while len(taken) < 64:
            taken.append(mmap.mmap(-1, 64 << 20, flags=flags))
            for place in range(0, 64 << 20, 4096):
                taken[-1][place] = 1
    yield len(taken) * 64


def _pipe() -> int:
    """Return the descriptor of the result pipe: the one that can be written to and has no position."""
    for descriptor in range(3, 64):
        with contextlib.suppress(OSError):
            os.write(descriptor, b"")
            try:
                os.lseek(descriptor, 0, os.SEEK_CUR)
            except OSError:
                return descriptor
    raise AssertionError("no pipe")


def _descriptor(source: Medium) -> int:
    assert isinstance(source, RawMedium)
    return source.descriptor


def escape(place: Workplace, paths: dict[str, str]) -> Iterator[dict[str, str]]:
    outcome = {}
    for name, attempt in _attempts({**paths, "source": str(_descriptor(place.source)), "pipe": str(_pipe())}).items():
        try:
            attempt()
            outcome[name] = "ALLOWED"
        except (OSError, MemoryError) as error:
            outcome[name] = type(error).__name__
    yield outcome


def _attempts(paths: dict[str, str]) -> dict[str, Callable[[], Any]]:
    parent = int(paths["parent"])
    image = paths["image"]
    library = ctypes.CDLL(None, use_errno=True)

    def raw(number: int, *arguments: Any) -> None:
        if library.syscall(ctypes.c_long(number), *arguments) < 0:
            raise OSError(ctypes.get_errno(), "refused")

    return {
        "read passwd": lambda: Path("/etc/passwd").read_bytes(),
        "read its own program": lambda: Path(__file__).read_bytes(),
        "list a folder": lambda: os.listdir("/"),  # noqa: PTH208 - the system call itself is tried
        "read the parent's environment": lambda: Path(f"/proc/{parent}/environ").read_bytes(),
        "read the parent's memory": lambda: io.FileIO(f"/proc/{parent}/mem").read(1),
        "open the image by its name": lambda: Path(image).read_bytes(),
        "write the image": lambda: Path(image).write_bytes(b""),
        "create a file": lambda: Path(image + ".new").touch(),
        "truncate the image": lambda: os.truncate(image, 1),
        "unlink the image": lambda: Path(image).unlink(),
        "chmod the image": lambda: Path(image).chmod(0o777),
        "change the image's times": lambda: os.utime(image, (1, 1)),
        "stat the image": lambda: os.stat(image),  # noqa: PTH116 - the system call itself is tried
        "TCP socket": socket.socket,
        "UDP socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
        "unix socket": lambda: socket.socket(socket.AF_UNIX),
        "exec": lambda: os.execv("/bin/true", ["true"]),  # noqa: S606 - the system call itself is tried
        "signal the parent": lambda: os.kill(parent, 0),
        "fork": lambda: os.fork() or os._exit(0),
        "ptrace the parent": lambda: raw(101, 16, parent, 0, 0),
        "mount": lambda: raw(165, b"none", b"/mnt", b"tmpfs", 0, None),
        "io_uring": lambda: raw(425, ctypes.c_uint(1), ctypes.create_string_buffer(120)),
        "new namespaces": lambda: raw(272, 0x10000000),
        "write the source": lambda: os.pwrite(int(paths["source"]), b"x", 0),
        "raise its own limits": lambda: raw(302, 0, 9, ctypes.create_string_buffer(b"\xff" * 16), None),
        "allocate 4 GiB": lambda: bytearray(4 << 30),
        "memory file": lambda: os.memfd_create("x"),
        "open the parent's descriptors": lambda: raw(434, parent, 0),
        "signal through a descriptor of the parent": lambda: raw(424, 0, 9, None, 0),
        "read the parent's memory by vectors": lambda: raw(310, parent, None, 0, None, 0, 0),
        "write the parent's memory by vectors": lambda: raw(311, parent, None, 0, None, 0, 0),
        "limit the parent": lambda: raw(302, parent, 0, bytes(16), None),
        "move the parent to one processor": lambda: os.sched_setaffinity(parent, {0}),
        "give the parent another priority": lambda: os.setpriority(os.PRIO_PROCESS, parent, 19),
        "type into the terminal": lambda: fcntl.ioctl(0, termios.TIOCSTI, b"x"),
        "ioctl on the pipe": lambda: fcntl.ioctl(int(paths["pipe"]), termios.FIONREAD, b"1234"),
        "have signals sent to the parent": lambda: fcntl.fcntl(int(paths["pipe"]), fcntl.F_SETOWN, parent),
        "make the pipe blocking for others": lambda: fcntl.fcntl(int(paths["pipe"]), fcntl.F_SETFL, os.O_NONBLOCK),
        "copy a descriptor": lambda: os.dup(0),
        "open the source again, writable": lambda: os.open(f"/proc/self/fd/{paths['source']}", os.O_RDWR),
        "list its own descriptors": lambda: os.listdir("/proc/self/fd"),  # noqa: PTH208 - the system call itself
        "timer signal": lambda: signal.setitimer(signal.ITIMER_REAL, 1000),
        "POSIX timer": lambda: raw(222, 0, None, None),
        "signal a thread": lambda: raw(234, parent, parent, 0),
        "shared memory": lambda: mmap.mmap(-1, 4096),
        "memory that grows downwards": lambda: mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | 0x120),
        "set its own limits": lambda: raw(160, 7, bytes(16)),
        "become root again": lambda: os.setresuid(0, 0, 0),
        "change the process's settings": lambda: raw(157, 4, 1, 0, 0, 0),
        "user namespace by clone3": lambda: raw(435, ctypes.create_string_buffer(88), ctypes.c_size_t(88)),
        "message queue": lambda: raw(240, b"x", 0o102, 0o600, None),
        "keyring": lambda: raw(250, 0, 0, 0, 0),
        "BPF": lambda: raw(321, 0, None, 0),
        "performance counters": lambda: raw(298, None, 0, 0, 0, 0),
        "userfaultfd": lambda: raw(323, 0),
        "lock the source": lambda: fcntl.flock(int(paths["source"]), fcntl.LOCK_EX),
        "send the source on": lambda: os.sendfile(int(paths["pipe"]), int(paths["source"]), 0, 1),
        "32-bit or x32 calls": lambda: raw(0x40000000 | 39),
    }
