"""Containers are hosts of their own: their stores, layers, records, coverage; what is damaged is said."""

import json
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from bolt_files import PAGE, bolt
from collection_runs import Collected, Files, artifacts, collected, ext4
from command_line import json_lines, triage
from engine_samples import (
    IMAGE,
    METADATA,
    SERVER,
    SNAPSHOTS,
    below,
    containerd,
    databases,
    docker,
    identity,
    podman,
    unpacked,
)
from layer_trees import debugfs

from volforensic.collection.host import Host
from volforensic.collection.parsers import container_stores
from volforensic.collection.parsers.bolt import Bolt, BoltError
from volforensic.collection.parsers.containerd import read_containers

ONE, TWO = identity(0xABC), identity(0xDEF)
MINER = "*/5 * * * * root /tmp/.x/xmrig -o stratum+tcp://pool.example:3333\n"
UPPER: Files = {"etc/cron.d/job": MINER.encode(), "home/web/.bash_history": b"wget\n"}
CHOSEN = ("cron", "shell_history", "users")


def run(folder: Path, files: Files, commands: list[str] | None = None) -> Collected:
    image = ext4(folder / "disk.raw", {**SERVER, **files})
    debugfs(image, commands or [])
    return collected(image, folder, artifacts(*CHOSEN))


def contained(found: Collected) -> list[Host]:
    return [host for host in found.hosts if host.container is not None]


def facts_of(found: Collected) -> list[tuple[str, str, str, int]]:
    return [
        (host.container.facts.engine, host.container.facts.name, host.container.facts.image, len(host.trees))
        for host in contained(found)
        if host.container is not None
    ]


def reasons(found: Collected) -> list[str]:
    return [problem.reason for problem in found.problems]


def prefix(label: str) -> str:
    return f"//container/{label}"


def test_docker_overlay2(tmp_path: Path) -> None:
    layer = f"/var/lib/docker/overlay2/{ONE[:8]}mount/diff"
    found = run(tmp_path, docker(ONE, UPPER), [f"cd {layer}/etc/cron.d", "mknod old c 0 0"])
    (host,) = contained(found)
    assert facts_of(found) == [("docker", "web", "tiny:1", 2)]
    assert (host.facts.os, host.facts.hostname) == ("Tiny 1", "inside")
    assert host.container is not None
    assert host.container.facts.state == "running"
    root = prefix(ONE[:12])
    assert found.sources("cron") == [f"{root}/etc/cron.d/job", f"{root}/etc/crontab"]
    assert found.sources("shell_history") == [
        "/var/lib/docker/overlay2/image0/diff/home/web/.bash_history",  # hidden in the container, told of the host
        f"{root}/home/web/.bash_history",
    ]
    assert found.sources("users") == ["/etc/passwd", f"{root}/etc/passwd"]
    assert [record["user"] for record in found.records["shell_history"]][1:] == ["web"]
    assert found.coverage["cron", 0].status == "absent"
    assert found.contained["cron", ONE[:12]].status == "complete"
    assert not found.problems


def test_containers_of_one_image_are_each_told(tmp_path: Path) -> None:
    found = run(tmp_path, {**docker(ONE, UPPER), **docker(TWO, {})})
    roots = [prefix(one[:12]) for one in sorted((ONE, TWO))]
    assert [source for source in found.sources("users") if source.startswith("//")] == [
        f"{root}/etc/passwd" for root in roots
    ]
    assert {source for source in found.sources("cron") if source.endswith("old")} == {
        f"{root}/etc/cron.d/old" for root in roots
    }
    assert [len(host.trees) for host in contained(found)] == [2, 2]


@pytest.mark.parametrize(
    ("settings", "root"),
    [
        ({"etc/docker/daemon.json": b'{"data-root": "/srv/docker"}'}, "srv/docker"),
        ({"etc/docker/daemon.json": b'{"graph": "/srv/old"}'}, "srv/old"),
        ({}, "home/bob/.local/share/docker"),
        ({}, "var/snap/docker/common/var-lib-docker"),
    ],
)
def test_docker_elsewhere(tmp_path: Path, settings: Files, root: str) -> None:
    found = run(tmp_path, {**settings, **docker(ONE, UPPER, root=root)})
    assert facts_of(found) == [("docker", "web", "tiny:1", 2)]


