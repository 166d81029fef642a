"""The collection stage on small disks: volumes, links, odd files, files that name files, workers that die."""

import gzip
import hashlib
from pathlib import Path

import pytest
from collection_runs import Collected, Files, artifacts, collected, disk, ext4
from inventory_samples import entry

from volforensic.collection import stage
from volforensic.collection.definitions import Artifact, ArtifactSource
from volforensic.collection.stage import in_order
from volforensic.evidence.node import Extent

LINE = b"2025-11-16T10:00:00.%06d+00:00 web sshd[%d]: Accepted password for alice from 203.0.113.9 port 50 ssh2\n"
ROOT: Files = {
    "/etc/passwd": b"root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/bash\n",
    "/usr/": b"",
    "/bin/": b"",
}


def log(count: int, first: int = 0) -> bytes:
    return b"".join(LINE % (number, number) for number in range(first, first + count))


def run(folder: Path, files: Files, *names: str) -> Collected:
    return collected(ext4(folder / "disk.raw", {**ROOT, **files}), folder, artifacts(*names))


def test_records_come_once_each_in_order_with_their_provenance(tmp_path: Path) -> None:
    result = run(
        tmp_path, {"/var/log/auth.log": log(2500), "/var/log/auth.log.1.gz": gzip.compress(log(100, 5000))}, "auth_log"
    )
    records = result.records["auth_log"]
    assert [record["record_id"] for record in records] == [f"auth_log:{number}" for number in range(1, 2601)]
    assert [record["pid"] for record in records] == [*range(2500), *range(5000, 5100)]
    assert result.sources("auth_log") == ["/var/log/auth.log", "/var/log/auth.log.1.gz"]
    assert result.stored[b"/var/log/auth.log"] == hashlib.sha256(log(2500)).hexdigest()
    assert result.coverage["auth_log", 0].status == "complete"
    assert (result.coverage["auth_log", 0].files, result.coverage["auth_log", 0].records) == (2, 2600)
    assert result.problems == []


VICTIMS: Files = {f"/var/log/auth.log.{number}": log(5000, number * 5000) for number in (1, 2, 3)}


def test_a_worker_that_dies_once_costs_nothing_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "PARSE_FILES", "parsing_workers:dies_in_company")
    result = run(tmp_path, VICTIMS, "auth_log")
    records = result.records["auth_log"]
    assert [record["pid"] for record in records] == list(range(5000, 20000))
    assert len({record["record_id"] for record in records}) == 15000
    for path, data in VICTIMS.items():
        assert isinstance(data, bytes)
        assert result.stored[path.encode()] == hashlib.sha256(data).hexdigest()
    assert all(end.is_whole for end in result.ends)
    assert result.problems == []


def test_a_file_that_always_kills_its_worker_keeps_what_came_and_costs_itself_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "PARSE_FILES", "parsing_workers:dies_always")
    result = run(tmp_path, VICTIMS, "auth_log")
    pids = [record["pid"] for record in result.records["auth_log"]]
    assert pids == [*range(5000, 10000), *range(10000, 14000), *range(15000, 20000)]
    assert [end.is_whole for end in result.ends] == [True, False, True]
    (problem,) = result.problems
    assert (problem.source, "SIGSEGV" in problem.reason) == ("/var/log/auth.log.2", True)
    assert result.coverage["auth_log", 0].status == "partial"


def test_what_is_no_file_is_a_record(tmp_path: Path) -> None:
    files: Files = {
        "/root/.bash_history": "/dev/null",
        "/home/alice/.bash_history": "/nowhere",
        "/home/alice/.zsh_history": ".zsh_history",
        "/home/alice/.python_history/": b"",
        "/srv/x/.bash_history": "../../etc/motd",
        "/srv/y/.bash_history": "/etc",
        "/srv/z/.bash_history.d": "/etc",
        "/etc/motd": b"id\n",
    }
    result = run(tmp_path, files, "shell_history")
    found = {
        (record["source"], record.get("file_type"), record.get("link_target"))
        for record in result.records["shell_history"]
    }
    assert found == {
        ("/root/.bash_history", "symlink", "/dev/null"),
        ("/home/alice/.bash_history", "symlink", "/nowhere"),
        ("/home/alice/.zsh_history", "symlink", ".zsh_history"),
        ("/home/alice/.python_history", "directory", None),
        ("/srv/y/.bash_history", "symlink", "/etc"),
        ("/etc/motd", None, None),
    }
    assert [problem.lost for problem in result.problems] == [True, False]  # what /nowhere held; the circle held nothing


