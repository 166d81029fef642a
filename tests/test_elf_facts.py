"""What an ELF file says of itself, whole, stripped, bent and hostile."""

import math
import struct
from collections import Counter

import pytest
from elf_samples import (
    COMMON,
    FORMS,
    Form,
    Part,
    facts_of,
    go_blob,
    kernel_module,
    note,
    program,
    random_bytes,
    signature,
    upx,
)

from volforensic.inventory.elf_imports import ImportGroup
from volforensic.inventory.entropy import EntropyMeter

METER = EntropyMeter()


def groups(data: bytes) -> dict[str, list[str]]:
    return {one.group: one.symbols for one in facts_of(data).suspicious_imports}


@pytest.mark.parametrize("counted", ["hash", "gnu", "relocations", "layout"])
@pytest.mark.parametrize("form", FORMS)
def test_symbols_are_counted_without_section_headers(form: Form, counted: str) -> None:
    imports = (b"a", b"ptrace", b"puts")
    facts = facts_of(program(form, imports=imports, sections=False, counted=counted))
    assert facts.dynamic_symbol_count == 4
    assert facts.suspicious_imports == [ImportGroup("process tracing", ["ptrace"])]
    assert (facts.needed, facts.rpath) == (["libc.so.6"], None)


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


@pytest.mark.parametrize("is_begin", [True, False])
def test_section_headers_that_describe_nothing_hide_no_packer(*, is_begin: bool) -> None:
    data = bytearray(upx(magic=bytes(4), gap=40, sizes=False))
    data[40:48], data[58:64] = struct.pack("<Q", len(data)), struct.pack("<HHH", 64, 3, 2)
    names = b"\0.text\0.shstrtab\0"
    address = struct.unpack_from("<Q", data, 24)[0] if is_begin else 0x10040
    fake = COMMON.section(*[0] * 10) + COMMON.section(1, 1, 6, address, 64, 16, 0, 0, 1, 0)
    fake += COMMON.section(7, 3, 0, 0, len(data) + 192, len(names), 0, 0, 1, 0)
    facts = facts_of(bytes(data) + fake + names)
    assert [one.name for one in facts.sections] == [".text", ".shstrtab"]
    assert facts.packer is not None
    assert (facts.packer.name, facts.packer.is_altered) == ("UPX", True)
    assert all(one.entropy is not None for one in facts.segments if one.size)


def test_bundles_are_named() -> None:
    plain = program()
    image = facts_of(plain[:8] + b"AI\2" + plain[11:]).packer
    cookie = facts_of(plain + random_bytes(3000) + b"MEI\x0c\x0b\x0a\x0b\x0e" + bytes(80)).packer
    assert image is not None
    assert cookie is not None
    assert (image.name, cookie.name) == ("AppImage", "PyInstaller")


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


def test_a_library_with_an_interpreter_is_a_library_to_the_loader() -> None:
    hook = {"imports": (b"dlsym",), "exports": (b"readdir",)}
    assert list(groups(program(**hook))) == ["replaced library functions"]  # type: ignore[arg-type]  # by name
    assert list(groups(program(**hook, tags={0x6FFFFFFB: 0x08000000}))) == []  # type: ignore[arg-type]  # not loaded


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


@pytest.mark.parametrize("form", FORMS)
def test_a_module_that_hooks_and_hides(form: Form) -> None:
    imports = (b"kallsyms_lookup_name", b"register_kprobe", b"commit_creds", b"printk")
    facts = facts_of(
        kernel_module(form, structure=b"other", imports=imports, own=(b"hook_getdents64", b"orig_kill", b"new_read"))
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
