"""Files against their packages and hash sets: altered, missing, unowned, setuid and capable ones."""

# ruff: noqa: S108 - the paths are those of the evidence; nothing is written there

from typing import Any

import pytest
from file_rows import ALTERED, LIBRARY, OWNED, SCRIPT, TEXT, UNOWNED, file, judged, said

from volforensic.detection.judgements import ALONE_LIMIT
from volforensic.detection.rules import CITES_LIMIT, FINDINGS_LIMIT
from volforensic.record import Row

SYSTEM = "unowned-program-in-system-directory"
CLAIMED = [file(f"/usr/bin/tool{number}", package=OWNED) for number in range(20)]


@pytest.mark.parametrize(
    ("path", "facts", "severity"),
    [
        ("/usr/sbin/sshd", {}, "critical"),
        ("/usr/bin/ps", {}, "critical"),
        ("/usr/lib/x86_64-linux-gnu/libc.so.6", LIBRARY, "critical"),
        ("/usr/lib/x86_64-linux-gnu/security/pam_unix.so", LIBRARY, "critical"),
        ("/lib64/security/pam_unix.so", LIBRARY, "critical"),
        ("/usr/lib/modules/6.1.0-31-amd64/kernel/fs/ext4/ext4.ko.xz", {"mime": "application/x-xz"}, "critical"),
        ("/boot/vmlinuz-6.1.0-31-amd64", TEXT, "critical"),
        ("/usr/bin/curl", {}, "high"),
        ("/usr/lib/libfoo.so.1", LIBRARY, "high"),
        ("/usr/bin/zgrep", SCRIPT, "medium"),
        ("/usr/lib/systemd/system/cron.service", TEXT, "medium"),
        ("/usr/share/perl5/Foo.pm", TEXT, "low"),
        ("/usr/share/doc/bash/README", TEXT, "low"),
    ],
)
def test_an_altered_file_is_graded_by_what_it_is(path: str, facts: Row, severity: str) -> None:
    [found] = judged(file(path, **facts, package=ALTERED))
    assert (found.rule, found.severity) == ("package-file-altered", severity)
    assert "is not what the package coreutils 9.1-1 brought: digest differs (md5)" in found.statement
    assert found.attack == ["T1554"]
    assert "database is on this disk" in found.details["why"]


@pytest.mark.parametrize(
    "package",
    [
        {**OWNED, "verdict": "config changed", "differs": ["digest"]},
        {**OWNED, "verdict": "altered", "differs": ["mode", "owner", "mtime"]},
        {**OWNED, "verdict": "unverified"},
        OWNED,
        {"verdict": 7, "name": []},
        "altered",
        None,
    ],
)
def test_what_an_administrator_changes_is_no_finding(package: Any) -> None:
    assert said(file("/usr/bin/ps", package=package)) == []


def test_an_interrupted_upgrade_is_one_finding_with_counts() -> None:
    rows = [file(f"/usr/lib/git-core/git-{number}", package={**ALTERED, "name": "git"}) for number in range(1000)]
    [found] = judged(*rows, file("/usr/bin/ls", package=OWNED))
    assert (found.rule, found.severity, found.count) == ("package-file-altered", "high", 1000)
    assert found.statement.startswith("1,000 files of the package git 9.1-1 are not what it brought")
    assert len(found.cites) == CITES_LIMIT
    assert found.details["cites_total"] == 1000


def test_a_grave_file_of_a_package_is_not_lost_among_plain_ones() -> None:
    package = {**ALTERED, "name": "openssh-server"}
    plain = [file(f"/usr/share/x/{number}", **TEXT, package=package) for number in range(50)]
    found = judged(*plain, file("/usr/sbin/sshd", package=package))
    assert [(one.severity, one.count) for one in found] == [("low", 50), ("critical", 1)]


