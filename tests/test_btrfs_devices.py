"""A btrfs on several devices, in every profile, with devices missing, old or damaged, against the kernel's reading."""

import hashlib
import itertools
import mmap
import os
import random
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from test_walk import fill, kernel_rows

from volforensic.evidence.btrfs_free import free_space
from volforensic.evidence.btrfs_parity import rebuilt
from volforensic.evidence.btrfs_tree import Trees
from volforensic.evidence.devices import DeviceRange
from volforensic.evidence.filesystems import open_filesystem
from volforensic.evidence.reader import Window
from volforensic.evidence.space import Run, Unknown, merged
from volforensic.inventory.entry import FileEntry
from volforensic.inventory.file_bytes import Loss, stored_chunks
from volforensic.inventory.walk import WalkArguments, walk_filesystem
from volforensic.record import Problem  # noqa: TC001 - a plain import, as everywhere
from volforensic.sandbox.messages import PAGE_USED
from volforensic.sandbox.worker import Workplace

SIZE = 300 << 20
GAP = 1 << 20


class Joined:
    """Files one behind the other with a gap between, as an image of several disks lays them out."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """Open them."""
        self._descriptors = [os.open(path, os.O_RDONLY) for path in paths]
        self.size = len(paths) * (SIZE + GAP)

    def read_at(self, position: int, size: int) -> bytes:
        """Return bytes of one of the files; none of a gap."""
        number, within = divmod(position, SIZE + GAP)
        assert within + size <= SIZE
        return os.pread(self._descriptors[number], size, within)


class Devices:
    """A btrfs whose devices ``numbers`` are there, walked from the first of them."""

    def __init__(self, paths: Sequence[Path], numbers: Sequence[int] = ()) -> None:
        """Walk it."""
        self.medium = Joined(paths)
        known = {number: (number - 1) * (SIZE + GAP) for number in numbers or range(1, len(paths) + 1)}
        self.ranges = [DeviceRange(number=number, offset=place, length=SIZE) for number, place in known.items()]
        place = Workplace(self.medium, mmap.mmap(-1, PAGE_USED), None)
        first = self.ranges[0].offset
        given = WalkArguments(volume=0, offset=first, length=SIZE, kind="btrfs", devices=self.ranges)
        messages = list(walk_filesystem(place, given))
        self.entries: list[FileEntry] = [entry for message in messages for entry in message.entries]
        self.problems: list[Problem] = [problem for message in messages for problem in message.problems]
        self.window = Window(self.medium, first, SIZE)
        self.losses: list[Loss] = []
        self._reader = open_filesystem("btrfs", self.window, lambda _: None, devices=self.ranges, is_verifying=True)

    def rows(self, *, is_verifying: bool = False) -> dict[bytes, tuple[object, ...]]:
        """Return what test_walk.kernel_rows does of a mounted one."""
        rows: dict[bytes, tuple[object, ...]] = {}
        for entry in self.entries:
            digest = self._digest(entry, is_verifying=is_verifying) if entry.type == "file" else ""
            size = entry.size if entry.type in {"file", "symlink"} else 0
            times = entry.modified, entry.changed, entry.accessed
            owner = entry.type, entry.mode, entry.uid, entry.gid, entry.inode
            rows[entry.path] = (*owner, *times, size, entry.link_target, digest)
        del rows[b"/"]
        return rows

    def _digest(self, entry: FileEntry, *, is_verifying: bool) -> str:
        file = entry
        if is_verifying:  # as the file stage asks for it
            file = type(entry)(**{name: getattr(entry, name) for name in entry.__struct_fields__} | {"extents": None})
        digest = hashlib.sha256()
        position = 0
        for block in stored_chunks(self.medium, file, lambda _: self._reader, self.losses):
            digest.update(bytes(block.position - position) + block.data)
            position = block.position + len(block.data)
        digest.update(bytes(entry.size - position))
        return digest.hexdigest()


@contextmanager
def mounted_devices(paths: Sequence[Path], folder: Path, *options: str) -> Iterator[Path]:
    """Mount a btrfs of several files; the test is skipped where that cannot be."""
    if os.geteuid():
        pytest.skip("a loop mount needs root")
    folder.mkdir(exist_ok=True)
    with ExitStack() as stack:
        loops = []
        for path in paths:
            command = ["losetup", "--find", "--show", str(path)]
            done = subprocess.run(command, check=False, capture_output=True, text=True)
            if done.returncode:
                pytest.skip(f"no loop device: {done.stderr.strip()}")
            loops.append(done.stdout.strip())
            stack.callback(subprocess.run, ["losetup", "--detach", loops[-1]], check=True)
        stack.callback(subprocess.run, ["btrfs", "device", "scan", "--forget"], check=False, capture_output=True)
        named = [f"device={loop}" for loop in loops]
        command = ["mount", "-t", "btrfs", "-o", ",".join([*named, *options]), loops[0], str(folder)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"this kernel does not mount it: {done.stderr.strip()}")
        stack.callback(subprocess.run, ["umount", str(folder)], check=True)
        yield folder


def made(folder: Path, count: int, *options: str) -> list[Path]:
    """Make a filesystem on so many files."""
    paths = [folder / f"device{number}" for number in range(1, count + 1)]
    for path in paths:
        with path.open("wb") as file:
            file.truncate(SIZE)
    subprocess.run(["mkfs.btrfs", "-q", "-f", *options, *map(str, paths)], check=True, capture_output=True)
    return paths


def write(folder: Path) -> None:
    """Write what a profile may spread over devices, and a compressed file, and a snapshot of all."""
    fill(folder)
    chance = random.Random(5)  # noqa: S311 - no secret: the same each time
    (folder / "spread").write_bytes(chance.randbytes(5 << 20))
    subprocess.run(["btrfs", "property", "set", str(folder / "a"), "compression", "zstd"], check=True)
    (folder / "a" / "text").write_text("".join(f"line {number}\n" for number in range(50_000)))


PROFILES = {
    "single": (2, ["-d", "single", "-m", "raid1"], ()),
    "dup": (1, ["-d", "dup", "-m", "dup"], ()),
    "raid0": (3, ["-d", "raid0", "-m", "raid1"], ()),
    "raid1": (2, ["-d", "raid1", "-m", "raid1"], (2,)),
    "raid1c3": (3, ["-d", "raid1c3", "-m", "raid1c4"], (2, 3)),
    "raid10": (4, ["-d", "raid10", "-m", "raid10"], (3,)),
    "raid5": (3, ["-d", "raid5", "-m", "raid5"], (2,)),
    "raid6": (4, ["-d", "raid6", "-m", "raid6"], (2, 4)),
}


def no_file_lies_in_free_space(walked: Devices) -> bool:
    """Return whether all space of every device is told, much of it is free, and no file's byte is."""
    free: list[Run] = []
    for device in walked.ranges:
        window = Window(walked.medium, device.offset, device.length)
        spaces = list(free_space(window, lambda _: None, walked.ranges))
        assert not [space for space in spaces if isinstance(space, Unknown)]
        own = [Run(device.offset + space.start, space.length) for space in spaces if isinstance(space, Run)]
        assert all(run.start + run.length <= device.offset + device.length for run in own)
        assert sum(run.length for run in own) > SIZE // 2
        free += own
    used = [Run(extent.source_offset, extent.length) for entry in walked.entries for extent in entry.extents or ()]
    together = sorted([*free, *merged(used)])
    return all(run.start + run.length <= after.start for run, after in itertools.pairwise(together))


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_reads_as_the_kernel_reads_it_and_without_what_it_can_miss(tmp_path: Path, profile: str) -> None:
    count, options, missing = PROFILES[profile]
    if profile == "raid1c3":
        count = 4
    paths = made(tmp_path, count, *options)
    with mounted_devices(paths, tmp_path / "mounted") as folder:
        write(folder)
    with mounted_devices(paths, tmp_path / "mounted", "ro") as folder:
        expected = kernel_rows(folder)
    whole = Devices(paths)
    assert whole.rows() == expected
    assert not whole.problems
    assert not whole.losses
    assert no_file_lies_in_free_space(whole)
    if missing:
        degraded = Devices(paths, [number for number in range(1, count + 1) if number not in missing])
        assert degraded.rows(is_verifying=True) == expected
        assert degraded.rows() == expected
        assert not degraded.losses
        (problem,) = degraded.problems
        assert "are missing: what is there is on the others too" in problem.reason
        assert not problem.lost


