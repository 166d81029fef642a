"""Immutable and append-only files (chattr(1)): how miners keep what they planted, and how some administrators lock.

ATT&CK T1222.002. The attribute alone says little: it is what it keeps that matters.
"""

import re
from collections.abc import Iterator

from volforensic.detection import places
from volforensic.detection.judgements import Group, Judgement, Subject, article
from volforensic.record import Severity

_LOCKING = ("immutable", "append_only")

_STARTS_SOMETHING = re.compile(
    r"/etc/(?:cron[^/]{0,12}(?:/.{1,300})?|anacrontab|ld\.so\.preload|rc\.local|rc\.d/rc\.local|systemd/system(?:/.{1,300})?|init\.d/.{1,200}|profile\.d/.{1,200}"
    r"|update-motd\.d/.{1,200}|udev/rules\.d/.{1,200}|modules-load\.d/.{1,200}|pam\.d/.{1,100}|sudoers\.d/.{1,200})"
    r"|/var/spool/(?:cron|at|anacron)(?:/.{1,300})?|/usr/lib/systemd/system(?:/.{1,300})?"
    r"|/(?:root|home/[^/]{1,255}|var/lib/[^/]{1,255})/(?:\.ssh(?:/.{1,200})?|\.config/(?:systemd|autostart)/.{1,300})"
)
"""Files that start something by themselves or let somebody in."""
_ACCOUNTS = re.compile(r"/etc/(?:passwd|shadow|group|gshadow|sudoers|subuid|subgid|login\.defs|ssh/sshd_config)-?")
_SYSTEM_PROGRAMS = re.compile(r"(?:/usr(?:/local)?)?/(?:s?bin|lib(?:exec|32|64)?)/.{1,400}")

_KNOWN = re.compile(
    r"/etc/(?:resolv\.conf|hosts|hostname|fstab|mtab|machine-id|issue(?:\.net)?|motd|sysctl\.conf|selinux/config|network/interfaces|netplan/.{1,100}"
    r"|NetworkManager/.{1,200}|sysconfig/network-scripts/.{1,200}|php.{0,80}\.ini|cloud/.{1,200}|dhcp/.{1,200}|ntp\.conf|yum\.conf|grub\.d/.{1,100})"
    r"|/(?:ostree|sysroot)(?:/.{0,400})?|/boot/(?:efi|loader|grub2?)(?:/.{0,300})?|.{0,400}/\.user\.ini|.{0,400}/(?:aquota|quota|a?project)\.(?:user|group|project)(?:\.new)?"
    r"|/(?:var/)?empty(?:/.{0,200})?|/usr/share/empty(?:\.sshd)?|/var/lib/(?:machines|systemd|private|lastore|fwupd|samba/.{1,100})(?:/.{0,200})?"
    r"|/(?:mnt|media|srv|export|backup|data)(?:/[^/]{1,255}){0,3}|/(?:swapfile|swap\.img|swap/.{1,100})|/(?:usr/)?lib/modules/.{1,300}"
    r"|.{0,400}/(?:\.snapshots?|timeshift|\.zfs)(?:/.{0,300})?|/home/(?:\.?virtfs|chroot)(?:/.{0,300})?|/(?:usr/local/)?(?:cpanel|psa|directadmin|www/server)(?:/.{0,400})?"
    r"|/(?:root|home/[^/]{1,255})/\.[a-z]{0,4}sh?_?history|/(?:root|home/[^/]{1,255})|/var/log(?:/.{0,300})?|/sys/.{0,200}"
)
"""What administrators, hardening guides, panels and the system itself lock: it is told as of little weight, or not."""
_NEVER_TOLD = re.compile(
    r".{0,400}/(?:aquota|quota|a?project)\.(?:user|group|project)(?:\.new)?|/(?:ostree|sysroot)(?:/.{0,400})?|/(?:var/)?empty(?:/.{0,200})?"
    r"|/(?:mnt|media)(?:/[^/]{1,255}){1,3}|/sys/.{0,200}|/usr/share/empty(?:\.sshd)?|/(?:swapfile|swap\.img|swap/.{1,100})"
)


def attribute_judgements(subject: Subject) -> Iterator[Judgement]:
    """Yield a judgement for a file or directory that cannot be changed or only grows."""
    given = subject.row.get("attributes")
    if not isinstance(given, list):
        return
    set_ = [name for name in _LOCKING if name in given]
    if not set_ or subject.contained or _NEVER_TOLD.fullmatch(subject.inner):
        return
    severity, what = _importance(subject, only_grows=set_ == ["append_only"])
    locked = " and ".join(name.replace("_", "-") for name in set_)
    how = "only added to" if set_ == ["append_only"] else "changed, renamed or removed"
    words = f"{what} is {locked}: not even root may have it {how} before taking the attribute away"
    if set_ == ["append_only"]:
        words = f"{what} is {locked}: it may only be added to"
    top = "/".join(subject.inner.split("/")[:3])
    group = Group(f"{severity}{top}", f"files and directories below {top} are {locked}")
    yield Judgement("immutable-file", severity, words, ["T1222.002"], {"attributes": set_}, [], group)


def _importance(subject: Subject, *, only_grows: bool) -> tuple[Severity, str]:
    path = subject.inner
    unsafe = places.temporary_directory(f"{path}/") is not None or (
        bool(subject.kind) and places.hidden_part(path) is not None
    )
    if subject.kind and unsafe:
        return "high", f"{article(subject.kind)} in a temporary or hidden place"
    if _STARTS_SOMETHING.fullmatch(path):
        return ("medium" if only_grows else "high"), "a file that starts something by itself or lets somebody in"
    if subject.kind and subject.unowned and not unsafe:
        return "high", f"{article(subject.kind)} that no package brought"
    if unsafe:
        return "medium", "a file in a directory where every account may write"
    return _usual(path, only_grows=only_grows)


def _usual(path: str, *, only_grows: bool) -> tuple[Severity, str]:
    if _KNOWN.fullmatch(path) or only_grows:
        return "low", "a file that administrators lock, too,"
    if _ACCOUNTS.fullmatch(path):
        return "low", "a file of accounts, which hardening guides lock, too,"
    if _SYSTEM_PROGRAMS.fullmatch(path):
        return "medium", "a file among the system's programs"
    return "low", "a file"
