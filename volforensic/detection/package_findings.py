"""What differs from the packages that brought it: altered programs and other files, and files that are gone.

The package database lies on the suspect disk: who may alter a program as root may alter the database as well. So a file
that agrees is not proved innocent, while one that differs has been changed by something that did not care.
"""

import re
from collections.abc import Iterable, Iterator

from volforensic.detection.judgements import Group, Judgement, Subject, is_elf, package_of
from volforensic.detection.rows import cut
from volforensic.record import Finding, Row, Severity, finding_id

_CONTENT = frozenset({"digest", "size", "type", "link target"})
"""Of what `differs` may name, what changes the content; owner, mode and capabilities are judged as privileges."""

_KEY_PROGRAM = re.compile(
    r"(?:/usr)?/(?:s?bin|lib(?:exec|32|64)?(?:/[^/]{1,60}){0,2})/"
    r"(?:sshd?|sshd-session|sshd-auth|ssh-agent|sudo|su|login|passwd|agetty|getty|systemd|systemd-logind|systemd-executor|init|cron|crond|atd|bash|sh|dash"
    r"|ls|dir|ps|pstree|top|htop|ss|netstat|lsof|find|who|w|last|lastlog|du|df|stat|kill|pkill|pgrep|pidof|ifconfig|ip|strings|file"
    r"|md5sum|sha1sum|sha256sum|dpkg|rpm|debsums|auditd|auditctl|rsyslogd|lsattr|chattr|lsmod|insmod|modprobe|kmod|crontab|ld-linux[^/]{0,40}"
    r"|ld-[0-9.]{1,8}\.so|libc[.-][^/]{1,20}|libpam[^/]{0,20}\.so[^/]{0,12}|libselinux[^/]{0,20}|libkeyutils[^/]{0,20}|liblzma[^/]{0,20}|libcrypto[^/]{0,20})"
)
"""What rootkits and thieves of passwords replace: what lets in, what shows processes, files and connections, libc."""
_PAM_MODULE = re.compile(r"/security/pam_[^/]{1,80}\.so(?:\.[0-9]{1,2})?")
_KERNEL = re.compile(
    r"/(?:usr/)?lib/modules/.{1,300}\.ko(?:\.(?:gz|xz|zst|bz2))?|/boot/(?:vmlinuz|vmlinux|System\.map)[^/]{0,100}"
)
_PERSISTENT = re.compile(
    r"/(?:etc|(?:usr/)?lib)/(?:systemd|cron[^/]{0,12}|pam\.d|profile\.d|init\.d|rc[^/]{0,4}\.d|udev|modules-load\.d|modprobe\.d"
    r"|NetworkManager/dispatcher\.d|update-motd\.d|ld\.so\.conf\.d|X11/Xsession\.d|xdg/autostart|dracut|initramfs-tools)/.{1,300}"
)
_REGENERATED = re.compile(
    r"(?:/usr)?/lib/(?:locale/|sysimage/|rpm/)|/usr/share/(?:mime|icons|info|applications|fonts|locale|doc|man|zoneinfo|perl5?/XML)/|/var/|/run/"
    r"|/usr/lib/(?:python3?|x86_64-linux-gnu/gconv)/.{0,200}\.(?:pyc|cache)|.{1,300}\.(?:pyc|pyo|elc|cache)|/boot/(?:grub2?|efi|loader)/"
)
"""What tools of the distribution write anew after an installation, and data that is documentation only."""

_SECURITY_PACKAGE = re.compile(
    r"(?:auditd|audit|audispd-plugins|aide[a-z-]{0,10}|rkhunter|chkrootkit|tripwire|samhain|ossec[a-z-]{0,20}|wazuh[a-z-]{0,20}|falco|sysdig|osquery|clamav[a-z-]{0,20}"
    r"|clamd|falcon-sensor|auditbeat|filebeat|sysmonforlinux|mdatp|esets?|ds-agent|ds_agent|sophos[a-z-]{0,20}|fail2ban[a-z-]{0,20}|denyhosts|crowdsec|psad|snort|suricata"
    r"|rsyslog|syslog-ng[a-z-]{0,10}|amazon-ssm-agent|amazon-cloudwatch-agent|awslogs|amazon-guardduty-agent|awsagent|inspector[a-z-]{0,20}|apparmor[a-z-]{0,20}"
    r"|selinux-policy[a-z-]{0,20}|policycoreutils|process-accounting|acct|psacct|aegis|cloudmonitor|qcloud[a-z-]{0,20}|lynis|sentinelagent|cybereason[a-z-]{0,20}|velociraptor[a-z-]{0,10})"
)
"""Packages that watch or write logs: who is watched by them removes them first (ATT&CK T1562.001)."""
_WATCHING_TOOL = re.compile(
    r"(?:/usr)?/s?bin/(?:lsattr|chattr|ps|top|pstree|ss|netstat|lsof|last|lastb|w|who|lsmod|auditctl|ausearch|journalctl|debsums|strace|tcpdump|find|curl|wget|kill|pkill|crontab|iptables|ufw)"
)
"""Tools that show what runs, or that rivals among miners need: they are removed and renamed by malware."""
_LOG = re.compile(
    r"/var/log/(?:wtmp|btmp|lastlog|secure|messages|syslog|auth\.log|maillog|cron|audit/audit\.log|faillog|tallylog)"
)
_LEFT_OUT_BY_CHOICE = re.compile(
    r"/usr/share/(?:doc|man|info|locale|help|gtk-doc|lintian|linda|groff|licenses|gnome|i18n|icons|omf|examples|bug|pixmaps|zoneinfo|doc-base|reportbug"
    r"|bash-completion|zsh|fish|vim|metainfo|appdata|cracklib|emacs|backgrounds)(?:/|\Z)|/(?:var/(?:cache|run|lock|tmp|lib|spool)|run|tmp|boot/(?:efi|grub2?))(?:/|\Z)"
    r"|/etc/|.{1,300}\.(?:pyc|pyo|mo|gz|md|txt|html|rst|elc|h|a|la)\Z|.{0,300}/__pycache__(?:/|\Z)"
)
"""What images leave out on purpose (path-exclude of dpkg, tsflags=nodocs, localepurge) and what does not last."""
_PROGRAM_PLACE = re.compile(r"(?:/usr)?/(?:s?bin|lib(?:exec|32|64)?)/|/opt/")


