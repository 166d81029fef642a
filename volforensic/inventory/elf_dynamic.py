"""What an ELF file asks of the loader: libraries, search paths, symbols (the System V gABI, chapter 5; ld.so(8)).

All of it is found as glibc's loader finds it, through the segments, and of what stands twice the last counts; section
headers only help to count.
"""

import struct
from typing import NamedTuple

from volforensic.inventory.elf_format import (
    DYNAMIC,
    DYNAMIC_SYMBOLS,
    INTERPRETER,
    NO_BITS,
    SYMBOL_TABLE,
    Image,
    Section,
    Segment,
    name_at,
)

_NEEDED, _HASH, _STRINGS, _SYMBOLS, _STRINGS_SIZE, _SONAME, _RPATH, _RUNPATH = 1, 4, 5, 6, 10, 14, 15, 29
_RELA, _RELA_SIZE, _REL, _REL_SIZE, _PLT_SIZE, _PLT = 7, 8, 17, 18, 2, 23
_GNU_HASH, _FLAGS_1 = 0x6FFFFEF5, 0x6FFFFFFB
_IS_PIE = 0x08000000  # DF_1_PIE
_LARGEST_TABLE = 64 << 10
_LARGEST_STRINGS = 16 << 20
_LARGEST_RELOCATIONS = 4 << 20
_LARGEST_PATH, _LARGEST_NAME = 4096, 512
_MOST_LIBRARIES = 128
_MOST_SYMBOLS = 300_000
_MOST_BUCKETS = 1 << 20
_UNIQUE = 10  # STB_GNU_UNIQUE


class Dynamic(NamedTuple):
    """The dynamic table: the value of each tag, and the strings that it names."""

    tags: dict[int, int] = {}  # noqa: RUF012 - a NamedTuple's default, never changed
    strings: bytes = b""
    needed: tuple[bytes, ...] = ()
    soname: bytes = b""
    rpath: bytes = b""
    runpath: bytes = b""

    @property
    def is_pie(self) -> bool:
        """Whether the linker marked it as a program that loads anywhere (DF_1_PIE)."""
        return bool(self.tags.get(_FLAGS_1, 0) & _IS_PIE)


class Symbols(NamedTuple):
    """Names of a symbol table: those it needs, those it offers to others, those of its own; how many entries in all."""

    imports: frozenset[bytes] = frozenset()
    exports: frozenset[bytes] = frozenset()
    own: frozenset[bytes] = frozenset()
    total: int = 0


def interpreter(image: Image) -> bytes:
    """Return the path of the loader that the program asks for (PT_INTERP); empty where it asks for none."""
    segment = next((one for one in image.segments if one.type == INTERPRETER), None)
    if segment is None or not segment.file_size:
        return b""
    path = image.content(segment, _LARGEST_PATH).partition(b"\0")[0]
    if not path:
        image.data.say("the path of the interpreter cannot be read")
    return path