@pytest.mark.parametrize("driver", ["overlay", "vfs", "aufs", "fuse-overlayfs"])
def test_other_drivers(tmp_path: Path, driver: str) -> None:
    files = docker(ONE, {}, (), driver=driver)
    layer, home = f"{ONE[:8]}mount", f"var/lib/docker/{driver}"
    files = {name: data for name, data in files.items() if not name.startswith(home)}
    marked = {**UPPER, "etc/cron.d/.wh.old": b""}
    match driver:
        case "overlay":
            files |= {f"{home}/{layer}/lower-id": b"base", **below(f"{home}/{layer}/upper", UPPER)}
            files |= below(f"{home}/base/root", IMAGE)
        case "vfs":
            files |= below(f"{home}/dir/{layer}", {**IMAGE, **UPPER})
        case "aufs":
            files |= {f"{home}/layers/{layer}": b"base\n", **below(f"{home}/diff/{layer}", marked)}
            files |= below(f"{home}/diff/base", IMAGE)
        case _:
            files |= {f"{home}/{layer}/lower": b"l/B", f"{home}/l/B": "../base/diff"}
            files |= below(f"{home}/{layer}/diff", marked) | below(f"{home}/base/diff", IMAGE)
    found = run(tmp_path, files)
    root = prefix(ONE[:12])
    old = [f"{root}/etc/cron.d/old"] if driver in {"overlay", "vfs"} else []
    assert found.sources("cron") == [f"{root}/etc/cron.d/job", *old, f"{root}/etc/crontab"]
    assert not found.problems


@pytest.mark.parametrize(
    ("root", "has_lower"), [("var/lib/containers/storage", True), ("home/bob/.local/share/containers/storage", False)]
)
def test_podman(tmp_path: Path, root: str, has_lower: bool) -> None:  # noqa: FBT001 - a table
    found = run(tmp_path, podman(ONE, UPPER, root=root, has_lower=has_lower))
    assert facts_of(found) == [("podman", "pod", "localhost/tiny:1", 2)]
    assert f"{prefix(ONE[:12])}/etc/crontab" in found.sources("cron")


@pytest.mark.parametrize("root", ["var/lib/containerd", "var/lib/rancher/k3s/agent/containerd"])
def test_containerd_as_it_wrote_it(tmp_path: Path, root: str) -> None:
    layers: dict[int, Files] = {1: IMAGE, 2: {"etc/cron.d/two": b"2 2 * * * root /bin/two\n"}, 3: UPPER}
    layers |= {4: IMAGE, 5: {"srv/": b""}, 6: UPPER}
    found = run(tmp_path, containerd(layers, unpacked(METADATA), unpacked(SNAPSHOTS), root))
    image = "docker.io/library/tiny:1"
    assert facts_of(found) == [
        ("containerd", "default", image, 3), ("containerd", "k8s.io/prod/web-0/nginx", image, 3)
    ]  # fmt: skip
    labels = [host.container.label for host in contained(found) if host.container is not None]
    assert labels == ["web1", "0123456789ab"]
    assert f"{prefix('web1')}/etc/cron.d/two" in found.sources("cron")
    assert f"{prefix('0123456789ab')}/etc/cron.d/two" not in found.sources("cron")
    assert contained(found)[0].container.facts.created.startswith("2026-11-20T14:24:24")  # type: ignore[union-attr]
    assert not found.problems


def test_docker_with_layers_in_containerd(tmp_path: Path) -> None:
    files = docker(ONE, {}, (), driver="overlayfs")
    files = {name: data for name, data in files.items() if "/overlayfs/" not in name}
    files["var/lib/docker/image/"] = b""
    stored = containerd({1: IMAGE, 2: UPPER}, *databases("moby", ONE, 2, {}))
    found = run(tmp_path, {**files, **stored})
    assert facts_of(found) == [("docker", "web", "tiny:1", 2)]
    assert f"{prefix(ONE[:12])}/etc/cron.d/job" in found.sources("cron")
    assert not found.problems


CONFIG = f"var/lib/docker/containers/{ONE}/config.v2.json"
MOUNT = f"var/lib/docker/overlay2/{ONE[:8]}mount"


