"""Device nodes where none belong, and files among device nodes (ATT&CK T1564.001, T1006).

A node of a block device gives whoever may read it the raw disk, past every permission. Numbers of devices:
https://www.kernel.org/doc/Documentation/admin-guide/devices.txt.
"""

import re
from collections.abc import Iterator

from volforensic.detection.judgements import Group, Judgement, Subject
from volforensic.record import Severity

_NODE_TYPES = ("character_device", "block_device")
_ORDINARY_NODES = {
    (1, 3): "null",
    (1, 5): "zero",
    (1, 7): "full",
    (1, 8): "random",
    (1, 9): "urandom",
    (1, 11): "kmsg",
    (5, 0): "tty",
    (5, 1): "console",
    (5, 2): "ptmx",
    (10, 200): "tun",
    (10, 229): "fuse",
}
"""Nodes without power that chroots and containers are given."""
_MEMORY = frozenset({(1, 1), (1, 2), (1, 4)})  # mem, kmem, port
_DEVICE_DIRECTORY = re.compile(
    r"/dev/|/(?:usr/)?lib(?:32|64)?/udev/devices/|/etc/udev/devices/|/(?:var/)?run/|/proc/|/sys/"
    r"|/(?:[^/]{1,255}/){1,8}(?:rootfs|chroot[^/]{0,40}|jail[^/]{0,40}|sysroot|initramfs[^/]{0,40}|initrd[^/]{0,40}|image-root|ubuntu-core)/(?:[^/]{1,255}/){0,3}dev/"
    r"|/var/(?:named|lib/named|lib/bind|lib/unbound|lib/ntp|lib/chrony|lib/dhcpd|lib/nsd|spool/postfix|empty/sshd|lib/dovecot|lib/tor)(?:/[^/]{1,80})?/dev/"
    r"|/var/lib/(?:lx[cd]|machines|docker|containers|containerd|rancher|k3s|kubelet|schroot|mock|pbuilder|sbuild|waydroid|libvirt|snapd|flatpak|os-prober)/"
    r"|/var/(?:snap|cache/(?:pbuilder|mock|sbuild|lxc))/|/(?:snap|ostree|sysroot)/"
)
_WHITEOUT = (0, 0)
"""What overlayfs puts for a name that was removed (kernel Documentation/filesystems/overlayfs.rst)."""

_KEPT_IN_DEV = re.compile(
    r"/dev/(?:MAKEDEV|\.(?:udev|udevdb|initramfs|lxc|lxd|blkid\.tab|systemd|mdadm|mount|bootchart|dracut)(?:/.*|\.old)?|shm/.*|mqueue/.*|pts/.*|hugepages/.*|core"
    r"|log|\.static/.*|\.initramfs-tools|README|\.autofsck|char/.*|disk/.*|mapper/.*|net/.*|snd/.*)",
    re.DOTALL,
)
_NAME_OF_DEVICE = re.compile(
    r"(?:null|zero|full|u?random|tty[A-Za-z]{0,4}[0-9]{0,3}|console|ptmx|stdin|stdout|stderr|fd|kmsg|mem|kvm|fuse|[shv]d[a-z]{1,2}[0-9]{0,3}|xvd[a-z]{1,2}[0-9]{0,3}"
    r"|nvme[0-9n]{1,8}(?:p[0-9]{1,3})?|loop[0-9]{1,3}|ram[0-9]{1,3}|st[0-9]|nst[0-9]|tape|lp[0-9]|cdrom|sr[0-9])"
)


def device_judgements(subject: Subject) -> Iterator[Judgement]:
    """Yield a judgement for a device node outside of device directories, and for a regular file in /dev."""
    kind = subject.row.get("type")
    if kind in _NODE_TYPES:
        if not subject.settled:
            yield from _node(subject, str(kind))
    elif kind == "file" and subject.inner.startswith("/dev/") and not subject.kind:
        yield from _file_in_dev(subject)


def _node(subject: Subject, kind: str) -> Iterator[Judgement]:
    numbers = _numbers(subject.row.get("device"))
    if subject.contained or numbers == _WHITEOUT or _DEVICE_DIRECTORY.match(subject.inner):
        return
    if numbers in _ORDINARY_NODES and _ORDINARY_NODES[numbers] == subject.name and kind == "character_device":
        return
    severity = _power(numbers, kind)
    said = f"{numbers[0]}:{numbers[1]}" if numbers else "numbers not known"
    words = f"a node of a {kind.replace('_', ' ')} ({said}) lies outside of /dev"
    if severity == "high":
        words += ": it opens the raw device to whoever may open the file"
    group = Group(subject.directory, f"device nodes lie in {subject.directory or '/'}, outside of /dev")
    details = {"device": list(numbers)} if numbers else {}
    yield Judgement("device-node-outside-dev", severity, words, ["T1564.001", "T1006"], details, [], group)


def _power(numbers: tuple[int, int] | None, kind: str) -> Severity:
    if kind == "block_device" or numbers in _MEMORY:
        return "high"
    return "low" if numbers in _ORDINARY_NODES else "medium"


def _file_in_dev(subject: Subject) -> Iterator[Judgement]:
    hidden = "/." in subject.inner
    if subject.settled or _KEPT_IN_DEV.fullmatch(subject.inner):
        return
    if _NAME_OF_DEVICE.fullmatch(subject.name):
        # a redirection to a device that was not there (in a chroot, while an image was built) leaves such a file
        severity: Severity = "info"
        words = "a regular file has the name of a device: something was written there while no device was"
    else:
        severity = "high" if hidden else "low" if subject.contained or not subject.row.get("size") else "medium"
        words = "a regular file lies in /dev, where only device nodes belong" + (
            ", under a hidden name" if hidden else ""
        )
    group = Group(
        f"{severity}{subject.directory}", f"regular files lie in {subject.directory}, where only device nodes belong"
    )
    yield Judgement("regular-file-in-dev", severity, words, ["T1564.001"], {}, [], group)


def _numbers(device: object) -> tuple[int, int] | None:
    if isinstance(device, list) and len(device) == 2 and all(type(number) is int for number in device):
        return device[0], device[1]
    return None
