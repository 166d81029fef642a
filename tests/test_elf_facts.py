"""What an ELF file says of itself, whole, stripped, bent and hostile."""

import math
import random
import shutil
import struct
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from elf_samples import (
    COMMON,
    Form,
    Part,
    go_blob,
    kernel_module,
    note,
    program,
    random_bytes,
    signature,
    upx,
)

from volforensic.inventory.elf_bytes import SPENT, MemoryBytes
from volforensic.inventory.elf_facts import ElfFacts, describe_elf
from volforensic.inventory.elf_imports import ImportGroup
from volforensic.inventory.entropy import EntropyMeter

FORMS = [Form(bits, order) for bits in (32, 64) for order in "<>"]
METER = EntropyMeter()


def facts_of(data: bytes) -> ElfFacts:
    found = describe_elf(MemoryBytes(data), len(data), METER)
    assert found is not None
    return found


def groups(data: bytes) -> dict[str, list[str]]:
    return {one.group: one.symbols for one in facts_of(data).suspicious_imports}


@pytest.mark.parametrize("sections", [True, False])
@pytest.mark.parametrize("form", FORMS)
def test_a_program_is_described_with_and_without_section_headers(form: Form, *, sections: bool) -> None:
    identity = note(form, b"GNU", 3, bytes(range(20)))
    facts = facts_of(
        program(
            form,
            names={14: b"me.so", 15: b"/old", 29: b"$ORIGIN/lib:/opt"},
            needed=(b"libc.so.6", b"libm.so.6"),
            imports=(b"ptrace", b"puts"),
            exports=(b"run",),
            notes=identity,
            tags={0x6FFFFFFB: 0x08000000},
            sections=sections,
        )
    )
    machine = {(32, "<"): "i386", (32, ">"): "powerpc", (64, "<"): "x86-64", (64, ">"): "s390"}[form]
    order = "little" if form.order == "<" else "big"
    assert (facts.bits, facts.byte_order, facts.machine, facts.system) == (form.bits, order, machine, "System V")
    assert (facts.type, facts.linkage) == ("position-independent executable", "dynamic")
    assert (facts.interpreter, facts.needed) == ("/lib64/ld.so", ["libc.so.6", "libm.so.6"])
    assert (facts.soname, facts.rpath, facts.runpath) == ("me.so", "/old", "$ORIGIN/lib:/opt")
    assert (facts.build_id, facts.dynamic_symbol_count) == (bytes(range(20)).hex(), 4)
    assert facts.suspicious_imports == [ImportGroup("process tracing", ["ptrace"])]
    assert facts.stripped is True
    assert facts.problems == []
    expected = [".data", ".dynamic", ".dynstr", ".dynsym", ".interp", ".shstrtab", ".text"] if sections else []
    assert sorted(one.name for one in facts.sections) == expected
    assert all((one.entropy is None) is sections for one in facts.segments)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (program(kind=2), ("executable", "dynamic")),
        (program(kind=2, interpreter=b"", dynamic=False), ("executable", "static")),
        (
            program(interpreter=b"", needed=(), tags={0x6FFFFFFB: 0x08000000}),
            ("position-independent executable", "static"),
        ),
        (program(interpreter=b"", names={14: b"lib.so"}), ("shared object", "dynamic")),
        (program(interpreter=b"", needed=()), ("shared object", "dynamic")),
        (program(names={14: b"libc.so.6"}), ("shared object", "dynamic")),
        (program(interpreter=b"", dynamic=False), ("position-independent executable", "static")),
        (program(kind=4), ("core", None)),
        (program(kind=0xFE00), ("type 65024", None)),
        (kernel_module(), ("relocatable", None)),
    ],
)
def test_type_and_linkage(data: bytes, expected: tuple[str, str | None]) -> None:
    facts = facts_of(data)
    assert (facts.type, facts.linkage) == expected


def test_class_and_byte_order_that_lie_are_seen_through() -> None:
    data = bytearray(program(imports=(b"ptrace",)))
    data[4:6] = b"\x01\x02"  # Linux looks at neither
    facts = facts_of(bytes(data))
    assert (facts.bits, facts.byte_order, facts.machine, facts.needed) == (64, "little", "x86-64", ["libc.so.6"])
    assert "class or byte order" in facts.problems[0]


def test_the_last_of_two_segments_at_one_address_is_what_is_loaded() -> None:
    data = bytearray(program(sections=False))
    shown, loaded = data.find(b"libc.so.6"), len(data)
    data += bytes(data[:shown]) + b"evil.so.6" + bytes(data[shown + 9 : loaded])
    note_header = 64 + 4 * 56
    data[note_header : note_header + 56] = COMMON.segment(1, 5, loaded, 0x10000, loaded)
    assert facts_of(bytes(data)).needed == ["evil.so.6"]


def test_compilers_and_debug_information() -> None:
    comment = b"GCC: (Debian 12.2.0) 12.2.0\0rustc version 1.80.0\0GCC: (Debian 12.2.0) 12.2.0\0"
    extra = (Part(b".comment", 1, 0x30, comment), Part(b".debug_info", 1, 0, b"x" * 10))
    facts = facts_of(program(extra=extra))
    assert facts.compilers == ["GCC: (Debian 12.2.0) 12.2.0", "rustc version 1.80.0"]
    assert facts.debug_information


