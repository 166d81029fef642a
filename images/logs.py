"""Writes the logs of a server: lines of sshd, sudo and cron as rsyslog stores them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count as numbers
from itertools import groupby, islice
from typing import Any, NamedTuple

from images.keys import fingerprint

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Line(NamedTuple):
    """One message: when (UTC), by which process, with which text."""

    moment: datetime
    process: str
    pid: int
    message: str


def auth_log(host: str, events: Sequence[dict[str, Any]], style: str = "traditional", offset: int = 0) -> bytes:
    """Return the text of an authentication log, in order of time.

    Args:
        host: the name in each line.
        events: each has ``at`` (UTC) and either ``process``, ``pid``, ``message`` or one of ``accepted``, ``failures``,
            ``sudo``, ``cron`` with the arguments of the function of that name.
        style: ``traditional`` (``Mar  2 04:11:09``) or ``iso`` (RFC 3339 with microseconds).
        offset: the host's distance from UTC in minutes.
    """
    lines = sorted((line for event in events for line in _lines(event)), key=lambda line: line.moment)
    distinct = _distinct(lines) if style == "iso" else lines
    return "".join(_formatted(line, host, style, offset) for line in distinct).encode()


def accepted(  # noqa: PLR0913 - the keys that a story gives
    at: datetime, user: str, address: str, pid: int, *, uid: int = 0, port: int = 50122, key: str = "", lasts: int = 600
) -> Iterator[Line]:
    """Yield a login through ssh, by the key of that name or by password, and its end."""
    method = f"publickey for {user} from {address} port {port} ssh2: ED25519 {fingerprint(key)}"
    by_password = f"password for {user} from {address} port {port} ssh2"
    yield Line(at, "sshd", pid, f"Accepted {method if key else by_password}")
    yield Line(at, "sshd", pid, f"pam_unix(sshd:session): session opened for user {user}(uid={uid}) by (uid=0)")
    yield Line(at, "systemd-logind", 512, f"New session {pid % 997} of user {user}.")
    end = at + timedelta(seconds=lasts)
    yield Line(end, "sshd", pid + 6, f"Received disconnect from {address} port {port}:11: disconnected by user")
    yield Line(end, "sshd", pid + 6, f"Disconnected from user {user} {address} port {port}")
    yield Line(end, "sshd", pid, f"pam_unix(sshd:session): session closed for user {user}")
    yield Line(end, "systemd-logind", 512, f"Session {pid % 997} logged out. Waiting for processes to exit.")


def failures(  # noqa: PLR0913 - the keys that a story gives
    at: datetime,
    address: str,
    users: Sequence[str],
    count: int,
    pid: int,
    *,
    every: int = 3,
    unknown: Sequence[str] = (),
) -> Iterator[Line]:
    """Yield ``count`` wrong passwords from one address, the users taken in turn; ``unknown`` ones have no account."""
    for attempt in range(count):
        user = users[attempt % len(users)]
        moment, process, port = at + timedelta(seconds=attempt * every), pid + attempt, 33000 + attempt * 14 % 28000
        invalid = "invalid user " if user in unknown else ""
        if invalid:
            yield Line(moment, "sshd", process, f"Invalid user {user} from {address} port {port}")
            yield Line(moment, "sshd", process, "pam_unix(sshd:auth): check pass; user unknown")
        cause = f"logname= uid=0 euid=0 tty=ssh ruser= rhost={address}" + ("" if invalid else f"  user={user}")
        yield Line(moment, "sshd", process, f"pam_unix(sshd:auth): authentication failure; {cause}")
        later = moment + timedelta(seconds=2)
        yield Line(later, "sshd", process, f"Failed password for {invalid}{user} from {address} port {port} ssh2")
        kind = "invalid user" if invalid else "authenticating user"
        yield Line(later, "sshd", process, f"Connection closed by {kind} {user} {address} port {port} [preauth]")


def sudo(  # noqa: PLR0913 - the keys that a story gives
    at: datetime,
    user: str,
    command: str,
    *,
    uid: int = 1000,
    tty: str = "pts/0",
    directory: str = "",
    target: str = "root",
) -> Iterator[Line]:
    """Yield one use of sudo with its session."""
    where = directory or f"/home/{user}"
    yield Line(at, "sudo", 0, f"{user:>8} : TTY={tty} ; PWD={where} ; USER={target} ; COMMAND={command}")
    opened = f"pam_unix(sudo:session): session opened for user {target}(uid=0) by {user}(uid={uid})"
    yield Line(at, "sudo", 0, opened)
    yield Line(at + timedelta(seconds=1), "sudo", 0, f"pam_unix(sudo:session): session closed for user {target}")


def cron(at: datetime, pid: int, *, every: int = 60, count: int = 24, user: str = "root") -> Iterator[Line]:
    """Yield the sessions that cron opens, each ``every`` minutes."""
    for number in range(count):
        moment, process = at + timedelta(minutes=number * every), pid + number * 37
        session = "pam_unix(cron:session): session"
        yield Line(moment, "CRON", process, f"{session} opened for user {user}(uid=0) by (uid=0)")
        yield Line(moment, "CRON", process, f"{session} closed for user {user}")


_EVENTS: dict[str, Callable[..., Iterator[Line]]] = {
    "accepted": accepted,
    "failures": failures,
    "sudo": sudo,
    "cron": cron,
}


def _lines(event: dict[str, Any]) -> Iterator[Line]:
    at = event["at"].replace(tzinfo=UTC)
    if "message" in event:
        yield Line(at, event["process"], event.get("pid", 0), event["message"])
        return
    kind = next(name for name in _EVENTS if name in event)
    yield from _EVENTS[kind](at, **event[kind])


def _distinct(lines: Iterable[Line]) -> Iterator[Line]:
    """Give the lines of one second times that rise, as the real ones have."""
    for _, same in groupby(lines, key=lambda line: line.moment):
        for number, line in enumerate(same):
            yield line._replace(moment=line.moment + timedelta(microseconds=20_011 + number * 4_211))


def _formatted(line: Line, host: str, style: str, offset: int) -> str:
    local = line.moment + timedelta(minutes=offset)
    if style == "iso":
        sign, (hours, minutes) = "-" if offset < 0 else "+", divmod(abs(offset), 60)
        stamp = f"{local:%Y-%m-%dT%H:%M:%S.%f}{sign}{hours:02}:{minutes:02}"
    else:
        stamp = f"{_MONTHS[local.month - 1]} {local.day:2} {local:%H:%M:%S}"
    tag = f"{line.process}[{line.pid}]" if line.pid else line.process
    return f"{stamp} {host} {tag}: {line.message}\n"


def system_log(host: str, start: datetime, lines: int, every: int = 97) -> bytes:
    """Return ``lines`` harmless lines of /var/log/syslog, one each ``every`` seconds."""
    begin = start.replace(tzinfo=UTC)
    written = (_system_line(begin, number, every) for number in numbers())
    return "".join(_formatted(line, host, "traditional", 0) for line in islice(written, lines)).encode()


def _system_line(begin: datetime, number: int, every: int) -> Line:
    moment = begin + timedelta(seconds=number * every)
    process, pid, message = (
        ("systemd", 1, "Starting logrotate.service - Rotate log files..."),
        ("systemd", 1, "logrotate.service: Deactivated successfully."),
        ("systemd", 1, "Finished logrotate.service - Rotate log files."),
        ("CRON", 2000 + number, "(root) CMD (   cd / && run-parts --report /etc/cron.hourly)"),
        ("kernel", 0, f"[{number * every}.{number % 1000:06}] audit: backlog limit exceeded"),
        ("dhclient", 498, "DHCPREQUEST for 10.0.1.23 on ens5 to 10.0.1.1 port 67"),
        ("systemd-timesyncd", 371, "Contacted time server 169.254.169.123:123."),
    )[number % 7]
    return Line(moment, process, pid, message)
