"""Messages of OpenSSH's sshd broken into fields (auth.c, auth2-pubkey.c, packet.c, sshd.c of openssh-portable).

A remote client chooses the user name, which may hold blanks, ``from 1.2.3.4 port 22`` or a whole imitated message.
So what follows a name is matched from the right end, where sshd itself wrote it, and what precedes it from the left.
"""

import re
from collections.abc import Callable

from volforensic.record import Row

_KEY_NOTE = r"(?:[A-Z][A-Z0-9-]* (?:(?:SHA\d+|MD5):|ID |[0-9a-f]{2}:).*|[^\s:]+)"
_ORIGIN = rf" from (\S+) port (\d+)(?: ssh\d?)?(?:: ({_KEY_NOTE}))?"
_VALID_USER = re.compile(r"\w+ (\S+) for (\S*)" + _ORIGIN, re.ASCII)
_ANY_USER = re.compile(r"\w+ (\S+) for (?:(?:invalid|illegal) user )?(.*)" + _ORIGIN, re.ASCII)
_KEY = re.compile(r"([A-Z][A-Z0-9-]*)(?: ((?:SHA\d+|MD5):[^\s,]+|[0-9a-f]{2}(?::[0-9a-f]{2})+))?(?=[ ,]|$)", re.ASCII)
_INVALID_USER = re.compile(r"(?:Invalid|Illegal) user (.*) from (\S+)(?: port (\d+))?", re.ASCII)
_REQUEST = re.compile(r"input_userauth_request: (?:invalid|illegal) user (.*)")
_PEER = r"(?:(?:(?:authenticating |invalid |illegal )?user )(.*) (\S+) port (\d+)|(\S+)(?: port (\d+))?)"
_CONNECTION_END = re.compile(r"Connection (?:closed|reset) by " + _PEER, re.ASCII)
_CONNECTION_TIMEOUT = re.compile(r"Connection to " + _PEER + " timed out", re.ASCII)
_CONNECTION_FROM = re.compile(r"Connection from (\S+) port (\d+)", re.ASCII)
_DISCONNECTED = re.compile(r"Disconnected from " + _PEER, re.ASCII)
_DISCONNECTING = re.compile(r"Disconnecting (?:" + _PEER + r")?(?:: .*)?", re.ASCII)
_DISCONNECTING_OLD = re.compile(r"Disconnecting: Too many authentication failures for (.*)")
_RECEIVED = re.compile(r"Received disconnect from (\S+?)(?: port (\d+))?: ?\d+: ", re.ASCII)
_READ_ERROR = re.compile(r"Read error from remote host (\S+?)(?: port (\d+))?: ", re.ASCII)
_LIBWRAP = re.compile(r"refused connect from (?:\S+ \((?=\S+\)$))?([^\s()]+)", re.ASCII)
_ACCESS_DENIED = re.compile(r"Access denied for user (.*) by PAM account configuration")
_MAX_ATTEMPTS = re.compile(
    r"maximum authentication attempts exceeded for (?:(?:invalid|illegal) user )?(.*) from (\S+) port (\d+)(?: ssh2)?",
    re.ASCII,
)
_PAM_ERROR = re.compile(r"PAM: ([\w ;,']{1,80}?) for (?:(?:invalid|illegal) user )?(.*) from (\S+)")
_PAM_FAILURES = re.compile(r".* rhost=(\S*)(?: +user=(.*)| *)")
_REFUSED = re.compile(r"User (.*?)(?: from (\S+))? not allowed because .*")
_WITH = re.compile(r"Unable to negotiate with " + _PEER + ": .*", re.ASCII)
_FROM_AT_END = re.compile(r".* from (\S+)(?: port (\d+))?", re.ASCII)
_WORDS_FROM = re.compile(
    r"[\w ]+: Connection from (?:(?:authenticating |invalid )?user .* )?(\S+) port (\d+)", re.ASCII
)
_FOR = re.compile(r"[\w ]+ for (\S+) port (\d+)", re.ASCII)
_TIMEOUT = re.compile(r"Timeout before authentication for (?:connection from )?(\S+)(?: port (\d+)| to )?", re.ASCII)
_UNRESPONSIVE = re.compile(r"Timeout, client not responding from " + _PEER, re.ASCII)
_DROPPED = re.compile(r"drop connection #\d+ from \[([^\]\s]+)\]:(\d+) ", re.ASCII)
_SESSION = re.compile(r"(?:Starting|Close) session: (?:\S.* for|user) (\S+) from (\S+) port (\d+) id \d+", re.ASCII)
_ROOT_REFUSED = re.compile(r"ROOT LOGIN REFUSED FROM (\S+)(?: port (\d+))?", re.ASCII)
_WRONG_PLACE = re.compile(
    r"Authentication tried for (.*) with correct key but not from a permitted host \(host=\S*, ip=(\S+?)[,)]"
)
_REVERSE = re.compile(r"reverse mapping checking getaddrinfo for \S+ \[([^\]\s]+)\]")
_SUBSYSTEM = re.compile(r"subsystem request for \S+ by user (.*)")
_FOUND_KEY = re.compile(
    r"(?:Accepted key|Found matching) (\S+)(?: key:)? ((?:SHA\d+|MD5):\S+|[0-9a-f]{2}(?::[0-9a-f]{2})+)"
)

