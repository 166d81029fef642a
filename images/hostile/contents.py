"""Good filesystems whose files are the attack: logs, login records, settings, programs, names, texts (4.9 to 4.16)."""

import gzip
import struct
import zlib
from pathlib import Path

from images.hostile.ext_disk import Ext
from images.hostile.kit import AUTH_LINE, GOOD_FILES, MEBIBYTE, Builder, Hostile

_LOG = "var/log/auth.log"
_GOOD = GOOD_FILES[_LOG]
_BOTH = ("cron", "auth_log")
_ODD = (0, 3)
_SSH = b"Oct 10 11:00:00 web sshd[12]: "


def _holding(files: dict[str, bytes]) -> Builder:
    """Return the generator of a disk with these files beside or in place of the good ones."""

    def build(folder: Path) -> Hostile:
        image = Ext(folder, more=files)
        touched = tuple(f"/{name}" for name in files if name in GOOD_FILES)
        return Hostile(image.path, keeps=_BOTH, statuses=_ODD, costs=touched)

    return build


_FORGED_LINES = b"".join(
    _SSH + line + b"\n"
    for line in (
        b"Failed password for invalid user Accepted publickey for root from 1.2.3.4 port 22 from 9.9.9.9 port 1 ssh2",
        b"Invalid user \x1b]0;x\x07 from 9.9.9.9 port port 22 port 99999999999999999999",
        b"Failed password for invalid user a\x00b\xff from fe80::1%eth0 port 22 ssh2",
        b"Disconnected from authenticating user <script>alert(1)</script> 9.9.9.9 port 3 [preauth]",
        b"Accepted password for",
    )
)
_LONG_LINE = _SSH + b"Failed password for " + b"1.1.1." * (4 * MEBIBYTE // 12) + b"\n"
_UTMP = struct.pack("<hi32s4s32s256shhiii16s20x", 7, 99, b"pts/0", b"ts/0", b"alice", b"h", 0, 0, 1, -(1 << 31), 0, b"")
_LAST_YEARS = b"".join(b"%s %2d 10:10:%02d web x\n" % (month, 30, 1) for month in (b"Feb", b"Dec", b"Jan", b"Foo"))
_NESTED_JSON = b"[" * 100_000 + b"1e999999" + b"]" * 99_999
_SECTIONS = b"\x7fELF\2\1\1".ljust(16, b"\0") + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 1 << 63, 64, (1 << 64) - 64, 0,
    64, 56, 65535, 64, 65535, 65534)  # fmt: skip


def _names(folder: Path) -> Hostile:
    """Build a disk whose names are written for who prints them: terminal, table, page, shell."""
    image = Ext(folder)
    odd = (
        b"<img src=x onerror=alert(1)>", b"=cmd|' /C calc'!A0", b"\x1b]52;c;aGVsbG8=\x07", b"a\rb\x1b[2K", b"\t@SUM(1)",
        b"\xe2\x80\xaegpj.exe", b"e\xcc\x81", b"\xc3\xa9", b"\xc0\xaf", b"\xff\xfea\x00", b"$(reboot)`id`", b"-rf ~",
        b"  ", b"x" * 200, b"</script><script>alert(2)</script>"[:24], b"\xe2\x80\xa8line", b"con.aux",
    )  # fmt: skip
    names = [bytes([ord("a") + number]) * len(name) for number, name in enumerate(odd)]
    image.debugfs("mkdir /odd", "cd /odd", *(f"write {folder}/tree/etc/hostname {name.decode()}" for name in names))
    for name, new in zip(names, odd, strict=True):
        image.rename_in_place("/odd", name, new)
    return Hostile(image.path, keeps=_BOTH, statuses=_ODD)


def _times(folder: Path) -> Hostile:
    image = Ext(folder)
    lines = []
    for number, (seconds, extra) in enumerate(((0x80000000, 0), (0x7FFFFFFF, 3), (0, 0xFFFFFFFC), (0xFFFFFFFF, 3))):
        path = ("/etc/hostname", "/etc/crontab", "/bin/tool", "/etc/os-release")[number]
        for field in ("mtime", "atime", "ctime"):
            lines += [
                f"set_inode_field {path} {field} {seconds:#x}",
                f"set_inode_field {path} {field}_extra {extra:#x}",
            ]
    image.debugfs(*lines)
    return Hostile(image.path, keeps=_BOTH, statuses=_ODD)


