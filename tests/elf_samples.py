"""ELF files built by bytes: programs, libraries and kernel modules of either class and byte order."""

import random
import struct
from typing import NamedTuple

from volforensic.inventory.elf_bytes import MemoryBytes
from volforensic.inventory.elf_facts import ElfFacts, describe_elf
from volforensic.inventory.entropy import EntropyMeter

MACHINE = {("<", 64): 62, (">", 64): 22, ("<", 32): 3, (">", 32): 20}
BASE = 0x10000
INFORMATION = b"license=GPL\0author=A. Body\0name=probe\0vermagic=6.1.0 SMP \0depends=a,b\0srcversion=F00\0"
CODE = b"\x55\x48\x89\xe5\x5d\xc3" * 400


class Form(NamedTuple):
    """Class and byte order, and the layout that follows from them."""

    bits: int = 64
    order: str = "<"

    @property
    def wide(self) -> bool:
        """Whether addresses have 64 bits."""
        return self.bits == 64

    @property
    def header_size(self) -> int:
        """Bytes of the ELF header."""
        return 64 if self.wide else 52

    @property
    def segment_size(self) -> int:
        """Bytes of a program header."""
        return 56 if self.wide else 32

    def word(self, *values: int) -> bytes:
        """Values as wide as an address."""
        return struct.pack(self.order + ("Q" if self.wide else "I") * len(values), *values)

    def header(self, kind: int, entry: int, segments: int, sections: tuple[int, int, int], machine: int = 0) -> bytes:
        """The ELF header; ``sections`` is offset, count, index of the names; program headers follow it."""
        offset, count, names = sections
        identity = b"\x7fELF" + bytes([2 if self.wide else 1, 1 if self.order == "<" else 2, 1, 0]) + bytes(8)
        head = struct.pack(self.order + "HHI", kind, machine or MACHINE[self.order, self.bits], 1)
        places = self.word(entry, self.header_size if segments else 0, offset)
        sizes = (0, self.header_size, self.segment_size, segments, 64 if self.wide else 40, count, names)
        return identity + head + places + struct.pack(self.order + "IHHHHHH", *sizes)

    def segment(self, kind: int, flags: int, *place: int) -> bytes:
        """Return a program header; ``place`` is offset, address, size and, where it is another, size in memory."""
        offset, address, size, memory = (*place, -1)[:4]
        memory = size if memory < 0 else memory
        if self.wide:
            return struct.pack(self.order + "IIQQQQQQ", kind, flags, offset, address, address, size, memory, 16)
        return struct.pack(self.order + "8I", kind, offset, address, address, size, memory, flags, 16)

    def section(self, *fields: int) -> bytes:
        """Name, type, flags, address, offset, size, link, information, alignment, size of an entry."""
        return struct.pack(self.order + ("IIQQQQIIQQ" if self.wide else "10I"), *fields)

    def symbol(self, name: int, index: int, information: int = 0x12) -> bytes:
        """An entry of a symbol table."""
        if self.wide:
            return struct.pack(self.order + "IBBHQQ", name, information, 0, index, 0x1000, 8)
        return struct.pack(self.order + "IIIBBH", name, 0x1000, 8, information, 0, index)


COMMON = Form()
FORMS = [Form(bits, order) for bits in (32, 64) for order in "<>"]


def facts_of(data: bytes) -> ElfFacts:
    found = describe_elf(MemoryBytes(data), len(data), EntropyMeter())
    assert found is not None
    return found


class Strings:
    """A string table that grows."""

    def __init__(self) -> None:
        """Begin with the empty string."""
        self.table = b"\0"

    def add(self, text: bytes) -> int:
        """Add a string and return its offset."""
        place = len(self.table)
        self.table += text + b"\0"
        return place


class Part(NamedTuple):
    """A section: name, type, flags, content; link is the number of another part, counted from 1."""

    name: bytes
    type: int
    flags: int
    content: bytes
    link: int = 0
    entry: int = 0


