"""Free space against the tools of each filesystem: which blocks no file has, and what damage leaves unknown."""

import os
import re
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from loop_mounts import mounted
from media import handle_of, medium_of

from images.hostile.other_disks import btrfs_image, xfs_image
from volforensic.evidence.btrfs_free import free_space as btrfs_space
from volforensic.evidence.ext_free import free_space as ext_space
from volforensic.evidence.fat_free import fat_space
from volforensic.evidence.free_space import (
    Region,
    SpaceMessage,
    outside_filesystems,
)
from volforensic.evidence.layout import DiskTable, Layout, Volume
from volforensic.evidence.reader import Window
from volforensic.evidence.signatures import Filesystem
from volforensic.evidence.space import Run, Unknown, complement, merged
from volforensic.evidence.superblocks import crc32c
from volforensic.evidence.xfs_free import free_space as xfs_space
from volforensic.inventory.free_stage import FreeSpace, _SpaceCheck, find_free_space
from volforensic.preload import preloaded_modules
from volforensic.record import Problem
from volforensic.sandbox.pool import Pool

PRELOAD = preloaded_modules([])


def window(path: Path) -> Window:
    return Window(medium_of(os.open(path, os.O_RDONLY)), 0, path.stat().st_size)


def ext_image(path: Path, *options: str, size: str = "64M") -> Path:
    folder = path.parent / "tree"
    folder.mkdir(exist_ok=True)
    for number in range(60):
        (folder / f"file{number}").write_bytes(os.urandom(3000 * number))
    subprocess.run(["mkfs.ext4", "-q", "-F", *options, "-d", str(folder), str(path), size], check=True)
    commands = "".join(f"rm file{number}\n" for number in range(0, 60, 3))
    subprocess.run(["debugfs", "-w", "-f", "-", str(path)], check=True, input=commands.encode(), capture_output=True)
    return path


def dumped_runs(path: Path, block_size: int) -> list[Run]:
    """The free blocks as dumpe2fs prints them, a line for each group: of clusters, the first block of the last one."""
    text = subprocess.run(["dumpe2fs", str(path)], check=True, capture_output=True, text=True).stdout
    cluster = re.search(r"^Cluster size: +(\d+)$", text, re.MULTILINE)
    more = int(cluster[1]) // block_size - 1 if cluster else 0
    runs = []
    for line in re.findall(r"^  Free blocks: (.*)$", text, re.MULTILINE):
        for part in filter(None, line.split(", ")):
            first, _, last = part.partition("-")
            runs.append(Run(int(first) * block_size, (int(last or first) - int(first) + 1 + more) * block_size))
    return list(merged(runs))


@pytest.mark.parametrize(
    ("options", "block_size"),
    [
        (["-b", "4096"], 4096),
        (["-b", "1024", "-O", "^64bit"], 1024),
        (["-b", "1024", "-O", "^flex_bg,^resize_inode,^sparse_super"], 1024),
        (["-b", "1024", "-O", "^metadata_csum,uninit_bg"], 1024),
        (["-b", "2048", "-O", "^metadata_csum,^uninit_bg,^extent,^has_journal,^64bit"], 2048),
        (["-b", "1024", "-O", "sparse_super2", "-E", "num_backup_sb=2"], 1024),
        (["-b", "4096", "-O", "bigalloc"], 4096),
        (["-b", "1024", "-O", "bigalloc", "-C", "4096"], 1024),
        (["-b", "1024", "-O", "meta_bg,^resize_inode"], 1024),
        (["-b", "1024", "-O", "meta_bg,^resize_inode,^flex_bg,^64bit", "-g", "512"], 1024),
    ],
)
def test_ext_free_blocks_are_those_of_dumpe2fs(tmp_path: Path, options: list[str], block_size: int) -> None:
    path = ext_image(tmp_path / "image", *options)
    found = list(ext_space(window(path), lambda _: None))
    assert not [run for run in found if isinstance(run, Unknown)]
    assert list(merged(run for run in found if isinstance(run, Run))) == dumped_runs(path, block_size)


