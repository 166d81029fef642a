"""Judgements over many records: who guessed and got in, what runs a flagged file, whose keys are gone."""

# ruff: noqa: S108 - the paths are those of the evidence; nothing is written there

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volforensic.collection.loader import load_definitions
from volforensic.detection import logins
from volforensic.detection.brute_force import BURST_GUESSES
from volforensic.detection.command_paths import named_paths
from volforensic.detection.engine import detect
from volforensic.detection.file_graph import FileGraph
from volforensic.record import SEVERITIES, Finding, Problem, Row, timestamp_text

DEFINITIONS = [definition.artifact for definition in load_definitions()]
START = 1_714_521_600_000_000  # 2024-05-01T00:00:00Z
MINUTE = 60_000_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
INTRUDER = "203.0.113.5"


class Host:
    """A host made of records and files."""

    def __init__(self) -> None:
        """Start with an empty disk."""
        self.records: dict[str, list[Row]] = {}
        self.files: list[Row] = []

    def add(self, artifact: str, moment: int | None = None, **fields: Any) -> str:
        """Add a record; ``moment`` is microseconds after ``START``."""
        rows = self.records.setdefault(artifact, [])
        record_id = f"{artifact}:{len(rows) + 1}"
        stamp = None if moment is None else timestamp_text(START + moment)
        rows.append(
            {"record_id": record_id, "artifact": artifact, "volume": 0, "source": f"/{artifact}", "timestamp": stamp}
            | fields
        )
        return record_id

    def ssh(self, event: str, moment: int, address: str = INTRUDER, **fields: Any) -> str:
        """Add a record of sshd."""
        defaults: Row = {"process": "sshd", "user": "root", "method": "password", "remote_address": address}
        return self.add("auth_log", moment, event=event, **{"raw": f"{event} {address}", **defaults, **fields})

    def failures(self, number: int, moment: int = 0, step: int = MINUTE, **fields: Any) -> None:
        """Add failures of one address, each by a connection of its own."""
        for index in range(number):
            self.ssh("failed", moment + index * step, pid=1000 + index, **fields)

    def file(self, path: str, **facts: Any) -> None:
        """Add a row of the inventory."""
        self.files.append(
            {"volume": 0, "path": path, "type": "file", "mode": 0o755, "size": 9, "allocated": True} | facts
        )

    def detect(self) -> list[Finding | Problem]:
        """Return what detection says of the host."""
        yara: dict[str, dict[str, Any]] = {"xmrig_elf": {"severity": "critical"}, "oddity": {"severity": "low"}}
        yara["download_piped_to_shell"] = {"severity": "low"}
        return list(detect(DEFINITIONS, lambda name: self.records.get(name, []), lambda: self.files, yara))

    def found(self) -> dict[str, Finding]:
        """Return the findings by their rule."""
        return {one.rule: one for one in self.detect() if isinstance(one, Finding)}


def severities(host: Host) -> dict[str, str]:
    return {rule: finding.severity for rule, finding in host.found().items() if rule != "ssh-root-password-login"}


def test_guessing_and_then_a_login_is_critical() -> None:
    host = Host()
    host.failures(BURST_GUESSES)
    accepted = host.ssh("accepted", 2 * HOUR, raw="Accepted password for root from 203.0.113.5 port 4 ssh2")
    found = host.found()["brute-force-succeeded"]
    assert found.severity == "critical"
    assert found.statement == (
        "Password guessing succeeded: 203.0.113.5 failed 20 times for user root between 2024-05-01 00:00:00 UTC and"
        " 2024-05-01 00:19:00 UTC, and root was let in from there by password at 2024-05-01 02:00:00 UTC"
    )
    assert found.cites == [accepted, "auth_log:1", "auth_log:20"]
    assert found.evidence == ["Accepted password for root from 203.0.113.5 port 4 ssh2"]
    assert (found.first_seen, found.last_seen) == ("2024-05-01T00:00:00.000000Z", "2024-05-01T02:00:00.000000Z")
    assert found.details["failures"] == 20


def test_later_logins_are_told_with_their_own_user_and_method() -> None:
    host = Host()
    host.failures(BURST_GUESSES)
    host.ssh("accepted", 2 * HOUR, method="password")
    host.ssh("accepted", 3 * HOUR, user="deploy", method="publickey")
    statement = host.found()["brute-force-succeeded"].statement
    assert (
        "and root was let in from there by password at 2024-05-01 02:00:00 UTC; 2 logins from there in all,"
        in statement
    )
    assert statement.endswith("the last of deploy by publickey at 2024-05-01 03:00:00 UTC")


