"""The test disks: the same bytes each time, sound filesystems, and in them what the story says."""

import io
import os
import shutil
import stat
import subprocess
import tempfile
import time
import zlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
import pytest
from story_disks import digest, disk

from images import contents, logs, tools
from images.build import build, cached, main
from images.checksum import crc32c
from images.keys import fingerprint, public_key
from images.partitions import write_table
from images.story import Entry, Partition, Story, StoryError, byte_size, load, names
from images.tree import Node, nodes, render, within

NOBODY = 65534
UNREACHABLE = 77
SECOND = 1_000_000_000
WHEN = datetime(2025, 6, 1, 12, 0, 0)  # noqa: DTZ001 - a story's times are UTC without saying so


class Filesystem(NamedTuple):
    """One filesystem of a disk, alone in a file."""

    story: Story
    partition: Partition
    path: Path


def filesystems(name: str, folder: Path) -> Iterator[Filesystem]:
    """Cut the filesystems out of a story's disk."""
    story, image = load(name), disk(name)
    starts = write_table(story.disk, folder / "table")
    for number, (partition, start) in enumerate(zip(story.disk.partitions, starts, strict=True)):
        if partition.filesystem:
            path = folder / f"{number}-{partition.filesystem}"
            with image.open("rb") as file:
                file.seek(start)
                path.write_bytes(file.read(byte_size(partition.size)))
            yield Filesystem(story, partition, path)


