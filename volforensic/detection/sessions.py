"""What was changed while an intruder was logged in: keys, cron jobs and their like."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from volforensic.detection.brute_force import Verdict
from volforensic.detection.logins import Login, plain_address
from volforensic.detection.rows import cut, integer
from volforensic.detection.times import DAY, HOUR, SECOND, microseconds, shown_time
from volforensic.record import Finding, Row, finding_id

SESSION_LIMIT = 7 * DAY
"""The longest session that the log's end of it is believed for: process numbers come again."""
UNSEEN_END = HOUR
"""A session whose end the log does not show is taken to last so long: changes later need not be its own."""
SESSIONS_LIMIT = 10_000
"""Sessions of intruders that are looked at."""
SOURCES_LIMIT = 50_000
"""Files of the watched artifacts that are looked at."""
_OPEN_LIMIT = 200
"""Sessions begun before a moment that are looked at for one still open."""
_ENDS = ("session_closed", "disconnected", "connection_closed")

WATCHED = {
    "authorized_keys": ("key-added-after-brute-force", "T1098.004"),
    "cron": ("persistence-changed-after-brute-force", "T1053.003"),
    "at": ("persistence-changed-after-brute-force", "T1053.002"),
    "ld_preload": ("persistence-changed-after-brute-force", "T1574.006"),
    "sudoers": ("persistence-changed-after-brute-force", "T1548.003"),
}
"""Artifacts whose files an intruder changes to come back, with rule and technique."""


class Session(NamedTuple):
    """From when to when an intruder was logged in, in microseconds since 1970."""

    address: str
    login: Login
    start: int
    end: int


class ChangedFile(NamedTuple):
    """A file of a watched artifact: which one, and a record that was read from it."""

    artifact: str
    record_id: str


def watch_sources(artifact: str, rows: Iterable[Row], sources: dict[str, ChangedFile]) -> Iterator[Row]:
    """Pass the records of a watched artifact through and note which files they come from."""
    for row in rows:
        source = row.get("source")
        if isinstance(source, str) and source not in sources and len(sources) < SOURCES_LIMIT:
            sources[source] = ChangedFile(artifact, str(row.get("record_id")))
        yield row


def intruders_sessions(judged: Iterable[Verdict], log: Iterable[Row]) -> list[Session]:
    """Return the sessions of the logins that a brute force won; ``log`` are the auth_log records once more."""
    logins = [
        (verdict.address, login)
        for verdict in judged
        if verdict.kind == "succeeded"
        for login in verdict.logins
        if login.microseconds is not None
    ][:SESSIONS_LIMIT]
    if not logins:
        return []
    ends = _session_ends(logins, log)
    sessions = []
    for address, login in logins:
        start = login.microseconds or 0
        end = ends.get(login.record_id, start + UNSEEN_END)
        sessions.append(Session(address, login, start, end + SECOND))
    return sorted(sessions, key=lambda session: (session.start, session.login.record_id))


def changed_files(
    rows: Iterable[Row], sources: Mapping[str, ChangedFile], sessions: list[Session]
) -> Iterator[Finding]:
    """Yield a finding for each watched file that was modified or changed during one of the sessions."""
    starts = [session.start for session in sessions]
    for row in rows:
        path = row.get("path")
        source = sources.get(path) if isinstance(path, str) and row.get("allocated", True) else None
        if source is None:
            continue
        for key in ("mtime", "ctime"):
            moment = microseconds(row.get(key))
            session = None if moment is None else _session_at(moment, sessions, starts)
            if session is not None:
                yield _finding(row, key, source, session)
                break


def _session_at(moment: int, sessions: list[Session], starts: list[int]) -> Session | None:
    """Return the latest session that was open then; ``starts`` are the sessions' starts, in order."""
    latest = bisect_right(starts, moment)
    recent = reversed(sessions[max(latest - _OPEN_LIMIT, 0) : latest])
    return next((session for session in recent if moment <= session.end), None)


def _session_ends(logins: list[tuple[str, Login]], log: Iterable[Row]) -> dict[str, int]:
    """Return when each login's session ended: sshd says so by its process, and by the client's address and port."""
    by_pid: dict[object, list[Login]] = {}
    by_peer: dict[object, list[Login]] = {}
    for address, login in logins:
        if login.pid is not None:
            by_pid.setdefault(login.pid, []).append(login)
        if login.port is not None:
            by_peer.setdefault((address, login.port), []).append(login)
    ends: dict[str, int] = {}
    for row in log:
        event, moment = row.get("event"), microseconds(row.get("timestamp"))
        if moment is None or event not in _ENDS:
            continue
        if event == "session_closed":
            ended = by_pid.get(integer(row.get("pid")), [])
        else:
            ended = by_peer.get((plain_address(str(row.get("remote_address"))), integer(row.get("remote_port"))), [])
        for login in ended:
            if 0 <= moment - (login.microseconds or 0) <= SESSION_LIMIT:
                ends[login.record_id] = min(moment, ends.get(login.record_id, moment))
    return ends


def _finding(row: Row, key: str, source: ChangedFile, session: Session) -> Finding:
    rule, technique = WATCHED[source.artifact]
    path, volume, login = str(row["path"]), row.get("volume"), session.login
    word = "modified" if key == "mtime" else "changed (ctime)"
    statement = (
        f"{cut(path)} ({source.artifact}) was {word} at {shown_time(row[key])}, while {login.user} was logged in from"
        f" {session.address}, which had guessed its way in (login at {shown_time(login.timestamp)})"
    )
    return Finding(
        finding_id=finding_id(rule, [str(volume), path]),
        rule=rule,
        severity="high",
        statement=statement,
        attack=[technique],
        cites=[login.record_id, source.record_id, path],
        evidence=[login.text],
        path=path,
        path_bytes=row.get("path_bytes"),
        volume=integer(volume),
        first_seen=login.timestamp,
        last_seen=str(row[key]),
        details={"artifact": source.artifact, "address": session.address},
    )
