"""A case as the report is given it: a server with a miner, and with text that tries to act wherever text can be."""

from collections.abc import Iterator
from typing import Any

from volforensic.record import Row
from volforensic.report.model import Act, CaseFacts, Custody, EvidenceView

HOSTILE = (
    "<script>document.title='taken'</script>",
    "</script><script>document.title='taken'</script>",
    '"><img src=x onerror="document.title=\'taken\'">',
    "' autofocus onfocus='document.title=1",
    "javascript:document.title='taken'",
    "{{ 7 * 7 }}{% raw %}",
    "</style><style>body{display:none}</style>",
    "--><!--",
    "\x1b]52;c;dGFrZW4=\x07\x9b31m\u202egnp.exe\u2066\u200b\u2028\ud800 \x00",
)
MINER = "/tmp/.x/kdevtmpfsi"  # noqa: S108 - a path of the evidence
DIGEST = "9b1c" * 16
ADDRESS = "203.0.113.7"


def case_facts() -> CaseFacts:
    """Return what the case says of itself."""
    acts = [
        Act(sequence=0, time="2026-11-20T05:30:12.000001Z", user="analyst", host="bench-3", act="case opened"),
        Act(
            sequence=1,
            time="2026-11-20T05:30:12.204113Z",
            user="analyst",
            host="bench-3",
            act="source hashed",
            details={"source": "web-01.raw", "sha256": DIGEST},
        ),
        Act(
            sequence=2,
            time="2026-11-20T05:30:41.870345Z",
            user="analyst",
            host="bench-3",
            act="evidence finished",
            details={"evidence": "web-01", "digest": "77aa" * 16},
        ),
    ]
    return CaseFacts(
        case_id="7f3a09c4e1d2",
        number="ACME-42",
        examiner="R. Example",
        created="2026-11-20T05:30:12.000001Z",
        tool="volforensic 0.1.0",
        versions={"python": "3.11.7", "pytsk3": "20260715", "yara-x": "1.22.1"},
        command_lines=["volforensic triage web-01.raw --case ACME-42"],
        custody=Custody(head="c0de" * 16, entries=3, acts=acts),
    )


def findings() -> list[Row]:
    """Return findings of every severity."""
    return [
        finding(
            "F-0000000000a1",
            "miner-binary",
            "critical",
            f"{MINER} is a coin miner (XMRig): it names the pool stratum+tcp://pool.example:3333",
            attack=["T1496.001"],
            cites=[MINER],
            path=MINER,
            volume=1,
            evidence=[
                '$pool at 0x0007f1c0: "stratum+tcp://pool.example:3333"',
                '$banner at 0x0007e004: "XMRig/6.21.0 libuv/1.44.2 gcc/9.4.0"',
            ],
            details={"why": "Three strings that only builds of XMRig hold, in an ELF that no package owns."},
        ),
        finding(
            "F-0000000000a2",
            "cron-runs-flagged-file",
            "critical",
            f"/etc/cron.d/0systemd runs {MINER} every minute as root",
            attack=["T1053.003", "T1496"],
            cites=["cron:2", MINER],
            evidence=[f"* * * * * root {MINER} -o stratum+tcp://pool.example:3333 >/dev/null 2>&1"],
            details={"chain": ["/etc/cron.d/0systemd", "/usr/local/bin/.sysupd", MINER, "pool.example:3333"]},
        ),
        finding(
            "F-0000000000a3",
            "brute-force-then-login",
            "high",
            f"60,000 failed logins from {ADDRESS}, then root was accepted by password",
            attack=["T1110.001", "T1078"],
            cites=["auth_log:11", "auth_log:60011"],
            first_seen="2026-11-19T21:02:44.000000Z",
            last_seen="2026-11-19T23:10:11.000000Z",
            count=60_001,
            evidence=[
                f"Nov 19 21:02:44 web-01 sshd[811]: Failed password for root from {ADDRESS} port 40022 ssh2",
                f"Nov 19 23:10:11 web-01 sshd[9042]: Accepted password for root from {ADDRESS} port 51514 ssh2",
            ],
            details={"failures": 60_000, "remote_address": ADDRESS},
        ),
        finding(
            "F-0000000000a4",
            "authorized-key-forced-command",
            "medium",
            "A key of root runs a command: " + HOSTILE[0],
            attack=["T1098.004"],
            cites=["authorized_keys:1", "<b>x"],
            evidence=list(HOSTILE),
            path="/home/" + HOSTILE[2],
            details=dict.fromkeys(HOSTILE, HOSTILE[1]),
        ),
        finding("F-0000000000a5", "history-to-null", "low", "The shell history of deploy is linked to /dev/null"),
    ]


def finding(finding_id: str, rule: str, severity: str, statement: str, **more: Any) -> Row:
    """Return a finding as it stands in findings.jsonl."""
    row: Row = {"finding_id": finding_id, "rule": rule, "severity": severity, "statement": statement}
    empty: Row = {"attack": [], "cites": [], "evidence": [], "path": None, "volume": None, "count": 1, "details": {}}
    return row | empty | more


