"""What the parsers of plain text share: lines that were not understood, lines with blanks kept, bounded numbers."""

import re
from collections.abc import Iterator

from volforensic.collection.content import Content
from volforensic.record import Row, text_fields

_DECIMAL = re.compile(rb"[0-9]{1,19}")


def unparsed(position: int, line: bytes) -> Row:
    """Return the row of a line that no rule of the format explains: where it stands and what it says."""
    return {"position": position, "unparsed": True, **text_fields("raw", line)}


def every_line(content: Content) -> Iterator[tuple[int, bytes]]:
    r"""Yield every line with its byte offset, without its ``\\n``, empty lines too (``content.lines`` leaves them out).

    A last line that is empty is no line: it is what follows the last newline.
    """
    for block in content.blocks():
        position = block.position
        parts = block.data.split(b"\n")
        if not parts[-1]:
            parts.pop()
        for line in parts:
            yield position, line
            position += len(line) + 1


def decimal(value: bytes, most: int) -> int | None:
    """Return an unsigned decimal number, or None where it is none or is larger than ``most``."""
    if not _DECIMAL.fullmatch(value):
        return None
    number = int(value)
    return number if number <= most else None


def file_name(path: bytes) -> bytes:
    """Return the last component of a path of the evidence."""
    return path.rpartition(b"/")[2]
