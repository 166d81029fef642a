"""A read-only loop device over a range of an open file: it goes by itself when nobody holds it any more.

Source: the kernel's include/uapi/linux/loop.h; loop(4).
"""

import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from volforensic.errors import HostError

_GET_FREE, _CONFIGURE = 0x4C82, 0x4C0A
_READ_ONLY, _AUTOCLEAR = 1, 4
_CONFIG = struct.Struct("=II24xQQ12xI64s64x32x16x64x")
_MOST_ATTEMPTS = 20
_READING = os.O_RDONLY | os.O_CLOEXEC


@contextmanager
def loop_device(descriptor: int, offset: int, length: int) -> Iterator[str]:
    """Give the path of a block device that reads ``length`` bytes of the file from ``offset`` on, and cannot write.

    It is held by a descriptor of this process and is gone with it, however the process ends.

    Raises:
        HostError: There are no loop devices, or this user may not have one.
    """
    control = _opened("/dev/loop-control")
    try:
        path, device = _configured(control, descriptor, offset, length)
    finally:
        os.close(control)
    try:
        yield path
    finally:
        os.close(device)


def _configured(control: int, descriptor: int, offset: int, length: int) -> tuple[str, int]:
    """Take a free device; another process may take it first, then the next one is tried."""
    request = _CONFIG.pack(descriptor, 0, offset, length, _READ_ONLY | _AUTOCLEAR, b"volforensic")
    for _ in range(_MOST_ATTEMPTS):
        try:
            path = f"/dev/loop{fcntl.ioctl(control, _GET_FREE)}"
            device = _opened(path)
            try:
                fcntl.ioctl(device, _CONFIGURE, request)
            except OSError:
                os.close(device)
                raise
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise _refused("a loop device", error) from error
        else:
            return path, device
    raise HostError("loop devices", "are all taken by others", "Release some (losetup -l)")


def _opened(path: str) -> int:
    try:
        return os.open(path, _READING)
    except OSError as error:
        raise _refused(path, error) from error


def _refused(thing: str, error: OSError) -> HostError:
    remedy = "Run as root, on a host (or in a container) that has loop devices: modprobe loop"
    return HostError(thing, f"cannot be had: {(error.strerror or str(error)).lower()}", remedy)
