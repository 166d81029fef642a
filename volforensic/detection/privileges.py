"""Programs that give privileges away: setuid and setgid files and file capabilities (ATT&CK T1548.001).

The kernel honours the bits on ELF programs only, never on scripts (execve(2)); capabilities(7) says what each allows.
"""

import re
from collections.abc import Iterator
from typing import Any

from volforensic.detection import places
from volforensic.detection.judgements import Group, Judgement, Subject, package_of
from volforensic.detection.rows import cut
from volforensic.record import Severity

SETUID, SETGID = 0o4000, 0o2000
_WRITABLE_BY_OTHERS = 0o022
_GROUP_MAY_RUN = 0o010  # without it setgid means mandatory locking, not privilege (chmod(2))

INTERPRETER = re.compile(
    r"\.?(?:(?:ba|da|z|k|mk|a|c|tc|fi|r|tcl)?sh|busybox|python[23]?(?:\.[0-9]{1,2})?|perl(?:5(?:\.[0-9]{1,2}){1,2})?|ruby(?:[23]\.[0-9])?"
    r"|php(?:-cgi)?[578]?(?:\.[0-9])?|node|nodejs|lua(?:5\.[0-9])?|luajit|g?awk|mawk|nawk|env|find|vim?(?:\.[a-z]{1,6})?|nano|emacs|gdb|tar|cp|dd"
    r"|nmap|socat|nc|ncat)"
)
"""Programs that run what they are told, or write where they are told: with root's rights they are root's rights."""
SHELL = re.compile(
    r"(?:ba|da|z|k|mk|a|c|tc|fi|r)?sh[0-9.]{0,5}|busybox|python[23]?(?:\.[0-9]{1,2})?|perl|ruby|php[0-9.]{0,4}|node|lua[0-9.]{0,4}|env|find|vim\.\w{1,6}"
)
"""Names of shells and interpreters whose copies are looked for."""
PROGRAM_DIRECTORIES = ("/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/")

_USUAL_PLACE = re.compile(
    r"(?:/usr)?/(?:s?bin|lib(?:exec|32|64)?)/|/opt/(?!\.)[^/]{1,80}/|/snap/|/usr/local/(?:nagios|libexec|lib)/"
)
_USUAL = frozenset(
    """
    abrt-action-install-debuginfo-to-abrt-cache amtu apptainer-suid at authpf bsd-write bwrap cachefilesd
    camel-lock-helper-1.2 cdrecord cgexec chage check_dhcp check_fping check_icmp check_ide_smart chfn chkpwd
    chrome-sandbox chromium-sandbox chsh cockpit-session cron crontab dbus-daemon-launch-helper dma dma-mbox-create
    doas dotlockfile dumpcap ecryptfs_mount_private enlightenment_sys exim exim4 expiry fping fping6 fusermount
    fusermount-glusterfs fusermount3 gnome-pty-helper gpasswd grub2-set-bootflag inndstart kppp krb5_child ksu
    ldap_child lockdev lxc-user-nic mail-lock mail-touchlock mail-unlock mlocate mount mount.cifs mount.davfs
    mount.ecryptfs_private mount.nfs mount.ntfs mount.ntfs-3g mtr mtr-packet newaliases newgidmap newgrp newuidmap
    ntfs-3g openvpn-auth-pam opiepasswd opiesu pam-tmpdir-helper pam_extrausers_chkpwd pam_timestamp_check passwd
    ping ping4 ping6 pkexec plocate pmount polkit-agent-helper-1 popauth postdrop postqueue pppd procmail
    proxy_child pt_chown ptexec qmail-queue rcp rlogin rsh runuser s-nail-dotlock screen selinux_child sendmail
    sendmail.sendmail sensible-mda seunshare sg singularity-suid snap-confine spice-client-glib-usb-acl-helper
    ssh-agent ssh-keysign sssd_be staprun starter-suid su su-rs sudo sudo-rs sudoedit suexec suexec2 swtpm_cuse
    traceroute6.iputils ubuntu-core-launcher udisksctl ulockmgr_server umount umount.nfs umount.nfs4 unix2_chkpwd
    unix_chkpwd unix_update userhelper usernetctl utempter uuidd VBoxHeadless VBoxNetAdpCtl VBoxNetDHCP VBoxNetNAT
    VBoxSDL VBoxVolInfo VirtualBoxVM vlock-main vmware-authd vmware-user-suid-wrapper vmware-vmx wall wodim write
    xlock Xorg Xorg.wrap xscreensaver zabbix_fping
    """.split()  # noqa: SIM905 - words read better than two hundred quoted strings
)
"""setuid and setgid programs of distributions and of well-known vendors."""

