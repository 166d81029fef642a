"""The ELF stage: facts through workers, by extents and through the filesystem, and what a bad file costs."""

import gzip
import lzma
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from elf_samples import kernel_module, program, random_bytes, signature, upx
from inventory_samples import entry
from media import handle_of, medium_of

from volforensic.evidence.node import Extent
from volforensic.inventory.elf_bytes import ExtentBytes
from volforensic.inventory.elf_facts import ElfFacts
from volforensic.inventory.elf_stage import ElfArguments, ElfFile, examine_elf, read_elf_files
from volforensic.inventory.entry import FileEntry
from volforensic.preload import preloaded_modules
from volforensic.record import Problem
from volforensic.sandbox.pool import Pool

MODULES = [*preloaded_modules([]), "volforensic.inventory.elf_stage"]


class Disk:
    """A source that holds files one after the other, each in pieces that lie backwards with a gap between."""

    def __init__(self, path: Path) -> None:
        """Begin with an empty file."""
        self.path = path
        path.write_bytes(b"\xee" * 512)

    def add(self, name: bytes, data: bytes, piece: int = 1 << 20, **values: Any) -> tuple[FileEntry, bytes]:
        """Write a file and return its entry and its path on the host."""
        extents = []
        with self.path.open("ab") as disk:
            for start in reversed(range(0, len(data), piece)):
                part = data[start : start + piece]
                extents.append(Extent(start, disk.tell(), len(part)))
                disk.write(part + b"\xee" * 512)
        fields = {"size": len(data), "extents": tuple(sorted(extents)), **values}
        return entry(b"/" + name, **fields), b"/mnt/" + name


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path / "disk")


def examined(disk: Disk, files: list[tuple[FileEntry, bytes]]) -> list[tuple[FileEntry, ElfFacts] | Problem]:
    descriptor = os.open(disk.path, os.O_RDONLY)
    try:
        with Pool(preload=MODULES, jobs=1) as pool:
            return list(examine_elf(pool, handle_of(descriptor), iter(files), {}))
    finally:
        os.close(descriptor)


def test_files_are_described_in_order_through_workers(disk: Disk) -> None:
    files = [
        disk.add(b"bin/tool", program(imports=(b"ptrace",)), piece=700),
        disk.add(b"notes.txt", b"no ELF file at all\n" * 100),
        disk.add(b"tmp/x", upx(), piece=4096),
        disk.add(b"lib/probe.ko", kernel_module() + signature()),
    ]
    results = examined(disk, files)
    facts = {item[0].path: item[1] for item in results if isinstance(item, tuple)}
    assert list(facts) == [b"/bin/tool", b"/tmp/x", b"/lib/probe.ko"]
    assert facts[b"/bin/tool"].needed == ["libc.so.6"]
    assert facts[b"/bin/tool"].sections[0].entropy is not None
    packer, module = facts[b"/tmp/x"].packer, facts[b"/lib/probe.ko"].module
    assert packer is not None
    assert packer.name == "UPX"
    assert module is not None
    assert module.signed
    assert [item for item in results if isinstance(item, Problem)] == []


@pytest.mark.parametrize("form", ["gzip", "xz", "zstd"])
def test_compressed_kernel_modules_are_described(disk: Disk, form: str) -> None:
    compressed: dict[str, Callable[[bytes], bytes]] = {
        "gzip": gzip.compress,
        "xz": lzma.compress,
        "zstd": zstandard.ZstdCompressor().compress,
    }
    packed = compressed[form](kernel_module() + signature())
    cut = disk.add(b"cut.ko", packed[: len(packed) // 2])
    found, *problems = examined(disk, [disk.add(b"probe.ko", packed), cut])
    assert isinstance(found, tuple)
    facts = found[1]
    assert facts.compression == form
    assert facts.module is not None
    assert facts.module.signed
    assert any(isinstance(one, Problem) and one.lost and one.source == "/mnt/cut.ko" for one in problems)


def test_a_file_that_is_cut_off_or_lies_is_said_and_the_next_one_is_read(disk: Disk) -> None:
    data = program()
    beyond = entry(b"/gone", size=len(data), extents=(Extent(0, 1 << 40, len(data)),))
    cut = disk.add(b"cut", data[:-3000])
    results = examined(disk, [(beyond, b"/gone"), cut, disk.add(b"good", data)])
    problems = [item for item in results if isinstance(item, Problem)]
    assert [item[0].path for item in results if isinstance(item, tuple)] == [b"/cut", b"/good"]
    assert [(one.source, one.lost) for one in problems[:1]] == [("/gone", True)]
    assert "the source ends before the file does" in problems[0].reason
    assert {(one.source, one.lost) for one in problems[1:]} == {("/mnt/cut", False)}


class Place:
    """A workplace without a worker."""

    source = -1
    prepared = None

    def begin_item(self, item: int) -> None:
        """Do nothing with it."""


def test_a_file_without_extents_is_read_through_its_filesystem(monkeypatch: pytest.MonkeyPatch) -> None:
    data = program()

    class Filesystem:
        def chunks(self, tree: int, inode: int) -> Iterator[tuple[int, bytes]]:
            assert (tree, inode) == (0, 12)
            yield 0, data[:1000]
            yield 1000, data[1000:]

    monkeypatch.setattr("volforensic.inventory.elf_stage.filesystem_opener", lambda *_: lambda *_: Filesystem())
    file = ElfFile(entry=entry(b"/x", size=len(data), extents=None), path=b"/x")
    (message,) = read_elf_files(Place(), ElfArguments(files=[file], volumes={}))  # type: ignore[arg-type]  # stands in
    assert message.facts is not None
    assert message.facts.needed == ["libc.so.6"]
    assert message.losses == []


def test_bytes_by_extents_are_the_files_bytes_with_holes_as_zeros(disk: Disk) -> None:
    data = random_bytes(10_000)
    found, _ = disk.add(b"x", data, piece=1500)
    assert found.extents is not None
    kept = (*found.extents[:2], *found.extents[4:])
    holed = data[:3000] + bytes(3000) + data[6000:]
    descriptor = os.open(disk.path, os.O_RDONLY)
    losses: list[Any] = []
    source = ExtentBytes(medium_of(descriptor), entry(b"/x", size=10_500, extents=kept), lambda _: None, losses)  # type: ignore[arg-type, return-value]  # never asked
    expected = holed + bytes(500)
    for start, size in ((0, 10_500), (1499, 2), (2999, 3002), (5999, 2), (9999, 10), (10_499, 50), (10_500, 1), (0, 0)):
        assert source.read_at(start, size) == expected[start : start + size]
    os.close(descriptor)
    assert losses == []
