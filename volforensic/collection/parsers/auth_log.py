"""Logs of the auth and authpriv facilities: /var/log/auth.log (Debian) and /var/log/secure (Red Hat).

Every line gives one row. A line is believed to be a program's by its own tag alone, whatever its text imitates.
"""

import re
from collections.abc import Iterator

from volforensic.collection.content import Content
from volforensic.collection.parsers.account_messages import ACCOUNT_READERS, pam_fields
from volforensic.collection.parsers.sshd_messages import sshd_fields
from volforensic.collection.parsers.syslog_lines import decoded, read_lines
from volforensic.record import Row

_SSHD = {"sshd", "sshd-session", "sshd-auth"}
"""OpenSSH 9.8 split the session off the listener, 10.0 the authentication off the session."""
_REPEATED = re.compile(r"message repeated (\d{1,9}) times: \[ ?(.*)", re.ASCII)
_LAST_REPEATED = re.compile(r"last message repeated (\d{1,9}) times?", re.ASCII)
_ABOUT_THE_EVENT = (
    *("process", "pid", "event", "user", "remote_address", "remote_port", "method", "key_type", "key_fingerprint"),
    *("command", "tty", "working_directory", "target_user", "uid", "group"),
)


def entries(content: Content) -> Iterator[Row]:
    """Yield a row for each line: who logged in, failed, became another user, or changed an account.

    ``repeated`` is how often the event of the line happened, where syslogd folded repetitions: rsyslog's ``message
    repeated N times: [ … ]`` holds the message, sysklogd's ``last message repeated N times`` means that of the line
    before, whose fields are taken.
    """
    before: Row = {}
    for row, message in read_lines(content):
        if message is None:
            yield decoded(row)
            continue
        if message.startswith("message repeated "):
            row.update(_repeated(row.get("process", ""), message))
        elif "last message repeated " in message[:40] and (found := _LAST_REPEATED.fullmatch(message)):
            if row.get("host") == before.get("host"):
                row.update({name: before[name] for name in _ABOUT_THE_EVENT if name in before})
            row["repeated"] = int(found[1])
            row.setdefault("event", "message")
        else:
            row.update(_fields(row.get("process", ""), message))
        before = row
        yield decoded(row)


def _fields(process: str, message: str) -> Row:
    """Return the event and the fields of one message of a process."""
    if message.startswith(("pam_", "(pam_")):
        return pam_fields(process, message)
    if process in _SSHD:
        return sshd_fields(message)
    if reader := ACCOUNT_READERS.get(process):
        return reader(message) or {"event": "message"}
    if process.endswith("(pam_unix)"):
        return pam_fields(process, message)
    return {"event": "message"}


def _repeated(process: str, message: str) -> Row:
    found = _REPEATED.fullmatch(message)
    if not found:
        return {"event": "message"}
    return {**_fields(process, found[2].removesuffix("]")), "repeated": int(found[1])}
