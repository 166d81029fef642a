"""A month of logs of a busy server, 1.1 million lines: what the benchmark reads, and what must raise no alarm.

Ports are knocked at all day and nobody gets in: the only logins are the administrator's, by key, from one address.
"""

import gzip
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from random import Random

from images import contents, keys

HOST = "web01"
ADMINISTRATOR = "admin"
OFFICE = "198.51.100.20"
KEY = "admin@workstation"
_DAYS = 35
_ADMINISTRATORS_GROUP = 4
_ADDRESSES = 4_000
_NETWORKS = (45, 61, 92, 103, 141, 159, 185, 212)
_CHUNK = 1 << 20
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_USERS = ("root", "oracle", "test", "ubuntu", "git", "postgres", "user", "ftpuser", "hadoop", "deploy", "nagios", "pi")
_PAGES = (
    "/",
    "/index.html",
    "/style.css",
    "/api/items?page={n}",
    "/images/{n}.png",
    "/robots.txt",
    "/wp-login.php",
    "/.env",
)
_AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "curl/7.88.1",
    "Go-http-client/1.1",
)
_SIZES = {
    "auth.log": (400_000, 5),
    "syslog": (250_000, 5),
    "nginx/access.log": (200_000, 5),
    "kern.log": (60_000, 3),
    "cron.log": (50_000, 3),
    "user.log": (20_000, 2),
}
"""Lines of each log and the files that they are spread over: two as they are, the rest compressed."""
_FAILED_LOGINS, _LOGINS = 100_000, 20_000


def write(mount: Path, end: datetime | None = None) -> None:
    """Write the logs below ``mount``/var/log, the last line at ``end`` (midnight today, if not given).

    The plain ones grow in turns, as on a server, so that they are fragmented.
    """
    last = end or datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    random = Random(20250301)  # noqa: S311 - the same logs each time, nothing secret
    folder = mount / "var/log"
    (folder / "nginx").mkdir(parents=True, exist_ok=True)
    plain: dict[Path, list[bytes]] = {}
    for name, (lines, files) in _SIZES.items():
        produced = _lines(name, lines, random, last)
        for number in reversed(range(files)):
            data = b"".join(islice(produced, lines // files))
            moment = last - timedelta(days=_DAYS * number / files)
            path = folder / f"{name}{f'.{number}' if number else ''}{'.gz' if number > 1 else ''}"
            if number > 1:
                path.write_bytes(gzip.compress(data, 6, mtime=0))
                _date(path, moment)
            else:
                plain[path] = [data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK)]
    plain[folder / "btmp"] = _chunks(_failed_logins(random, last))
    plain[folder / "wtmp"] = _chunks(_logins(last))
    _write_in_turns(plain)
    for path in plain:
        _date(path, last - timedelta(days=_DAYS / _files(path) if path.suffix == ".1" else 0))


def _files(path: Path) -> int:
    return next(files for name, (_, files) in _SIZES.items() if name.endswith(path.stem))


def _write_in_turns(files: dict[Path, list[bytes]]) -> None:
    for path in files:
        path.write_bytes(b"")
    for turn in range(max(map(len, files.values()))):
        for path, chunks in files.items():
            if turn < len(chunks):
                with path.open("ab") as file:
                    file.write(chunks[turn])
                    file.flush()
                    os.fdatasync(file.fileno())


def _chunks(data: bytes) -> list[bytes]:
    return [data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK)]


def _date(path: Path, moment: datetime) -> None:
    """Give a log the time of its last line, and the owner and mode that rsyslog gives it."""
    if path.name not in ("btmp", "wtmp"):
        path.chmod(0o640)
        os.chown(path, 0, _ADMINISTRATORS_GROUP)
    os.utime(path, (moment.timestamp(), moment.timestamp()))


def _stamp(moment: datetime) -> str:
    return f"{_MONTHS[moment.month - 1]} {moment.day:2} {moment:%H:%M:%S}"


def _address(random: Random) -> str:
    """Return an address of the Internet that is not the office's: one of some thousands, a few of them very busy."""
    number = int(_ADDRESSES * random.random() ** 3)
    return f"{_NETWORKS[number % len(_NETWORKS)]}.{number * 7 % 256}.{number * 13 % 256}.{number % 254 + 1}"


def _lines(name: str, count: int, random: Random, last: datetime) -> Iterator[bytes]:
    """Yield ``count`` lines of a log, spread over the days before ``last``."""
    make = {"auth.log": _auth, "nginx/access.log": _access}.get(name, _system)
    begin, step = last - timedelta(days=_DAYS), timedelta(days=_DAYS) / count
    number = 0
    while number < count:
        for line in make(begin + number * step, number, random):
            yield line.encode()
            number += 1


