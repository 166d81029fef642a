"""What the tests of all containers share: a disk of random, text and zeros, media over bytes, reads of any kind."""

import errno
import importlib
import random
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from volforensic.evidence.containers.container import ContainerFacts, Fault, NamedFile
from volforensic.medium import Medium

SECTOR = 512
MIB = 1 << 20


class BytesMedium(NamedTuple):
    """Bytes as a medium."""

    data: bytes

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self.data)

    def read_at(self, position: int, size: int) -> bytes:
        """See ``Medium``."""
        return self.data[position : position + size] if position >= 0 and size > 0 else b""


class Opened(NamedTuple):
    """A container that was looked at and opened; ``faults`` grows while the disk is read."""

    facts: ContainerFacts
    disk: Medium
    faults: list[Fault]

    @property
    def reasons(self) -> str:
        """What the problems say."""
        return "\n".join(problem.reason for problem in self.facts.problems)

    @property
    def losses(self) -> list[tuple[int | None, int | None]]:
        """The ranges of the disk that are said to be lost."""
        return [(problem.offset, problem.length) for problem in self.facts.problems if problem.lost]


def disk(size: int, seed: int = 1) -> bytes:
    """A disk: some of it random, some text, some zeros; its end is in the middle of everything."""
    source = random.Random(seed)  # noqa: S311 - a test's data, the same each time
    parts: list[bytes] = []
    length = 0
    while length < size:
        kind = source.randrange(4)
        count = source.choice([SECTOR, 5 * SECTOR, 40 * 1024, 200 * 1024])
        parts.append(
            bytes(count)
            if kind < 2
            else source.randbytes(count)
            if kind == 2
            else b"line of text\n" * (count // 13 + 1)
        )
        length += len(parts[-1])
    return b"".join(parts)[:size]


def changed(data: bytes, seed: int = 2) -> bytes:
    """The disk later: sectors written here and there, a stretch zeroed."""
    source = random.Random(seed)  # noqa: S311 - a test's data, the same each time
    later = bytearray(data)
    for _ in range(30):
        place = source.randrange(len(data) // SECTOR) * SECTOR
        later[place : place + 3 * SECTOR] = source.randbytes(3 * SECTOR)
    later[MIB : 2 * MIB + 100 * SECTOR] = bytes(MIB + 100 * SECTOR)
    return bytes(later[: len(data)])


def open_files(kind: str, files: Sequence[tuple[str, bytes]], parent: Medium | None = None) -> Opened:
    """Look at a container and open it, as a worker does."""
    module = importlib.import_module(f"volforensic.evidence.containers.{kind}")
    named = [NamedFile(name.encode(), BytesMedium(data)) for name, data in files]
    assert module.recognises(named[0])
    faults: list[Fault] = []
    return Opened(module.look(named), module.open_container(named, parent, faults.append), faults)


def whole(medium: Medium, step: int = 300_007) -> bytes:
    """All bytes of a disk, read in steps that fit nothing."""
    return b"".join(medium.read_at(position, step) for position in range(0, medium.size, step))


def assert_reads(medium: Medium, data: bytes) -> None:
    """The disk's bytes are these, and zeros behind them; any read gives the same as the whole."""
    everything = whole(medium)
    assert len(everything) == medium.size
    assert everything == data.ljust(medium.size, b"\0")
    source = random.Random(4)  # noqa: S311 - a test's data, the same each time
    for _ in range(200):
        position = source.randrange(-2, medium.size + 3)
        size = source.choice([0, 1, 511, 512, 513, 4096, 70_001, 2 * MIB])
        expected = everything[position : position + size] if position >= 0 else b""
        assert medium.read_at(position, size) == expected, (position, size)


def qemu_raw(kind: str, data: bytes, folder: Path) -> bytes:
    """What qemu-img reads of a container."""
    image, raw = folder / "image", folder / "raw"
    image.write_bytes(data)
    subprocess.run(["qemu-img", "convert", "-f", kind, "-O", "raw", image, raw], check=True)
    return raw.read_bytes()


def qemu_image(kind: str, data: bytes, folder: Path, options: str = "") -> bytes:
    """A container that qemu-img makes of a disk."""
    image, raw = folder / "made", folder / "source"
    raw.write_bytes(data)
    arguments = ["-o", options] if options else []
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", kind, *arguments, raw, image], check=True)
    return image.read_bytes()


def mutant(data: bytes, seed: int, used: int) -> bytes:
    """The image with a few words, sectors or its end changed, most of it in the first ``used`` bytes."""
    source = random.Random(seed)  # noqa: S311 - a test's data, the same each time
    image = bytearray(data)
    for _ in range(source.randrange(1, 6)):
        place = source.randrange(min(used, len(image)) if source.randrange(4) else len(image))
        width = source.choice([1, 2, 4, 8])
        order: Literal["little", "big"] = "little" if source.randrange(2) else "big"
        value = source.choice([0, 1, 2**31 - 1, 2**31, 2**63, 2**64 - 1, source.getrandbits(64)]) % (1 << 8 * width)
        image[place : place + width] = int(value).to_bytes(width, order)
    if source.randrange(8) == 0:
        del image[source.randrange(len(image)) :]
    return bytes(image)


def try_mutant(kind: str, files: Sequence[tuple[str, bytes]], step: int = 50_000) -> None:
    """Look, open and read: it ends with bytes, with an error of the module, or with ``EIO``, and with nothing else."""
    module = importlib.import_module(f"volforensic.evidence.containers.{kind}")
    if not module.recognises(NamedFile(b"mutant", BytesMedium(files[0][1]))):
        return
    try:
        image = open_files(kind, files)
    except ValueError:
        return
    for position in range(0, min(image.disk.size, 4 * MIB), step):
        try:
            image.disk.read_at(position, step)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