def test_a_file_reached_by_two_paths_is_read_once(tmp_path: Path) -> None:
    files: Files = {"/var/log": "/data/log", "/data/log/auth.log": log(3), "/data/log/auth.log.1": "auth.log"}
    result = run(tmp_path, files, "auth_log")
    assert len(result.records["auth_log"]) == 3
    assert result.sources("auth_log") == ["/data/log/auth.log"]


def test_settings_that_name_files_are_followed_and_loops_end(tmp_path: Path) -> None:
    files: Files = {
        "/etc/ssh/sshd_config": b"Include /etc/ssh/a\nInclude sshd_config\nAuthorizedKeysFile /etc/keys/%u\n",
        "/etc/ssh/a": b"Include /etc/ssh/b\n",
        "/etc/ssh/b": b"Include /etc/ssh/a\nInclude /etc/ssh/*\nPort 2222\n",
        "/etc/keys/alice": b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f a\n",
        "/etc/sudoers": b"@include /opt/more\n",
        "/opt/more": b"@include /etc/sudoers\n@includedir /opt/d\n",
        "/opt/d/z": b"alice ALL=(ALL) ALL\n",
    }
    result = run(tmp_path, files, "sshd_config", "authorized_keys", "sudoers")
    assert result.sources("sshd_config") == ["/etc/ssh/sshd_config", "/etc/ssh/a", "/etc/ssh/b"]
    assert [(record["source"], record["user"]) for record in result.records["authorized_keys"]] == [
        ("/etc/keys/alice", "alice")
    ]
    assert result.sources("sudoers") == ["/etc/sudoers", "/opt/more", "/opt/d/z"]
    assert result.problems == []


def test_a_separate_var_and_what_it_hides(tmp_path: Path) -> None:
    fstab = b"LABEL=vary /var ext4 defaults 0 2\n"
    root = ext4(
        tmp_path / "root", {**ROOT, "/etc/fstab": fstab, "/var/log/auth.log": log(2), "/var/log/secure": log(1)}
    )
    var = ext4(
        tmp_path / "var", {"/log/auth.log": log(5, 100), "/spool/cron/crontabs/root": b"@daily x\n"}, label="vary"
    )
    result = collected(disk(tmp_path / "disk.raw", [root, var]), tmp_path, artifacts("auth_log", "cron"))
    found = [(record["volume"], record["source"], record["pid"]) for record in result.records["auth_log"]]
    assert found == [
        *((2, "/var/log/auth.log", pid) for pid in range(100, 105)),
        *((1, "/var/log/auth.log", pid) for pid in range(2)),
        (1, "/var/log/secure", 0),
    ]
    assert [record["command"] for record in result.records["cron"]] == ["x"]
    assert result.coverage["auth_log", 1].status == result.coverage["auth_log", 2].status == "complete"
    assert len(result.hosts) == 1


def test_volumes_that_no_fstab_mounts_are_read_where_they_belong(tmp_path: Path) -> None:
    zone = {"/etc/localtime": "/usr/share/zoneinfo/Asia/Kolkata"}
    root = ext4(tmp_path / "root", {**ROOT, **zone})
    home = ext4(tmp_path / "home", {"/alice/.bash_history": b"id\n", "/gone/.bash_history": b"ls\n"})
    var = ext4(tmp_path / "var", {"/log/auth.log": b"Nov 16 10:00:00 web sshd[1]: x\n", "/lib/": b"", "/spool/": b""})
    result = collected(disk(tmp_path / "disk.raw", [root, home, var]), tmp_path, artifacts("auth_log", "shell_history"))
    history = {(record["source"], record["user"]) for record in result.records["shell_history"]}
    assert history == {("/home/alice/.bash_history", "alice"), ("/home/gone/.bash_history", "gone")}
    (record,) = result.records["auth_log"]
    assert (record["source"], record["timestamp"][4:]) == ("/var/log/auth.log", "-11-16T04:30:00.000000Z")
    assert [problem.lost for problem in result.problems] == [False, False]


