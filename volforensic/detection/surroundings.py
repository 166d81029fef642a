"""What is known of the host when its files are judged: accounts by number, and which of them serve the web."""

from collections.abc import Iterable
from typing import NamedTuple

from volforensic.record import Row, container_of

ACCOUNTS_LIMIT = 200_000
"""Accounts that are kept."""
WEB_ACCOUNTS = frozenset(
    """
    apache apache2 caddy http httpd jboss jetty lighttpd lsadm nginx php-fpm tomcat tomcat7 tomcat8 tomcat9 tomcat10
    www www-data www-run wwwrun webservd wildfly
    """.split()  # noqa: SIM905 - words read better than twenty quoted strings
)
"""Accounts under which servers of the web and of applications run."""
_USUAL_WEB_NUMBERS = frozenset({33, 48})  # www-data of Debian, apache of Red Hat: where nobody could read the accounts

_DYNAMIC = (61184, 65519)  # systemd's DynamicUser= (systemd.exec(5), UIDS-GIDS.md of systemd)
_HOMED = (60001, 60513)  # systemd-homed, as above
_NOBODY = 65534
_NAMESPACES = 65535  # from here on: container ranges of systemd-nspawn, subuid(5) from 100000, directory services


class Surroundings(NamedTuple):
    """Numbers of accounts in the passwd files of the evidence; ``uids`` is empty where there is no such file."""

    uids: frozenset[int] = frozenset()
    web_uids: frozenset[int] = _USUAL_WEB_NUMBERS

    def lacks(self, uid: int | None) -> bool:
        """Say whether a number should have an account and has none; never where no passwd file could be read."""
        return bool(self.uids) and uid is not None and uid not in self.uids and not is_assigned(uid)


def is_assigned(uid: int) -> bool:
    """Say whether a number is one that needs no line in passwd(5)."""
    in_range = _DYNAMIC[0] <= uid <= _DYNAMIC[1] or _HOMED[0] <= uid <= _HOMED[1]
    return in_range or uid == _NOBODY or uid >= _NAMESPACES


def read_surroundings(users: Iterable[Row]) -> Surroundings:
    """Return what the records of the users artifact say; accounts of all volumes together, since homes lie anywhere.

    Accounts of containers are not the host's.
    """
    uids: set[int] = set()
    web: set[int] = set()
    for row in users:
        uid = row.get("uid")
        if type(uid) is not int or container_of(row.get("source")) or len(uids) >= ACCOUNTS_LIMIT:
            continue
        uids.add(uid)
        if str(row.get("user")) in WEB_ACCOUNTS and uid:
            web.add(uid)
    return Surroundings(frozenset(uids), frozenset(web) if uids else _USUAL_WEB_NUMBERS)