def test_a_symbol_table_means_not_stripped() -> None:
    facts = facts_of(program(extra=(Part(b".symtab", 2, 0, COMMON.symbol(0, 0) * 3, 4, 24),)))
    assert (facts.stripped, facts.symbol_count) == (False, 3)


def test_separate_debug_information_is_no_program() -> None:
    data = bytearray(program(kind=3))
    data[64 + 56 : 64 + 112] = COMMON.segment(1, 5, 0, 0x10000, 0, 4096)
    assert (facts_of(bytes(data)).type, facts_of(bytes(data)).linkage) == ("separate debug information", None)


MODULE = (
    b"path\texample.org/cmd/tool\nmod\texample.org/tool\tv1.2.3\th1:x=\ndep\tgolang.org/x/net\tv0.1.0\th1:y=\n"
    b"build\tvcs.revision=abc\nbuild\t-ldflags=-s -w\n"
)


@pytest.mark.parametrize("place", ["section", "data"])
def test_go_build_since_1_18(place: str) -> None:
    blob = go_blob(b"go1.22.1", MODULE)
    data = (
        program(extra=(Part(b".go.buildinfo", 1, 3, blob),))
        if place == "section"
        else program(data=bytes(64) + blob, sections=False)
    )
    go = facts_of(data).go
    assert go is not None
    assert (go.version, go.path, go.module, go.module_version) == (
        "go1.22.1",
        "example.org/cmd/tool",
        "example.org/tool",
        "v1.2.3",
    )
    assert (go.revision, go.settings["-ldflags"]) == ("abc", "-s -w")
    assert (go.dependencies, go.dependency_count) == (["golang.org/x/net v0.1.0"], 1)


@pytest.mark.parametrize("form", FORMS)
def test_go_build_before_1_18_goes_by_pointers(form: Form) -> None:
    plain = program(form, data=bytes(400), sections=False)
    start = 0x20000 + len(plain) - 400  # the address of the data segment
    width = form.bits // 8
    flags = bytes([width, form.order == ">"])
    head = b"\xff Go buildinf:" + flags + form.word(start + 64, start + 96)
    data = (
        head.ljust(64, b"\0") + form.word(start + 128, 8).ljust(32, b"\0") + form.word(start + 160, 12).ljust(32, b"\0")
    )
    data += b"go1.15.9".ljust(32, b"\0") + b"path\tmain\nx\n"
    go = facts_of(program(form, data=data.ljust(400, b"\0"), sections=False)).go
    assert go is not None
    assert (go.version, go.path) == ("go1.15.9", "main")


def test_go_without_its_blob_is_still_go() -> None:
    go = facts_of(program(notes=note(COMMON, b"Go", 4, b"abc/def"))).go
    assert go is not None
    assert (go.version, go.build_id) == ("", "abc/def")
    assert facts_of(program()).go is None


@pytest.mark.parametrize("size", [0, 1, 511, 512, 100_000])
def test_entropy_is_shannons(size: int) -> None:
    data = random_bytes(size) if size % 2 else (b"abcd" * size)[:size]
    counted = -sum(one / size * math.log2(one / size) for one in Counter(data).values()) if size else 0
    assert METER.measure(data) == pytest.approx(counted, abs=1e-9)


def test_a_section_has_its_entropy_and_a_large_one_a_sample_of_it() -> None:
    facts = facts_of(program(extra=(Part(b".noise", 1, 0, random_bytes(70_000)), Part(b".big", 1, 0, bytes(20 << 20)))))
    found = {one.name: one for one in facts.sections}
    assert found[".noise"].entropy == pytest.approx(8, abs=0.01)
    assert found[".noise"].measured is None
    assert (found[".big"].entropy, found[".big"].measured) == (0, 16 << 20)


def test_bytes_behind_the_end_are_an_overlay() -> None:
    plain = program()
    assert facts_of(plain).overlay is None
    overlay = facts_of(plain + b"\x1f\x8b\x08" + bytes(500)).overlay
    assert overlay is not None
    assert (overlay.offset, overlay.size, overlay.mime) == (len(plain), 503, "application/gzip")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("changes", "is_altered"),
    [
        ({}, False),
        ({"magic": b"YTS!"}, True),
        ({"magic": bytes(4), "sizes": False}, True),
        ({"sizes": False}, True),
        ({"magic": bytes(4), "gap": 36}, True),
        ({"magic": bytes(4), "trailer": False, "sizes": False}, True),
    ],
)
def test_upx_is_known_by_its_blocks(form: Form, changes: dict[str, object], *, is_altered: bool) -> None:
    for data in (upx(form, **changes), upx(form, **changes) + random_bytes(100_000)):  # type: ignore[arg-type]  # by name
        packer = facts_of(data).packer
        assert packer is not None
        assert (packer.name, packer.confidence, packer.is_altered) == ("UPX", "certain", is_altered)
        assert "3 compressed blocks (LZMA)" in packer.signs[0]