def test_a_rule_without_metadata_does_not_make_persistence_critical() -> None:
    host = Host()
    host.add("cron", command="/opt/tool", source="/etc/crontab", user="root")
    host.file("/opt/tool", yara=["of_the_examiner"])
    assert host.found()["of_the_examiner"].severity == "medium"
    assert host.found()["persistence-runs-flagged-file"].severity == "high"


def test_the_order_of_the_log_does_not_matter() -> None:
    host = Host()
    host.ssh("accepted", 2 * HOUR)
    host.failures(BURST_GUESSES)
    host.records["auth_log"].reverse()
    assert severities(host) == {"brute-force-succeeded": "critical"}


def test_repetitions_that_syslog_folded_count() -> None:
    host = Host()
    host.ssh("failed", 0)
    host.ssh("failed", MINUTE, repeated=BURST_GUESSES - 1)
    host.ssh("accepted", 2 * MINUTE)
    assert severities(host) == {"brute-force-succeeded": "critical"}


def test_a_guess_that_sshd_reports_in_several_lines_counts_once() -> None:
    host = Host()
    for index in range(BURST_GUESSES - 1):
        connection: Row = {"user": "oracle", "pid": index}
        host.ssh("invalid_user", index * MINUTE, **connection)
        host.ssh("failed", index * MINUTE, **(connection | {"method": "none"}))
        host.ssh("failed", index * MINUTE, **(connection | {"method": "keyboard-interactive/pam"}))
        host.ssh("failed", index * MINUTE, remote_port=7, **connection)
    found = host.found()
    assert "brute-force" not in found
    host.ssh("failed", BURST_GUESSES * MINUTE, user="oracle", pid=99)
    assert host.found()["brute-force"].count == BURST_GUESSES


def test_ten_users_of_one_address_in_a_day_are_guesses_too() -> None:
    host = Host()
    for index in range(10):
        host.ssh("failed", index * 2 * HOUR, user=f"user{index}")
    host.ssh("accepted", 30 * HOUR, user="user9")
    assert severities(host) == {"brute-force-succeeded": "critical"}


def test_ten_users_in_ten_weeks_are_an_office() -> None:
    host = Host()
    for index in range(10):
        host.ssh("failed", index * 7 * DAY, user=f"user{index}", method="password")
        host.ssh("accepted", index * 7 * DAY + MINUTE, user=f"user{index}")
    assert severities(host) == {"login-after-failures": "low"}


def test_twenty_failures_in_twenty_days_are_slips() -> None:
    host = Host()
    host.failures(20, step=DAY)
    host.ssh("accepted", 20 * DAY)
    assert severities(host) == {"login-after-failures": "low"}


def test_one_mistyped_password_is_only_told() -> None:
    host = Host()
    host.ssh("failed", 0, user="alice")
    host.ssh("accepted", MINUTE, user="alice")
    found = host.found()["login-after-failures"]
    assert found.severity == "info"
    assert found.statement == (
        "One address logged in and also failed, once together;"
        " the most failures, 1, came from 203.0.113.5 for user alice"
    )


def test_varied_failures_below_a_brute_force_are_medium() -> None:
    host = Host()
    host.failures(3, user="root")
    host.failures(2, user="admin")
    host.ssh("accepted", HOUR, user="admin")
    assert severities(host) == {"login-after-guessing": "medium"}
    host = Host()
    for index in range(3):
        host.ssh("invalid_user", index, user=f"guess{index}", pid=index)
    host.ssh("accepted", HOUR, user="admin")
    assert severities(host) == {"login-after-guessing": "medium"}


def test_a_mistyped_user_name_is_not() -> None:
    host = Host()
    host.ssh("invalid_user", 0, user="alcie", pid=1)
    host.ssh("failed", 0, user="alcie", pid=1)
    host.ssh("accepted", MINUTE, user="alice")
    assert severities(host) == {"login-after-failures": "info"}


def test_a_key_that_is_refused_all_day_guesses_nothing() -> None:
    host = Host()
    host.failures(500, user="backup", method="publickey")
    host.ssh("accepted", 10 * HOUR, user="backup", method="publickey")
    assert severities(host) == {}


def test_a_login_long_after_the_guesses_is_medium() -> None:
    host = Host()
    host.failures(BURST_GUESSES)
    host.ssh("accepted", 5 * DAY)
    assert severities(host) == {"login-after-guessing": "medium"}