Fields = Row | None


def sshd_fields(message: str) -> Row:
    """Return the event of an sshd message and the fields it holds; the event is "message" where it is no other."""
    message = message.removeprefix("error: ").removeprefix("fatal: ")
    message = message.removesuffix(" [preauth]").removesuffix(" [postauth]")
    reader = _READERS.get(message.split(" ", 1)[0])
    return (reader(message) if reader else None) or {"event": "message"}


def _authentication(message: str) -> Fields:
    found = _VALID_USER.fullmatch(message) or _ANY_USER.fullmatch(message)
    if not found:
        return _found_key(message)
    method, user, address, port, note = found.groups()
    fields = _remote(_EVENT_OF.get(message.split(" ", 1)[0], "message"), user, address, port)
    fields["method"] = method
    if note and (key := _KEY.match(note)):
        fields["key_type"] = key[1]
        if key[2]:
            fields["key_fingerprint"] = key[2]
    return fields


_EVENT_OF = {"Accepted": "accepted", "Failed": "failed"}


def _found_key(message: str) -> Fields:
    found = _FOUND_KEY.match(message)
    return {"event": "message", "key_type": found[1], "key_fingerprint": found[2]} if found else None


def _remote(event: str, user: str | None, address: str | None, port: str | None) -> Row:
    """Return the fields of a peer; a port beyond 65535 is none."""
    fields: Row = {"event": event}
    if user is not None:
        fields["user"] = user
    if address:
        fields["remote_address"] = address
    if port and len(port) <= 5 and int(port) <= 65535:
        fields["remote_port"] = int(port)
    return fields


def _peer(event: str, pattern: re.Pattern[str], message: str) -> Fields:
    """Return the fields of packet.c's connection id: ``[[authenticating |invalid ]user NAME ]ADDRESS port PORT``."""
    found = pattern.fullmatch(message)
    if not found:
        return None
    user, address, port, bare_address, bare_port = found.groups()
    return _remote(event, user, address or bare_address, port or bare_port)


def _named(event: str, pattern: re.Pattern[str]) -> Callable[[str], Fields]:
    """Return a reader of a whole message whose groups are user, address and port, the last ones optional."""

    def reader(message: str) -> Fields:
        found = pattern.fullmatch(message)
        if not found:
            return None
        user, address, port = (*found.groups(), None, None)[:3]
        return _remote(event, user, address, port)

    return reader


def _placed(event: str, pattern: re.Pattern[str]) -> Callable[[str], Fields]:
    """Return a reader of a message's beginning whose groups are address and port."""

    def reader(message: str) -> Fields:
        found = pattern.match(message)
        if not found:
            return None
        address, port = (*found.groups(), None)[:2]
        return _remote(event, None, address, port)

    return reader


