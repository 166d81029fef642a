"""Generators of file contents that YAML cannot hold well: binaries, login databases, logs.

Nothing here runs: the programs end at once where somebody starts them, the pool is under a reserved domain
(RFC 2606), the wallets and keys are made from hashes.
"""

import ipaddress
import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from images import logs
from images.keys import public_key

_LOGIN_RECORD = struct.Struct("<h2xi32s4s32s256s2hiii16s20s")  # utmp(5): 384 bytes on x86-64
_LAST_LOGIN = struct.Struct("<i32s256s")  # lastlog(8): 292 bytes, at the user's number
_LOGIN_TYPES = {
    "EMPTY": 0,
    "RUN_LVL": 1,
    "BOOT_TIME": 2,
    "NEW_TIME": 3,
    "OLD_TIME": 4,
    "INIT_PROCESS": 5,
    "LOGIN_PROCESS": 6,
    "USER_PROCESS": 7,
    "DEAD_PROCESS": 8,
}
_EXIT = bytes.fromhex("b83c00000031ff0f05")  # x86-64: exit(0)
_MINER = (
    "XMRig/6.21.0 libuv/1.44.2 gcc/9.3.0",
    "Usage: xmrig [OPTIONS]",
    "  -o, --url=URL                 URL of mining server",
    "      --donate-level=N          donate level, default 1%",
    "donate.v2.xmrig.com",
    "donate.ssl.xmrig.com",
    "stratum+tcp://",
    "stratum+ssl://",
    "daemon+http://",
    '{"id":1,"jsonrpc":"2.0","method":"login","params":{"login":',
    "'h' hashrate, 'p' pause, 'r' resume, 's' results, 'c' connection",
    "cryptonight",
    "cn-heavy/xhv",
    "rx/0",
    "rx/wow",
    "RandomX",
    "argon2/chukwa",
    "huge pages",
    "/sbin/modprobe msr allow_writes=on",
)
_PROCESS_HIDER = ("readdir", "readdir64", "dlsym", "/proc/self/fd/%d", "/proc/%s/stat", "processhider.c", "libdl.so.2")


def _elf(kind: int, text: Sequence[str], padding: int) -> bytes:
    """Return a 64-bit ELF (System V ABI, chapter 4) that exits at once and carries ``text``."""
    header_size, entry_size, address = 64, 56, 0x400000
    body = _EXIT + b"\0" * 7 + b"\0".join(line.encode() for line in text) + b"\0" * (1 + padding)
    size = header_size + entry_size + len(body)
    identity = b"\x7fELF" + bytes([2, 1, 1, 0]) + bytes(8)
    start = address + header_size + entry_size
    header = identity + struct.pack(
        "<HHIQQQIHHHHHH", kind, 62, 1, start, header_size, 0, 0, header_size, entry_size, 1, 64, 0, 0
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, address, address, size, size, 0x1000)
    return header + segment + body


def miner(padding: int = 65536, extra: Sequence[str] = ()) -> bytes:
    """Return a program with the texts of an XMRig build, followed by ``padding`` zero bytes."""
    return _elf(2, [*_MINER, *extra], padding)


def process_hider(process: str) -> bytes:
    """Return a shared object with the texts of libprocesshider, which hides the process of that name."""
    return _elf(3, [*_PROCESS_HIDER, process], 8192)


def program(text: Sequence[str] = ("hello",)) -> bytes:
    """Return an ordinary program with these texts."""
    return _elf(2, text, 4096)


def login_records(records: Sequence[Mapping[str, Any]]) -> bytes:
    """Return a wtmp, btmp or utmp file; each record has ``type`` and ``time`` and what it needs of the rest."""
    return b"".join(_login_record(**record) for record in records)


def _login_record(  # noqa: PLR0913, PLR0917 - the fields of utmp(5)
    type: str,  # noqa: A002 - the name of the field in utmp(5)
    time: datetime,
    user: str = "",
    terminal: str = "",
    host: str = "",
    address: str = "",
    pid: int = 0,
    session: int = 0,
) -> bytes:
    number = ipaddress.ip_address(address).packed if address else b""
    stamp, name = int(time.replace(tzinfo=UTC).timestamp()), terminal.encode()
    numbers = (0, 0, session, stamp, time.microsecond)
    texts = (name, name[-4:], user.encode(), host.encode())
    return _LOGIN_RECORD.pack(_LOGIN_TYPES[type], pid, *texts, *numbers, number, b"")


def last_logins(logins: Sequence[Mapping[str, Any]]) -> bytes:
    """Return a lastlog file: for each login ``uid``, ``time``, ``terminal`` and ``host``."""
    data = bytearray(_LAST_LOGIN.size * (max(login["uid"] for login in logins) + 1))
    for login in logins:
        stamp = int(login["time"].replace(tzinfo=UTC).timestamp())
        record = (stamp, login.get("terminal", "pts/0").encode(), login.get("host", "").encode())
        _LAST_LOGIN.pack_into(data, login["uid"] * _LAST_LOGIN.size, *record)
    return bytes(data)


def time_zone(rule: str, offset: int, abbreviation: str) -> bytes:
    """Return a TZif file (RFC 9636) without transitions: its footer ``rule`` (POSIX TZ) says when clocks change."""
    counts = struct.pack(">6I", 0, 0, 0, 0, 1, len(abbreviation) + 1)
    block = b"TZif2" + bytes(15) + counts + struct.pack(">i2B", offset, 0, 0) + abbreviation.encode() + b"\0"
    return block + block + b"\n" + rule.encode() + b"\n"


def redis_dump(values: Mapping[str, str]) -> bytes:
    """Return a Redis database (RDB version 9) with these keys, as ``CONFIG SET dbfilename`` leaves one behind."""
    head = b"REDIS0009\xfa\x09redis-ver\x055.0.7\xfa\x0aredis-bits\xc0\x40\xfa\x05ctime\xc2\x50\x9a\xc8\x67"
    pairs = b"".join(b"\0" + _redis_text(key) + _redis_text(value) for key, value in values.items())
    return head + b"\xfe\0\xfb" + bytes([len(values), 0]) + pairs + b"\xff" + bytes.fromhex("9f3ac1d2007be4f8")


def _redis_text(text: str) -> bytes:
    data = text.encode()
    short = len(data) < 64
    return (bytes([len(data)]) if short else struct.pack(">H", 0x4000 | len(data))) + data


def repeated(text: str, count: int) -> bytes:
    """Return ``text`` ``count`` times, each ``{n}`` in it replaced by its number from 0."""
    return "".join(text.replace("{n}", str(number)) for number in range(count)).encode()


GENERATORS: dict[str, Callable[..., bytes]] = {
    "auth_log": logs.auth_log,
    "last_logins": last_logins,
    "login_records": login_records,
    "miner": miner,
    "process_hider": process_hider,
    "program": program,
    "public_key": public_key,
    "redis_dump": redis_dump,
    "repeated": repeated,
    "system_log": logs.system_log,
    "time_zone": time_zone,
}
"""The functions that a story may name."""