def test_who_came_before_the_first_failure_is_known() -> None:
    host = Host()
    host.ssh("accepted", -DAY, user="alice")
    host.failures(BURST_GUESSES, user="alice")
    host.ssh("accepted", HOUR, user="alice")
    assert severities(host) == {"login-after-failures": "low"}
    host.ssh("accepted", 2 * HOUR, user="bob")
    assert severities(host) == {"brute-force-succeeded": "critical"}


def test_guesses_without_success_are_one_low_finding() -> None:
    host = Host()
    for index in range(30):
        host.failures(BURST_GUESSES + index, address=f"198.51.100.{index}", user=f"user{index}")
    found = host.found()["brute-force"]
    assert (found.severity, found.count, found.details["addresses_total"]) == ("low", 30 * BURST_GUESSES + 435, 30)
    assert found.statement.startswith("30 addresses guessed passwords 1,035 times and did not get in; the busiest was")
    assert found.evidence[0].startswith("198.51.100.29: 49 times for user user29, 2024-05-01 00:00:00 UTC to")
    assert set(host.found()) == {"brute-force"}


def test_the_login_databases_tell_it_where_the_log_is_gone() -> None:
    host = Host()
    for index in range(BURST_GUESSES):
        host.add("logins", index * MINUTE, database="btmp", type="LOGIN_PROCESS", user="root", remote_address=INTRUDER)
    host.add("logins", HOUR, database="wtmp", type="USER_PROCESS", user="root", remote_address=f"::ffff:{INTRUDER}")
    assert severities(host) == {"brute-force-succeeded": "critical"}


def test_both_sources_give_one_finding_for_an_address() -> None:
    host = Host()
    host.failures(BURST_GUESSES)
    host.ssh("accepted", HOUR)
    for index in range(BURST_GUESSES):
        host.add("logins", index * MINUTE, database="btmp", user="root", remote_address=INTRUDER)
    outcomes = [one for one in host.detect() if isinstance(one, Finding)]
    assert [one.rule for one in outcomes if "brute" in one.rule] == ["brute-force-succeeded"]


def guessed_from_everywhere(address: str, **fields: Any) -> Host:
    host = Host()
    for index in range(BURST_GUESSES):
        host.ssh("failed", index * MINUTE, address=f"198.51.100.{index}", user="oracle", pid=index)
    host.ssh("accepted", 25 * MINUTE, address=address, **{"user": "oracle", **fields})
    return host


@pytest.mark.parametrize("address", [INTRUDER, "198.51.100.3"])
def test_a_login_after_guesses_from_everywhere_is_medium(address: str) -> None:
    found = guessed_from_everywhere(address).found()["login-after-distributed-guessing"]
    assert found.severity == "medium"
    assert found.cites == ["auth_log:21"]
    assert (found.details["addresses"], found.details["guesses"]) == (20, 20)


@pytest.mark.parametrize(
    "fields", [{"user": "alice"}, {"method": "publickey", "key_fingerprint": "SHA256:b"}, {"address": "10.0.0.9"}]
)
def test_who_was_not_guessed_at_uses_a_key_or_is_known_is_let_be(fields: Row) -> None:
    address = str(fields.pop("address", INTRUDER))
    host = guessed_from_everywhere(address, **fields)
    host.ssh("accepted", -DAY, address="10.0.0.9", user="oracle")
    assert "login-after-distributed-guessing" not in host.found()


def test_addresses_beyond_the_limit_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logins, "ADDRESSES_LIMIT", 2)
    host = Host()
    for index in range(4):
        host.ssh("failed", index, address=f"192.0.2.{index}")
    [problem] = [one for one in host.detect() if isinstance(one, Problem)]
    assert problem.lost
    assert problem.artifact == "auth_log"
    assert "2 logins and failures of others" in problem.reason


