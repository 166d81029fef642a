"""Files whose owner no passwd file knows, told by number and place (ATT&CK T1531 leaves them, so does tar(1)).

Ordinary makers of such files: archives that root unpacked, accounts that were deleted, accounts of a directory service
(SSSD, LDAP), containers and user namespaces. So this is told once for a number and a place, and as of little weight
except where the system's own programs and settings belong to a number that anybody may be given next.
"""

import re
from collections.abc import Iterator

from volforensic.detection.judgements import Group, Judgement, Subject
from volforensic.detection.surroundings import Surroundings
from volforensic.record import Severity

_OTHERS = re.compile(
    r"/var/lib/(?:docker|containers?|containerd|lx[cd]|lxcfs|kubelet|rancher|k3s|machines|snapd|flatpak|private|etcd|longhorn|rook|ceph|gitlab|minio|registry|portainer)/"
    r"|/(?:snap|proc|sys|run|dev|nix|ostree|sysroot|lost\+found|mnt|media|net|nfs|export|exports|volumes?|swarm|docker|containers?|backups?|data)(?:/|\Z)"
    r"|/var/(?:snap|cache|backups|opt/gitlab|opt/mssql|run)/|/(?:tmp|var/tmp)/|.{0,300}/(?:node_modules|vendor|site-packages|dist-packages|gems|rootfs|overlay2?|volumes?)/"
    r"|/usr/(?:src|local|lib/node_modules|lib/jvm|lib/go[^/]{0,10}|share)/|/opt/|/srv/|/home/[^/]{1,255}/.{1,300}/|/var/www/|/etc/(?:letsencrypt|docker|kubernetes|ssl/private)/"
)
"""Where archives, containers, exports and applications bring numbers of other hosts."""
_HOME = re.compile(r"/home/[^/]{1,255}(?:/|\Z)")
_TRUSTED = re.compile(r"/(?:etc|root|boot|(?:usr/)?(?:s?bin|lib(?:exec|32|64)?)|var/spool/(?:cron|at)|lib/modules)/")
"""Where root's programs and settings lie: an owner may change them."""


def owner_judgements(subject: Subject, surroundings: Surroundings) -> Iterator[Judgement]:
    """Yield a judgement where nobody has the number of the owner; nothing where no passwd file could be read."""
    uid = subject.uid
    if not surroundings.lacks(uid) or subject.contained or subject.settled:
        return
    if subject.row.get("type") not in ("file", "directory"):
        return
    trusted = _TRUSTED.match(subject.inner) is not None
    severity = _severity(subject, trusted=trusted)
    top = "/".join(subject.inner.split("/")[:3])
    words = f"it belongs to user number {uid}, which no account of this host has"
    if trusted and subject.kind:
        words += ": whoever is given that number may change a program of the system"
    group = _group(subject.inner, top, str(uid))
    yield Judgement("owner-without-account", severity, words, [], {"uid": uid}, [], group)


def _group(path: str, top: str, uid: str) -> Group:
    what = "files and directories"
    reason = ""
    if _HOME.match(path):
        what, reason = "files and directories of a home", ": the account was removed, or is kept elsewhere"
    plural = f"{what} at and below {top} belong to user number {uid}, which no account of this host has{reason}"
    return Group(f"{uid}/{top}", plural, alone=1)


def _severity(subject: Subject, *, trusted: bool) -> Severity:
    if not trusted and not _HOME.match(subject.inner) and _OTHERS.match(f"{subject.inner}/"):
        return "info"
    return "medium" if trusted and subject.kind else "low"