def _connection(message: str) -> Fields:
    if found := _CONNECTION_FROM.match(message):
        return _remote("message", None, found[1], found[2])
    return _peer("connection_closed", _CONNECTION_END, message) or _peer(
        "connection_closed", _CONNECTION_TIMEOUT, message
    )


def _disconnecting(message: str) -> Fields:
    if found := _DISCONNECTING_OLD.fullmatch(message):
        return _remote("disconnected", found[1], None, None)
    # the reason may hold the new user name the client asked for: it is cut off before the address is looked for
    head = message.partition(": Change of username")[0]
    return _peer("disconnected", _DISCONNECTING, head) or {"event": "disconnected"}


def _timeout(message: str) -> Fields:
    if message.startswith("Timeout, "):
        return _peer("connection_closed", _UNRESPONSIVE, message)
    return _placed("connection_closed", _TIMEOUT)(message)


def _pam(message: str) -> Fields:
    if found := _PAM_ERROR.fullmatch(message):
        fields = _remote("failed", found[2], found[3], None)
        fields["method"] = "keyboard-interactive/pam"
        return fields
    found = _PAM_FAILURES.fullmatch(message)
    return _remote("message", found[2], found[1], None) if found else None


def _session(message: str) -> Fields:
    return _named("session_closed" if message.startswith("Close") else "session_opened", _SESSION)(message)


def _user(message: str) -> Fields:
    # sshd goes on with such a user as with one that does not exist
    return _named("invalid_user", _REFUSED)(message)


def _root_refused(message: str) -> Fields:
    found = _ROOT_REFUSED.match(message)
    return _remote("failed", "root", found[1], found[2]) if found else None


def _listening(message: str) -> Fields:
    return {"event": "server_listening"} if message.startswith("Server listening on ") else None


def _kex(_message: str) -> Fields:
    return {"event": "negotiation_failed"}


def _no_key_exchange(message: str) -> Fields:
    return _kex(message) if message == "Unable to negotiate a key exchange method" else None


_negotiation = _placed("negotiation_failed", _FROM_AT_END)

_READERS: dict[str, Callable[[str], Fields]] = {
    "Accepted": _authentication,
    "Failed": _authentication,
    "Postponed": _authentication,
    "Partial": _authentication,
    "Found": _found_key,
    "Invalid": _named("invalid_user", _INVALID_USER),
    "Illegal": _named("invalid_user", _INVALID_USER),
    "input_userauth_request:": _named("invalid_user", _REQUEST),
    "User": _user,
    "Connection": _connection,
    "Disconnected": lambda message: _peer("disconnected", _DISCONNECTED, message),
    "Disconnecting": _disconnecting,
    "Disconnecting:": _disconnecting,
    "Received": _placed("disconnected", _RECEIVED),
    "maximum": _named("max_attempts", _MAX_ATTEMPTS),
    "PAM:": _pam,
    "PAM": _pam,
    "Unable": lambda message: _peer("negotiation_failed", _WITH, message) or _no_key_exchange(message),
    "Bad": _negotiation,
    "Did": _negotiation,
    "banner": _placed("negotiation_failed", _WORDS_FROM),
    "kex_exchange_identification:": _kex,
    "Protocol": _placed("negotiation_failed", _FOR),
    "ssh_dispatch_run_fatal:": _placed("connection_closed", _WORDS_FROM),
    "Timeout": _timeout,
    "Timeout,": _timeout,
    "drop": _placed("connection_closed", _DROPPED),
    "refused": _placed("connection_closed", _LIBWRAP),
    "Read": _placed("connection_closed", _READ_ERROR),
    "Access": _named("failed", _ACCESS_DENIED),
    "no": lambda message: _kex(message) if message.startswith("no matching ") else None,
    "Starting": _session,
    "Close": _session,
    "ROOT": _root_refused,
    "Authentication": _named("failed", _WRONG_PLACE),
    "reverse": _placed("message", _REVERSE),
    "Address": _placed("message", re.compile(r"Address (\S+) maps to ")),
    "subsystem": _named("message", _SUBSYSTEM),
    "Server": _listening,
}
