"""How random the parts of an ELF file are, and what lies behind its last part."""

import msgspec

from volforensic.inventory.elf_format import IS_EXECUTABLE, NO_BITS, RELOCATABLE, SECTION_IS_EXECUTABLE, Image, Section
from volforensic.inventory.entropy import EntropyMeter
from volforensic.inventory.signatures import HEAD_SIZE, identify
from volforensic.record import text

MEASURE_LIMIT = 64 << 20
"""Bytes that are measured of one file, at most."""
_LARGEST_PART = 16 << 20
_SAMPLES = 16
_MOST_SECTIONS = 64
_MOST_SEGMENTS = 32
_FLAGS = ((1, "w"), (2, "a"), (4, "x"))


class SectionFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A section: entropy in bits a byte; ``measured`` are the bytes it was measured on where not all were.

    ``flags`` are of w (writable), a (takes memory), x (executable).
    """

    name: str
    offset: int
    size: int
    flags: str = ""
    entropy: float | None = None
    measured: int | None = None


class SegmentFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A segment that is loaded: offset and size in the file, size in memory, rights as ``r-x``."""

    offset: int
    size: int
    memory_size: int
    rights: str
    entropy: float | None = None
    measured: int | None = None


class Overlay(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Bytes behind everything that the headers know of; ``mime`` is what their first bytes look like."""

    offset: int
    size: int
    entropy: float | None = None
    measured: int | None = None
    mime: str | None = None


class Measures:
    """Holds the meter and how many bytes one file may still cost."""

    def __init__(self, image: Image, meter: EntropyMeter, limit: int = MEASURE_LIMIT) -> None:
        """Begin with the whole account."""
        self._image = image
        self._meter = meter
        self._left = limit

    def entropy(self, offset: int, size: int) -> tuple[float | None, int | None]:
        """Return the entropy of a range and on how many bytes it was measured, None for all of them."""
        size = min(size, self._image.data.size - offset)
        if size <= 0 or self._left <= 0:
            return None, None
        wanted = min(size, _LARGEST_PART, self._left)
        if wanted == size:
            data = self._image.data.read(offset, size)
        else:  # pieces from all over the range
            step, piece = size // _SAMPLES, max(1, wanted // _SAMPLES)
            data = b"".join(self._image.data.read(offset + number * step, piece) for number in range(_SAMPLES))
        self._left -= len(data)
        return round(self._meter.measure(data), 3), None if len(data) == size else len(data)


def section_facts(image: Image, measures: Measures) -> list[SectionFacts]:
    """Return the sections that have bytes, in the order of the file: the largest where there are very many."""
    found = [one for one in image.sections if one.type not in {0, NO_BITS} and one.size]
    largest = sorted(found, key=lambda one: one.size, reverse=True)[:_MOST_SECTIONS]
    return [_section(one, measures) for one in sorted(largest, key=lambda one: one.offset)]


def _section(section: Section, measures: Measures) -> SectionFacts:
    entropy, measured = measures.entropy(section.offset, section.size)
    return SectionFacts(
        name=text(section.name),
        offset=section.offset,
        size=section.size,
        flags="".join(letter for bit, letter in _FLAGS if section.flags & bit),
        entropy=entropy,
        measured=measured,
    )


def segment_facts(image: Image, measures: Measures) -> list[SegmentFacts]:
    """Return the segments that are loaded; measured where the section headers are gone or do not cover them."""
    uncovered = not sections_cover(image)
    facts = []
    for segment in image.loads()[:_MOST_SEGMENTS]:
        entropy, measured = measures.entropy(segment.offset, segment.file_size) if uncovered else (None, None)
        facts.append(
            SegmentFacts(
                offset=segment.offset,
                size=segment.file_size,
                memory_size=segment.memory_size,
                rights=segment.rights,
                entropy=entropy,
                measured=measured,
            )
        )
    return facts


def sections_cover(image: Image) -> bool:
    """Return whether the sections describe what is loaded: most of its bytes, and code where the program begins."""
    if image.header.type == RELOCATABLE:
        return True
    loaded = sum(segment.file_size for segment in image.loads())
    named = sum(one.size for one in image.sections if one.flags & 2 and one.type not in {0, NO_BITS})
    code = [one for one in image.sections if one.flags & SECTION_IS_EXECUTABLE and one.type != NO_BITS]
    entry = image.header.entry
    begins = any(one.address <= entry < one.address + one.size for one in code)
    has_code = any(one.flags & IS_EXECUTABLE and one.file_size for one in image.loads())
    return 2 * named >= loaded and (begins or not entry or not has_code)


def find_overlay(image: Image, measures: Measures, signature_size: int) -> Overlay | None:
    """Return the bytes behind the last header, segment and section; ``signature_size`` of them are a module's."""
    header = image.header
    wide = header.bits == 64
    sections = len(image.sections) * (64 if wide else 40)
    ends = [64 if wide else 52, header.segments_offset + len(image.segments) * (56 if wide else 32)]
    ends += [header.sections_offset + sections] if sections else []
    ends += [one.offset + one.file_size for one in image.segments if one.file_size]
    ends += [one.offset + one.size for one in image.sections if one.type not in {0, NO_BITS}]
    size = image.data.size
    end = max(place for place in ends if place <= size)  # what points beyond the file was said
    if max(ends) > size or size - signature_size <= end:
        return None
    offset, length = end, size - signature_size - end
    entropy, measured = measures.entropy(offset, length)
    kind = identify(image.data.read(offset, min(length, HEAD_SIZE)))
    return Overlay(
        offset=offset, size=length, entropy=entropy, measured=measured, mime=kind.mime if kind is not None else None
    )
