"""One task that a worker has in hand, as the parent sees it: its frames, its signs of life, its end.

The worker may be in the hands of whoever wrote the evidence. Nothing that it sends or shows is taken on trust: a frame
has a known kind and a bounded length, a body decodes into the declared type and passes the task's check, and after the
first frame that does not, nothing more is taken.
"""

import mmap
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import msgspec

from volforensic.sandbox.confinement import Limits
from volforensic.sandbox.messages import (
    AWAITED,
    AWAITED_PLACE,
    FRAME_COST,
    FRAME_HEADER,
    FRAME_LIMIT,
    HEARTBEAT,
    KIND_DONE,
    KIND_FAILED,
    KIND_MESSAGE,
    REACH,
    REACH_PLACE,
    UNBOUNDED_REACH,
    Ended,
    Started,
)

_READ_SIZE = 1 << 20
_BUFFER_LIMIT = 64 << 20
_LONGEST_REASON = 600
_SECONDS_TO_END = 10
_LONGEST_STEP = 1.0
_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
_UNDECODABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, MemoryError, ValueError)


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A worker that did not end well: why, and which item it said to have in hand (None when it had begun none).

    ``seconds`` is the wall time since its last message: what was lost with it.
    """

    reason: str
    item: int | None = None
    seconds: float = 0.0


class Check(Protocol):
    """What the parent asks of a task's messages beyond their type. One check goes with one run of a task."""

    def refused(self, message: Any) -> str:
        """Return why the message cannot be an honest worker's; empty where it can."""

    def missing(self) -> str:
        """Return what should have come before the worker ended; empty where all came."""


