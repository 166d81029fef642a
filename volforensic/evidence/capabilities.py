"""The extended attribute ``security.capability`` as text.

Source: the kernel's include/uapi/linux/capability.h (vfs_cap_data, vfs_ns_cap_data) and security/commoncap.c; the text
is that of getcap(8): cap_to_text(3).
"""

import struct
from collections import Counter

_NUMBERED = (
    "chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable net_bind_service"
    " net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin"
    " sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap mac_override"
    " mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore"
)
NAMES = tuple(_NUMBERED.split())
"""Capabilities by their number, without ``cap_``."""
LONGEST_VALUE = 24
LONGEST_TEXT = 4096
_REVISION, _EFFECTIVE = 0xFF000000, 1
_SIZES = {0x01000000: 12, 0x02000000: 20, 0x03000000: 24}
_E, _P, _I = 1, 2, 4  # as libcap weighs them: it prints the sets in this order


def capability_text(value: bytes) -> str:
    """Return a file's capabilities as getcap prints them, e.g. ``cap_net_raw=ep``; ValueError where they are damaged.

    Those of a user namespace (revision 3) end with ``[rootid=N]``: the user who is root there.
    """
    magic = int.from_bytes(value[:4], "little")
    if _SIZES.get(magic & _REVISION) != len(value):
        raise ValueError(f"security.capability has {len(value)} bytes and is of revision {magic >> 24}")
    words = struct.unpack(f"<{len(value) // 4 - 1}I", value[4:])
    permitted, inheritable = words[0], words[1]
    if len(words) > 3:
        permitted, inheritable = permitted | words[2] << 32, inheritable | words[3] << 32
    states = [
        _P * (permitted >> number & 1)
        | _I * (inheritable >> number & 1)
        | _E * bool(magic & _EFFECTIVE and (permitted | inheritable) >> number & 1)
        for number in range(64)
    ]
    return _states_text(states) + (f" [rootid={words[4]}]" if len(words) > 4 else "")


def _states_text(states: list[int]) -> str:
    """Return the sets as text: what most capabilities share first, then those that differ, named."""
    counts = Counter(states[: len(NAMES)])
    common = max(range(8), key=lambda state: (counts[state], -state))
    parts = [f"={_letters(common)}"] if common else []
    for state in range(7, -1, -1):
        names = ",".join(f"cap_{name}" for name, found in zip(NAMES, states, strict=False) if found == state)
        if state == common or not names:
            continue
        added, taken = state & ~common, common & ~state
        sign = "+" if parts else "="
        parts.append(names + (f"{sign}{_letters(added)}" if added else "") + (f"-{_letters(taken)}" if taken else ""))
    for state in range(7, 0, -1):  # those of a kernel that knows more of them
        numbers = ",".join(str(number) for number in range(len(NAMES), 64) if states[number] == state)
        if numbers:
            parts = [*(parts or ["="]), f"{numbers}+{_letters(state)}"]
    return " ".join(parts) or "="


def _letters(state: int) -> str:
    return "".join(letter for bit, letter in ((_E, "e"), (_I, "i"), (_P, "p")) if state & bit)
