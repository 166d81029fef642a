"""Messages of the programs that change who one is: PAM, sudo, su, login, shadow's tools, systemd-logind, pkexec, cron.

A local user chooses the directory, the terminal's name, the environment and the command that sudo and pkexec log.
The command stands last, so everything after its key is the command.
"""

import re
from collections.abc import Callable

from volforensic.record import Row

Fields = Row | None

_PAM = re.compile(r"(?:pam_\w+\(([^\s:()]*):?([^\s:()]*)\): |\(pam_\w+\) )", re.ASCII)
_PAM_SESSION = re.compile(r"session (opened|closed) for user (.*?)(?:\(uid=(\d{1,10})\))?(?: by .*)?", re.ASCII)
_PAM_OUTCOME = re.compile(r"authentication (?:failure|success); .*?rhost=(\S*)(?: +user=(.*)| *)")
_PAM_RECEIVED = re.compile(r"received for user (.*): \d+ \(.*\)")
_PAM_CHANGED = re.compile(r"password changed for (.*)")
_SERVICES_THAT_SAY_SO = {"sshd", "sshd-session", "sshd-auth", "su", "su-l", "sudo", "sudo-i", "login", "remote"}
"""Services that log a failed attempt themselves: PAM's line beside theirs is the same attempt, not a second one."""

_SU_UTIL_LINUX = re.compile(r"(FAILED SU )?\(to (.*)\) (\S+) on (\S+)")
_SU_SHADOW = re.compile(r"(Successful|FAILED) su for (.*) by (\S+)")
_SU_SHADOW_TERMINAL = re.compile(r"([+-]) (\S+) (\S+)[:-](\S+)")
_SU_BSD = re.compile(r"(BAD SU )?(\S+) to (\S+) on (\S+)")

_LOGIN = re.compile(r"(?:ROOT LOGIN +ON|LOGIN ON) '?([^\s']+)'?(?: BY (.*?))?(?: FROM '?([^\s']+)'?)?", re.IGNORECASE)
_LOGIN_FAILED = re.compile(
    r"FAILED LOGIN (?:SESSION |\(\d+\) )?(?:ON '?(\S+?)'? )?(?:FROM '?([^\s']+)'? )?FOR '?(.*?)'?, .*", re.IGNORECASE
)

_LOGIND = re.compile(
    r"New session '?[^\s']*'? of user '?([^\s']*?)'?(?:\.$| with .*)|Removed session|Session \S+ logged out"
)

_SHADOW = [
    (event, re.compile(pattern))
    for event, pattern in (
        ("user_added", r"new user: name=(?P<user>[^,]*), UID=(?P<uid>\d{1,10}), .*"),
        ("user_added", r"new (?:account|user) added - account=(?P<user>[^,]*), uid=(?P<uid>\d{1,10}), .*"),  # SUSE
        ("user_deleted", r"delete user [`'](?P<user>.*)'"),
        ("group_added", r"(?:new group|group added to [^\s:]+): name=(?P<group>[^,]*)(?:, GID=\d+)?"),
        ("group_deleted", r"removed (?:shadow )?group [`'](?P<group>[^'`]*)' owned by .*"),
        ("group_deleted", r"group [`']?(?P<group>[^'`]*?)'? removed(?: from .*)?"),
        ("user_changed", r"(?:add|delete) [`'](?P<user>[^'`]*)' (?:to|from) (?:shadow )?group [`'](?P<group>[^'`]*)'"),
        ("user_changed", r"user (?P<user>\S+) (?:added|removed) by \S+ (?:to|from) group (?P<group>\S+)"),
        ("password_changed", r"(?:change|lock|unlock) user [`'](?P<user>[^'`]*)' password"),
        ("user_changed", r"changed? user [`'](?P<user>[^'`]*)' .*"),
        ("user_changed", r"change user name [`'](?P<user>[^'`]*)' to [`'].*'"),
        ("user_changed", r"(?:members|administrators) of group (?P<group>\S+) set by \S+ to .*"),
        ("password_changed", r"password for [`']?(?P<user>[^'`]*)'? changed by .*"),
        ("user_changed", r"changed password expiry for (?P<user>.*)"),
    )
]
"""What shadow's tools log, in the order of trial."""
_SHADOW_TOOLS = (
    *("useradd", "userdel", "usermod", "groupadd", "groupdel", "groupmod", "gpasswd", "passwd", "chpasswd"),
    *("chage", "chsh", "chfn", "newusers", "adduser", "deluser"),
)
_PKEXEC = re.compile(r"(\S+): [^\[]*\[USER=([^\]]*)\] \[TTY=([^\]]*)\] \[CWD=(.*?)\] \[COMMAND=(.*)\]")
_CRON = re.compile(r"\(([^()\s]*)\) CMD \((.*)\)")
_SUDO_KEYS = {
    "TTY": "tty",
    "PWD": "working_directory",
    "USER": "target_user",
    **dict.fromkeys(("HOST", "CHROOT", "GROUP", "TSID", "ENV"), ""),
}


