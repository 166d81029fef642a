"""Login accounts that share a number, so that the kernel cannot tell them apart.

Further names of root (uid 0) are a rule of the users artifact: one record shows them.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from volforensic.detection.rows import integer, shown
from volforensic.detection.rules import CITES_LIMIT, EVIDENCE_LIMIT
from volforensic.record import Finding, Row, finding_id

ACCOUNTS_LIMIT = 200_000
"""Accounts that are compared."""

_NO_LOGIN = ("/nologin", "/false", "/sync", "/halt", "/shutdown")


class Account(NamedTuple):
    """One line of a passwd file."""

    user: str
    record_id: str
    source: str
    volume: int | None
    line: str


class Accounts:
    """The accounts of each passwd file by number."""

    def __init__(self) -> None:
        """Start with no account."""
        self.logins: dict[tuple[int | None, str, int], list[Account]] = {}
        self._count = 0

    def watch(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Pass users records through and note their numbers."""
        for row in rows:
            user, uid = row.get("user"), row.get("uid")
            if isinstance(user, str) and type(uid) is int and self._count < ACCOUNTS_LIMIT:
                self._count += 1
                self._add(user, uid, row)
            yield row

    def findings(self) -> Iterator[Finding]:
        """Yield a finding for each number that several login accounts of one file have."""
        for (_volume, source, uid), accounts in sorted(self.logins.items(), key=lambda item: item[0][1:]):
            if len({account.user for account in accounts}) > 1:
                yield _shared_finding(source, uid, accounts)

    def _add(self, user: str, uid: int, row: Row) -> None:
        line = ":".join(shown(row.get(field)) for field in ("user", "uid", "gid", "comment", "home", "shell"))
        source = str(row.get("source"))
        account = Account(user, str(row.get("record_id")), source, integer(row.get("volume")), line)
        if uid != 0 and not str(row.get("shell") or "").rstrip().endswith(_NO_LOGIN) and not source.endswith("-"):
            self.logins.setdefault((account.volume, source, uid), []).append(account)


def _shared_finding(source: str, uid: int, accounts: list[Account]) -> Finding:
    names = list(dict.fromkeys(account.user for account in accounts))
    return Finding(
        finding_id=finding_id("shared-uid", [source, str(uid)]),
        rule="shared-uid",
        severity="low",
        statement=f"{len(names)} accounts with a login shell share uid {uid} in {source}: {shown(names)}",
        attack=["T1136.001"],
        cites=[account.record_id for account in accounts][:CITES_LIMIT],
        evidence=[account.line for account in accounts][:EVIDENCE_LIMIT],
        volume=accounts[0].volume,
        count=len(accounts),
    )