def note(form: Form, owner: bytes, kind: int, content: bytes) -> bytes:
    head = struct.pack(form.order + "III", len(owner) + 1, len(content), kind)
    return (
        head
        + (owner + b"\0").ljust(-(-(len(owner) + 1) // 4) * 4, b"\0")
        + content.ljust(-(-len(content) // 4) * 4, b"\0")
    )


def program(  # noqa: PLR0913 - the parts of a program, each of them optional
    form: Form = COMMON,
    *,
    kind: int = 3,
    interpreter: bytes = b"/lib64/ld.so",
    needed: tuple[bytes, ...] = (b"libc.so.6",),
    names: dict[int, bytes] | None = None,
    tags: dict[int, int] | None = None,
    imports: tuple[bytes, ...] = (),
    exports: tuple[bytes, ...] = (),
    code: bytes = CODE,
    data: bytes = b"data",
    notes: bytes = b"",
    extra: tuple[Part, ...] = (),
    dynamic: bool = True,
    sections: bool = True,
    counted: str = "hash",
    rights: int = 5,
) -> bytes:
    """A program or library: a segment of all but data, one of data; ``names`` are tags that stand for a string."""
    strings = Strings()
    symbols = form.symbol(0, 0, 0)
    symbols += b"".join(form.symbol(strings.add(one), 0) for one in imports)
    symbols += b"".join(form.symbol(strings.add(one), 1) for one in exports)
    count = 1 + len(imports) + len(exports)
    table = [(1, strings.add(one)) for one in needed] + [(tag, strings.add(one)) for tag, one in (names or {}).items()]
    chains = _counting(form, count, counted)
    head = form.header_size + 5 * form.segment_size
    contents = {"interp": interpreter + b"\0", "note": notes, "code": code, "hash": chains}
    last = {"symbols": symbols, "strings": strings.table}  # where nothing else counts, the names end the symbols
    contents |= last if counted == "layout" else dict(reversed(last.items()))
    places: dict[str, int] = {}
    body = b""
    for name, content in contents.items():
        body += bytes(-(head + len(body)) % 16)
        places[name] = head + len(body)
        body += content
    table += [(6, BASE + places["symbols"]), (5, BASE + places["strings"]), (10, len(strings.table))]
    counting = {"hash": 4, "gnu": 0x6FFFFEF5, "relocations": 7}
    table += [(counting[counted], BASE + places["hash"])] if counted in counting else []
    table += [(8, len(chains))] if counted == "relocations" else []
    table += [*(tags or {}).items(), (0, 0), (15, 1), (1, 1)]  # what follows the end does not count
    body += bytes(-(head + len(body)) % 16)
    places["dynamic"] = head + len(body)
    contents["dynamic"] = b"".join(form.word(*pair) for pair in table) if dynamic else b""
    body += contents["dynamic"]
    end = head + len(body)
    headers = [
        form.segment(3, 4, places["interp"], BASE + places["interp"], len(contents["interp"]))
        if interpreter
        else form.segment(0, 0, 0, 0, 0),
        form.segment(1, rights, 0, BASE, end),
        form.segment(1, 6, end, 2 * BASE + end, len(data)),
        form.segment(2, 6, places["dynamic"], BASE + places["dynamic"], len(contents["dynamic"]))
        if dynamic
        else form.segment(0, 0, 0, 0, 0),
        form.segment(4, 4, places["note"], BASE + places["note"], len(notes)),
    ]
    parts = [
        Part(b".interp", 1, 2, contents["interp"]),
        Part(b".text", 1, 6, code),
        Part(b".dynsym", 11, 2, symbols, 4, len(form.symbol(0, 0))),
        Part(b".dynstr", 3, 2, strings.table),
        Part(b".dynamic", 6, 3, contents["dynamic"], 4),
        Part(b".data", 1, 3, data),
    ]
    offsets = [places[name] for name in ("interp", "code", "symbols", "strings", "dynamic")] + [end]
    rest = b"".join(headers) + body + data
    start = form.header_size
    if not sections:
        return form.header(kind, BASE + places["code"], len(headers), (0, 0, 0)) + rest
    tail, tables, number = _sections(form, [*parts, *extra], offsets, start + len(rest))
    return (
        form.header(kind, BASE + places["code"], len(headers), (start + len(rest) + len(tail), number, number - 1))
        + rest
        + tail
        + tables
    )


def _counting(form: Form, count: int, counted: str) -> bytes:
    """A table by which the symbols can be counted: of DT_HASH, DT_GNU_HASH or DT_RELA."""
    if counted == "hash":
        word = ">Q" if form == Form(64, ">") else form.order + "I"  # s390x counts in words of eight bytes
        return b"".join(struct.pack(word, one) for one in (1, count, 0)) + bytes(count * struct.calcsize(word))
    if counted == "gnu":  # one bucket, one filter word, chains from symbol 1 on: the last has its lowest bit set
        head = struct.pack(form.order + "IIII", 1, 1, 1, 6) + form.word(0) + struct.pack(form.order + "I", 1)
        return head + struct.pack(form.order + "I", 2) * (count - 2) + struct.pack(form.order + "I", 3)
    shift = 32 if form.wide else 8
    return b"".join(form.word(0x3000, number << shift | 6, 0) for number in (1, count - 1, 2))


def _sections(form: Form, parts: list[Part], offsets: list[int], start: int) -> tuple[bytes, bytes, int]:
    """Contents of the parts that have no offset yet, the section headers, how many they are; the last has the names."""
    names = Strings()
    tail = b""
    headers = [form.section(*[0] * 10)]
    numbered = [*parts, Part(b".shstrtab", 3, 0, b"")]
    for number, part in enumerate(numbered):
        name = names.add(part.name)
        content = names.table if number == len(numbered) - 1 else part.content
        if number < len(offsets):
            offset = offsets[number]
        else:
            tail += bytes(-(start + len(tail)) % 8)
            offset = start + len(tail)
            tail += content
        address = BASE + offset if part.flags & 2 and number < len(offsets) else 0
        headers.append(
            form.section(name, part.type, part.flags, address, offset, len(content), part.link, 0, 1, part.entry)
        )
    return tail, b"".join(headers), len(headers)


def kernel_module(
    form: Form = COMMON,
    *,
    information: bytes = INFORMATION,
    structure: bytes = b"probe",
    imports: tuple[bytes, ...] = (),
    own: tuple[bytes, ...] = (),
) -> bytes:
    """A relocatable file with .modinfo, a struct module and a symbol table."""
    strings = Strings()
    symbols = form.symbol(0, 0, 0)
    symbols += b"".join(form.symbol(strings.add(one), 0) for one in imports)
    symbols += b"".join(form.symbol(strings.add(one), 1, 0x02) for one in own)
    parts = [
        Part(b".text", 1, 6, CODE),
        Part(b".modinfo", 1, 2, information),
        Part(b".gnu.linkonce.this_module", 1, 3, bytes(24 if form.wide else 12) + structure.ljust(56, b"\0")),
        Part(b".symtab", 2, 0, symbols, 5, len(form.symbol(0, 0))),
        Part(b".strtab", 3, 0, strings.table),
    ]
    tail, tables, number = _sections(form, parts, [], form.header_size)
    return form.header(1, 0, 0, (form.header_size + len(tail), number, number - 1)) + tail + tables


def der(tag: int, *contents: bytes) -> bytes:
    content = b"".join(contents)
    size = len(content)
    length = bytes([size]) if size < 128 else b"\x82" + size.to_bytes(2, "big")
    return bytes([tag]) + length + content


def signature(signer: bytes = b"Some key", oid: str = "608648016503040203") -> bytes:
    """A PKCS#7 signature as sign-file appends it, with its trailer; the signed bytes are no signature of anything."""
    name = der(0x30, der(0x31, der(0x30, der(6, b"\x55\x04\x03"), der(12, signer))))
    information = der(
        0x30,
        der(2, b"\1"),
        der(0x30, name, der(2, b"\x0a\x0b")),
        der(0x30, der(6, bytes.fromhex(oid))),
        der(4, bytes(256)),
    )
    signed = der(0x30, der(2, b"\1"), der(0x31), der(0x30, der(6, b"\x2a")), der(0x31, information))
    content = der(0x30, der(6, b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"), der(0xA0, signed))
    return (
        content + bytes([0, 0, 2, 0, 0, 0, 0, 0]) + len(content).to_bytes(4, "big") + b"~Module signature appended~\n"
    )


def random_bytes(size: int, seed: int = 7) -> bytes:
    return random.Random(seed).randbytes(size)  # noqa: S311 - a fixed sequence, so that a failure comes again


def upx(
    form: Form = COMMON, *, magic: bytes = b"UPX!", sizes: bool = True, gap: int = 0, trailer: bool = True
) -> bytes:
    """A program as UPX leaves it (src/p_lx_elf.cpp, src/stub/src/include/linux.h), with blocks of random bytes."""
    pack = form.order
    blocks = ((form.header_size + 4 * form.segment_size, 100), (50_000, 20_000), (9_000, 4_000))
    original = sum(block[0] for block in blocks)
    body = struct.pack(pack + "I4sHBB", 1, magic, 900, 13, 22) + struct.pack(
        pack + "III", 0, *((original, original) if sizes else (0, 0))
    )
    body += random_bytes(gap)
    for unpacked, packed in blocks:
        body += struct.pack(pack + "IIBBBB", unpacked, packed, 14, 0, 0, 0) + random_bytes(packed)
    body += random_bytes(2000, 8)
    start = form.header_size + 2 * form.segment_size
    size = start + len(body)
    entry = BASE + size - 1500
    segments = form.segment(1, 5, 0, BASE, size) + form.segment(1, 6, 0, 16 * BASE, 0, original)
    tail = magic + bytes([13, 22, 14, 9]) + bytes(28) if trailer else b""
    return form.header(2, entry, 2, (0, 0, 0)) + segments + body + tail


def go_blob(version: bytes, module: bytes) -> bytes:
    """The blob of Go 1.18 and later: magic, flags, two texts with their lengths; the module's lines between markers."""
    framed = bytes(range(16)) + module + bytes(range(16, 32))
    return b"\xff Go buildinf:\x08\x02" + bytes(16) + _varint(len(version)) + version + _varint(len(framed)) + framed


def _varint(value: int) -> bytes:
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + _varint(value >> 7)