def test_a_damaged_bitmap_makes_its_group_unknown_and_no_other(tmp_path: Path) -> None:
    path = ext_image(tmp_path / "image", "-b", "1024")
    before = list(ext_space(window(path), lambda _: None))
    text = subprocess.run(["dumpe2fs", str(path)], check=True, capture_output=True, text=True).stdout
    bitmap = int(re.findall(r"Block bitmap at (\d+)", text)[2])
    with path.open("r+b") as file:
        file.seek(bitmap * 1024 + 100)
        file.write(bytes(20))
    found = list(ext_space(window(path), lambda _: None))
    unknown = [run for run in found if isinstance(run, Unknown)]
    assert [(run.start, run.length) for run in unknown] == [((1 + 2 * 8192) * 1024, 8192 * 1024)]
    assert "block bitmap" in unknown[0].reason
    group = Run(*unknown[0][:2])
    assert [run for run in found if isinstance(run, Run)] == [
        run for run in before if isinstance(run, Run) and not group.start <= run.start < group.start + group.length
    ]


def test_a_damaged_descriptor_makes_its_group_unknown(tmp_path: Path) -> None:
    path = ext_image(tmp_path / "image", "-b", "1024", "-O", "^64bit")
    with path.open("r+b") as file:
        file.seek(2048 + 32 * 3 + 4)
        file.write(b"\xff\xff\xff\x7f")
    unknown = [run for run in ext_space(window(path), lambda _: None) if isinstance(run, Unknown)]
    (only,) = unknown
    assert only.reason.startswith("block group 3: the checksum of its descriptor is wrong; its copy in block 8194 says")


def test_a_bitmap_that_contradicts_its_descriptor_is_unknown(tmp_path: Path) -> None:
    path = ext_image(tmp_path / "image", "-b", "1024", "-O", "^metadata_csum,^uninit_bg")
    subprocess.run(["debugfs", "-w", "-R", "freeb 5000 10", str(path)], check=True, capture_output=True)
    unknown = [run for run in ext_space(window(path), lambda _: None) if isinstance(run, Unknown)]
    assert len(unknown) == 1
    assert "its descriptor says" in unknown[0].reason


def test_a_bitmap_outside_the_volume_is_unknown(tmp_path: Path) -> None:
    path = ext_image(tmp_path / "image", "-b", "1024", "-O", "^64bit,^metadata_csum,^uninit_bg")
    with path.open("r+b") as file:
        file.seek(2048 + 32)
        file.write(struct.pack("<I", 0x7FFFFFFF))
    unknown = [run for run in ext_space(window(path), lambda _: None) if isinstance(run, Unknown)]
    assert [run.reason for run in unknown] == ["block group 1: its block bitmap lies outside the volume"]


XFS_DB = ("xfs_db", "-r", "-c")
NUMBERS = ("agcount", "agblocks")


