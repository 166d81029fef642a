"""Sizes that no disk has: exbibytes of a file, a directory, a link (hostile-inputs 4.11)."""

from pathlib import Path

from images.hostile.ext_disk import Ext
from images.hostile.kit import Builder, Hostile


def _huge_size(path: str, *keeps: str) -> Builder:
    def build(folder: Path) -> Hostile:
        image = Ext(folder)
        image.debugfs(f"set_inode_field {path} size 0x3fffffffffffff")
        return Hostile(image.path, keeps=keeps or ("cron",), statuses=(0, 3), costs=(path,))

    return build


def _huge_directory(folder: Path) -> Hostile:
    image = Ext(folder)
    image.debugfs("set_inode_field /usr/share/doc size 0x3fffffffffffff")
    return Hostile(image.path, keeps=("cron", "auth_log"), costs=("/usr/share/doc",))


def _huge_symlink(folder: Path) -> Hostile:
    image = Ext(folder)
    image.debugfs("symlink /var/log/secure /etc/passwd", "set_inode_field /var/log/secure size 0x3fffffffffffff")
    return Hostile(image.path, keeps=("cron", "auth_log"), says="secure")


GENERATORS: dict[str, Builder] = {
    "huge-passwd": _huge_size("/etc/passwd", "cron", "auth_log"),
    "huge-auth-log": _huge_size("/var/log/auth.log"),
    "huge-history": _huge_size("/home/alice/.bash_history", "cron", "auth_log"),
    "huge-os-release": _huge_size("/etc/os-release", "cron", "auth_log"),
    "huge-directory": _huge_directory,
    "huge-symlink": _huge_symlink,
}