def records(artifact: str) -> Iterator[Row]:
    """Give the records of one artifact."""
    for ordinal, row in enumerate(_RECORDS.get(artifact, []), start=1):
        yield {"record_id": f"{artifact}:{ordinal}", "timestamp": None, "artifact": artifact, "volume": 1} | row


def _attempt(minute: int, event: str, user: str, address: str, **more: Any) -> Row:
    stamp = f"2026-11-19T21:{minute:02}:00.000000Z"
    return {"timestamp": stamp, "event": event, "user": user, "remote_address": address, "method": "password"} | more


_RECORDS: dict[str, list[Row]] = {
    "auth_log": [
        _attempt(1, "failed", "root", ADDRESS, repeated=59_998),
        _attempt(2, "failed", "admin", ADDRESS),
        _attempt(3, "failed", "root", ADDRESS),
        _attempt(4, "invalid_user", "oracle", "198.51.100.9"),
        _attempt(5, "failed", "oracle", "198.51.100.9"),
        _attempt(6, "accepted", "root", ADDRESS),
        _attempt(7, "accepted", "deploy", "192.0.2.14", method="publickey", key_fingerprint="SHA256:" + "Ab3x" * 10),
        _attempt(8, "accepted", "deploy", "192.0.2.14", method="publickey", key_fingerprint="SHA256:" + "Ab3x" * 10),
        _attempt(9, "accepted", HOSTILE[1], HOSTILE[8]),
        _attempt(10, "sudo", "deploy", "", target_user="root", command="/usr/bin/apt-get update"),
        _attempt(11, "user_added", "sysupd", "", uid=0, raw="useradd[9100]: new user: name=sysupd, UID=0, GID=0"),
        {"unparsed": True, "raw": "\x00\x00\x00"},
    ],
    "logins": [
        {
            "database": "wtmp",
            "type": "USER_PROCESS",
            "user": "root",
            "terminal": "pts/0",
            "remote_address": ADDRESS,
            "timestamp": "2026-11-19T23:10:11.000000Z",
        },
        {"database": "wtmp", "type": "BOOT_TIME", "timestamp": "2026-11-01T06:00:00.000000Z"},
        {"database": "btmp", "type": "LOGIN_PROCESS", "user": "root", "remote_address": ADDRESS},
        {"database": "wtmp", "type": "EMPTY", "suspicious": "zeroed record", "source": "/var/log/wtmp"},
    ],
    "lastlog": [
        {"uid": 0, "terminal": "pts/0", "remote_host": ADDRESS, "timestamp": "2026-11-19T23:10:11.000000Z"},
        {"uid": 1000, "terminal": "pts/1", "remote_host": "192.0.2.14", "timestamp": "2026-11-18T09:12:00.000000Z"},
    ],
    "users": [
        {"user": "root", "uid": 0, "gid": 0, "home": "/root", "shell": "/bin/bash", "password_state": "shadowed"},
        {"user": "daemon", "uid": 1, "gid": 1, "home": "/usr/sbin", "shell": "/usr/sbin/nologin"},
        {"user": "deploy", "uid": 1000, "gid": 1000, "home": "/home/deploy", "shell": "/bin/bash"},
        {"user": "sysupd", "uid": 0, "gid": 0, "home": "/dev/shm", "shell": ""},  # noqa: S108 - a path of the evidence
        {"user": HOSTILE[2], "uid": 4_000_000_000, "gid": 1, "home": HOSTILE[3], "shell": HOSTILE[8]},
    ],
    "shadow": [{"user": "root", "password_state": "hashed", "hash_type": "yescrypt", "last_changed": "2025-02-03"}],
    "groups": [{"group": "sudo", "gid": 27, "members": ["deploy", "sysupd"]}, {"group": "mail", "members": ["x"]}],
    "sudoers": [
        {"user": "deploy", "host": "ALL", "run_as": "ALL", "options": ["NOPASSWD"], "command": "ALL"},
        {"include": ["/etc/sudoers.d/*"]},
    ],
    "sshd_config": [
        {"keyword": "PermitRootLogin", "value": "yes", "source": "/etc/ssh/sshd_config"},
        {"keyword": "X11Forwarding", "value": "yes", "source": "/etc/ssh/sshd_config"},
    ],
    "cron": [
        {
            "schedule": "17 * * * *",
            "user": "root",
            "kind": "system",
            "source": "/etc/crontab",
            "command": "cd / && run-parts --report /etc/cron.hourly",
        },
        {
            "schedule": "* * * * *",
            "user": "root",
            "kind": "system",
            "source": "/etc/cron.d/0systemd",
            "command": f"{MINER} -o stratum+tcp://pool.example:3333 >/dev/null 2>&1",
        },
        {"kind": "script", "source": "/etc/cron.daily/logrotate", "script": "#!/bin/sh\n" + "echo line\n" * 30},
        {"source": "/etc/cron.d/x", "unparsed": True, "raw": HOSTILE[0]},
        {"source": "/var/spool/cron/crontabs/www", "file_type": "symlink", "link_target": "/dev/null"},
    ],
    "ld_preload": [{"library": "/usr/local/lib/libproc.so", "source": "/etc/ld.so.preload"}],
    "authorized_keys": [
        {
            "user": "root",
            "key_type": "ssh-ed25519",
            "fingerprint": "SHA256:" + "Zz9q" * 10,
            "comment": HOSTILE[0],
            "options": [f'command="{HOSTILE[1]}"'],
            "command": HOSTILE[4],
            "source": "/root/.ssh/authorized_keys",
        },
    ],
}


