"""Opens containers as the product does, the files beside the first one found by name; and reads them every way."""

import random
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from volforensic.evidence.containers import qcow1, qcow2, split_raw, vmdk
from volforensic.evidence.containers.container import ContainerFacts, Fault, NamedFile
from volforensic.evidence.containers.naming import last_component
from volforensic.medium import Medium

FORMATS: tuple[ModuleType, ...] = (qcow1, qcow2, vmdk, split_raw)


class BytesMedium(NamedTuple):
    """Bytes in memory as a medium."""

    data: bytes

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self.data)

    def read_at(self, position: int, size: int) -> bytes:
        """Return a part of them."""
        return self.data[position : position + size] if position >= 0 and size > 0 else b""


class Opened(NamedTuple):
    """A container that was opened: its disk, what it says of itself, and what was noted so far."""

    medium: Medium
    facts: ContainerFacts
    faults: list[Fault]

    def bytes(self) -> bytes:
        """Return the whole disk."""
        return self.medium.read_at(0, self.medium.size)


def open_files(files: dict[bytes, bytes], first: bytes, depth: int = 0) -> Opened:
    """Open the container whose first file is named; the others are what lies beside it."""
    assert depth < 8, "a chain of parents that does not end"
    named = NamedFile(first, BytesMedium(files[first]))
    module = next(module for module in FORMATS if module.recognises(named))
    given = [named]
    facts: ContainerFacts = module.look(given)
    asked: list[bytes] = []
    while new := [one.name for one in facts.references if one.role != "parent" and one.name not in asked]:
        asked += new
        parts = [beside(files, name) for name in new]
        given += [NamedFile(name, BytesMedium(files[name])) for name in parts if name is not None]
        facts = module.look(given)
    parents = [beside(files, reference.name) for reference in facts.references if reference.role == "parent"]
    parent = _parent(files, parents[0], depth) if parents and parents[0] is not None else None
    faults: list[Fault] = []
    return Opened(module.open_container(given, parent, faults.append), facts, faults)


def beside(files: dict[bytes, bytes], name: bytes) -> bytes | None:
    """Return the file that a reference means, letter case aside where it must be."""
    component = last_component(name)
    alike = (other for other in files if other.lower() == component.lower())
    return component if component in files else next(alike, None)


def _parent(files: dict[bytes, bytes], name: bytes, depth: int) -> Medium:
    named = NamedFile(name, BytesMedium(files[name]))
    if any(module.recognises(named) for module in FORMATS):
        return open_files(files, name, depth + 1).medium
    return named.medium


def open_path(path: Path) -> Opened:
    """Open a container on disk with what lies in its folder."""
    return open_files({bytes(beside.name, "utf-8"): beside.read_bytes() for beside in path.parent.iterdir()},
                      bytes(path.name, "utf-8"))  # fmt: skip


def assert_reads(medium: Medium, expected: bytes, seed: int = 0) -> None:
    """Compare the whole disk, and parts of it that begin and end anywhere, with what it should hold."""
    assert medium.size == len(expected)
    assert medium.read_at(0, len(expected)) == expected
    chance = random.Random(seed)  # noqa: S311  # the same each time
    for _ in range(60):
        position = chance.randrange(len(expected) + 1)
        size = chance.choice([1, 511, 512, 513, 4096, 65537, 300_000])
        assert medium.read_at(position, size) == expected[position : position + size]
    assert medium.read_at(len(expected), 10) == b""
    assert medium.read_at(-1, 10) == b""
    assert medium.read_at(0, 0) == b""
    assert medium.read_at(max(0, len(expected) - 5), 100) == expected[-5:]


def disk_bytes(size: int, seed: int) -> bytes:
    """Return a disk of random runs, runs of one byte and holes, each from a sector to a few hundred KiB."""
    chance = random.Random(seed)  # noqa: S311  # the same each time
    data = bytearray()
    while len(data) < size:
        length = chance.choice([512, 4096, 12_800, 65_536, 70_144, 262_144])
        data += chance.choice([bytes(length), chance.randbytes(length), bytes([chance.randrange(256)]) * length])
    return bytes(data[:size])


def mutant(data: bytes, seed: int) -> bytes:
    """Return the bytes with a few of them changed, most in the first part where the tables are; some are cut."""
    chance = random.Random(seed)  # noqa: S311  # the same each time
    changed = bytearray(data)
    for _ in range(chance.randrange(1, 12)):
        end = len(changed) if chance.random() < 0.3 else min(len(changed), chance.choice([128, 1024, 70_000, 400_000]))
        place = chance.randrange(max(1, end - 8))
        width = chance.choice([1, 1, 2, 4, 8])
        value = chance.choice([0, 1, (1 << 8 * width) - 1, 1 << (8 * width - 1), chance.getrandbits(8 * width)])
        changed[place : place + width] = value.to_bytes(width, chance.choice(["little", "big"]))
    return bytes(changed[: chance.randrange(len(changed))]) if chance.random() < 0.1 else bytes(changed)
