"""How long an ELF file is that begins somewhere in free space: by its own headers, its blocks taken as contiguous.

Source: elf(5). The file ends where the last of its tables, segments and sections ends; what was appended behind them
(an overlay, a module's signature) cannot be told from what follows.
"""

import struct
from collections.abc import Callable
from typing import NamedTuple

LARGEST = 1 << 30
_MOST_PROGRAM_HEADERS, _MOST_SECTIONS = 512, 8192
_KINDS = range(1, 5)  # relocatable, executable, shared, core
_NO_BITS = 8


class ElfSpan(NamedTuple):
    """How many bytes the file has by its headers, and what speaks against it ("" for nothing)."""

    size: int
    doubt: str = ""


class _Form(NamedTuple):
    header: struct.Struct
    program: struct.Struct
    section: struct.Struct
    header_size: int


def _form(order: str, *, is_wide: bool) -> _Form:
    if is_wide:  # e_phoff, e_shoff; p_offset, p_filesz; sh_type, sh_offset, sh_size
        return _Form(
            struct.Struct(order + "HHI8xQQ4xHHHHHH"),
            struct.Struct(order + "8xQ16xQ16x"),
            struct.Struct(order + "4xI16xQQ24x"),
            64,
        )
    return _Form(
        struct.Struct(order + "HHI4xII4xHHHHHH"),
        struct.Struct(order + "4xI8xI12x"),
        struct.Struct(order + "4xI8xII16x"),
        52,
    )


def elf_span(read: Callable[[int, int], bytes]) -> ElfSpan | None:
    """Return the length of the ELF file that ``read(position, size)`` gives the bytes of; None where it is none."""
    head = read(0, 64)
    if len(head) < 64 or not head.startswith(b"\x7fELF") or head[4] not in {1, 2} or head[5] not in {1, 2}:
        return None
    form = _form("<" if head[5] == 1 else ">", is_wide=head[4] == 2)
    kind, machine, version, *places = form.header.unpack_from(head, 16)
    programs_at, sections_at, own_size, program_size, programs, section_size, sections, _ = places
    is_sound = (
        kind in _KINDS
        and machine
        and version == 1
        and own_size == form.header_size
        and bool(programs or sections)
        and (not programs or program_size == form.program.size)
        and (not sections or section_size == form.section.size)
    )
    if not is_sound or programs > _MOST_PROGRAM_HEADERS or sections > _MOST_SECTIONS:
        return None
    ends = [own_size, programs_at + programs * program_size, sections_at + sections * section_size if sections else 0]
    table = read(programs_at, programs * program_size)
    whole = len(table) // form.program.size * form.program.size
    ends += (start + size for start, size in form.program.iter_unpack(table[:whole]))
    found, doubt = _section_ends(form, read(sections_at, sections * section_size), sections)
    size = max(ends + found)
    if size > LARGEST:
        return ElfSpan(max(ends[:2]), f"its headers say {size} bytes: what follows its first part is not its own")
    return ElfSpan(size, doubt)


def _section_ends(form: _Form, table: bytes, count: int) -> tuple[list[int], str]:
    """Return where the sections end; a doubt where the table is not where the header says (the first is all NUL)."""
    if not count:
        return [], ""
    if len(table) < count * form.section.size or any(table[: form.section.size]):
        return [], "its section headers are not where its header says: it was fragmented or partly overwritten"
    return [start + size for kind, start, size in form.section.iter_unpack(table) if kind != _NO_BITS], ""
