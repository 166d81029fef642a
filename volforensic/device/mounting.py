"""A filesystem mounted nowhere: the kernel reads it, and no path of any namespace leads to it.

Source: fsopen(2), fsconfig(2), fsmount(2), Linux 5.2; the mount options are those of ext4(5), xfs(5) and btrfs(5). The
mount belongs to one descriptor and is gone when that is closed, however the process ends.
"""

import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from volforensic.errors import HostError

_OPEN, _CONFIG, _MOUNT = 430, 431, 432
_CLOSE_ON_EXEC = 1
_SET_FLAG, _SET_STRING, _CREATE = 0, 1, 6
_ATTRIBUTES = 0x1 | 0x2 | 0x4 | 0x8 | 0x10  # read-only, nosuid, nodev, noexec, noatime
_NO_SYMLINKS = 0x200000
_MESSAGE_LIMIT = 4096
_MOST_MESSAGES = 20
_WITHOUT_RECOVERY: dict[str, tuple[tuple[str, str], ...]] = {
    "ext2": (("errors", "continue"),),
    "ext3": (("noload", ""), ("errors", "continue")),
    "ext4": (("noload", ""), ("errors", "continue")),
    "xfs": (("norecovery", ""), ("nouuid", "")),
    "btrfs": (("rescue", "nologreplay"),),
}
"""What keeps a log from being replayed, and the kernel from a panic that the superblock asks for."""
_DRIVERS = {"ext2": "ext4", "ext3": "ext4"}
_library = ctypes.CDLL(None, use_errno=True)


@contextmanager
def detached_mount(device: str, kind: str) -> Iterator[int]:
    """Give a descriptor of the root of the filesystem on a block device, read-only and without recovery.

    Raises:
        HostError: The kernel does not read it, or lets this user have no mounts; the error has the kernel's own words.
    """
    driver = _DRIVERS.get(kind, kind)
    context = _called(_OPEN, driver.encode(), _CLOSE_ON_EXEC, thing=f"the kernel's {driver}")
    try:
        options = [("source", device), ("ro", ""), *_WITHOUT_RECOVERY.get(kind, ())]
        for name, value in options:
            _configure(context, driver, name, value)
        _called(_CONFIG, context, _CREATE, None, None, 0, thing=f"the kernel's {driver}", context=context)
        mount = _mounted(context, driver)
    finally:
        os.close(context)
    try:
        if not os.fstatvfs(mount).f_flag & os.ST_RDONLY:
            raise HostError(f"the kernel's {driver}", "would mount it so that it can be written: it was not read")
        yield mount
    finally:
        os.close(mount)


def _configure(context: int, driver: str, name: str, value: str) -> None:
    command, given = (_SET_STRING, value.encode()) if value else (_SET_FLAG, None)
    _called(_CONFIG, context, command, name.encode(), given, 0, thing=f"the kernel's {driver}", context=context)


def _mounted(context: int, driver: str) -> int:
    thing = f"the kernel's {driver}"
    try:
        return _called(_MOUNT, context, _CLOSE_ON_EXEC, _ATTRIBUTES | _NO_SYMLINKS, thing=thing)
    except HostError:  # Linux before 5.14 does not know the last one; nothing here follows links anyway
        return _called(_MOUNT, context, _CLOSE_ON_EXEC, _ATTRIBUTES, thing=thing)


def _called(number: int, *arguments: object, thing: str, context: int = -1) -> int:
    found = int(_library.syscall(ctypes.c_long(number), *arguments))
    if found >= 0:
        return found
    code = ctypes.get_errno()
    said = _messages(context)
    remedies = {
        errno.ENOSYS: "A kernel view needs Linux 5.2 or newer",
        errno.ENODEV: f"Load the module (modprobe {thing.rpartition(' ')[2]}), or use a host that has it",
        errno.EPERM: "Run as root",
    }
    wrong = "does not read this filesystem: " + os.strerror(code).lower() + (f" ({said})" if said else "")
    raise HostError(thing, wrong, remedies.get(code, "A newer kernel may know it"))


def _messages(context: int) -> str:
    """Return what the kernel says of what went wrong."""
    said = []
    if context >= 0:
        with suppress(OSError):
            for _ in range(_MOST_MESSAGES):
                said.append(os.read(context, _MESSAGE_LIMIT).decode("utf-8", "replace").strip())  # noqa: PERF401 - ends by an error
    return "; ".join(said)
