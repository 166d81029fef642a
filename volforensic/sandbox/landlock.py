"""Landlock: after this no file can be opened, created or executed, no TCP port used, no process outside signalled.

Sources: landlock(7), Documentation/userspace-api/landlock.rst and include/uapi/linux/landlock.h of the kernel.
"""

import ctypes
import os
import struct

_CREATE_RULESET = 444
_RESTRICT_SELF = 446
_ASK_VERSION = 1
_FILESYSTEM_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}  # how many rights each version knows; 16 from version 5 on
_NETWORK_RIGHTS = 0b11  # bind and connect TCP, from version 4 on
_SCOPES = 0b11  # abstract sockets and signals, from version 6 on


def version() -> int:
    """Return the kernel's Landlock version; 0 where the kernel has none or it is switched off."""
    try:
        return _system_call(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(_ASK_VERSION))
    except OSError:
        return 0


def restrict() -> bool:
    """Refuse every path to this process from now on; return whether the kernel could.

    The caller has set ``PR_SET_NO_NEW_PRIVS``. Descriptors that are open stay usable.
    """
    kernel = version()
    if not kernel:
        return False
    filesystem = (1 << _FILESYSTEM_RIGHTS.get(kernel, 16)) - 1
    fields = [filesystem]
    if kernel >= 4:
        fields.append(_NETWORK_RIGHTS)
    if kernel >= 6:
        fields.append(_SCOPES)
    attribute = struct.pack(f"={len(fields)}Q", *fields)
    ruleset = _system_call(
        _CREATE_RULESET, ctypes.c_char_p(attribute), ctypes.c_size_t(len(attribute)), ctypes.c_uint(0)
    )
    _system_call(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint(0))
    os.close(ruleset)
    return True


def _system_call(number: int, *arguments: object) -> int:
    library = ctypes.CDLL(None, use_errno=True)
    result = int(library.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
