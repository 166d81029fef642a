"""ELF files that lie, mutants of them, and real ones as another reader sees them: no traceback, nothing unbounded."""

import random
import shutil
import struct
import subprocess
import time
from pathlib import Path

import pytest
from elf_samples import FORMS, Part, facts_of, go_blob, kernel_module, note, program, signature, upx

from volforensic.inventory.elf_bytes import SPENT, MemoryBytes
from volforensic.inventory.elf_facts import describe_elf
from volforensic.inventory.entropy import EntropyMeter

METER = EntropyMeter()
MODULE = b"path\texample.org/cmd/tool\nbuild\tvcs.revision=abc\n"


def test_what_is_no_elf_file_has_no_facts() -> None:
    for data in (b"", b"\x7fEL", b"\x7fELF", b"#!/bin/sh\n", bytes(1000)):
        assert describe_elf(MemoryBytes(data), len(data), METER) is None


@pytest.mark.parametrize(
    ("offset", "form", "value", "said"),
    [
        (40, "Q", 1 << 62, "beyond the file's end"),
        (56, "H", 0xFFFF, "program headers could be read"),
        (60, "H", 0xFFF0, "section headers could be read"),
        (58, "H", 1, "a section header is said to have 1 bytes"),
        (54, "H", 3, "a program header is said to have 3 bytes"),
        (62, "H", 0xFFF0, "names of the sections cannot be read"),
        (64 + 56 + 32, "Q", 1 << 63, "a segment ends at"),
        (64 + 8, "Q", 1 << 40, "path of the interpreter"),
    ],
)
def test_headers_that_lie_are_said_and_cost_nothing(offset: int, form: str, value: int, said: str) -> None:
    data = bytearray(program(imports=(b"puts",)))
    struct.pack_into("<" + form, data, offset, value)
    facts = facts_of(bytes(data))
    assert any(said in one for one in facts.problems), facts.problems
    assert facts.machine == "x86-64"
    assert facts.needed == ["libc.so.6"]


def test_a_dynamic_table_that_points_nowhere_is_said() -> None:
    facts = facts_of(program(tags={5: 1 << 60}))
    assert facts.needed == []
    assert any("points nowhere" in one for one in facts.problems)


def test_of_very_many_libraries_the_first_are_kept_and_it_is_said() -> None:
    facts = facts_of(program(needed=(b"x" * 4000,) * 300))
    assert len(facts.needed) == 128
    assert len(str(facts.row())) < 100_000
    assert "128 of 300 needed libraries are kept" in facts.problems


def test_a_file_costs_no_more_bytes_than_it_may() -> None:
    data = program(extra=tuple(Part(b".s%d" % one, 1, 0, bytes(10_000)) for one in range(50)))
    limited = describe_elf(MemoryBytes(data), len(data), METER, limit=100_000)
    assert limited is not None
    assert SPENT in limited.problems
    assert facts_of(data).problems == []


def mutated(seed: bytes, source: random.Random) -> bytes:
    data = bytearray(seed)
    for _ in range(source.choice((1, 1, 3, 20))):
        place = source.choice(
            (source.randrange(400), source.randrange(len(data)), len(data) - 1 - source.randrange(700))
        )
        place = max(0, min(place, len(data) - 8))
        value = source.choice((0, 1, 0x7F, 0xFF, 0xFFFF, 1 << 31, (1 << 32) - 1, (1 << 63), (1 << 64) - 1, len(data)))
        width = source.choice((1, 2, 4, 8))
        data[place : place + width] = (value & ((1 << 8 * width) - 1)).to_bytes(width, source.choice(("little", "big")))
    return bytes(data[: source.randrange(4, len(data))] if source.random() < 0.2 else data)


def test_no_mutant_raises_or_takes_long() -> None:
    seeds = [kernel_module(form) + signature() for form in FORMS] + [upx(form) for form in FORMS]
    seeds += [
        program(form, imports=(b"ptrace",), exports=(b"x",), notes=note(form, b"GNU", 3, b"abcd")) for form in FORMS
    ]
    seeds += [program(form, data=go_blob(b"go1", MODULE), sections=False, counted="layout") for form in FORMS]
    source = random.Random(20261120)  # noqa: S311 - a fixed sequence, so that a failure comes again
    begin = time.process_time()
    described = 0
    for number in range(3000):
        data = mutated(seeds[number % len(seeds)], source)
        facts = describe_elf(MemoryBytes(data), len(data), METER)
        described += facts is not None
        if facts is not None:
            assert len(str(facts.row())) < 100_000
    assert described > 2000
    assert time.process_time() - begin < 60, "a mutant takes 1 ms; one of them took a thousand times as long"


HOST_PROGRAMS = [path for name in ("true", "bash", "python3", "ls") if (path := shutil.which(name)) is not None]


@pytest.mark.parametrize("path", HOST_PROGRAMS or [""])
def test_programs_of_this_host_as_pyelftools_reads_them(path: str) -> None:
    if not path:
        pytest.skip("none of the programs is here")
    elffile = pytest.importorskip("elftools.elf.elffile")
    data = Path(path).resolve().read_bytes()
    if not data.startswith(b"\x7fELF"):
        pytest.skip(f"{path} is no ELF file")
    facts = facts_of(data)
    with Path(path).resolve().open("rb") as stream:
        other = elffile.ELFFile(stream)
        dynamic = next((one for one in other.iter_segments() if one["p_type"] == "PT_DYNAMIC"), None)
        tags = list(dynamic.iter_tags()) if dynamic is not None else []
        symbols = other.get_section_by_name(".dynsym")
        assert (facts.bits, facts.byte_order == "little") == (other.elfclass, other.little_endian)
        assert facts.entry == other["e_entry"]
        assert facts.needed == [tag.needed for tag in tags if tag.entry.d_tag == "DT_NEEDED"]
        assert facts.section_count == other.num_sections()
        assert facts.dynamic_symbol_count == (symbols.num_symbols() if symbols is not None else 0)
    assert (facts.problems, facts.packer, facts.overlay) == ([], None, None)


def test_stripping_the_section_headers_changes_nothing_else(tmp_path: Path) -> None:
    if shutil.which("objcopy") is None or shutil.which("true") is None:
        pytest.skip("objcopy is not here")
    bare = tmp_path / "bare"
    source = Path(str(shutil.which("true"))).resolve()
    made = subprocess.run(["objcopy", "--strip-section-headers", source, bare], check=False, capture_output=True)
    if made.returncode:
        data = bytearray(source.read_bytes())
        data[40:48], data[58:64] = bytes(8), bytes(6)  # what the option does, for binutils before 2.41
        bare.write_bytes(data)
    whole, stripped = facts_of(source.read_bytes()), facts_of(bare.read_bytes())
    for name in ("machine", "type", "linkage", "interpreter", "needed", "build_id", "dynamic_symbol_count", "entry"):
        assert getattr(stripped, name) == getattr(whole, name), name
    assert stripped.packer is None
