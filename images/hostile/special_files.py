"""Links that lead in circles or out of the disk, devices in place of logs (hostile-inputs 4.7 and 4.8)."""

from pathlib import Path

from images.hostile.ext_disk import Ext
from images.hostile.kit import Builder, Hostile


def _symlink_chains(folder: Path) -> Hostile:
    image = Ext(folder)
    lines = ["symlink /var/log/secure /var/log/secure.1", "symlink /var/log/secure.1 /var/log/secure"]
    lines += ["mkdir /odd", *(f"symlink /odd/l{number} /odd/l{number + 1}" for number in range(500))]
    lines += ["symlink /var/log/auth.log.1 /odd/l0", "symlink /odd/out ../../../../../../etc/shadow"]
    image.debugfs(*lines)
    return Hostile(image.path, keeps=("cron", "auth_log"), statuses=(0, 3))


def _log_directory_is_link(folder: Path) -> Hostile:
    image = Ext(folder)
    image.debugfs("mkdir /old", "ln /var/log /old/log", "unlink /var/log", "symlink /var/log /old/log")
    return Hostile(image.path, keeps=("cron", "auth_log"), statuses=(0, 3), costs=("/var/log",))


def _special_files(folder: Path) -> Hostile:
    image = Ext(folder)
    image.debugfs(
        "rm /var/log/auth.log", "cd /var/log", "mknod auth.log p", "mknod wtmp c 1 5", "mknod btmp b 8 0",
        "cd /home/alice", "rm .bash_history", "mknod .bash_history c 1 5",
    )  # fmt: skip
    return Hostile(image.path, statuses=(0, 3), costs=("/var/log", "/home/alice/.bash_history"))


def _log_is_directory(folder: Path) -> Hostile:
    image = Ext(folder)
    image.debugfs("rm /var/log/auth.log", "mkdir /var/log/auth.log", "mkdir /etc/passwd.d")
    return Hostile(image.path, statuses=(0, 3), costs=("/var/log",))


GENERATORS: dict[str, Builder] = {
    "symlink-chains": _symlink_chains,
    "log-directory-is-link": _log_directory_is_link,
    "log-is-directory": _log_is_directory,
    "special-files": _special_files,
}