def missing(path: str, name: str = "coreutils", **more: Any) -> Row:
    return {"path": path, "name": name, "version": "1", "manager": "dpkg", "is_config": False} | more


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (missing("/usr/sbin/auditd", "auditd"), [("security-tool-missing", "high")]),
        (missing("/opt/CrowdStrike/falcond", "falcon-sensor"), [("security-tool-missing", "high")]),
        (missing("/usr/bin/chattr", "e2fsprogs"), [("system-tool-missing", "medium")]),
        (missing("/var/log/wtmp", "setup"), [("package-log-missing", "medium")]),
        (missing("/usr/bin/foo", "foo"), [("package-file-missing", "low")]),
        (missing("/usr/share/doc/foo/copyright", "foo"), []),
        (missing("/usr/share/locale/de/LC_MESSAGES/foo.mo", "foo"), []),
        (missing("/usr/share/doc/auditd/README", "auditd"), []),
        (missing("/etc/foo.conf", "foo", is_config=True), []),
        (missing("/usr/lib/python3/dist-packages/x.pyc", "foo"), []),
        ({**missing("/usr/sbin/auditd", "auditd"), "excluded": "/usr/sbin/*"}, []),
        ({**missing("/usr/sbin/auditd", "auditd"), "uncertain": "the filesystem was not read whole"}, []),
        ({"path": "/usr/sbin/auditd", "package": "auditd", "version": "3"}, [("security-tool-missing", "high")]),
        ({"path": 7}, []),
    ],
)
def test_a_missing_file_is_graded_by_what_it_did(row: Row, expected: list[tuple[str, str]]) -> None:
    assert said(missing=[row]) == expected


def test_many_missing_files_of_a_package_are_one_finding() -> None:
    [found] = judged(missing=[missing(f"/usr/sbin/au{number}", "auditd") for number in range(30)])
    assert (found.rule, found.severity, found.count) == ("security-tool-missing", "high", 30)


def test_a_known_bad_hash_names_its_set_wherever_the_file_lies() -> None:
    [found] = judged(file("/usr/bin/ls", package=OWNED, known={"bad": ["case 7"], "good": ["NSRL"]}))
    assert (found.rule, found.severity, found.details["sets"]) == ("known-bad-hash", "critical", ["case 7"])
    assert "known bad files case 7" in found.statement
    assert "contradict" in found.statement


def test_known_good_silences_places_and_never_yara() -> None:
    good = {"known": {"good": ["NSRL"]}}
    assert said(file("/dev/shm/x", **good), file("/usr/lib/.x/y", **good), file("/usr/sbin/kworker", **good)) == []
    assert said(file("/dev/shm/x", **good, yara=["xmrig_elf"])) == [("xmrig_elf", "critical")]


def test_a_package_vouches_for_a_hidden_place_and_not_for_tmp() -> None:
    assert said(file("/usr/lib/.x/y", package=OWNED)) == []
    assert said(file("/usr/lib/.x/y", package={**OWNED, "manager": "pip"})) == [
        ("executable-in-hidden-directory", "medium")
    ]
    assert said(file("/tmp/x", package=OWNED)) == [("executable-in-temporary-directory", "medium")]
    [found] = judged(file("/usr/bin/xmrig", package={**OWNED, "name": "xmrig"}, yara=["xmrig_elf"]))
    assert "the package xmrig brought it by the package database on this same disk" in found.statement


@pytest.mark.parametrize(
    ("path", "facts", "expected"),
    [
        ("/usr/bin/syshelper", {}, (SYSTEM, "medium")),
        ("/usr/lib/x86_64-linux-gnu/libsys.so.1", LIBRARY, (SYSTEM, "medium")),
        ("/usr/bin/backup.sh", SCRIPT, (SYSTEM, "low")),
        ("/usr/bin/kubectl", {}, (SYSTEM, "low")),
        ("/usr/lib64/libcuda.so.535", LIBRARY, (SYSTEM, "low")),
        ("/usr/sbin/policy-rc.d", SCRIPT, (SYSTEM, "low")),
        ("/lib/x86_64-linux-gnu/security/pam_audit.so", LIBRARY, (SYSTEM, "high")),
        ("/lib/x86_64-linux-gnu/security/pam_duo.so", LIBRARY, (SYSTEM, "low")),
        ("/etc/update-motd.d/00-x", SCRIPT, (SYSTEM, "medium")),
        ("/usr/lib/systemd/system-generators/gen", SCRIPT, (SYSTEM, "medium")),
        ("/usr/lib/modules/6.1.0/kernel/drivers/net/diamorphine.ko", LIBRARY, ("unowned-kernel-module", "medium")),
        (
            "/usr/lib/modules/6.1.0/kernel/drivers/net/x.ko.xz",
            {"mime": "application/x-xz", "mode": 0o644},
            ("unowned-kernel-module", "medium"),
        ),
        ("/lib/modules/6.1.0/updates/dkms/zfs.ko", LIBRARY, ("unowned-kernel-module", "low")),
    ],
)
def test_an_unowned_program_of_the_system(path: str, facts: Row, expected: tuple[str, str]) -> None:
    assert said(*CLAIMED, file(path, **facts, package=UNOWNED)) == [expected]


