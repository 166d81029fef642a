"""Files by name, place, attributes, times and owner: each sign is found, and ordinary servers stay quiet."""

# ruff: noqa: S108 - the paths are those of the evidence; nothing is written there

from typing import Any

import pytest
from file_rows import (
    ALTERED,
    DIRECTORY,
    HOST,
    LIBRARY,
    OWNED,
    SCRIPT,
    TEXT,
    UNOWNED,
    YARA,
    file,
    judged,
    outcomes,
    said,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from volforensic.detection import places
from volforensic.detection.file_graph import FileGraph
from volforensic.detection.files import file_findings
from volforensic.detection.rules import FINDINGS_LIMIT
from volforensic.detection.surroundings import Surroundings, read_surroundings
from volforensic.record import Finding, Problem, Row

DAEMON = "name-of-system-daemon"
WEB = {"uid": 33, "gid": 33}
PHP: Row = {"mime": "text/x-php", "family": "script", "mode": 0o644}
ELSEWHERE = "/var/lib/docker/overlay2/0a1b2c/diff"


def only(path: str, rule: str, **facts: Any) -> str | None:
    """Return the severity of the rule's finding about a file, None where there is none."""
    return next((one.severity for one in judged(file(path, **facts)) if one.rule == rule), None)


@pytest.mark.parametrize(
    ("path", "facts", "severity"),
    [
        ("/home/bob/sshd", {}, "medium"),
        ("/var/lib/x/sshd", {"package": UNOWNED}, "high"),
        ("/root/systemd-networkd", {"package": UNOWNED}, "high"),
        ("/usr/local/bin/systemd-network", {"package": UNOWNED}, "medium"),
        ("/usr/bin/sshdd", {"package": UNOWNED}, "medium"),
        ("/home/bob/crondd", SCRIPT, "medium"),
        ("/usr/sbin/cronds", {"package": UNOWNED}, "medium"),
        ("/usr/sbin/rsysl0gd", {"package": UNOWNED}, "medium"),
        ("/usr/sbin/dbus-deamon", {"package": UNOWNED}, "medium"),
        ("/usr/sbin/chronyc", {"package": UNOWNED}, None),
        ("/usr/sbin/cron", {"package": UNOWNED}, None),
        ("/root/.x/dbus-daemon", {}, "high"),
        ("/tmp/nginx", {}, "high"),
        ("/usr/bin/sshd", {"package": OWNED}, None),
        ("/usr/sbin/sshd", {"package": UNOWNED}, None),
        ("/usr/local/sbin/sshd", {"package": UNOWNED}, None),
        ("/opt/vendor/sbin/rsyslogd", {"package": UNOWNED}, None),
        ("/etc/init.d/sshd", SCRIPT, None),
        ("/home/bob/nginx", {}, None),
        ("/home/bob/openssh-9.6p1/sshd", {}, None),
        ("/home/bob/miniconda3/envs/a/bin/dbus-daemon", {}, None),
        ("/srv/chroot/jammy/usr/sbin/sshd", {}, None),
        ("/nix/store/abc-openssh/bin/sshd", {}, None),
        (f"{ELSEWHERE}/home/x/sshd", {}, None),
        ("/usr/share/bash-completion/completions/systemd", TEXT, None),
    ],
)
def test_names_of_system_daemons(path: str, facts: Row, severity: str | None) -> None:
    found = judged(file(path, **facts))
    alike = [one for one in found if one.rule == DAEMON or DAEMON in one.details.get("also", ())]
    assert [one.severity for one in alike] == ([severity] if severity else [])


@pytest.mark.parametrize(
    ("path", "facts", "expected"),
    [
        ("/var/www/html/uploads/a", WEB, ("program-in-web-root", "high")),
        ("/var/www/html/images/logo", {}, ("program-in-web-root", "medium")),
        ("/var/www/html/x", WEB, ("program-in-web-root", "medium")),
        ("/srv/http/x", {}, ("program-in-web-root", "low")),
        ("/usr/share/nginx/html/x", WEB, ("program-in-web-root", "medium")),
        ("/var/www/html/uploads/a.sh", {**SCRIPT, **WEB}, ("program-in-web-root", "medium")),
        ("/var/www/html/wp-content/uploads/2024/05/a.php", {**PHP, **WEB}, ("script-in-upload-directory", "medium")),
        ("/var/www/html/wp-content/uploads/2024/05/a.php", PHP, ("script-in-upload-directory", "low")),
        ("/var/www/html/uploads/index.php", {**PHP, "size": 28}, None),
        ("/var/www/html/index.php", {**PHP, **WEB, "mode": 0o755}, None),
        ("/var/www/html/wp-content/plugins/x/y.php", {**PHP, **WEB}, None),
        ("/var/www/app/node_modules/esbuild/bin/esbuild", WEB, None),
        ("/var/www/app/node_modules/x/images/y", WEB, None),
        ("/var/www/app/venv/lib/python3/site-packages/x.so", {**LIBRARY, **WEB}, None),
        ("/var/www/app/current/bin/server", WEB, None),
        ("/var/www/html/vendor/bin/wkhtmltopdf", WEB, None),
        ("/var/www/html/deploy.sh", {**SCRIPT, **WEB}, None),
        ("/usr/share/nginx/html/x", {"package": OWNED}, None),
    ],
)
def test_programs_in_web_roots(path: str, facts: Row, expected: tuple[str, str] | None) -> None:
    assert said(file(path, **facts)) == ([expected] if expected else [])


@pytest.mark.parametrize(
    ("path", "facts", "expected"),
    [
        ("/home/bob/a.jpg", {}, ("content-contradicts-name", "high")),
        ("/srv/data/report.PDF", LIBRARY, ("content-contradicts-name", "high")),
        ("/home/bob/app/tests/fixtures/elf.txt", {}, ("content-contradicts-name", "low")),
        ("/home/bob/a.png", PHP, ("content-contradicts-name", "medium")),
        ("/srv/up/cat.jpg.php", PHP, ("double-extension", "low")),
        ("/home/bob/libx.so.1", LIBRARY, None),
        ("/home/bob/a.jpg", {"mime": "image/jpeg"}, None),
        ("/home/bob/a.py", SCRIPT, None),
        ("/home/bob/backup.tar.gz.sh", SCRIPT, None),
        ("/usr/share/x/test.db", {"package": OWNED}, None),
    ],
)
def test_content_against_the_name(path: str, facts: Row, expected: tuple[str, str] | None) -> None:
    assert said(file(path, **facts)) == ([expected] if expected else [])


def node(path: str, *numbers: int, kind: str = "character_device", **facts: Any) -> Row:
    return file(path, type=kind, device=list(numbers), mime=None, sha256=None, size=0, **facts)


@pytest.mark.parametrize(
    ("row", "severity"),
    [
        (node("/var/lib/x/disk", 8, 1, kind="block_device"), "high"),
        (node("/root/m", 1, 1), "high"),
        (node("/home/bob/k", 10, 232), "medium"),
        (node("/srv/n", 1, 3), "low"),
        (node("/dev/sda", 8, 0, kind="block_device"), None),
        (node("/srv/chroot/dev/sda", 8, 0, kind="block_device"), None),
        (node("/var/spool/postfix/dev/urandom", 1, 9), None),
        (node("/srv/jail/bob/null", 1, 3), None),
        (node("/home/x/upper/etc/passwd", 0, 0), None),
        (node(f"{ELSEWHERE}/etc/x", 8, 0, kind="block_device"), None),
        (node("/var/lib/lxc/c/rootfs/dev/sda", 8, 0, kind="block_device"), None),
        (node("/usr/lib/udev/devices/loop0", 7, 0, kind="block_device"), None),
    ],
)
def test_device_nodes(row: Row, severity: str | None) -> None:
    assert said(row) == ([("device-node-outside-dev", severity)] if severity else [])


def test_a_device_without_numbers_is_still_told() -> None:
    for device in (None, [], ["8", 1], "8:1", [8]):
        row = file("/x/y", type="block_device", device=device, mime=None)
        assert said(row) == [("device-node-outside-dev", "high")]


@pytest.mark.parametrize(
    ("path", "facts", "expected"),
    [
        ("/dev/.udevdata", {}, ("regular-file-in-dev", "high")),
        ("/dev/notes", {}, ("regular-file-in-dev", "medium")),
        ("/dev/null", {}, ("regular-file-in-dev", "info")),
        ("/dev/sdb", {}, ("regular-file-in-dev", "info")),
        ("/dev/.udev/db/x", {}, None),
        ("/dev/shm/pulse-shm-1", {}, None),
        ("/dev/MAKEDEV", {}, None),
    ],
)
def test_files_among_devices(path: str, facts: Row, expected: tuple[str, str] | None) -> None:
    assert said(file(path, **TEXT, **facts)) == ([expected] if expected else [])


@pytest.mark.parametrize(
    ("path", "facts", "severity"),
    [
        ("/etc/cron.d/x", TEXT, "high"),
        ("/var/spool/cron/crontabs/root", TEXT, "high"),
        ("/root/.ssh/authorized_keys", TEXT, "high"),
        ("/etc/ld.so.preload", TEXT, "high"),
        ("/etc/systemd/system/x.service", TEXT, "high"),
        ("/root/.ssh", DIRECTORY, "high"),
        ("/usr/local/bin/x", {"package": UNOWNED}, "high"),
        ("/usr/bin/x", {"package": OWNED}, "medium"),
        ("/tmp/note", TEXT, "medium"),
        ("/tmp", DIRECTORY, "medium"),
        ("/etc/passwd", TEXT, "low"),
        ("/etc/resolv.conf", TEXT, "low"),
        ("/var/www/html/.user.ini", TEXT, "low"),
        ("/srv/data/x", TEXT, "low"),
        ("/aquota.user", TEXT, None),
        ("/ostree/deploy/fedora/deploy/ab.0", DIRECTORY, None),
        ("/mnt/backup", DIRECTORY, None),
        ("/var/empty", DIRECTORY, None),
        (f"{ELSEWHERE}/etc/cron.d/x", TEXT, None),
    ],
)
def test_immutable_files(path: str, facts: Row, severity: str | None) -> None:
    assert only(path, "immutable-file", **facts, attributes=["immutable"]) == severity
    assert only(path, "immutable-file", **facts, attributes=["no_dump", "compressed"]) is None


def test_what_only_grows_weighs_less() -> None:
    row = file("/root/.bash_history", **TEXT, attributes=["append_only"])
    assert said(row) == [("immutable-file", "low")]
    assert said(file("/var/spool/cron/root", **TEXT, attributes=["append_only"])) == [("immutable-file", "medium")]
    assert (
        said(file("/x", **TEXT, attributes={"immutable": 1})) == said(file("/x", **TEXT, attributes="immutable")) == []
    )


@pytest.mark.parametrize(
    ("name", "facts", "severity"),
    [
        ("...", DIRECTORY, "high"),
        (".. ", DIRECTORY, "high"),
        ("   ", DIRECTORY, "high"),
        (". .", TEXT, "medium"),
        ("\u00a0", DIRECTORY, "high"),
        ("..", TEXT, "high"),
        ("fdp.\u202eelif", TEXT, "medium"),
        ("a\x1b[2Jb", TEXT, "medium"),
        ("a\nb", TEXT, "low"),
        ("sshd ", {}, "medium"),
        ("ss\u04bbd", {}, "medium"),
        ("s\u0455hd", {}, "medium"),
        ("ssh\u200bd", {}, "medium"),
        ("note ", TEXT, None),
        ("Icon\r", TEXT, None),
        (".bashrc", TEXT, None),
        ("Résumé.pdf", TEXT, None),
        ("отчёт.txt", TEXT, None),
        ("отчёт.sh", SCRIPT, None),
        ("μtorrent", {}, None),
        ("スクリプト", {}, None),
        ("\u200f\u05e9\u05dc\u05d5\u05dd.txt", TEXT, None),
        ("..data", DIRECTORY, None),
        ("..2024_05_01_10_00_00.123", DIRECTORY, None),
    ],
)
def test_names_that_hide(name: str, facts: Row, severity: str | None) -> None:
    assert only(f"/srv/{name}", "name-that-hides", **facts) == severity
    if severity:
        assert only(f"/srv/{name}", "name-that-hides", **facts, package=OWNED) is None


def test_a_name_given_twice_in_one_directory() -> None:
    rows = [file("/srv/a", **TEXT), file("/srv/b", **TEXT), file("/srv/a", **TEXT)]
    assert said(*rows) == [("name-given-twice", "medium")]
    apart = [file("/srv/a", **TEXT), file("/srv/a", **TEXT, allocated=False), file("/srv/a", **TEXT, volume=1)]
    assert said(*apart, file("/srv/a", **TEXT, tree=257)) == []


def test_an_owner_without_an_account_is_told_once_for_a_place() -> None:
    rows = [file(f"/etc/app/{number}", **TEXT, uid=1234) for number in range(50)]
    [found] = judged(*rows)
    assert (found.rule, found.severity, found.count) == ("owner-without-account", "low", 50)
    assert found.statement.startswith(
        "50 files and directories at and below /etc/app belong to user number 1234, which no"
    )
    [home] = judged(file("/home/eve", **DIRECTORY, uid=1234), file("/home/eve/.profile", **TEXT, uid=1234))
    assert (home.severity, home.count, home.path) == ("low", 2, "/home/eve")
    assert "the account was removed, or is kept elsewhere" in home.statement
    assert said(file("/etc/cron.daily/x", **SCRIPT, uid=1234)) == [("owner-without-account", "medium")]
    assert said(file("/usr/local/lib/node/README", **TEXT, uid=1234)) == [("owner-without-account", "info")]


@pytest.mark.parametrize("uid", [0, 33, 1000, 65534, 62000, 100_000, 165_536, 1_847_200_001, 4_294_967_294, None, "7"])
def test_numbers_that_need_no_account(uid: Any) -> None:
    assert said(file("/etc/app/x", **TEXT, uid=uid)) == []


def test_without_accounts_nothing_is_said_of_owners() -> None:
    assert judged(file("/etc/app/x", **TEXT, uid=1234), surroundings=Surroundings()) == []
    assert judged(file(f"{ELSEWHERE}/etc/app/x", **TEXT, uid=1234)) == []


def test_surroundings_come_from_the_accounts() -> None:
    users: list[Row] = [
        {"user": "root", "uid": 0},
        {"user": "nginx", "uid": 990},
        {"user": "x", "uid": "7"},
        {"unparsed": True},
    ]
    assert read_surroundings(users) == Surroundings(frozenset({0, 990}), frozenset({990}))
    assert read_surroundings([]) == Surroundings()


def test_a_birth_after_the_last_change_is_impossible() -> None:
    times = {"crtime": "2024-06-01T00:00:00.000000000Z"}
    plain = [file(f"/srv/{number}", **TEXT) for number in range(100)]
    assert said(*plain, file("/opt/x", **times)) == [("times-contradict", "medium")]
    assert said(*plain, file("/opt/x", **TEXT, **times)) == [("times-contradict", "low")]
    [found] = judged(*(file(f"/srv/{number}", **TEXT, **times) for number in range(100)))
    assert (found.severity, found.count) == ("info", 100)


def test_a_time_in_the_future_of_its_own_inode() -> None:
    plain = [file(f"/srv/{number}", **TEXT) for number in range(100)]
    assert said(*plain, file("/srv/x", **TEXT, mtime="2031-01-01T00:00:00.000000000Z")) == [("times-contradict", "low")]
    assert said(*plain, file("/srv/x", **TEXT, mtime="2024-05-02T11:00:00.000000000Z")) == []
    assert said(*plain, file("/srv/x", **TEXT, mtime="9999", ctime="0001", crtime=[])) == []


def test_an_inode_that_changed_long_after_all_others() -> None:
    plain = [file(f"/srv/{number}", **TEXT) for number in range(100)]
    late = "2033-01-01T00:00:00.000000000Z"
    [found] = judged(file("/srv/x", **TEXT, ctime=late, mtime=late, crtime=late), *plain)
    assert (found.rule, found.severity, found.path) == ("times-contradict", "low", "/srv/x")
    assert "the last day that several inodes have seen (2024-05-02 23:59:59 UTC)" in found.statement
    assert said(file("/srv/x", **TEXT, ctime="2025-04-01T00:00:00.000000000Z"), *plain) == []
    assert said(file("/srv/x", **TEXT, ctime=late)) == []
    quiet = [file(f"/home/{number}", **TEXT, volume=1, ctime=f"2025-08-1{number}T00:00:00.5Z") for number in range(3)]
    assert said(*plain, *quiet) == []


def test_nothing_of_files_that_are_gone_but_their_content() -> None:
    gone: Row = {"allocated": False}
    assert said(file("/etc/cron.d/x", **gone, attributes=["immutable"]), file("/usr/bin/ps", **gone, uid=1234)) == []
    [found] = judged(file("/tmp/x", **gone, yara=["xmrig_elf"], recovery={"tier": "partial"}))
    assert found.statement.startswith("The deleted file /tmp/x: The XMRig miner (YARA rule xmrig_elf)")
    assert "its content was recovered: partial" in found.statement


def test_a_deleted_program_that_still_ran() -> None:
    row = file("/$OrphanFiles/OrphanFile-77", nlink=0, orphan=True, uid=1234, attributes=["immutable"])
    assert said(row) == [("deleted-program-in-use", "medium")]
    assert said({**row, **TEXT}, {**row, "allocated": False}, {**row, "nlink": 1}) == []
    assert said({**row, "nlink": 1, "yara": ["xmrig_elf"]}) == [("xmrig_elf", "critical")]


def test_carved_pieces_that_yara_knows_are_told_with_their_place() -> None:
    piece: Row = {
        "offset": 4_194_304,
        "length": 900,
        "kind": "elf",
        "sha256": "cd" * 32,
        "yara": ["packed", "xmrig_elf"],
    }
    belongs = [{"path": "/tmp/x", "inode": 9, "reason": "same size"}]
    [found] = judged(carved=[{**piece, "may_belong_to": belongs, "volume": 1}, {"offset": 1, "kind": "script"}])
    assert (found.rule, found.severity, found.volume, found.path) == ("xmrig_elf", "critical", 1, None)
    assert found.statement.startswith(
        "Unallocated space, at byte 4,194,304 of the source, 900 bytes (elf): The XMRig miner"
    )
    assert "it may have been the deleted /tmp/x (same size)" in found.statement
    assert found.details["offset"] == 4_194_304
    [many] = judged(carved=[{**piece, "offset": number} for number in range(5000)])
    assert many.count == 5000


def test_places_inside_of_containers() -> None:
    for root in (
        "/var/lib/docker/overlay2/ab12/diff",
        "/data/docker/overlay2/ab12/diff",
        "/home/bob/.local/share/containers/storage/overlay/ab12/diff",
        "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/7/fs",
        "/var/lib/rancher/k3s/agent/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/7/fs",
        "/var/lib/lxc/web/rootfs",
        "/var/snap/lxd/common/lxd/storage-pools/default/containers/web/rootfs",
        "/var/lib/machines/web",
    ):
        assert places.inside_container(f"{root}/tmp/x") == ("/tmp/x", True)
    for path in (
        "/tmp/docker/overlay2/ab12/diff/usr/x",
        "/dev/shm/lxc/a/rootfs/x",
        "/var/lib/docker/volumes/a/_data/x",
    ):
        assert places.inside_container(path) == (path, False)


def test_a_file_keeps_all_its_flags_when_more_is_told_at_the_end() -> None:
    graph = FileGraph()
    row = file("/usr/bin/kswapd0", package=UNOWNED, mode=0o4755)
    owned = [file(f"/usr/bin/{number}", package=OWNED) for number in range(9)]
    list(graph.watch(file_findings([*owned, row], YARA, HOST)))
    assert graph.nodes["/usr/bin/kswapd0"].flags == ("name-of-kernel-thread", "setuid-file-unowned")


def test_an_altered_tool_that_everything_uses_makes_no_cron_job_suspicious() -> None:
    graph = FileGraph()
    rows = [file("/usr/bin/ps", package=ALTERED), file("/usr/bin/python3", package=OWNED, capabilities="cap_setuid=ep")]
    found = [one for one in graph.watch(file_findings(rows, YARA, HOST)) if isinstance(one, Finding)]
    assert {one.severity for one in found} == {"critical"}
    assert graph.nodes == {}


def test_two_things_about_one_file_are_one_finding_that_says_both() -> None:
    rows = [file(f"/usr/sbin/{name}", package=UNOWNED, uid=1234) for name in ("cronds", "sshdd")]
    found = judged(*(file(f"/usr/bin/{number}", package=OWNED) for number in range(9)), *rows)
    assert [(one.rule, one.details["also"]) for one in found] == [
        (DAEMON, ["unowned-program-in-system-directory", "owner-without-account"])
    ] * 2


def test_a_plain_medium_finding_does_not_make_a_cron_job_suspicious() -> None:
    graph = FileGraph()
    rows = [file("/usr/bin/report", package=UNOWNED), *(file(f"/usr/bin/{n}", package=OWNED) for n in range(9))]
    found = [one for one in graph.watch(file_findings(rows, YARA, HOST)) if isinstance(one, Finding)]
    assert [one.severity for one in found] == ["medium"]
    assert graph.nodes == {}


def test_a_flood_of_one_kind_ends_in_groups_and_a_problem() -> None:
    rows = (file(f"/etc/d{number % 3000}/{number}", **TEXT, uid=2000 + number % 7) for number in range(30_000))
    said_of = outcomes(rows)
    assert len([one for one in said_of if isinstance(one, Finding)]) == FINDINGS_LIMIT
    [problem] = [one for one in said_of if isinstance(one, Problem)]
    assert "further matches" in problem.reason


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=5,
)
KEYS = [
    "volume",
    "tree",
    "path",
    "volume_path",
    "type",
    "mode",
    "uid",
    "gid",
    "size",
    "mtime",
    "ctime",
    "crtime",
    "inode",
    "nlink",
    "allocated",
    "state",
    "sha256",
    "mime",
    "family",
    "yara",
    "matches",
    "references",
    "indicators",
    "attributes",
    "device",
    "capabilities",
    "known",
    "mismatch",
    "package",
    "elf",
    "recovery",
    "orphan",
]