def test_a_key_added_in_the_intruders_session_is_high() -> None:
    host = Host()
    host.failures(BURST_GUESSES)
    login = host.ssh("accepted", HOUR, pid=77, remote_port=4000)
    host.ssh("session_closed", HOUR + 10 * MINUTE, pid=77)
    key = host.add("authorized_keys", user="root", fingerprint="SHA256:a", source="/root/.ssh/authorized_keys")
    host.add("cron", command="/usr/bin/true", user="root", source="/etc/cron.d/old")
    host.add("cron", command="/usr/bin/true", user="root", source="/etc/cron.d/new")
    long_ago, in_session, later = (
        timestamp_text(START + moment) for moment in (-DAY, HOUR + 9 * MINUTE, HOUR + 11 * MINUTE)
    )
    host.file("/root/.ssh/authorized_keys", mtime=long_ago, ctime=in_session)
    host.file("/etc/cron.d/new", mtime=in_session, ctime=later)
    host.file("/etc/cron.d/old", mtime=later, ctime=later)
    found = host.found()
    assert found["key-added-after-brute-force"].severity == "high"
    assert found["key-added-after-brute-force"].cites == [login, key, "/root/.ssh/authorized_keys"]
    assert "was changed (ctime) at 2024-05-01 01:09:00 UTC, while root was logged in from 203.0.113.5" in (
        found["key-added-after-brute-force"].statement
    )
    assert found["persistence-changed-after-brute-force"].path == "/etc/cron.d/new"


def test_a_session_without_an_end_lasts_an_hour() -> None:
    host = Host()
    host.failures(BURST_GUESSES)
    host.ssh("accepted", HOUR)
    host.add("authorized_keys", user="root", fingerprint="SHA256:a", source="/k")
    host.file("/k", mtime=timestamp_text(START + HOUR + 59 * MINUTE))
    assert "key-added-after-brute-force" in host.found()
    host.files[0]["mtime"] = timestamp_text(START + HOUR + 61 * MINUTE)
    assert "key-added-after-brute-force" not in host.found()


def test_a_chain_goes_from_the_line_over_the_script_to_the_binary_and_the_pool() -> None:
    host = Host()
    cron = host.add(
        "cron", command="sh /usr/local/bin/update.sh", user="root", schedule="@daily", source="/etc/cron.d/u"
    )
    host.file("/usr/local/bin/update.sh", references=["/usr/lib64/x/sysd", "/usr/bin/env"])
    host.file("/usr/lib64", type="symlink", link_target="lib")
    host.file("/usr/lib/x/sysd", yara=["xmrig_elf"])
    host.file("/usr/lib/x/config.json", indicators=["pool:pool.example:3333", "url:http://x"])
    found = host.found()["persistence-runs-flagged-file"]
    assert (found.severity, found.path) == ("critical", "/usr/lib/x/sysd")
    assert found.statement == (
        "A cron job of user root in /etc/cron.d/u leads to a flagged file: `sh /usr/local/bin/update.sh`"
        " → /usr/local/bin/update.sh → /usr/lib/x/sysd (xmrig_elf) → pool:pool.example:3333"
    )
    assert found.cites == [cron, "/usr/local/bin/update.sh", "/usr/lib/x/sysd"]


def test_a_chain_holds_the_program_and_its_configuration() -> None:
    host = Host()
    host.add("cron", command="/opt/x/kswapd1 -c /etc/x.json", user="root")
    host.file(
        "/opt/x/kswapd1", yara=["xmrig_elf"], mime="application/x-executable", indicators=["pool:donate.example:443"]
    )
    host.file("/etc/x.json", yara=["xmrig_elf"], indicators=["pool:pool.example:3333"])
    found = host.found()["persistence-runs-flagged-file"]
    assert found.path == "/opt/x/kswapd1"
    assert found.details["chain"] == ["/opt/x/kswapd1", "/etc/x.json"]
    assert found.details["indicators"] == ["pool:pool.example:3333", "pool:donate.example:443"]


@pytest.mark.parametrize(
    "fields",
    [
        {"command": "cd /opt/x && nohup ./miner >/dev/null 2>&1 &"},
        {"command": "miner --background", "environment": ["SHELL=/bin/sh", "PATH=/usr/bin:/opt/x"]},
        {"command": "/etc/cron.daily/a", "script": "#!/bin/sh\nexec /opt/./y/../x/miner\n"},
        {"command": "~/miner", "user": "bob"},
        {"command": "$HOME/miner", "user": "bob"},
        {"command": '"$D"/miner -B', "environment": ["D=/opt/x"]},
        {"command": "D=/opt; ${D}/x/miner"},
    ],
)
def test_the_ways_a_command_names_a_file(fields: Row) -> None:
    host = Host()
    host.add("users", user="bob", uid=1000, gid=1000, home="/opt/x")
    host.add("cron", **{"user": "root", **fields})
    host.file("/opt/x/miner", yara=["xmrig_elf"])
    assert "persistence-runs-flagged-file" in host.found()