@pytest.mark.parametrize("name", names())
def test_another_build_gives_the_same_bytes(name: str, tmp_path: Path) -> None:
    first = disk(name)
    time.sleep(1.1 - time.time() % 1)  # another second: what takes the clock differs
    folder = tmp_path / "another folder"
    assert digest(build(name, folder / "x.raw")) == digest(first)
    assert [path.name for path in folder.iterdir()] == ["x.raw"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_gets_the_same_bytes() -> None:
    expected = {name: digest(disk(name)) for name in names()}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        child = os.fork()
        if child == 0:
            os.chdir("/")
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            os.umask(0o077)
            if not os.access(Path(__file__), os.R_OK):
                os._exit(UNREACHABLE)
            same = all(digest(build(name, Path(folder) / name)) == expected[name] for name in names())
            os._exit(0 if same else 9)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status == UNREACHABLE:
        pytest.skip("another user cannot read this checkout")
    assert status == 0


CHECKS = {
    "ext2": ["e2fsck", "-fn"],
    "ext3": ["e2fsck", "-fn"],
    "ext4": ["e2fsck", "-fn"],
    "xfs": ["xfs_repair", "-n"],
    "btrfs": ["btrfs", "check", "--readonly", "--check-data-csum"],
}


@pytest.mark.parametrize("name", names())
def test_filesystems_are_sound(name: str, tmp_path: Path) -> None:
    for filesystem in filesystems(name, tmp_path):
        kind = str(filesystem.partition.filesystem)
        if kind == "btrfs" and not shutil.which("btrfs", path="/usr/sbin:/usr/bin:/sbin:/bin"):
            pytest.skip("btrfs: not installed on this host")
        done = tools.run([*CHECKS[kind], filesystem.path])
        assert "bad" not in done.stdout.lower(), done.stdout


@pytest.mark.parametrize("name", [name for name in names() if load(name).disk.table != "none"])
def test_partition_tables_are_sound(name: str) -> None:
    assert "No errors detected" in tools.run(["sfdisk", "--verify", disk(name)]).stdout


@pytest.mark.parametrize("name", names())
def test_filesystems_hold_the_story(name: str, tmp_path: Path) -> None:
    for filesystem in filesystems(name, tmp_path):
        story, partition = filesystem.story, filesystem.partition
        places = {volume.name: volume.mount for volume in partition.subvolumes} or {"": str(partition.mount)}
        for subvolume, mount in places.items():
            everything = within(nodes(story), mount, story)
            told = {node.path: summary(node, partition) for node in everything if not node.deleted}
            assert found(filesystem, subvolume) == told


def summary(node: Node, partition: Partition) -> tuple[Any, ...]:
    """Return what a reader must say of a node: mode, owner, content, target, and when it changed and was born.

    TSK reads the nanoseconds and the birth of ext4 only.
    """
    times = (node.times.ctime, node.times.mtime, node.times.crtime)
    if partition.filesystem in ("ext2", "ext3"):
        times = (node.times.ctime // SECOND * SECOND, node.times.mtime // SECOND * SECOND, 0)
    return (node.mode, node.uid, node.gid, node.content, node.target, *times)


def found(filesystem: Filesystem, subvolume: str) -> dict[str, tuple[Any, ...]]:
    """Read a filesystem with other readers than the product's own: ext with TSK, XFS and btrfs with dissect."""
    kind = str(filesystem.partition.filesystem)
    if kind.startswith("ext"):
        return {path: row for path, row in read_ext(filesystem.path) if path != "/lost+found"}
    with filesystem.path.open("rb") as file:
        if kind == "xfs":
            from dissect.xfs import XFS  # noqa: PLC0415 - heavy

            return dict(read_dissect("/", XFS(file).get_inode(XFS(file).root.inum)))
        from dissect.btrfs import Btrfs  # noqa: PLC0415 - heavy

        return dict(read_dissect("/", Btrfs(file).get(subvolume)))


def read_ext(path: Path) -> Iterator[tuple[str, tuple[Any, ...]]]:
    import pytsk3  # noqa: PLC0415 - heavy

    filesystem = pytsk3.FS_Info(pytsk3.Img_Info(str(path)))
    queue = [("/", filesystem.open_meta(filesystem.info.root_inum))]
    while queue:
        name, file = queue.pop()
        meta = file.info.meta
        kind = {1: stat.S_IFREG, 2: stat.S_IFDIR, 3: stat.S_IFIFO, 4: stat.S_IFCHR, 5: stat.S_IFBLK, 6: stat.S_IFLNK}
        mode = kind[int(meta.type)] | int(meta.mode)
        content = file.read_random(0, meta.size) if stat.S_ISREG(mode) and meta.size else b""
        times = [
            getattr(meta, name) * 1_000_000_000 + getattr(meta, f"{name}_nano") for name in ("ctime", "mtime", "crtime")
        ]
        target = meta.link.decode() if meta.link else ""
        yield name, (mode, meta.uid, meta.gid, content, target, *times)
        if stat.S_ISDIR(mode):
            for entry in filesystem.open_dir(inode=meta.addr):
                entry_name = entry.info.name.name
                if entry_name not in (b".", b"..", b"$OrphanFiles") and int(entry.info.name.flags) & 1:
                    queue.append(
                        (f"{name.rstrip('/')}/{entry_name.decode()}", filesystem.open_meta(entry.info.meta.addr))
                    )


def owner(inode: Any) -> tuple[int, int, int]:
    """Return mode, uid and gid; for XFS they stand in the raw inode only."""
    if hasattr(inode, "mode"):
        return (inode.mode, inode.uid, inode.gid)
    return (inode.inode.di_mode, inode.inode.di_uid, inode.inode.di_gid)


def read_dissect(name: str, inode: Any) -> Iterator[tuple[str, tuple[Any, ...]]]:
    mode, uid, gid = owner(inode)
    content = inode.open().read() if stat.S_ISREG(mode) else b""
    target = inode.link if stat.S_ISLNK(mode) else ""
    born = inode.crtime_ns if hasattr(inode, "crtime_ns") else inode.otime_ns
    yield name, (mode, uid, gid, content, target, inode.ctime_ns, inode.mtime_ns, born)
    if stat.S_ISDIR(mode):
        for entry_name, child in inode.listdir().items():
            if entry_name not in (".", ".."):
                yield from read_dissect(f"{name.rstrip('/')}/{entry_name}", child)


def test_a_deleted_file_leaves_its_name_and_no_entry(tmp_path: Path) -> None:
    (filesystem,) = filesystems("debian-cron-miner", tmp_path)
    listing = tools.run(["debugfs", "-R", "ls -d /tmp/.x", filesystem.path]).stdout
    assert "install.sh" in listing
    assert "install.sh" not in tools.run(["debugfs", "-R", "ls /tmp/.x", filesystem.path]).stdout
    assert "1 deleted inodes found" in tools.run(["debugfs", "-R", "lsdel", filesystem.path]).stdout


def test_cache_keeps_one_disk_a_recipe(tmp_path: Path) -> None:
    (tmp_path / "data-volume-0123456789abcdef.raw").write_bytes(b"of an older recipe")
    first = cached("data-volume", tmp_path)
    assert list(tmp_path.iterdir()) == [first]
    inode = first.stat().st_ino
    assert cached("data-volume", tmp_path).stat().st_ino == inode
    assert first.parent == tmp_path


def test_command_builds_what_it_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data-volume", "--output", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/data-volume.raw\n"
    assert main(["no-such-story", "--output", str(tmp_path)]) == 1
    assert "no such story; there are amazon-brute-force" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"deleted": ["/nothing"]}, "/nothing is not in the tree"),
        ({"tree": [Entry(path="/x", content={"generator": "no such"})]}, "a generator"),
        ({"disk": msgspec.structs.replace(load("data-volume").disk, size="1 TB")}, "1 TB"),
    ],
)
def test_a_wrong_story_is_refused(
    change: dict[str, Any], wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = msgspec.structs.replace(load("data-volume"), **change)
    monkeypatch.setattr("images.build.load", lambda _: story)
    with pytest.raises(StoryError, match=wrong):
        build("data-volume", tmp_path / "x.raw")
    assert list(tmp_path.iterdir()) == []


def test_a_failing_tool_is_named_with_its_words(tmp_path: Path) -> None:
    with pytest.raises(tools.ToolError, match=r"(?s)e2fsck: exit status 8.*nothing"):
        tools.run(["e2fsck", "-fn", tmp_path / "nothing"])
    with pytest.raises(tools.ToolError, match="no-such-tool: not installed"):
        tools.run(["no-such-tool"])


def test_content_is_joined_and_packed() -> None:
    parts = ["a\n", {"base64": "AP8="}, {"generator": "repeated", "arguments": {"text": "{n};", "count": 3}}]
    assert render(parts) == b"a\n\0\xff0;1;2;"
    assert zlib.decompress(render(parts, "gzip"), wbits=31) == b"a\n\0\xff0;1;2;"
    assert render(parts, "gzip") == render(parts, "gzip")


def test_checksum_is_castagnolis() -> None:
    assert crc32c(b"123456789") == 0xE3069283


def test_fingerprint_is_what_openssh_prints(tmp_path: Path) -> None:
    if not shutil.which("ssh-keygen"):
        pytest.skip("ssh-keygen: not installed on this host")
    (tmp_path / "key").write_bytes(public_key("somebody@somewhere"))
    shown = subprocess.run(["ssh-keygen", "-lf", tmp_path / "key"], capture_output=True, text=True, check=True).stdout
    assert shown == f"256 {fingerprint('somebody@somewhere')} somebody@somewhere (ED25519)\n"


def test_time_zone_knows_summer() -> None:
    data = contents.time_zone("CET-1CEST,M3.5.0,M10.5.0/3", 3600, "CET")
    zone = ZoneInfo.from_file(io.BytesIO(data))
    hours = [datetime(2026, month, 15, tzinfo=zone).utcoffset() for month in (1, 7)]
    assert [offset.total_seconds() / 3600 for offset in hours if offset] == [1, 2]


def test_programs_are_elf_files() -> None:
    from elftools.elf.elffile import ELFFile  # noqa: PLC0415 - heavy

    for data, kind in ((contents.miner(), "ET_EXEC"), (contents.process_hider("x"), "ET_DYN")):
        program = ELFFile(io.BytesIO(data))
        segment = program.get_segment(0)
        assert (program["e_type"], program["e_machine"]) == (kind, "EM_X86_64")
        assert segment["p_filesz"] == len(data)
        assert program["e_entry"] - segment["p_vaddr"] == 120


def test_login_records_are_those_of_utmp() -> None:
    data = contents.login_records(
        [{"type": "USER_PROCESS", "time": WHEN, "user": "root", "terminal": "pts/3", "address": "192.0.2.7", "pid": 77}]
    )
    assert len(data) == 384
    assert (data[0], data[4], data[8:13], data[40:44], data[44:48]) == (7, 77, b"pts/3", b"ts/3", b"root")
    assert int.from_bytes(data[340:344], "little") == 1748779200
    assert data[348:352] == bytes([192, 0, 2, 7])


def test_auth_log_is_in_order_and_in_the_hosts_time() -> None:
    failures = {"address": "192.0.2.1", "users": ["root"], "count": 2, "pid": 7}
    later = {"at": WHEN.replace(hour=13), "process": "sshd", "pid": 9, "message": "Server listening on :: port 22."}
    lines = logs.auth_log("h", [later, {"at": WHEN, "failures": failures}], "iso", -90).decode().splitlines()
    assert len(lines) == 7
    stamps = [line.split()[0] for line in lines]
    assert stamps == sorted(set(stamps))
    assert lines[0].startswith("2025-06-01T10:30:00.") and "-01:30 h sshd[7]: pam_unix" in lines[0]  # noqa: PT018
    assert lines[-1].endswith("-01:30 h sshd[9]: Server listening on :: port 22.")