def test_what_lies_on_a_missing_device_only_is_lost_and_said(tmp_path: Path) -> None:
    paths = made(tmp_path, 3, "-d", "raid0", "-m", "raid1c3")
    with mounted_devices(paths, tmp_path / "mounted") as folder:
        write(folder)
    whole, degraded = Devices(paths), Devices(paths, [1, 3])
    assert {entry.path for entry in degraded.entries} == {entry.path for entry in whole.entries}
    assert any("bytes that are only there are lost" in problem.reason and problem.lost for problem in degraded.problems)
    before = whole.rows()
    damaged = {entry.path for entry in degraded.entries if not entry.has_all_runs}
    assert b"/spread" in damaged
    degraded.rows()
    lost = {path for path, row in degraded.rows().items() if row != before[path]} - damaged
    assert not lost or degraded.losses


def test_a_copy_that_is_damaged_or_old_is_not_taken(tmp_path: Path) -> None:
    paths = made(tmp_path, 2, "-d", "raid1", "-m", "raid1")
    with mounted_devices(paths, tmp_path / "mounted") as folder:
        fill(folder)
    old = paths[1].read_bytes()
    with mounted_devices(paths, tmp_path / "mounted") as folder:
        (folder / "later").write_bytes(b"later" * 5000)
        (folder / "large").write_bytes(b"changed" * 100_000)
    with mounted_devices(paths, tmp_path / "mounted", "ro") as folder:
        expected = kernel_rows(folder)
    paths[1].write_bytes(old)  # a device that was away for a while
    for numbers in ([1, 2], [2, 1]):
        found = Devices(paths, numbers)
        assert found.rows() == expected
        assert not [problem for problem in found.problems if problem.lost]


