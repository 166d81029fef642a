"""Guessing of passwords, and logins from addresses that guessed: the judgement of each address.

The thresholds are those of operators' practice: 20 guesses an hour are more than a person types, 10 users a day more
than one address of a few people mistypes. Below them a login after failures is what happens on every server.
"""

from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from volforensic.detection.logins import History, Login, Tally
from volforensic.detection.times import DAY, HOUR

BURST_GUESSES = 20
"""Guesses within ``BURST_WINDOW`` that make a brute force: a client gives up after 3 to 6, so that is 4 to 7 attempts
of a person who forgot a password, in one hour."""
BURST_WINDOW = HOUR
SPRAY_USERS = 10
"""Different users tried within ``SPRAY_WINDOW`` that make one: one guess each stays below the other threshold."""
SPRAY_WINDOW = DAY
SUCCESS_WINDOW = DAY
"""A login this long after the guesses is their success; later, the address may have gone to another subscriber."""
GUESSED_FAILURES, GUESSED_USERS = 5, 2
"""So many failures for so many users before a login are no slip of the hand."""
GUESSED_INVALID_USERS = 3
"""So many users that do not exist, likewise."""
_RECENT_LIMIT = 500
"""Failures looked at before one login: more in a day are nearly always a burst, which is judged before."""


class Verdict(NamedTuple):
    """What one address's guesses and logins amount to; ``logins`` are those that the judgement is about."""

    address: str
    kind: str
    history: History
    logins: list[Login]


KINDS = ("succeeded", "guessed", "failed-only", "slipped", "none")
"""From worst to nothing."""


def verdicts(tallies: Iterable[Tally]) -> list[Verdict]:
    """Return the worst verdict on each address over the sources of logins, in the order of addresses."""
    worst: dict[str, Verdict] = {}
    for tally in tallies:
        for address, history in tally.histories.items():
            verdict = judge(address, history)
            known = worst.get(address)
            if known is None or KINDS.index(verdict.kind) < KINDS.index(known.kind):
                worst[address] = verdict
    return [worst[address] for address in sorted(worst)]


def judge(address: str, history: History) -> Verdict:
    """Weigh one address."""
    if not history.guesses:
        return Verdict(address, "none", history, [])
    attacks = _attacks(history)
    if not history.logins:
        return Verdict(address, "failed-only" if attacks else "none", history, [])
    logins = sorted(history.logins, key=lambda login: (login.microseconds or 0, login.record_id))
    after = [login for login in logins if _since(attacks, login) is not None]
    established = _established(history)
    strange = [login for login in after if (login.user, login.method) not in established]
    if any((_since(attacks, login) or 0) <= SUCCESS_WINDOW for login in strange):
        return Verdict(address, "succeeded", history, strange)
    if strange:
        return Verdict(address, "guessed", history, strange)
    guessed = [login for login in _guessed(history, logins) if (login.user, login.method) not in established]
    return Verdict(address, "guessed" if guessed else "slipped", history, guessed or logins)


def _attacks(history: History) -> list[int]:
    """Return the moments at which the guesses so far made a brute force, in order."""
    if history.guesses < BURST_GUESSES and len(history.users) < SPRAY_USERS:
        return []
    order = _in_time(history)
    return sorted({*_bursts(history, order), *_sprays(history, order)})


def _in_time(history: History) -> list[int]:
    """Return the numbers of the failures in the order of their times."""
    return sorted(range(len(history.times)), key=history.times.__getitem__)


def _bursts(history: History, order: list[int]) -> Iterator[int]:
    window: deque[int] = deque()
    weight = 0
    for number in order:
        moment = history.times[number]
        window.append(number)
        weight += history.weights[number]
        while history.times[window[0]] < moment - BURST_WINDOW:
            weight -= history.weights[window.popleft()]
        if weight >= BURST_GUESSES:
            yield moment


def _sprays(history: History, order: list[int]) -> Iterator[int]:
    window: deque[int] = deque()
    users: Counter[int] = Counter()
    for number in order:
        moment = history.times[number]
        window.append(number)
        users[history.who[number]] += 1
        while history.times[window[0]] < moment - SPRAY_WINDOW:
            who = history.who[window.popleft()]
            users[who] -= 1
            if not users[who]:
                del users[who]
        if len(users) >= SPRAY_USERS:
            yield moment


def _since(attacks: list[int], login: Login) -> int | None:
    """Return how long before the login the last guess of a brute force was, in microseconds; None without one."""
    if login.microseconds is None:
        return None
    number = bisect_right(attacks, login.microseconds)
    return login.microseconds - attacks[number - 1] if number else None


def _established(history: History) -> set[tuple[str, str]]:
    """Return the users and methods that were let in before the address's first failure: people known, who mistype."""
    if history.first is None:
        return set()
    start = history.first[0]
    return {
        (login.user, login.method)
        for login in history.logins
        if login.microseconds is not None and login.microseconds < start
    }


def _guessed(history: History, logins: list[Login]) -> Iterator[Login]:
    """Yield the logins before which, within a day, the failures were too many and too varied for slips of the hand."""
    order = deque(_in_time(history))
    invalid = {number for number in history.users.values() if history.invalid >> number & 1}
    window: deque[int] = deque()
    for login in logins:
        if login.microseconds is None:
            continue
        while order and history.times[order[0]] <= login.microseconds:
            window.append(order.popleft())
        while window and history.times[window[0]] < login.microseconds - SUCCESS_WINDOW:
            window.popleft()
        recent = list(islice(reversed(window), _RECENT_LIMIT))
        users = {history.who[number] for number in recent}
        failures = sum(history.weights[number] for number in recent)
        if (failures >= GUESSED_FAILURES and len(users) >= GUESSED_USERS) or (
            len(users & invalid) >= GUESSED_INVALID_USERS
        ):
            yield login