@pytest.mark.parametrize(
    ("changed", "layers", "word"),
    [
        ({CONFIG: b"{"}, 2, "cannot be read as JSON"),
        ({CONFIG: b"[" * 5000}, 2, "cannot be read as JSON"),
        ({CONFIG: b'{"Name": 5, "State": null}'}, 2, ""),
        ({CONFIG: b'{"Driver": "btrfs"}'}, 0, "the storage driver btrfs is not supported: nothing of it is shown"),
        ({f"{MOUNT}/lower": b"l/GONE:l/L0"}, 2, "l/GONE is not there"),
        ({f"{MOUNT}/lower": b"../../../../etc"}, 1, "names of at most"),
        ({f"{MOUNT}/lower": b"l/L0:l/OUT", "var/lib/docker/overlay2/l/OUT": "/etc"}, 2, "l/OUT is not there"),
        ({f"{MOUNT}/lower": b":".join([b"l/L0"] * 600)}, 1, "names of at most 512 layers"),
        ({f"var/lib/docker/image/overlay2/layerdb/mounts/{ONE}/mount-id": b"../../etc"}, 0, "nothing names its layer"),
        ({f"var/lib/docker/image/overlay2/layerdb/mounts/{ONE}/mount-id": b"gone"}, 0, "own layer"),
    ],
)
def test_what_is_damaged_is_said(tmp_path: Path, changed: Files, layers: int, word: str) -> None:
    found = run(tmp_path, {**docker(ONE, UPPER), **changed})
    assert [len(host.trees) for host in contained(found)] == ([layers] if layers else [])
    assert any(word in reason for reason in reasons(found)) if word else not found.problems
    assert all(problem.lost for problem in found.problems)


def test_what_is_renamed_or_only_half_copied_is_said(tmp_path: Path) -> None:
    marks = [f"ea_set /{MOUNT}/diff/home trusted.overlay.redirect abc",
             f"ea_set /{MOUNT}/diff/etc/cron.d/job trusted.overlay.metacopy x"]  # fmt: skip
    found = run(tmp_path, docker(ONE, UPPER), marks)
    assert f"{prefix(ONE[:12])}/etc/cron.d/job" not in found.sources("cron")  # its bytes are nowhere: no zeros instead
    told = [(problem.reason.partition(": ")[2], problem.lost) for problem in found.problems]
    assert [("redirect_dir" in reason, "metacopy" in reason, lost) for reason, lost in told] == [
        (True, False, True), (False, True, False)
    ]  # fmt: skip


def test_ids_that_begin_alike_have_labels_of_their_own(tmp_path: Path) -> None:
    other = ONE[:20] + "f" * 44
    found = run(tmp_path, {**docker(ONE, UPPER), **docker(other, {}), **podman(ONE, {})})
    labels = [host.container.label for host in contained(found) if host.container is not None]
    assert sorted(labels) == sorted([ONE, other, f"{ONE}~2"])


def test_no_engine_nothing_new(tmp_path: Path) -> None:
    found = run(tmp_path, {"var/lib/docker/notes": b"x", "etc/docker/daemon.json": b"{", "etc/crontab": MINER.encode()})
    assert not contained(found)
    assert found.sources("cron") == ["/etc/crontab"]
    assert [reason for reason in reasons(found) if "JSON" not in reason] == []


def test_a_miner_in_a_container_is_found_and_cited(tmp_path: Path) -> None:
    upper = {**UPPER, "tmp/.x/xmrig": b"#!/bin/sh\nexec ./x -o stratum+tcp://pool.example:3333\n"}
    image = ext4(tmp_path / "disk.raw", {**SERVER, **docker(ONE, upper)})
    ended = triage(image, tmp_path / "case")
    item = tmp_path / "case" / "evidence" / "disk.raw"
    assert ended.returncode == 0, ended.stderr
    findings: list[dict[str, Any]] = json_lines((item / "findings.jsonl").read_text())
    source = f"{prefix(ONE[:12])}/etc/cron.d/job"
    miner = next(finding for finding in findings if finding["rule"] == "cron-runs-miner")
    assert miner["statement"].startswith(source)
    chain = next(finding for finding in findings if finding["rule"] == "persistence-runs-flagged-file")
    assert miner["cites"][0] in chain["cites"]
    assert chain["path"] == f"/{MOUNT}/diff/tmp/.x/xmrig"
    (described,) = json.loads((item / "evidence.json").read_text())["containers"]
    assert (described["path"], described["name"], described["state"]) == (prefix(ONE[:12]), "web", "running")
    assert [layer["path"] for layer in described["layers"]] == [
        f"/{MOUNT}/diff",
        "/var/lib/docker/overlay2/image0/diff",
    ]
    report = (tmp_path / "case" / "report.html").read_text()
    assert source in report
    assert ">tiny:1<" in report


# The databases


def chain_of(metadata: bytes, snapshots: bytes) -> tuple[list[tuple[str, list[int], str]], list[str]]:
    losses: list[str] = []
    rows = list(read_containers(metadata, {"overlayfs": snapshots}, [], losses))
    return [(row.facts.id, row.snapshots, row.reason) for row in rows], losses


def one_container(count: int = 4) -> tuple[bytes, bytes]:
    values = {b"snapshotter": b"overlayfs", b"snapshotKey": b"box", b"image": b"tiny", b"labels": {b"a": b"b" * 9000}}
    return databases("default", "box", count, {b"box": values})