def test_what_names_upx_without_being_packed_is_not_packed() -> None:
    assert facts_of(program(data=b"UPX! $Info: This file is packed with the UPX executable packer")).packer is None


def test_an_unknown_packer_is_known_by_several_signs_and_random_code_alone_is_only_possible() -> None:
    noise = random_bytes(60_000)
    packed = facts_of(program(kind=2, code=noise, sections=False, rights=7)).packer
    assert packed is not None
    assert (packed.name, packed.confidence) == ("unknown", "likely")
    assert any("writable segment (rwx)" in sign for sign in packed.signs)
    alone = facts_of(program(kind=2, code=noise)).packer
    assert alone is not None
    assert (alone.confidence, len(alone.signs)) == ("possible", 1)
    assert facts_of(program(kind=2, sections=False)).packer is None
    assert facts_of(program(data=random_bytes(200_000))).packer is None


@pytest.mark.parametrize(
    ("imports", "expected"),
    [
        ((b"socket", b"connect", b"dup2", b"execve"), ["shell over a connection"]),
        ((b"socket", b"bind", b"listen", b"accept", b"dup2", b"execl"), ["shell behind a port"]),
        ((b"setuid", b"setgid", b"system"), ["program under another identity"]),
        ((b"memfd_create", b"fexecve"), ["program in memory"]),
        ((b"finit_module",), ["kernel module loading"]),
        ((b"socket", b"connect", b"puts", b"execve"), []),
        ((b"memfd_create", b"mmap"), []),
        (
            (*(b"f%d" % one for one in range(200)), b"socket", b"connect", b"dup2", b"execve", b"ptrace", b"setuid"),
            [],
        ),
    ],
)
def test_imports_of_programs_that_are_worth_a_word(imports: tuple[bytes, ...], expected: list[str]) -> None:
    assert list(groups(program(imports=imports))) == expected


@pytest.mark.parametrize(
    ("imports", "exports", "expected"),
    [
        ((b"dlsym",), (b"readdir", b"fopen"), ["replaced library functions"]),
        ((), (b"readdir64",), ["replaced library functions"]),
        ((b"dlsym",), (b"pam_authenticate", b"pam_start", b"pam_end"), []),
        ((), (b"pam_sm_authenticate", b"pam_sm_setcred"), ["PAM module"]),
        ((), (b"_nss_x_getpwnam_r",), ["name service module"]),
        ((b"dlsym",), (b"my_function",), []),
        ((b"dlsym",), (b"readdir", b"__libc_start_main", *(b"f%d" % one for one in range(1000))), []),
    ],
)
def test_what_a_library_offers(imports: tuple[bytes, ...], exports: tuple[bytes, ...], expected: list[str]) -> None:
    data = program(interpreter=b"", names={14: b"libc.so.6"}, imports=imports, exports=exports)
    assert list(groups(data)) == expected


@pytest.mark.parametrize("form", FORMS)
def test_a_kernel_module(form: Form) -> None:
    facts = facts_of(kernel_module(form) + signature())
    module = facts.module
    assert module is not None
    assert (module.name, module.loads_as, module.license, module.vermagic) == ("probe", "", "GPL", "6.1.0 SMP ")
    assert (module.authors, module.depends, module.srcversion) == (["A. Body"], ["a", "b"], "F00")
    assert (module.signed, module.in_tree) == (True, False)
    assert module.signature is not None
    assert (module.signature.kind, module.signature.hash) == ("PKCS#7", "sha512")
    assert (module.signature.signer, module.signature.key) == ("Some key", "0a0b")
    assert (facts.overlay, facts.suspicious_imports, facts.problems) == (None, [], [])


def test_a_module_that_hooks_and_hides() -> None:
    imports = (b"kallsyms_lookup_name", b"register_kprobe", b"commit_creds", b"printk")
    facts = facts_of(
        kernel_module(structure=b"other", imports=imports, own=(b"hook_getdents64", b"orig_kill", b"new_read"))
    )
    assert facts.module is not None
    assert (facts.module.signed, facts.module.loads_as) == (False, "other")
    assert {one.group: one.symbols for one in facts.suspicious_imports} == {
        "kernel symbol lookup": ["kallsyms_lookup_name"],
        "kernel function hooks": ["register_kprobe"],
        "credentials": ["commit_creds"],
        "replaced functions": ["hook_getdents64", "orig_kill"],
    }
    assert groups(kernel_module(imports=(b"call_usermodehelper", b"send_sig"))) == {}


def test_a_module_without_its_information_and_a_damaged_signature_are_said() -> None:
    bent = kernel_module(information=b"").replace(b".modinfo", b".whatnot")
    facts = facts_of(bent + signature()[:-41] + b"\xff" * 13 + signature()[-28:])
    assert facts.module is not None
    assert facts.module.signed
    assert any("without .modinfo" in one for one in facts.problems)
    assert any("signature" in one for one in facts.problems)


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
    seeds += [program(form, data=go_blob(b"go1", MODULE), sections=False, hashed=False) for form in FORMS]
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
