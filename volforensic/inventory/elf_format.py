"""The headers of an ELF file, read without trust: elf(5), the System V gABI chapters 4 and 5, Linux' fs/binfmt_elf.c.

Linux looks at neither EI_CLASS nor EI_DATA nor at any section header, so a program that runs may lie in all of them:
here the header itself decides what it is, and the segments what is loaded.
"""

import struct
from collections.abc import Iterator
from typing import Literal, NamedTuple

from volforensic.inventory.elf_bytes import BoundedBytes

MAGIC = b"\x7fELF"
RELOCATABLE, EXECUTABLE, SHARED, CORE = 1, 2, 3, 4
LOAD, DYNAMIC, INTERPRETER, NOTE, STACK = 1, 2, 3, 4, 0x6474E551
IS_EXECUTABLE, IS_WRITABLE, IS_READABLE = 1, 2, 4
SYMBOL_TABLE, STRING_TABLE, NOTE_SECTION, NO_BITS, DYNAMIC_SYMBOLS = 2, 3, 7, 8, 11
SECTION_IS_EXECUTABLE = 4
_LARGEST_NAME = 256
_LARGEST_SEGMENT_TABLE = 64 << 10  # Linux loads no program whose table is larger
_LAST_SEGMENT_TYPE, _SYSTEM_TYPES = 7, range(0x60000000, 0x80000000)
_MOST_SECTIONS = 16384
_LARGEST_NAMES = 4 << 20
_EXTENDED = 0xFFFF  # the true number stands in the first section header (PN_XNUM, SHN_XINDEX)

MACHINES = {
    2: "sparc",
    3: "i386",
    4: "m68k",
    8: "mips",
    15: "parisc",
    18: "sparc32plus",
    20: "powerpc",
    21: "powerpc64",
    22: "s390",
    40: "arm",
    42: "superh",
    43: "sparcv9",
    50: "ia-64",
    62: "x86-64",
    83: "avr",
    92: "openrisc",
    93: "arc",
    94: "xtensa",
    113: "nios2",
    183: "aarch64",
    189: "microblaze",
    190: "cuda",
    195: "arcv2",
    224: "amdgpu",
    243: "riscv",
    247: "bpf",
    252: "csky",
    258: "loongarch",
    0x9026: "alpha",
}
SYSTEMS = {0: "System V", 2: "NetBSD", 3: "GNU/Linux", 6: "Solaris", 9: "FreeBSD", 12: "OpenBSD", 97: "ARM"}


class Header(NamedTuple):
    """The ELF header; ``order`` is struct's sign for the byte order."""

    bits: Literal[32, 64]
    order: Literal["<", ">"]
    system: int
    type: int
    machine: int
    version: int
    entry: int
    segments_offset: int
    sections_offset: int
    flags: int
    header_size: int
    segment_size: int
    segment_count: int
    section_size: int
    section_count: int
    names_index: int


class Segment(NamedTuple):
    """One program header."""

    type: int
    flags: int
    offset: int
    address: int
    file_size: int
    memory_size: int

    @property
    def rights(self) -> str:
        """The rights of its pages, as ``rwx`` with ``-`` for what is missing."""
        given = ((IS_READABLE, "r"), (IS_WRITABLE, "w"), (IS_EXECUTABLE, "x"))
        return "".join(letter if self.flags & bit else "-" for bit, letter in given)


class Section(NamedTuple):
    """One section header, with its name."""

    name: bytes
    type: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    information: int
    entry_size: int


class Image(NamedTuple):
    """The headers of one file and its bytes."""

    data: BoundedBytes
    header: Header
    segments: list[Segment]
    sections: list[Section]

    def loads(self) -> list[Segment]:
        """Return the segments that are loaded."""
        return [segment for segment in self.segments if segment.type == LOAD]

    def section(self, name: bytes) -> Section | None:
        """Return the first section of that name that has bytes in the file."""
        return next((one for one in self.sections if one.name == name and one.type != NO_BITS), None)

    def content(self, section: Section | Segment, limit: int) -> bytes:
        """Return the first ``limit`` bytes of a section or segment."""
        size = section.size if isinstance(section, Section) else section.file_size
        return self.data.read(section.offset, min(size, limit))

    def at_address(self, address: int, size: int) -> bytes:
        """Return up to ``size`` bytes that are loaded at an address; none where no segment loads it from the file.

        Of segments that overlap the last one counts: it is mapped over the others.
        """
        for segment in reversed(self.segments):
            inside = address - segment.address
            if segment.type == LOAD and 0 <= inside < segment.file_size:
                return self.data.read(segment.offset + inside, min(size, segment.file_size - inside))
        return b""


def read_image(data: BoundedBytes) -> Image | None:
    """Return the headers of an ELF file; None where the bytes are none. What is wrong is said to ``data``."""
    head = data.read(0, 64)
    if not head.startswith(MAGIC):
        return None
    header = _header(data, head)
    if header is None:
        data.say("the ELF header is cut off")
        return None
    first = _first_section(data, header)
    segments = list(_segments(data, header, first))
    sections = list(_sections(data, header, first))
    return Image(data, header, segments, sections)