@pytest.mark.parametrize(
    "path",
    [
        "/usr/lib/python3/dist-packages/foo/_x.so",
        "/usr/lib64/python3.9/site-packages/numpy/core/m.so",
        "/usr/lib/node_modules/pm2/bin/pm2",
        "/usr/lib/docker/cli-plugins/docker-compose",
        "/usr/lib/nagios/plugins/check_x",
        "/usr/lib/jvm/jdk-21/bin/java",
        "/usr/local/bin/node_exporter",
        "/usr/local/aws-cli/v2/2.15.0/dist/aws",
        "/opt/gitlab/embedded/bin/ruby",
        "/opt/aws/bin/cfn-init",
        "/var/lib/jenkins/tools/jdk/bin/java",
        "/var/lib/postgresql/15/main/x",
        "/home/deploy/app/node_modules/esbuild/bin/esbuild",
        "/boot/grub/i386-pc/normal.mod",
        "/var/lib/docker/overlay2/ab12/diff/usr/bin/tool",
        "/var/lib/rancher/k3s/agent/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/7/fs/bin/x",
        "/snap/core22/1/usr/bin/x",
    ],
)
def test_where_others_install_nothing_is_said(path: str) -> None:
    assert said(*CLAIMED, file(path, package=UNOWNED)) == []


def test_a_database_that_knows_little_is_told_once() -> None:
    rows = [file(f"/usr/bin/tool{number}", package=UNOWNED) for number in range(500)]
    found = judged(*rows, file("/usr/bin/ls", package=OWNED))
    assert [(one.rule, one.severity, one.count) for one in found] == [("package-database-does-not-fit", "low", 500)]


@pytest.mark.parametrize(
    ("path", "facts", "expected"),
    [
        ("/usr/local/bin/helper", {"mode": 0o4755}, [("setuid-file-unowned", "high")]),
        ("/usr/share/x/helper", {"mode": 0o2755}, [("setuid-file-unowned", "medium")]),
        ("/usr/local/bin/sudo", {"mode": 0o4755}, [("setuid-file-unowned", "medium")]),
        ("/opt/google/chrome/chrome-sandbox", {"mode": 0o4755}, [("setuid-file-unowned", "low")]),
        ("/usr/local/bin/bash", {"mode": 0o4755}, [("setuid-shell", "critical")]),
        ("/usr/bin/python3.11", {"mode": 0o4755, "package": OWNED}, [("setuid-shell", "critical")]),
        ("/usr/bin/find", {"mode": 0o6755, "package": OWNED}, [("setuid-shell", "critical")]),
        ("/usr/bin/sudo", {"mode": 0o4777, "package": OWNED}, [("setuid-file-writable", "high")]),
        ("/usr/bin/less", {"mode": 0o4755, "package": OWNED}, [("setuid-file-unowned", "low")]),
        (
            "/usr/bin/less",
            {
                "mode": 0o4755,
                "package": {**OWNED, "manager": "rpm", "verdict": "altered", "differs": ["mode", "setuid"]},
            },
            [("setuid-file-unowned", "high")],
        ),
        ("/usr/bin/less", {"mode": 0o4755, "package": {**OWNED, "manager": "rpm"}}, []),
        ("/usr/bin/sudo", {"mode": 0o4755, "package": OWNED}, []),
        ("/usr/bin/sudo", {"mode": 0o4755}, []),
        ("/usr/lib/openssh/ssh-keysign", {"mode": 0o4755}, []),
        ("/usr/sbin/postdrop", {"mode": 0o2755}, []),
        ("/opt/x.sh", {"mode": 0o4755, **SCRIPT}, []),
        ("/srv/data", {"mode": 0o2775}, [("setuid-file-writable", "high")]),
        ("/srv/data", {**TEXT, "mode": 0o2664}, []),
        ("/srv/locked", {"mode": 0o2664}, []),
        ("/var/lib/docker/overlay2/ab12/diff/bin/su", {"mode": 0o4755}, []),
        ("/var/lib/docker/overlay2/ab12/diff/bin/x", {"mode": 0o4755}, [("setuid-file-unowned", "medium")]),
    ],
)
def test_privilege_bits(path: str, facts: Row, expected: list[tuple[str, str]]) -> None:
    facts = {"package": UNOWNED if path.startswith(("/usr/local", "/opt")) else None} | facts
    assert said(file(path, **facts)) == expected


