"""What an examiner is told of addresses that guessed passwords."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from volforensic.detection.brute_force import Verdict
from volforensic.detection.logins import History, Login, Tally
from volforensic.detection.rules import CITES_LIMIT, EVIDENCE_LIMIT
from volforensic.detection.times import shown_time
from volforensic.record import Finding, Problem, Severity, finding_id

SLIPS = 5
"""Fewer failures than that from an address that also logs in are worth a line and no more."""

_SHOWN_USERS = 8


class _Heading(NamedTuple):
    rule: str
    severity: Severity
    attack: list[str]


def findings(judged: list[Verdict]) -> Iterator[Finding]:
    """Yield a finding for each address that got in, one for those that only tried, one for those that only slipped."""
    for verdict in judged:
        if verdict.kind == "succeeded":
            yield _login_finding(verdict, "brute-force-succeeded", "critical", "Password guessing succeeded")
        elif verdict.kind == "guessed":
            yield _login_finding(verdict, "login-after-guessing", "medium", "A login followed guesses")
    tried = _busiest_first(judged, "failed-only")
    if tried:
        yield _tried_finding(tried)
    slipped = _busiest_first(judged, "slipped")
    if slipped:
        yield _slipped_finding(slipped)


def problems(tallies: Mapping[str, Tally]) -> Iterator[Problem]:
    """Yield what was not weighed because there was too much of it."""
    for artifact, tally in tallies.items():
        if tally.unfollowed:
            followed = len(tally.histories)
            reason = (
                f"{followed} addresses are followed; {tally.unfollowed} logins and failures of others are not weighed"
            )
            yield Problem(stage="detection", artifact=artifact, reason=reason)


def _login_finding(verdict: Verdict, rule: str, severity: Severity, words: str) -> Finding:
    history, logins = verdict.history, verdict.logins
    first, last = history.first, history.last
    login = logins[0]
    latest = logins[-1]
    more = (
        f"; {len(logins)} logins from there in all, the last of {latest.user}{_method(latest)} at"
        f" {shown_time(latest.timestamp)}"
        if len(logins) > 1
        else ""
    )
    statement = (
        f"{words}: {verdict.address} failed {_times(history.guesses)} for {_users(history)} between"
        f" {shown_time(first[2] if first else None)} and {shown_time(last[2] if last else None)},"
        f" and {login.user} was let in from there{_method(login)} at {shown_time(login.timestamp)}{more}"
    )
    cites = [login.record_id for login in logins][: CITES_LIMIT - 2] + [moment[1] for moment in (first, last) if moment]
    return Finding(
        finding_id=finding_id(rule, [verdict.address]),
        rule=rule,
        severity=severity,
        statement=statement,
        attack=["T1110", "T1078"],
        cites=list(dict.fromkeys(cites)),
        evidence=list(dict.fromkeys(login.text for login in logins))[:EVIDENCE_LIMIT],
        first_seen=first[2] if first else login.timestamp,
        last_seen=max([login.timestamp or "" for login in logins] + [last[2] if last else ""]) or None,
        count=len(logins),
        details={
            **_facts(verdict),
            "logins": len(logins),
            "login_users": sorted({login.user for login in logins})[:CITES_LIMIT],
            "methods": sorted({login.method for login in logins if login.method}),
            "cites_total": len(logins) + 2,
        },
    )


def _method(login: Login) -> str:
    return f" by {login.method}" if login.method else ""


def _busiest_first(judged: list[Verdict], kind: str) -> list[Verdict]:
    """Return the verdicts of a kind, those with the most guesses first."""
    of_kind = (verdict for verdict in judged if verdict.kind == kind)
    return sorted(of_kind, key=lambda verdict: (-verdict.history.guesses, verdict.address))


def _tried_finding(tried: list[Verdict]) -> Finding:
    total = sum(verdict.history.guesses for verdict in tried)
    worst = tried[0]
    statement = (
        f"{_addresses(len(tried))} guessed passwords {_times(total)} and did not get in;"
        f" the busiest was {worst.address} with {worst.history.guesses} guesses for {_users(worst.history)}"
    )
    return _summary(_Heading("brute-force", "low", ["T1110"]), statement, tried)


def _slipped_finding(slipped: list[Verdict]) -> Finding:
    total = sum(verdict.history.guesses for verdict in slipped)
    worst = slipped[0]
    statement = (
        f"{_addresses(len(slipped))} logged in and also failed, {_times(total)} together; the most failures,"
        f" {worst.history.guesses}, came from {worst.address} for {_users(worst.history)}"
    )
    severity: Severity = "low" if worst.history.guesses >= SLIPS else "info"
    return _summary(_Heading("login-after-failures", severity, ["T1078"]), statement, slipped)


def _summary(heading: _Heading, statement: str, judged: list[Verdict]) -> Finding:
    firsts = [verdict.history.first for verdict in judged if verdict.history.first]
    lasts = [verdict.history.last for verdict in judged if verdict.history.last]
    cites = [verdict.logins[-1].record_id for verdict in judged if verdict.logins] or [moment[1] for moment in firsts]
    return Finding(
        finding_id=finding_id(heading.rule, [verdict.address for verdict in judged]),
        rule=heading.rule,
        severity=heading.severity,
        statement=statement,
        attack=heading.attack,
        cites=cites[:CITES_LIMIT],
        evidence=[_line(verdict) for verdict in judged[:EVIDENCE_LIMIT]],
        first_seen=min((moment[2] for moment in firsts), default=None),
        last_seen=max((moment[2] for moment in lasts), default=None),
        count=sum(verdict.history.guesses for verdict in judged),
        details={
            "addresses_total": len(judged),
            "addresses": [_facts(verdict) for verdict in judged[:CITES_LIMIT]],
            "cites_total": len(cites),
        },
    )


def _facts(verdict: Verdict) -> dict[str, object]:
    history = verdict.history
    return {
        "address": verdict.address,
        "failures": history.guesses,
        "users": sorted(history.users)[:CITES_LIMIT],
        "users_total": len(history.users),
        "first_failure": history.first[2] if history.first else None,
        "last_failure": history.last[2] if history.last else None,
    }


def _line(verdict: Verdict) -> str:
    first, last = verdict.history.first, verdict.history.last
    span = f", {shown_time(first[2])} to {shown_time(last[2])}" if first and last else ""
    return f"{verdict.address}: {_times(verdict.history.guesses)} for {_users(verdict.history)}{span}"


def _users(history: History) -> str:
    names = [name or "(no name)" for name in history.users]
    if len(names) == 1:
        return f"user {names[0]}"
    more = ", …" if len(names) > _SHOWN_USERS else ""
    return f"{len(names)} users ({', '.join(names[:_SHOWN_USERS])}{more})"


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number:,} times"


def _addresses(number: int) -> str:
    return "One address" if number == 1 else f"{number:,} addresses"
