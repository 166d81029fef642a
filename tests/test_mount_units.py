"""Mount units of systemd and crypttab: what they say, which count, and a host that is joined by them."""

import shutil
import subprocess
from pathlib import Path

import pytest
from collection_runs import artifacts, collected, disk, ext4
from inventory_samples import inventory_of

from volforensic.collection.mount_units import all_mounts, find_units
from volforensic.collection.namespace import Namespace, Tree
from volforensic.collection.parsers.identity import FstabEntry
from volforensic.collection.parsers.mount_units import crypttab, mount_unit, unit_path

UNIT = b"[Unit]\nDescription=x\n[Mount]\nWhat=/dev/vg/lv\nWhere=/srv/my-data\nType=xfs\nOptions=noatime\n"
NAME = b"srv-my\\x2ddata.mount"


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (b"srv.mount", b"/srv"), (NAME, b"/srv/my-data"), (b"var-lib-a\\x20b.mount", b"/var/lib/a b"),
        (b"-.mount", b"/"), (b"home.automount", b"/home"), (b"\\xe4.mount", b"/\xe4"),
    ],
)  # fmt: skip
def test_the_place_that_a_name_stands_for(name: bytes, path: bytes) -> None:
    assert unit_path(name) == path


@pytest.mark.skipif(shutil.which("systemd-escape") is None, reason="systemd-escape is not installed")
@pytest.mark.parametrize("path", ["/srv/my-data", "/a b/c_d.e", "/.hidden", "/ö/x:y", "/"])
def test_systemd_escapes_the_same(path: str) -> None:
    command = ["systemd-escape", "--path", "--suffix=mount", path]
    name = subprocess.run(command, check=True, capture_output=True).stdout.rstrip(b"\n")
    assert unit_path(name) == path.encode()


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([UNIT], FstabEntry(b"/dev/vg/lv", b"/srv/my-data", "xfs", "noatime")),
        ([UNIT, b"[Mount]\nOptions=\nWhat=UUID=1\n"], FstabEntry(b"UUID=1", b"/srv/my-data", "xfs", "defaults")),
        ([b"[Mount]\nWhat=LABEL=a%%b\n"], FstabEntry(b"LABEL=a%b", b"/srv/my-data", "auto", "defaults")),
        ([b"[Mount]\r\nWhat = /dev/a\\\n# no\n b\r\n"], FstabEntry(b"/dev/a  b", b"/srv/my-data", "auto", "defaults")),
        ([b"[Mount]\nWhere=/srv/my-data\n"], None),
        ([b"[Unit]\nWhat=/dev/a\n"], None),
        ([b"[Mount]\nWhat=/dev/a\nWhere=/other\n"], None),
        ([b""], None),
        ([b"\0\xff[Mount]\n=\n[[\nWhat" * 50], None),
    ],
)
def test_what_a_unit_says(files: list[bytes], expected: FstabEntry | None) -> None:
    assert mount_unit(NAME, files) == expected


def test_crypttab() -> None:
    data = b"# c\nroot UUID=1 none luks\nroot UUID=2\n\\040x /dev/sda3\nshort\n\xff\n" + b"a b\n" * 20_000
    assert crypttab(data) == {b"root": b"UUID=1", b" x": b"/dev/sda3", b"a": b"b"}
    assert len(crypttab(b"".join(b"n%d UUID=x\n" % one for one in range(5000)))) == 1000


