"""How a worker is locked in: limits, no new privileges, Landlock, seccomp; and what of that this kernel offers."""

import ctypes
import resource
import signal

import msgspec

from volforensic.sandbox import landlock, seccomp

_SET_PARENT_DEATH_SIGNAL, _SET_NO_NEW_PRIVILEGES, _SET_DUMPABLE = 1, 38, 4
GIBIBYTE = 1 << 30


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one task may use.

    ``memory`` is bytes of private writable memory (RLIMIT_DATA); ``address_space`` bytes of mappings of any kind, 0
    for no limit (a YARA engine reserves gigabytes that it never touches). ``processor_seconds`` is the whole task's,
    ``item_seconds`` what one item (one inode, one file) may burn without a sign of life, ``silence_seconds`` the wall
    time without one. ``output`` is bytes that the parent takes.
    """

    memory: int = GIBIBYTE
    address_space: int = 2 * GIBIBYTE
    processor_seconds: int = 60
    item_seconds: int = 15
    silence_seconds: int = 180
    output: int = 8 * GIBIBYTE


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
    """Lock this process in for good and return the layers that now stand."""
    library = ctypes.CDLL(None)
    resource.setrlimit(resource.RLIMIT_DATA, (limits.memory, limits.memory))
    if limits.address_space:
        resource.setrlimit(resource.RLIMIT_AS, (limits.address_space, limits.address_space))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.processor_seconds, limits.processor_seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    library.prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    library.prctl(_SET_DUMPABLE, 0, 0, 0, 0)
    kernel = landlock.version() if landlock.restrict() else 0
    return Protection(landlock_version=kernel, seccomp=seccomp.restrict())
