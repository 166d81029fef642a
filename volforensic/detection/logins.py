"""What each remote address tried: its guesses and its logins, kept small enough for a log that was flooded."""

from array import array
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from volforensic.detection.rows import integer, main_text, string
from volforensic.detection.times import microseconds
from volforensic.record import Row

ADDRESSES_LIMIT = 100_000
"""Addresses that are followed, at some 1.5 KB each; a busy server meets ten thousands in a year."""
USERS_LIMIT = 500
"""User names kept for one address; the guesses beyond still count."""
LOGINS_LIMIT = 1_000
"""Logins kept for one address."""

TIMED_LIMIT = 10_000_000
"""Guesses whose times are kept, 14 bytes each; beyond that they are only counted."""

_WEIGHT_LIMIT = 1_000_000
_CONNECTIONS_LIMIT = 65_536
_NAME_LIMIT = 64
_PAM_METHOD = "keyboard-interactive/pam"
_NO_GUESS = frozenset({"none", "publickey", "hostbased", "gssapi-with-mic"})
"""Methods whose failure guesses nothing: ``none`` comes before every real try, keys and tickets cannot be guessed."""


class Login(NamedTuple):
    """One login that was let in."""

    record_id: str
    timestamp: str | None
    microseconds: int | None
    user: str
    method: str
    pid: int | None
    port: int | None
    text: str


class History:
    """The guesses and logins of one address; the three arrays go together, in the log's order.

    ``times`` are microseconds since 1970, ``weights`` how many guesses a record stands for, ``who`` the numbers that
    ``users`` gives to names; ``invalid`` has the bit of each number whose user does not exist.
    """

    __slots__ = ("first", "guesses", "invalid", "last", "logins", "times", "users", "weights", "who")

    def __init__(self) -> None:
        """Start with nothing seen."""
        self.times = array("q")
        self.weights = array("I")
        self.who = array("H")
        self.users: dict[str, int] = {}
        self.invalid = 0
        self.guesses = 0
        self.first: tuple[int, str, str] | None = None
        self.last: tuple[int, str, str] | None = None
        self.logins: list[Login] = []


class Tally:
    """The histories of all addresses in one source of logins (a log or the login databases)."""

    def __init__(self) -> None:
        """Start with no address."""
        self.histories: dict[str, History] = {}
        self.unfollowed = 0
        self.timed = 0
        self._connections: dict[tuple[str, int | None], None] = {}

    def watch_log(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Pass auth_log records through and note sshd's guesses and logins.

        A connection that tries an unknown user gives ``invalid_user`` and most often ``failed`` too: that is one guess.
        """
        handlers: dict[str, Callable[[str, Row], None]] = {
            "failed": self._failed,
            "invalid_user": self._invalid_user,
            "accepted": self._accepted,
        }
        for row in rows:
            event = row.get("event")
            handler = handlers.get(event) if isinstance(event, str) else None
            if handler is not None:
                address = row.get("remote_address")
                if isinstance(address, str) and address:
                    handler(plain_address(address), row)
            yield row

    def watch_databases(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Pass logins records (wtmp, btmp, utmp) through and note the failures in btmp and the logins in wtmp."""
        for row in rows:
            address = row.get("remote_address")
            if isinstance(address, str) and address:
                if row.get("database") == "btmp":
                    self._guess(plain_address(address), row, 1, invalid=False)
                elif row.get("database") == "wtmp" and row.get("type") == "USER_PROCESS":
                    self._accepted(plain_address(address), row)
            yield row

    def _failed(self, address: str, row: Row) -> None:
        method = row.get("method")
        if not isinstance(method, str):
            method = ""
        if method in _NO_GUESS:
            return
        if method == _PAM_METHOD and row.get("remote_port") is None:
            self._announced(address, row, invalid=False)
            return
        repeated = row.get("repeated")
        weight = min(repeated, _WEIGHT_LIMIT) if type(repeated) is int and repeated > 0 else 1
        connection = _connection(address, row)
        if connection in self._connections:
            del self._connections[connection]
            weight -= 1
        self._guess(address, row, weight, invalid=False)

    def _invalid_user(self, address: str, row: Row) -> None:
        self._announced(address, row, invalid=True)

    def _announced(self, address: str, row: Row, *, invalid: bool) -> None:
        """Count a guess that sshd mostly reports once more as failed: once for each connection until then."""
        connection = _connection(address, row)
        known = connection in self._connections
        if not known:
            if len(self._connections) >= _CONNECTIONS_LIMIT:
                del self._connections[next(iter(self._connections))]
            self._connections[connection] = None
        self._guess(address, row, 0 if known else 1, invalid=invalid)

    def _guess(self, address: str, row: Row, weight: int, *, invalid: bool) -> None:
        history = self._history(address)
        if history is None:
            return
        history.guesses += weight
        name = str(row.get("user") or "")[:_NAME_LIMIT]
        number = history.users.get(name)
        if number is None:
            number = len(history.users)
            if number < USERS_LIMIT:
                history.users[name] = number
        if invalid:
            history.invalid |= 1 << number
        stamp = row.get("timestamp")
        moment = microseconds(stamp) if weight else None
        if moment is None or self.timed >= TIMED_LIMIT:
            return
        self.timed += 1
        history.times.append(moment)
        history.weights.append(weight)
        history.who.append(number)
        record_id = str(row.get("record_id"))
        if history.first is None or moment < history.first[0]:
            history.first = (moment, record_id, str(stamp))
        if history.last is None or moment >= history.last[0]:
            history.last = (moment, record_id, str(stamp))

    def _accepted(self, address: str, row: Row) -> None:
        history = self._history(address)
        if history is None or len(history.logins) >= LOGINS_LIMIT:
            return
        stamp = row.get("timestamp")
        history.logins.append(
            Login(
                record_id=str(row.get("record_id")),
                timestamp=string(stamp),
                microseconds=microseconds(stamp),
                user=str(row.get("user") or "-")[:_NAME_LIMIT],
                method=str(row.get("method") or "")[:_NAME_LIMIT],
                pid=integer(row.get("pid")),
                port=integer(row.get("remote_port")),
                text=main_text(row),
            )
        )

    def _history(self, address: str) -> History | None:
        history = self.histories.get(address)
        if history is None:
            if len(self.histories) >= ADDRESSES_LIMIT:
                self.unfollowed += 1
                return None
            history = self.histories[address] = History()
        return history


def _connection(address: str, row: Row) -> tuple[str, int | None]:
    pid = row.get("pid")
    return address, integer(pid if pid is not None else row.get("remote_port"))


def plain_address(address: str) -> str:
    """Return an IPv4 address that is written as an IPv6 one (RFC 4291 section 2.5.5.2) as itself."""
    return address[7:] if address[:7].lower() == "::ffff:" and "." in address else address[:_NAME_LIMIT]
