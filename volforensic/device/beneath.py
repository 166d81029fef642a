"""System calls that open what lies below a directory and never anything else; what they say of an inode.

Sources: openat2(2), statx(2), statfs(2), ioctl_iflags(2). Python has none of them. An inode is first opened as a mere
place (O_PATH), which touches nothing: neither a FIFO nor a device notices. Only what proves to be a regular file or a
directory is then opened for reading, through that place and not by its name.
"""

import ctypes
import errno
import fcntl
import os
import stat
import struct
from contextlib import suppress
from typing import NamedTuple

_OPENAT2 = 437
_BENEATH = 0x01 << 1 | 0x01 << 2 | 0x01 << 3  # RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_BENEATH
_EMPTY_PATH, _NO_AUTOMOUNT, _SYMLINK_NOFOLLOW = 0x1000, 0x800, 0x100
_BASIC_STATS, _BIRTH, _MOUNT = 0x7FF, 0x800, 0x1000
_STATX = struct.Struct("<16xIIIH2xQQQ8xqI4xqI4xqI4xqI4xIIIIQ")
_GET_FLAGS = 0x80086601
_PLACE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_READING = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_LONGEST_PATH = 4000
_library = ctypes.CDLL(None, use_errno=True)


class Status(NamedTuple):
    """What statx(2) says of an inode: times in nanoseconds since 1970, ``created`` None where it is not kept."""

    links: int
    uid: int
    gid: int
    mode: int
    inode: int
    size: int
    blocks: int
    accessed: int
    created: int | None
    changed: int
    modified: int
    named_device: tuple[int, int]
    device: tuple[int, int]
    mount: int

    @property
    def type(self) -> int:
        """The type bits of its mode (inode(7))."""
        return stat.S_IFMT(self.mode)

    @property
    def identity(self) -> tuple[tuple[int, int], int]:
        """What tells it from every other inode: its device and its number."""
        return self.device, self.inode


def open_place(directory: int, path: bytes) -> int:
    """Open what a path below the directory names as a mere place; no link is followed, and nothing left by ``..``."""
    descriptor = _openat2(directory, path)
    return descriptor if descriptor is not None else _by_components(directory, path)


def open_deep(root: int, components: list[bytes]) -> int:
    """Open a place however deep below the root, in steps that the kernel takes as a path."""
    descriptor = os.dup(root)
    step: list[bytes] = []
    length = 0
    for index, component in enumerate(components):
        step.append(component)
        length += len(component) + 1
        following = len(components[index + 1]) if index + 1 < len(components) else _LONGEST_PATH
        if length + following < _LONGEST_PATH:
            continue
        try:
            next_one = open_place(descriptor, b"/".join(step))
        finally:
            os.close(descriptor)
        descriptor, step, length = next_one, [], 0
    return descriptor


def open_for_reading(place: int, *, is_directory: bool = False) -> tuple[int, bool]:
    """Open a place's inode for reading; return the descriptor, and whether the time of access stays as it is.

    The caller has looked that it is a regular file or a directory.
    """
    flags = _READING | (os.O_DIRECTORY if is_directory else 0)
    path = f"/proc/self/fd/{place}"
    try:
        return os.open(path, flags | os.O_NOATIME), True
    except PermissionError:
        return os.open(path, flags), False


def status_of(descriptor: int) -> Status:
    """Return what the kernel says of an open inode or place."""
    buffer = ctypes.create_string_buffer(256)
    flags = _EMPTY_PATH | _NO_AUTOMOUNT | _SYMLINK_NOFOLLOW
    wanted = _BASIC_STATS | _BIRTH | _MOUNT
    if _library.statx(descriptor, b"", flags, wanted, buffer):
        raise _error()
    (
        links, uid, gid, mode, inode, size, blocks, access, access_rest, birth, birth_rest, change, change_rest,
        modification, modification_rest, named_major, named_minor, major, minor, mount,
    ) = _STATX.unpack_from(buffer.raw)  # fmt: skip
    mask = int.from_bytes(buffer.raw[:4], "little")
    return Status(
        links,
        uid,
        gid,
        mode,
        inode,
        size,
        blocks,
        _nanoseconds(access, access_rest),
        _nanoseconds(birth, birth_rest) if mask & _BIRTH else None,
        _nanoseconds(change, change_rest),
        _nanoseconds(modification, modification_rest),
        (named_major, named_minor),
        (major, minor),
        mount if mask & _MOUNT else 0,
    )


def filesystem_magic(descriptor: int) -> int:
    """Return the number that tells the type of the filesystem on which an inode lies (statfs(2))."""
    buffer = ctypes.create_string_buffer(256)
    if _library.fstatfs(descriptor, buffer):
        raise _error()
    return int.from_bytes(buffer.raw[:4], "little")


def inode_flags(descriptor: int) -> int:
    """Return the flags of chattr(1) of a file or directory that is open for reading; 0 where there are none."""
    with suppress(OSError):
        return int.from_bytes(fcntl.ioctl(descriptor, _GET_FLAGS, bytes(8))[:4], "little")
    return 0


def _openat2(directory: int, path: bytes) -> int | None:
    """Return the place; None where the kernel has no such call, or does not let us have it."""
    how = struct.pack("<QQQ", _PLACE, 0, _BENEATH)
    found = int(_library.syscall(ctypes.c_long(_OPENAT2), directory, path, how, ctypes.c_size_t(len(how))))
    if found >= 0:
        return found
    error = _error()
    if error.errno in {errno.ENOSYS, errno.EPERM}:
        return None
    raise error


def _by_components(directory: int, path: bytes) -> int:
    descriptor = os.dup(directory)
    for component in path.split(b"/"):
        if component in (b"", b".", b".."):
            os.close(descriptor)
            raise OSError(errno.EXDEV, "leads out of the tree")
        try:
            following = os.open(component, _PLACE, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = following
    return descriptor


def _nanoseconds(seconds: int, rest: int) -> int:
    return seconds * 1_000_000_000 + rest


def _error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
