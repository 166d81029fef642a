"""One task that a worker has in hand, as the parent sees it: its frames, its signs of life, its end."""

import mmap
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from volforensic.sandbox.confinement import Limits
from volforensic.sandbox.messages import (
    FRAME_HEADER,
    FRAME_LIMIT,
    HEARTBEAT,
    KIND_DONE,
    KIND_FAILED,
    Ended,
    Started,
)

_READ_SIZE = 1 << 20
_BUFFER_LIMIT = 64 << 20
_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A worker that did not end well: why, and which item it had in hand (None when it had begun none)."""

    reason: str
    item: int | None = None


class RunningTask:
    """Holds the pipe and the heartbeat page of one worker."""

    def __init__(self, number: int, message_type: Any, limits: Limits, reader: int, page: mmap.mmap) -> None:
        """Take the descriptors; ``close`` gives them back."""
        self.number = number
        self.reader = reader
        self.ended: Ended | None = None
        self.failure: Failure | None = None
        self._limits = limits
        self._page = page
        self._decoder = msgspec.msgpack.Decoder(message_type)
        self._buffer = bytearray()
        self._received = 0
        self._process = 0
        self._is_done = False
        self._is_closed = False
        self._last_sign = (0, 0)
        self._last_sign_time = time.monotonic()
        self._last_sign_cpu = 0.0

    @property
    def finished(self) -> bool:
        """Whether everything that will ever come has been taken and the worker is gone."""
        return self._is_closed and self.ended is not None and not self._has_frame()

    def wants_data(self, *, is_head: bool) -> bool:
        """Return whether the pipe is to be read now; one that is ahead of its turn only fills a bounded buffer."""
        return not self._is_closed and (len(self._buffer) < _BUFFER_LIMIT if not is_head else not self._has_frame())

    def read(self) -> None:
        """Take what the pipe has."""
        data = os.read(self.reader, _READ_SIZE)
        self._buffer += data
        self._received += len(data)
        if not data:
            self._is_closed = True
        elif self._received > self._limits.output:
            self._fail(f"the worker wrote more than {self._limits.output} bytes")

    def take(self) -> Iterator[Any]:
        """Yield the messages that are complete."""
        while self._has_frame():
            length, kind = FRAME_HEADER.unpack_from(self._buffer)
            body = bytes(self._buffer[FRAME_HEADER.size : FRAME_HEADER.size + length])
            del self._buffer[: FRAME_HEADER.size + length]
            if kind == KIND_DONE:
                self._is_done = True
            elif kind == KIND_FAILED:
                self._fail(msgspec.msgpack.decode(body, type=str))
            else:
                yield from self._decode(body)

    def notice(self, notice: Started | Ended) -> None:
        """Take what the server says of this worker."""
        if isinstance(notice, Started):
            self._process = notice.process
            return
        self.ended = notice
        if notice.status != 0:
            self._fail(_describe_end(notice))

    def overdue(self, now: float, *, is_read: bool) -> bool:
        """Return whether the worker must be ended: broken frames, too much output, or no sign of life for too long."""
        if self.ended is not None:
            return False
        if self.failure is not None and not self._is_closed:
            return True
        sign = (HEARTBEAT.unpack_from(self._page)[0], self._received)
        if sign != self._last_sign or not is_read:
            self._last_sign, self._last_sign_time, self._last_sign_cpu = sign, now, self._processor_seconds()
            return False
        silence = now - self._last_sign_time
        if silence > self._limits.silence_seconds:
            self._fail(f"no sign of life for {self._limits.silence_seconds} seconds")
        elif silence > self._limits.item_seconds:
            burnt = self._processor_seconds() - self._last_sign_cpu
            if burnt > self._limits.item_seconds:
                self._fail(f"one item took more than {self._limits.item_seconds} seconds of processor time")
        return self.failure is not None

    def close(self) -> None:
        """Give the descriptors back; where the worker ended without its last frame, that is a failure."""
        if not self._is_done and self.failure is None:
            self._fail("the worker ended before its work was done")
        os.close(self.reader)
        self._page.close()

    def _has_frame(self) -> bool:
        if len(self._buffer) < FRAME_HEADER.size:
            return False
        length: int = FRAME_HEADER.unpack_from(self._buffer)[0]
        if length > FRAME_LIMIT:
            self._fail(f"the worker announced a message of {length} bytes")
            self._buffer.clear()
            return False
        return len(self._buffer) >= FRAME_HEADER.size + length

    def _decode(self, body: bytes) -> Iterator[Any]:
        try:
            message = self._decoder.decode(body)
        except (msgspec.DecodeError, msgspec.ValidationError, RecursionError) as error:
            self._fail(f"the worker sent a message that is not valid: {error}")
            return
        yield message

    def _fail(self, reason: str) -> None:
        if self.failure is None:
            signs, item = HEARTBEAT.unpack_from(self._page)
            self.failure = Failure(reason=reason, item=item if signs else None)

    def _processor_seconds(self) -> float:
        """Read the worker's CPU time (proc(5), fields 14 and 15 of stat); 0 when it is gone."""
        if not self._process:
            return 0.0
        try:
            fields = Path(f"/proc/{self._process}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS


def _describe_end(ended: Ended) -> str:
    if ended.status >= 0:
        return f"the worker ended with status {ended.status}"
    names = {
        signal.SIGXCPU: "it used up its processor time",
        signal.SIGKILL: "it was ended (out of memory, or out of processor time)",
    }
    number = -ended.status
    return f"the worker died of signal {number}: {names.get(signal.Signals(number), signal.Signals(number).name)}"
