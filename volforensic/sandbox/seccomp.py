"""A seccomp filter that allows what a parser needs and refuses everything else with EPERM.

What is allowed: reading and writing descriptors that are open, memory, clocks, signal handling of its own, ending.
There is no open, socket, fork, exec, kill, ioctl, fcntl or change of metadata in the list, so none needs to be
forbidden by name. Two calls are allowed by their arguments: clone only for a thread, mmap only for memory that the
memory limit counts. Code may be made executable: the YARA engine compiles its rules to machine code.

Sources: seccomp(2), Documentation/userspace-api/seccomp_filter.rst; system call numbers from the kernel's
arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h (aarch64).
"""

import ctypes
import errno
import platform
import struct
from typing import NamedTuple


class _Architecture(NamedTuple):
    audit: int
    mmap: int
    clone: int
    clone3: int
    allowed: tuple[int, ...]


_X86_64 = _Architecture(
    0xC000003E,
    9,
    56,
    435,
    (
        *(0, 1, 3, 7, 8, 10, 11, 12),  # read write close poll lseek mprotect munmap brk
        *(13, 14, 15, 17, 19, 20),  # rt_sigaction rt_sigprocmask rt_sigreturn pread64 readv writev
        *(24, 25, 28, 35, 39, 60),  # sched_yield mremap madvise nanosleep getpid exit
        *(96, 98, 131, 186, 202, 219),  # gettimeofday getrusage sigaltstack gettid futex restart_syscall
        *(228, 229, 230, 231, 273),  # clock_gettime clock_getres clock_nanosleep exit_group set_robust_list
        *(204, 295, 318, 324, 327, 334),  # sched_getaffinity preadv getrandom membarrier preadv2 rseq
    ),
)
_AARCH64 = _Architecture(
    0xC00000B7,
    222,
    220,
    435,
    (
        *(63, 64, 57, 73, 62, 226, 215, 214),  # read write close ppoll lseek mprotect munmap brk
        *(134, 135, 139, 67, 65, 66),  # rt_sigaction rt_sigprocmask rt_sigreturn pread64 readv writev
        *(124, 216, 233, 101, 172, 93),  # sched_yield mremap madvise nanosleep getpid exit
        *(169, 165, 132, 178, 98, 128),  # gettimeofday getrusage sigaltstack gettid futex restart_syscall
        *(113, 114, 115, 94, 99),  # clock_gettime clock_getres clock_nanosleep exit_group set_robust_list
        *(123, 69, 278, 283, 286, 293),  # sched_getaffinity preadv getrandom membarrier preadv2 rseq
    ),
)
_ARCHITECTURES = {"x86_64": _X86_64, "aarch64": _AARCH64}

_SET_SECCOMP, _FILTER_MODE = 22, 2
_RETURN_KILL, _RETURN_ERROR, _RETURN_ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
_LOAD_WORD, _JUMP_EQUAL, _JUMP_BITS_SET, _RETURN = 0x20, 0x15, 0x45, 0x06
_OFFSET_NUMBER, _OFFSET_ARCHITECTURE, _OFFSET_FIRST_ARGUMENT, _OFFSET_FOURTH_ARGUMENT = 0, 4, 16, 40
_CLONE_THREAD = 0x10000
_UNCOUNTED_MEMORY = 0x01 | 0x100 | 0x40000
"""MAP_SHARED, MAP_GROWSDOWN, MAP_HUGETLB: RLIMIT_DATA does not count them (mmap(2); is_data_mapping in mm/vma.h)."""


def supported() -> bool:
    """Return whether the filter is known for this machine's architecture and the kernel takes filters."""
    if platform.machine() not in _ARCHITECTURES:
        return False
    # A filter at address zero: EFAULT from a kernel that filters, EINVAL from one that does not (seccomp(2)).
    library = ctypes.CDLL(None, use_errno=True)
    library.prctl(_SET_SECCOMP, _FILTER_MODE, 0, 0, 0)
    return ctypes.get_errno() == errno.EFAULT


def restrict() -> bool:
    """Install the filter in this process; return whether it stands.

    The caller has set ``PR_SET_NO_NEW_PRIVS``. There is no way back.
    """
    architecture = _ARCHITECTURES.get(platform.machine())
    if architecture is None:
        return False
    program = _program(architecture)
    code = ctypes.create_string_buffer(b"".join(program))
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(program), ctypes.addressof(code)))
    library = ctypes.CDLL(None, use_errno=True)
    return int(library.prctl(_SET_SECCOMP, _FILTER_MODE, header, 0, 0)) == 0


def _program(architecture: _Architecture) -> list[bytes]:
    program = [
        _instruction(_LOAD_WORD, 0, 0, _OFFSET_ARCHITECTURE),
        _instruction(_JUMP_EQUAL, 1, 0, architecture.audit),
        _instruction(_RETURN, 0, 0, _RETURN_KILL),
        _instruction(_LOAD_WORD, 0, 0, _OFFSET_NUMBER),
    ]
    for number in architecture.allowed:  # the x32 numbers have a high bit and so are not in the list
        program.append(_instruction(_JUMP_EQUAL, 0, 1, number))
        program.append(_instruction(_RETURN, 0, 0, _RETURN_ALLOW))
    program += [
        _instruction(_JUMP_EQUAL, 0, 4, architecture.mmap),
        _instruction(_LOAD_WORD, 0, 0, _OFFSET_FOURTH_ARGUMENT),
        _instruction(_JUMP_BITS_SET, 0, 1, _UNCOUNTED_MEMORY),
        _instruction(_RETURN, 0, 0, _RETURN_ERROR | errno.EPERM),
        _instruction(_RETURN, 0, 0, _RETURN_ALLOW),
    ]
    # A thread of its own is allowed (the YARA engine's clock), a process is not. clone3 hides its flags behind a
    # pointer: with ENOSYS the C library falls back to clone.
    program += [
        _instruction(_JUMP_EQUAL, 0, 1, architecture.clone3),
        _instruction(_RETURN, 0, 0, _RETURN_ERROR | errno.ENOSYS),
        _instruction(_JUMP_EQUAL, 0, 3, architecture.clone),
        _instruction(_LOAD_WORD, 0, 0, _OFFSET_FIRST_ARGUMENT),
        _instruction(_JUMP_BITS_SET, 0, 1, _CLONE_THREAD),
        _instruction(_RETURN, 0, 0, _RETURN_ALLOW),
        _instruction(_RETURN, 0, 0, _RETURN_ERROR | errno.EPERM),
    ]
    return program


def _instruction(code: int, if_true: int, if_false: int, operand: int) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, operand)