def read_dynamic(image: Image) -> Dynamic:
    """Return the dynamic table; an empty one where there is none."""
    place: Segment | Section | None = next((one for one in reversed(image.segments) if one.type == DYNAMIC), None)
    if place is None and not image.segments:
        place = image.section(b".dynamic")
    if place is None or (isinstance(place, Segment) and not place.file_size):
        return Dynamic()
    raw = image.content(place, _LARGEST_TABLE)
    form = struct.Struct(image.header.order + ("QQ" if image.header.bits == 64 else "II"))
    tags: dict[int, int] = {}
    needed: list[int] = []
    for tag, value in form.iter_unpack(raw[: len(raw) // form.size * form.size]):
        if not tag:
            break
        if tag == _NEEDED:
            needed.append(value)
        else:
            tags[tag] = value
    strings = image.at_address(tags.get(_STRINGS, 0), min(tags.get(_STRINGS_SIZE, 0), _LARGEST_STRINGS))
    if not strings and (tags or needed):
        image.data.say("the names of the dynamic table cannot be read: it points nowhere")
    if len(needed) > _MOST_LIBRARIES:
        image.data.say(f"{_MOST_LIBRARIES} of {len(needed)} needed libraries are kept")
    named = [name_at(strings, offset, _LARGEST_NAME) if offset else b"" for offset in needed[:_MOST_LIBRARIES]]
    if not all(named) and strings:
        image.data.say("a needed library has no name that can be read")

    def text(tag: int) -> bytes:
        return name_at(strings, tags[tag], _LARGEST_PATH) if tag in tags else b""

    return Dynamic(tags, strings, tuple(filter(None, named)), text(_SONAME), text(_RPATH), text(_RUNPATH))


def dynamic_symbols(image: Image, dynamic: Dynamic, *, with_exports: bool) -> Symbols:
    """Return what the file imports when it is loaded, and what it exports where that is asked for."""
    start = dynamic.tags.get(_SYMBOLS, 0)
    if not start:
        return Symbols()
    size = _symbol_form(image).size
    listed = (one for one in image.sections if one.type == DYNAMIC_SYMBOLS and one.address == start)
    count = max(_hashed_count(image, dynamic), max((one.size // size for one in listed), default=0))
    if not count:
        after = dynamic.tags.get(_STRINGS, 0) - start  # linkers lay the names behind the symbols
        count = max(after // size if after > 0 else 0, _relocated_count(image, dynamic))
    raw = image.at_address(start, min(count, _MOST_SYMBOLS) * size)
    if len(raw) < count * size:
        image.data.say(f"{len(raw) // size} of {count} dynamic symbols were read")
    return _names(image, raw, dynamic.strings, with_defined=with_exports)


def static_symbols(image: Image) -> Symbols:
    """Return the names of the symbol table of a relocatable file (a kernel module)."""
    table = next((one for one in image.sections if one.type == SYMBOL_TABLE), None)
    if table is None or table.link >= len(image.sections):
        return Symbols()
    size = _symbol_form(image).size
    raw = image.content(table, _MOST_SYMBOLS * size)
    if len(raw) < table.size:
        image.data.say(f"{len(raw) // size} of {table.size // size} symbols were read")
    strings = image.content(image.sections[table.link], _LARGEST_STRINGS)
    return _names(image, raw, strings, with_defined=True)


def symbol_count(image: Image) -> int:
    """Return how many symbols the full symbol table holds; 0 where it was stripped off."""
    size = _symbol_form(image).size
    tables = [one for one in image.sections if one.type == SYMBOL_TABLE]
    return sum(max(0, min(one.size, image.data.size - one.offset)) // size for one in tables)


def has_debug_information(image: Image) -> bool:
    """Return whether DWARF sections lie in the file."""
    names = (b".debug_info", b".zdebug_info", b".debug_line", b".zdebug_line")
    return any(one.name in names and one.type != NO_BITS for one in image.sections)


def _symbol_form(image: Image) -> struct.Struct:
    return struct.Struct(image.header.order + ("IBBHQQ" if image.header.bits == 64 else "IIIBBH"))


def _names(image: Image, raw: bytes, strings: bytes, *, with_defined: bool) -> Symbols:
    form = _symbol_form(image)
    wide = image.header.bits == 64
    needed, offered, own = set(), set(), set()
    whole = len(raw) // form.size
    for fields in form.iter_unpack(raw[: whole * form.size]):
        if wide:
            start, information, other, index = fields[:4]
        else:
            start, _, _, information, other, index = fields
        if not start:
            continue
        if not index:
            needed.add(start)
        elif not with_defined:
            continue
        elif information >> 4 in {1, 2, _UNIQUE} and other & 3 in {0, 3}:
            offered.add(start)
        else:
            own.add(start)
    imports, exports, rest = (frozenset(name_at(strings, start) for start in group) for group in (needed, offered, own))
    return Symbols(imports, exports, rest, whole)


def _words(image: Image, raw: bytes) -> tuple[int, ...]:
    return struct.unpack(f"{image.header.order}{len(raw) // 4}I", raw[: len(raw) // 4 * 4])


def _hashed_count(image: Image, dynamic: Dynamic) -> int:
    """Return how many symbols the hash tables know of (DT_HASH: nchain; DT_GNU_HASH: the end of the last chain)."""
    size = 0
    if _HASH in dynamic.tags:
        wide = image.header.machine in {0x9026, 22} and image.header.bits == 64  # alpha and s390x: words of 8 bytes
        head = image.at_address(dynamic.tags[_HASH], 16 if wide else 8)
        if len(head) == (16 if wide else 8):
            size = struct.unpack(image.header.order + ("QQ" if wide else "II"), head)[1]
    if size or _GNU_HASH not in dynamic.tags:
        return size
    table = dynamic.tags[_GNU_HASH]
    head = image.at_address(table, 16)
    if len(head) < 16:
        return 0
    buckets, first, filters, _ = _words(image, head)
    if buckets > _MOST_BUCKETS or filters > _MOST_BUCKETS:
        return 0
    place = table + 16 + filters * image.header.bits // 8
    highest = max(_words(image, image.at_address(place, buckets * 4)), default=0)
    if highest < first:
        return 0
    chain = _words(image, image.at_address(place + buckets * 4 + (highest - first) * 4, 1 << 16))
    return highest + next((number for number, word in enumerate(chain, start=1) if word & 1), 0)


def _relocated_count(image: Image, dynamic: Dynamic) -> int:
    """Return one more than the highest symbol that a relocation names: what the loader will look up."""
    wide = image.header.bits == 64
    highest = 0
    tags = dynamic.tags
    tables = ((_RELA, _RELA_SIZE, 3), (_REL, _REL_SIZE, 2), (_PLT, _PLT_SIZE, 3 if tags.get(20, 7) == _RELA else 2))
    for place, length, words in tables:
        form = struct.Struct(image.header.order + ("Q" if wide else "I") * words)
        raw = image.at_address(tags.get(place, 0), min(tags.get(length, 0), _LARGEST_RELOCATIONS))
        for entry in form.iter_unpack(raw[: len(raw) // form.size * form.size]):
            highest = max(highest, entry[1] >> (32 if wide else 8))
    return highest + 1 if highest else 0
