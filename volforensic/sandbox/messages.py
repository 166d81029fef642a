"""What parent, fork server and workers say to each other, and how it is framed.

Everything that comes from a worker was made from hostile bytes and is checked as such: a frame has a length of at most
``FRAME_LIMIT``, a kind, and a body that is decoded into the type that the task declares, or refused.
"""

import struct
from typing import Any

import msgspec

from volforensic.sandbox.confinement import Limits

FRAME_HEADER = struct.Struct("<IB")
FRAME_LIMIT = 20 << 20
FRAME_COST = 4 << 10
"""What a frame counts for, on top of its bytes, against a worker's output: a flood of tiny ones ends too."""
KIND_MESSAGE, KIND_FAILED, KIND_DONE = 1, 2, 3

HEARTBEAT = struct.Struct("<QQ")
"""What the worker writes on the shared page: signs of life so far, and the item that it has in hand."""
AWAITED = struct.Struct("<Q")
"""What it writes behind them: the byte of the source that it waits for, 0 where it does not wait."""
AWAITED_PLACE = HEARTBEAT.size
REACH = struct.Struct("<Q")
"""What the parent writes behind that: the byte of the source up to which the worker may read."""
REACH_PLACE = AWAITED_PLACE + AWAITED.size
UNBOUNDED_REACH = (1 << 64) - 1
PAGE_USED = REACH_PLACE + REACH.size


MOST_SOURCE_DESCRIPTORS = 4000
"""Descriptors that a source may have: an image in so many files is one of terabytes."""
MOST_IN_MESSAGE = 240
"""Descriptors that go with one message: the kernel takes 253 (SCM_MAX_FD, net/scm.h)."""


class SourceHandle(msgspec.Struct, frozen=True, kw_only=True):
    """How a worker comes by its source: open descriptors, and a function that makes a medium of them.

    ``opener`` names ``package.module:function`` with ``(descriptors, recipe) -> Medium``. It runs in the worker, after
    that is locked in: the headers of a container are evidence too. ``recipe`` goes through MessagePack.
    """

    opener: str
    descriptors: tuple[int, ...]
    recipe: Any = None


class Start(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Parent to server: begin a worker. Descriptors: arguments, result pipe, heartbeat, then those of the source."""

    task: int
    function: str
    prepare: str
    opener: str
    limits: Limits


class Lend(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Parent to server: descriptors that come before those of the next ``Start``; more than one message takes."""


class Kill(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Parent to server: end a worker."""

    task: int


class Started(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Server to parent: a worker runs."""

    task: int
    process: int


class Ended(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Server to parent: a worker is no more. ``status`` as os.waitstatus_to_exitcode gives it; memory in bytes."""

    task: int
    status: int
    processor_seconds: float
    peak_memory: int


Order = Start | Lend | Kill
Notice = Started | Ended