@pytest.mark.parametrize(
    "command", ["curl https://example.org/opt/x/miner", "echo miner", "/usr/bin/miner", "/opt/x/miner.log", ""]
)
def test_what_names_no_flagged_file_is_no_chain(command: str) -> None:
    host = Host()
    host.add("cron", command=command, user="root")
    host.file("/opt/x/miner", yara=["xmrig_elf"])
    host.file("/usr/bin/miner", yara=["oddity"])
    assert "persistence-runs-flagged-file" not in host.found()


def test_a_program_that_is_only_in_an_odd_place_makes_a_chain_high() -> None:
    host = Host()
    host.add("cron", command="/root/.tools/backup.sh", user="root")
    host.file("/root/.tools/backup.sh", mime="text/x-shellscript", family="script")
    assert severities(host)["persistence-runs-flagged-file"] == "high"


def test_what_installers_do_is_high_where_cron_does_it() -> None:
    host = Host()
    host.file("/root/install.sh", yara=["download_piped_to_shell"], mime="text/x-shellscript", family="script")
    assert severities(host) == {"download_piped_to_shell": "low"}
    host.add("cron", command="/root/install.sh --quiet", user="root")
    assert severities(host)["persistence-runs-flagged-file"] == "high"


def test_loops_and_depth_end() -> None:
    host = Host()
    host.add("cron", command="/s0", user="root")
    for index in range(20):
        host.file(f"/s{index}", references=[f"/s{index + 1}", "/s0", f"/s{index}"])
    host.file("/s4", yara=["xmrig_elf"])
    assert host.found()["persistence-runs-flagged-file"].details["chain"] == ["/s0", "/s1", "/s2", "/s3", "/s4"]
    host.files[-1]["path"] = "/s5"
    assert "persistence-runs-flagged-file" not in host.found()
    graph = FileGraph()
    graph.links = {"/a": "b", "/b": "/a"}
    assert graph.resolve("/a/x") == "/a/x"


def test_a_preloaded_library_that_is_missing_is_high() -> None:
    host = Host()
    host.file("/lib", type="symlink", link_target="usr/lib")
    host.file("/usr/lib/here.so")
    host.file("/usr/lib/deleted.so", allocated=False)
    host.add("ld_preload", library="/lib/here.so")
    host.add("ld_preload", library="/usr/lib/$PLATFORM/x.so")
    host.add("ld_preload", library="relative.so")
    assert "preloaded-library-missing" not in host.found()
    host.add("ld_preload", library="/lib/deleted.so")
    found = host.found()["preloaded-library-missing"]
    assert (found.severity, found.cites) == ("high", ["ld_preload:4"])
    host.files.clear()
    assert "preloaded-library-missing" not in host.found()


def test_a_preloaded_library_that_is_flagged_is_critical() -> None:
    host = Host()
    host.add("ld_preload", library="/usr/lib/evil.so", source="/etc/ld.so.preload")
    host.file("/usr/lib/evil.so", yara=["xmrig_elf"])
    found = host.found()["persistence-runs-flagged-file"]
    assert found.statement.startswith("The library that every program would load first in /etc/ld.so.preload leads to")


def test_a_key_that_was_let_in_and_is_gone_is_low() -> None:
    host = Host()
    for fingerprint, key_type in [
        ("SHA256:kept", "RSA"),
        ("SHA256:gone", "RSA"),
        ("MD5:aa", "RSA"),
        ("SHA256:c", "RSA-CERT"),
    ]:
        host.ssh("accepted", 0, method="publickey", key_fingerprint=fingerprint, key_type=key_type)
    assert severities(host) == {}
    host.add("authorized_keys", user="root", fingerprint="SHA256:kept")
    found = host.found()["key-no-longer-authorized"]
    assert (found.severity, found.details["fingerprint"], found.count) == ("low", "SHA256:gone", 1)
    host.add("sshd_config", keyword="AuthorizedKeysCommand", value="/opt/aws/bin/eic_run_authorized_keys %u %f")
    assert host.found()["key-no-longer-authorized"].severity == "info"


def test_accounts_that_share_a_number_are_told() -> None:
    host = Host()
    passwd: Row = {"gid": 1, "source": "/etc/passwd", "home": "/", "shell": "/bin/bash"}
    host.add("users", user="root", uid=0, **passwd)
    host.add("users", user="toor", uid=0, **passwd)
    host.add("users", user="bob", uid=1000, **passwd)
    host.add("users", user="eve", uid=1000, **passwd)
    host.add("users", user="bob", uid=1000, **(passwd | {"source": "/etc/passwd-"}))
    host.add("users", user="daemon2", uid=1001, **(passwd | {"shell": "/usr/sbin/nologin"}))
    host.add("users", user="carol", uid=1001, **passwd)
    assert severities(host) == {"account-with-uid-0": "high", "shared-uid": "low"}
    assert host.found()["shared-uid"].cites == ["users:3", "users:4"]