def test_a_setuid_file_in_tmp_is_critical() -> None:
    found = said(file("/tmp/.a/rootme", mode=0o4755, package=UNOWNED))
    assert ("setuid-file-unowned", "critical") in found
    assert ("executable-in-temporary-directory", "high") in found


def test_a_setuid_copy_of_a_shell_is_known_by_its_hash() -> None:
    shell = file("/usr/bin/dash", sha256="cd" * 32, package=OWNED)
    copy = file("/usr/share/x/helper", sha256="cd" * 32, mode=0o4755, package=UNOWNED)
    for rows in ([shell, copy], [copy, shell]):
        found = {one.rule: one for one in judged(*rows)}
        assert found["setuid-shell"].severity == "critical"
        assert "is a copy of /usr/bin/dash: same SHA-256" in found["setuid-shell"].statement
    assert "setuid-shell" not in {one.rule for one in judged(shell, {**copy, "sha256": "ef" * 32})}


@pytest.mark.parametrize(
    ("path", "capabilities", "package", "expected"),
    [
        ("/usr/bin/python3.11", "cap_setuid=ep", OWNED, "critical"),
        ("/usr/local/bin/tool", "cap_setuid,cap_net_raw=ep", UNOWNED, "high"),
        ("/usr/local/bin/tool", "=ep", UNOWNED, "high"),
        ("/usr/local/bin/node", "cap_net_bind_service=ep", UNOWNED, "low"),
        ("/usr/bin/tool", "cap_sys_admin=ep", {**OWNED, "manager": "rpm"}, "low"),
        ("/usr/bin/newuidmap", "cap_setuid=ep", {**OWNED, "manager": "rpm"}, None),
        ("/usr/bin/ping", "cap_net_raw=ep", OWNED, None),
        ("/usr/bin/ping", "cap_net_raw=ep", None, None),
        ("/usr/bin/ping", "", UNOWNED, None),
    ],
)
def test_capabilities(path: str, capabilities: str, package: Any, expected: str | None) -> None:
    found = judged(*CLAIMED, file(path, capabilities=capabilities, package=package))
    assert [one.severity for one in found if one.rule == "capable-file"] == ([expected] if expected else [])


def test_a_flood_of_groups_stays_bounded() -> None:
    rows = (file(f"/d{number}/x", mode=0o4755) for number in range(FINDINGS_LIMIT + 500))
    found = judged(*rows)
    assert len(found) == FINDINGS_LIMIT
    few = judged(*(file(f"/usr/x/{number}", mode=0o4755) for number in range(ALONE_LIMIT)))
    assert [one.count for one in few] == [1] * ALONE_LIMIT
    [many] = judged(*(file(f"/usr/x/{number}", mode=0o4755) for number in range(ALONE_LIMIT + 1)))
    assert many.count == ALONE_LIMIT + 1
    assert many.statement.startswith("6 setuid or setgid programs that nobody shipped lie in /usr/x; the first are")
