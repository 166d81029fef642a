"""What the generators of hostile disks share: the good files around the damage, and what a run must give.

The good files are those of ``good_tree``; /etc/crontab's record must come out of every image in which the damage does
not hide it.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

MEBIBYTE = 1 << 20
UUID = "6d0c1f3e-5a47-4b1e-9a55-0f5f8d3b7c21"
CRON_COMMAND = "/usr/local/sbin/good-job"
AUTH_LINE = b"Oct 10 10:10:%02d web sshd[11]: Accepted password for alice from 192.0.2.7 port 40022 ssh2\n"


class Hostile(NamedTuple):
    """An image and what a run of it must give.

    ``keeps`` are the artifacts whose good record must be there, ``says`` a word that a problem must hold ("" where
    nothing is lost and the run may be complete), ``statuses`` the exit statuses that are right. ``costs`` are the paths
    (with all below them) that the damage may cost: every other good file is there, whole.
    """

    path: Path
    keeps: tuple[str, ...] = ("cron",)
    says: str = ""
    statuses: tuple[int, ...] = (3,)
    costs: tuple[str, ...] = ()


Builder = Callable[[Path], Hostile]


GOOD_FILES = {
    "etc/crontab": f"17 * * * * root {CRON_COMMAND}\n".encode(),
    "etc/passwd": b"root:x:0:0:root:/root:/bin/bash\nalice:x:1000:1000::/home/alice:/bin/bash\n",
    "etc/hostname": b"web\n",
    "etc/os-release": b'NAME="Debian GNU/Linux"\nPRETTY_NAME="Debian 12"\n',
    "var/log/auth.log": b"".join(AUTH_LINE % (number % 60) for number in range(200)),
    "home/alice/.bash_history": b"ls\nid\n",
    "home/alice/a/deep/file": b"deep\n",
    "usr/share/doc/one": b"1" * 3000,
    "usr/share/doc/two": b"2" * 3000,
    "bin/tool": b"\x7fELF" + bytes(5000),
}
"""The files of a small server."""


def good_tree(folder: Path, more: Mapping[str, bytes] = MappingProxyType({})) -> Path:
    """Write the good files below ``folder``, with ``more`` beside or in place of them."""
    for name, content in (GOOD_FILES | dict(more)).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder
