"""Whether a program is packed: by the structures of known packers, else by several signs together."""

import msgspec

from volforensic.inventory.elf_format import (
    IS_EXECUTABLE,
    IS_WRITABLE,
    RELOCATABLE,
    SECTION_IS_EXECUTABLE,
    Image,
    Segment,
)
from volforensic.inventory.elf_measures import Overlay, SectionFacts, SegmentFacts, sections_cover
from volforensic.inventory.elf_upx import find_upx

_RANDOM = 7.5
"""Bits a byte: machine code has 5 to 6.6 (ARM's Thumb up to 7.3), compressed or encrypted bytes more than 7.5."""
_VERY_RANDOM = 7.8
_SMALLEST = 4096
_SMALLEST_PAYLOAD = 64 << 10
_TAIL = 8192
_PYINSTALLER = b"MEI\x0c\x0b\x0a\x0b\x0e"


class Packer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What packed a program, and what speaks for it.

    ``name`` is ``unknown`` where only signs speak; ``confidence`` is certain (the structure was followed), likely
    (several signs), possible. ``is_altered``: the packer's marks were overwritten, which no packer does by itself.
    """

    name: str
    confidence: str
    signs: list[str]
    version: str = ""
    is_altered: bool = False


def find_packer(
    image: Image, sections: list[SectionFacts], segments: list[SegmentFacts], overlay: Overlay | None, kind: str
) -> Packer | None:
    """Return what packed a program or bundled it with an archive; None where nothing speaks for it.

    ``kind`` is the type of the facts: a library without section headers was stripped, a program may have been packed.
    """
    if image.header.type == RELOCATABLE:
        return None
    upx = find_upx(image)
    if upx is not None:
        return Packer(
            name="UPX", confidence=upx.confidence, signs=upx.signs, version=upx.version, is_altered=upx.is_altered
        )
    return _bundle(image, overlay) or _unknown(image, sections, segments, overlay, is_program="executable" in kind)


def _bundle(image: Image, overlay: Overlay | None) -> Packer | None:
    """Recognise by their marks what bundles a program with an archive, or protects it under its own name."""
    names = {one.name for one in image.sections}
    tail = image.data.read(max(0, image.data.size - _TAIL), _TAIL)
    if _PYINSTALLER in tail or (b"pydata" in names and overlay is None):
        signs = ["PyInstaller's cookie near the end"] if _PYINSTALLER in tail else ["a section named pydata"]
        return Packer(name="PyInstaller", confidence="certain" if _PYINSTALLER in tail else "likely", signs=signs)
    if image.data.read(8, 3) in {b"AI\1", b"AI\2"}:
        return Packer(name="AppImage", confidence="certain", signs=["AppImage's mark in the identification"])
    if any(name.startswith(b".vmp") for name in names):
        return Packer(name="VMProtect", confidence="likely", signs=["sections named .vmp"])
    return None


def _unknown(
    image: Image,
    sections: list[SectionFacts],
    segments: list[SegmentFacts],
    overlay: Overlay | None,
    *,
    is_program: bool,
) -> Packer | None:
    """Weigh the signs: random code is one of packing, random data alone is not (certificates, tables, pictures)."""
    signs = _layout_signs(image, is_program=is_program)
    code = [one for one in sections if "x" in one.flags] + [one for one in segments if "x" in one.rights]
    random = [one for one in code if (one.entropy or 0) >= _RANDOM and one.size >= _SMALLEST]
    if random:
        highest = max(random, key=lambda one: one.entropy or 0)
        signs.insert(0, f"code with an entropy of {highest.entropy} at offset {highest.offset}, {highest.size} bytes")
    data = [one for one in segments if "x" not in one.rights and (one.entropy or 0) >= _VERY_RANDOM]
    is_payload = is_program and any(one.size >= _SMALLEST_PAYLOAD for one in data)
    if is_payload:
        signs.append("a segment of data with the entropy of compressed or encrypted bytes")
    if _is_random_overlay(image, overlay):
        signs.append("more compressed or encrypted bytes behind the program than in it")
        is_payload = True
    if random and len(signs) > 1:
        return Packer(name="unknown", confidence="likely", signs=signs)
    if random or (is_payload and len(signs) > 1):
        return Packer(name="unknown", confidence="possible", signs=signs)
    return None


def _is_random_overlay(image: Image, overlay: Overlay | None) -> bool:
    if overlay is None or overlay.size < _SMALLEST_PAYLOAD or 2 * overlay.size < image.data.size:
        return False
    return overlay.mime is None and (overlay.entropy or 0) >= _VERY_RANDOM


def _layout_signs(image: Image, *, is_program: bool) -> list[str]:
    if not is_program:
        return []
    signs = []
    if not sections_cover(image):
        signs.append("no section headers" if not image.sections else "the sections do not describe what is loaded")
    first = _entry_segment(image)
    if first is None:
        if image.header.entry and image.loads():
            signs.append("the entry point lies in no segment")
        return signs
    if first.flags & IS_WRITABLE:
        signs.append(f"the entry point lies in a writable segment ({first.rights})")
    code = [one for one in image.sections if one.flags & SECTION_IS_EXECUTABLE]
    entry = image.header.entry
    if code and not any(one.address <= entry < one.address + one.size for one in code):
        signs.append("the entry point lies in no section of code")
    grown = [one for one in image.loads() if one.flags & IS_WRITABLE and one.flags & IS_EXECUTABLE]
    if any(one.memory_size > 4 * one.file_size + _SMALLEST for one in grown):
        signs.append("a segment to write code into: its memory is much larger than its bytes")
    return signs


def _entry_segment(image: Image) -> Segment | None:
    entry = image.header.entry
    return next((one for one in image.loads() if one.address <= entry < one.address + one.memory_size), None)
