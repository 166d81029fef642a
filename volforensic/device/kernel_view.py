"""What the kernel reads of a filesystem that no reader of ours knows: copied into an archive, on explicit demand only.

The kernel then parses what an adversary may have written: that is why nobody gets this without asking for it by name.
A child process does it, in a mount namespace of its own: where the kernel kills whoever touches a damaged filesystem,
that is the child. It dies with its parent; the mount and the loop device are held by its descriptors and go with it.
"""

import ctypes
import os
import signal
import struct
from collections.abc import Iterator
from typing import NoReturn, Protocol, TypeAlias

import msgspec

from volforensic.device.loops import loop_device
from volforensic.device.mounting import detached_mount
from volforensic.device.tree_copy import Progress, TreeCopy
from volforensic.errors import HostError
from volforensic.record import Problem
from volforensic.sandbox.confinement import die_with_parent

_NEW_MOUNTS = 0x20000
_PRIVATE_BELOW = 0x4000 | 0x40000  # MS_REC, MS_PRIVATE
_LENGTH = struct.Struct("<I")
_LONGEST = 16 << 20


class Scratch(Protocol):
    """What the archive is written into: ``case.scratch.ScratchFile`` is one."""

    @property
    def size(self) -> int:
        """How many bytes it has so far."""

    def require(self, size: int) -> None:
        """Raise HostError where there is no room for so many bytes."""

    def write(self, data: bytes) -> None:
        """Append bytes."""

    def catch_up(self) -> None:
        """Take note of what another process has written."""


class Viewed(msgspec.Struct, frozen=True, tag=True):
    """The end: the archive is whole. Its SHA-256, and the same without the times of access."""

    digest: str
    unchanging: str


class _Step(msgspec.Struct, frozen=True, tag=True):
    entries: int
    size: int
    path: bytes


class _Met(msgspec.Struct, frozen=True, tag=True):
    problem: Problem


class _Refused(msgspec.Struct, frozen=True, tag=True):
    thing: str
    wrong: str
    remedy: str


_Message: TypeAlias = Viewed | _Step | _Met | _Refused


def copied_by_kernel(
    descriptor: int, offset: int, length: int, kind: str, scratch: Scratch
) -> Iterator[Progress | Problem | Viewed]:
    """Have the kernel read a filesystem, and copy what it shows into the scratch file as a tar archive.

    Args:
        descriptor: The raw image or block device, open for reading.
        offset: The volume's first byte in it, a multiple of 512.
        length: The volume's length in bytes.
        kind: The filesystem's type, as the kernel names it.
        scratch: Where the archive goes; it is empty.

    Yields:
        How far it is; a problem that says that the kernel read it (nothing is lost by that), and one for whatever the
        kernel did not read; ``Viewed`` last, where the archive is whole.

    Raises:
        HostError: This user may not, there are no loop devices, the kernel refuses, or there is no room.
    """
    if os.geteuid():
        raise HostError("a kernel view", "is for root only", "Run as root, or without --kernel-view")
    reading, writing = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if not child:
        os.close(reading)
        _view(writing, (descriptor, offset, length), kind, scratch)
    os.close(writing)
    reason = f"the {kind} filesystem was read by the kernel (a read-only mount without recovery), not by our readers"
    is_whole = False
    try:
        yield Problem(stage="layout", reason=reason, lost=False, offset=offset, length=length)
        for outcome in _messages(reading):
            is_whole |= isinstance(outcome, Viewed)
            if is_whole:
                scratch.catch_up()
            yield outcome
    finally:
        os.close(reading)
        if not is_whole:
            os.kill(child, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if not is_whole:
        raise HostError("a kernel view", f"broke off: its process ended with status {status}", "See dmesg")


def _messages(reading: int) -> Iterator[Progress | Problem | Viewed]:
    decoder = msgspec.msgpack.Decoder(_Message)
    while head := _read(reading, _LENGTH.size):
        size = _LENGTH.unpack(head)[0] if len(head) == _LENGTH.size else _LONGEST + 1
        body = _read(reading, size) if size <= _LONGEST else b""
        if len(body) != size:
            return
        message = decoder.decode(body)
        if isinstance(message, _Refused):
            raise HostError(message.thing, message.wrong, message.remedy)
        if isinstance(message, _Step):
            yield Progress(message.entries, message.size, message.path)
        else:
            yield message.problem if isinstance(message, _Met) else message


def _read(descriptor: int, size: int) -> bytes:
    data = b""
    while len(data) < size and (part := os.read(descriptor, size - len(data))):
        data += part
    return data


def _view(writing: int, place: tuple[int, int, int], kind: str, scratch: Scratch) -> NoReturn:
    """Do it, in the child; tell the parent, and end."""
    status = 1
    try:
        die_with_parent()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        _leave_mounts()
        with loop_device(*place) as device, detached_mount(device, kind) as root, TreeCopy(root) as copy:
            scratch.require(copy.needed())
            for outcome in copy.copied(scratch.write):
                _tell(writing, _Met(outcome) if isinstance(outcome, Problem) else _Step(*outcome))
            _tell(writing, Viewed(copy.digest, copy.unchanging))
        status = 0
    except HostError as error:
        _tell(writing, _Refused(error.thing, error.wrong, error.remedy))
    except BaseException as error:  # noqa: BLE001 - the child's one boundary: it ends here whatever comes
        _tell(writing, _Refused("a kernel view", f"failed: {error or type(error).__name__}", ""))
    finally:
        os._exit(status)


def _leave_mounts() -> None:
    """Have mounts of one's own, whatever is done to them; nobody else sees it."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.unshare(_NEW_MOUNTS) or library.mount(None, b"/", None, ctypes.c_ulong(_PRIVATE_BELOW), None):
        raise HostError("a kernel view", "may have no mount namespace of its own", "Run as root, outside a container")


def _tell(writing: int, message: _Message) -> None:
    body = msgspec.msgpack.encode(message)
    view = memoryview(_LENGTH.pack(len(body)) + body)
    while view:
        view = view[os.write(writing, view) :]
