"""The system on the disk: accounts that can log in, who may become root, and what sshd was told."""

from collections.abc import Callable, Iterable, Iterator

from volforensic.record import Row, container_of
from volforensic.report.bounds import Records, chosen, cut, listing

ACCOUNT_LIMIT = 200
GROUP_LIMIT = 50
SUDO_LIMIT = 100
SETTING_LIMIT = 100
OWNER_LIMIT = 20_000

NO_LOGIN = frozenset({"nologin", "false", "true", "sync", "halt", "shutdown"})
"""Last components of shells that let nobody in (nologin(8), false(1) and what passwd(5) files ship with)."""
POWERFUL_GROUPS = frozenset(
    {"root", "sudo", "wheel", "admin", "adm", "docker", "lxd", "disk", "shadow", "libvirt", "kvm", "systemd-journal"}
)
SSHD_SETTINGS = frozenset(
    {
        *("permitrootlogin", "passwordauthentication", "pubkeyauthentication", "permitemptypasswords"),
        *("kbdinteractiveauthentication", "challengeresponseauthentication", "usepam", "authorizedkeysfile"),
        *("authorizedkeyscommand", "authorizedkeyscommanduser", "trustedusercakeys", "port", "listenaddress"),
        *("allowusers", "allowgroups", "denyusers", "denygroups", "forcecommand", "permituserrc", "loglevel"),
        *("permituserenvironment", "gatewayports", "permittunnel", "allowtcpforwarding", "include"),
    }
)
"""sshd_config(5) keywords (in lower case) that decide who may come in and how."""

_PLACE = ("source", "volume", "record_id")


def owners(records: Records) -> dict[int, str]:
    """Return the name of each uid, from the hosts' users that were read; the first of two names for one uid stays."""
    names: dict[int, str] = {}
    for row in records("users"):
        uid, user = row.get("uid"), row.get("user")
        is_hosts = not container_of(row.get("source"))
        if is_hosts and isinstance(uid, int) and isinstance(user, str) and len(names) < OWNER_LIMIT:
            names.setdefault(uid, cut(user))
    return names


def describe_system(records: Records, citing: Callable[[object], list[str]]) -> Row:
    """Return accounts with a login shell or uid 0, members of powerful groups, sudo rules and sshd settings."""
    groups = (row for row in records("groups") if row.get("group") in POWERFUL_GROUPS and row.get("members"))
    rules = (row for row in records("sudoers") if not row.get("include"))
    settings = (row for row in records("sshd_config") if str(row.get("keyword", "")).lower() in SSHD_SETTINGS)
    return {
        "accounts": listing(_accounts(records, citing), ACCOUNT_LIMIT),
        "groups": _rows(groups, ("group", "gid", "members"), citing, GROUP_LIMIT),
        "sudo_rules": _rows(rules, ("user", "host", "run_as", "options", "command"), citing, SUDO_LIMIT),
        "sshd_settings": _rows(settings, ("keyword", "value", "match"), citing, SETTING_LIMIT),
    }


def can_log_in(row: Row) -> bool:
    """Whether the account's shell lets somebody in; an empty shell is /bin/sh (passwd(5))."""
    return str(row.get("shell") or "/bin/sh").rsplit("/", 1)[-1] not in NO_LOGIN


def _accounts(records: Records, citing: Callable[[object], list[str]]) -> Iterator[Row]:
    passwords: dict[tuple[object, ...], Row] = {}
    for row in records("shadow"):
        if len(passwords) < OWNER_LIMIT:
            passwords.setdefault(_account(row), row)
    keys = ("user", "uid", "gid", "comment", "home", "shell", "password_state")
    for row in records("users"):
        if row.get("uid") == 0 or ("user" in row and can_log_in(row)):
            shadow = passwords.get(_account(row), {})
            # a password in passwd itself counts; "shadowed" only says to look in shadow
            known = chosen(shadow, ("password_state", "hash_type", "last_changed"))
            own = chosen(row, (*keys, *_PLACE))
            if own.get("password_state") not in (None, "shadowed"):
                known.pop("password_state", None)
            yield own | known | {"login": can_log_in(row), "findings": citing(row.get("record_id"))}


def _account(row: Row) -> tuple[object, ...]:
    """Return what an account's lines in passwd and shadow have in common."""
    label = container_of(row.get("source"))
    return label, label or row.get("volume"), row.get("user")


def _rows(rows: Iterable[Row], keys: tuple[str, ...], citing: Callable[[object], list[str]], limit: int) -> Row:
    concise = (chosen(row, (*keys, *_PLACE)) | {"findings": citing(row.get("record_id"))} for row in rows)
    return listing(concise, limit)