def _header(data: BoundedBytes, head: bytes) -> Header | None:
    bits, order = head[4:5], head[5:6]
    declared = ({b"\1": 32, b"\2": 64}.get(bits, 0), {b"\1": "<", b"\2": ">"}.get(order, ""))
    candidates: list[Header] = []
    for width, form in ((64, "HHIQQQIHHHHHH"), (32, "HHIIIIIHHHHHH")):
        size = struct.calcsize("<" + form)
        if len(head) >= 16 + size:
            candidates += [
                Header(width, sign, head[7], *struct.unpack(sign + form, head[16 : 16 + size]))  # type: ignore[arg-type]  # the literals of the two loops
                for sign in ("<", ">")
            ]
    if not candidates:
        return None
    best = max(candidates, key=lambda one: (_plausibility(one), (one.bits, one.order) == declared))
    if (best.bits, best.order) != declared:
        written = "little" if best.order == "<" else "big"
        data.say(
            f"class or byte order of the identification are wrong: the header is {best.bits}-bit, {written}-endian"
        )
    return best


def _plausibility(header: Header) -> int:
    wide = header.bits == 64
    return (
        (header.type in {1, 2, 3, 4})
        + 2 * (header.machine in MACHINES)
        + (header.version == 1)
        + (header.header_size == (64 if wide else 52))
        + (header.segment_size == (56 if wide else 32))
        + (header.section_size == (64 if wide else 40))
    )


def _section_form(header: Header) -> struct.Struct:
    return struct.Struct(header.order + ("IIQQQQIIQQ" if header.bits == 64 else "10I"))


def _first_section(data: BoundedBytes, header: Header) -> Section | None:
    """Return the first section header: it holds the counts that do not fit into the ELF header."""
    form = _section_form(header)
    raw = data.read(header.sections_offset, form.size) if header.sections_offset else b""
    return _section(form.unpack(raw), b"") if len(raw) == form.size else None


def _segments(data: BoundedBytes, header: Header, first: Section | None) -> Iterator[Segment]:
    """Yield the program headers (elf(5): Elf32_Phdr, Elf64_Phdr)."""
    count = header.segment_count
    if count == _EXTENDED and first is not None:
        count = first.information or count
    if not count or not header.segments_offset:
        return
    form = struct.Struct(header.order + ("IIQQQQQQ" if header.bits == 64 else "8I"))
    if header.segment_size != form.size:
        data.say(f"a program header is said to have {header.segment_size} bytes, it has {form.size}")
    raw = data.read(header.segments_offset, min(form.size * count, _LARGEST_SEGMENT_TABLE))
    whole = len(raw) // form.size
    is_damaged = whole < count
    if is_damaged:
        data.say(f"{whole} of {count} program headers could be read")
    for fields in form.iter_unpack(raw[: whole * form.size]):
        if header.bits == 64:
            kind, flags, offset, address, _, file_size, memory_size, _ = fields
        else:
            kind, offset, address, _, file_size, memory_size, flags, _ = fields
        if is_damaged and kind > _LAST_SEGMENT_TYPE and kind not in _SYSTEM_TYPES:
            return  # the count is wrong: here the table has ended
        if kind in {LOAD, DYNAMIC, INTERPRETER, NOTE} and offset + file_size > data.size:
            data.say(f"a segment ends at {offset + file_size}, the file at {data.size}")
        yield Segment(kind, flags, offset, address, file_size, memory_size)


def _sections(data: BoundedBytes, header: Header, first: Section | None) -> Iterator[Section]:
    """Yield the section headers with their names (elf(5): Elf32_Shdr, Elf64_Shdr)."""
    if not header.sections_offset:
        return
    form = _section_form(header)
    if first is None:
        data.say(f"the section headers lie at {header.sections_offset}, beyond the file's end at {data.size}")
        return
    count = header.section_count or first.size
    if header.section_size != form.size and count:
        data.say(f"a section header is said to have {header.section_size} bytes, it has {form.size}")
    raw = data.read(header.sections_offset, form.size * min(count, _MOST_SECTIONS))
    whole = len(raw) // form.size
    if whole < count:
        data.say(f"{whole} of {count} section headers could be read")
    headers = [_section(fields, b"") for fields in form.iter_unpack(raw[: whole * form.size])]
    index = first.link if header.names_index == _EXTENDED else header.names_index
    names = b""
    if 0 < index < len(headers) and headers[index].type == STRING_TABLE:
        names = data.read(headers[index].offset, min(headers[index].size, _LARGEST_NAMES))
    if headers and not names:
        data.say("the names of the sections cannot be read")
    starts = (fields[0] for fields in form.iter_unpack(raw[: whole * form.size]))
    for section, start in zip(headers, starts, strict=True):
        if section.type not in {0, NO_BITS} and section.offset + section.size > data.size:
            data.say(f"a section ends at {section.offset + section.size}, the file at {data.size}")
        yield section._replace(name=name_at(names, start))


def _section(fields: tuple[int, ...], name: bytes) -> Section:
    _, kind, flags, address, offset, size, link, information, _, entry_size = fields
    return Section(name, kind, flags, address, offset, size, link, information, entry_size)


def name_at(table: bytes, offset: int, limit: int = _LARGEST_NAME) -> bytes:
    """Return the string at ``offset`` of a string table: up to its NUL byte, the table's end, or ``limit`` bytes."""
    if offset >= len(table):
        return b""
    end = table.find(b"\0", offset, offset + limit)
    return table[offset : end if end >= 0 else offset + limit]
