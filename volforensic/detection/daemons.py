"""Names of system daemons on programs that lie where no such daemon does (ATT&CK T1036.005).

Malware that runs as one account or another calls itself sshd, systemd-networkd or dbus-daemon, or nearly so. The name
alone says nothing: it is the place, and that no package knows the file.
"""

import re
from collections.abc import Iterator

from volforensic.detection import places
from volforensic.detection.judgements import Judgement, Subject, article
from volforensic.record import Severity

_LONG_ENOUGH = 4  # shorter names are a letter apart from too many others

DAEMONS = frozenset(
    """
    accounts-daemon acpid agetty amazon-ssm-agent anacron atd audisp-syslog auditd avahi-daemon bluetoothd chronyd
    crond cupsd dbus-broker dbus-daemon dhclient firewalld gssproxy haveged irqbalance iscsid ksmtuned lvmetad
    lvmpolld mcelog ModemManager multipathd NetworkManager nmbd nscd ntpd polkitd rngd rpc.mountd rpc.statd rpcbind
    rpciod rsyslogd rtkit-daemon sedispatch smartd smbd snapd sshd sshd-session sssd syslog-ng syslogd systemd
    systemd-coredump systemd-hostnamed systemd-journald systemd-localed systemd-logind systemd-machined
    systemd-networkd systemd-oomd systemd-resolved systemd-timedated systemd-timesyncd systemd-udevd systemd-userdbd
    thermald udevd udisksd upowerd vsftpd wpa_supplicant xinetd
    """.split()  # noqa: SIM905 - words read better than a hundred quoted strings
)
"""What a distribution runs by itself, as ps(1) names it."""

SERVERS = frozenset(
    """
    apache2 containerd containerd-shim containerd-shim-runc-v2 cron dockerd httpd init java kubelet mysqld nginx
    php-fpm postgres redis-server tuned unattended-upgrade
    """.split()  # noqa: SIM905 - words read better than twenty quoted strings
)
"""Servers that people build and unpack anywhere: out of place only where nothing belongs."""

_DIGITS = {"o": "0", "l": "1", "i": "1", "e": "3"}
_REAL = frozenset({"chronyc", "smbd", "nmbd", "atd", "ntpd", "sssd", "nscd", "snap", "mcelog"})


def _variants(name: str) -> set[str]:
    """Return how a name is mistaken by one letter: doubled, left out, turned round, added, or a digit in its place."""
    found = {name + letter for letter in "sdx_-0123456789"}
    for place in range(len(name)):
        rest = name[place + 1 :]
        found |= {name[: place + 1] + name[place] + rest, name[:place] + _DIGITS.get(name[place], name[place]) + rest}
        if 0 < place < len(name) - 1 and len(name) > _LONG_ENOUGH + 1:
            found.add(name[:place] + rest)
        if rest:
            found.add(name[:place] + rest[0] + name[place] + rest[1:])
    return found


_VARIANTS = (
    frozenset(variant for name in DAEMONS for variant in _variants(name) if len(variant) >= _LONG_ENOUGH)
    - DAEMONS
    - SERVERS
    - _REAL
)
_LOOK_ALIKE = re.compile(
    r"(?:sshd{2,3}|s{2,3}hd{2}|ssshd|sshds|shsd|sshdd?[0-9]{1,3}|\.sshd|sshd[_.-](?:bak|real|old|org|orig)|cr[o0]n{2}d|crondd|"
    r"cron[d]?r|crondr|rsyslogdd|rsyslogds|rsys1ogd|syslogdd|dbus-deamon|dbus-daemons|dbus-daem0n|ntpdd?[0-9]|"
    r"systemd(?:d|s|-?[0-9]{1,3}|-(?:init|service|daemon|worker|udev|update|network|journal|login|log|devd|kernel|private|"
    r"manager|bus|cgroup|resolve|resolv|networkdd|logins|jounald|journaldd|udevdd|timesync|helper|cron|net))|"
    r"sytemd|sysetmd|systmed|systemctI|systernd|syst3md|auditdd|atdd|httpdd|htttpd|nginxx|polkltd|po1kitd|"
    r"udevdd|udev-d|irqbalanc(?:ed|er)|irqba1ance|irqbalanced|snapdd|networkmanagerd|initd?[0-9])"
)
"""What malware called itself to pass for one of them: a letter more or less, a part that does not exist."""

