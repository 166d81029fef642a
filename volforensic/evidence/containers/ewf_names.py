"""How the segments of an EWF image are called: .E01 to .E99, then .EAA to .ZZZ; in the first one's upper or lower case.

Source: libewf's "Expert Witness Compression Format" documentation, "Segment file extensions".
"""

import re

_FIRST = re.compile(rb"(?s)(.*\.)([EeSs])01")
_NUMBERED = 99  # the last one that has digits
_PAIRS = 26 * 26


def segment_name(first: bytes, number: int) -> bytes | None:
    """Return the name of segment ``number`` (from 1) of the set whose first file is ``first``; None if it has none."""
    match = _FIRST.fullmatch(first)
    if match is None or number < 1:
        return None
    stem, letter = match[1], match[2]
    if number <= _NUMBERED:
        return b"%s%s%02d" % (stem, letter, number)
    high, rest = divmod(number - _NUMBERED - 1, _PAIRS)
    base = ord("a") if letter.islower() else ord("A")
    initial = letter[0] + high
    if initial >= base + 26:
        return None
    return stem + bytes([initial, base + rest // 26, base + rest % 26])


def segment_names(first: bytes, last: int) -> list[bytes]:
    """Return the names of the segments from 2 to ``last``, as many as the format has."""
    names = (segment_name(first, number) for number in range(2, last + 1))
    return [name for name in names if name is not None]