DANGEROUS = (
    "cap_setuid",
    "cap_setgid",
    "cap_sys_admin",
    "cap_dac_override",
    "cap_dac_read_search",
    "cap_sys_ptrace",
    "cap_sys_module",
    "cap_chown",
    "cap_fowner",
    "cap_setfcap",
    "cap_sys_rawio",
    "cap_bpf",
    "cap_mknod",
)
"""Capabilities that lead to root, or past every permission."""
_USUAL_CAPABLE = frozenset(
    """
    amazon-cloudwatch-agent apptainer auditbeat bpftrace bwrap cilium-agent datadog-agent dumpcap ebpf_exporter
    falco filebeat fluent-bit fusermount3 gnome-keyring-daemon gst-ptp-helper intel_gpu_top krb5_child ksysguardd
    kwin_wayland ldap_child mtr-packet nethogs newgidmap newuidmap node_exporter otelcol otelcol-contrib p11_child
    packetbeat passkey_child process-agent proxy_child qemu-bridge-helper rsh security-agent selinux_child
    snap-confine sssctl sssd_be sssd_pam staprun suexec system-probe systemd-detect-virt telegraf vector
    """.split()  # noqa: SIM905 - words read better than fifty quoted strings
)
_NUMBERED = re.compile(r"0x[0-9a-f]{1,16}|[0-9]{1,20}")
_ATTACK = ["T1548.001"]


def privilege_judgements(subject: Subject) -> Iterator[Judgement]:
    """Yield what the privilege bits and the capabilities of a regular file say."""
    if subject.mode & (SETUID | SETGID) and subject.kind in {"executable", "library", ""}:
        yield from _setid(subject)
    capabilities = subject.row.get("capabilities")
    if isinstance(capabilities, str) and capabilities:
        yield from _capable(subject, capabilities)


def grants(subject: Subject) -> bool:
    """Say whether running the file gives the rights of its owner or its group."""
    setgid = subject.mode & SETGID and subject.mode & _GROUP_MAY_RUN
    return bool(subject.mode & SETUID or setgid) and subject.kind in {"executable", "library"}


def _setid(subject: Subject) -> Iterator[Judgement]:
    if not grants(subject):
        return
    words = f"a program that runs as its owner (uid {subject.row.get('uid')}, setuid)"
    if not subject.mode & SETUID:
        words = f"a program that runs with its group's rights (gid {subject.row.get('gid')}, setgid)"
    if subject.mode & _WRITABLE_BY_OTHERS:
        who = "every account" if subject.mode & 0o002 else "its group"
        yield _privileged("setuid-file-writable", "high", f"{words}, and {who} may change its content", subject)
    elif subject.mode & SETUID and INTERPRETER.fullmatch(subject.name) and subject.name not in _USUAL:
        yield _shell(subject, f"{words} has the name of a shell, an interpreter or a tool that writes any file")
    elif subject.settled or subject.verdict in {"unverified", "altered", "config changed"}:
        yield from _of_package(subject, words)
    else:
        yield from _unexpected(subject, words)