def files() -> Iterator[Row]:
    """Give the rows of the inventory."""
    times = {"mtime": "2026-11-19T23:14:02.120000000Z", "ctime": "2026-11-19T23:14:02.120000000Z", "crtime": None}
    plain: Row = {"volume": 1, "type": "file", "mode": 0o644, "uid": 0, "gid": 0, "allocated": True, "state": "disk"}
    yield plain | times | {"path": "/etc/hostname", "size": 7, "inode": 12}
    yield (
        plain
        | times
        | {
            "path": MINER,
            "size": 6_291_456,
            "inode": 131_203,
            "mode": 0o755,
            "uid": 33,
            "gid": 33,
            "sha256": "ab12" * 16,
            "mime": "application/x-pie-executable",
            "yara": ["xmrig", "stratum_pool"],
            "matches": [
                {
                    "rule": "xmrig",
                    "strings": [
                        {"identifier": "$banner", "offset": 0x7E004, "text": "XMRig/6.21.0 libuv/1.44.2 gcc/9.4.0"},
                        {"identifier": "$donate", "offset": 0x7E100, "text": HOSTILE[0]},
                    ],
                },
                {
                    "rule": "stratum_pool",
                    "strings": [{"identifier": "$pool", "offset": 0x7F1C0, "text": "stratum+tcp://pool.example:3333"}],
                },
            ],
            "indicators": ["stratum+tcp://pool.example:3333"],
        }
    )
    yield plain | times | {"path": "/home/" + HOSTILE[2], "size": 120, "inode": 9, "allocated": False}


def coverage() -> Row:
    """Return a coverage with one artifact that was read in part."""
    rows: list[Row] = [
        {"artifact": name, "volume": 1, "status": "complete", "files": 2, "records": 10, "unparsed": 0, "reasons": []}
        for name in ("logins", "lastlog", "cron", "users", "shadow", "groups", "sudoers", "sshd_config", "ld_preload")
    ]
    partly: Row = {
        "artifact": "auth_log",
        "volume": 1,
        "status": "partial",
        "files": 5,
        "records": 60_011,
        "unparsed": 1,
        "reasons": ["/var/log/auth.log.3.gz: the compressed data ends early, 18,220 bytes were read"],
    }
    absent = {"artifact": "at", "volume": 1, "status": "absent"}
    return {"artifacts": [*rows, partly, absent], "complete": False}


def problems() -> list[Row]:
    """Return one loss and one oddity."""
    return [
        {
            "stage": "collection",
            "artifact": "auth_log",
            "volume": 1,
            "source": "/var/log/auth.log.3.gz",
            "reason": "the compressed data ends early " + HOSTILE[0],
            "offset": 18_220,
            "length": 4_100,
        },
        {
            "stage": "layout",
            "lost": False,
            "reason": "the backup GPT differs from the primary one: the primary is used",
        },
    ]


def identity(**more: Any) -> Row:
    """Return the identity of the evidence as evidence.json holds it."""
    volumes = [
        {"index": 0, "label": "bios", "filesystem": "none", "offset": 1_048_576, "size": 2_097_152},
        {
            "index": 1,
            "label": HOSTILE[5],
            "filesystem": "ext4",
            "offset": 3_145_728,
            "size": 8_585_740_288,
            "uuid": "3e6be9de-8139-11d1-9106-a43f08d823a6",
            "entries": 25_112,
        },
    ]
    host = {"hostname": "web-01", "os": "Debian GNU/Linux 12 (bookworm)", "time_zone": "Europe/Berlin"}
    return {
        "id": "web-01",
        "source": "images/web 01's disk.raw",
        "size": 8 << 30,
        "sha256_before": DIGEST,
        "sha256_after": DIGEST,
        "layout": {"scheme": "gpt", "volumes": volumes},
        "host": host | {"time_zone_basis": "/etc/localtime"},
        "packages": packages(),
    } | more


def packages() -> Row:
    """Return what the package databases said, as evidence.json holds it."""
    database = {"manager": "dpkg", "path": "/var/lib/dpkg", "volume": 1, "packages": 291, "claims": 23_692}
    read = [database | {"missing": 2, "is_complete": False}, {"manager": "pip", "path": HOSTILE[0]}]
    return {"databases": read, "verdicts": {"proved": 19_676, "altered": 1, "unowned": 2217}}


def view(**more: Any) -> EvidenceView:
    """Return the evidence item, with some of it replaced."""
    parts: Row = {
        "identity": identity(),
        "findings": findings(),
        "coverage": coverage(),
        "problems": problems(),
        "records": records,
        "files": files,
    }
    return EvidenceView(**(parts | more))


def nothing(_artifact: str = "") -> Iterator[Row]:
    """Give no rows."""
    return iter(())
