"""A raw image in several files: NAME.001, NAME.002 and so on, from 000 or 001, or NAME.aa, NAME.ab as split(1) writes.

No byte says that a file is a part: only its name does, and only when it is a first one. So the files that would follow
are asked for, none has to be there, and those that are make one disk.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import islice, takewhile
from string import ascii_lowercase

from volforensic.evidence.containers.container import ContainerFacts, NamedFile, NoteFault, Reference
from volforensic.evidence.containers.joined import Part, joined_medium, lost_part, stored_part
from volforensic.evidence.containers.mapped import Noted
from volforensic.medium import Medium
from volforensic.record import Problem, text

SEGMENTS_MOST = 3990
_NUMBER = re.compile(rb"(?s)(.+\.)(\d{2,4})")
_LETTERS = re.compile(rb"(?s)(.+\.)([a-z]{2,3}|[A-Z]{2,3})")


def following_segments(name: bytes) -> list[bytes]:
    """Return the names of the parts that may follow a first part, as many as can be opened; none for any other name."""
    if match := _NUMBER.fullmatch(name):
        stem, number = match.groups()
        if int(number) > 1:
            return []
        first = int(number) + 1
        return [b"%s%0*d" % (stem, len(number), following) for following in range(first, first + SEGMENTS_MOST)]
    if (match := _LETTERS.fullmatch(name)) and set(match[2].lower()) == {ord("a")}:
        return [match[1] + letters for letters in islice(_following_letters(match[2]), SEGMENTS_MOST)]
    return []


def later_segment(name: bytes) -> bool:
    """Return whether the name is that of a part which is not the first: NAME.002, with three digits or more."""
    match = _NUMBER.fullmatch(name)
    return bool(match and len(match[2]) == 3 and 1 < int(match[2]) <= SEGMENTS_MOST)


def _following_letters(first: bytes) -> Iterator[bytes]:
    """Yield what follows aa, aaa, AA: ab, ac, and so on, as split(1) counts."""
    alphabet = ascii_lowercase if first.islower() else ascii_lowercase.upper()
    for number in range(1, 26 ** len(first)):
        digits = (number // 26**place % 26 for place in reversed(range(len(first))))
        yield "".join(alphabet[digit] for digit in digits).encode()


def recognises(first: NamedFile) -> bool:
    """Return whether the name is that of a first part; what its bytes are says nothing."""
    return bool(following_segments(first.name)) or later_segment(first.name)


def look(files: Sequence[NamedFile]) -> ContainerFacts:
    """Say which parts there are and what is odd of them; see container.py."""
    parts = list(_parts(files))
    names = ", ".join(text(file.name) for _, file in parts if file is not None)
    return ContainerFacts(
        kind="split raw" if len(parts) > 1 else "raw",
        size=_medium(parts, Noted(lambda _fault: None)).size,
        references=[
            Reference(name=name, role="segment", is_optional=True) for name in following_segments(files[0].name)
        ],
        details={"parts": names} if len(parts) > 1 else {},
        problems=[Problem(stage="source", reason=reason, lost=lost) for reason, lost in _oddities(parts)],
    )


def open_container(files: Sequence[NamedFile], parent: Medium | None, note: NoteFault) -> Medium:
    """Return the parts as one disk; see container.py. A missing part between two others is lost."""
    del parent  # a raw image has none
    return _medium(list(_parts(files)), Noted(note))


def _parts(files: Sequence[NamedFile]) -> Iterator[tuple[bytes, NamedFile | None]]:
    """Yield name and file of each part up to the last that is there; None for one that is missing."""
    found = {file.name.lower(): file for file in reversed(files)}
    names = [files[0].name, *following_segments(files[0].name)]
    missing_at_end = len(list(takewhile(lambda name: name.lower() not in found, reversed(names))))
    for name in names[: len(names) - missing_at_end]:
        yield name, found.get(name.lower())


def _medium(parts: Sequence[tuple[bytes, NamedFile | None]], noted: Noted) -> Medium:
    return joined_medium([_part(name, file, _usual(parts)) for name, file in parts], noted)


def _usual(parts: Sequence[tuple[bytes, NamedFile | None]]) -> int:
    """Return the size of the first part: all but the last have it."""
    return next(file.medium.size for _, file in parts if file is not None)


def _part(name: bytes, file: NamedFile | None, usual: int) -> Part:
    if file is None:
        return lost_part(usual, f"the part {text(name)} is missing")
    return stored_part(file.medium, 0, file.medium.size)


def _oddities(parts: Sequence[tuple[bytes, NamedFile | None]]) -> Iterator[tuple[str, bool]]:
    """Yield what is odd of the parts, and whether bytes are lost by it."""
    usual = _usual(parts)
    if later_segment(parts[0][0]):
        yield (
            f"by its name {text(parts[0][0])} is not the first part of a split image: the parts before are not read",
            True,
        )
    for name, file in parts[:-1]:
        if file is None:
            yield f"the part {text(name)} is missing: {usual} bytes, if it was as long as the first", True
        elif file.medium.size != usual:
            reason = f"the part {text(name)} has {file.medium.size} bytes and the first has {usual}"
            yield f"{reason}: where it was cut, what follows is in the wrong place", file.medium.size < usual
    last_name, last = parts[-1]
    if len(parts) > 1 and last is not None and last.medium.size > usual:
        yield f"the last part {text(last_name)} has {last.medium.size} bytes, more than the first with {usual}", False
    if len(parts) > SEGMENTS_MOST:
        yield f"{len(parts)} parts were joined: whether more follow was not looked for", True
