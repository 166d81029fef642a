"""What happens inside a worker: lock in, call one function, send what it yields."""

import mmap
import os
import time
import traceback
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import PurePath
from typing import Any, NamedTuple

import msgspec

from volforensic.medium import Medium
from volforensic.sandbox.confinement import Limits, confine
from volforensic.sandbox.messages import (
    AWAITED,
    AWAITED_PLACE,
    FRAME_HEADER,
    HEARTBEAT,
    KIND_DONE,
    KIND_FAILED,
    KIND_MESSAGE,
    PAGE_USED,
    REACH,
    REACH_PLACE,
)

_PATIENCE = 0.002  # seconds: two MiB of a disk that is hashed


class Descriptors(NamedTuple):
    """What a worker is born with: its arguments, the pipe to the parent, the shared page, what the source lies in."""

    arguments: int
    result: int
    heartbeat: int
    sources: tuple[int, ...] = ()


class Work(NamedTuple):
    """What a worker does: names of functions (``Task``, ``SourceHandle``; "" for none), and within which limits."""

    function: str
    prepare: str
    opener: str
    limits: Limits


class Workplace:
    """What a worker's function is given: the source to read and a way to give a sign of life."""

    def __init__(self, source: Medium, heartbeat: mmap.mmap, prepared: object) -> None:
        """Take the source, the page shared with the parent and what was prepared."""
        self.source = source
        self.prepared = prepared
        self._heartbeat = heartbeat
        self._signs = 0

    def begin_item(self, item: int) -> None:
        """Tell the parent which item (an inode, an index) is in hand: it is named if the worker dies of it."""
        self._signs += 1
        HEARTBEAT.pack_into(self._heartbeat, 0, self._signs, item)

    def wait_for(self, end: int, item: int) -> None:
        """Return when the parent lets the source be read up to byte ``end``; waiting is a sign of life."""
        if self._reach() >= end:
            return
        AWAITED.pack_into(self._heartbeat, AWAITED_PLACE, end)
        while self._reach() < end:
            time.sleep(_PATIENCE)
            self.begin_item(item)
        AWAITED.pack_into(self._heartbeat, AWAITED_PLACE, 0)

    def _reach(self) -> int:
        reach: int = REACH.unpack_from(self._heartbeat, REACH_PLACE)[0]
        return reach


WorkerFunction = Callable[[Workplace, Any], Iterator[Any]]
SourceOpener = Callable[[tuple[int, ...], Any], Medium]


def resolve(name: str) -> Any:
    """Return the function ``package.module:function``. The name comes from the parent, never from evidence."""
    module, _, function = name.partition(":")
    found = getattr(import_module(module), function)
    if not callable(found):
        raise TypeError(f"{name}: not a function")
    return found


class _NoSource:
    """The source of a task that reads none."""

    size = 0

    def read_at(self, position: int, size: int) -> bytes:
        del position, size
        return b""


def _no_source(_descriptors: tuple[int, ...], _recipe: object) -> Medium:
    return _NoSource()


def run(work: Work, descriptors: Descriptors) -> None:
    """Do the work and end the process: status 0 when a last frame was sent, 1 when even that failed."""
    status = 1
    try:
        function: WorkerFunction = resolve(work.function)
        page = mmap.mmap(descriptors.heartbeat, PAGE_USED)
        given, recipe = msgspec.msgpack.decode(_read_all(descriptors.arguments))
        prepared = resolve(work.prepare)() if work.prepare else None
        opener: SourceOpener = resolve(work.opener) if work.opener else _no_source
        os.close(descriptors.heartbeat)
        os.close(descriptors.arguments)
        confine(work.limits)
        source = opener(descriptors.sources, recipe)
        _send_results(function(Workplace(source, page, prepared), given), descriptors.result)
        status = 0
    except BrokenPipeError:
        pass  # the parent has heard enough
    except Exception as error:  # noqa: BLE001 - the one boundary: whatever a parser raises becomes a problem record
        _send(descriptors.result, KIND_FAILED, msgspec.msgpack.encode(_describe(error)))
        status = 0
    finally:
        os._exit(status)


def _send_results(messages: Iterator[Any], result: int) -> None:
    encoder = msgspec.msgpack.Encoder()
    for message in messages:
        _send(result, KIND_MESSAGE, encoder.encode(message))
    _send(result, KIND_DONE, b"")


def _describe(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({PurePath(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}"[:500] + place


def _send(result: int, kind: int, body: bytes) -> None:
    view = memoryview(FRAME_HEADER.pack(len(body), kind) + body)
    while view:
        view = view[os.write(result, view) :]


def _read_all(descriptor: int) -> bytes:
    parts = []
    offset = 0
    while part := os.pread(descriptor, 1 << 20, offset):
        parts.append(part)
        offset += len(part)
    return b"".join(parts)