def test_which_units_count(tmp_path: Path) -> None:
    inventory = inventory_of(
        tmp_path,
        [
            "/etc/systemd/system/srv.mount",
            "/etc/systemd/system/local-fs.target.wants/srv.mount -> /etc/systemd/system/srv.mount",
            "/etc/systemd/system/tmp.mount -> /dev/null",
            "/etc/systemd/system/data.mount.d/b.conf",
            "/etc/systemd/system/data.mount.d/a.conf",
            "/etc/systemd/system/data.mount.d/notes.txt",
            "/etc/systemd/system/multi-user.target.wants/home.automount -> /usr/lib/systemd/system/home.automount",
            "/usr/lib/systemd/system/srv.mount",
            "/usr/lib/systemd/system/tmp.mount",
            "/usr/lib/systemd/system/data.mount",
            "/usr/lib/systemd/system/home.mount",
            "/usr/lib/systemd/system/x@.mount",
            "/usr/lib/systemd/system/ssh.service",
            "/lib -> usr/lib",
        ],
    )
    found = list(find_units(Namespace(inventory, (Tree(1, b"", b""),))))
    assert [(unit.path, unit.is_enabled, unit.is_above_fstab) for unit in found] == [
        (b"/etc/systemd/system/srv.mount", True, True),
        (b"/usr/lib/systemd/system/data.mount", False, False),
        (b"/usr/lib/systemd/system/home.mount", True, False),
    ]
    assert [entry.name for entry in found[1].files] == [b"data.mount", b"a.conf", b"b.conf"]
    lines = [FstabEntry(b"UUID=f", b"/srv/", "xfs", "x"), FstabEntry(b"UUID=g", b"/home", "xfs", "x")]
    units = [(unit, FstabEntry(b"UUID=u", unit_path(unit.name), "xfs", "x")) for unit in found]
    chosen = [(mount.device, mount.mount_point, mount.is_enabled) for mount in all_mounts(lines, units)]
    assert chosen == [(b"UUID=g", b"/home", True), (b"UUID=u", b"/srv", True), (b"UUID=u", b"/data", False)]


def test_a_host_is_joined_by_its_units_and_read_through_its_binds(tmp_path: Path) -> None:
    root = ext4(
        tmp_path / "root",
        {
            "/etc/hostname": b"web\n",
            "/etc/os-release": "../usr/lib/os-release",
            "/etc/fstab": b"LABEL=usr /usr ext4 ro\n/data/cron /etc/cron.d none bind\nUUID=elsewhere /gone ext4 x\n",
            "/etc/systemd/system/data.mount": b"[Mount]\nWhat=/dev/disk/by-label/data\nWhere=/data\n",
            "/etc/systemd/system/local-fs.target.wants/data.mount": "../data.mount",
            "/usr/": b"",
            "/var/": b"",
        },
        label="system",
    )
    usr = ext4(tmp_path / "usr", {"/lib/os-release": b'PRETTY_NAME="Split 1"\n', "/bin/": b""}, label="usr")
    data = ext4(tmp_path / "data", {"/cron/job": b"* * * * * root x\n"}, label="data")
    result = collected(disk(tmp_path / "disk.raw", [root, usr, data]), tmp_path, artifacts("cron"))
    host = result.hosts[0]
    assert [(tree.volume, tree.mount_point) for tree in host.trees] == [(1, b""), (2, b"/usr"), (3, b"/data")]
    assert (host.facts.hostname, host.facts.os) == ("web", "Split 1")
    assert result.sources("cron") == ["/data/cron/job"]
    assert [problem.reason for problem in result.problems if problem.lost] == [
        "fstab mounts /gone from UUID=elsewhere, which is not in this evidence"
    ]
    assert len(result.hosts) == 1


def test_two_systems_share_a_home(tmp_path: Path) -> None:
    files = {"/etc/fstab": b"LABEL=home /home ext4 x\n", "/usr/": b"", "/var/": b"", "/home/": b""}
    first = ext4(tmp_path / "one", {**files, "/etc/hostname": b"one\n"})
    second = ext4(tmp_path / "two", {**files, "/etc/hostname": b"two\n"})
    home = ext4(tmp_path / "home", {"/alice/x": b""}, label="home")
    result = collected(disk(tmp_path / "disk.raw", [first, second, home]), tmp_path, artifacts("cron"))
    trees = {host.facts.hostname: [tree.volume for tree in host.trees] for host in result.hosts}
    assert trees == {"one": [1, 3], "two": [2]}
    assert [problem.volume for problem in result.problems if "shown with another host" in problem.reason] == [2]