def test_long_chains_and_wide_buckets() -> None:
    metadata, snapshots = one_container(200)
    assert chain_of(metadata, snapshots) == ([("box", list(range(200, 0, -1)), "")], [])


def test_a_bolt_file_with_one_beginning() -> None:
    wanted = {b"k%04d" % number: b"v" * (number * 40 % 6000) for number in range(300)}
    for beginnings in ((0, 1), (0,)):
        database = Bolt(bolt({b"b": wanted, b"s": {b"x": b"y"}}, beginnings=beginnings))
        bucket = database.bucket(database.root(), b"b")
        assert bucket is not None
        assert database.values(bucket) == wanted
        assert not database.losses
    with pytest.raises(BoltError):
        Bolt(bolt({b"b": wanted}, beginnings=()))


@pytest.mark.parametrize("seed", range(200))
def test_a_broken_bolt_file_ends_and_says_so(seed: int) -> None:
    metadata, snapshots = one_container()
    data = bytearray(metadata)
    place = 2 * PAGE + seed * 97 % (len(data) - 2 * PAGE - 8)
    data[place : place + 8] = struct.pack("<Q", (1 << 64) - 1 if seed % 2 else seed % 9)
    rows, _ = chain_of(bytes(data[: len(data) - (seed % 3) * PAGE]), snapshots)
    assert len(rows) < 10


def test_pages_that_lead_round_are_entered_once() -> None:
    data = bytearray(bolt({b"k%04d" % number: b"v" for number in range(300)}))
    top = struct.unpack_from("<Q", data, 16 + 16)[0]
    struct.pack_into("<Q", data, top * PAGE + 16 + 8, top)
    database = Bolt(bytes(data))
    assert len(database.values(database.root())) == 260
    assert database.losses == [f"page {top} stands in the tree twice, or too deep"]


def test_snapshots_that_lead_round_are_said() -> None:
    metadata, _ = one_container(2)
    looped = {
        b"default/2/box": {b"id": b"\2", b"parent": b"default/1/a"},
        b"default/1/a": {b"id": b"\1", b"parent": b"default/2/box"},
    }
    rows, _ = chain_of(metadata, bolt({b"v1": {b"snapshots": looped}}))
    assert rows == [("box", [2, 1], "its snapshots go round in a circle, or are more than 512")]


def test_without_its_metadata_snapshots_are_containers() -> None:
    _, snapshots = one_container(3)
    rows, losses = chain_of(b"", snapshots)
    assert rows == [("box", [3, 2, 1], "")]
    assert "taken for containers" in losses[0]


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"[]", b"{}", b"null", b"[{}]", b'[{"id": 5}]', b"[" * 100_000, b'"' * 9]
)
def test_books_that_are_none(data: bytes) -> None:
    for reader in (
        container_stores.stored_containers,
        container_stores.stored_layers,
        container_stores.docker_settings,
    ):
        with suppress(ValueError):
            assert not getattr(reader(data), "roots", reader(data))


def test_a_volume_of_docker_alone(tmp_path: Path) -> None:
    image = ext4(tmp_path / "disk.raw", docker(ONE, UPPER, root="."))
    found = collected(image, tmp_path, artifacts(*CHOSEN))
    assert facts_of(found) == [("docker", "web", "tiny:1", 2)]
    assert f"{prefix(ONE[:12])}/etc/cron.d/job" in found.sources("cron")


@pytest.mark.parametrize("name", [r"\ud800", r"../../../../etc", r"\u0000", "x" * 5000])
def test_hostile_words_of_a_container(tmp_path: Path, name: str) -> None:
    config = f'{{"Name": "{name}", "Driver": "{name}", "Config": {{"Hostname": "{name}"}}}}'
    found = run(tmp_path, {**docker(ONE, UPPER), CONFIG: config.encode()})
    assert len(found.problems) in {0, 1}


def test_containers_of_hostile_databases_have_a_label(tmp_path: Path) -> None:
    values = {b"snapshotter": b"overlayfs", b"snapshotKey": b"box"}
    stored = databases("d/..", "box", 2, {b"": values, b"../../x": values, b"\xff\n": values})
    found = run(tmp_path, dict(containerd({1: IMAGE, 2: UPPER}, *stored)))
    labels = [host.container.label for host in contained(found) if host.container is not None]
    assert labels == ["unnamed", ".._.._x", "_xff_"]
    assert f"{prefix('unnamed')}/etc/cron.d/job" in found.sources("cron")