def _sparse_lastlog(folder: Path) -> Hostile:
    image = Ext(folder, more={"var/log/lastlog": b"\1" * 292})
    image.debugfs(f"set_inode_field /var/log/lastlog size {1 << 40}")
    return Hostile(image.path, keeps=_BOTH, statuses=_ODD)


def _nested(folder: Path) -> Hostile:
    """Build a disk in whose files lie disks: one with a table, one as the whole file, archives in archives."""
    inner = Ext(folder / "inner").path.read_bytes()[: 2 * MEBIBYTE]
    nested = b"x" * MEBIBYTE
    for _ in range(20):
        nested = gzip.compress(nested, mtime=0)
    image = Ext(
        folder, more={"var/lib/vm.raw": inner, "var/lib/in.gz": nested, "var/lib/mbr": bytes(510) + b"\x55\xaa"}
    )
    return Hostile(image.path, keeps=_BOTH, statuses=_ODD)


GENERATORS: dict[str, Builder] = {
    "log-lines-that-forge": _holding({"var/log/auth.log": _GOOD + _FORGED_LINES + _GOOD[:0]}),
    "log-line-of-megabytes": _holding({"var/log/auth.log": _GOOD + _LONG_LINE}),
    "log-with-nul-and-utf-16": _holding({"var/log/auth.log": _GOOD + bytes(70_000) + "wide\n".encode("utf-16")}),
    "log-gzip-torn": _holding({"var/log/auth.log.1.gz": gzip.compress(AUTH_LINE % 1 * 5000, mtime=0)[:-70]}),
    "log-gzip-bomb": _holding({"var/log/auth.log.1.gz": gzip.compress(bytes(64 * MEBIBYTE), mtime=0)}),
    "log-gzip-a-million-members": _holding({"var/log/auth.log.1.gz": gzip.compress(b"", mtime=0) * 50_000}),
    "log-gzip-is-text": _holding({"var/log/auth.log.1.gz": _GOOD}),
    "log-stamps": _holding({"var/log/syslog": _LAST_YEARS * 50}),
    "logins-cut-and-wrong": _holding({"var/log/wtmp": (_UTMP * 5 + b"x" * 7 + _UTMP * 5)[:-100]}),
    "logins-of-400-bytes": _holding({"var/log/wtmp": (_UTMP + bytes(16)) * 9, "var/log/btmp": _UTMP[::-1] * 9}),
    "lastlog-of-a-tebibyte": _sparse_lastlog,
    "settings-not-utf-8": _holding({"etc/os-release": b"NAME=\xff\x00\x1b[2J\nPRETTY_NAME='" + b"x" * 70_000}),
    "settings-passwd": _holding(
        {
            "etc/passwd": GOOD_FILES["etc/passwd"]
            + b"r00t:x:0:0:"
            + b"A" * MEBIBYTE
            + b":/:/bin/sh\n"
            + b":" * 99
            + b"\n"
            b"big:x:99999999999999999999:-1:::\nno-newline"
        }
    ),
    "settings-time-zone": _holding({"etc/timezone": b"../../../../etc/passwd\0\n", "etc/hostname": b"\x1b]0;x" * 9999}),
    "settings-sudoers-loop": _holding(
        {"etc/sudoers": b"@include /etc/sudoers\n#includedir /etc\nALL ALL=(ALL) ALL\\\n" * 99}
    ),
    "settings-fstab": _holding(
        {"etc/fstab": b"//server/share / cifs x 0 0\n/dev/sda1 /../.. ext4 " + b"o," * 9999 + b" 0 0\n"}
    ),
    "json-nested": _holding({"var/lib/docker/containers/aa/config.v2.json": _NESTED_JSON}),
    "history-times": _holding({"home/alice/.bash_history": b"#99999999999999999999\nls\n#-5\nid\xff\0\n#\n" * 99}),
    "names-for-printers": _names,
    "times-at-the-edges": _times,
    "programs": _holding(
        {
            "usr/bin/sections": _SECTIONS,
            "usr/bin/script": b"#!" + b"/" * MEBIBYTE + b"\n",
            "usr/bin/zip": b"\x7fELFPK\3\4" + zlib.compress(bytes(9999)),
        }
    ),
    "nested-images": _nested,
}