class RunningTask:
    """Holds the pipe and the heartbeat page of one worker."""

    def __init__(  # noqa: PLR0913, PLR0917 - it only keeps what it is given
        self,
        number: int,
        message_type: Any,
        limits: Limits,
        reader: int,
        page: mmap.mmap,
        check: Check | None = None,
        reach: Callable[[int], int] | None = None,
    ) -> None:
        """Take the descriptors; ``close`` gives them back. ``reach`` tells how far the worker may read the source."""
        self.number = number
        self.reader = reader
        self.ended: Ended | None = None
        self.failure: Failure | None = None
        self._limits = limits
        self._page = page
        self._check = check
        self._reach = reach
        self._decoder = msgspec.msgpack.Decoder(message_type)
        self._buffer = bytearray()
        self._received = 0
        self._process = 0
        self._is_done = False
        self._is_closed = False
        self._clock = _WatchedTime()
        self._last_sign = (0, 0)
        self._last_sign_seconds = 0.0
        self._last_sign_cpu = 0.0
        self._closed_seconds = 0.0
        self._taken_seconds = 0.0

    @property
    def finished(self) -> bool:
        """Whether everything that will ever be taken has been taken and the worker is gone."""
        is_read = self._is_closed and not self._has_frame()
        return self.ended is not None and (is_read or self.failure is not None)

    @property
    def is_held(self) -> bool:
        """Whether the worker may have to wait for the parent to let it read on."""
        return self._reach is not None

    def show_reach(self, *, is_head: bool) -> None:
        """Write on the shared page how far the source may be read; what the head waits for is asked for."""
        reach = UNBOUNDED_REACH
        if self._reach is not None:
            reach = self._reach(AWAITED.unpack_from(self._page, AWAITED_PLACE)[0] if is_head else 0)
        REACH.pack_into(self._page, REACH_PLACE, reach)

    def wants_data(self, *, is_head: bool) -> bool:
        """Return whether the pipe is to be read now; one that is ahead of its turn only fills a bounded buffer."""
        if self._is_closed or self.failure is not None:
            return False
        return not self._has_frame() if is_head else len(self._buffer) < _BUFFER_LIMIT

    def read(self) -> None:
        """Take what the pipe has."""
        data = os.read(self.reader, _READ_SIZE)
        self._buffer += data
        if not data:
            self._is_closed = True
            self._closed_seconds = self._clock.seconds
        self._charge(len(data))

    def take(self) -> Iterator[Any]:
        """Yield the messages that are complete."""
        while self.failure is None and self._has_frame():
            length, kind = FRAME_HEADER.unpack_from(self._buffer)
            body = bytes(self._buffer[FRAME_HEADER.size : FRAME_HEADER.size + length])
            del self._buffer[: FRAME_HEADER.size + length]
            self._charge(FRAME_COST)
            self._taken_seconds = self._clock.seconds
            if self._is_done:
                self._fail("the worker went on after its last message")
            elif kind == KIND_MESSAGE:
                yield from self._decode(body)
            elif kind == KIND_DONE:
                self._end(self._check.missing() if self._check is not None else "")
            elif kind == KIND_FAILED:
                self._fail(_worker_reason(body))
            else:
                self._fail(f"the worker sent a frame of the unknown kind {kind}")

    def notice(self, notice: Started | Ended) -> None:
        """Take what the server says of this worker."""
        if isinstance(notice, Started):
            self._process = notice.process
            return
        self.ended = notice  # what it sent before is still in the pipe: how it ended counts when that is read

    def overdue(self, now: float, *, is_read: bool) -> bool:
        """Return whether the worker must be ended: broken frames, too much output, or time that is up.

        Time counts while the parent reads the worker's pipe: one that has to wait for the parent is not late.
        """
        self._clock.advance(now, counts=is_read or self._is_closed)
        if self.ended is not None:
            return False
        if self.failure is None:
            self._watch(is_read=is_read)
        return self.failure is not None

    def close(self) -> None:
        """Give the descriptors back; where the worker ended without its last frame, that is a failure."""
        if self.ended is not None and self.ended.status != 0:
            self._fail(_describe_end(self.ended))
        elif not self._is_done:
            self._fail("the worker ended before its work was done")
        os.close(self.reader)
        self._page.close()

    def _watch(self, *, is_read: bool) -> None:
        if self._clock.seconds > self._limits.longest:
            self._fail(f"the task took more than {self._limits.longest} seconds")
        elif self._is_closed:
            if self._clock.seconds - self._closed_seconds > _SECONDS_TO_END:
                self._fail("the worker closed its pipe and did not end")
        else:
            self._watch_item(is_read=is_read)

    def _watch_item(self, *, is_read: bool) -> None:
        sign = (HEARTBEAT.unpack_from(self._page)[0], self._received)
        if sign != self._last_sign or not is_read:
            self._last_sign, self._last_sign_seconds = sign, self._clock.seconds
            self._last_sign_cpu = self._processor_seconds()
            return
        silence = self._clock.seconds - self._last_sign_seconds
        if silence > self._limits.silence_seconds:
            self._fail(f"no sign of life for {self._limits.silence_seconds} seconds")
        elif silence > self._limits.item_seconds:
            burnt = self._processor_seconds() - self._last_sign_cpu
            if burnt > self._limits.item_seconds:
                self._fail(f"one item took more than {self._limits.item_seconds} seconds of processor time")

    def _has_frame(self) -> bool:
        if len(self._buffer) < FRAME_HEADER.size or self.failure is not None:
            return False
        length: int = FRAME_HEADER.unpack_from(self._buffer)[0]
        if length > FRAME_LIMIT:
            self._fail(f"the worker announced a message of {length} bytes")
            return False
        return len(self._buffer) >= FRAME_HEADER.size + length

    def _charge(self, count: int) -> None:
        self._received += count
        if self._received > self._limits.output:
            self._fail(f"the worker wrote more than {self._limits.output} bytes")

    def _decode(self, body: bytes) -> Iterator[Any]:
        try:
            message = self._decoder.decode(body)
        except _UNDECODABLE as error:
            self._fail(f"the worker sent a message that is not valid: {error}")
            return
        reason = self._check.refused(message) if self._check is not None else ""
        if reason:
            self._fail(f"the worker sent a message that cannot be true: {reason}")
        else:
            yield message

    def _end(self, missing: str) -> None:
        self._is_done = True
        if missing:
            self._fail(missing)

    def _fail(self, reason: str) -> None:
        if self.failure is None:
            signs, item = HEARTBEAT.unpack_from(self._page)
            lost = self._clock.seconds - self._taken_seconds
            self.failure = Failure(reason=reason[:_LONGEST_REASON], item=item if signs else None, seconds=lost)

    def _processor_seconds(self) -> float:
        """Read the worker's CPU time (proc(5), fields 14 and 15 of stat); 0 when it is gone."""
        if not self._process:
            return 0.0
        try:
            fields = Path(f"/proc/{self._process}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS


class _WatchedTime:
    """Holds the seconds for which a worker was watched: a parent that was busy elsewhere counts as one look."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._last = time.monotonic()

    def advance(self, now: float, *, counts: bool) -> None:
        if counts:
            self.seconds += min(now - self._last, _LONGEST_STEP)
        self._last = now


def _worker_reason(body: bytes) -> str:
    try:
        reason: str = msgspec.msgpack.decode(body, type=str)
    except _UNDECODABLE:
        return "the worker failed and could not say why"
    return reason or "the worker failed and did not say why"


def _describe_end(ended: Ended) -> str:
    if ended.status >= 0:
        return f"the worker ended with status {ended.status}"
    number = -ended.status
    names: dict[int, str] = {
        signal.SIGXCPU: "it used up its processor time",
        signal.SIGKILL: "it was ended (out of memory, or out of processor time)",
    }
    known = {known.value: known.name for known in signal.Signals}
    return f"the worker died of signal {number}: {names.get(number) or known.get(number, 'of no name')}"
