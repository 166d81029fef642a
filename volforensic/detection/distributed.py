"""Guessing of one account's password from many addresses, and the login that ended it.

One address alone stays below every threshold then. That many strangers knock at `root` or `admin` is what every server
sees; so only a login by password counts, from an address that was never let in before, straight after such an hour.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from volforensic.detection.brute_force import BURST_GUESSES, BURST_WINDOW
from volforensic.detection.logins import History, Login
from volforensic.detection.times import shown_time
from volforensic.record import Finding, finding_id

ADDRESSES = 10
"""Addresses that guessed at the account within the hour before the login."""
LOGINS_LIMIT = 10_000
"""Logins that are weighed."""
GUESSES_LIMIT = 2_000_000
"""Guesses at the accounts of these logins that are weighed."""

_METHODS = frozenset({"password", "keyboard-interactive/pam"})


class _Guess(NamedTuple):
    moment: int
    address: str
    weight: int


def findings(histories: Mapping[str, History], told: Iterable[str]) -> Iterator[Finding]:
    """Yield a finding for each account that was let in from a new address straight after distributed guessing.

    ``told`` are the addresses whose logins another finding already tells.
    """
    known = set(told)
    logins = _first_logins(histories)
    guesses = _guesses(histories, {login.user for _, login in logins})
    reported: set[str] = set()
    for address, login in logins:
        if address in known or login.user in reported:
            continue
        recent = _recent(guesses.get(login.user, []), login.microseconds or 0)
        addresses = {guess.address for guess in recent}
        if sum(guess.weight for guess in recent) >= BURST_GUESSES and len(addresses) >= ADDRESSES:
            reported.add(login.user)
            yield _finding(address, login, recent, len(addresses))


def _first_logins(histories: Mapping[str, History]) -> list[tuple[str, Login]]:
    """Return each address's first login as each user, where it was by password, in the order of time."""
    first: dict[tuple[str, str], Login] = {}
    for address, history in histories.items():
        for login in history.logins:
            before = first.get((address, login.user))
            if login.microseconds is not None and (before is None or login.microseconds < (before.microseconds or 0)):
                first[address, login.user] = login
    logins = [(address, login) for (address, _), login in first.items() if login.method in _METHODS]
    return sorted(logins, key=lambda pair: (pair[1].microseconds or 0, pair[1].record_id))[:LOGINS_LIMIT]


def _guesses(histories: Mapping[str, History], users: set[str]) -> dict[str, list[_Guess]]:
    """Return the guesses at these users from all addresses, in the order of time."""
    guesses: dict[str, list[_Guess]] = {}
    left = GUESSES_LIMIT
    for address, history in histories.items():
        wanted = {number: user for user, number in history.users.items() if user in users}
        if not wanted:
            continue
        for moment, weight, number in zip(history.times, history.weights, history.who, strict=True):
            if number in wanted and left > 0:
                left -= 1
                guesses.setdefault(wanted[number], []).append(_Guess(moment, address, weight))
    for found in guesses.values():
        found.sort()
    return guesses


def _recent(guesses: list[_Guess], moment: int) -> list[_Guess]:
    start = bisect_left(guesses, moment - BURST_WINDOW, key=lambda guess: guess.moment)
    return guesses[start : bisect_right(guesses, moment, key=lambda guess: guess.moment)]


def _finding(address: str, login: Login, recent: list[_Guess], addresses: int) -> Finding:
    guesses = sum(guess.weight for guess in recent)
    return Finding(
        finding_id=finding_id("login-after-distributed-guessing", [login.user, address]),
        rule="login-after-distributed-guessing",
        severity="medium",
        statement=(
            f"{addresses} addresses guessed {guesses} times at the password of {login.user} within an hour, and then"
            f" {login.user} was let in by {login.method} from {address} at {shown_time(login.timestamp)}, from where"
            " nobody was let in before"
        ),
        attack=["T1110.003", "T1078"],
        cites=[login.record_id],
        evidence=[login.text],
        first_seen=login.timestamp,
        last_seen=login.timestamp,
        count=guesses,
        details={"address": address, "user": login.user, "addresses": addresses, "guesses": guesses},
    )
