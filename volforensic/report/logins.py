"""Who came in, who tried: aggregates over the authentication logs and the login databases.

The records may be millions: one pass, bounded memory, nothing kept but counts and the newest of what is listed.
"""

import heapq
from collections.abc import Iterator

from volforensic.record import Row
from volforensic.report.bounds import NAME_LIMIT, Count, Records, Tally, bounded, chosen, listing

ACCEPTED_LIMIT = 200
FAILED_LIMIT = 100
SUDO_LIMIT = 100
CHANGE_LIMIT = 200
SESSION_LIMIT = 100
LASTLOG_LIMIT = 200
ODD_LIMIT = 50
REPEAT_LIMIT = 1_000_000_000
"""A log line that claims to stand for more repetitions than this counts as this many."""

CHANGES = frozenset(
    {"user_added", "user_deleted", "user_changed", "group_added", "group_deleted", "password_changed", "key_added"}
)
ATTEMPTS = frozenset({"failed", "invalid_user"})
SUDO = frozenset({"sudo", "sudo_failed"})
FIELDS_USED = {
    "auth_log": (
        *("record_id", "timestamp", "volume", "source", "event", "repeated", "remote_address", "user", "method"),
        *("key_fingerprint", "target_user", "command", "uid", "raw"),
    ),
    "logins": (
        *("record_id", "timestamp", "source", "database", "type", "user", "terminal", "remote_host"),
        *("remote_address", "suspicious"),
    ),
    "lastlog": ("record_id", "timestamp", "uid", "terminal", "remote_host", "volume"),
}
"""Fields of each artifact that this module reads: a caller may decode only these."""

_CHANGE_KEYS = ("timestamp", "event", "user", "target_user", "uid", "raw", "source", "volume", "record_id")
_ODD_KEYS = ("suspicious", "database", "user", "terminal", "timestamp", "source", "record_id")


def describe_logins(records: Records, users: dict[int, str]) -> Row:
    """Return the section: accepted and failed logins, sudo, account changes, sessions, boots, lastlog.

    ``users`` names users by uid, for lastlog, which knows only numbers.
    """
    return _authentication(records("auth_log")) | _databases(records("logins")) | _lastlog(records("lastlog"), users)


def _authentication(rows: Iterator[Row]) -> Row:
    accepted, failed, sudo, changes = Tally(), Tally(), Tally(), Newest(CHANGE_LIMIT)
    for row in rows:
        event = row.get("event")
        if event in ATTEMPTS:
            failed.add((_text(row, "remote_address"),), event, row.get("timestamp"), _weight(row), _text(row, "user"))
        elif event == "accepted":
            key = tuple(_text(row, name) for name in ("user", "remote_address", "method", "key_fingerprint"))
            accepted.add(key, event, row.get("timestamp"), _weight(row))
        elif event in SUDO:
            key = tuple(_text(row, name) for name in ("user", "target_user", "command"))
            sudo.add(key, event, row.get("timestamp"), _weight(row))
        elif event in CHANGES:
            changes.add(row)
    entered = Tally()
    for _, address, _, _ in accepted:
        entered.add((address,), "accepted", None)

    def attempt(key: tuple[str, ...], count: Count) -> Row:
        return _attempt(key, count) | {"also_accepted": bool(key[0]) and key in entered}

    return {
        "accepted": accepted.listing(ACCEPTED_LIMIT, _accepted, order=lambda count: count.last or ""),
        "failed": failed.listing(FAILED_LIMIT, attempt),
        "sudo": sudo.listing(SUDO_LIMIT, _sudo, order=lambda count: (count.kinds.get("sudo_failed", 0), count.total)),
        "account_changes": changes.listing(_CHANGE_KEYS),
    }


def _databases(rows: Iterator[Row]) -> Row:
    sessions, refused, boots, odd = Tally(), Tally(), Tally(), Newest(ODD_LIMIT)
    for row in rows:
        database = row.get("database")
        address = _text(row, "remote_address") or _text(row, "remote_host")
        if row.get("suspicious"):
            odd.add(row)
        if database == "btmp":
            refused.add((address,), "failed", row.get("timestamp"), 1, _text(row, "user"))
        elif row.get("type") == "USER_PROCESS":
            key = (_text(row, "database"), _text(row, "user"), address)
            sessions.add(key, "session", row.get("timestamp"), 1, _text(row, "terminal"))
        elif row.get("type") == "BOOT_TIME":
            boots.add((_text(row, "database"),), "boot", row.get("timestamp"))
    return {
        "sessions": sessions.listing(SESSION_LIMIT, _session, order=lambda count: count.last or ""),
        "refused": refused.listing(FAILED_LIMIT, _attempt),
        "boots": boots.listing(3, lambda key, count: {"database": key[0]} | _span(count)),
        "odd_records": odd.listing(_ODD_KEYS),
    }


def _lastlog(rows: Iterator[Row], users: dict[int, str]) -> Row:
    keys = ("uid", "timestamp", "terminal", "remote_host", "volume", "record_id")
    entries = ({"user": users.get(row.get("uid", -1), "")} | chosen(row, keys) for row in rows)
    return {"lastlog": listing(entries, LASTLOG_LIMIT)}


class Newest:
    """The newest ``limit`` rows among any number; those without a time count as the oldest."""

    def __init__(self, limit: int) -> None:
        """Start with none."""
        self._total = 0
        self._limit = limit
        self._rows: list[tuple[str, int, Row]] = []

    def add(self, row: Row) -> None:
        """Count the row and keep it while it is among the newest."""
        self._total += 1
        heapq.heappush(self._rows, (row.get("timestamp") or "", -self._total, row))
        if len(self._rows) > self._limit:
            heapq.heappop(self._rows)

    def listing(self, keys: tuple[str, ...]) -> Row:
        """Return ``{total, listed}`` with these keys of each row, the newest first."""
        return {"total": self._total, "listed": [chosen(row, keys) for _, _, row in sorted(self._rows, reverse=True)]}


def _accepted(key: tuple[str, ...], count: Count) -> Row:
    user, address, method, fingerprint = key
    return {"user": user, "remote_address": address, "method": method, "key_fingerprint": fingerprint} | _span(count)


def _attempt(key: tuple[str, ...], count: Count) -> Row:
    names = list(count.names)
    return {
        "remote_address": key[0],
        **{kind: count.kinds[kind] for kind in sorted(count.kinds)},
        "users": names[:NAME_LIMIT],
        "more_users": len(names) > NAME_LIMIT,
        **_span(count),
    }


def _sudo(key: tuple[str, ...], count: Count) -> Row:
    refused = count.kinds.get("sudo_failed", 0)
    return {"user": key[0], "target_user": key[1], "command": key[2], "refused": refused} | _span(count)


def _session(key: tuple[str, ...], count: Count) -> Row:
    names = list(count.names)[:NAME_LIMIT]
    return {"database": key[0], "user": key[1], "remote_address": key[2], "terminals": names} | _span(count)


def _span(count: Count) -> Row:
    return {"count": count.total, "first": bounded(count.first), "last": bounded(count.last)}


def _text(row: Row, name: str) -> str:
    value = row.get(name)
    return value if isinstance(value, str) else ""


def _weight(row: Row) -> int:
    repeated = row.get("repeated")
    return min(repeated, REPEAT_LIMIT) if isinstance(repeated, int) and repeated > 1 else 1
