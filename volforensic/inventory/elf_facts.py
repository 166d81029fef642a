"""What an ELF file is: facts for an examiner, from bytes that nobody vouches for. Runs in a worker; pure.

Own code reads the file from end to end. pyelftools trusts what it reads, so it could serve only whole files, and what
an adversary has stripped or bent would be read by other code than the rest; the tests compare the two.
"""

import msgspec

from volforensic.inventory.elf_bytes import READ_LIMIT, BoundedBytes, ByteSource
from volforensic.inventory.elf_dynamic import (
    Dynamic,
    Symbols,
    dynamic_symbols,
    has_debug_information,
    interpreter,
    read_dynamic,
    static_symbols,
    symbol_count,
)
from volforensic.inventory.elf_format import (
    CORE,
    DYNAMIC,
    EXECUTABLE,
    IS_EXECUTABLE,
    MACHINES,
    RELOCATABLE,
    SHARED,
    SYSTEMS,
    Image,
    read_image,
)
from volforensic.inventory.elf_go import GoBuild, go_build
from volforensic.inventory.elf_imports import ImportGroup, kernel_imports, suspicious_imports
from volforensic.inventory.elf_measures import (
    Measures,
    Overlay,
    SectionFacts,
    SegmentFacts,
    find_overlay,
    section_facts,
    segment_facts,
)
from volforensic.inventory.elf_module import KernelModule, kernel_module
from volforensic.inventory.elf_notes import build_notes
from volforensic.inventory.elf_packer import Packer, find_packer
from volforensic.inventory.entropy import EntropyMeter
from volforensic.record import Row, text

_PROGRAMS = ("executable", "position-independent executable", "shared object")
_LARGEST_COMMENT = 64 << 10
_MOST_COMPILERS = 8
_LONGEST_COMPILER = 200


class ElfFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an ELF file is; a fact that is absent was not found, ``problems`` says what could not be read.

    ``type`` is one of executable, position-independent executable, shared object, relocatable, core, separate debug
    information (its code has no bytes). ``linkage`` is
    static or dynamic, None where the file is no program and no library. ``stripped`` says that the full symbol table
    is gone. ``entry`` is an address. ``section_count`` counts all sections, ``sections`` may hold the largest only.
    ``runpath`` and ``rpath`` are as they stand, colons included. ``compilers`` are the lines of ``.comment``.
    """

    bits: int
    byte_order: str
    machine: str
    system: str
    type: str
    entry: int
    linkage: str | None = None
    stripped: bool | None = None
    debug_information: bool = False
    symbol_count: int = 0
    dynamic_symbol_count: int = 0
    interpreter: str | None = None
    needed: list[str] = []
    soname: str | None = None
    rpath: str | None = None
    runpath: str | None = None
    build_id: str | None = None
    go: GoBuild | None = None
    compilers: list[str] = []
    section_count: int = 0
    sections: list[SectionFacts] = []
    segments: list[SegmentFacts] = []
    overlay: Overlay | None = None
    packer: Packer | None = None
    suspicious_imports: list[ImportGroup] = []
    module: KernelModule | None = None
    compression: str | None = None
    problems: list[str] = []

    def row(self) -> Row:
        """Return the facts as the key ``elf`` of the inventory's row."""
        row: Row = msgspec.to_builtins(self)
        return row


def describe_elf(source: ByteSource, size: int, meter: EntropyMeter, limit: int = READ_LIMIT) -> ElfFacts | None:
    """Return what an ELF file is; None where the bytes do not begin as one.

    Args:
        source: The file's bytes by position.
        size: How many there are.
        meter: What measures entropy.
        limit: How many bytes may be read, at most. What the limit costs stands in the problems.
    """
    data = BoundedBytes(source, size, limit)
    image = read_image(data)
    if image is None:
        return None
    header = image.header
    if header.type == CORE:
        return _facts(image, Dynamic(), b"")
    dynamic = read_dynamic(image)
    loader = interpreter(image)
    facts = _facts(image, dynamic, loader)
    return _examined(image, dynamic, facts, Measures(image, meter))