def altered_judgements(subject: Subject) -> Iterator[Judgement]:
    """Yield a judgement about a file whose content is not what its package brought; a changed mode alone is none."""
    package = package_of(subject.row)
    if subject.verdict != "altered":
        return
    differs = package.get("differs")
    named = {str(what) for what in differs} if isinstance(differs, list) and differs else {"digest"}
    if not named & _CONTENT:
        return
    severity, what = _importance(subject)
    name = cut(str(package.get("name") or "a package"))
    version = f" {cut(str(package['version']))}" if package.get("version") else ""
    by = f" ({cut(str(package['by']))})" if package.get("by") else ""
    which = ", ".join(sorted(named)) + (" differs" if len(named) == 1 else " differ")
    words = f"{what} is not what the package {name}{version} brought: {which}{by}"
    plural = f"files of the package {name}{version} are not what it brought, among them what would be {severity} alone"
    evidence = [cut(f"SHA-256 {subject.row.get('sha256') or '-'}, package {name}{version}: {which}")]
    details = {
        "package": name,
        "why": "The package database is on this disk, too: who altered the file did not alter the database.",
    }
    yield Judgement(
        "package-file-altered", severity, words, ["T1554"], details, evidence, Group(f"{name}/{severity}", plural)
    )


def _importance(subject: Subject) -> tuple[Severity, str]:
    """Return how much an altered file matters, and what it is."""
    path = subject.inner
    elf = is_elf(subject.row)
    link = subject.row.get("type") == "symlink"
    severity: Severity
    for holds, severity, what in (
        (_PAM_MODULE.search(path), "critical", "a PAM module, which sees every password,"),
        (
            _KEY_PROGRAM.fullmatch(path) and (elf or subject.kind),
            "critical",
            "a program or library that rootkits replace",
        ),
        (_KERNEL.fullmatch(path), "critical", "the kernel or a module of it"),
        (elf, "high", "a program or library"),
        (_REGENERATED.match(path), "low", "a file that holds documentation or is written anew"),
        (subject.kind or _PERSISTENT.fullmatch(path), "medium", "a script or a file that makes something run"),
        (link and _PROGRAM_PLACE.match(path), "medium", "a link among programs and libraries"),
    ):
        if holds:
            return severity, what
    return "low", "a file"


def missing_findings(rows: Iterable[Row]) -> Iterator[tuple[Row, Finding, Group]]:
    """Yield a finding with its group for each file that a package owns and the disk lacks, ordinary omissions aside.

    ``rows`` are plain objects {path, name (or package), version, manager, is_config}, with ``volume``, ``excluded``
    (the host's own rule by which it was not unpacked) and ``uncertain`` (the filesystem was not read whole).
    """
    for row in rows:
        path, name = row.get("path"), str(row.get("name") or row.get("package") or "-")
        if not isinstance(path, str) or row.get("excluded") or row.get("uncertain"):
            continue
        judged = _missing(path, name, is_config=bool(row.get("is_config")))
        if judged is not None:
            yield row, _missing_finding(row, path, name, judged), Group(f"{judged[0]}/{name}", judged[2])


def _missing(path: str, name: str, *, is_config: bool) -> tuple[str, Severity, str, list[str]] | None:
    """Return rule, severity, words for several, techniques; None where nothing needs saying."""
    if _LOG.fullmatch(path):
        return "package-log-missing", "medium", "log files that packages made are missing", ["T1070.002"]
    return None if is_config or _LEFT_OUT_BY_CHOICE.match(path) else _missing_program(path, name)


def _missing_program(path: str, name: str) -> tuple[str, Severity, str, list[str]] | None:
    if _SECURITY_PACKAGE.fullmatch(name) and _PROGRAM_PLACE.match(path):
        words = f"files of the installed package {cut(name)}, which watches the host or writes its logs, are missing"
        return "security-tool-missing", "high", words, ["T1562.001"]
    if _WATCHING_TOOL.fullmatch(path):
        words = f"tools of the installed package {cut(name)} that show or stop what runs are missing"
        return "system-tool-missing", "medium", words, ["T1562.001"]
    if _PROGRAM_PLACE.match(path):
        return (
            "package-file-missing",
            "low",
            f"programs or libraries of the installed package {cut(name)} are missing",
            [],
        )
    return None


def _missing_finding(row: Row, path: str, name: str, judged: tuple[str, Severity, str, list[str]]) -> Finding:
    rule, severity, plural, attack = judged
    volume = row.get("volume")
    statement = (
        f"The file {cut(path)} is missing: the package {cut(name)} {cut(str(row.get('version') or ''))}".rstrip()
    )
    return Finding(
        finding_id=finding_id(rule, [str(volume), path]),
        rule=rule,
        severity=severity,
        statement=f"{statement} is installed by the package database and owns it (of such files: {plural})",
        attack=attack,
        cites=[path],
        evidence=[cut(f"{name} {row.get('version') or ''}: {path}")],
        path=path,
        path_bytes=row.get("path_bytes"),
        volume=volume if type(volume) is int else None,
        details={key: cut(str(row[key])) for key in ("name", "package", "version", "manager") if row.get(key)},
    )
