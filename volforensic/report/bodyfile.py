"""Files as the body file that ``mactime`` of The Sleuth Kit makes a timeline of (its wiki, "Body file", version 3).

A line is ``MD5|name|inode|mode|UID|GID|size|atime|mtime|ctime|crtime``. mactime splits at every ``|`` and then reads
``%XX``: so the bytes of a name that are ``%``, ``|``, control characters or no UTF-8 are written ``%XX``. Where a name
itself holds `` -> `` or `` (deleted``, its ``>`` or ``(`` is: what is not written so was added here.

mactime 4.11 loses a line whose name holds a line feed once it has read it. So a line feed is written to be read as the
text ``%0A``, and a ``%`` before ``0A`` or ``25`` as ``%25``: in mactime's output ``%0A`` is always a line feed.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from volforensic.record import Row
from volforensic.report.row_values import TYPE_LETTERS, mode_letters, name_bytes, seconds

_FED = re.compile(rb"%(?=0A|25)|\n")
_ACTING = re.compile(rb"[\x00-\x1f\x7f%|]|(?<= -)>(?= )|(?<= )\((?=deleted)")
_REUSED = "the inode belongs to another file now"
_TIMES = ("atime", "mtime", "ctime", "crtime")
TIMELESS = "without any time: mactime passes over them"
EARLY = "with a time before 1970: mactime passes over that time"


def bodyfile_lines(rows: Iterable[Row], left_out: Counter[str]) -> Iterator[bytes]:
    """Yield a line, with its end, for each row.

    ``left_out`` is given the number of lines that mactime passes over, wholly or in part, by reason.
    """
    for row in rows:
        times = [seconds(row.get(key)) for key in _TIMES]
        if not any(times):
            left_out[TIMELESS] += 1
        if min(times) < 0:
            left_out[EARLY] += 1
        numbers = [row.get(key) or 0 for key in ("inode", "uid", "gid", "size")]
        fields = [row.get("md5") or "0", _name(row), numbers[0], _mode(row), *numbers[1:], *times]
        yield b"|".join(field if isinstance(field, bytes) else str(field).encode("ascii") for field in fields) + b"\n"


def _name(row: Row) -> bytes:
    name = _escaped(name_bytes(row, "path") or b"")
    target = name_bytes(row, "link_target")
    if target is not None:
        name += b" -> " + _escaped(target)
    if row["allocated"]:
        return name
    return name + (b" (deleted-realloc)" if _REUSED in row.get("problems", ()) else b" (deleted)")


def _escaped(name: bytes) -> bytes:
    name = _FED.sub(lambda match: b"%0A" if match[0] == b"\n" else b"%25", name)
    try:
        name.decode()
    except UnicodeDecodeError:
        text = name.decode("utf-8", "surrogateescape")
        return b"".join(
            b"%%%02X" % (ord(letter) - 0xDC00) if "\udc80" <= letter <= "\udcff" else _percent(letter.encode())
            for letter in text
        )
    return _percent(name)


def _percent(name: bytes) -> bytes:
    return _ACTING.sub(lambda match: b"%%%02X" % match[0][0], name)


def _mode(row: Row) -> str:
    letter = TYPE_LETTERS.get(row["type"], "-")
    mode = row.get("mode")
    return f"{letter}/{'-' if mode is None else letter}{mode_letters(mode)}"