_HOME_OF_DAEMONS = re.compile(
    r"(?:/usr)?/(?:s?bin|lib(?:exec)?|lib(?:32|64|x32))/"
    r"|/usr/local/(?:s?bin|lib(?:exec)?|lib64|[^/.][^/]{0,80}/(?:s?bin|libexec))/"
    r"|/opt/(?!\.)[^/]{1,80}/"
    r"|/(?:snap|nix|gnu|run|home/linuxbrew|etc|boot|sysroot|ostree|usr/(?:src|share|include|lib/debug))/"
    r"|/var/lib/(?:snapd|flatpak|machines|lx[cd]|docker|containers|containerd|rancher|k3s|kubelet|dpkg|dkms|waydroid|cloud)/"
)
"""Where daemons live: of the distribution, built by hand, of vendors, of other package managers and of containers."""
_TREE_OF_ITS_OWN = re.compile(
    r"/(?:usr/|rootfs/|chroot[^/]{0,40}/|jail[^/]{0,40}/|sysroot/|initrd[^/]{0,40}/|initramfs[^/]{0,40}/|envs?/[^/]{1,80}/|"
    r"[^/]{0,40}(?:conda|forge)[^/]{0,3}/|node_modules/|site-packages/|\.nix[^/]{0,20}/|Cellar/|target/|build/|\.libs/|lib/systemd/|src/|"
    r"openssh[^/]{0,30}/|busybox[^/]{0,30}/|nginx[^/]{0,30}/|httpd[^/]{0,30}/|apache[^/]{0,30}/|php[^/]{0,30}/|mysql[^/]{0,30}/|"
    r"mariadb[^/]{0,30}/|p(?:ost)?gre?s?(?:ql)?[^/]{0,30}/|kubernetes[^/]{0,30}/|docker[^/]{0,30}/|containerd[^/]{0,30}/)"
)
"""A part of a path that says: a root of its own, a conda environment, a source or release tree of the daemon itself."""
_WRITABLE = re.compile(r"/(?:tmp|var|dev|run|home|root|srv|mnt|media|data)/")


def daemon_judgements(subject: Subject) -> Iterator[Judgement]:
    """Yield a judgement where a program that no package brought has the name of a daemon and lies elsewhere."""
    if subject.settled or subject.verdict in {"altered", "config changed", "unverified"} or subject.contained:
        return
    name = subject.name
    path = subject.inner
    unsafe = places.temporary_directory(path) is not None or places.hidden_part(path) is not None
    exact = name in DAEMONS or (unsafe and name in SERVERS)
    if not exact and name not in _VARIANTS and not _LOOK_ALIKE.fullmatch(name):
        return
    if not unsafe and not _is_elsewhere(subject, exact=exact):
        return
    likeness = "has" if exact else "imitates"
    where = "in a place where no such daemon lies" if exact else "and no package is known to have brought it"
    words = f"{article(subject.kind)} {likeness} the name of a system daemon ({name}), {where}"
    yield Judgement("name-of-system-daemon", _severity(subject, unsafe=unsafe), words, ["T1036.005"], {}, [])


def _severity(subject: Subject, *, unsafe: bool) -> Severity:
    return "high" if unsafe or (subject.unowned and _WRITABLE.match(subject.inner) is not None) else "medium"


def _is_elsewhere(subject: Subject, *, exact: bool) -> bool:
    """Say whether the name is out of place; a script (init scripts, wrappers) only where it imitates a name."""
    if _TREE_OF_ITS_OWN.search(subject.inner) and not subject.inner.startswith("/usr/"):
        return False
    if exact:
        return subject.kind == "executable" and _HOME_OF_DAEMONS.match(subject.inner) is None
    return subject.unowned or _HOME_OF_DAEMONS.match(subject.inner) is None
