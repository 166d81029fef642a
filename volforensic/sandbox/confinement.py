"""How a worker is locked in: limits, another user, no new privileges, Landlock, seccomp; what this kernel offers."""

import ctypes
import os
import resource
import signal
from contextlib import suppress
from pathlib import Path

import msgspec

from volforensic.sandbox import landlock, seccomp

_SET_PARENT_DEATH_SIGNAL, _SET_NO_NEW_PRIVILEGES, _SET_DUMPABLE = 1, 38, 4
_FIRST_WORKER_USER = 2_000_000_000  # above every range that distributions and containers hand out (systemd's UIDS.md)
_NOBODY = 65534
_MOST_THREADS = 32
_SPARE_THREADS = 512
_SHORTEST_WALL_SECONDS = 1800
_WALL_FACTOR = 8
GIBIBYTE = 1 << 30


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one task may use.

    ``memory`` is bytes of private writable memory (RLIMIT_DATA); ``address_space`` bytes of mappings of any kind, 0
    for no limit (a YARA engine reserves gigabytes that it never touches). ``processor_seconds`` is the whole task's,
    ``item_seconds`` what one item (one inode, one file) may burn without a sign of life, ``silence_seconds`` the wall
    time without one. ``wall_seconds`` is the wall time of the whole task, 0 for one that fits ``processor_seconds``: a
    worker that only pretends to be alive ends too. ``output`` is bytes that the parent takes.
    """

    memory: int = GIBIBYTE
    address_space: int = 2 * GIBIBYTE
    processor_seconds: int = 60
    item_seconds: int = 15
    silence_seconds: int = 180
    wall_seconds: int = 0
    output: int = 256 << 20

    @property
    def longest(self) -> int:
        """The wall time that the whole task may take, in seconds."""
        return self.wall_seconds or max(_SHORTEST_WALL_SECONDS, _WALL_FACTOR * self.processor_seconds)


class Protection(msgspec.Struct, frozen=True, kw_only=True):
    """Which layers this kernel offers."""

    landlock_version: int
    seccomp: bool

    def missing(self) -> list[str]:
        """Return a sentence for each layer that is not there."""
        sentences = []
        if not self.landlock_version:
            sentences.append("the kernel has no Landlock: workers are held by seccomp and resource limits alone")
        if not self.seccomp:
            sentences.append("no seccomp filter for this kernel or architecture: workers can make any system call")
        return sentences


def probe() -> Protection:
    """Return what this kernel offers, without changing this process."""
    return Protection(landlock_version=landlock.version(), seccomp=seccomp.supported())


def die_with_parent() -> None:
    """Have the kernel end this process when its parent ends."""
    ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, int(signal.SIGKILL), 0, 0, 0)


def confine(limits: Limits) -> Protection:
    """Lock this process in for good and return the layers that now stand: all that this kernel offers.

    Raises:
        RuntimeError: A layer that the kernel offers could not be put up, or threads run that it would not hold.
    """
    offered = probe()
    if len(os.listdir("/proc/self/task")) != 1:  # noqa: PTH208 - nothing but names is wanted
        raise RuntimeError("the worker has threads before it is locked in")
    _limit(limits)
    _limit_threads(is_alone=_leave_root())
    library = ctypes.CDLL(None)
    library.prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    library.prctl(_SET_DUMPABLE, 0, 0, 0, 0)
    kernel = landlock.version() if landlock.restrict() else 0
    standing = Protection(landlock_version=kernel, seccomp=seccomp.restrict())
    if standing != offered:
        raise RuntimeError(f"the worker could not be locked in: {standing} of {offered}")
    return standing


def _limit(limits: Limits) -> None:
    _lower(resource.RLIMIT_DATA, limits.memory)
    if limits.address_space:
        _lower(resource.RLIMIT_AS, limits.address_space)
    _lower(resource.RLIMIT_CPU, limits.processor_seconds, limits.processor_seconds + 1)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_FSIZE, 0)
    _lower(resource.RLIMIT_NOFILE, 512)


def _lower(kind: int, soft: int, hard: int | None = None) -> None:
    """Set a limit, or keep the lower one that the examiner's shell has set."""
    _, highest = resource.getrlimit(kind)
    hard = soft if hard is None else hard
    if highest != resource.RLIM_INFINITY:
        soft, hard = min(soft, highest), min(hard, highest)
    resource.setrlimit(kind, (soft, hard))


def _leave_root() -> bool:
    """Become a user that owns nothing, where this process is root; return whether it is one now."""
    if os.geteuid() != 0:
        return False
    for user in (_FIRST_WORKER_USER + os.getpid(), _NOBODY):  # a user namespace may not know the first
        with suppress(OSError):
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
            die_with_parent()  # the kernel forgets it when the user changes (prctl(2))
            return user != _NOBODY
    return False


def _limit_threads(*, is_alone: bool) -> None:
    """Limit the threads of this process's user; one that is not alone as its user gets what there is and some more.

    Root heeds no such limit (setrlimit(2), RLIMIT_NPROC).
    """
    most = _MOST_THREADS
    if not is_alone:
        running = Path("/proc/loadavg").read_text().split()[3].partition("/")[2]  # of everybody (proc(5))
        most += int(running) + _SPARE_THREADS
    _lower(resource.RLIMIT_NPROC, most)