def _auth(moment: datetime, number: int, random: Random) -> Iterator[str]:
    head = f"{_stamp(moment)} {HOST} "
    if number % 5000 < 8:
        yield from _administrator(head, number)
        return
    if number % 7 == 0:
        session = f"CRON[{number % 30000}]: pam_unix(cron:session): session"
        yield f"{head}{session} opened for user root(uid=0) by (uid=0)\n"
        yield f"{head}{session} closed for user root\n"
        return
    address, user, port, process = (
        _address(random),
        random.choice(_USERS),
        random.randrange(1024, 65535),
        number % 32768,
    )
    tag, origin = f"{head}sshd[{process}]: ", f"{user} from {address} port {port}"
    if user == "root":
        cause = f"logname= uid=0 euid=0 tty=ssh ruser= rhost={address}  user=root"
        yield f"{tag}pam_unix(sshd:auth): authentication failure; {cause}\n"
        yield f"{tag}Failed password for {origin} ssh2\n"
        return
    yield f"{tag}Invalid user {origin}\n"
    yield f"{tag}Failed password for invalid user {origin} ssh2\n"
    yield f"{tag}Connection closed by invalid user {user} {address} port {port} [preauth]\n"


def _administrator(head: str, number: int) -> Iterator[str]:
    tag = f"{head}sshd[{number % 32768}]: "
    key = f"ED25519 {keys.fingerprint(KEY)}"
    yield f"{tag}Accepted publickey for {ADMINISTRATOR} from {OFFICE} port 50122 ssh2: {key}\n"
    yield f"{tag}pam_unix(sshd:session): session opened for user {ADMINISTRATOR}(uid=1000) by (uid=0)\n"
    yield f"{head}systemd-logind[498]: New session {number % 1000} of user {ADMINISTRATOR}.\n"
    command = "USER=root ; COMMAND=/usr/bin/apt update"
    yield f"{head}sudo:    {ADMINISTRATOR} : TTY=pts/0 ; PWD=/home/{ADMINISTRATOR} ; {command}\n"
    yield f"{head}sudo: pam_unix(sudo:session): session opened for user root(uid=0) by {ADMINISTRATOR}(uid=1000)\n"
    yield f"{head}sudo: pam_unix(sudo:session): session closed for user root\n"
    yield f"{tag}Disconnected from user {ADMINISTRATOR} {OFFICE} port 50122\n"
    yield f"{tag}pam_unix(sshd:session): session closed for user {ADMINISTRATOR}\n"


def _access(moment: datetime, number: int, random: Random) -> Iterator[str]:
    page = random.choice(_PAGES).replace("{n}", str(number % 997))
    status = 404 if page in ("/wp-login.php", "/.env") else 200
    size = random.randrange(150, 60000)
    stamp = f"{moment.day:02}/{_MONTHS[moment.month - 1]}/{moment:%Y:%H:%M:%S} +0000"
    yield f'{_address(random)} - - [{stamp}] "GET {page} HTTP/1.1" {status} {size} "-" "{random.choice(_AGENTS)}"\n'


def _system(moment: datetime, number: int, random: Random) -> Iterator[str]:
    texts = (
        "systemd[1]: Starting logrotate.service - Rotate log files...",
        "systemd[1]: logrotate.service: Deactivated successfully.",
        f"CRON[{number % 32768}]: (root) CMD (   cd / && run-parts --report /etc/cron.hourly)",
        f"kernel: [{number}.{random.randrange(1_000_000):06}] TCP: request_sock_TCP: Possible SYN flooding on port 80",
        f"redis-server[700]: {random.randrange(1, 400)} changes in 60 seconds. Saving...",
        "systemd-timesyncd[371]: Contacted time server 169.254.169.123:123.",
    )
    yield f"{_stamp(moment)} {HOST} {texts[number % len(texts)]}\n"


def _failed_logins(random: Random, last: datetime) -> bytes:
    begin, step = (last - timedelta(days=_DAYS)).replace(tzinfo=None), timedelta(days=_DAYS) / _FAILED_LOGINS
    records = []
    for number in range(_FAILED_LOGINS):
        address = _address(random)
        origin = {"terminal": "ssh:notty", "host": address, "address": address, "pid": number % 32768}
        records.append(
            {"type": "LOGIN_PROCESS", "time": begin + number * step, "user": random.choice(_USERS), **origin}
        )
    return contents.login_records(records)


def _logins(last: datetime) -> bytes:
    begin, step = (last - timedelta(days=_DAYS)).replace(tzinfo=None), timedelta(days=_DAYS) / _LOGINS
    records: list[dict[str, object]] = []
    for number in range(0, _LOGINS, 2):
        terminal = {"terminal": f"pts/{number % 8}", "pid": number % 32768}
        origin = {"user": ADMINISTRATOR, "host": OFFICE, "address": OFFICE}
        records.append({"type": "USER_PROCESS", "time": begin + number * step, **terminal, **origin})
        records.append({"type": "DEAD_PROCESS", "time": begin + (number + 1) * step, **terminal})
    return contents.login_records(records)
