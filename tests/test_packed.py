"""Compressed images unpacked in a worker: every format, several members, damage, bombs."""

import bz2
import gzip
import lzma
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard
from media import handle_of

from volforensic.case.scratch import ScratchFile
from volforensic.evidence.packed import LARGEST_DISK
from volforensic.evidence.unpacking import Unpacked, compression, unpacked
from volforensic.record import Problem  # noqa: TC001 - a plain import, as everywhere
from volforensic.sandbox.confinement import Limits
from volforensic.sandbox.pool import Pool

FORMATS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
}


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool(preload=["volforensic.evidence.packed", "volforensic.evidence.raw_medium"], jobs=1) as started:
        yield started


class Result:
    """What was unpacked."""

    def __init__(
        self, pool: Pool, folder: Path, packed: bytes, limits: Limits | None = None, most: int = LARGEST_DISK
    ) -> None:
        """Unpack it."""
        path = folder / "packed"
        path.write_bytes(packed)
        self.problems: list[Problem] = []
        self.steps: list[Unpacked] = []
        with path.open("rb") as file, ScratchFile(folder) as scratch:
            more = {} if limits is None else {"limits": limits}
            for outcome in unpacked(pool, handle_of(file.fileno()), scratch, **more, most=most):
                (self.steps if isinstance(outcome, Unpacked) else self.problems).append(outcome)  # type: ignore[arg-type]
            descriptor = scratch.finish()
            self.size, self.stored = scratch.size, scratch.stored
            self.blocks = os.fstat(descriptor).st_blocks * 512
            self.data = os.pread(descriptor, min(self.size, 64 << 20), 0)


def image() -> bytes:
    chance = random.Random(9)  # noqa: S311 - no secret: the same each time
    return chance.randbytes(300_001) + bytes(3 << 20) + b"text " * 100_000 + bytes(1 << 20)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_in_one_member_and_several(pool: Pool, tmp_path: Path, name: str) -> None:
    whole, pack = image(), FORMATS[name]
    packed = pack(whole)
    assert compression(packed[:16]) == name
    one = Result(pool, tmp_path, packed)
    assert (one.data == whole, one.problems, one.steps[-1]) == (True, [], Unpacked(len(packed), len(whole)))
    assert one.stored < len(whole) - (3 << 20)
    assert one.blocks < len(whole) - (3 << 20)
    several = Result(
        pool, tmp_path, b"".join(pack(whole[at : at + 1_000_003]) for at in range(0, len(whole), 1_000_003))
    )
    assert (several.data == whole, several.problems) == (True, [])
    padded = Result(pool, tmp_path, packed + bytes(5000) + packed)
    assert (padded.data == whole * 2, padded.problems) == (True, [])


@pytest.mark.parametrize("name", FORMATS)
def test_a_damaged_tail_costs_itself_only(pool: Pool, tmp_path: Path, name: str) -> None:
    chance = random.Random(4)  # noqa: S311 - no secret: the same each time
    whole = chance.randbytes(3 << 20)
    packed = bytearray(FORMATS[name](whole))
    cut = Result(pool, tmp_path, bytes(packed[: len(packed) // 2]))
    assert whole.startswith(cut.data)
    assert len(cut.data) > len(whole) // 2 - (1 << 20)
    assert "ends early, at its byte" in cut.problems[0].reason
    assert (cut.problems[0].offset, cut.problems[0].lost) == (len(cut.data), True)
    for place in range(len(packed) // 2, len(packed) // 2 + 40):
        packed[place] ^= 0x55
    flipped = Result(pool, tmp_path, bytes(packed))
    assert len(flipped.problems) == 1
    assert flipped.data[: 1 << 19] == whole[: 1 << 19]
    garbage = Result(pool, tmp_path, FORMATS[name](whole) + b"garbage behind it")
    assert garbage.data == whole
    assert "not compressed follow" in garbage.problems[0].reason


def test_a_wrong_checksum_is_said(pool: Pool, tmp_path: Path) -> None:
    whole = image()
    for name, place in (("gzip", -6), ("zstd", -2)):
        packed = bytearray(FORMATS[name](whole))
        packed[place] ^= 1
        result = Result(pool, tmp_path, bytes(packed))
        assert result.data[:1000] == whole[:1000]
        assert "damaged near its byte" in result.problems[0].reason


def test_a_bomb_is_bounded_by_size_and_by_time(pool: Pool, tmp_path: Path) -> None:
    zeros = zstandard.ZstdCompressor().compress(bytes(512 << 20))
    assert len(zeros) < 64 << 10
    result = Result(pool, tmp_path, zeros)
    assert (result.size, result.stored, result.blocks, result.problems) == (512 << 20, 0, 0, [])
    result = Result(pool, tmp_path, zeros, most=100 << 20)
    assert (result.size, "unpacks to more than" in result.problems[0].reason) == (100 << 20, True)
    result = Result(pool, tmp_path, zeros * 200, limits=Limits(processor_seconds=1))
    assert "processor time" in result.problems[0].reason
    assert f"up to byte {result.size} of the disk" in result.problems[0].reason


def test_a_window_that_does_not_fit_is_said(pool: Pool, tmp_path: Path) -> None:
    frame = bytes.fromhex("28b52ffd 00 a8") + bytes(20)  # a window of 2 GiB
    result = Result(pool, tmp_path, frame)
    assert (result.size, len(result.problems)) == (0, 1)


@pytest.mark.parametrize("command", ["gzip", "xz", "zstd", "bzip2"])
def test_what_the_tools_write(pool: Pool, tmp_path: Path, command: str) -> None:
    if shutil.which(command) is None:
        pytest.skip(f"{command} is not installed")
    packed = subprocess.run([command, "-c"], input=image(), check=True, capture_output=True).stdout
    assert Result(pool, tmp_path, packed + packed).data == image() * 2