def _examined(image: Image, dynamic: Dynamic, facts: ElfFacts, measures: Measures) -> ElfFacts:
    """Return the facts with what costs more to find out."""
    is_object = image.header.type == RELOCATABLE
    notes = build_notes(image)
    is_library = image.header.type == SHARED and not dynamic.is_pie  # what the loader takes, an interpreter or not
    symbols = static_symbols(image) if is_object else dynamic_symbols(image, dynamic, with_exports=is_library)
    module = kernel_module(image, symbols) if is_object else None
    sections = section_facts(image, measures)
    segments = segment_facts(image, measures)
    signature = module.signature.size if module is not None and module.signature is not None else 0
    overlay = find_overlay(image, measures, signature)
    return msgspec.structs.replace(
        facts,
        stripped=not symbol_count(image),
        debug_information=has_debug_information(image),
        symbol_count=symbol_count(image),
        dynamic_symbol_count=0 if is_object else symbols.total,
        build_id=notes.build_id or None,
        go=None if is_object else go_build(image, notes.go_build_id),
        compilers=_compilers(image),
        sections=sections,
        segments=segments,
        overlay=overlay,
        packer=find_packer(image, sections, segments, overlay, facts.type),
        suspicious_imports=_imports(symbols, module, is_object=is_object, is_library=is_library),
        module=module,
        problems=image.data.problems,
    )


def _facts(image: Image, dynamic: Dynamic, loader: bytes) -> ElfFacts:
    header = image.header
    kind = _type(image, dynamic, loader)
    return ElfFacts(
        bits=header.bits,
        byte_order="little" if header.order == "<" else "big",
        machine=MACHINES.get(header.machine, f"machine {header.machine}"),
        system=SYSTEMS.get(header.system, f"system {header.system}"),
        type=kind,
        entry=header.entry,
        linkage=_linkage(image, dynamic, loader, kind),
        interpreter=text(loader) or None,
        needed=[text(name) for name in dynamic.needed],
        soname=text(dynamic.soname) or None,
        rpath=text(dynamic.rpath) or None,
        runpath=text(dynamic.runpath) or None,
        section_count=len(image.sections),
        problems=image.data.problems,
    )


def _type(image: Image, dynamic: Dynamic, loader: bytes) -> str:
    """Return the type in words: of ET_DYN, what a loader would not take as a library is a program."""
    kind = image.header.type
    if kind in {EXECUTABLE, SHARED} and _has_no_code(image):
        return "separate debug information"
    if kind != SHARED:
        return {RELOCATABLE: "relocatable", EXECUTABLE: "executable", CORE: "core"}.get(kind, f"type {kind}")
    is_library = bool(dynamic.tags) and (bool(dynamic.soname) or not loader)
    return "shared object" if is_library and not dynamic.is_pie else "position-independent executable"


def _has_no_code(image: Image) -> bool:
    """Return whether code is described and none is there, nor anything else to begin with."""
    code = [one for one in image.loads() if one.flags & IS_EXECUTABLE]
    begin = image.at_address(image.header.entry, 1) if image.header.entry else b""
    return bool(code) and not any(one.file_size for one in code) and not begin


def _linkage(image: Image, dynamic: Dynamic, loader: bytes, kind: str) -> str | None:
    if kind not in _PROGRAMS:
        return None
    if loader or dynamic.needed:
        return "dynamic"
    has_table = any(one.type == DYNAMIC and one.file_size for one in image.segments)
    return "dynamic" if has_table and not dynamic.is_pie and image.header.type == SHARED else "static"


def _compilers(image: Image) -> list[str]:
    section = image.section(b".comment")
    raw = image.content(section, _LARGEST_COMMENT) if section is not None else b""
    lines = dict.fromkeys(line[:_LONGEST_COMPILER].strip() for line in raw.split(b"\0"))
    return [text(line) for line in lines if line][:_MOST_COMPILERS]


def _imports(symbols: Symbols, module: KernelModule | None, *, is_object: bool, is_library: bool) -> list[ImportGroup]:
    if module is not None:
        return kernel_imports(symbols)
    return [] if is_object else suspicious_imports(symbols, is_library=is_library)