def _of_package(subject: Subject, words: str) -> Iterator[Judgement]:
    """Judge a file that a package brought: was the bit there? dpkg's lists hold no modes, rpm's and apk's do."""
    differs = package_of(subject.row).get("differs")
    if isinstance(differs, list) and {"setuid", "setgid"} & {str(what) for what in differs}:
        yield _privileged(
            "setuid-file-unowned", "high", f"{words}, and its package brought it with another mode", subject
        )
    elif package_of(subject.row).get("manager") == "dpkg" and subject.name not in _USUAL and subject.mode & SETUID:
        words = f"{words}, and it is not among those that distributions ship so; its package's list holds no modes"
        yield _privileged("setuid-file-unowned", "low", words, subject)


def _unexpected(subject: Subject, words: str) -> Iterator[Judgement]:
    usual = subject.name in _USUAL and _USUAL_PLACE.match(subject.inner) is not None
    if usual and not subject.unowned:
        return
    writable = places.temporary_directory(subject.inner) is not None or places.hidden_part(subject.inner) is not None
    severity: Severity = "high" if subject.mode & SETUID else "medium"
    if usual or subject.inner.startswith("/opt/"):
        severity = "low"
    elif subject.contained or (subject.name in _USUAL and not writable):
        severity = "medium"
    if writable:
        severity = "critical" if subject.mode & SETUID and subject.uid == 0 else "high"
    reason = "which no package brought" if subject.unowned else "which is not among those that distributions ship"
    yield _privileged("setuid-file-unowned", severity, f"{words}, {reason}", subject)


def _shell(subject: Subject, words: str) -> Judgement:
    severity: Severity = "critical" if subject.uid == 0 else "high"
    return _privileged("setuid-shell", severity, words, subject)


def shell_copy(subject: Subject, original: str) -> Judgement:
    """Return the judgement about a setuid file that holds the same bytes as the shell or interpreter ``original``."""
    who = f"a program that runs as its owner (uid {subject.row.get('uid')}, setuid)"
    return _shell(subject, f"{who} is a copy of {cut(original)}: same SHA-256")


def _capable(subject: Subject, capabilities: str) -> Iterator[Judgement]:
    given = capabilities.lower()
    dangerous = [name for name in DANGEROUS if name in given]
    if "=" in given and (given.startswith("=") or "all=" in given or _NUMBERED.search(given)):
        dangerous = dangerous or ["all of them, or some that have no name"]
    interpreter = INTERPRETER.fullmatch(subject.name) is not None
    said = f"a file with the capabilities {cut(capabilities)}"
    if dangerous and interpreter:
        severity: Severity = "critical" if {"cap_setuid", "cap_sys_admin"} & set(dangerous) else "high"
        words = f"{said}, which an interpreter or a tool that writes any file gives to whoever starts it"
        yield _privileged("capable-file", severity, words, subject)
    elif dangerous and not subject.contained and not (subject.settled and subject.name in _USUAL_CAPABLE):
        usual = subject.name in _USUAL_CAPABLE
        severity = "medium" if subject.verdict in {"proved", "unverified"} or usual else "high"
        if subject.settled or (usual and (not subject.unowned or subject.inner.startswith("/opt/"))):
            severity = "low"
        yield _privileged("capable-file", severity, f"{said}: {', '.join(dangerous)} leads to root", subject)
    elif subject.unowned:
        yield _privileged("capable-file", "low", f"{said}, which no package brought", subject)


def _privileged(rule: str, severity: Severity, words: str, subject: Subject) -> Judgement:
    details: dict[str, Any] = {"capabilities": subject.row["capabilities"]} if subject.row.get("capabilities") else {}
    plural = {
        "setuid-file-writable": "setuid or setgid programs that others may change",
        "setuid-shell": "setuid shells or interpreters",
        "setuid-file-unowned": "setuid or setgid programs that nobody shipped",
    }
    group = Group(subject.directory, f"{plural.get(rule, 'files with capabilities')} lie in {subject.directory or '/'}")
    return Judgement(rule, severity, words, _ATTACK, details, [], group)