INNER = [
    *(
        "verdict",
        "name",
        "version",
        "manager",
        "by",
        "differs",
        "good",
        "bad",
        "tier",
        "reason",
        "extension",
        "expected",
    ),
    *("packer", "linkage", "stripped", "go", "build_id", "type", "interpreter", "rpath", "runpath", "module", "signed"),
    *("suspicious_imports", "vermagic", "loads_as", "group", "symbols", "confidence", "is_altered"),
]
NESTED = st.dictionaries(
    st.sampled_from(INNER), st.one_of(VALUES, st.lists(st.dictionaries(st.sampled_from(INNER), VALUES)))
)
ROWS = st.builds(
    lambda row, nested: {**row, **nested},
    st.dictionaries(st.sampled_from(KEYS), VALUES),
    st.dictionaries(st.sampled_from(["package", "elf", "known", "recovery", "mismatch"]), NESTED),
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(ROWS, st.lists(ROWS, max_size=1))
def test_no_row_stops_the_rules(row: Row, others: list[Row]) -> None:
    rows = [{**file("/usr/bin/sshdd"), **row}, {**file("/tmp/.x/a.jpg", mode=0o6755), **row}, row, *others]
    altered = {**ALTERED, **(row["package"] if isinstance(row.get("package"), dict) else {})}
    rows += [file("/usr/sbin/sshd", package=altered, elf=row.get("elf"))]
    for one in outcomes(rows, missing=others, carved=others):
        assert isinstance(one, Finding | Problem)