def clean_server() -> Host:
    """A server on the internet as they are: guessed at from everywhere, used by people who mistype."""
    host = Host()
    for index in range(50):
        host.failures(30, moment=index * HOUR, step=MINUTE, address=f"198.51.100.{index}", user="admin")
        host.ssh("invalid_user", index * HOUR, address=f"192.0.2.{index}", user="test", pid=5)
    for day in range(20):
        host.ssh("failed", day * DAY, address="10.0.0.9", user="alice")
        host.ssh("accepted", day * DAY + MINUTE, address="10.0.0.9", user="alice")
        host.ssh("accepted", day * DAY, address="10.0.0.7", user="bob", method="publickey", key_fingerprint="SHA256:b")
    host.add("authorized_keys", user="bob", fingerprint="SHA256:b", key_type="ssh-ed25519", key="AAAA", comment="bob")
    for user, uid, shell in [
        ("root", 0, "/bin/bash"),
        ("daemon", 1, "/usr/sbin/nologin"),
        ("alice", 1000, "/bin/bash"),
    ]:
        host.add("users", user=user, uid=uid, gid=uid, shell=shell, home="/", source="/etc/passwd")
    host.add("cron", schedule="17 *", user="root", command="cd / && run-parts --report /etc/cron.hourly", kind="system")
    host.add("cron", user="root", command="/etc/cron.daily/dpkg", script="#!/bin/sh\n/usr/bin/dpkg\n", kind="script")
    host.file(
        "/etc/cron.daily/dpkg", mime="text/x-shellscript", family="script", references=["/usr/bin/dpkg", "/var/backups"]
    )
    host.file("/usr/bin/dpkg", mime="application/x-pie-executable", family="elf")
    host.file("/var/lib/dpkg/info/base-files.postinst", mime="text/x-shellscript", family="script", references=["/etc"])
    host.file("/srv/app/.git/hooks/pre-commit.sample", mime="text/x-shellscript", family="script")
    host.file("/home/alice/.vscode-server/bin/x/node", mime="application/x-executable", family="elf")
    host.file("/tmp/pip-build-x/setup.sh", mime="text/x-shellscript", family="script")
    return host


def test_a_clean_server_gives_nothing_above_low() -> None:
    found = clean_server().found()
    assert {rule: one.severity for rule, one in found.items()} == {
        "brute-force": "low",
        "login-after-failures": "low",
        "executable-in-temporary-directory": "low",
    }


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12), st.lists(st.text(max_size=5))
)
KEYS = st.sampled_from(
    [
        "allocated",
        "command",
        "ctime",
        "database",
        "environment",
        "event",
        "fingerprint",
        "indicators",
        "inode",
        "key_fingerprint",
        "key_type",
        "keyword",
        "library",
        "link_target",
        "matches",
        "method",
        "mime",
        "mode",
        "mtime",
        "path",
        "pid",
        "record_id",
        "references",
        "remote_address",
        "remote_port",
        "repeated",
        "script",
        "shell",
        "size",
        "source",
        "timestamp",
        "type",
        "uid",
        "user",
        "value",
        "volume",
        "yara",
    ]
)
EVENTS = st.sampled_from(["accepted", "failed", "invalid_user", "session_closed"])
ROWS = st.lists(
    st.builds(
        lambda row, event, strange: row if strange else {**row, "event": event, "remote_address": "a", "type": "file"},
        st.dictionaries(KEYS, VALUES),
        EVENTS,
        st.booleans(),
    ),
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_no_value_stops_detection(rows: list[Row]) -> None:
    def records(_name: str) -> Iterable[Row]:
        return rows

    for outcome in detect(DEFINITIONS, records, lambda: rows, {}):
        assert isinstance(outcome, Problem) or outcome.severity in SEVERITIES


@given(st.text(alphabet="/.~ab $HOMEcd;&='\"\\\n:", max_size=60))
def test_named_paths_are_absolute(text: str) -> None:
    for path in named_paths(text, home="/root", environment=[text], wanted_names={"a", "b"}):
        assert path.startswith("/")
        assert "//" not in path
        assert "/./" not in path