def test_an_fstab_that_puts_a_var_elsewhere_hides_nothing(tmp_path: Path) -> None:
    root = ext4(tmp_path / "root", {**ROOT, "/etc/fstab": b"LABEL=vary /opt/junk ext4 defaults 0 2\n"})
    var = ext4(tmp_path / "var", {"/log/auth.log": log(2), "/lib/": b"", "/cache/": b""}, label="vary")
    result = collected(disk(tmp_path / "disk.raw", [root, var]), tmp_path, artifacts("auth_log"))
    assert len(result.records["auth_log"]) == 2


def test_two_hosts_on_one_disk(tmp_path: Path) -> None:
    def system(name: str, zone: str) -> Path:
        files: Files = {
            "/etc/hostname": name.encode(),
            "/etc/localtime": f"/usr/share/zoneinfo/{zone}",
            "/var/log/auth.log": b"Nov 16 10:00:00 web sshd[1]: x\n",
        }
        return ext4(tmp_path / name, {**ROOT, **files})

    image = disk(tmp_path / "disk.raw", [system("one", "America/New_York"), system("two", "Europe/Berlin")])
    result = collected(image, tmp_path, artifacts("auth_log"))
    assert [host.facts.hostname for host in result.hosts] == ["one", "two"]
    hours = [(record["volume"], record["timestamp"][11:13]) for record in result.records["auth_log"]]
    assert hours == [(1, "15"), (2, "09")]


def test_a_mount_that_is_not_in_the_evidence_is_told(tmp_path: Path) -> None:
    result = run(tmp_path, {"/etc/fstab": b"UUID=gone /data xfs defaults 0 0\n"}, "cron")
    (problem,) = result.problems
    assert "/data" in problem.reason
    assert problem.lost


def test_absent_is_said_only_where_the_inventory_is_whole(tmp_path: Path) -> None:
    image = ext4(tmp_path / "disk.raw", ROOT)
    chosen = artifacts("cron", "users")
    assert collected(image, tmp_path, chosen).coverage["cron", 0].status == "absent"
    (tmp_path / "again").mkdir()
    doubted = collected(image, tmp_path / "again", chosen, doubtful=frozenset({0}))
    assert [doubted.coverage[name, 0].status for name in ("cron", "users")] == ["partial", "partial"]


def test_two_runs_are_equal(tmp_path: Path) -> None:
    files: Files = {f"/home/u{number}/.bash_history": b"ls\n" * number for number in range(1, 60)}
    image = ext4(tmp_path / "disk.raw", {**ROOT, **files, **VICTIMS})
    results = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        results.append(collected(image, tmp_path / name, artifacts("shell_history", "auth_log", "users")))
    assert results[0].records == results[1].records
    assert results[0].coverage == results[1].coverage


def test_artifacts_come_after_those_that_they_follow() -> None:
    def artifact(name: str, follow: str | None) -> Artifact:
        return Artifact(name=name, doc="", fields={}, sources=[ArtifactSource(follow=follow)])

    chosen = [artifact("a", "c.x"), artifact("b", "b.x"), artifact("c", "d.x"), artifact("d", "a.x")]
    assert [found.name for found in in_order(chosen)] == ["d", "c", "a", "b"]


def test_the_size_of_a_sparse_file_is_what_is_there() -> None:
    sparse = entry(b"/x", size=1 << 60, extents=(Extent(0, 4096, 10), Extent(1 << 50, 8192, 5)))
    assert stage.stored_size(sparse) == 15
    assert stage.stored_size(entry(b"/x", size=77, extents=None)) == 77