def test_data_whose_checksum_is_wrong_is_taken_from_the_other_copy_or_said(tmp_path: Path) -> None:
    paths = made(tmp_path, 2, "-d", "raid1", "-m", "raid1", "--checksum", "sha256")
    with mounted_devices(paths, tmp_path / "mounted") as folder:
        (folder / "file").write_bytes(random.Random(1).randbytes(3 << 20))  # noqa: S311 - no secret
        subprocess.run(["btrfs", "property", "set", str(folder), "compression", "zstd"], check=True)
        (folder / "text").write_text("".join(f"line {number}\n" for number in range(50_000)))
    whole = Devices(paths)
    before = whole.rows(is_verifying=True)
    assert not whole.losses
    (entry,) = (entry for entry in whole.entries if entry.path == b"/file")
    assert entry.extents
    place = entry.extents[0].source_offset
    with paths[place // (SIZE + GAP)].open("r+b") as file:
        file.seek(place % (SIZE + GAP) + 8192)
        file.write(b"damage")
    assert Devices(paths).rows() != before
    repaired = Devices(paths)
    assert repaired.rows(is_verifying=True) == before
    assert not repaired.losses
    alone = Devices(paths, [1 + place // (SIZE + GAP)])
    rows = alone.rows(is_verifying=True)
    assert {path for path in rows if rows[path] != before[path]} == {b"/file"}
    assert alone.losses == [Loss(8192, 4096, "the checksum of these bytes is wrong", is_lost=False)]


def test_parity_gives_back_one_column_and_two() -> None:
    chance = random.Random(3)  # noqa: S311 - no secret: the same each time
    data = [chance.randbytes(64) for _ in range(5)]
    sum_p = bytes(a ^ b ^ c ^ d ^ e for a, b, c, d, e in zip(*data, strict=True))
    sum_q = bytes(_polynomial(column) for column in zip(*data, strict=True))
    for one in range(5):
        missing = [None if index == one else column for index, column in enumerate(data)]
        assert rebuilt(missing, [sum_p], one) == data[one]
        assert rebuilt(missing, [None, sum_q], one) == data[one]
        assert rebuilt(missing, [None, None], one) is None
        for other in range(5):
            two = [None if index == other else column for index, column in enumerate(missing)]
            assert rebuilt(two, [sum_p, sum_q], one) == data[one]
            assert other == one or rebuilt(two, [sum_p], one) is None


def _polynomial(column: tuple[int, ...]) -> int:
    """Horner's way: 2 times what came, plus the next."""
    total = 0
    for value in reversed(column):
        total = (total << 1 ^ (0x11D if total & 0x80 else 0)) ^ value
    return total


def test_where_the_newest_root_is_damaged_an_earlier_one_is_read(tmp_path: Path) -> None:
    paths = made(tmp_path, 1, "-m", "single")
    with mounted_devices(paths, tmp_path / "mounted") as folder:
        for number in range(5):
            (folder / f"file{number}").write_bytes(b"x" * 9000)
            subprocess.run(["btrfs", "filesystem", "sync", str(folder)], check=True)
    whole = Devices(paths)
    trees = Trees(whole.window)
    (place,) = trees.physical(trees.superblock.root, trees.superblock.block_size)
    with paths[0].open("r+b") as file:
        file.seek(place + 200)
        file.write(bytes([0xFF]) * 50)
    found = Devices(paths)
    assert {b"/file0", b"/file1", b"/file2"} <= {entry.path for entry in found.entries}
    assert any("it was read as it was at transaction" in problem.reason and problem.lost for problem in found.problems)