def pam_fields(process: str, message: str) -> Row:
    """Return the fields of a PAM module's message (Linux-PAM: ``pam_unix(SERVICE:TYPE): TEXT``)."""
    prefix = _PAM.match(message)
    service = (prefix[1] if prefix else "") or process
    text = message[prefix.end() :] if prefix else message
    if found := _PAM_SESSION.fullmatch(text):
        fields: Row = {"event": f"session_{found[1]}", "user": found[2]}
        if found[3]:
            fields["uid"] = int(found[3])
        return fields
    if found := _PAM_OUTCOME.fullmatch(text):
        failed = text.startswith("authentication failure") and service not in _SERVICES_THAT_SAY_SO
        fields = {"event": "failed" if failed else "message", "method": "pam"}
        fields.update({name: value for name, value in (("user", found[2]), ("remote_address", found[1])) if value})
        return fields
    if found := _PAM_CHANGED.fullmatch(text):
        return {"event": "password_changed", "user": found[1]}
    if found := _PAM_RECEIVED.fullmatch(text):
        return {"event": "message", "user": found[1], "method": "pam"}
    return {"event": "message"}


def sudo_fields(message: str) -> Fields:
    """Return the fields of sudo's line: ``USER : [REASON ; ]KEY=VALUE ; … COMMAND=…`` (sudoers(5), "LOG FORMAT")."""
    user, colon, rest = message.lstrip(" ").partition(" : ")
    if not colon or not user:
        return None
    if rest.startswith("(command continued) "):
        return {"event": "sudo", "user": user, "command": rest.removeprefix("(command continued) ")}
    head, has_command, command = _split_command(rest)
    if not has_command and "TTY=" not in head:
        return None
    reason, values = _sudo_values(head)
    fields: Row = {"event": "sudo_failed" if reason else "sudo", "user": user}
    fields.update({_SUDO_KEYS[key]: value for key, value in values.items() if _SUDO_KEYS[key]})
    if has_command:
        fields["command"] = command
    return fields


def _split_command(text: str) -> tuple[str, str, str]:
    """Part at the first ``COMMAND=`` after ``USER=``: a directory may hold the words, the command stands last."""
    target = text.find("USER=")
    found = text.find(" ; COMMAND=", max(target, 0))
    if found < 0:
        found = text.find(" ; COMMAND=")
    if found < 0:
        return text, "", ""
    return text[:found], " ; COMMAND=", text[found + len(" ; COMMAND=") :]


def _sudo_values(head: str) -> tuple[str, dict[str, str]]:
    """Return the reason before the first key and the values; a part without a key belongs to the value before it."""
    reason: list[str] = []
    values: dict[str, list[str]] = {}
    current = reason
    for part in head.split(" ; "):
        key, equals, value = part.partition("=")
        if equals and key in _SUDO_KEYS and "ENV" not in values:
            current = values[key] = [value]
        else:
            current.append(part)
    return " ; ".join(reason), {key: " ; ".join(parts) for key, parts in values.items()}


def _su(message: str) -> Fields:
    if found := _SU_UTIL_LINUX.fullmatch(message):
        failed, target, user, terminal = found.groups()
    elif found := _SU_SHADOW.fullmatch(message):
        return {"event": "su_failed" if found[1] == "FAILED" else "su", "user": found[3], "target_user": found[2]}
    elif found := _SU_SHADOW_TERMINAL.fullmatch(message):
        sign, terminal, user, target = found.groups()
        failed = sign == "-"
    elif found := _SU_BSD.fullmatch(message):
        failed, user, target, terminal = found.groups()
    else:
        return None
    return {"event": "su_failed" if failed else "su", "user": user, "target_user": target, "tty": terminal}


def _login(message: str) -> Fields:
    if found := _LOGIN_FAILED.fullmatch(message):
        fields: Row = {"event": "failed", "user": found[3]}
        terminal, host = found[1], found[2]
    elif found := _LOGIN.fullmatch(message):
        fields = {"event": "accepted", "user": found[2] or "root"}
        terminal, host = found[1], found[3]
    else:
        return None
    fields.update({name: value for name, value in (("tty", terminal), ("remote_address", host)) if value})
    return fields


def _logind(message: str) -> Fields:
    found = _LOGIND.match(message)
    if not found:
        return None
    return {"event": "logind_session", "user": found[1]} if found[1] else {"event": "logind_session"}


def _shadow(message: str) -> Fields:
    for event, pattern in _SHADOW:
        if found := pattern.fullmatch(message):
            fields: Row = {"event": event, **found.groupdict()}
            if "uid" in fields:
                fields["uid"] = int(fields["uid"])
            return fields
    return None


def _pkexec(message: str) -> Fields:
    found = _PKEXEC.fullmatch(message)
    if not found:
        return None
    user, target, terminal, directory, command = found.groups()
    return {
        "event": "message",
        "user": user,
        "target_user": target,
        "tty": terminal,
        "working_directory": directory,
        "command": command,
    }


def _cron(message: str) -> Fields:
    found = _CRON.fullmatch(message)
    return {"event": "message", "user": found[1], "command": found[2]} if found else None


ACCOUNT_READERS: dict[str, Callable[[str], Fields]] = {
    "sudo": sudo_fields,
    "su": _su,
    "login": _login,
    "systemd-logind": _logind,
    "pkexec": _pkexec,
    **dict.fromkeys(("CRON", "cron", "crond", "crontab"), _cron),
    **dict.fromkeys(_SHADOW_TOOLS, _shadow),
}
"""How the messages of a process are read, by the name in its syslog tag."""