def xfs_free(path: Path) -> list[Run]:
    """The free blocks as xfs_db prints them from every group's tree, the blocks kept for trees included."""
    runs = []
    count, size = (int(re.findall(rf"^{name} = (\d+)", _superblock(path), re.MULTILINE)[0]) for name in NUMBERS)
    for group in range(count):
        text = subprocess.run(
            ["xfs_db", "-r", "-c", f"agf {group}", "-c", "addr bnoroot", "-c", "p recs", str(path)],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        listed = subprocess.run(
            [
                "xfs_db",
                "-r",
                "-c",
                f"agf {group}",
                "-c",
                "p flfirst fllast",
                "-c",
                f"agfl {group}",
                "-c",
                "p",
                str(path),
            ],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        first, last = (int(found) for found in re.findall(r"fl(?:first|last) = (\d+)", listed))
        blocks = {int(key): int(value) for key, value in re.findall(r"(\d+):(\d+)", listed)}
        kept = [(blocks[index], 1) for index in range(first, last + 1)]
        for start, count in [*_records(text), *kept]:
            runs.append(Run((group * size + start) * 4096, count * 4096))
    return list(merged(runs))


def _records(text: str) -> Iterator[tuple[int, int]]:
    for start, count in re.findall(r"\d+:\[(\d+),(\d+)\]", text):
        yield int(start), int(count)


def _superblock(path: Path) -> str:
    return subprocess.run(
        ["xfs_db", "-r", "-c", "sb 0", "-c", "p", str(path)], check=True, capture_output=True, text=True
    ).stdout


def test_xfs_free_blocks_are_those_of_xfs_db(tmp_path: Path) -> None:
    path = filled_xfs(tmp_path)
    found = list(xfs_space(window(path), lambda _: None))
    assert not [run for run in found if isinstance(run, Unknown)]
    assert list(merged(run for run in found if isinstance(run, Run))) == xfs_free(path)


def filled_xfs(tmp_path: Path) -> Path:
    path = xfs_image(tmp_path / "made")
    with mounted(path, tmp_path / "mount") as folder:
        for number in range(300):
            (folder / f"file{number}").write_bytes(os.urandom(9000))
        os.sync()
        for number in range(0, 300, 2):
            (folder / f"file{number}").unlink()
    return path


def test_a_damaged_xfs_tree_is_unknown(tmp_path: Path) -> None:
    path = xfs_image(tmp_path / "made")
    text = subprocess.run(
        ["xfs_db", "-r", "-c", "agf 1", "-c", "p bnoroot", "-c", "sb 0", "-c", "p agblocks", str(path)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    root, size = (int(found) for found in re.findall(r"= (\d+)", text))
    with path.open("r+b") as file:
        file.seek((size + root) * 4096 + 56)
        file.write(b"\0\0\0\1\0\0\0\2")
    found = list(xfs_space(window(path), lambda _: None))
    unknown = [run for run in found if isinstance(run, Unknown)]
    assert [(run.start, run.length) for run in unknown] == [(size * 4096, size * 4096)]
    assert "checksum" in unknown[0].reason
    kept = [run for run in found if isinstance(run, Run) and size * 4096 <= run.start < 2 * size * 4096]
    assert sum(run.length for run in kept) <= 8 * 4096  # the list of blocks kept for trees is sound


def _checked(block: bytearray) -> bytes:
    block[52:56] = bytes(4)
    block[52:56] = crc32c(bytes(block)).to_bytes(4, "little")
    return bytes(block)


@pytest.mark.parametrize(
    ("records", "level", "reason"),
    [
        ([(10, 5), (12, 5)], 0, "overlap"),
        ([(10, 1 << 30)], 0, "outside the group"),
        ([(1, 1)], 1, "used twice"),  # a node whose child is itself
    ],
)
def test_an_xfs_tree_that_contradicts_itself(
    tmp_path: Path, records: list[tuple[int, int]], level: int, reason: str
) -> None:
    path = xfs_image(tmp_path / "made")
    place = 1 * 4096  # the first group's tree begins behind its headers
    with path.open("r+b") as file:
        file.seek(place)
        block = bytearray(file.read(4096))
        assert block[:4] == b"AB3B"
        struct.pack_into(">HH", block, 4, level, len(records))
        for number, record in enumerate(records):
            struct.pack_into(">II", block, 56 + number * 8, *record)
        if level:
            struct.pack_into(">I", block, 56 + (4096 - 56) // 12 * 8, 1)
        file.seek(place)
        file.write(_checked(block))
        if level:
            _make_deeper(file.fileno())
    unknown = [run for run in xfs_space(window(path), lambda _: None) if isinstance(run, Unknown)]
    assert len(unknown) == 1
    assert reason in unknown[0].reason


def _make_deeper(descriptor: int) -> None:
    header = bytearray(os.pread(descriptor, 512, 512))
    struct.pack_into(">I", header, 28, 2)
    header[216:220] = bytes(4)
    header[216:220] = crc32c(bytes(header)).to_bytes(4, "little")
    os.pwrite(descriptor, header, 512)


def test_btrfs_free_space_is_what_the_kernel_has_free(tmp_path: Path) -> None:
    path = btrfs_image(tmp_path / "made")
    with mounted(path, tmp_path / "mount") as folder:
        for number in range(200):
            (folder / f"file{number}").write_bytes(os.urandom(9000))
        os.sync()
        for number in range(0, 200, 2):
            (folder / f"file{number}").unlink()
    found = list(btrfs_space(window(path), lambda _: None))
    assert not [run for run in found if isinstance(run, Unknown)]
    runs = [run for run in found if isinstance(run, Run)]
    assert runs == list(merged(runs))
    text = subprocess.run(
        ["btrfs", "inspect-internal", "dump-super", str(path)], check=True, capture_output=True, text=True
    ).stdout
    size, used = (int(found) for found in re.findall(r"^(?:total_bytes|bytes_used)\s+(\d+)", text, re.MULTILINE))
    copied = sum(_copied_bytes(path))
    reserved = 1 << 20  # the first MiB; the superblock's second copy lies beyond this device
    assert sum(run.length for run in runs) == size - used - copied - reserved


def _copied_bytes(path: Path) -> Iterator[int]:
    """The bytes in use of block groups that are kept twice (DUP): they count once in what is in use."""
    text = subprocess.run(
        ["btrfs", "inspect-internal", "dump-tree", "-t", "extent", str(path)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for used, flags in re.findall(r"block group used (\d+) chunk_objectid \d+ flags (\S+)", text):
        yield int(used) if "DUP" in flags else 0


def test_fat_free_clusters(tmp_path: Path) -> None:
    path = tmp_path / "image"
    for bits, size in ((12, 1), (16, 16), (32, 64)):
        path.unlink(missing_ok=True)
        subprocess.run(
            ["mkfs.vfat", "-C", "-F", str(bits), "-s", "1", str(path), str(size << 10)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        free = sum(run.length for run in fat_space(window(path), lambda _: None) if isinstance(run, Run))
        text = subprocess.run(["fsstat", str(path)], check=True, capture_output=True, text=True).stdout
        first, last = (int(found) for found in re.findall(r"Cluster Area: (\d+) - (\d+)", text)[0])
        assert free == (last - first + 1) * 512 - (512 if bits == 32 else 0)


def test_the_worker_tells_source_offsets_and_what_lies_behind(tmp_path: Path) -> None:
    path = ext_image(tmp_path / "image", "-b", "1024", size="16M")
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(1 << 20) + path.read_bytes() + bytes(1 << 16))
    with Pool(PRELOAD) as pool, disk.open("rb") as file:
        volume = Volume(
            index=1, offset=1 << 20, length=(16 << 20) + (1 << 16), kind="gpt", description="", filesystem=EXT4
        )
        found = list(find_free_space(pool, handle_of(file.fileno()), [volume]))
    (space,) = found
    assert isinstance(space, FreeSpace)
    assert space.is_known
    assert list(space) == [run._replace(start=run.start + (1 << 20)) for run in dumped_runs(path, 1024)]
    assert space.behind == Region(kind="behind the filesystem", offset=17 << 20, length=1 << 16, volume=1)
    first = next(iter(space))
    assert space.free_bytes(first.start - 10, 20) == 10
    assert space.run_end(first.start + 1) == first.start + first.length


EXT4 = Filesystem(type="ext4")


@pytest.mark.parametrize("runs", [[0, 10], [100, 10, 105, 10], [100, 0], [190, 20], [100]])
def test_a_worker_whose_runs_cannot_be_is_refused(runs: list[int]) -> None:
    check = _SpaceCheck(Volume(index=1, offset=100, length=100, kind="gpt", description=""))
    assert check.refused(SpaceMessage(runs))


def test_a_worker_whose_runs_can_be_is_believed() -> None:
    check = _SpaceCheck(Volume(index=1, offset=100, length=100, kind="gpt", description=""))
    assert not check.refused(SpaceMessage([100, 10, 120, 30]))
    assert not check.refused(SpaceMessage([150, 50]))


def test_space_that_is_not_supported_is_said() -> None:
    volume = Volume(index=1, offset=0, length=100, kind="gpt", description="", filesystem=Filesystem(type="exfat"))
    with Pool(PRELOAD) as pool, Path(__file__).open("rb") as anything:
        problem, space = find_free_space(pool, handle_of(anything.fileno()), [volume])
    assert isinstance(problem, Problem)
    assert problem.lost
    assert isinstance(space, FreeSpace)
    assert not space.is_known


def test_what_lies_outside_of_filesystems() -> None:
    volumes = [
        Volume(index=1, offset=100, length=100, kind="gpt", description="", filesystem=EXT4),
        Volume(index=2, offset=300, length=100, kind="gpt", description="", filesystem=Filesystem(type="swap")),
        Volume(index=3, offset=400, length=50, kind="gpt", description=""),
    ]
    layout = Layout(disks=[DiskTable(address=0, size=500, table="gpt", sector_size=512)], volumes=volumes, problems=[])
    assert [(region.kind, region.offset, region.length) for region in outside_filesystems(layout)] == [
        ("outside every volume", 0, 100),
        ("outside every volume", 200, 100),
        ("swap", 300, 100),
        ("volume without a filesystem", 400, 50),
        ("outside every volume", 450, 50),
    ]


def test_runs_are_merged_and_complemented() -> None:
    assert list(merged([Run(10, 5), Run(0, 5), Run(12, 10), Run(5, 0)])) == [Run(0, 5), Run(10, 12)]
    assert list(complement([Run(10, 5), Run(0, 5), Run(90, 50)], Run(2, 98))) == [Run(5, 5), Run(15, 75)]
