"""Keys that were let in and that no authorized_keys file holds any more."""

from collections.abc import Iterable, Iterator

from volforensic.detection.rows import shown
from volforensic.detection.rules import CITES_LIMIT, Merged
from volforensic.detection.times import shown_time
from volforensic.record import Finding, Row, finding_id

KEYS_LIMIT = 10_000
"""Fingerprints that are compared, in the log and in the files each."""

_PREFIX = "SHA256:"


class KeyLogins:
    """The keys of the log and those of the files, by their SHA-256 fingerprint."""

    def __init__(self) -> None:
        """Start with no key."""
        self.held: set[str] = set()
        self.files_read = False
        self.command: str | None = None
        self._logins: dict[str, Merged] = {}
        self._users: dict[str, dict[str, None]] = {}

    def watch_log(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Pass auth_log records through and note the keys that were let in; certificates are another matter."""
        for row in rows:
            if row.get("event") == "accepted" and row.get("key_fingerprint"):
                fingerprint = _fingerprint(row["key_fingerprint"])
                if fingerprint and "-CERT" not in str(row.get("key_type")).upper():
                    self._note(fingerprint, row)
            yield row

    def watch_files(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Pass authorized_keys records through and note their keys."""
        for row in rows:
            self.files_read = True
            fingerprint = _fingerprint(row.get("fingerprint"))
            if fingerprint and len(self.held) < KEYS_LIMIT:
                self.held.add(fingerprint)
            yield row

    def watch_settings(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Pass sshd_config records through: AuthorizedKeysCommand lets keys in that no file holds."""
        for row in rows:
            keyword, value = row.get("keyword"), row.get("value")
            if isinstance(keyword, str) and keyword.lower() == "authorizedkeyscommand" and isinstance(value, str):
                self.command = value if value.lower() != "none" else self.command
            yield row

    def findings(self) -> Iterator[Finding]:
        """Yield a finding for each key that was let in and is in no file; none where no file of keys was read."""
        if not self.files_read or len(self.held) >= KEYS_LIMIT:
            return
        for fingerprint, merged in sorted(self._logins.items()):
            if fingerprint not in self.held:
                yield self._finding(fingerprint, merged)

    def _note(self, fingerprint: str, row: Row) -> None:
        merged = self._logins.get(fingerprint)
        if merged is None:
            if len(self._logins) >= KEYS_LIMIT:
                return
            merged = self._logins[fingerprint] = Merged()
            self._users[fingerprint] = {}
        merged.add(row)
        if len(self._users[fingerprint]) < CITES_LIMIT:
            self._users[fingerprint][f"{shown(row.get('user'))} from {shown(row.get('remote_address'))}"] = None

    def _finding(self, fingerprint: str, merged: Merged) -> Finding:
        who = shown(list(self._users[fingerprint]))
        why = f"; sshd also takes keys from {self.command}" if self.command else ""
        logins = "one login" if merged.count == 1 else f"{merged.count} logins, the last"
        return Finding(
            finding_id=finding_id("key-no-longer-authorized", [fingerprint]),
            rule="key-no-longer-authorized",
            severity="info" if self.command else "low",
            statement=(
                f"The key {fingerprint} let in {who} ({logins} at {shown_time(merged.last_seen)}),"
                f" and no authorized_keys file holds it now{why}"
            ),
            attack=["T1098.004", "T1070"],
            details={"fingerprint": fingerprint, "cites_total": merged.count},
            **merged.seen(),
        )


def _fingerprint(value: object) -> str | None:
    if not isinstance(value, str) or not value.startswith(_PREFIX) or len(value) > 64:
        return None
    return value.rstrip("=")
