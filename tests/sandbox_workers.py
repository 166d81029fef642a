"""Worker functions that misbehave, for tests/test_sandbox.py."""

import contextlib
import ctypes
import io
import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from volforensic.sandbox.messages import FRAME_HEADER, FRAME_LIMIT
from volforensic.sandbox.worker import Workplace


def count(place: Workplace, up_to: int) -> Iterator[int]:
    for number in range(up_to):
        place.begin_item(number)
        yield number


def read_source(place: Workplace, _arguments: object) -> Iterator[bytes]:
    yield os.pread(place.source, 5, 0)


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
    signal.pause() if False else _wait_for_ever()
    yield 2


def _wait_for_ever() -> None:
    import time  # noqa: PLC0415 - only this worker sleeps

    time.sleep(1000)


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


def _pipe() -> int:
    """Return the descriptor of the result pipe: the only one above the standard three that can be written to."""
    for descriptor in range(3, 64):
        with contextlib.suppress(OSError):
            if os.write(descriptor, b"") == 0:
                return descriptor
    raise AssertionError("no pipe")


def escape(_place: Workplace, paths: dict[str, str]) -> Iterator[dict[str, str]]:
    outcome = {}
    for name, attempt in _attempts(paths).items():
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
    }
